-- SPDX-License-Identifier: MIT
--- A script's options: what it declares with lunette.options, and what `-s NAME,option=value` gives.

local core = require("lunette.core")

local options = {}

local booleans = {
  ["true"] = true, yes = true, on = true, ["1"] = true,
  ["false"] = false, no = false, off = false, ["0"] = false,
}

local readers = {
  integer = function(text) return math.tointeger(tonumber(text)), "a whole number" end,
  float = function(text) return tonumber(text), "a number" end,
  boolean = function(text) return booleans[text], "true or false" end,
  string = function(text) return text, "a text" end,
}

local function kind_of(default)
  if default == nil then return "string" end
  return math.type(default) or type(default)
end

local function sorted_names(list)
  local names = {}
  for name in pairs(list) do names[#names + 1] = name end
  table.sort(names)
  return names
end

local fields = { "choices", "default", "help", "min", "several" }

local function check_fields(name, declaration)
  local known = {}
  for _, field in ipairs(fields) do known[field] = true end
  for field in pairs(declaration) do
    if not known[field] then
      local nearest = core.nearest(tostring(field), fields)
      local hint = nearest and ("; did you mean '%s'?"):format(nearest) or ""
      error(("option %s has no field '%s'%s"):format(name, tostring(field), hint), 0)
    end
  end
end

local function default_of(name, declaration)
  local default = declaration
  if type(declaration) == "table" then check_fields(name, declaration) end
  if type(declaration) == "table" then default = declaration.default end
  if not readers[kind_of(default)] then error(("option %s: its default is a %s"):format(name, type(default)), 0) end
  return default
end

-- "a+b" of the choices → { a = true, b = true }; without `several` the one word itself.
local function chosen(owner, name, declaration, text, refuse)
  local known, words, set = {}, { text }, {}
  for _, choice in ipairs(declaration.choices) do known[choice] = true end
  if declaration.several and text:find("[^%s,+|]") then
    words = {}
    for word in text:gmatch("[^%s,+|]+") do words[#words + 1] = word end
  end
  for _, word in ipairs(words) do
    if not known[word] then
      local nearest = core.nearest(word, declaration.choices)
      local hint = nearest and ("; did you mean %s?"):format(nearest)
        or "; there are: " .. table.concat(declaration.choices, ", ")
      refuse(("%s: option %s cannot be \"%s\"%s"):format(owner and owner.name or "options", name, word, hint))
    end
    set[word] = true
  end
  return declaration.several and set or text
end

local function value_of(owner, name, declaration, default, given, refuse)
  local value, expected = given, nil
  if type(given) == "string" then value, expected = readers[kind_of(default)](given) end
  local min = type(declaration) == "table" and declaration.min
  if min and math.type(value) and value < min then value, expected = nil, ("at least %s"):format(min) end
  if value == nil then refuse(("%s: option %s must be %s, got \"%s\""):format(owner.name, name, expected, given)) end
  return value
end

local function refuse_unknown(owner, declared, refuse)
  local names = sorted_names(declared)
  for _, name in ipairs(sorted_names(owner.options)) do
    if declared[name] == nil then
      local nearest = core.nearest(name, names)
      local hint = nearest and ("; did you mean %s?"):format(nearest)
        or #names > 0 and ("; it has: %s"):format(table.concat(names, ", ")) or ""
      refuse(("%s: no such option: %s%s"):format(owner.name, name, hint))
    end
  end
end

--- The values of the declared options: { name = {default=, help=} or a default } → { name = value }. With choices={words}
-- the value is one of these, with several=true a set of them, given as "a+b"; min= is the least that a number may be. `owner`
-- is the script with the texts that it was given (owner.options), or nil in a program; what is wrong with those is no
-- mistake of the script's and goes to `refuse`, which raises.
function options.read(owner, declared, refuse)
  if type(declared) ~= "table" then error("options: a table expected, got " .. type(declared), 0) end
  local given = owner and owner.options or {}
  local values = {}
  if owner then
    owner.declared = true
    refuse_unknown(owner, declared, refuse)
  end
  for name, declaration in pairs(declared) do
    local default = default_of(name, declaration)
    if type(declaration) == "table" and declaration.choices then
      values[name] = chosen(owner, name, declaration, given[name] or default, refuse)
    elseif given[name] == nil then
      values[name] = default
    else
      values[name] = value_of(owner, name, declaration, default, given[name], refuse)
    end
  end
  return values
end

--- After a script has run: options were given, but it has declared none.
function options.check_used(owner, refuse)
  if not owner.declared then refuse_unknown(owner, {}, refuse) end
end

return options
