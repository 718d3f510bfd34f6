//! The script runner: each directive that holds, and its neighbour that must
//! fail.

use std::time::{Duration, Instant};

use cellwall::Engine;
use cellwall_cli::wast_runner::{Skip, run};

const MODULE: &str = r#"
(module $m
  (global (export "g") i32 (i32.const 7))
  (func (export "div") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
  (func (export "trunc") (param f32) (result i32) (i32.trunc_f32_s (local.get 0)))
  (func (export "f32") (param i32) (result f32) (f32.reinterpret_i32 (local.get 0)))
  (func (export "f64") (param i64) (result f64) (f64.reinterpret_i64 (local.get 0)))
  (func (export "extern") (param externref) (result externref) (local.get 0))
  (func (export "func") (param funcref) (result funcref) (local.get 0))
  (func $self (export "self") (result funcref) (ref.func $self))
  (func $deep (export "deep") (call $deep))
  (func (export "stop") unreachable))
"#;

/// The outcome of `script` after [`MODULE`], on one line: the counts without
/// that module, and the messages of failures.
fn after_module(script: &str) -> String {
    let text = format!("{MODULE}{script}");
    let report = run(&Engine::default(), "t", &text, &Skip::default());
    let messages: Vec<&str> = report.failures.iter().map(|f| f.message.as_str()).collect();
    let counts = format!(
        "{}/{}/{}",
        report.passed as i64 - 1,
        report.failed,
        report.skipped
    );
    [counts]
        .into_iter()
        .chain(messages.into_iter().map(str::to_string))
        .collect::<Vec<_>>()
        .join(" | ")
}

/// The outcome of a whole script.
fn whole(script: &str, skip: &[&str]) -> String {
    let skip = skip
        .iter()
        .map(|name| name.parse().expect("the test names a feature"));
    let report = run(&Engine::default(), "t", script, &Skip::new(skip));
    let messages = report
        .failures
        .iter()
        .map(|f| format!(" | {}:{}: {}", f.line, f.column, f.message));
    format!(
        "{}/{}/{}{}",
        report.passed,
        report.failed,
        report.skipped,
        messages.collect::<String>()
    )
}

#[track_caller]
fn holds(script: &str) {
    assert_eq!(after_module(script), "1/0/0", "{script}");
}

#[track_caller]
fn fails(script: &str, message: &str) {
    assert_eq!(after_module(script), format!("0/1/0 | {message}"), "{script}");
}

#[test]
fn results_are_compared() {
    holds(r#"(assert_return (invoke "div" (i32.const 7) (i32.const 2)) (i32.const 3))"#);
    fails(
        r#"(assert_return (invoke "div" (i32.const 7) (i32.const 2)) (i32.const 4))"#,
        "result 0: expected (i32.const 4), got (i32.const 3)",
    );
    fails(
        r#"(assert_return (invoke "div" (i32.const 7) (i32.const 2)) (i64.const 3))"#,
        "result 0: expected (i64.const 3), got (i32.const 3)",
    );
    fails(
        r#"(assert_return (invoke "div" (i32.const 7) (i32.const 2)))"#,
        "expected 0 results, got 1: (i32.const 3)",
    );
    fails(
        r#"(assert_return (invoke "div" (i32.const 7) (i32.const 0)) (i32.const 4))"#,
        "unexpected wasm trap: integer divide by zero",
    );
    fails(
        r#"(assert_return (invoke "gone"))"#,
        r#"no exported function "gone""#,
    );
}

#[test]
fn globals_are_read() {
    holds(r#"(assert_return (get "g") (i32.const 7))"#);
    holds(r#"(assert_return (get $m "g") (i32.const 7))"#);
    fails(
        r#"(assert_return (get "g") (i32.const 8))"#,
        "result 0: expected (i32.const 8), got (i32.const 7)",
    );
    fails(
        r#"(assert_return (get $n "g") (i32.const 7))"#,
        "there is no module $n",
    );
    fails(
        r#"(assert_return (get "h") (i32.const 7))"#,
        r#"no exported global "h""#,
    );
}

#[test]
fn nan_patterns_are_bit_patterns() {
    let canonical = r#"(invoke "f32" (i32.const 0xffc00000))"#;
    let arithmetic = r#"(invoke "f32" (i32.const 0x7fe00000))"#;
    let signalling = r#"(invoke "f32" (i32.const 0x7fa00000))"#;
    holds(&format!("(assert_return {canonical} (f32.const nan:canonical))"));
    holds(&format!("(assert_return {canonical} (f32.const nan:arithmetic))"));
    holds(&format!(
        "(assert_return {arithmetic} (f32.const nan:arithmetic))"
    ));
    fails(
        &format!("(assert_return {arithmetic} (f32.const nan:canonical))"),
        "result 0: expected (f32.const nan:canonical), got (f32.const NaN) = 0x7fe00000",
    );
    fails(
        &format!("(assert_return {signalling} (f32.const nan:arithmetic))"),
        "result 0: expected (f32.const nan:arithmetic), got (f32.const NaN) = 0x7fa00000",
    );
    let wide = r#"(invoke "f64" (i64.const 0x7ff8000000000000))"#;
    let wide_odd = r#"(invoke "f64" (i64.const 0x7ff8000000000001))"#;
    holds(&format!("(assert_return {wide} (f64.const nan:canonical))"));
    holds(&format!(
        "(assert_return {wide_odd} (f64.const nan:0x8000000000001))"
    ));
    fails(
        &format!("(assert_return {wide_odd} (f64.const nan:canonical))"),
        "result 0: expected (f64.const nan:canonical), got (f64.const NaN) = 0x7ff8000000000001",
    );
}

#[test]
fn minus_zero_is_not_zero() {
    holds(r#"(assert_return (invoke "f32" (i32.const 0x80000000)) (f32.const -0))"#);
    fails(
        r#"(assert_return (invoke "f32" (i32.const 0x80000000)) (f32.const 0))"#,
        "result 0: expected (f32.const 0) = 0x00000000, got (f32.const -0) = 0x80000000",
    );
}

#[test]
fn either_needs_one_match() {
    let call = r#"(invoke "div" (i32.const 7) (i32.const 2))"#;
    holds(&format!(
        "(assert_return {call} (either (i32.const 1) (i32.const 3)))"
    ));
    fails(
        &format!("(assert_return {call} (either (i32.const 1) (i32.const 2)))"),
        "result 0: expected (either (i32.const 1) (i32.const 2)), got (i32.const 3)",
    );
}

#[test]
fn references_are_compared() {
    holds(r#"(assert_return (invoke "extern" (ref.extern 5)) (ref.extern 5))"#);
    holds(r#"(assert_return (invoke "extern" (ref.extern 5)) (ref.extern))"#);
    holds(r#"(assert_return (invoke "extern" (ref.null extern)) (ref.null extern))"#);
    holds(r#"(assert_return (invoke "extern" (ref.null extern)) (ref.null))"#);
    holds(r#"(assert_return (invoke "func" (ref.null func)) (ref.null func))"#);
    holds(r#"(assert_return (invoke "self") (ref.func))"#);
    fails(
        r#"(assert_return (invoke "extern" (ref.extern 5)) (ref.extern 6))"#,
        "result 0: expected (ref.extern 6), got (ref.extern 5)",
    );
    fails(
        r#"(assert_return (invoke "extern" (ref.null extern)) (ref.null func))"#,
        "result 0: expected (ref.null), got (ref.null extern)",
    );
    fails(
        r#"(assert_return (invoke "self") (ref.null func))"#,
        "result 0: expected (ref.null), got (ref.func)",
    );
}

#[test]
fn the_kind_of_a_trap_counts() {
    let call = r#"(invoke "div" (i32.const 1) (i32.const 0))"#;
    holds(&format!(r#"(assert_trap {call} "integer divide by zero")"#));
    fails(
        &format!(r#"(assert_trap {call} "integer overflow")"#),
        r#"expected the trap "integer overflow", got "wasm trap: integer divide by zero""#,
    );
    fails(
        r#"(assert_trap (invoke "div" (i32.const 1) (i32.const 1)) "integer overflow")"#,
        r#"expected the trap "integer overflow", but it returned"#,
    );
    holds(r#"(assert_trap (invoke "trunc" (f32.const nan)) "invalid conversion to integer")"#);
    holds(r#"(assert_trap (invoke "stop") "unreachable")"#);
    holds(r#"(assert_trap (module (func $f unreachable) (start $f)) "unreachable")"#);
    fails(
        r#"(assert_trap (module (func $f) (start $f)) "unreachable")"#,
        r#"expected the trap "unreachable", but it returned"#,
    );
}

#[test]
fn exhaustion_is_a_stack_overflow() {
    holds(r#"(assert_exhaustion (invoke "deep") "call stack exhausted")"#);
    fails(
        r#"(assert_exhaustion (invoke "stop") "call stack exhausted")"#,
        r#"expected the trap "call stack exhausted", got "wasm trap: wasm `unreachable` instruction executed""#,
    );
}

#[test]
fn bad_modules_must_be_refused() {
    holds(r#"(assert_malformed (module quote "(func") "unexpected token")"#);
    holds(r#"(assert_malformed (module binary "\00asm\01\00\00") "unexpected end")"#);
    holds(r#"(assert_invalid (module (func (result i32))) "type mismatch")"#);
    let accepted = |what: &str| format!("expected \"{what}\", but the module was accepted");
    fails(
        r#"(assert_malformed (module quote "(func)") "unexpected token")"#,
        &accepted("unexpected token"),
    );
    fails(
        r#"(assert_invalid (module (func (result i32) (i32.const 0))) "type mismatch")"#,
        &accepted("type mismatch"),
    );
}

#[test]
fn link_errors_have_kinds() {
    let unknown = r#"(module (import "spectest" "nothing" (func)))"#;
    let other = r#"(module (import "spectest" "print" (func (param i64))))"#;
    let good = r#"(module (import "spectest" "print" (func)))"#;
    holds(&format!(r#"(assert_unlinkable {unknown} "unknown import")"#));
    holds(&format!(
        r#"(assert_unlinkable {other} "incompatible import type")"#
    ));
    assert!(
        after_module(&format!(r#"(assert_unlinkable {other} "unknown import")"#))
            .starts_with(r#"0/1/0 | expected "unknown import", got the error: "#)
    );
    fails(
        &format!(r#"(assert_unlinkable {good} "unknown import")"#),
        r#"expected "unknown import", but it was linked"#,
    );
    let trapping = r#"(module (func $f unreachable) (start $f))"#;
    assert!(
        after_module(&format!(r#"(assert_unlinkable {trapping} "unknown import")"#))
            .starts_with(r#"0/1/0 | expected "unknown import", but it was linked, and then: "#)
    );
}

#[test]
fn the_host_modules_are_whole() {
    let imports = r#"
        (module
          (import "spectest" "global_i32" (global $i i32))
          (import "spectest" "global_i64" (global $l i64))
          (import "spectest" "global_f32" (global $f f32))
          (import "spectest" "global_f64" (global $d f64))
          (import "spectest" "table" (table $t 10 20 funcref))
          (import "spectest" "memory" (memory 1 2))
          (import "spectest" "print" (func $p))
          (import "spectest" "print_i32" (func $pi (param i32)))
          (import "spectest" "print_i64" (func $pl (param i64)))
          (import "spectest" "print_f32" (func $pf (param f32)))
          (import "spectest" "print_f64" (func $pd (param f64)))
          (import "spectest" "print_i32_f32" (func $pif (param i32 f32)))
          (import "spectest" "print_f64_f64" (func $pdd (param f64 f64)))
          (import "wasmtime" "gc" (func $gc))
          (func (export "all") (result i32 i64 f32 f64 i32 i32)
            (call $p) (call $pi (i32.const 1)) (call $pl (i64.const 1))
            (call $pf (f32.const 1)) (call $pd (f64.const 1))
            (call $pif (i32.const 1) (f32.const 1)) (call $pdd (f64.const 1) (f64.const 1))
            (call $gc)
            (global.get $i) (global.get $l) (global.get $f) (global.get $d)
            (table.size $t) (memory.size)))
    "#;
    let values = r#"(i32.const 666) (i64.const 666) (f32.const 666.6) (f64.const 666.6)
                    (i32.const 10) (i32.const 1)"#;
    assert_eq!(
        whole(
            &format!(r#"{imports} (assert_return (invoke "all") {values})"#),
            &[]
        ),
        "2/0/0"
    );
}

#[test]
fn modules_have_names() {
    let two = r#"
        (module $a (func (export "f") (result i32) (i32.const 1)))
        (module $b (func (export "f") (result i32) (i32.const 2)))
        (register "a" $a)
        (module $c (import "a" "f" (func $f (result i32))) (export "g" (func $f)))
        (assert_return (invoke $a "f") (i32.const 1))
        (assert_return (invoke $b "f") (i32.const 2))
        (assert_return (invoke "g") (i32.const 1))
    "#;
    assert_eq!(whole(two, &[]), "7/0/0");
    assert_eq!(
        whole(r#"(module $a) (register "a" $b)"#, &[]),
        "1/1/0 | 1:14: there is no module $b"
    );
}

/// A script of its own kind: a `$name` is a name for imports too, but what was
/// registered goes before it.
#[test]
fn a_named_module_can_be_imported_from() {
    let script = r#"
        (module $a (func (export "f") (result i32) (i32.const 1)))
        (module (import "a" "f" (func $f (result i32))) (export "g" (func $f)))
        (assert_return (invoke "g") (i32.const 1))
        (module $b (func (export "f") (result i32) (i32.const 2)))
        (register "a" $b)
        (module $a (func (export "f") (result i32) (i32.const 3)))
        (module (import "a" "f" (func $f (result i32))) (export "g" (func $f)))
        (assert_return (invoke "g") (i32.const 2))
    "#;
    assert_eq!(whole(script, &[]), "8/0/0");
    let nameless = r#"(module (func (export "f"))) (module (import "a" "f" (func)))"#;
    assert!(whole(nameless, &[]).starts_with("1/1/0 | 1:31: unknown import"));
}

#[test]
fn a_definition_has_many_instances() {
    let script = r#"
        (module definition $D
          (global $g (mut i32) (i32.const 0))
          (func (export "next") (result i32)
            (global.set $g (i32.add (global.get $g) (i32.const 1))) (global.get $g)))
        (module instance $x $D)
        (module instance $y $D)
        (assert_return (invoke $x "next") (i32.const 1))
        (assert_return (invoke $x "next") (i32.const 2))
        (assert_return (invoke $y "next") (i32.const 1))
    "#;
    assert_eq!(whole(script, &[]), "6/0/0");
    assert_eq!(
        whole("(module definition $D) (module instance $x $E)", &[]),
        "1/1/0 | 1:25: there is no module $E"
    );
}

/// A call meant for a module that failed must not reach the one before it.
#[test]
fn a_broken_module_is_not_passed_over() {
    let script = r#"
        (module $m (func (export "f")))
        (module $m (import "no" "where" (func)) (func (export "f")))
        (assert_return (invoke "f"))
        (assert_return (invoke $m "f"))
        (register "m")
        (module (import "m" "f" (func)))"#;
    let outcome = whole(script, &[]);
    assert!(outcome.starts_with("1/5/0 | 3:"), "{outcome}");
    assert!(outcome.contains("4:10: its module failed"), "{outcome}");
    assert!(outcome.ends_with(r#"7:10: the module "m" failed"#), "{outcome}");
}

#[test]
fn an_empty_file_fails() {
    let empty = "0/1/0 | 1:1: the file has no directives";
    assert_eq!(whole("", &[]), empty);
    assert_eq!(whole(" ;; nothing\n (; at all ;)\n", &[]), empty);
    assert_eq!(whole("(module)", &[]), "1/0/0");
    assert_eq!(whole("(func)", &[]), "1/0/0", "a module without its parentheses");
}

#[test]
fn a_script_that_does_not_parse_fails() {
    assert_eq!(
        whole("(module)\n  (assert_fine)", &[]).split(" | ").next(),
        Some("0/1/0")
    );
    assert!(whole("(module)\n  (assert_fine)", &[]).starts_with("0/1/0 | 2:4: "));
    assert!(whole("(module", &[]).starts_with("0/1/0 | 1:8: "));
    assert!(whole("(perhaps)", &[]).starts_with("0/1/0 | 1:2: "));
}

#[test]
fn what_is_not_supported_fails_unless_skipped() {
    let thread = "(module) (thread $t (module)) (wait $t)";
    assert_eq!(whole(thread, &[]), "4/0/0");
    assert_eq!(whole(thread, &["threads"]), "1/0/2");
    assert_eq!(
        whole("(module) (wait $t)", &[]),
        "1/1/0 | 1:11: there is no thread $t"
    );
    assert_eq!(whole("(module) (component)", &[]), "2/0/0");
    assert_eq!(whole("(module) (component)", &["component-model"]), "1/0/1");
}

/// Objects that a collector owns are not there in any engine that this runs on.
#[test]
fn what_hangs_on_a_skipped_module_is_skipped() {
    let script = r#"
        (module $m (type (struct)) (func (export "f")))
        (invoke "f")
        (assert_return (invoke $m "f"))
        (register "m" $m)
        (module (import "m" "f" (func)))
        (module (func (export "f")))
        (assert_return (invoke "f"))"#;
    assert_eq!(whole(script, &["gc"]), "2/0/5");
    assert!(
        whole(script, &["simd"]).starts_with("2/5/0 | "),
        "another feature does not excuse it"
    );
}

#[test]
fn a_header_names_the_features_of_a_file() {
    let script = ";;! custom_page_sizes = true\n(module)";
    assert_eq!(whole(script, &["custom-page-sizes"]), "0/0/1");
    assert_eq!(
        whole(script, &[]),
        "1/0/0",
        "nothing is skipped that was not asked for"
    );
    assert_eq!(
        whole(&script.replace("true", "false"), &["custom-page-sizes"]),
        "1/0/0"
    );
    assert_eq!(
        whole(&script.replace(";;!", ";;"), &["custom-page-sizes"]),
        "1/0/0"
    );
}

#[test]
fn only_known_features_can_be_skipped() {
    use cellwall_cli::wast_runner::Feature;
    assert_eq!("tail_call".parse::<Feature>().map(Feature::name), Ok("tail-call"));
    let error = "speed".parse::<Feature>().expect_err("there is no such feature");
    assert!(
        error
            .to_string()
            .starts_with("no such feature; the features are component-model, ")
    );
}

#[test]
fn imports_may_name_their_module_once() {
    let script = r#"
        (module $m (func (export "x") (result i32) (i32.const 1)) (func (export "y") (result i32) (i32.const 2)))
        (register "a" $m)
        (module
          (import "a" (item "x" (func $x (result i32))) (item "y" (func $y (result i32))))
          (func (export "sum") (result i32) (i32.add (call $x) (call $y))))
        (assert_return (invoke "sum") (i32.const 3))
        (assert_unlinkable (module (import "a" (item "x" (func (result i32))) (item "z" (func)))) "unknown import")
    "#;
    assert_eq!(whole(script, &[]), "5/0/0");
}

/// More than there could ever be: what the table itself forbids fails as any growth does.
#[test]
fn a_table_grows_up_to_its_maximum() {
    let grow = |max: &str| {
        format!(
            r#"(module (table i64 0 {max} funcref) (func (export "grow") (param i64) (result i64)
              (table.grow (ref.null func) (local.get 0))))"#
        )
    };
    let call = r#"(invoke "grow" (i64.const 0x2000_0000_0000_0000))"#;
    let bounded = format!("{} (assert_return {call} (i64.const -1))", grow("10"));
    assert_eq!(whole(&bounded, &[]), "2/0/0");
    let unbounded = format!(r#"{} (assert_trap {call} "failed to allocate")"#, grow(""));
    assert_eq!(whole(&unbounded, &[]), "2/0/0");
}

/// Lines end with `\n` only, columns are bytes, and the last line need not end.
#[test]
fn places_are_lines_and_columns() {
    let failing = "(register \"a\" $b)";
    let no_module = "there is no module $b";
    let script = format!("{failing}\r\n\n (; é ;) {failing} {failing}\n{failing}");
    let places = ["1:2", "3:12", "3:30", "4:2"].map(|place| format!(" | {place}: {no_module}"));
    assert_eq!(whole(&script, &[]), format!("0/4/0{}", places.concat()));
    // A place behind the last line.
    assert!(whole("(module", &[]).starts_with("0/1/0 | 1:8: "));
    assert!(whole("(module\n", &[]).starts_with("0/1/0 | 2:1: "));
}

/// The text is made flat before it is parsed; the places are those of the script.
#[test]
fn places_behind_a_folded_try_are_those_of_the_script() {
    let folded = "(module (func (export \"f\")\n (try (do (nop)) (catch_all))))";
    assert_eq!(
        whole(&format!("{folded} (invoke \"f\") (invoke \"g\")"), &[]),
        "2/1/0 | 2:47: no exported function \"g\""
    );
    let misspelt = folded.replace("nop", "pon");
    assert_eq!(
        whole(&misspelt, &[]),
        "0/1/0 | 2:12: unknown operator or unexpected token"
    );
}

/// For all scripts: the time is in proportion to the length. Were the lines counted for each directive,
/// this one would take minutes.
#[test]
fn many_directives_on_many_lines_take_little_time() {
    const DIRECTIVES: usize = 4000;
    let directive = format!("(register \"a\" $b){}", "\n".repeat(1000));
    let script = directive.repeat(DIRECTIVES);
    let begin = Instant::now();
    let report = run(&Engine::default(), "t", &script, &Skip::default());
    assert_eq!((report.passed, report.failed), (0, DIRECTIVES));
    let last = report.failures.last().expect("all of them fail");
    assert_eq!((last.line, last.column), (1000 * (DIRECTIVES - 1) + 1, 2));
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
}
