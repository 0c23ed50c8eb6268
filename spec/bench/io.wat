;; SPDX-License-Identifier: MIT
;; Writes and reads 64 KiB blocks: write(fd, n) and read(fd, n) give how many bytes went through.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 3)
  (data (i32.const 16) "\00\00\01\00\00\00\01\00") ;; 65536 bytes at 65536
  (func (export "write") (param $fd i32) (param $n i32) (result i64) (local $sum i64)
    (loop $next
      (if (call $fd_write (local.get $fd) (i32.const 16) (i32.const 1) (i32.const 32)) (then (return (i64.const -1))))
      (local.set $sum (i64.add (local.get $sum) (i64.load32_u (i32.const 32))))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum))
  (func (export "read") (param $fd i32) (param $n i32) (result i64) (local $sum i64)
    (loop $next
      (if (call $fd_read (local.get $fd) (i32.const 16) (i32.const 1) (i32.const 32)) (then (return (i64.const -1))))
      (local.set $sum (i64.add (local.get $sum) (i64.load32_u (i32.const 32))))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum)))
