-- SPDX-License-Identifier: MIT
-- scripts/calltree.lua: the tree as text, to the letter.

local run = require("spec.support.run")

local fib = [[(module
  (func $fib (param $n i32) (result i32)
    (if (result i32) (i32.lt_s (local.get $n) (i32.const 2))
      (then (local.get $n))
      (else (i32.add (call $fib (i32.sub (local.get $n) (i32.const 1)))
                     (call $fib (i32.sub (local.get $n) (i32.const 2)))))))
  (func $main (drop (call $fib (i32.const 3))))
  (func (export "_start") (call $main)))]]

local function tree(spec, expected)
  local result = run(spec)
  assert.equal(expected, result.stderr)
  return result
end

describe("the call tree", function()
  it("shows calls with arguments and results, two blanks a level", function()
    local result = tree({ guest = fib, "run", "-s", "calltree", "app.wasm" }, [[
_start() {
  main() {
    fib(n=3) {
      fib(n=2) {
        fib(n=1) = 1
        fib(n=0) = 0
      } = 1
      fib(n=1) = 1
    } = 2
  }
}
]])
    assert.equal(0, result.status)
    assert.equal("", result.stdout)
  end)

  it("shows as many levels as it is told", function()
    tree({ guest = fib, "run", "-s", "calltree,depth=3", "app.wasm" }, [[
_start() {
  main() {
    fib(n=3) {...} = 2
  }
}
]])
    tree({ guest = fib, "run", "-s", "calltree,depth=1", "app.wasm" }, "_start() {...}\n")
    tree({ guest = fib, "run", "-s", "calltree,depth=0", "app.wasm" }, "")
    local refused = run { guest = fib, "run", "-s", "calltree,depth=-1", "app.wasm" }
    assert.equal('lunette: calltree: option depth must be at least 0, got "-1"\n', refused.stderr)
    assert.equal(101, refused.status)
  end)

  it("shows the functions of -w alone", function()
    tree({ guest = fib, "run", "-s", "calltree", "-w", "fib", "app.wasm" }, [[
fib(n=3) {
  fib(n=2) {
    fib(n=1) = 1
    fib(n=0) = 0
  } = 1
  fib(n=1) = 1
} = 2
]])
    tree({ guest = fib, "run", "-s", "calltree", "-w", "*", "-w", "!fib", "app.wasm" }, [[
_start() {
  main()
}
]])
  end)

  it("shows values of each type, with names where the module has them", function()
    tree({
      guest = [[(module
        (func $mixed (param $a i32) (param i64) (param $x f32) (param f64) (result i64 f64) (local.get 1) (local.get 3))
        (func $names (param $t externref) (param $f funcref))
        (func $callee)
        (table 1 funcref) (elem (i32.const 0) $callee)
        (func (export "_start")
          (call $mixed (i32.const -1) (i64.const -9223372036854775808) (f32.const 0.5) (f64.const 1e100))
          drop drop
          (call $names (ref.null extern) (table.get 0 (i32.const 0)))))]],
      "run", "-s", "calltree", "app.wasm",
    }, [[
_start() {
  mixed(a=-1, -9223372036854775808, x=0.5, 1e+100) = (-9223372036854775808, 1e+100)
  names(t=nil, f=function callee)
}
]])
  end)

  it("shows a host's values on one line", function()
    tree({
      guest = [[(module
        (import "env" "text" (func $text (result externref)))
        (func $use (param $t externref))
        (func (export "_start") (call $use (call $text))))]],
      "run", "-e", [[lunette.host("env", { text = { params = {}, results = {"externref"}, function() return "a\nb%d" end } })]],
      "-s", "calltree", "app.wasm",
    }, [[
_start() {
  text() = "a?b%d"
  use(t="a?b%d")
}
]])
  end)

  it("closes calls that a trap ends, with the reason at the innermost", function()
    local result = tree({
      guest = [[(module (memory 1)
        (func $poke (param $p i32) (i32.store (local.get $p) (i32.const 1)))
        (func $main (call $poke (i32.const 8)) (call $poke (i32.const 0x10000)))
        (func (export "_start") (call $main)))]],
      "run", "-s", "calltree", "app.wasm",
    }, [[
_start() {
  main() {
    poke(p=8)
    poke(p=65536) ! trap: out of bounds memory access
  } ! trap
} ! trap
lunette: trap: out of bounds memory access
  at poke(p=65536) (app) 0x32
  at main (app) 0x40
  at _start (app) 0x45
]])
    assert.equal(134, result.status)
  end)

  it("shows host functions, and closes calls that proc_exit ends", function()
    local result = tree({
      guest = [[(module
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (func $quit (param $status i32) (call $exit (local.get $status)))
        (func (export "_start") (call $quit (i32.const 3))))]],
      "run", "-s", "calltree", "app.wasm",
    }, [[
_start() {
  quit(status=3) {
    proc_exit(rval=3) ! exit: 3
  } ! exit
} ! exit
]])
    assert.equal(3, result.status)
  end)

  it("starts with the start function", function()
    tree({
      guest = '(module (func $init) (start $init) (func (export "_start")))',
      "run", "-s", "calltree", "app.wasm",
    }, "init()\n_start()\n")
  end)

  it("keeps names on their lines", function()
    tree({
      guest = [[(module (func $f (export "a\0ab%d")) (func (export "_start") (call $f)))]],
      "run", "-s", "calltree", "app.wasm",
    }, "_start() {\n  f()\n}\n")
    local result = run {
      guest = [[(module (func (export "a\0ab%d")) (func (export "_start") (call 0)))]],
      "run", "-s", "calltree", "app.wasm",
    }
    assert.equal("_start() {\n  a?b%d()\n}\n", result.stderr)
  end)
end)
