-- SPDX-License-Identifier: MIT
-- scripts/count.lua: its table, to the letter.

local run = require("spec.support.run")

local guest = [[(module
  (func $leaf)
  (func $twice (call $leaf) (call $leaf))
  (func $never)
  (func $also (call $leaf))
  (func (export "_start") (call $twice) (call $twice) (call $also)))]]

local function counts(spec, expected)
  local result = run(spec)
  assert.equal(expected, result.stderr)
  assert.equal("", result.stdout)
  assert.equal(0, result.status)
end

describe("the count", function()
  it("is a table, sorted by calls and then by name, with a total", function()
    counts({ guest = guest, "run", "-s", "count", "app.wasm" }, [[
calls  function
    5  leaf
    2  twice
    1  _start
    1  also
    9  in 4 functions
]])
  end)

  it("shows the first of them on request", function()
    counts({ guest = guest, "run", "-s", "count,top=2", "app.wasm" }, [[
calls  function
    5  leaf
    2  twice
  ...  2 functions more
    9  in 4 functions
]])
  end)

  it("counts the functions of -w alone", function()
    counts({ guest = guest, "run", "-s", "count", "-w", "lea*", "app.wasm" }, [[
calls  function
    5  leaf
    5  in 1 function
]])
    counts({ guest = guest, "run", "-s", "count", "-w", "never", "app.wasm" }, "calls  function\n    0  in 0 functions\n")
  end)

  it("shows no fewer functions than none", function()
    local result = run { guest = guest, "run", "-s", "count,top=-1", "app.wasm" }
    assert.equal('lunette: count: option top must be at least 0, got "-1"\n', result.stderr)
    assert.equal(101, result.status)
  end)

  it("is wide enough for large numbers", function()
    counts({
      guest = [[(module (func $f) (func (export "_start") (local $i i32)
        (loop $l (call $f) (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $l (i32.lt_u (local.get $i) (i32.const 1234567))))))]],
      "run", "-s", "count", "app.wasm",
    }, [[
  calls  function
1234567  f
      1  _start
1234568  in 2 functions
]])
  end)

  it("is printed after a trap, too, before the message", function()
    local result = run { guest = '(module (func (export "_start") unreachable))', "run", "-s", "count", "app.wasm" }
    assert.equal("calls  function\n    1  _start\n    1  in 1 function\nlunette: trap: unreachable\n",
      result.stderr:gsub("  at [^\n]+\n", ""))
    assert.equal(134, result.status)
  end)
end)
