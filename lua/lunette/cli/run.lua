-- SPDX-License-Identifier: MIT
--- The scripts of `lunette run`: loads what -s and -e named, checks what they listen to, and ends them.

local expectations = require("lunette.expectations")
local environment = require("lunette.environment")
local script = require("lunette.script")
local sessions = require("lunette.session")

local EXIT_STRICT = 102
local STOPPED = 512 -- to the command: with the status of lunette.stop after the guest's end

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

--- A session on the command's, with the request's scripts loaded in order; or nil and the exit status. What they attach is
-- added to the list `entries`, if there is one: { owner=, where=, compiled=, factories= }.
function run.open(core_session, request, entries)
  local opened = sessions.adopt(core_session)
  opened:set_budget(request.script_time, request.script_memory)
  environment.refuse_bytecode(opened, request.sandbox)
  opened.sandbox = request.sandbox
  opened.entries = entries
  opened.default_where = request.where
  opened.folders = request.folders
  opened.terminal = request.terminal
  if request.listen_fd then require("lunette.repl.server").open(opened, request.listen_fd) end
  for _, argument in ipairs(request.scripts) do
    local good, spec = pcall(spec_of, argument, request.folders)
    if not good then
      request.say(spec)
      return nil, 64
    end
    script.load(opened, spec)
  end
  return opened
end

--- Tells which wheres match nothing in the module. Gives the exit status where --strict forbids that.
function run.judge(opened, request)
  if request.quiet and not request.strict then return end
  local messages = opened:unmatched(request.module)
  for _, message in ipairs(messages) do opened.core:message(message) end
  return request.strict and #messages > 0 and EXIT_STRICT or nil
end

--- Loads the request's scripts and judges what they listen to. Gives an exit status where the guest is not to be run.
function run.load(core_session, request)
  local status
  session, status = run.open(core_session, request)
  status = status or run.judge(session, request)
  if request.watch and not status then require("lunette.watch").follow(session) end
  return status
end

--- The instance is made: scripts see it as lunette.guest.
function run.set_guest(_, instance) session:set_guest(instance) end

--- The guest has ended: runs what the scripts gave at_exit. Gives the exit status where an expectation has failed, and where
-- --strict minds a failure.
function run.finish(core_session, request)
  session.stopped = false
  local failures = session:finish(request.topic)
  if #session.failures > 0 then return expectations.STATUS end
  if failures > 0 and core_session.strict then return EXIT_STRICT end
  return session.stopped and STOPPED + (session.stopped & 255) or nil
end

local QUIT = 256 -- to the command: the prompt was left

--- `lunette repl`: the prompt before the guest runs.
function run.prompt()
  local prompt = session:prompt()
  session.core:on_pause(function(call)
    if not session.server or not require("lunette.repl.server").take_pause(session.server, call) then prompt:interrupt(call) end
  end)
  prompt:welcome()
  return prompt.left and QUIT or nil
end

--- And after it has ended: how, in words, is the request's topic.
function run.ended(_, request)
  if session.server then require("lunette.repl.server").finish(session.server, request.topic) end
  if not session.the_prompt then return end
  local prompt = session:prompt()
  if not prompt.left then prompt:after_guest(request.topic) end
end

return run
