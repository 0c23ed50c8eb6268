-- SPDX-License-Identifier: MIT
-- The prompt on a terminal, and the guests that it is tried on.
--   prompted.open(folder, module, arg…) -> a screen on which `lunette repl arg…` has come up, in the folder, with the module
--   as app.wasm

local command = require("spec.support.command")
local files = require("spec.support.files")
local screens = require("spec.support.screen")
local wat = require("spec.support.wat")

local prompted = {}

prompted.guest = [[(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (global $count (export "count") (mut i32) (i32.const 7))
  (global f64 (f64.const 1.5))
  (table (export "handlers") 3 funcref)
  (elem (i32.const 1) func $leaf)
  (memory (export "memory") 1)
  (data (i32.const 16) "hello\00\01\02\03\04")
  (func $leaf (export "leaf") (param $n i32) (result i32)
    (i32.add (local.get $n) (global.get $count)))
  (func $middle (param $n i32) (param $x f64) (result i32) (local $sum i32) (local f64)
    (local.set $sum (i32.const -2))
    (local.set 3 (local.get $x))
    (i32.add (call $leaf (local.get $n)) (call $leaf (i32.const 100))))
  (func (export "_start")
    (drop (call $middle (i32.const 1) (f64.const 2.5)))
    (drop (call $middle (i32.const 2) (f64.const 0.5)))
    (call $proc_exit (i32.const 3))))]]

-- A loop without calls.
prompted.endless = [[(module (global (export "turns") (mut i32) (i32.const 0))
  (func $spin (param $n i32) (loop $again (global.set 0 (i32.add (global.get 0) (local.get $n))) (br $again)))
  (func (export "_start") (call $spin (i32.const 1))))]]

function prompted.open(folder, module, ...)
  files.write(folder .. "/app.wasm", wat(module))
  local screen = screens.open { command.lunette, cwd = folder.path, env = { XDG_STATE_HOME = folder.path }, "repl", ... }
  screen:shows "lunette 0.1.0. continue runs the guest; help shows the commands\nlunette> ▮"
  return screen
end

return prompted
