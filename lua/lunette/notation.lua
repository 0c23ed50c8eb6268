-- SPDX-License-Identifier: MIT
--- Small pieces of text that the printed forms of aggregations share: numbers, keys, JSON.

local render = require("lunette.render")

local notation = {}

--- Whether what an aggregation with this spec keeps is ns.
function notation.is_time(spec) return spec.value and (spec.value.source == "elapsed" or spec.value.source == "self_time") end

function notation.number(value)
  if math.type(value) == "integer" then return tostring(value) end
  if value == math.floor(value) and math.abs(value) < 1e15 then return ("%.0f"):format(value) end
  return ("%.6g"):format(value)
end

function notation.escape(word) return (word:gsub("%c", function(byte) return ("\\x%02x"):format(byte:byte()) end)) end

function notation.key(key)
  if type(key) == "string" then return notation.escape(key) end
  return math.type(key) == "float" and render.float(key) or tostring(key)
end

local function json_string(value)
  return '"' .. value:gsub('[%c"\\\127]', function(c) return ("\\u%04x"):format(c:byte()) end) .. '"'
end

--- A string or a number; what JSON has no number for is null.
function notation.json(value)
  if type(value) == "string" then return json_string(value) end
  if math.type(value) == "integer" then return tostring(value) end
  if value ~= value or value == math.huge or value == -math.huge then return "null" end
  return (render.float(value):gsub("%.0$", ""))
end

--- { { name, JSON }, … }
function notation.json_object(pairs_list)
  local parts = {}
  for i, pair in ipairs(pairs_list) do parts[i] = json_string(pair[1]) .. ":" .. pair[2] end
  return "{" .. table.concat(parts, ",") .. "}"
end

function notation.json_list(list, encode)
  local parts = {}
  for i, value in ipairs(list) do parts[i] = encode(value) end
  return "[" .. table.concat(parts, ",") .. "]"
end

return notation
