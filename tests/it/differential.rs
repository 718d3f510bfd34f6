//! The bounded twin of `cargo xtask differential`, and the proof that it finds mistakes.

use cellwall::{Config, CpuFeature, Engine, Module};
use cellwall_tests::control::{self, Parts};
use cellwall_tests::vectors::{self, Relaxed};
use cellwall_tests::{aliasing, differential, generate, pressure, small};

/// Where the seeds start; fixed, so that a failure can be repeated.
const SEED: u64 = 0xce11;
/// How many modules the bounded run compares.
const MODULES: u64 = 300;

fn engine() -> Engine {
    let mut config = Config::new();
    config.parallel_compilation(false);
    Engine::new(&config).expect("the configuration is valid")
}

#[test]
fn compiled_code_agrees_with_the_interpreter() {
    let engine = engine();
    let compile = |engine: &Engine, bytes: &[u8]| Module::new(engine, bytes);
    let (mut modules, mut executed, mut returned) = (0, 0, 0);
    for seed in SEED..SEED + MODULES {
        let Some(bytes) = generate::module(seed) else {
            continue;
        };
        modules += 1;
        match differential::compare(&engine, &bytes, &compile, seed) {
            Ok(seen) => {
                executed += u64::from(seen.executed());
                returned += seen.returned;
            }
            Err(difference) => panic!("seed {seed:#x}: {difference}"),
        }
    }
    println!("{modules} modules, {executed} executed something, {returned} calls returned");
    assert!(modules > MODULES / 2, "most seeds give a module");
    assert!(
        executed * 10 >= modules * 8,
        "at least 80 % execute something: {executed} of {modules}"
    );
    assert!(returned > 200, "calls return");
}

#[test]
fn code_of_small_functions_agrees_with_the_interpreter() {
    let engine = engine();
    let compile = |engine: &Engine, bytes: &[u8]| Module::new(engine, bytes);
    let (mut returned, mut trapped) = (0, 0);
    for seed in SEED..SEED + MODULES / 2 {
        let seen = differential::compare(&engine, &small::module(seed), &compile, seed);
        let seen = seen.unwrap_or_else(|difference| panic!("seed {seed:#x}: {difference}"));
        returned += seen.returned;
        trapped += seen.trapped;
    }
    assert!(
        returned > 500 && trapped > 100,
        "{returned} returned, {trapped} trapped"
    );
}

#[test]
fn code_without_any_optional_instruction_agrees_with_the_interpreter() {
    let compile = |engine: &Engine, bytes: &[u8]| Module::new(engine, bytes);
    let mut config = Config::new();
    for &feature in CpuFeature::ALL {
        config.cpu_feature(feature, false);
    }
    let plain = Engine::new(&config).expect("the baseline is supported");
    let mut returned = 0;
    for seed in SEED..SEED + MODULES / 4 {
        let modules = [Some(small::module(seed)), generate::module(seed)];
        for bytes in modules.into_iter().flatten() {
            let seen = differential::compare(&plain, &bytes, &compile, seed);
            returned += seen
                .unwrap_or_else(|difference| panic!("seed {seed:#x}: {difference}"))
                .returned;
        }
    }
    assert!(returned > 250, "{returned} returned");
}

#[test]
fn code_that_spills_agrees_with_the_interpreter() {
    let engine = engine();
    let compile = |engine: &Engine, bytes: &[u8]| Module::new(engine, bytes);
    for seed in SEED..SEED + MODULES / 3 {
        let seen = differential::compare(&engine, &pressure::module(seed), &compile, seed);
        let seen = seen.unwrap_or_else(|difference| panic!("seed {seed:#x}: {difference}"));
        assert_eq!(
            (seen.returned, seen.trapped, seen.given_up),
            (6, 0, 0),
            "seed {seed:#x}"
        );
    }
}

#[test]
fn what_is_known_of_memory_agrees_with_the_interpreter() {
    let engine = engine();
    let compile = |engine: &Engine, bytes: &[u8]| Module::new(engine, bytes);
    let mut seen = differential::Seen::default();
    for seed in SEED..SEED + MODULES {
        let one = differential::compare(&engine, &aliasing::module(seed), &compile, seed);
        let one = one.unwrap_or_else(|difference| panic!("seed {seed:#x}: {difference}"));
        seen.returned += one.returned;
        seen.trapped += one.trapped;
    }
    assert!(seen.returned > 500 && seen.trapped > 200, "{seen:?}");
}

#[test]
fn control_agrees_with_the_interpreter() {
    let engine = engine();
    let compile = |engine: &Engine, bytes: &[u8]| Module::new(engine, bytes);
    let mut seen = differential::Seen::default();
    for seed in SEED..SEED + MODULES {
        let one = differential::compare(&engine, &control::module(seed, Parts::All), &compile, seed);
        let one = one.unwrap_or_else(|difference| panic!("seed {seed:#x}: {difference}"));
        seen.returned += one.returned;
        seen.trapped += one.trapped;
    }
    assert!(seen.returned > 200 && seen.trapped > 1000, "{seen:?}");
}

#[test]
fn vectors_agree_with_the_interpreter() {
    let compile = |engine: &Engine, bytes: &[u8]| Module::new(engine, bytes);
    for way in differential::Way::all() {
        let mut seen = differential::Seen::default();
        for seed in SEED..SEED + MODULES / 5 {
            let module = vectors::module(seed, Relaxed::With);
            let one = differential::compare_in(&way, &module, &compile, seed);
            let one = one.unwrap_or_else(|difference| panic!("seed {seed:#x}: {way:?}: {difference}"));
            seen.returned += one.returned;
            seen.trapped += one.trapped;
        }
        assert!(seen.returned > 300 && seen.trapped > 50, "{seen:?}");
    }
}
