-- SPDX-License-Identifier: MIT
-- Where the trace goes, in what order with the guest's own output, and what happens when it cannot be written.

local command = require("spec.support.command")
local files = require("spec.support.files")
local run = require("spec.support.run")
local wat = require("spec.support.wat")

-- Writes "1\n", "2\n", "3\n" to stdout from a function each.
local talker = [[(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\08\00\00\00\02\00\00\00?\0a")
  (func $say (param $digit i32)
    (i32.store8 (i32.const 8) (local.get $digit))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 100))))
  (func (export "_start") (call $say (i32.const 0x31)) (call $say (i32.const 0x32)) (call $say (i32.const 0x33))))]]

local script = [[
lunette.on("say", { before = function(_, c) print("before " .. c - 48) end, after = function() print("after") end })
]]

local mixed = "before 1\n1\nafter\nbefore 2\n2\nafter\nbefore 3\n3\nafter\n"

-- Through a shell, for redirections; $L is the command.
local function shell(text, spec)
  local folder <close> = files.temporary()
  files.write(folder .. "/app.wasm", wat(spec.guest))
  for name, content in pairs(spec.files or {}) do files.write(folder .. "/" .. name, content) end
  return command.run("sh", { "-c", text }, { cwd = folder.path, env = { L = command.lunette } })
end

describe("the trace", function()
  it("goes to stderr; the guest's stdout holds the guest's output alone", function()
    local result = run { guest = talker, files = { ["x.lua"] = script }, "run", "-s", "x.lua", "app.wasm" }
    assert.equal("1\n2\n3\n", result.stdout)
    assert.equal("before 1\nafter\nbefore 2\nafter\nbefore 3\nafter\n", result.stderr)
  end)

  it("goes to the file of -o", function()
    local result = run { guest = talker, files = { ["x.lua"] = script, out = "old" }, keep = { "out" },
      "run", "-s", "x.lua", "-o", "out", "app.wasm" }
    assert.equal("1\n2\n3\n", result.stdout)
    assert.equal("", result.stderr)
    assert.equal("before 1\nafter\nbefore 2\nafter\nbefore 3\nafter\n", result.files.out)
  end)

  it("goes to stdout with -o -, in order with the guest's output", function()
    local result = run { guest = talker, files = { ["x.lua"] = script }, "run", "-s", "x.lua", "-o", "-", "app.wasm" }
    assert.equal(mixed, result.stdout)
    assert.equal("", result.stderr)
  end)

  it("is in order with the guest's output where both go to one file or pipe", function()
    local spec = { guest = talker, files = { ["x.lua"] = script } }
    assert.equal(mixed, shell('"$L" run -s x.lua app.wasm 2>&1', spec).stdout)
    assert.equal(mixed, shell('"$L" run -s x.lua app.wasm >out 2>&1; cat out', spec).stdout)
    assert.equal(mixed, shell('"$L" run -s x.lua app.wasm >>out 2>>out; cat out', spec).stdout)
  end)

  it("shares the file that stdout or stderr is, also where -o names it", function()
    local spec = { guest = talker, files = { ["x.lua"] = script } }
    assert.equal(mixed, shell('"$L" run -s x.lua -o /dev/stdout app.wasm >out; cat out', spec).stdout)
    assert.equal(mixed, shell('"$L" run -s x.lua -o /dev/stdout app.wasm', spec).stdout)
    assert.equal(mixed, shell('"$L" run -s x.lua -o out app.wasm >out; cat out', spec).stdout)
    local appended = shell('echo old >out; "$L" run -s x.lua -o /dev/stdout app.wasm >>out; cat out', spec).stdout
    assert.equal("old\n" .. mixed, appended)
    local kept = shell('echo old >out; "$L" run -s x.lua -o out app.wasm 2>>out >/dev/null; cat out', spec).stdout
    assert.equal("old\nbefore 1\nafter\nbefore 2\nafter\nbefore 3\nafter\n", kept)
  end)

  it("is whole when the guest has much to tell", function()
    local result = run {
      guest = [[(module (func $f (param i32)) (func (export "_start") (local $i i32)
        (loop $l (call $f (local.get $i)) (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $l (i32.lt_u (local.get $i) (i32.const 200000))))))]],
      keep = { "out" }, "run", "-w", "f", "-s", "calltree", "-o", "out", "app.wasm",
    }
    local at = 0
    for line in result.files.out:gmatch("[^\n]+") do
      if line ~= ("f(%d)"):format(at) then error(("line %d is %s"):format(at, line)) end
      at = at + 1
    end
    assert.equal(200000, at)
  end)
end)

