-- SPDX-License-Identifier: MIT
--- `lunette scripts`: the shipped scripts, the question that each answers, its options.

local shipped = require("lunette.cli.shipped")

local scripts = {}

function scripts.main(_, request)
  local all = shipped.all(request.folders)
  local bold, plain = "", ""
  if request.color then bold, plain = "\27[1m", "\27[0m" end
  local width = 8
  for _, script in ipairs(all) do width = math.max(width, #script.name) end
  for _, script in ipairs(all) do
    io.write(bold, script.name, plain, (" "):rep(width - #script.name + 2), script.question, "\n")
    for _, name in ipairs(script.option_names) do
      local option, help = shipped.option_text(script, name)
      io.write((" "):rep(width + 4), ("%-14s  %s\n"):format(option, help))
    end
  end
  if #all == 0 then
    request.say("the scripts that come with lunette are not where they should be: " .. table.concat(request.folders, ", "))
    return 66
  end
end

return scripts
