-- SPDX-License-Identifier: MIT
-- Valid modules from a number: the same number gives the same bytes. For comparing engines, so every module is
-- deterministic and ends: each function entered and each round of a loop uses up a global budget, and whatever may give a
-- NaN is made to give the canonical one. The instructions come from the engine's own table, ops.def.
--
-- Exports, none of which takes anything: run0, run1, … call one function each and fold its results into an i64; state folds
-- memory and globals.

local generate = {}

local letter = { i = 0x7f, I = 0x7e, f = 0x7d, F = 0x7c, V = 0x7b }
local letters = { "i", "I", "f", "F", "V" }
local RETURNS_BUDGET, BUDGET = 60, 0       -- the budget of a run; its global

-- ---- the table of instructions: by the letter of what they give ----
local by_result = { i = {}, I = {}, f = {}, F = {}, V = {}, [""] = {} }

local function is_told_apart(text) return not text:find("relaxed", 1, true) end

for line in io.lines("core/module/ops.def") do
  local code, text, immediate, signature = line:match('^OP%(0x(%x+),%s*[%w_]+,%s*"([^"]+)",%s*([%w_]+),%s*"([^"]*)"')
  if code and is_told_apart(text) then
    local takes, gives = signature:match("^(%a*):(%a?)$")
    if takes and #takes > 0 and by_result[gives] then
      table.insert(by_result[gives], { code = tonumber(code, 16), text = text, immediate = immediate, takes = takes })
    end
  end
end

