-- SPDX-License-Identifier: MIT
--- `lunette check`: loads scripts as `lunette run` does and shows what they would listen to in a module. Nothing of the
-- module is run.

local expectations = require("lunette.expectations")
local run = require("lunette.cli.run")
local text = require("lunette.cli.text")
local where = require("lunette.where")

local check = {}

local SHOWN = 20 -- functions of one attachment

-- What the answers of Lua factories are: a function gets one listener however many factories there are.
local function chosen(module, factories)
  local list = {}
  for _, definition in ipairs(module:functions()) do
    for _, factory in ipairs(factories) do
      if factory(definition) then
        list[#list + 1] = definition
        break
      end
    end
  end
  return list
end

local function matched(module, entry)
  local wanted = module:functions(entry.compiled)
  if not entry.factories then return wanted end
  local given = {}
  for _, definition in ipairs(wanted) do given[definition.index] = true end
  local list = {}
  for _, definition in ipairs(chosen(module, entry.factories)) do
    if given[definition.index] then list[#list + 1] = definition end
  end
  return list
end

local function title(entry)
  local name = entry.owner and entry.owner.name or "lunette"
  if entry.where == nil then return name .. ": a factory" end
  if type(entry.where) == "function" then return name .. ": a function" end
  return ("%s: %s"):format(name, where.printed(entry.where))
end

local function show(entry, definitions)
  io.write(("%s: %d function%s\n"):format(text.escape(title(entry)), #definitions, #definitions == 1 and "" or "s"))
  local rows = {}
  for i = 1, math.min(#definitions, SHOWN) do
    local definition = definitions[i]
    rows[i] = { "#" .. definition.index, text.escape(definition.name), text.signature(definition) }
  end
  text.columns(rows, "  ", 48)
  if #definitions > SHOWN then io.write(("  and %d more\n"):format(#definitions - SHOWN)) end
end

function check.main(core_session, request)
  if #request.scripts == 0 then
    request.say("check needs a script\nhint: lunette check -s SCRIPT APP.wasm")
    return 64
  end
  local entries = {}
  local session, status = run.open(core_session, request, entries)
  if not session then return status end
  for _, entry in ipairs(entries) do
    if request.module then show(entry, matched(request.module, entry)) end
  end
  if #entries == 0 then io.write("nothing is listened to\n") end
  io.stdout:flush() -- what is wrong is told below
  local judged
  if request.module then judged = run.judge(session, request)
  else io.write(("%d script%s loaded\n"):format(#session.scripts, #session.scripts == 1 and "" or "s")) end
  return #session.failures > 0 and expectations.STATUS or judged
end

return check
