//! Rule files that are accepted, and their neighbours that are refused, with place and reason.

use cellwall_rules::{Mutant, Subject, Verdict, check, generate, judge};

/// The canonical text of the only rule, or what is wrong with it.
fn said(text: &str) -> String {
    match check([("", text)]) {
        Ok(rules) => rules[0].rule.to_string(),
        Err((_, error)) => error.to_string(),
    }
}

/// A rule of this body that is otherwise right.
fn rule(body: &str, example: &str) -> String {
    format!(";; Why.\nrule r: {body}\n  example: {example}\n")
}

#[test]
fn a_rule_reads_back_as_it_was_written() {
    let text = rule(
        "(and  (and x k1)  k2) => (and x (fold.and k1 k2))",
        "(and (and v 6) 3) => (and v 2)",
    );
    assert_eq!(
        said(&text),
        "rule r: (and (and x k1) k2) => (and x (fold.and k1 k2))"
    );
    let text = ";;;; Heading.\n;; Why.\nrule r: (shr_u m@(and x k) 4096) => 0\n  if (zeros x -1),\n (once m)\n  \
                example: (shr_u (and v 1) 4096) => 0 ;; end\n";
    assert_eq!(
        said(text),
        "rule r: (shr_u m@(and x k) 0x1000) => 0 if (zeros x -1), (once m)"
    );
}

#[test]
fn a_rule_says_why_and_shows_an_example() {
    assert_eq!(
        said("rule r: (add x 0) => x\n example: (add v 0) => v"),
        "1:6: a rule needs a comment `;;` that says why"
    );
    assert_eq!(
        said(";;\nrule r: (add x 0) => x\n example: (add v 0) => v"),
        "2:6: a rule needs a comment `;;` that says why"
    );
    assert_eq!(
        said(";; Why.\nrule r: (add x 0) => x"),
        "2:6: a rule needs an example"
    );
    assert_eq!(
        said(&rule("(add x 0) => x", "(add v 1) => v")),
        "3:12: the rule gives nothing for this example"
    );
    assert_eq!(
        said(&rule("(add x 0) => x", "(add v 0) => 0")),
        "3:12: the rule gives v"
    );
    assert_eq!(
        said(&rule(
            "(sub x k) => (add x (fold.sub 0 k))",
            "(sub v:i32 1) => (add v 1)"
        )),
        "3:12: the rule gives (add v:i32 0xffffffff)"
    );
}

#[test]
fn the_shape_of_rules_is_checked() {
    for (text, error) in [
        ("x", "1:1: expected `rule`"),
        (";; Why.\nrule R: (add x 0) => x", "2:6: expected a name and `:`"),
        (";; Why.\nrule r (add x 0) => x", "2:6: expected a name and `:`"),
        (";; Why.\nrule r: (add x 0) -> x", "2:19: expected `=>`"),
        (";; Why.\nrule r: (add x 0) x", "2:19: expected `=>`"),
        (
            ";; Why.\nrule r: (plus x 0) => x",
            "2:10: nothing is called `plus`",
        ),
        (";; Why.\nrule r: (add x) => x", "2:10: `add` takes 2 operands"),
        (
            ";; Why.\nrule r: (add x 0 0) => x",
            "2:10: `add` takes 2 operands",
        ),
        (";; Why.\nrule r: (add x 0", "2:16: expected an expression"),
        (
            ";; Why.\nrule r: (add x:i16 0) => x",
            "2:14: nothing is called `i16`",
        ),
        (
            ";; Why.\nrule r: (add x 0) => x if x",
            "2:27: expected a condition",
        ),
        (
            ";; Why.\nrule r: (add x 0) => x if (add x 0)",
            "2:27: expected a comparison",
        ),
        (";; Why.\nrule r: (add x 0x) => x", "2:16: expected an expression"),
        (
            ";; Why.\nrule r: (add k@(add x 0) 0) => x",
            "2:14: expected a name for an operation",
        ),
    ] {
        assert_eq!(said(text), error, "{text}");
    }
}

#[test]
fn limits_are_kept() {
    let deep = |n: usize| format!(";; Why.\nrule r: {}x{}", "(clz ".repeat(n), ")".repeat(n));
    assert!(said(&deep(24)).ends_with("expected `=>`"), "{}", said(&deep(24)));
    assert!(said(&deep(25)).ends_with("too many expressions inside each other: at most 24"));
    let one = ";; Why.\nrule r: (add x 0) => x\n example: (add v 0) => v\n".repeat(1001);
    assert!(said(&one).ends_with("too many rules: at most 1000"));
    assert!(said(&one[..one.len() / 1001 * 2]).ends_with("there is a rule `r` already"));
    assert!(said(&" ".repeat((1 << 20) + 1)).ends_with("too many bytes: at most 1048576"));
}

