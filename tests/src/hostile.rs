//! Corrupted artifacts for the loader, whose sizes and offsets are made right again so that they
//! come as far as they can.
//!
//! Requires nothing. Guarantees that each number of a seed is one artifact, always the same, and
//! that each goes through the loader's own door, [`Module::deserialize`]; beside it the parser and
//! the verifier are asked alone, and all three answers have to fit together: nothing is mapped that
//! the verifier did not accept. What is accepted is run from time to time. Deliberately does not
//! watch what accepted code does; that is `step` and `breach`.

use crate::breach::guests::guests;
use crate::rng::Rng;
use cellwall::{Config, Engine, Invalid, Linker, Module, Store, StoreLimits, StoreLimitsBuilder, Val};
use cellwall_abi::pack::{self, Origin};
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Accepted artifacts of which one is run.
const RUN_EVERY: u64 = 32;
/// After this time at the latest a run is interrupted: such code is proven to be safe, not to end.
const RUN_TIME_MAX: Duration = Duration::from_millis(5);
/// Bytes of the header before the table of sections.
const HEADER_BYTES: usize = 24;

/// Changes an artifact; another one is there to take from.
type Corrupt = fn(&mut Sections, &Sections, &mut Rng);

/// How an artifact is corrupted; the last one is left to [`corrupt_file`].
const KINDS: [(&str, Corrupt); 7] = [
    ("bit flips", flip_bits),
    ("fields of tables", change_rows),
    ("fields at extremes", write_extremes),
    ("sections truncated or extended", truncate),
    ("sections of another artifact", splice),
    ("machine code", change_code),
    ("header and file", |_, _, _| ()),
];

/// What became of the artifacts of one kind.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Counts {
    /// How many there were.
    pub asked: u64,
    /// The parser refused them.
    pub unreadable: u64,
    /// They came through the parser, and the verifier refused them.
    pub refused: u64,
    /// Proven, but they need another engine or processor.
    pub elsewhere: u64,
    /// Proven and mapped.
    pub accepted: u64,
    /// Of these, how many were run.
    pub run: u64,
}

/// What became of corrupted artifacts.
#[derive(Clone, Default, Debug)]
pub struct Tally {
    /// By kind of corruption, in the order in which they are tried.
    pub kinds: BTreeMap<&'static str, Counts>,
    /// What must not be: a panic, or answers that do not fit together.
    pub faults: Vec<String>,
}

impl Tally {
    /// Adds the counts of another run.
    pub fn add(&mut self, other: Self) {
        for (kind, counts) in other.kinds {
            self.kinds.entry(kind).or_default().add(&counts);
        }
        self.faults.extend(other.faults);
    }

    /// The counts of all kinds together.
    pub fn total(&self) -> Counts {
        let mut total = Counts::default();
        self.kinds.values().for_each(|counts| total.add(counts));
        total
    }
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.asked += other.asked;
        self.unreadable += other.unreadable;
        self.refused += other.refused;
        self.elsewhere += other.elsewhere;
        self.accepted += other.accepted;
        self.run += other.run;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| corrupted | artifacts | refused by the parser | by the verifier | need another machine | accepted | run |"
        )?;
        writeln!(f, "|---|---:|---:|---:|---:|---:|---:|")?;
        let rows = self.kinds.iter().map(|(kind, counts)| (*kind, *counts));
        for (kind, counts) in rows.chain([("**all**", self.total())]) {
            let Counts {
                asked,
                unreadable,
                refused,
                elsewhere,
                accepted,
                run,
            } = counts;
            writeln!(
                f,
                "| {kind} | {asked} | {unreadable} | {refused} | {elsewhere} | {accepted} | {run} |"
            )?;
        }
        Ok(())
    }
}

/// Honest artifacts to corrupt, and the engine that loads what is made of them.
pub struct Loader {
    engine: Engine,
    originals: Vec<Sections>,
}

impl Loader {
    /// A loader with this many generated modules beside the hand-written ones.
    ///
    /// # Panics
    /// If this machine cannot run Cellwall.
    pub fn new(generated: usize) -> Self {
        let mut config = Config::new();
        config.parallel_compilation(false);
        let engine = Engine::new(&config).expect("the options make sense");
        let guests = guests(generated);
        let originals = guests.iter().map(|guest| {
            let defined = guest.artifact.shape.funcs.len() - guest.artifact.shape.imported_funcs as usize;
            let origin = Origin {
                name: Some(guest.name.clone()),
                body_starts: (0..defined as u32).collect(),
                code_start: 7,
                debug: vec![(".debug_info".into(), vec![1, 2, 3].into())],
            };
            Sections::of(&pack::pack(&guest.artifact, &origin))
        });
        Self {
            originals: originals.collect(),
            engine,
        }
    }

