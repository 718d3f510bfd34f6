//! The bounded twin of `cargo xtask mutate`.

use cellwall_tests::breach::guests;
use cellwall_tests::step::{End, Plan, Session};
use std::collections::BTreeMap;
use std::process::Command;

fn command() -> Command {
    Command::new(env!("CARGO_BIN_EXE_stepped"))
}

#[test]
fn honest_code_stays_in_its_cell_and_shows_nothing() {
    let guests = guests::guests(6);
    let mut session = None;
    let mut ends: BTreeMap<String, u64> = BTreeMap::new();
    let (mut steps, mut compared) = (0, 0);
    for guest in &guests {
        let ready = match &mut session {
            None => {
                session = Session::new(&command, &guest.artifact).expect("it can be traced");
                session.is_some()
            }
            Some(session) => session.load(&guest.artifact).expect("it lives"),
        };
        println!("{}: {ready}", guest.name);
        let Some(session) = session.as_mut().filter(|_| ready) else {
            continue;
        };
        for func in 0..guest.artifact.funcs.len() {
            for inputs in 0..4 {
                let plan = Plan {
                    func,
                    inputs,
                    residue: 1,
                    steps_max: 300,
                };
                let report = session.run(&plan).expect("it lives");
                steps += report.trace.len();
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
    println!("{ends:?}, {steps} steps, {compared} compared");
}