#[test]
fn names_must_be_bound_and_constants_constant() {
    let example = "(add v 0) => v";
    for (body, error) in [
        ("x => 0", "2:9: the left side is no operation"),
        ("(add x 0) => y", "2:22: the left side has no `y`"),
        ("(add x k) => (add x k1)", "2:29: the left side has no `k1`"),
        ("(add x k) => x if (once x)", "2:27: the left side has no `x`"),
        ("(add x k) => x if (eq k x)", "2:33: this is no constant"),
        ("(add x k) => x if (zeros k k)", "2:27: expected a name"),
        ("(add x k) => x if (zeros x x)", "2:27: this is no constant"),
        ("(add x k) => (fold.add x k)", "2:22: this is no constant"),
        (
            "(add x k) => (fold.div_u k k)",
            "2:22: nothing can be folded here",
        ),
        ("(add x (fold.add k 1)) => x", "2:16: nothing can be folded here"),
        (
            "(add x@(clz y) x@(clz y)) => y",
            "2:24: `x` stands for two things",
        ),
        (
            "(add x 0) => a@(clz x)",
            "2:22: expected an operation without a name",
        ),
    ] {
        assert_eq!(said(&rule(body, example)), error, "{body}");
    }
    assert!(
        said(&rule(
            "(shr_s x (fold.sub bits 1)) => (shr_s x (fold.sub bits 1))",
            example
        ))
        .ends_with("both sides are the same")
    );
}

#[test]
fn types_must_fit_and_be_known() {
    let example = "(add v 0) => v";
    for (body, error) in [
        ("(wrap (wrap x)) => (wrap x)", "2:6: no types fit"),
        ("(add x 0) => (extend_u x)", "2:6: no types fit"),
        (
            "(fadd x y) => (fadd y x)",
            "2:9: `fadd` has no encoding as bit-vectors",
        ),
        (
            "(add x 0x100000000) => x",
            "2:16: the literal is too large for its type",
        ),
        (
            "(and (eq x 0) (eq y 0)) => (eq (or x y) 0)",
            "2:6: which types fit here depends on types elsewhere",
        ),
        (
            "(eq x x) => (eq 1 1)",
            "2:25: the left side does not tell the type of this",
        ),
        (
            "(add x 0) => (add (add x 0) 0)",
            "2:22: the right side costs 2, the left side 1",
        ),
        (
            "(and (and x k1) k2) => (or (and x k1) k2)",
            "2:32: the right side costs 2, the left side 1",
        ),
    ] {
        assert_eq!(said(&rule(body, example)), error, "{body}");
    }
    // Their neighbours.
    for (body, example) in [
        ("(wrap (sext32 x)) => (wrap x)", "(wrap (sext32 v)) => (wrap v)"),
        (
            "(add x:i64 0x100000000) => (sub x -0x100000000)",
            "(add v 0x100000000) => (sub v -0x100000000)",
        ),
        (
            "(and a@(eq x:i64 0) b@(eq y:i64 0)) => (eq (or x y) 0)\n if (once a), (once b)",
            "(and (eq v:i64 0) (eq w:i64 0)) => (eq (or v w) 0)",
        ),
        (
            "(and m@(and x k1) k2) => (or (and x k1) k2)\n if (once m)",
            "(and (and v 1) 2) => (or (and v 1) 2)",
        ),
    ] {
        assert!(
            said(&rule(body, example)).starts_with("rule r: "),
            "{}",
            said(&rule(body, example))
        );
    }
}

