-- SPDX-License-Identifier: MIT
--- Stacks and calls from lists of frames, so that a listener can be tested and measured without a guest.
--
-- A frame is a table: { definition = {name=, params=, param_names=, …} or name = "…", module =, instance =, offset =,
-- file_offset =, file =, line =, column =, is_host =, reentry =, memory =, params = {…}, results = {…} }.

local core = require("lunette.core")

local testkit = {}

local Frame = {}
Frame.__index = Frame
function Frame.is_exact() return true end
function Frame:params() return table.unpack(self.values) end
function Frame.is_exact() return true end
function Frame:__tostring() return "frame of " .. self.definition.name end

local Stack = {}
Stack.__len = function(self) return #self.frames end
Stack.__index = function(self, key)
  if math.type(key) == "integer" then return self.frames[key] end
  return key == "omitted" and 0 or nil
end
Stack.__tostring = function(self)
  local lines = {}
  for i, frame in ipairs(self.frames) do
    local module = frame.is_host and "host" or frame.definition.module
    lines[i] = ("#%-2d %s%s%s"):format(i - 1, frame.definition.name, module and (" (%s)"):format(module) or "",
      frame.offset and (" 0x%x"):format(frame.offset) or "")
  end
  return table.concat(lines, "\n")
end

local function make_frame(i, given)
  if type(given) ~= "table" then error(("stack: frame %d is a %s, not a table"):format(i, type(given)), 0) end
  local definition = given.definition or { name = given.name, module = given.module }
  if type(definition.name) ~= "string" then error(("stack: frame %d has no name"):format(i), 0) end
  return setmetatable({
    definition = definition,
    instance = given.instance,
    offset = given.offset,
    file_offset = given.file_offset,
    is_host = given.is_host or definition.is_host or false,
    reentry = given.reentry or false,
    file = given.file, line = given.line, column = given.column, inlined = given.inlined,
    memory = given.memory,
    exact = true,
    values = given.params or {},
    results = given.results or {},
  }, Frame)
end

--- A stack of these frames, top first: what call:stack() gives, without a guest.
function testkit.stack(frames)
  if type(frames) ~= "table" then error("stack: a list of frames expected, got " .. type(frames), 0) end
  local list = {}
  for i, given in ipairs(frames) do list[i] = make_frame(i, given) end
  return setmetatable({ frames = list }, Stack)
end

local function param_number(definition, wanted)
  if type(wanted) == "number" then return wanted end
  for i, name in pairs(definition.param_names or {}) do
    if name == wanted then return i end
  end
  error(("%s has no param '%s'"):format(definition.name, wanted), 3)
end

-- The bits of a value of that type ("f32", …), as C would pass it.
local function bits_of(kind, value)
  if kind == "i32" then return value & 0xffffffff end
  if kind == "f32" then return (string.unpack("<I4", string.pack("<f", value))) end
  if math.type(value) == "float" then return (string.unpack("<i8", string.pack("<d", value))) end
  return value
end

-- The call that the top frame is.
local function make_call(stack)
  local top = stack[1]
  local call = {
    id = 0,
    depth = #stack - 1,
    name = top.definition.name,
    definition = top.definition,
    instance = top.instance,
    caller = stack[2],
    is_host = top.is_host,
    memory = top.memory,
    weight = 1,
  }
  local kinds = top.definition.params or {}
  function call:param(wanted) return top.values[param_number(self.definition, wanted)] end
  function call:uparam(wanted)
    local i = param_number(self.definition, wanted)
    return kinds[i] == "i32" and top.values[i] & 0xffffffff or top.values[i]
  end
  function call.bits(_, i) return bits_of(kinds[i], top.values[i]) end
  function call.params() return table.unpack(top.values) end
  function call.stack() return setmetatable({ frames = stack.frames }, Stack) end
  call.snapshot = call.stack
  return call
end

local function listener_parts(listener)
  if type(listener) == "function" then return listener, nil end
  if type(listener) ~= "table" or not (listener.before or listener.after) then
    error("bench: a listener (a function, or a table with before or after) expected", 0)
  end
  return listener.before, listener.after
end

--- Calls before and after `count` times for the top frame of the list, with a stack that stands at its top each time.
-- Gives the mean time of one round in nanoseconds.
function testkit.bench(count, frames, listener)
  if math.type(count) ~= "integer" or count < 1 then error("bench: how often? A whole number from 1 expected", 0) end
  local stack = testkit.stack(frames)
  if #stack == 0 then error("bench: at least one frame expected", 0) end
  local before, after = listener_parts(listener)
  local call, params, results = make_call(stack), stack[1].values, stack[1].results
  local start = core.monotonic_ns()
  for i = 1, count do
    call.id = i
    if before then before(call, table.unpack(params)) end
    if after then after(call, table.unpack(results)) end
    call.data = nil
  end
  return (core.monotonic_ns() - start) / count
end

return testkit
