-- SPDX-License-Identifier: MIT
--- The prompt for those who connect: one for each client of run --listen, on the script loop. While the guest runs its lines
-- run at safepoints; where one of its breakpoints strikes, the guest waits, and the loop goes on serving all of them.

local Owner = require("lunette.owner")
local Prompt = require("lunette.repl.prompt")
local completion = require("lunette.repl.completion")
local loop = require("lunette.loop")

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
  prompt:say("lunette %s, connected: help shows the commands, quit leaves", prompt.api.version)
  while not prompt.ended do
    local line = prompt.terminal.read("lunette> ")
    if line then prompt:take_line(line) end
  end
end

local LINE_MOST = 64 * 1024 -- bytes
local WAITING_MOST = 4 << 20 -- bytes on their way to a client that reads slowly

-- Bytes for the client; what it is too slow to read is left out, and it is told so. Text never waits for a client.
function Client:send(bytes)
  if self.pipe:is_closing() then return end
  if self.pipe:get_write_queue_size() > WAITING_MOST then
    self.left_out = self.left_out + #bytes
    return
  end
  if self.left_out > 0 then
    bytes = ("... %d bytes left out: they were not read in time\n"):format(self.left_out) .. bytes
    self.left_out = 0
  end
  self.pipe:write(bytes)
end

-- Text of any bytes; NUL is for marks.
function Client:write(text) self:send((text:gsub("%z", "\\0"))) end

-- A mark that a line is wanted.
function Client:ask(mark)
  self.asked = mark
  self:send(mark)
end

-- The chunk that goes on over lines is given up; or the guest, which runs, shall stand still.
function Client:interrupt()
  local prompt = self.prompt
  if self.asked == "\0c" then return self:resume(false) end
  if not prompt.standing then
    prompt.session.server.wants_pause = self
    prompt.session.core:ask_pause()
  end
  self:ask(self.asked)
end

function Client:resume(line)
  self.busy = true
  local good, problem = coroutine.resume(self.routine, line)
  self.busy = false
  if not good then self:write(tostring(problem) .. "\n") end
  if self.prompt.resumes then self.prompt.session.core:unpark() end
end

function Client:take_line(line)
  local first = line:byte()
  if first == 3 then return self:interrupt() end
  if first ~= 1 then return self:resume(line) end
  local size, list = completion.candidates(self.prompt, line:sub(2))
  self:send("\0t" .. size .. "\t" .. table.concat(list, "\t") .. "\n")
end

-- Lines that have come run one by one; each may ask for more of them.
function Client:take(chunk)
  local from = 1
  while not self.prompt.ended do
    local at = chunk:find("\n", from, true)
    local piece = chunk:sub(from, (at or #chunk + 1) - 1)
    self.size = self.size + #piece
    if self.size <= LINE_MOST then self.pieces[#self.pieces + 1] = piece end
    if not at then return end
    local line, size = table.concat(self.pieces), self.size
    self.pieces, self.size, from = {}, 0, at + 1
    if size <= LINE_MOST then
      self:take_line(line)
    else
      self:write(("a line has at most %d bytes, not %d\n"):format(LINE_MOST, size))
      self:ask(self.asked)
    end
  end
end

local function accept(self)
  local pipe = self.uv.new_pipe(false)
  self.pipe:accept(pipe)
  pipe:unref() -- nothing lingers for a client
  local client = setmetatable({ pipe = pipe, pieces = {}, size = 0, left_out = 0, list = self.clients }, Client)
  self.clients[client] = true
  local prompt = Prompt.new(self.session, {
    read = function(prompt)
      client:ask(prompt == "lunette> " and "\0p" or "\0c")
      return coroutine.yield()
    end,
    write = function(text) client:write(text) end,
    remember = function() end,
    columns = function() return 80 end,
    complete = function() end, -- by Client:take_line
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
  local self = { session = session, clients = {} }
  self.uv = loop.uv(session, Owner.new("server", nil, {})) -- its own: these handles outlive the scripts'
  self.pipe = self.uv.new_pipe(false)
  self.pipe:open(fd)
  self.pipe:unref()
  self.pipe:listen(16, function(problem)
    if not problem then accept(self) end
  end)
  session.core:on_pause(function(call) server.take_pause(self, call) end)
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

--- The guest stands at a safepoint because Ctrl-C asked for it: true where that was a client's, who has had his pause.
function server.take_pause(self, call)
  local client = self.wants_pause
  self.wants_pause = nil
  if not client or not self.clients[client] then return false end
  client.prompt:pause("paused in " .. call.name, call)
  return true
end

--- The guest has ended, as `how` tells.
function server.finish(self, how)
  for client in pairs(self.clients) do client:write(how .. "\n") end
end

return server
