(module $early
  (tag $hidden (param i32))
  (tag (export "other") (param i32))
  (func $throw (throw $hidden (i32.const 3)))
  (start $throw))
