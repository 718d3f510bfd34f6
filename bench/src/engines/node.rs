//! V8 by way of node, as a child: the optimizing compiler alone, on one thread,
//! every function compiled before the start.
//!
//! The child runs `node.cjs`; the guest's output comes through its pipes, the
//! times through a file. The CPU clock there counts the process, to the
//! microsecond.

use super::{Engine, Run, Status, split_elapsed};
use crate::set::Job;
use anyhow::{Context, Result, bail};
use std::process::Command;

const SCRIPT: &str = include_str!("node.cjs");
const FLAGS: [&str; 6] = [
    "--no-warnings",
    "--single-threaded",
    "--no-liftoff",
    "--no-wasm-lazy-compilation",
    "--stack-size=3900",
    "--eval",
];

/// The first version whose V8 has exceptions of the final encoding, typed
/// references and 64-bit memories by default.
const WITH_3_0: u32 = 25;

/// The command `node`.
pub(super) struct Node {
    version: String,
    major: u32,
}

/// The command, if there is one.
pub(super) fn find() -> Option<Node> {
    let output = Command::new("node").arg("--version").output().ok()?;
    let version = String::from_utf8_lossy(&output.stdout).trim().to_string();
    let major = version.trim_start_matches('v').split('.').next()?.parse().ok()?;
    output.status.success().then_some(Node { version, major })
}

impl Engine for Node {
    fn name(&self) -> &'static str {
        "node"
    }

    fn version(&self) -> String {
        format!("{} {}", self.version, FLAGS[1..5].join(" "))
    }

    fn run(&self, job: &Job) -> Result<Option<Run>> {
        if job.not_on.contains(&"node<25") && self.major < WITH_3_0 {
            return Ok(None);
        }
        let times = std::env::temp_dir().join(format!("cellwall-bench-{}.json", std::process::id()));
        let output = Command::new("node")
            .args(FLAGS)
            .arg(SCRIPT)
            .arg(&job.path)
            .arg(&job.dir)
            .arg(&times)
            .output()
            .context("node")?;
        let report = std::fs::read_to_string(&times);
        let _ = std::fs::remove_file(&times);
        let Ok(report) = report else {
            bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
        };
        let report: serde_json::Value = serde_json::from_str(&report).context("the child's report")?;
        let (stdout, region_ns) = split_elapsed(&output.stdout);
        let status = match report["exit"].as_i64() {
            Some(code) => Status::Exit(i32::try_from(code).context("exit code")?),
            None => Status::Trap(report["trap"].to_string()),
        };
        Ok(Some(Run {
            compile_ns: report["compile_ns"].as_u64(),
            instantiate_ns: report["instantiate_ns"].as_u64(),
            execute_ns: report["execute_ns"].as_u64(),
            region_ns,
            status,
            stdout,
            stderr: output.stderr,
        }))
    }
}
