//! Random valid modules of the WebAssembly that is supported, which always come to an end.

use crate::rng::Rng;
use crate::vectors::Relaxed;
use arbitrary::Unstructured;
use wasm_smith::{Config, Module};

/// Loop heads and calls that a generated module may pass before it traps. Less than the depth of
/// calls that the interpreter allows, so that recursion ends by itself.
pub const FUEL: u32 = 250;

fn config(relaxed: Relaxed) -> Config {
    Config {
        // Any NaN is right in WebAssembly; canonical ones make results comparable.
        canonicalize_nans: true,
        compact_imports_enabled: false,
        exceptions_enabled: false,
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
        threads_enabled: false,
        wide_arithmetic_enabled: true,
        ..Config::default()
    }
}

/// The module of a seed; `None` if the seed gives none.
pub fn module(seed: u64) -> Option<Vec<u8>> {
    let mut rng = Rng::new(seed);
    let len = 256 + rng.below(6_000);
    module_with(&rng.bytes(len), Relaxed::With)
}

/// The module that these bytes choose; `None` if they choose none. All engines agree on it: it has no
/// relaxed operators.
pub fn module_of(bytes: &[u8]) -> Option<Vec<u8>> {
    module_with(bytes, Relaxed::Without)
}

fn module_with(bytes: &[u8], relaxed: Relaxed) -> Option<Vec<u8>> {
    let mut module = Module::new(config(relaxed), &mut Unstructured::new(bytes)).ok()?;
    module.ensure_termination(FUEL).ok()?;
    Some(module.to_bytes())
}
