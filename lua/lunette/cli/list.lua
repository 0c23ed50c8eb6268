-- SPDX-License-Identifier: MIT
--- `lunette list`: the functions of a module, its imports and its exports, and where in the source functions are.

local core = require("lunette.core")
local json = require("lunette.cli.json")
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
      text.place({ file = definition.file, line = definition.line }),
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

-- One line for each: kind says what it is.
local function write_json(request)
  local definitions = request.module:functions(request.where)
  for _, definition in ipairs(definitions) do
    local import, names = definition.import, {}
    for i = 1, #definition.params do names[i] = definition.param_names[i] or "" end
    json.write(json.object({ { "kind", "function" }, { "index", definition.index }, { "name", definition.name },
      { "raw_name", definition.raw_name }, { "params", definition.params }, { "param_names", names },
      { "results", definition.results },
      { "import", import and json.object({ { "module", import.module }, { "name", import.name } }) },
      { "exports", definition.exports }, { "offset", definition.offset }, { "size", definition.size },
      { "file", definition.file }, { "line", definition.line } }))
  end
  if request.where then return #definitions > 0 end
  for _, kind in ipairs({ "import", "export" }) do
    for _, item in ipairs(request.module[kind .. "s"]) do
      if not item.definition then
        json.write(json.object({ { "kind", kind }, { "module", item.module }, { "name", item.name }, { "type", item.type } }))
      end
    end
  end
  return true
end

local function no_function(request)
  local names, nearest = {}, nil
  for _, definition in ipairs(request.module:functions()) do names[#names + 1] = definition.name end
  for _, where in ipairs(request.where) do nearest = nearest or core.nearest(where, names) end
  request.say(('where "%s" matches no function%s'):format(table.concat(request.where, '" "'),
    nearest and "\nhint: did you mean " .. nearest .. "?" or ""))
end

function list.main(_, request)
  if request.json then
    if not write_json(request) then no_function(request) end
    return
  end
  local found = functions(request)
  if request.where then
    if not found then no_function(request) end
    return
  end
  externs(request, "imports", request.module.imports)
  externs(request, "exports", request.module.exports)
end

return list
