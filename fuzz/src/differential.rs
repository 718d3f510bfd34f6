//! For all modules of wasm-smith: results, traps, final memories and globals are the same in
//! Cellwall, wasmi and Wasmtime.

use crate::observe::{self, Exports, Seen};
use cellwall_tests::generate;
use cellwall_tests::rng::Rng;
use std::sync::atomic::{AtomicU64, Ordering};

/// Generates the module that `data` chooses and compares the engines on it.
///
/// # Panics
/// If two engines differ, or if Cellwall refuses the module.
pub fn run(data: &[u8]) {
    if let Some(wasm) = generate::module_of(data) {
        compare(&wasm, seed_of(data));
    }
}

/// Modules compared so far, and those of them in which a function gave results or trapped for a
/// reason of its own.
static COMPARED: AtomicU64 = AtomicU64::new(0);
static EXECUTED: AtomicU64 = AtomicU64::new(0);

/// How much there was to compare.
pub fn summary() -> String {
    let (compared, executed) = (COMPARED.load(Ordering::Relaxed), EXECUTED.load(Ordering::Relaxed));
    format!("{executed} of {compared} modules executed something (attempts at shrinking included)")
}

/// Compares the engines on every exported function of a module without imports, each in a fresh
/// instance; `seed` chooses the arguments.
///
/// # Panics
/// If two engines differ, or if Cellwall refuses the module.
pub fn compare(wasm: &[u8], seed: u64) {
    let ours = observe::cellwall::observe(wasm, seed)
        .unwrap_or_else(|error| panic!("Cellwall refuses a valid module: {error}"));
    let executed = ours.iter().flat_map(|(_, seen)| seen).any(|seen| {
        matches!(seen, Seen::Values(_) | Seen::Trap(_))
            && *seen != Seen::Trap("UnreachableCodeReached".into())
    });
    COMPARED.fetch_add(1, Ordering::Relaxed);
    EXECUTED.fetch_add(u64::from(executed), Ordering::Relaxed);
    type Observe = fn(&[u8], u64) -> Result<Exports, String>;
    let peers: [(&str, Observe); 2] = [
        ("wasmi", observe::wasmi::observe),
        ("Wasmtime", observe::wasmtime::observe),
    ];
    for (name, observe) in peers {
        // A peer may have a limit of its own, or panic (wasmi 2.0.0 does, while it translates); it
        // then has no say.
        if let Ok(Ok(theirs)) = std::panic::catch_unwind(|| observe(wasm, seed)) {
            agree(&ours, name, &theirs);
        }
    }
}

/// # Panics
/// If the two have not seen the same.
fn agree(ours: &Exports, name: &str, theirs: &Exports) {
    assert_eq!(ours.len(), theirs.len(), "{name} sees other exports");
    for ((export, ours), (other, theirs)) in ours.iter().zip(theirs) {
        assert_eq!(export, other, "{name} sees other exports");
        // Where the stack ends is each engine's own affair, and so is what comes after it.
        let exhausted = |seen: &[Seen]| seen.contains(&Seen::StackOverflow);
        if !exhausted(ours) && !exhausted(theirs) {
            let (ours, theirs) = (told(ours), told(theirs));
            assert_eq!(ours, theirs, "export {export:?}: Cellwall (left), {name} (right)");
        }
    }
}

/// What engines have to agree on: an atomic access that is misaligned and out of bounds is either, as
/// each of them looks.
fn told(seen: &[Seen]) -> Vec<Seen> {
    let one = |seen: &Seen| match seen {
        Seen::Trap(name) if name == "HeapMisaligned" => Seen::Trap("MemoryOutOfBounds".into()),
        seen => seen.clone(),
    };
    seen.iter().map(one).collect()
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

    fn export(seen: Seen) -> Exports {
        vec![("f".to_string(), vec![seen, Seen::Memory(65536, 1)])]
    }

    #[test]
    fn the_same_agrees_and_an_exhausted_stack_says_nothing() {
        agree(
            &export(Seen::Values(vec![1])),
            "peer",
            &export(Seen::Values(vec![1])),
        );
        agree(
            &export(Seen::Values(vec![1])),
            "peer",
            &export(Seen::StackOverflow),
        );
    }

    #[test]
    fn what_is_misaligned_and_out_of_bounds_is_either() {
        let (a, b) = ("MemoryOutOfBounds", "HeapMisaligned");
        agree(
            &export(Seen::Trap(a.into())),
            "peer",
            &export(Seen::Trap(b.into())),
        );
    }

    #[test]
    #[should_panic(expected = "Cellwall (left), peer (right)")]
    fn another_trap_is_a_difference() {
        let (a, b) = ("MemoryOutOfBounds", "IntegerOverflow");
        agree(
            &export(Seen::Trap(a.into())),
            "peer",
            &export(Seen::Trap(b.into())),
        );
    }

    #[test]
    fn engines_agree_on_a_module_that_computes_stores_and_traps() {
        // (module (memory (export "m") 1) (func (export "f") (param i32) (result i32)
        //   local.get 0 local.get 0 i32.store local.get 0 i32.load))
        let wasm = b"\0asm\x01\0\0\0\x01\x06\x01\x60\x01\x7f\x01\x7f\x03\x02\x01\0\
            \x05\x03\x01\0\x01\x07\x09\x02\x01m\x02\0\x01f\0\0\
            \x0a\x10\x01\x0e\0\x20\0\x20\0\x36\x02\0\x20\0\x28\x02\0\x0b";
        for seed in 0..20 {
            compare(wasm, seed);
        }
    }
}
