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
        local h = { params = { "i32" }, results = { "i32" }, function(_, n) return n + 1 end }
        return { lunette.host("env", { h = h }) }
      end,
    })
    local events = guest.hear(app, "host:*", { params = true })
    local first = app.lunette.intercept("host:*", function(call, n) return call:proceed(n * 2) * 10 end)
    assert.equal(70, app.instance:invoke("g", 3))
    first:detach()
    local second = app.lunette.intercept("host:*", { params = function(_, n) return n + 5 end, results = function() end })
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
        for _, frame in ipairs(call:stack()) do
          names[#names + 1] = ("%s:%s"):format(frame.definition.name, frame.offset ~= nil)
        end
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
    local events, pairing = guest.hear(app, "*"), app.lunette.pairing()
    assert.equal(-1, app.instance:invoke("g", 4))
    pairing:check()
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
    app.lunette.intercept("f", function(_, n) error(app.instance.exports.e:exception(n * 10)) end)
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

describe("R11 an interceptor that fails", function()
  local app, events

  before_each(function()
    app = open(double)
    events = guest.hear(app, "f")
  end)

  local function fails(interceptor, expected, text, options)
    local attachment = app.lunette.intercept("f", interceptor, options)
    local before = #app.messages
    assert.equal(expected, app.instance:invoke("f", 4))
    assert.is_truthy(app.messages[before + 1]:find(text, 1, true), app.messages[before + 1])
    assert.equal(expected, app.instance:invoke("f", 4)) -- muted from now on
    assert.equal(before + 1, #app.messages)
    assert.same({ 1, 1, 1 }, { attachment.errors, attachment.muted, attachment.calls })
    attachment:detach()
  end

  it("has not spoken: the call goes on without it, and it is asked no more", function()
    fails(function() error("oh no") end, 8, "oh no")
    fails({ params = function() error("oh no") end }, 8, "oh no")
    fails({ results = function() error("oh no") end }, 8, "oh no")
    assert.same({ "before f 4", "after f 8" }, { events[1], events[2] })
  end)

  it("leaves what came of proceeding", function()
    fails(function(call) call:proceed(4) error("late") end, 8, "late")
    local broken = open("(module (func (export \"f\") unreachable))")
    local heard = guest.hear(broken, "f")
    broken.lunette.intercept("f", function(call) pcall(call.proceed, call) error("late") end)
    local err = failure(broken.instance.invoke, broken.instance, "f")
    assert.same({ "trap", "unreachable" }, { err.kind, err.code })
    assert.is_truthy(#err.stack == 1)
    assert.same({ "before f", "abort f trap" }, heard)
  end)

  it("is told when its values do not fit, by count and by type", function()
    fails(function() end, 8, "it gave 0 results, the type has 1")
    fails(function() return 1, 2 end, 8, "it gave 2 results, the type has 1")
    fails(function() return "x" end, 8, "result 1 must be i32, not a string")
    fails(function() return 1 << 40 end, 8, "result 1 must be i32, not an integer out of range")
    fails({ params = function() return 1, 2 end }, 8, "it gave 2 params, the type has 1")
    fails({ params = function() return {} end }, 8, "param 1 must be i32, not table")
    fails({ results = function() return 0.5 end }, 8, "result 1 must be i32, not a fraction")
    fails(function(call) return call:proceed("x") end, 8, "f: value 1 must be i32, not a string")
    fails(function(call) return call:proceed(1, 2) end, 8, "f takes 1 values, got 2")
  end)

  it("can let a call proceed once, and only while it is at work", function()
    fails(function(call, n) call:proceed(n) return call:proceed(n) end, 8, "a call of f has proceeded already")
    fails({ params = function(call, n) return call:proceed(n) end }, 8,
      "only the interceptor that stands in place of a call can let it proceed")
    local kept, text
    app.lunette.intercept("f", function(call, n) kept = call return call:proceed(n) end)
    app.instance:invoke("f", 1)
    assert.is_truthy(failure(kept.proceed, kept):find("stale call", 1, true))
    app.lunette.on("f", function(call) text = failure(call.proceed, call).message end)
    app.instance:invoke("f", 1)
    assert.equal("only the interceptor that stands in place of a call can let it proceed", text)
  end)

  it("ends the run under on_error stop, and is told to a function", function()
    local attachment = app.lunette.intercept("f", function() error("enough") end, { on_error = "stop" })
    assert.equal("listener", failure(app.instance.invoke, app.instance, "f", 1).kind)
    attachment:detach()
    attachment = app.lunette.intercept("f", { results = function() error("enough") end }, { on_error = "stop" })
    assert.equal("listener", failure(app.instance.invoke, app.instance, "f", 1).kind)
    attachment:detach()
    local told
    app.lunette.intercept("f", function() error("a word") end, { on_error = function(text) told = text end })
    assert.equal(2, app.instance:invoke("f", 1))
    assert.is_truthy(told:find("a word", 1, true))
    assert.same({ "before f 1", "after f 2" }, { events[#events - 1], events[#events] })
  end)

  it("is refused where calls may not be changed, and where it is none", function()
    local plain = guest.open(double)
    assert.equal("intercept: changing calls needs lunette.session{unsafe=true}",
      failure(plain.lunette.intercept, "f", function() end):match("intercept:.*"))
    for _, case in ipairs({ { { { before = print } }, "an interceptor has no 'before'" },
      { { { result = print } }, "an interceptor has no 'result'; did you mean 'results'?" },
      { { {} }, "an interceptor needs params or results" }, { { 7 }, "an interceptor (a function, or a table" },
      { { print, { time = true } }, "time" }, { { { params = 1 } }, "params must be a function, got number" } }) do
      local text = failure(app.lunette.intercept, "f", table.unpack(case[1]))
      assert.is_truthy(tostring(text):find(case[2], 1, true), tostring(text))
    end
    local text = failure(app.lunette.intercept, { name = "f", min_time = "1ms" }, print)
    assert.is_truthy(tostring(text):find("who intercepts a call is known before it", 1, true), tostring(text))
    assert.equal(0, #app.messages)
  end)
end)

describe("R11 values of intercepted calls", function()
  it("are checked where they are references: a function of another type is refused", function()
    local app = open([[(module (type $t (func (result i32))) (type $u (func (param i64)))
      (func $one (export "one") (result i32) (i32.const 1)) (func $two (export "two") (result i32) (i32.const 2))
      (func $other (export "other") (param i64))
      (table 1 funcref) (table funcref (elem $one $two $other))
      (func $pick (export "pick") (param funcref) (result funcref) (local.get 0))
      (func (export "run") (result i32)
        (table.set 0 (i32.const 0) (call $pick (table.get 1 (i32.const 0)))) (call_indirect (type $t) (i32.const 0))))]])
    local exports = app.instance.exports
    assert.equal(1, app.instance:invoke("run"))
    local attachment = app.lunette.intercept("pick", { params = function() return exports.two end })
    assert.equal(2, app.instance:invoke("run"))
    attachment:detach()
    attachment = app.lunette.intercept("pick", function() return exports.other end)
    assert.equal("indirect call type mismatch", failure(app.instance.invoke, app.instance, "run").code)
    attachment:detach()
    local elsewhere = open(double)
    app.lunette.intercept("pick", function() return elsewhere.instance.exports.f end)
    assert.equal(1, app.instance:invoke("run"))
    assert.is_truthy(app.messages[1]:find("result 1 must be funcref, not a function of another session", 1, true))
  end)

  it("may be vectors, floats, several and host values", function()
    local app = open([[(module
      (func (export "f") (param v128 f32 externref i64) (result i64 externref f32 v128)
        (local.get 3) (local.get 2) (local.get 1) (local.get 0)))]])
    local thing, other = {}, {}
    local bytes, zeros = ("\1"):rep(16), ("\0"):rep(16)
    local values = table.pack(app.instance:invoke("f", bytes, 1.5, thing, 7))
    assert.same({ 7, thing, 1.5, bytes }, { values[1], values[2], values[3], values[4] })
    app.lunette.intercept("f", { params = function(_, v, x, e, n)
      assert(v == bytes and e == thing)
      return zeros, x + 1, other, n - 8
    end, results = function(_, n, e, x, v)
      assert(v == zeros and e == other and n == -1)
      return n - 1, nil, x * 2, bytes
    end })
    values = table.pack(app.instance:invoke("f", bytes, 1.5, thing, 7))
    assert.equal(0, #app.messages, app.messages[1])
    assert.same({ -2, 5.0, bytes }, { values[1], values[3], values[4] })
    assert.is_nil(values[2])
  end)
end)

describe("R11 and the rest of the contract:", function()
  it("R10 R24 that hands on what it got changes no bit of it, NaNs included", function()
    local app = open([[(module
      (import "env" "same" (func $same (param f32 f64) (result f32 f64)))
      (func $f (export "f") (param f32) (result f32) (local.get 0))
      (func $d (export "d") (param f64) (result f64) (local.get 0))
      (func (export "f_bits") (param i32) (result i32) (i32.reinterpret_f32 (call $f (f32.reinterpret_i32 (local.get 0)))))
      (func (export "d_bits") (param i64) (result i64) (i64.reinterpret_f64 (call $d (f64.reinterpret_i64 (local.get 0)))))
      (func (export "host_bits") (param i32 i64) (result i32 i64)
        (local $d f64)
        (call $same (f32.reinterpret_i32 (local.get 0)) (f64.reinterpret_i64 (local.get 1)))
        (local.set $d)
        (i32.reinterpret_f32)
        (i64.reinterpret_f64 (local.get $d))))]], { imports = function(lunette)
      return { lunette.host("env", { same = { params = { "f32", "f64" }, results = { "f32", "f64" },
        function(_, a, b) return a, b end } }) }
    end })
    local intercepted = {}
    app.lunette.intercept({ "f", "d" }, { params = function(_, n) return n end, results = function(_, n) return n end })
    app.lunette.intercept({ "f", "d" }, function(call, n) return call:proceed(n) end)
    app.lunette.on({ "f", "d" }, { after = function(call) intercepted[call.intercepted] = true end })
    for _, bits in ipairs({ 0x7f800001, -1, 0x7fc00000, 0x7fa12345, -0x400000, -0x7fffff, 0x7fffffff, 1, 0x3fc00000,
      0x7f800000 }) do
      assert.equal(bits, app.instance:invoke("f_bits", bits))
      assert.equal(bits, (app.instance:invoke("host_bits", bits, 0)))
    end
    for _, bits in ipairs({ 0x7ff0000000000001, -1, 0x7ff8000000000000, 0x7ff4000000000000, -0xfffffffffffff, 1 }) do
      assert.equal(bits, app.instance:invoke("d_bits", bits))
      assert.equal(bits, select(2, app.instance:invoke("host_bits", 0, bits)))
    end
    assert.same({ unchanged = true }, intercepted)
  end)

  it("R12 the stack has each frame once, and no stale values", function()
    local app = open([[(module (func $leaf (export "leaf") (param i32) (result i32) (local.get 0))
      (func $f (export "f") (param i32) (result i32) (call $leaf (i32.add (local.get 0) (i32.const 1))))
      (func (export "g") (param i32) (result i32) (call $f (local.get 0))))]])
    local stacks = {}
    local function note(call)
      local names = {}
      for _, frame in ipairs(call:stack()) do
        names[#names + 1] = frame.definition.name .. ":" .. tostring(frame.reentry) .. ":" .. tostring(frame.exact)
      end
      stacks[#stacks + 1] = call.depth .. " " .. table.concat(names, " ")
    end
    app.lunette.on("leaf", note)
    app.lunette.on("f", { before = note, after = note }, { params = true })
    app.lunette.intercept("f", function(call, n)
      note(call)
      local result = call:proceed(n + 1)
      note(call)
      assert(not pcall(function() return call:stack()[1]:params() end))
      assert(call:param(1) == n)
      return result
    end)
    assert.equal(6, app.instance:invoke("g", 4))
    assert.same({ "1 f:false:true g:true:true", "1 f:false:true g:true:true",
      "2 leaf:false:true f:false:true g:true:true", "1 f:false:nil g:true:true", "1 f:false:true g:true:true" }, stacks)
    assert.equal(0, #app.messages, app.messages[1])
  end)

  it("R2 calls inside have it as their parent; R19 an intercepted entry is one", function()
    local app = open(double)
    local told = {}
    app.lunette.on("*", function(call)
      told[#told + 1] = ("%s %s %s"):format(call.name, call.entry, call.parent_id and "inside" or "outside")
    end)
    app.lunette.intercept("g", function(call, n) return call:proceed(n) end)
    app.lunette.intercept("f", { results = function() end })
    app.instance:invoke("g", 1)
    app.instance:invoke("f", 1)
    assert.same({ "g export outside", "f nil inside", "f export outside" }, told)
  end)

  it("R2 knows the call by the id that its listeners have, and the call around it", function()
    local app = open(double)
    local told, ids = {}, {}
    app.lunette.on("*", { before = function(call) ids[#ids + 1] = call.id end })
    local function note(call) told[#told + 1] = { call.name, call.id, call.parent_id, call.depth, call:keep().id } end
    app.lunette.intercept("*", function(call, n)
      note(call)
      local result = call:proceed(n)
      note(call)
      return result
    end)
    app.lunette.intercept("f", { params = note, results = note })
    app.instance:invoke("g", 1)
    local g, f = table.unpack(ids)
    assert.is_true(g < f)
    assert.same({
      { "g", g, nil, 0, g }, { "f", f, g, 1, f }, { "f", f, nil, 1, f }, { "f", f, nil, 1, f }, { "f", f, g, 1, f },
      { "g", g, nil, 0, g },
    }, told)
  end)

  it("R2 ids increase, also where it calls the guest before the call goes on", function()
    local app = open(double)
    local pairing, before, after = app.lunette.pairing(), nil, nil
    local ids = {}
    app.lunette.on("*", function(call) ids[#ids + 1] = call.id end)
    app.lunette.intercept("g", function(call, n)
      before = call.id
      app.instance:invoke("f", 1)
      local result = call:proceed(n)
      after = call.id
      return result
    end)
    assert.equal(3, app.instance:invoke("g", 1))
    pairing:check()
    assert.equal(3, #ids)
    assert.is_true(before < ids[1] and ids[1] < ids[2] and ids[2] < ids[3])
    assert.equal(ids[2], after)
  end)

  it("R2 has an id where nobody else listens, and other calls other ones", function()
    local app = open(double)
    local ids, parents = {}, {}
    app.lunette.intercept("*", function(call, n)
      ids[#ids + 1], parents[#parents + 1] = call.id, call.parent_id or false
      return call:proceed(n)
    end)
    app.instance:invoke("g", 1)
    app.instance:invoke("f", 1)
    assert.is_true(ids[1] < ids[2] and ids[2] < ids[3])
    assert.same({ false, ids[1], false }, parents)
  end)

  it("R12 R15 R18 knows what any callback knows: definition, caller, stack, whose place it takes", function()
    local app = open([[(module
      (func $leaf (param $n i32) (result i32) (local.get $n))
      (func $ends (param $n i32) (result i32) (return_call $leaf (local.get $n)))
      (func (export "top") (result i32) (call $ends (i32.const 4))))]])
    local told, ends = {}, nil
    app.lunette.on("ends", function(call) ends = call.id end)
    app.lunette.intercept("leaf", function(call, n)
      local frames = {}
      for i, frame in ipairs(call:stack()) do frames[i] = frame.definition.name end
      told = { call.name, call.definition.param_names[1], call.caller.definition.name, call.tail_of, call.entry or "none",
        table.concat(frames, " "), call.instance == app.instance, call.is_host, call:stack_id() ~= nil, #call:snapshot() }
      return call:proceed(n + 1)
    end)
    assert.equal(5, app.instance:invoke("top"))
    assert.same({ "leaf", "n", "top", ends, "none", "leaf top", true, false, true, 2 }, told)
  end)

  it("R17 does not intercept what it calls itself, but what its callee calls", function()
    local app = open([[(module (func $fib (export "fib") (param i32) (result i32)
      (if (result i32) (i32.lt_s (local.get 0) (i32.const 2)) (then (local.get 0)) (else
        (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1))) (call $fib (i32.sub (local.get 0) (i32.const 2))))))))]])
    local asked = 0
    local attachment = app.lunette.intercept("fib", function(call, n)
      asked = asked + 1
      return call:proceed(n)
    end)
    assert.equal(55, app.instance:invoke("fib", 10))
    assert.equal(177, asked)
    attachment:detach()
    asked = 0
    local events = guest.hear(app, "fib")
    app.lunette.intercept("fib", function(_, n)
      asked = asked + 1
      return app.instance:invoke("fib", n) + 1
    end)
    assert.equal(2, app.instance:invoke("fib", 2))
    assert.equal(1, asked)
    assert.same({ "before fib 2", "before fib 1", "after fib 1", "before fib 0", "after fib 0", "after fib 1",
      "before fib 2", "after fib 2" }, events)
  end)

  it("R18 an intercepted call stays open over its tail calls; others are as ever", function()
    local app = open([[(module (func $count (export "count") (param i32 i32) (result i32)
      (if (result i32) (i32.eqz (local.get 0)) (then (local.get 1)) (else
        (return_call $count (i32.sub (local.get 0) (i32.const 1)) (i32.add (local.get 1) (i32.const 1))))))
      (func $f (export "f") (param i32) (result i32) (return_call $count (local.get 0) (i32.const 0)))
      (func (export "g") (param i32) (result i32) (i32.add (call $f (local.get 0)) (i32.const 1))))]])
    for _, interceptor in ipairs({ { results = function(_, n) return n * 2 end },
      function(call, n) return call:proceed(n) * 2 end }) do
      local attachment = app.lunette.intercept("f", interceptor)
      assert.equal(2000001, app.instance:invoke("g", 1000000))
      local events, heard = guest.hear(app, "*")
      assert.equal(5, app.instance:invoke("g", 2))
      assert.same({ "before g 2", "before f 2", "before count 2 0", "after count", "before count 1 1", "after count",
        "before count 0 2", "after count 2", "after f 4", "after g 5" }, events)
      heard:detach()
      attachment:detach()
    end
    local attachment = app.lunette.intercept("count", { params = function(_, n, sum) return n, sum end })
    assert.equal(1000001, app.instance:invoke("g", 1000000))
    attachment:pause()
    local pairing = app.lunette.pairing()
    assert.equal(1000001, app.instance:invoke("g", 1000000))
    pairing:check()
  end)

  it("R15 across instances, by reference and by tail call", function()
    local app = open([[(module (memory (export "m") 1) (data (i32.const 0) "\2a")
      (func (export "f") (param i32) (result i32) (i32.add (i32.load8_u (i32.const 0)) (local.get 0))))]])
    local module = app.lunette.module(require("spec.support.wat")([[(module
      (import "a" "f" (func $f (param i32) (result i32))) (memory 1) (data (i32.const 0) "\07")
      (table funcref (elem $f))
      (func $tail (export "tail") (param i32) (result i32) (return_call $f (local.get 0)))
      (func (export "g") (param i32) (result i32) (i32.add (call $f (local.get 0)) (i32.load8_u (i32.const 0))))
      (func (export "i") (param i32) (result i32)
        (i32.add (call_indirect (param i32) (result i32) (local.get 0) (i32.const 0)) (i32.load8_u (i32.const 0))))
      (func (export "t") (param i32) (result i32) (i32.add (call $tail (local.get 0)) (i32.load8_u (i32.const 0)))))]]))
    local other = app.lunette.instantiate(module, { imports = { a = app.instance } })
    local function all()
      return { other:invoke("g", 0), other:invoke("i", 0), other:invoke("t", 0) }
    end
    for _, where in ipairs({ "f", "tail", "*" }) do
      for _, interceptor in ipairs({ { params = function(_, n) return n end, results = function(_, n) return n end },
        function(call, n) return call:proceed(n) end }) do
        local attachment = app.lunette.intercept(where, interceptor)
        assert.same({ 49, 49, 49 }, all())
        local pairing = app.lunette.pairing()
        assert.same({ 49, 49, 49 }, all())
        pairing:check()
        pairing:detach()
        attachment:detach()
      end
    end
    app.lunette.intercept("f", function() return 1 end)
    assert.same({ 8, 8, 8 }, all())
  end)

  it("R7 goes at once for new calls; open ones are still asked about, unless dropped", function()
    local app = open([[(module (import "env" "h" (func $h)) (func (export "f") (result i32) (call $h) (i32.const 1)))]], {
      imports = function(lunette) return { lunette.host("env", { h = { function() _G.during() end } }) } end,
    })
    for _, case in ipairs({ { nil, 11 }, { { drop = true }, 1 } }) do
      local attachment
      function _G.during() attachment:detach(case[1]) end
      attachment = app.lunette.intercept("f", { results = function(_, n) return n + 10 end })
      assert.equal(case[2], app.instance:invoke("f"))
      assert.equal(1, app.instance:invoke("f"))
      attachment = app.lunette.intercept("f", function(call) return call:proceed() + 20 end)
      assert.equal(21, app.instance:invoke("f"))
      assert.equal(1, app.instance:invoke("f"))
    end
    local late
    function _G.during() late = late or app.lunette.intercept("f", { results = function() return 5 end }) end
    assert.equal(1, app.instance:invoke("f"))
    assert.equal(5, app.instance:invoke("f"))
    late:pause()
    assert.equal(1, app.instance:invoke("f"))
    late:resume()
    assert.equal(5, app.instance:invoke("f"))
    late:detach()
    local own
    own = app.lunette.intercept("f", function() own:detach({ drop = true }) return 7 end)
    assert.equal(7, app.instance:invoke("f"))
    assert.equal(1, app.instance:invoke("f"))
    _G.during = nil
  end)

  it("R8 asks about instances made later; a where may ask of each call", function()
    local app = open(double)
    app.lunette.intercept({ name = "f", caller = "g" }, function(_, n) return n end)
    assert.same({ 10, 6 }, { app.instance:invoke("f", 5), app.instance:invoke("g", 5) })
    local later = app.lunette.instantiate(app.module)
    assert.same({ 10, 6 }, { later:invoke("f", 5), later:invoke("g", 5) })
  end)

  it("R21 the time that interceptors take is not the call's", function()
    local app = open(double)
    local elapsed
    app.lunette.on("f", { after = function(call) elapsed = call.elapsed end }, { time = true })
    app.lunette.intercept("f", function(call, n)
      local result, start = call:proceed(n), os.clock()
      while os.clock() - start < 0.05 do end
      return result
    end)
    app.instance:invoke("f", 1)
    assert.is_true(elapsed < 50e6, elapsed)
  end)

  it("R21 nor is what they call on their own", function()
    local app = open(double)
    local seen = {}
    app.lunette.on("*", {
      after = function(call) seen[#seen + 1] = { call.name, call.elapsed, call.self_time } end,
    }, { time = true })
    app.lunette.intercept("f", function(call, n)
      local result = call:proceed(n)
      for _ = 1, 1000 do app.instance:invoke("f", n) end
      return result
    end)
    app.instance:invoke("g", 1)
    assert.same({ "f", "g" }, { seen[1001][1], seen[1002][1] })
    for i = 1, #seen do assert.is_true(seen[i][3] >= 0 and seen[i][3] <= seen[i][2], i) end
  end)

  it("pairing holds in 20,000 frames, and a recursion that proceeds ends at the limit of runs", function()
    local app = open([[(module (func $down (export "down") (param i32) (result i32)
      (if (result i32) (local.get 0) (then (i32.add (call $down (i32.sub (local.get 0) (i32.const 1))) (i32.const 1)))
        (else (i32.const 0)))))]])
    local pairing = app.lunette.pairing({ walk = 1000 })
    local attachment = app.lunette.intercept("down", { params = function() end, results = function() end })
    assert.equal(20000, app.instance:invoke("down", 20000))
    attachment:detach()
    app.lunette.intercept("down", function(call, n) return call:proceed(n) end)
    assert.equal(150, app.instance:invoke("down", 150))
    assert.equal("exhausted", failure(app.instance.invoke, app.instance, "down", 1000).kind)
    pairing:check()
  end)

  it("R13 leaves no trace in a function once it is detached", function()
    local app = open(double)
    local attachment = app.lunette.intercept("f", function() return 1 end)
    attachment:detach()
    assert.is_true(attachment.detached)
    assert.equal(8, app.instance:invoke("f", 4))
  end)
end)

describe("R11 the command", function()
  local command, files = require("spec.support.command"), require("spec.support.files")
  local app = [[(module (func $h) (func $f (export "f") (result i32) (call $h) (i32.const 1))
    (func (export "_start") (drop (call $f)) (drop (call $f)) (drop (call $f))))]]

  local function run(...)
    local folder <close> = files.temporary()
    files.write(folder .. "/app.wasm", require("spec.support.wat")(app))
    local args = { "run", ... }
    args[#args + 1] = folder .. "/app.wasm"
    return command.run(command.lunette, args)
  end

  it("refuses to change calls without --unsafe: status 101", function()
    local result = run("-e", "lunette.intercept('f', print)")
    assert.same({ 101, "lunette: -e:1: intercept: changing calls needs --unsafe\n" }, { result.status, result.stderr })
  end)

  it("R7 unloads a script with such calls open; calltree marks them", function()
    local folder <close> = files.temporary()
    files.write(folder .. "/app.wasm", require("spec.support.wat")(app))
    files.write(folder .. "/more.lua", 'lunette.intercept("f", { results = function(_, n) return n + 100 end })')
    local code = ([[lunette.load("%s/more.lua") local n = 0
      lunette.on("#0", function() n = n + 1 if n == 2 then lunette.unload("%s/more.lua") end end)]]):format(folder, folder)
    local result = command.run(command.lunette,
      { "run", "--unsafe", "-e", code, "-s", "calltree", "-w", "f", folder .. "/app.wasm" })
    assert.same({ 0, "f() = 101 [intercepted: results]\nf() = 1 [intercepted]\nf() = 1\n" }, { result.status, result.stderr })
  end)
end)

describe("tail calls whose params alone are intercepted", function()
  it("R18 run in constant memory, listened to or not, and listeners know", function()
    local app = guest.open([[(module
      (func $loop (export "loop") (param i32) (result i32)
        (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 7))
          (else (return_call $loop (i32.sub (local.get 0) (i32.const 1)))))))]], { session = { unsafe = true } })
    app.lunette.intercept("loop", { params = function() end })
    assert.equal(7, app.instance:invoke("loop", 300000))
    local seen, ends = {}, {}
    local attachment = app.lunette.on("loop", {
      before = function(call) seen[call.intercepted or "not"] = true end,
      after = function(call) ends[call.intercepted or "not"] = true end,
    })
    assert.equal(7, app.instance:invoke("loop", 1000000))
    assert.same({ { unchanged = true }, { unchanged = true } }, { seen, ends })
    attachment:detach()
    local count = app.lunette.count{ quiet = true }
    app.lunette.on("loop", count)
    assert.equal(7, app.instance:invoke("loop", 1000000))
    assert.equal(1000001, count:table()[1].calls)
  end)
end)

describe("an intercepted call whose exception is caught further out", function()
  it("R11 gives back what it was counted for, each time", function()
    local app = guest.open([[(module
      (tag $t)
      (func $bad (export "bad") (throw $t))
      (func $leaf (export "leaf"))
      (func (export "loops") (param $n i32)
        (loop $again
          (try (do (call $bad)) (catch $t))
          (call $leaf)
          (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))]],
      { session = { unsafe = true, limits = { max_depth = 3 } } })
    app.lunette.intercept("bad", function(call) return call:proceed() end)
    app.instance:invoke("loops", 20)
    app.lunette.intercept("bad", function() error("no callee was entered") end)
    app.instance:invoke("loops", 20)
  end)
end)

describe("calls intercepted in C", function()
  it("are changed, answered, let proceed and heard by the door alone; so are changes that are watched for", function()
    local c, files = require("spec.support.c"), require("spec.support.files")
    local folder <close> = files.temporary()
    files.write(folder .. "/guest.wasm", require("spec.support.wat")(files.read("spec/c/intercepts.wat")))
    assert.matches("^%d+ checks, 0 failed\n$", c("intercepts", folder .. "/guest.wasm"))
  end)
end)
