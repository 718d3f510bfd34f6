//! The specification's tests of vectors and of relaxed vectors, with the features of this processor,
//! without those that came later than SSE4.1, and in the deterministic profile: not one failure or
//! skip.

use crate::spec::{crate_files, run_with, shared};
use cellwall::{Config, CpuFeature, Engine};

const LIST: &str = include_str!("../vectors.txt");

/// What has to do with vectors in the folder of another engine's tests.
const OTHERS: [&str; 6] = [
    "canonicalize-nan-scalar.wast",
    "int-to-float-splat.wast",
    "winch/issue-10331.wast",
    "winch/issue-10357.wast",
    "winch/issue-10460.wast",
    "winch/replace_lane.wast",
];

/// The engines by name. The ones without AVX2, or without AVX, run the code of older processors.
fn engines() -> Vec<(&'static str, Engine)> {
    let engine = |change: &dyn Fn(&mut Config)| {
        let mut config = Config::new();
        change(&mut config);
        Engine::new(&config).expect("the configuration is valid")
    };
    vec![
        ("all features", engine(&|_| {})),
        (
            "without AVX2",
            engine(&|config| {
                config
                    .cpu_feature(CpuFeature::Avx2, false)
                    .cpu_feature(CpuFeature::Fma, false);
            }),
        ),
        (
            "without AVX",
            engine(&|config| {
                config.cpu_feature(CpuFeature::Avx, false);
            }),
        ),
        (
            "deterministic",
            engine(&|config| {
                config.relaxed_simd_deterministic(true);
            }),
        ),
    ]
}

fn all_pass(scripts: &[(String, String)], at_least: usize) {
    for (name, engine) in engines() {
        let (bad, passed) = run_with(&engine, scripts);
        assert!(bad.is_empty(), "{name}: not spotless:\n{}", bad.join("\n"));
        assert!(passed >= at_least, "{name}: only {passed} directives");
    }
}

#[test]
fn every_listed_file_passes_with_every_kind_of_processor() {
    let files = crate_files();
    let names = LIST.lines().filter(|line| !line.starts_with('#'));
    let scripts: Vec<(String, String)> = names
        .map(|name| (name.to_string(), files[name].to_string()))
        .collect();
    assert_eq!(scripts.len(), 67, "the list has lost or won a file");
    all_pass(&scripts, 24_000);
}

/// The files of a checkout are those of the crate, or they pass by themselves.
#[test]
fn a_checkout_of_the_tests_passes() {
    let Some(dir) = shared("tests/spec") else { return };
    let mut names: Vec<String> = std::fs::read_dir(&dir)
        .expect("the folder can be read")
        .map(|entry| {
            entry
                .expect("it can be read")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .filter(|name| name.starts_with("simd_") || name.contains("relaxed_"))
        .collect();
    names.sort();
    assert!(names.len() >= 60, "files are missing: {names:?}");
    let known = crate_files();
    let scripts: Vec<(String, String)> = names
        .into_iter()
        .map(|name| {
            let text = std::fs::read_to_string(dir.join(&name)).expect("the file can be read");
            (name, text)
        })
        .filter(|(name, text)| {
            let same = |folder: &str| {
                known
                    .get(&format!("{folder}/{name}"))
                    .is_some_and(|known| *known == text)
            };
            !same("simd") && !same("relaxed-simd")
        })
        .collect();
    all_pass(&scripts, 0);
}

#[test]
fn a_checkout_of_other_tests_passes() {
    let Some(dir) = shared("tests/misc") else { return };
    let folder = std::fs::read_dir(dir.join("simd")).expect("the folder can be read");
    let mut paths: Vec<_> = folder
        .map(|entry| entry.expect("it can be read").path())
        .collect();
    paths.extend(OTHERS.map(|name| dir.join(name)));
    paths.sort();
    let scripts: Vec<(String, String)> = paths
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            (path.display().to_string(), text)
        })
        .collect();
    all_pass(&scripts, 50);
}
