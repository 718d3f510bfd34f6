(module $early
  (tag $own (export "own") (param i32))
  (func $throw (throw $own (i32.const 4)))
  (start $throw))
