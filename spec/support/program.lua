-- SPDX-License-Identifier: MIT
-- Runs a Lua program that uses lunette in a process of its own; beside it lies app.wasm, made from WAT text.

local command = require("spec.support.command")
local environment = require("spec.support.lua")
local files = require("spec.support.files")
local wat = require("spec.support.wat")

return function(source, guest)
  local folder <close> = files.temporary()
  files.write(folder .. "/app.wasm", wat(guest))
  files.write(folder .. "/program.lua", source)
  return command.run("lua5.4", { "program.lua" }, { cwd = folder.path, env = environment() })
end
