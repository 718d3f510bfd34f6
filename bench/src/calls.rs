//! The part `calls`: what it costs to cross between host and guest, to call
//! within the guest, and to make and drop an instance.
//!
//! The callee in the guest calls itself on an argument that never comes, so
//! that a compiler does not inline it away. The row "a loop without a call" is
//! what the loops around the calls cost by themselves.

use crate::engines::{CALL_ROWS, CallModules, Engine};
use crate::stats::Stat;
use anyhow::{Context, Result};

const CALLS: &str = include_str!("calls.wat");
const EMPTY: &str = r#"(module (func (export "f")))"#;

/// Cost of each row of [`CALL_ROWS`] on one engine, in nanoseconds.
#[derive(Debug)]
pub struct Costs {
    /// The engine.
    pub engine: &'static str,
    /// One per row.
    pub rows: Vec<Stat>,
}

/// Measures all engines that are embedded, taking turns.
///
/// # Errors
///
/// If the part's own modules are malformed. An engine that fails is a sentence
/// in `failures`.
pub fn measure(engines: &[&dyn Engine], rounds: usize, failures: &mut Vec<String>) -> Result<Vec<Costs>> {
    let modules = modules()?;
    let mut samples: Vec<Vec<[f64; CALL_ROWS.len()]>> = engines.iter().map(|_| Vec::new()).collect();
    let mut failed = vec![false; engines.len()];
    for round in 0..rounds {
        eprintln!("calls: round {} of {rounds}", round + 1);
        for turn in 0..engines.len() {
            let which = (round + turn) % engines.len();
            if failed[which] {
                continue;
            }
            match engines[which].call_costs(&modules) {
                Ok(costs) => samples[which].extend(costs),
                Err(error) => {
                    failures.push(format!("calls: {}: {error:#}", engines[which].name()));
                    failed[which] = true;
                }
            }
        }
    }
    let mut all = Vec::new();
    for (which, samples) in samples.iter().enumerate() {
        let rows: Option<Vec<Stat>> = (0..CALL_ROWS.len())
            .map(|row| Stat::of(samples.iter().map(|costs| costs[row])))
            .collect();
        if let (Some(rows), false) = (rows, failed[which]) {
            all.push(Costs {
                engine: engines[which].name(),
                rows,
            });
        }
    }
    Ok(all)
}

fn modules() -> Result<CallModules> {
    let data = "\\5a".repeat(64 << 10);
    let data = format!(
        r#"(module (memory (export "memory") 2) (data (i32.const 4096) "{data}") (func (export "f")))"#
    );
    Ok(CallModules {
        calls: wat::parse_str(CALLS).context("calls.wat")?,
        empty: wat::parse_str(EMPTY).context("the empty module")?,
        data: wat::parse_str(data).context("the module with data")?,
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_modules_are_well_formed() {
        let modules = super::modules().expect("constants of this file");
        assert!(modules.data.len() > 64 << 10);
    }
}
