//! For all mutated modules: validating and running them under limits gives an error with its place
//! or a result, never a panic, a hang or growth beyond the limits.

use crate::generate;
use crate::rng::Rng;
use cellwall::{Config, Engine, Linker, Module, Store, StoreLimits, StoreLimitsBuilder};
use std::sync::mpsc;
use std::time::Duration;

/// Bytes of memory that one mutant may have.
pub const MEMORY_BYTES_MAX: usize = 64 << 20;

/// What became of the mutants.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Refused by validation, with an offset.
    pub invalid: u64,
    /// Valid, but refused by a limit or at linking.
    pub refused: u64,
    /// Ran to an end.
    pub returned: u64,
    /// Ended by a trap or an error.
    pub trapped: u64,
    /// Ended by the time limit.
    pub interrupted: u64,
}

impl Tally {
    /// Adds another tally.
    pub const fn add(&mut self, other: &Self) {
        self.invalid += other.invalid;
        self.refused += other.refused;
        self.returned += other.returned;
        self.trapped += other.trapped;
        self.interrupted += other.interrupted;
    }
}

/// Changes a few bytes of a module.
pub fn mutate(rng: &mut Rng, module: &[u8]) -> Vec<u8> {
    let mut bytes = module.to_vec();
    for _ in 0..1 + rng.below(4) {
        if bytes.len() <= 8 {
            break;
        }
        let at = 8 + rng.below(bytes.len() - 8);
        match rng.below(8) {
            0 => bytes[at] = rng.bits() as u8,
            1 => bytes[at] ^= 1 << rng.below(8),
            2 => bytes[at] = bytes[at].wrapping_add(1),
            3 => bytes.insert(at, rng.bits() as u8),
            4 => drop(bytes.remove(at)),
            5 => bytes[at] = [0x00, 0x7f, 0x80, 0xff, 0x0b, 0x40][rng.below(6)],
            6 => {
                let end = (at + 1 + rng.below(16)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                let to = 8 + rng.below(bytes.len() - 8);
                bytes.splice(to..to, piece);
            }
            _ if rng.below(16) == 0 => bytes.truncate(at),
            _ => bytes.swap(at, at - 1),
        }
    }
    bytes
}

/// Runs `count` mutants of generated modules and of `corpus`, each for at most `time_max`.
///
/// # Panics
/// If a mutant breaks the property.
pub fn run(seed: u64, count: u64, time_max: Duration, corpus: &[Vec<u8>]) -> Tally {
    let mut config = Config::new();
    config.parallel_compilation(false);
    let engine = Engine::new(&config).expect("the configuration is valid");
    let mut rng = Rng::new(seed);
    let mut tally = Tally::default();
    let mut parent = Vec::new();
    for number in 0..count {
        if number % 16 == 0 {
            parent = match corpus.len() {
                0 => generate::any(rng.bits()).unwrap_or_default(),
                n if rng.below(4) == 0 => corpus[rng.below(n)].clone(),
                _ => generate::any(rng.bits()).unwrap_or_default(),
            };
        }
        let mutant = mutate(&mut rng, &parent);
        try_one(&engine, &mutant, time_max, &mut tally);
    }
    tally
}

/// Validates and runs one mutant for at most `time_max`, and counts what became of it.
///
/// # Panics
/// If the mutant breaks the property.
pub fn try_one(engine: &Engine, mutant: &[u8], time_max: Duration, tally: &mut Tally) {
    if let Err(error) = Module::validate(engine, mutant) {
        let text = format!("{error:#}");
        assert!(text.contains("offset"), "an error without its place: {text}");
        tally.invalid += 1;
        return;
    }
    let Ok(module) = Module::new(engine, mutant) else {
        tally.refused += 1;
        return;
    };
    let limits = StoreLimitsBuilder::new()
        .memory_size(MEMORY_BYTES_MAX)
        .table_elements(100_000)
        .build();
    let mut store: Store<StoreLimits> = Store::new(engine, limits);
    store.limiter(|limits| limits);
    let mut linker: Linker<StoreLimits> = Linker::new(engine);
    if linker.define_unknown_imports_as_traps(&module).is_err() {
        tally.refused += 1;
        return;
    }
    let interrupted = under_time(engine, time_max, || {
        let Ok(instance) = linker.instantiate(&mut store, &module) else {
            tally.refused += 1;
            return;
        };
        let funcs: Vec<_> = instance
            .exports(&mut store)
            .filter_map(|export| export.into_func())
            .take(8)
            .collect();
        for func in funcs {
            let ty = func.ty(&store);
            let args: Vec<_> = ty
                .params()
                .map(|ty| cellwall::Val::default_for_ty(&ty).expect("a default"))
                .collect();
            let mut results = vec![cellwall::Val::I32(0); ty.results().len()];
            match func.call(&mut store, &args, &mut results) {
                Ok(()) => tally.returned += 1,
                Err(_) => tally.trapped += 1,
            }
        }
    });
    tally.interrupted += u64::from(interrupted);
}

/// Runs `work` and interrupts the engine when the time is over; whether that was needed.
pub fn under_time(engine: &Engine, time_max: Duration, work: impl FnOnce()) -> bool {
    std::thread::scope(|scope| {
        let (done, waiting) = mpsc::channel::<()>();
        let watch = scope.spawn(move || {
            let mut needed = false;
            while waiting.recv_timeout(time_max) == Err(mpsc::RecvTimeoutError::Timeout) {
                needed = true;
                engine.interrupt();
            }
            needed
        });
        work();
        drop(done);
        watch.join().expect("the watch does not panic")
    })
}
