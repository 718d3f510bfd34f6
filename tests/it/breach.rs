//! The bounded twin of `cargo xtask breach`: one instruction of honest code is corrupted, the
//! verifier is asked, and what it accepts runs beside neighbours in a child process.

use cellwall_tests::breach::{self, Tally};
use std::process::Command;

/// Set for the child: the mutants that it is to run.
const RANGE: &str = "CELLWALL_BREACH_RANGE";
const SEED: u64 = 0xb5ea;
const MUTANTS: u64 = 3_000;

#[test]
fn accepted_mutants_leave_their_neighbours_alone() {
    if let Ok(range) = std::env::var(RANGE) {
        let (from, to) = range.split_once("..").expect("a range");
        let number = |text: &str| text.parse().expect("a number");
        // The line of the test harness ends here.
        println!();
        breach::child(SEED, number(from), number(to), &mut std::io::stdout()).expect("it can run");
        return;
    }
    let itself = std::env::current_exe().expect("a running test has a file");
    let command = |from, to| {
        let mut command = Command::new(&itself);
        command
            .args(["--exact", "breach::accepted_mutants_leave_their_neighbours_alone"])
            .arg("--nocapture")
            .env(RANGE, format!("{from}..{to}"));
        command
    };
    let mut tally = Tally::default();
    breach::run(0, MUTANTS, &command, &mut tally).expect("a child can be started");
    println!("{tally:#?}");
    assert!(tally.breaches.is_empty(), "{:#?}", tally.breaches);
    assert!(tally.asked() > MUTANTS * 9 / 10, "most corruptions apply");
    assert!(tally.accepted() > 100 && tally.returned > 100, "some run");
    assert!(tally.refused.len() > 12, "many rules are needed: {tally:?}");
}
