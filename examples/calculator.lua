-- SPDX-License-Identifier: MIT
-- What did each part of the expression come to? Prints the parser's calls as a tree, each with the value that it gave, or
-- with how it ended when it gave none.
--   lunette run -s examples/calculator.lua calculator.wasm '2 * (3 + 4)'

local depth, open = 0, {}

lunette.on("parse_*", {
  before = function(call)
    open[#open + 1] = { name = call.name, depth = depth }
    call.data = open[#open]
    depth = depth + 1
  end,
  after = function(call, value)
    depth = depth - 1
    call.data.value = value
  end,
  abort = function(call, err)
    depth = depth - 1
    call.data.failed = err.kind
  end,
})

lunette.at_exit(function()
  for _, part in ipairs(open) do
    local result = part.failed and "(" .. part.failed .. ")" or ("%g"):format(part.value)
    lunette.out:printf("%s%s = %s\n", ("  "):rep(part.depth), part.name:match("parse_(.*)"), result)
  end
end)
