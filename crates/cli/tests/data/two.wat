(component
  (core module $m (func (export "f") (result i32) (i32.const 1)))
  (core instance $m (instantiate $m))
  (func $f (result u32) (canon lift (core func $m "f")))
  (instance $a (export "f" (func $f)))
  (instance $b (export "f" (func $f)))
  (export "docs:two/a" (instance $a))
  (export "docs:two/b" (instance $b)))
