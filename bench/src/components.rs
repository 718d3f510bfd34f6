//! The part `components`: what it costs to call from component to component and from the host, and to
//! make and drop an instance of a small component.
//!
//! The row of copying is the same bytes by the standard library, in this process: the floor of the row
//! above it.

use crate::clock::timed;
use crate::engines::{COMPONENT_ROWS, Engine};
use crate::stats::Stat;
use anyhow::{Context, Result};

const COMPONENTS: &str = include_str!("components.wat");
const SMALL: &str = r#"(component
    (core module $m (memory 1) (func (export "f") (result i32) (i32.const 1)))
    (core instance $i (instantiate $m))
    (func (export "f") (result u32) (canon lift (core func $i "f"))))"#;
/// Calls the host in loops, with a number and with a string.
const HOST: &str = r#"(component
    (import "id" (func $id (param "a" u32) (result u32)))
    (import "len" (func $len (param "s" string) (result u32)))
    (core module $mem (memory (export "memory") 1)
      (data (i32.const 1024) "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"))
    (core instance $mem (instantiate $mem))
    (core func $id' (canon lower (func $id)))
    (core func $len' (canon lower (func $len) (memory (core memory $mem "memory"))))
    (core module $m
      (import "" "id" (func $id (param i32) (result i32)))
      (import "" "len" (func $len (param i32 i32) (result i32)))
      (func (export "loop-id") (param $n i32) (result i32)
        (local $value i32)
        (loop $next
          (local.set $value (call $id (local.get $value)))
          (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (local.get $value))
      (func (export "loop-len") (param $n i32) (result i32)
        (local $value i32)
        (loop $next
          (local.set $value
            (i32.add (local.get $value) (call $len (i32.const 1024) (i32.const 64))))
          (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (local.get $value)))
    (core instance $i (instantiate $m (with "" (instance
      (export "id" (func $id')) (export "len" (func $len'))))))
    (func (export "loop-id") (param "n" u32) (result u32) (canon lift (core func $i "loop-id")))
    (func (export "loop-len") (param "n" u32) (result u32) (canon lift (core func $i "loop-len"))))"#;
/// Bytes of the large list.
const LIST_BYTES: usize = 1 << 20;
/// Copies per sample.
const COPIES: u32 = 500;

/// The components of the part, as binaries.
pub struct Binaries {
    /// `components.wat`.
    pub calls: Vec<u8>,
    /// One memory, one function.
    pub small: Vec<u8>,
    /// Calls the host.
    pub host: Vec<u8>,
}

/// Cost of each row of [`COMPONENT_ROWS`] on one engine, in nanoseconds.
#[derive(Debug)]
pub struct Costs {
    /// The engine.
    pub engine: &'static str,
    /// One per row.
    pub rows: Vec<Stat>,
}

/// Measures all engines that know components, taking turns.
///
/// # Errors
///
/// If the part's own components are malformed. An engine that fails is a sentence in `failures`.
pub fn measure(engines: &[&dyn Engine], rounds: usize, failures: &mut Vec<String>) -> Result<Vec<Costs>> {
    let binaries = binaries()?;
    let mut samples: Vec<Vec<[f64; COMPONENT_ROWS.len()]>> = engines.iter().map(|_| Vec::new()).collect();
    let mut failed = vec![false; engines.len()];
    let mut copies = Vec::new();
    for round in 0..rounds {
        eprintln!("components: round {} of {rounds}", round + 1);
        copies.push([copy_ns(); COMPONENT_ROWS.len()]);
        for turn in 0..engines.len() {
            let which = (round + turn) % engines.len();
            if failed[which] {
                continue;
            }
            match engines[which].component_costs(&binaries) {
                Ok(costs) => samples[which].extend(costs),
                Err(error) => {
                    failures.push(format!("components: {}: {error:#}", engines[which].name()));
                    failed[which] = true;
                }
            }
        }
    }
    let mut all = vec![("memcpy of 1 MiB", copies)];
    all.extend(engines.iter().map(|engine| engine.name()).zip(samples));
    let costs = all.into_iter().filter_map(|(engine, samples)| {
        let rows: Option<Vec<Stat>> = (0..COMPONENT_ROWS.len())
            .map(|row| Stat::of(samples.iter().map(|costs| costs[row])))
            .collect();
        rows.map(|rows| Costs { engine, rows })
    });
    Ok(costs.collect())
}

/// Nanoseconds to copy the bytes of the large list.
fn copy_ns() -> f64 {
    let from = vec![0x5a_u8; LIST_BYTES];
    let mut to = vec![0_u8; LIST_BYTES];
    let (ns, ()) = timed(|| {
        for _ in 0..COPIES {
            to.copy_from_slice(std::hint::black_box(&from));
            std::hint::black_box(&mut to);
        }
    });
    ns as f64 / f64::from(COPIES)
}

fn binaries() -> Result<Binaries> {
    Ok(Binaries {
        calls: wat::parse_str(COMPONENTS).context("components.wat")?,
        small: wat::parse_str(SMALL).context("the small component")?,
        host: wat::parse_str(HOST).context("the component that calls the host")?,
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_components_are_well_formed() {
        super::binaries().expect("constants of this file");
    }
}
