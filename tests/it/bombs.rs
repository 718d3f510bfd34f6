//! Bombs of small sizes: the bounded twin of `cargo xtask bombs`. Nothing here measures time.

use cellwall::{Config, Engine, Module};
use cellwall_tests::bombs;
use cellwall_tests::differential::compare;
use cellwall_tests::honest::{self, Tally};

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
