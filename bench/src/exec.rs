//! The part `exec`: every program on every engine, phases apart.
//!
//! Guarantees: the engines take turns within each round and the first one moves
//! on by one from round to round; every run's exit status and output must be
//! those of every other run of the program and those that upstream wrote down,
//! else it is a failure. Does not do: warm-up (the median does not see one slow
//! run), outlier removal.

use crate::engines::{Engine, Run, Status};
use crate::set::Job;
use crate::stats::Stat;

/// What one engine needed for one program, in nanoseconds of CPU time.
#[derive(Debug, Default)]
pub struct Times {
    /// Bytes to runnable code.
    pub compile: Option<Stat>,
    /// Code to instance.
    pub instantiate: Option<Stat>,
    /// The measured work.
    pub execute: Option<Stat>,
    /// The program's own measure of it.
    pub region: Option<Stat>,
}

/// How one engine did on one program.
#[derive(Debug)]
pub enum Outcome {
    /// It ran; here are the times.
    Ran(Times),
    /// There is nothing to run on this engine.
    None,
    /// It failed (the sentence is among the failures).
    Failed,
}

/// One program on all engines, in their order.
#[derive(Debug)]
pub struct Row {
    /// The program.
    pub name: String,
    /// Size of the module's code section.
    pub code_bytes: usize,
    /// One outcome per engine.
    pub outcomes: Vec<Outcome>,
}

/// Runs everything. Failures are added to `failures`, one sentence each.
pub fn measure(jobs: &[Job], engines: &[&dyn Engine], rounds: usize, failures: &mut Vec<String>) -> Vec<Row> {
    let mut rows = Vec::new();
    for (index, job) in jobs.iter().enumerate() {
        eprintln!("exec {}/{}: {}", index + 1, jobs.len(), job.name);
        rows.push(measure_one(job, engines, rounds, failures));
    }
    rows
}

fn measure_one(job: &Job, engines: &[&dyn Engine], rounds: usize, failures: &mut Vec<String>) -> Row {
    let mut runs: Vec<Vec<Run>> = engines.iter().map(|_| Vec::new()).collect();
    let mut failed = vec![false; engines.len()];
    let mut reference: Option<(&str, Run)> = None;
    for round in 0..rounds {
        for turn in 0..engines.len() {
            let which = (round + turn) % engines.len();
            if failed[which] {
                continue;
            }
            let name = engines[which].name();
            if job.not_on.contains(&name) {
                continue;
            }
            match engines[which].run(job) {
                Ok(None) => {}
                Ok(Some(run)) => {
                    let (other, expected) = reference.get_or_insert_with(|| (name, run.clone()));
                    let wrong = differs_from_expected(job, &run)
                        .or_else(|| differs(&run, expected).map(|what| format!("{what} {other}")));
                    if let Some(what) = wrong {
                        failures.push(format!("{}: {name}: {what}", job.name));
                        failed[which] = true;
                    }
                    runs[which].push(run);
                }
                Err(error) => {
                    failures.push(format!("{}: {name}: {error:#}", job.name));
                    failed[which] = true;
                }
            }
        }
    }
    let outcomes = runs.iter().zip(failed).map(|(runs, failed)| {
        if failed {
            Outcome::Failed
        } else if runs.is_empty() {
            Outcome::None
        } else {
            Outcome::Ran(times(runs))
        }
    });
    Row {
        name: job.name.clone(),
        code_bytes: job.code_bytes(),
        outcomes: outcomes.collect(),
    }
}

fn times(runs: &[Run]) -> Times {
    let of =
        |phase: fn(&Run) -> Option<u64>| Stat::of(runs.iter().filter_map(phase).map(|ns| ns.max(1) as f64));
    Times {
        compile: of(|run| run.compile_ns),
        instantiate: of(|run| run.instantiate_ns),
        execute: of(|run| run.execute_ns),
        region: of(|run| run.region_ns),
    }
}

/// What upstream's expectation has against this run.
fn differs_from_expected(job: &Job, run: &Run) -> Option<String> {
    let other =
        |expected: &Option<Vec<u8>>, actual: &[u8]| expected.as_ref().is_some_and(|bytes| bytes != actual);
    if run.status != Status::Exit(0) {
        Some(format!("ended with {:?}", run.status))
    } else if other(&job.expected_stdout, &run.stdout) {
        Some("standard output is not what is expected".into())
    } else if other(&job.expected_stderr, &run.stderr) {
        Some("standard error is not what is expected".into())
    } else {
        None
    }
}

fn differs(run: &Run, other: &Run) -> Option<&'static str> {
    if run.status != other.status {
        Some("exit status differs from that of")
    } else if run.stdout != other.stdout {
        Some("standard output differs from that of")
    } else if run.stderr != other.stderr {
        Some("standard error differs from that of")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Result;
    use std::path::PathBuf;

    struct Fake(&'static str, Status, &'static [u8]);

    impl Engine for Fake {
        fn name(&self) -> &'static str {
            self.0
        }
        fn version(&self) -> String {
            "0".into()
        }
        fn run(&self, _: &Job) -> Result<Option<Run>> {
            Ok(Some(Run {
                compile_ns: Some(2000),
                instantiate_ns: Some(20),
                execute_ns: Some(0),
                region_ns: None,
                status: self.1.clone(),
                stdout: self.2.to_vec(),
                stderr: Vec::new(),
            }))
        }
    }

    fn failures_of(engines: &[&dyn Engine]) -> Vec<String> {
        let file = std::env::temp_dir().join(format!("bench-test-{}", std::process::id()));
        std::fs::write(&file, b"\0asm\x01\0\0\0").expect("a temporary file");
        let mut job = Job::lone(&PathBuf::from(&file)).expect("it was just written");
        job.name = "job".into();
        let mut failures = Vec::new();
        let rows = measure(&[job], engines, 3, &mut failures);
        assert_eq!(rows[0].outcomes.len(), engines.len());
        failures
    }

    #[test]
    fn equal_results_pass_and_different_ones_fail() {
        let a = Fake("a", Status::Exit(0), b"x");
        let same = Fake("same", Status::Exit(0), b"x");
        let output = Fake("output", Status::Exit(0), b"y");
        let status = Fake("status", Status::Exit(3), b"x");
        assert!(failures_of(&[&a, &same]).is_empty());
        assert_eq!(
            failures_of(&[&a, &output]),
            ["job: output: standard output differs from that of a"]
        );
        assert_eq!(failures_of(&[&a, &status]), ["job: status: ended with Exit(3)"]);
    }
}
