-- SPDX-License-Identifier: MIT
-- scripts/latency.lua and scripts/top.lua: each call once, times that fit together. How long a call took is nobody's to say
-- beforehand, so the figures are read from their csv.

local run = require("spec.support.run")

local guest = [[(module
  (func $leaf)
  (func $work (call $leaf) (call $leaf))
  (func (export "_start") (call $work) (call $work) (call $leaf)))]]

-- name → { column = text } of a table in csv.
local function table_of(text)
  local rows, names = {}, nil
  for line in text:gmatch("([^\r\n]+)\r\n") do
    local fields = {}
    for field in line:gmatch("[^,]+") do fields[#fields + 1] = field end
    if names then
      local row = {}
      for i, name in ipairs(names) do row[name] = tonumber(fields[i]) or fields[i] end
      rows[row["function"]] = row
    else
      names = fields
    end
  end
  return rows
end

local function rows_of(script, ...)
  local result = run { guest = guest, "run", "-s", script .. ",format=csv", ... }
  assert.equal(0, result.status, result.stderr)
  return table_of(result.stderr)
end

describe("latency", function()
  it("has a line for each function, in which each time is no more than the whole", function()
    local rows = rows_of("latency", "app.wasm")
    assert.same({ 5, 2, 1 }, { rows.leaf.calls, rows.work.calls, rows._start.calls })
    for _, row in pairs(rows) do
      assert.is_true(row.p50 <= row.p90 and row.p90 <= row.p99 and row.p99 <= row.max)
      assert.is_true(row.max <= row.sum and row.sum <= rows._start.sum)
    end
  end)

  it("shows a table with units and bars, of the functions of -w alone", function()
    local result = run { guest = guest, "run", "-s", "latency,top=1", "-w", "leaf", "-w", "work", "app.wasm" }
    assert.matches("^calls +total +avg +p50 +p90 +p99 +max  function\n +%d+ [ %d.nums]+  %a+ *#*\n%.%.%. 1 more\n$",
      result.stderr)
  end)

  it("counts calls that a trap ends", function()
    local result = run { guest = '(module (func (export "_start") unreachable))',
      "run", "-s", "latency,format=csv", "app.wasm" }
    assert.equal(1, table_of(result.stderr:match("^(.-\r\n)lunette:"))._start.calls)
    assert.equal(134, result.status)
  end)
end)

describe("top", function()
  it("divides the time among the functions", function()
    local rows, latency = rows_of("top", "app.wasm"), rows_of("latency", "app.wasm")
    assert.same({ 5, 2, 1 }, { rows.leaf.calls, rows.work.calls, rows._start.calls })
    assert.is_true(rows.leaf.sum >= 0 and rows.work.sum >= 0 and rows._start.sum >= 0)
    assert.is_nil(rows.leaf.p50)
    assert.is_number(latency.leaf.p50)
  end)
end)
