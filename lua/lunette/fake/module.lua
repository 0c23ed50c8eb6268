-- SPDX-License-Identifier: MIT
--- The bytes of a module whose functions do what a tape tells them: the guest behind lunette.fake.
--
-- In comes what was declared (see lunette.fake.declared), out come bytes. The tape is memory 1, how far it has been played
-- global 0; each function reads its orders from there, until one makes it return:
--
--   0 RETURN  values…           1 TRAP           2 WRITE  length, address (8 bytes), bytes…         3+t CALL  index, values…
--
-- An order is two words of 32 bits, then values of 8 bytes each (v128: 16), so that all stands at multiples of 8. A CALL goes
-- through table 0, in which all functions stand at their index; t is the number of the callee's type.

local module = {}

module.RETURN, module.TRAP, module.WRITE, module.CALL = 0, 1, 2, 3
module.TAPE_PAGES = 1024

local byte = string.char

local function unsigned(n)
  local bytes = {}
  repeat
    local low = n & 0x7f
    n = n >> 7
    bytes[#bytes + 1] = byte(n ~= 0 and low | 0x80 or low)
  until n == 0
  return table.concat(bytes)
end

local function signed(n)
  local bytes = {}
  while true do
    local low, rest = n & 0x7f, n // 128
    local done = rest == 0 and low < 64 or rest == -1 and low >= 64
    bytes[#bytes + 1] = byte(done and low or low | 0x80)
    if done then return table.concat(bytes) end
    n = rest
  end
end

local function name(text) return unsigned(#text) .. text end
local function vector(list) return unsigned(#list) .. table.concat(list) end
local function section(id, contents) return byte(id) .. name(contents) end

-- How each type is written, how many bytes of tape a value takes, and how it is read from there (alignment, opcode).
local types = {
  i32 = { code = "\x7f", size = 8, load = "\x28", align = 2 },
  i64 = { code = "\x7e", size = 8, load = "\x29", align = 3 },
  f32 = { code = "\x7d", size = 8, load = "\x2a", align = 2 },
  f64 = { code = "\x7c", size = 8, load = "\x2b", align = 3 },
  v128 = { code = "\x7b", size = 16, load = "\xfd\x00", align = 4 },
  funcref = { code = "\x70", size = 0, null = "\xd0\x70" },
  externref = { code = "\x6f", size = 0, null = "\xd0\x6f" },
}
module.types = types

-- ---- code: `at` is the local that holds the place of the order at hand ----
local function load(kind, at, offset)
  local type = types[kind]
  if type.null then return type.null end
  return "\x20" .. unsigned(at) .. type.load .. byte(type.align | 0x40) .. "\x01" .. unsigned(offset)
end

-- The values behind an order, and how long all of it is.
local function load_all(kinds, at)
  local parts, offset = {}, 8
  for i, kind in ipairs(kinds) do
    parts[i] = load(kind, at, offset)
    offset = offset + types[kind].size
  end
  return table.concat(parts), offset
end

local function go_on(at, size) return "\x20" .. unsigned(at) .. "\x41" .. signed(size) .. "\x6a\x24\x00" end

-- Blocks, one for each order, in a loop; the innermost branches to the order's end. All but what RETURN gives is the same in
-- functions of as many params: it is made once for them, since there is a case for each signature in it. Gives what stands
-- before RETURN's case, and behind it.
local function cases(at, signatures)
  local orders = 3 + #signatures
  local labels = {}
  for i = 0, orders - 1 do labels[#labels + 1] = unsigned(i) end
  local before = "\x01\x01\x7f\x03\x40" .. ("\x02\x40"):rep(orders) .. "\x23\x00\x22" .. unsigned(at) .. "\x28\x42\x01\x00\x0e"
    .. vector(labels) .. unsigned(1) .. "\x0b"
  local parts = { "\x0b\x00" }
  -- The address, the place of the bytes, and their length, which is a multiple of 8 on the tape.
  local length = load("i32", at, 4)
  parts[#parts + 1] = "\x0b" .. load("i32", at, 8) .. "\x20" .. unsigned(at) .. "\x41\x10\x6a" .. length .. "\xfc\x0a\x00\x01"
    .. "\x20" .. unsigned(at) .. "\x41" .. signed(16 + 7) .. "\x6a" .. length .. "\x6a\x41\x78\x71\x24\x00"
    .. "\x0c" .. unsigned(orders - 3)
  for i, signature in ipairs(signatures) do
    local params, length_of_call = load_all(signature.params, at)
    parts[#parts + 1] = "\x0b" .. go_on(at, length_of_call) .. params .. load("i32", at, 4)
      .. "\x11" .. unsigned(i - 1) .. "\x00" .. ("\x1a"):rep(#signature.results) .. "\x0c" .. unsigned(orders - 3 - i)
  end
  parts[#parts + 1] = "\x0b\x00\x0b"
  return { before = before, behind = table.concat(parts) }
end

-- The code section. Where there are many signatures it is large, so its pieces are put together once.
local function code_section(functions, signatures)
  local known, pieces, size = {}, { "\x0a", "", unsigned(#functions) }, 0
  for _, own in ipairs(functions) do
    local at = #own.params
    known[at] = known[at] or cases(at, signatures)
    local results, length = load_all(own.results, at)
    local middle = go_on(at, length) .. results .. "\x0f"
    local total = #known[at].before + #middle + #known[at].behind
    local count = #pieces
    pieces[count + 1], pieces[count + 2], pieces[count + 3], pieces[count + 4] =
      unsigned(total), known[at].before, middle, known[at].behind
    size = size + #pieces[count + 1] + total
  end
  pieces[2] = unsigned(#pieces[3] + size)
  return pieces
end

-- ---- sections ----
local function codes(kinds)
  local list = {}
  for i, kind in ipairs(kinds) do list[i] = types[kind].code end
  return vector(list)
end

-- The different signatures, in order of their first function; each function gets its number, from 0.
local function signatures_of(functions)
  local list, numbers = {}, {}
  for _, own in ipairs(functions) do
    local text = "\x60" .. codes(own.params) .. codes(own.results)
    if not numbers[text] then
      list[#list + 1] = { params = own.params, results = own.results, text = text }
      numbers[text] = #list - 1
    end
    own.type = numbers[text]
  end
  return list
end

local function names_section(declared)
  local functions, locals = {}, {}
  for _, own in ipairs(declared.functions) do
    functions[#functions + 1] = unsigned(own.index) .. name(own.name)
    local params = {}
    for i, text in ipairs(own.param_names) do params[i] = unsigned(i - 1) .. name(text) end
    if #params > 0 then locals[#locals + 1] = unsigned(own.index) .. vector(params) end
  end
  return section(0, name("name") .. "\x00" .. name(name(declared.name)) .. "\x01" .. name(vector(functions))
    .. "\x02" .. name(vector(locals)))
end

local function limits(min, max) return max and "\x01" .. unsigned(min) .. unsigned(max) or "\x00" .. unsigned(min) end

--- The module's bytes. declared: { name=, functions = { { name=, params=, results=, param_names=, is_host=, from=, as=,
-- export=, index= }, … host functions first }, memory = { min=, max=, data = { { address, bytes }, … } } }.
function module.bytes(declared)
  local all = declared.functions
  local signatures = signatures_of(all)
  local kinds, imports, own, exports, elements, guests, data = {}, {}, {}, {}, {}, {}, {}
  for i, signature in ipairs(signatures) do kinds[i] = signature.text end
  for i, item in ipairs(all) do
    elements[i] = unsigned(item.index)
    if item.is_host then
      imports[#imports + 1] = name(item.from) .. name(item.as) .. "\x00" .. unsigned(item.type)
    else
      own[#own + 1] = unsigned(item.type)
      guests[#guests + 1] = item
      if item.export then exports[#exports + 1] = name(item.export) .. "\x00" .. unsigned(item.index) end
    end
  end
  exports[#exports + 1] = name("memory") .. "\x02\x00"
  for i, piece in ipairs(declared.memory.data) do
    local address = piece[1] >= 1 << 31 and piece[1] - (1 << 32) or piece[1]
    data[i] = "\x00\x41" .. signed(address) .. "\x0b" .. name(piece[2])
  end
  local pieces = {
    "\0asm\1\0\0\0", section(1, vector(kinds)), section(2, vector(imports)), section(3, vector(own)),
    section(4, vector({ "\x70" .. limits(#all, #all) })),
    section(5, vector({ limits(declared.memory.min, declared.memory.max), limits(module.TAPE_PAGES, module.TAPE_PAGES) })),
    section(6, vector({ "\x7f\x01\x41\x00\x0b" })), section(7, vector(exports)),
    section(9, vector({ "\x00\x41\x00\x0b" .. vector(elements) })),
  }
  local code = code_section(guests, signatures)
  table.move(code, 1, #code, #pieces + 1, pieces)
  pieces[#pieces + 1], pieces[#pieces + 2] = section(11, vector(data)), names_section(declared)
  return table.concat(pieces)
end

return module
