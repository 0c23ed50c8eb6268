-- SPDX-License-Identifier: MIT
-- Tail calls as a script sees them (R18).

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
