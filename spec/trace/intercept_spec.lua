-- SPDX-License-Identifier: MIT
-- Calls that are changed on purpose (R11), from Lua.

local guest = require("spec.support.guest")

local failure = guest.failure

after_each(guest.close_all)

-- An instance in a session where calls may be changed, and what listeners hear of it.
local function open(text, options)
  options = options or {}
  options.session = options.session or { unsafe = true }
  return guest.open(text, options)
end

local double = [[(module (func $f (export "f") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2)))
  (func (export "g") (param i32) (result i32) (i32.add (call $f (local.get 0)) (i32.const 1))))]]

describe("R11 an interceptor", function()
  it("replaces arguments; the callee and its listeners see those", function()
    local app = open(double)
    app.lunette.intercept("f", { params = function(_, n) return n + 10 end })
    local events = guest.hear(app, "*", { params = true })
    assert.equal(23, app.instance:invoke("g", 1))
    assert.same({ "before g 1", "before f 11", "after f 22", "after g 23" }, events)
  end)

  it("replaces results; the caller and the listeners' after see those", function()
    local app = open(double)
    app.lunette.intercept("f", { results = function(call, n) return n + call:param(1) end })
    local events = guest.hear(app, "*")
    assert.equal(16, app.instance:invoke("g", 5))
    assert.same({ "before g 5", "before f 5", "after f 15", "after g 16" }, events)
  end)

  it("answers in place of the callee, which does not run", function()
    local app = open([[(module (func $f (export "f") (param i32) (result i32) unreachable)
      (func (export "g") (param i32) (result i32) (i32.add (call $f (local.get 0)) (i32.const 1))))]])
    app.lunette.intercept("f", function(_, n) return n * 100 end)
    local events = guest.hear(app, "*")
    assert.equal(301, app.instance:invoke("g", 3))
    assert.equal(700, app.instance:invoke("f", 7))
    assert.same({ "before g 3", "before f 3", "after f 300", "after g 301", "before f 7", "after f 700" }, events)
  end)

  it("lets the call proceed with other arguments and uses its results", function()
    local app = open(double)
    local seen
    app.lunette.intercept("f", function(call, n)
      seen = call:proceed(n + 1)
      return -seen
    end)
    local events = guest.hear(app, "*")
    assert.equal(-11, app.instance:invoke("g", 5))
    assert.equal(12, seen)
    assert.same({ "before g 5", "before f 6", "after f -12", "after g -11" }, events)
  end)

  it("lets it proceed as it is when it gives no arguments", function()
    local app = open(double)
    app.lunette.intercept("f", function(call) return call:proceed() end)
    assert.equal(14, app.instance:invoke("f", 7))
  end)

  it("stands before host functions as well", function()
    local app = open([[(module (import "env" "h" (func $h (param i32) (result i32)))
      (func (export "g") (param i32) (result i32) (call $h (local.get 0))))]], {
      imports = function(lunette)
        return { lunette.host("env", { h = { params = { "i32" }, results = { "i32" }, function(_, n) return n + 1 end } }) }
      end,
    })
    local events = guest.hear(app, "host:*", { params = true })
    local first = app.lunette.intercept("host:*", function(call, n) return call:proceed(n * 2) * 10 end)
    assert.equal(70, app.instance:invoke("g", 3))
    first:detach()
    local second = app.lunette.intercept("host:*", { params = function(_, n) return n + 5 end, results = function(_, n) return n end })
    assert.equal(9, app.instance:invoke("g", 3))
    second:detach()
    app.lunette.intercept("host:*", function() return 0 end)
    assert.equal(0, app.instance:invoke("g", 3))
    assert.same({ "before h 6", "after h 70", "before h 8", "after h 9", "before h 3", "after h 0" }, events)
  end)

  it("may stand before another: the first attached is outermost", function()
    local app = open(double)
    local order = {}
    app.lunette.intercept("f", { params = function(_, n) order[#order + 1] = "a " .. n return n + 1 end,
      results = function(_, n) order[#order + 1] = "A " .. n return n + 1000 end })
    app.lunette.intercept("f", function(call, n)
      order[#order + 1] = "b " .. n
      local got = call:proceed(n + 10)
      order[#order + 1] = "B " .. got
      return got + 100
    end)
    app.lunette.intercept("f", { params = function(_, n) order[#order + 1] = "c " .. n return n end,
      results = function(_, n) order[#order + 1] = "C " .. n return n + 1 end })
    local events = guest.hear(app, "f")
    assert.equal(1129, app.instance:invoke("f", 3))
    assert.same({ "a 3", "b 4", "c 14", "C 28", "B 29", "A 129" }, order)
    assert.same({ "before f 14", "after f 1129" }, events)
  end)

  it("answers for the one behind it as well, which is not asked then", function()
    local app = open(double)
    local asked = 0
    app.lunette.intercept("f", function(_, n) return n end)
    app.lunette.intercept("f", function(call, n) asked = asked + 1 return call:proceed(n) end)
    assert.equal(9, app.instance:invoke("f", 9))
    assert.equal(0, asked)
  end)

  it("is told of in call.intercepted, and by calltree and strace", function()
    local app = open(double)
    local told = {}
    app.lunette.on("f", { before = function(call) told[#told + 1] = tostring(call.intercepted) end,
      after = function(call) told[#told + 1] = tostring(call.intercepted) end })
    app.instance:invoke("f", 1)
    local function with(interceptor)
      local attachment = app.lunette.intercept("f", interceptor)
      app.instance:invoke("f", 1)
      attachment:detach()
    end
    with({ params = function() return 2 end })
    with({ results = function() return 3 end })
    with(function(call) return call:proceed() end)
    with(function(call) return call:proceed(5) + 1 end)
    with(function() return 1 end)
    assert.same({ "nil", "nil", "params", "params", "unchanged", "results", "unchanged", "unchanged", "params",
      "params, results", "call", "call" }, told)
  end)

  it("passes on what the callee fails with: abort is told once, to all, with the stack of the failure", function()
    local app = open([[(module (func $deep (export "deep") (param i32) unreachable)
      (func $f (export "f") (param i32) (call $deep (local.get 0)))
      (func (export "g") (param i32) (call $f (local.get 0))))]])
    for _, interceptor in ipairs({ function(call, n) call:proceed(n) end, { params = function(_, n) return n end },
      { results = function() end } }) do
      local attachment = app.lunette.intercept("f", interceptor)
      local stacks = {}
      local events, heard = guest.hear(app, "*")
      local watch = app.lunette.on("f", { abort = function(call, err)
        local names = {}
        for _, frame in ipairs(err.stack) do names[#names + 1] = frame.definition.name end
        stacks[1] = table.concat(names, " ")
        names = {}
        for _, frame in ipairs(call:stack()) do names[#names + 1] = frame.definition.name .. ":" .. tostring(frame.offset ~= nil) end
        stacks[2] = table.concat(names, " ")
      end })
      local err = failure(app.instance.invoke, app.instance, "g", 1)
      assert.equal("trap", err.kind)
      assert.equal("unreachable", err.code)
      assert.same({ "deep f g", "f:true g:true" }, stacks)
      assert.same({ "before g 1", "before f 1", "before deep 1", "abort deep trap", "abort f trap", "abort g trap" }, events)
      attachment:detach() heard:detach() watch:detach()
    end
  end)

  it("may answer for a callee that has failed, which is then an after", function()
    local app = open([[(module (func $f (export "f") (param i32) (result i32) unreachable)
      (func (export "g") (param i32) (result i32) (call $f (local.get 0))))]])
    local kind, marked
    app.lunette.intercept("f", function(call, n)
      local good, err = pcall(call.proceed, call, n)
      kind = not good and err.kind
      return -1
    end)
    app.lunette.on("f", { after = function(call) marked = call.intercepted end })
    local events = guest.hear(app, "*")
    assert.equal(-1, app.instance:invoke("g", 4))
    assert.equal("trap", kind)
    assert.equal("results", marked)
    assert.same({ "before g 4", "before f 4", "after f -1", "after g -1" }, events)
  end)

  it("lets exceptions of the callee through, and may throw in its place", function()
    local app = open([[(module (tag $e (export "e") (param i32))
      (func $f (export "f") (param i32) (result i32) (throw $e (local.get 0)))
      (func (export "g") (param i32) (result i32)
        (try (result i32) (do (call $f (local.get 0))) (catch $e))))]])
    local events = guest.hear(app, "*")
    local first = app.lunette.intercept("f", function(call, n) return call:proceed(n + 1) end)
    assert.equal(6, app.instance:invoke("g", 5))
    first:detach()
    app.lunette.intercept("f", function(call, n) error(app.instance.exports.e:exception(n * 10)) end)
    assert.equal(50, app.instance:invoke("g", 5))
    assert.same({ "before g 5", "before f 6", "abort f exception", "after g 6",
      "before g 5", "before f 5", "abort f exception", "after g 50" }, events)
    assert.equal("exception", failure(app.instance.invoke, app.instance, "f", 1).kind)
  end)

  it("does not keep a run from ending: stop, exhaustion", function()
    local app = open([[(module (import "env" "h" (func $h)) (func $f (export "f") (param i32) (call $h))
      (func $r (export "r") (call $r)) (func (export "g") (param i32) (call $f (local.get 0)) (call $f (local.get 0))))]], {
      imports = function(lunette) return { lunette.host("env", { h = { function() lunette.stop(3) end } }) } end,
    })
    local events = guest.hear(app, "*")
    app.lunette.intercept("f", function(call, n) pcall(call.proceed, call, n) end)
    local err = failure(app.instance.invoke, app.instance, "g", 1)
    assert.same({ "exit", 3 }, { err.kind, err.code })
    assert.same({ "before g 1", "before f 1", "before h", "abort h exit", "abort f exit", "abort g exit" }, events)
    local pairing = app.lunette.pairing()
    app.lunette.intercept("r", function(call) call:proceed() end)
    assert.equal("exhausted", failure(app.instance.invoke, app.instance, "r").kind)
    pairing:check()
    assert.is_true(pairing.aborts > 100)
  end)
end)
