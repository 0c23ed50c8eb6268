-- SPDX-License-Identifier: MIT
--- What lunette.fake is told, checked and made whole: names become functions, lists get their defaults. Raises what is wrong
-- with it, in one sentence.

local core = require("lunette.core")
local module = require("lunette.fake.module")

local declared = {}

local PAGE = 65536

--- Raises where a table has a key that is not among the names.
function declared.check_names(what, given, names)
  local known = {}
  for _, name in ipairs(names) do known[name] = true end
  for key in pairs(given) do
    if type(key) == "string" and not known[key] then
      local nearest = core.nearest(key, names)
      error(("%s: no such field: %s%s"):format(what, key, nearest and ("; did you mean '%s'?"):format(nearest) or ""), 0)
    end
  end
end

local function check_type(what, value, wanted, optional)
  if value == nil and optional then return value end
  if type(value) ~= wanted then error(("%s must be a %s, not a %s"):format(what, wanted, type(value)), 0) end
  return value
end

local function check_kinds(what, kinds)
  for _, kind in ipairs(check_type(what, kinds or {}, "table")) do
    if not module.types[kind] then error(("%s: no such type: %s"):format(what, tostring(kind)), 0) end
  end
  return kinds or {}
end

local function_fields = { "name", "params", "results", "param_names", "host", "export", "call" }

local function read_function(i, given)
  if type(given) == "string" then given = { name = given } end
  local what = ("fake: function %d"):format(i)
  check_type(what, given, "table")
  declared.check_names(what, given, function_fields)
  local own = { name = check_type(what .. ": name", given.name, "string") }
  what = "fake: " .. own.name
  own.params = check_kinds(what .. ": params", given.params)
  own.results = check_kinds(what .. ": results", given.results)
  own.param_names = check_type(what .. ": param_names", given.param_names or {}, "table")
  for at, name in ipairs(own.param_names) do check_type(("%s: param_names: %d"):format(what, at), name, "string") end
  if given.host then
    own.is_host, own.from, own.as = true, check_type(what .. ": host", given.host, "string"), own.name
    own.call = check_type(what .. ": call", given.call, "function", true)
  elseif given.call then
    error(("%s: call is for host functions; say host = \"env\", or the module's name"):format(what), 0)
  end
  local export = given.export == true and own.name or given.export or nil
  own.export = check_type(what .. ": export", export, "string", true)
  return own
end

local function read_functions(given)
  local hosts, guests, by_name = {}, {}, {}
  for i, item in ipairs(check_type("fake: functions", given or {}, "table")) do
    local own = read_function(i, item)
    if by_name[own.name] then error(("fake: there are two functions %s"):format(own.name), 0) end
    by_name[own.name] = own
    local list = own.is_host and hosts or guests
    list[#list + 1] = own
  end
  return hosts, guests, by_name
end

--- The function of a name, with the nearest name where there is none. Raises.
function declared.find(fake, wanted)
  local own = fake.by_name[wanted]
  if own then return own end
  local names = {}
  for name in pairs(fake.by_name) do names[#names + 1] = name end
  local nearest = core.nearest(tostring(wanted), names)
  local hint = nearest and ("; did you mean '%s'?"):format(nearest) or ""
  error(("fake: no such function: %s%s"):format(tostring(wanted), hint), 0)
end

local function is_count(value) return math.type(value) == "integer" and value >= 0 end

local function read_memory(given)
  local memory = { data = {}, min = 1 }
  if type(given) == "string" then given = { [0] = given } end
  for key, value in pairs(check_type("fake: memory", given or {}, "table")) do
    if is_count(key) and type(value) == "string" then
      memory.data[#memory.data + 1] = { key, value }
      memory.min = math.max(memory.min, (key + #value + PAGE - 1) // PAGE)
    elseif (key == "pages" or key == "max") and is_count(value) then
      memory[key] = value
    else
      error("fake: memory is a string, or a table of address = string, pages = N and max = N", 0)
    end
  end
  memory.min = math.max(memory.min, memory.pages or 0)
  if memory.max and memory.max < memory.min then
    error(("fake: memory: max is %d pages, and there are %d"):format(memory.max, memory.min), 0)
  end
  if (memory.max or memory.min) > 65536 then error("fake: memory has at most 65536 pages", 0) end
  return memory
end

-- A frame, or a call of a play, as { name, param…, … }; `name =` and `params =` as lunette.stack takes them will do, too.
function declared.frame(i, given)
  if type(given) == "string" then return { given } end
  check_type(("fake: frame %d"):format(i), given, "table")
  if given.name == nil then return given end
  check_type(("fake: frame %d: params"):format(i), given.params, "table", true)
  return { given.name, table.unpack(given.params or {}) }
end

--- Frames name functions that need not be declared otherwise.
local function read_frames(given, guests, by_name)
  local frames = {}
  for i, item in ipairs(check_type("fake: frames", given or {}, "table")) do
    local frame = declared.frame(i, item)
    if type(frame[1]) ~= "string" then error(("fake: frame %d has no name"):format(i), 0) end
    local known = by_name[frame[1]]
    if known and known.is_host then
      error(("fake: frame %d, %s, is a host function: the frames are the guest's own"):format(i, frame[1]), 0)
    end
    if not known then
      if #frame > 1 then error(("fake: frame %d, %s, has params: declare it in functions"):format(i, frame[1]), 0) end
      local own = read_function(i, frame[1])
      by_name[own.name], guests[#guests + 1] = own, own
    end
    frames[i] = frame
  end
  return frames
end

--- All of it: what module.bytes takes, and `frames`, `by_name`.
function declared.read(given)
  check_type("fake: what it is told", given, "table")
  declared.check_names("fake", given, { "module", "functions", "memory", "frames", "session" })
  check_type("fake: session", given.session, "table", true)
  local hosts, guests, by_name = read_functions(given.functions)
  local frames = read_frames(given.frames, guests, by_name)
  local functions = table.move(guests, 1, #guests, #hosts + 1, hosts)
  for i, own in ipairs(functions) do own.index = i - 1 end
  return {
    name = check_type("fake: module", given.module or "fake", "string"), functions = functions, by_name = by_name,
    frames = frames, memory = read_memory(given.memory),
  }
end

return declared