#[test]
fn a_rule_for_several_choices_is_a_rule_for_each() {
    let text = ";; Why.\nrule r for L/M in i8x16/7 i32x4/31, O in shl shr_u: (L.O x k) => x\n \
        if (eq (fold.and k M) 0)\n example: (L.O v 32) => v\n";
    let rules = check([("", text)]).expect("they are right");
    let texts: Vec<String> = rules.iter().map(|typed| typed.rule.to_string()).collect();
    assert_eq!(
        texts,
        [
            "rule r_i8x16_7_shl: (i8x16.shl x k) => x if (eq (fold.and k 7) 0)",
            "rule r_i32x4_31_shl: (i32x4.shl x k) => x if (eq (fold.and k 31) 0)",
            "rule r_i8x16_7_shr_u: (i8x16.shr_u x k) => x if (eq (fold.and k 7) 0)",
            "rule r_i32x4_31_shr_u: (i32x4.shr_u x k) => x if (eq (fold.and k 31) 0)",
        ]
    );
    for (head, error) in [
        ("r for: ", "2:6: expected a name and `:`"),
        ("r for l in i8x16: ", "2:12: expected capital letters, each once"),
        (
            "r for L in i8x16, L in a: ",
            "2:24: expected capital letters, each once",
        ),
        ("r for L/M in i8x16: ", "2:19: expected as many words as names"),
        ("r for L i8x16: ", "2:14: expected `in`"),
        ("r for L in (: ", "2:17: expected a choice"),
    ] {
        let text = format!(";; Why.\nrule {head}(L.add x 0) => x\n example: (L.add v 0) => v\n");
        assert_eq!(said(&text), error, "{head}");
    }
}

#[test]
fn lanes_are_constants_and_vectors_have_their_own_numbers() {
    let good = |body: &str, example: &str| {
        let said = said(&rule(body, example));
        assert!(said.starts_with("rule r: "), "{body}: {said}");
    };
    let bad =
        |body: &str, example: &str, error: &str| assert_eq!(said(&rule(body, example)), error, "{body}");
    let set = "(i32x4.extract_lane 3 (i32x4.replace_lane 3 v w)) => w";
    good("(i32x4.extract_lane k (i32x4.replace_lane k x y)) => y", set);
    bad(
        "(i32x4.extract_lane x (i32x4.replace_lane 3 x y)) => y",
        set,
        "2:29: this is no constant",
    );
    bad(
        "(i32x4.extract_lane 4 (i32x4.replace_lane 4 x y)) => y",
        set,
        "2:29: the literal is too large for its type",
    );
    let eight = "(i32x4.mul v 0x00000008000000080000000800000008) => (i32x4.shl v 3)";
    good(
        "(i32x4.mul x (fold.i32x4.splat k)) => (i32x4.shl x (fold.ctz k))",
        eight,
    );
    // Its lanes are not equal.
    bad(
        "(i32x4.mul x (fold.i32x4.splat k)) => (i32x4.shl x (fold.ctz k))",
        "(i32x4.mul v 0x00000008000000080000000800000004) => (i32x4.shl v 3)",
        "3:12: the rule gives nothing for this example",
    );
    // No operator that computes with floats has a meaning that a solver could be asked about.
    bad(
        "(f32x4.add x y) => (f32x4.add y x)",
        "(f32x4.add v w) => (f32x4.add w v)",
        "2:9: `f32x4.add` has no encoding as bit-vectors",
    );
    bad(
        "(i64x2.sub x y) => (i64x2.mul y x)",
        "(i64x2.sub v w) => (i64x2.mul w v)",
        "2:28: the right side costs 8, the left side 1",
    );
    // A number of either is a scalar, and no vector is.
    bad(
        "(v128.not (add x 0)) => x",
        "(v128.not v) => v",
        "2:6: no types fit",
    );
    let code =
        generate(&check([("", &rule("(v128.and x -1) => x", "(v128.and v -1) => v")[..])]).expect("right"));
    assert!(
        code.contains("s.vector(x1)") && code.contains("0xffffffffffffffffffffffffffffffffu128"),
        "{code}"
    );
}

