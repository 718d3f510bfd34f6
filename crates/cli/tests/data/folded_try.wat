;; The folded form of the older exceptions, which only the command reads.
(module
  (tag $e (param i32))
  (func (export "caught") (param i32) (result i32)
    (i32.add (i32.const 1) ;; (do
      (try $l (result i32)
        (do (throw $e (local.get 0)))
        (catch $e (i32.mul (i32.const 2)))
        (catch_all (i32.const 0))))))
