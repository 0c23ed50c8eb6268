-- SPDX-License-Identifier: MIT
-- run --listen and connect: the prompt on a guest that runs.

local command = require("spec.support.command")
local files = require("spec.support.files")
local lfs = require("lfs")
local run = require("spec.support.run")
local uv = require("luv")
local wat = require("spec.support.wat")

-- Calls tick for ever, its param counting up; each call that finds `stop` set ends the run.
local guest = [[(module
  (global $stop (export "stop") (mut i32) (i32.const 0))
  (func $tick (export "tick") (param $n i32) (result i32) (local.get $n))
  (func (export "_start") (local $n i32)
    (loop $again
      (drop (call $tick (local.get $n)))
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $again (i32.eqz (global.get $stop))))))]]

local folder, server

before_each(function()
  folder = files.temporary()
  files.write(folder .. "/app.wasm", wat(guest))
end)

-- A run with --listen; it is there when its script says so.
local function serve(code)
  local self = { text = "" }
  local err = uv.new_pipe(false)
  self.process = assert(uv.spawn(command.lunette, {
    args = { "run", "--listen", "socket", "-e", (code or "") .. " print('ready')", "app.wasm" },
    cwd = folder.path, stdio = { nil, nil, err },
  }, function(status, signal)
    self.status, self.signal = status, signal
    self.process:close()
  end))
  err:read_start(function(_, chunk)
    if chunk then self.text = self.text .. chunk else err:close() end
  end)
  function self.shows(text)
    while not self.text:find(text, 1, true) and not self.status do uv.run("once") end
    assert.is_truthy(self.text:find(text, 1, true), self.text)
  end
  function self.finish(signal)
    if not self.status then self.process:kill(signal or "sigterm") end
    while not (self.status and err:is_closing()) do uv.run("once") end
    return self.status
  end
  -- It ends by itself.
  function self.wait()
    while not (self.status and err:is_closing()) do uv.run("once") end
    return self.status
  end
  server = self
  self.shows("ready")
  return self
end

after_each(function()
  if server then server.finish("sigkill") end
  server = nil
  files.remove(folder.path)
end)

local function client(lines)
  return command.run(command.lunette, { "connect", "socket" }, { stdin = table.concat(lines, "\n") .. "\n", cwd = folder.path })
end

-- On a terminal, so that it can wait for what comes.
local function dialogue(lines)
  local result = command.run(command.build .. "/spec/pty", { command.lunette, "connect", "socket" }, {
    stdin = table.concat(lines, "\n") .. "\n", cwd = folder.path, env = { XDG_STATE_HOME = folder.path }, timeout = 120,
  })
  assert(result.stderr == "", result.stderr .. result.stdout)
  return result
end

-- A bare client: write(text), shows(text) waits until that has come.
local function raw()
  local self = { text = "", pipe = assert(uv.new_pipe(false)) }
  local connected = false
  self.pipe:connect(folder .. "/socket", function(problem)
    assert(not problem, problem)
    connected = true
  end)
  while not connected do uv.run("once") end
  function self.reads()
    self.pipe:read_start(function(_, chunk) self.text = self.text .. (chunk or "") end)
  end
  function self.shows(text)
    while not self.text:find(text, 1, true) do uv.run("once") end
  end
  function self.close()
    self.pipe:close()
    uv.run("nowait")
  end
  return self
end

local welcome = "lunette 0.1.0, connected: help shows the commands, quit leaves\n"

