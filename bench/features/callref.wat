;; Calls by reference, of three functions in turn.
(module
  (import "bench" "start" (func $start))
  (import "bench" "end" (func $end))
  (memory (export "memory") 1)
  (type $f (func (param i32) (result i32)))
  (table $t 4 4 (ref null $f))
  (elem (table $t) (i32.const 0) (ref null $f) (ref.func $a) (ref.func $b) (ref.func $c) (ref.func $a))
  (func $a (type $f) (i32.add (local.get 0) (i32.const 3)))
  (func $b (type $f) (i32.xor (local.get 0) (i32.const 5)))
  (func $c (type $f) (i32.rotl (local.get 0) (i32.const 1)))
  (func (export "_start") (local $i i32) (local $x i32)
    (call $start)
    (loop $next
      (local.set $x (call_ref $f (local.get $x) (table.get $t (i32.and (local.get $i) (i32.const 3)))))
      (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 10000000))))
    (call $end)
    (if (i32.eqz (local.get $x)) (then unreachable))))
