;; The guest of the part `calls`. Each loop makes n calls, each of which adds
;; one, and gives the sum.
(module
  (type $unary (func (param i32) (result i32)))
  (import "host" "inc" (func $inc (type $unary)))
  (table 8 8 funcref)
  (elem (i32.const 0) $other $step $other $other $other $other $other $step)
  ;; Which entry the table loop calls: not a constant, because it is exported.
  (global $slot (export "slot") (mut i32) (i32.const 1))

  ;; Calls itself once on -1, so that it is not inlined.
  (func $step (export "step") (type $unary)
    (if (i32.eq (local.get 0) (i32.const -1))
      (then (return (call $step (i32.const -2)))))
    (i32.add (local.get 0) (i32.const 1)))

  (func $other (type $unary) (i32.const 7))

  (func (export "loop_host") (param $n i32) (result i32) (local $sum i32)
    (loop $again
      (local.set $sum (call $inc (local.get $sum)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum))

  (func (export "loop_direct") (param $n i32) (result i32) (local $sum i32)
    (loop $again
      (local.set $sum (call $step (local.get $sum)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum))

  (func (export "loop_table") (param $n i32) (result i32) (local $sum i32) (local $at i32)
    (local.set $at (global.get $slot))
    (loop $again
      (local.set $sum (call_indirect (type $unary) (local.get $sum) (local.get $at)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum))

  (func (export "loop_alone") (param $n i32) (result i32) (local $sum i32)
    (loop $again
      (local.set $sum (i32.add (local.get $sum) (i32.const 1)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum)))
