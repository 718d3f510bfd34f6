//! For all damaged modules: validating and running them under limits gives an error with its place
//! or a result, never a panic, a hang or growth. (The property itself is in `tests/src/mutate.rs`,
//! because `cargo test` runs a bounded part of it.)

use cellwall::Engine;
use cellwall_tests::generate;
use cellwall_tests::mutate::{self, Tally};
use cellwall_tests::rng::Rng;
use std::sync::LazyLock;
use std::time::Duration;

/// How long one damaged module may run.
const TIME_MAX: Duration = Duration::from_secs(1);

/// One for all inputs: making it is not what is tried.
static ENGINE: LazyLock<Engine> = LazyLock::new(Engine::default);

/// Validates and runs the bytes.
///
/// # Panics
/// If the bytes break the property.
pub fn run(data: &[u8]) {
    mutate::try_one(&ENGINE, data, TIME_MAX, &mut Tally::default());
}

/// A damaged module: of the corpus, or a generated one.
pub fn next(rng: &mut Rng, corpus: &[Vec<u8>]) -> Vec<u8> {
    let parent = match corpus.len() {
        n if n > 0 && rng.below(2) == 0 => corpus[rng.below(n)].clone(),
        _ => generate::any(rng.bits()).unwrap_or_default(),
    };
    mutate::mutate(rng, &parent)
}
