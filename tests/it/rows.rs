//! What the verifier believes of the state after an instruction holds on the processor, for every
//! form that it allows.

use cellwall_tests::breach::guests;
use cellwall_tests::step::rows;
use iced_x86::FlowControl;
use std::collections::BTreeSet;
use std::process::Command;

fn command() -> Command {
    Command::new(env!("CARGO_BIN_EXE_stepped"))
}

#[test]
fn what_is_believed_after_an_instruction_holds_on_the_processor() {
    let tally = rows::run(0x6075, false, &command).expect("it can be traced");
    println!("{tally:#?}");
    assert!(tally.wrong.is_empty(), "{:#?}", tally.wrong);
    let ran = tally.forms.values().filter(|&&ran| ran > 0).count();
    assert!(ran > 500, "{ran} forms ran");
    assert!(tally.compared > 30_000, "{}", tally.compared);
    // What honest code is made of was among it, but for what chance leaves out.
    let guests = guests::guests(20);
    let insns = guests.iter().flat_map(|guest| guest.insns.iter().flatten());
    let straight = insns.filter(|(insn, _)| insn.flow_control() == FlowControl::Next);
    let used: BTreeSet<String> = straight.map(|(insn, _)| rows::form_of(insn)).collect();
    let missing: Vec<&String> = used
        .iter()
        .filter(|&form| !tally.forms.contains_key(form))
        .collect();
    assert!(
        used.len() > 80 && missing.len() * 20 < used.len(),
        "{missing:?} of {}",
        used.len()
    );
}

#[test]
fn who_believes_everything_is_wrong() {
    let tally = rows::run(0x6075, true, &command).expect("it can be traced");
    assert!(tally.wrong.len() > 100, "{}", tally.wrong.len());
}
