-- SPDX-License-Identifier: MIT
-- --script-time and --script-memory: whatever a callback does, the guest goes on.

local command = require("spec.support.command")
local run = require("spec.support.run")

-- It hands signals on at calls of the C library only, of which a loop in Lua makes none.
local describe_timed = command.preset ~= "tsan" and describe
  or function(name) pending(name .. ", whose signals the thread sanitizer holds up") end

local guest = [[(module
  (func $tick (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
  (func (export "_start") (local $i i32)
    (loop $l (local.set $i (call $tick (local.get $i))) (br_if $l (i32.lt_u (local.get $i) (i32.const 5))))))]]

-- The end tells how many calls of $tick were heard; a second listener that is none of the script's business hears all.
local frame = [[
local heard = 0
lunette.on("tick", function(call, i) heard = heard + 1 %s end)
lunette.on("tick", { after = function(call, i) if i == 5 then print("the guest went on") end end })
lunette.at_exit(function() print("heard", heard) end)
]]

local function traced(code, ...)
  local spec = { guest = guest, files = { ["x.lua"] = code }, timeout = 120, "run" }
  for _, argument in ipairs({ ... }) do spec[#spec + 1] = argument end
  for _, argument in ipairs({ "-s", "x.lua", "app.wasm" }) do spec[#spec + 1] = argument end
  return run(spec)
end

local endless = {
  ["a loop"] = "while true do end",
  ["a loop behind pcall"] = "while true do pcall(function() while true do end end) end",
  ["a loop behind xpcall, and in its handler"] = [[
    local function loop() while true do end end
    while true do xpcall(loop, loop) end]],
  ["a recursion behind pcall"] = "local function f() while true do pcall(f) end end f()",
  ["a coroutine"] = "coroutine.wrap(function() while true do end end)()",
  ["coroutines behind resume"] = [[
    while true do coroutine.resume(coroutine.create(function() while true do end end)) end]],
  ["a coroutine in a coroutine"] = [[
    coroutine.wrap(function()
      local inner = coroutine.wrap(function() pcall(function() while true do end end) coroutine.yield() end)
      while true do inner() inner = coroutine.wrap(function() end) end
    end)()]],
  ["coroutine.close"] = [[
    local co = coroutine.create(function()
      local x <close> = setmetatable({}, { __close = function() while true do end end })
      coroutine.yield()
    end)
    coroutine.resume(co)
    while true do coroutine.close(co) end]],
  ["a variable that is closed"] = "local x <close> = setmetatable({}, { __close = function() while true do end end })",
  ["__index"] = "local t = setmetatable({}, { __index = function() while true do end end }) print(t.x)",
  ["the __tostring of an error"] = "error(setmetatable({}, { __tostring = function() while true do end end }))",
  ["string.find"] = '(("a"):rep(5000)):find(".-.-.-.-b")',
  ["string.find, plain"] = 'while true do (("a"):rep(5000)):find(("a"):rep(2500) .. "b", 1, true) end',
  ["string.match"] = '(("a"):rep(5000)):match("^.*.*.*.*b")',
  ["string.match of a class"] = '(("a"):rep(5000)):match("[a-z]-[^b]-%a-%w-b")',
  ["string.gmatch"] = 'for _ in (("a"):rep(5000)):gmatch(".-.-.-.-b") do end',
  ["string.gsub"] = '(("a"):rep(5000)):gsub(".-.-.-.-b", "")',
  ["string.gsub's function"] = '(("a"):rep(5000)):gsub(".", function() while true do end end)',
  ["string.rep"] = 'while true do (("x"):rep(1000000)):rep(100) end',
  ["string.format"] = 'while true do string.format("%s%q%99.99f", ("x"):rep(1000000), "x", 1) end',
  ["string.byte"] = 'local s = ("x"):rep(100000) while true do s:byte(1, -1) end',
  ["string.pack"] = 'while true do string.pack("c1000000", "") end',
  ["os.date"] = 'while true do pcall(os.date, ("%c"):rep(2000)) pcall(os.date, ("%c"):rep(10000000)) end',
  ["table.move"] = "table.move({}, 1, 1000000000000000, 2)",
  ["table.insert"] = [[
    table.insert(setmetatable({}, { __len = function() return 1000000000000000 end }), 1, 1)]],
  ["table.remove"] = "table.remove(setmetatable({}, { __len = function() return 1000000000000000 end }), 1)",
  ["table.concat"] = [[
    table.concat(setmetatable({}, { __index = function() return "" end }), "", 1, 1000000000000000)]],
  ["table.concat by a C function"] = "table.concat(setmetatable({}, { __index = rawlen }), '', 1, 1000000000000000)",
  ["table.unpack"] = [[
    local t = setmetatable({}, { __index = function() while true do end end }) print(table.unpack(t, 1, 3))]],
  ["table.sort"] = [[
    local t = {}
    for i = 1, 20000 do t[i] = i * 7919 % 20011 end
    while true do table.sort(t) table.sort(t, function(a, b) return a > b end) end]],
  ["table.sort of what has no end"] = [[
    table.sort(setmetatable({}, { __len = function() return 2000000000 end, __index = function() return 1 end }))]],
  ["utf8.len"] = 'local s = ("\u{e4}"):rep(100000) while true do utf8.len(s) end',
  ["utf8.codepoint"] = 'local s = ("\u{e4}"):rep(10000) while true do pcall(utf8.codepoint, s, 1, -1) end',
  ["utf8.offset"] = 'local s = ("\u{e4}"):rep(100000) while true do utf8.offset(s, 90000) end',
  ["utf8.codes"] = 'while true do for _ in utf8.codes(("\u{e4}"):rep(100000)) do end end',
  ["load's reader"] = 'load(function() return " " end)',
  ["load of a long text"] = 'while true do load(("x=1 "):rep(3000000)) end',
  ["a loop of lunette's own"] = 'pcall(lunette.bench, 1 << 60, { { name = "x" } }, { abort = print })',
  ["a loop of lunette's own that calls C"] = 'pcall(lunette.bench, 1 << 60, { { name = "x" } }, tostring)',
  ["a list that has no end"] = 'lunette.stack(setmetatable({}, { __index = function() return { name = "x" } end }))',
  ["a hook of its own"] = "pcall(debug.sethook, function() end, '', 1) while true do end",
  ["what lunette is given to call"] = 'lunette.on(function() while true do end end, print)',
}

describe_timed("--script-time", function()
  for what, code in pairs(endless) do
    it("ends a callback that hangs in " .. what .. ", mutes it and says so", function()
      local result = traced(frame:format(code), "--script-time", "30ms")
      assert.same({ 0, 0 }, { result.status, result.signal }, result.stderr)
      assert.is_truthy(result.stderr:find("exceeded its script-time of 30ms", 1, true), result.stderr)
      assert.is_truthy(result.stderr:find("the guest went on\nheard\t1\n", 1, true), result.stderr)
      assert.equal(1, select(2, result.stderr:gsub("lunette: ", "")), result.stderr)
    end)
  end

  -- Each would take its time again and again, in ever new callbacks.
  local endlessly = {
    ["listeners"] = 'local function f() lunette.on("tick", f) while true do end end lunette.on("tick", f)',
    ["timers"] = "local function f() lunette.delay(0, f) while true do end end lunette.delay(0, f)",
    ["timers of luv's"] = [[local function f() lunette.uv.new_timer():start(0, 0, function() f() end) while true do end end
      lunette.uv.new_timer():start(0, 0, f)]],
    ["reloads"] = 'lunette.on("tick", function() lunette.scripts[1]:reload() while true do end end)',
    ["at_exit"] = "local function f() lunette.at_exit(f) while true do end end lunette.at_exit(f)",
  }
  for what, code in pairs(endlessly) do
    it("ends " .. what .. " that replace themselves", function()
      local result = run {
        guest = guest:gsub("i32.const 5", "i32.const 100000"), files = { ["x.lua"] = code }, timeout = 120,
        "run", "--script-time", "5ms", "-s", "x.lua", "app.wasm",
      }
      assert.same({ 0, 0, false }, { result.status, result.signal, result.timed_out })
      assert.matches("callbacks have exceeded their budget", result.stderr)
    end)
  end

  it("names the line", function()
    local result = traced('lunette.on("tick", function()\n  while true do\n  end\nend)', "--script-time", "30ms")
    assert.is_truthy(result.stderr:find("^lunette: x.lua:[23]: exceeded its script%-time of 30ms\n"), result.stderr)
  end)

  -- Each hangs, in time or in memory, in the line that is asked for.
  local placed = {
    ["at_exit"] = "lunette.at_exit(function()\n  %s\nend)",
    ["at_exit, behind pcall"] = "lunette.at_exit(function()\n  pcall(function() %s end)\nend)",
    ["a timer"] = "lunette.delay(1, function()\n  %s\nend) lunette.linger(1000)",
    ["a timer's coroutine"] = "lunette.delay(1, function()\n  coroutine.wrap(function() %s end)()\nend) lunette.linger(1000)",
    ["a callback of luv's"] = "lunette.uv.new_timer():start(1, 0, function()\n  %s\nend) lunette.linger(1000)",
    ["a finalizer"] = "lunette.on('tick', function() setmetatable({}, { __gc = function()\n  %s\nend}) collectgarbage() end)",
    ["the __tostring of an error"] =
      "lunette.delay(1, function() error(setmetatable({}, { __tostring = function()\n  %s\nend })) end) lunette.linger(1000)",
    ["a listener"] = "lunette.on('tick', function()\n  %s\nend)",
  }
  local hanging = {
    ["time"] = { "while true do end", "its script%-time of 30ms", "--script-time", "30ms" },
    ["time, in C alone"] = { "table.concat(setmetatable({}, { __index = rawlen }), '', 1, 1000000000000000)",
                             "its script%-time of 30ms", "--script-time", "30ms" },
    ["memory"] = { "local t = {} while true do t[#t + 1] = {} end", "the script%-memory of 8M", "--script-time", "30s",
                   "--script-memory", "8M" },
    ["memory at once"] = { "pcall(string.rep, 'x', 1 << 40)", "the script%-memory of 8M", "--script-time", "30s",
                           "--script-memory", "8M" },
  }
  for where, code in pairs(placed) do
    for what, case in pairs(hanging) do
      it(("names the line of %s that exceeds its %s"):format(where, what), function()
        local result = traced(code:format(case[1]), table.unpack(case, 3))
        assert.is_truthy(result.stderr:find("lunette: [_gc: ]*x.lua:2: exceeded " .. case[2]), result.stderr)
      end)
    end
  end

  for what, code in pairs({
    ["uv.sleep"] = "lunette.uv.sleep(100000)", ["uv.run"] = "lunette.uv.run()",
    ["uv.thread_join"] = "lunette.uv.thread_join(lunette.uv.new_thread(function() require('luv').sleep(100000) end))",
    ["thread:join"] = "lunette.uv.new_thread(function() require('luv').sleep(100000) end):join()",
  }) do
    it("refuses " .. what .. ", which would wait without using any time up", function()
      local result = traced("lunette.at_exit(function()\n  " .. code .. "\nend)", "--script-time", "30ms")
      assert.same({ 0, 0, false }, { result.status, result.signal, result.timed_out }, result.stderr)
      assert.is_truthy(result.stderr:find("^lunette: x.lua:2: " .. what .. ": a callback that has a budget can't wait"),
                       result.stderr)
    end)
  end

  it("lets them wait where nothing is limited", function()
    local result = traced([[lunette.at_exit(function()
      lunette.uv.sleep(1)
      lunette.uv.new_thread(function() end):join()
      lunette.uv.new_timer():start(1, 0, function() print("struck") end)
      print(lunette.uv.run())
    end)]])
    assert.equal("struck\nfalse\n", result.stderr)
  end)

  local elsewhere = {
    ["a factory"] = "lunette.factory(function() while true do end end)",
    ["at_exit"] = "lunette.at_exit(function() while true do end end)",
    ["on_instance"] = "lunette.on_instance(function() while true do end end)",
    ["on_error"] = 'lunette.on("tick", error, { on_error = function() while true do end end })',
    ["after"] = 'lunette.on("tick", { after = function() while true do end end })',
    ["a finalizer"] = [[lunette.on("tick", function()
      setmetatable({}, { __gc = function() while true do end end })
      collectgarbage()
    end)]],
    ["a finalizer that was exchanged"] = [[
      local class = { __gc = function() end }
      setmetatable({}, class)
      function class.__gc() while true do end end
      collectgarbage()]],
    ["a finalizer when all is over"] = "kept = setmetatable({}, { __gc = function() while true do end end })",
    ["a timer"] = [[
      local struck = false
      lunette.every(1, function() struck = true while true do end end)
      lunette.linger(1000)]],
    ["a callback of luv's"] = [[
      local timer = lunette.uv.new_timer()
      timer:start(0, 1, function() while true do end end)
      lunette.linger(300)]],
  }

  for what, code in pairs(elsewhere) do
    it("ends " .. what .. " that hangs, once", function()
      local result = traced(code .. "\n" .. frame:format(""), "--script-time", "30ms")
      assert.same({ 0, 0 }, { result.status, result.signal }, result.stderr)
      assert.equal(1, select(2, result.stderr:gsub("exceeded its script%-time of 30ms", "")), result.stderr)
      assert.is_truthy(result.stderr:find("the guest went on\nheard\t5\n", 1, true), result.stderr)
    end)
  end

  it("ends the run where a host function hangs, which the guest cannot do without", function()
    local result = run {
      guest = '(module (import "h" "f" (func $f)) (func (export "_start") (call $f)))', "run", "--script-time", "30ms",
      "-e", 'lunette.host("h", { f = { function() while true do end end } })', "app.wasm",
    }
    assert.equal(134, result.status, result.stderr)
    assert.is_truthy(result.stderr:find("exceeded its script-time of 30ms", 1, true), result.stderr)
  end)

  it("lets a script load for a second, and no longer", function()
    local result = traced("while true do if os.clock() > 3 then print('far too long') break end end", "--script-time", "1ms")
    assert.equal(101, result.status, result.stderr)
    assert.is_truthy(result.stderr:find("lunette: x.lua:1: exceeded its script-time of 1s", 1, true), result.stderr)
  end)

  it("ends the run with --strict", function()
    local result = traced(frame:format("while true do end"), "--script-time", "30ms", "--strict")
    assert.equal(102, result.status)
    assert.is_truthy(result.stderr:find("exceeded its script-time of 30ms", 1, true), result.stderr)
  end)

  it("says what it must be", function()
    local result = traced("", "--script-time", "soon")
    assert.equal(64, result.status)
    assert.is_truthy(result.stderr:find("it is a number above 0 with its unit", 1, true), result.stderr)
  end)
end)

describe("--script-memory", function()
  local greedy = {
    ["a table"] = "local t = {} while true do t[#t + 1] = {} end",
    ["a string"] = 'local s = "x" while true do s = s .. s end',
    ["string.rep"] = 'kept = ("x"):rep(1 << 40)',
    ["strings behind pcall"] = 'while true do kept = { kept, pcall(string.rep, "x", 100000) } end',
    ["what is refused, behind pcall"] = 'pcall(string.rep, "x", 1 << 40)',
    ["closures"] = "local f while true do local g = f f = function() return g end end",
    ["coroutines"] = "local t = {} while true do t[#t + 1] = coroutine.wrap(print) end",
    ["table.concat"] = 'local t = {} for i = 1, 1000 do t[i] = ("x"):rep(1000) end '
      .. 'kept = {} while true do kept[#kept + 1] = table.concat(t, i) end',
  }
  for what, code in pairs(greedy) do
    it("mutes the script that runs out of it by " .. what .. ", and the guest goes on", function()
      local result = traced(frame:format(code), "--script-memory", "4M")
      assert.same({ 0, 0 }, { result.status, result.signal }, result.stderr)
      assert.is_truthy(result.stderr:find("^lunette: x.lua[:%d]*: exceeded the script%-memory of 4M\n"), result.stderr)
      assert.is_truthy(result.stderr:find("the guest went on\nheard\t1\n", 1, true), result.stderr)
    end)
  end

  it("may be as much as there is", function()
    assert.equal("the guest went on\nheard\t5\n", traced(frame:format(""), "--script-memory", "9223372036854775807").stderr)
  end)

  it("is what scripts have, not what they had", function()
    local result = traced(frame:format('for i = 1, 20 do local t = ("x"):rep(1000000 + i) end'), "--script-memory", "4M")
    assert.equal("the guest went on\nheard\t5\n", result.stderr)
  end)

  it("ends a script that takes too much while it loads", function()
    local result = traced('local t = {} while true do t[#t + 1] = {} end', "--script-memory", "4M")
    assert.equal(101, result.status)
    assert.is_truthy(result.stderr:find("exceeded the script-memory of 4M", 1, true), result.stderr)
  end)
end)
