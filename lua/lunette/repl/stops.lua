-- SPDX-License-Identifier: MIT
--- Where the guest stops: breakpoints, and the one-time stops of step, advance and finish. All of them are attachments of
-- the prompt's own; at a stop the one-time ones are taken away, and hear no more than the end of the call they stopped at.

local text = require("lunette.cli.text")
local values = require("lunette.repl.values")

local Stops = {}
Stops.__index = Stops

local stops = {}

function stops.new(prompt)
  return setmetatable({ prompt = prompt, once = {}, breakpoints = {}, last = 0 }, Stops)
end

local function listed(...)
  local parts = table.pack(...)
  for i = 1, parts.n do parts[i] = values.plain(parts[i]) end
  return table.concat(parts, ", "), parts.n
end

--- "name(a=1, 2)" of a call about to be made.
function stops.call_text(call, ...)
  local names = call.definition.param_names or {}
  local parts = table.pack(...)
  for i = 1, parts.n do
    local name = names[i]
    parts[i] = (name and text.escape(name) .. "=" or "") .. values.plain(parts[i])
  end
  return ("%s(%s)"):format(text.escape(call.name), table.concat(parts, ", "))
end

local function returned(call, ...)
  local shown, count = listed(...)
  local name = text.escape(call.name)
  if call.tail then return ("%s ended in a tail call of %s"):format(name, text.escape(call.tail.name)) end
  if count == 0 then return name .. " returned" end
  return ("%s returned %s"):format(name, count == 1 and shown or "(" .. shown .. ")")
end

-- A listener that stops where `wanted` says so, and again at the end of a call that finish has asked for.
function Stops:listener(wanted, title)
  local function ends(call, told)
    if self.finishing ~= call.id then return end
    self.finishing, self.heard = nil, nil
    self.prompt:pause(told, call)
  end
  return {
    before = function(call, ...)
      if wanted(call, ...) then
        self.heard = call.id
        self.prompt:pause(title .. stops.call_text(call, ...), call)
      end
    end,
    after = function(call, ...) ends(call, returned(call, ...)) end,
    abort = function(call, err) ends(call, ("%s ended with %s: %s"):format(call.name, err.kind, err.message)) end,
  }
end

--- Stops once, at the next call of a function of `where`.
function Stops:next_call(where)
  self.once[#self.once + 1] = self.prompt.api.on(where, self:listener(function() return true end, ""), { name = "prompt" })
end

--- Stops at the end of the call at hand. Raises where that was not stopped at by this prompt.
function Stops:finish()
  local call = self.prompt.call
  if not call or not self.heard or self.heard ~= call.id then
    error("finish needs a stop at a call: by step, advance or a breakpoint", 0)
  end
  self.finishing = call.id
end

--- The one-time stops are over.
function Stops:clear()
  for _, attachment in ipairs(self.once) do attachment:detach() end
  self.once = {}
end

-- "n > 3" → a function of the call, in which params go by their names and as p[1], p[2] …
local function condition_of(prompt, condition)
  if condition == nil then return function() return true end end
  if type(condition) == "function" then return condition end
  if type(condition) ~= "string" then error("breakpoint: a condition is a text or a function", 0) end
  local at = {}
  local env = setmetatable({}, { __index = function(_, name)
    local value = at[name]
    if value == nil then return prompt.env[name] end
    return value
  end })
  local chunk, problem = load("return " .. condition, "=condition", "t", env)
  if not chunk then error(("breakpoint: condition %s: %s"):format(condition, problem:gsub("^condition:1: ", "")), 0) end
  return function(call, ...)
    at = { call = call, p = { ... } }
    for i, name in pairs(call.definition.param_names or {}) do at[name] = (select(i, ...)) end
    return chunk()
  end
end

--- A breakpoint at every call of a function of `where`. Gives its number.
function Stops:add(where, condition)
  local test = condition_of(self.prompt, condition)
  self.last = self.last + 1
  local number = self.last
  local attachment = self.prompt.api.on(where, self:listener(test, ("breakpoint %d: "):format(number)), { name = "prompt" })
  self.breakpoints[number] = { where = where, condition = condition, attachment = attachment }
  return number, attachment.functions
end

function Stops:delete(number)
  local breakpoint = self.breakpoints[number]
  if not breakpoint then error(("there is no breakpoint %s"):format(tostring(number)), 0) end
  breakpoint.attachment:detach()
  self.breakpoints[number] = nil
end

--- Numbers in order.
function Stops:numbers()
  local numbers = {}
  for number in pairs(self.breakpoints) do numbers[#numbers + 1] = number end
  table.sort(numbers)
  return numbers
end

return stops
