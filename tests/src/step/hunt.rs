//! For all modules and all corruptions of one instruction: what the verifier accepts stays in its
//! cell, seen at every step.
//!
//! Honest code of a module tours its functions with some arguments first. A mutant is then made
//! mostly of an instruction that a tour reached, and called with the arguments of that tour, so that
//! the corrupted instruction is reached as well. Every fourth is called once more with other numbers
//! in all places that it must not look at: what it shows must be the same.
//!
//! Requires that the processes it starts can be traced. Guarantees that equal seeds ask about equal
//! mutants. Deliberately also takes what is refused, if it is told to: the oracle has to object to
//! many of those, or it would object to nothing.

use super::session::{End, Plan, Report, Session};
use crate::breach::guests::{self, Guest};
use crate::breach::mutation::{self, Kind, Mutant};
use crate::rng::Rng;
use crate::{generate, honest};
use cellwall_abi::{TrapCode, TrapSite};
use cellwall_verify::{Rule, Violation, check_function, verify};
use iced_x86::Decoder;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::process::Command;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// Functions of a module that honest code tours, and with how many arguments each.
const TOURED_MAX: usize = 40;
const TOURS_EACH: u64 = 3;
/// Larger functions are not corrupted: their proofs take too long to make so many.
const FUNC_BYTES_MAX: u32 = 6 << 10;
/// One of so many calls is made once more with other residue.
const AGAIN_ONE_OF: u64 = 4;
/// One of so many accepted mutants is proven once more as a whole.
const WHOLE_ONE_OF: u64 = 16;
/// Escapes that are told in words.
const TOLD_MAX: usize = 100;
/// Rounds over the modules, in case some of them cannot be used.
const ROUNDS_MAX: u64 = 8;

/// A module, and what to compile it for.
#[derive(Clone, Debug)]
pub struct Source {
    /// Where it comes from.
    pub name: String,
    /// Whether it is a program that somebody uses, and not made for tests.
    pub real: bool,
    binary: Vec<u8>,
    target: usize,
}

/// A module of each newer proposal, for every target.
///
/// # Panics
/// If one is not well-formed.
pub fn featured() -> Vec<Source> {
    let mut sources = Vec::new();
    for (name, binary) in guests::featured() {
        for (target, (which, _)) in honest::targets().iter().enumerate() {
            sources.push(Source {
                name: format!("{name}, compiled for {which}"),
                real: false,
                binary: binary.clone(),
                target,
            });
        }
    }
    sources
}

/// Real programs, modules of the specification's tests, generated and hand-written ones.
///
/// # Errors
/// If the checkout of programs cannot be read.
///
/// # Panics
/// If a hand-written module is not well-formed.
pub fn sources(bytes_max: u64, spec: usize, generated: usize) -> io::Result<Vec<Source>> {
    let mut sources = Vec::new();
    let mut add = |name: &str, real: bool, binary: &[u8], targets: &[usize]| {
        for &target in targets {
            sources.push(Source {
                name: format!("{name}, compiled for {}", honest::targets()[target].0),
                real,
                binary: binary.to_vec(),
                target,
            });
        }
    };
    for (name, binary) in guests::written() {
        add(&name, false, &binary, &[0, 1, 2]);
    }
    for (name, binary) in honest::shared_modules(bytes_max)? {
        if !name.contains("tests/wasi") {
            add(&name, true, &binary, &[0, 2]);
        }
    }
    let large: Vec<(String, Vec<u8>)> = honest::spec_modules()
        .into_iter()
        .filter(|(_, b)| b.len() > 200)
        .collect();
    let step = large.len().div_ceil(spec.max(1)).max(1);
    for (index, (name, binary)) in large.iter().step_by(step).enumerate() {
        add(name, false, binary, &[2 * (index % 2)]);
    }
    let seeds = (0u64..).filter_map(|seed| Some((format!("seed {seed}"), generate::any(seed)?)));
    for (index, (name, binary)) in seeds.take(generated).enumerate() {
        add(&name, false, &binary, &[2 * (index % 2)]);
    }
    Ok(sources)
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// How many mutants.
    pub count: u64,
    /// Where the random numbers start.
    pub seed: u64,
    /// How many instructions of each are looked at.
    pub steps_max: usize,
    /// Whether refused mutants run as well, to see the oracle object.
    pub unverified: bool,
    /// How many processes work at it.
    pub workers: usize,
}

