-- SPDX-License-Identifier: MIT
--- `lunette list`: the functions of a module, its imports and its exports.

local core = require("lunette.core")
local text = require("lunette.cli.text")

local list = {}

local WIDEST = 48 -- a cell wider than this stands out of its column

-- "import env.log", "export main, start".
local function ports(definition)
  local notes = {}
  local import = definition.import
  if import then notes[1] = "import " .. text.escape(import.module .. "." .. import.name) end
  for _, name in ipairs(definition.exports) do notes[#notes + 1] = "export " .. text.escape(name) end
  return table.concat(notes, ", ")
end

local function heading(request, title)
  io.write(request.color and ("\27[1m%s\27[0m\n"):format(title) or title .. "\n")
end

local function functions(request)
  local rows = {}
  for _, definition in ipairs(request.module:functions(request.where)) do
    rows[#rows + 1] = {
      "#" .. definition.index,
      text.escape(definition.name),
      text.signature(definition),
      ports(definition),
    }
  end
  if #rows == 0 then return false end
  heading(request, "functions")
  text.columns(rows, "  ", WIDEST)
  return true
end

local function externs(request, title, items)
  if #items == 0 then return end
  local rows = {}
  for _, item in ipairs(items) do
    local name = item.module and item.module .. "." .. item.name or item.name
    local what = item.definition and "function " .. text.signature(item.definition) or item.type
    rows[#rows + 1] = { text.escape(name), what }
  end
  io.write("\n")
  heading(request, title)
  text.columns(rows, "  ", WIDEST)
end

local function no_function(request)
  local names, nearest = {}, nil
  for _, definition in ipairs(request.module:functions()) do names[#names + 1] = definition.name end
  for _, where in ipairs(request.where) do nearest = nearest or core.nearest(where, names) end
  request.say(('where "%s" matches no function%s'):format(table.concat(request.where, '" "'),
    nearest and "\nhint: did you mean " .. nearest .. "?" or ""))
end

function list.main(_, request)
  local found = functions(request)
  if request.where then
    if not found then no_function(request) end
    return
  end
  externs(request, "imports", request.module.imports)
  externs(request, "exports", request.module.exports)
end

return list
