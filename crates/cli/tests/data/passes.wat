;; Something to do for passes of the optimizer: a sum that is known, and a product that is the same
;; in every iteration of a loop.
(module
  (func $power (export "power") (param $x i64) (param $n i32) (result i64)
    (local $sum i64)
    (loop $again
      (local.set $sum (i64.add (local.get $sum) (i64.mul (local.get $x) (local.get $x))))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.add (i32.const 0) (i32.const 1))))))
    (local.get $sum)))