-- ---- bytes ----
local function leb(n)
  local bytes = {}
  repeat
    local byte = n & 0x7f
    n = n >> 7
    bytes[#bytes + 1] = string.char(n ~= 0 and byte | 0x80 or byte)
  until n == 0
  return table.concat(bytes)
end

local function sleb(n)
  local bytes = {}
  while true do
    local byte = n & 0x7f
    n = n // 128
    local done = (n == 0 and byte & 0x40 == 0) or (n == -1 and byte & 0x40 ~= 0)
    bytes[#bytes + 1] = string.char(done and byte or byte | 0x80)
    if done then return table.concat(bytes) end
  end
end

local function vector(items) return leb(#items) .. table.concat(items) end
local function section(id, contents) return string.char(id) .. leb(#contents) .. contents end
local function name(text) return leb(#text) .. text end

local function opcode(code)
  if code < 0x100 then return string.char(code) end
  if code < 0x10000 then return string.char(code >> 8) .. leb(code & 0xff) end
  return string.char(code >> 12) .. leb(code & 0xfff)
end

local function const_i32(n) return "\x41" .. sleb(n) end
local function const_i64(n) return "\x42" .. sleb(n) end
local function get(index) return "\x20" .. leb(index) end
local function set(index) return "\x21" .. leb(index) end
local function global_get(index) return "\x23" .. leb(index) end
local function global_set(index) return "\x24" .. leb(index) end

-- ---- chance: xorshift ----
local Chance = {}
Chance.__index = Chance
function Chance:next()
  local x = self.state
  x = x ~ x << 13
  x = x ~ x >> 7
  x = x ~ x << 17
  self.state = x
  return x >> 11
end
function Chance:below(n) return self:next() % n end
function Chance:one_in(n) return self:below(n) == 0 end
function Chance:pick(list) return #list > 0 and list[1 + self:below(#list)] or nil end

-- ---- a function's body ----
local Body = {}
Body.__index = Body

local numbers = { 0, 1, -1, 2, 7, 31, 32, 63, 64, 127, 128, 255, 256, 32767, 65535, 65536, 0x7fffffff, -0x80000000 }
local wide = { math.mininteger, math.maxinteger, 0xffffffff, 0x100000000, 0x5555555555555555 }
local singles = { 0, -0.0, 1, -1, 0.5, 3.75, 1e10, -2147483648.0, 4294967296.0, 1e38, 1e-40, math.huge, -math.huge, 1.5e-45 }
local doubles = { 0, -0.0, 1, -1, 0.5, 1e300, -9223372036854775808.0, 18446744073709551616.0, math.huge, -math.huge, 5e-324,
  2147483647.5, 1e-310 }

function Body:constant(kind)
  local chance = self.chance
  if kind == "i" then
    local n = chance:one_in(4) and (chance:next() & 0xffffffff) - 0x80000000 or chance:pick(numbers)
    return const_i32(n)
  elseif kind == "I" then
    return const_i64(chance:one_in(3) and chance:pick(wide) or chance:one_in(3) and chance:next() << 11 or chance:pick(numbers))
  elseif kind == "f" then
    return "\x43" .. string.pack("<f", chance:pick(singles))
  elseif kind == "F" then
    return "\x44" .. string.pack("<d", chance:pick(doubles))
  end
  return "\xfd\x0c" .. string.pack("<i8i8", chance:next() << 11, chance:pick(wide))
end

-- Makes a NaN on top the canonical one.
function Body:canonical(kind)
  local scratch = self.scratch[kind]
  if kind == "V32" or kind == "V64" then
    local slot, single = self.scratch.V, kind == "V32"
    local nan = single and ("\0\0\xc0\x7f"):rep(4) or ("\0\0\0\0\0\0\xf8\x7f"):rep(2)
    local equal = single and opcode(0xfd041) or opcode(0xfd047)
    return set(slot) .. get(slot) .. "\xfd\x0c" .. nan .. get(slot) .. get(slot) .. equal .. opcode(0xfd052)
  end
  local nan = kind == "f" and "\x43\0\0\xc0\x7f" or "\x44\0\0\0\0\0\0\xf8\x7f"
  return set(scratch) .. get(scratch) .. nan .. get(scratch) .. get(scratch) .. (kind == "f" and "\x5b" or "\x61") .. "\x1b"
end

local function nan_of(op, gives)
  local text = op.text
  if text:find("load") or text:find("reinterpret") or text:find("lane") or text:find("splat") then return nil end
  if gives == "f" or gives == "F" then return gives end
  if gives ~= "V" then return nil end
  if text:find("^f32x4%.") then return "V32" end
  if text:find("^f64x2%.") then return "V64" end
end

local lanes_of = { i8x16 = 16, i16x8 = 8, i32x4 = 4, f32x4 = 4, i64x2 = 2, f64x2 = 2 }

function Body:immediate(op)
  local chance = self.chance
  if op.immediate == "IMM_NONE" then return "" end
  local memarg = "\0" .. leb(chance:one_in(5) and chance:below(70000) or chance:below(64))
  if op.immediate == "IMM_MEMARG" then return memarg end
  if op.immediate == "IMM_SHUFFLE" then
    local bytes = {}
    for i = 1, 16 do bytes[i] = string.char(chance:below(32)) end
    return table.concat(bytes)
  end
  local bits = op.text:match("(%d+)_lane$")
  local lanes = op.immediate == "IMM_MEMARG_LANE" and 128 // tonumber(bits) or lanes_of[op.text:match("^%w+")]
  local lane = string.char(chance:below(lanes))
  return op.immediate == "IMM_MEMARG_LANE" and memarg .. lane or lane
end

-- An address is most often inside.
function Body:address(depth)
  local mask = self.chance:one_in(12) and 0x1ffff or 0x7fff
  return self:value("i", depth - 1) .. const_i32(mask) .. "\x71"
end

function Body:operation(op, gives, depth)
  local parts = {}
  local is_access = op.immediate:find("^IMM_MEMARG")
  for i = 1, #op.takes do
    parts[i] = is_access and i == 1 and self:address(depth) or self:value(op.takes:sub(i, i), depth - 1)
  end
  local text = table.concat(parts) .. opcode(op.code) .. self:immediate(op)
  local nan = nan_of(op, gives)
  return nan and text .. self:canonical(nan) or text
end

function Body:variable(kind)
  local locals = self.by_kind[kind]
  if #locals > 0 and not self.chance:one_in(4) then return get(self.chance:pick(locals)) end
  return global_get(generate.global_of[kind])
end

function Body:call(kind, depth)
  local callee = self.chance:pick(self.module.by_result[kind])
  if not callee then return self:constant(kind) end
  local parts = {}
  for i = 1, #callee.takes do parts[i] = self:value(callee.takes:sub(i, i), depth - 1) end
  if self.chance:one_in(3) then
    -- Through the table, mostly where such a function stands.
    local index = self.chance:one_in(6) and self:value("i", 1) .. const_i32(15) .. "\x71" or const_i32(callee.index)
    return table.concat(parts) .. index .. "\x11" .. leb(callee.type) .. "\0"
  end
  return table.concat(parts) .. "\x10" .. leb(callee.index)
end

-- Instructions that leave one value of the kind.
function Body:value(kind, depth)
  local chance = self.chance
  self.size = self.size + 1
  if depth <= 0 or self.size > 300 then
    return chance:one_in(2) and self:constant(kind) or self:variable(kind)
  end
  local what = chance:below(16)
  local block = string.char(letter[kind])
  if what == 0 then
    return self:value(kind, depth - 1) .. self:value(kind, depth - 1) .. self:value("i", depth - 1) .. "\x1c\1" .. block
  elseif what == 1 then
    return self:value("i", depth - 1) .. "\x04" .. block .. self:value(kind, depth - 1) .. "\x05"
      .. self:value(kind, depth - 1) .. "\x0b"
  elseif what == 2 then
    return "\x02" .. block .. self:value(kind, depth - 1) .. self:value("i", depth - 1) .. "\x0d\0" .. "\x1a"
      .. self:value(kind, depth - 1) .. "\x0b"
  elseif what == 3 then
    return self:call(kind, depth)
  elseif what == 4 then
    return self:variable(kind)
  elseif what == 5 and kind == "i" then
    return chance:one_in(2) and "\x3f\0" or self:value("i", depth - 1) .. const_i32(1) .. "\x71\x40\0"
  elseif what == 6 and kind == "i" then
    return "\xd2" .. leb(chance:below(self.module.count)) .. "\xd1"
  end
  return self:operation(chance:pick(by_result[kind]), kind, depth)
end

-- Uses up some of the budget, and traps where there is none left.
local function spend()
  return global_get(BUDGET) .. const_i32(1) .. "\x6b" .. global_set(BUDGET) .. global_get(BUDGET) .. "\x45\x04\x40\0\x0b"
end

function Body:loop(depth)
  local counter = self.counters[depth]
  if not counter then return "" end
  local rounds = 1 + self.chance:below(4)
  return const_i32(rounds) .. set(counter) .. "\x03\x40" .. spend() .. self:statements(2, depth - 1)
    .. get(counter) .. const_i32(1) .. "\x6b\x22" .. leb(counter) .. "\x0d\0\x0b"
end

function Body:table_of_branches(depth)
  local arms = { self:statements(1, depth - 1), self:statements(1, depth - 1) }
  return "\x02\x40\x02\x40\x02\x40" .. self:value("i", depth) .. const_i32(3) .. "\x71\x0e\2\0\1\2\x0b" .. arms[1]
    .. "\x0c\1\x0b" .. arms[2] .. "\x0b"
end

function Body:bulk(depth)
  local size = self:value("i", 1) .. const_i32(255) .. "\x71"
  if self.chance:one_in(2) then return self:address(depth) .. self:value("i", 1) .. size .. "\xfc\x0b\0" end
  return self:address(depth) .. self:address(depth) .. size .. "\xfc\x0a\0\0"
end

function Body:statement(depth)
  local what = self.chance:below(depth > 0 and 12 or 6)
  local kind = self.chance:pick(letters)
  if what < 2 and #self.by_kind[kind] > 0 then
    return self:value(kind, depth + 1) .. set(self.chance:pick(self.by_kind[kind]))
  elseif what < 3 then
    return self:value(kind, depth + 1) .. global_set(generate.global_of[kind])
  elseif what < 5 then
    return self:operation(self.chance:pick(by_result[""]), "", depth + 1)
  elseif what < 6 then
    return self:value(kind, depth + 1) .. "\x1a"
  elseif what < 8 then
    return self:loop(depth)
  elseif what < 9 then
    return self:table_of_branches(depth)
  elseif what < 10 then
    return self:bulk(depth)
  end
  local condition, one = self:value("i", depth), self:statements(2, depth - 1)
  return condition .. "\x04\x40" .. one .. "\x05" .. self:statements(1, depth - 1) .. "\x0b"
end

function Body:statements(count, depth)
  local parts = {}
  for i = 1, 1 + self.chance:below(count) do parts[i] = self:statement(depth) end
  return table.concat(parts)
end

local function function_body(module, callee, chance)
  local body = setmetatable({ module = module, chance = chance, size = 0, by_kind = {}, scratch = {}, counters = {} }, Body)
  local declared, count = {}, #callee.takes
  local function declare(kind)
    declared[#declared + 1] = "\1" .. string.char(letter[kind])
    count = count + 1
    return count - 1
  end
  for _, kind in ipairs(letters) do body.by_kind[kind] = {} end
  for i = 1, #callee.takes do table.insert(body.by_kind[callee.takes:sub(i, i)], i - 1) end
  for _ = 1, chance:below(6) do
    local kind = chance:pick(letters)
    table.insert(body.by_kind[kind], declare(kind))
  end
  for _, kind in ipairs({ "f", "F", "V" }) do body.scratch[kind] = declare(kind) end
  for depth = 1, 3 do body.counters[depth] = declare("i") end
  local code = spend() .. body:statements(4, 3)
  for i = 1, #callee.gives do code = code .. body:value(callee.gives:sub(i, i), 3) end
  local contents = vector(declared) .. code .. "\x0b"
  return leb(#contents) .. contents
end

-- ---- folding results into an i64, in local 0 ----
local to_i64 = { i = "\xad", I = "", f = "\xbc\xad", F = "\xbd" }

local function fold(kind, scratch)
  local mix = "\x85" .. const_i64(0x100000001b3) .. "\x7e"
  if kind ~= "V" then return to_i64[kind] .. get(0) .. mix .. set(0) end
  local low, high = get(scratch) .. "\xfd\x1d\0", get(scratch) .. "\xfd\x1d\1"
  return set(scratch) .. low .. get(0) .. mix .. set(0) .. high .. get(0) .. mix .. set(0)
end

local function sized(contents) return leb(#contents) .. contents end

-- run: calls the function with constants. Locals: the sum, a vector.
local function runner(callee, chance)
  local maker = setmetatable({ chance = chance }, Body)
  local code = const_i32(RETURNS_BUDGET) .. global_set(BUDGET)
  for i = 1, #callee.takes do code = code .. maker:constant(callee.takes:sub(i, i)) end
  code = code .. "\x10" .. leb(callee.index)
  for i = #callee.gives, 1, -1 do code = code .. fold(callee.gives:sub(i, i), 1) end
  return sized("\2\1\x7e\1\x7b" .. code .. get(0) .. "\x0b")
end

-- state: memory, then globals. Locals: the sum, a vector, the address.
local function stater()
  local size = "\x3f\0" .. const_i32(16) .. "\x74"
  local code = "\x03\x40" .. get(2) .. "\x29\0\0" .. fold("I") .. get(2) .. const_i32(8) .. "\x6a\x22\2" .. size
    .. "\x49\x0d\0\x0b"
  for _, kind in ipairs(letters) do code = code .. global_get(generate.global_of[kind]) .. fold(kind, 1) end
  return sized("\3\1\x7e\1\x7b\1\x7f" .. code .. get(0) .. "\x0b")
end

-- ---- the module ----
generate.global_of = { i = 1, I = 2, f = 3, F = 4, V = 5 }

local function kinds(chance, most)
  local text = ""
  for _ = 1, chance:below(most + 1) do text = text .. chance:pick(letters) end
  return text
end

local function signature(takes, gives)
  local function types(text)
    local list = {}
    for i = 1, #text do list[i] = string.char(letter[text:sub(i, i)]) end
    return vector(list)
  end
  return "\x60" .. types(takes) .. types(gives)
end

function generate.module(seed)
  local chance = setmetatable({ state = seed * 0x1E3779B97F4A7C15 + 0x1234567 }, Chance)
  for _ = 1, 5 do chance:next() end
  local module = { count = 3 + chance:below(5), by_result = { i = {}, I = {}, f = {}, F = {}, V = {} } }
  local callees, types = {}, {}
  for index = 0, module.count - 1 do
    local callee = { index = index, type = index, takes = kinds(chance, 3), gives = kinds(chance, 3) }
    callees[#callees + 1] = callee
    types[#types + 1] = signature(callee.takes, callee.gives)
    if #callee.gives == 1 then table.insert(module.by_result[callee.gives], callee) end
  end
  types[#types + 1] = signature("", "I")
  local functions, bodies, exports, elements = {}, {}, {}, {}
  for i, callee in ipairs(callees) do
    functions[i], bodies[i], elements[i] = leb(callee.type), function_body(module, callee, chance), leb(callee.index)
  end
  for i, callee in ipairs(callees) do
    functions[#functions + 1] = leb(module.count)
    bodies[#bodies + 1] = runner(callee, chance)
    exports[#exports + 1] = name("run" .. i - 1) .. "\0" .. leb(#functions - 1)
  end
  functions[#functions + 1] = leb(module.count)
  bodies[#bodies + 1] = stater()
  exports[#exports + 1] = name("state") .. "\0" .. leb(#functions - 1)
  local globals = { "\x7f\1\x41\0\x0b", "\x7f\1\x41\7\x0b", "\x7e\1\x42\x7f\x0b", "\x7d\1\x43\0\0\x80\x3f\x0b",
    "\x7c\1\x44" .. string.pack("<d", 0.1) .. "\x0b", "\x7b\1\xfd\x0c" .. ("\1\2\3\4"):rep(4) .. "\x0b" }
  return "\0asm\1\0\0\0" .. section(1, vector(types)) .. section(3, vector(functions)) .. section(4, "\1\x70\0\x10")
    .. section(5, "\1\1\1\2") .. section(6, vector(globals)) .. section(7, vector(exports))
    .. section(9, "\1\0\x41\0\x0b" .. vector(elements)) .. section(10, vector(bodies))
    .. section(11, "\1\0\x41\0\x0b" .. name(("\x80\xff\x7f\0\x3f\xf0\1\2"):rep(16)))
end

return generate
