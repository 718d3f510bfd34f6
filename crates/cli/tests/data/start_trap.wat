;; Traps before anything is called.
(module $early
  (func $boom unreachable)
  (start $boom)
  (func (export "_start")))
