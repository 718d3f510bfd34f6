(module)
(assert_beauty (invoke "f"))
