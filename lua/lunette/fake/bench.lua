-- SPDX-License-Identifier: MIT
--- The bench of aggregations, which count in C and hear real calls alone: the frames are played by a fake.
--
-- The frame below the top calls it again and again, and is itself entered once for many calls: what is counted by is the stack
-- of the list. The same is played before, while nobody listens; the difference is what the aggregation costs.

local fake = require("lunette.fake")

local bench = {}

local BATCH = 1000 -- calls of one play

local function kind_of(value)
  if math.type(value) == "float" then return "f64" end
  if type(value) == "string" then return "v128" end
  return math.type(value) == "integer" and (value < -(1 << 31) or value >= 1 << 32) and "i64" or "i32"
end

-- The types that the definition tells, or else such as the values have.
local function kinds_of(told, values, count)
  local kinds = {}
  for i = 1, math.max(count, #(told or {})) do kinds[i] = told and told[i] or kind_of(values[i]) end
  return kinds
end

local function call_of(frame) return { frame.definition.name, table.unpack(frame.values, 1, frame.count) } end

-- What lunette.fake takes: a function for each name; of the frames those that are entered once and for all.
local function declare(stack)
  local functions, frames, known = {}, {}, {}
  for i = 1, #stack do
    local frame, definition = stack[i], stack[i].definition
    if not known[definition.name] then
      known[definition.name] = true
      functions[#functions + 1] = {
        name = definition.name, param_names = definition.param_names,
        params = kinds_of(definition.params, frame.values, frame.count),
        results = kinds_of(definition.results, frame.results, frame.result_count),
        host = i == 1 and frame.is_host and (frame.module or "env") or nil,
      }
    end
    if i > 2 then frames[#frames + 1] = call_of(frame) end
  end
  return { module = stack[1].module, functions = functions, frames = frames }
end

-- The top frame's function; where frames further out are of it as well, at its depth alone.
local function where_of(stack)
  local name, depth = stack[1].definition.name, nil
  for i = 2, #stack do
    if stack[i].definition.name == name then depth = { #stack - 1, #stack - 1 } end
  end
  return { name = "=" .. name, depth = depth }
end

-- So many calls, as a function that plays them and gives the ns that they took. The host enters a function once for each call.
local function player(handle, stack, count)
  local top = call_of(stack[1])
  top.returns = stack[1].result_count > 0 and table.move(stack[1].results, 1, stack[1].result_count, 1, {}) or nil
  if #stack == 1 then return fake.player(handle, top, count) end
  local caller = call_of(stack[2])
  caller.calls = {}
  for i = 1, count do caller.calls[i] = top end
  return fake.player(handle, caller, 1)
end

--- The time in ns that the aggregation takes for a call of the top frame, of so many. It is little beside what disturbs a
-- machine: the quickest plays are compared.
function bench.run(open_session, count, stack, aggregation)
  local handle <close> = fake.new(open_session, declare(stack))
  local size = math.min(count, BATCH)
  local whole = player(handle, stack, size)
  local rest = count % size > 0 and player(handle, stack, count % size)
  local function quickest()
    local least = math.huge
    for _ = 1, count // size do least = math.min(least, whole()) end
    return least
  end
  quickest()
  local alone = quickest()
  handle.lunette.on(where_of(stack), aggregation)
  local counted = quickest()
  if rest then rest() end
  return math.max(counted - alone, 0) / size
end

return bench
