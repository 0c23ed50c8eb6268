-- SPDX-License-Identifier: MIT
-- How much work was that sort? Counts comparisons and swaps, and says how deep the recursion went and over which range.
--   lunette run -s examples/sort.lua sort.wasm 5 2 8 1

local comparisons, swaps = 0, 0
local depth, deepest, first_there, last_there = 0, 0, 0, 0

lunette.on("compare", function() comparisons = comparisons + 1 end)
lunette.on("swap", function() swaps = swaps + 1 end)

lunette.on("sort_range", {
  before = function(_, _, first, last)
    depth = depth + 1
    if depth > deepest then deepest, first_there, last_there = depth, first, last end
  end,
  after = function() depth = depth - 1 end,
  abort = function() depth = depth - 1 end,
})

lunette.at_exit(function()
  lunette.out:printf("%d comparisons, %d swaps\n", comparisons, swaps)
  lunette.out:printf("%d calls of sort_range deep, first for %d..%d\n", deepest, first_there, last_there)
end)
