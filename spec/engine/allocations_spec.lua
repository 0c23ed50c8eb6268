-- SPDX-License-Identifier: MIT
-- Memory runs out: spec/c/allocations.c makes every allocation fail in turn, on all ways from the store to the end.

local c = require("spec.support.c")
local files = require("spec.support.files")
local wat = require("spec.support.wat")

describe("an allocation that fails", function()
  it("ends what was asked for with an error, leaks nothing and leaves the store usable", function()
    local folder <close> = files.temporary()
    files.write(folder .. "/guest.wasm", wat(files.read("spec/c/allocations.wat")))
    assert.matches("^%d+ failing allocations, 0 failures\n$", c("allocations", folder .. "/guest.wasm"))
  end)
end)
