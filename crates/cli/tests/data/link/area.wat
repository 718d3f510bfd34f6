;; What `area.wit` says.
(module
  (memory (export "memory") 1)
  (func (export "area") (param i32 i32) (result i64)
    (i64.mul (i64.extend_i32_u (local.get 0)) (i64.extend_i32_u (local.get 1)))))
