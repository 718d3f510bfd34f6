;; A program of WASI 0.1 for threads: its memory is shared.
(module $threads
  (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (memory (export "memory") 1 1 shared)
  (func (export "_start") (drop (call $random (i32.const 0) (i32.const 8))))
  ;; What touches no memory works.
  (func (export "yield") (result i32) (call $yield)))
