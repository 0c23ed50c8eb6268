-- SPDX-License-Identifier: MIT
-- Checks the pairing of every call. At the end: "all is well" or what is wrong, then calls that are open and violations.

local pairing = lunette.pairing({ walk = 10000 })

lunette.at_exit(function()
  local good, problem = pcall(pairing.check, pairing)
  lunette.out:printf("%s\n", good and "all is well" or tostring(problem))
  lunette.out:printf("%d %d\n", pairing.befores - pairing.afters - pairing.aborts, pairing.violations)
end)
