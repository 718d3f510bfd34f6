//! The verifier for people: what was proven of a module, and how long it took.
//!
//! Requires nothing of the bytes. Guarantees that a [`Proof`] exists only if the verifier accepted
//! all of the code. Maps nothing, so that it also judges code for processors and options that this
//! machine does not have.

use super::artifacts;
use crate::module::prove;
use crate::{Context, Engine, Result};
use cellwall_abi::{Artifact, CpuFeatures, Target};
use std::time::{Duration, Instant};

/// What the verifier proves of every function.
const RULES: &[&str] = &[
    "V1 decoding",
    "V2 control flow",
    "V3 stack",
    "V4 memory and kinds",
    "V5 pinned state",
    "V6 metadata",
    "V7 runtime facts",
    "V8 one cell",
];

/// What was proven; see [`verify`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Proof {
    /// Functions that have code.
    pub functions: usize,
    /// Bytes of machine code, padding included.
    pub code_bytes: usize,
    /// Bytes of constants and jump tables.
    pub constant_bytes: usize,
    /// The groups of rules, each of which holds for every function.
    pub rules: &'static [&'static str],
    /// Processor features that the code may use.
    pub features: Vec<&'static str>,
    /// Bytes of address space per memory that the proof relies on.
    pub memory_reservation_bytes: u64,
    /// Bytes behind each reservation that must not be accessible.
    pub memory_guard_bytes: u64,
    /// Bytes below each stack that must not be accessible.
    pub stack_guard_bytes: u32,
    /// How long the proof took, without reading and compiling.
    pub time: Duration,
}

/// Proves the code of a compiled module or component, or of one in the binary format as it would be
/// compiled; runs nothing. A component is proven with its adapters.
///
/// # Errors
/// [`Violation`](crate::Violation) if the code is refused; otherwise as [`Module::from_binary`] and
/// [`Module::deserialize`].
///
/// [`Module::from_binary`]: crate::Module::from_binary
/// [`Module::deserialize`]: crate::Module::deserialize
///
/// ```
/// use cellwall::{Engine, Invalid, tools};
///
/// let engine = Engine::default();
/// let bytes = engine.precompile_module(b"(module (func) (func))")?;
/// assert_eq!(tools::verify(&engine, &bytes)?.functions, 2);
/// assert!(tools::verify(&engine, &bytes[..99]).unwrap_err().is::<Invalid>());
/// # cellwall::Ok(())
/// ```
pub fn verify(engine: &Engine, bytes: &[u8]) -> Result<Proof> {
    let mut proof = Proof {
        functions: 0,
        code_bytes: 0,
        constant_bytes: 0,
        rules: RULES,
        features: Vec::new(),
        memory_reservation_bytes: 0,
        memory_guard_bytes: 0,
        stack_guard_bytes: 0,
        time: Duration::ZERO,
    };
    for (name, artifact) in artifacts(engine, bytes)? {
        let begin = Instant::now();
        let verified = match name.is_empty() {
            true => prove(engine, artifact)?,
            false => prove(engine, artifact).with_context(|| format!("in {name}"))?,
        };
        proof.time += begin.elapsed();
        proof.add(verified.artifact());
    }
    Ok(proof)
}

impl Proof {
    /// What holds of this module too.
    fn add(&mut self, artifact: &Artifact) {
        let Target {
            features,
            memory_reservation_bytes,
            memory_guard_bytes,
            stack_guard_bytes,
            relaxed_simd_deterministic: _,
            canonical_nans: _,
        } = artifact.target;
        self.functions += artifact.funcs.len();
        self.code_bytes += artifact.text.len();
        self.constant_bytes += artifact.rodata.len();
        for name in names(features) {
            if !self.features.contains(&name) {
                self.features.push(name);
            }
        }
        self.memory_reservation_bytes = self.memory_reservation_bytes.max(memory_reservation_bytes);
        self.memory_guard_bytes = self.memory_guard_bytes.max(memory_guard_bytes);
        self.stack_guard_bytes = self.stack_guard_bytes.max(stack_guard_bytes);
    }
}

fn names(features: CpuFeatures) -> Vec<&'static str> {
    let CpuFeatures {
        popcnt,
        lzcnt,
        bmi1,
        bmi2,
        avx,
        avx2,
        fma,
    } = features;
    let all = [
        (popcnt, "popcnt"),
        (lzcnt, "lzcnt"),
        (bmi1, "bmi1"),
        (bmi2, "bmi2"),
        (avx, "avx"),
        (avx2, "avx2"),
        (fma, "fma"),
    ];
    all.into_iter()
        .filter_map(|(has, name)| has.then_some(name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::RULES;
    use cellwall_verify::Rule;

    #[test]
    fn every_rule_is_in_a_group() {
        for rule in Rule::ALL {
            let word = rule.text().split(' ').next().expect("it has words");
            let is_group = |group: &&str| group.split(' ').next() == Some(word);
            assert!(!word.starts_with('V') || RULES.iter().any(is_group), "{rule:?}");
        }
    }
}
