;; Wants `docs:math/add`.
(component
  (import "docs:math/add@1.0.0" (instance $math
    (export "add" (func (param "a" u32) (param "b" u32) (result u32)))))
  (core func $add (canon lower (func $math "add")))
  (core module $m
    (import "" "add" (func $add (param i32 i32) (result i32)))
    (func (export "sum") (param i32 i32 i32) (result i32)
      (call $add (call $add (local.get 0) (local.get 1)) (local.get 2))))
  (core instance $i (instantiate $m (with "" (instance (export "add" (func $add))))))
  (func (export "sum") (param "a" u32) (param "b" u32) (param "c" u32) (result u32)
    (canon lift (core func $i "sum"))))
