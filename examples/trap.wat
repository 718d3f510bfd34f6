;; Divides by zero, three calls deep, to show what a trap looks like.
;;   cellwall examples/trap.wat
(module $trap
  (func $start (export "_start") (drop (call $average (i32.const 10) (i32.const 0))))
  (func $average (param $sum i32) (param $count i32) (result i32)
    (call $divide (local.get $sum) (local.get $count)))
  (func $divide (param $a i32) (param $b i32) (result i32)
    (i32.div_u (local.get $a) (local.get $b))))
