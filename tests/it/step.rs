//! The stepping oracle: honest code stays in its cell, so do accepted mutants, and it objects to
//! refused ones. The bounded twin of `cargo xtask mutate`.

use cellwall_tests::breach::guests;
use cellwall_tests::step::hunt::{self, Order};
use cellwall_tests::step::{End, Plan, Session};
use std::collections::BTreeMap;
use std::process::Command;

fn command() -> Command {
    Command::new(env!("CARGO_BIN_EXE_stepped"))
}

/// Each call is made twice, with other numbers in all places that a guest must not look at.
#[test]
fn honest_code_stays_in_its_cell_and_shows_nothing() {
    let guests = guests::guests(4);
    let mut session = None;
    let mut ends: BTreeMap<String, u64> = BTreeMap::new();
    let mut compared = 0;
    for guest in &guests {
        let ready = match &mut session {
            None => {
                session = Session::new(&command, &guest.artifact).expect("it can be traced");
                session.is_some()
            }
            Some(session) => session.load(&guest.artifact).expect("it lives"),
        };
        let Some(session) = session.as_mut().filter(|_| ready) else {
            continue;
        };
        for func in 0..guest.artifact.funcs.len() {
            for inputs in 0..3 {
                let plan = Plan {
                    func,
                    inputs,
                    residue: 1,
                    steps_max: 200,
                };
                let report = session.run(&plan).expect("it lives");
                if let End::Escaped(how) = &report.end {
                    panic!("{} function {func}: {how}", guest.name);
                }
                *ends.entry(format!("{:?}", report.end)).or_default() += 1;
                if report.seen.is_some() {
                    let other = session.run(&Plan { residue: 2, ..plan }).expect("it lives");
                    assert_eq!(report, other, "{} function {func}", guest.name);
                    compared += 1;
                }
            }
        }
    }
    println!("{ends:?}, {compared} compared");
    assert!(compared > 200, "most calls have no part of the runtime in them");
    // Returns, traps of several kinds, long ones, and those that the runtime ends.
    assert!(ends.len() > 4 && ends["Returned"] > 100, "{ends:?}");
}

#[test]
fn accepted_mutants_stay_in_their_cell_and_refused_ones_do_not() {
    let sources = hunt::sources(24 << 10, 6, 6).expect("the checkout can be read");
    let order = Order {
        count: 2_200,
        seed: 0x57e9,
        steps_max: 120,
        unverified: true,
        workers: 2,
    };
    let tally = hunt::run(&order, &sources, &command, &|_, _, _| ()).expect("it can be traced");
    println!("{tally:#?}");
    assert_eq!(tally.escapes, 0, "{:#?}", tally.told);
    assert!(tally.asked() >= order.count);
    assert!(tally.executed > order.count / 10 && tally.executed == tally.accepted());
    assert!(
        tally.reached > tally.executed / 2,
        "most run what is corrupted: {tally:?}"
    );
    assert!(tally.refused.len() > 14, "many rules are needed: {tally:?}");
    assert!(tally.flagged() >= 1_000, "the oracle has teeth: {tally:?}");
}
