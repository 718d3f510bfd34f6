;; Gives `docs:math/add` with another type.
(component
  (core module $m
    (func (export "add") (param i32 i32) (result i32)
      (i32.add (local.get 0) (local.get 1))))
  (core instance $i (instantiate $m))
  (func $add (param "a" u32) (param "b" s32) (result u32)
    (canon lift (core func $i "add")))
  (instance $math (export "add" (func $add)))
  (export "docs:math/add@1.0.1" (instance $math)))
