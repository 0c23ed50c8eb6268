-- SPDX-License-Identifier: MIT
-- WebAssembly text to bytes, by wabt's wat2wasm with every proposal on. What was compiled once is kept.

local command = require("spec.support.command")
local files = require("spec.support.files")

local kept = {}

-- `options`: further arguments of wat2wasm ("--debug-names" is given unless names = false).
return function(text, options)
  options = options or {}
  local key = text .. "\0" .. tostring(options.names)
  if kept[key] then return kept[key] end
  local folder <close> = files.temporary()
  files.write(folder .. "/module.wat", text)
  local args = { folder .. "/module.wat", "-o", folder .. "/module.wasm", "--enable-all" }
  if options.names ~= false then args[#args + 1] = "--debug-names" end
  if options.invalid then args[#args + 1] = "--no-check" end
  local result = command.run("wat2wasm", args)
  if result.status ~= 0 then error("wat2wasm: " .. result.stderr, 2) end
  kept[key] = files.read(folder .. "/module.wasm")
  return kept[key]
end
