//! Random valid modules of the WebAssembly that is supported, which always come to an end.

use crate::control::{self, Parts};
use crate::rng::Rng;
use crate::vectors::Relaxed;
use arbitrary::Unstructured;
use wasm_smith::{Config, Module};
use wasmparser::{Operator, Parser, Payload};

/// Loop heads and calls that a generated module may pass before it traps. Less than the depth of
/// calls that the interpreter allows, so that recursion ends by itself.
pub const FUEL: u32 = 250;

fn config(relaxed: Relaxed, more: bool) -> Config {
    Config {
        // Any NaN is right in WebAssembly; canonical ones make results comparable.
        canonicalize_nans: true,
        compact_imports_enabled: false,
        exceptions_enabled: more,
        export_everything: true,
        gc_enabled: false,
        max_data_segments: 8,
        max_element_segments: 8,
        max_funcs: 12,
        max_imports: 0,
        max_instructions: 400,
        max_memories: 3,
        max_memory32_bytes: 4 << 20,
        max_memory64_bytes: 4 << 20,
        max_table_elements: 200,
        max_tables: 3,
        memory64_enabled: true,
        custom_page_sizes_enabled: true,
        // Without a type there is no function, and then nothing to run.
        min_funcs: 2,
        min_types: 4,
        relaxed_simd_enabled: relaxed == Relaxed::With,
        simd_enabled: true,
        tail_call_enabled: true,
        threads_enabled: more,
        wide_arithmetic_enabled: true,
        ..Config::default()
    }
}

/// The module of a seed; `None` if the seed gives none. Every second one has exceptions and atomic accesses.
pub fn module(seed: u64) -> Option<Vec<u8>> {
    let mut rng = Rng::new(seed);
    let len = 256 + rng.below(6_000);
    module_with(&rng.bytes(len), Relaxed::With, seed % 2 == 1)
}

/// The same, and for some seeds a module of control.
pub fn any(seed: u64) -> Option<Vec<u8>> {
    match seed % 4 {
        0 => Some(control::module(seed, Parts::All)),
        _ => module(seed),
    }
}

/// The module that these bytes choose; `None` if they choose none. All engines agree on it: it has no
/// relaxed operators.
pub fn module_of(bytes: &[u8]) -> Option<Vec<u8>> {
    // Not all engines have exceptions and threads.
    if bytes.len() % 4 == 3 {
        let seed = bytes
            .iter()
            .fold(0u64, |seed, &byte| seed.rotate_left(5) ^ u64::from(byte));
        return Some(control::module(seed, Parts::Common));
    }
    module_with(bytes, Relaxed::Without, bytes.len() % 4 == 1)
}

fn module_with(bytes: &[u8], relaxed: Relaxed, more: bool) -> Option<Vec<u8>> {
    let mut module = Module::new(config(relaxed, more), &mut Unstructured::new(bytes)).ok()?;
    module.ensure_termination(FUEL).ok()?;
    let bytes = module.to_bytes();
    (!more || !may_wait(&bytes)).then_some(bytes)
}

/// Whether the module has an operator that waits for another thread, perhaps for ever.
fn may_wait(bytes: &[u8]) -> bool {
    let bodies = Parser::new(0)
        .parse_all(bytes)
        .filter_map(|payload| match payload {
            Ok(Payload::CodeSectionEntry(body)) => body.get_operators_reader().ok(),
            _ => None,
        });
    bodies.flat_map(|body| body.into_iter()).any(|operator| {
        matches!(
            operator,
            Ok(Operator::MemoryAtomicWait32 { .. } | Operator::MemoryAtomicWait64 { .. })
        )
    })
}
