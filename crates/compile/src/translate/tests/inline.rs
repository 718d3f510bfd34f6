//! What is inlined, what is not, and that it means the same: `returns` and `traps` run a module with
//! and without.

use super::{Inlining, module, returns, target, traps};
use crate::CompileError;
use crate::translate::translate;
use cellwall_base::FuncIdx;
use cellwall_ir::{Func, InstData, Trap, check};

/// The first function of a module with what is inlined into it.
fn inlined(wat: &str) -> Func {
    let module = module(wat);
    let func = FuncIdx::from_u32(module.imported_funcs());
    let func = translate(&module, func, &target(), &Inlining::of(&module)).expect("the module is valid");
    check(&func).unwrap_or_else(|e| panic!("{e}\n{func}"));
    func
}

/// How many calls are left in the first function, and how many were inlined.
fn calls(wat: &str) -> (usize, usize) {
    let func = inlined(wat);
    let left = func
        .order
        .iter()
        .flat_map(|&block| &func.blocks[block].insts)
        .filter(|&&inst| matches!(func.insts[inst].data, InstData::Call { .. }))
        .count();
    (left, func.inlined.len())
}

/// A module whose first function calls the second.
fn calling(callee: &str) -> String {
    format!(
        r#"(module (memory 1) (table 1 funcref)
             (func (export "f") (param i32) (result i32) (call $g (local.get 0)))
             (func $g (param i32) (result i32) {callee}))"#
    )
}

/// An expression of so many additions.
fn additions(count: usize) -> String {
    format!("(local.get 0) {}", "(i32.add (local.get 0))".repeat(count))
}

#[test]
fn a_small_body_takes_the_place_of_its_call() {
    let wat = calling("(i32.add (local.get 0) (i32.const 1))");
    assert_eq!(calls(&wat), (0, 1));
    returns(&wat, &[41], &[42]);
    // Results by `return`, by a branch to the function's label, and by falling out of it.
    let wat = calling(
        "(if (i32.eqz (local.get 0)) (then (return (i32.const 7))))
         (br_if 0 (i32.const 8) (i32.eq (local.get 0) (i32.const 1))) drop
         (block (result i32) (br_table 0 1 0 (i32.const 9) (i32.sub (local.get 0) (i32.const 2)))) drop
         (i32.const 10)",
    );
    assert_eq!(calls(&wat), (0, 1));
    for (arg, result) in [(0, 7), (1, 8), (2, 10), (3, 9), (4, 10)] {
        returns(&wat, &[arg], &[result]);
    }
}

#[test]
fn locals_of_a_body_are_zero_each_time() {
    let wat = r#"(module
        (func (export "f") (param i32) (result i32) (local i32)
          (loop
            (local.set 1 (i32.add (local.get 1) (call $g (local.get 0))))
            (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
          (local.get 1))
        (func $g (param i32) (result i32) (local i64 i32 f32)
          (local.set 2 (i32.add (local.get 2) (local.get 0)))
          (local.set 0 (i32.const 100))
          (local.get 2)))"#;
    assert_eq!(calls(wat), (0, 1));
    returns(wat, &[4], &[10]);
}

#[test]
fn a_body_that_does_not_end_makes_the_rest_unreachable() {
    // A body that may return, but not this time.
    let wat = calling("(if (i32.eqz (local.get 0)) (then (return (i32.const 1)))) unreachable");
    assert_eq!(calls(&wat), (0, 1));
    returns(&wat, &[0], &[1]);
    traps(&wat, &[1], Trap::Unreachable);
    // What only reports a failure is not worth it.
    assert_eq!(calls(&calling("unreachable")), (1, 0));
    let wat = r#"(module
        (func (export "f") (param i32) (result i32)
          (block (br_if 0 (local.get 0)) (call $g) (loop (br 0)))
          (i32.const 5))
        (func $g (loop (br 0 (drop (i32.div_u (i32.const 1) (i32.const 0)))))))"#;
    assert_eq!(calls(wat), (0, 1));
    returns(wat, &[1], &[5]);
    traps(wat, &[0], Trap::IntegerDivisionByZero);
}

/// What a body calls in its tail may be inlined too, and never return; its neighbour does.
#[test]
fn a_tail_call_in_a_body_may_not_return() {
    let calling = |callee: &str, tail: &str| {
        format!(
            r#"(module (tag $e (param i32)) (type $t (func (param i32) (result i32)))
                 (func (export "f") (param i32) (result i32)
                   (block $caught (result i32)
                     (try_table (result i32) (catch $e $caught) (call $g (local.get 0)))))
                 (func $g (type $t) (i32.const 5) (local.get 0) {tail} (i32.const 1) drop)
                 (func $h (type $t) {callee}))"#
        )
    };
    let never = calling("(throw $e (local.get 0))", "return_call $h");
    assert_eq!(calls(&never), (0, 2));
    returns(&never, &[7], &[7]);
    let trapping = calling(
        "(i32.div_u (local.get 0) (i32.const 0)) (loop (br 0))",
        "return_call $h",
    );
    assert_eq!(calls(&trapping), (0, 2));
    traps(&trapping, &[7], Trap::IntegerDivisionByZero);
    let once = calling("(i32.add (local.get 0) (i32.const 1))", "return_call $h");
    assert_eq!(calls(&once), (0, 2));
    returns(&once, &[7], &[8]);
}

