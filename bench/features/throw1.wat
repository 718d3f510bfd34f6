;; Throws and catches across one frame, a million times.
(module
  (import "bench" "start" (func $start))
  (import "bench" "end" (func $end))
  (memory (export "memory") 1)
  (tag $e (param i32))
  (func $throw (param i32) (throw $e (local.get 0)))
  (func (export "_start") (local $i i32) (local $sum i32)
    (call $start)
    (loop $next
      (local.set $sum (i32.add (local.get $sum)
        (block $caught (result i32)
          (try_table (catch $e $caught) (call $throw (local.get $i)))
          (i32.const 0))))
      (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1000000))))
    (call $end)
    (if (i32.ne (local.get $sum) (i32.const 1783293664)) (then unreachable))))
