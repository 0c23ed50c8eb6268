-- SPDX-License-Identifier: MIT
-- Waiting: poll_oneoff (core/wasi/poll.c), and everything that may take for ever: it ends when the run does.

local command = require("spec.support.command")
local files = require("spec.support.files")
local guest = require("spec.support.guest")
local uv = require("luv")
local wasi = require("spec.support.wasi")
local wat = require("spec.support.wat")

local edge = wasi.memory_size
local CLOCK, FD_READ, FD_WRITE = 0, 1, 2
local MONOTONIC, REALTIME = 1, 0

local function clock(userdata, timeout, options)
  options = options or {}
  return ("<I8I1xxxxxxxI4xxxxi8I8I2xxxxxx"):pack(userdata, CLOCK, options.id or MONOTONIC, timeout, 0, options.flags or 0)
end

local function descriptor(userdata, type, fd)
  return ("<I8I1xxxxxxxI4"):pack(userdata, type, fd) .. ("\0"):rep(28)
end

-- The events that these subscriptions give: { userdata =, errno =, type =, bytes =, hangup = }.
local function poll(app, ...)
  local list = { ... }
  app.memory:write(1024, table.concat(list))
  local errno = app.raw.poll_oneoff(1024, 32768, #list, 512)
  if errno ~= "ESUCCESS" then return errno end
  local events = {}
  for i = 1, app.memory:u32(512) do
    local userdata, code, type, bytes, flags = ("<I8I2I1xxxxxI8I2"):unpack(app.memory:string(32768 + 32 * (i - 1), 32))
    events[i] = { userdata = userdata, errno = wasi.errnos[code], type = type, bytes = bytes, hangup = flags == 1 }
  end
  return events
end

describe("poll_oneoff", function()
  after_each(guest.close_all)

  it("waits for a clock, and no less", function()
    local app = wasi.open()
    for _, id in ipairs({ MONOTONIC, REALTIME }) do
      local began = uv.hrtime()
      local events = poll(app, clock(7, 20000000, { id = id }))
      assert.is_true(uv.hrtime() - began >= 20000000)
      assert.same({ { userdata = 7, errno = "ESUCCESS", type = CLOCK, bytes = 0, hangup = false } }, events)
    end
  end)

  it("waits until a point in time, also one that is past", function()
    local app = wasi.open()
    local _, now = app.clock_time_get(REALTIME, 0)
    for _, at in ipairs({ now + 10000000, now, 0 }) do
      assert.equal(1, #poll(app, clock(1, at, { id = REALTIME, flags = 1 })))
      local _, later = app.clock_time_get(REALTIME, 0)
      assert.is_true(later >= at)
    end
  end)

  it("tells the first of several clocks", function()
    local events = poll(wasi.open(), clock(1, 60000000000), clock(2, 1000000), clock(3, -1))
    assert.same({ 1, 2 }, { #events, events[1].userdata })
  end)

  it("waits for descriptors", function()
    local pipe = uv.pipe({ nonblock = false }, { nonblock = false })
    local app = wasi.open({ stdin = pipe.read, stdout = pipe.write })
    local events = poll(app, descriptor(1, FD_READ, 0), clock(2, 5000000))
    assert.same({ 1, 2 }, { #events, events[1].userdata })
    events = poll(app, descriptor(1, FD_READ, 0), descriptor(2, FD_WRITE, 1), clock(3, 60000000000))
    assert.same({ 1, 2 }, { #events, events[1].userdata })
    uv.fs_write(pipe.write, "abc")
    events = poll(app, descriptor(1, FD_READ, 0), descriptor(2, FD_WRITE, 1), descriptor(3, FD_READ, 0))
    assert.same({ 3, 3, 0, 3 }, { #events, events[1].bytes, events[2].bytes, events[3].bytes })
    uv.fs_close(pipe.write)
    app.fd_close(1)
    events = poll(app, descriptor(1, FD_READ, 0))
    assert.same({ 1, false }, { #events, events[1].hangup == nil })
    uv.fs_close(pipe.read)
  end)

  it("finds a file ready, with what is left of it", function()
    local folder <close> = files.temporary()
    files.write(folder .. "/file", "0123456789")
    local app = wasi.open({ dirs = { folder .. "::/" } })
    local fd = wasi.file(app, "file")
    app.fd_seek(fd, 4, 0)
    local events = poll(app, descriptor(1, FD_READ, fd), descriptor(2, FD_WRITE, fd))
    assert.same({ 2, 6, 0 }, { #events, events[1].bytes, events[2].bytes })
    guest.close_all()
  end)

  it("tells what is wrong with one subscription in its event, at once", function()
    local app = wasi.open()
    for errno, bad in pairs({
      EBADF = descriptor(9, FD_READ, 99), ENOTCAPABLE = descriptor(9, FD_WRITE, 0), EINVAL = clock(9, 1, { id = 4 }),
      ENOTSUP = clock(9, 1, { id = 2 }),
    }) do
      local events = poll(app, clock(1, 60000000000), bad)
      assert.same({ 1, 9, errno }, { #events, events[1].userdata, events[1].errno })
    end
    assert.equal("EINVAL", poll(app, clock(9, 1, { flags = 2 }))[1].errno)
  end)

  it("checks its arguments before it waits", function()
    local app = wasi.open()
    assert.equal("EINVAL", app.raw.poll_oneoff(0, 0, 0, 0))
    assert.equal("EINVAL", app.raw.poll_oneoff(0, 0, 0xffffffff, 0))
    assert.equal("EFAULT", app.raw.poll_oneoff(edge - 47, 0, 1, 0))
    assert.equal("EFAULT", app.raw.poll_oneoff(0, edge - 31, 1, 0))
    assert.equal("EFAULT", app.raw.poll_oneoff(0, 0, 1, edge - 3))
    assert.equal("EFAULT", app.raw.poll_oneoff(0, 0, 65536, 0))
    assert.equal("EINVAL", poll(app, descriptor(1, 3, 0)))
  end)

  it("may write its events over its subscriptions", function()
    local app = wasi.open()
    app.memory:write(1024, clock(1, 60000000000) .. descriptor(2, FD_READ, 99))
    assert.equal("ESUCCESS", app.raw.poll_oneoff(1024, 1024, 2, 512))
    assert.same({ 1, 2 }, { app.memory:u32(512), app.memory:u32(1024) })
  end)

  it("has larger subscriptions in wasi_unstable", function()
    local app = wasi.open({ module = "wasi_unstable" })
    local wide = ("<I8I1xxxxxxxI8I4xxxxi8I8I2xxxxxx"):pack(5, CLOCK, 0xabcdef, MONOTONIC, 60000000000, 0, 0)
    app.memory:write(1024, wide .. ("<I8I1xxxxxxxI4"):pack(6, FD_READ, 99) .. ("\0"):rep(36))
    assert.equal("ESUCCESS", app.raw.poll_oneoff(1024, 4096, 2, 512))
    assert.same({ 1, 6 }, { app.memory:u32(512), app.memory:u32(4096) })
  end)

  it("takes no time in a deterministic run", function()
    local app = wasi.open({ deterministic = true })
    local _, before = app.clock_time_get(MONOTONIC, 0)
    local began = uv.hrtime()
    assert.equal(1, #poll(app, clock(1, 3600000000000)))
    assert.is_true(uv.hrtime() - began < 1000000000)
    local _, after = app.clock_time_get(MONOTONIC, 0)
    assert.is_true(after - before >= 3600000000000)
  end)
end)

describe("the script loop goes on while a guest waits", function()
  after_each(guest.close_all)

  local function beats(app, count, then_do)
    local struck = 0
    app.lunette.every(1, function(timer)
      struck = struck + 1
      if struck < count then return end
      timer:stop()
      then_do()
    end)
    return function() return struck end
  end

  it("in a read from a pipe", function()
    local pipe = uv.pipe({ nonblock = false }, { nonblock = false })
    local app = wasi.open({ stdin = pipe.read })
    local struck = beats(app, 3, function() uv.fs_write(pipe.write, "abc") end)
    local errno, count, text = app.fd_read(0, { 8 })
    assert.same({ "ESUCCESS", 3, "abc", 3 }, { errno, count, text, struck() })
    guest.close_all()
    uv.fs_close(pipe.read)
    uv.fs_close(pipe.write)
  end)

  it("in a write to a full pipe", function()
    local pipe = uv.pipe({ nonblock = false }, { nonblock = true })
    local app = wasi.open({ stdout = pipe.write })
    while uv.fs_write(pipe.write, ("x"):rep(4096)) do end
    local struck = beats(app, 3, function() uv.fs_read(pipe.read, 65536) end)
    assert.same({ "ESUCCESS", 2, 3 }, { app.fd_write(1, { "ab" }), 2, struck() })
    guest.close_all()
    uv.fs_close(pipe.read)
    uv.fs_close(pipe.write)
  end)

  it("in poll_oneoff, with sockets and timers of luv's too", function()
    local pipe = uv.pipe({ nonblock = false }, { nonblock = false })
    local app = wasi.open({ stdin = pipe.read })
    local net, got = app.lunette.uv, nil
    local server = net.new_tcp()
    server:bind("127.0.0.1", 0)
    server:listen(1, function()
      local peer = net.new_tcp()
      server:accept(peer)
      peer:read_start(function(_, chunk)
        got = chunk
        uv.fs_write(pipe.write, chunk)
        peer:close()
        server:close()
      end)
    end)
    local client = net.new_tcp()
    client:connect("127.0.0.1", server:getsockname().port, function() client:write("abcd", function() client:close() end) end)
    local events = poll(app, clock(1, 600000000000), descriptor(2, FD_READ, 0))
    assert.same({ 1, 2, 4, "abcd" }, { #events, events[1].userdata, events[1].bytes, got })
    guest.close_all()
    uv.fs_close(pipe.read)
    uv.fs_close(pipe.write)
  end)

  it("and a callback of it may end the run, or call the guest, which may wait itself", function()
    local app = wasi.open()
    local inner
    app.lunette.delay(1, function()
      inner = { app.instance:invoke("sched_yield"), #poll(app, clock(1, 1000000)) }
      app.lunette.stop(9)
    end)
    local err = guest.failure(poll, app, clock(1, 600000000000))
    assert.same({ "exit", 9, { 0, 1 } }, { err.kind, err.code, inner })
  end)
end)

-- Guests that wait for ever, each in its own way; the folder holds the pipe "p", at whose other end is nobody.
local import = '(import "wasi_snapshot_preview1" "%s" (func $%s (param %s) (result i32)))'
local imports = table.concat({
  import:format("path_open", "open", "i32 i32 i32 i32 i32 i64 i64 i32 i32"),
  import:format("fd_read", "read", "i32 i32 i32 i32"),
  import:format("fd_write", "write", "i32 i32 i32 i32"), import:format("poll_oneoff", "poll", "i32 i32 i32 i32"),
})
local function opening(rights) -- the descriptor's number goes to 100
  return ([[(drop (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0)
    (i64.const %d) (i64.const 0) (i32.const 0) (i32.const 100)))]]):format(rights)
end
local endless = {
  ["a read from a pipe"] = opening(wasi.READ)
    .. "(drop (call $read (i32.load (i32.const 100)) (i32.const 104) (i32.const 1) (i32.const 200)))",
  ["opening a pipe that nobody reads"] = opening(wasi.WRITE),
  ["a write to a full pipe"] = opening(wasi.READ) .. opening(wasi.WRITE)
    .. "(loop (drop (call $write (i32.load (i32.const 100)) (i32.const 104) (i32.const 1) (i32.const 200))) (br 0))",
  ["poll_oneoff with a clock"] = "(drop (call $poll (i32.const 300) (i32.const 400) (i32.const 1) (i32.const 200)))",
}

describe("a guest that waits for ever ends with its time:", function()
  for name, body in pairs(endless) do
    it(name, function()
      local folder <close> = files.temporary()
      files.make(folder .. "/dir")
      os.execute("mkfifo " .. folder .. "/dir/p")
      files.write(folder .. "/app.wasm", wat(([[(module %s (memory (export "memory") 1) (data (i32.const 0) "p")
        (data (i32.const 104) "\00\10\00\00\00\20\00\00")
        (data (i32.const 316) "\01\00\00\00\00\00\00\00\ff\ff\ff\ff\ff\ff\ff\7f")
        (func (export "_start") %s))]]):format(imports, body)))
      local result = command("run", "--timeout", "100ms", "--dir", folder .. "/dir::/", folder .. "/app.wasm", { timeout = 20 })
      assert.equal(124, result.status, result.stderr)
    end)
  end
end)
