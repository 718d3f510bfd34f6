//! Bombs of small sizes: the bounded twin of `cargo xtask bombs`. Nothing here measures time.

use cellwall::{Config, Engine, Module};
use cellwall_abi::pack;
use cellwall_compile::Passes;
use cellwall_tests::bombs;
use cellwall_tests::differential::compare;
use cellwall_tests::honest::{self, Tally};
use cellwall_tests::{generate, pressure};

#[test]
fn small_bombs_give_what_the_interpreter_gives() {
    let engine = Engine::new(&Config::new()).expect("this processor is supported");
    for family in bombs::families() {
        let module = family.module(family.small);
        let seen = compare(&engine, &module, &|engine, bytes| Module::new(engine, bytes), 1)
            .unwrap_or_else(|error| panic!("{}: {error}", family.name));
        assert!(seen.executed() && seen.given_up == 0, "{}: {seen:?}", family.name);
    }
}

#[test]
fn small_bombs_are_accepted_for_all_targets() {
    for family in bombs::families() {
        let mut tally = Tally::default();
        honest::check(family.name, &family.module(family.small), &mut tally)
            .unwrap_or_else(|refusal| panic!("{refusal}"));
        assert_eq!(tally.accepted, 1, "{}", family.name);
    }
}

/// Compiled by some of the passes, then loaded through the door for artifacts of strangers.
fn compiled_with(engine: &Engine, bytes: &[u8], passes: Passes) -> cellwall::Result<Module> {
    let packed = Module::new(engine, bytes)?.serialize()?;
    let (honest, origin) = pack::unpack(&packed).expect("it is our own");
    let other = honest::artifact_with(bytes, &honest.target, passes).expect("it was just compiled");
    Module::deserialize(engine, pack::pack(&other, &origin))
}

/// Small functions do not need what hostile ones get, but have it here.
#[test]
fn what_hostile_functions_get_is_right_for_all() {
    let engine = Engine::new(&Config::new()).expect("this processor is supported");
    let all = Passes::ALL;
    let sets = [
        all.without(Passes::REGISTERS),
        all.without(Passes::VALUES),
        all.without(Passes::REGISTERS).without(Passes::VALUES),
    ];
    let bombs = bombs::families().iter().map(|family| family.module(family.small));
    let generated = (0..40).filter_map(generate::module);
    let modules: Vec<Vec<u8>> = bombs
        .chain(generated)
        .chain((0..15).map(pressure::module))
        .collect();
    for (at, module) in modules.iter().enumerate() {
        for (set, &passes) in sets.iter().enumerate() {
            compare(
                &engine,
                module,
                &|engine, bytes| compiled_with(engine, bytes, passes),
                1,
            )
            .unwrap_or_else(|error| panic!("module {at}, set {set}: {error}"));
        }
    }
}
