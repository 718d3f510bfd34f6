;; A component of the world in greeter.wit, written by hand. It puts every name on a list of the host, asks for the
;; oldest, and says hello.
(component
  (import "example:greeter/people@1.0.0" (instance $people
    (type $person' (record (field "name" string) (field "age" u8)))
    (export "person" (type $person (eq $person')))
    (export "guest-list" (type $list (sub resource)))
    (export "[constructor]guest-list" (func (param "title" string) (result (own $list))))
    (export "[method]guest-list.add" (func (param "self" (borrow $list)) (param "person" $person)))
    (export "[method]guest-list.oldest" (func (param "self" (borrow $list)) (result (option $person))))))
  (alias export $people "guest-list" (type $list))

  (core module $libc
    (memory (export "memory") 1)
    (global $next (mut i32) (i32.const 1024))
    ;; Memory is never freed: the component lives for one greeting.
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (global.set $next (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
      (global.get $next)
      (global.set $next (i32.add (global.get $next) (local.get 3))))
    (data (i32.const 8) "to greet")
    (data (i32.const 512) "Hello, "))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))
  (alias core export $libc "realloc" (core func $realloc))

  (core func $new (canon lower (func $people "[constructor]guest-list") (memory $memory)))
  (core func $add (canon lower (func $people "[method]guest-list.add") (memory $memory)))
  (core func $oldest
    (canon lower (func $people "[method]guest-list.oldest") (memory $memory) (realloc $realloc)))
  (core func $drop (canon resource.drop $list))

  (core module $m
    (import "" "memory" (memory 1))
    (import "" "new" (func $new (param i32 i32) (result i32)))
    (import "" "add" (func $add (param i32 i32 i32 i32)))
    (import "" "oldest" (func $oldest (param i32 i32)))
    (import "" "drop" (func $drop (param i32)))
    (func (export "greet") (param $names i32) (param $count i32) (result i32)
      (local $list i32) (local $n i32) (local $length i32)
      (local.set $list (call $new (i32.const 8) (i32.const 8)))
      (block $done
        (loop $next
          (br_if $done (i32.ge_u (local.get $n) (local.get $count)))
          (call $add (local.get $list)
            (i32.load (i32.add (local.get $names) (i32.shl (local.get $n) (i32.const 3))))
            (i32.load offset=4 (i32.add (local.get $names) (i32.shl (local.get $n) (i32.const 3))))
            (local.get $n))
          (local.set $n (i32.add (local.get $n) (i32.const 1)))
          (br $next)))
      ;; The answer is at 64: its case, then the address and length of the name.
      (call $oldest (local.get $list) (i32.const 64))
      (call $drop (local.get $list))
      (local.set $length (select (i32.load (i32.const 72)) (i32.const 0) (i32.load8_u (i32.const 64))))
      (memory.copy (i32.const 519) (i32.load (i32.const 68)) (local.get $length))
      (i32.store8 (i32.add (i32.const 519) (local.get $length)) (i32.const 33))
      (i32.store (i32.const 32) (i32.const 512))
      (i32.store (i32.const 36) (i32.add (local.get $length) (i32.const 8)))
      (i32.const 32)))
  (core instance $m (instantiate $m (with "" (instance
    (export "memory" (memory $memory)) (export "new" (func $new)) (export "add" (func $add))
    (export "oldest" (func $oldest)) (export "drop" (func $drop))))))
  (func (export "greet") (param "names" (list string)) (result string)
    (canon lift (core func $m "greet") (memory $memory) (realloc $realloc))))