    /// The corrupted artifact of this number: its kind and its bytes.
    pub fn artifact(&self, seed: u64, number: u64) -> (&'static str, Vec<u8>) {
        let mut rng = Rng::new(seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut sections = self.originals[rng.below(self.originals.len())].clone();
        let other = &self.originals[rng.below(self.originals.len())];
        let which = rng.below(KINDS.len());
        let (kind, corrupt) = KINDS[which];
        for _ in 0..1 + rng.below(3) {
            corrupt(&mut sections, other, &mut rng);
        }
        let mut bytes = sections.join();
        if which == KINDS.len() - 1 {
            corrupt_file(&mut bytes, &mut rng);
        }
        (kind, bytes)
    }

    /// Loads the artifacts `from..to` of a seed on this thread.
    pub fn run(&self, seed: u64, from: u64, to: u64) -> Tally {
        let mut tally = Tally::default();
        for number in from..to {
            let (kind, bytes) = self.artifact(seed, number);
            let counts = tally.kinds.entry(kind).or_default();
            counts.asked += 1;
            let answer = catch_unwind(AssertUnwindSafe(|| self.load(&bytes, number, counts)));
            let fault = match answer {
                Ok(None) => continue,
                Ok(Some(fault)) => fault,
                Err(_) => "a panic".to_owned(),
            };
            tally
                .faults
                .push(format!("seed {seed}, artifact {number} ({kind}): {fault}"));
        }
        tally
    }

    /// What is wrong with the loader's answers, if anything.
    fn load(&self, bytes: &[u8], number: u64, counts: &mut Counts) -> Option<String> {
        let alone = pack::unpack(bytes).map(|(artifact, _)| {
            let text = artifact.text.to_vec();
            (text, cellwall_verify::verify(artifact).is_ok())
        });
        let loaded = Module::deserialize(&self.engine, bytes);
        match (alone, loaded) {
            (Err(_), Err(error)) if error.is::<Invalid>() => counts.unreadable += 1,
            (Ok((_, false)), Err(error)) if error.is::<cellwall::Violation>() => counts.refused += 1,
            (Ok((_, true)), Err(_)) => counts.elsewhere += 1,
            (Ok((text, true)), Ok(module)) if module.text() == text => {
                counts.accepted += 1;
                if number.is_multiple_of(RUN_EVERY) {
                    counts.run += 1;
                    run_whatever_it_is(&module);
                }
            }
            (alone, loaded) => {
                let alone = alone.map(|(_, proven)| proven);
                return Some(format!("alone {alone:?}, by the door {:?}", loaded.map(|_| ())));
            }
        }
        None
    }

    /// Runs the artifacts `from..to` on this many threads, with a watchdog beside them.
    pub fn run_on(&self, threads: u64, seed: u64, from: u64, to: u64) -> Tally {
        let share = |thread: u64| from + (to - from) * thread / threads;
        let left = AtomicU64::new(threads);
        std::thread::scope(|scope| {
            let work = |thread: u64| {
                let tally = self.run(seed, share(thread), share(thread + 1));
                left.fetch_sub(1, Relaxed);
                tally
            };
            let workers: Vec<_> = (0..threads)
                .map(|thread| scope.spawn(move || work(thread)))
                .collect();
            // Some runs are interrupted early, which is tested with them.
            while left.load(Relaxed) > 0 {
                std::thread::sleep(RUN_TIME_MAX);
                self.engine.interrupt();
            }
            let mut tally = Tally::default();
            for worker in workers {
                tally.add(worker.join().expect("panics were caught inside"));
            }
            tally
        })
    }
}

/// Such a module was proven to be safe, not to mean anything.
fn run_whatever_it_is(module: &Module) {
    let limits = StoreLimitsBuilder::new()
        .memory_size(1 << 22)
        .table_elements(1_000);
    let mut store = Store::new(module.engine(), limits.build());
    store.limiter(|limits: &mut StoreLimits| limits);
    let mut linker = Linker::new(module.engine());
    if linker.define_unknown_imports_as_traps(module).is_err() {
        return;
    }
    let Ok(instance) = linker.instantiate(&mut store, module) else {
        return;
    };
    for export in module.exports() {
        let Some(func) = instance.get_func(&mut store, export.name()) else {
            continue;
        };
        let ty = func.ty(&store);
        let params: Vec<Val> = ty.params().filter_map(|ty| Val::default_for_ty(&ty)).collect();
        let mut results = vec![Val::I32(0); ty.results().len()];
        let _ = func.call(&mut store, &params, &mut results);
    }
}

/// An artifact taken apart: the contents of its sections, in order.
#[derive(Clone)]
struct Sections(Vec<Vec<u8>>);

impl Sections {
    fn of(bytes: &[u8]) -> Self {
        let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes")) as usize;
        let section = |index: usize| {
            let at = HEADER_BYTES + 16 * index;
            bytes[number(at)..][..number(at + 8)].to_vec()
        };
        Self((0..pack::SECTIONS.len()).map(section).collect())
    }

