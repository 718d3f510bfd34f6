;; Twenty million pairs of atomic operations, by one thread: nobody disturbs it.
(module
  (import "bench" "start" (func $start))
  (import "bench" "end" (func $end))
  (memory (export "memory") 1)
  (func (export "_start") (local $i i32)
    (call $start)
    (loop $next
      (drop (i32.atomic.rmw.add (i32.const 64) (i32.const 1)))
      (drop (i32.atomic.rmw.xor (i32.const 128) (local.get $i)))
      (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 20000000))))
    (call $end)
    (if (i32.ne (i32.load (i32.const 64)) (i32.const 20000000)) (then unreachable))))
