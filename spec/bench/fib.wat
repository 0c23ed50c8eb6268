;; The guest of the call bench: nothing but calls.
(module
  (func $fib (export "fib") (param $n i32) (result i32)
    (if (result i32) (i32.lt_u (local.get $n) (i32.const 2))
      (then (local.get $n))
      (else (i32.add (call $fib (i32.sub (local.get $n) (i32.const 1)))
                     (call $fib (i32.sub (local.get $n) (i32.const 2)))))))
  ;; depth + 1 frames, and calls of $leaf from the innermost
  (func $deep (export "deep") (param $depth i32) (param $calls i32)
    (if (local.get $depth)
      (then (call $deep (i32.sub (local.get $depth) (i32.const 1)) (local.get $calls)))
      (else (loop $again
        (call $leaf)
        (br_if $again (local.tee $calls (i32.sub (local.get $calls) (i32.const 1))))))))
  (func $leaf))
