-- SPDX-License-Identifier: MIT
--- Aggregations, the Lua side: what lunette.count{…} and its like take, and the rows that they give. The counting is the
-- core's; how rows are printed is in lunette.tally.

local core = require("lunette.core")
local reading = require("lunette.reading")
local stacks = require("lunette.stacks")
local tally = require("lunette.tally")

local aggregate = {}

-- kind → what the core calls it, and which value it has by default.
local kinds = {
  count = { core = "count" },
  sum = { core = "sum", takes_value = true },
  min = { core = "min", takes_value = true },
  max = { core = "max", takes_value = true },
  avg = { core = "avg", takes_value = true },
  stats = { core = "stats", takes_value = true },
  hist = { core = "hist", takes_value = true },
  lhist = { core = "lhist", takes_value = true },
  quantile = { core = "quantile", takes_value = true },
  latency = { core = "quantile", takes_value = true, value = reading.word("elapsed") },
  stacks = { core = "count", takes_value = true, by_stack = true }, -- with a value its sum
}

aggregate.kinds = kinds

local function refuse(kind, text, ...) error(kind .. ": " .. text:format(...), 0) end

local function nearest_hint(word, names)
  local nearest = core.nearest(tostring(word), names)
  return nearest and ("; did you mean '%s'?"):format(nearest) or ""
end

local function check_names(kind, given, names)
  local known = {}
  for _, name in ipairs(names) do known[name] = true end
  for name in pairs(given) do
    if not known[name] then refuse(kind, "no such option: %s%s", tostring(name), nearest_hint(name, names)) end
  end
end

local function copy_of(kind, one)
  return reading.copy(one) or refuse(kind, "this is no description of a call's values")
end

-- A list of the script's, taken as it is now and without its metamethods.
local function items_of(list)
  local items = {}
  for i = 1, rawlen(list) do items[i] = rawget(list, i) end
  return items
end

local function key_of(kind, wanted)
  if reading.is(wanted) then return copy_of(kind, wanted) end
  if type(wanted) ~= "string" then refuse(kind, "by: a name or lunette.arg(n) expected, got %s", type(wanted)) end
  return reading.word(wanted) or refuse(kind, "by cannot be \"%s\"%s", wanted, nearest_hint(wanted, reading.names()))
end