#[test]
fn wrong_rules_of_vectors_are_refuted_by_values() {
    let judged = |body: &str| {
        let all = format!(";; Why.\nrule r: {body}\n");
        let rules = check([("", &all[..])]).unwrap_or_else(|(_, error)| panic!("{body}: {error}"));
        let unchanged = Mutant {
            name: String::new(),
            what: String::new(),
            rule: Subject::Rule(Box::new(rules[0].rule.clone())),
        };
        judge(&unchanged)
    };
    for (right, wrong) in [
        (
            "(i8x16.sub_sat_s x 0) => x\n example: (i8x16.sub_sat_s v 0) => v",
            "(i8x16.sub_sat_s 0 x) => x\n example: (i8x16.sub_sat_s 0 v) => v",
        ),
        (
            "(i16x8.mul x (fold.i16x8.splat k)) => (i16x8.shl x (fold.ctz k))\n if (eq (fold.popcnt k) 1)\n \
          example: (i16x8.mul v (fold.i16x8.splat 2)) => (i16x8.shl v 1)",
            "(i16x8.mul x (fold.i16x8.splat k)) => (i16x8.shl x (fold.ctz k))\n \
          example: (i16x8.mul v (fold.i16x8.splat 2)) => (i16x8.shl v 1)",
        ),
        (
            "(v128.bitselect 0 y m) => (v128.andnot y m)\n example: (v128.bitselect 0 v w) => (v128.andnot v w)",
            "(v128.bitselect 0 y m) => (v128.and y m)\n example: (v128.bitselect 0 v w) => (v128.and v w)",
        ),
        (
            "(i8x16.narrow_i16x8_u (i16x8.extend_low_i8x16_u x) (i16x8.extend_high_i8x16_u x)) => x\n \
          example: (i8x16.narrow_i16x8_u (i16x8.extend_low_i8x16_u v) (i16x8.extend_high_i8x16_u v)) => v",
            "(i8x16.narrow_i16x8_u (i16x8.extend_low_i8x16_s x) (i16x8.extend_high_i8x16_s x)) => x\n \
          example: (i8x16.narrow_i16x8_u (i16x8.extend_low_i8x16_s v) (i16x8.extend_high_i8x16_s v)) => v",
        ),
        // A lane beyond the last is no instruction: that is refuted as well.
        (
            "(i64x2.extract_lane k (i64x2.replace_lane k x y)) => y\n \
          example: (i64x2.extract_lane 1 (i64x2.replace_lane 1 v w)) => w",
            "(i64x2.extract_lane k x) => (i64x2.extract_lane (fold.add k 1) x)\n \
          example: (i64x2.extract_lane 0 v) => (i64x2.extract_lane 1 v)",
        ),
    ] {
        assert!(judged(right).is_err(), "only a solver can tell: {right}");
        assert!(matches!(judged(wrong), Ok(Verdict::Refuted(_))), "{wrong}");
    }
}

#[test]
fn a_type_that_the_left_side_leaves_open_is_looked_at() {
    let code = |text: &str| generate(&check([("", text)]).expect("the rule is right"));
    let narrow = code(&rule("(add x:i32 x) => (shl x 1)", "(add v:i32 v) => (shl v 1)"));
    assert!(narrow.contains("matches!(ty, Type::I32)"), "{narrow}");
    let any = code(&rule("(add x x) => (shl x 1)", "(add v v) => (shl v 1)"));
    assert!(!any.contains("matches!"), "{any}");
}

#[test]
fn garbage_is_refused_without_panic() {
    let words = [
        "rule",
        "r:",
        "(",
        ")",
        "=>",
        "if",
        ",",
        "example:",
        ";; why\n",
        "\n",
        "x",
        "k",
        "k1",
        "bits",
        "0",
        "-1",
        "0xffffffffffffffff",
        "and",
        "(and",
        "(fold.and",
        "(zeros",
        "(once",
        "m@(clz",
        "wrap",
        "select",
        "x:i32",
        "feq",
        ":",
        "@",
        "é",
        "\u{0}",
        "-",
        "0x",
    ];
    let good = ";; Why.\nrule r: (and m@(and x k1) k2) => (and x (fold.and k1 k2))\n if (once m), (eq k1 k2), (zeros x 1)\n example: (and (and v 6) 6) => (and v 6)\n";
    assert!(said(good).starts_with("rule r: "), "{}", said(good));
    let mut state = 0x2545_f491_4f6c_dd1du64;
    let mut random = |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % bound as u64) as usize
    };
    let (mut refused, mut accepted) = (0, 0);
    for round in 0..4_000 {
        let mut text = String::from(if round % 2 == 0 { good } else { "" });
        for _ in 0..1 + random(6) {
            let word = words[random(words.len())];
            let mut at = random(text.len() + 1);
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            let mut end = (at + random(12)).min(text.len());
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            let end = end.max(at);
            text.replace_range(at..end, &format!(" {word} "));
        }
        match check([("", &text[..])]) {
            Ok(rules) => {
                accepted += 1;
                generate(&rules);
            }
            Err((_, error)) => {
                refused += 1;
                assert!(!error.to_string().is_empty());
            }
        }
    }
    assert!(refused > 3_000 && accepted > 5, "{refused} {accepted}");
}
