(component
  (type $state' (enum "busy" "ok"))
  (export $state "state" (type $state'))
  (type $left' (variant (case "none" u8) (case "all")))
  (export $left "left" (type $left'))
  (core module $m (func (export "echo") (param i32 i32 i32) (result i32) (local.get 0)))
  (core instance $m (instantiate $m))
  (func (export "echo") (param "now" $state) (param "left" $left) (result $state)
    (canon lift (core func $m "echo"))))
