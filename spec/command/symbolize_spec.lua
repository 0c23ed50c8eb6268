-- SPDX-License-Identifier: MIT
-- lunette symbolize, and the places in list, traps and stacks.

local files = require("spec.support.files")
local native = require("spec.support.native")
local run = require("spec.support.run")

if not native.find("clang-14") then
  it("lunette symbolize", function() pending("clang-14 is not here") end)
  return
end

local text = [[
__attribute__((noinline)) int second(int a, int b);
static inline int third(int a, int b) {
  return a / b;
}
int second(int a, int b) {
  return third(a + 1, b) * 3;
}
int first(int value) {
  return second(value, value - 7) + 1;
}
]]

-- The module's bytes, and the folder that the source was in.
local function compiled()
  local made <close> = files.temporary()
  return native.compile(made.path, text, { flags = { "-gdwarf-5", "-O2" } }), made.path
end

local bytes, folder = compiled()

-- `lunette …` beside app.wasm; paths of the source are short in what it prints.
local function lunette(spec)
  spec.files = { ["app.wasm"] = bytes }
  local result = run(spec)
  local pattern = folder:gsub("%p", "%%%0")
  result.stdout, result.stderr = result.stdout:gsub(pattern, "."), result.stderr:gsub(pattern, ".")
  return result
end

local function offsets()
  local result = lunette({ "run", "--invoke", "first", "app.wasm", "7" })
  return result.stderr
end

describe("a trap", function()
  it("shows its stack with arguments, files, lines and inlined functions", function()
    local shown = offsets():gsub(" 0x%x+", " 0x"):gsub("now ", "")
    assert.equal([[
lunette: trap: integer divide by zero
  at third (inlined) ./guest.c:3:12
  at second(a=7, b=0) (app) 0x ./guest.c:6:10
  at first(value=7) (app) 0x ./guest.c:9:10
]], shown)
  end)
end)

describe("lunette symbolize", function()
  local function code_start()
    local session <close> = require("lunette").session({})
    return session.module(bytes).code_start
  end
  local start = code_start()

  -- From the start of the code section's contents.
  local function offset_of(name) return tonumber(offsets():match("at " .. name .. "[^\n]* 0x(%x+)"), 16) - start end

  it("shows function, file, line, column and inlined frames of offsets", function()
    local code = offset_of("second")
    local word = ("c0x%x"):format(code)
    local result = lunette({ "symbolize", "app.wasm", word, "c0x0" })
    assert.equal(("%s third (inlined) ./guest.c:3:12\n%s second ./guest.c:6:10\nc0x0 is in no function\n"):format(word, word),
      result.stdout)
    assert.equal("", result.stderr)
    assert.equal(0, result.status)
  end)

  it("counts 0x from the start of the module", function()
    local code = offset_of("first")
    local list = lunette({ "list", "--json", "-w", "first", "app.wasm" }).stdout
    local body, size = list:match('"offset":(%d+),"size":(%d+)')
    assert.is_true(code > tonumber(body) and code < body + size)
    assert.equal(("0x%x first ./guest.c:9:10\n"):format(code + start),
      lunette({ "symbolize", "app.wasm", ("0x%x"):format(code + start) }).stdout)
  end)

  it("writes JSON, a line each", function()
    local word = ("c0x%x"):format(offset_of("second"))
    local result = lunette({ "symbolize", "--json", "app.wasm", word, "0x1" })
    local lines = {}
    for json in result.stdout:gmatch("[^\n]+") do lines[#lines + 1] = require("dkjson").decode(json) end
    assert.equal(2, #lines)
    assert.same({ offset = "0x1", frames = {} }, lines[2])
    assert.equal(word, lines[1].offset)
    assert.same({
      { ["function"] = "third", file = "./guest.c", line = 3, column = 12, inlined = true },
      { ["function"] = "second", file = "./guest.c", line = 6, column = 10, inlined = false },
    }, lines[1].frames)
  end)

  it("reads text from stdin and writes what its offsets stand for below each line", function()
    local word = ("c0x%x"):format(offset_of("second"))
    local input = "RuntimeError: divide by zero\n    at second (app.wasm:" .. word .. ")\nnot0x12 0xfffffffff 0xzz\nend"
    local result = lunette({ "symbolize", "app.wasm", stdin = input })
    assert.equal("RuntimeError: divide by zero\n    at second (app.wasm:" .. word .. ")\n"
      .. "    third (inlined) ./guest.c:3:12\n    second ./guest.c:6:10\nnot0x12 0xfffffffff 0xzz\nend\n", result.stdout)
    assert.equal(0, result.status)
    local json = lunette({ "symbolize", "--json", "app.wasm", stdin = input }).stdout
    assert.equal(1, select(2, json:gsub("\n", "")))
  end)

  it("refuses what is no offset", function()
    for _, word in ipairs({ "12", "0x", "first", "0xg", "c12", "-1", "" }) do
      local result = lunette({ "symbolize", "app.wasm", "0x1", "--", word })
      result = word == "-1" and result or lunette({ "symbolize", "app.wasm", "0x1", word })
      assert.equal(64, result.status)
      assert.equal("", result.stdout)
      assert.is_truthy(result.stderr:find("is no offset\nhint: 0x1f from the start of the module", 1, true), result.stderr)
    end
    assert.equal(64, lunette({ "symbolize" }).status)
    assert.equal(66, lunette({ "symbolize", "none.wasm", "0x1" }).status)
  end)

  it("names the function where there is no debug information", function()
    local result = run({ guest = '(module (func $f (export "f") (nop)))', "symbolize", "app.wasm", "c0x3" })
    assert.equal("c0x3 f\n", result.stdout)
  end)
end)

describe("lunette list", function()
  it("shows where in the source functions are", function()
    local result = lunette({ "list", "-w", "first", "-w", "second", "app.wasm" })
    assert.is_truthy(result.stdout:match("second +%(a: i32, b: i32%) %-> i32 +export second +%./guest%.c:5\n"), result.stdout)
    assert.is_truthy(result.stdout:match("first +%(value: i32%) %-> i32 +export first +%./guest%.c:8\n"), result.stdout)
    assert.equal(result.stdout, lunette({ "list", "-w", "file:*/guest.c", "app.wasm" }).stdout)
  end)

  it("writes JSON, a line each", function()
    local result = run({ "list", "--json", "app.wasm", guest = [[(module (import "env" "log" (func $log (param i32)))
      (import "env" "g" (global i32)) (memory (export "memory") 1)
      (func $f (export "a\"b") (param $x i64) (result f32) (f32.const 0)))]] })
    assert.equal([=[
{"kind":"function","index":0,"name":"log","raw_name":"log",]=] .. [=["params":["i32"],"param_names":[""],"results":[],]=]
.. [=["import":{"module":"env","name":"log"},"exports":[]}
{"kind":"function","index":1,"name":"f","raw_name":"f",]=] .. [=["params":["i64"],"param_names":["x"],"results":["f32"],]=]
.. [=["exports":["a\"b"],"offset":2,"size":7}
{"kind":"import","module":"env","name":"g","type":"global i32"}
{"kind":"export","name":"memory","type":"memory 1.. pages"}
]=], result.stdout)
    assert.equal(0, result.status)
  end)
end)
