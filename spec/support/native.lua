-- SPDX-License-Identifier: MIT
-- Guests with debug information for specs: C and C++ text compiled by clang for bare wasm32, no library.

local command = require("spec.support.command")
local files = require("spec.support.files")

local native = {}

-- The program's path, or nil.
function native.find(name)
  local result = command.run("sh", { "-c", "command -v " .. name })
  return result.status == 0 and result.stdout:match("%S+") or nil
end

-- The module's bytes, and its path inside `folder`. text: the source; options: language = "c" | "cpp", flags = { … }.
function native.compile(folder, text, options)
  local source = ("%s/guest.%s"):format(folder, options.language or "c")
  files.write(source, text)
  local args = { "--target=wasm32", "-nostdlib", "-Wl,--no-entry", "-Wl,--export-dynamic", "-fvisibility=default", "-g" }
  if options.language == "cpp" then args[#args + 1] = "-fno-rtti" end
  for _, flag in ipairs(options.flags or {}) do args[#args + 1] = flag end
  local out = folder .. "/guest.wasm"
  for _, more in ipairs({ source, "-o", out }) do args[#args + 1] = more end
  local result = command.run(options.language == "cpp" and "clang++-14" or "clang-14", args)
  assert(result.status == 0, result.stderr)
  return files.read(out), out
end

return native
