//! How refusals of `wasmparser` become ours.

use cellwall_base::Invalid;
use wasmparser::WasmFeatures;

/// What a module may use: the core specification 2.0, relaxed vector instructions, extended constant
/// expressions, multiple memories, tail calls, typed function references, wide arithmetic, 64-bit memories and tables, pages
/// of one byte, and imports that name their module once. Of garbage collection only a part, see
/// [`references`](crate::references).
pub(crate) const FEATURES: WasmFeatures = WasmFeatures::MUTABLE_GLOBAL
    .union(WasmFeatures::SATURATING_FLOAT_TO_INT)
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::REFERENCE_TYPES)
    .union(WasmFeatures::MULTI_VALUE)
    .union(WasmFeatures::BULK_MEMORY)
    .union(WasmFeatures::FLOATS)
    .union(WasmFeatures::GC_TYPES)
    .union(WasmFeatures::GC)
    .union(WasmFeatures::SIMD)
    .union(WasmFeatures::RELAXED_SIMD)
    .union(WasmFeatures::TAIL_CALL)
    .union(WasmFeatures::FUNCTION_REFERENCES)
    .union(WasmFeatures::EXTENDED_CONST)
    .union(WasmFeatures::MULTI_MEMORY)
    .union(WasmFeatures::WIDE_ARITHMETIC)
    .union(WasmFeatures::THREADS)
    .union(WasmFeatures::MEMORY64)
    .union(WasmFeatures::CUSTOM_PAGE_SIZES)
    .union(WasmFeatures::EXCEPTIONS)
    .union(WasmFeatures::COMPACT_IMPORTS)
    .union(WasmFeatures::LEGACY_EXCEPTIONS);

/// The refusal of a validator or reader; names the feature that would be needed, if one would.
#[cold]
pub fn refused(error: wasmparser::Error) -> Invalid {
    let mut reason = error.message().to_owned();
    if let Some(features) = error.missing_wasm_feature() {
        let names: Vec<String> = features
            .iter_names()
            .map(|(name, _)| name.to_lowercase().replace('_', "-"))
            .collect();
        reason = format!("{reason} (feature not supported: {})", names.join(", "));
    }
    Invalid {
        offset: error.offset() as usize,
        reason,
    }
}

/// A refusal of our own, of what is at this offset.
#[cold]
pub fn invalid(offset: u64, reason: impl Into<String>) -> Invalid {
    Invalid {
        offset: offset as usize,
        reason: reason.into(),
    }
}
