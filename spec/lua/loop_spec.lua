-- SPDX-License-Identifier: MIT
-- The script loop (lua/binding/loop.c, timer.c, luv.c): timers and luv while the guest spins or waits.

local files = require("spec.support.files")
local guest = require("spec.support.guest")
local program = require("spec.support.program")
local uv = require("luv")

local failure = guest.failure

-- "spin" goes round until the host says that it is done; "wait" calls out once in each round as well.
local text = [[(module
  (import "host" "done" (func $done (result i32)))
  (global $rounds (export "rounds") (mut i32) (i32.const 0))
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "trap") unreachable)
  (func $tick (export "tick") (result i32) (global.set $rounds (i32.add (global.get $rounds) (i32.const 1))) (i32.const 1))
  (func $callee (result i32) (call $done))
  (func (export "spin") (local i32) (loop $l
    (local.set 0 (i32.const 1000))
    (loop $m (br_if $m (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (drop (call $tick))
    (br_if $l (i32.eqz (call $callee)))))
  (func (export "count") (param i32) (result i32)
    (loop $l (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))) (local.get 0)))]]

local app, done

local function open(options)
  done = false
  return guest.open(text, {
    session = options,
    imports = function(session)
      return { session.host("host", { done = { results = { "i32" }, function() return done and 1 or 0 end } }) }
    end,
  })
end

before_each(function() app = open() end)
after_each(guest.close_all)

local function spin() return app.instance:invoke("spin") end
local function finish() done = true end

-- Has something done once the guest is at work.
local function once_running(f)
  local begun
  app.lunette.on("tick", function()
    if begun then return end
    begun = true
    f()
  end)
end

describe("lunette.every", function()
  it("calls again and again while the guest spins, until it is stopped", function()
    local times, given = 0, nil
    local self = app.lunette.every(1, function(timer)
      times, given = times + 1, timer
      if times == 3 then
        timer:stop()
        app.lunette.delay(5, finish)
      end
    end)
    assert.is_true(self.active)
    spin()
    assert.same({ 3, false, "timer (stopped)" }, { times, self.active, tostring(self) })
    assert.equal(self, given)
    self:stop()
  end)

  it("may be stopped before it has struck, from anywhere", function()
    local struck = 0
    local timer = app.lunette.every(1, function() struck = struck + 1 end)
    app.lunette.on("tick", function() timer:stop() end)
    app.instance:invoke("tick")
    app.lunette.delay(10, finish)
    spin()
    assert.is_true(struck <= 1)
  end)

  it("says what it wants", function()
    for told, use in pairs({
      ["every: milliseconds from 1 on expected, got 0"] = function() app.lunette.every(0, print) end,
      ["every: milliseconds from 1 on expected, got string"] = function() app.lunette.every("x", print) end,
      ["every: milliseconds from 1 on expected, got nan"] = function() app.lunette.every(0 / 0, print) end,
      ["delay: milliseconds from 0 on expected, got -1"] = function() app.lunette.delay(-1, print) end,
      ["delay: a function expected, got table"] = function() app.lunette.delay(1, {}) end,
      ["linger: milliseconds from 0 on expected, got nil"] = function() app.lunette.linger() end,
    }) do
      local problem = failure(use):gsub("-nan", "nan")
      assert.is_truthy(problem:find("loop_spec.lua:%d+: ") and problem:find(told, 1, true), problem)
    end
  end)
end)

