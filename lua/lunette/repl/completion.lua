-- SPDX-License-Identifier: MIT
--- What a line at the prompt could go on with: in quotes a function's name, after a dot or colon a member, else a command,
-- a global or a word of Lua.

local commands = require("lunette.repl.commands")
local core = require("lunette.core")

local completion = {}

local MOST = 200

local keywords = { "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "if", "in", "local", "nil", "not",
                   "or", "repeat", "return", "then", "true", "until", "while" }

local function collect(prefix, names)
  local list, seen = {}, {}
  for _, name in ipairs(names) do
    if type(name) == "string" and name:sub(1, #prefix) == prefix and not seen[name] then
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
      for _, name in ipairs(require("lunette.api").names()) do names[#names + 1] = name:match("^lunette%.(.*)$") end
    end
  elseif type(value) == "userdata" then
    local meta = debug.getmetatable(value)
    keys(core.members()[meta and (meta.__name or ""):match("[%w_]*$")] or {}, names)
  end
  return names
end

local function words(prompt)
  local names = commands.names()
  table.move(keywords, 1, #keywords, #names + 1, names)
  for _, name in ipairs({ "call", "guest", "memory", "lunette" }) do names[#names + 1] = name end
  keys(prompt.env, names)
  keys(_G, names)
  return names
end

--- (line up to the cursor) → how many of its last bytes are the word, and the list of what it could become.
function completion.candidates(prompt, line)
  local before = line:match("^[^\"']*$") == nil and line:match("[\"']([^\"']*)$")
  local quotes = select(2, line:gsub("[\"']", ""))
  if before and quotes % 2 == 1 then return #before, collect(before, function_names(prompt)) end
  local path, word = line:match("([%a_][%w_%.]*)[%.:]([%w_]*)$")
  if path then return #word, collect(word, members(prompt, path)) end
  word = line:match("[%a_][%w_]*$") or ""
  return #word, collect(word, words(prompt))
end

return completion
