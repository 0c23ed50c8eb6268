-- SPDX-License-Identifier: MIT
-- busted's output handler: one line per file, then what failed and what was skipped; the sums go to LUNETTE_COUNTS.
-- It also holds every file to what all specs promise: that it leaves no descriptor open and no session behind.

local handles = require("spec.support.handles")

-- A sanitizer's library is preloaded into this process alone, not into the programs that it starts.
require("luv").os_unsetenv("LD_PRELOAD")

local function text_of(failure)
  local message = failure.message
  if type(message) ~= "string" then message = message == nil and "nil error" or require("pl.pretty").write(message) end
  local trace = failure.element.trace or failure.trace
  local where = trace and trace.short_src and ("%s:%d: "):format(trace.short_src, trace.currentline or 0) or ""
  return ("FAILED %s%s\n  %s\n"):format(where, failure.name, message:gsub("\n", "\n  "))
end

return function()
  local busted = require("busted")
  local handler = require("busted.outputHandlers.base")()
  local before, clock = {}, {}
  local seed

  function handler.fileStart(file)
    before[file.name] = handles.open()
    clock[file.name] = busted.monotime()
    return nil, true
  end

  function handler.testStart(test)
    clock[test] = busted.monotime()
    return nil, true
  end

  function handler.testEnd(test)
    local seconds = busted.monotime() - clock[test]
    if seconds > 3 then io.write(("  %.1f s: %s\n"):format(seconds, handler.getFullName(test))) end
    return nil, true
  end

  function handler.fileEnd(file)
    local problem = handles.left(before[file.name])
    if problem then
      busted.publish({ "error", "file" }, file, busted.parent(file), problem, {})
    end
    io.write(("%s  %.1f s\n"):format(file.name, busted.monotime() - clock[file.name]))
    return nil, true
  end

  function handler.suiteStart(_, _, _, random_seed)
    seed = random_seed
    return nil, true
  end

  function handler.suiteEnd()
    for _, list in ipairs({ handler.failures, handler.errors }) do
      for _, failure in ipairs(list) do io.write(text_of(failure)) end
    end
    for _, pending in ipairs(handler.pendings) do
      io.write(("SKIPPED %s%s\n"):format(pending.name, type(pending.message) == "string" and ": " .. pending.message or ""))
    end
    local failed = handler.failuresCount + handler.errorsCount
    if failed > 0 and seed then io.write(("(run with --seed=%d)\n"):format(seed)) end
    local path = os.getenv("LUNETTE_COUNTS")
    if path then
      local file = assert(io.open(path, "w"))
      file:write(("%d %d %d\n"):format(handler.successesCount, failed, handler.pendingsCount))
      file:close()
    else
      io.write(("%d passed, %d failed, %d skipped\n"):format(handler.successesCount, failed, handler.pendingsCount))
    end
    return nil, true
  end

  busted.subscribe({ "suite", "start" }, handler.suiteStart)
  busted.subscribe({ "file", "start" }, handler.fileStart)
  busted.subscribe({ "file", "end" }, handler.fileEnd)
  busted.subscribe({ "test", "start" }, handler.testStart)
  busted.subscribe({ "test", "end" }, handler.testEnd)
  busted.subscribe({ "suite", "end" }, handler.suiteEnd)
  return handler
end
