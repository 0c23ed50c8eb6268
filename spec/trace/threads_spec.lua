-- SPDX-License-Identifier: MIT
-- R23 Stores are independent: several threads with a store each, also under the thread sanitizer.

local c = require("spec.support.c")
local files = require("spec.support.files")
local wat = require("spec.support.wat")

local guest = [[(module
  (func $fib (export "fib") (param $n i32) (result i32)
    (if (result i32) (i32.lt_u (local.get $n) (i32.const 2))
      (then (local.get $n))
      (else (i32.add (call $fib (i32.sub (local.get $n) (i32.const 1))) (call $fib (i32.sub (local.get $n) (i32.const 2)))))))
  (func (export "spin") (loop $again (br $again))))]]

describe("R23 stores in several threads", function()
  it("run guests and listeners at the same time, and are interrupted one by one", function()
    local folder <close> = files.temporary()
    files.write(folder .. "/guest.wasm", wat(guest))
    assert.equal(("well\n"):rep(4), c("threads", folder .. "/guest.wasm"))
  end)
end)
