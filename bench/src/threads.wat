;; Two threads at one memory. What they do there is the row of the table; `$mine` says which thread calls.
(module
  (import "bench" "memory" (memory 1 1 shared))

  ;; The threads begin together: each counts itself, and spins until both are there.
  (func $together
    (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1)))
    (loop $spin (br_if $spin (i32.lt_u (i32.atomic.load (i32.const 0)) (i32.const 2)))))

  ;; Adds to one word, which is always in the other one's cache.
  (func (export "add") (param $mine i32) (param $count i32)
    (call $together)
    (loop $next
      (drop (i32.atomic.rmw.add (i32.const 256) (i32.const 1)))
      (br_if $next (local.tee $count (i32.sub (local.get $count) (i32.const 1))))))

  ;; Adds to one word by comparing and exchanging until nobody came between.
  (func (export "exchange") (param $mine i32) (param $count i32) (local $old i32) (local $seen i32)
    (call $together)
    (loop $next
      (local.set $old (i32.atomic.load (i32.const 256)))
      (loop $again
        (local.set $seen
          (i32.atomic.rmw.cmpxchg (i32.const 256) (local.get $old) (i32.add (local.get $old) (i32.const 1))))
        (if (i32.ne (local.get $seen) (local.get $old)) (then
          (local.set $old (local.get $seen))
          (br $again))))
      (br_if $next (local.tee $count (i32.sub (local.get $count) (i32.const 1))))))

  ;; A lock of three states: 0 free, 1 taken, 2 taken and somebody may wait (U. Drepper, "Futexes are tricky").
  (func $lock (local $state i32)
    (if (local.tee $state (i32.atomic.rmw.cmpxchg (i32.const 128) (i32.const 0) (i32.const 1))) (then
      (if (i32.ne (local.get $state) (i32.const 2)) (then
        (local.set $state (i32.atomic.rmw.xchg (i32.const 128) (i32.const 2)))))
      (loop $wait
        (if (local.get $state) (then
          (drop (memory.atomic.wait32 (i32.const 128) (i32.const 2) (i64.const -1)))
          (local.set $state (i32.atomic.rmw.xchg (i32.const 128) (i32.const 2)))
          (br $wait)))))))
  (func $unlock
    (if (i32.ne (i32.atomic.rmw.sub (i32.const 128) (i32.const 1)) (i32.const 1)) (then
      (i32.atomic.store (i32.const 128) (i32.const 0))
      (drop (memory.atomic.notify (i32.const 128) (i32.const 1))))))

  ;; Adds to one word, plainly, under the lock.
  (func (export "lock") (param $mine i32) (param $count i32)
    (call $together)
    (loop $next
      (call $lock)
      (i32.store (i32.const 256) (i32.add (i32.load (i32.const 256)) (i32.const 1)))
      (call $unlock)
      (br_if $next (local.tee $count (i32.sub (local.get $count) (i32.const 1))))))

  ;; Waits for its turn, adds, and wakes the other one.
  (func (export "turns") (param $mine i32) (param $count i32)
    (call $together)
    (loop $next
      (loop $wait
        (if (i32.ne (i32.atomic.load (i32.const 128)) (local.get $mine)) (then
          (drop (memory.atomic.wait32 (i32.const 128) (i32.sub (i32.const 1) (local.get $mine)) (i64.const -1)))
          (br $wait))))
      (i32.store (i32.const 256) (i32.add (i32.load (i32.const 256)) (i32.const 1)))
      (i32.atomic.store (i32.const 128) (i32.sub (i32.const 1) (local.get $mine)))
      (drop (memory.atomic.notify (i32.const 128) (i32.const 1)))
      (br_if $next (local.tee $count (i32.sub (local.get $count) (i32.const 1)))))))
