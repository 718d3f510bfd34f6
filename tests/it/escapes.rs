//! The published escapes of other engines, planted into our compiler: each is refused by the rule that
//! names it, and each leaves its cell where it runs unverified. What is planted is in
//! `cellwall_compile::Plant`.

use cellwall_abi::Artifact;
use cellwall_compile::Plant;
use cellwall_tests::honest;
use cellwall_tests::step::{End, Plan, Session, laid_out_alike};
use cellwall_verify::{Rule, verify};
use std::process::Command;

/// Arguments that are tried, by their seeds.
const INPUTS: u64 = 1_000;
/// So many of them twice.
const COMPARED: u64 = 50;

fn command() -> Command {
    Command::new(env!("CARGO_BIN_EXE_stepped"))
}

/// The module without and with the mistake, for one of the targets of `honest`.
fn both(text: &str, plant: Plant, target: usize) -> (Artifact, Artifact) {
    let binary = wat::parse_str(text).expect("the text is well-formed");
    let (_, target) = honest::targets()[target];
    let compiled = |plant| honest::compiled(&binary, &target, plant).expect("the module is valid");
    (compiled(None), compiled(Some(plant)))
}

/// How often calls of all functions leave the cell or show what nobody may see, and how the first one
/// does. Each call is made twice, with other numbers in every place that is none of the guest's.
fn escapes(session: &mut Session<'_>) -> (usize, Option<String>) {
    let mut escapes = Vec::new();
    for func in 0..session.artifact().funcs.len() {
        for inputs in 0..INPUTS {
            let plan = Plan {
                func,
                inputs,
                residue: inputs,
                steps_max: 500,
            };
            let report = session.run(&plan).expect("it lives");
            if let End::Escaped(how) = report.end {
                escapes.push(how);
            } else if report.seen.is_some() && inputs < COMPARED {
                let residue = inputs + INPUTS;
                let other = session.run(&Plan { residue, ..plan }).expect("it lives");
                if other.seen != report.seen {
                    escapes.push("shows what was in registers before".into());
                }
            }
        }
    }
    (escapes.len(), escapes.into_iter().next())
}

#[track_caller]
fn escape(plant: Plant, target: usize, rule: Rule, text: &str) {
    let (mut honest, mut planted) = both(text, plant, target);
    assert_ne!(honest.text, planted.text, "{plant:?} changes the code");
    verify(honest.clone()).expect("without the mistake it is accepted");
    let violation = verify(planted.clone()).expect_err("with the mistake it is refused");
    assert_eq!(violation.rule, rule, "{plant:?}: {violation}");

    laid_out_alike(&mut honest, &mut planted);
    let session = Session::new(&command, &honest).expect("it can be traced");
    let mut session = session.expect("the module can be instantiated");
    assert_eq!(escapes(&mut session), (0, None), "{plant:?}, without the mistake");
    session.replace(&planted).expect("the tracer may write code");
    let (count, how) = escapes(&mut session);
    println!("{plant:?}: {violation}; unverified, {count} calls leave: {how:?}");
    assert!(count > 0, "{plant:?}: the oracle sees nothing");
}

#[test]
fn an_index_that_is_not_zero_extended() {
    let text = r#"(module (memory 1) (func (param i64) (result i32)
        (i32.load (i32.wrap_i64 (local.get 0)))))"#;
    escape(Plant::IndexNotExtended, 0, Rule::MemoryAccess, text);
}

#[test]
fn a_spill_that_is_reloaded_with_its_sign() {
    // More values live across a call than registers survive one.
    let text = r#"(module (import "host" "f" (func $f (param i32))) (memory 1)
        (func (param i32 i32 i32 i32 i32 i32) (result i32)
            (call $f (local.get 0)) (call $f (local.get 1))
            (i32.load8_u (local.get 0)) (i32.add (i32.load8_u (local.get 1)))
            (i32.add (i32.load8_u (local.get 2))) (i32.add (i32.load8_u (local.get 3)))
            (i32.add (i32.load8_u (local.get 4))) (i32.add (i32.load8_u (local.get 5)))))"#;
    escape(Plant::ReloadSignExtended, 0, Rule::MemoryAccess, text);
}

#[test]
fn a_shift_folded_into_an_address() {
    let text = r#"(module (memory 1) (func (param i32) (result i64)
        (i64.load (i32.shl (local.get 0) (i32.const 3)))))"#;
    escape(Plant::ShiftInAddress, 0, Rule::MemoryAccess, text);
}

#[test]
fn a_shift_masked_by_the_width_of_the_access() {
    // What is compared with the length is 0 or near; what is accessed is not shifted at all.
    let text = r#"(module (memory 1) (func (param i32) (result i32)
        (i32.load8_u (i32.shl (local.get 0) (i32.const 24)))))"#;
    escape(Plant::ShiftMaskedByAccess, 2, Rule::MemoryAccess, text);
}

