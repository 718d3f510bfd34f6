//! The rule files of lowering: their code is fresh, each rule is proved, planted mistakes are refused; and
//! what is no rule of this kind is refused with its place.

use cellwall_rules::{
    Mutant, Proofs, Subject, TypedLowering, Verdict, check_lowering, generate_lowering, judge,
    lowering_mutants, lowering_obligations, replay,
};
use std::fs;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../compile/src/lower")
}

fn rules() -> Vec<TypedLowering> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder()).expect("the folder is there") {
        let path = entry.expect("the folder can be listed").path();
        if path.extension().is_some_and(|ending| ending == "rules") {
            let text = fs::read_to_string(&path).expect("the file can be read");
            files.push((path.display().to_string(), text));
        }
    }
    files.sort();
    check_lowering(files.iter().map(|(name, text)| (&name[..], &text[..])))
        .unwrap_or_else(|(file, error)| panic!("{file}:{error}"))
}

#[test]
fn the_code_is_that_of_the_rules() {
    let (path, code) = (folder().join("generated.rs"), generate_lowering(&rules()));
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, &code).expect("the file can be written");
    }
    let found = fs::read_to_string(&path).expect("the code is there");
    assert!(found == code, "run `cargo xtask rules`");
}

#[test]
fn every_rule_is_proved_as_it_stands() {
    let record = fs::read_to_string(folder().join("rules.proofs")).expect("the record is there");
    let missing = Proofs::parse(&record).missing(&lowering_obligations(&rules()));
    assert!(missing.is_empty(), "{missing:#?}\nrun `cargo xtask prove`");
}

#[test]
fn every_planted_mistake_is_refused_or_known_to_be_none() {
    let record = fs::read_to_string(folder().join("rules.mutants")).expect("the record is there");
    let wrong = replay(&lowering_mutants(&rules()), &record);
    assert!(wrong.is_empty(), "{wrong:#?}\nrun `cargo xtask prove --mutants`");
    let count = |verdict: &str| record.lines().filter(|line| line.contains(verdict)).count();
    assert!(count(" refuted ") > 1_500);
    assert_eq!(
        record.lines().filter(|line| line.ends_with(" unproved")).count(),
        0
    );
}

/// The canonical text of the only rule, or what is wrong with it.
fn said(body: &str, example: &str) -> String {
    let text = format!(";; Why.\n{body}\n  example: {example}\n");
    match check_lowering([("", &text[..])]) {
        Ok(rules) => rules[0].lowering.to_string(),
        Err((_, error)) => error.to_string(),
    }
}

#[test]
fn rules_read_back_and_their_neighbours_are_refused() {
    for (body, example, expected) in [
        (
            "lower r:  (add x k) => (add_imm x k) if (imm k), (once x)",
            "(add v 5) => (add_imm v 5)",
            "lower r: (add x k) => (add_imm x k) if (imm k), (once x)",
        ),
        (
            "flags r: (lt_u x y) => (is b (cmp x (rm y)))",
            "(lt_u v:i32 w) => (is b (cmp v (rm w)))",
            "flags r: (lt_u x y) => (is b (cmp x (rm y)))",
        ),
        (
            "lower r: (add x y) => (plus x y)",
            "(add v w) => (add v w)",
            "2:29: nothing is called `plus`",
        ),
        (
            "lower r: (add x y) => (add x)",
            "(add v w) => (add v w)",
            "2:7: nothing is called `add`",
        ),
        (
            "lower r: (add x y) => (add x z)",
            "(add v w) => (add v w)",
            "2:7: the left side has no `z`",
        ),
        (
            "lower r: (add x y) => (cmp x y)",
            "(add v w) => (cmp v w)",
            "2:7: expected a form that gives what the rule is for",
        ),
        (
            "flags r: (add x y) => (is b (cmp x y))",
            "(add v w) => (is b (cmp v w))",
            "2:7: expected a comparison on the left",
        ),
        (
            "lower r: (div_u x y) => (add x y)",
            "(div_u v w) => (add v w)",
            "2:7: `what traps` has no encoding as bit-vectors",
        ),
        (
            "flags r: (eq x 0) => (is e (cmp_imm (memory x) 0))",
            "(eq v:i32 0) => (is e (cmp_imm (memory v) 0))",
            "2:7: expected a condition that it loads",
        ),
        (
            "lower r: (sub x y) => (sub x (rm y))",
            "(sub v w) => (sub w (rm v))",
            "3:12: the rule gives something else for this example",
        ),
    ] {
        assert_eq!(said(body, example), expected, "{body}");
    }
}

/// Whether values are known that refute a rule; none that has no types counts.
fn is_refuted(body: &str, example: &str) -> bool {
    let text = format!(";; Why.\n{body}\n  example: {example}\n");
    let rules = check_lowering([("", &text[..])]).unwrap_or_else(|(_, error)| panic!("{body}: {error}"));
    let mutant = Mutant {
        name: String::new(),
        what: String::new(),
        rule: Subject::Lowering(Box::new(rules[0].lowering.clone())),
    };
    matches!(judge(&mutant), Ok(Verdict::Refuted(_)))
}

/// What other engines got wrong, as rules, each beside what is right.
#[test]
fn mistakes_of_other_engines_are_refuted() {
    for (left, right, wrong) in [
        // A 32-bit sum in a 64-bit address.
        ("(add x:i32 y)", "(lea.32 x y 0 0)", "(lea.64 x y 0 0)"),
        (
            "(add x:i32 y)",
            "(lea.32 (full x) y 0 0)",
            "(lea.64 (full x) (full y) 0 0)",
        ),
        // A value of which the upper half of the register is whatever it was.
        ("(extend_u x)", "(mov.32 x)", "(mov.64 x)"),
        ("(extend_u x)", "(mov.64 (full x))", "(mov.64 x)"),
        // A sign in place of zeros, and the other way round.
        ("(extend_u x)", "(mov.32 x)", "(movsxd.64 x)"),
        ("(extend_s x)", "(movsxd.64 x)", "(mov.32 x)"),
        // A count that is masked by another width.
        ("(shl x:i64 (and y 63))", "(shlx.64 x y)", "(shlx.32 x y)"),
        ("(shl x:i32 (and y 31))", "(shl.32 x y)", "(shl.64 x y)"),
    ] {
        let rule = |form: &str| format!("lower r: {left} => {form}");
        let example = |form: &str| format!("{left} => {form}");
        assert!(!is_refuted(&rule(right), &example(right)), "{right}");
        assert!(is_refuted(&rule(wrong), &example(wrong)), "{wrong}");
    }
    // An operand in memory has the bytes of its value, and no more.
    let wide = said(
        "lower r: (extend_s x) => (mov.64 (rm x))",
        "(extend_s v) => (mov.64 (rm v))",
    );
    assert!(wide.contains("operands of other sizes"), "{wide}");
}

#[test]
#[should_panic(expected = "never applied, since others come before: [\"later\"]")]
fn a_rule_behind_one_that_always_fits_is_refused() {
    let text = ";; Why.\nlower sooner: (add x y) => (add x y)\n  example: (add v w) => (add v w)\n\
                ;; Why.\nlower later: (add x k) => (add_imm x k)\n  if (imm k)\n  example: (add v 5) => (add_imm v 5)\n";
    let rules = check_lowering([("", text)]).expect("each makes sense");
    generate_lowering(&rules);
}
