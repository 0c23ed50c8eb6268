-- SPDX-License-Identifier: MIT
-- Writes what is made of the list of the API (lua/lunette/api.lua), where no module of lunette has to be built:
--   lua5.4 cmake/reference.lua stubs|page >FILE      run in the source folder
-- `stubs` are definitions for the Lua language server, `page` is the reference.

package.path = "lua/?.lua;" .. package.path
local api = require("lunette.api")
local shapes = require("lunette.shapes")

-- ---- reading signatures ----
-- The parts of a text between separators (a pattern of one character) that stand outside of brackets and of function … end.
local function split(text, separator)
  local parts, depth, start, at = {}, 0, 1, 1
  while at <= #text do
    if text:find("^function%(", at) then
      local _, close = text:find(" end", at, true)
      at = close or #text
    else
      local c = text:sub(at, at)
      if c:find("[%[{(]") then depth = depth + 1 end
      if c:find("[%]})]") then depth = depth - 1 end
      if depth == 0 and c:find(separator) then
        parts[#parts + 1] = text:sub(start, at - 1)
        start = at + 1
      end
    end
    at = at + 1
  end
  parts[#parts + 1] = text:sub(start)
  for i, part in ipairs(parts) do parts[i] = part:match("^%s*(.-)%s*$") end
  return parts
end

-- "a [, b]", "[a]" → { { text =, optional = }, … }
local function arguments_of(text)
  local list = {}
  local required, optional = text:match("^(.-)%s*%[%s*,?%s*(.*)%]$")
  if not required then required, optional = text, "" end
  for _, part in ipairs({ { required, false }, { optional, true } }) do
    for _, argument in ipairs(part[1] ~= "" and split(part[1], ",") or {}) do
      list[#list + 1] = { text = argument, optional = part[2] }
    end
  end
  return list
end

-- "(arguments) -> results" → both texts; nil: it is a field.
local function call_of(signature)
  if signature:sub(1, 1) ~= "(" then return nil end
  local inside = signature:match("^%b()")
  return inside:sub(2, -2), signature:match("^%b()%s*%->%s*(.*)$")
end

-- ---- types ----
local classes = {}
for _, row in ipairs(api.rows) do classes[row[1]:match("^%w+")] = true end
classes.predicate = true
local builtin = {}
for name in ("string integer number boolean table function nil"):gmatch("%a+") do builtin[name] = true end

local type_of

-- "{name=, size=integer}" → { name?: string, size?: integer }
local function table_type(text, row)
  local fields = {}
  for _, part in ipairs(split(text:sub(2, -2), ",")) do
    local name, value = part:match("^([%a_][%w_]*)=(.*)$")
    if not name then return "table" end
    local kind = value:find("^[%a{\"]") and type_of(value, row) or "any"
    fields[#fields + 1] = ("%s?: %s"):format(name, kind)
  end
  return "{ " .. table.concat(fields, ", ") .. " }"
end

local function list_type(text, row)
  local one = text:match("^list of (.*)$")
  local singular = one:gsub("s$", "")
  local inner = classes[singular] and "lunette." .. singular or type_of(one, row)
  return (inner:find(" | ", 1, true) and "(" .. inner .. ")" or inner) .. "[]"
end

-- "function(call, …) … end" → fun(call: lunette.call, ...: any): any
local function function_type(text)
  local list = {}
  for name in text:match("%((.-)%)"):gmatch("[^%s,]+") do
    list[#list + 1] = name == "…" and "...: any" or ("%s: %s"):format(name, classes[name] and "lunette." .. name or "any")
  end
  return ("fun(%s): any"):format(table.concat(list, ", "))
end

local function one_type(text, row)
  local word = shapes.words[row .. " " .. text] or (text:find("^[%a_]+$") and shapes.words[text])
  if text:find('^"') then return text end
  if text:find("^list of ") then return list_type(text, row) end
  if text:find("^{") then return table_type(text, row) end
  if text:find("^function%(") then return function_type(text) end
  if text == "lunette" then return "lunette" end
  if builtin[text] then return text end
  if word then return word end
  if classes[text] then return "lunette." .. text end
  return "any"
end

function type_of(text, row)
  local list, seen = {}, {}
  for _, part in ipairs(split(text, "|")) do
    local kind = one_type(part, row)
    if not seen[kind] then list[#list + 1] = kind end
    seen[kind] = true
  end
  return table.concat(list, " | ")
end

-- What a member gives that is an object of a class with a builtin's name.
local objects = {
  ["lunette.table"] = "lunette.table", ["instance:table"] = "lunette.table", ["event.table"] = "lunette.table | nil",
  ["aggregation:table"] = "table[]",
}

local function result_type(row, text) return objects[row] or type_of(text, row) end

-- ---- stubs ----
local out = {}
local function write(format, ...) out[#out + 1] = format:format(...) .. "\n" end

local function argument_name(text, taken)
  local name = text:match("^([%a_][%w_]*)")
  if text:find("^{") then name = "options" end
  if text:find("^function%(") then name = "callback" end
  if text:find("…", 1, true) and not text:find("^[{f]") then return "..." end
  name = name == "function" and "callback" or name or "value"
  while taken[name] or name == "end" do name = name .. "_" end
  taken[name] = true
  return name
end

local function options_shape(row, results)
  local shape = shapes.options[row] or shapes.options[results]
  return shape and "lunette." .. shape
end

local function argument_type(row, argument, results)
  if argument.text:find("…", 1, true) and not argument.text:find("^[{f]") then return "any" end
  if argument.text:find("^{") then
    local shape = options_shape(row, results)
    if shape then return shape end
    if argument.text:find("…", 1, true) then return "table" end
  end
  return type_of(argument.text, row)
end

local function write_function(row, inside, results)
  local names, taken = {}, {}
  write("--- %s", row[3])
  if inside:find(") | (", 1, true) then inside = "..." end
  for _, argument in ipairs(inside ~= "" and arguments_of(inside) or {}) do
    local name = inside == "..." and "..." or argument_name(argument.text, taken)
    names[#names + 1] = name
    local mark = argument.optional and name ~= "..." and "?" or ""
    write("---@param %s%s %s", name, mark, argument_type(row[1], argument, results))
  end
  if results then
    local many = results == "values" or results == "results" or results == "slots"
    write("---@return %s", many and "any ..." or result_type(row[1], results))
  end
  write("function %s(%s) end\n", row[1], table.concat(names, ", "))
end

local function write_shape(shape)
  write("--- %s", shape[2])
  local parent = shape[1] == "factory_options" and ": lunette.attach_options" or ""
  write("---@class lunette.%s%s", shape[1], parent)
  for i = 3, #shape do
    local field = shape[i]
    write("---@field %s? %s %s", field[1], type_of(field[2], shape[1]), field[3])
  end
  write("")
end

local function members(class)
  local list = {}
  for _, row in ipairs(api.rows) do
    if row[1]:match("^%w+") == class then list[#list + 1] = row end
  end
  return list
end

local function class_order()
  local order, seen = {}, {}
  for _, row in ipairs(api.rows) do
    local class = row[1]:match("^%w+")
    if not seen[class] then order[#order + 1] = class end
    seen[class] = true
  end
  return order
end

local function write_class(class)
  local is_module = class == "lunette"
  write("---@class %s", is_module and "lunette" or "lunette." .. class)
  if class == "stack" then write("---@field [integer] lunette.frame from 1, the innermost") end
  for _, row in ipairs(members(class)) do
    if not call_of(row[2]) then
      local name = row[1]:match("[.:]([%w_]+)$")
      local kind = shapes.words[row[1]] or result_type(row[1], row[2])
      write("---@field %s %s %s", name, kind, row[3])
    end
  end
  write(is_module and "lunette = {}\n" or "local %s = {}\n", class == "function" and "function_" or class)
  for _, row in ipairs(members(class)) do
    local inside, results = call_of(row[2])
    if inside then
      local name = row[1]:gsub("^function:", "function_:")
      write_function({ name, row[2], row[3] }, inside, results)
    end
  end
end

local function stubs()
  write("---@meta lunette")
  write("-- Made by ./dev docs from lua/lunette/api.lua: the API, for the Lua language server. Scripts have it as `lunette`,")
  write("-- and so has whoever requires it.\n")
  write("---@class lunette.predicate")
  write("---@operator band(lunette.predicate): lunette.predicate")
  write("---@operator bor(lunette.predicate): lunette.predicate")
  write("---@operator bnot: lunette.predicate\n")
  write("---@class lunette.out")
  write("local out = {}\n")
  write("---@param ... string | number")
  write("function out:write(...) end\n")
  write("---@param format string")
  write("---@param ... any")
  write("function out:printf(format, ...) end\n")
  for _, shape in ipairs(shapes.list) do write_shape(shape) end
  for _, class in ipairs(class_order()) do write_class(class) end
  write("return lunette")
end

-- ---- the page ----
local function sentence(text) return text:sub(1, 1):upper() .. text:sub(2) .. "." end

local function write_member(row)
  write("**`%s%s`**  ", row[1], call_of(row[2]) and row[2] or "")
  if call_of(row[2]) then write("%s\n", sentence(row[3]))
  else write("%s: %s.\n", row[2] == "value" and "any value" or "`" .. row[2] .. "`", row[3]) end
end

local function page()
  write("# Reference\n")
  write([[
The Lua API, as `./dev docs` makes it from `lua/lunette/api.lua`; `lunette help NAME` shows the same. In a script it is
there as `lunette`; in a program `require "lunette"` gives it. `x.y` is a field, `x:y()` a method; what stands in brackets
may be left out. A misspelt function, field or option is an error that names the nearest one.

Patterns, which choose functions: `sqlite3_*` (any name of a function), `=name` (exactly this one), `import:module.*`,
`export:*`, `host:*`, `file:*/json.c` (the source file, by debug information), `#12` and `#10-20` (indexes), `!pattern`
(all but); a list of them is what any includes, less what any excludes.
]])
  for _, class in ipairs(class_order()) do
    write("## %s\n", class)
    for _, row in ipairs(members(class)) do write_member(row) end
  end
  write("## Tables\n")
  write("What functions take as tables; each field may be left out.\n")
  for _, shape in ipairs(shapes.list) do
    write("### %s\n", shape[1])
    write("%s:\n", sentence(shape[2]):sub(1, -2))
    for i = 3, #shape do write("- `%s` (%s): %s", shape[i][1], (shape[i][2]:gsub(" | ", ", ")), shape[i][3]) end
    write("")
  end
end

if arg[1] == "stubs" then stubs() else page() end
io.write((table.concat(out):gsub("\n+$", "\n")))
