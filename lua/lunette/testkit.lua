-- SPDX-License-Identifier: MIT
--- Stacks and calls from lists of frames, so that a listener can be tested and measured without a guest.
--
-- A frame is a table: { definition = {name=, params=, param_names=, …} or name = "…", module =, instance =, offset =,
-- file_offset =, file =, line =, column =, inlined = {{name=, file=, line=, column=}, …}, is_host =, reentry =, memory =,
-- params = {…}, exact = false, results = {…}, locals = {{name=, type=, value=}, …} }. What it says is what is shown: a stack
-- of them prints as a real one does (lua/binding/stack.c).

local core = require("lunette.core")

local testkit = {}

-- ---- what a frame may say ----
local function is_integer(value) return math.type(value) == "integer" end
local function is_a(wanted) return function(value) return type(value) == wanted end end
local function is_object(value) return type(value) == "table" or type(value) == "userdata" end

local shapes = {
  string = { "a string", is_a("string") },
  boolean = { "a boolean", is_a("boolean") },
  integer = { "an integer", is_integer },
  table = { "a table", is_a("table") },
  object = { "an object or a table", is_object },
}

local frame_fields = {
  definition = "object", name = "string", module = "string", instance = "object", offset = "integer", file_offset = "integer",
  file = "string", line = "integer", column = "integer", inlined = "table", is_host = "boolean", reentry = "boolean",
  exact = "boolean", memory = "object", params = "table", results = "table", locals = "table",
}
local definition_fields = { name = "string", module = "string", params = "table", param_names = "table", is_host = "boolean" }
local inlined_fields = { name = "string", linkage_name = "string", file = "string", line = "integer", column = "integer" }
local local_fields = { name = "string", type = "string", index = "integer" }

