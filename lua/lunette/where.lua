-- SPDX-License-Identifier: MIT
--- Which functions: the Lua side of a where. Globs, lists and tables are compiled by the core; functions stay functions.

local core = require("lunette.core")
local reading = require("lunette.reading")

local where = {}

--- What the core takes: a compiled where, or the function itself. Raises where it is neither.
function where.compile(wanted)
  if type(wanted) == "function" then return wanted end
  return core.where(wanted)
end

--- As it was written, in quotes. Metamethods of a script's are not asked: this is nobody's callback.
function where.printed(wanted, depth)
  if type(wanted) == "userdata" then return tostring(wanted) end
  if type(wanted) ~= "table" then return '"' .. tostring(wanted) .. '"' end
  if reading.is_predicate(wanted) then return "predicate" end
  local parts = {}
  for key, part in next, wanted do
    local text = (depth or 0) < 8 and where.printed(part, (depth or 0) + 1) or "…"
    parts[#parts + 1] = (type(key) == "string" and key .. "=" or "") .. text
  end
  table.sort(parts)
  return table.concat(parts, " ")
end

-- Whether a where chooses a function of one of the modules.
local function matches(compiled, modules)
  for _, module in ipairs(modules) do
    if #module:functions(compiled) > 0 then return true end
  end
  return false
end

--- What is wrong with a where that can hear no call of the modules, or nil: it, or what it says of callers, matches no
-- function. What may have been meant stands on a second line. `chosen`: whether it has matched some, where that is known.
function where.problem(wanted, compiled, modules, chosen)
  if chosen == nil then chosen = matches(compiled, modules) end
  if not chosen then return where.complaint(where.printed(wanted), compiled, modules) end
  if type(wanted) ~= "table" then return nil end
  for _, key in ipairs({ "caller", "under" }) do
    local outer = rawget(wanted, key)
    local good, one = pcall(core.where, outer) -- it was one, but the script may have changed it since
    if outer and good and not matches(one, modules) then
      return where.complaint(key .. "=" .. where.printed(outer), one, modules)
    end
  end
  return nil
end

--- That a where, given in words, matches no function of the modules, with what may have been meant on a second line.
function where.complaint(words, compiled, modules)
  local text = ("where %s matches no function"):format(words)
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
