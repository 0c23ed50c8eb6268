-- SPDX-License-Identifier: MIT
-- strace's style=wazero, byte for byte: the corpus' logs of real programs, and what they do not show.

local command = require("spec.support.command")
local corpus = require("spec.support.corpus")
local files = require("spec.support.files")
local guest = require("spec.support.guest")
local run = require("spec.support.run")
local text = require("lunette.strace.text")
local uv = require("luv")
local wasi = require("spec.support.wasi")
local wazero = require("lunette.strace.wazero")

local host_script = command.root .. "/spec/support/scripts/wazero_host.lua"

-- "plain" is the factory of all functions, the others that of host functions and exports, with a scope.
local function options_of(mode)
  if mode == "plain" then return "strace,style=wazero" end
  return "strace,style=wazero,functions=host,scopes=" .. mode
end

-- What README.md and NAME.cmd of the corpus say of each run.
local function given(name, folder)
  if name == "argsenv" then return { "--env", "A=alpha", "--env", "B=two words" }, { "one", "", "three" } end
  if name ~= "files" then return {}, {} end
  files.write(folder .. "/in.txt", "0123456789\n")
  uv.fs_utime(folder .. "/in.txt", 1704164645, 1704164645)
  return { "--dir", folder .. "::/" }, {}
end

