-- SPDX-License-Identifier: MIT
-- Several memories in one module (3.0): which one is meant, growth, vectors, and dead code behind it.

local lunette = require("lunette")
local wat = require("spec.support.wat")

describe("several memories", function()
  local session
  before_each(function() session = lunette.session({}) end)
  after_each(function() session:close() end)

  it("are told apart, in loads, stores and growth", function()
    local instance = session.instantiate(session.module(wat([[
      (module
        (memory $a (export "a") 1) (memory $b (export "b") 1 3)
        (func (export "put") (param i32 i32) (i32.store $b offset=4 (local.get 0) (local.get 1)))
        (func (export "both") (param i32) (result i32 i32)
          (i32.load $a offset=4 (local.get 0)) (i32.load $b offset=4 (local.get 0)))
        (func (export "grow") (param i32) (result i32 i32 i32)
          (memory.grow $b (local.get 0)) (memory.size $a) (memory.size $b))
        (func (export "copy") (memory.copy $a $b (i32.const 100) (i32.const 8) (i32.const 4)))
        (func (export "lane") (param i32) (result i32)
          (i32x4.extract_lane 1 (v128.load32_lane $b offset=4 1 (local.get 0) (v128.const i32x4 0 0 0 0)))))]])))
    instance:invoke("put", 4, 77)
    assert.same({ 0, 77 }, { instance:invoke("both", 4) })
    assert.equal(77, instance:invoke("lane", 4))
    instance:invoke("copy")
    assert.equal(77, instance.exports.a:u32(100))
    assert.same({ 1, 1, 3 }, { instance:invoke("grow", 2) })
    assert.same({ -1, 1, 3 }, { instance:invoke("grow", 1) })
    local ok, err = pcall(instance.invoke, instance, "put", 3 * 65536 - 7, 1)
    assert.same({ false, "out of bounds memory access" }, { ok, err.message })
  end)
end)
