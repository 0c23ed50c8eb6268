-- SPDX-License-Identifier: MIT
--- The prompt: reads lines, runs them as commands (commands.lua) or as Lua, and goes on with the guest when a command says
-- so. It stands still inside a callback or at a safepoint of the guest, which therefore waits with all its frames; what is
-- typed sees them.

local Owner = require("lunette.owner")
local commands = require("lunette.repl.commands")
local completion = require("lunette.repl.completion")
local environment = require("lunette.environment")
local stops = require("lunette.repl.stops")
local values = require("lunette.repl.values")

local Prompt = {}
Prompt.__index = Prompt

--- terminal: { read(prompt) → line, false (given up) or nil (the end), write(text), remember(line), interactive(),
-- columns(), complete(function) }.
function Prompt.new(session, terminal)
  local self = setmetatable({ session = session, terminal = terminal, frame = 1 }, Prompt)
  self.owner = Owner.new("prompt", nil, {})
  self.api = session:api_for(self.owner)
  self.stops = stops.new(self)
  self.env = self:environment()
  terminal.complete(function(text) return completion.lines(self, text) end)
  return self
end

function Prompt:say(format, ...)
  self.session:open():flush()
  self.terminal.write(select("#", ...) == 0 and format .. "\n" or format:format(...) .. "\n")
end

-- What is typed sees lunette, the commands as functions, the call it stands at, and the standard library.
function Prompt:environment()
  local live = {
    call = function() return self.call end,
    guest = function() return self.session.guest end,
    memory = function() return self:memory() end,
  }
  local env = environment.free(self.session, self.api)
  self.known = live
  function env.print(...)
    local parts = table.pack(...)
    for i = 1, parts.n do parts[i] = tostring(parts[i]) end
    self:say("%s", table.concat(parts, "\t"))
  end
  env.on = self.api.on
  local base = getmetatable(env).__index
  return setmetatable(env, { __index = function(_, name)
    if live[name] then return live[name]() end
    local command = commands.named(name)
    if command then return function(...) return command.run(self, ...) end end
    return base[name]
  end })
end

-- ---- where it stands ----
--- The frames, top first; nil where the guest is not at work.
function Prompt:stack()
  return self.call and self.call:stack()
end

--- The frame that `up` and `down` have chosen.
function Prompt:selected()
  local stack = self:stack()
  return stack and stack[self.frame]
end

--- Memory 0 of the selected frame's instance, else of the guest.
function Prompt:memory()
  local frame = self:selected()
  local instance = frame and frame.instance or self.session.guest
  return instance and not instance.closed and instance.memory or nil
end

-- ---- one line ----
local function shown(...)
  local parts = table.pack(...)
  for i = 1, parts.n do parts[i] = values.show(parts[i]) end
  return table.concat(parts, "  ")
end

local function explain(problem)
  if type(problem) == "userdata" then return tostring(problem) end
  return (tostring(problem):gsub("^=?prompt:1: ", ""):gsub("^[^\n]-lunette/[%w/]+%.lua:%d+: ", ""))
end

-- The chunk of a text; or nil and "more" where it only lacks its end; or nil and what is wrong.
function Prompt:compile(text)
  local chunk, as_value = load("return " .. text, "=prompt", "t", self.env)
  if chunk then return chunk end
  local problem
  chunk, problem = load(text, "=prompt", "t", self.env)
  if chunk then return chunk end
  return nil, (problem:find("<eof>$") or as_value:find("<eof>$")) and "more" or explain(problem)
end

-- The same of a text that goes on over lines, and the whole of it. False: it was given up.
function Prompt:read_chunk(text)
  local chunk, problem = self:compile(text)
  while not chunk and problem == "more" do
    local line = self.terminal.read("... ")
    if line == false then return false, nil, text end
    if not line then return nil, "the last chunk has no end", text end
    text = text .. "\n" .. line
    chunk, problem = self:compile(text)
  end
  return chunk, problem, text
end

function Prompt:run_lua(line)
  local problem = self:mistaken(line)
  if problem then
    self.terminal.remember(line)
    return self:say("%s", problem)
  end
  local chunk, text
  chunk, problem, text = self:read_chunk(line)
  self.terminal.remember(text)
  if chunk == false then return end
  if not chunk then return self:say("%s", problem) end
  local results = table.pack(xpcall(chunk, explain))
  if not results[1] then self:say("%s", results[2])
  elseif results.n > 1 then self:say("%s", shown(table.unpack(results, 2, results.n))) end
end

-- What is wrong with a line that is neither a command nor Lua, but was meant as a command; else nil.
function Prompt:mistaken(line)
  local name, rest = line:match("^%s*([%a_][%w_]*)%s*(.-)%s*$")
  if not name or commands.is_keyword(name) then return nil end
  local nearest = commands.nearest(name)
  local has_value = self.known[name] or self.env[name] ~= nil
  if rest == "" then
    if has_value then return nil end
  elseif rest:find("^[%w_*]") then
    local chunk, problem = self:compile(line)
    if not nearest or chunk or (problem == "more" and name ~= "break") then return nil end -- "x or y"
  elseif not nearest or has_value or not rest:find("^[\"']") then
    return nil
  end
  return ("%s: no such command%s%s"):format(name, rest == "" and " or variable" or "",
    nearest and ("; did you mean %s?"):format(nearest) or "")
end

function Prompt:run_line(line)
  local command, rest = commands.parse(line)
  if not command then return self:run_lua(line) end
  self.terminal.remember(line)
  if rest.n == 0 and command.usage:find("^%a") then
    return self:say("%s wants more: %s %s", command.name, command.name, command.usage)
  end
  local good, problem = xpcall(command.run, explain, self, table.unpack(rest, 1, rest.n))
  if not good then self:say("%s", problem) end
end

--- The same; an empty line says a step once more.
function Prompt:take_line(line)
  if line:find("^%s*$") then line = self.last or "" end
  self.last = commands.repeats(line) and line or nil
  if line:find("%S") then self:run_line(line) end
end

-- ---- standing still ----
--- Reads and runs lines until the guest shall go on. At the end of the input it goes on, and never stops here again; on a
-- terminal, where that is Ctrl-D, it means quit.
function Prompt:stand()
  self.resumes, self.frame = false, 1
  while not self.resumes do
    local line = self.terminal.read("lunette> ")
    if line then
      self:take_line(line)
    elseif line == nil then
      if self.terminal.interactive() then self:quit() end
      self.ended = true
      break
    end
  end
end

--- The guest is stopped at a call: tells where, and stands.
function Prompt:pause(title, call)
  if self.ended or self.standing then return end
  self.stops:clear()
  self.standing, self.call = true, call
  self:say("%s", title)
  self.session.core:without_budget(self.stand, self) -- whoever types takes what time he likes
  self.standing, self.call = false, nil
end

--- The same where Ctrl-C asked for it: the terminal has shown that key where its cursor stood.
function Prompt:interrupt(call)
  self:pause((self.terminal.interactive() and "\n" or "") .. "paused in " .. call.name, call)
end

--- Before the guest runs.
function Prompt:welcome()
  self:say("lunette %s. continue runs the guest; help shows the commands", self.api.version)
  self.standing = true
  self:stand()
  self.standing = false
end

--- When it has ended. At the end of the input there is nothing left to ask.
function Prompt:after_guest(how)
  self:say("%s", how)
  if self.ended then return end
  self.over = true
  self:stand()
end

function Prompt:quit()
  self.ended, self.resumes, self.left = true, true, true
  if self.call then self.session:open():stop(0) end
end

return Prompt
