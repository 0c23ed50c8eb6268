-- SPDX-License-Identifier: MIT
-- Tail calls as a script sees them (R18).

local guests = require("spec.support.guest")
local lunette = require("lunette")
local wat = require("spec.support.wat")

local guest = [[
(module
  (func $even (export "even") (param $n i32) (result i32)
    (if (result i32) (local.get $n)
      (then (return_call $odd (i32.sub (local.get $n) (i32.const 1))))
      (else (i32.const 1))))
  (func $odd (param $n i32) (result i32)
    (if (result i32) (local.get $n)
      (then (return_call $even (i32.sub (local.get $n) (i32.const 1))))
      (else (i32.const 0)))))]]

describe("R18 a tail call", function()
  it("ends the caller's call with no results and names the callee, which knows whose place it took", function()
    local session <close> = lunette.session({})
    local instance = session.instantiate(session.module(wat(guest)))
    local list, ids = {}, {}
    session.on("*", {
      before = function(call, n)
        ids[call.id] = #list + 1
        list[#list + 1] = ("+%s(%d) in place of %s"):format(call.name, n, call.tail_of and ids[call.tail_of] or "none")
      end,
      after = function(call, ...)
        list[#list + 1] = ("-%s %d -> %s"):format(call.name, select("#", ...), call.tail and call.tail.name or (...))
      end,
    })
    assert.equal(1, instance:invoke("even", 2))
    assert.same({
      "+even(2) in place of none", "-even 0 -> odd", "+odd(1) in place of 1", "-odd 0 -> even", "+even(0) in place of 3",
      "-even 1 -> 1",
    }, list)
  end)

  it("takes constant memory, a million times over, traced", function()
    local session <close> = lunette.session({})
    local instance = session.instantiate(session.module(wat(guest)))
    local calls = 0
    session.on("*", function() calls = calls + 1 end)
    assert.equal(1, instance:invoke("even", 1000000))
    assert.equal(1000001, calls)
  end)
end)

after_each(guests.close_all)

describe("R18 R24 an after that calls the guest at the end of a call that ends in a tail call", function()
  it("leaves what the call passes on as it is", function()
    local app = guests.open([[(module
      (func $sum (param i32 i64 i32) (result i64)
        (i64.add (local.get 1) (i64.extend_i32_s (i32.add (local.get 0) (local.get 2)))))
      (func $f (export "f") (param i32) (result i64)
        (return_call $sum (i32.add (local.get 0) (i32.const 1)) (i64.const 100) (i32.const 10)))
      (func $busy (export "busy") (param i64) (result i64) (local i64 i64 i64 i64)
        (local.set 1 (i64.const -1)) (local.set 2 (i64.const -2)) (local.set 3 (i64.const -3)) (local.set 4 (i64.const -4))
        (i64.add (i64.add (local.get 0) (local.get 1)) (i64.add (local.get 2) (i64.add (local.get 3) (local.get 4))))))]])
    local given, tails = nil, 0
    app.lunette.on("f", {
      after = function(call)
        if call.tail then tails = tails + 1 end
        assert(app.instance:invoke("busy", 5) == -5)
      end,
    })
    app.lunette.on("sum", function(_, ...) given = { ... } end)
    assert.equal(113, app.instance:invoke("f", 2))
    assert.same({ { 3, 100, 10 }, 1 }, { given, tails })
  end)
end)
