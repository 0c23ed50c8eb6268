-- SPDX-License-Identifier: MIT
-- Builds that check that listeners only read what they are given (LUNETTE_CHECK_PARAMS; core/trace/readonly.c): one that
-- writes, in C, ends the program with one clear message. spec/c/writes.c has a listener for each case.

local c = require("spec.support.c")
local command = require("spec.support.command")
local files = require("spec.support.files")
local wat = require("spec.support.wat")

local guest = [[(module
  (import "env" "double" (func $double (param i32) (result i32)))
  (memory 1 1000)
  (func $add (export "add") (param $one i32) (param $two i32) (result i32) (i32.add (local.get $one) (local.get $two)))
  (func $vector (export "vector") (param $first i32) (param v128) (param $last i64) (result i64 v128)
    (local.get $last) (local.get 1))
  (func $trap (export "trap") (param $n i32) (i32.store (i32.sub (i32.const 0) (local.get $n)) (local.get $n)))
  (func $tail (export "tail") (param $n i32) (result i32)
    (return_call $add (local.get $n) (i32.const 1)))
  (func $all (export "all") (param $n i32) (result i32)
    (drop (memory.grow (i32.const 1)))
    (call $tail (call $double (local.get $n)))))]]

local checked = command.checks_params()

-- What stands between "lunette: " and ": listeners may only read what they are given".
local found = {
  ["before"] = "before of attachment (no name) has changed param 2 (two) of add from 0x4 to 0xfb",
  ["after"] = "after of attachment (no name) has changed result 1 of add from 0x7 to 0xf8",
  ["vector"] = "before of attachment vectors has changed param 3 (last) of vector from 0x6 to 0xf9",
  ["vector after"] = "after of attachment vectors has changed result 2 of vector from 0x4 to 0xfb",
  ["timed"] = "before of attachment (no name) has changed param 1 (one) of add from 0x3 to 0xfc",
  ["timed after"] = "after of attachment (no name) has changed result 1 of add from 0x7 to 0xf8",
  ["second"] = "before of attachment second has changed param 1 (one) of add from 0x3 to 0xfc",
  ["second after"] = "after of attachment second has changed result 1 of add from 0x3 to 0xfc",
  ["kept"] = "after of attachment (no name) has changed param 2 (two) of add from 0x4 to 0xfb",
  ["kept abort"] = "abort of attachment (no name) has changed param 1 (n) of trap from 0x3 to 0xfc",
  ["kept tail"] = "after of attachment (no name) has changed param 1 (n) of tail from 0x3 to 0xfc",
  ["host"] = "after of attachment (no name) has changed result 1 of double from 0x6 to 0xf9",
  ["inner"] = "before of attachment (no name) has changed param 1 (one) of add from 0x1 to 0xfe",
}

local function write(case)
  local folder <close> = files.temporary()
  files.write(folder .. "/guest.wasm", wat(guest))
  return command.run(command.build .. "/spec/writes", { folder .. "/guest.wasm", case })
end

describe("R11 a listener that writes into what it is given", function()
  for case, message in pairs(checked and found or {}) do
    it("is found out: " .. case, function()
      local result = write(case)
      assert.equal(("lunette: %s: listeners may only read what they are given\n"):format(message), result.stderr)
      assert.same({ "", 6 }, { result.stdout, result.signal })
    end)
  end

  it("is looked for by builds that check it alone", function()
    assert.equal(checked and 6 or 0, write("before").signal)
  end)

  it("is none that calls the guest, grows its memory or detaches meanwhile, nor one that intercepts", function()
    local folder <close> = files.temporary()
    files.write(folder .. "/guest.wasm", wat(guest))
    assert.equal("34\n", c("writes", folder .. "/guest.wasm"))
  end)
end)
