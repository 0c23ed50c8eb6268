-- SPDX-License-Identifier: MIT
-- A program on a terminal of its own, driven by keys and seen by its screen. The terminal is tmux's, spoken to in its control
-- mode over a pipe: no other tmux is touched, and all of it goes when the spec's process does.
--
--     local screen <close> = screens.open { command.lunette, "repl", "app.wasm", cwd = folder.path }
--     screen:shows [[…]]              waits until the whole screen is this text, with the cursor as ▮
--     screen:types("1 + 1")           characters, as they are; a newline is Enter
--     screen:enters("help", "quit")   lines at lunette's prompt
--     screen:waits()                  for a prompt with nothing behind it
--     screen:keys("Enter", "C-c")     keys by tmux's names
--     screen:pastes("a\nb")           what a terminal does with the clipboard
--     screen:resizes(40, 12)          columns, rows
--     screen:ends()                   waits for the program's end; gives its status
--
-- Nothing sleeps: the screen is looked at again whenever the program has written something, for as long as a minute.

local assert = require("luassert")
local command = require("spec.support.command")
local files = require("spec.support.files")
local uv = require("luv")

local screens = {}

local WAIT_MS = 60000

local settings = [[
set -g status off
set -g remain-on-exit on
set -g remain-on-exit-format ""
set -g default-shell /bin/sh
set -g default-terminal screen
]]

local Screen = {}
Screen.__index = Screen

-- A word of tmux's command language.
local function quoted(word) return "'" .. tostring(word):gsub("'", "'\"'\"'") .. "'" end

