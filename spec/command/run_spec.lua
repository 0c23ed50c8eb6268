-- SPDX-License-Identifier: MIT
-- lunette run: the guest's surroundings, how it ends, and the exit status of each way.

local command = require("spec.support.command")
local files = require("spec.support.files")
local run = require("spec.support.run")
local wat = require("spec.support.wat")

-- Writes the text at `address` (its length is known) to a descriptor.
local writer = [[
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (func $write (param $fd i32) (param $at i32) (param $size i32)
    (i32.store (i32.const 0) (local.get $at))
    (i32.store (i32.const 4) (local.get $size))
    (drop (call $fd_write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))))
]]

describe("the exit status", function()
  local function exits(with, status)
    it(("of proc_exit(%s) is %d"):format(with, status), function()
      local guest = ('(module %s (func (export "_start") (call $proc_exit (i32.const %s))))'):format(writer, with)
      local result = run { guest = guest, "run", "app.wasm" }
      assert.equal("", result.stderr)
      assert.equal(status, result.status)
      assert.equal(status, run({ guest = guest, "run", "-s", "count", "app.wasm" }).status)
    end)
  end
  exits("0", 0)
  exits("3", 3)
  exits("255", 255)
  exits("256", 0)
  exits("-1", 255)

  it("of a trap is 134; the message names it, then the stack", function()
    local guest = [[(module $m (memory 1)
      (func $poke (param $p i32) (i32.store (local.get $p) (i32.const 1)))
      (func $main (call $poke (i32.const 0x10000)))
      (func (export "_start") (call $main)))]]
    local result = run { guest = guest, "run", "app.wasm" }
    assert.equal(134, result.status)
    assert.equal("", result.stdout)
    assert.equal([[
lunette: trap: out of bounds memory access
  at poke(p=65536) (m) 0x32
  at main (m) 0x3c
  at _start (m) 0x41
]], result.stderr)
    -- The offsets are the file's, as another tool shows them.
    local folder <close> = files.temporary()
    files.write(folder .. "/m.wasm", wat(guest))
    local dump = command.run("wasm-objdump", { "-d", folder .. "/m.wasm" }).stdout
    for offset, text in pairs({ ["32"] = "i32.store", ["3c"] = "call 0 <poke>", ["41"] = "call 1 <main>" }) do
      assert.matches(" 0000" .. offset .. ": [%x ]*| *" .. text:gsub("%p", "%%%0"), dump)
    end
  end)

  it("of a guest that uses up its stack is 134; the middle of the stack is left out", function()
    local result = run { guest = '(module (func $f (export "_start") (call $f)))', "run", "app.wasm" }
    assert.equal(134, result.status)
    assert.equal("lunette: exhausted: ", result.stderr:match("^lunette: exhausted: "), result.stderr)
    assert.is_truthy(result.stderr:match("\n  %.%.%. %d+ frames more\n"))
    local _, lines = result.stderr:gsub("\n", "")
    assert.equal(62, lines)
  end)

  it("of a run past its --timeout is 124, with and without a script", function()
    local guest = '(module (func (export "_start") (loop $l (br $l))))'
    for _, script in ipairs({ "", "count" }) do
      local args = { guest = guest, "run", "--timeout", "500ms", "app.wasm" }
      if script ~= "" then
        table.insert(args, 2, "-s")
        table.insert(args, 3, script)
      end
      local result = run(args)
      assert.equal(124, result.status)
      local message = "lunette: timeout: the run took longer than 500ms\n  at _start %(app%) 0x%x+\n$"
      assert.is_truthy(result.stderr:match(message), result.stderr)
    end
  end)

  it("is the guest's where it ends before its --timeout", function()
    local result = run { guest = '(module (func (export "_start")))', "run", "--timeout", "1h", "app.wasm" }
    assert.equal(0, result.status)
    assert.equal("", result.stderr)
  end)
end)

