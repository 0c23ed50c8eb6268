-- SPDX-License-Identifier: MIT
--- Plays: what a fake's functions are to do, as bytes for its tape, and as answers for its host functions, in order.
--
-- A call of a play is { name, param…, calls = { call, … }, writes = { [address] = bytes }, returns = value | { value, … },
-- traps = true }; of a host function { name, param…, writes =, returns =, raises = value, exits = status }.

local declared = require("lunette.fake.declared")
local module = require("lunette.fake.module")

local play = {}

local formats = { i32 = "<I4I4", i64 = "<i8", f32 = "<fI4", f64 = "<d" }

-- A value as the tape holds it, or as C would pass it where it is given by position.
local function check_value(what, kind, value)
  if module.types[kind].null then
    if value ~= nil then error(("%s: a fake passes only null (nil) for %s"):format(what, kind), 0) end
    return nil
  end
  if kind == "v128" then
    if value == nil then return ("\0"):rep(16) end
    if type(value) ~= "string" or #value ~= 16 then error(("%s must be 16 bytes"):format(what), 0) end
    return value
  end
  if value == nil then value = 0 end
  local whole = kind == "i32" or kind == "i64"
  if type(value) ~= "number" or whole and not math.tointeger(value) then
    error(("%s must be %s, not %s"):format(what, kind, type(value) == "number" and tostring(value) or "a " .. type(value)), 0)
  end
  if not whole then return value end
  value = math.tointeger(value)
  if kind == "i64" then return value end
  if value < -(1 << 31) or value >= 1 << 32 then error(("%s: %d has more than 32 bits"):format(what, value), 0) end
  return value >= 1 << 31 and value - (1 << 32) or value
end

-- string.pack would make a signalling NaN quiet.
local function f32_bytes(value)
  if value == value then return string.pack(formats.f32, value, 0) end
  local bits = string.unpack("<I8", string.pack("<d", value))
  local payload = bits >> 29 & 0x7fffff
  return string.pack("<I8", (bits >> 63) << 31 | 0x7f800000 | (payload == 0 and 0x400000 or payload))
end

local function value_bytes(kind, value)
  if module.types[kind].null then return "" end
  if kind == "v128" then return value end
  if kind == "i32" then return string.pack(formats.i32, value & 0xffffffff, 0) end
  if kind == "f32" then return f32_bytes(value) end
  return string.pack(formats[kind], value)
end

local function read_values(what, kinds, given, count)
  if count > #kinds then error(("%s: %d are given, there are %d"):format(what, count, #kinds), 0) end
  local values = {}
  for i, kind in ipairs(kinds) do values[i] = check_value(("%s %d"):format(what, i), kind, given[i]) end
  return values
end

local function values_bytes(kinds, values)
  local parts = {}
  for i, kind in ipairs(kinds) do parts[i] = value_bytes(kind, values[i]) end
  return table.concat(parts)
end

local function order(kind, word) return string.pack("<I4I4", kind, word or 0) end

local function pieces_of(what, writes)
  local list = {}
  if writes ~= nil and type(writes) ~= "table" then error(what .. ": writes is a table of address = string", 0) end
  for address, bytes in pairs(writes or {}) do
    if math.type(address) ~= "integer" or type(bytes) ~= "string" then
      error(what .. ": writes is a table of address = string", 0)
    end
    list[#list + 1] = { address = address, bytes = bytes }
  end
  table.sort(list, function(a, b) return a.address < b.address end)
  return list
end

local guest_fields = { "calls", "writes", "returns", "traps" }
local host_fields = { "writes", "returns", "raises", "exits" }

local function highest(list)
  local most = 0
  for key in pairs(list) do
    if math.type(key) == "integer" and key > most then most = key end
  end
  return most
end

-- Deeper than any guest's stack, and within what Lua's own bears.
local DEEPEST = 20000

local function check_calls(what, given, into)
  if given.calls ~= nil and type(given.calls) ~= "table" then
    error(("%s: calls must be a table, not a %s"):format(what, type(given.calls)), 0)
  end
  if into.open[given] then error(what .. ": its calls contain itself", 0) end
  if into.depth > DEEPEST then error(("%s: calls more than %d deep"):format(what, DEEPEST), 0) end
end

-- One call, checked: its function, its params, its results, the whole written behind `into.tape` and `into.answers`.
local function add(fake, given, into)
  if type(given) == "string" then given = { given } end
  if type(given) ~= "table" then error(("fake: a call is a name or a table, not a %s"):format(type(given)), 0) end
  local own = declared.find(fake, given[1])
  local what = "fake: " .. own.name
  declared.check_names(what, given, own.is_host and host_fields or guest_fields)
  check_calls(what, given, into)
  local params = read_values(what .. ": param", own.params, { table.unpack(given, 2, highest(given)) }, highest(given) - 1)
  local returned = type(given.returns) == "table" and given.returns or { given.returns }
  local results = read_values(what .. ": result", own.results, returned, highest(returned))
  local tape = into.tape
  tape[#tape + 1] = { order(module.CALL + own.type, own.index), values_bytes(own.params, params) }
  if own.is_host then
    into.answers[#into.answers + 1] = { function_name = own.name, results = results, writes = pieces_of(what, given.writes),
                                        given = given }
    return own, params
  end
  for _, piece in ipairs(pieces_of(what, given.writes)) do
    tape[#tape + 1] = { order(module.WRITE, #piece.bytes), string.pack("<I4I4", piece.address & 0xffffffff, 0), piece.bytes,
                        ("\0"):rep(-#piece.bytes % 8) }
  end
  into.open[given], into.depth = true, into.depth + 1
  for _, inner in ipairs(given.calls or {}) do add(fake, inner, into) end
  into.open[given], into.depth = nil, into.depth - 1
  if given.traps then tape[#tape + 1] = { order(module.TRAP) }
  else tape[#tape + 1] = { order(module.RETURN), values_bytes(own.results, results) } end
  return own, params
end

--- The tape of a call under the fake's frames (its own order, the first, is left out: the host enters the function so), the
-- answers of host functions in order, and the function and params to begin with.
function play.read(fake, given)
  if type(given) ~= "table" then given = { given } end
  for _, frame in ipairs(fake.frames) do
    local outer = table.move(frame, 1, #frame, 1, {})
    outer.calls = { given }
    given = outer
  end
  local into = { tape = {}, answers = {}, open = {}, depth = 0 }
  local first, params = add(fake, given, into)
  local parts = {}
  for i = 2, #into.tape do parts[i - 1] = table.concat(into.tape[i]) end
  return { tape = table.concat(parts), answers = into.answers, first = first, params = params }
end

return play
