;; A program of WASI 0.2 that names three of its versions: prints a line, then ends with status 7.
(component
  (import "wasi:io/error@0.2.0" (instance $error (export "error" (type (sub resource)))))
  (alias export $error "error" (type $error))
  (import "wasi:io/streams@0.2.6" (instance $streams
    (export "output-stream" (type $output-stream (sub resource)))
    (alias outer 1 $error (type $outer-error))
    (export "error" (type $error (eq $outer-error)))
    (type $failure (variant (case "last-operation-failed" (own $error)) (case "closed")))
    (export "stream-error" (type $stream-error (eq $failure)))
    (export "[method]output-stream.blocking-write-and-flush"
      (func (param "self" (borrow $output-stream)) (param "contents" (list u8))
        (result (result (error $stream-error)))))))
  (alias export $streams "output-stream" (type $output-stream))
  (import "wasi:cli/stdout@0.2.0" (instance $stdout
    (alias outer 1 $output-stream (type $outer-stream))
    (export "output-stream" (type $output-stream (eq $outer-stream)))
    (export "get-stdout" (func (result (own $output-stream))))))
  (import "wasi:cli/exit@0.2.99" (instance $exit
    (export "exit-with-code" (func (param "status-code" u8)))))

  (core module $memory
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 4096))
  (core instance $memory (instantiate $memory))
  (core func $write (canon lower (func $streams "[method]output-stream.blocking-write-and-flush")
    (memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))))
  (core func $get (canon lower (func $stdout "get-stdout")))
  (core func $exit (canon lower (func $exit "exit-with-code")))
  (core func $drop (canon resource.drop $output-stream))
  (core module $main
    (import "host" "memory" (memory 1))
    (import "host" "write" (func $write (param i32 i32 i32 i32)))
    (import "host" "get" (func $get (result i32)))
    (import "host" "exit" (func $exit (param i32)))
    (import "host" "drop" (func $drop (param i32)))
    (data (i32.const 16) "hello from 0.2\n")
    (func (export "run") (result i32)
      (local $out i32)
      (local.set $out (call $get))
      (call $write (local.get $out) (i32.const 16) (i32.const 15) (i32.const 64))
      (call $drop (local.get $out))
      (if (i32.load8_u (i32.const 64)) (then (return (i32.const 1))))
      (call $exit (i32.const 7))
      (i32.const 0)))
  (core instance $main (instantiate $main (with "host" (instance
    (export "memory" (memory $memory "memory"))
    (export "write" (func $write))
    (export "get" (func $get))
    (export "exit" (func $exit))
    (export "drop" (func $drop))))))
  (func $run (result (result)) (canon lift (core func $main "run")))
  (instance $exported (export "run" (func $run)))
  (export "wasi:cli/run@0.2.1" (instance $exported)))
