;; An exception stays in the component instance that throws it: whoever is outside gets a trap, and
;; no handler of another component sees it. Beside each, the neighbour that catches in time.

(component definition $Pair
  ;; Throws in every place where it is called.
  (component $Thrower
    (core module $Core
      (tag $oops (param i32))
      (memory (export "memory") 1)
      (global $calm (mut i32) (i32.const 0))
      (func $throw (param i32)
        (if (i32.eqz (global.get $calm)) (then (throw $oops (local.get 0)))))
      (func (export "calm") (global.set $calm (i32.const 1)))
      (func (export "body") (call $throw (i32.const 1)))
      (func (export "tail") (param i32) (result i32)
        (call $throw (i32.const 2))
        (local.get 0))
      (func (export "caught") (result i32)
        (block $handler (result i32)
          (try_table (catch $oops $handler) (call $throw (i32.const 7)))
          (i32.const 0)))
      (func (export "realloc") (param i32 i32 i32 i32) (result i32)
        (call $throw (i32.const 3))
        (i32.const 64))
      (func (export "text") (param i32 i32))
      (func (export "after"))
      (func (export "post-after") (call $throw (i32.const 4))))
    (core instance $core (instantiate $Core))
    (func (export "calm") (canon lift (core func $core "calm")))
    (func (export "body") (canon lift (core func $core "body")))
    (func (export "tail") (param "x" u32) (result u32) (canon lift (core func $core "tail")))
    (func (export "caught") (result u32) (canon lift (core func $core "caught")))
    (func (export "text") (param "s" string)
      (canon lift (core func $core "text") (memory (core memory $core "memory"))
        (realloc (core func $core "realloc"))))
    (func (export "after")
      (canon lift (core func $core "after") (post-return (core func $core "post-after")))))

  ;; Calls each of these with a handler for everything around the call.
  (component $Catcher
    (import "thrower" (instance $thrower
      (export "calm" (func))
      (export "body" (func))
      (export "tail" (func (param "x" u32) (result u32)))
      (export "caught" (func (result u32)))
      (export "text" (func (param "s" string)))
      (export "after" (func))))
    (core module $Memory (memory (export "memory") 1))
    (core instance $memory (instantiate $Memory))
    (core func $body (canon lower (func $thrower "body")))
    (core func $tail (canon lower (func $thrower "tail")))
    (core func $caught (canon lower (func $thrower "caught")))
    (core func $text (canon lower (func $thrower "text") (memory (core memory $memory "memory"))))
    (core func $after (canon lower (func $thrower "after")))
    (core module $Core
      (import "" "body" (func $body))
      (import "" "tail" (func $tail (param i32) (result i32)))
      (import "" "caught" (func $caught (result i32)))
      (import "" "text" (func $text (param i32 i32)))
      (import "" "after" (func $after))
      (tag $own)
      ;; 1 if the call ended well, 2 if a handler saw something.
      (func (export "body") (result i32)
        (block $seen
          (try_table (catch_all $seen) (call $body))
          (return (i32.const 1)))
        (i32.const 2))
      (func (export "tail") (result i32)
        (block $seen
          (try_table (catch_all $seen) (drop (call $tail (i32.const 5))))
          (return (i32.const 1)))
        (i32.const 2))
      (func (export "caught") (result i32) (call $caught))
      (func (export "text") (result i32)
        (block $seen
          (try_table (catch_all $seen) (call $text (i32.const 0) (i32.const 5)))
          (return (i32.const 1)))
        (i32.const 2))
      (func (export "after") (result i32)
        (block $seen
          (try_table (catch_all $seen) (call $after))
          (return (i32.const 1)))
        (i32.const 2))
      ;; Between two functions of one component all is as ever.
      (func $inner (throw $own))
      (func (export "own") (result i32)
        (block $seen
          (try_table (catch $own $seen) (call $inner))
          (return (i32.const 1)))
        (i32.const 2)))
    (core instance $core (instantiate $Core (with "" (instance
      (export "body" (func $body)) (export "tail" (func $tail)) (export "caught" (func $caught))
      (export "text" (func $text)) (export "after" (func $after))))))
    (func (export "body") (result u32) (canon lift (core func $core "body")))
    (func (export "tail") (result u32) (canon lift (core func $core "tail")))
    (func (export "caught") (result u32) (canon lift (core func $core "caught")))
    (func (export "text") (result u32) (canon lift (core func $core "text")))
    (func (export "after") (result u32) (canon lift (core func $core "after")))
    (func (export "own") (result u32) (canon lift (core func $core "own"))))

  (instance $thrower (instantiate $Thrower))
  (instance $catcher (instantiate $Catcher (with "thrower" (instance $thrower))))
  (export "calm" (func $thrower "calm"))
  (export "throw" (func $thrower "body"))
  (export "throw-for-text" (func $thrower "text"))
  (export "throw-after" (func $thrower "after"))
  (export "body" (func $catcher "body"))
  (export "tail" (func $catcher "tail"))
  (export "caught" (func $catcher "caught"))
  (export "text" (func $catcher "text"))
  (export "after" (func $catcher "after"))
  (export "own" (func $catcher "own")))