    fn index(name: &str) -> usize {
        let found = pack::SECTIONS.iter().position(|section| *section == name);
        found.expect("the format has such a section")
    }

    /// A section with something in it, most often not the one that only says who compiled.
    fn any(&mut self, rng: &mut Rng) -> &mut Vec<u8> {
        let first = usize::from(rng.below(64) != 0);
        let full: Vec<usize> = (first..self.0.len())
            .filter(|&index| !self.0[index].is_empty())
            .collect();
        &mut self.0[full[rng.below(full.len())]]
    }

    /// The file, with offsets and lengths that are right.
    fn join(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(pack::MAGIC);
        bytes.extend(pack::FORMAT_VERSION.to_le_bytes());
        bytes.extend((self.0.len() as u32).to_le_bytes());
        bytes.extend([0; 8]);
        bytes.resize(HEADER_BYTES + 16 * self.0.len(), 0);
        let text_bytes = self.0[Self::index("text")].len();
        for (index, section) in self.0.iter().enumerate() {
            let (align, fill) = pack::placing(pack::SECTIONS[index], text_bytes);
            bytes.resize(bytes.len().next_multiple_of(align), fill);
            let at = HEADER_BYTES + 16 * index;
            let (start, len) = (bytes.len() as u64, section.len() as u64);
            bytes[at..at + 8].copy_from_slice(&start.to_le_bytes());
            bytes[at + 8..at + 16].copy_from_slice(&len.to_le_bytes());
            bytes.extend(section);
        }
        let len = bytes.len() as u64;
        bytes[16..24].copy_from_slice(&len.to_le_bytes());
        bytes
    }
}

fn flip_bits(sections: &mut Sections, _: &Sections, rng: &mut Rng) {
    for _ in 0..1 + rng.below(4) {
        let section = sections.any(rng);
        let at = rng.below(section.len());
        section[at] ^= 1 << rng.below(8);
    }
}

/// The sections that are tables, and the bytes of a row.
const TABLES: [(&str, usize); 8] = [
    ("functions", 12),
    ("jump tables", 12),
    ("traps", 9),
    ("calls", 8),
    ("unwind", 8),
    ("heads", 4),
    ("inlined sites", 8),
    ("bodies", 4),
];

/// A field of a row gets another value, or rows change places, are doubled or are gone.
fn change_rows(sections: &mut Sections, _: &Sections, rng: &mut Rng) {
    let (name, row) = TABLES[rng.below(TABLES.len())];
    let section = &mut sections.0[Sections::index(name)];
    let rows = section.len() / row;
    if rows == 0 {
        return;
    }
    let at = row * rng.below(rows);
    let other = row * rng.below(rows);
    match rng.below(8) {
        0 => (0..row).for_each(|byte| section.swap(at + byte, other + byte)),
        1 => drop(section.drain(at..at + row)),
        2 => {
            let copy = section[at..at + row].to_vec();
            drop(section.splice(other..other, copy));
        }
        _ => {
            let field = at + 4 * rng.below(row / 4);
            let old = u32::from_le_bytes(section[field..field + 4].try_into().expect("4 bytes"));
            let new = match rng.below(4) {
                0 => old.wrapping_add(1),
                1 => old.wrapping_sub(1 + rng.below(64) as u32),
                2 => old.wrapping_add(rng.below(64) as u32),
                _ => rng.interesting() as u32,
            };
            section[field..field + 4].copy_from_slice(&new.to_le_bytes());
        }
    }
}

fn write_extremes(sections: &mut Sections, _: &Sections, rng: &mut Rng) {
    let section = sections.any(rng);
    let number = match rng.below(4) {
        0 => u64::MAX,
        1 => 0,
        _ => rng.interesting(),
    };
    let width = [1, 2, 4, 8][rng.below(4)].min(section.len());
    let at = rng.below(section.len() - width + 1);
    section[at..at + width].copy_from_slice(&number.to_le_bytes()[..width]);
}

fn truncate(sections: &mut Sections, _: &Sections, rng: &mut Rng) {
    let section = sections.any(rng);
    let len = section.len();
    match rng.below(4) {
        0 => section.truncate(rng.below(len)),
        1 => section.truncate(len - (1 + rng.below(16)).min(len)),
        2 => drop(section.drain(..rng.below(len.min(64)))),
        _ => {
            let fill = [0, 0xcc, 0xff][rng.below(3)];
            section.resize(len + 1 + rng.below(64), fill);
        }
    }
}

/// Whole sections, or a piece of one, come from another artifact.
fn splice(sections: &mut Sections, other: &Sections, rng: &mut Rng) {
    let index = 1 + rng.below(sections.0.len() - 1);
    if rng.below(2) == 0 {
        sections.0[index].clone_from(&other.0[index]);
        return;
    }
    let (ours, theirs) = (&mut sections.0[index], &other.0[index]);
    if ours.is_empty() || theirs.is_empty() {
        return;
    }
    let (to, from) = (rng.below(ours.len()) & !3, rng.below(theirs.len()) & !3);
    let len = (1 + rng.below(64)).min(ours.len() - to).min(theirs.len() - from);
    ours[to..to + len].copy_from_slice(&theirs[from..from + len]);
}

/// Bytes that hostile code is made of: prefixes, opcodes, and what follows them.
const BYTES: [u8; 24] = [
    0x0f, 0x05, 0x66, 0xf2, 0xf3, 0x64, 0x65, 0xe8, 0xe9, 0xeb, 0xff, 0xc3, 0x48, 0x41, 0x8b, 0x89, 0x05,
    0x24, 0xc5, 0xc4, 0x62, 0x90, 0xcc, 0x00,
];

fn change_code(sections: &mut Sections, other: &Sections, rng: &mut Rng) {
    let theirs = &other.0[Sections::index("text")];
    let text = &mut sections.0[Sections::index("text")];
    if text.is_empty() {
        return;
    }
    let at = rng.below(text.len());
    match rng.below(4) {
        0 => text[at] ^= 1 << rng.below(8),
        1 => text[at] = BYTES[rng.below(BYTES.len())],
        2 => {
            let from = rng.below(text.len());
            let len = (1 + rng.below(12)).min(text.len() - at.max(from));
            text.copy_within(from..from + len, at);
        }
        _ if theirs.is_empty() => text[at] = 0,
        _ => {
            let from = rng.below(theirs.len());
            let len = (1 + rng.below(12)).min(text.len() - at).min(theirs.len() - from);
            text[at..at + len].copy_from_slice(&theirs[from..from + len]);
        }
    }
}

/// The header's own fields, which are otherwise right, and the end of the file.
fn corrupt_file(bytes: &mut Vec<u8>, rng: &mut Rng) {
    let table_end = HEADER_BYTES + 16 * pack::SECTIONS.len();
    match rng.below(5) {
        0 => bytes.truncate(rng.below(bytes.len())),
        1 => bytes.extend((0..1 + rng.below(32)).map(|_| 0)),
        2 => {
            let at = rng.below(table_end);
            bytes[at] ^= 1 << rng.below(8);
        }
        3 => {
            // An offset or a length at an extreme.
            let at = 16 + 8 * rng.below((table_end - 16) / 8);
            bytes[at..at + 8].copy_from_slice(&rng.interesting().to_le_bytes());
        }
        _ => {
            // A byte moves from one section to its neighbour.
            let at = HEADER_BYTES + 16 * rng.below(pack::SECTIONS.len() - 1);
            for (field, by) in [(at + 8, 16i64), (at + 16, 16), (at + 24, -16)] {
                let old = i64::from_le_bytes(bytes[field..field + 8].try_into().expect("8 bytes"));
                bytes[field..field + 8].copy_from_slice(&old.wrapping_add(by).to_le_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_apart_is_put_together_again() {
        let guest = &guests(0)[0];
        let bytes = pack::pack(&guest.artifact, &Origin::default());
        assert_eq!(Sections::of(&bytes).join(), bytes);
    }
}
