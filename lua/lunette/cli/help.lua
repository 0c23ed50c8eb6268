-- SPDX-License-Identifier: MIT
--- `lunette help TOPIC` for what is not a command: a shipped script, or a name of the Lua API.

local api = require("lunette.api")
local core = require("lunette.core")
local shipped = require("lunette.cli.shipped")

local help = {}

local function script_help(script)
  io.write(script.name, ": ", script.question, "\n")
  for _, line in ipairs(script.notes) do io.write(line, "\n") end
  if #script.option_names > 0 then
    io.write("\noptions, as in -s ", script.name, ",", script.option_names[1], "=…:\n")
    for _, name in ipairs(script.option_names) do
      local option, text = shipped.option_text(script, name)
      io.write(("  %-14s  %s\n"):format(option, text))
    end
  end
end

function help.main(_, request)
  local topic = request.topic
  local names = { "run", "repl", "connect", "strace", "list", "check", "scripts", "help", "version" }
  for _, script in ipairs(shipped.all(request.folders)) do
    if script.name == topic then return script_help(script) end
    names[#names + 1] = script.name
  end
  local text = api.help(topic)
  if text then
    io.write(text, "\n")
    return
  end
  for _, name in ipairs(api.names()) do names[#names + 1] = name end
  local nearest = core.nearest(topic, names)
  request.say(("there is no help on \"%s\"\nhint: %s"):format(topic,
    nearest and "did you mean " .. nearest .. "?" or "topics are the commands, the scripts (lunette scripts) and the Lua API"))
  return 64
end

return help
