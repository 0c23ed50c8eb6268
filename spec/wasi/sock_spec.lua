-- SPDX-License-Identifier: MIT
-- Sockets that are handed in: core/wasi/sock.c.

local guest = require("spec.support.guest")
local uv = require("luv")
local wasi = require("spec.support.wasi")

local PEEK, WAITALL = 1, 2
local RD, WR = 1, 2

describe("a socket", function()
  local pair, app

  before_each(function()
    pair = uv.socketpair("stream", nil, { nonblock = false }, { nonblock = false })
    app = wasi.open({ sockets = { pair[1] } })
  end)
  after_each(function()
    guest.close_all()
    for _, fd in ipairs(pair) do uv.fs_close(fd) end
  end)

  it("stands behind the folders, as a stream", function()
    local _, stat = app.fd_fdstat_get(3)
    assert.equal(6, stat.type)
    assert.equal("EBADF", (app.fd_prestat_get(3)))
    assert.equal("ESPIPE", (app.fd_seek(3, 0, 1)))
  end)

  it("receives and sends", function()
    uv.fs_write(pair[2], "hello world")
    assert.same({ "ESUCCESS", 5, 0, "hello" }, { app.sock_recv(3, { 2, 3 }, PEEK) })
    assert.same({ "ESUCCESS", 5, 0, "hello" }, { app.sock_recv(3, { 5 }, 0) })
    assert.same({ "ESUCCESS", 6, 0, " world" }, { app.sock_recv(3, { 6 }, WAITALL) })
    assert.same({ "ESUCCESS", 7 }, { app.sock_send(3, { "to ", "you." }, 0) })
    assert.equal("to you.", uv.fs_read(pair[2], 100))
    uv.fs_write(pair[2], "by read")
    assert.same({ "ESUCCESS", 7, "by read" }, { app.fd_read(3, { 100 }) })
    assert.same({ "ESUCCESS", 2 }, { app.fd_write(3, { "ok" }) })
  end)

  it("says EAGAIN when the guest does not want to wait", function()
    assert.equal("ESUCCESS", (app.fd_fdstat_set_flags(3, wasi.NONBLOCK)))
    assert.equal("EAGAIN", (app.sock_recv(3, { 5 }, 0)))
    assert.equal("EAGAIN", (app.fd_read(3, { 5 })))
    uv.fs_write(pair[2], "ab")
    assert.same({ "ESUCCESS", 2, 0, "ab" }, { app.sock_recv(3, { 5 }, WAITALL) })
  end)

  it("is shut down in one direction or both, and raises no signal", function()
    assert.equal("EINVAL", (app.sock_shutdown(3, 0)))
    assert.equal("EINVAL", (app.sock_shutdown(3, 4)))
    assert.equal("ESUCCESS", (app.sock_shutdown(3, WR)))
    assert.equal("EPIPE", (app.sock_send(3, { "x" }, 0)))
    assert.equal("EPIPE", (app.fd_write(3, { "x" })))
    assert.equal("", uv.fs_read(pair[2], 10))
    assert.equal("ESUCCESS", (app.sock_shutdown(3, RD | WR)))
    assert.same({ "ESUCCESS", 0, 0, "" }, { app.sock_recv(3, { 5 }, 0) })
  end)

  it("checks flags and buffers", function()
    assert.equal("EINVAL", (app.sock_recv(3, { 5 }, 4)))
    assert.equal("EINVAL", (app.sock_send(3, { "x" }, 1)))
    assert.equal("EINVAL", (app.sock_accept(3, wasi.APPEND)))
    app.memory:write(512, ("<I4I4"):pack(wasi.memory_size - 1, 2))
    assert.equal("EFAULT", app.raw.sock_recv(3, 512, 1, 0, 600, 604))
    assert.equal("EFAULT", app.raw.sock_send(3, 512, 1, 0, 600))
    assert.equal("EFAULT", app.raw.sock_recv(3, 512, 0, 0, 600, wasi.memory_size - 1))
    assert.equal("EINVAL", app.raw.sock_recv(3, 512, 0xffffffff, 0, 600, 604))
  end)

  it("that is the guest's stdout can be written to, but not shut down: it is the caller's", function()
    local own = wasi.open({ stdout = pair[1] })
    assert.same({ "ESUCCESS", 5 }, { own.fd_write(1, { "hello" }) })
    assert.equal("ENOTSOCK", (own.sock_shutdown(1, WR)))
    assert.equal("hello", uv.fs_read(pair[2], 10))
  end)

  it("is ENOTSOCK where it is none, and EBADF where nothing is", function()
    for fd, errno in pairs({ [0] = "ENOTSOCK", [1] = "ENOTSOCK", [42] = "EBADF" }) do
      assert.equal(errno, (app.sock_shutdown(fd, RD)))
      assert.equal(errno, (app.sock_recv(fd, { 1 }, 0)))
      assert.equal(errno, (app.sock_send(fd, { "x" }, 0)))
      assert.equal(errno, (app.sock_accept(fd, 0)))
    end
  end)
end)

describe("a listening socket", function()
  after_each(guest.close_all)

  it("gives a descriptor for each connection", function()
    local server, client = uv.new_tcp(), uv.new_tcp()
    finally(function()
      server:close()
      client:close()
      uv.run()
    end)
    server:bind("127.0.0.1", 0)
    server:listen(4, function() end)
    local app = wasi.open({ sockets = { server:fileno() } })
    assert.equal("ESUCCESS", (app.fd_fdstat_set_flags(3, wasi.NONBLOCK)))
    assert.equal("EAGAIN", (app.sock_accept(3, 0)))
    -- The kernel makes the connection in its own time, without anybody running a loop; a descriptor that blocks waits for it.
    client:connect("127.0.0.1", server:getsockname().port)
    assert.equal("ESUCCESS", (app.fd_fdstat_set_flags(3, 0)))
    assert.same({ "ESUCCESS", 4 }, { app.sock_accept(3, wasi.NONBLOCK) })
    assert.equal("EAGAIN", (app.sock_recv(4, { 10 }, 0)))
    local _, stat = app.fd_fdstat_get(4)
    assert.equal(wasi.NONBLOCK, stat.flags)
    assert.equal("ESUCCESS", (app.fd_close(4)))
  end)
end)
