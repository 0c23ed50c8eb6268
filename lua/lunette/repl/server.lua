-- SPDX-License-Identifier: MIT
--- The prompt for those who connect: one for each client of run --listen, on the script loop. While the guest runs its lines
-- run at safepoints; where one of its breakpoints strikes, the guest waits, and the loop goes on serving all of them.

local Prompt = require("lunette.repl.prompt")

local server = {}

local Client = {}
Client.__index = Client

-- Stands still inside a callback of the guest's until a line says to go on, or the client is gone.
local function pause(prompt, title, call)
  local client = prompt.client
  if prompt.ended or prompt.standing or client.busy then return end
  prompt.stops:clear()
  prompt.standing, prompt.call, prompt.resumes, prompt.frame = true, call, false, 1
  prompt:say("%s", title)
  while not prompt.resumes and not prompt.ended do
    if not prompt.session.core:park() then break end
  end
  prompt.standing, prompt.call = false, nil
end

local function close(prompt)
  local client = prompt.client
  if prompt.ended then return end
  prompt.ended = true
  client.list[client] = nil
  prompt.owner:release()
  if not client.pipe:is_closing() then client.pipe:close() end
  prompt.session.core:unpark()
end

-- Its coroutine: lines, one after another.
local function serve(client)
  local prompt = client.prompt
  prompt:say("lunette %s, connected. help shows the commands, quit leaves; the guest goes on", prompt.api.version)
  while not prompt.ended do
    prompt:take_line(prompt.terminal.read("lunette> "))
  end
end

function Client:write(text)
  if not self.pipe:is_closing() then self.pipe:write(text) end
end

-- Lines that have come run one by one; each may ask for more of them.
function Client:take(chunk)
  self.text = self.text .. chunk
  while not self.prompt.ended do
    local line, rest = self.text:match("^([^\n]*)\n(.*)$")
    if not line then return end
    self.text, self.busy = rest, true
    local good, problem = coroutine.resume(self.routine, line)
    self.busy = false
    if not good then self:write(tostring(problem) .. "\n") end
    if self.prompt.resumes then self.prompt.session.core:unpark() end
  end
end

local function accept(self)
  local pipe = self.uv.new_pipe(false)
  self.pipe:accept(pipe)
  local client = setmetatable({ pipe = pipe, text = "", list = self.clients }, Client)
  self.clients[client] = true
  local prompt = Prompt.new(self.session, {
    read = function(prompt)
      client:write(prompt == "lunette> " and "\0p" or "\0c")
      return coroutine.yield()
    end,
    write = function(text) client:write(text) end,
    remember = function() end,
    complete = function() end,
  })
  prompt.client, client.prompt, prompt.pause, prompt.quit = client, prompt, pause, close
  client.routine = coroutine.create(serve)
  pipe:read_start(function(problem, chunk)
    if problem or not chunk then return close(prompt) end
    client:take(chunk)
  end)
  local good, why = coroutine.resume(client.routine, client)
  if not good then client:write(tostring(why) .. "\n") end
  self.session.core:unpark() -- somebody may have waited for one to connect
end

--- Serves clients of the listening socket `fd`.
function server.open(session, fd)
  local self = { session = session, clients = {}, uv = session.api.uv }
  self.pipe = self.uv.new_pipe(false)
  self.pipe:open(fd)
  self.pipe:listen(16, function(problem)
    if not problem then accept(self) end
  end)
  function self.stop_at(_, call)
    if call then return server.pause(self, "paused in " .. call.name, call) end
    local once
    once = session.api.on("*", function(next_call)
      once:detach()
      server.pause(self, "paused in " .. next_call.name, next_call)
    end)
  end
  session.server = self
end

--- lunette.pause() with no terminal: a client's prompt; where there is none, the guest waits for one.
function server.pause(self, title, call)
  while not next(self.clients) do
    if not self.session.core:park() then return end
  end
  next(self.clients).prompt:pause(title, call)
end

--- The guest has ended, as `how` tells.
function server.finish(self, how)
  for client in pairs(self.clients) do client:write(how .. "\n") end
end

return server
