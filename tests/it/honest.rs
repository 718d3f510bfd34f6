//! Honest code is accepted, all of it: the bounded twin of `cargo xtask honest`.

use cellwall_tests::honest::{self, Tally};

/// Accepted, or the list of refusals.
#[track_caller]
fn all_accepted(modules: impl IntoIterator<Item = (String, Vec<u8>)>) -> Tally {
    let mut tally = Tally::default();
    let refusals: Vec<String> = modules
        .into_iter()
        .filter_map(|(name, binary)| honest::check(&name, &binary, &mut tally).err())
        .collect();
    assert!(
        refusals.is_empty(),
        "{} refused:\n{}",
        refusals.len(),
        refusals.join("\n")
    );
    println!("{tally:?}");
    tally
}

#[test]
fn the_modules_of_the_test_suite_are_accepted() {
    let tally = all_accepted(honest::spec_modules());
    assert!(tally.accepted > 1_000, "{tally:?}");
}

#[test]
fn generated_modules_are_accepted() {
    let tally = all_accepted(honest::generated(200));
    assert_eq!((tally.accepted, tally.not_taken), (200, 0));
}

/// Where the checkout is at hand; the large ones are for the long run.
#[test]
fn small_programs_are_accepted() {
    let modules = honest::shared_modules(36 << 10).expect("the checkout can be read");
    let there = !modules.is_empty();
    let tally = all_accepted(modules);
    assert!(!there || tally.accepted > 10, "{tally:?}");
}

/// A verifier that says yes to everything would pass as well: it does not.
#[test]
fn honest_code_with_one_byte_changed_is_refused() {
    let (_, target) = honest::targets()[0];
    let (_, binary) = honest::generated(1).next().expect("there are seeds");
    let mut artifact = honest::artifact(&binary, &target).expect("generated modules are valid");
    cellwall_verify::verify(artifact.clone()).expect("it is honest");
    let last = artifact.funcs.last().expect("it has a function");
    let at = (last.start + last.len - 1) as usize;
    artifact.text[at] ^= 0x10;
    cellwall_verify::verify(artifact).expect_err("the last instruction is another one");
}
