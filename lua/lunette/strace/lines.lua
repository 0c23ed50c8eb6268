-- SPDX-License-Identifier: MIT
--- strace's own style: a line for each host call when it ends, name(params) = result.
--
--     fd_write(1<stdout>, [{"hello\n", 6}], 1) = 6
--     path_open(3</>, dirflags=SYMLINK_FOLLOW, "in.txt", oflags=0, …) = ENOENT (no such file or directory)
--
-- A call during which another one starts (a host function that calls back into the guest) takes two lines: what was known
-- then and <unfinished ...>, and <... name resumed> at its end. One that does not return gives "?" and why. [intercepted: what]
-- marks one that lunette.intercept has changed.
--
-- `lines.factory{ write=, most=, descriptors=, wants=, time= }` gives a factory for lunette.factory: `write` takes a line
-- without its end, `most` is how many bytes of a string are shown, `wants(definition)` says whether a function is shown, and
-- with `time`, which the attachment must ask for, too, each line ends in the seconds that the call took: <0.000123>.

local render = require("lunette.render")
local text = require("lunette.strace.text")
local values = require("lunette.strace.values")
local wasi = require("lunette.wasi")

local lines = {}

-- ---- WASI: its row → steps, once ----
-- A step shows a param: { early = function(view, params) } before the call, or { late = function(view, params) } once it has
-- succeeded; where that gives nothing, or the call failed, its fallback(view, params) stands.