describe("the guest", function()
  -- Writes what args_get or environ_get gives.
  local function dumper(name)
    return ([[(module
      (import "wasi_snapshot_preview1" "%s_sizes_get" (func $sizes (param i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "%s_get" (func $get (param i32 i32) (result i32)))
      %s
      (func (export "_start")
        (drop (call $sizes (i32.const 16) (i32.const 20)))
        (drop (call $get (i32.const 100) (i32.const 1000)))
        (call $write (i32.const 1) (i32.const 1000) (i32.load (i32.const 20)))))]]):format(name, name, writer)
  end

  it("gets its arguments, its own name first", function()
    local guest = dumper("args")
    assert.equal("app.wasm\0one\0--two\0\0", run({ guest = guest, "run", "app.wasm", "one", "--two", "" }).stdout)
    assert.equal("app.wasm\0", run({ guest = guest, "run", "./app.wasm" }).stdout)
    assert.equal("me\0x\0", run({ guest = guest, "run", "--argv0", "me", "app.wasm", "x" }).stdout)
  end)

  it("gets the environment that it is given, and nothing else", function()
    local guest = dumper("environ")
    assert.equal("", run({ guest = guest, "run", "app.wasm" }).stdout)
    local result = run { guest = guest, "run", "--env", "A=1", "--env", "B=x=y", "--env=C=", "app.wasm" }
    assert.equal("A=1\0B=x=y\0C=\0", result.stdout)
  end)

  -- Copies stdin to stdout, once.
  local cat = ([[(module
    (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
    %s
    (func (export "_start")
      (i32.store (i32.const 0) (i32.const 1000))
      (i32.store (i32.const 4) (i32.const 100))
      (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
      (call $write (i32.const 1) (i32.const 1000) (i32.load (i32.const 8)))))]]):format(writer)

  it("reads the command's stdin, or the file of --stdin", function()
    assert.equal("from a pipe", run({ guest = cat, stdin = "from a pipe", "run", "app.wasm" }).stdout)
    local result = run { guest = cat, stdin = "x", files = { text = "from a file" }, "run", "--stdin", "text", "app.wasm" }
    assert.equal("from a file", result.stdout)
  end)

  -- The names of the preopened folders 3 and 4, and what path_create_directory("new") answers in each.
  local folders = ([[(module
    (import "wasi_snapshot_preview1" "fd_prestat_get" (func $prestat (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_prestat_dir_name" (func $dir_name (param i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_create_directory" (func $make (param i32 i32 i32) (result i32)))
    %s
    (data (i32.const 500) "new")
    (func $try (param $fd i32)
      (if (call $prestat (local.get $fd) (i32.const 16)) (then return))
      (drop (call $dir_name (local.get $fd) (i32.const 1000) (i32.load (i32.const 20))))
      (call $write (i32.const 1) (i32.const 1000) (i32.load (i32.const 20)))
      (i32.store8 (i32.const 1000)
        (select (i32.const 33) (i32.const 10) (call $make (local.get $fd) (i32.const 500) (i32.const 3))))
      (i32.store8 (i32.const 1001) (i32.const 10))
      (call $write (i32.const 1) (i32.const 1000) (i32.const 1)))
    (func (export "_start") (call $try (i32.const 3)) (call $try (i32.const 4)) (call $try (i32.const 5))))]]):format(writer)

  it("sees the folders of --dir under the names given, read only where that is said", function()
    local result = run {
      guest = folders, files = { ["a/"] = "", ["b/"] = "" },
      "run", "--dir", "a", "--dir", "b::/data:ro", "app.wasm",
    }
    assert.equal("a\n/data!", result.stdout)
    assert.equal(0, result.status)
  end)
end)

describe("--invoke", function()
  local guest = [[(module
    (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
    (func (export "wide") (param i64) (result i64) (local.get 0))
    (func (export "half") (param f64) (result f64) (f64.mul (local.get 0) (f64.const 0.5)))
    (func (export "single") (param f32) (result f32) (local.get 0))
    (func (export "swap") (param i32 f64) (result f64 i32) (local.get 1) (local.get 0))
    (func (export "is_null") (param externref) (result i32) (ref.is_null (local.get 0)))
    (func (export "nothing"))
    (func (export "trap") unreachable))]]

  local function gives(args, stdout)
    it(table.concat(args, " ") .. " gives " .. stdout:gsub("\n", " "), function()
      local spec = { guest = guest, "run", "--invoke", args[1], "app.wasm" }
      for i = 2, #args do spec[#spec + 1] = args[i] end
      local result = run(spec)
      assert.equal("", result.stderr)
      assert.equal(stdout, result.stdout)
      assert.equal(0, result.status)
    end)
  end
  gives({ "add", "2", "3" }, "5\n")
  gives({ "add", "-2", "1" }, "-1\n")
  gives({ "add", "0xffffffff", "0" }, "-1\n")
  gives({ "add", "4294967295", "2" }, "1\n")
  gives({ "wide", "-9223372036854775808" }, "-9223372036854775808\n")
  gives({ "wide", "18446744073709551615" }, "-1\n")
  gives({ "half", "3" }, "1.5\n")
  gives({ "half", "4" }, "2.0\n")
  gives({ "half", "0.2" }, "0.1\n")
  gives({ "half", "-0" }, "-0.0\n")
  gives({ "half", "inf" }, "inf\n")
  gives({ "half", "nan" }, "nan\n")
  gives({ "half", "1e300" }, "5e+299\n")
  gives({ "single", "0.1" }, "0.1\n")
  gives({ "single", "16777216" }, "16777216.0\n")
  gives({ "swap", "7", "0.25" }, "0.25\n7\n")
  gives({ "is_null", "null" }, "1\n")
  gives({ "nothing" }, "")

  local function fails(args, status, stderr)
    it(table.concat(args, " ") .. " fails", function()
      local spec = { guest = guest, "run", "--invoke", args[1], "app.wasm" }
      for i = 2, #args do spec[#spec + 1] = args[i] end
      local result = run(spec)
      assert.equal(stderr, result.stderr)
      assert.equal("", result.stdout)
      assert.equal(status, result.status)
    end)
  end
  fails({ "add", "2" }, 64, "lunette: add takes 2 arguments: i32, i32; 1 given\n")
  fails({ "nothing", "2" }, 64, "lunette: nothing takes 0 arguments; 1 given\n")
  fails({ "add", "2", "x" }, 64, 'lunette: argument 2 of add: "x" is no i32\n')
  fails({ "add", "2", "4294967296" }, 64, 'lunette: argument 2 of add: "4294967296" is no i32\n')
  fails({ "add", "2", "-2147483649" }, 64, 'lunette: argument 2 of add: "-2147483649" is no i32\n')
  fails({ "add", "2", "1.0" }, 64, 'lunette: argument 2 of add: "1.0" is no i32\n')
  fails({ "add", "2", "" }, 64, 'lunette: argument 2 of add: "" is no i32\n')
  fails({ "wide", "18446744073709551616" }, 64, 'lunette: argument 1 of wide: "18446744073709551616" is no i64\n')
  fails({ "half", "1,5" }, 64, 'lunette: argument 1 of half: "1,5" is no f64\n')
  fails({ "is_null", "x" }, 64, 'lunette: argument 1 of is_null: "x" is no externref\n')
  fails({ "ad", "2", "3" }, 65, 'lunette: app.wasm: it exports no function "ad"\nhint: did you mean add?\n')
  fails({ "frobnicate" }, 65,
    'lunette: app.wasm: it exports no function "frobnicate"\nhint: lunette list shows what it exports\n')

  it("ends with 134 where the export traps", function()
    local result = run { guest = guest, "run", "--invoke", "trap", "app.wasm" }
    assert.is_truthy(result.stderr:match("^lunette: trap: unreachable\n  at trap %(app%) 0x%x+\n$"), result.stderr)
    assert.equal(134, result.status)
  end)

  it("calls _initialize first where there is one", function()
    local result = run {
      guest = [[(module (global $g (mut i32) (i32.const 0))
        (func (export "_initialize") (global.set $g (i32.const 7)))
        (func (export "get") (result i32) (global.get $g)))]],
      "run", "--invoke", "get", "app.wasm",
    }
    assert.equal("7\n", result.stdout)
    assert.equal(0, result.status)
  end)
end)
