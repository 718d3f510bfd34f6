//! The component model's own tests and those of a peer, from the checkout of test suites if there is
//! one (`CELLWALL_SHARED`, or `shared` beside the repository), and scripts of this repository always.

use std::path::{Path, PathBuf};

use cellwall::Engine;
use cellwall_cli::wast_runner::{self, Skip};

use crate::spec::shared;

fn scripts(dir: &Path, into: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    for entry in entries {
        let path = entry.expect("the folder can be listed").path();
        if path.is_dir() {
            // Asynchronous functions are a later issue.
            if !path.ends_with("async") {
                scripts(&path, into);
            }
        } else if path.extension().is_some_and(|ending| ending == "wast") {
            into.push(path);
        }
    }
}

/// Runs scripts, of which no line may fail or be skipped.
fn run(paths: Vec<PathBuf>) -> usize {
    let engine = Engine::default();
    let mut bad = Vec::new();
    let mut passed = 0;
    for path in paths {
        let text = std::fs::read_to_string(&path).expect("the script is text");
        let name = path.to_string_lossy();
        let report = wast_runner::run(&engine, &name, &text, &Skip::default());
        passed += report.passed;
        if report.failed + report.skipped > 0 || report.passed == 0 {
            let failure = report.failures.first();
            let failure = failure.map(|failure| format!("{}: {}", failure.line, failure.message));
            bad.push(format!("{report}; line {}", failure.unwrap_or_default()));
        }
    }
    assert!(bad.is_empty(), "not as they should be:\n{}", bad.join("\n"));
    passed
}

#[test]
fn the_scripts_of_components_pass() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/component");
    let mut paths = Vec::new();
    scripts(&folder, &mut paths);
    paths.sort();
    assert!(run(paths) > 20, "the scripts were found");
}

#[test]
fn a_checkout_of_the_component_tests_passes() {
    for folder in ["tests/component-model", "tests/misc/component-model"] {
        let Some(dir) = shared(folder) else { continue };
        let mut paths = Vec::new();
        scripts(&dir, &mut paths);
        paths.sort();
        assert!(run(paths) > 100, "the scripts were found");
    }
}
