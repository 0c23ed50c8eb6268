-- SPDX-License-Identifier: MIT
--- What lunette.session takes: which settings there are, and of what kind their values must be.

local core = require("lunette.core")

local settings_of_session = {}

local setting_names = {
  "output", "stack", "max_memory", "limits", "message", "strict", "unsafe", "sandbox", "script_time", "script_memory",
}

local expected = {
  output = "a path, \"stdout\", \"stderr\" or a descriptor",
  stack = "a number of bytes",
  max_memory = "a number of bytes",
  limits = "a table",
  message = "a function",
}

local function is_count(value) return math.type(value) == "integer" and value >= 0 end

local fits = {
  output = function(value) return type(value) == "string" or is_count(value) and value < 1 << 31 end,
  stack = is_count,
  max_memory = is_count,
  limits = function(value) return type(value) == "table" end,
  message = function(value) return type(value) == "function" end,
}

--- Raises where lunette.session cannot take them.
function settings_of_session.check(settings)
  if type(settings) ~= "table" then error("session: options must be a table, not a " .. type(settings), 0) end
  local known = {}
  for _, name in ipairs(setting_names) do known[name] = true end
  for name in pairs(settings) do
    if not known[name] then
      local nearest = core.nearest(tostring(name), setting_names)
      local hint = nearest and ("; did you mean '%s'?"):format(nearest) or ""
      error(("session: no such option: %s%s"):format(tostring(name), hint), 0)
    end
    local value = settings[name]
    if fits[name] and not fits[name](value) then
      local got = type(value) == "number" and tostring(value) or "a " .. type(value)
      error(("session: %s must be %s, not %s"):format(name, expected[name], got), 0)
    end
  end
end

return settings_of_session
