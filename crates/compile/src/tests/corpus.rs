//! Every operator compiles, for the oldest and the newest processor; the allocator's checker runs
//! on each function.

use super::{baseline, modern};
use crate::{Scratch, Unit, emit, function, lower, opt, regalloc, translate};
use cellwall_abi::Target;
use cellwall_wasm::Module;

fn compile_all(module: &Module, target: &Target) -> usize {
    let shape = cellwall_link::shape(module);
    let unit = Unit::new(module, &shape, target);
    let mut scratch = Scratch::default();
    module
        .defined_funcs()
        .map(|func| {
            function(&unit, func, &mut scratch)
                .expect("it compiles")
                .code
                .len()
        })
        .sum()
}

fn targets() -> Vec<Target> {
    let small = Target {
        memory_reservation_bytes: 1 << 20,
        memory_guard_bytes: 1 << 16,
        ..baseline()
    };
    vec![baseline(), modern(), small]
}

/// One function per operator, with parameters, with constants, and under pressure.
fn operators() -> String {
    let mut text = String::from("(module (memory 1) (memory 1)");
    let mut add = |params: &str, result: &str, body: &str| {
        text.push_str(&format!("(func (param {params}) (result {result}) {body})\n"));
    };
    for ty in ["i32", "i64"] {
        let both = format!("{ty} {ty}");
        for op in "add sub mul and or xor shl shr_s shr_u rotl rotr div_s div_u rem_s rem_u".split(' ') {
            add(&both, ty, &format!("({ty}.{op} (local.get 0) (local.get 1))"));
            for k in [
                "0",
                "1",
                "-1",
                "2",
                "3",
                "7",
                "8",
                "10",
                "255",
                "0x7fffffff",
                "-0x80000000",
                "641",
            ] {
                add(ty, ty, &format!("({ty}.{op} (local.get 0) ({ty}.const {k}))"));
                add(ty, ty, &format!("({ty}.{op} ({ty}.const {k}) (local.get 0))"));
            }
        }
        for op in "eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u".split(' ') {
            add(&both, "i32", &format!("({ty}.{op} (local.get 0) (local.get 1))"));
            add(
                &both,
                ty,
                &format!(
                    "(select (local.get 0) (local.get 1) ({ty}.{op} (local.get 0) ({ty}.load offset=8 (i32.const 4))))"
                ),
            );
        }
        for op in "clz ctz popcnt extend8_s extend16_s".split(' ') {
            add(ty, ty, &format!("({ty}.{op} (local.get 0))"));
        }
    }
    for ty in ["f32", "f64"] {
        let both = format!("{ty} {ty}");
        for op in "add sub mul div min max copysign".split(' ') {
            add(&both, ty, &format!("({ty}.{op} (local.get 0) (local.get 1))"));
            add(ty, ty, &format!("({ty}.{op} (local.get 0) ({ty}.const 1.5))"));
        }
        for op in "eq ne lt gt le ge".split(' ') {
            add(&both, "i32", &format!("({ty}.{op} (local.get 0) (local.get 1))"));
            add(
                &both,
                ty,
                &format!("(select (local.get 0) (local.get 1) ({ty}.{op} (local.get 0) (local.get 1)))"),
            );
            add(
                &both,
                "i64",
                &format!("(select (i64.const 5) (i64.const 6) ({ty}.{op} (local.get 0) (local.get 1)))"),
            );
            add(
                &both,
                "i32",
                &format!(
                    "(if (result i32) ({ty}.{op} (local.get 0) (local.get 1)) (then (i32.const 3)) (else (i32.const 4)))"
                ),
            );
        }
        for op in "abs neg sqrt ceil floor trunc nearest".split(' ') {
            add(ty, ty, &format!("({ty}.{op} (local.get 0))"));
        }
        for int in ["i32", "i64"] {
            for sign in ["s", "u"] {
                add(ty, int, &format!("({int}.trunc_{ty}_{sign} (local.get 0))"));
                add(ty, int, &format!("({int}.trunc_sat_{ty}_{sign} (local.get 0))"));
                add(int, ty, &format!("({ty}.convert_{int}_{sign} (local.get 0))"));
            }
        }
    }
    text + ")"
}

#[test]
fn every_operator_compiles_for_every_target() {
    let module =
        cellwall_wasm::decode(wat::parse_str(operators()).expect("it is well-formed")).expect("it is valid");
    for target in targets() {
        assert!(compile_all(&module, &target) > 10_000);
    }
}

/// A body in which more values are alive than there are registers, across calls and branches.
#[test]
fn values_that_do_not_fit_in_registers_are_spilled() {
    let mut body = String::new();
    for i in 0..40 {
        body += &format!("(local.set {i} (i32.load offset={} (local.get {i})))", i * 4);
        body += &format!(
            "(local.set {} (f64.load offset={} (local.get {i})))",
            i + 40,
            i * 8
        );
    }
    body += "(call 0 (local.get 3)) (if (then (local.set 5 (i32.const 77)) (local.set 45 (f64.const 2))))";
    for i in 0..40 {
        body += &format!("(local.set 80 (i32.add (local.get 80) (local.get {i})))");
        body += &format!("(local.set 81 (f64.add (local.get 81) (local.get {})))", i + 40);
    }
    let text = format!(
        "(module (memory 1) (func (param i32) (result i32) (local {} {} i32 f64) {body}
           (i32.add (local.get 80) (i32.trunc_sat_f64_s (local.get 81)))))",
        "i32 ".repeat(39),
        "f64 ".repeat(40)
    );
    let module =
        cellwall_wasm::decode(wat::parse_str(text).expect("it is well-formed")).expect("it is valid");
    for target in targets() {
        compile_all(&module, &target);
    }
}

#[test]
fn the_linear_allocator_serves_every_operator_too() {
    let module =
        cellwall_wasm::decode(wat::parse_str(operators()).expect("it is well-formed")).expect("it is valid");
    let (shape, target) = (cellwall_link::shape(&module), modern());
    let unit = Unit::new(&module, &shape, &target);
    let mut scratch = Scratch::default();
    for func in module.defined_funcs() {
        let mut ir = translate::translate(&module, func, &target, &unit.inlining).expect("it is small");
        opt::run(&mut ir, opt::Config::of(&module, opt::Passes::ALL), |_, _| {});
        let virt = lower::lower(&ir, &unit, &mut scratch.lower);
        let phys = regalloc::tests::regalloc_linear(virt, &mut scratch.regalloc);
        emit::emit(&phys, &ir, &target).expect("it is small");
    }
}
