-- SPDX-License-Identifier: MIT
-- Calls that are changed on purpose (R11), where they meet the other rules.

local guest = require("spec.support.guest")

local failure = guest.failure

after_each(guest.close_all)

local open = guest.open_unsafe

local double = [[(module (func $f (export "f") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2)))
  (func (export "g") (param i32) (result i32) (i32.add (call $f (local.get 0)) (i32.const 1))))]]

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
