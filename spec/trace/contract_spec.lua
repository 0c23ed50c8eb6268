-- SPDX-License-Identifier: MIT
-- The listener contract from C: spec/c/rules.c and rules_listeners.c call the guest of rules.wat and compare what their
-- listeners heard.

local c = require("spec.support.c")
local files = require("spec.support.files")
local wat = require("spec.support.wat")

describe("the listener contract in C (R1–R19, R24)", function()
  local function hold(program)
    local folder <close> = files.temporary()
    files.write(folder .. "/rules.wasm", wat(files.read("spec/c/rules.wat")))
    assert.matches("^%d+ checks, 0 failed\n$", c(program, folder .. "/rules.wasm"))
  end

  it("holds for every way out of a call, at any depth", function() hold("rules") end)
  it("holds with attachments coming and going", function() hold("rules_listeners") end)
end)