describe("an output", function()
  it("that cannot be opened is told, with status 73, and the guest does not run", function()
    local result = run { guest = talker, "run", "-s", "count", "-o", "no/such/file", "app.wasm" }
    assert.is_truthy(result.stderr:match("^lunette: [^\n]*no/such/file[^\n]*: No such file or directory\n$"), result.stderr)
    assert.equal("", result.stdout)
    assert.equal(73, result.status)
  end)

  it("that was closed from the start is refused, with status 73", function()
    local spec = { guest = talker, files = { ["x.lua"] = script } }
    assert.equal("73\n", shell('"$L" run -s x.lua app.wasm 2>&-; echo $?', spec).stdout)
    local closed = shell('"$L" run -s x.lua -o - app.wasm >&-; echo $? >&2', spec)
    assert.equal("lunette: cannot write standard output: it is closed\n73\n", closed.stderr)
    assert.equal("0\n", shell('"$L" run -s x.lua -o out app.wasm 2>&- >/dev/null; echo $?', spec).stdout)
  end)

  it("on a full disk is told, with status 74, and the guest ends well", function()
    local result = run { guest = talker, "run", "-s", "calltree", "-o", "/dev/full", "app.wasm" }
    assert.equal("1\n2\n3\n", result.stdout)
    local message = "^lunette: cannot write /dev/full: No space left on device %(%d+ bytes lost%)\n$"
    assert.is_truthy(result.stderr:match(message), result.stderr)
    assert.equal(74, result.status)
  end)

  it("that nobody reads any more is told, with status 74", function()
    local result = shell('{ "$L" run -s x.lua -o - app.wasm; echo $? >&2; } | true', {
      guest = [[(module (func $say (param i32)) (func (export "_start") (local $i i32)
        (loop $l (call $say (i32.const 49)) (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $l (i32.lt_u (local.get $i) (i32.const 100000))))))]],
      files = { ["x.lua"] = script },
    })
    local message = "^lunette: cannot write standard output: Broken pipe %(%d+ bytes lost%)\n74\n$"
    assert.is_truthy(result.stderr:match(message), result.stderr)
  end)

  it("that nobody reads any more ends a guest that would go on for ever, with at_exit", function()
    local result = shell('{ "$L" run -s x.lua -o - app.wasm; echo $? >&2; } | head -n 1', {
      guest = '(module (func $say (param i32)) (func (export "_start") (loop $l (call $say (i32.const 49)) (br $l))))',
      files = { ["x.lua"] = script .. '\nlunette.at_exit(function() io.stderr:write("at_exit\\n") end)' },
    })
    local message = "^at_exit\nlunette: cannot write standard output: Broken pipe %(%d+ bytes lost%)\n74\n$"
    assert.is_truthy(result.stderr:match(message), result.stderr)
  end)

  it("keeps the guest's own failure as the status", function()
    local result = run {
      guest = '(module (func (export "_start") unreachable))', "run", "-s", "calltree", "-o", "/dev/full", "app.wasm",
    }
    assert.equal(134, result.status)
  end)

  it("of list and help that cannot be written is status 74; a closed pipe is no matter for words", function()
    local spec = { guest = talker }
    assert.equal("74\n", shell('{ "$L" list app.wasm >/dev/full 2>err; echo $?; }', spec).stdout)
    assert.equal("lunette: cannot write to stdout: No space left on device\n", shell('"$L" help run >/dev/full', spec).stderr)
    local closed = shell('{ sleep 0.2; "$L" list app.wasm; echo $? >&2; } | true', spec)
    assert.equal("74\n", closed.stderr)
  end)
end)

describe("a script that calls os.exit", function()
  for name, code in pairs({
    ["while it is loaded"] = 'lunette.out:write("hi\\n") os.exit(3)',
    ["and closes Lua"] = 'lunette.out:write("hi\\n") os.exit(3, true)',
    ["in a listener"] = 'lunette.on("say", function() lunette.out:write("hi\\n") os.exit(3) end)',
  }) do
    it(name .. " leaves what was traced, and its status", function()
      local result = run { guest = talker, keep = { "out" }, files = { out = "" }, "run", "-e", code, "-o", "out", "app.wasm" }
      assert.equal("hi\n", result.files.out)
      assert.equal("", result.stderr)
      assert.equal(3, result.status)
    end)
  end

  it("has status 74 in place of 0 where the trace could not be written", function()
    local code = 'lunette.out:write("hi\\n") os.exit(0)'
    local result = run { guest = talker, "run", "-e", code, "-o", "/dev/full", "app.wasm" }
    assert.equal("lunette: cannot write /dev/full: No space left on device (3 bytes lost)\n", result.stderr)
    assert.equal(74, result.status)
  end)
end)
