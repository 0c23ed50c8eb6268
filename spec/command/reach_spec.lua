-- SPDX-License-Identifier: MIT
-- --sandbox: all that a script in it can reach from its globals, metatables included, against the list of what it may have.

local api = require("lunette.api")
local files = require("spec.support.files")
local run = require("spec.support.run")

local guest = '(module (func $f (export "f") (param i32)) (func (export "_start") (call $f (i32.const 1))))'

-- What a script finds; "libraries.name" of the whole of one.
local globals = {
  "_VERSION", "assert", "collectgarbage", "error", "getmetatable", "ipairs", "load", "next", "pairs", "pcall", "print",
  "rawequal", "rawget", "rawlen", "rawset", "require", "select", "setmetatable", "tonumber", "tostring", "type", "xpcall",
  "coroutine.close", "coroutine.create", "coroutine.isyieldable", "coroutine.resume", "coroutine.running", "coroutine.status",
  "coroutine.wrap", "coroutine.yield",
  "math.abs", "math.acos", "math.asin", "math.atan", "math.ceil", "math.cos", "math.deg", "math.exp", "math.floor", "math.fmod",
  "math.huge", "math.log", "math.max", "math.maxinteger", "math.min", "math.mininteger", "math.modf", "math.pi", "math.rad",
  "math.random", "math.randomseed", "math.sin", "math.sqrt", "math.tan", "math.tointeger", "math.type", "math.ult",
  "math.atan2", "math.cosh", "math.frexp", "math.ldexp", "math.log10", "math.pow", "math.sinh", "math.tanh", -- where there are
  "os.clock", "os.date", "os.difftime", "os.time",
  "string.byte", "string.char", "string.find", "string.format", "string.gmatch", "string.gsub", "string.len", "string.lower",
  "string.match", "string.pack", "string.packsize", "string.rep", "string.reverse", "string.sub", "string.unpack",
  "string.upper",
  "table.concat", "table.insert", "table.move", "table.pack", "table.remove", "table.sort", "table.unpack",
  "utf8.char", "utf8.charpattern", "utf8.codepoint", "utf8.codes", "utf8.len", "utf8.offset",
  "lunette.out.write", "lunette.out.printf", "lunette.out<meta>.__index",
  "lunette<meta>.__index", "lunette<meta>.__newindex", "lunette<meta>.__close", "lunette<meta>.__name",
}

-- Each path that ends in something, in a line of its own, then what strings have for methods.
local walker = [[
local seen, lines = {}, {}
local function walk(value, path)
  if type(value) == "table" then
    if seen[value] then return end
    seen[value] = true
    for key, inner in next, value do
      walk(key, path .. "<key>")
      walk(inner, path == "" and tostring(key) or path .. "." .. tostring(key))
    end
    walk(getmetatable(value), path .. "<meta>")
  elseif value ~= nil and not path:find("<key>$") then
    lines[#lines + 1] = path
  end
end
local environment = {}
for key, value in next, _ENV do
  if value ~= _ENV then environment[key] = value end
end
walk(environment, "")
for _, line in ipairs(lines) do print(line) end
for _, name in ipairs({ "dump", "execute", "popen" }) do print("method " .. name, ("")[name]) end
print(getmetatable(_G), getmetatable(""))]]

describe("a script in the sandbox", function()
  it("reaches from its globals what it may have, and nothing else", function()
    local result = run { guest = guest, files = { ["x.lua"] = walker }, "run", "--sandbox", "-s", "x.lua", "app.wasm" }
    assert.equal(0, result.status, result.stderr)
    local allowed, unknown = {}, {}
    for _, name in ipairs(globals) do allowed[name] = true end
    for _, row in ipairs(api.rows) do allowed[row[1]] = true end
    for _, row in ipairs({ "method dump\tnil", "method execute\tnil", "method popen\tnil", "nil\tstring" }) do
      allowed[row] = true
    end
    local count = 0
    for line in result.stderr:gmatch("[^\n]+") do
      count = count + 1
      if not allowed[line] then unknown[#unknown + 1] = line end
    end
    assert.same({}, unknown)
    assert.is_true(count > 120, result.stderr)
  end)

  -- What the scripts of one session can all write into would lead from the one in the sandbox to those that are trusted.
  it("shares no table with other scripts", function()
    local folder <close> = files.temporary()
    local lists = {}
    local text = [[
      local seen = {}
      local function walk(value)
        if type(value) ~= "table" or seen[value] then return end
        seen[value] = true
        for key, inner in next, value do walk(key) walk(inner) end
        walk(getmetatable(value))
      end
      walk(_ENV)
      walk({ lunette.arg(1), lunette.result(1), lunette.elapsed, lunette.caller, lunette.arg(1):gt(1), ~lunette.arg(1):gt(1),
             lunette.multi(function() end), lunette.state, lunette.scripts, lunette.instances, lunette.failures,
             lunette.stack({ { name = "f", params = { 1 } } }), lunette.stack({ { name = "f" } })[1],
             lunette.options({ x = 1 }), lunette.every(1000, print), lunette.count({ quiet = true }),
             select(2, pcall(lunette.load, "nosuch")) })
      ;("").note_tables(seen)]]
    rawset(string, "note_tables", function(seen) lists[#lists + 1] = seen end)
    local lunette = require("lunette").session({ sandbox = true, message = print })
    for _, name in ipairs({ "x.lua", "y.lua" }) do
      files.write(folder .. "/" .. name, text)
      lunette.load(folder .. "/" .. name)
    end
    lunette.close()
    rawset(string, "note_tables", nil)
    local count = 0
    for one in pairs(lists[1]) do
      count = count + 1
      assert.is_nil(lists[2][one])
    end
    assert.is_true(count > 20)
  end)
end)
