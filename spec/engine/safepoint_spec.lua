-- SPDX-License-Identifier: MIT
-- Safepoints: what other threads may say to a store while its guest runs (R5, R23).

local c = require("spec.support.c")
local files = require("spec.support.files")
local wat = require("spec.support.wat")

local guest = [[
(module (func $deep (export "deep") (param $n i32) (result i32)
  (if (result i32) (local.get $n)
    (then (i32.add (call $deep (i32.sub (local.get $n) (i32.const 1))) (i32.const 1)))
    (else (i32.const 0)))))]]

describe("a store that another thread pokes and interrupts all the time", function()
  it("ends every call, well or interrupted, and is usable afterwards", function()
    local folder <close> = files.temporary()
    files.write(folder .. "/guest.wasm", wat(guest))
    assert.equal("all ended: yes, heard: yes, usable: yes\n", c("pokes", folder .. "/guest.wasm"))
  end)
end)
