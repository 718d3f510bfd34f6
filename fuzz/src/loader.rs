//! For all bytes: loading them gives a module or an error, never a panic; and what does not
//! validate does not load.

use cellwall::{Engine, Module};
use cellwall_tests::rng::Rng;
use cellwall_tests::{generate, mutate};
use std::sync::LazyLock;

/// One for all inputs: making it is not what is tried.
static ENGINE: LazyLock<Engine> = LazyLock::new(Engine::default);

const HEADER: &[u8] = b"\0asm\x01\0\0\0";

/// Tries the bytes as they are and behind the header of a module.
///
/// # Panics
/// If the bytes break the property.
pub fn run(data: &[u8]) {
    load(&ENGINE, data);
    if !data.starts_with(HEADER) {
        load(&ENGINE, &[HEADER, data].concat());
    }
}

fn load(engine: &Engine, bytes: &[u8]) {
    let valid = Module::validate(engine, bytes);
    let loaded = Module::from_binary(engine, bytes);
    assert!(
        valid.is_ok() || loaded.is_err(),
        "an invalid module was loaded; validation says {:#}",
        valid.expect_err("it is not valid")
    );
    // Text is accepted as well: the other road through the same door.
    drop(Module::new(engine, bytes));
}

/// Bytes that are worth trying: noise, noise made of plausible sections, and modules with damage.
pub fn next(rng: &mut Rng, corpus: &[Vec<u8>]) -> Vec<u8> {
    match rng.below(4) {
        0 => {
            let len = rng.below(512);
            rng.bytes(len)
        }
        1 => sections(rng),
        _ => {
            let parent = match corpus.len() {
                0 => generate::any(rng.bits()).unwrap_or_default(),
                n => corpus[rng.below(n)].clone(),
            };
            mutate::mutate(rng, &parent)
        }
    }
}

/// Sections with a right length and a wrong content.
fn sections(rng: &mut Rng) -> Vec<u8> {
    let mut bytes = HEADER.to_vec();
    for _ in 0..1 + rng.below(6) {
        let len = rng.below(100);
        bytes.push(rng.below(14) as u8);
        bytes.push(len as u8);
        for _ in 0..len {
            // Small numbers are counts and indices; the rest are types and opcodes.
            bytes.push(match rng.below(3) {
                0 => rng.below(4) as u8,
                1 => 0x60 + rng.below(32) as u8,
                _ => rng.bits() as u8,
            });
        }
    }
    bytes
}
