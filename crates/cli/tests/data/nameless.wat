;; Functions without any name, the first of them empty.
(module
  (import "host" "log" (func))
  (func)
  (func (result i32) (i32.const 7)))
