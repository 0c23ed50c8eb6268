-- SPDX-License-Identifier: MIT
--- Scripts: Lua files run in an environment of their own, with the session's API as `lunette`. What fails while it loads
-- becomes one err of kind "script" that names file and line.

local Owner = require("lunette.owner")
local core = require("lunette.core")
local environment = require("lunette.environment")
local options = require("lunette.options")
local place = require("lunette.place")

local script = {}

local function raise(session, message, detail) error(core.error(session.core, "script", message, detail), 0) end

-- ---- finding ----
local function readable(path)
  local file = io.open(path, "rb")
  if file then file:close() end
  return file ~= nil
end

--- The path of a shipped script, or nil.
function script.find(name, folders)
  for _, folder in ipairs(folders or {}) do
    local path = ("%s/%s.lua"):format(folder, name)
    if not name:find("/", 1, true) and readable(path) then return path end
  end
  return nil
end

local function names_in(folders)
  local names = {}
  for _, folder in ipairs(folders or {}) do
    local found = core.scripts_in(folder)
    table.move(found, 1, #found, #names + 1, names)
  end
  return names
end

-- spec → path or nil, chunk name, name shown
local function locate(session, spec)
  if spec.code then return nil, "=-e", "-e" end
  if spec.file then
    local shown = spec.file:find("^lunette/") and "./" .. spec.file or spec.file -- so lunette's own begin
    return spec.file, "@" .. shown, spec.file
  end
  local path = script.find(spec.name, spec.folders)
  if path then return path, "@" .. spec.name .. ".lua", spec.name end
  local nearest = core.nearest(spec.name, names_in(spec.folders))
  local hint = nearest and ("did you mean %s?"):format(nearest)
    or readable(spec.name) and ("there is a file of that name: -s ./%s"):format(spec.name)
    or readable(spec.name .. ".lua") and ("there is a file of that name: -s %s.lua"):format(spec.name)
    or "lunette scripts names those that come along; a file's name ends in .lua or holds a /"
  raise(session, ("there is no script \"%s\""):format(spec.name), "hint: " .. hint)
end

local function source_of(session, spec, path)
  if not path then return spec.code end
  local file, problem = io.open(path, "rb")
  if not file then raise(session, ("cannot read the script %s"):format(problem)) end
  local text, failure = file:read("a")
  file:close()
  if not text then raise(session, ("cannot read the script %s: %s"):format(path, failure)) end
  return (text:gsub("^#[^\n]*", ""))
end

-- ---- running ----
-- Lines of a traceback that begin so are lunette's own; a long path is shown by its end.
local own = debug.getinfo(1, "S").short_src:match("^.*/") or "lunette/"

local function is_own(line)
  return line:sub(1, #own) == own or line:find("^%.%.%.[^:]*lunette/[%w/]+%.lua:") or line:find("^%[C%]:")
    or line:find("^%(%.%.%.")
end

-- Where the script was when it failed: its own frames, if there is more to say than the message does.
local function trace()
  local lines = {}
  for line in debug.traceback("", 3):gmatch("\t([^\n]+)") do
    if not is_own(line) then lines[#lines + 1] = line end
    if line:find("in main chunk$") then break end
  end
  return #lines > 1 and "stack traceback:\n\t" .. table.concat(lines, "\n\t") or nil
end

-- Errors that end the run as they are; all others are the script's, since it is what called.
local passed_on = { script = true, exit = true, memory = true, interrupted = true }

local function explain(problem)
  if type(problem) == "userdata" then
    local known, kind = pcall(function() return problem.kind end)
    if not known or type(kind) ~= "string" or passed_on[kind] then return problem end
    local detail = kind ~= "host" and problem.detail or trace()
    return { message = ("%s%s: %s"):format(place(), kind, problem.message), trace = detail }
  end
  return { message = tostring(problem), trace = trace() }
end

local function failed(session, owner, problem)
  if type(problem) == "userdata" then error(problem, 0) end
  if type(problem) == "string" then raise(session, ("%s: %s"):format(owner.name, problem)) end -- no memory to explain it
  raise(session, problem.message, problem.trace)
end

-- Runs what `owner.spec` names, for that owner; in a sandbox those that come along are trusted as lunette itself is. What it
-- has put to work by the time it fails is taken away again.
local function run(session, owner, source, chunk_name)
  if source:sub(1, 1) == "\27" then raise(session, ("%s: a compiled script; only Lua text is taken"):format(owner.name)) end
  owner.text = source
  owner.sandboxed = session.sandbox and not owner.spec.name
  local env = environment[owner.sandboxed and "closed" or "free"](session, session:api_for(owner), owner)
  local chunk, problem = load(source, chunk_name, "t", env)
  if not chunk then raise(session, problem) end
  owner.is_loading = not session.core.is_timed
  local good, failure = session.core:call_load(chunk, explain)
  owner.is_loading = false
  if not good then
    session:release(owner)
    failed(session, owner, failure)
  end
  local unused
  options.check_used(owner, function(text) unused = unused or text end)
  if unused then
    session:release(owner)
    raise(session, unused)
  end
end

--- Loads and runs a script: { name= | file= | code=, options = { name = text }, folders = { … } }. Gives its owner, a
-- lunette.owner; raises an err of kind "script".
function script.load(session, spec)
  local path, chunk_name, shown = locate(session, spec)
  local owner = Owner.new(shown, path, spec)
  run(session, owner, source_of(session, spec, path), chunk_name)
  session.scripts[#session.scripts + 1] = owner
  if session.watched then session.watched.note(path) end
  return owner
end

local function number_of(session, owner)
  for i, one in ipairs(session.scripts) do
    if one == owner then return i end
  end
  error(("the script %s has been unloaded"):format(owner.name), 0)
end

--- Takes away what the script has put to work, and nothing else, after what it gave to at_exit.
function script.unload(session, owner)
  table.remove(session.scripts, number_of(session, owner))
  session:run_exits(owner)
  session:release(owner)
end

--- Runs the script's present text in its place, with the same options and lunette.state. Where that cannot be read, compiled
-- or run, the old one stays at work and the error is raised.
function script.reload(session, owner)
  number_of(session, owner)
  local path, chunk_name = locate(session, owner.spec)
  local fresh = Owner.new(owner.name, path, owner.spec)
  fresh.state = owner.state
  local good, problem = pcall(run, session, fresh, source_of(session, owner.spec, path), chunk_name)
  if not good then
    owner.requires = owner.requires or fresh.requires -- so that --watch tries again when a module has changed
    error(problem, 0)
  end
  local is_there, number = pcall(number_of, session, owner) -- scripts may have come and gone meanwhile, this one, too
  if not is_there then
    session:release(fresh)
    error(number, 0)
  end
  session.scripts[number] = fresh
  fresh:succeed(owner)
  session:release(owner)
  return fresh
end

--- What a script is called on a command line and in lunette.load: a file where it holds a slash or ends in .lua, else the
-- name of one that comes along.
function script.spec(text, given, folders)
  local is_path = text:find("/", 1, true) or text:find("%.lua$")
  return { options = given, folders = folders, [is_path and "file" or "name"] = text }
end

return script
