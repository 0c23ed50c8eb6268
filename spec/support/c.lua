-- SPDX-License-Identifier: MIT
-- Runs a C program of spec/c (built by CMake from the list SPEC_PROGRAMS), which uses only the door.
--   c("pairing", arg…) -> what it printed; an error with all it said when it does not end with status 0

local command = require("spec.support.command")

return function(name, ...)
  local result = command.run(command.build .. "/spec/" .. name, { ... })
  if result.status ~= 0 or result.signal ~= 0 then
    local said = result.stdout .. result.stderr
    error(("%s ended with status %s, signal %s\n%s"):format(name, result.status, result.signal, said), 2)
  end
  return result.stdout
end
