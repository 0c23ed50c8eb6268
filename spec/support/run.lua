-- SPDX-License-Identifier: MIT
-- Runs the command in a folder of its own, so that messages show short names. `run { …, "run", "app.wasm" }`: the list is
-- the command line; guest = WAT text, written as app.wasm; files = { name = text }, written beside it (a name that ends
-- in "/" is a folder); keep = { names }, read back into result.files; everything else as spec.support.command has it.

local command = require("spec.support.command")
local files = require("spec.support.files")
local wat = require("spec.support.wat")

return function(spec)
  local folder <close> = files.temporary()
  if spec.guest then files.write(folder .. "/app.wasm", wat(spec.guest)) end
  for name, text in pairs(spec.files or {}) do
    files.make(folder .. "/" .. (name:match("^(.*)/") or ""))
    if name:sub(-1) ~= "/" then files.write(folder .. "/" .. name, text) end
  end
  local args = {}
  for i, argument in ipairs(spec) do args[i] = argument end
  local options = { cwd = folder.path }
  for name, value in pairs(spec) do
    if type(name) == "string" then options[name] = value end
  end
  local result = command.run(command.lunette, args, options)
  result.files = {}
  for _, name in ipairs(spec.keep or {}) do result.files[name] = files.read(folder .. "/" .. name) end
  return result
end
