-- SPDX-License-Identifier: MIT
--- strace's summary=true: how long each host function took, how often it was called and failed, in place of lines.
--
-- `summary.new(wants)` gives { factory=, print(write) }; the factory is to be attached with time=true.

local text = require("lunette.strace.text")
local wasi = require("lunette.wasi")

local summary = {}

local function by_time(a, b)
  if a.time ~= b.time then return a.time > b.time end
  if a.calls ~= b.calls then return a.calls > b.calls end
  return a.name < b.name
end

function summary.new(wants)
  local rows = {}

  -- Instances share the row of a function.
  local function row_of(name)
    if not rows[name] then rows[name] = { name = name, calls = 0, errors = 0, time = 0 } end
    return rows[name]
  end

  local function factory(definition)
    if not definition.is_host or not wants(definition) then return nil end
    local is_wasi = wasi.row(definition) ~= nil
    local row = row_of(is_wasi and definition.name or text.escape(definition.module .. "." .. definition.name))
    return {
      before = function() row.calls = row.calls + 1 end,
      after = function(call, errno)
        row.time = row.time + call.self_time
        if is_wasi and errno and errno ~= 0 then row.errors = row.errors + 1 end
      end,
      abort = function(call, err)
        row.time = row.time + call.self_time
        if err.kind ~= "exit" then row.errors = row.errors + 1 end
      end,
    }
  end

  local function print(write)
    local called, calls, errors, time = {}, 0, 0, 0
    for _, row in pairs(rows) do
      if row.calls > 0 then called[#called + 1] = row end
      calls, errors, time = calls + row.calls, errors + row.errors, time + row.time
    end
    table.sort(called, by_time)
    local line = ("%%6s  %%11s  %%9s  %%%ds  %%%ds  %%s"):format(math.max(#"calls", #tostring(calls)),
      math.max(#"errors", #tostring(errors)))
    local function show(row, errors_shown)
      write(line:format(("%.2f"):format(time > 0 and 100 * row.time / time or 0), ("%.6f"):format(row.time / 1e9),
        row.calls > 0 and row.time // (1000 * row.calls) or 0, row.calls, errors_shown, row.name))
    end
    write(line:format("% time", "seconds", "us/call", "calls", "errors", "function"))
    for _, row in ipairs(called) do show(row, row.errors > 0 and row.errors or "") end
    show({ time = time, calls = calls, name = #called == 1 and "in 1 function" or ("in %d functions"):format(#called) }, errors)
  end

  return { factory = factory, print = print }
end

return summary
