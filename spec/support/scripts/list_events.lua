-- SPDX-License-Identifier: MIT
-- Writes every event with its values as raw bits, one JSON array per line:
--   ["enter",29,["0x11508","0x1150c"]]   ["return",29,["0x0"]]   ["abort",29]

-- The bits of value i; a v128 comes as 16 bytes.
local function bits(call, i, kind, value)
  if kind ~= "v128" then return ("0x%x"):format(call:bits(i)) end
  local low, high = ("<i8i8"):unpack(value)
  return high == 0 and ("0x%x"):format(low) or ("0x%x%016x"):format(high, low)
end

local function list(call, kinds, ...)
  local texts = {}
  for i, kind in ipairs(kinds) do texts[i] = '"' .. bits(call, i, kind, (select(i, ...))) .. '"' end
  return table.concat(texts, ",")
end

lunette.factory(function(definition)
  local index, params, results = definition.index, definition.params, definition.results
  return {
    before = function(call, ...) lunette.out:printf('["enter",%d,[%s]]\n', index, list(call, params, ...)) end,
    after = function(call, ...) lunette.out:printf('["return",%d,[%s]]\n', index, list(call, results, ...)) end,
    abort = function() lunette.out:printf('["abort",%d]\n', index) end,
  }
end)
