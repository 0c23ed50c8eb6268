-- SPDX-License-Identifier: MIT
--- Values that are read of a call in C, and predicates over them: what lunette.arg(1):gt(1024) & ~lunette.caller:glob("test_*")
-- gives. They are descriptions, plain tables that the core compiles; nothing here runs while the guest does. Their metatables
-- are everybody's, and so out of reach; what a script writes into a description of its own is judged where that is used.

local core = require("lunette.core")

local reading = {}

local Reading = { __name = "reading", __metatable = "reading" }
local Predicate = { __name = "predicate", __metatable = "predicate" }
local class_of = debug.getmetatable

local function is(value, class) return type(value) == "table" and class_of(value) == class end

--- Whether it is one of these descriptions.
function reading.is(value) return is(value, Reading) end
function reading.is_predicate(value) return is(value, Predicate) end

local function new(source, fields)
  local made = fields or {}
  made.source = source
  return setmetatable(made, Reading)
end

local function numbered(what, position)
  if math.type(position) ~= "integer" or position < 1 or position > 1000 then
    error(("%s: a number from 1 expected, got %s"):format(what, tostring(position)), 0)
  end
  return position - 1
end

local shapes = { source = "string", label = "string", name = "string", index = "number", unsigned = "boolean" }

--- One of its own with the same meaning; nil where somebody has written into it what has none.
function reading.copy(one)
  local fields = {}
  for field, wanted in pairs(shapes) do
    local value = rawget(one, field)
    if value ~= nil and type(value) ~= wanted then return nil end
    fields[field] = value
  end
  return fields.source and fields.label and new(fields.source, fields) or nil
end

--- The n-th param, or the one of that name.
function reading.arg(which)
  if type(which) == "string" then return new("arg", { name = which, label = which }) end
  return new("arg", { index = numbered("arg", which), label = "arg " .. which })
end

function reading.result(position)
  return new("result", { index = numbered("result", position), label = "result " .. position })
end

local words = {
  elapsed = new("elapsed", { label = "elapsed" }),
  self_time = new("self_time", { label = "self time" }),
  stack_depth = new("stack_depth", { label = "depth" }),
  memory_size = new("memory_size", { label = "memory" }),
  name = new("name", { label = "function" }),
  caller = new("caller", { label = "caller" }),
  module = new("module", { label = "module" }),
  instance = new("instance", { label = "instance" }),
  file = new("file", { label = "file" }),
  stack = new("stack", { label = "stack" }),
}

--- What a word in by= stands for, and the field of the API with the same name; nil: there is no such word.
function reading.word(name) return words[name] and reading.copy(words[name]) end

--- All of these words, sorted.
function reading.names()
  local names = {}
  for name in pairs(words) do names[#names + 1] = name end
  table.sort(names)
  return names
end

-- ---- comparing ----
local function compare(self, how, ...)
  if not is(self, Reading) then error(("%s is a method: lunette.arg(1):%s(…)"):format(how, how), 3) end
  local right = table.pack(...)
  local wanted = how == "between" and 2 or 1
  if right.n ~= wanted then error(("%s takes %d value%s"):format(how, wanted, wanted == 1 and "" or "s"), 3) end
  for i = 1, wanted do
    if type(right[i]) ~= "number" and type(right[i]) ~= "string" then
      error(("%s: a number or a text expected, got %s"):format(how, type(right[i])), 3)
    end
  end
  right.n = nil
  return setmetatable({ form = "compare", reading = self, how = how, right = right }, Predicate)
end

local methods = {}
for _, how in ipairs({ "gt", "ge", "lt", "le", "eq", "ne", "between", "has", "glob" }) do
  methods[how] = function(self, ...) return compare(self, how, ...) end
end

--- The same, taken as unsigned.
function methods.u(self)
  return new(self.source, { name = self.name, index = self.index, label = self.label, unsigned = true })
end

local plain = { source = true, name = true, index = true, label = true, unsigned = true }

function Reading.__index(_, key)
  if methods[key] or plain[key] then return methods[key] end
  local names = {}
  for name in pairs(methods) do names[#names + 1] = name end
  local nearest = core.nearest(tostring(key), names)
  error(("reading:%s: no such method%s"):format(tostring(key), nearest and ("; did you mean '%s'?"):format(nearest) or ""), 2)
end

function Reading.__tostring(self) return "reading of " .. tostring(rawget(self, "label")) end

-- ---- combining ----
local function both(form)
  return function(left, right)
    if not is(left, Predicate) or not is(right, Predicate) then
      error(("%s combines predicates, as in lunette.arg(1):gt(0) %s lunette.arg(2):lt(9)"):format(form, form), 2)
    end
    return setmetatable({ form = form, left, right }, Predicate)
  end
end

Predicate.__band = both("&")
Predicate.__bor = both("|")
function Predicate.__bnot(one) return setmetatable({ form = "~", one }, Predicate) end
function Predicate.__tostring() return "predicate" end

return reading
