;; Stands between: adds by means of another adder, and doubles.
(component
  (import "docs:math/add@1.0.0" (instance $math
    (export "add" (func (param "a" u32) (param "b" u32) (result u32)))))
  (core func $add (canon lower (func $math "add")))
  (core module $m
    (import "" "add" (func $add (param i32 i32) (result i32)))
    (func (export "add") (param i32 i32) (result i32)
      (i32.mul (call $add (local.get 0) (local.get 1)) (i32.const 3))))
  (core instance $i (instantiate $m (with "" (instance (export "add" (func $add))))))
  (func $own (param "a" u32) (param "b" u32) (result u32)
    (canon lift (core func $i "add")))
  (instance $out (export "add" (func $own)))
  (export "docs:math/add@1.0.0" (instance $out)))