#[test]
fn bodies_nest_and_bring_several_results() {
    let wat = r#"(module
        (func (export "f") (param i32 i32) (result i32 i32)
          (i32.const 1000) (call $g (local.get 1) (local.get 0)) (i32.add) (i32.sub) (i32.const 3))
        (func $g (param i32 i32) (result i32 i32) (call $h (local.get 0) (local.get 1)))
        (func $h (param i32 i32) (result i32 i32) (local.get 1) (local.get 0)))"#;
    assert_eq!(calls(wat), (0, 2));
    returns(wat, &[5, 70], &[925, 3]);
}

#[test]
fn a_body_has_sources_of_its_own() {
    let func = inlined(&calling("(i32.div_u (i32.const 1) (local.get 0))"));
    let body = func.inlined[0];
    let inside: Vec<u32> = func
        .insts
        .values()
        .map(|inst| inst.source)
        .filter(|&source| source >= body.source)
        .collect();
    assert!(!inside.is_empty());
    for source in inside {
        let (offset, at) = func.place_of(source);
        assert!((body.offset..body.offset + body.len).contains(&offset) && at == Some(0));
    }
    let (call, outside) = func.place_of(body.call);
    assert!(outside.is_none() && call < body.offset);
}

#[test]
fn large_bodies_are_called() {
    assert_eq!(calls(&calling(&additions(40))), (0, 1));
    assert_eq!(calls(&calling(&additions(41))), (1, 0));
    // In a loop more is worth it.
    let in_loop = |count| {
        format!(
            r#"(module (func (export "f") (param i32) (result i32)
                 (loop (br_if 0 (local.tee 0 (call $g (local.get 0))))) (local.get 0))
               (func $g (param i32) (result i32) {}))"#,
            additions(count)
        )
    };
    assert_eq!(calls(&in_loop(80)), (0, 1));
    assert_eq!(calls(&in_loop(81)), (1, 0));
    let locals = |count| calling(&format!("(local {}) (local.get 0)", "i64 ".repeat(count)));
    assert_eq!(calls(&locals(50)), (0, 1));
    assert_eq!(calls(&locals(51)), (1, 0));
}

#[test]
fn recursion_is_inlined_to_a_depth() {
    let wat = r#"(module (func $f (export "f") (param i32) (result i32)
        (if (result i32) (i32.lt_u (local.get 0) (i32.const 2))
          (then (local.get 0))
          (else (i32.add (call $f (i32.sub (local.get 0) (i32.const 1)))
                         (call $f (i32.sub (local.get 0) (i32.const 2))))))))"#;
    assert_eq!(calls(wat), (16, 14));
    returns(wat, &[15], &[610]);
    // Functions that call one another.
    let wat = r#"(module
        (func $even (export "f") (param i32) (result i32)
          (if (result i32) (local.get 0)
            (then (call $odd (i32.sub (local.get 0) (i32.const 1)))) (else (i32.const 1))))
        (func $odd (param i32) (result i32)
          (if (result i32) (local.get 0)
            (then (call $even (i32.sub (local.get 0) (i32.const 1)))) (else (i32.const 0)))))"#;
    let (left, inlined) = calls(wat);
    assert!(left == 1 && (1..5).contains(&inlined), "{left} {inlined}");
    returns(wat, &[20], &[1]);
    returns(wat, &[21], &[0]);
}

/// As many calls as one likes: each function grows by a constant factor and a constant.
#[test]
fn what_is_inlined_into_one_function_is_bounded() {
    let many = |calls: usize| {
        format!(
            "(module (func (param i32) {}) (func $g (param i32) (result i32) {}))",
            "(drop (call $g (local.get 0)))".repeat(calls),
            additions(30)
        )
    };
    let (left, few) = calls(&many(4));
    assert_eq!((left, few), (0, 4));
    let (left, most) = calls(&many(10_000));
    assert!(left > 9_000 && most < 100, "{left} {most}");
}

/// An invalid callee is refused through its caller too, by its own offset.
#[test]
fn an_invalid_body_is_not_inlined() {
    let binary =
        wat::parse_str("(module (func (call 1)) (func (drop (i32.const 5)) nop))").expect("it is text");
    let at = binary
        .iter()
        .rposition(|&byte| byte == 0x1a)
        .expect("it has a `drop`");
    let mut invalid = binary.clone();
    invalid[at] = 0x01;
    let translated = |binary: Vec<u8>| {
        let module = cellwall_wasm::decode(binary).expect("the sections are valid");
        translate(&module, FuncIdx::from_u32(0), &target(), &Inlining::of(&module))
    };
    assert!(translated(binary).is_ok());
    match translated(invalid) {
        Err(CompileError::Invalid(invalid)) => assert!(invalid.offset > at, "{invalid}"),
        other => panic!("{other:?}"),
    }
}
