(module
  (tag $e (param i32))
  (func (export "caught") (param i32) (result i32) (try (result i32)
    (do (throw $e (local.get 0)))
    (catch_all (i32.cons 0)))))
