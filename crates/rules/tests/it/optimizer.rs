//! The rule files of the optimizer: their code is fresh, and each rule is proved.

use cellwall_rules::{Proofs, Typed, check, generate, mutants, obligations, replay};
use std::fs;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../compile/src/opt")
}

pub(crate) fn rules() -> Vec<Typed> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder()).expect("the folder is there") {
        let path = entry.expect("the folder can be listed").path();
        if path.extension().is_some_and(|ending| ending == "rules") {
            let text = fs::read_to_string(&path).expect("the file can be read");
            files.push((path.display().to_string(), text));
        }
    }
    files.sort();
    check(files.iter().map(|(name, text)| (&name[..], &text[..])))
        .unwrap_or_else(|(file, error)| panic!("{file}:{error}"))
}

#[test]
fn the_code_is_that_of_the_rules() {
    let (path, code) = (folder().join("generated.rs"), generate(&rules()));
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, &code).expect("the file can be written");
    }
    let found = fs::read_to_string(&path).expect("the code is there");
    assert!(found == code, "run `cargo xtask rules`");
}

#[test]
fn every_rule_is_proved_as_it_stands() {
    let record = fs::read_to_string(folder().join("rules.proofs")).expect("the record is there");
    let missing = Proofs::parse(&record).missing(&obligations(&rules()));
    assert!(missing.is_empty(), "{missing:#?}\nrun `cargo xtask prove`");
}

#[test]
fn every_planted_mistake_is_refused_or_known_to_be_none() {
    let record = fs::read_to_string(folder().join("rules.mutants")).expect("the record is there");
    let wrong = replay(&mutants(&rules()), &record);
    assert!(wrong.is_empty(), "{wrong:#?}\nrun `cargo xtask prove --mutants`");
    let refuted = record.lines().filter(|line| line.contains(" refuted ")).count();
    assert!(refuted > 1_000, "{refuted}");
    // What the solver neither proves nor refutes would be no rule either, but nobody would know why.
    let unproved: Vec<_> = record
        .lines()
        .filter(|line| line.ends_with(" unproved"))
        .collect();
    assert_eq!(unproved, Vec::<&str>::new());
    // A record of something else is noticed.
    let other = record.replacen(" refuted 0 ", " right ", 1);
    assert_eq!(replay(&mutants(&rules()), &other).len(), 1);
}

#[test]
fn a_changed_rule_needs_a_new_proof() {
    let rules = rules();
    let mut proofs = Proofs::default();
    let all = obligations(&rules);
    all.iter().for_each(|obligation| proofs.add(obligation));
    assert_eq!(Proofs::parse(&proofs.to_string()), proofs);
    assert_eq!(proofs.missing(&all), Vec::<String>::new());
    let wrong = check([(
        "",
        ";; Why.\nrule add_zero: (sub x 0) => x\n example: (sub v 0) => v",
    )])
    .expect("it has types");
    assert!(!proofs.has(obligations(&wrong).last().expect("there is a rule")));
}
