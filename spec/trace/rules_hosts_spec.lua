-- SPDX-License-Identifier: MIT
-- The listener contract, rule by rule, from Lua: hosts, from R16 to R22.

local guest = require("spec.support.guest")

local hear, failure = guest.hear, guest.failure

after_each(guest.close_all)

describe("R16 a host function", function()
  local text = [[(module (import "env" "h" (func $h (param i32) (result i32)))
    (func $f (export "f") (param i32) (result i32) (call $h (local.get 0)))
    (func $bad (export "bad") unreachable))]]

  local function with(callback)
    local app
    app = guest.open(text, { imports = function(lunette)
      return { lunette.host("env", { h = { params = { "i32" }, results = { "i32" }, param_names = { "value" },
        function(...) return callback(app, ...) end } }) }
    end })
    return app
  end

  it("gets the same events and stands in the stack", function()
    local app = with(function(_, call, n)
      assert.is_true(call.is_host)
      assert.equal(n, call:param("value"))
      assert.equal(1, call.depth)
      return n + 1
    end)
    local events = hear(app, "*")
    local is_host
    app.lunette.on("h", function(call) is_host = call:stack()[1].is_host and call.definition.is_host end)
    assert.equal(6, app.instance:invoke("f", 5))
    assert.same({ "before f 5", "before h 5", "after h 6", "after f 6" }, events)
    assert.is_true(is_host)
  end)

  it("that raises has kind host, with the value kept", function()
    local value = { "a value" }
    local app = with(function() error(value) end)
    local events = hear(app, "*")
    local err = failure(app.instance.invoke, app.instance, "f", 1)
    assert.equal("host", err.kind)
    assert.is_true(rawequal(value, err.value))
    assert.same({ "before f 1", "before h 1", "abort h host", "abort f host" }, events)
    assert.equal(2, #err.stack)
  end)

  it("keeps the first value where that one's __tostring raises, too", function()
    local value = setmetatable({}, { __tostring = function() error("second") end })
    local app = with(function() error(value) end)
    local err = failure(app.instance.invoke, app.instance, "f", 1)
    assert.is_true(rawequal(value, err.value))
    assert.same({ "host", "a table was raised, whose __tostring fails" }, { err.kind, err.message })
  end)

  it("tells place and traceback of its error", function()
    local app = with(function() error("bad thing") end)
    local err = failure(app.instance.invoke, app.instance, "f", 1)
    assert.is_truthy(err.message:match("rules_hosts_spec.lua:%d+: bad thing$"), err.message)
    assert.equal(err.message, err.value)
    assert.is_truthy(err.detail:find("stack traceback", 1, true))
  end)

  it("that catches a nested failure makes the nested frames abort and ends with after itself", function()
    local app = with(function(app)
      local good, err = pcall(app.instance.invoke, app.instance, "bad")
      assert(not good and err.kind == "trap")
      return 3
    end)
    local events = hear(app, "*")
    assert.equal(3, app.instance:invoke("f", 1))
    assert.same({ "before f 1", "before h 1", "before bad", "abort bad trap", "after h 3", "after f 3" }, events)
  end)

  it("that lets a nested failure through hands on its kind and stack", function()
    local app = with(function(app) return app.instance:invoke("bad") end)
    local events = hear(app, "*")
    local err = failure(app.instance.invoke, app.instance, "f", 1)
    assert.same({ "trap", "unreachable" }, { err.kind, err.code })
    assert.same({ "before f 1", "before h 1", "before bad", "abort bad trap", "abort h trap", "abort f trap" }, events)
    assert.equal("bad", err.stack[1].definition.name)
    assert.equal(3, #err.stack)
  end)

  it("is held to its results", function()
    for _, results in ipairs({ {}, { "x" }, { 1.5 }, { 1, 2 }, { 1 << 40 } }) do
      local app = with(function() return table.unpack(results) end)
      local err = failure(app.instance.invoke, app.instance, "f", 1)
      assert.equal("host", err.kind)
      assert.is_truthy(err.message:find("host function h", 1, true), err.message)
    end
  end)

  it("may write guest memory", function()
    local app = guest.open([[(module (import "env" "fill" (func $fill (param i32))) (memory 1)
      (func (export "f") (result i32) (call $fill (i32.const 8)) (i32.load (i32.const 8))))]], {
      imports = function() return { env = { fill = { params = { "i32" },
        function(call, address) call.memory:write(address, "\1\2\3\4") end } } } end,
    })
    assert.equal(0x04030201, app.instance:invoke("f"))
  end)
end)

describe("R17 re-entrancy", function()
  local text = [[(module
    (import "env" "call_back" (func $call_back (param i32)))
    (func $outer (export "outer") (param i32) (call $call_back (local.get 0)))
    (func $inner (export "inner") (param i32)))]]

  local function app_of()
    local app
    app = guest.open(text, { imports = function(lunette)
      return { lunette.host("env", { call_back = { params = { "i32" }, function(_, n) app.instance:invoke("inner", n) end } }) }
    end })
    return app
  end

  it("continues depth and parents in guest code that a host function calls", function()
    local app = app_of()
    local depths, parent, id = {}, nil, nil
    app.lunette.on({ "outer", "inner" }, function(call)
      depths[#depths + 1] = call.depth
      if call.name == "outer" then id = call.id else parent = call.parent_id end
    end)
    app.instance:invoke("outer", 1)
    assert.same({ 0, 2 }, depths)
    assert.equal(id, parent)
  end)

  it("does not report the calls of a callback to its own attachment, but to others", function()
    local app = app_of()
    local own, others = {}, {}
    app.lunette.on("*", function(call, n)
      own[#own + 1] = call.name
      if call.name == "outer" then app.instance:invoke("inner", n) end
    end)
    app.lunette.on("inner", function(_, n) others[#others + 1] = n end)
    app.instance:invoke("outer", 1)
    assert.same({ "outer", "call_back", "inner" }, own)
    assert.same({ 1, 1 }, others)
  end)

  it("reports them to one that says reentrant", function()
    local app = app_of()
    local seen = {}
    app.lunette.on({ "outer", "inner" }, function(call, n)
      if call.name == "outer" then app.instance:invoke("inner", n + 1) end
      seen[#seen + 1] = { call.name, n, call:param(1), call.depth }
    end, { reentrant = true })
    app.instance:invoke("outer", 5)
    assert.same({ { "inner", 6, 6, 1 }, { "outer", 5, 5, 0 }, { "inner", 5, 5, 2 } }, seen)
  end)

  it("nests 190 runs through Lua, and ends with exhausted, not with a crash", function()
    local app
    local deepest = 0
    app = guest.open(text, { imports = function(lunette)
      return { lunette.host("env", { call_back = { params = { "i32" }, function(_, n)
        deepest = math.max(deepest, n)
        app.instance:invoke("outer", n + 1)
      end } }) }
    end })
    local err = failure(app.instance.invoke, app.instance, "outer", 1)
    assert.equal("exhausted", err.kind)
    assert.equal(200, deepest)
  end)

  it("works from coroutines, on callbacks' own threads", function()
    local app = app_of()
    local seen = {}
    app.lunette.on("inner", function(_, n) seen[#seen + 1] = n end)
    local routine = coroutine.wrap(function()
      app.instance:invoke("outer", 1)
      coroutine.yield()
      app.instance:invoke("outer", 2)
    end)
    routine()
    routine()
    assert.same({ 1, 2 }, seen)
  end)
end)

describe("R19 entries", function()
  it("say how the host came in", function()
    local seen = {}
    local session = guest.session()
    session.factory(function()
      return { before = function(call) seen[#seen + 1] = { call.name, call.entry or false } end }
    end)
    local wat = require("spec.support.wat")
    local instance = session.instantiate(session.module(wat([[(module (start $begin) (table (export "t") 1 funcref)
      (elem (i32.const 0) $hidden)
      (func $begin (call $helper)) (func $helper) (func $hidden) (func $shown (export "shown")))]])))
    instance:invoke("shown")
    instance:table("t")[0]:invoke()
    assert.same({ { "begin", "start" }, { "helper", false }, { "shown", "export" }, { "hidden", "function" } }, seen)
  end)

  it("abort where the start function traps, and no instance is made", function()
    local session = guest.session()
    local kinds = {}
    session.on("*", { abort = function(call, err) kinds[#kinds + 1] = call.name .. " " .. err.kind end })
    local wat = require("spec.support.wat")
    local module = session.module(wat("(module (start $begin) (func $begin unreachable))"))
    assert.equal("trap", failure(session.instantiate, module).kind)
    assert.same({ "begin trap" }, kinds)
    assert.same({}, session.instances)
  end)
end)

describe("R22 frame lists and bench", function()
  local lunette = require("lunette")

  it("make a stack to test a listener with", function()
    local stack = lunette.stack({
      { name = "f", module = "app", offset = 16, params = { 1, 2 } },
      { name = "g", is_host = true },
    })
    assert.equal(2, #stack)
    assert.same({ 1, 2 }, { stack[1]:params() })
    assert.equal("#0  f(1, 2) (app) 0x10\n#1  g (host)", tostring(stack))
    local names = {}
    for i, frame in ipairs(stack) do names[i] = frame.definition.name end
    assert.same({ "f", "g" }, names)
    assert.equal(0, stack.omitted)
  end)

  it("call before and after n times, with the stack at its top each time", function()
    local seen = {}
    local time = lunette.bench(2, { { name = "f", params = { 1 }, results = { 2 } }, { name = "g" } }, {
      before = function(call, n) seen[#seen + 1] = { "before", call.name, n, call:stack()[1].definition.name, call.depth } end,
      after = function(_, n) seen[#seen + 1] = { "after", n } end,
    })
    assert.is_true(time > 0)
    local round = { { "before", "f", 1, "f", 1 }, { "after", 2 } }
    assert.same({ round[1], round[2], round[1], round[2] }, seen)
  end)

  it("give a listener what it asks of its call: params by name and as bits, its caller, its place, memory", function()
    local fake <close> = lunette.fake({ memory = { [8] = "text" } })
    local seen
    local definition = { name = "f", params = { "i32", "f32", "f64" }, param_names = { "size" } }
    lunette.bench(1, {
      { definition = definition, params = { -1, 1.5, 1.5 }, file = "f.c", line = 3, memory = fake.memory }, { name = "g" },
    }, function(call)
      seen = { call:param("size"), call:uparam("size"), call:bits(1), call:bits(2), call:bits(3), call.caller.definition.name,
        call:stack()[1].line, call.memory:cstring(8), call.data }
    end)
    assert.same({ -1, 0xffffffff, 0xffffffff, 0x3fc00000, 0x3ff8000000000000, "g", 3, "text" }, seen)
  end)

  it("take a plain function for a listener with before alone", function()
    local calls = 0
    lunette.bench(3, { { name = "f" } }, function() calls = calls + 1 end)
    assert.equal(3, calls)
  end)
end)
