//! The part `load`: what it costs to get runnable code without compiling.

use crate::engines::{Engine, LOAD_ROWS};
use crate::set;
use crate::stats::Stat;
use anyhow::Result;
use std::path::Path;

/// Cost of each row of [`LOAD_ROWS`] on one engine, in nanoseconds; `None` where the engine has no
/// such way.
#[derive(Debug)]
pub struct Costs {
    /// The engine.
    pub engine: &'static str,
    /// One per row.
    pub rows: Vec<Option<Stat>>,
}

/// Measures `program` (or SQLite) on all engines that are embedded, taking turns.
///
/// # Errors
///
/// If the program cannot be read. An engine that fails is a sentence in `failures`.
pub fn measure(
    engines: &[&dyn Engine],
    program: Option<&Path>,
    rounds: usize,
    failures: &mut Vec<String>,
) -> Result<Vec<Costs>> {
    let job = match program {
        Some(program) => set::Job::lone(program)?,
        None => set::Job::lone(&set::shared()?.join("programs/sqlite3/sqlite3.wasm"))?,
    };
    let mut samples: Vec<Vec<[Option<f64>; LOAD_ROWS.len()]>> = engines.iter().map(|_| Vec::new()).collect();
    let mut failed = vec![false; engines.len()];
    for round in 0..rounds {
        eprintln!("load: round {} of {rounds}", round + 1);
        for turn in 0..engines.len() {
            let which = (round + turn) % engines.len();
            if failed[which] {
                continue;
            }
            match engines[which].load_costs(&job.wasm) {
                Ok(costs) => samples[which].extend(costs),
                Err(error) => {
                    failures.push(format!("load: {}: {error:#}", engines[which].name()));
                    failed[which] = true;
                }
            }
        }
    }
    let costs = |which: usize| Costs {
        engine: engines[which].name(),
        rows: (0..LOAD_ROWS.len())
            .map(|row| Stat::of(samples[which].iter().filter_map(|costs| costs[row])))
            .collect(),
    };
    let measured = |which: &usize| !failed[*which] && !samples[*which].is_empty();
    Ok((0..engines.len()).filter(measured).map(costs).collect())
}
