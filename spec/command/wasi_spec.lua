-- SPDX-License-Identifier: MIT
-- What the command gives a guest besides folders: listening sockets, the environment, clocks and random bytes that are the
-- same in each run, and functions that nobody has.

local run = require("spec.support.run")
local uv = require("luv")

-- Answers one connection on descriptor 4 with what it has sent.
local server = [[(module
  (import "wasi_snapshot_preview1" "sock_accept" (func $accept (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "\40\00\00\00\20\00\00\00")
  (func (export "_start")
    (if (call $accept (i32.const 4) (i32.const 0) (i32.const 0)) (then (call $exit (i32.const 10))))
    (if (call $read (i32.load (i32.const 0)) (i32.const 16) (i32.const 1) (i32.const 8)) (then (call $exit (i32.const 11))))
    (i32.store (i32.const 20) (i32.load (i32.const 8)))
    (if (call $write (i32.load (i32.const 0)) (i32.const 16) (i32.const 1) (i32.const 8))
      (then (call $exit (i32.const 12))))))]]

local function connect(host, port, answers)
  local client = uv.new_tcp()
  client:connect(host, port, function(failure)
    assert(not failure, failure)
    client:write("ping")
    client:read_start(function(_, chunk)
      answers[#answers + 1] = chunk
      client:close()
    end)
  end)
end

describe("--listen-tcp", function()
  for _, case in ipairs({ { "127.0.0.1:0", "127.0.0.1" }, { "localhost:0", "127.0.0.1" }, { ":0", "127.0.0.1" } }) do
    it(("gives the guest a socket that listens at %s, behind its folders"):format(case[1]), function()
      local answers, connected = {}, false
      local result = run {
        guest = server, files = { ["d/"] = "" }, "run", "--listen-tcp", case[1], "--dir", "d", "app.wasm",
        on_stderr = function(text)
          local port = text:match("hint: the program listens on [^\n]*:(%d+)\n")
          if port and not connected then
            connected = true
            connect(case[2], tonumber(port), answers)
          end
        end,
      }
      assert.equal(0, result.status, result.stderr)
      assert.same({ "ping" }, answers)
    end)
  end

  it("takes several, in order", function()
    local result = run {
      guest = [[(module
        (import "wasi_snapshot_preview1" "fd_fdstat_get" (func $stat (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (func $type (param i32) (result i32)
          (if (result i32) (call $stat (local.get 0) (i32.const 64)) (then (i32.const 9)) (else (i32.load8_u (i32.const 64)))))
        (func (export "_start") ;; 3 = folder, 6 = stream socket, 9 = none
          (call $exit (i32.add (i32.mul (call $type (i32.const 3)) (i32.const 64))
            (i32.add (i32.mul (call $type (i32.const 4)) (i32.const 8))
              (i32.eq (call $type (i32.const 5)) (i32.const 6)))))))]],
      files = { ["d/"] = "" }, "run", "-q", "--listen-tcp", "127.0.0.1:0", "--dir", "d", "--listen-tcp", "[::1]:0", "app.wasm",
    }
    if result.stderr:find("cannot listen on [::1]:0", 1, true) then return pending("there is no IPv6 here") end
    assert.equal("", result.stderr)
    assert.equal((3 * 64 + 6 * 8 + 1) & 255, result.status)
  end)

  it("tells where nobody can listen", function()
    local taken = uv.new_tcp()
    taken:bind("127.0.0.1", 0)
    taken:listen(1, function() end)
    local address = "127.0.0.1:" .. taken:getsockname().port
    local result = run { guest = server, "run", "--listen-tcp", address, "app.wasm" }
    taken:close()
    uv.run("nowait")
    assert.equal(("lunette: cannot listen on %s: Address already in use\n"):format(address), result.stderr)
    assert.equal(66, result.status)
  end)
end)

local variables = [[(module
  (import "wasi_snapshot_preview1" "environ_get" (func $get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (func (export "_start")
    (drop (call $sizes (i32.const 0) (i32.const 20)))
    (drop (call $get (i32.const 1024) (i32.const 65536)))
    (i32.store (i32.const 16) (i32.const 65536))
    (drop (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 8)))))]]

local function variables_of(spec)
  spec.guest, spec.only_env = variables, true
  local result, list = run(spec), {}
  assert.equal("", result.stderr)
  for text in result.stdout:gmatch("([^\0]*)\0") do list[#list + 1] = text end
  table.sort(list)
  return list
end

describe("--inherit-env", function()
  it("gives the guest the variables of the command, those of --env first", function()
    local env = { ONE = "1", TWO = "2=2", TWOS = "x" }
    assert.same({}, variables_of { env = env, "run", "app.wasm" })
    assert.same({ "ONE=1", "TWO=2=2", "TWOS=x" }, variables_of { env = env, "run", "--inherit-env", "app.wasm" })
    assert.same({ "ONE=1", "TWO=3", "TWOS=x" },
      variables_of { env = env, "run", "--env", "TWO=3", "--inherit-env", "app.wasm" })
  end)
end)

describe("--deterministic", function()
  it("makes two runs trace alike, byte for byte", function()
    local spec = {
      guest = [[(module
        (import "wasi_snapshot_preview1" "clock_time_get" (func $time (param i32 i64 i32) (result i32)))
        (import "wasi_snapshot_preview1" "clock_res_get" (func $resolution (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
        (import "env" "seed" (func $seed (result f64)))
        (memory (export "memory") 1)
        (data (i32.const 16) "\01\00\00\00") (data (i32.const 24) "\00\e4\0b\54\02\00\00\00") ;; ten seconds
        (func $show (param i64 f64))
        (func (export "_start")
          (drop (call $time (i32.const 0) (i64.const 1) (i32.const 512)))
          (drop (call $time (i32.const 1) (i64.const 1) (i32.const 512)))
          (drop (call $time (i32.const 2) (i64.const 1) (i32.const 512)))
          (drop (call $resolution (i32.const 3) (i32.const 512)))
          (drop (call $random (i32.const 512) (i32.const 24)))
          (drop (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))
          (drop (call $time (i32.const 1) (i64.const 1) (i32.const 512)))
          (call $show (i64.load (i32.const 512)) (call $seed))))]],
      "strace", "-s", "strace", "-s", "calltree", "--deterministic", "app.wasm",
    }
    local first, second = run(spec), run(spec)
    assert.equal(0, first.status, first.stderr)
    assert.equal(first.stderr, second.stderr)
    assert.matches("clock_time_get(id=realtime, precision=1) = 946684800000001000\n", first.stderr, 1, true)
    assert.matches("poll_oneoff([{clock, monotonic, 10s}], [{clock}], 1) = 1\n", first.stderr, 1, true)
    table.remove(spec, 6)
    assert.are_not.equal(first.stderr, run(spec).stderr)
  end)
end)

describe("--stub-imports", function()
  local guest = [[(module
    (import "env" "never" (func (param i32)))
    (import "env" "called" (func $called (param i32 f64) (result i64)))
    (import "wasi_snapshot_preview1" "no_such" (func))
    (func $main (export "_start") (drop (call $called (i32.const 7) (f64.const 1)))))]]

  it("lets a function that nobody has trap with its name when it is called", function()
    local result = run { guest = guest, "run", "--stub-imports", "app.wasm" }
    assert.equal("lunette: trap: unknown import: env.called was called\n  at called(7, 1.0) (env)\n  at main (app) 0x75\n",
      result.stderr)
    assert.equal(134, result.status)
  end)

  it("is heard by listeners as any host function", function()
    local result = run { guest = guest, "strace", "--stub-imports", "app.wasm" }
    assert.equal("env.called(7, 1) = ? (trap: unknown import: env.called was called)", result.stderr:match("^[^\n]*"))
  end)

  it("does not help where the type is another, or what misses is no function", function()
    local result = run {
      guest = [[(module (import "env" "memory" (memory 1)) (import "env" "f" (func))
        (import "wasi_snapshot_preview1" "proc_exit" (func (param i64))) (func (export "_start")))]],
      "run", "--stub-imports", "app.wasm",
    }
    assert.equal(65, result.status)
    assert.matches("unknown import: env.memory", result.stderr, 1, true)
    assert.matches("incompatible import type: wasi_snapshot_preview1.proc_exit", result.stderr, 1, true)
    assert.is_nil(result.stderr:find("env.f", 1, true))
  end)

  it("without it one error lists all that miss, with their types", function()
    local result = run { guest = guest, "run", "app.wasm" }
    assert.equal(65, result.status)
    assert.equal([[
lunette: app.wasm: unknown import: env.never (function i32 ->), and 2 more
  unknown import: env.never (function i32 ->)
  unknown import: env.called (function i32 f64 -> i64)
  unknown import: wasi_snapshot_preview1.no_such (function ->)
]], result.stderr)
  end)
end)
