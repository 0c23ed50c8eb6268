-- SPDX-License-Identifier: MIT
--- Text for the lines of strace: quoted strings, and floats as Go prints them.

local text = {}

local named = { ["\n"] = "\\n", ["\t"] = "\\t", ["\r"] = "\\r", ['"'] = '\\"', ["\\"] = "\\\\" }

local function hexadecimal(bytes)
  return (bytes:gsub(".", function(byte) return ("\\x%02x"):format(byte:byte()) end))
end

-- Control characters, and those that change the direction of a line or end it.
local function is_hidden(code)
  return code < 0x20 or (code >= 0x7f and code < 0xa0) or (code >= 0x200e and code <= 0x200f)
    or (code >= 0x2028 and code <= 0x202e) or (code >= 0x2066 and code <= 0x2069)
end

local function shown(character)
  if named[character] then return named[character] end
  return is_hidden(utf8.codepoint(character)) and hexadecimal(character) or character
end

--- Without quotes; whatever the bytes are, the result is UTF-8 on one line.
function text.escape(bytes)
  if not bytes:find('[%c\\"\x7f-\xff]') then return bytes end
  if utf8.len(bytes) then return (bytes:gsub(utf8.charpattern, shown)) end
  return (bytes:gsub('[%c\\"]', function(byte) return named[byte] or hexadecimal(byte) end):gsub("[\x7f-\xff]", hexadecimal))
end

-- The longest beginning of at most `most` bytes that cuts no character.
local function beginning(bytes, most)
  local at = most
  while at > 0 and at > most - 4 and bytes:byte(at + 1) & 0xc0 == 0x80 do at = at - 1 end
  return bytes:sub(1, at > most - 4 and at or most)
end

--- "hello\n", or "hell"... where it is longer than `most` bytes.
function text.quote(bytes, most)
  if #bytes <= most then return '"' .. text.escape(bytes) .. '"' end
  return '"' .. text.escape(beginning(bytes, most)) .. '"...'
end

--- One line of any text.
function text.line(bytes) return (bytes:gsub("%c", "?")) end

-- ---- floats ----
-- Digits and exponent of "d.ddde+xx".
local function parts(formatted)
  local first, rest, exponent = formatted:match("^(%d)%.?(%d*)e([+-]%d+)$")
  return first .. rest, math.tointeger(tonumber(exponent))
end

local function narrow(value) return (string.unpack("<f", string.pack("<f", value))) end

local function reads_back(digits, exponent, value, is_f32)
  local read = tonumber(("%se%d"):format(digits, exponent - #digits + 1))
  return (is_f32 and read < math.huge and narrow(read) or read) == value
end

-- The next number of as many digits.
local function successor(digits, exponent)
  local more = tostring(math.tointeger(tonumber(digits)) + 1)
  if #more > #digits then return more:sub(1, #digits), exponent + 1 end
  return more, exponent
end

-- The shortest digits that read back as the same value, the closest of them. That is the rounded value but for a power of
-- two, below which its neighbour is nearer than above: there the number after the rounded one may be the one.
local function shortest(value, is_f32)
  for precision = 0, 16 do
    local digits, exponent = parts(("%." .. precision .. "e"):format(value))
    if reads_back(digits, exponent, value, is_f32) then return digits, exponent end
    local more, carried = successor(digits, exponent)
    if reads_back(more, carried, value, is_f32) then return more, carried end
  end
  return parts(("%.16e"):format(value))
end

--- As Go's strconv.FormatFloat(value, 'g', -1, 32 or 64): 3.4028235e+38, 1e-07, 123456, +Inf, -0.
function text.go_float(value, is_f32)
  if value ~= value then return "NaN" end
  if value == math.huge then return "+Inf" end
  if value == -math.huge then return "-Inf" end
  local sign = (value < 0 or 1 / value < 0) and "-" or ""
  if value == 0 then return sign .. "0" end
  local digits, exponent = shortest(math.abs(value), is_f32)
  digits = digits:gsub("0+$", "")
  if exponent < -4 or exponent >= 6 then
    local fraction = #digits > 1 and "." .. digits:sub(2) or ""
    return ("%s%s%se%s%02d"):format(sign, digits:sub(1, 1), fraction, exponent < 0 and "-" or "+", math.abs(exponent))
  end
  if exponent < 0 then return sign .. "0." .. ("0"):rep(-exponent - 1) .. digits end
  if #digits <= exponent + 1 then return sign .. digits .. ("0"):rep(exponent + 1 - #digits) end
  return sign .. digits:sub(1, exponent + 1) .. "." .. digits:sub(exponent + 2)
end

return text