/// What became of the mutants.
#[derive(Clone, Default, Debug)]
pub struct Tally {
    /// Modules that were corrupted, by whether they are real.
    pub modules: BTreeMap<bool, BTreeSet<String>>,
    /// Modules that are not valid for us or cannot be instantiated.
    pub unusable: BTreeSet<String>,
    /// By rule, how many were refused.
    pub refused: BTreeMap<Rule, u64>,
    /// By kind of corruption, how many were asked about and how many accepted.
    pub kinds: BTreeMap<Kind, (u64, u64)>,
    /// Accepted ones that ran under the oracle.
    pub executed: u64,
    /// Of these, those whose corrupted instruction was among what ran.
    pub reached: u64,
    /// Instructions that were looked at.
    pub steps: u64,
    /// By kind of end, how many calls of accepted mutants ended so.
    pub ends: BTreeMap<&'static str, u64>,
    /// Calls that were compared with another of the same arguments.
    pub compared: u64,
    /// Refused mutants that ran, by the rule, and how many of them the oracle objected to.
    pub unverified: BTreeMap<Rule, (u64, u64)>,
    /// Accepted mutants that left their cell, and honest code that did: how many, and the first.
    pub escapes: u64,
    /// Some of them in words.
    pub told: Vec<String>,
    /// Processes that were used.
    pub processes: u64,
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

    /// How many refused ones the oracle objected to.
    pub fn flagged(&self) -> u64 {
        self.unverified.values().map(|(_, flagged)| flagged).sum()
    }

    fn escape(&mut self, how: String) {
        self.escapes += 1;
        if self.told.len() < TOLD_MAX {
            self.told.push(how);
        }
    }

    fn add(&mut self, other: Self) {
        for (real, modules) in other.modules {
            self.modules.entry(real).or_default().extend(modules);
        }
        self.unusable.extend(other.unusable);
        for (rule, count) in other.refused {
            *self.refused.entry(rule).or_default() += count;
        }
        for (kind, (asked, accepted)) in other.kinds {
            let sum = self.kinds.entry(kind).or_default();
            *sum = (sum.0 + asked, sum.1 + accepted);
        }
        for (end, count) in other.ends {
            *self.ends.entry(end).or_default() += count;
        }
        for (rule, (ran, flagged)) in other.unverified {
            let sum = self.unverified.entry(rule).or_default();
            *sum = (sum.0 + ran, sum.1 + flagged);
        }
        self.executed += other.executed;
        self.reached += other.reached;
        self.steps += other.steps;
        self.compared += other.compared;
        self.escapes += other.escapes;
        self.processes += other.processes;
        let room = TOLD_MAX - self.told.len().min(TOLD_MAX);
        self.told.extend(other.told.into_iter().take(room));
    }
}

fn name_of(end: &End) -> &'static str {
    match end {
        End::Returned => "returned",
        End::Trapped(_) => "trapped",
        End::Limit => "stopped after the number of steps",
        End::Left => "ended by the runtime",
        End::Late => "too long in the runtime",
        End::Escaped(_) => "escaped",
    }
}

