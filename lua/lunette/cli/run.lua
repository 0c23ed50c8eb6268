-- SPDX-License-Identifier: MIT
--- The scripts of `lunette run`: loads what -s and -e named, checks what they listen to, and ends them.

local script = require("lunette.script")
local sessions = require("lunette.session")

local EXIT_STRICT = 102

local run = {}
local session

-- "calltree,depth=3,where=a\,b" → "calltree", { depth = "3", where = "a,b" }, in which a backslash keeps a comma.
local function split(text)
  local parts = {}
  for part in (text:gsub("\\,", "\0") .. ","):gmatch("([^,]*),") do parts[#parts + 1] = (part:gsub("\0", ",")) end
  local options = {}
  for i = 2, #parts do
    local name, value = parts[i]:match("^([%a_][%w_]*)=(.*)$")
    if not name then
      error(("%s: \"%s\" is no option; options look like this: %s,name=value"):format(parts[1], parts[i], parts[1]), 0)
    end
    if options[name] then error(("%s: option %s is given twice"):format(parts[1], name), 0) end
    options[name] = value
  end
  return parts[1], options
end

local function spec_of(argument, folders)
  if argument.code then return { code = argument.code } end
  local text, options = split(argument.text)
  return script.spec(text, options, folders)
end

--- Loads the request's scripts, in order. Gives the exit status where a where matches nothing and --strict forbids it.
function run.load(core_session, request)
  session = sessions.adopt(core_session)
  session.default_where = request.where
  session.folders = request.folders
  for _, argument in ipairs(request.scripts) do
    local good, spec = pcall(spec_of, argument, request.folders)
    if not good then
      request.say(spec)
      return 64
    end
    script.load(session, spec)
  end
  if request.quiet and not request.strict then return end
  local messages = session:unmatched(request.module)
  for _, message in ipairs(messages) do core_session:message(message) end
  return request.strict and #messages > 0 and EXIT_STRICT or nil
end

--- The instance is made: scripts see it as lunette.guest.
function run.set_guest(_, instance) session:set_guest(instance) end

--- The guest has ended: runs what the scripts gave at_exit. Gives the exit status where --strict minds a failure.
function run.finish(core_session)
  return session:finish() > 0 and core_session.strict and EXIT_STRICT or nil
end

return run
