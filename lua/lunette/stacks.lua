-- SPDX-License-Identifier: MIT
--- What was counted by stack, for the tools that draw it: folded lines (flamegraph.pl), speedscope's JSON, pprof's protocol
-- buffers. A stack is known by its number; its frames are looked up when it is shown, what was inlined in them included.

local core = require("lunette.core")
local notation = require("lunette.notation")

local stacks = {}

local SHOWN = 8 -- functions of a stack in a table

-- ---- frames ----
--- Where the number of a stack stands among the keys, or nil.
function stacks.place(spec)
  for i, key in ipairs(spec.keys) do
    if key.source == "stack" then return i end
  end
  return nil
end

-- A frame's source places, the outermost first: the function itself, then what was inlined in it.
local function places_of(frame)
  local definition, inlined = frame.definition, frame.inlined
  local at_call = frame.offset ~= nil
  local places = { {
    name = definition.name, system_name = definition.raw_name, file = at_call and frame.file or definition.file,
    line = at_call and frame.line or definition.line, column = at_call and frame.column or nil, start = definition.line,
  } }
  for i = #inlined, 1, -1 do
    local place = inlined[i]
    places[#places + 1] = { name = place.name or "?", file = place.file, line = place.line, column = place.column,
                            inlined = true }
  end
  return places
end

