-- SPDX-License-Identifier: MIT
-- The listener contract from C: spec/c/rules.c calls the guest of rules.wat and compares what its listeners heard.

local c = require("spec.support.c")
local files = require("spec.support.files")
local wat = require("spec.support.wat")

describe("the listener contract in C (R1–R19, R24)", function()
  it("holds for every way out of a call, at any depth, with attachments coming and going", function()
    local folder <close> = files.temporary()
    files.write(folder .. "/rules.wasm", wat(files.read("spec/c/rules.wat")))
    assert.matches("^%d+ checks, 0 failed\n$", c("rules", folder .. "/rules.wasm"))
  end)
end)
