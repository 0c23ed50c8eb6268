-- SPDX-License-Identifier: MIT
-- The script loop of a run: while the guest waits, and after its end.

local run = require("spec.support.run")

local quick = '(module (func (export "_start")))'
local spin = '(module (func $tick) (func (export "_start") (loop $l (call $tick) (br $l))))'
-- Reads from stdin until its end.
local reader = [[(module
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1) (data (i32.const 0) "\40\00\00\00\10\00\00\00")
  (func (export "_start")
    (loop $l (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 16)))
      (br_if $l (i32.load (i32.const 16))))))]]

local function killing(word, signal, spec)
  local sent
  spec.on_stderr = function(text, kill)
    if sent or not text:find(word, 1, true) then return end
    sent = true
    kill(signal)
  end
  return run(spec)
end

describe("a guest that waits for its stdin", function()
  it("lets timers strike, which may end the run", function()
    local result = run {
      guest = reader, stdin = "abc", stdin_open = true, files = { ["x.lua"] = [[
        local n = 0
        lunette.every(1, function() n = n + 1 print("beat " .. n) if n == 3 then lunette.stop(5) end end)
      ]] }, "run", "-s", "x.lua", "app.wasm",
    }
    assert.same({ "beat 1\nbeat 2\nbeat 3\n", 5 }, { result.stderr, result.status })
  end)

  for name, script in pairs({ ["without a script"] = false, ["with one"] = true }) do
    it("ends with --timeout, " .. name, function()
      local result = run {
        guest = reader, stdin_open = true, "run", "--timeout", "50ms", script and "-e" or "app.wasm",
        script and "lunette.every(1000000, print)" or nil, script and "app.wasm" or nil,
      }
      assert.equal(124, result.status, result.stderr)
    end)
  end

  for name, status in pairs({ sigint = 130, sigterm = 143 }) do
    it("ends at " .. name, function()
      local result = killing("waiting\n", name, {
        guest = reader, stdin_open = true, files = { ["x.lua"] = [[
          lunette.delay(1, function() lunette.out:write("waiting\n") end)
        ]] }, "run", "-s", "x.lua", "app.wasm",
      })
      assert.equal(status, result.status, result.stderr)
      assert.is_truthy(result.stderr:find("^waiting\nlunette: interrupted"), result.stderr)
    end)
  end
end)

describe("the end of a run", function()
  it("is not put off by timers and sockets", function()
    local result = run {
      guest = quick, files = { ["x.lua"] = [[
        lunette.every(1000000, print)
        lunette.delay(1000000, print)
        local server = lunette.uv.new_tcp()
        server:bind("127.0.0.1", 0)
        server:listen(1, print)
        lunette.at_exit(function() print("end") end)
      ]] }, "run", "-s", "x.lua", "app.wasm",
    }
    assert.same({ "end\n", 0 }, { result.stderr, result.status })
  end)

  it("is put off by lunette.linger, as long as there is something to wait for", function()
    local result = run {
      guest = quick, files = { ["x.lua"] = [[
        lunette.linger(1000000)
        local n = 0
        lunette.at_exit(function()
          lunette.every(1, function(timer) n = n + 1 print("beat " .. n) if n == 2 then timer:stop() end end)
        end)
      ]] }, "run", "-s", "x.lua", "app.wasm",
    }
    assert.same({ "beat 1\nbeat 2\n", 0 }, { result.stderr, result.status })
  end)

  it("comes when the time that lunette.linger gave is over", function()
    local result = run { guest = quick, "run", "-e", "lunette.linger(20) lunette.every(1, function() end)", "app.wasm" }
    assert.same({ "", 0 }, { result.stderr, result.status })
  end)

  it("comes at once at a signal and with the deadline, and says so", function()
    local lingering = "lunette.linger(1000000) lunette.every(1000000, print) "
    local result = killing("lingering\n", "sigint", {
      guest = quick, "run", "-e", lingering .. "lunette.at_exit(function() print('lingering') end)", "app.wasm",
    })
    assert.same({ "lingering\nlunette: interrupted\n", 130 }, { result.stderr, result.status })
    result = run { guest = quick, "run", "--timeout", "50ms", "-e", lingering, "app.wasm" }
    assert.is_truthy(result.stderr:find("the run took longer than 50ms", 1, true), result.stderr)
    assert.equal(124, result.status)
    -- Also where it has passed before the guest began.
    local late = lingering .. "local uv = require('luv') local n = uv.hrtime() + 60e6 while uv.hrtime() < n do end"
    result = run { guest = quick, "run", "--timeout", "50ms", "-e", late, "app.wasm" }
    assert.same({ "lunette: timeout: the run took longer than 50ms\n", 124 }, { result.stderr, result.status })
  end)

  it("waits for what has been written to a socket", function()
    local uv = require("luv")
    local got, server = {}, uv.new_tcp()
    server:bind("127.0.0.1", 0)
    server:listen(1, function()
      local peer = uv.new_tcp()
      server:accept(peer)
      server:close()
      peer:read_start(function(_, chunk)
        if chunk then got[#got + 1] = chunk else peer:close() end
      end)
    end)
    local result = run {
      guest = quick, files = { ["x.lua"] = [[
        local port = lunette.options({ port = 0 }).port
        local client = lunette.uv.new_tcp()
        client:connect("127.0.0.1", port)
        lunette.at_exit(function() client:write(("x"):rep(1 << 20)) end)
      ]] }, "run", "-s", "x.lua,port=" .. server:getsockname().port, "app.wasm",
    }
    assert.equal(0, result.status, result.stderr)
    while #table.concat(got) < 1 << 20 do uv.run("once") end
    uv.run("nowait")
    assert.equal(1 << 20, #table.concat(got))
  end)

  it("R9 tells what failed meanwhile; --strict minds it", function()
    local spec = {
      guest = quick, files = { ["x.lua"] = "lunette.linger(1000000)\nlunette.delay(1, function() error('oops') end)" },
      "run", "-s", "x.lua", "app.wasm",
    }
    local result = run(spec)
    assert.is_truthy(result.stderr:find("^lunette: x.lua:2: oops\n"), result.stderr)
    assert.equal(0, result.status)
    table.insert(spec, 2, "--strict")
    assert.equal(102, run(spec).status)
  end)

  it("threads that a script has started may be at work to the very end", function()
    local result = run {
      guest = quick, files = { ["x.lua"] = [[
        for _ = 1, 8 do
          lunette.uv.new_thread(function()
            local hrtime = require("luv").hrtime
            for _ = 1, 100000000 do hrtime() end
          end)
        end
      ]] }, "run", "-s", "x.lua", "app.wasm",
    }
    assert.same({ 0, 0, "" }, { result.status, result.signal, result.stderr })
  end)

  it("a script that requires luv gets the one on the script loop", function()
    local result = run {
      guest = spin, files = { ["x.lua"] = [[
        local uv = require("luv")
        assert(uv == lunette.uv)
        uv.new_timer():start(1, 0, function() print("struck") lunette.stop(0) end)
      ]] }, "run", "-s", "x.lua", "app.wasm",
    }
    assert.same({ "struck\n", 0 }, { result.stderr, result.status })
  end)
end)