-- A reader of stacks: id → its frames, the outermost first. Frames that are the same are one table, with `places`.
local function reader(spec)
  local known = {}
  return function(id)
    local frames = {}
    local stack = core.stack_of(spec.session, id)
    for i = #stack, 1, -1 do
      local frame = stack[i]
      local definition, offset = frame.definition, frame.offset or -1
      local by_offset = known[definition] or {}
      known[definition] = by_offset
      if not by_offset[offset] then
        by_offset[offset] = { places = places_of(frame), module = definition.module, address = frame.file_offset or 0 }
      end
      frames[#frames + 1] = by_offset[offset]
    end
    return frames
  end
end

-- The other keys of a row, as texts.
local function other_keys(spec, row, place)
  local list = {}
  for i, key in ipairs(row.keys) do
    if i ~= place then list[#list + 1] = { label = spec.keys[i].label, text = notation.key(key) } end
  end
  return list
end

local function value_of(spec, row) return spec.kind == "sum" and row.sum or row.calls end

-- ---- as keys of tables ----
-- flamegraph.pl parts frames by semicolons and takes what follows the last blank for the count.
local function folded_name(name) return (notation.escape(name):gsub(";", ":")) end

local function folded_names(frames, mark)
  local names = {}
  for _, frame in ipairs(frames) do
    for _, place in ipairs(frame.places) do
      names[#names + 1] = folded_name(place.name) .. (mark and place.inlined and "_[i]" or "")
    end
  end
  return names
end

-- "leaf < caller < …", the innermost first.
local function short(frames)
  local names = {}
  for i = #frames, math.max(1, #frames - SHOWN + 1), -1 do names[#names + 1] = notation.escape(frames[i].places[1].name) end
  if #frames > SHOWN then names[#names + 1] = ("... %d more"):format(#frames - SHOWN) end
  return table.concat(names, " < ")
end

--- Puts texts in the place of stacks' numbers in the keys of rows: whole ones, the outermost function first, or `brief` ones.
function stacks.name_keys(spec, rows, brief)
  local place = stacks.place(spec)
  if not place then return end
  local read = reader(spec)
  for _, row in ipairs(rows) do
    local frames = read(row.keys[place])
    row.keys[place] = brief and short(frames) or table.concat(folded_names(frames), ";")
  end
end

-- ---- folded ----
local function folded(spec, rows)
  local place, read = stacks.place(spec), reader(spec)
  local order, sums = {}, {}
  for _, row in ipairs(rows) do
    local names = {}
    for i, key in ipairs(other_keys(spec, row, place)) do names[i] = folded_name(key.text) end
    local own = folded_names(read(row.keys[place]), true)
    local line = table.concat(table.move(own, 1, #own, #names + 1, names), ";")
    if not sums[line] then order[#order + 1] = line end
    sums[line] = (sums[line] or 0) + value_of(spec, row)
  end
  for i, line in ipairs(order) do order[i] = ("%s %s\n"):format(line, notation.number(sums[line])) end
  return table.concat(order)
end

-- ---- speedscope: https://www.speedscope.app/file-format-schema.json ----
-- A table of things without doubles: give() is the index of one, from 0.
local function interning(make)
  local list, known = {}, {}
  return list, function(mark, ...)
    if not known[mark] then
      list[#list + 1] = make(...)
      known[mark] = #list - 1
    end
    return known[mark]
  end
end

-- A frame there is a function, whatever the line that it stands at.
local function scope_frame(place)
  local fields = { { "name", notation.json(place.name) } }
  if place.file then fields[#fields + 1] = { "file", notation.json(place.file) } end
  if place.start then fields[#fields + 1] = { "line", notation.json(place.start) } end
  return notation.json_object(fields)
end

local function function_mark(place) return place.name .. "\0" .. (place.file or "") end

local function number_list(list) return notation.json_list(list, notation.json) end

local function speedscope(spec, rows)
  local place, read = stacks.place(spec), reader(spec)
  local frames, give = interning(scope_frame)
  local samples, weights, total = {}, {}, 0
  for _, row in ipairs(rows) do
    local sample = {}
    for _, key in ipairs(other_keys(spec, row, place)) do
      sample[#sample + 1] = give("=" .. key.text, { name = key.text })
    end
    for _, frame in ipairs(read(row.keys[place])) do
      for _, at in ipairs(frame.places) do sample[#sample + 1] = give(function_mark(at), at) end
    end
    local value = value_of(spec, row)
    samples[#samples + 1], weights[#weights + 1], total = number_list(sample), value, total + value
  end
  local is_size = spec.value and spec.value.source == "memory_size"
  local unit = notation.is_time(spec) and "nanoseconds" or is_size and "bytes" or "none"
  local profile = notation.json_object({
    { "type", '"sampled"' }, { "name", notation.json(spec.title) }, { "unit", notation.json(unit) }, { "startValue", "0" },
    { "endValue", notation.json(total) }, { "samples", "[" .. table.concat(samples, ",") .. "]" },
    { "weights", number_list(weights) },
  })
  return notation.json_object({
    { "$schema", notation.json("https://www.speedscope.app/file-format-schema.json") },
    { "exporter", notation.json("lunette " .. core.version) }, { "name", notation.json(spec.title) },
    { "activeProfileIndex", "0" },
    { "shared", notation.json_object({ { "frames", "[" .. table.concat(frames, ",") .. "]" } }) },
    { "profiles", "[" .. profile .. "]" },
  }) .. "\n"
end

-- ---- pprof: profile.proto of github.com/google/pprof ----
local function varint(number)
  local bytes = {}
  while number >= 0x80 or number < 0 do
    bytes[#bytes + 1] = string.char(number & 0x7f | 0x80)
    number = number >> 7
  end
  bytes[#bytes + 1] = string.char(number)
  return table.concat(bytes)
end

-- A message: { field number, integer or bytes }, …; zeros and nils are left out, as the format has it.
local function message(fields)
  local parts = {}
  for i, field in ipairs(fields) do
    local number, value = field[1], field[2]
    if type(value) == "string" then
      parts[i] = varint(number << 3 | 2) .. varint(#value) .. value
    else
      parts[i] = value and value ~= 0 and varint(number << 3) .. varint(value) or ""
    end
  end
  return table.concat(parts)
end

local function packed(list)
  local parts = {}
  for i, number in ipairs(list) do parts[i] = varint(number) end
  return table.concat(parts)
end

local function whole(value) return math.tointeger(value) or math.tointeger(math.floor(value + 0.5)) or 0 end

-- What a profile consists of, each thing numbered from 1 (a string from 0) and written once.
local function profile_tables()
  local tables = {}
  local strings, string_id = interning(function(bytes) return bytes end)
  local functions, function_id = interning(function(id, at)
    local system_name, file = at.system_name or at.name, at.file or ""
    return message({ { 1, id }, { 2, string_id(at.name, at.name) }, { 3, string_id(system_name, system_name) },
                     { 4, string_id(file, file) }, { 5, at.start } })
  end)
  local mappings, mapping_id = interning(function(id, name)
    return message({ { 1, id }, { 5, string_id(name, name) }, { 7, 1 }, { 8, 1 }, { 9, 1 }, { 10, 1 } })
  end)
  local locations, location_id = interning(function(id, frame)
    local fields = { { 1, id }, { 2, mapping_id(frame.module, #mappings + 1, frame.module) + 1 }, { 3, frame.address } }
    for i = #frame.places, 1, -1 do
      local at = frame.places[i]
      local line = message({ { 1, function_id(function_mark(at), #functions + 1, at) + 1 }, { 2, at.line }, { 3, at.column } })
      fields[#fields + 1] = { 4, line }
    end
    return message(fields)
  end)
  string_id("", "")
  tables.strings, tables.functions, tables.mappings, tables.locations = strings, functions, mappings, locations
  function tables.text(bytes) return string_id(bytes, bytes) end
  function tables.location(frame) return location_id(frame, #locations + 1, frame) + 1 end
  return tables
end

local function pprof(spec, rows)
  local place, read, tables = stacks.place(spec), reader(spec), profile_tables()
  local fields = { { 1, message({ { 1, tables.text("calls") }, { 2, tables.text("count") } }) } }
  if spec.kind == "sum" then
    local unit = notation.is_time(spec) and "nanoseconds" or spec.value.source == "memory_size" and "bytes" or "count"
    fields[2] = { 1, message({ { 1, tables.text(spec.value.label) }, { 2, tables.text(unit) } }) }
  end
  local last_type = spec.kind == "sum" and spec.value.label or "calls"
  for _, row in ipairs(rows) do
    local frames, locations = read(row.keys[place]), {}
    for i = #frames, 1, -1 do locations[#locations + 1] = tables.location(frames[i]) end
    local sample = { { 1, packed(locations) }, { 2, packed({ row.calls, spec.kind == "sum" and whole(row.sum) or nil }) } }
    for _, key in ipairs(other_keys(spec, row, place)) do
      sample[#sample + 1] = { 3, message({ { 1, tables.text(key.label) }, { 2, tables.text(key.text) } }) }
    end
    fields[#fields + 1] = { 2, message(sample) }
  end
  local function add(number, list)
    for _, bytes in ipairs(list) do fields[#fields + 1] = { number, bytes } end
  end
  fields[#fields + 1] = { 14, tables.text(last_type) }
  add(3, tables.mappings)
  add(4, tables.locations)
  add(5, tables.functions)
  add(6, tables.strings)
  return core.gzip(message(fields))
end

stacks.formats = { folded = folded, speedscope = speedscope, pprof = pprof }

return stacks
