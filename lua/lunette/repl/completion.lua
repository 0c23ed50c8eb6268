-- SPDX-License-Identifier: MIT
--- What a line at the prompt could go on with: in quotes a function's name, after a dot or colon a member, else a command,
-- a global or a word of Lua.

local api = require("lunette.api")
local commands = require("lunette.repl.commands")
local core = require("lunette.core")

local completion = {}

local MOST = 200

local function collect(prefix, names)
  local list, seen = {}, {}
  for _, name in ipairs(names) do
    if type(name) == "string" and name:sub(1, #prefix) == prefix and not name:find("%c") and not seen[name] then
      seen[name] = true
      list[#list + 1] = name
    end
  end
  table.sort(list)
  return table.move(list, 1, math.min(#list, MOST), 1, {})
end

local function keys(map, names)
  for name in next, map do names[#names + 1] = name end
end

local function function_names(prompt)
  local names = {}
  local guest = prompt.session.guest
  local module = guest and guest.module or prompt.module
  for i, definition in ipairs(module and module:functions() or {}) do names[i] = definition.name end
  return names
end

-- The value that "a.b" names, without calling anything but fields of objects.
local function value_of(prompt, path)
  local value = prompt.env
  for name in path:gmatch("[%a_][%w_]*") do
    local good, inner = pcall(function() return value[name] end)
    if not good then return nil end
    value = inner
  end
  return value
end

local function members(prompt, path)
  local value, names = value_of(prompt, path), {}
  if type(value) == "string" then
    keys(string, names)
  elseif type(value) == "table" then
    keys(value, names)
    if value == prompt.api then
      for _, name in ipairs(api.names()) do names[#names + 1] = name:match("^lunette%.(.*)$") end
    end
  elseif type(value) == "userdata" then
    local meta = debug.getmetatable(value)
    keys(core.members()[meta and (meta.__name or ""):match("[%w_]*$")] or {}, names)
  end
  return names
end

local function words(prompt)
  local names = commands.names()
  table.move(commands.keywords, 1, #commands.keywords, #names + 1, names)
  for _, name in ipairs({ "call", "guest", "memory", "lunette" }) do names[#names + 1] = name end
  keys(prompt.env, names)
  keys(_G, names)
  return names
end

local function names_of(list)
  local names = {}
  for i, item in ipairs(list) do names[i] = item.name end
  return names
end

-- What a command's words can be.
local after = {
  breakpoint = function_names, advance = function_names, functions = function_names,
  trace = function() return { "on", "off" } end,
  help = function()
    local names = commands.names()
    return table.move(api.names(), 1, #api.names(), #names + 1, names)
  end,
}
after.unload = function(prompt) return names_of(prompt.api.scripts) end
after.reload = after.unload

--- (line up to the cursor) → how many of its last bytes are the word, and the list of what it could become.
function completion.candidates(prompt, line)
  local before = line:match("^[^\"']*$") == nil and line:match("[\"']([^\"']*)$")
  local quotes = select(2, line:gsub("[\"']", ""))
  if before and quotes % 2 == 1 then return #before, collect(before, function_names(prompt)) end
  local name, argument = line:match("^%s*(%a+)%s+(%S*)$")
  if name and after[name] and not argument:find("[\"'=(]") then return #argument, collect(argument, after[name](prompt)) end
  local path, word = line:match("([%a_][%w_%.]*)[%.:]([%w_]*)$")
  if path then return #word, collect(word, members(prompt, path)) end
  word = line:match("[%a_][%w_]*$") or ""
  return #word, collect(word, words(prompt))
end

--- The same list as text, a line each.
function completion.lines(prompt, line)
  local size, list = completion.candidates(prompt, line)
  return size, #list > 0 and table.concat(list, "\n") .. "\n" or ""
end

return completion
