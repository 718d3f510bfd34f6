//! Components that are programs: `cellwall run` of what exports `wasi:cli/run`.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::spec::shared;

fn run(args: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_cellwall"))
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data"))
        .env_clear()
        .env("FROM_HERE", "inherited")
        .arg("run")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command can be started");
    let mut stdin = child.stdin.take().expect("it is a pipe");
    // A program may end without reading.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    child.wait_with_output().expect("it ends")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_component_of_any_version_0_2_runs_and_its_status_is_the_commands() {
    let output = run(&["hello_p2.wat"], "");
    assert_eq!(
        text(&output.stdout),
        "hello from 0.2\n",
        "{}",
        text(&output.stderr)
    );
    assert_eq!(output.status.code(), Some(7));
    // Its neighbour, which exports no `wasi:cli/run`.
    let output = run(&["component.wat"], "");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("wasi:cli/run"));
}

#[test]
fn a_program_that_waits_is_stopped_by_its_time_limit() {
    let output = run(&["--timeout", "100ms", "sleep_p2.wat"], "");
    assert_eq!(output.status.code(), Some(134));
    assert!(
        text(&output.stderr).contains("--timeout"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn programs_of_a_checkout_print_what_they_must() {
    let Some(dir) = shared("tests/components") else {
        return;
    };
    let primes = dir.join("c-primes-p2.wasm");
    let primes = primes.to_str().expect("the path is text");
    let output = run(&[primes, "100000"], "");
    assert_eq!(text(&output.stdout), "9592 99991\n", "{}", text(&output.stderr));
    assert!(output.status.success());

    let words = dir.join("rust-wordfreq-p2.wasm");
    let words = words.to_str().expect("the path is text");
    let output = run(&[words], "the cat and the dog and the end");
    assert_eq!(
        text(&output.stdout).lines().count(),
        5,
        "{}",
        text(&output.stderr)
    );
    assert!(text(&output.stdout).starts_with("    3 the\n"));

    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("words-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("the target folder can be written");
    std::fs::write(folder.join("in.txt"), "a b a").expect("the target folder can be written");
    let denied = run(&["--env", "REPORT=/d/report.txt", words, "/d/in.txt"], "");
    assert!(!denied.status.success(), "nothing is granted");
    let grant = format!("{}::/d", folder.display());
    let read_only = format!("{grant}:ro");
    let denied = run(
        &[
            "--dir",
            &read_only,
            "--env",
            "REPORT=/d/report.txt",
            words,
            "/d/in.txt",
        ],
        "",
    );
    assert!(!denied.status.success(), "only reading is granted");
    assert!(!folder.join("report.txt").exists());
    let output = run(
        &[
            "--dir",
            &grant,
            "--env",
            "REPORT=/d/report.txt",
            words,
            "/d/in.txt",
        ],
        "",
    );
    assert!(output.status.success(), "{}", text(&output.stderr));
    let report = std::fs::read_to_string(folder.join("report.txt")).expect("it was written");
    assert!(report.starts_with("3 words, 2 distinct\n    2 a\n"), "{report}");
    std::fs::remove_dir_all(&folder).expect("it was made here");
}
