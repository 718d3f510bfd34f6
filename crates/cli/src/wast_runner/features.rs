//! The features that a user may ask to skip, and which modules need them.
//!
//! A feature is needed by a module if the module is valid with every feature
//! on, and not when that one is off. Only the validator decides; nothing is
//! guessed from the name of a file or from an error message.

use std::fmt;
use std::str::FromStr;

use wasmparser::{Validator, WasmFeatures};

/// One row per feature: its name on the command line and what it is to the
/// validator.
const FEATURES: &[(&str, WasmFeatures)] = &[
    ("component-model", WasmFeatures::COMPONENT_MODEL),
    ("custom-descriptors", WasmFeatures::CUSTOM_DESCRIPTORS),
    ("custom-page-sizes", WasmFeatures::CUSTOM_PAGE_SIZES),
    ("exceptions", WasmFeatures::EXCEPTIONS),
    ("extended-const", WasmFeatures::EXTENDED_CONST),
    ("function-references", WasmFeatures::FUNCTION_REFERENCES),
    ("gc", WasmFeatures::GC),
    ("legacy-exceptions", WasmFeatures::LEGACY_EXCEPTIONS),
    ("memory64", WasmFeatures::MEMORY64),
    ("multi-memory", WasmFeatures::MULTI_MEMORY),
    ("relaxed-simd", WasmFeatures::RELAXED_SIMD),
    (
        "shared-everything-threads",
        WasmFeatures::SHARED_EVERYTHING_THREADS,
    ),
    ("simd", WasmFeatures::SIMD),
    ("stack-switching", WasmFeatures::STACK_SWITCHING),
    ("tail-call", WasmFeatures::TAIL_CALL),
    ("threads", WasmFeatures::THREADS),
    ("wide-arithmetic", WasmFeatures::WIDE_ARITHMETIC),
];

/// A feature of WebAssembly that can be skipped, by its name in the proposals
/// (`simd`, `tail-call`, ...).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Feature {
    name: &'static str,
    flag: WasmFeatures,
}

impl Feature {
    /// The name, as on the command line.
    pub fn name(self) -> &'static str {
        self.name
    }

    /// The names of all features, in alphabetical order.
    pub fn names() -> impl Iterator<Item = &'static str> {
        FEATURES.iter().map(|&(name, _)| name)
    }
}

impl FromStr for Feature {
    type Err = UnknownFeature;

    /// Finds a feature by name; `_` is read as `-`.
    fn from_str(text: &str) -> Result<Feature, UnknownFeature> {
        let text = text.replace('_', "-");
        let row = FEATURES.iter().find(|(name, _)| *name == text);
        row.map(|&(name, flag)| Feature { name, flag })
            .ok_or(UnknownFeature)
    }
}

/// The text names no feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownFeature;

impl fmt::Display for UnknownFeature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = Feature::names().collect();
        write!(f, "no such feature; the features are {}", names.join(", "))
    }
}

impl std::error::Error for UnknownFeature {}

/// The features that a run skips without failing. The default is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Skip(Vec<Feature>);

impl Skip {
    /// Skips what needs one of `features`.
    pub fn new(features: impl IntoIterator<Item = Feature>) -> Skip {
        Skip(features.into_iter().collect())
    }

    /// Whether nothing is skipped.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the feature called `name` is skipped.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|feature| feature.name == name)
    }

    /// Whether the binary module needs a feature that is skipped.
    pub(super) fn needed_by(&self, wasm: &[u8]) -> bool {
        let off = self
            .0
            .iter()
            .fold(WasmFeatures::empty(), |all, feature| all | feature.flag);
        !off.is_empty() && is_valid(wasm, WasmFeatures::all()) && !is_valid(wasm, !off)
    }

    /// Whether the header of the script (its lines `;;! feature = true`, the
    /// form that the tests of a peer use) names a feature that is skipped.
    pub(super) fn names_header_of(&self, script: &str) -> bool {
        named_in_header(script).any(|name| {
            name.parse::<Feature>()
                .is_ok_and(|feature| self.has(feature.name))
        })
    }
}

/// Whether the header of the script asks for an option of the engine.
pub(super) fn asks_for(script: &str, option: &str) -> bool {
    named_in_header(script).any(|name| name == option)
}

/// What the header of the script (its lines `;;! name = true`) switches on.
fn named_in_header(script: &str) -> impl Iterator<Item = &str> {
    let header = script.lines().map_while(|line| line.strip_prefix(";;!"));
    let named = header.filter_map(|line| line.split_once('='));
    named.filter_map(|(name, value)| (value.trim() == "true").then_some(name.trim()))
}

/// Whether a module that must be refused with this message is, before there was a feature that the
/// message is about.
pub(super) fn is_refused_without(wasm: &[u8], message: &str) -> bool {
    let off = match message {
        "multiple memories" => WasmFeatures::MULTI_MEMORY,
        "multiple tables" => WasmFeatures::REFERENCE_TYPES,
        _ => return false,
    };
    !is_valid(wasm, !off)
}

fn is_valid(wasm: &[u8], features: WasmFeatures) -> bool {
    Validator::new_with_features(features).validate_all(wasm).is_ok()
}
