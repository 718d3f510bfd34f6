;; Calls between components and from the host, in pairs: what is accepted, and its neighbour.

(component $calls
  (component $callee
    (core module $m
      (memory (export "memory") 1)
      (global $next (mut i32) (i32.const 1024))
      (func (export "realloc") (param i32 i32 i32 i32) (result i32)
        (local $at i32)
        (local.set $at
          (i32.and
            (i32.add (global.get $next) (i32.sub (local.get 2) (i32.const 1)))
            (i32.xor (i32.sub (local.get 2) (i32.const 1)) (i32.const -1))))
        (global.set $next (i32.add (local.get $at) (local.get 3)))
        (local.get $at))
      (func (export "sum") (param $at i32) (param $count i32) (result i32)
        (local $sum i32)
        (block $done
          (loop $next
            (br_if $done (i32.eqz (local.get $count)))
            (local.set $sum (i32.add (local.get $sum) (i32.load (local.get $at))))
            (local.set $at (i32.add (local.get $at) (i32.const 4)))
            (local.set $count (i32.sub (local.get $count) (i32.const 1)))
            (br $next)))
        (local.get $sum))
      (func (export "echo") (param $at i32) (param $length i32) (result i32)
        (i32.store (i32.const 8) (local.get $at))
        (i32.store (i32.const 12) (local.get $length))
        (i32.const 8))
      (func (export "char") (param i32) (result i32) (local.get 0)))
    (core instance $i (instantiate $m))
    (alias core export $i "memory" (core memory $memory))
    (alias core export $i "realloc" (core func $realloc))
    (func (export "sum") (param "l" (list u32)) (result u32)
      (canon lift (core func $i "sum") (memory $memory) (realloc (core func $realloc))))
    (func (export "echo") (param "s" string) (result string)
      (canon lift (core func $i "echo") (memory $memory) (realloc (core func $realloc))))
    (func (export "char") (param "c" char) (result char) (canon lift (core func $i "char"))))

  (component $caller
    (import "sum" (func $sum (param "l" (list u32)) (result u32)))
    (import "echo" (func $echo (param "s" string) (result string)))
    (import "char" (func $char (param "c" char) (result char)))
    (core module $libc
      (memory (export "memory") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096))
      (data (i32.const 16) "\01\00\00\00\02\00\00\00\03\00\00\00")
      (data (i32.const 64) "gr\c3\bc\c3\9fe \f0\9f\98\80")
      (data (i32.const 96) "\ed\a0\80"))
    (core instance $libc (instantiate $libc))
    (alias core export $libc "memory" (core memory $memory))
    (alias core export $libc "realloc" (core func $realloc))
    (core func $sum (canon lower (func $sum) (memory $memory)))
    (core func $echo (canon lower (func $echo) (memory $memory) (realloc (core func $realloc))))
    (core func $char (canon lower (func $char)))
    (core module $m
      (import "" "memory" (memory 1))
      (import "" "sum" (func $sum (param i32 i32) (result i32)))
      (import "" "echo" (func $echo (param i32 i32 i32)))
      (import "" "char" (func $char (param i32) (result i32)))
      (func (export "sum") (param i32 i32) (result i32) (call $sum (local.get 0) (local.get 1)))
      (func (export "echo") (param i32 i32) (result i32)
        (call $echo (local.get 0) (local.get 1) (i32.const 8))
        (i32.const 8))
      (func (export "char") (param i32) (result i32) (call $char (local.get 0))))
    (core instance $i (instantiate $m (with "" (instance
      (export "memory" (memory $memory))
      (export "sum" (func $sum))
      (export "echo" (func $echo))
      (export "char" (func $char))))))
    (func (export "sum") (param "at" u32) (param "count" u32) (result u32)
      (canon lift (core func $i "sum")))
    (func (export "echo") (param "at" u32) (param "length" u32) (result string)
      (canon lift (core func $i "echo") (memory $memory)))
    (func (export "char") (param "c" u32) (result char) (canon lift (core func $i "char"))))

  (instance $callee (instantiate $callee))
  (instance $caller (instantiate $caller
    (with "sum" (func $callee "sum"))
    (with "echo" (func $callee "echo"))
    (with "char" (func $callee "char"))))
  (export "sum" (func $caller "sum"))
  (export "echo" (func $caller "echo"))
  (export "char" (func $caller "char"))
  (export "sum-of" (func $callee "sum"))
  (export "echo-of" (func $callee "echo"))
)

(assert_return (invoke "sum" (u32.const 16) (u32.const 3)) (u32.const 6))
(assert_return (invoke "sum" (u32.const 16) (u32.const 0)) (u32.const 0))
(assert_return (invoke "echo" (u32.const 64) (u32.const 12)) (str.const "grüße 😀"))
(assert_return (invoke "char" (u32.const 0x10ffff)) (char.const "\u{10ffff}"))
(assert_return (invoke "sum-of" (list.const (u32.const 7) (u32.const 8))) (u32.const 15))
(assert_return (invoke "echo-of" (str.const "grüße 😀")) (str.const "grüße 😀"))

;; A list that does not fit, and one that is not aligned.
(assert_trap (invoke "sum" (u32.const 65536) (u32.const 1)) "list content out-of-bounds")
(assert_trap (invoke "sum" (u32.const 16) (u32.const 1)) "cannot enter component instance")
(component instance $i $calls)
(assert_trap (invoke "sum" (u32.const 17) (u32.const 1)) "unaligned pointer")
(component instance $i $calls)
(assert_trap (invoke "sum" (u32.const 16) (u32.const 0x40000000)) "list content out-of-bounds")
(component instance $i $calls)
(assert_return (invoke "sum" (u32.const 65532) (u32.const 1)) (u32.const 0))

;; Strings that are none: cut off, a surrogate, outside.
(assert_trap (invoke "echo" (u32.const 64) (u32.const 11)) "invalid utf-8")
(component instance $i $calls)
(assert_trap (invoke "echo" (u32.const 96) (u32.const 3)) "invalid utf-8")
(component instance $i $calls)
(assert_trap (invoke "echo" (u32.const 65530) (u32.const 12)) "string content out-of-bounds")
(component instance $i $calls)
(assert_trap (invoke "echo" (u32.const 64) (u32.const 0x80000000)) "string is too long")

;; Numbers that are no characters.
(component instance $i $calls)
(assert_trap (invoke "char" (u32.const 0xd800)) "invalid `char` bit pattern")
(component instance $i $calls)
(assert_trap (invoke "char" (u32.const 0x110000)) "invalid `char` bit pattern")
(component instance $i $calls)
(assert_return (invoke "char" (u32.const 0xd7ff)) (char.const "\u{d7ff}"))

;; What is not there is said before anything runs.
(assert_unlinkable
  (component (import "not-there" (func)))
  "was not found")
