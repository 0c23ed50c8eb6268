-- SPDX-License-Identifier: MIT
-- How a script of one's own is tested, here sort.lua, with busted and with no WebAssembly program at all:
--
--   busted examples/sort_spec.lua
--
-- The fake has the functions that the script listens to; the test calls them as a program would.

local kit = require("lunette.busted")

local script = debug.getinfo(1, "S").source:match("^@(.*)_spec%.lua$") .. ".lua"

describe("sort.lua", function()
  local fake

  before_each(function()
    fake = kit.fake({
      functions = {
        { name = "compare", params = { "i32", "i32" }, results = { "i32" } },
        { name = "swap", params = { "i32", "i32", "i32" } },
        { name = "sort_range", params = { "i32", "i32", "i32" } },
      },
      frames = { "main", "_start" },
    })
    fake:load(script)
  end)

  it("counts comparisons and swaps, and how deep the recursion goes", function()
    fake:call({ "sort_range", 1024, 0, 3, calls = {
      { "compare", 5, 2, returns = 1 },
      { "swap", 1024, 0, 1 },
      { "sort_range", 1024, 2, 3, calls = { { "compare", 8, 1, returns = 1 } } },
    } })
    fake:finish()
    assert.well(fake)
    assert.printed("2 comparisons, 1 swaps\n2 calls of sort_range deep, first for 2..3\n", fake)
  end)

  it("comes back to the surface when the guest traps", function()
    local err = fake:call({ "sort_range", 1024, 0, 1, calls = { { "sort_range", 1024, 1, 1, traps = true } } })
    assert.equal("trap", err.kind)
    fake:call("sort_range", 1024, 7, 9)
    fake:finish()
    assert.printed_line("2 calls of sort_range deep, first for 1..1", fake)
  end)
end)
