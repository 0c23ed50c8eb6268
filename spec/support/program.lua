-- SPDX-License-Identifier: MIT
-- Runs a Lua program that uses lunette in a process of its own; beside it lies app.wasm, made from WAT text.

local command = require("spec.support.command")
local files = require("spec.support.files")
local wat = require("spec.support.wat")

-- Templates below the root, as seen from another folder.
local function absolute(templates)
  return (templates:gsub("[^;]+", function(template)
    return template:sub(1, 1) == "/" and template or command.root .. "/" .. template
  end))
end

-- The sanitizer's library, which must come first in the process.
local function preload()
  if not command.sanitized then return nil end
  local name = command.preset == "asan" and "libasan.so" or "libtsan.so"
  return (command.run("cc", { "-print-file-name=" .. name }).stdout:gsub("%s+$", ""))
end

return function(source, guest)
  local folder <close> = files.temporary()
  files.write(folder .. "/app.wasm", wat(guest))
  files.write(folder .. "/program.lua", source)
  return command.run("lua5.4", { "program.lua" }, {
    cwd = folder.path,
    env = { LUA_PATH = absolute(package.path), LUA_CPATH = absolute(package.cpath), LD_PRELOAD = preload() },
  })
end
