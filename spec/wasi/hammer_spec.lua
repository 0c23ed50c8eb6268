-- SPDX-License-Identifier: MIT
-- A guest that makes ten thousand files, and does with each what can be done with one.

local files = require("spec.support.files")
local run = require("spec.support.run")

-- Exit status: the number of the step that went wrong. Names are "f00000" to "f09999", later "g…".
local guest = [[(module
  (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_readdir" (func $readdir (param i32 i32 i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_rename" (func $rename (param i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_filestat_get" (func $stat (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_unlink_file" (func $unlink (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (global $count i32 (i32.const 10000))
  (data (i32.const 16) "\20\00\00\00\06\00\00\00")
  (data (i32.const 32) "f00000") (data (i32.const 40) "g00000")
  (func $check (param $good i32) (param $step i32)
    (if (i32.eqz (local.get $good)) (then (call $exit (local.get $step)))))
  ;; Writes the digits of n behind the first letter of both names.
  (func $name (param $n i32) (local $at i32)
    (local.set $at (i32.const 5))
    (loop $digit
      (i32.store8 offset=32 (local.get $at) (i32.add (i32.const 48) (i32.rem_u (local.get $n) (i32.const 10))))
      (i32.store8 offset=40 (local.get $at) (i32.load8_u offset=32 (local.get $at)))
      (local.set $n (i32.div_u (local.get $n) (i32.const 10)))
      (br_if $digit (local.tee $at (i32.sub (local.get $at) (i32.const 1))))))
  (func $make
    (call $check (i32.eqz (call $open (i32.const 3) (i32.const 0) (i32.const 32) (i32.const 6) (i32.const 5)
      (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 8))) (i32.const 1))
    (call $check (i32.eqz (call $write (i32.load (i32.const 8)) (i32.const 16) (i32.const 1) (i32.const 12))) (i32.const 2))
    (call $check (i32.eq (i32.load (i32.const 12)) (i32.const 6)) (i32.const 3))
    (call $check (i32.eqz (call $close (i32.load (i32.const 8)))) (i32.const 4)))
  (func $use
    (call $check (i32.eqz (call $rename (i32.const 3) (i32.const 32) (i32.const 6) (i32.const 3) (i32.const 40) (i32.const 6)))
      (i32.const 5))
    (call $check (i32.eqz (call $stat (i32.const 3) (i32.const 0) (i32.const 40) (i32.const 6) (i32.const 128))) (i32.const 6))
    (call $check (i64.eq (i64.load (i32.const 160)) (i64.const 6)) (i32.const 7))
    (call $check (i32.eq (call $stat (i32.const 3) (i32.const 0) (i32.const 32) (i32.const 6) (i32.const 128)) (i32.const 44))
      (i32.const 8)))
  ;; How many entries the folder has, read by pages of 4,096 bytes.
  (func $entries (result i32) (local $cookie i64) (local $used i32) (local $at i32) (local $next i32) (local $sum i32)
    (loop $page
      (call $check (i32.eqz (call $readdir (i32.const 3) (i32.const 8192) (i32.const 4096) (local.get $cookie) (i32.const 64)))
        (i32.const 9))
      (local.set $used (i32.load (i32.const 64)))
      (local.set $at (i32.const 0))
      (block $end
        (loop $entry
          (br_if $end (i32.gt_u (i32.add (local.get $at) (i32.const 24)) (local.get $used)))
          (local.set $next (i32.add (i32.add (local.get $at) (i32.const 24)) (i32.load offset=8208 (local.get $at))))
          (br_if $end (i32.gt_u (local.get $next) (local.get $used)))
          (local.set $cookie (i64.load offset=8192 (local.get $at)))
          (local.set $sum (i32.add (local.get $sum) (i32.const 1)))
          (local.set $at (local.get $next))
          (br $entry)))
      (br_if $page (i32.eq (local.get $used) (i32.const 4096))))
    (local.get $sum))
  (func (export "_start") (local $i i32)
    (loop $next
      (call $name (local.get $i)) (call $make)
      (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (global.get $count))))
    (call $check (i32.eq (call $entries) (i32.add (global.get $count) (i32.const 2))) (i32.const 10))
    (local.set $i (i32.const 0))
    (loop $next
      (call $name (local.get $i)) (call $use)
      (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (global.get $count))))
    (call $check (i32.eq (call $entries) (i32.add (global.get $count) (i32.const 2))) (i32.const 11))
    (local.set $i (i32.const 0))
    (loop $next
      (call $name (local.get $i))
      (call $check (i32.eqz (call $unlink (i32.const 3) (i32.const 40) (i32.const 6))) (i32.const 12))
      (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (global.get $count))))
    (call $check (i32.eq (call $entries) (i32.const 2)) (i32.const 13))))]]

describe("ten thousand files", function()
  it("are made, written, listed, renamed, looked at and taken away; nothing is left", function()
    local folder <close> = files.temporary()
    local result = run { guest = guest, "run", "--dir", folder .. "::/", "app.wasm" }
    assert.equal("", result.stderr)
    assert.equal(0, result.status)
    assert.same({}, files.list(folder.path))
  end)

  it("are traced call by call, a thousand of them", function()
    local folder <close> = files.temporary()
    local fewer = guest:gsub("i32.const 10000", "i32.const 1000")
    local result = run { guest = fewer, "strace", "-s", "strace,summary=true", "--dir", folder .. "::/", "app.wasm" }
    assert.equal(0, result.status)
    for name, counts in pairs({
      path_open = "1000         ", fd_write = "1000         ", fd_close = "1000         ", path_rename = "1000         ",
      path_filestat_get = "2000    1000 ", path_unlink_file = "1000         ",
    }) do
      assert.matches("  " .. counts .. " " .. name .. "\n", result.stderr, 1, true)
    end
  end)
end)
