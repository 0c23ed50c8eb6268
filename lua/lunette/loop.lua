-- SPDX-License-Identifier: MIT
--- The API on the script loop: timers, lunette.uv, lunette.linger.
--
-- What a script has started belongs to it and goes when it is unloaded; what a program has started, with its session.

local Owner = require("lunette.owner")
local core = require("lunette.core")

local loop = {}

local LONGEST = 1 << 53 -- milliseconds

-- A whole number of milliseconds, rounded up.
local function milliseconds(name, ms, least)
  if type(ms) ~= "number" or not (ms >= least and ms <= LONGEST) then
    local got = type(ms) == "number" and tostring(ms) or type(ms)
    error(("%s: milliseconds from %d on expected, got %s"):format(name, least, got), 0)
  end
  return math.ceil(ms)
end

local function timer(session, owner, name, ms, repeats, f)
  ms = milliseconds(name, ms, repeats and 1 or 0)
  if type(f) ~= "function" then error(("%s: a function expected, got %s"):format(name, type(f)), 0) end
  Owner.check_budget(session, owner, name)
  if not owner then return core.timer(session:open(), ms, repeats, f) end
  local timers = owner.timers
  if not timers then
    timers = setmetatable({}, { __mode = "k" })
    owner.timers = timers
    owner:charge(function()
      for one in pairs(timers) do one:stop() end
    end)
  end
  local made = core.timer(session:open(), ms, repeats, f)
  local good, problem = pcall(rawset, timers, made, true)
  if good then return made end
  made:stop() -- for want of memory: nobody else would
  error(problem, 0)
end

function loop.every(session, owner, ms, f) return timer(session, owner, "every", ms, true, f) end
function loop.delay(session, owner, ms, f) return timer(session, owner, "delay", ms, false, f) end

--- For so long after the guest's end the loop may go on.
function loop.linger(session, owner, ms)
  ms = milliseconds("linger", ms, 0)
  session:open()
  local key = owner or session
  if owner and not session.lingers[key] then
    owner:charge(function() session.lingers[key] = nil end)
  end
  session.lingers[key] = ms
end

-- ---- luv ----
-- `known`: what loop.uv has kept of the table, which the script may change.
local function close_all(known)
  for handle in pairs(known.handles) do
    local good, closing = pcall(known.is_closing, handle)
    if good and not closing then known.close(handle) end
  end
end

-- A budget counts the processor's time: what waits would never use it up, and the guest stands still meanwhile.
local function check_waits(inner, name)
  if not inner.is_timed then return end
  error(("uv.%s: a callback that has a budget can't wait; lunette.delay calls back later"):format(name), 3)
end

local function refuse_to_wait(inner, uv)
  for _, name in ipairs({ "sleep", "thread_join" }) do
    local original = uv[name]
    uv[name] = function(...)
      check_waits(inner, name)
      return original(...)
    end
  end
end

-- What is not luv's to do on a loop that is lunette's.
local function own_functions(inner, uv, handles)
  function uv.run(mode)
    if mode ~= "nowait" then check_waits(inner, "run") end
    local good, result = pcall(inner.run_loop, inner, mode)
    if not good then error(result, 2) end
    return result
  end
  function uv.stop() inner:stop_loop() end
  function uv.loop_alive() return inner:loop_has_work() end
  function uv.loop_close() error("uv.loop_close: the loop is lunette's", 2) end
  function uv.walk(visit)
    local list = {}
    for handle in pairs(handles) do list[#list + 1] = handle end
    for _, handle in ipairs(list) do visit(handle) end
  end
end

-- The first argument that calls back on this loop, where others are functions too: those run in Lua states of their own.
local first_callback = { new_thread = 1000, new_work = 2 }

--- luv on the session's loop, as this owner sees it: the handles that it makes are noted for it, and what it is called back
-- with is not called when it has gone.
function loop.uv(session, owner)
  local inner, keeper = session:open(), owner or session
  local known = keeper.uv
  if known and known.inner == inner then return known.uv end
  local uv, handles = {}, setmetatable({}, { __mode = "k" })
  local record = owner and { gone = false } or nil
  for name, value in pairs(core.luv(inner)) do
    if type(value) == "function" then
      uv[name] = core.luv_function(inner, value, handles, record, first_callback[name] or 1)
    elseif name ~= "_loop" then uv[name] = value end
  end
  refuse_to_wait(inner, uv)
  own_functions(inner, uv, handles)
  known = { inner = inner, uv = uv, handles = handles, is_closing = uv.is_closing, close = uv.close }
  keeper.uv = known
  if owner then
    owner:charge(function()
      record.gone = true
      close_all(known)
    end)
  end
  return uv
end

--- The guest has ended: the loop goes on for as long as was asked for, and until what was written is out; then all is
-- closed. Gives the kind of what has cut that short, or nil.
function loop.settle(session, asked)
  local inner, longest = session.core, 0
  for _, ms in pairs(session.lingers) do longest = math.max(longest, ms) end
  session.lingers = {}
  local ended = inner:settle_loop(asked and 0 or longest)
  for _, owner in ipairs(session.scripts) do
    if owner.uv then close_all(owner.uv) end
  end
  if session.uv then close_all(session.uv) end
  return ended
end

return loop
