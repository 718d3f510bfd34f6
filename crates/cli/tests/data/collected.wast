(module (type (struct)) (func (export "f")))
(assert_return (invoke "f"))
(module (func (export "g")))
(assert_return (invoke "g"))