/// Runs an order. `progress` hears how many were asked about, accepted, and left their cell since it
/// was called last; it is called from several threads.
///
/// # Errors
/// If processes cannot be started or traced.
///
/// # Panics
/// If a worker does.
pub fn run(
    order: &Order,
    sources: &[Source],
    command: &(dyn Fn() -> Command + Sync),
    progress: &(dyn Fn(u64, u64, u64) + Sync),
) -> io::Result<Tally> {
    let total = Mutex::new(Tally::default());
    let left = AtomicU64::new(order.count);
    for round in 0..ROUNDS_MAX {
        let share = left.load(Relaxed).div_ceil(sources.len().max(1) as u64);
        if share == 0 {
            break;
        }
        let next = AtomicUsize::new(0);
        let work = |worker: usize| -> io::Result<()> {
            stay_on_one_processor(worker);
            let mut session = None;
            while let Some(source) = sources.get(next.fetch_add(1, Relaxed)) {
                let mut tally = Tally::default();
                let seed = order.seed.wrapping_add(round << 32);
                hunt(
                    &Order {
                        count: share,
                        seed,
                        ..*order
                    },
                    source,
                    &command,
                    &mut session,
                    &mut tally,
                )?;
                let asked = tally.asked();
                let _ = left.fetch_update(Relaxed, Relaxed, |left| Some(left.saturating_sub(asked)));
                progress(asked, tally.accepted(), tally.escapes);
                total.lock().unwrap_or_else(PoisonError::into_inner).add(tally);
            }
            if let Some(session) = session {
                total.lock().unwrap_or_else(PoisonError::into_inner).processes += session.started;
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..order.workers.max(1))
                .map(|w| scope.spawn(move || work(w)))
                .collect();
            workers
                .into_iter()
                .try_for_each(|w| w.join().expect("a worker does not panic"))
        })?;
    }
    Ok(total.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// A step is two switches between this thread and the process; on one processor they are cheap. The
/// process inherits the choice.
fn stay_on_one_processor(worker: usize) {
    let itself = Pid::from_raw(0);
    let Ok(allowed) = sched_getaffinity(itself) else {
        return;
    };
    let usable: Vec<usize> = (0..CpuSet::count())
        .filter(|&cpu| allowed.is_set(cpu) == Ok(true))
        .collect();
    let mut one = CpuSet::new();
    if !usable.is_empty() && one.set(usable[worker % usable.len()]).is_ok() {
        // Slower without.
        let _ = sched_setaffinity(itself, &one);
    }
}

/// A call of honest code, and where it came along.
struct Tour {
    func: usize,
    inputs: u64,
    reached: Vec<u32>,
}

/// Mutants of one module.
fn hunt<'a>(
    order: &Order,
    source: &Source,
    command: &'a dyn Fn() -> Command,
    session: &mut Option<Session<'a>>,
    tally: &mut Tally,
) -> io::Result<()> {
    let (_, target) = honest::targets()[source.target];
    let usable = honest::artifact(&source.binary, &target).filter(|artifact| !artifact.funcs.is_empty());
    let Some(artifact) = usable else {
        tally.unusable.insert(source.name.clone());
        return Ok(());
    };
    if let Err(violation) = verify(artifact.clone()) {
        tally.escape(format!("{}: honest code is refused: {violation}", source.name));
        return Ok(());
    }
    let ready = match session {
        None => {
            *session = Session::new(command, &artifact)?;
            session.is_some()
        }
        Some(session) => session.load(&artifact)?,
    };
    let Some(session) = session.as_mut().filter(|_| ready) else {
        tally.unusable.insert(source.name.clone());
        return Ok(());
    };
    let guest = Guest::new(source.name.clone(), artifact);
    let mut rng = Rng::new(order.seed ^ hash(&source.name));
    let tours = tour(order, &guest, session, &mut rng, tally)?;
    if tours.is_empty() {
        tally.unusable.insert(source.name.clone());
        return Ok(());
    }
    tally
        .modules
        .entry(source.real)
        .or_default()
        .insert(source.name.clone());
    for _ in 0..order.count {
        let mut rng = Rng::new(rng.bits());
        // Not every corruption applies to every instruction.
        let made = (0..8).find_map(|_| {
            let tour = &tours[rng.below(tours.len())];
            choose(&mut rng, &guest, tour).map(|(func, mutant)| (tour, func, mutant))
        });
        if let Some((tour, func, mutant)) = made {
            one(order, &guest, session, tour, func, &mutant, &mut rng, tally)?;
        }
    }
    Ok(())
}

fn hash(name: &str) -> u64 {
    // FNV-1a: the same in every process.
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    name.bytes().fold(0xcbf2_9ce4_8422_2325, step)
}

/// Calls honest functions, which must stay in their cell as well.
fn tour(
    order: &Order,
    guest: &Guest,
    session: &mut Session<'_>,
    rng: &mut Rng,
    tally: &mut Tally,
) -> io::Result<Vec<Tour>> {
    let funcs = guest.artifact.funcs.len();
    let mut chosen: Vec<usize> = (0..funcs).collect();
    if funcs > TOURED_MAX {
        chosen = (0..TOURED_MAX).map(|_| rng.below(funcs)).collect();
    }
    let mut tours = Vec::new();
    for func in chosen {
        for _ in 0..TOURS_EACH {
            let inputs = rng.bits();
            let plan = Plan {
                func,
                inputs,
                residue: rng.bits(),
                steps_max: order.steps_max,
            };
            let report = session.run(&plan)?;
            tally.steps += report.trace.len() as u64;
            if let End::Escaped(how) = &report.end {
                tally.escape(format!("{}: honest code left its cell: {how}", guest.name));
            }
            let mut reached = report.trace;
            reached.sort_unstable();
            reached.dedup();
            if !reached.is_empty() {
                tours.push(Tour {
                    func,
                    inputs,
                    reached,
                });
            }
        }
    }
    Ok(tours)
}

/// An instruction of a tour, or sometimes any of the same function, corrupted; with the index of its
/// function.
fn choose(rng: &mut Rng, guest: &Guest, tour: &Tour) -> Option<(usize, Mutant)> {
    let pc = tour.reached[rng.below(tour.reached.len())];
    let func = guest.artifact.funcs.partition_point(|range| range.start <= pc) - 1;
    if guest.artifact.funcs[func].len > FUNC_BYTES_MAX {
        return None;
    }
    let insns = &guest.insns[func];
    let at = match rng.below(8) {
        0 => rng.below(insns.len()),
        _ => insns.partition_point(|(insn, _)| insn.ip() < u64::from(pc)),
    };
    Some((func, mutation::mutate(rng, guest, func, at)?))
}

