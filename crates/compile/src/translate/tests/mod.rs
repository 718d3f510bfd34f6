//! Text in, SSA text or results out. What runs is run twice, as translated and as optimized, by the
//! reference interpreter; both must answer alike.

mod families;
mod golden;
mod inline;
mod limits;
mod short;
mod spec;

use super::oracle::{Host, Instance};
use super::{Inlining, translate};
use cellwall_abi::{CpuFeatures, Target};
use cellwall_base::FuncIdx;
use cellwall_ir::interp::{Bits, Environment, Outcome, Stop};
use cellwall_ir::{Func, Trap, check};
use cellwall_wasm::{Item, Module, validate};

fn module(wat: &str) -> Module {
    let bytes = wat::parse_str(wat).expect("the test's text is well-formed");
    validate(bytes).unwrap_or_else(|e| panic!("{wat}: {e}"))
}

fn target() -> Target {
    Target::new(CpuFeatures::default())
}

/// A target whose reservations and guards are so small that every access has a check.
fn checked_target() -> Target {
    Target {
        memory_reservation_bytes: 1 << 20,
        memory_guard_bytes: 1 << 16,
        ..target()
    }
}

/// The first defined function of a module, checked.
fn translated(wat: &str, target: &Target) -> Func {
    let module = module(wat);
    let first = FuncIdx::from_u32(module.imported_funcs());
    let func = translate(&module, first, target, &Inlining::of(&module)).expect("the module is valid");
    check(&func).unwrap_or_else(|e| panic!("{e}\n{func}"));
    func
}

/// [`translated`] for tests of other passes.
pub(crate) fn translated_for_host(wat: &str) -> Func {
    translated(wat, &target())
}

/// Answers imported functions with zeros.
fn zeros(module: &Module) -> Host {
    let results: Vec<usize> = module
        .funcs()
        .ids()
        .map(|func| module.func_type(func).results.len())
        .collect();
    Box::new(move |func, _| Ok(vec![0; results[func.as_u32() as usize]]))
}

fn exported(module: &Module, name: &str) -> FuncIdx {
    let export = module.exports().iter().find(|e| e.name == name);
    match export.map(|e| e.item) {
        Some(Item::Func(func)) => func,
        other => panic!("`{name}` is {other:?}"),
    }
}

const FUEL: u64 = 1 << 24;

/// What export `f` of a module answers in each of the ways to run it.
fn run(wat: &str, args: &[u64]) -> Result<Vec<u64>, Stop> {
    let args: Vec<Bits> = args.iter().map(|&bits| bits.into()).collect();
    let results = run_wide(wat, &args)?;
    Ok(results.into_iter().map(|bits| bits as u64).collect())
}

/// The same, with vectors.
fn run_wide(wat: &str, args: &[Bits]) -> Outcome {
    let module = module(wat);
    let func = exported(&module, "f");
    let mut answers = Vec::new();
    for target in [target(), checked_target()] {
        for optimize in [false, true] {
            let mut instance = Instance::new(&module, target, optimize, zeros(&module));
            let fuel = &mut FUEL.clone();
            let answer = instance
                .start(fuel)
                .and_then(|()| instance.call(func, args, fuel));
            let state = (
                instance.memories.as_slice().to_vec(),
                instance.globals.as_slice().to_vec(),
            );
            answers.push((answer, state));
        }
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{wat}");
    answers.swap_remove(0).0
}

/// The results of export `f`.
#[track_caller]
fn returns(wat: &str, args: &[u64], expected: &[u64]) {
    assert_eq!(run(wat, args).as_deref(), Ok(expected), "{wat}");
}

/// The trap of export `f`.
#[track_caller]
fn traps(wat: &str, args: &[u64], expected: Trap) {
    assert_eq!(run(wat, args), Err(Stop::Trap(expected)), "{wat}");
}

/// A module with one function `f`.
fn function(signature: &str, body: &str) -> String {
    format!("(module (memory 1 3) (func (export \"f\") {signature} {body}))")
}
