//! Text in, SSA text out. That the passes keep the meaning is tested with translation.

use super::{Config, Imports, Passes};
use crate::translate::translate_for_tests as translated;
use cellwall_ir::check;
use expect_test::{Expect, expect};

/// In a module that imports two memories and two globals.
pub(crate) fn config(passes: Passes) -> Config {
    let (memories, globals) = (2, 2);
    Config {
        passes,
        imports: Imports {
            memories,
            globals,
            shared: 0,
        },
    }
}

/// The optimized form of `(func (param i32 i32 i64) (result …) body)`.
fn optimizes(result: &str, body: &str, expected: Expect) {
    let wat = format!("(module (memory 1) (func (param i32 i32 i64) (result {result}) {body}))");
    let mut func = translated(&wat);
    super::run(&mut func, config(Passes::ALL), |_, func| {
        check(func).expect("every step keeps the rules")
    });
    check(&func).unwrap_or_else(|e| panic!("{e}\n{func}"));
    expected.assert_eq(&func.to_string());
}

#[test]
fn constants_fold_but_traps_stay() {
    optimizes(
        "i32",
        "(i32.mul (i32.const 6) (i32.add (i32.const 3) (i32.const 4)))",
        expect![[r#"
            func f0(i32, i32, i64) -> (i32) {
            b0(v0: i32, v1: i32, v2: i64):
              v7: i32 = const 42
              return v7
            }
        "#]],
    );
    optimizes(
        "i32",
        "(i32.div_u (i32.const 6) (i32.const 0))",
        expect![[r#"
        func f0(i32, i32, i64) -> (i32) {
        b0(v0: i32, v1: i32, v2: i64):
          v3: i32 = const 6
          v4: i32 = const 0
          v5: i32 = div_u v3, v4
          return v5
        }
    "#]],
    );
}

#[test]
fn constants_move_right_and_meet() {
    optimizes(
        "i32",
        "(i32.sub (i32.add (i32.const 7) (local.get 0)) (i32.const 10))",
        expect![[r#"
            func f0(i32, i32, i64) -> (i32) {
            b0(v0: i32, v1: i32, v2: i64):
              v8: i32 = const -3
              v6: i32 = add v0, v8
              return v6
            }
        "#]],
    );
    optimizes(
        "i64",
        "(i64.rem_u (local.get 2) (i64.const 16))",
        expect![[r#"
        func f0(i32, i32, i64) -> (i64) {
        b0(v0: i32, v1: i32, v2: i64):
          v5: i64 = const 15
          v4: i64 = and v2, v5
          return v4
        }
    "#]],
    );
    optimizes(
        "i32",
        "(i32.and (i32.and (local.get 0) (i32.const 0xff0)) (i32.const 0xff))",
        expect![[r#"
            func f0(i32, i32, i64) -> (i32) {
            b0(v0: i32, v1: i32, v2: i64):
              v7: i32 = const 240
              v6: i32 = and v0, v7
              return v6
            }
        "#]],
    );
}

#[test]
fn conditions_lose_their_tests_of_zero() {
    optimizes(
        "i32",
        "(if (result i32) (i32.eqz (i32.eqz (i32.eqz (local.get 0)))) (then i32.const 1) (else local.get 1))",
        expect![[r#"
            func f0(i32, i32, i64) -> (i32) {
            b0(v0: i32, v1: i32, v2: i64):
              v9: i32 = const 1
              v11: i32 = select v0, v1, v9
              return v11
            }
        "#]],
    );
    optimizes(
        "i32",
        "(select (local.get 0) (local.get 1) (i32.eqz (i64.lt_s (local.get 2) (i64.const 5))))",
        expect![[r#"
            func f0(i32, i32, i64) -> (i32) {
            b0(v0: i32, v1: i32, v2: i64):
              v3: i64 = const 5
              v6: i32 = ge_s i64 v2, v3
              v7: i32 = select v6, v0, v1
              return v7
            }
        "#]],
    );
    // Without an inverse, the test of a float comparison stays in a value, not in a branch.
    optimizes(
        "i32",
        "(i32.eqz (f64.lt (f64.convert_i64_s (local.get 2)) (f64.const 1)))",
        expect![[r#"
            func f0(i32, i32, i64) -> (i32) {
            b0(v0: i32, v1: i32, v2: i64):
              v4: f64 = const 1.0
              v6: i32 = const 0
              v3: f64 = convert_s v2
              v5: i32 = flt f64 v3, v4
              v7: i32 = eq i32 v5, v6
              return v7
            }
        "#]],
    );
}

#[test]
fn blocks_that_cannot_run_are_removed() {
    optimizes(
        "i32",
        "(if (i32.const 0) (then (i32.store (i32.const 0) (i32.const 1))))
         (block $a (block $b (br_table $a $b (i32.const 7))) (local.set 0 (i32.const 9)))
         local.get 0",
        expect![[r#"
            func f0(i32, i32, i64) -> (i32) {
            b0(v0: i32, v1: i32, v2: i64):
              v7: i32 = const 9
              return v7
            }
        "#]],
    );
}

#[test]
fn what_nothing_depends_on_is_removed_and_what_traps_is_not() {
    optimizes(
        "i32",
        "(drop (i32.mul (local.get 0) (local.get 1)))
         (drop (i32.load (local.get 0)))
         (drop (i32.div_s (local.get 0) (local.get 1)))
         local.get 1",
        expect![[r#"
            func f0(i32, i32, i64) -> (i32) {
            b0(v0: i32, v1: i32, v2: i64):
              v4: i32 = load m0[v0 + 0]
              v5: i32 = div_s v0, v1
              return v1
            }
        "#]],
    );
}

#[test]
fn a_dead_variable_of_a_loop_is_removed() {
    optimizes(
        "i32",
        "(loop (local.set 2 (i64.add (local.get 2) (i64.const 1)))
               (br_if 0 (local.tee 0 (i32.shr_u (local.get 0) (i32.const 1)))))
         local.get 1",
        expect![[r#"
            func f0(i32, i32, i64) -> (i32) {
            b0(v0: i32, v1: i32, v2: i64):
              v7: i32 = const 1
              jump b1(v0)
            b1(v6: i32):
              v8: i32 = shr_u v6, v7
              branch v8, b1(v8), b2
            b2:
              return v1
            }
        "#]],
    );
}

#[test]
fn division_by_a_constant_multiplies() {
    optimizes(
        "i32",
        "(i32.div_u (local.get 0) (i32.const 10))",
        expect![[r#"
            func f0(i32, i32, i64) -> (i32) {
            b0(v0: i32, v1: i32, v2: i64):
              v6: i64 = const 3435973837
              v8: i64 = const 35
              v5: i64 = extend_u v0
              v7: i64 = mul v5, v6
              v9: i64 = shr_u v7, v8
              v4: i32 = wrap v9
              return v4
            }
        "#]],
    );
    optimizes(
        "i32",
        "(i32.rem_s (local.get 0) (i32.const 7))",
        expect![[r#"
            func f0(i32, i32, i64) -> (i32) {
            b0(v0: i32, v1: i32, v2: i64):
              v3: i32 = const 7
              v6: i64 = const 2454267027
              v8: i64 = const 34
              v11: i32 = const 31
              v5: i64 = extend_s v0
              v7: i64 = mul v5, v6
              v9: i64 = shr_s v7, v8
              v10: i32 = wrap v9
              v12: i32 = shr_u v0, v11
              v13: i32 = add v10, v12
              v15: i32 = mul v13, v3
              v4: i32 = sub v0, v15
              return v4
            }
        "#]],
    );
    optimizes(
        "i64",
        "(i64.div_s (local.get 2) (i64.const 8))",
        expect![[r#"
            func f0(i32, i32, i64) -> (i64) {
            b0(v0: i32, v1: i32, v2: i64):
              v5: i64 = const 63
              v7: i64 = const 61
              v10: i64 = const 3
              v6: i64 = shr_s v2, v5
              v8: i64 = shr_u v6, v7
              v9: i64 = add v2, v8
              v4: i64 = shr_s v9, v10
              return v4
            }
        "#]],
    );
    // It may overflow, so it stays.
    optimizes(
        "i32",
        "(i32.div_s (local.get 0) (i32.const -1))",
        expect![[r#"
        func f0(i32, i32, i64) -> (i32) {
        b0(v0: i32, v1: i32, v2: i64):
          v3: i32 = const -1
          v4: i32 = div_s v0, v3
          return v4
        }
    "#]],
    );
}

#[test]
fn what_a_dominating_block_computed_is_not_computed_again() {
    // Also what traps; in the order of operands that came first.
    optimizes(
        "i32",
        "(local $x i32)
         (local.set $x (i32.div_s (local.get 0) (local.get 1)))
         (if (local.get 1) (then
           (local.set $x (i32.add (local.get $x) (i32.mul
             (i32.div_s (local.get 0) (local.get 1))
             (i32.add (i32.add (local.get 0) (local.get 1)) (i32.add (local.get 1) (local.get 0))))))))
         local.get $x",
        expect![[r#"
            func f0(i32, i32, i64) -> (i32) {
            b0(v0: i32, v1: i32, v2: i64):
              v3: i32 = div_s v0, v1
              branch v1, b1, b2(v3)
            b1:
              v5: i32 = add v0, v1
              v7: i32 = add v5, v5
              v8: i32 = mul v3, v7
              v9: i32 = add v3, v8
              jump b2(v9)
            b2(v10: i32):
              return v10
            }
        "#]],
    );
}

#[test]
fn what_another_branch_computed_is_computed_again() {
    optimizes(
        "i32",
        "(local $x i32)
         (if (i32.wrap_i64 (local.get 2))
           (then (local.set $x (i32.mul (local.get 0) (local.get 1))))
           (else (local.set $x (i32.const 3))))
         (i32.sub (local.get $x) (i32.mul (local.get 1) (local.get 0)))",
        expect![[r#"
            func f0(i32, i32, i64) -> (i32) {
            b0(v0: i32, v1: i32, v2: i64):
              v5: i32 = const 3
              v3: i32 = wrap v2
              branch v3, b1, b3
            b1:
              v4: i32 = mul v0, v1
              jump b2(v4)
            b3:
              jump b2(v5)
            b2(v6: i32):
              v9: i32 = mul v1, v0
              v10: i32 = sub v6, v9
              return v10
            }
        "#]],
    );
}

#[test]
fn a_variable_that_gets_the_same_on_every_way_is_none() {
    optimizes(
        "i32",
        "(local $x i32)
         (if (i32.wrap_i64 (local.get 2))
           (then (local.set $x (i32.mul (local.get 0) (i32.const 5)))
                 (i32.store (i32.const 0) (i32.mul (local.get 0) (i32.const 5))))
           (else (local.set $x (i32.const 3))))
         (block
           (br_if 0 (local.get 1))
           (local.set $x (i32.or (local.get $x) (local.get $x))))
         local.get $x",
        expect![[r#"
            func f0(i32, i32, i64) -> (i32) {
            b0(v0: i32, v1: i32, v2: i64):
              v4: i32 = const 5
              v6: i32 = const 0
              v9: i32 = const 3
              v3: i32 = wrap v2
              branch v3, b1, b3
            b1:
              v5: i32 = mul v0, v4
              store m0[v6 + 0], v5
              jump b2(v5)
            b3:
              jump b2(v9)
            b2(v11: i32):
              return v11
            }
        "#]],
    );
}

#[test]
fn a_condition_is_decided_once() {
    optimizes(
        "i32",
        "(if (result i32) (i32.lt_s (local.get 0) (local.get 1))
           (then (if (result i32) (i32.gt_s (local.get 1) (local.get 0))
                   (then (i32.const 1)) (else (unreachable))))
           (else (select (i32.const 2) (i32.const 3) (i32.ge_s (local.get 0) (local.get 1)))))",
        expect![[r#"
            func f0(i32, i32, i64) -> (i32) {
            b0(v0: i32, v1: i32, v2: i64):
              v5: i32 = const 1
              v8: i32 = const 2
              v3: i32 = lt_s i32 v0, v1
              v12: i32 = select v3, v5, v8
              return v12
            }
        "#]],
    );
    // Where the two ways meet again, it is open.
    optimizes(
        "i32",
        "(if (local.get 0) (then (local.set 1 (i32.const 4))))
         (select (local.get 1) (i32.const 3) (local.get 0))",
        expect![[r#"
            func f0(i32, i32, i64) -> (i32) {
            b0(v0: i32, v1: i32, v2: i64):
              v3: i32 = const 4
              v5: i32 = const 3
              v8: i32 = select v0, v3, v1
              v7: i32 = select v0, v8, v5
              return v7
            }
        "#]],
    );
}

#[test]
fn what_was_stored_or_loaded_is_not_loaded_again() {
    // Widths that differ in how they extend are made of what was stored.
    optimizes(
        "i32",
        "(i32.store8 (local.get 0) (local.get 1))
         (i32.store offset=4 (local.get 0) (local.get 1))
         (i64.store offset=8 (local.get 0) (local.get 2))
         (i32.add (i32.load8_s (local.get 0))
           (i32.add (i32.load offset=4 (local.get 0))
                    (i32.add (i32.load offset=12 (local.get 0)) (i32.load offset=12 (local.get 0)))))",
        expect![[r#"
            func f0(i32, i32, i64) -> (i32) {
            b0(v0: i32, v1: i32, v2: i64):
              store8 m0[v0 + 0], v1
              store m0[v0 + 4], v1
              store m0[v0 + 8], v2
              v3: i32 = sext8 v1
              v5: i32 = load m0[v0 + 12]
              v7: i32 = add v5, v5
              v8: i32 = add v1, v7
              v9: i32 = add v3, v8
              return v9
            }
        "#]],
    );
    // Another base, an overlap, a call: each ends it.
    optimizes(
        "i32",
        "(local $x i32)
         (local.set $x (i32.load (local.get 0)))
         (i32.store8 (local.get 1) (i32.const 1))
         (local.set $x (i32.add (local.get $x) (i32.load (local.get 0))))
         (i32.store16 (i32.add (local.get 0) (i32.const 3)) (i32.const 1))
         (local.set $x (i32.add (local.get $x) (i32.load (local.get 0))))
         (i32.add (local.get $x) (i32.load (local.get 0)))",
        expect![[r#"
            func f0(i32, i32, i64) -> (i32) {
            b0(v0: i32, v1: i32, v2: i64):
              v4: i32 = const 1
              v7: i32 = const 3
              v3: i32 = load m0[v0 + 0]
              store8 m0[v1 + 0], v4
              v5: i32 = load m0[v0 + 0]
              v6: i32 = add v3, v5
              v8: i32 = add v0, v7
              store16 m0[v8 + 0], v4
              v10: i32 = load m0[v0 + 0]
              v11: i32 = add v6, v10
              v13: i32 = add v11, v10
              return v13
            }
        "#]],
    );
}

#[test]
fn what_a_loop_does_not_change_is_known_in_it() {
    optimizes(
        "i32",
        "(local $x i32)
         (local.set $x (i32.load (local.get 0)))
         (loop (local.set $x (i32.add (local.get $x) (i32.load (local.get 0))))
           (br_if 0 (local.tee 1 (i32.sub (local.get 1) (i32.const 1)))))
         local.get $x",
        expect![[r#"
            func f0(i32, i32, i64) -> (i32) {
            b0(v0: i32, v1: i32, v2: i64):
              v11: i32 = const -1
              v3: i32 = load m0[v0 + 0]
              jump b1(v3, v1)
            b1(v4: i32, v8: i32):
              v7: i32 = add v4, v3
              v10: i32 = add v8, v11
              branch v10, b1(v7, v10), b2
            b2:
              return v7
            }
        "#]],
    );
    optimizes(
        "i32",
        "(local $x i32)
         (local.set $x (i32.load (local.get 0)))
         (loop (local.set $x (i32.add (local.get $x) (i32.load (local.get 0))))
           (i32.store (local.get 1) (local.get 1))
           (br_if 0 (local.tee 1 (i32.sub (local.get 1) (i32.const 1)))))
         local.get $x",
        expect![[r#"
            func f0(i32, i32, i64) -> (i32) {
            b0(v0: i32, v1: i32, v2: i64):
              v11: i32 = const -1
              v3: i32 = load m0[v0 + 0]
              jump b1(v3, v1)
            b1(v4: i32, v8: i32):
              v6: i32 = load m0[v0 + 0]
              v7: i32 = add v4, v6
              store m0[v8 + 0], v8
              v10: i32 = add v8, v11
              branch v10, b1(v7, v10), b2
            b2:
              return v7
            }
        "#]],
    );
}

/// A loop may wait for what another thread stores in a shared memory: it loads each time.
#[test]
fn a_loop_sees_what_another_thread_stores() {
    let loads_in_loops = |memory: &str| {
        let wat = format!(
            "(module (memory 1 1 {memory}) (func (param i32)
               (if (i32.load (local.get 0)) (then (return)))
               (loop (br_if 0 (i32.eqz (i32.load (local.get 0)))))
               (loop (br_if 0 (i32.eqz (i32.load (i32.const 8)))))))"
        );
        let module = cellwall_wasm::decode(wat::parse_str(&wat).expect("it is text")).expect("it is valid");
        let mut func = translated(&wat);
        super::run(&mut func, Config::of(&module, Passes::ALL), |_, func| {
            check(func).expect("every step keeps the rules")
        });
        let in_loop = |&&block: &&cellwall_ir::Block| {
            let mut back = false;
            func.for_each_target(func.terminator(block), |to| back |= to.block == block);
            back
        };
        let insts = func
            .order
            .iter()
            .filter(in_loop)
            .flat_map(|&block| &func.blocks[block].insts);
        insts
            .filter(|&&inst| matches!(func.insts[inst].data, cellwall_ir::InstData::Load { .. }))
            .count()
    };
    assert_eq!(loads_in_loops("shared"), 2);
    assert_eq!(loads_in_loops(""), 0);
}

#[test]
fn a_store_of_what_is_there_is_removed() {
    optimizes(
        "i32",
        "(local $x i32)
         (local.set $x (i32.load8_u (local.get 0)))
         (i32.store8 (local.get 0) (local.get $x))
         (i32.store16 (local.get 0) (local.get $x))
         local.get $x",
        expect![[r#"
            func f0(i32, i32, i64) -> (i32) {
            b0(v0: i32, v1: i32, v2: i64):
              v3: i32 = load_u8 m0[v0 + 0]
              store16 m0[v0 + 0], v3
              return v3
            }
        "#]],
    );
}

#[test]
fn a_wide_product_in_halves_is_two_multiplications() {
    // `__multi3` of compiler-rt, as clang compiles it, without the high words of the factors.
    let wide = |mask: u64| {
        format!(
            "(module (memory 1) (func (param $to i32) (param $x i64) (param $y i64)
               (local $p i64) (local $xh i64) (local $t i64) (local $u i64)
               (i64.store offset=8 (local.get $to)
                 (i64.add
                   (i64.add
                     (i64.mul
                       (local.tee $p (i64.shr_u (local.get $y) (i64.const 32)))
                       (local.tee $xh (i64.shr_u (local.get $x) (i64.const 32))))
                     (i64.shr_u
                       (local.tee $t
                         (i64.add
                           (i64.shr_u
                             (i64.mul
                               (i64.and (local.get $y) (i64.const {mask}))
                               (i64.and (local.get $x) (i64.const 4294967295)))
                             (i64.const 32))
                           (i64.mul (i64.and (local.get $y) (i64.const {mask})) (local.get $xh))))
                       (i64.const 32)))
                   (i64.shr_u
                     (i64.add
                       (i64.and (local.get $t) (i64.const 4294967295))
                       (i64.mul (local.get $p) (i64.and (local.get $x) (i64.const 4294967295))))
                     (i64.const 32))))))"
        )
    };
    let optimized = |wat: &str| {
        let mut func = translated(wat);
        super::run(&mut func, config(Passes::ALL), |_, _| {});
        check(&func).unwrap_or_else(|e| panic!("{e}\n{func}"));
        func.to_string()
    };
    let text = optimized(&wide(0xffff_ffff));
    assert_eq!(
        (text.matches("mul_high_u").count(), text.matches("= mul ").count()),
        (1, 0),
        "{text}"
    );
    // With another mask it is another function.
    let text = optimized(&wide(0x7fff_ffff));
    assert_eq!(
        (text.matches("mul_high_u").count(), text.matches("= mul ").count()),
        (0, 4),
        "{text}"
    );
}

#[test]
fn what_is_the_same_in_every_iteration_moves_out() {
    optimizes(
        "i32",
        "(local $x i32)
         (loop
           (local.set $x (i32.add (local.get $x) (i32.mul (local.get 0) (i32.const 10))))
           (local.set $x (i32.add (local.get $x) (i32.load (local.get 0))))
           (br_if 0 (local.tee 1 (i32.sub (local.get 1) (i32.const 1)))))
         local.get $x",
        expect![[r#"
            func f0(i32, i32, i64) -> (i32) {
            b0(v0: i32, v1: i32, v2: i64):
              v13: i32 = const 0
              v5: i32 = const 10
              v14: i32 = const -1
              v6: i32 = mul v0, v5
              v8: i32 = load m0[v0 + 0]
              jump b1(v13, v1)
            b1(v3: i32, v10: i32):
              v7: i32 = add v3, v6
              v9: i32 = add v7, v8
              v12: i32 = add v10, v14
              branch v12, b1(v9, v12), b2
            b2:
              return v9
            }
        "#]],
    );
    // What may trap stays behind what has an effect, and what is stored is loaded again.
    optimizes(
        "i32",
        "(local $x i32)
         (loop
           (local.set $x (i32.div_u (local.get $x) (local.get 1)))
           (local.set $x (i32.add (local.get $x) (i32.load (local.get 0))))
           (br_if 0 (local.tee 1 (i32.sub (local.get 1) (i32.const 1)))))
         (loop
           (local.set $x (i32.add (local.get $x) (i32.load (local.get 0))))
           (i32.store (local.get $x) (i32.const 0))
           (br_if 0 (local.tee $x (i32.sub (local.get $x) (i32.const 1)))))
         local.get $x",
        expect![[r#"
            func f0(i32, i32, i64) -> (i32) {
            b0(v0: i32, v1: i32, v2: i64):
              v11: i32 = const 0
              v19: i32 = const -1
              jump b1(v11, v1)
            b1(v3: i32, v4: i32):
              v5: i32 = div_u v3, v4
              v7: i32 = load m0[v0 + 0]
              v8: i32 = add v5, v7
              v10: i32 = add v4, v19
              branch v10, b1(v8, v10), b2
            b2:
              jump b3(v8)
            b3(v12: i32):
              v14: i32 = load m0[v0 + 0]
              v15: i32 = add v12, v14
              store m0[v15 + 0], v11
              v18: i32 = add v15, v19
              branch v18, b3(v18), b4
            b4:
              return v18
            }
        "#]],
    );
}

#[test]
fn every_pass_is_switched_by_itself() {
    for (at, (name, pass)) in Passes::ROWS.iter().enumerate() {
        for (other, theirs) in &Passes::ROWS[at + 1..] {
            assert!(
                Passes::NONE.with(*pass).without(*theirs).contains(*pass),
                "{name}, {other}"
            );
        }
    }
}

/// What becomes of a switch over the first parameter with these cases, the last one the default.
fn switch_becomes(cases: &[u32], index: &str, expected: Expect) {
    let targets: Vec<String> = cases.iter().map(u32::to_string).collect();
    let body = format!(
        "(block (block (block (block (br_table {} {index}))
           (return (i32.const 10))) (return (i32.const 11))) (return (i32.const 12))) (i32.const 13)",
        targets.join(" ")
    );
    optimizes("i32", &body, expected);
}

#[test]
fn switches_of_few_runs_become_comparisons() {
    // Only 0 is special.
    switch_becomes(
        &[1, 0, 0],
        "(local.get 0)",
        expect![[r#"
        func f0(i32, i32, i64) -> (i32) {
        b0(v0: i32, v1: i32, v2: i64):
          v4: i32 = const 11
          v3: i32 = const 10
          branch v0, b2, b1
        b2:
          return v3
        b1:
          return v4
        }
    "#]],
    );
    // One entry between two that go elsewhere.
    switch_becomes(
        &[0, 0, 1, 0],
        "(local.get 0)",
        expect![[r#"
        func f0(i32, i32, i64) -> (i32) {
        b0(v0: i32, v1: i32, v2: i64):
          v4: i32 = const 11
          v3: i32 = const 10
          v5: i32 = const 2
          v6: i32 = eq i32 v0, v5
          branch v6, b2, b1
        b1:
          return v3
        b2:
          return v4
        }
    "#]],
    );
    // Four runs.
    switch_becomes(
        &[0, 1, 2, 3],
        "(local.get 0)",
        expect![[r#"
        func f0(i32, i32, i64) -> (i32) {
        b0(v0: i32, v1: i32, v2: i64):
          v3: i32 = const 10
          v4: i32 = const 11
          v5: i32 = const 12
          v6: i32 = const 13
          branch v0, b5, b1
        b5:
          v7: i32 = const 2
          v8: i32 = lt_u i32 v0, v7
          branch v8, b2, b6
        b6:
          v9: i32 = const 3
          v10: i32 = lt_u i32 v0, v9
          branch v10, b3, b4
        b1:
          return v3
        b2:
          return v4
        b3:
          return v5
        b4:
          return v6
        }
    "#]],
    );
    // All the same.
    switch_becomes(
        &[2, 2, 2],
        "(local.get 0)",
        expect![[r#"
            func f0(i32, i32, i64) -> (i32) {
            b0(v0: i32, v1: i32, v2: i64):
              v3: i32 = const 12
              return v3
            }
        "#]],
    );
}

#[test]
fn switches_of_two_targets_become_tests_of_a_bit() {
    switch_becomes(
        &[0, 1, 0, 1, 1, 0, 1, 0],
        "(local.get 0)",
        expect![[r#"
        func f0(i32, i32, i64) -> (i32) {
        b0(v0: i32, v1: i32, v2: i64):
          v4: i32 = const 11
          v3: i32 = const 10
          v5: i32 = const 7
          v6: i32 = lt_u i32 v0, v5
          branch v6, b3, b1
        b3:
          v7: i32 = const 90
          v8: i32 = shr_u v7, v0
          v9: i32 = const 1
          v10: i32 = and v8, v9
          branch v10, b2, b1
        b1:
          return v3
        b2:
          return v4
        }
    "#]],
    );
    // Three targets do not.
    switch_becomes(
        &[0, 1, 0, 2, 1, 0, 1, 0],
        "(local.get 0)",
        expect![[r#"
        func f0(i32, i32, i64) -> (i32) {
        b0(v0: i32, v1: i32, v2: i64):
          v5: i32 = const 12
          v4: i32 = const 11
          v3: i32 = const 10
          switch v0, b1, b2, b1, b3, b2, b1, b2, b1
        b1:
          return v3
        b2:
          return v4
        b3:
          return v5
        }
    "#]],
    );
}

#[test]
fn what_an_index_cannot_be_is_no_run() {
    // Nothing is left of what is out of reach.
    switch_becomes(
        &[0, 1, 2, 3],
        "(i32.and (local.get 0) (i32.const 1))",
        expect![[r#"
            func f0(i32, i32, i64) -> (i32) {
            b0(v0: i32, v1: i32, v2: i64):
              v3: i32 = const 1
              v5: i32 = const 10
              v6: i32 = const 11
              v7: i32 = const 12
              v8: i32 = const 13
              v4: i32 = and v0, v3
              branch v4, b2, b1
            b1:
              return v5
            b2:
              return v6
            }
        "#]],
    );
    // The fifth run is out of reach, so that four are left.
    switch_becomes(
        &[0, 1, 2, 3, 0],
        "(i32.and (local.get 0) (i32.const 3))",
        expect![[r#"
        func f0(i32, i32, i64) -> (i32) {
        b0(v0: i32, v1: i32, v2: i64):
          v3: i32 = const 3
          v6: i32 = const 11
          v7: i32 = const 12
          v8: i32 = const 13
          v5: i32 = const 10
          v4: i32 = and v0, v3
          branch v4, b5, b1
        b5:
          v9: i32 = const 2
          v10: i32 = lt_u i32 v4, v9
          branch v10, b2, b6
        b6:
          v11: i32 = const 3
          v12: i32 = lt_u i32 v4, v11
          branch v12, b3, b4
        b1:
          return v5
        b2:
          return v6
        b3:
          return v7
        b4:
          return v8
        }
    "#]],
    );
    switch_becomes(
        &[0, 1, 2, 3, 0],
        "(local.get 0)",
        expect![[r#"
        func f0(i32, i32, i64) -> (i32) {
        b0(v0: i32, v1: i32, v2: i64):
          v4: i32 = const 11
          v5: i32 = const 12
          v6: i32 = const 13
          v3: i32 = const 10
          switch v0, b1, b2, b3, b4, b1
        b1:
          return v3
        b2:
          return v4
        b3:
          return v5
        b4:
          return v6
        }
    "#]],
    );
}

#[test]
fn branches_that_choose_an_integer_become_selects() {
    optimizes(
        "i64",
        "(if (result i64) (local.get 0) (then (local.get 2)) (else (i64.const 5)))",
        expect![[r#"
            func f0(i32, i32, i64) -> (i64) {
            b0(v0: i32, v1: i32, v2: i64):
              v4: i64 = const 5
              v5: i64 = select v0, v2, v4
              return v5
            }
        "#]],
    );
    // What is done on the way is done on that way only.
    optimizes(
        "i32",
        "(if (result i32) (local.get 0) (then (i32.load (local.get 1))) (else (i32.const 5)))",
        expect![[r#"
            func f0(i32, i32, i64) -> (i32) {
            b0(v0: i32, v1: i32, v2: i64):
              v5: i32 = const 5
              branch v0, b1, b3
            b1:
              v3: i32 = load m0[v1 + 0]
              jump b2(v3)
            b3:
              jump b2(v5)
            b2(v4: i32):
              return v4
            }
        "#]],
    );
    // Two values, or a float, stay branches.
    optimizes(
        "i32 i32",
        "(if (result i32 i32) (local.get 0) (then (local.get 0) (local.get 1)) (else (local.get 1) (i32.const 5)))",
        expect![[r#"
            func f0(i32, i32, i64) -> (i32, i32) {
            b0(v0: i32, v1: i32, v2: i64):
              v5: i32 = const 5
              branch v0, b1, b3
            b1:
              jump b2(v0, v1)
            b3:
              jump b2(v1, v5)
            b2(v3: i32, v4: i32):
              return v3, v4
            }
        "#]],
    );
    optimizes(
        "f32",
        "(if (result f32) (local.get 0) (then (f32.const 1)) (else (f32.const 2)))",
        expect![[r#"
            func f0(i32, i32, i64) -> (f32) {
            b0(v0: i32, v1: i32, v2: i64):
              v3: f32 = const 1.0
              v5: f32 = const 2.0
              branch v0, b1, b3
            b1:
              jump b2(v3)
            b3:
              jump b2(v5)
            b2(v4: f32):
              return v4
            }
        "#]],
    );
}
