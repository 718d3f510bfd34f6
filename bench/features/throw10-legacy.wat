;; Throws and catches across ten frames in the older encoding, a million times.
(module
  (import "bench" "start" (func $start))
  (import "bench" "end" (func $end))
  (memory (export "memory") 1)
  (tag $e (param i32))
  (func $down (param $depth i32) (param $value i32) (result i32)
    (if (i32.eqz (local.get $depth)) (then (throw $e (local.get $value))))
    (i32.add (call $down (i32.sub (local.get $depth) (i32.const 1)) (local.get $value)) (i32.const 1)))
  (func (export "_start") (local $i i32) (local $sum i32)
    (call $start)
    loop $next
      try (result i32)
        (call $down (i32.const 9) (local.get $i))
      catch $e
      end
      local.get $sum
      i32.add
      local.set $sum
      (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1000000)))
    end
    (call $end)
    (if (i32.ne (local.get $sum) (i32.const 1783293664)) (then unreachable))))