;; To another component.
(component instance $it $Pair)
(assert_trap (invoke "body") "uncaught exception propagated out of component")
(assert_trap (invoke "own") "cannot enter component instance")
(component instance $it $Pair)
(assert_trap (invoke "tail") "uncaught exception propagated out of component")
(component instance $it $Pair)
(assert_trap (invoke "text") "uncaught exception propagated out of component")
(component instance $it $Pair)
(assert_trap (invoke "after") "uncaught exception propagated out of component")

;; To the host.
(component instance $it $Pair)
(assert_trap (invoke "throw") "uncaught exception propagated out of component")
(component instance $it $Pair)
(assert_trap (invoke "throw-for-text" (str.const "hello")) "uncaught exception propagated out of component")
(component instance $it $Pair)
(assert_trap (invoke "throw-after") "uncaught exception propagated out of component")

;; And when nothing is thrown, or it is caught where it was thrown.
(component instance $it $Pair)
(assert_return (invoke "caught") (u32.const 7))
(assert_return (invoke "own") (u32.const 2))
(assert_return (invoke "calm"))
(assert_return (invoke "body") (u32.const 1))
(assert_return (invoke "tail") (u32.const 1))
(assert_return (invoke "text") (u32.const 1))
(assert_return (invoke "after") (u32.const 1))
(assert_return (invoke "throw-for-text" (str.const "hello")))

;; A destructor that throws, called because another component dropped the last handle.
(component
  (component $Owner
    (core module $Shim
      (table (export "table") 1 funcref)
      (func (export "dtor") (param i32) (call_indirect (param i32) (local.get 0) (i32.const 0))))
    (core instance $shim (instantiate $Shim))
    (type $thing (resource (rep i32) (dtor (core func $shim "dtor"))))
    (core func $new (canon resource.new $thing))
    (core module $Core
      (import "" "new" (func $new (param i32) (result i32)))
      (import "" "table" (table 1 funcref))
      (tag $oops)
      (elem (i32.const 0) func $dtor)
      (func $dtor (param i32) (if (local.get 0) (then (throw $oops))))
      (func (export "make") (param i32) (result i32) (call $new (local.get 0))))
    (core instance $core (instantiate $Core (with "" (instance
      (export "new" (func $new)) (export "table" (table $shim "table"))))))
    (export $public "thing" (type $thing))
    (func (export "make") (param "rep" u32) (result (own $public)) (canon lift (core func $core "make"))))
  (component $User
    (import "owner" (instance $owner
      (export "thing" (type $thing (sub resource)))
      (export "make" (func (param "rep" u32) (result (own $thing))))))
    (alias export $owner "thing" (type $thing))
    (core func $make (canon lower (func $owner "make")))
    (core func $drop (canon resource.drop $thing))
    (core module $Core
      (import "" "make" (func $make (param i32) (result i32)))
      (import "" "drop" (func $drop (param i32)))
      (func (export "run") (param i32) (result i32)
        (block $seen
          (try_table (catch_all $seen) (call $drop (call $make (local.get 0))))
          (return (i32.const 1)))
        (i32.const 2)))
    (core instance $core (instantiate $Core (with "" (instance
      (export "make" (func $make)) (export "drop" (func $drop))))))
    (func (export "run") (param "rep" u32) (result u32) (canon lift (core func $core "run"))))
  (instance $owner (instantiate $Owner))
  (instance $user (instantiate $User (with "owner" (instance $owner))))
  (export "run" (func $user "run")))
(assert_return (invoke "run" (u32.const 0)) (u32.const 1))
(assert_trap (invoke "run" (u32.const 1)) "uncaught exception propagated out of component")