describe("lunette.delay", function()
  it("calls once, and forgetting the timer stops nothing", function()
    local order = {}
    app.lunette.delay(300, function() order[#order + 1] = "late" finish() end)
    app.lunette.delay(0.5, function() order[#order + 1] = "early" end)
    collectgarbage()
    collectgarbage()
    spin()
    assert.same({ "early", "late" }, order)
  end)

  it("may be asked for in a listener, in a host function and in a timer", function()
    local asked = {}
    app.lunette.on("tick", { after = function()
      if asked.listener then return end
      asked.listener = true
      app.lunette.delay(0, function()
        asked.timer = true
        app.lunette.delay(1, finish)
      end)
    end })
    spin()
    assert.same({ listener = true, timer = true }, asked)
  end)

  it("strikes in the next run where none is under way", function()
    local struck
    app.lunette.delay(0, function() struck = true end)
    assert.is_nil(struck)
    local began = uv.hrtime()
    while not struck and uv.hrtime() - began < 30e9 do app.instance:invoke("count", 1000) end
    assert.is_true(struck)
  end)

  it("outlives neither its session nor a run that has ended", function()
    app.lunette.delay(0, function() error("must not be called") end)
    app.lunette.every(1, function() error("must not be called") end)
    app.lunette.close()
    assert.same({}, app.messages)
  end)
end)

describe("a callback of the loop", function()
  it("R9 that fails is told once with its place, and stopped; the guest is unharmed", function()
    app.lunette.every(1, function() error("oops") end)
    app.lunette.delay(10, finish)
    spin()
    assert.equal(1, #app.messages)
    assert.is_truthy(app.messages[1]:find("loop_spec.lua:%d+: oops\nstack traceback:"), app.messages[1])
    assert.equal(7, app.instance:invoke("add", 3, 4))
  end)

  it("R9 that fails in a strict session ends the run", function()
    app = open({ strict = true })
    once_running(function() app.lunette.delay(1, function() error("oops") end) end)
    local list = guest.hear(app, "spin")
    local err = failure(spin)
    assert.equal("listener", err.kind)
    assert.is_truthy(err.message:find("loop_spec.lua:%d+: oops$"), err.message)
    assert.same({ "before spin", "abort spin listener" }, list)
  end)

  it("R4 may stop the run", function()
    local list = guest.hear(app, "spin")
    once_running(function() app.lunette.delay(1, function() app.lunette.stop(7) end) end)
    local err = failure(spin)
    assert.same({ "exit", 7 }, { err.kind, err.code })
    assert.same({ "before spin", "abort spin exit" }, list)
  end)

  it("R17 may call the guest: all hear it, on top of what was interrupted", function()
    local list = guest.hear(app, { "add", "spin" })
    local seen
    app.lunette.on("add", function(call)
      local names = {}
      for _, frame in ipairs(call:stack()) do names[#names + 1] = frame.definition.name end
      seen = { depth = call.depth, entry = call.entry, bottom = names[#names], top = names[1], offset = call:stack()[2].offset,
               frames = #names }
    end)
    once_running(function()
      app.lunette.delay(0, function()
        assert.equal(7, app.instance:invoke("add", 3, 4))
        finish()
      end)
    end)
    spin()
    assert.same({ "before spin", "before add 3 4", "after add 7", "after spin" }, list)
    assert.same({ "add", "spin", "export" }, { seen.top, seen.bottom, seen.entry })
    assert.equal(seen.frames - 1, seen.depth)
    assert.same({}, app.messages)
  end)

  it("R17 gets the error of a call that traps; the interrupted run goes on", function()
    local list = guest.hear(app, { "trap", "spin" })
    local err
    once_running(function()
      app.lunette.delay(0, function()
        err = failure(app.instance.invoke, app.instance, "trap")
        finish()
      end)
    end)
    spin()
    assert.same({ "trap", "unreachable" }, { err.kind, err.code })
    assert.equal("spin", err.stack[#err.stack].definition.name)
    assert.same({ "before spin", "before trap", "abort trap trap", "after spin" }, list)
  end)

  it("is not interrupted by another one while it calls the guest", function()
    local inside, most = 0, 0
    local function call()
      inside = inside + 1
      most = math.max(most, inside)
      app.instance:invoke("count", 300000)
      inside = inside - 1
    end
    local first, second = app.lunette.every(1, call), app.lunette.every(1, call)
    app.lunette.delay(30, finish)
    spin()
    first:stop()
    second:stop()
    assert.equal(1, most)
  end)

  it("R7 may attach, make instances and close them", function()
    local heard = 0
    app.lunette.delay(1, function()
      local other = app.lunette.instantiate(app.module, { imports = { host = { done = {
        results = { "i32" }, function() return 1 end } } } })
      other:invoke("spin")
      other:close()
      app.lunette.on("tick", function()
        heard = heard + 1
        if heard == 3 then finish() end
      end)
    end)
    spin()
    assert.same({ 3, {} }, { heard, app.messages })
  end)

  it("R4 may close the instance that it interrupts: the run ends", function()
    local list = guest.hear(app, "spin")
    once_running(function() app.lunette.delay(1, function() app.instance:close() end) end)
    assert.equal("exit", failure(spin).kind)
    assert.same({ "before spin", "abort spin exit" }, list)
  end)

  it("can't close the session", function()
    local problem
    app.lunette.delay(0, function()
      problem = failure(app.lunette.close)
      finish()
    end)
    spin()
    assert.is_truthy(problem:find("can't be closed from its script loop", 1, true), problem)
  end)

  it("R24 changes nothing in what the guest computes", function()
    app.lunette.every(1, function() app.instance:invoke("add", 1, 2) end)
    app.lunette.delay(20, finish)
    spin()
    local rounds = app.instance:global("rounds").value
    assert.is_true(rounds > 0)
    for n = 1, 50 do assert.equal(0, app.instance:invoke("count", n * 1000)) end
    assert.equal(rounds, app.instance:global("rounds").value)
  end)
end)

describe("a script that is unloaded", function()
  it("R7 takes its timers and handles with it, and no others", function()
    local folder <close> = files.temporary()
    files.write(folder .. "/x.lua", [[
      lunette.every(1, function() lunette.state.ticks = (lunette.state.ticks or 0) + 1 end)
      local timer = lunette.uv.new_timer()
      timer:start(1, 1, function() lunette.state.uv_ticks = (lunette.state.uv_ticks or 0) + 1 end)
      lunette.state.timer = timer
      lunette.linger(100000)
      lunette.state.report = function() return lunette.state end
    ]])
    local mine = 0
    app.lunette.every(1, function() mine = mine + 1 end)
    local script = app.lunette.load(folder .. "/x.lua")
    app.lunette.delay(10, function()
      script:unload()
      local before = mine
      app.lunette.every(1, function(timer)
        if mine < before + 3 then return end
        timer:stop()
        finish()
      end)
    end)
    spin()
    assert.same({}, app.messages)
    assert.is_true(mine >= 3)
    app.lunette.close() -- and so ends at once
  end)
end)

describe("lunette.uv", function()
  it("is luv, on the script loop", function()
    local order = {}
    local timer = app.lunette.uv.new_timer()
    timer:start(1, 1, function()
      order[#order + 1] = "timer"
      if #order < 3 then return end
      timer:close(function()
        order[#order + 1] = "closed"
        finish()
      end)
    end)
    spin()
    assert.same({ "timer", "timer", "timer", "closed" }, order)
    assert.equal(uv.version_string(), app.lunette.uv.version_string())
    assert.equal(uv.constants.SOCK_STREAM, app.lunette.uv.constants.SOCK_STREAM)
    assert.equal(app.lunette.uv, app.lunette.uv)
  end)

  it("talks over sockets while the guest spins", function()
    local net, got = app.lunette.uv, {}
    local server = net.new_tcp()
    server:bind("127.0.0.1", 0)
    server:listen(8, function()
      local peer = net.new_tcp()
      server:accept(peer)
      peer:read_start(function(_, chunk)
        if chunk then return peer:write(chunk:upper()) end
        peer:close()
        server:close()
      end)
    end)
    local client = net.new_tcp()
    client:connect("127.0.0.1", server:getsockname().port, function(problem)
      assert(not problem, problem)
      client:write("hello")
      client:read_start(function(_, chunk)
        got[#got + 1] = chunk
        client:close(finish)
      end)
    end)
    spin()
    assert.same({ "HELLO" }, got)
    assert.same({}, app.messages)
  end)

  it("reads a pipe that a listener has opened, and runs work on libuv's threads", function()
    local net, got = app.lunette.uv, nil
    app.lunette.on("tick", function()
      if got then return end
      got = ""
      local pipe = net.new_pipe(false)
      local ends = net.pipe({ nonblock = true }, { nonblock = true })
      pipe:open(ends.read)
      pipe:read_start(function(_, chunk)
        got = got .. (chunk or "")
        if #got < 3 then return end
        pipe:close()
        net.fs_close(ends.write, finish)
      end)
      net.fs_write(ends.write, "abc", -1, function() end)
    end)
    spin()
    assert.equal("abc", got)
    assert.same({}, app.messages)
  end)

  it("counts a timer from the moment it is started, however long the loop has had nothing to do", function()
    local timer = app.lunette.uv.new_timer()
    local idle = uv.hrtime() + 30e6
    while uv.hrtime() < idle do app.instance:invoke("count", 1000) end
    local began, struck = uv.hrtime(), nil
    timer:start(20, 0, function()
      struck = uv.hrtime()
      finish()
    end)
    spin()
    assert.is_true(struck - began >= 18e6, struck - began)
  end)

  it("R9 tells a callback that fails once; the process and the guest go on", function()
    local times, timer = 0, app.lunette.uv.new_timer()
    timer:start(1, 1, function()
      times = times + 1
      if times == 4 then finish() end
      error("oops")
    end)
    spin()
    assert.is_true(times >= 4)
    assert.equal(1, #app.messages)
    assert.is_truthy(app.messages[1]:find("loop_spec.lua:%d+: oops\nstack traceback:"), app.messages[1])
  end)

  it("names function, argument and line where it is used wrongly", function()
    local net = app.lunette.uv
    local here = debug.getinfo(1, "l").currentline
    local problems = {
      failure(function() net.fs_stat() end),
      failure(function() net.timer_start(1) end),
      failure(function() net.new_timer():start("x") end),
    }
    for i, told in ipairs({ "'luv.fs_stat'", "'luv.timer_start'", "'start'" }) do
      told = "bad argument #1 to " .. told
      assert.is_truthy(problems[i]:find(("loop_spec.lua:%d: %s"):format(here + 1 + i, told), 1, true), problems[i])
    end
  end)

  it("runs by itself: uv.run is for where no guest runs, and refused in callbacks", function()
    local net, problems, struck = app.lunette.uv, {}, 0
    app.lunette.on("tick", function() problems.listener = problems.listener or failure(net.run) end)
    app.lunette.delay(1, function()
      problems.timer = failure(net.run, "nowait")
      finish()
    end)
    spin()
    for _, problem in pairs(problems) do
      assert.is_truthy(problem:find("the script loop runs by itself; it can't be run from a callback", 1, true), problem)
    end
    assert.is_truthy(problems.listener and problems.timer)
    local timer = net.new_timer()
    timer:start(1, 1, function()
      struck = struck + 1
      if struck == 3 then timer:close() end
    end)
    assert.is_true(net.loop_alive())
    assert.is_false(net.run())
    assert.equal(3, struck)
    assert.is_false(net.loop_alive())
    app.lunette.every(1, net.stop)
    assert.is_true(net.run())
    assert.is_truthy(failure(net.loop_close):find("lunette's", 1, true))
  end)

  it("walks over the handles that were made by it", function()
    local net, list = app.lunette.uv, {}
    local timer, pipe = net.new_timer(), net.new_pipe(false)
    app.lunette.every(1000, finish)
    net.walk(function(handle) list[handle] = true end)
    assert.same({ [timer] = true, [pipe] = true }, list)
  end)

  it("leaves a program's own use of luv alone", function()
    local own, ours = 0, 0
    local timer, other = uv.new_timer(), app.lunette.uv.new_timer()
    other:start(1, 1, function()
      ours = ours + 1
      if ours < 3 then return end
      other:stop() -- it may be due again before the guest looks
      finish()
    end)
    timer:start(1, 0, function() own = own + 1 timer:close() end)
    spin()
    assert.same({ 0, 3 }, { own, ours })
    uv.run()
    assert.same({ 1, 3 }, { own, ours })
    failure(app.lunette.uv.timer_start, 1)
    uv.new_timer():close()
    assert.is_false(uv.run("nowait"))
  end)

  it("ends with its session, whatever is open", function()
    for _ = 1, 3 do
      local one = open()
      local net = one.lunette.uv
      net.new_tcp():bind("127.0.0.1", 0)
      net.new_timer():start(1000000, 0, print)
      net.new_pipe(false)
      net.fs_stat("/", function() end)
      one.lunette.every(1, function() end)
      one.lunette.close()
      assert.is_truthy(failure(net.new_timer):find("closed", 1, true))
    end
  end)

  it("says what is missing where luv is not installed", function()
    local result = program([[
      package.cpath = package.cpath:gsub("/usr[^;]*", "")
      local lunette = require("lunette")
      print(pcall(function() return lunette.uv end))
      print(pcall(function() return lunette.every(1, print) end))
    ]], text)
    local told = "lunette.uv needs luv, which is not installed (Debian: lua-luv)"
    assert.is_truthy(result.stdout:find(told, 1, true), result.stdout)
    assert.is_truthy(result.stdout:find("true\ttimer", 1, true), result.stdout)
  end)
end)
