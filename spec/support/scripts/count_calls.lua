-- SPDX-License-Identifier: MIT
-- Counts every call with a Lua listener; at the end one line per function that was called: "index calls", by index.

local counts = {}

lunette.factory(function(definition)
  local index = definition.index
  counts[index] = 0
  return function() counts[index] = counts[index] + 1 end
end)

lunette.at_exit(function()
  local indexes = {}
  for index, calls in pairs(counts) do
    if calls > 0 then indexes[#indexes + 1] = index end
  end
  table.sort(indexes)
  for _, index in ipairs(indexes) do lunette.out:printf("%d %d\n", index, counts[index]) end
end)