-- A line from tmux: part of the answer to a command, or a notice: that the program has written, or has ended.
local function take(self, line)
  local mark, number, ours = line:match("^%%([%l-]+) ?(%d* ?%d*) ?(%d?)")
  if self.answer and number == self.answer.number and (mark == "end" or mark == "error") then
    if ours == "1" then self.answered = self.answer end -- else it is about what tmux was started with
    self.answer.failed = mark == "error"
    self.answer = nil
  elseif self.answer then
    self.answer[#self.answer + 1] = line
  elseif mark == "begin" then
    self.answer = { number = number }
  elseif mark ~= "exit" then
    self.attached = self.attached or mark == "session-changed"
    self.news = true
  end
end

local function listen(self, output)
  local rest = ""
  output:read_start(function(_, chunk)
    if not chunk then
      self.gone = true
      return output:close()
    end
    rest = rest .. chunk
    for line in rest:gmatch("([^\n]*)\n") do take(self, line) end
    rest = rest:match("[^\n]*$")
  end)
end

-- Runs the loop until `is_there` gives something, and gives it. Else, after a minute or at tmux's end, nil.
local function await(self, is_there)
  local expired, found = false
  local timer = uv.new_timer()
  uv.update_time()
  timer:start(WAIT_MS, 0, function() expired = true end)
  repeat
    found = is_there()
    if not found then uv.run("once") end
  until found or expired or self.gone
  timer:close()
  return found
end

-- A command of tmux; gives the lines of its answer.
local function tell(self, ...)
  local words = { ... }
  for i, word in ipairs(words) do words[i] = quoted(word) end
  self.answered = nil
  self.input:write(table.concat(words, " ") .. "\n")
  local answer = await(self, function() return self.answered end)
  if not answer or answer.failed then
    error(("tmux: %s: %s"):format(table.concat(words, " "), answer and table.concat(answer, "\n") or "no answer"), 0)
  end
  return answer
end

-- Ours, without a sanitizer's library, which is for the program alone.
local function environment()
  local list = {}
  for name, value in pairs(uv.os_environ()) do
    if name ~= "LD_PRELOAD" and name ~= "TMUX" then list[#list + 1] = name .. "=" .. value end
  end
  return list
end

-- options: the program and its arguments; cwd, env = { NAME = value }, columns = 80, rows = 24.
function screens.open(options)
  local self = setmetatable({ folder = files.temporary(), input = uv.new_pipe(false) }, Screen)
  local output = uv.new_pipe(false)
  files.write(self.folder .. "/settings", settings)
  local args = { "-u", "-S", self.folder .. "/tmux", "-f", self.folder .. "/settings", "-C", "new-session",
    "-x", options.columns or 80, "-y", options.rows or 24, "-c", options.cwd or command.root }
  for name, value in pairs(options.env or {}) do
    args[#args + 1], args[#args + 2] = "-e", name .. "=" .. value
  end
  for _, word in ipairs(options) do args[#args + 1] = word end
  for i, word in ipairs(args) do args[i] = tostring(word) end
  self.process = assert(uv.spawn("tmux", { args = args, env = environment(), stdio = { self.input, output, 2 } }, function()
    self.process:close()
  end))
  listen(self, output)
  self.output = output
  await(self, function() return self.attached end)
  tell(self, "set-option", "destroy-unattached", "on")
  return self
end

-- ---- what is typed ----
function Screen:keys(...) tell(self, "send-keys", ...) end

function Screen:types(text)
  for line, newline in text:gmatch("([^\n]*)(\n?)") do
    if line ~= "" then tell(self, "send-keys", "-l", "--", line) end
    if newline ~= "" then tell(self, "send-keys", "Enter") end
  end
end

function Screen:pastes(text)
  files.write(self.folder .. "/clipboard", text)
  tell(self, "load-buffer", self.folder .. "/clipboard")
  tell(self, "paste-buffer", "-p")
end

function Screen:resizes(columns, rows) tell(self, "resize-window", "-x", columns, "-y", rows) end

-- ---- what is seen ----
-- Chinese, Japanese, Korean: two columns.
local function is_wide(code) return code >= 0x1100 and code <= 0x115f or code >= 0x2e80 and code <= 0xd7a3 end

-- The screen as it is now: its lines without blanks at their ends, to the last that holds anything; ▮ where the cursor stands.
function Screen:look()
  local answer = tell(self, "display-message", "-p", "#{cursor_x} #{cursor_y} #{pane_dead}")
  local x, y, dead = answer[1]:match("^(%d+) (%d+) (%d)$")
  local lines = tell(self, "capture-pane", "-p")
  if dead == "0" then
    local line = lines[y + 1]
    local at, column = 1, 0
    for position, code in utf8.codes(line) do
      if column >= tonumber(x) then break end
      at, column = position + #utf8.char(code), column + (is_wide(code) and 2 or 1)
    end
    line = line:sub(1, at - 1) .. (" "):rep(x - column) .. "▮" .. line:sub(at)
    lines[y + 1] = line
  end
  return (table.concat(lines, "\n"):gsub("%s+$", ""))
end

-- Waits until `test` holds of the screen. False: it never did.
local function see(self, test)
  local seen
  self.news = true
  return await(self, function()
    if not self.news then return false end
    self.news = false
    seen = self:look()
    return test(seen)
  end), seen
end

--- Waits until the screen is `expected`, all of it. Where it does not come to be, the two are shown.
function Screen:shows(expected)
  expected = expected:gsub("%s+$", "")
  assert.equal(expected, select(2, see(self, function(seen) return seen == expected end)))
end

local function ends_with(text, tail) return text:sub(-#tail) == tail end

-- The prompt that waits for a line: nothing stands there yet.
local function waiting(seen)
  for _, prompt in ipairs({ "lunette> ", "... " }) do
    if ends_with("\n" .. seen, "\n" .. prompt .. "▮") then return prompt end
  end
end

--- Waits until a prompt does.
function Screen:waits()
  local prompt, seen = see(self, waiting)
  return prompt or error("no prompt comes:\n" .. seen, 2)
end

--- Types lines at a prompt: each once the prompt waits, and Enter once the line stands there, so that nothing is typed ahead.
function Screen:enters(...)
  for _, line in ipairs({ ... }) do
    local prompt = self:waits()
    tell(self, "send-keys", "-l", "--", line)
    local there, seen = see(self, function(now) return ends_with(now, prompt .. line .. "▮") end)
    if not there then error(line .. " is not what stands there:\n" .. seen, 2) end
    tell(self, "send-keys", "Enter")
  end
end

--- Ctrl-L at a prompt.
function Screen:clears()
  tell(self, "send-keys", "C-l")
  self:shows "lunette> ▮"
end

--- Waits for the program's end, and gives its status; or nil and the signal that killed it.
function Screen:ends()
  local status, signal
  local tick = uv.new_timer() -- nothing tells of the end
  tick:start(20, 20, function() end)
  local ended = await(self, function()
    local answer = tell(self, "display-message", "-p", "#{pane_dead} #{pane_dead_status} #{pane_dead_signal}")
    local dead
    dead, status, signal = answer[1]:match("^(%d) (%d*) ?(%w*)$")
    if dead == "1" and status .. signal ~= "" then return true end
    -- tmux may have missed that it has a child to wait for; another one's end makes it look.
    if dead == "1" then tell(self, "run-shell", ":") end
    return false
  end)
  tick:close()
  if not ended then error("the program does not end:\n" .. self:look(), 2) end
  return tonumber(status), signal ~= "" and signal or nil
end

function Screen:__close()
  if not self.input:is_closing() then self.input:close() end
  while not self.output:is_closing() do uv.run("once") end
  while not self.process:is_closing() do uv.run("once") end
  uv.run("nowait")
  files.remove(self.folder.path)
end

return screens
