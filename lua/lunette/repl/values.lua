-- SPDX-License-Identifier: MIT
--- How the prompt shows a value: on one line where it fits, strings quoted, tables opened up a little.

local values = {}

local WIDTH, DEPTH, ITEMS = 96, 4, 64
local BYTES = 640 -- of a string; print shows all of it

local escapes = { ["\n"] = "\\n", ["\t"] = "\\t", ["\r"] = "\\r", ["\0"] = "\\0", ['"'] = '\\"', ["\\"] = "\\\\" }

local quoted
function quoted(text)
  if #text > BYTES then
    local cut = utf8.len(text) and utf8.offset(text, 0, BYTES) - 1 or BYTES -- not within a character
    return ("%s and %d bytes more"):format(quoted(text:sub(1, cut)), #text - cut)
  end
  local odd = utf8.len(text) and '[%c"\\]' or '[%c"\\\128-\255]' -- what is no UTF-8 would be lost on the screen
  return '"' .. text:gsub(odd, function(byte) return escapes[byte] or ("\\x%02x"):format(byte:byte()) end) .. '"'
end

local function is_name(key) return type(key) == "string" and key:find("^[%a_][%w_]*$") ~= nil end

local rank = { number = 1, string = 2 }
local function before(a, b)
  local left, right = rank[type(a)] or 3, rank[type(b)] or 3
  if left ~= right then return left < right end
  if left == 3 then return tostring(a) < tostring(b) end
  return a < b
end

local function sorted_keys(map)
  local keys, count = {}, #map
  for key in next, map do
    if not (math.type(key) == "integer" and key >= 1 and key <= count) then keys[#keys + 1] = key end
  end
  table.sort(keys, before)
  return keys
end

local show

local function parts_of(map, depth, open)
  local parts = {}
  for i = 1, math.min(#map, ITEMS) do parts[i] = show(map[i], depth, open) end
  for _, key in ipairs(sorted_keys(map)) do
    if #parts >= ITEMS then
      parts[#parts + 1] = "..."
      break
    end
    local name = is_name(key) and key or "[" .. show(key, DEPTH, open) .. "]"
    parts[#parts + 1] = name .. " = " .. show(rawget(map, key), depth, open)
  end
  return parts
end

local function show_table(map, depth, open)
  if open[map] then return "<the same table>" end
  if depth > DEPTH then return "{...}" end
  open[map] = true
  local parts = parts_of(map, depth + 1, open)
  open[map] = nil
  if #parts == 0 then return "{}" end
  local line = "{ " .. table.concat(parts, ", ") .. " }"
  if #line + 2 * depth <= WIDTH and not line:find("\n", 1, true) then return line end
  local indent = ("  "):rep(depth)
  return "{\n" .. indent .. table.concat(parts, ",\n" .. indent) .. "\n" .. ("  "):rep(depth - 1) .. "}"
end

function show(value, depth, open)
  if type(value) == "string" then return quoted(value) end
  if type(value) == "table" and not (debug.getmetatable(value) or {}).__tostring then return show_table(value, depth, open) end
  local good, text = pcall(tostring, value)
  return good and text or "<" .. type(value) .. ">"
end

--- The text of one value; never raises.
function values.show(value) return show(value, 1, {}) end

--- A value of the guest as a stack shows it.
function values.plain(value)
  if math.type(value) == "float" then return ("%.14g"):format(value) end
  if type(value) == "string" then return "0x" .. value:reverse():gsub(".", function(c) return ("%02x"):format(c:byte()) end) end
  return tostring(value)
end

return values
