-- SPDX-License-Identifier: MIT
-- --sandbox: what a script tries in order to reach files, processes, C or lunette's own functions. And bytecode, which is
-- refused with it and without.

local run = require("spec.support.run")
local wat = require("spec.support.wat")

local guest = '(module (func $f (export "f")) (func (export "_start") (call $f)))'

local function traced(code, files, ...)
  local spec = { guest = guest, files = { ["x.lua"] = code }, "run" }
  for name, text in pairs(files or {}) do spec.files[name] = text end
  for _, argument in ipairs({ ... }) do spec[#spec + 1] = argument end
  for _, argument in ipairs({ "-s", "x.lua", "app.wasm" }) do spec[#spec + 1] = argument end
  return run(spec)
end

local function sandboxed(code, files) return traced(code, files, "--sandbox") end

-- Each has to print "nil", "refused", or nothing that helps.
local absent = { "io", "debug", "package", "dofile", "loadfile", "os.execute", "os.remove", "os.rename", "os.exit",
                 "os.tmpname", "os.setlocale", "os.getenv", "string.dump", "warn" }

-- What raises, and with which words.
local refused = {
  ["require of io"] = { 'require("io")', "module 'io' not found" },
  ["require of debug"] = { 'require("debug")', "module 'debug' not found" },
  ["require of package"] = { 'require("package")', "module 'package' not found" },
  ["require of lunette's own modules"] = { 'require("lunette.core")', "module 'lunette.core' not found" },
  ["require of a C module"] = { 'require("lfs")', "in the sandbox only Lua files are" },
  ["require of luv"] = { 'require("luv")', "in the sandbox only Lua files are" },
  ["require of a path"] = { 'require("../x")', "is no module's name" },
  ["require of a path with points"] = { 'require(".etc.passwd")', "is no module's name" },
  ["require of a path of points"] = { 'require("a..b")', "is no module's name" },
  ["require of bytecode"] = { 'require("compiled")', "attempt to load a binary chunk" },
  ["lunette.uv"] = { "lunette.uv.fs_open('x', 'r', 0)", "lunette.uv: not in the sandbox" },
  ["a session that writes a file"] = { 'lunette.session({ output = "stolen" })', "session: not in the sandbox" },
  ["a fake, which has a session"] = { 'lunette.fake({ output = "stolen" })', "fake: not in the sandbox" },
  ["reading a module's file"] = { 'lunette.module({ file = "app.wasm" })', "module{file=}: not in the sandbox" },
  ["a guest of its own that sees a folder"] = {
    'lunette.instantiate(lunette.module({ bytes = wasm }), { wasi = { dirs = { "." } } })', "wasi=: not in the sandbox" },
  ["loading another file"] = { 'lunette.load("other.lua")', "load of a file: not in the sandbox" },
  ["collectgarbage('stop')"] = { 'collectgarbage("stop")', 'a script in the sandbox can\'t "stop"' },
  ["closing the session"] = { "lunette.close()", "it can't be closed" },
}

describe("a script in the sandbox", function()
  for _, name in ipairs(absent) do
    it("has no " .. name, function()
      local result = sandboxed(("print(type(%s))"):format(name))
      assert.equal("nil\n", result.stderr)
    end)
  end

  for what, case in pairs(refused) do
    it("is refused " .. what, function()
      local bytes = wat('(module)'):gsub(".", function(c) return ("\\x%02x"):format(c:byte()) end)
      local result = sandboxed(('local wasm = "%s"\n'):format(bytes) .. case[1], {
        ["other.lua"] = "print('loaded')", ["compiled.lua"] = string.dump(function() return 1 end),
      })
      assert.equal(101, result.status, result.stderr)
      assert.is_truthy(result.stderr:find("lunette: x.lua:2: ", 1, true), result.stderr)
      assert.is_truthy(result.stderr:find(case[2], 1, true), result.stderr)
    end)
  end

  it("is refused them from a callback, too, and from a module that it requires", function()
    local result = sandboxed([[
      lunette.on("f", function() print(pcall(function() return lunette.uv end)) end)
      print(require("part").try())]], { ["part.lua"] = [[
      local lunette = require("lunette")
      return { try = function() return io, debug, pcall(function() return lunette.uv end) end }]] })
    assert.equal("nil\tnil\tfalse\t./part.lua:2: lunette.uv: not in the sandbox\n"
      .. "false\tx.lua:1: lunette.uv: not in the sandbox\n", result.stderr)
  end)

  it("finds no way out through strings, _G, metatables or load", function()
    local result = sandboxed([[
      print(getmetatable(""), getmetatable(_G), _G == _ENV, _G._G.io, rawget(_G, "io"))
      print(load("return io, debug, os.execute, package")())
      print(load("return io", "x", "t", _G)(), load("return io", "x", "t", {})())
      print(pcall(load, string.rep("x", 3), "x", "b"))
      print(load(function() return nil end))
      local function free(value, seen, path)
        if seen[value] then return end
        seen[value] = true
        if type(value) == "table" then
          for key, inner in next, value do
            local known = key == "popen" or key == "execute" or key == "loadlib" or key == "getinfo" or key == "dofile"
            if known then print(path, key) end
            free(key, seen, path) free(inner, seen, path .. "." .. tostring(key))
          end
        end
        local meta = getmetatable(value)
        if type(meta) == "table" then free(meta, seen, path .. "<meta>") end
      end
      free(_G, {}, "_G")
      lunette.on("f", function(call)
        free(call, {}, "call") free(call.instance, {}, "instance") free(call:stack(), {}, "stack")
        free(lunette.scripts, {}, "scripts") free(lunette.arg(1), {}, "arg") free(lunette.count(), {}, "count")
        free(lunette.every(1000, print), {}, "timer") free(select(2, pcall(lunette.load, "nosuch")), {}, "error")
        print("looked")
      end)]])
    assert.equal(0, result.status, result.stderr)
    local lines = {}
    for line in result.stderr:gmatch("[^\n]+") do lines[#lines + 1] = (line:gsub("0x%x+", "ADDRESS")) end
    assert.same({ "string\tnil\ttrue\tnil\tnil", "nil\tnil\tnil\tnil", "nil\tnil",
                  "true\tnil\tattempt to load a text chunk (mode is '')", "function: ADDRESS", "looked" },
                { table.unpack(lines, 1, 6) }, result.stderr)
  end)

  -- What is shown when the script is no longer at work, and so in nobody's time.
  for what, case in pairs({
    ["a where's metamethods"] = {
      'lunette.on(setmetatable({ "nosuch" }, { __tostring = hang, __index = hang, __pairs = hang }), print)',
      'lunette: x.lua: where "nosuch" matches no function\n',
    },
    ["a where that holds itself"] = {
      'local w = { name = "nosuch" } lunette.on(w, print) w.caller, w.name = w, w', "matches no function\n",
    },
    ["shares that change later"] = {
      [[local q = { 0.5 } lunette.on('f', lunette.quantile({ value = lunette.arg(1), q = q }))
      setmetatable(q, { __index = hang })]],
      "calls  total  avg  p50  max  function\n    1      7    7    7    7  f\n" },
    ["a label that changes later"] = {
      "local r = lunette.arg(1) lunette.on('f', lunette.count({ by = r })) r.label = setmetatable({}, { __index = hang })",
      "calls  arg 1\n    1  7\n" },
  }) do
    it("is not asked for " .. what .. " when that is shown", function()
      local result = run {
        guest = '(module (func $f (param i32)) (func (export "_start") (call $f (i32.const 7))))',
        files = { ["x.lua"] = "local function hang() while true do end end\n" .. case[1] },
        "run", "--sandbox", "--script-time", "30ms", "-s", "x.lua", "app.wasm",
      }
      assert.same({ 0, false }, { result.status, result.timed_out }, result.stderr)
      assert.equal(case[2], result.stderr:sub(-#case[2]))
    end)
  end

  it("changes nothing in the libraries of others", function()
    local result = traced([[
      string.format = function() return "caught" end
      table.concat, string.gsub, math.floor = string.format, string.format, string.format
      lunette.on("f", function() print(("%d"):format(5), string.format("%d", 5)) end)]],
      { ["y.lua"] = 'lunette.on("f", function() print(string.format("%d", 6), math.floor(1.5)) end)' },
      "--sandbox", "-s", "y.lua")
    assert.equal("6\t1\n5\tcaught\n", result.stderr)
  end)

  it("has the rest, modules written in Lua among it", function()
    local result = sandboxed([[
      local part = require("part")
      assert(require("part") == part and require("string") == string and require("lunette") == lunette)
      print(part.twice(21), os.time() > 0, math.pi > 3, utf8.char(955), collectgarbage("count") > 0, _VERSION)
      lunette.state.x = 1
      lunette.every(1000, print)
      lunette.load("count")
      local fine, why = pcall(require, "broken")
      print(fine, why)
      local text = setmetatable({}, { __tostring = function() return "t" end })
      print(select("#", coroutine.wrap(function() return 1, 2 end)()), text)]],
      { ["part.lua"] = "return { twice = function(n) return 2 * n end }", ["broken.lua"] = "return (" })
    assert.equal("42\ttrue\ttrue\tλ\ttrue\tLua 5.4\nfalse\terror loading module 'broken' from file './broken.lua':\n"
      .. "\t./broken.lua:1: unexpected symbol near <eof>\n2\tt\n", result.stderr:match("^.-\n2\tt\n"), result.stderr)
    assert.equal(0, result.status)
  end)

  it("is one of a program's session, too", function()
    local files = require("spec.support.files")
    local folder <close> = files.temporary()
    files.write(folder .. "/x.lua", "lunette.state.found = { io = io, string = string }")
    local lunette = require("lunette").session({ sandbox = true })
    local script = lunette.load(folder .. "/x.lua")
    files.write(folder .. "/x.lua", "assert(lunette.state.found.io == nil and lunette.state.found.string ~= string) io.write()")
    local good, problem = pcall(script.reload, script)
    lunette.close()
    assert.is_false(good)
    assert.is_truthy(tostring(problem):find("global 'io'", 1, true), tostring(problem))
  end)
end)

describe("bytecode", function()
  local compiled = string.dump(function() return "run" end)
  for _, option in ipairs({ false, "--sandbox" }) do
    local how = option and "with " .. option or "without --sandbox"

    it("is no script, " .. how, function()
      for _, text in ipairs({ compiled, "#!lua\n" .. compiled }) do
        local result = traced(text, nil, option or nil)
        assert.equal(101, result.status)
        assert.is_truthy(result.stderr:find("^lunette: x.lua:"), result.stderr)
      end
    end)

    it("is not loaded, " .. how, function()
      local result = traced([[
        local code = require("text").code
        local function try(f, ...)
          local good, chunk, problem = pcall(f, ...)
          print(good and chunk == nil and problem or good and "loaded" or chunk)
        end
        try(load, code)
        try(load, code, "x", "b")
        try(load, code, "x", "bt", {})
        local at = 0
        try(load, function() at = at + 1 return code:sub(at, at) end)
        if loadfile then try(loadfile, "compiled.lua") try(dofile, "compiled.lua") try(loadfile, "compiled.lua", "b", {}) end
        local meta = getmetatable(_G)
        if meta then try(meta.__index.load, code) try(meta.__index.loadfile, "compiled.lua") end
        try(require, "compiled")]],
        { ["compiled.lua"] = compiled, ["text.lua"] = ("return { code = %q }"):format(compiled) }, option or nil)
      assert.equal(0, result.status, result.stderr)
      local count = 0
      for line in result.stderr:gmatch("[^\n]+") do
        if not line:find("^error loading module") and not line:find("^x.lua:%d+: error loading module") then
          count = count + 1
          assert.is_truthy(line:find("attempt to load a binary chunk", 1, true), line)
        end
      end
      assert.equal(option and 5 or 10, count, result.stderr)
    end)
  end
end)
