;; The same types, imported and exported.
(module
  (type $unary (func (param i32) (result i64)))
  (type $nested (func (param (ref $unary))))
  (import "host" "callbacks" (table $callbacks 1 10 (ref null $unary)))
  (import "host" "first" (global $first (mut (ref $unary))))
  (import "host" "nested" (global $nested (ref null $nested)))
  (import "host" "plain" (global externref))
  (export "callbacks" (table $callbacks))
  (export "first" (global $first))
  (export "nested" (global $nested)))
