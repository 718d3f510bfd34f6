;; Prints a line through WASI 0.1.
;;   cellwall examples/hello.wat
(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param $fd i32) (param $iovs i32) (param $count i32) (param $written i32)
      (result i32)))
  (memory (export "memory") 1)
  ;; One piece of output: where it is, and how long.
  (data (i32.const 0) "\08\00\00\00\16\00\00\00")
  (data (i32.const 8) "Hello from this cell!\n")
  (func (export "_start")
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 64)))))
