-- SPDX-License-Identifier: MIT
-- lunette.instantiate, instances, functions, globals and tables.

local files = require("spec.support.files")
local guest = require("spec.support.guest")
local wat = require("spec.support.wat")

local failure = guest.failure

local text = [[(module $calc
  (memory (export "mem") 1)
  (global $count (export "count") (mut i64) (i64.const 5))
  (global (export "pi") f32 (f32.const 3.25))
  (table (export "table") 3 funcref)
  (elem (i32.const 1) $add)
  (func $add (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func $swap (export "swap") (param i32 f64) (result f64 i32) (local.get 1) (local.get 0))
  (func $hidden)
  (func (export "trap") unreachable))]]

after_each(guest.close_all)

describe("an instance", function()
  it("has its exports by name", function()
    local app = guest.open(text, { name = "one" })
    local exports = app.instance.exports
    assert.equal("function add", tostring(exports.add))
    assert.equal("memory of 65536 bytes", tostring(exports.mem))
    assert.equal("global mut i64", tostring(exports.count))
    assert.equal("table of 3 funcref", tostring(exports.table))
    assert.is_nil(exports.hidden)
    assert.is_true(rawequal(exports, app.instance.exports))
    assert.is_true(exports.add == app.instance:functions("add")[1])
    assert.same({ "one", "calc", false }, { app.instance.name, app.instance.module.name, app.instance.closed })
    assert.is_true(app.instance.module == app.module)
    assert.is_true(app.instance.memory == exports.mem and app.instance.memories[0] == exports.mem)
  end)

  it("invokes by name", function()
    local app = guest.open(text)
    assert.equal(-3, app.instance:invoke("add", 4, -7))
    assert.same({ 2.5, 9 }, { app.instance:invoke("swap", 9, 2.5) })
    for _, case in ipairs({
      { "exports no function 'adb'; did you mean 'add'?", "adb", 1, 2 }, { "exports no function 'mem'", "mem" },
      { "add takes 2 values, got 1", "add", 1 }, { "value 2 must be i32, not a fraction", "add", 1, 1.5 },
      { "value 2 must be i32, not an integer out of range", "add", 1, 1 << 33 },
    }) do
      local problem = failure(app.instance.invoke, app.instance, table.unpack(case, 2))
      assert.is_truthy(problem:find(case[1], 1, true), problem)
    end
  end)

  it("lists its functions by where", function()
    local app = guest.open(text)
    assert.equal(4, #app.instance:functions())
    assert.equal("hidden", app.instance:functions("hid*")[1].name)
    assert.equal(2, #app.instance:functions({ "add", "swap" }))
    assert.same({}, app.instance:functions("nothing"))
  end)

  it("can be closed: everything of it answers with errors, nothing crashes", function()
    local app = guest.open(text)
    local add, memory, global, table_ = app.instance.exports.add, app.instance.memory, app.instance:global("count"),
      app.instance:table("table")
    app.instance:close()
    app.instance:close()
    assert.is_true(app.instance.closed)
    assert.equal("usage", failure(add.invoke, add, 1, 2).kind)
    assert.equal("usage", failure(app.instance.invoke, app.instance, "add", 1, 2).kind)
    pcall(memory.u8, memory, 0)
    pcall(function() return global.value, table_.size, table_[1] end)
    pcall(app.instance.functions, app.instance)
    assert.equal("add", add.name)
  end)

  it("shows the names asked for as they are", function()
    local app = guest.open(text)
    local bare = app.lunette.instantiate(app.lunette.module(wat('(module (func (export "top") (param i32)))')))
    for pattern, arguments in pairs({
      ["exports no function 'top\\x00x'; did you mean 'top'?"] = { "top\0x" },
      ["the instance exports no function 'q'"] = { "q" },
      ["the name of an exported function expected, got no value"] = {},
      ["must be i32, not a number out of i32's range"] = { "top", 2 ^ 40 },
    }) do
      local problem = failure(bare.invoke, bare, table.unpack(arguments))
      assert.is_truthy(problem:find(pattern, 1, true), problem)
      assert.is_nil(problem:find("^ "))
    end
  end)
end)

describe("a function", function()
  it("knows its definition and instance", function()
    local app = guest.open(text)
    local add = app.instance.exports.add
    assert.equal(3, add:invoke(1, 2))
    assert.equal("add", add.definition.name)
    assert.is_true(add.instance == app.instance)
  end)

  it("takes and gives raw bits, one integer per slot", function()
    local app = guest.open(text)
    local swap = app.instance.exports.swap
    assert.same({ 0x4004000000000000, 0xffffffff }, { swap:invoke_bits(-1, 0x4004000000000000) })
    assert.is_truthy(failure(swap.invoke_bits, swap, 1):find("takes 2 slots, got 1", 1, true))
  end)

  it("with many params and results works, too", function()
    local types, gets, args = {}, {}, {}
    for i = 1, 200 do types[i], gets[i], args[i] = "i32", ("(local.get %d)"):format(200 - i), i end
    local list = table.concat(types, " ")
    local body = table.concat(gets)
    local app = guest.open(("(module (func $f (export \"f\") (param %s) (result %s) %s))"):format(list, list, body))
    local heard = {}
    app.lunette.on("f", {
      before = function(_, ...) heard[1] = select("#", ...) end,
      after = function(_, ...) heard[2] = table.pack(...) end,
    })
    local results = { app.instance:invoke("f", table.unpack(args)) }
    assert.same({ 200, 200, 1 }, { #results, results[1], results[200] })
    assert.same({ 200, 200, 200 }, { heard[1], heard[2].n, heard[2][1] })
  end)
end)

describe("a global", function()
  it("can be read, and set where it is mutable", function()
    local app = guest.open(text)
    local count, pi = app.instance:global("count"), app.instance:global("pi")
    assert.same({ 5, "i64", true }, { count.value, count.type, count.mutable })
    assert.same({ 3.25, "f32", false }, { pi.value, pi.type, pi.mutable })
    count.value = -9
    assert.equal(-9, app.instance:global(0).value)
    assert.is_truthy(failure(function() pi.value = 1 end):find("immutable", 1, true))
    assert.is_truthy(failure(function() count.value = "x" end):find("can't be a string", 1, true))
    assert.is_truthy(failure(app.instance.global, app.instance, "cuont"):find("did you mean 'count'?", 1, true))
    assert.is_truthy(failure(app.instance.global, app.instance, 7):find("no global number 7", 1, true))
  end)
end)

describe("a table", function()
  it("counts from 0", function()
    local app = guest.open(text)
    local t = app.instance:table("table")
    assert.same({ 3, "funcref", 3 }, { t.size, t.type, #t })
    assert.is_nil(t[0])
    assert.equal("add", t[1].name)
    t[0] = t[1]
    t[1] = nil
    assert.equal(5, t[0]:invoke(2, 3))
    assert.is_nil(t[1])
    for _, index in ipairs({ -1, 3 }) do
      assert.is_truthy(failure(function() return t[index] end):find("has no number", 1, true))
    end
    assert.is_truthy(failure(function() t[0] = 7 end):find("can't be", 1, true))
  end)
end)

describe("imports", function()
  local user = [[(module (import "lib" "f" (func $f (result i32))) (import "lib" "mem" (memory 1))
    (func (export "go") (result i32) (i32.add (call $f) (i32.load (i32.const 0)))))]]

  it("may be another instance", function()
    local session = guest.session()
    local library = session.instantiate(session.module(wat(
      '(module (memory (export "mem") 1) (data (i32.const 0) "\\2a") (func (export "f") (result i32) (i32.const 100)))')))
    local instance = session.instantiate(session.module(wat(user)), { imports = { lib = library } })
    assert.equal(142, instance:invoke("go"))
  end)

  it("may be a table of functions, memories, tables and globals", function()
    local session = guest.session()
    local memory = session.memory({ min = 1 })
    memory:write(0, "\7")
    local instance = session.instantiate(session.module(wat(user)), { imports = { lib = {
      mem = memory, f = { results = { "i32" }, function() return 1 end },
    } } })
    assert.equal(8, instance:invoke("go"))
    local all = [[(module (import "e" "g" (global $g (mut i32))) (import "e" "t" (table $t 2 funcref))
      (func (export "go") (result i32) (global.set $g (i32.const 5)) (table.size $t)))]]
    local global = session.global({ type = "i32", value = 3, mutable = true })
    local tab = session.table({ type = "funcref", min = 2 })
    instance = session.instantiate(session.module(wat(all)), { imports = { session.host("e", { g = global, t = tab }) } })
    assert.equal(2, instance:invoke("go"))
    assert.equal(5, global.value)
  end)

  it("that miss are all named, with their types", function()
    local session = guest.session()
    local err = failure(session.instantiate, session.module(wat(user)))
    assert.equal("unlinkable", err.kind)
    local told = tostring(err)
    assert.is_truthy(told:find("lib.f", 1, true) and told:find("lib.mem", 1, true), told)
  end)

  it("that miss are told with their type as it reads", function()
    local session = guest.session()
    for signature, type in pairs({
      ["(func)"] = "->", ["(func (param i32))"] = "i32 ->", ["(func (param i32 i64) (result f32))"] = "i32 i64 -> f32",
    }) do
      local err = failure(session.instantiate, session.module(wat(('(module (import "m" "f" %s))'):format(signature))))
      assert.equal(("unknown import: m.f (function %s)"):format(type), err.message)
    end
  end)

  it("of a wrong kind are refused with what was expected", function()
    local session = guest.session()
    local module = session.module(wat(user))
    for imports, pattern in pairs({
      [{ lib = 7 }] = "imports.lib: a host, an instance or a table of items expected, got number",
      [{ 7 }] = "imports%[1%]: a host expected, got number",
      [{ lib = { f = 7 } }] = "lib.f: a host function, memory, table, global or tag expected, got number",
      [{ lib = { f = {} } }] = "the function itself is missing",
      [{ lib = { f = { params = { "i33" }, print } } }] = "no such type: 'i33'; did you mean 'i",
    }) do
      assert.is_truthy(failure(session.instantiate, module, { imports = imports }):find(pattern))
    end
  end)

  it("of another session are refused", function()
    local one, two = guest.session(), guest.session()
    local library = one.instantiate(one.module(wat('(module (func (export "f") (result i32) (i32.const 1)))')))
    local module = two.module(wat(user))
    assert.is_truthy(failure(two.instantiate, module, { imports = { lib = library } }):find("another session's", 1, true))
    assert.is_truthy(failure(one.instantiate, module):find("another session's", 1, true))
    assert.is_truthy(failure(two.instantiate, module, { imports = { lib = { f = library.exports.f } } })
      :find("another session's", 1, true))
  end)
end)

describe("wasi", function()
  local program = [[(module
    (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "environ_get" (func $environ (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (func (export "args") (result i32) (drop (call $sizes (i32.const 0) (i32.const 4)))
      (drop (call $args (i32.const 64) (i32.const 1024))) (i32.load (i32.const 0)))
    (func (export "environ") (drop (call $environ (i32.const 64) (i32.const 2048))))
    (func (export "echo") (result i32)
      (i32.store (i32.const 16) (i32.const 4096)) (i32.store (i32.const 20) (i32.const 100))
      (drop (call $read (i32.const 0) (i32.const 16) (i32.const 1) (i32.const 24)))
      (i32.store (i32.const 20) (i32.load (i32.const 24)))
      (drop (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 28))) (i32.load (i32.const 28)))
    (func (export "exit") (param i32) (call $exit (local.get 0))))]]

  local function start(wasi)
    local session = guest.session()
    return session.instantiate(session.module(wat(program)), { wasi = wasi })
  end

  it("gives arguments and environment", function()
    local instance = start({ args = { "name", "an arg" }, env = { A = "1" } })
    assert.equal(2, instance:invoke("args"))
    assert.equal("name\0an arg\0", instance.memory:string(1024, 12))
    instance:invoke("environ")
    assert.equal("A=1", instance.memory:cstring(2048))
  end)

  it("reads stdin and writes stdout from and to files", function()
    local folder <close> = files.temporary()
    files.write(folder .. "/in", "hello")
    local instance = start({ stdin = folder .. "/in", stdout = folder .. "/out" })
    assert.equal(5, instance:invoke("echo"))
    assert.equal("hello", files.read(folder .. "/out"))
  end)

  it("ends with err.kind exit and the exact code", function()
    local instance = start({})
    for _, code in ipairs({ 0, 3, 300 }) do
      local err = failure(instance.invoke, instance, "exit", code)
      assert.same({ "exit", code, code & 255 }, { err.kind, err.code, err.exit_status })
    end
  end)

  it("refuses what it does not know", function()
    assert.is_truthy(failure(start, { arg = {} }):find("wasi.arg: no such field; did you mean 'args'?", 1, true))
    assert.is_truthy(failure(start, { args = "x" }):find("wasi.args: a table expected", 1, true))
    assert.equal("no input", failure(start, { dirs = { "/there/is/no/such/folder" } }).kind)
    assert.equal("no input", failure(start, { stdin = "/there/is/no/such/file" }).kind)
  end)
end)
