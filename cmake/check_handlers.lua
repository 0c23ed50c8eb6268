-- SPDX-License-Identifier: MIT
-- Disassembles the engine's handlers (functions named op_…) and fails where one of them grows the C stack or calls what
-- is not on the list: a handler ends in a tail call, and leaves real work to cold helpers that it jumps to.
--   lua5.4 check_handlers.lua BUILD_FOLDER

local build = arg[1]

-- Handlers that may call, and therefore need a frame of their own while they do: what may run long or call out.
local may_call = {
}
-- Functions that every handler may call: short ones of the C library and of numeric.h that keep to the C stack.
local callee = {
}
for _, name in ipairs({ "memcpy", "memmove", "memset", "ceil", "ceilf", "floor", "floorf", "trunc", "truncf", "rint", "rintf",
  "nearbyint", "nearbyintf", "sqrt", "sqrtf", "fmod" }) do
  callee[name] = true
end

local function capture(line)
  local pipe = assert(io.popen(line, "r"))
  local text = pipe:read("a")
  return text, pipe:close()
end

local quoted = "'" .. build:gsub("'", "'\\''") .. "'"
local objects = capture("find " .. quoted .. "/CMakeFiles/engine.dir -name 'run*.o'")
local handlers, problems = 0, {}

local function check(name, text)
  handlers = handlers + 1
  if may_call[name] then return end
  for line in text:gmatch("[^\n]+") do
    local instruction = line:match("^%s+%x+:%s+(.-)%s*$") or ""
    local target = line:match("R_X86_64_PL?T?[C32]+%s+([%w_]+)") or line:match("R_%w+_CALL26%s+([%w_]+)")
    if target and text:match("%f[%w]calls?q?%s[^\n]*\n[^\n]*" .. target) and not callee[target:gsub("%-.*", "")] then
      problems[#problems + 1] = name .. " calls " .. target
    elseif instruction:match("^call") and not instruction:match("^callq?%s+%x+ <[^>]*>$") then
      problems[#problems + 1] = name .. " calls through a register: " .. instruction
    elseif instruction:match("^sub%s+%$0x%x+,%%rsp$") or instruction:match("^sub%s+sp, sp,") then
      problems[#problems + 1] = name .. " grows the C stack: " .. instruction
    end
  end
end

for object in objects:gmatch("[^\n]+") do
  local text = capture("objdump -dr --no-show-raw-insn '" .. object:gsub("'", "'\\''") .. "'")
  for name, body in text:gmatch("\n%x+ <(op_[%w_%.]+)>:\n(.-)%f[\n%z]\n") do check(name, body) end
end
if handlers == 0 then problems[1] = "no handler (op_…) found in " .. build end
for _, problem in ipairs(problems) do io.stderr:write(problem, "\n") end
os.exit(#problems == 0)