describe("lunette connect", function()
  it("serves Lua and commands while the guest runs, and leaves it running", function()
    serve()
    local result = client({ "1 + 1", "functions t*", "{ 1,", "2 }", "lunette.onn", "guest.name", "quit" })
    assert.equal(welcome .. [[
2
  #0  tick  (n: i32) -> i32
{ 1, 2 }
lunette.onn: no such field; did you mean 'on'?
"app"
]], result.stderr)
    assert.equal(0, result.status)
    assert.equal(welcome .. "3\n", client({ "1 + 2" }).stderr) -- the end of its input leaves, too
    assert.equal(143, server.finish("sigterm"))
    assert.is_false(files.exists(folder .. "/socket"))
  end)

  for how, case in pairs({
    ["a second signal ends it at once"] = { "lunette.at_exit(function() print('stuck') while true do end end)", "stuck" },
    ["a script never returns"] = { "lunette.on('tick', function() print('stuck') while true do end end)" },
    ["a script calls os.exit"] = { "lunette.on('tick', function(call, n) if n > 100 then os.exit(3) end end)", nil, true },
  }) do
    it("takes its socket away where " .. how, function()
      serve(case[1])
      if case[3] then
        assert.equal(3, server.wait())
      else
        if case[2] then server.process:kill("sigint") else server.shows("stuck") end
        if case[2] then server.shows(case[2]) end
        assert.equal(130, server.finish("sigint"))
      end
      assert.is_false(files.exists(folder .. "/socket"))
    end)
  end

  it("takes its socket away where a fatal signal strikes", function()
    serve()
    server.process:kill("sigsegv")
    server.wait()
    assert.equal(11, server.signal)
    assert.is_false(files.exists(folder .. "/socket"))
  end)

  it("stops the guest at its breakpoints, with the stack, and lets it go on", function()
    serve()
    dialogue({
      "expect lunette> ", 'send breakpoint "tick" n % 1000 == 7\\n', "expect breakpoint 1: 1 function",
      "expect breakpoint 1: tick(n=",
      "send bt\\n", "expect *#0  tick(n=", "expect _start()", "send call:param(1) % 1000\\n", "expect 7",
      "send finish\\n", "expect tick returned ", "send delete 1\\n", "send continue\\n", "send 40 + 2\\n", "expect 42",
      "send quit\\n", "eof",
    })
    assert.equal(143, server.finish("sigterm"))
  end)

  it("serves others while one stands still, and goes on when that one dies", function()
    serve()
    local first = assert(uv.new_pipe(false))
    local text = ""
    local connected = false
    first:connect(folder .. "/socket", function(problem)
      assert(not problem, problem)
      connected = true
    end)
    while not connected do uv.run("once") end
    first:read_start(function(_, chunk) text = text .. (chunk or "") end)
    first:write("breakpoint tick\n")
    while not text:find("breakpoint 1: tick", 1, true) do uv.run("once") end
    assert.equal(welcome .. "5\n", client({ "2 + 3", "quit" }).stderr) -- the guest stands still
    first:close()
    uv.run("nowait")
    local result = dialogue({
      "expect lunette> ", "send advance tick\\n", "expect tick(n=", "send continue\\n", "send quit\\n", "eof",
    })
    assert.equal(0, result.status)
    assert.equal(143, server.finish("sigterm"))
  end)

  it("is where lunette.pause() asks; the guest waits for somebody to connect", function()
    serve('lunette.on("tick", function(call, n) if n == 3 then print("pausing") lunette.pause() end end)')
    server.shows("pausing")
    dialogue({
      "expect paused in tick", "send call:param(1)\\n", "expect 3", "send lunette.stop(9)\\n",
      "send continue\\n", "eof",
    })
    assert.equal(9, server.wait())
  end)

  it("asks also when a timer pauses: at the next call", function()
    serve('lunette.delay(1, function() print("pausing") lunette.pause() end)')
    server.shows("pausing")
    dialogue({ "expect paused in ", "send lunette.stop(9)\\n", "send continue\\n", "eof" })
    assert.equal(9, server.wait())
  end)

  it("serves five, each with lines, variables and breakpoints of its own", function()
    serve()
    local clients = {}
    for i = 1, 5 do
      clients[i] = raw()
      clients[i].reads()
    end
    for i, one in ipairs(clients) do one.pipe:write(("mine = %d\nbreakpoint tick n %% 10 == %d\n"):format(i, i)) end
    for i, one in ipairs(clients) do one.shows(("breakpoint 1: 1 function\n")) one.text = "" one.expected = i end
    for round = 1, 3 do
      for i, one in ipairs(clients) do
        one.pipe:write(("print(mine, call and call:param(1) %% 10, %d)\n"):format(round))
        one.shows(("%d\t"):format(i))
        one.pipe:write("continue\n")
      end
    end
    for i, one in ipairs(clients) do
      for other = 1, 5 do
        if other ~= i then assert.is_nil(one.text:find(("%d\t%d\t"):format(other, other), 1, true)) end
      end
      one.close()
    end
    assert.equal(143, server.finish("sigterm"))
  end)

  it("is not held up by a client that reads nothing, and tells him what he has missed", function()
    serve()
    local slow, other = raw(), raw()
    other.reads()
    slow.pipe:write("on('tick', function() print(('x'):rep(1000)) end)\n")
    other.pipe:write("from = nil; on('tick', function(_, n) from = from or n if n == from + 50000 then print('far') end end)\n")
    other.shows("far")
    slow.reads()
    slow.shows("bytes left out: they were not read in time\n")
    slow.close()
    other.close()
    assert.equal(143, server.finish("sigterm"))
  end)

  it("takes garbage, and lines of any length", function()
    serve()
    local one = raw()
    one.reads()
    one.pipe:write("\0\2\255\27\n\1\n\1\1x\n\3\n" .. ("x"):rep(10 << 20) .. "\n1 + 1\n")
    one.shows("a line has at most 65536 bytes, not 10485760\n")
    one.shows("\0p2\n")
    one.pipe:write("print('a\\0pb')\n")
    one.shows("\0pa\\0pb\n\0p")
    one.pipe:write("40 +") -- and is gone in the middle of a line
    one.close()
    assert.equal(welcome .. "3\n", client({ "1 + 2" }).stderr)
    assert.equal(143, server.finish("sigterm"))
  end)

  it("listens where only the owner may come", function()
    serve()
    assert.equal("rw-------", lfs.attributes(folder .. "/socket", "permissions"))
  end)

  it("takes the place of a socket that nobody serves, and of nothing else", function()
    serve()
    server.finish("sigkill")
    assert.is_true(files.exists(folder .. "/socket"))
    serve()
    local second = command.run(command.lunette, { "run", "--listen", "socket", "app.wasm" }, { cwd = folder.path })
    assert.same({ 73, "lunette: cannot listen at socket: somebody does already\n" }, { second.status, second.stderr })
    local file = run { guest = guest, "run", "--listen", "notes", "app.wasm", files = { notes = "mine" }, keep = { "notes" } }
    assert.same({ 73, "lunette: cannot listen at notes: it is there already\n", "mine" },
      { file.status, file.stderr, file.files.notes })
  end)

  it("says what is wrong with a path", function()
    local none = run { "connect", "none" }
    assert.same({ 66, "lunette: cannot connect to none: No such file or directory\n" }, { none.status, none.stderr })
    local file = run { "connect", "notes", files = { notes = "mine" } }
    assert.same({ 66, "lunette: cannot connect to notes: it is no socket\n" }, { file.status, file.stderr })
    serve()
    server.finish("sigkill")
    local left = command.run(command.lunette, { "connect", "socket" }, { cwd = folder.path })
    assert.same({ 66, "lunette: cannot connect to socket: nobody listens there\n" }, { left.status, left.stderr })
    local long = run { "connect", ("x"):rep(200) }
    assert.equal(64, long.status)
    assert.equal(64, run { "connect" }.status)
  end)
end)
