//! The bounded twin of `cargo xtask mutants`.

use cellwall_tests::mutate;
use std::time::Duration;

#[test]
fn mutants_give_an_error_or_a_result() {
    let tally = mutate::run(1, 1_500, Duration::from_millis(500), &[]);
    println!("{tally:?}");
    assert!(
        tally.invalid > 100 && tally.returned + tally.trapped > 100,
        "the mutants are not all alike: {tally:?}"
    );
}
