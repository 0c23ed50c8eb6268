-- SPDX-License-Identifier: MIT
-- How often was each function called?

local top = lunette.options({
  top = { default = 0, min = 0, help = "how many functions are shown; 0: all that were called" },
}).top

local rows = {}

lunette.factory(function(definition)
  local row = { name = definition.name:gsub("%c", "?"), calls = 0, order = #rows }
  rows[#rows + 1] = row
  return function() row.calls = row.calls + 1 end
end, { where = lunette.where })

lunette.at_exit(function()
  local called, total = {}, 0
  for _, row in ipairs(rows) do
    total = total + row.calls
    if row.calls > 0 then called[#called + 1] = row end
  end
  table.sort(called, function(a, b)
    if a.calls ~= b.calls then return a.calls > b.calls end
    if a.name ~= b.name then return a.name < b.name end
    return a.order < b.order
  end)
  local width = math.max(#"calls", #tostring(total))
  local line = "%" .. width .. "s  %s\n"
  lunette.out:printf(line, "calls", "function")
  for i = 1, top > 0 and math.min(top, #called) or #called do lunette.out:printf(line, called[i].calls, called[i].name) end
  if top > 0 and top < #called then lunette.out:printf(line, "...", #called - top .. " functions more") end
  lunette.out:printf(line, total, #called == 1 and "in 1 function" or "in " .. #called .. " functions")
end)
