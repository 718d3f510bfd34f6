//! For all modules of wasm-smith: results, traps, final memories and globals are the same in
//! Cellwall, wasmi and Wasmtime.
//!
//! Two against one: where Wasmtime sees what Cellwall sees, wasmi's dissent is only
//! counted; where Wasmtime has no say, wasmi has.

use crate::child::Wasmi;
use crate::observe::{self, Exports, Seen};
use crate::told::{Told, difference, told};
use cellwall_tests::generate;
use cellwall_tests::rng::Rng;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Generates the module that `data` chooses and compares the engines on it.
///
/// # Panics
/// If Cellwall differs from another engine, or refuses the module.
pub fn run(data: &[u8]) {
    if let Some(wasm) = generate::module_of(data) {
        compare(&wasm, seed_of(data), wasmi_in_its_process);
    }
}

/// Modules compared so far.
static COMPARED: AtomicU64 = AtomicU64::new(0);
/// Those of them in which a function gave results or trapped for a reason of its own.
static EXECUTED: AtomicU64 = AtomicU64::new(0);
/// Those of them that Wasmtime ran.
static BY_WASMTIME: AtomicU64 = AtomicU64::new(0);
/// Those of them that wasmi ran.
static BY_WASMI: AtomicU64 = AtomicU64::new(0);
/// Those of them on which wasmi stands alone against the two others.
static DISSENT: AtomicU64 = AtomicU64::new(0);
/// How often wasmi's process ended.
static ENDED: AtomicU64 = AtomicU64::new(0);

/// How much there was to compare.
pub fn summary() -> String {
    let [compared, executed, wasmtime, wasmi, dissent, ended] =
        [&COMPARED, &EXECUTED, &BY_WASMTIME, &BY_WASMI, &DISSENT, &ENDED]
            .map(|count| count.load(Ordering::Relaxed));
    format!(
        "{executed} of {compared} modules executed something, Wasmtime ran {wasmtime}, wasmi {wasmi}; \
         wasmi alone saw something else in {dissent} and ended its process {ended} times \
         (attempts at shrinking included)"
    )
}

/// Compares the engines on every exported function of a module without imports, each in a fresh
/// instance; `seed` chooses the arguments.
///
/// # Panics
/// If Cellwall differs from another engine, or refuses the module.
fn compare(wasm: &[u8], seed: u64, ask_wasmi: fn(&[u8], u64) -> Option<Told>) {
    let ours = observe::cellwall::observe(wasm, seed)
        .unwrap_or_else(|error| panic!("Cellwall refuses a valid module: {error}"));
    count(&COMPARED, true);
    count(&EXECUTED, executed(&ours));
    let ours = told(&ours);
    // A peer may have a limit of its own, or panic; it then has no say.
    let wasmtime = std::panic::catch_unwind(|| observe::wasmtime::observe(wasm, seed));
    let wasmtime = wasmtime.ok().and_then(Result::ok).map(|seen| told(&seen));
    count(&BY_WASMTIME, wasmtime.is_some());
    let other = wasmtime
        .as_ref()
        .and_then(|theirs| difference(&ours, "Wasmtime", theirs));
    if let Some(difference) = other {
        panic!("{difference}");
    }
    let wasmi = ask_wasmi(wasm, seed);
    count(&BY_WASMI, wasmi.is_some());
    match wasmi.and_then(|theirs| difference(&ours, "wasmi", &theirs)) {
        Some(difference) if wasmtime.is_none() => panic!("{difference}"),
        dissent => count(&DISSENT, dissent.is_some()),
    }
}

fn count(counter: &AtomicU64, one: bool) {
    counter.fetch_add(u64::from(one), Ordering::Relaxed);
}

/// Whether a function gave results or trapped for a reason of its own.
fn executed(exports: &Exports) -> bool {
    exports.iter().flat_map(|(_, seen)| seen).any(|seen| {
        matches!(seen, Seen::Values(_) | Seen::Trap(_))
            && *seen != Seen::Trap("UnreachableCodeReached".into())
    })
}

/// The process that answers for wasmi, if one is running.
static WASMI: Mutex<Option<Wasmi>> = Mutex::new(None);

/// What wasmi sees; `None` if it refuses the module, or if the module ends its process.
fn wasmi_in_its_process(wasm: &[u8], seed: u64) -> Option<Told> {
    let mut running = WASMI.lock().expect("nothing panics while it is held");
    let mut child = match running.take() {
        Some(child) => child,
        None => Wasmi::start().ok()?,
    };
    match child.ask(wasm, seed) {
        Ok(told) => {
            *running = Some(child);
            told
        }
        Err(_) => {
            count(&ENDED, true);
            None
        }
    }
}

/// Bytes that choose a module.
pub fn next(rng: &mut Rng, _: &[Vec<u8>]) -> Vec<u8> {
    let len = 256 + rng.below(6_000);
    rng.bytes(len)
}

/// The module that these bytes choose, to be kept beside them.
pub fn module(data: &[u8]) -> Option<Vec<u8>> {
    generate::module_of(data)
}

fn seed_of(data: &[u8]) -> u64 {
    data.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wasmi(wasm: &[u8], seed: u64) -> Option<Told> {
        let seen = observe::wasmi::observe(wasm, seed).expect("it runs this one");
        Some(told(&seen))
    }

    #[test]
    fn engines_agree_on_a_module_that_computes_stores_and_traps() {
        // (module (memory (export "m") 1) (func (export "f") (param i32) (result i32)
        //   local.get 0 local.get 0 i32.store local.get 0 i32.load))
        let wasm = b"\0asm\x01\0\0\0\x01\x06\x01\x60\x01\x7f\x01\x7f\x03\x02\x01\0\
            \x05\x03\x01\0\x01\x07\x09\x02\x01m\x02\0\x01f\0\0\
            \x0a\x10\x01\x0e\0\x20\0\x20\0\x36\x02\0\x20\0\x28\x02\0\x0b";
        for seed in 0..20 {
            compare(wasm, seed, wasmi);
        }
    }
}
