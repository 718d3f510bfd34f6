;; Never ends by itself.
;;   cellwall run --timeout 1s examples/spin.wat
(module
  (func $spin (export "_start")
    (loop $forever (br $forever))))
