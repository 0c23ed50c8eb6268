-- SPDX-License-Identifier: MIT
-- Disassembles the engine's handlers (functions op_… of run*.c) and fails where one of them calls or grows the C stack
-- that is not on the list: a handler ends in a tail call, which the compiler has to turn into a jump. One that it does not
-- turn would let the C stack grow with the guest's instructions.
--   lua5.4 check_handlers.lua BUILD_FOLDER [sanitized]
-- With "sanitized", calls and frames of the sanitizers' own are let pass, and only dispatch by call is a failure.

local build, sanitized = arg[1], arg[2] == "sanitized"

-- Handlers that call while they run: they translate, call out, may take long, or need more registers than there are. They
-- give their frame back before they go on.
local may_call = {}
for _, name in ipairs({
  "TRANSLATE", "ENTER_SLOW", "ENTER_TRACED", "ENTER_HEARD", "ENTER_LIGHT",
  "ENTER_LIGHT_COUNTED", "ENTER_AGAIN", "ENTER_INTERCEPTED", "INTERCEPTED", "AFTER", "AFTER_TOLD", "HOST", "HOST_COUNTED",
  "ENTER_COUNTED", "BRIDGE", "CLOSED", "MEMORY_GROW", "MEMORY_INIT", "MEMORY_COPY", "MEMORY_FILL", "RETURN_CALL",
  "RETURN_CALL_INDIRECT", "RETURN_CALL_REF", "TABLE_GROW", "TABLE_INIT", "TABLE_COPY", "TABLE_FILL", "MEMORY_GROW_64",
  "MEMORY_INIT_64", "MEMORY_COPY_64", "MEMORY_FILL_64", "TABLE_GROW_64", "TABLE_INIT_64", "TABLE_COPY_64",
  "TABLE_FILL_64", "THROW", "THROW_REF", "F32X4_RELAXED_MADD", "F32X4_RELAXED_NMADD", "F64X2_RELAXED_MADD",
  "F64X2_RELAXED_NMADD",
  "I32X4_RELAXED_DOT_I8X16_I7X16_ADD_S",
}) do
  may_call["op_" .. name] = true
end

-- Functions of the C library that a compiler may call for one instruction; they return at once.
local harmless = {}
for name in ("memset ceil ceilf floor floorf trunc truncf nearbyint nearbyintf rint rintf"):gmatch("%a+") do
  harmless[name] = true
end

local function quoted(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

local function capture(line)
  local pipe = assert(io.popen(line, "r"))
  local text = pipe:read("a")
  pipe:close()
  return text
end

local function is_call(instruction) return instruction:match("^callq?%s") or instruction:match("^blr?%s") end

local function is_dispatch(instruction) return instruction:match("^callq?%s+%*") or instruction:match("^blr%s") end

local function grows_stack(instruction)
  return instruction:match("^sub%s+%$0x%x+,%%rsp") or instruction:match("^sub%s+sp, sp, ")
end

local handlers, problems = {}, {}

-- `target` is the symbol that the linker will fill in, where there is one.
local function check(name, instruction, target)
  if may_call[name:match("^[^%.]+")] then return end
  if sanitized then
    if is_dispatch(instruction) then problems[#problems + 1] = ("%s dispatches by a call: %s"):format(name, instruction) end
  elseif is_call(instruction) and not harmless[target] then
    problems[#problems + 1] = ("%s calls %s"):format(name, target or instruction)
  elseif grows_stack(instruction) then
    problems[#problems + 1] = name .. " grows the C stack: " .. instruction
  end
end

local function check_object(text)
  local name, pending
  for line in text:gmatch("[^\n]+") do
    local target = line:match("%sR_[%w_]+%s+([%w_]+)")
    if pending then check(name, pending, target) end
    pending = nil
    local symbol = line:match("^%x+ <(.+)>:$")
    if symbol then
      name = symbol:match("^op_[%w_%.]+$")
      if name then handlers[#handlers + 1] = name end
    elseif name and not target then
      pending = line:match("^%s+%x+:%s+(.-)%s*$")
    end
  end
end

local objects = capture("find " .. quoted(build .. "/CMakeFiles/engine.dir") .. " -name 'run*.o'")
for object in objects:gmatch("[^\n]+") do check_object(capture("objdump -dr --no-show-raw-insn " .. quoted(object))) end

if #handlers < 100 then problems[#problems + 1] = ("only %d handlers found in %s"):format(#handlers, build) end
for _, problem in ipairs(problems) do io.stderr:write(problem, "\n") end
os.exit(#problems == 0)
