//! Work stays proportional to the body, also for bodies that are made to hurt.

use super::{Inlining, function, module, target, translated};
use crate::CompileError;
use crate::translate::translate;
use cellwall_base::FuncIdx;
use cellwall_ir::{InstData, check};
use std::fmt::Write;

fn parameters(func: &cellwall_ir::Func) -> usize {
    func.order.iter().map(|&b| func.blocks[b].params.len()).sum()
}

#[test]
fn a_loop_carries_only_what_it_changes() {
    let wat = function(
        "(param i32 i32 i32) (result i32)",
        "(loop (local.set 0 (i32.add (local.get 0) (local.get 1)))
            (block (br_if 0 (local.get 2)) (loop (br_if 0 (local.get 1))))
            (br_if 0 (local.get 0)))
         local.get 2",
    );
    // Three of the function and local 0 of the outer loop.
    assert_eq!(parameters(&translated(&wat, &target())), 4);
}

#[test]
fn a_merge_of_equal_values_has_no_parameter() {
    let arms = |first: &str| {
        let body = format!("(if (local.get 0) (then {first}) (else nop)) local.get 1");
        parameters(&translated(
            &function("(param i32 i32) (result i32)", &body),
            &target(),
        ))
    };
    assert_eq!(arms("(local.set 1 (local.get 1))"), 2);
    assert_eq!(arms("(local.set 1 (i32.const 4))"), 3);
}

#[test]
fn entries_of_a_switch_share_their_arguments() {
    let entries = 2000;
    let mut body = String::from("(block (result i32) (local.get 1) (br_table");
    for _ in 0..entries {
        body.push_str(" 0");
    }
    body.push_str(" 0 (local.get 0)))");
    let func = translated(&function("(param i32 i32) (result i32)", &body), &target());
    let jumps = func
        .insts
        .values()
        .filter(|n| matches!(n.data, InstData::Jump { .. }));
    assert_eq!(jumps.count(), 1, "one block between brings the argument");
    assert_eq!(func.switches[0].len(), entries + 1);
    assert!(func.switches[0].iter().all(|to| to.args.is_empty()));
}

/// Many locals that are read after many branches that each change one of them.
fn hostile(locals: usize, branches: usize) -> String {
    let mut body = String::from("(block ");
    for i in 0..branches {
        let local = i % locals + 1;
        write!(
            body,
            "(local.set {local} (i32.const {i})) (br_if 0 (local.get 0))"
        )
        .expect("a string");
    }
    body.push(')');
    for local in 1..=locals {
        write!(body, "(drop (local.get {local}))").expect("a string");
    }
    let signature = format!("(param i32) (local{})", " i32".repeat(locals));
    function(&signature, &body)
}

#[test]
fn where_values_take_too_much_work_locals_live_in_the_frame() {
    let translate = |wat: &str| translate(&module(wat), FuncIdx::from_u32(0), &target(), &Inlining::off());
    let func = translate(&hostile(100, 200)).expect("a small body is in the limits");
    check(&func).expect("and well formed");
    assert!(func.frame.is_empty());
    let func = translate(&hostile(4_000, 4_000)).expect("nothing is refused");
    check(&func).expect("and well formed");
    assert_eq!(func.frame.len(), 4_001);
    assert!(parameters(&func) <= 2, "one of the function");
}

#[test]
fn wide_signatures_cannot_multiply() {
    let calls = |count: usize| {
        let types = " i32".repeat(500);
        let many = "call $f ".repeat(count);
        let locals: String = (0..500).map(|i| format!("local.get {i} ")).collect();
        let wat = format!(
            "(module (func $g (param{types}) (result{types}) {locals} {many})
               (func $f (param{types}) (result{types}) unreachable))"
        );
        translate(&module(&wat), FuncIdx::from_u32(0), &target(), &Inlining::off())
    };
    calls(100).expect("a few calls are in the limits");
    assert!(matches!(calls(20_000), Err(CompileError::Limit(_))));
}

#[test]
fn handlers_cannot_multiply() {
    let calls = |depth: usize, count: usize| {
        let tags = "(tag)".repeat(depth);
        let open: String = (0..depth)
            .map(|tag| format!("try_table (catch {tag} 0) "))
            .collect();
        let (calls, ends) = ("call $f ".repeat(count), "end ".repeat(depth));
        let wat = format!("(module {tags} (func $g block {open} {calls} {ends} end) (func $f unreachable))");
        translate(&module(&wat), FuncIdx::from_u32(0), &target(), &Inlining::off())
    };
    calls(20, 1_000).expect("twenty handlers for each of a thousand calls are in the limits");
    calls(1, 300_000).expect("one for each of many is too");
    assert!(matches!(calls(2_000, 1_000), Err(CompileError::Limit(_))));
}

#[test]
fn deep_nesting_does_not_recurse() {
    let depth = 20_000;
    let body = format!(
        "{}{}{}",
        "(block (br_if 0 (local.get 0)) ".repeat(depth),
        "(local.set 0 (i32.const 1))",
        ")".repeat(depth),
    );
    // The text parser recurses; nest in the flat form.
    let flat = body
        .replace("(block ", "block ")
        .replace("(br_if 0 (local.get 0))", "local.get 0 br_if 0")
        .replace("(local.set 0 (i32.const 1))", "i32.const 1 local.set 0")
        .replace(')', " end ");
    let wat = function("(param i32) (result i32)", &format!("{flat} local.get 0"));
    let func = translated(&wat, &target());
    assert!(func.order.len() > depth);
}
