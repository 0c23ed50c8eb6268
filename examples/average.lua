-- SPDX-License-Identifier: MIT
-- Why did it trap? When a call ends by a trap, prints the trap, the calls that led there, and the arguments of those that
-- were listened to.
--   lunette run -s examples/average.lua average.wasm 1 2 / / 3

local told = false

lunette.on({ "average", "print_group" }, {
  abort = function(call, err)
    if err.kind ~= "trap" then return end
    if not told then
      told = true
      lunette.out:printf("trap: %s\n", err.code)
      for _, frame in ipairs(err.stack) do
        lunette.out:printf("  in %s, 0x%x\n", frame.definition.name, frame.file_offset or 0)
      end
    end
    lunette.out:printf("%s was called with (%s)\n", call.name, table.concat({ call:params() }, ", "))
  end,
}, { params = true })
