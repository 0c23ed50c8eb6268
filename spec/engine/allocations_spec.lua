-- SPDX-License-Identifier: MIT
-- Memory runs out: spec/c/allocations.c makes every allocation fail in turn, on all ways from the store to the end.

local c = require("spec.support.c")
local native = require("spec.support.native")
local files = require("spec.support.files")
local wat = require("spec.support.wat")

describe("an allocation that fails", function()
  it("ends what was asked for with an error, leaks nothing and leaves the store usable", function()
    local folder <close> = files.temporary()
    files.write(folder .. "/guest.wasm", wat(files.read("spec/c/allocations.wat")))
    assert.matches("^%d+ failing allocations, 0 failures\n$", c("allocations", folder .. "/guest.wasm"))
  end)

  it("while symbols are read costs an answer, which is there when asked again", function()
    if not native.find("clang-14") then return pending("clang-14 is not here") end
    local folder <close> = files.temporary()
    files.write(folder .. "/app.wasm", wat(files.read("spec/c/allocations.wat")))
    local text = "static inline int two(int a) { return a * a + 1; }\nint work(int a, int b) { return two(a) / two(b); }\n"
    local _, path = native.compile(folder.path, text, { language = "cpp", flags = { "-O2", "-gdwarf-4" } })
    assert.matches("^%d+ failing allocations, 0 failures\n$", c("allocations", folder .. "/app.wasm", path))
  end)
end)
