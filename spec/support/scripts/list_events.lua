-- SPDX-License-Identifier: MIT
-- Writes every event with its values as raw bits, one JSON array per line:
--   ["enter",29,["0x11508","0x1150c"]]   ["return",29,["0x0"]]   ["abort",29]

local function values(call, count)
  local list = {}
  for i = 1, count do list[i] = ('"0x%x"'):format(call:bits(i)) end
  return table.concat(list, ",")
end

lunette.factory(function(definition)
  local index, params, results = definition.index, #definition.params, #definition.results
  return {
    before = function(call) lunette.out:printf('["enter",%d,[%s]]\n', index, values(call, params)) end,
    after = function(call) lunette.out:printf('["return",%d,[%s]]\n', index, values(call, results)) end,
    abort = function() lunette.out:printf('["abort",%d]\n', index) end,
  }
end)
