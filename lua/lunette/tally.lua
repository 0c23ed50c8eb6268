-- SPDX-License-Identifier: MIT
--- How the rows of an aggregation are printed: text with aligned columns and bars, JSON, CSV, OpenMetrics. A row has what
-- agg:table() gives, with texts for stacks; `spec` says what it was made with, `rest` what stands below it.

local render = require("lunette.render")
local notation = require("lunette.notation")

local tally = {}

local BAR = 30

-- ---- values ----
local units = { { 1e9, "s" }, { 1e6, "ms" }, { 1e3, "us" } }

--- ns → "1.50ms": three digits that count.
function tally.duration(ns)
  for _, unit in ipairs(units) do
    if ns >= unit[1] * 0.9995 then
      local value = ns / unit[1]
      return (value >= 99.95 and "%.0f%s" or value >= 9.995 and "%.1f%s" or "%.2f%s"):format(value, unit[2])
    end
  end
  return ("%.0fns"):format(ns)
end

local is_time, number, escape, key_text = notation.is_time, notation.number, notation.escape, notation.key

local function shown(spec, value)
  if value == nil then return "" end
  return is_time(spec) and tally.duration(value) or number(value)
end

-- ---- columns: { title, field of the row, whether it is a value } ----
local function quantile_title(q) return "p" .. (("%.4f"):format(q * 100):gsub("%.?0+$", "")) end

local columns = {
  count = { { "calls", "calls" } },
  sum = { { "sum", "sum", true }, { "calls", "calls" } },
  min = { { "min", "min", true }, { "calls", "calls" } },
  max = { { "max", "max", true }, { "calls", "calls" } },
  avg = { { "avg", "avg", true }, { "calls", "calls" } },
  stats = { { "calls", "calls" }, { "sum", "sum", true }, { "min", "min", true }, { "avg", "avg", true },
            { "max", "max", true }, { "stddev", "stddev", true } },
  balance = { { "open", "open" }, { "opened", "opened" }, { "closed", "closed" } },
}

