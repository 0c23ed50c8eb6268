-- SPDX-License-Identifier: MIT
--- JSON lines for other programs: one object a line, its members in a given order.

local json = {}

local escapes = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

local function text(value)
  return '"' .. value:gsub('[%c"\\\127]', function(c) return escapes[c] or ("\\u%04x"):format(c:byte()) end) .. '"'
end

local encode

local function list(values)
  local parts = {}
  for i, value in ipairs(values) do parts[i] = encode(value) end
  return "[" .. table.concat(parts, ",") .. "]"
end

local function object(members)
  local parts = {}
  for _, member in ipairs(members.members) do
    if member[2] ~= nil then parts[#parts + 1] = text(member[1]) .. ":" .. encode(member[2]) end
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

function encode(value)
  if type(value) == "string" then return text(value) end
  if type(value) == "table" then return value.members and object(value) or list(value) end
  return tostring(value)
end

--- An object of { name, value } pairs; those without a value are left out.
function json.object(members) return { members = members } end

--- Writes one line.
function json.write(value) io.write(encode(value), "\n") end

return json