#[test]
fn a_result_of_table_grow_as_a_wide_index() {
    let text = r#"(module (memory 1) (table 1 2 funcref) (func (param i32) (result i32)
        (i32.load (table.grow (ref.null func) (local.get 0)))))"#;
    escape(Plant::GrowNotNarrowed, 0, Rule::MemoryAccess, text);
}

/// From a global, whose neighbour is read as well; from memory, where the wide operand faults by its
/// alignment.
#[test]
fn a_wide_load_for_a_copysign() {
    let global = r#"(module (global $g (mut f64) (f64.const -1)) (func (param f64) (result f64)
        (f64.copysign (local.get 0) (global.get $g))))"#;
    escape(Plant::WideCopysign, 0, Rule::Address, global);
    let memory = r#"(module (memory 1) (func (param f64 i32) (result f64)
        (f64.copysign (local.get 0) (f64.load (local.get 1)))))"#;
    escape(Plant::WideCopysign, 0, Rule::Address, memory);
}

#[test]
fn a_wide_load_for_a_splat() {
    let global = r#"(module (global $g (mut f64) (f64.const -1)) (func (result v128)
        (f64x2.splat (global.get $g))))"#;
    escape(Plant::WideSplat, 0, Rule::ContextAccess, global);
}

#[test]
fn an_atomic_result_that_is_not_zero_extended() {
    let text = r#"(module (memory 1 2 shared) (func (param i64) (result i32)
        (i32.load (i32.atomic.rmw8.xchg_u (i32.const 64) (i32.wrap_i64 (local.get 0))))))"#;
    escape(Plant::AtomicNotNarrowed, 0, Rule::MemoryAccess, text);
}

/// The signature of one entry matched, the code is that of another.
#[test]
fn an_entry_in_two_parts() {
    let text = r#"(module (type $f (func (param i32) (result i32))) (table (export "t") 5 5 funcref)
        (elem (i32.const 0) func $narrow $wide $narrow $wide)
        (func $narrow (type $f) (local.get 0))
        (func $wide (param i64) (result i64) (local.get 0))
        (func (param i32 i32) (result i32)
            (call_indirect (type $f) (local.get 0) (i32.and (local.get 1) (i32.const 3)))))"#;
    escape(Plant::EntryBehind, 0, Rule::IndirectCall, text);
}

/// The stub finds context and code by the register that nobody set.
#[test]
fn a_call_in_a_foreign_context() {
    let text = r#"(module (import "host" "f" (func $f (param i32)))
        (func (param i32) (call $f (local.get 0))))"#;
    escape(Plant::EntryNotNamed, 0, Rule::IndirectCall, text);
}

#[test]
fn a_landing_pad_that_trusts_a_register() {
    let text = r#"(module (memory 1) (tag $t)
        (func $f (param i32) (if (local.get 0) (then
            (call $f (i32.shr_u (local.get 0) (i32.const 8))) (throw $t))))
        (func (param i32) (result i32)
            (block $caught
                (try_table (catch $t $caught) (call $f (local.get 0)))
                (return (i32.const 0)))
            (i32.load (local.get 0))))"#;
    escape(Plant::PadTrustsRegister, 0, Rule::Undefined, text);
}

#[test]
fn a_bounds_check_that_is_left_out() {
    let text = r#"(module (memory i64 1) (func (param i64) (result i32) (i32.load (local.get 0))))"#;
    escape(Plant::CheckLeftOut, 0, Rule::MemoryAccess, text);
}

/// The last byte of an access at an index of -1 is inside, the first one is not.
#[test]
fn an_end_that_wraps_around() {
    let text = r#"(module (memory i64 100 200 (pagesize 1)) (func (param i64) (result i64)
        (i64.load (local.get 0))))"#;
    escape(Plant::EndWraps, 0, Rule::MemoryAccess, text);
}

/// What another thread could do between the two loads, a store does here.
#[test]
fn an_index_that_is_read_again() {
    let text = r#"(module (memory i64 1) (func (param i64 i64) (result i32) (local i64)
        (local.set 0 (i64.and (local.get 0) (i64.const 0xfff8)))
        (local.set 2 (i64.load (local.get 0)))
        (i64.store (local.get 0) (local.get 1))
        (i32.load8_u (local.get 2))))"#;
    escape(Plant::IndexReadAgain, 0, Rule::MemoryAccess, text);
}

/// Of an `f32` argument nobody wrote more than four bytes; the rest is what was there before.
#[test]
fn lanes_that_are_not_written() {
    let text = r#"(module (func (param f32) (result v128) (f32x4.splat (local.get 0))))"#;
    escape(Plant::LanesNotWritten, 0, Rule::Undefined, text);
}

#[test]
fn a_wide_store_of_a_lane() {
    let text = r#"(module (global $g (mut f64) (f64.const -1)) (func (param v128)
        (global.set $g (f64x2.extract_lane 0 (local.get 0)))))"#;
    escape(Plant::WideLaneStore, 0, Rule::ContextAccess, text);
}
