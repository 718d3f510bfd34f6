;; The same, to a function that is imported by itself.
(component
  (import "t:a/res@0.2.0" (instance $a (export "r" (type $r (sub resource)))
    (export "make" (func (param "v" u32) (result (own $r))))))
  (alias export $a "r" (type $r))
  (import "double" (func $double (param "x" (own $r)) (result u32)))
  (core func $make (canon lower (func $a "make")))
  (core func $double (canon lower (func $double)))
  (core module $m (import "" "make" (func $make (param i32) (result i32))) (import "" "double" (func $double (param i32) (result i32)))
    (func (export "run") (param i32) (result i32) (call $double (call $make (local.get 0)))))
  (core instance $m (instantiate $m (with "" (instance (export "make" (func $make)) (export "double" (func $double))))))
  (func (export "run") (param "x" u32) (result u32) (canon lift (core func $m "run"))))
