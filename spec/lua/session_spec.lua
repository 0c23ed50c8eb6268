-- SPDX-License-Identifier: MIT
-- Sessions: the default one, further ones, closing, output, messages, and objects that outlive what they stand for.

local files = require("spec.support.files")
local guest = require("spec.support.guest")
local handles = require("spec.support.handles")
local wat = require("spec.support.wat")

local failure = guest.failure

local text = [[(module (memory (export "m") 1) (global (export "g") (mut i32) (i32.const 1)) (table (export "t") 1 funcref)
  (func $f (export "f") (param i32) (result i32) (local.get 0)) (func (export "trap") unreachable))]]

after_each(guest.close_all)

describe("a session", function()
  it("is the same API, by dot and by colon", function()
    local session = guest.session()
    local instance = session:instantiate(session:module(wat(text)))
    assert.equal(4, instance:invoke("f", 4))
    assert.same({ instance }, session.instances)
    assert.is_nil(session.guest)
  end)

  it("leaves no descriptor when it is closed", function()
    local before = handles.open()
    local folder <close> = files.temporary()
    local session = require("lunette").session({ output = folder .. "/out" })
    session.out:write("x")
    session.instantiate(session.module(wat(text)))
    assert.not_same(before, handles.open())
    session:close()
    assert.same(before, handles.open())
    assert.equal("x", files.read(folder .. "/out"))
  end)

  it("has its limits", function()
    local small, large = guest.session({ stack = 65536 }), guest.session({ stack = 1 << 20 })
    local deep = wat([[(module (global $n (export "n") (mut i32) (i32.const 0))
      (func $f (export "f") (global.set $n (i32.add (global.get $n) (i32.const 1))) (call $f)))]])
    local counts = {}
    for i, session in ipairs({ small, large }) do
      local instance = session.instantiate(session.module(deep))
      assert.equal("exhausted", failure(instance.invoke, instance, "f").kind)
      counts[i] = instance:global("n").value
    end
    assert.is_true(counts[2] > 10 * counts[1])
    local limited = guest.session({ max_memory = 65536 * 3 })
    local grower = limited.instantiate(limited.module(wat(
      '(module (memory 1) (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))')))
    assert.same({ 1, -1 }, { grower:invoke("grow", 2), grower:invoke("grow", 1) })
  end)

  it("says what its options must be", function()
    local lunette = require("lunette")
    for told, settings in pairs({ ["options must be a table, not a string"] = "x", ["output must be a path"] = { output = {} },
      ["stack must be a number of bytes, not -1"] = { stack = -1 }, ["max_memory must be a number"] = { max_memory = "x" },
      ["message must be a function, not a boolean"] = { message = true } }) do
      local problem = failure(lunette.session, settings)
      assert.is_truthy(problem:find("session: " .. told, 1, true) or problem:find(told, 1, true), problem)
    end
  end)

  it("names the caller's line and argument where out is used wrongly", function()
    local out = guest.session().out
    local here = "session_spec.lua:" .. debug.getinfo(1, "l").currentline .. ": "
    local problems = {
      failure(function() out:printf("%d\n", 1.5) end),
      failure(function() out:write(nil) end),
      failure(function() out:write("a", {}) end),
      failure(function() out:printf("%y", 1) end),
    }
    local line = tonumber(here:match("%d+"))
    for i, told in ipairs({
      "bad argument #2 to 'printf' (number has no integer representation)",
      "bad argument #1 to 'write' (string expected", "bad argument #2 to 'write' (string expected, got table)",
      "invalid conversion '%y' to 'printf'" }) do
      assert.is_truthy(problems[i]:find(("session_spec.lua:%d: %s"):format(line + 1 + i, told), 1, true), problems[i])
    end
  end)

  it("forgets what was detached and closed", function()
    local session = guest.session()
    local module = session.module(wat(text))
    local function rounds(count)
      for _ = 1, count do session.on("f", function() end):detach() end
      collectgarbage()
      collectgarbage()
      return collectgarbage("count")
    end
    local before = rounds(100)
    assert.is_true(rounds(3000) < before + 40)
    local first, second = session.instantiate(module), session.instantiate(module)
    before = rounds(100)
    assert.is_true(rounds(3000) < before + 40)
    for _, instance in ipairs(session.instances) do
      if instance == first then instance:close() end
    end
    assert.same({ second }, session.instances)
    for _, instance in ipairs(session.instances) do instance:close() end
    assert.same({}, session.instances)
  end)

  it("does not complain about a where that was detached before there were functions", function()
    local session, messages = guest.session()
    session.on("nothing", function() end):detach()
    session.on("nowhere", function() end)
    session.instantiate(session.module(wat(text)))
    assert.equal(1, #messages)
    assert.is_truthy(messages[1]:find("nowhere", 1, true))
  end)

  it("names the nearest option and the nearest field", function()
    local lunette = require("lunette")
    assert.is_truthy(failure(lunette.session, { outptu = 1 }):find("no such option: outptu; did you mean 'output'?", 1, true))
    assert.is_truthy(failure(function() return lunette.onn end):find("lunette.onn: no such field; did you mean 'on'?", 1, true))
    assert.is_truthy(failure(function() lunette.nothing = 1 end):find("can't be set", 1, true))
  end)

  it("cannot be closed while its guest runs", function()
    local app = guest.open(text)
    local problem
    app.lunette.on("f", function() problem = failure(app.lunette.close) end)
    app.instance:invoke("f", 1)
    assert.is_truthy(problem:find("while its guest runs", 1, true))
    assert.equal(2, app.instance:invoke("f", 2))
  end)

  it("that is closed leaves objects that answer with errors", function()
    local app = guest.open(text)
    local objects = {}
    local attachment
    attachment = app.lunette.on("f", function(call)
      objects.call, objects.stack, objects.frame, objects.snapshot = call, call:stack(), call:stack()[1], call:snapshot()
    end)
    app.instance:invoke("f", 1)
    local err = failure(app.instance.invoke, app.instance, "trap")
    local f, memory = app.instance.exports.f, app.instance.memory
    local uses = {
      function() return app.instance:invoke("f", 1) end, function() return app.instance.exports end,
      function() return f:invoke(1) end, function() return f.definition end, function() return memory:u8(0) end,
      function() return app.module.name end, function() return app.module:functions() end,
      function() return attachment.calls end, function() attachment:detach() end,
      function() return objects.call.id end, function() return #objects.stack end,
      function() return objects.frame.definition end, function() return objects.snapshot[1] end,
      function() return err.stack end, function() return app.lunette.module("x") end,
    }
    app.lunette.close()
    for i, use in ipairs(uses) do
      local problem = tostring(failure(use))
      assert.is_truthy(problem:find("closed", 1, true) or problem:find("stale", 1, true), i .. ": " .. problem)
    end
    for _, object in pairs(objects) do tostring(pcall(tostring, object)) end
    assert.equal("trap: unreachable", tostring(err))
    tostring(f)
    tostring(memory)
  end)

  it("may be forgotten with everything in it", function()
    local lunette = require("lunette")
    for _ = 1, 20 do
      local session = lunette.session({ message = function() end })
      local instance = session.instantiate(session.module(wat(text)))
      session.on("*", { before = function(call) call.data = instance end, after = function() end })
      instance:invoke("f", 1)
      pcall(instance.invoke, instance, "trap")
      session.host("x", { f = { function() return session end } })
    end
    collectgarbage()
    collectgarbage()
  end)
end)

describe("the output", function()
  it("takes text from lunette.out, in order", function()
    local folder <close> = files.temporary()
    local session = guest.session({ output = folder .. "/out" })
    assert.is_true(session.out:write("a", 1, 2.5, "\n"))
    session.out:printf("%s-%03d\n", "b", 7)
    session.out:write()
    session.close()
    assert.equal("a12.5\nb-007\n", files.read(folder .. "/out"))
  end)

  it("that cannot be opened gives nil, message and kind", function()
    local session = guest.session({ output = "/there/is/no/such/folder/out" })
    local good, message, kind = session.out:write("x")
    assert.is_nil(good)
    assert.equal("string", type(message))
    assert.equal("output", kind)
  end)
end)

describe("at_exit", function()
  it("runs when the session is closed, newest first, and a failure stops nothing", function()
    local session, messages = guest.session()
    local list = {}
    for i = 1, 3 do session.at_exit(function() list[#list + 1] = i end) end
    session.at_exit(function() error("oops") end)
    session.close()
    assert.same({ 3, 2, 1 }, list)
    assert.equal(1, #messages)
    assert.is_truthy(messages[1]:find("oops", 1, true))
  end)
end)

describe("a program", function()
  local program = require("spec.support.program")

  it("has a default session: made at its first use, closed at the end, at_exit included", function()
    local result = program([[
      local lunette = require("lunette")
      local instance = lunette.instantiate(lunette.module({ file = "app.wasm" }))
      lunette.on("f", function(call, x) lunette.out:write(call.name, " ", x, "\n") end)
      lunette.at_exit(function() lunette.out:write("bye\n") end)
      print(instance:invoke("f", 3))
    ]], text)
    assert.same({ "3\n", "f 3\nbye\n", 0 }, { result.stdout, result.stderr, result.status })
  end)

  it("has what it counts printed at its end, though nobody closes the session", function()
    local result = program([[
      local lunette = require("lunette")
      local instance = lunette.instantiate(lunette.module({ file = "app.wasm" }))
      lunette.on("f", lunette.count{})
      lunette.on("f", lunette.sum{ value = lunette.arg(1) })
      print(instance:invoke("f", 3))
    ]], text)
    assert.same({ "3\n", 0 }, { result.stdout, result.status })
    assert.is_truthy(result.stderr:find("^calls  function\n    1  f\n[^\n]*sum[^\n]*\n +3 +1 +f\n"), result.stderr)
  end)

  it("tells failures of listeners on stderr, behind what the trace has written", function()
    local result = program([[
      local lunette = require("lunette")
      local instance = lunette.instantiate(lunette.module({ file = "app.wasm" }))
      lunette.out:write("first\n")
      lunette.on("f", function() error("oops") end)
      lunette.on("ff", print)
      instance:invoke("f", 3)
    ]], text)
    assert.is_truthy(result.stderr:match("^first\nlunette: where \"ff\" matches no function\nhint: did you mean f%?\n"
      .. "lunette: program.lua:4: oops\nstack traceback:\n"), result.stderr)
    assert.equal(0, result.status)
  end)

  it("may go on with a new default session after lunette.close", function()
    local result = program([[
      local lunette = require("lunette")
      for i = 1, 2 do
        local instance = lunette.instantiate(lunette.module({ file = "app.wasm" }))
        lunette.at_exit(function() print("bye", i) end)
        print(instance:invoke("f", i), #lunette.instances)
        lunette.close()
        lunette.close()
      end
      assert(not pcall(function() return lunette.guest.name end))
    ]], text)
    assert.equal("", result.stderr)
    assert.equal("1\t1\nbye\t1\n2\t1\nbye\t2\n", result.stdout)
    assert.equal(0, result.status)
  end)

  it("ends well with everything left open, in whatever order it is collected", function()
    local result = program([[
      local lunette = require("lunette")
      kept = {}
      for i = 1, 5 do
        local session = i == 1 and lunette or lunette.session()
        local instance = session.instantiate(session.module({ file = "app.wasm" }))
        session.on("*", { before = function(call) call.data = instance; kept[#kept + 1] = call:snapshot() end,
                          abort = function(_, err) kept[#kept + 1] = err end })
        kept[#kept + 1] = { session, instance, instance.exports, pcall(instance.invoke, instance, "trap") }
        setmetatable({}, { __gc = function() pcall(instance.invoke, instance, "f", 1); pcall(session.close) end })
      end
      session = lunette.session()
      session.at_exit(function() pcall(kept[1][2].invoke, kept[1][2], "f", 1) end)
    ]], text)
    assert.same({ "", 0 }, { result.stderr, result.status })
  end)

  it("may leave the guest with os.exit and an error at the top", function()
    local result = program([[
      local lunette = require("lunette")
      local instance = lunette.instantiate(lunette.module({ file = "app.wasm" }))
      lunette.on("f", function() lunette.out:write("heard\n") os.exit(7, false) end)
      instance:invoke("f", 1)
    ]], text)
    assert.equal(7, result.status)
    result = program([[
      local lunette = require("lunette")
      lunette.instantiate(lunette.module({ file = "app.wasm" })):invoke("trap")
    ]], text)
    assert.equal(1, result.status)
    assert.is_truthy(result.stderr:find("trap: unreachable", 1, true), result.stderr)
  end)
end)
