;; SPDX-License-Identifier: MIT
;; The guest of exceptions.c.
(module $guest
  (import "host" "tag" (tag $host (param i32 f64)))
  (import "host" "throws" (func $throws (param i32)))
  (import "host" "calls" (func $calls (param i32) (result i32)))
  (tag $own (export "own") (param i64 v128))
  (func $boom (export "boom") (param i32)
    (throw $own (i64.extend_i32_s (local.get 0)) (v128.const i64x2 11 22)))
  (func $catches_host (export "catches_host") (param i32) (result i32)
    (try (result i32) (do (call $throws (local.get 0)) (i32.const -1)) (catch $host drop)))
  (func $uncaught_host (export "uncaught_host") (param i32) (call $throws (local.get 0)))
  (func $around (export "around") (param i32) (result i32)
    (try (result i32) (do (call $calls (local.get 0))) (catch $own drop i32.wrap_i64)))
  (func $bare (export "bare") (param i32) (result i32) (call $calls (local.get 0)))
  (func $again (export "again") (param i32) (result i32)
    (try (result i32)
      (do (try (result i32) (do (call $calls (local.get 0))) (catch_all (rethrow 0))))
      (catch $own drop i32.wrap_i64)))
  (func $loop (export "loop") (param i32)
    (loop
      (try (do (call $boom (local.get 0))) (catch_all))
      (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
      (br_if 0 (local.get 0)))))
