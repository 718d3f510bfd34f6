//! For all honest artifacts with one corrupted instruction: the verifier answers, and what it
//! accepts leaves its neighbours alone.
//!
//! A child process asks and runs ([`child`]), because a breach may well end it; the parent
//! ([`run`]) reads what it says and starts another behind the mutant that ended it.

pub mod cell;
pub mod guests;
pub mod mutation;

use crate::rng::Rng;
use cell::World;
use cellwall_abi::{Artifact, TrapCode};
use cellwall_verify::{Rule, verify};
use guests::Guest;
use mutation::{Kind, Mutant};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

/// Generated modules among the guests.
const GENERATED: usize = 40;

/// What became of the mutants.
#[derive(Clone, Default, Debug, PartialEq, Eq)]
pub struct Tally {
    /// By rule, how many were refused.
    pub refused: BTreeMap<String, u64>,
    /// By kind of corruption, how many were asked about and how many accepted.
    pub kinds: BTreeMap<String, (u64, u64)>,
    /// Calls into accepted mutants that returned.
    pub returned: u64,
    /// Calls and instantiations of accepted mutants that ended with an error.
    pub failed: u64,
    /// Each breach, with the number of its mutant.
    pub breaches: Vec<String>,
}

impl Tally {
    /// How many were asked about.
    pub fn asked(&self) -> u64 {
        self.kinds.values().map(|(asked, _)| asked).sum()
    }

    /// How many were accepted.
    pub fn accepted(&self) -> u64 {
        self.kinds.values().map(|(_, accepted)| accepted).sum()
    }

    /// Takes in one line of a child.
    fn take(&mut self, line: &str) -> Option<()> {
        let mut words = line.split(' ');
        let (tag, name) = (words.next()?, words.next()?);
        let mut number = || words.next()?.parse::<u64>().ok();
        match tag {
            "refused" => *self.refused.entry(name.into()).or_default() += number()?,
            "kind" => {
                let entry = self.kinds.entry(name.into()).or_default();
                entry.0 += number()?;
                entry.1 += number()?;
            }
            "ran" => {
                self.returned += number()?;
                self.failed += number()?;
            }
            _ => {}
        }
        Some(())
    }
}

/// The answer to a mutant: accepted as it is or with tables that fit, or the rule it breaks.
fn ask(guest: &Guest, mutant: &Mutant) -> Result<Artifact, Rule> {
    let rule = match verify(mutant.applied(&guest.artifact, &mutant.sites)) {
        Ok(verified) => return Ok(verified.artifact().clone()),
        Err(violation) => violation.rule,
    };
    if rule == Rule::TrapSite {
        for code in [TrapCode::MemoryOutOfBounds, TrapCode::IntegerDivisionByZero] {
            let artifact = mutant.applied(&guest.artifact, &mutation::fitting_sites(mutant, code));
            if verify(artifact.clone()).is_ok() {
                return Ok(artifact);
            }
        }
    }
    Err(rule)
}

/// The mutant of a number, and the numbers for its arguments.
fn numbered(seed: u64, number: u64, guests: &[Guest]) -> (Rng, &Guest, Option<Mutant>) {
    let mut rng = Rng::new(seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let guest = &guests[rng.below(guests.len())];
    // Not every corruption applies to every instruction.
    let mutant = (0..8).find_map(|_| {
        let func = rng.below(guest.insns.len());
        let at = rng.below(guest.insns[func].len());
        mutation::mutate(&mut rng, guest, func, at)
    });
    (rng, guest, mutant)
}

/// The work of the child: mutants `from..to`. Says what it is about to run, then what came of all.
///
/// # Errors
/// If the engine cannot be made, or nobody listens.
pub fn child(seed: u64, from: u64, to: u64, out: &mut dyn Write) -> cellwall::Result<()> {
    let guests = guests::guests(GENERATED);
    let mut world = World::new()?;
    let mut refused: BTreeMap<Rule, u64> = BTreeMap::new();
    let mut kinds: BTreeMap<Kind, (u64, u64)> = BTreeMap::new();
    let (mut returned, mut failed) = (0, 0);
    for number in from..to {
        let (mut rng, guest, mutant) = numbered(seed, number, &guests);
        let Some(mutant) = mutant else { continue };
        let kind = kinds.entry(mutant.kind).or_default();
        kind.0 += 1;
        match ask(guest, &mutant) {
            Err(rule) => *refused.entry(rule).or_default() += 1,
            Ok(artifact) => {
                kind.1 += 1;
                writeln!(out, "running {number}")?;
                out.flush()?;
                match world.run(guest, &artifact, &mut rng) {
                    Ok(ran) => (returned, failed) = (returned + ran.returned, failed + ran.failed),
                    Err(breach) => writeln!(out, "breach {number} {breach}")?,
                }
            }
        }
    }
    for (rule, count) in refused {
        writeln!(out, "refused {rule:?} {count}")?;
    }
    for (kind, (asked, accepted)) in kinds {
        writeln!(out, "kind {kind:?} {asked} {accepted}")?;
    }
    writeln!(out, "ran calls {returned} {failed}")?;
    writeln!(out, "done {to}")?;
    out.flush()?;
    Ok(())
}

/// Runs mutants `from..to` in children that `command` makes for a range, and adds up what they say.
///
/// # Errors
/// If no child can be started.
pub fn run(
    from: u64,
    to: u64,
    command: &dyn Fn(u64, u64) -> Command,
    tally: &mut Tally,
) -> std::io::Result<()> {
    let mut next = from;
    // Ends because each child gets further than the one before.
    while next < to {
        let mut child = command(next, to).stdout(Stdio::piped()).spawn()?;
        let out = child.stdout.take().expect("it is piped");
        let (mut running, mut done) = (None::<u64>, false);
        for line in BufReader::new(out).lines() {
            let line = line?;
            if let Some(number) = line.strip_prefix("running ") {
                running = number.parse().ok();
            } else if line.starts_with("breach ") {
                tally.breaches.push(line);
            } else if line.starts_with("done ") {
                done = true;
            } else {
                tally.take(&line);
            }
        }
        let status = child.wait()?;
        if done && status.success() {
            return Ok(());
        }
        tally.breaches.push(format!(
            "the process that ran mutant {running:?} ended with {status}"
        ));
        let Some(number) = running else { return Ok(()) };
        next = number + 1;
    }
    Ok(())
}

/// The mutant of a number in words: where it comes from, the instruction before and after.
pub fn describe(seed: u64, number: u64) -> String {
    let guests = guests::guests(GENERATED);
    let (_, guest, Some(mutant)) = numbered(seed, number, &guests) else {
        return format!("{number} is no mutant");
    };
    let at = |artifact: &Artifact| {
        let code = &artifact.text[mutant.pc as usize..];
        let insn = iced_x86::Decoder::with_ip(64, code, mutant.pc.into(), 0).decode();
        let mut text = String::new();
        iced_x86::Formatter::format(&mut iced_x86::NasmFormatter::new(), &insn, &mut text);
        format!("`{text}` {:02x?}", &code[..insn.len()])
    };
    let corrupted = mutant.applied(&guest.artifact, &mutant.sites);
    let answer = match verify(corrupted.clone()) {
        Ok(_) => "accepted".into(),
        Err(violation) => violation.to_string(),
    };
    format!(
        "{}, {:?} at {:#x}: {} became {}; {answer}",
        guest.name,
        mutant.kind,
        mutant.pc,
        at(&guest.artifact),
        at(&corrupted)
    )
}
