//! The SSA text of representative functions.

use super::{checked_target, function, target, translated};
use crate::opt;
use expect_test::expect;

#[test]
fn a_loop_over_memory() {
    let wat = function(
        "(param $p i32) (param $n i32) (result i32) (local $sum i32)",
        "(block $done
            (br_if $done (i32.eqz (local.get $n)))
            (loop $next
                (local.set $sum (i32.add (local.get $sum) (i32.load offset=8 (local.get $p))))
                (local.set $p (i32.add (local.get $p) (i32.const 4)))
                (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
         local.get $sum",
    );
    let mut func = translated(&wat, &target());
    expect![[r#"
        func f0(i32, i32) -> (i32) {
        b0(v0: i32, v1: i32):
          v13: i32 = const 0
          v2: i32 = const 0
          v3: i32 = eq i32 v1, v2
          branch v3, b1(v13), b2
        b2:
          jump b3(v13, v0, v1)
        b3(v4: i32, v5: i32, v10: i32):
          v6: i32 = load m0[v5 + 8]
          v7: i32 = add v4, v6
          v8: i32 = const 4
          v9: i32 = add v5, v8
          v11: i32 = const 1
          v12: i32 = sub v10, v11
          branch v12, b3(v7, v9, v12), b4
        b4:
          jump b1(v7)
        b1(v14: i32):
          return v14
        }
    "#]]
    .assert_eq(&func.to_string());
    opt::run(&mut func, opt::tests::config(opt::Passes::ALL), |_, _| {});
    expect![[r#"
        func f0(i32, i32) -> (i32) {
        b0(v0: i32, v1: i32):
          v13: i32 = const 0
          v8: i32 = const 4
          v15: i32 = const -1
          branch v1, b2, b1(v13)
        b2:
          jump b3(v13, v0, v1)
        b3(v4: i32, v5: i32, v10: i32):
          v6: i32 = load m0[v5 + 8]
          v7: i32 = add v4, v6
          v9: i32 = add v5, v8
          v12: i32 = add v10, v15
          branch v12, b3(v7, v9, v12), b4
        b4:
          jump b1(v7)
        b1(v14: i32):
          return v14
        }
    "#]]
    .assert_eq(&func.to_string());
}

#[test]
fn a_switch_with_arguments() {
    let wat = function(
        "(param i32) (result i32)",
        "(block $a (result i32)
            (block $b (result i32)
                (i32.const 5) (br_table $a $b (local.get 0)))
            (local.set 0 (i32.const 2))
            i32.const 3 i32.mul)
         local.get 0 i32.xor",
    );
    expect![[r#"
        func f0(i32) -> (i32) {
        b0(v0: i32):
          v1: i32 = const 5
          switch v0, b3, b4
        b3:
          jump b1(v1, v0)
        b4:
          jump b2(v1)
        b2(v3: i32):
          v4: i32 = const 2
          v5: i32 = const 3
          v6: i32 = mul v3, v5
          jump b1(v6, v4)
        b1(v2: i32, v7: i32):
          v8: i32 = xor v2, v7
          return v8
        }
    "#]]
    .assert_eq(&translated(&wat, &target()).to_string());
}

#[test]
fn checked_accesses_and_library_calls() {
    let wat = function(
        "(param i32 i64)",
        "(i64.store16 offset=70000 (local.get 0) (local.get 1))
         (f32.store offset=4 (local.get 0) (f32.const -0.5))
         (memory.fill (local.get 0) (i32.const 1) (memory.grow (i32.const 0)))",
    );
    expect![[r#"
        func f0(i32, i64) -> () {
        b0(v0: i32, v1: i64):
          v2: i64 = extend_u v0
          v3: i64 = const 70000
          v4: i64 = add v2, v3
          v5: i64 = bounds_check m0, v4, slack 0
          store16 m0[v5 + 0], v1
          v6: f32 = const -0.5
          v7: i64 = bounds_check m0, v0, slack 0
          store m0[v7 + 4], v6
          v8: i32 = const 1
          v9: i32 = const 0
          v10: i32 = const 0
          v11: i64 = extend_u v9
          v12: i64 = call_library lib0(v10, v11)
          v13: i32 = wrap v12
          v14: i32 = const 0
          v15: i64 = extend_u v0
          v16: i64 = extend_u v13
          call_library lib2(v14, v15, v8, v16)
          return
        }
    "#]]
    .assert_eq(&translated(&wat, &checked_target()).to_string());
}