local function hint(key, list)
  local names = {}
  for name in pairs(list) do names[#names + 1] = name end
  local nearest = core.nearest(tostring(key), names)
  return nearest and ("; did you mean '%s'?"):format(nearest) or ""
end

local function check_fields(what, given, list)
  for name, shape in pairs(list) do
    local value, wanted = given[name], shapes[shape]
    if value ~= nil and not wanted[2](value) then
      local got = type(value) == "number" and tostring(value) or "a " .. type(value)
      error(("%s: %s must be %s, not %s"):format(what, name, wanted[1], got), 0)
    end
  end
end

local function check_list(what, name, given, list)
  for i, item in ipairs(given or {}) do
    local own = ("%s: %s: %d"):format(what, name, i)
    if type(item) ~= "table" then error(("%s must be a table, not a %s"):format(own, type(item)), 0) end
    check_fields(own, item, list)
  end
end

local function check_texts(what, name, given)
  for i, item in pairs(given or {}) do
    if type(item) ~= "string" then
      error(("%s: %s: %s must be a string, not a %s"):format(what, name, tostring(i), type(item)), 0)
    end
  end
end

local function read_definition(what, given)
  local definition = given.definition or { name = given.name, module = given.module }
  if type(definition) == "userdata" then
    if getmetatable(definition) ~= "lunette.definition" then
      error(("%s: definition must be a definition or a table, not %s"):format(what, tostring(definition)), 0)
    end
    return definition
  end
  local own = given.definition and what .. ": definition" or what
  check_fields(own, definition, definition_fields)
  if definition.name == nil then error(own .. " has no name", 0) end
  check_texts(own, "params", definition.params)
  check_texts(own, "param_names", definition.param_names)
  return definition
end

local function highest(list)
  local most = 0
  for key in pairs(list) do
    if is_integer(key) and key > most then most = key end
  end
  return most
end

-- ---- frames ----
local methods, Frame = {}, { __name = "frame", __metatable = "frame" } -- everybody's, and so out of reach

-- Which param is meant, for who calls a method of a frame or a call.
local function param_number(frame, wanted)
  local definition = frame.definition
  if type(wanted) == "number" then
    if is_integer(wanted) and wanted >= 1 and wanted <= frame.count then return wanted end
    error(("%s has %d params, there is no number %s"):format(definition.name, frame.count, wanted), 3)
  end
  local known = {}
  for i, name in pairs(definition.param_names or {}) do
    if name == wanted then return i end
    known[name] = true
  end
  error(("%s has no param '%s'%s"):format(definition.name, tostring(wanted), hint(wanted, known)), 3)
end

function methods.params(self) return table.unpack(self.values, 1, self.count) end
function methods.is_exact(self, wanted) return param_number(self, wanted) and self.exact end

-- A list of its own, as from a guest.
function methods.locals(self)
  local list = {}
  for i, given in ipairs(self.own_locals) do
    list[i] = { index = given.index or self.count + i - 1, name = given.name, type = given.type, value = given.value }
  end
  return list
end

function Frame.__index(_, key)
  if methods[key] then return methods[key] end
  if frame_fields[key] then return nil end
  local names = {}
  for _, list in ipairs({ frame_fields, methods }) do
    for name in pairs(list) do names[name] = true end
  end
  error(("frame.%s: no such field%s"):format(tostring(key), hint(key, names)), 2)
end
function Frame.__tostring(self) return "frame of " .. self.definition.name end

local function make_frame(i, given)
  if type(given) ~= "table" then error(("stack: frame %d is a %s, not a table"):format(i, type(given)), 0) end
  local what = "stack: frame " .. i
  for key in pairs(given) do
    if not frame_fields[key] then error(("%s: no such field: %s%s"):format(what, tostring(key), hint(key, frame_fields)), 0) end
  end
  check_fields(what, given, frame_fields)
  check_list(what, "inlined", given.inlined, inlined_fields)
  check_list(what, "locals", given.locals, local_fields)
  local definition = read_definition(what, given)
  local values, results = given.params or {}, given.results or {}
  return setmetatable({
    definition = definition,
    module = given.module or definition.module,
    instance = given.instance,
    offset = given.offset,
    file_offset = given.file_offset,
    is_host = given.is_host or definition.is_host or false,
    reentry = given.reentry or false,
    file = given.file, line = given.line, column = given.column, inlined = given.inlined or {},
    memory = given.memory,
    exact = given.exact ~= false,
    values = values, count = math.max(#(definition.params or {}), highest(values)),
    results = results, result_count = highest(results),
    own_locals = given.locals or {},
  }, Frame)
end

-- ---- printed ----
local function shown(text)
  return (text:gsub("[\0-\31\127]", function(byte) return ("\\x%02x"):format(byte:byte()) end))
end

local function value_text(kind, value)
  if value == nil then return "null" end
  if kind == "v128" and type(value) == "string" and #value == 16 then
    local low, high = string.unpack("<i8i8", value)
    return ("0x%016x%016x"):format(high, low)
  end
  if kind == "funcref" or kind == "externref" then return kind end
  return shown(tostring(value))
end

local function params_text(frame)
  local kinds, names, parts = frame.definition.params or {}, frame.definition.param_names or {}, {}
  for i = 1, frame.count do
    local name = names[i] and shown(names[i]) .. "=" or ""
    parts[i] = (frame.exact and "" or "now ") .. name .. value_text(kinds[i], frame.values[i])
  end
  return #parts > 0 and "(" .. table.concat(parts, ", ") .. ")" or ""
end

-- The text of a place in the source, with a space in front.
local function place_text(place)
  if not place.file then return "" end
  local text = " " .. shown(place.file)
  if place.line then text = text .. ":" .. place.line end
  return place.line and place.column and text .. ":" .. place.column or text
end

local function module_of(frame)
  if frame.is_host then return "host" end
  local good, name = pcall(function() return frame.instance.name end) -- it may have been closed since
  return good and type(name) == "string" and name ~= "" and name or frame.module
end

-- What was inlined there stands above the frame, without a number.
local function add_frame(lines, number, frame)
  for _, inner in ipairs(frame.inlined) do
    lines[#lines + 1] = ("    %s (inlined)%s"):format(shown(inner.name or "?"), place_text(inner))
  end
  local module, offset = module_of(frame), frame.file_offset or frame.offset
  lines[#lines + 1] = ("#%-2d %s%s%s%s%s"):format(number, shown(frame.definition.name), params_text(frame),
    module and module ~= "" and (" (%s)"):format(shown(module)) or "", offset and (" 0x%x"):format(offset) or "",
    place_text(frame))
end

local Stack = { __metatable = "stack" }
Stack.__len = function(self) return #self.frames end
Stack.__index = function(self, key)
  if is_integer(key) then return self.frames[key] end
  return key == "omitted" and 0 or nil
end
Stack.__tostring = function(self)
  local lines = {}
  for i, frame in ipairs(self.frames) do add_frame(lines, i - 1, frame) end
  return table.concat(lines, "\n")
end

--- A stack of these frames, top first: what call:stack() gives, without a guest.
function testkit.stack(frames)
  if type(frames) ~= "table" then error("stack: a list of frames expected, got " .. type(frames), 0) end
  local list = {}
  for i, given in ipairs(frames) do list[i] = make_frame(i, given) end
  return setmetatable({ frames = list }, Stack)
end

-- ---- a call, and the bench ----
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
  function call.param(_, wanted) return top.values[param_number(top, wanted)] end
  function call.uparam(_, wanted)
    local i = param_number(top, wanted)
    return kinds[i] == "i32" and top.values[i] & 0xffffffff or top.values[i]
  end
  function call.bits(_, wanted)
    local i = param_number(top, wanted)
    return bits_of(kinds[i], top.values[i])
  end
  function call.params() return top:params() end
  function call.stack() return setmetatable({ frames = stack.frames }, Stack) end
  call.snapshot = call.stack
  return call
end

local function listener_parts(listener)
  if type(listener) == "function" then return listener, nil end
  if type(listener) ~= "table" or not (listener.before or listener.after or listener.abort) then
    error("bench: a listener (a function, or a table with before, after or abort) expected", 0)
  end
  for _, name in ipairs({ "before", "after", "abort" }) do
    local callback = listener[name]
    if callback and type(callback) ~= "function" then
      error(("bench: %s must be a function, not a %s"):format(name, type(callback)), 0)
    end
  end
  return listener.before, listener.after
end

--- Calls before and after `count` times for the top frame of the list, with a stack that stands at its top each time; its calls
-- end well, so that abort is never called. Gives the mean time of one round in nanoseconds. `count_in_c` does it for an
-- aggregation, which no function of Lua's can call.
function testkit.bench(count, frames, listener, count_in_c)
  if not is_integer(count) or count < 1 then error("bench: how often? A whole number from 1 expected", 0) end
  local stack = testkit.stack(frames)
  if #stack == 0 then error("bench: at least one frame expected", 0) end
  if getmetatable(listener) == "lunette.aggregation" then return count_in_c(count, stack, listener) end
  local before, after = listener_parts(listener)
  local call, top = make_call(stack), stack[1]
  local params, results, param_count, result_count = top.values, top.results, top.count, top.result_count
  local start = core.monotonic_ns()
  for i = 1, count do
    call.id = i
    if before then before(call, table.unpack(params, 1, param_count)) end
    if after then after(call, table.unpack(results, 1, result_count)) end
    call.data = nil
  end
  return (core.monotonic_ns() - start) / count
end

return testkit
