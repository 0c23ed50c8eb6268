-- SPDX-License-Identifier: MIT
--- What can be said of the shipped scripts without running them: the question that each answers (its first comment line),
-- the rest of its comment, and its options. A script is loaded with a stand-in for `lunette` that takes note of
-- lunette.options and does nothing else.

local core = require("lunette.core")

local shipped = {}

local function read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read("a")
end

-- The comment at the top, without the licence: its lines.
local function comment(source)
  local lines = {}
  for line in source:gmatch("([^\n]*)\n") do
    local text = line:match("^%-%-%-? ?(.*)$")
    if not text then break end
    if not text:find("^SPDX") then lines[#lines + 1] = text end
  end
  return lines
end

-- Whatever is asked of it, it is again.
local anything = setmetatable({}, {})
local function itself() return anything end
getmetatable(anything).__index = itself
getmetatable(anything).__call = itself

-- The table given to lunette.options, and a list of its names, sorted; empty where the script takes none.
local function options_of(source, path)
  local noted = {}
  local lunette = setmetatable({
    options = function(options)
      noted = options
      error(noted) -- nothing else is wanted of it
    end,
  }, { __index = itself })
  local environment = setmetatable({ lunette = lunette, require = itself }, { __index = _G })
  local chunk = load(source, "@" .. path, "t", environment)
  if chunk then pcall(chunk) end
  local names = {}
  for name in pairs(noted) do names[#names + 1] = name end
  table.sort(names)
  return noted, names
end

--- One script: { name, path, question, notes (lines), options, option_names }.
function shipped.describe(path)
  local source = read(path)
  local lines = comment(source)
  local question = table.remove(lines, 1) or ""
  local options, names = options_of(source, path)
  return {
    name = path:match("([^/]+)%.lua$"),
    path = path,
    question = question,
    notes = lines,
    options = options,
    option_names = names,
  }
end

--- All of them in these folders, by name.
function shipped.all(folders)
  local scripts = {}
  for _, folder in ipairs(folders) do
    for _, name in ipairs(core.scripts_in(folder)) do
      scripts[#scripts + 1] = shipped.describe(("%s/%s.lua"):format(folder, name))
    end
  end
  return scripts
end

--- "depth=100", and what it is for.
function shipped.option_text(script, name)
  local option = script.options[name]
  if type(option) ~= "table" then return ("%s=%s"):format(name, tostring(option)), "" end
  return option.default == nil and name .. "=…" or ("%s=%s"):format(name, tostring(option.default)), option.help or ""
end

return shipped
