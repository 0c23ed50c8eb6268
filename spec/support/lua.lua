-- SPDX-License-Identifier: MIT
-- What a Lua in a process of its own needs in its environment to find lunette: LUA_PATH, LUA_CPATH, and under sanitizers
-- LD_PRELOAD, since their library must come first in the process.

local command = require("spec.support.command")

-- Templates below the root, as seen from another folder.
local function absolute(templates)
  return (templates:gsub("[^;]+", function(template)
    return template:sub(1, 1) == "/" and template or command.root .. "/" .. template
  end))
end

local function preload()
  if not command.sanitized then return nil end
  local name = command.preset == "asan" and "libasan.so" or "libtsan.so"
  return (command.run("cc", { "-print-file-name=" .. name }).stdout:gsub("%s+$", ""))
end

-- With these variables more.
return function(more)
  local environment = { LUA_PATH = absolute(package.path), LUA_CPATH = absolute(package.cpath), LD_PRELOAD = preload() }
  for name, value in pairs(more or {}) do environment[name] = value end
  return environment
end