/// Asks about the mutant that is in place: accepted as it is or with sites that fit, or the rule that
/// it breaks.
fn ask(session: &mut Session<'_>, mutant: &Mutant, func: usize) -> io::Result<Result<(), Violation>> {
    let violation = match check_function(session.artifact(), func) {
        Err(violation) if violation.rule == Rule::TrapSite => violation,
        answer => return Ok(answer),
    };
    for code in [TrapCode::MemoryOutOfBounds, TrapCode::IntegerDivisionByZero] {
        let sites = mutation::fitting_sites(mutant, code);
        session.patch(mutant.pc, &mutant.bytes, &sites)?;
        if check_function(session.artifact(), func).is_ok() {
            return Ok(Ok(()));
        }
    }
    session.patch(mutant.pc, &mutant.bytes, &mutant.sites)?;
    Ok(Err(violation))
}

#[expect(
    clippy::too_many_arguments,
    reason = "each is one word, and nobody else calls it"
)]
fn one(
    order: &Order,
    guest: &Guest,
    session: &mut Session<'_>,
    tour: &Tour,
    func: usize,
    mutant: &Mutant,
    rng: &mut Rng,
    tally: &mut Tally,
) -> io::Result<()> {
    let (bytes, sites): (Vec<u8>, Vec<TrapSite>) = session.patch(mutant.pc, &mutant.bytes, &mutant.sites)?;
    let answer = ask(session, mutant, func)?;
    let kind = tally.kinds.entry(mutant.kind).or_default();
    kind.0 += 1;
    let plan = Plan {
        func: tour.func,
        inputs: tour.inputs,
        residue: rng.bits(),
        steps_max: order.steps_max,
    };
    match answer {
        Ok(()) => {
            kind.1 += 1;
            if rng.bits().is_multiple_of(WHOLE_ONE_OF)
                && let Err(violation) = verify(session.artifact().clone())
            {
                tally.escape(format!(
                    "{}: accepted alone, refused as a whole: {violation}",
                    guest.name
                ));
            }
            let report = session.run(&plan)?;
            let mut flaw = flaw(&report);
            tally.executed += 1;
            tally.steps += report.trace.len() as u64;
            tally.reached += u64::from(report.trace.contains(&mutant.pc));
            *tally.ends.entry(name_of(&report.end)).or_default() += 1;
            if flaw.is_none() && report.seen.is_some() && rng.bits().is_multiple_of(AGAIN_ONE_OF) {
                flaw = differs(session, &plan, &report, rng, tally)?;
            }
            if let Some(how) = flaw {
                tally.escape(format!("{}: {how}", describe(guest, mutant)));
            }
        }
        Err(violation) => {
            *tally.refused.entry(violation.rule).or_default() += 1;
            if order.unverified {
                let report = session.run(&plan)?;
                tally.steps += report.trace.len() as u64;
                let mut flaw = flaw(&report);
                if flaw.is_none() && report.seen.is_some() {
                    flaw = differs(session, &plan, &report, rng, tally)?;
                }
                let count = tally.unverified.entry(violation.rule).or_default();
                count.0 += 1;
                count.1 += u64::from(flaw.is_some());
            }
        }
    }
    session.patch(mutant.pc, &bytes, &sites)?;
    Ok(())
}

fn flaw(report: &Report) -> Option<String> {
    match &report.end {
        End::Escaped(how) => Some(how.clone()),
        _ => None,
    }
}

/// The same call with other residue: what it shows must be the same.
fn differs(
    session: &mut Session<'_>,
    plan: &Plan,
    report: &Report,
    rng: &mut Rng,
    tally: &mut Tally,
) -> io::Result<Option<String>> {
    let again = session.run(&Plan {
        residue: rng.bits(),
        ..*plan
    })?;
    tally.compared += 1;
    tally.steps += again.trace.len() as u64;
    let same = again.seen == report.seen && again.trace == report.trace;
    Ok((!same).then(|| "shows what it must not see: residue of registers, flags, stack or block".into()))
}

/// The mutant in words: where it comes from, the instruction before and after.
fn describe(guest: &Guest, mutant: &Mutant) -> String {
    let at = |code: &[u8]| {
        let insn = Decoder::with_ip(64, code, mutant.pc.into(), 0).decode();
        format!("`{insn}` {:02x?}", &code[..insn.len().min(code.len())])
    };
    format!(
        "{}, {:?} at {:#x}: {} became {}",
        guest.name,
        mutant.kind,
        mutant.pc,
        at(&guest.artifact.text[mutant.pc as usize..]),
        at(&mutant.bytes)
    )
}
