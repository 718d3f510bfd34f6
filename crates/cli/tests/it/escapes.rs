//! Names in a module cannot steer the terminal that they are shown on: for each
//! place that shows one, and the neighbour that is shown as it is.

use std::io::Write;
use std::process::{Command, Output, Stdio};

/// One character of each kind that is escaped: ESC, BEL, NUL, CR, DEL, C1, and
/// controls of direction.
const EVIL: &str = "a\u{1b}[2J\u{7}\0\r\u{7f}\u{9b}\u{200e}\u{200f}\u{202a}\u{202e}\u{2066}\u{2069}z";
const SHOWN: &str = r"a\u{1b}[2J\u{7}\u{0}\u{d}\u{7f}\u{9b}\u{200e}\u{200f}\u{202a}\u{202e}\u{2066}\u{2069}z";
/// Its neighbour: unusual, but nothing a terminal obeys.
const GOOD: &str = "größe→名\u{1f44d} [2J";

/// Runs the command with `input` as its standard input.
fn cellwall(args: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_cellwall"))
        .args(args)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command can be started");
    let mut stdin = child.stdin.take().expect("it is a pipe");
    // A command that refuses its arguments does not read.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    child.wait_with_output().expect("it is our child")
}

/// The text in the module as the text format writes it.
fn quoted(text: &str) -> String {
    text.chars()
        .map(|c| format!("\\u{{{:x}}}", u32::from(c)))
        .collect()
}

/// What is printed holds `shown`, and nothing that a terminal obeys.
#[track_caller]
fn shows(output: &Output, shown: &str) {
    let text = [&output.stdout[..], &output.stderr].concat();
    let text = String::from_utf8(text).expect("the command prints UTF-8");
    assert!(text.contains(shown), "no `{shown}` in {text:?}");
    let obeyed = |c: char| (c.is_control() && c != '\n') || EVIL[1..].contains(c) && !c.is_ascii();
    assert!(!text.contains(obeyed), "{text:?}");
}

#[test]
fn a_name_in_a_backtrace_is_harmless() {
    for (name, shown) in [(EVIL, SHOWN), (GOOD, GOOD)] {
        let name = quoted(name);
        let module = format!(r#"(module $"{name}" (func $"{name}" (export "_start") unreachable))"#);
        let output = cellwall(&["-"], &module);
        assert_eq!(output.status.code(), Some(134));
        shows(&output, &format!("{shown}!{shown}"));
    }
}

#[test]
fn a_name_that_can_be_chosen_is_harmless() {
    for (name, shown) in [(EVIL, SHOWN), (GOOD, GOOD)] {
        let module = format!(r#"(module (func (export "{}")))"#, quoted(name));
        let output = cellwall(&["-"], &module);
        assert_eq!(output.status.code(), Some(1));
        shows(&output, &format!("choose one with --invoke: {shown}"));
    }
}

#[test]
fn the_name_of_an_unknown_import_is_harmless() {
    for (name, shown) in [(EVIL, SHOWN), (GOOD, GOOD)] {
        let name = quoted(name);
        let module = format!(r#"(module (import "{name}" "{name}" (func)))"#);
        let output = cellwall(&["-"], &module);
        assert_eq!(output.status.code(), Some(1));
        shows(&output, &format!("`{shown}::{shown}`"));
    }
}

#[test]
fn inspect_shows_names_that_are_harmless() {
    for (name, shown) in [(EVIL, SHOWN), (GOOD, GOOD)] {
        let name = quoted(name);
        let module = format!(r#"(module (import "{name}" "{name}" (func)) (func (export "{name}")))"#);
        let output = cellwall(&["inspect", "-"], &module);
        assert_eq!(output.status.code(), Some(0));
        shows(&output, &format!("  {shown}::{shown}  func ()"));
        shows(&output, &format!("  {shown}  func ()"));
        shows(&output, &format!("    for {shown}::{shown}\n"));
    }
}

/// A name of two lines does not become two lines of ours.
#[test]
fn a_name_stays_on_its_line() {
    let module = r#"(module (import "a\nhelp: b" "c\td" (func)) (func (export "e\n  f")))"#;
    let inspected = cellwall(&["inspect", "-"], module);
    shows(&inspected, r"  a\u{a}help: b::c\u{9}d  func ()");
    shows(&inspected, r"  e\u{a}  f  func ()");
    shows(&cellwall(&["-"], module), r"`a\u{a}help: b::c\u{9}d`");
    let module = r#"(module (func (export "e\n  f")))"#;
    shows(&cellwall(&["-"], module), r"choose one with --invoke: e\u{a}  f");
}

/// The JSON is harmless as well, and means the name as it is.
#[test]
fn inspect_json_has_escapes_that_mean_the_same() {
    for name in [EVIL, GOOD, "\n\t\"\\"] {
        let module = format!(r#"(module (func (export "{}")))"#, quoted(name));
        let output = cellwall(&["inspect", "--json", "-"], &module);
        assert_eq!(output.status.code(), Some(0));
        shows(&output, "\"exports\"");
        let value: serde_json::Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
        assert_eq!(value["exports"][0]["name"], *name);
    }
}

/// What is printed as text can be read back, also when it had to be escaped.
#[test]
fn a_printed_module_is_harmless_and_the_same() {
    for name in [EVIL, GOOD] {
        let name = quoted(name);
        let module = format!(r#"(module (func $"{name}" (export "{name}")))"#);
        let printed = cellwall(&["print", "-"], &module);
        shows(&printed, "(export \"");
        let text = String::from_utf8(printed.stdout).expect("it is text");
        assert_eq!(
            cellwall(&["parse", "-"], &text).stdout,
            cellwall(&["parse", "-"], &module).stdout
        );
    }
}

/// The text of a module comes back in the error about it.
#[test]
fn an_error_in_the_text_is_harmless() {
    let output = cellwall(&["validate", "-"], "(module (func \u{1b}[2J))");
    assert_eq!(output.status.code(), Some(1));
    shows(&output, r"\u{1b}[2J");
    shows(
        &cellwall(&["validate", "-"], "(module (funk [2J))"),
        "(module (funk [2J))",
    );
}
