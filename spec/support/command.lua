-- SPDX-License-Identifier: MIT
-- Runs a program to its end: arguments as a list, no shell between. Gives { status=, signal=, stdout=, stderr= }.

local uv = require("luv")

local command = {}

command.preset = os.getenv("LUNETTE_PRESET") or "release"
command.root = uv.cwd()
command.build = command.root .. "/build/" .. command.preset
command.lunette = command.build .. "/bin/lunette"
command.sanitized = command.preset == "asan" or command.preset == "tsan"

-- Whether this build ends a program whose listener writes into what it may only read.
function command.checks_params()
  local cache = assert(io.open(command.build .. "/CMakeCache.txt"))
  local text = cache:read("a")
  cache:close()
  return text:find("\nLUNETTE_CHECK_PARAMS:BOOL=ON\n", 1, true) ~= nil
end

local function environment(extra)
  local all = uv.os_environ()
  for name, value in pairs(extra or {}) do all[name] = value or nil end
  local list = {}
  for name, value in pairs(all) do list[#list + 1] = name .. "=" .. value end
  return list
end

local function collect(pipe, into)
  pipe:read_start(function(err, chunk)
    assert(not err, err)
    if chunk then into[#into + 1] = chunk else pipe:close() end
  end)
end

-- Runs the loop until these handles are closed; others, which the spec itself may hold open, are not waited for.
local function settle(handles)
  for _, handle in ipairs(handles) do
    while not handle:is_closing() do uv.run("once") end
  end
  uv.run("nowait")
end

-- options: stdin = text, stdin_open = true (its end never comes), env = {NAME = value | false}, only_env = true (nothing
-- inherited), cwd = folder,
-- timeout = seconds (60; then SIGKILL), stdout/stderr = an open descriptor in place of a pipe,
-- on_stderr = function(chunk, kill) called as text comes.
function command.run(program, args, options)
  options = options or {}
  local stdin, stdout, stderr = uv.new_pipe(false), uv.new_pipe(false), uv.new_pipe(false)
  local result = { timed_out = false }
  local out, err = {}, {}
  local timer = uv.new_timer()
  local env
  if options.only_env then
    env = {}
    for name, value in pairs(options.env or {}) do env[#env + 1] = name .. "=" .. value end
  elseif options.env then
    env = environment(options.env)
  end
  local process, pid = uv.spawn(program, {
    args = args,
    env = env,
    cwd = options.cwd,
    stdio = { stdin, options.stdout or stdout, options.stderr or stderr },
  }, function(status, signal)
    result.status, result.signal = status, signal
    timer:close()
  end)
  if not process then
    for _, handle in ipairs({ stdin, stdout, stderr, timer }) do handle:close() end
    uv.run("nowait")
    error(("%s: %s"):format(program, pid), 2)
  end
  uv.update_time() -- of a loop that may not have run for long
  timer:start((options.timeout or 60) * 1000, 0, function()
    result.timed_out = true
    process:kill("sigkill")
  end)
  if options.stdout then stdout:close() else collect(stdout, out) end
  if options.stderr then
    stderr:close()
  elseif options.on_stderr then
    stderr:read_start(function(_, chunk)
      if not chunk then return stderr:close() end
      err[#err + 1] = chunk
      options.on_stderr(table.concat(err), function(signal) process:kill(signal) end)
    end)
  else
    collect(stderr, err)
  end
  if options.stdin and #options.stdin > 0 then
    stdin:write(options.stdin, function() if not options.stdin_open then stdin:close() end end)
  elseif not options.stdin_open then
    stdin:close()
  end
  settle({ timer, stdout, stderr, not options.stdin_open and stdin or nil })
  if options.stdin_open then stdin:close() end
  process:close()
  uv.run("nowait")
  result.stdout, result.stderr = table.concat(out), table.concat(err)
  return result
end

-- The command that was built: command("run", "-s", "count", "app.wasm"); a table at the end holds options as above.
setmetatable(command, {
  __call = function(_, ...)
    local args = { ... }
    local options = type(args[#args]) == "table" and table.remove(args) or nil
    return command.run(command.lunette, args, options)
  end,
})

return command
