;; Loops whose bodies are as short as they get: what a safepoint costs shows here first.
(module
  (func (export "loop") (param $n i32) (result i32) (local $i i32) (local $sum i32)
    (loop $again
      (local.set $sum (i32.add (i32.xor (local.get $sum) (local.get $i)) (i32.const 7)))
      (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (local.get $sum)))
