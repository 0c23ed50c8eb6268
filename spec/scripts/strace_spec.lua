-- SPDX-License-Identifier: MIT
-- scripts/strace.lua in its own style, to the letter: each function of WASI, good and bad; other hosts; options.

local descriptors = require("lunette.strace.descriptors")
local files = require("spec.support.files")
local guest = require("spec.support.guest")
local lines = require("lunette.strace.lines")
local run = require("spec.support.run")
local text = require("lunette.strace.text")
local uv = require("luv")
local wasi = require("spec.support.wasi")
local wazero = require("lunette.strace.wazero")

-- The guest of spec.support.wasi, and a function that gives the lines of its calls since it was last asked.
local function open(settings)
  local app, shown = wasi.open(settings), {}
  local known = descriptors.new()
  app.showing = app.lunette.factory(lines.factory({
    write = function(line) shown[#shown + 1] = line .. "\n" end,
    most = 32,
    descriptors = known,
    wants = function() return true end,
  }))
  app.following = app.lunette.factory(known.factory)
  return app, function()
    local all = table.concat(shown)
    shown = {}
    return all
  end
end

local FILE = "FD_DATASYNC|FD_READ|FD_SEEK|FDSTAT_SET_FLAGS|FD_SYNC|FD_TELL|FD_WRITE|FD_ADVISE|FD_ALLOCATE|"
  .. "FD_FILESTAT_GET|FD_FILESTAT_SET_SIZE|FD_FILESTAT_SET_TIMES|POLL_FD_READWRITE"

describe("strace", function()
  local folder, app, told

  before_each(function()
    folder = files.temporary()
    app, told = open({
      dirs = { folder .. "::/" }, args = { "app", "two words", "a\nb" }, env = { "A=1" }, deterministic = true,
    })
    app.fd_prestat_dir_name(3, 1)
    told()
  end)
  after_each(function()
    guest.close_all()
    getmetatable(folder).__close(folder)
  end)

  local function expect(expected)
    assert.equal(expected, told())
  end

  local function file(name, flags, rights)
    local fd = wasi.file(app, name or "file", wasi.CREAT, rights, flags)
    told()
    return fd
  end

  it("shows the folders that a guest is given", function()
    app.fd_prestat_get(3)
    app.fd_prestat_get(9)
    app.fd_prestat_dir_name(3, 1)
    app.fd_prestat_dir_name(3, 0)
    expect([[
fd_prestat_get(3</>, {dir, name_len=1}) = 0
fd_prestat_get(9, 0x400) = EBADF (bad file descriptor)
fd_prestat_dir_name(3</>, "/", 1) = 0
fd_prestat_dir_name(3</>, 0x400, 0) = ENAMETOOLONG (file name too long)
]])
  end)

  it("shows arguments and variables", function()
    app.args_sizes_get()
    app.raw.args_get(2000, 3000)
    app.environ_sizes_get()
    app.raw.environ_get(2000, 3000)
    app.raw.args_sizes_get(-1, 0)
    app.raw.args_get(-1, 3000)
    app.raw.environ_sizes_get(-1, 0)
    app.raw.environ_get(-1, 3000)
    expect([[
args_sizes_get(argc=3, argv_len=18) = 0
args_get(["app", "two words", "a\nb"], 0xbb8) = 0
environ_sizes_get(environc=1, environv_len=4) = 0
environ_get(["A=1"], 0xbb8) = 0
args_sizes_get(argc=0xffffffff, argv_len=0x0) = EFAULT (bad address)
args_get(0xffffffff, 0xbb8) = EFAULT (bad address)
environ_sizes_get(environc=0xffffffff, environv_len=0x0) = EFAULT (bad address)
environ_get(0xffffffff, 0xbb8) = EFAULT (bad address)
]])
  end)

  it("shows clocks by name", function()
    app.clock_res_get(1)
    app.clock_res_get(7)
    app.clock_time_get(0, 1000)
    app.clock_time_get(99, 0)
    expect([[
clock_res_get(id=monotonic) = 1000
clock_res_get(id=7) = EINVAL (invalid argument)
clock_time_get(id=realtime, precision=1000) = 946684800000001000
clock_time_get(id=99, precision=0) = EINVAL (invalid argument)
]])
  end)

  it("shows what is opened, and then its path; a newline in it breaks no line", function()
    local _, fd = app.path_open(3, 1, "a\nb", wasi.CREAT | wasi.EXCL, wasi.FILE, wasi.ALL, wasi.APPEND)
    app.path_open(3, 1, "a\nb", wasi.CREAT | wasi.EXCL, wasi.READ, 0, 0)
    app.raw.path_open(3, 1, -8, 100, 0, 0, 0, 0, 1024)
    app.fd_close(fd)
    app.fd_close(fd)
    expect([[
path_open(3</>, dirflags=SYMLINK_FOLLOW, "a\nb", oflags=CREAT|EXCL, fs_rights_base=]] .. FILE .. [[, ]]
  .. [[fs_rights_inheriting=~[SOCK_SHUTDOWN|SOCK_ACCEPT], fdflags=APPEND) = 4</a\nb>
path_open(3</>, dirflags=SYMLINK_FOLLOW, "a\nb", oflags=CREAT|EXCL, fs_rights_base=FD_READ, fs_rights_inheriting=0, ]]
  .. [[fdflags=0) = EEXIST (file exists)
path_open(3</>, dirflags=SYMLINK_FOLLOW, 0xfffffff8+100, oflags=0, fs_rights_base=0, fs_rights_inheriting=0, ]]
  .. [[fdflags=0) = EFAULT (bad address)
fd_close(4</a\nb>) = 0
fd_close(4) = EBADF (bad file descriptor)
]])
  end)

  it("shows what is written and read, cut", function()
    local fd = file("file", wasi.APPEND)
    app.fd_write(fd, { "hello\n", "", ("x"):rep(40) })
    app.fd_write(9, { "a" })
    app.fd_pwrite(fd, { "z" }, 1)
    app.fd_pwrite(9, { "z" }, 1)
    app.fd_pread(fd, { 2, 3 }, 0)
    app.fd_pread(fd, { 2 }, -1)
    app.fd_seek(fd, 0, 0)
    app.fd_read(fd, { 3, 100, 7 })
    app.fd_read(77, { 10 })
    app.fd_write(fd, { "1", "2", "3", "4", "5", "6", "7", "8", "9" })
    app.raw.fd_write(fd, -8, 2, 0)
    expect([[
fd_write(4</file>, [{"hello\n", 6}, {"", 0}, {"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"..., 40}], 3) = 46
fd_write(9, [{"a", 1}], 1) = EBADF (bad file descriptor)
fd_pwrite(4</file>, [{"z", 1}], 1, offset=1) = 1
fd_pwrite(9, [{"z", 1}], 1, offset=1) = EBADF (bad file descriptor)
fd_pread(4</file>, [{"he", 2}, {"llo", 3}], 2, offset=0) = 5
fd_pread(4</file>, 0x400, 1, offset=0xffffffffffffffff) = EINVAL (invalid argument)
fd_seek(4</file>, offset=0, SET) = 0
fd_read(4</file>, [{"hel", 3}, {"lo\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"..., 100}, {"", 7}], 3) = 47
fd_read(77, 0x400, 1) = EBADF (bad file descriptor)
fd_write(4</file>, [{"1", 1}, {"2", 1}, {"3", 1}, {"4", 1}, {"5", 1}, {"6", 1}, {"7", 1}, {"8", 1}, ...], 9) = 9
fd_write(4</file>, 0xfffffff8, 2) = EFAULT (bad address)
]])
  end)

  it("shows what else is done with a descriptor", function()
    local fd = file()
    app.fd_write(fd, { "0123456789" })
    told()
    app.fd_seek(fd, -3, 2)
    app.fd_seek(fd, 0, 9)
    app.fd_tell(fd)
    app.fd_tell(99)
    app.fd_advise(fd, 0, 10, 3)
    app.fd_advise(99, 0, 10, 9)
    app.fd_allocate(fd, 0, 100)
    app.fd_allocate(9, 0, 1)
    app.fd_datasync(fd)
    app.fd_datasync(99)
    app.fd_sync(fd)
    app.fd_sync(99)
    expect([[
fd_seek(4</file>, offset=-3, END) = 7
fd_seek(4</file>, offset=0, 9) = EINVAL (invalid argument)
fd_tell(4</file>) = 7
fd_tell(99) = EBADF (bad file descriptor)
fd_advise(4</file>, offset=0, len=10, advice=WILLNEED) = 0
fd_advise(99, offset=0, len=10, advice=9) = EBADF (bad file descriptor)
fd_allocate(4</file>, offset=0, len=100) = 0
fd_allocate(9, offset=0, len=1) = EBADF (bad file descriptor)
fd_datasync(4</file>) = 0
fd_datasync(99) = EBADF (bad file descriptor)
fd_sync(4</file>) = 0
fd_sync(99) = EBADF (bad file descriptor)
]])
  end)

  it("shows states and rights", function()
    local fd = file("file", wasi.APPEND, wasi.READ | wasi.WRITE)
    app.fd_fdstat_get(fd)
    app.fd_fdstat_get(99)
    app.fd_fdstat_set_flags(fd, wasi.NONBLOCK | wasi.APPEND)
    app.fd_fdstat_set_flags(fd, 0x100)
    app.fd_fdstat_set_rights(fd, wasi.READ, 0)
    app.fd_fdstat_set_rights(99, 1 << 40 | 1, (1 << 30) - 1)
    app.fd_filestat_set_times(fd, 0, 1704164645500000000, wasi.MTIM | wasi.ATIM)
    app.fd_filestat_set_times(99, 0, 0, 0)
    app.fd_filestat_set_size(fd, 5)
    app.fd_filestat_set_size(99, -1)
    expect([[
fd_fdstat_get(4</file>, {REGULAR_FILE, flags=APPEND, rights=FD_READ|FD_WRITE, inheriting=0}) = 0
fd_fdstat_get(99, 0x400) = EBADF (bad file descriptor)
fd_fdstat_set_flags(4</file>, flags=APPEND|NONBLOCK) = ENOTCAPABLE (capabilities insufficient)
fd_fdstat_set_flags(4</file>, flags=0x100) = ENOTCAPABLE (capabilities insufficient)
fd_fdstat_set_rights(4</file>, fs_rights_base=FD_READ, fs_rights_inheriting=0) = 0
fd_fdstat_set_rights(99, fs_rights_base=FD_DATASYNC|0x10000000000, fs_rights_inheriting=ALL) = EBADF (bad file descriptor)
fd_filestat_set_times(4</file>, atim=0, mtim=1704164645500000000, fst_flags=ATIM|MTIM) = ENOTCAPABLE (capabilities insufficient)
fd_filestat_set_times(99, atim=0, mtim=0, fst_flags=0) = EBADF (bad file descriptor)
fd_filestat_set_size(4</file>, size=5) = ENOTCAPABLE (capabilities insufficient)
fd_filestat_set_size(99, size=0xffffffffffffffff) = EBADF (bad file descriptor)
]])
    local all = wasi.file(app, "other", wasi.CREAT)
    told()
    app.fd_fdstat_set_flags(all, wasi.APPEND)
    app.fd_filestat_set_size(all, 5)
    app.fd_filestat_set_times(all, 0, 1704164645500000000, wasi.MTIM | wasi.ATIM)
    app.fd_filestat_get(all)
    app.fd_filestat_get(99)
    expect([[
fd_fdstat_set_flags(5</other>, flags=APPEND) = 0
fd_filestat_set_size(5</other>, size=5) = 0
fd_filestat_set_times(5</other>, atim=0, mtim=1704164645500000000, fst_flags=ATIM|MTIM) = 0
fd_filestat_get(5</other>, {REGULAR_FILE, size=5, mtim=2024-01-02T03:04:05.5Z}) = 0
fd_filestat_get(99, 0x400) = EBADF (bad file descriptor)
]])
  end)

  it("shows paths", function()
    file("f")
    app.path_create_directory(3, "d")
    app.path_create_directory(3, "d")
    app.path_filestat_set_times(3, 0, "f", 0, 1000000000, wasi.MTIM)
    app.path_filestat_set_times(3, 0, "no", 0, 0, 0)
    app.path_filestat_get(3, 1, "f")
    app.path_filestat_get(3, 0, "no")
    app.path_link(3, 0, "f", 3, "l")
    app.path_link(3, 0, "no", 3, "l")
    app.path_symlink("f", 3, "s")
    app.path_symlink("f", 3, "s")
    app.path_readlink(3, "s", 64)
    app.path_readlink(3, "d", 64)
    app.path_remove_directory(3, "d")
    app.path_remove_directory(3, "d")
    app.path_unlink_file(3, "l")
    app.path_unlink_file(3, "l")
    expect([[
path_create_directory(3</>, "d") = 0
path_create_directory(3</>, "d") = EEXIST (file exists)
path_filestat_set_times(3</>, flags=0, "f", atim=0, mtim=1000000000, fst_flags=MTIM) = 0
path_filestat_set_times(3</>, flags=0, "no", atim=0, mtim=0, fst_flags=0) = ENOENT (no such file or directory)
path_filestat_get(3</>, flags=SYMLINK_FOLLOW, "f", {REGULAR_FILE, size=0, mtim=1970-01-01T00:00:01Z}) = 0
path_filestat_get(3</>, flags=0, "no", 0x408) = ENOENT (no such file or directory)
path_link(3</>, old_flags=0, "f", 3</>, "l") = 0
path_link(3</>, old_flags=0, "no", 3</>, "l") = ENOENT (no such file or directory)
path_symlink("f", 3</>, "s") = 0
path_symlink("f", 3</>, "s") = EEXIST (file exists)
path_readlink(3</>, "s", "f", 64) = 1
path_readlink(3</>, "d", 0x408, 64) = EINVAL (invalid argument)
path_remove_directory(3</>, "d") = 0
path_remove_directory(3</>, "d") = ENOENT (no such file or directory)
path_unlink_file(3</>, "l") = 0
path_unlink_file(3</>, "l") = ENOENT (no such file or directory)
]])
  end)

  it("follows descriptors that are renumbered, and paths that are renamed", function()
    app.path_create_directory(3, "d")
    local one, two = file("d/one"), file("two")
    app.path_rename(3, "d", 3, "e")
    app.path_rename(3, "no", 3, "e")
    app.fd_tell(one)
    app.fd_renumber(one, two)
    app.fd_renumber(99, two)
    app.fd_tell(one)
    app.fd_tell(two)
    expect([[
path_rename(3</>, "d", 3</>, "e") = 0
path_rename(3</>, "no", 3</>, "e") = ENOENT (no such file or directory)
fd_tell(4</e/one>) = 0
fd_renumber(4</e/one>, 5</two>) = 0
fd_renumber(99, 5</e/one>) = EBADF (bad file descriptor)
fd_tell(4) = EBADF (bad file descriptor)
fd_tell(5</e/one>) = 0
]])
  end)

  it("shows the entries of a folder, also one that is cut off", function()
    app.path_create_directory(3, "d")
    local _, dir = app.path_open(3, 0, "d", wasi.DIRECTORY, 1 << 14, 0, 0)
    told()
    app.fd_readdir(dir, 24, 0)
    app.fd_readdir(dir, 8, 0)
    app.fd_readdir(99, 100, 0)
    expect([[
fd_readdir(4</d>, [{..., DIRECTORY}], 24, cookie=0) = 24
fd_readdir(4</d>, [], 8, cookie=0) = 8
fd_readdir(99, 0x400, 100, cookie=0) = EBADF (bad file descriptor)
]])
  end)

  it("shows what is waited for, and what came", function()
    local fd = file()
    local format = "<I8 I1 xxxxxxx I4 xxxx I8 I8 I2 xxxxxx"
    app.memory:write(8000, format:pack(7, 0, 1, 2000000, 0, 0))
    app.raw.poll_oneoff(8000, 9000, 1, 1024)
    app.memory:write(8000, format:pack(7, 0, 0, 1500000000, 0, 1) .. format:pack(8, 2, 99, 0, 0, 0))
    app.raw.poll_oneoff(8000, 9000, 2, 1024)
    app.memory:write(8000, format:pack(8, 1, fd, 0, 0, 0))
    app.raw.poll_oneoff(8000, 9000, -1, 1024)
    app.raw.poll_oneoff(8000, 9000, 0, 1024)
    expect([[
poll_oneoff([{clock, monotonic, 2ms}], [{clock}], 1) = 1
poll_oneoff([{clock, realtime, 1970-01-01T00:00:01.5Z, ABSTIME}, {fd_write, 99}], [{clock}, {fd_write, EBADF}], 2) = 2
poll_oneoff(0x1f40, 0x2328, 4294967295) = EINVAL (invalid argument)
poll_oneoff([], 0x2328, 0) = EINVAL (invalid argument)
]])
  end)

  it("shows random bytes, signals, and calls that never return", function()
    app.raw.random_get(-1, 4)
    app.sched_yield()
    app.proc_raise(0)
    app.proc_raise(19)
    pcall(app.raw.proc_exit, 3)
    pcall(app.raw.proc_raise, 6)
    expect([[
random_get(0xffffffff, 4) = EFAULT (bad address)
sched_yield() = 0
proc_raise(sig=NONE) = 0
proc_raise(sig=TSTP) = ENOTSUP (not supported)
proc_exit(rval=3) = ? (exit: 3)
proc_raise(sig=ABRT) = ? (exit: 134)
]])
    app.raw.random_get(1024, 2)
    local bytes = text.quote(app.memory:string(1024, 2), 32)
    expect(("random_get(%s, 2) = 0\n"):format(bytes))
  end)

  it("shows sockets", function()
    local pair = uv.socketpair("stream", nil, { nonblock = false }, { nonblock = false })
    local listener = uv.new_tcp()
    listener:bind("127.0.0.1", 0)
    listener:listen(1, function() end)
    local client = uv.new_tcp()
    client:connect("127.0.0.1", listener:getsockname().port, function() end)
    app, told = open({ sockets = { pair[1], listener:fileno() } })
    uv.fs_write(pair[2], "hello")
    app.sock_recv(3, { 2, 9 }, 1)
    app.sock_recv(99, { 3 }, 2)
    app.sock_send(3, { "abc" }, 0)
    app.sock_send(99, { "abc" }, 4)
    app.sock_shutdown(3, 3)
    app.sock_shutdown(3, 8)
    app.sock_accept(4, wasi.NONBLOCK)
    app.sock_accept(99, 0)
    app.fd_close(5)
    expect([[
sock_recv(3, [{"he", 2}, {"llo", 9}], 2, ri_flags=RECV_PEEK, ro_flags=0) = 5
sock_recv(99, 0x400, 1, ri_flags=RECV_WAITALL, ro_flags=0x418) = EBADF (bad file descriptor)
sock_send(3, [{"abc", 3}], 1, si_flags=0) = 3
sock_send(99, [{"abc", 3}], 1, si_flags=0x4) = EBADF (bad file descriptor)
sock_shutdown(3, how=RD|WR) = 0
sock_shutdown(3, how=0x8) = EINVAL (invalid argument)
sock_accept(4, flags=NONBLOCK) = 5<socket>
sock_accept(99, flags=0) = EBADF (bad file descriptor)
fd_close(5<socket>) = 0
]])
    client:close()
    listener:close()
    uv.run()
    for _, fd in ipairs(pair) do uv.fs_close(fd) end
  end)

  it("reads the structures of wasi_unstable as they are there", function()
    files.write(folder .. "/file", "0123456789")
    uv.fs_utime(folder .. "/file", 1, 2)
    app, told = open({ module = "wasi_unstable", dirs = { folder .. "::/" } })
    local fd = file()
    app.fd_seek(fd, -1, 1)
    app.fd_seek(fd, 3, 2)
    app.fd_filestat_get(fd)
    app.memory:write(8000, ("<I8 I1 xxxxxxx I8 I4 xxxx I8 I8 I2 xxxxxx"):pack(7, 0, 9, 1, 1500, 0, 0))
    app.raw.poll_oneoff(8000, 9000, 1, 1024)
    expect([[
fd_seek(4<file>, offset=-1, END) = 9
fd_seek(4<file>, offset=3, SET) = 3
fd_filestat_get(4<file>, {REGULAR_FILE, size=10, mtim=1970-01-01T00:00:02Z}) = 0
poll_oneoff([{clock, monotonic, 1.5us}], [{clock}], 1) = 1
]])
  end)

  it("takes whatever a guest passes, one line a call", function()
    math.randomseed(1)
    local odd = { 0, 1, 3, 4, 8, 64, 1024, 65528, 65535, 65536, -1, -8, 1 << 31, (1 << 31) - 1 }
    file()
    app.path_create_directory(3, "d")
    told()
    local as_wazero = app.lunette.factory(wazero.factory({ all = true }, false, function() end))
    for _ = 1, 60 do
      for _, row in ipairs(wasi.rows) do
        local args = {}
        for i, kind in ipairs(row.kinds) do
          args[i] = (kind == "fd" and math.random(3) > 1) and math.random(0, 5) or odd[math.random(#odd)]
        end
        if row.group ~= "proc" then
          app.raw[row.name](table.unpack(args))
          assert.matches("^[%w_]+%([^\n%c]*%) = [^\n%c]+\n$", told())
        end
      end
    end
    assert.same({ 0, 0, 0 }, { app.showing.errors, app.following.errors, as_wazero.errors })
  end)

  it("is shown here with every function, good and bad", function()
    local good, bad = { path_open = true, random_get = true }, { path_open = true, proc_exit = true, sched_yield = true }
    for name, result in files.read("spec/scripts/strace_spec.lua"):gmatch("\n([%w_]+)%([^\n]*%) = ([^\n ]+)[^\n]*") do
      local kind = result:find("^E%u") and bad or good
      kind[name] = true
    end
    for _, row in ipairs(wasi.rows) do
      assert.is_true(good[row.name], row.name)
      assert.is_true(bad[row.name], row.name)
    end
  end)
end)

local function strace(spec, expected)
  local result = run(spec)
  assert.equal(expected, result.stderr)
  return result
end

-- Opens "name", writes to it, and ends with a status.
local writer = [[(module
  (import "wasi_snapshot_preview1" "fd_prestat_dir_name" (func $dir (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "\20\00\00\00\0c\00\00\00")
  (data (i32.const 32) "hello\n\e2\82\ac\1b\ff.")
  (data (i32.const 64) "name")
  (func (export "_start")
    (drop (call $dir (i32.const 3) (i32.const 100) (i32.const 1)))
    (drop (call $open (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 4) (i32.const 1)
      (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 8)))
    (drop (call $write (i32.const 4) (i32.const 16) (i32.const 1) (i32.const 8)))
    (drop (call $write (i32.const 9) (i32.const 16) (i32.const 1) (i32.const 8)))
    (drop (call $close (i32.const 4)))
    (call $exit (i32.const 3))))]]

describe("lunette strace", function()
  it("traces with the script of that name", function()
    local result = strace({ guest = writer, files = { ["d/"] = "" }, "strace", "--dir", "d::/", "app.wasm" }, [[
fd_prestat_dir_name(3, "/", 1) = 0
path_open(3</>, dirflags=0, "name", oflags=CREAT, fs_rights_base=FD_WRITE, fs_rights_inheriting=0, fdflags=0) = 4</name>
fd_write(4</name>, [{"hello\n\xe2\x82\xac\x1b\xff.", 12}], 1) = 12
fd_write(9, [{"hello\n\xe2\x82\xac\x1b\xff.", 12}], 1) = EBADF (bad file descriptor)
fd_close(4</name>) = 0
proc_exit(rval=3) = ? (exit: 3)
]])
    assert.equal(3, result.status)
  end)

  it("takes the script's options, and knows paths of calls that are not shown", function()
    local spec = { guest = writer, files = { ["d/"] = "" }, "strace", "-w", "fd_write", "--dir", "d::/", "app.wasm" }
    strace(spec, [[
fd_write(4</name>, [{"hello\n\xe2\x82\xac\x1b\xff.", 12}], 1) = 12
fd_write(9, [{"hello\n\xe2\x82\xac\x1b\xff.", 12}], 1) = EBADF (bad file descriptor)
]])
    spec[2], spec[3] = "-s", "strace,groups=proc"
    strace(spec, "proc_exit(rval=3) = ? (exit: 3)\n")
    spec[3] = "strace,groups=fd+clock,strings=3"
    strace(spec, [[
fd_prestat_dir_name(3, "/", 1) = 0
fd_write(4</name>, [{"hel"..., 12}], 1) = 12
fd_write(9, [{"hel"..., 12}], 1) = EBADF (bad file descriptor)
fd_close(4</name>) = 0
]])
    spec[3] = "strace,summary=true,groups=file"
    local table_lines = {}
    for line in run(spec).stderr:gmatch("[^\n]+") do table_lines[#table_lines + 1] = line end
    assert.matches("^%% time +seconds +us/call  calls  errors  function$", table_lines[1])
    local sum, last, rows = 0, math.huge, {}
    for i = 2, 5 do
      local share, seconds, counts = table_lines[i]:match("^ *([%d.]+) +(%d+%.%d%d%d%d%d%d) +%d+  (.*)$")
      assert.is_true(tonumber(seconds) <= last, "sorted by time")
      sum, last, rows[#rows + 1] = sum + share, tonumber(seconds), counts
    end
    assert.is_true(math.abs(sum - 100) < 0.1, "shares of the whole")
    table.sort(rows)
    assert.same({ "    1          fd_close", "    1          fd_prestat_dir_name", "    1          path_open",
      "    2       1  fd_write" }, rows)
    assert.matches("^100.00 .*    5       1  in 4 functions$", table_lines[6])
    spec[3] = "strace,time=true,groups=proc+fd"
    local timed = run(spec).stderr
    assert.equal([[
fd_prestat_dir_name(3, "/", 1) = 0 <T>
fd_write(4</name>, [{"hello\n\xe2\x82\xac\x1b\xff.", 12}], 1) = 12 <T>
fd_write(9, [{"hello\n\xe2\x82\xac\x1b\xff.", 12}], 1) = EBADF (bad file descriptor) <T>
fd_close(4</name>) = 0 <T>
proc_exit(rval=3) = ? (exit: 3) <T>
]], (timed:gsub("<%d+%.%d%d%d%d%d%d>\n", "<T>\n")))
    spec[3] = "strace,groups=fil"
    assert.equal(101, strace(spec, 'lunette: strace: option groups cannot be "fil"; did you mean file?\n').status)
    spec[3] = "strace,style=gdb"
    strace(spec, 'lunette: strace: option style cannot be "gdb"; there are: lunette, wazero\n')
  end)

  it("closes the line of a call that is cut short", function()
    local result = run {
      guest = [[(module
        (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 16) "\01\00\00\00") (data (i32.const 24) "\00\e4\0b\54\02\00\00\00")
        (func (export "_start") (drop (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))))]],
      "strace", "--timeout", "1s", "app.wasm",
    }
    assert.equal(124, result.status)
    assert.matches("^poll_oneoff%(%[{clock, monotonic, 10s}%], 0x40, 1%) = %? %(timeout[^\n]*%)\n", result.stderr)
  end)

  it("tells what is wrong as run does", function()
    local result = run { "strace" }
    assert.equal(64, result.status)
    assert.equal("lunette: strace needs a WebAssembly file\nhint: lunette strace [options] APP.wasm [ARGS...]\n", result.stderr)
    assert.matches("summary=false", run({ "help", "strace" }).stdout, 1, true)
  end)
end)

describe("strace of other hosts", function()
  local nested = [[(module
    (import "env" "again" (func $again (param $times i32) (param f32) (result i32 f64)))
    (import "env" "note" (func $note (param externref i64)))
    (import "env" "fail" (func $fail (param v128)))
    (func (export "back") (param $times i32)
      (if (local.get $times) (then (drop (drop (call $again (i32.sub (local.get $times) (i32.const 1)) (f32.const 0.1)))))
        (else (call $note (ref.null extern) (i64.const -1)))))
    (func (export "_start")
      (drop (drop (call $again (i32.const 1) (f32.const -0))))
      (call $fail (v128.const i64x2 1 2))))]]
  local host = [[
    lunette.host("env", {
      again = { params = {"i32", "f32"}, results = {"i32", "f64"}, param_names = {"times"}, function(call, times)
        call.instance:invoke("back", times)
        return times, 1e100
      end },
      note = { params = {"externref", "i64"}, function() end },
      fail = { params = {"v128"}, function() error("no\nreason", 0) end },
    })]]

  it("closes each line that it opens: calls within calls, and what fails", function()
    local result = run { guest = nested, "strace", "-e", host, "app.wasm" }
    assert.equal([[
env.again(times=1, -0 <unfinished ...>
env.again(times=0, 0.1 <unfinished ...>
env.note(nil, -1)
<... env.again resumed>) = (0, 1e+100)
<... env.again resumed>) = (1, 1e+100)
env.fail(0x00000000000000020000000000000001) = ? (host: no)
]], result.stderr:match("^(.-)lunette: host"))
  end)

  it("counts what fails", function()
    local result = run { guest = nested, "run", "-e", host, "-s", "strace,summary=true", "app.wasm" }
    for _, row in ipairs({
      "2          env.again", "1       1  env.fail", "1          env.note", "4       1  in 3 functions",
    }) do
      assert.matches("    " .. row .. "\n", result.stderr, 1, true)
    end
  end)
end)

describe("a quoted string", function()
  for _, case in ipairs({
    { "plain", '"plain"' }, { 'a"b\\c\n\t\r\0', [["a\"b\\c\n\t\r\x00"]] }, { "\u{e9}\u{4e2d}", '"\u{e9}\u{4e2d}"' },
    { "\u{85}\u{202e}", [["\xc2\x85\xe2\x80\xae"]] }, { "\xff\u{e9}", [["\xff\xc3\xa9"]] },
    { ("\u{e9}"):rep(20), '"' .. ("\u{e9}"):rep(16) .. '"...' },
    { "x" .. ("\u{e9}"):rep(20), '"x' .. ("\u{e9}"):rep(15) .. '"...' },
    { "", '""' },
  }) do
    it("is " .. case[2], function() assert.equal(case[2], text.quote(case[1], 32)) end)
  end
end)