local function columns_of(spec)
  if columns[spec.kind] then return columns[spec.kind] end
  local list = { { "calls", "calls" }, { "total", "sum", true }, { "avg", "avg", true } }
  for _, q in ipairs(spec.q or {}) do list[#list + 1] = { quantile_title(q), q, true } end
  list[#list + 1] = { "max", "max", true }
  return list
end

local function cell(row, field)
  if type(field) == "number" then return row.quantiles[field] end
  return row[field]
end

local function labels(spec)
  local list = {}
  for i, key in ipairs(spec.keys) do list[i] = key.label end
  return list
end

-- ---- text ----
local function width(word) return utf8.len(word) or #word end
local function right(word, size) return (" "):rep(size - width(word)) .. word end
local function left(word, size) return word .. (" "):rep(size - width(word)) end

local function bar(value, most)
  if type(value) ~= "number" or type(most) ~= "number" or most <= 0 or value <= 0 then return "" end
  return ("#"):rep(math.max(1, math.floor(BAR * value / most + 0.5)))
end

-- The lines of a table: numbers to the right, then the keys to the left, then a bar of the first number that is drawn.
local function lines_of(head, cells, numbers, bars)
  local widths, lines = {}, {}
  for i, word in ipairs(head) do widths[i] = width(word) end
  for _, row in ipairs(cells) do
    for i, word in ipairs(row) do widths[i] = math.max(widths[i], width(word)) end
  end
  local function line(row, drawn)
    local parts = {}
    for i, word in ipairs(row) do parts[i] = i <= numbers and right(word, widths[i]) or left(word, widths[i]) end
    if drawn ~= "" then parts[#parts + 1] = drawn end
    return (table.concat(parts, "  "):gsub(" +$", ""))
  end
  lines[1] = line(head, "")
  for i, row in ipairs(cells) do lines[i + 1] = line(row, bars and bars[i] or "") end
  return lines
end

local function keys_in(row)
  local list = {}
  for i, key in ipairs(row.keys) do list[i] = key_text(key) end
  return list
end

local drawn_field = {
  count = "calls", sum = "sum", max = "max", avg = "avg", stats = "calls", quantile = "sum", balance = "open",
}

local function text_table(spec, rows)
  local wanted, head, cells, bars = columns_of(spec), {}, {}, {}
  for i, column in ipairs(wanted) do head[i] = column[1] end
  table.move(labels(spec), 1, #spec.keys, #head + 1, head)
  local most, field = 0, drawn_field[spec.kind]
  for _, row in ipairs(rows) do most = math.max(most, field and row[field] or 0) end
  for i, row in ipairs(rows) do
    cells[i] = {}
    for c, column in ipairs(wanted) do
      local value = cell(row, column[2])
      cells[i][c] = column[3] and shown(spec, value) or tostring(value)
    end
    table.move(keys_in(row), 1, #row.keys, #wanted + 1, cells[i])
    bars[i] = #rows > 1 and bar(field and row[field], most) or ""
  end
  return lines_of(head, cells, #wanted, bars)
end

local function range(spec, bucket)
  if bucket.low == bucket.high then return shown(spec, bucket.low) end
  if bucket.low < 0 and spec.kind == "hist" then
    return ("(%s, %s]"):format(shown(spec, bucket.low), shown(spec, bucket.high))
  end
  return ("[%s, %s)"):format(shown(spec, bucket.low), shown(spec, bucket.high))
end

local function histogram_lines(spec, row)
  local cells, bars, most = {}, {}, 0
  for _, bucket in ipairs(row.buckets) do most = math.max(most, bucket.count) end
  for i, bucket in ipairs(row.buckets) do
    cells[i] = { range(spec, bucket), tostring(bucket.count) }
    bars[i] = bar(bucket.count, most)
  end
  return lines_of({ spec.value.label, "calls" }, cells, 2, bars)
end

local function text_histograms(spec, rows)
  local lines = {}
  for _, row in ipairs(rows) do
    if #row.keys > 0 then lines[#lines + 1] = table.concat(keys_in(row), ", ") end
    table.move(histogram_lines(spec, row), 1, #row.buckets + 1, #lines + 1, lines)
  end
  if #rows == 0 then lines[1] = ("%s of %s: no calls"):format(spec.shown, spec.value.label) end
  return lines
end

local function is_histogram(spec) return spec.kind == "hist" or spec.kind == "lhist" end

local function plain(spec, rows, rest)
  local lines = is_histogram(spec) and text_histograms(spec, rows) or text_table(spec, rows)
  if spec.name then table.insert(lines, 1, escape(spec.name) .. ":") end
  if rest.more > 0 then lines[#lines + 1] = ("... %d more"):format(rest.more) end
  if spec.kind == "balance" then
    lines[#lines + 1] = ("%d opened, %d closed"):format(rest.total.opened, rest.total.closed)
  end
  if rest.left_out > 0 then
    lines[#lines + 1] = ("left out: %d calls, beyond a budget of %d bytes"):format(rest.left_out, rest.budget)
  end
  return table.concat(lines, "\n") .. "\n"
end

-- ---- json ----
local json_value, json_object, json_list = notation.json, notation.json_object, notation.json_list

local function json_row(spec, row)
  local fields = { { "keys", json_list(row.keys, json_value) } }
  if is_histogram(spec) then
    fields[#fields + 1] = { "calls", json_value(row.calls) }
    fields[#fields + 1] = { "buckets", json_list(row.buckets, function(bucket)
      return json_object({ { "low", json_value(bucket.low) }, { "high", json_value(bucket.high) },
                           { "calls", json_value(bucket.count) } })
    end) }
  else
    for _, column in ipairs(columns_of(spec)) do
      fields[#fields + 1] = { type(column[2]) == "number" and column[1] or column[2], json_value(cell(row, column[2])) }
    end
  end
  return json_object(fields)
end

local function json(spec, rows, rest)
  return json_object({
    { "kind", json_value(spec.shown) }, { "name", json_value(spec.title) }, { "by", json_list(labels(spec), json_value) },
    { "rows", json_list(rows, function(row) return json_row(spec, row) end) },
    { "more", json_value(rest.more) }, { "left_out", json_value(rest.left_out) },
  }) .. "\n"
end

-- ---- csv (RFC 4180) ----
local function csv_field(value)
  if type(value) == "number" then value = math.type(value) == "float" and render.float(value):gsub("%.0$", "") or value end
  value = tostring(value)
  return value:find('[",\r\n]') and '"' .. value:gsub('"', '""') .. '"' or value
end

local function csv_line(list)
  local parts = {}
  for i, value in ipairs(list) do parts[i] = csv_field(value) end
  return table.concat(parts, ",") .. "\r\n"
end

local function csv(spec, rows)
  local head, lines = labels(spec), {}
  if is_histogram(spec) then
    lines[1] = csv_line(table.move({ "low", "high", "calls" }, 1, 3, #head + 1, head))
    for _, row in ipairs(rows) do
      for _, bucket in ipairs(row.buckets) do
        local line = table.move(row.keys, 1, #row.keys, 1, {})
        lines[#lines + 1] = csv_line(table.move({ bucket.low, bucket.high, bucket.count }, 1, 3, #line + 1, line))
      end
    end
    return table.concat(lines)
  end
  local wanted = columns_of(spec)
  for _, column in ipairs(wanted) do head[#head + 1] = type(column[2]) == "number" and column[1] or column[2] end
  lines[1] = csv_line(head)
  for _, row in ipairs(rows) do
    local line = table.move(row.keys, 1, #row.keys, 1, {})
    for _, column in ipairs(wanted) do line[#line + 1] = cell(row, column[2]) end
    lines[#lines + 1] = csv_line(line)
  end
  return table.concat(lines)
end

-- ---- OpenMetrics 1.0 ----
local function metric_name(word) return (word:gsub("[^%w_]", "_")) end

local function metric_labels(spec, row, more)
  local parts = {}
  for i, key in ipairs(row.keys) do
    local value = (type(key) == "string" and key or key_text(key)):gsub('[\\"]', "\\%0"):gsub("\n", "\\n")
    parts[i] = ('%s="%s"'):format(metric_name(spec.keys[i].label), value)
  end
  parts[#parts + 1] = more
  return #parts > 0 and "{" .. table.concat(parts, ",") .. "}" or ""
end

local function metric_number(spec, value)
  if is_time(spec) then value = value / 1e9 end
  if value == math.huge then return "+Inf" end
  return (render.float(value + 0.0):gsub("%.0$", ""))
end

local Metrics = {}
Metrics.__index = Metrics

function Metrics:family(suffix, kind)
  local name = self.base .. suffix
  self[#self + 1] = ("# TYPE %s %s\n"):format(name, kind)
  return name
end

function Metrics:sample(name, row, value, more)
  self[#self + 1] = ("%s%s %s\n"):format(name, metric_labels(self.spec, row, more), value)
end

function Metrics:gauges(rows, field, suffix)
  local name = self:family(suffix, "gauge")
  for _, row in ipairs(rows) do self:sample(name, row, metric_number(self.spec, row[field])) end
end

function Metrics:counter(rows, field, suffix)
  local name = self:family(suffix, "counter")
  for _, row in ipairs(rows) do self:sample(name .. "_total", row, tostring(row[field])) end
end

function Metrics:summary(rows)
  local name = self:family("", "summary")
  for _, row in ipairs(rows) do
    for _, q in ipairs(self.spec.q or {}) do
      self:sample(name, row, metric_number(self.spec, row.quantiles[q]), ('quantile="%s"'):format(number(q)))
    end
    self:sample(name .. "_sum", row, metric_number(self.spec, row.sum + (row.nested or 0)))
    self:sample(name .. "_count", row, tostring(row.calls))
  end
end

-- The upper bound of a bucket is in it there, and not in it here: of whole numbers it is the one before.
local function bound(spec, bucket)
  local high = bucket.high
  local has_upper = bucket.low == high or bucket.low < 0 and spec.kind == "hist"
  if math.type(high) == "integer" and not has_upper then high = high - 1 end
  return metric_number(spec, high)
end

function Metrics:histogram(rows)
  local name = self:family("", "histogram")
  for _, row in ipairs(rows) do
    local so_far, last = 0, nil
    for _, bucket in ipairs(row.buckets) do
      so_far, last = so_far + bucket.count, bound(self.spec, bucket)
      self:sample(name .. "_bucket", row, tostring(so_far), ('le="%s"'):format(last))
    end
    if last ~= "+Inf" then self:sample(name .. "_bucket", row, tostring(so_far), 'le="+Inf"') end
    if row.buckets[1] and row.buckets[1].low >= 0 then
      self:sample(name .. "_sum", row, metric_number(self.spec, row.sum + (row.nested or 0)))
      self:sample(name .. "_count", row, tostring(row.calls))
    end
  end
end

local function openmetrics(spec, rows)
  local base = "lunette_" .. metric_name(spec.title) .. (is_time(spec) and "_seconds" or "")
  local out = setmetatable({ spec = spec, base = base }, Metrics)
  if spec.kind == "count" then
    out:counter(rows, "calls", "")
  elseif is_histogram(spec) then
    out:histogram(rows)
  elseif spec.kind == "quantile" then
    out:summary(rows)
  elseif spec.kind == "balance" then
    out:counter(rows, "opened", "_opened")
    out:counter(rows, "closed", "_closed")
  elseif spec.kind == "stats" then
    out:summary(rows)
    for _, field in ipairs({ "min", "max", "stddev" }) do out:gauges(rows, field, "_" .. field) end
  else
    out:gauges(rows, spec.kind, "")
  end
  out[#out + 1] = "# EOF\n"
  return table.concat(out)
end

tally.formats = { text = plain, json = json, csv = csv, openmetrics = openmetrics }

return tally
