-- SPDX-License-Identifier: MIT
--- Which functions: the Lua side of a where. Globs, lists and tables are compiled by the core; functions stay functions.

local core = require("lunette.core")

local where = {}

--- What the core takes: a compiled where, or the function itself. Raises where it is neither.
function where.compile(wanted)
  if type(wanted) == "function" then return wanted end
  return core.where(wanted)
end

--- As it was written, in quotes.
function where.printed(wanted)
  if type(wanted) ~= "table" then return '"' .. tostring(wanted) .. '"' end
  if getmetatable(wanted) then return tostring(wanted) end
  local parts = {}
  for key, part in pairs(wanted) do parts[#parts + 1] = (type(key) == "string" and key .. "=" or "") .. where.printed(part) end
  table.sort(parts)
  return table.concat(parts, " ")
end

--- That a where matches no function of the modules, with what may have been meant on a second line.
function where.complaint(wanted, compiled, modules)
  local text = ("where %s matches no function"):format(where.printed(wanted))
  for _, module in ipairs(modules) do
    local nearest = compiled:nearest(module)
    if #nearest > 0 then return ("%s\nhint: did you mean %s?"):format(text, table.concat(nearest, " or ")) end
  end
  return text
end

--- Raises where `name` is none of an API function's options.
function where.check_name(what, name, names)
  for _, known in ipairs(names) do
    if name == known then return end
  end
  local nearest = core.nearest(tostring(name), names)
  local hint = nearest and ("; did you mean '%s'?"):format(nearest) or ""
  error(("%s: no such option: %s%s"):format(what, tostring(name), hint), 0)
end

return where