-- How many bytes of a buffer were filled: what the call gave, or all of it.
local function filled(row, i)
  local has_count = row.kinds[#row.kinds] == "=size"
  return function(view, params)
    return has_count and wasi.result("size", view.memory, params[#params]) or params[i + 1] & 0xffffffff
  end
end

local function pointer_at(i)
  return function(view, params) return values.pointer(view, params[i]) end
end

local function late(i, show) return { late = show, fallback = pointer_at(i) } end

-- Kinds that are more than a number: function(row, i) → step, how many params it takes.
local wide = {}

function wide.path(_, i)
  return { early = function(view, params) return values.string(view, params[i], params[i + 1]) end }, 2
end

function wide.ciovs(_, i)
  return {
    early = function(view, params)
      return values.buffers(view, params[i], params[i + 1]) or values.pointer(view, params[i])
    end,
  }, 1
end

function wide.iovs(row, i)
  local counter = row.name == "sock_recv" and 5 or #row.kinds -- where the count of bytes goes
  return late(i, function(view, params)
    return values.buffers(view, params[i], params[i + 1], wasi.result("size", view.memory, params[counter]))
  end), 1
end

function wide.bytes(row, i)
  local size = filled(row, i)
  local show = row.name == "fd_readdir" and values.entries or values.string
  return late(i, function(view, params) return show(view, params[i], size(view, params)) end), 1
end

local function strings_step(i, counted)
  return late(i, function(view, params)
    local count = view.open[counted]
    return count and values.strings(view, params[i], count)
  end)
end

-- Params that need more than their kind: name of the function → param → step.
local special = {
  args_get = { strings_step(1, "args") },
  environ_get = { strings_step(1, "env") },
  poll_oneoff = {
    { early = function(view, params)
      return values.subscriptions(view, params[1], params[3]) or values.pointer(view, params[1])
    end },
    late(2, function(view, params)
      return values.events(view, params[2], wasi.result("size", view.memory, params[4]) or 0)
    end),
  },
}

-- Kinds that need no name beside them.
local speaks_for_itself = { fd = true, size = true, ptr = true, whence = true }

local function narrow(row, i)
  local kind, label = row.kinds[i], row.params[i] .. "="
  local result = kind:match("^=(.*)$")
  if result then
    local show = values.structures[result] or values.results[result]
    label = values.structures[result] and "" or label
    return {
      late = function(view, params)
        local shown = show(view, params[i])
        return shown and label .. shown
      end,
      fallback = function(view, params) return label .. values.pointer(view, params[i]) end,
    }
  end
  local show = values.params[kind]
  if speaks_for_itself[kind] then label = "" end
  return { early = function(view, params) return label .. show(view, params[i]) end }
end

-- Which result stands behind "=": the number, descriptor or time that the call is made for, if it gives one of them.
local function main_result(row)
  local found
  for i, kind in ipairs(row.kinds) do
    local result = kind:match("^=(.*)$")
    if result and result ~= "roflags" and values.results[result] then
      if found then return nil end
      found = i
    end
  end
  return found
end

local function steps_of(row)
  local steps, main = {}, main_result(row)
  local i = 1
  while i <= #row.kinds do
    local step, taken = special[row.name] and special[row.name][i], 1
    if not step and wide[row.kinds[i]] then step, taken = wide[row.kinds[i]](row, i) end
    if i ~= main then steps[#steps + 1] = step or narrow(row, i) end
    i = i + taken
  end
  return steps, main and { index = main, show = values.results[row.kinds[main]:sub(2)] }
end

local function wasi_shower(row)
  local steps, main = steps_of(row)
  return {
    name = row.name,
    steps = steps,
    result = function(view, params, errno)
      if not errno then return "" end
      if errno == 0 then return " = " .. (main and main.show(view, params[main.index]) or "0") end
      local name, explanation = wasi.errno(errno)
      return name and (" = %s (%s)"):format(name, explanation) or (" = %d (unknown error)"):format(errno)
    end,
  }
end

-- ---- any other host function ----
local function show_value(value, kind, most)
  if type(value) == "string" and kind ~= "v128" then return text.quote(value, most) end
  if kind == "f32" or kind == "f64" then return text.go_float(value, kind == "f32") end
  return text.line(render.value(value, kind))
end

local function other_shower(definition, most)
  local steps, names, results = {}, definition.param_names, definition.results
  for i, kind in ipairs(definition.params) do
    local label = names[i] and text.escape(names[i]) .. "=" or ""
    steps[i] = { early = function(_, params) return label .. show_value(params[i], kind, most) end }
  end
  return {
    name = text.escape(definition.module .. "." .. definition.name),
    steps = steps,
    result = function(_, _, ...)
      local parts = { ... }
      for i, kind in ipairs(results) do parts[i] = show_value(parts[i], kind, most) end
      if #results == 0 then return "" end
      return " = " .. (#results == 1 and parts[1] or "(" .. table.concat(parts, ", ") .. ")")
    end,
  }
end

-- ---- the lines ----
-- The texts of the steps that need not wait for the end; false for the others.
local function beginning(steps, view, params)
  local parts = {}
  for i, step in ipairs(steps) do
    parts[i] = step.early and step.early(view, params) or false
  end
  return parts
end

local function complete(open_call, view, params, has_succeeded)
  local parts = open_call.parts
  for i, step in ipairs(open_call.shower.steps) do
    if not parts[i] then parts[i] = has_succeeded and step.late(view, params) or step.fallback(view, params) end
  end
  return parts
end

local function failure(err)
  if err.kind == "exit" then return (" = ? (exit: %s)"):format(err.code) end
  local why = err.message == err.kind and err.kind or ("%s: %s"):format(err.kind, err.message)
  return (" = ? (%s)"):format(text.line(why))
end

--- See above.
function lines.factory(settings)
  local write, of = settings.write, settings.descriptors.of
  local pending -- the innermost call that is open, while nothing of it has been written

  local function view_of(call, is_unstable)
    return { memory = call.memory, open = of(call), is_unstable = is_unstable, most = settings.most }
  end

  -- What is known of it so far, because another call starts.
  local function interrupt(open_call)
    local parts, known = open_call.parts, 0
    while parts[known + 1] do known = known + 1 end
    open_call.written = known
    write(open_call.shower.name .. "(" .. table.concat(parts, ", ", 1, known) .. " <unfinished ...>")
  end

  local function close(call, open_call, ending)
    local name, intercepted = open_call.shower.name, call.intercepted
    if intercepted then
      ending = ending .. (intercepted == "unchanged" and " [intercepted]" or " [intercepted: " .. intercepted .. "]")
    end
    if settings.time then ending = ("%s <%.6f>"):format(ending, call.elapsed / 1e9) end
    if open_call == pending then
      pending = nil
      write(name .. "(" .. table.concat(open_call.parts, ", ") .. ")" .. ending)
    else
      local written = open_call.written
      local rest = table.concat(open_call.parts, ", ", written + 1)
      write(("<... %s resumed>%s)%s"):format(name, #rest > 0 and (written > 0 and ", " or "") .. rest or "", ending))
    end
  end

  return function(definition)
    if not definition.is_host or not settings.wants(definition) then return nil end
    local row, is_unstable = wasi.row(definition), wasi.is_unstable(definition)
    local shower = row and wasi_shower(row) or other_shower(definition, settings.most)
    return {
      before = function(call, ...)
        if pending then interrupt(pending) end
        local params = { ... }
        pending = { shower = shower, params = params, parts = beginning(shower.steps, view_of(call, is_unstable), params) }
        call.data = pending
      end,
      after = function(call, ...)
        local open_call = call.data
        local view = view_of(call, is_unstable)
        complete(open_call, view, open_call.params, not row or ... == 0)
        close(call, open_call, shower.result(view, open_call.params, ...))
      end,
      abort = function(call, err)
        local open_call = call.data
        complete(open_call, view_of(call, is_unstable), open_call.params, false)
        close(call, open_call, failure(err))
      end,
    }
  end
end

return lines
