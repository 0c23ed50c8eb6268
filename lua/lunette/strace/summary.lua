-- SPDX-License-Identifier: MIT
--- strace's summary=true: how often each host function was called and failed, in place of lines.
--
-- `summary.new(wants)` gives { factory=, print(write) }.

local text = require("lunette.strace.text")
local wasi = require("lunette.wasi")

local summary = {}

local function by_calls(a, b)
  if a.calls ~= b.calls then return a.calls > b.calls end
  return a.name < b.name
end

function summary.new(wants)
  local rows = {}

  -- Instances share the row of a function.
  local function row_of(name)
    if not rows[name] then rows[name] = { name = name, calls = 0, errors = 0 } end
    return rows[name]
  end

  local function factory(definition)
    if not definition.is_host or not wants(definition) then return nil end
    local is_wasi = wasi.row(definition) ~= nil
    local row = row_of(is_wasi and definition.name or text.escape(definition.module .. "." .. definition.name))
    return {
      before = function() row.calls = row.calls + 1 end,
      after = is_wasi and function(_, errno)
        if errno and errno ~= 0 then row.errors = row.errors + 1 end
      end or nil,
      abort = function(_, err)
        if err.kind ~= "exit" then row.errors = row.errors + 1 end
      end,
    }
  end

  local function print(write)
    local called, calls, errors = {}, 0, 0
    for _, row in pairs(rows) do
      if row.calls > 0 then called[#called + 1] = row end
      calls, errors = calls + row.calls, errors + row.errors
    end
    table.sort(called, by_calls)
    local line = ("%%%ds  %%%ds  %%s"):format(math.max(#"calls", #tostring(calls)), math.max(#"errors", #tostring(errors)))
    write(line:format("calls", "errors", "function"))
    for _, row in ipairs(called) do write(line:format(row.calls, row.errors > 0 and row.errors or "", row.name)) end
    write(line:format(calls, errors, #called == 1 and "in 1 function" or ("in %d functions"):format(#called)))
  end

  return { factory = factory, print = print }
end

return summary
