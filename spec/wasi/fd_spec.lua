-- SPDX-License-Identifier: MIT
-- Descriptors: core/wasi/fd.c, io.c, fdtable.c.

local files = require("spec.support.files")
local guest = require("spec.support.guest")
local uv = require("luv")
local wasi = require("spec.support.wasi")

local edge = wasi.memory_size
local SET, CUR, END = 0, 1, 2

describe("a descriptor", function()
  local folder, app

  before_each(function()
    folder = files.temporary()
    app = wasi.open({ dirs = { folder .. "::/" } })
  end)
  after_each(function()
    guest.close_all()
    getmetatable(folder).__close(folder)
  end)

  local function written(path) return files.read(folder .. "/" .. path) end

  it("writes pieces and reads them again", function()
    local fd = wasi.file(app, "file", wasi.CREAT)
    assert.same({ "ESUCCESS", 11 }, { app.fd_write(fd, { "hello", "", " world" }) })
    assert.same({ "ESUCCESS", 11 }, { app.fd_tell(fd) })
    assert.same({ "ESUCCESS", 0 }, { app.fd_seek(fd, 0, SET) })
    assert.same({ "ESUCCESS", 11, "hello world" }, { app.fd_read(fd, { 3, 20 }) })
    assert.same({ "ESUCCESS", 0, "" }, { app.fd_read(fd, { 20 }) })
    assert.equal("hello world", written("file"))
  end)

  it("reads and writes at a place without moving", function()
    local fd = wasi.file(app, "file", wasi.CREAT)
    app.fd_write(fd, { "0123456789" })
    assert.same({ "ESUCCESS", 2 }, { app.fd_pwrite(fd, { "AB" }, 4) })
    assert.same({ "ESUCCESS", 4, "3AB6" }, { app.fd_pread(fd, { 1, 3 }, 3) })
    assert.same({ "ESUCCESS", 10 }, { app.fd_tell(fd) })
    assert.equal("EINVAL", (app.fd_pread(fd, { 1 }, -1)))
    assert.equal("EINVAL", (app.fd_pwrite(fd, { "x" }, math.mininteger)))
  end)

  it("seeks from the start, from where it is, from the end", function()
    local fd = wasi.file(app, "file", wasi.CREAT)
    app.fd_write(fd, { "0123456789" })
    for _, case in ipairs({
      { -4, END, "ESUCCESS", 6 }, { 2, CUR, "ESUCCESS", 8 }, { 100, SET, "ESUCCESS", 100 }, { -101, CUR, "EINVAL" },
      { 0, 3, "EINVAL" }, { 0, -1, "EINVAL" },
    }) do
      assert.same({ case[3], case[4] }, { app.fd_seek(fd, case[1], case[2]) })
    end
  end)

  it("counts whence otherwise in wasi_unstable, and has 32 bits for links", function()
    local old = wasi.open({ module = "wasi_unstable", dirs = { folder .. "::/" } })
    local fd = wasi.file(old, "file", wasi.CREAT)
    old.fd_write(fd, { "0123456789" })
    assert.same({ "ESUCCESS", 3 }, { old.fd_seek(fd, 3, 2) })
    assert.same({ "ESUCCESS", 5 }, { old.fd_seek(fd, 2, 0) })
    assert.same({ "ESUCCESS", 10 }, { old.fd_seek(fd, 0, 1) })
    old.memory:write(512, ("\xee"):rep(64))
    assert.equal("ESUCCESS", old.raw.fd_filestat_get(fd, 512))
    local type, links, size = ("<I1xxxI4I8"):unpack(old.memory:string(512 + 16, 16))
    assert.same({ 4, 1, 10 }, { type, links, size })
    assert.equal(("\xee"):rep(8), old.memory:string(512 + 56, 8))
  end)

  it("tells a file's status, sets its size and times", function()
    local fd = wasi.file(app, "file", wasi.CREAT)
    assert.equal("ESUCCESS", (app.fd_filestat_set_size(fd, 100)))
    assert.equal("ESUCCESS", (app.fd_filestat_set_times(fd, 5, 1000000007, wasi.ATIM | wasi.MTIM)))
    local _, status = app.fd_filestat_get(fd)
    assert.same({ 4, 1, 100, 5, 1000000007 }, { status.type, status.links, status.size, status.atim, status.mtim })
    assert.equal(uv.fs_stat(folder .. "/file").ino, status.ino)
    assert.equal("EINVAL", (app.fd_filestat_set_times(fd, 0, 0, wasi.ATIM | wasi.ATIM_NOW)))
    assert.equal("EINVAL", (app.fd_filestat_set_times(fd, 0, 0, 16)))
    assert.equal("EFBIG", (app.fd_filestat_set_size(fd, -1)))
    assert.equal("ESUCCESS", (app.fd_filestat_set_times(fd, 0, 0, wasi.MTIM_NOW)))
    _, status = app.fd_filestat_get(fd)
    assert.equal(5, status.atim)
    assert.is_true(status.mtim > 1000000007)
  end)

  it("allocates, advises and syncs", function()
    local fd = wasi.file(app, "file", wasi.CREAT)
    assert.equal("ESUCCESS", (app.fd_allocate(fd, 90, 20)))
    assert.equal(110, #written("file"))
    assert.equal("EINVAL", (app.fd_allocate(fd, 0, 0)))
    assert.equal("EFBIG", (app.fd_allocate(fd, math.maxinteger, 1)))
    for advice = 0, 5 do assert.equal("ESUCCESS", (app.fd_advise(fd, 0, 10, advice))) end
    assert.equal("EINVAL", (app.fd_advise(fd, 0, 10, 6)))
    assert.equal("ESUCCESS", (app.fd_sync(fd)))
    assert.equal("ESUCCESS", (app.fd_datasync(fd)))
  end)

  it("appends while its flag says so", function()
    local fd = wasi.file(app, "file", wasi.CREAT, nil, wasi.APPEND)
    app.fd_write(fd, { "one" })
    app.fd_seek(fd, 0, SET)
    app.fd_write(fd, { "two" })
    local _, stat = app.fd_fdstat_get(fd)
    assert.equal(wasi.APPEND, stat.flags)
    assert.equal("ESUCCESS", (app.fd_fdstat_set_flags(fd, 0)))
    app.fd_seek(fd, 0, SET)
    app.fd_write(fd, { "X" })
    assert.equal("Xnetwo", written("file"))
    assert.equal("ENOTSUP", (app.fd_fdstat_set_flags(fd, wasi.SYNC)))
    assert.equal("EINVAL", (app.fd_fdstat_set_flags(fd, 32)))
  end)

  it("has the rights that were asked for, and can only lose some", function()
    local fd = wasi.file(app, "file", wasi.CREAT, wasi.READ | wasi.WRITE)
    local _, stat = app.fd_fdstat_get(fd)
    assert.same({ 4, wasi.READ | wasi.WRITE, 0 }, { stat.type, stat.rights, stat.inheriting })
    assert.equal("ENOTCAPABLE", (app.fd_seek(fd, 0, SET)))
    assert.equal("ENOTCAPABLE", (app.fd_filestat_get(fd)))
    assert.equal("ESUCCESS", (app.fd_fdstat_set_rights(fd, wasi.READ, 0)))
    assert.equal("ENOTCAPABLE", (app.fd_write(fd, { "x" })))
    assert.equal("ENOTCAPABLE", (app.fd_fdstat_set_rights(fd, wasi.READ | wasi.WRITE, 0)))
    assert.equal("ENOTCAPABLE", (app.fd_fdstat_set_rights(fd, wasi.READ, wasi.READ)))
  end)

  it("is no file where it is a folder", function()
    for _, call in ipairs({
      { "fd_read", { 1 } }, { "fd_write", { "x" } }, { "fd_pread", { 1 }, 0 }, { "fd_pwrite", { "x" }, 0 },
      { "fd_seek", 0, CUR }, { "fd_tell" }, { "fd_allocate", 0, 1 }, { "fd_filestat_set_size", 0 },
    }) do
      assert.equal("EISDIR", (app[call[1]](3, table.unpack(call, 2))), call[1])
    end
    assert.equal("ESUCCESS", (app.fd_sync(3)))
  end)

  it("is EBADF when it is not open, whatever its number", function()
    for _, fd in ipairs({ 4, 99, 0x7fffffff, -1 }) do
      assert.equal("EBADF", (app.fd_close(fd)))
      assert.equal("EBADF", (app.fd_read(fd, { 1 })))
      assert.equal("EBADF", (app.fd_fdstat_get(fd)))
      assert.equal("EBADF", (app.fd_prestat_get(fd)))
      assert.equal("EBADF", (app.fd_renumber(3, fd)))
    end
    assert.equal("ESUCCESS", (app.fd_close(3)))
    assert.equal("EBADF", (app.fd_close(3)))
  end)

  it("gets the lowest free number, and takes another's", function()
    local one, two = wasi.file(app, "one", wasi.CREAT), wasi.file(app, "two", wasi.CREAT)
    assert.same({ 4, 5 }, { one, two })
    assert.equal("ESUCCESS", (app.fd_renumber(one, two)))
    assert.equal("EBADF", (app.fd_tell(one)))
    app.fd_write(two, { "1" })
    assert.equal("1", written("one"))
    assert.equal("ESUCCESS", (app.fd_renumber(two, two)))
    assert.equal(4, wasi.file(app, "two"))
  end)

  it("is shown as preopened by its name", function()
    local _, prestat = app.fd_prestat_get(3)
    assert.same({ tag = 0, length = 1 }, prestat)
    assert.same({ "ESUCCESS", "/" }, { app.fd_prestat_dir_name(3, 1) })
    assert.equal("ENAMETOOLONG", (app.fd_prestat_dir_name(3, 0)))
    assert.equal("EFAULT", app.raw.fd_prestat_dir_name(3, edge - 1, 2))
    assert.equal("EBADF", (app.fd_prestat_get(0)))
  end)

  it("checks every buffer before it does anything", function()
    local fd = wasi.file(app, "file", wasi.CREAT)
    local function pieces(...) app.memory:write(512, ("<" .. ("I4"):rep(select("#", ...))):pack(...)) end
    for _, case in ipairs({
      { "EFAULT", 1, edge - 1, 2 }, { "EFAULT", 1, edge + 1, 0 }, { "EFAULT", 1, 0xffffffff, 0xffffffff },
      { "EFAULT", 2, 0, 1, edge, 1 }, { "EINVAL", 1025, 0, 1 }, { "EINVAL", 0xffffffff, 0, 1 }, { "ESUCCESS", 1, edge, 0 },
      { "ESUCCESS", 0, 0, 0 },
    }) do
      pieces(table.unpack(case, 3))
      assert.equal(case[1], app.raw.fd_write(fd, 512, case[2], 600))
      assert.equal(case[1], app.raw.fd_read(fd, 512, case[2], 600))
      assert.equal(case[1], app.raw.fd_pwrite(fd, 512, case[2], 0, 600))
      assert.equal(case[1], app.raw.fd_pread(fd, 512, case[2], 0, 600))
    end
    pieces(0, 1)
    assert.equal("EFAULT", app.raw.fd_write(fd, edge - 7, 1, 600))
    assert.equal("EFAULT", app.raw.fd_write(fd, 512, 1, edge - 3))
    assert.equal("EFAULT", app.raw.fd_seek(fd, 0, SET, edge - 7))
    assert.equal("EFAULT", app.raw.fd_filestat_get(fd, edge - 63))
    assert.equal("EFAULT", app.raw.fd_fdstat_get(fd, edge - 23))
    assert.equal("", written("file"))
  end)
end)

describe("the standard descriptors", function()
  local folder

  before_each(function() folder = files.temporary() end)
  after_each(function()
    guest.close_all()
    getmetatable(folder).__close(folder)
  end)

  it("write to where they point, under any number", function()
    local app = wasi.open({ dirs = { folder .. "::/" }, stdout = folder .. "/out" })
    app.fd_write(1, { "one " })
    local fd = wasi.file(app, "other", wasi.CREAT)
    assert.equal("ESUCCESS", (app.fd_renumber(1, fd)))
    assert.equal("EBADF", (app.fd_write(1, { "lost" })))
    app.fd_write(fd, { "two" })
    assert.equal("one two", files.read(folder .. "/out"))
  end)

  it("look like what they are: a terminal is a character device that cannot seek, /dev/null one that can", function()
    local app = wasi.open()
    local _, stat = app.fd_fdstat_get(0)
    assert.equal(2, stat.type)
    assert.equal(wasi.READ | wasi.SEEK | wasi.TELL, stat.rights & (wasi.READ | wasi.WRITE | wasi.SEEK | wasi.TELL))
  end)

  it("can be read from a pipe without blocking the process, and the pipe keeps its flags", function()
    local pipe = uv.pipe({ nonblock = false }, { nonblock = false })
    local app = wasi.open({ stdin = pipe.read })
    assert.equal("ESPIPE", (app.fd_seek(0, 0, CUR)))
    assert.equal("ESPIPE", (app.fd_tell(0)))
    assert.equal("ESPIPE", (app.fd_pread(0, { 1 }, 0)))
    assert.equal("ESUCCESS", (app.fd_fdstat_set_flags(0, wasi.NONBLOCK)))
    assert.equal("EAGAIN", (app.fd_read(0, { 10 })))
    uv.fs_write(pipe.write, "abc")
    assert.same({ "ESUCCESS", 3, "abc" }, { app.fd_read(0, { 10 }) })
    for line in io.lines("/proc/self/fdinfo/" .. pipe.read) do
      local flags = line:match("^flags:%s*(%d+)")
      if flags then assert.equal(0, tonumber(flags, 8) & 2048) end
    end
    uv.fs_close(pipe.write)
    assert.same({ "ESUCCESS", 0, "" }, { app.fd_read(0, { 10 }) })
    uv.fs_close(pipe.read)
  end)

  it("fill a pipe up to EAGAIN, and say EPIPE when its reader is gone", function()
    local pipe = uv.pipe({ nonblock = false }, { nonblock = false })
    local app = wasi.open({ stdout = pipe.write })
    assert.equal("ESUCCESS", (app.fd_fdstat_set_flags(1, wasi.NONBLOCK)))
    local total = 0
    while true do
      local errno, count = app.fd_write(1, { ("x"):rep(30000) })
      if errno ~= "ESUCCESS" then
        assert.equal("EAGAIN", errno)
        break
      end
      total = total + count
    end
    assert.equal(total, #uv.fs_read(pipe.read, 1 << 20))
    uv.fs_close(pipe.read)
    local ignore = uv.new_signal()
    ignore:start("sigpipe")
    assert.equal("EPIPE", (app.fd_write(1, { "x" })))
    ignore:close()
    uv.run()
    uv.fs_close(pipe.write)
  end)

  it("are closed for the guest alone", function()
    local pipe = uv.pipe({ nonblock = false }, { nonblock = false })
    local app = wasi.open({ stdin = pipe.read })
    assert.equal("ESUCCESS", (app.fd_close(0)))
    assert.equal("EBADF", (app.fd_read(0, { 1 })))
    uv.fs_write(pipe.write, "still")
    assert.equal("still", uv.fs_read(pipe.read, 10))
    uv.fs_close(pipe.read)
    uv.fs_close(pipe.write)
  end)
end)