local function keys_of(kind, by)
  if by == nil then by = kinds[kind] and kinds[kind].by_stack and {} or "name" end
  if type(by) ~= "table" or reading.is(by) then by = { by } end
  local keys = {}
  for i, wanted in ipairs(items_of(by)) do keys[i] = key_of(kind, wanted) end
  if kinds[kind] and kinds[kind].by_stack and not stacks.place({ keys = keys }) then keys[#keys + 1] = reading.word("stack") end
  return keys
end

local function number_in(kind, given, name, default)
  local value = given[name]
  if value == nil then value = default end
  if type(value) ~= "number" then refuse(kind, "%s: a number expected, got %s", name, type(value)) end
  return value
end

local sizes = { [""] = 1, K = 1 << 10, M = 1 << 20, G = 1 << 30 }

local function budget_of(kind, given)
  if given == nil then return nil end
  local digits, unit = tostring(given):match("^(%d+)([KMG]?)$")
  local bytes = digits and math.tointeger(tonumber(digits)) and math.tointeger(tonumber(digits)) * sizes[unit]
  if not bytes or bytes < 1 then refuse(kind, "budget: bytes expected, as 65536 or \"64K\", got %s", tostring(given)) end
  return bytes
end

local function quantiles_of(kind, given)
  if given == nil then return { 0.5, 0.9, 0.99 } end
  local shares = type(given) == "table" and items_of(given) or { given }
  for _, q in ipairs(shares) do
    if type(q) ~= "number" or not (q >= 0 and q <= 1) then refuse(kind, "q: shares from 0 to 1 expected, as {0.5, 0.99}") end
  end
  return shares
end

-- What stands above the table, and in messages.
local function name_in(kind, given)
  if given.name ~= nil and type(given.name) ~= "string" then refuse(kind, "name: a text expected, got %s", type(given.name)) end
  return given.name
end

local function check_predicate(kind, when)
  if when ~= nil and not reading.is_predicate(when) then
    refuse(kind, "when: a predicate expected, as lunette.arg(1):gt(0), got %s", type(when))
  end
  return when
end

local function spec_of(kind, given)
  local row = kinds[kind]
  local names = { "by", "when", "quiet", "name", "budget" }
  if row.takes_value then names[#names + 1] = "value" end
  if kind == "lhist" then table.move({ "from", "to", "step" }, 1, 3, #names + 1, names) end
  if row.core == "quantile" then names[#names + 1] = "q" end
  check_names(kind, given, names)
  local value = given.value or row.value
  if row.takes_value and not reading.is(value) and not (row.by_stack and value == nil) then
    refuse(kind, "value: lunette.arg(n) or another value of a call expected, got %s", type(value))
  end
  if value then value = copy_of(kind, value) end
  local spec = { kind = row.core, keys = keys_of(kind, given.by), value = value, when = check_predicate(kind, given.when) }
  if row.by_stack and value then spec.kind = "sum" end
  if kind == "lhist" then
    spec.from, spec.to = number_in(kind, given, "from", 0), number_in(kind, given, "to")
    spec.step = number_in(kind, given, "step")
  end
  return spec
end

--- A new aggregation: kind, and what the script gave.
function aggregate.new(session, kind, given)
  if given == nil then given = {} end
  if type(given) ~= "table" then refuse(kind, "options must be a table, not a %s", type(given)) end
  local spec = spec_of(kind, given)
  spec.budget, spec.session = budget_of(kind, given.budget), session
  spec.shown, spec.quiet, spec.name = kind, given.quiet, name_in(kind, given)
  spec.title = spec.name or kind
  if spec.kind == "quantile" then spec.q = quantiles_of(kind, given.q) end
  return core.aggregate(session, spec), spec
end

--- What is opened and not closed: { key = } of both sides, or { open =, close = }.
function aggregate.balance(session, given)
  check_names("balance", given, { "key", "open", "close", "when", "quiet", "name", "budget" })
  local open, close = keys_of("balance", given.open or given.key or {}), keys_of("balance", given.close or given.key or {})
  if #open ~= #close then refuse("balance", "open and close must have as many keys") end
  local spec = { kind = "balance", keys = open, close_keys = close, when = check_predicate("balance", given.when) }
  spec.budget, spec.session = budget_of("balance", given.budget), session
  spec.shown, spec.quiet, spec.name = "balance", given.quiet, name_in("balance", given)
  spec.title = spec.name or "balance"
  return core.aggregate(session, spec), spec
end

-- ---- what the methods of an aggregation do (lua/binding/aggregate.c calls them) ----
local orders = { "calls", "sum", "min", "max", "avg", "stddev", "open", "key" }

local main_field = {
  count = "calls", sum = "sum", min = "min", max = "max", avg = "avg", stats = "calls", hist = "calls", lhist = "calls",
  quantile = "calls", latency = "sum", balance = "open",
}

local function less_key(a, b)
  for i = 1, #a.keys do
    local left, right = a.keys[i], b.keys[i]
    if left ~= right then
      if type(left) ~= type(right) then return type(left) < type(right) end
      return left < right
    end
  end
  return false
end

-- By a field of the rows, or by a quantile, a number.
local function sort_rows(rows, field)
  local rising = field == "min" or field == "key"
  local is_share = type(field) == "number"
  table.sort(rows, function(a, b)
    local left, right = a[field], b[field]
    if is_share then left, right = a.quantiles[field], b.quantiles[field] end
    if field == "open" then left, right = math.abs(left), math.abs(right) end
    if field ~= "key" and left ~= right then
      if rising then return left < right end
      return left > right
    end
    return less_key(a, b)
  end)
end

local function finish_row(spec, row, own)
  row.key = #row.keys == 1 and row.keys[1] or #row.keys > 1 and row.keys or nil
  if spec.kind == "balance" then row.open = row.opened - row.closed end
  if spec.kind == "min" or spec.kind == "max" then row.avg, row.sum = nil, nil end
  if not spec.q then return end
  row.quantiles = {}
  for _, q in ipairs(spec.q) do row.quantiles[q] = core.aggregate_quantile(own, row.number, q) end
end

--- All rows, by the main value, the largest first.
function aggregate.rows(own, field)
  local spec = core.aggregate_spec(own)
  local rows = core.aggregate_rows(own)
  for _, row in ipairs(rows) do
    finish_row(spec, row, own)
    row.number = nil
  end
  sort_rows(rows, field or main_field[spec.shown] or main_field[spec.kind])
  return rows, spec
end

function aggregate.table(own)
  local rows = aggregate.rows(own)
  rows.left_out = own.left_out
  return rows
end

local function format_of(name)
  local format = tally.formats[name] or stacks.formats[name]
  if format then return format end
  local names = {}
  for _, list in ipairs({ tally.formats, stacks.formats }) do
    for known in pairs(list) do names[#names + 1] = known end
  end
  error(("print: no such format: %s%s"):format(tostring(name), nearest_hint(name, names)), 0)
end

local function print_options(given)
  if given == nil then given = {} end
  if type(given) ~= "table" then error("print: options must be a table, not a " .. type(given), 0) end
  check_names("print", given, { "top", "sort", "format" })
  local top, format = given.top, given.format or "text"
  if top ~= nil and (math.type(top) ~= "integer" or top < 0) then error("print: top must be a number of rows", 0) end
  return top, given.sort, format, format_of(format)
end

local function sort_field(spec, rows, field)
  if field == nil then return nil end
  local share = type(field) == "string" and tonumber(field:match("^p(%d+%.?%d*)$"))
  for _, q in ipairs(spec.q or {}) do
    if share and math.abs(q * 100 - share) < 1e-9 then return q end
  end
  if type(field) == "string" then
    for _, name in ipairs(orders) do
      if name == field and (name == "key" or not rows[1] or rows[1][name] ~= nil) then return field end
    end
  end
  error(("print: %s cannot be sorted by %s%s"):format(spec.shown, tostring(field), nearest_hint(field, orders)), 0)
end

--- The text of it.
function aggregate.text(own, given)
  local top, field, name, format = print_options(given)
  local rows, spec = aggregate.rows(own)
  if stacks.formats[name] and not ((spec.kind == "count" or spec.kind == "sum") and stacks.place(spec)) then
    error(("print: %s is for stacks: lunette.stacks{…}, or a count or sum by=\"stack\""):format(name), 0)
  end
  field = sort_field(spec, rows, field)
  if field then sort_rows(rows, field) end
  local all = #rows
  if top and top > 0 then
    for i = all, top + 1, -1 do rows[i] = nil end
  end
  if tally.formats[name] then stacks.name_keys(spec, rows, name == "text") end
  return format(spec, rows, { more = all - #rows, left_out = own.left_out, budget = own.budget,
                                             total = core.aggregate_total(own) })
end

function aggregate.print(own, given)
  local text = aggregate.text(own, given)
  core.aggregate_spec(own).printed = true
  return core.aggregate_write(own, text)
end

return aggregate
