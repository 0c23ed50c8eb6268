-- SPDX-License-Identifier: MIT
--- How values are printed: the one place for it.

local render = {}

--- A number in hexadecimal, a string as the hexadecimal of its bytes.
function render.hex(value)
  if math.type(value) == "integer" then return ("0x%x"):format(value) end
  if math.type(value) == "float" then return ("%a"):format(value) end
  if type(value) == "string" then return (value:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end)) end
  error("hex: a number or a string expected, got " .. type(value), 0)
end

--- The shortest decimal that reads back as the same float, and shows that it is one.
function render.float(value)
  if value ~= value then return "nan" end
  if value == math.huge then return "inf" end
  if value == -math.huge then return "-inf" end
  local text = ("%.15g"):format(value)
  if tonumber(text) ~= value then text = ("%.17g"):format(value) end
  return text:find("[%.en]") and text or text .. ".0"
end

--- A guest's value by its type's name ("i32", …), as Lua shows it to listeners.
function render.value(value, kind)
  if math.type(value) == "float" then return render.float(value) end
  if kind == "v128" and type(value) == "string" then return "0x" .. render.hex(value:reverse()) end
  if type(value) == "string" then return ("%q"):format(value) end
  return tostring(value)
end

--- JSON text of a value; integers stay exact.
function render.json(value)
  local good, dkjson = pcall(require, "dkjson")
  if not good then error("json needs the Lua module dkjson (Debian: lua-dkjson)", 0) end
  local text, problem = dkjson.encode(value)
  if not text then error("json: " .. tostring(problem), 0) end
  return text
end

return render
