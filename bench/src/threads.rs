//! The part `threads`: two threads at one shared memory, who disturb each other as much as they can.
//!
//! What is counted is the CPU time of both, without what they wait.

use crate::engines::{Engine, THREAD_ROWS};
use crate::stats::Stat;
use anyhow::{Context, Result};

const THREADS: &str = include_str!("threads.wat");

/// Cost of each row of [`THREAD_ROWS`] on one engine, in nanoseconds.
#[derive(Debug)]
pub struct Costs {
    /// The engine.
    pub engine: &'static str,
    /// One per row.
    pub rows: Vec<Stat>,
}

/// Measures all engines that have shared memories, taking turns.
///
/// # Errors
///
/// If the part's own module is malformed. An engine that fails is a sentence in `failures`.
pub fn measure(engines: &[&dyn Engine], rounds: usize, failures: &mut Vec<String>) -> Result<Vec<Costs>> {
    let wasm = wat::parse_str(THREADS).context("threads.wat")?;
    let mut samples: Vec<Vec<[f64; THREAD_ROWS.len()]>> = engines.iter().map(|_| Vec::new()).collect();
    let mut failed = vec![false; engines.len()];
    for round in 0..rounds {
        eprintln!("threads: round {} of {rounds}", round + 1);
        for turn in 0..engines.len() {
            let which = (round + turn) % engines.len();
            if failed[which] {
                continue;
            }
            match engines[which].thread_costs(&wasm) {
                Ok(costs) => samples[which].extend(costs),
                Err(error) => {
                    failures.push(format!("threads: {}: {error:#}", engines[which].name()));
                    failed[which] = true;
                }
            }
        }
    }
    let costs = engines.iter().zip(samples).filter_map(|(engine, samples)| {
        let rows: Option<Vec<Stat>> = (0..THREAD_ROWS.len())
            .map(|row| Stat::of(samples.iter().map(|costs| costs[row])))
            .collect();
        let engine = engine.name();
        rows.map(|rows| Costs { engine, rows })
    });
    Ok(costs.collect())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_module_is_well_formed() {
        wat::parse_str(super::THREADS).expect("a constant of this file");
    }
}
