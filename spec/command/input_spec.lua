-- SPDX-License-Identifier: MIT
-- Bad input: each kind gets one sentence on stderr, a hint where one helps, and its exit status.

local run = require("spec.support.run")

local nop = '(module (func (export "_start")))'

local function fails(name, spec)
  it(name, function()
    local result = run(spec)
    assert.equal(spec.expect, result.stderr)
    assert.equal("", result.stdout)
    assert.equal(spec.status, result.status)
  end)
end

describe("a guest's file", function()
  fails("may be missing", {
    "run", "missing.wasm",
    status = 66, expect = "lunette: cannot open missing.wasm: No such file or directory\n",
  })
  fails("may be a folder", {
    files = { ["app/"] = "" },
    "run", "app",
    status = 66, expect = "lunette: cannot read app: it is a folder\n",
  })
  fails("may be empty", {
    files = { ["app.wasm"] = "" },
    "run", "app.wasm",
    status = 65, expect = "lunette: app.wasm: malformed: the file is empty\n",
  })
  fails("may be something else", {
    files = { ["app.wasm"] = "\127ELF\2\1\1\0\0\0" },
    "run", "app.wasm",
    status = 65, expect = "lunette: app.wasm: malformed: this is no WebAssembly module: it does not start with \\0asm\n",
  })
  fails("may be WebAssembly text", {
    files = { ["app.wat"] = nop },
    "run", "app.wat",
    status = 65,
    expect = "lunette: app.wat: malformed: this is no WebAssembly module: it does not start with \\0asm\n"
      .. "hint: it looks like the text format: wat2wasm makes a module of it\n",
  })
  fails("may be a component", {
    files = { ["app.wasm"] = "\0asm\13\0\1\0" },
    "run", "app.wasm",
    status = 65,
    expect = "lunette: app.wasm: malformed: this is a component; lunette runs core modules\n"
      .. "hint: compile it for wasm32-wasip1, or wasm32-wasi, to get a core module\n",
  })
  fails("may be of a newer version", {
    files = { ["app.wasm"] = "\0asm\2\0\0\0" },
    "run", "app.wasm",
    status = 65,
    expect = "lunette: app.wasm: malformed: this is version 2 of the binary format; lunette knows version 1\n",
  })

  for _, size in ipairs({ 1, 4, 7, 9, 11 }) do
    it(("may end after %d bytes"):format(size), function()
      local wasm = "\0asm\1\0\0\0\1\4\1\96\0\0\3\2\1\0"
      local result = run { files = { ["app.wasm"] = wasm:sub(1, size) }, "run", "app.wasm" }
      assert.is_truthy(result.stderr:match("^lunette: app.wasm: malformed: [^\n]+\n$"), result.stderr)
      assert.equal(65, result.status)
    end)
  end

  for _, bytes in ipairs({ "x", "#!/bin", "\0as?", "hello, w", "\1asm\1\0\0" }) do
    fails(("may be %d bytes that are something else"):format(#bytes), {
      files = { ["app.wasm"] = bytes },
      "run", "app.wasm",
      status = 65,
      expect = "lunette: app.wasm: malformed: this is no WebAssembly module: it does not start with \\0asm\n",
    })
  end
  fails("may be a little WebAssembly text", {
    files = { ["app.wat"] = "(" },
    "run", "app.wat",
    status = 65,
    expect = "lunette: app.wat: malformed: this is no WebAssembly module: it does not start with \\0asm\n"
      .. "hint: it looks like the text format: wat2wasm makes a module of it\n",
  })

  it("may be invalid", function()
    local wasm = "\0asm\1\0\0\0\1\5\1\96\0\1\127\3\2\1\0\10\4\1\2\0\11" -- a body that leaves its result out
    local result = run { files = { ["app.wasm"] = wasm }, "run", "app.wasm" }
    assert.is_truthy(result.stderr:match("^lunette: app.wasm: invalid: type mismatch[^\n]*%(at byte 0x18%)\n$"), result.stderr)
    assert.equal(65, result.status)
  end)

  it("is listed with the same messages", function()
    for _, name in ipairs({ "missing.wasm", "empty.wasm", "folder" }) do
      local spec = { files = { ["empty.wasm"] = "", ["folder/"] = "" }, "run", name }
      local ran = run(spec)
      spec[1] = "list"
      local listed = run(spec)
      assert.equal(ran.stderr, listed.stderr)
      assert.equal(ran.status, listed.status)
    end
  end)
end)

describe("a module", function()
  fails("may have no entry", {
    guest = [[(module
      (func (export "add") (param i32 i32) (result i32) unreachable) (func (export "sub")) (memory (export "m") 1))]],
    "run", "app.wasm",
    status = 65,
    expect = "lunette: app.wasm: there is nothing to run: it exports no _start\n"
      .. "hint: --invoke NAME calls an export: add, sub\n",
  })
  fails("may have an entry of another type", {
    guest = '(module (func (export "_start") (param i32)))',
    "run", "app.wasm",
    status = 65,
    expect = "lunette: app.wasm: its _start takes params or gives results; an entry does neither\n"
      .. "hint: --invoke NAME calls an export: _start\n",
  })

  it("may import what is not there: all of it is named, with its type", function()
    local result = run {
      guest = [[(module
        (import "env" "log" (func (param i32 f64) (result i64)))
        (import "env" "table" (table 1 funcref))
        (import "env" "memory" (memory 1 2))
        (import "env" "base" (global (mut i32)))
        (import "wasi_snapshot_preview1" "no_such" (func))
        (func (export "_start")))]],
      "run", "app.wasm",
    }
    assert.equal(65, result.status)
    assert.equal("", result.stdout)
    assert.is_truthy(result.stderr:match("^lunette: app.wasm: [^\n]*\n"), result.stderr)
    for _, text in ipairs({
      "env.log", "i32", "f64", "i64", "env.table", "funcref", "env.memory", "1..2 pages", "env.base", "mut i32",
      "wasi_snapshot_preview1.no_such",
    }) do
      assert.is_truthy(result.stderr:find(text, 1, true), text .. " in " .. result.stderr)
    end
  end)
end)

describe("a folder or file for the guest", function()
  it("may be missing", function()
    local result = run { guest = nop, "run", "--dir", "missing", "app.wasm" }
    assert.is_truthy(result.stderr:match("^lunette: [^\n]*missing[^\n]*: No such file or directory\n$"), result.stderr)
    assert.equal(66, result.status)
  end)

  it("may be a file where a folder is wanted", function()
    local result = run { guest = nop, "run", "--dir", "app.wasm::/", "app.wasm" }
    assert.is_truthy(result.stderr:match("^lunette: [^\n]*app.wasm[^\n]*: Not a directory\n$"), result.stderr)
    assert.equal(66, result.status)
  end)

  fails("may be missing as stdin", {
    guest = nop,
    "run", "--stdin", "missing", "app.wasm",
    status = 66, expect = "lunette: cannot open missing: No such file or directory\n",
  })
end)