describe("style=wazero", function()
  local goldens = corpus.folder("goldens")
  if not goldens then
    pending("prints what wazero printed: " .. corpus.absent)
    return
  end
  for _, file in ipairs(files.list(goldens)) do
    local name, mode = file:match("^([%w_]+)%.(%w+)%.log$")
    if name then
      it(("prints what wazero printed of %s, %s"):format(name, mode), function()
        local folder <close> = files.temporary()
        local wasm = goldens .. "/" .. name .. ".wasm"
        local before, after = given(name, folder)
        local args = { "run", "-q", "-s", host_script, "-s", options_of(mode), "-o", folder .. ".log" }
        table.move(before, 1, #before, #args + 1, args)
        args[#args + 1] = wasm
        table.move(after, 1, #after, #args + 1, args)
        command.run(command.lunette, args)
        local log = files.read(folder .. ".log")
        files.remove(folder .. ".log")
        assert.equal(files.read(goldens .. "/" .. file), log)
      end)
    end
  end
end)

local function log(spec, expected)
  local result = run(spec)
  assert.equal(expected, (result.stderr:gsub("lunette: .*$", "")))
end

describe("style=wazero", function()
  local three = [[(module $listener
    (import "wasi_snapshot_preview1" "random_get" (func $random_get (param $buf i32) (param $buf_len i32) (result i32)))
    (memory (export "memory") 1)
    (func $wasi_rand (param $len i32) (drop (call $random_get (i32.const 4) (local.get $len))))
    (func $rand (export "rand") (param $len i32) (call $wasi_rand (local.get $len)))
    (func (export "_start") (call $rand (i32.const 4))))]]

  it("shows nested calls, and with functions=host no guest function that is not exported", function()
    log({ guest = three, "run", "-s", "strace,style=wazero", "app.wasm" }, [[
--> listener.$3()
	--> listener.rand(len=4)
		--> listener.wasi_rand(len=4)
			==> wasi_snapshot_preview1.random_get(buf=4,buf_len=4)
			<== errno=ESUCCESS
		<--
	<--
<--
]])
    log({ guest = three, "run", "-s", "strace,style=wazero,functions=host", "app.wasm" }, [[
--> listener.$3()
	--> listener.rand(len=4)
		==> wasi_snapshot_preview1.random_get(buf=4,buf_len=4)
		<== errno=ESUCCESS
	<--
<--
]])
    log({ guest = three, "run", "-s", "strace,style=wazero,functions=host,scopes=random+clock", "app.wasm" }, [[
==> wasi_snapshot_preview1.random_get(buf=4,buf_len=4)
<== errno=ESUCCESS
]])
  end)

  -- Each import that it calls, by name, type and arguments.
  local function calls(...)
    local out = { "(module" }
    for i, call in ipairs({ ... }) do
      local params, results = call[2]:match("^(.*):(.*)$")
      local types = params:gsub(".", function(t) return " (param " .. (t == "I" and "i64" or "i32") .. ")" end)
      out[#out + 1] = ('(import "wasi_snapshot_preview1" "%s" (func $f%d%s%s))'):format(call[1], i, types,
        results ~= "" and " (result i32)" or "")
    end
    out[#out + 1] = '(memory (export "memory") 1) (data (i32.const 64) "a\\nb")'
    out[#out + 1] = '(func (export "_start")'
    for i, call in ipairs({ ... }) do
      local n, args = 2, {}
      for letter in call[2]:match("^[^:]*"):gmatch(".") do
        n = n + 1
        args[#args + 1] = ("(%s.const %s)"):format(letter == "I" and "i64" or "i32", call[n])
      end
      local called = ("(call $f%d %s)"):format(i, table.concat(args, " "))
      out[#out + 1] = call[2]:find(":i") and "(drop " .. called .. ")" or called
    end
    return table.concat(out, "\n") .. "))"
  end

  local function wasi_log(expected, ...)
    log({ guest = calls(...), files = { ["d/"] = "" }, "run", "--dir", "d::/", "-s",
      "strace,style=wazero,scopes=filesystem+poll+proc+sock", "app.wasm" }, expected)
    log({ guest = calls(...), files = { ["d/"] = "" }, "run", "--dir", "d::/", "-s", "strace,style=wazero,scopes=clock",
      "app.wasm" }, "")
  end

  it("keeps the oddities: pointers as results, strings as they are, OOM, empty results of failures", function()
    wasi_log([[
==> wasi_snapshot_preview1.path_create_directory(fd=3,path=a
b)
<== errno=ESUCCESS
==> wasi_snapshot_preview1.path_create_directory(fd=3,path=OOM(65536,1))
<== errno=EFAULT
==> wasi_snapshot_preview1.path_create_directory(fd=3,path=OOM(4294967295,4294967295))
<== errno=EFAULT
==> wasi_snapshot_preview1.fd_prestat_get(fd=42)
<== (prestat=,errno=EBADF)
==> wasi_snapshot_preview1.fd_prestat_dir_name(fd=42)
<== (path=,errno=EBADF)
==> wasi_snapshot_preview1.fd_tell(fd=-1,result.offset=1024)
<== errno=EBADF
==> wasi_snapshot_preview1.fd_advise(fd=9,offset=-1,len=2,advice=3)
<== errno=EBADF
==> wasi_snapshot_preview1.fd_allocate(fd=9,offset=1,len=2)
<== errno=EBADF
==> wasi_snapshot_preview1.fd_fdstat_set_rights(fd=9,fs_rights_base=FD_READ|SOCK_SHUTDOWN,fs_rights_inheriting=)
<== errno=EBADF
==> wasi_snapshot_preview1.fd_filestat_set_times(fd=9,atim=1,mtim=-2,fst_flags=ATIM|MTIM_NOW)
<== errno=EBADF
==> wasi_snapshot_preview1.fd_renumber(fd=9,to=10)
<== errno=EBADF
==> wasi_snapshot_preview1.path_filestat_set_times(fd=9,flags=SYMLINK_FOLLOW,path=a,atim=1,mtim=2,fst_flags=)
<== errno=EBADF
==> wasi_snapshot_preview1.sock_accept(fd=9,flags=NONBLOCK)
<== (fd=,errno=EBADF)
==> wasi_snapshot_preview1.sock_recv(fd=9,ri_data=1,ri_data_len=3,ri_flags=RECV_PEEK|RECV_WAITALL)
<== (ro_datalen=,ro_flags=,errno=EBADF)
==> wasi_snapshot_preview1.sock_send(fd=9,si_data=1,si_data_len=3,si_flags=)
<== (so_datalen=,errno=EBADF)
==> wasi_snapshot_preview1.sock_send(fd=9,si_data=1,si_data_len=3,si_flags=7)
<== (so_datalen=,errno=EBADF)
==> wasi_snapshot_preview1.sock_shutdown(fd=9,how=RD|WR)
<== errno=EBADF
==> wasi_snapshot_preview1.proc_exit(rval=42)
]], { "path_create_directory", "iii:i", 3, 64, 3 }, { "path_create_directory", "iii:i", 3, 65536, 1 },
      { "path_create_directory", "iii:i", 3, -1, -1 }, { "fd_prestat_get", "ii:i", 42, 0 },
      { "fd_prestat_dir_name", "iii:i", 42, 0, 1 }, { "fd_tell", "ii:i", -1, 1024 }, { "fd_advise", "iIIi:i", 9, -1, 2, 3 },
      { "fd_allocate", "iII:i", 9, 1, 2 }, { "fd_fdstat_set_rights", "iII:i", 9, (1 << 28) + 2, 1 << 29 },
      { "fd_filestat_set_times", "iIIi:i", 9, 1, -2, 9 }, { "fd_renumber", "ii:i", 9, 10 },
      { "path_filestat_set_times", "iiiiIIi:i", 9, 1, 64, 1, 1, 2, 0 }, { "sock_accept", "iii:i", 9, 4, 0 },
      { "sock_recv", "iiiiii:i", 9, 1, 3, 3, 0, 1 }, { "sock_send", "iiiii:i", 9, 1, 3, 0, 0 },
      { "sock_send", "iiiii:i", 9, 1, 3, 7, 0 }, { "sock_shutdown", "ii:i", 9, 3 }, { "fd_write", "iiii:i", 2, 0, 0, 0 },
      { "proc_exit", "i:", 42 })
  end)

  it("shows what sockets give; the flags of what was received are those of the pointer", function()
    local pair = uv.socketpair("stream", nil, { nonblock = false }, { nonblock = false })
    local app, parts = wasi.open({ sockets = { pair[1] } }), {}
    app.lunette.factory(wazero.factory({ sock = true }, true, function(line) parts[#parts + 1] = line end))
    uv.fs_write(pair[2], "hello")
    app.memory:write(1024, ("<I4 I4"):pack(1100, 4))
    app.raw.sock_recv(3, 1024, 1, 1, 1032, 1036)
    app.raw.sock_recv(3, 1024, 1, 0, 1032, 1037)
    app.raw.sock_send(3, 1024, 1, 0, 1032)
    app.raw.sock_shutdown(3, 1)
    assert.equal([[
==> wasi_snapshot_preview1.sock_recv(fd=3,ri_data=1024,ri_data_len=1,ri_flags=RECV_PEEK)
<== (ro_datalen=4,ro_flags=,errno=ESUCCESS)
==> wasi_snapshot_preview1.sock_recv(fd=3,ri_data=1024,ri_data_len=1,ri_flags=)
<== (ro_datalen=4,ro_flags=RECV_DATA_TRUNCATED,errno=ESUCCESS)
==> wasi_snapshot_preview1.sock_send(fd=3,si_data=1024,si_data_len=1,si_flags=)
<== (so_datalen=4,errno=ESUCCESS)
==> wasi_snapshot_preview1.sock_shutdown(fd=3,how=RD)
<== errno=ESUCCESS
]], table.concat(parts))
    guest.close_all()
    for _, fd in ipairs(pair) do uv.fs_close(fd) end
  end)

  it("begins again at the margin after a trap", function()
    local app, parts = guest.open([[(module $m
      (func $inner (param $deep i32) (if (local.get $deep) (then (unreachable))))
      (func (export "outer") (param i32) (call $inner (local.get 0))))]]), {}
    app.lunette.factory(wazero.factory({ all = true }, false, function(line) parts[#parts + 1] = line end))
    pcall(app.instance.invoke, app.instance, "outer", 1)
    app.instance:invoke("outer", 0)
    assert.equal("--> m.$1(1)\n\t--> m.inner(deep=1)\n--> m.$1(0)\n\t--> m.inner(deep=0)\n\t<--\n<--\n", table.concat(parts))
    guest.close_all()
  end)

  it("leaves out reads and writes of the standard descriptors, by signed number", function()
    log({ guest = calls({ "fd_write", "iiii:i", -1, 0, 0, 8 }, { "fd_read", "iiii:i", 0, 0, 0, 8 },
      { "fd_write", "iiii:i", 3, 0, 0, 8 }), "run", "-s", "strace,style=wazero,functions=host", "app.wasm" }, [[
--> .$3()
	==> wasi_snapshot_preview1.fd_write(fd=3,iovs=0,iovs_len=0)
	<== (nwritten=,errno=EBADF)
<--
]])
  end)

  it("names params only where as many locals as it has params have names", function()
    log({
      guest = [[(module
        (func $some (param $a i32) (param i64) (local $x i32))
        (func $few (param $a i32) (param i64))
        (func (export "_start")
          (call $some (i32.const 1) (i64.const -2)) (call $few (i32.const 1) (i64.const -2))))]],
      "run", "-s", "strace,style=wazero", "app.wasm",
    }, "--> .$2()\n\t--> .some(a=1,=-2)\n\t<--\n\t--> .few(1,-2)\n\t<--\n<--\n")
  end)

  it("knows the hosts of AssemblyScript and Emscripten", function()
    local spec = {
      guest = [[(module
        (import "env" "seed" (func $seed (result f64)))
        (import "env" "abort" (func $abort (param i32 i32 i32 i32)))
        (import "env" "emscripten_notify_memory_growth" (func $grown (param i32)))
        (func (export "_start") (drop (call $seed)) (call $grown (i32.const 0))
          (call $abort (i32.const 1) (i32.const 2) (i32.const 3) (i32.const 4))))]],
      "run", "-e", [[
        lunette.host("env", {
          seed = { results = {"f64"}, function() return 4.958153677776298e-175 end },
          abort = { params = {"i32", "i32", "i32", "i32"},
            param_names = {"message", "fileName", "lineNumber", "columnNumber"}, function() lunette.stop(255) end },
          emscripten_notify_memory_growth = { params = {"i32"}, param_names = {"memory_index"}, function() end },
        })]],
      "-s", "strace,style=wazero,functions=host,scopes=random+memory+proc", "app.wasm",
    }
    local result = run(spec)
    assert.matches([[
==> env.~lib/builtins/seed()
<== rand=4.958153677776298e-175
==> env.emscripten_notify_memory_growth(memory_index=0)
<==
==> env.~lib/builtins/abort(message=1,fileName=2,lineNumber=3,columnNumber=4)
]], result.stderr, 1, true)
  end)
end)

describe("a float in Go's shortest form", function()
  for _, case in ipairs({
    { 0.0, "0" }, { -0.0, "-0" }, { 1 / 0, "+Inf" }, { -1 / 0, "-Inf" }, { 0 / 0, "NaN" }, { 5.0, "5" }, { 3.3, "3.3" },
    { 123456.0, "123456" }, { 1000000.0, "1e+06" }, { 1234567.0, "1.234567e+06" }, { 0.0001, "0.0001" }, { 0.00001, "1e-05" },
    { -1.5e-7, "-1.5e-07" }, { 1.7976931348623157e308, "1.7976931348623157e+308" }, { 5e-324, "5e-324" },
    { 4.958153677776298e-175, "4.958153677776298e-175" }, { 2.0 ^ -1022, "2.2250738585072014e-308" }, { 1e21, "1e+21" },
    { 2.0 ^ -44, "5.684341886080802e-14" }, { 2.0 ^ 63, "9.223372036854776e+18" }, { 0.1 + 0.2, "0.30000000000000004" },
    { 9007199254740993.0, "9.007199254740992e+15" }, { 2.0 ^ 89, "6.189700196426902e+26" },
  }) do
    it("is " .. case[2], function() assert.equal(case[2], text.go_float(case[1], false)) end)
  end

  for _, case in ipairs({
    { 3.4028234663852886e38, "3.4028235e+38" }, { 0.1, "0.1" }, { 1e-7, "1e-07" }, { 16777216.0, "1.6777216e+07" },
    { 2.0 ^ -126, "1.1754944e-38" }, { 2.0 ^ -149, "1e-45" }, { 2.0 ^ 90, "1.2379401e+27" }, { 2.0 ^ -44, "5.684342e-14" },
    { 2.0 ^ 87, "1.5474251e+26" }, { 8388608.0, "8.388608e+06" },
  }) do
    it("of 32 bits is " .. case[2], function()
      assert.equal(case[2], text.go_float(string.unpack("<f", string.pack("<f", case[1])), true))
    end)
  end

  it("reads back, also powers of two", function()
    for exponent = -1074, 1023 do
      local value = 2.0 ^ exponent
      assert.equal(value, tonumber(text.go_float(value, false)))
    end
  end)
end)
