//! A program that calls the functions of WASI 0.2 one by one, and what it is told (`tests/guests`).
//!
//! Each part prints a line per call: compared with a file beside the program, or with what is said
//! here where it depends on how it was started. `BLESS=1` writes the files anew.

use crate::web;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guests")
}

/// A folder to be granted, gone with the test.
pub(crate) struct Granted(PathBuf);

impl Granted {
    pub(crate) fn new(name: &str) -> Granted {
        let path =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("guests-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(path.join("d")).expect("the target folder can be written");
        fs::create_dir_all(path.join("ro/dir")).expect("the target folder can be written");
        fs::write(path.join("ro/file"), "abc").expect("the target folder can be written");
        Granted(path)
    }

    pub(crate) fn options(&self) -> Vec<String> {
        let grant = |name: &str, more: &str| format!("--dir={}::/{name}{more}", self.0.join(name).display());
        vec![grant("d", ""), grant("ro", ":ro")]
    }
}

impl Drop for Granted {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn command<O: AsRef<OsStr>>(options: &[O], arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cellwall"));
    command
        .current_dir(folder())
        .env_clear()
        .args(["run", "--timeout", "100s"])
        .args(options)
        .arg("p2.wasm")
        .args(arguments)
        .stdin(Stdio::null());
    command
}

fn run<O: AsRef<OsStr>>(options: &[O], arguments: &[&str]) -> Output {
    command(options, arguments)
        .output()
        .expect("the command can be started")
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs a part, which must end well, and compares what it prints with a file.
fn check<O: AsRef<OsStr>>(options: &[O], arguments: &[&str]) {
    let output = run(options, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    compare(&arguments.join("-"), &text(&output.stdout));
}

/// Compares what was printed with the file of this name.
fn compare(name: &str, found: &str) {
    let file = folder().join(format!("{name}.txt"));
    if std::env::var_os("BLESS").is_some() {
        fs::write(&file, found).expect("the file can be written");
    }
    let expected = fs::read_to_string(&file).expect("the file is there: BLESS=1 writes it");
    for (number, (found, expected)) in found.lines().zip(expected.lines()).enumerate() {
        assert_eq!(found, expected, "{}:{}", file.display(), number + 1);
    }
    assert_eq!(
        found.lines().count(),
        expected.lines().count(),
        "{}",
        file.display()
    );
}

#[test]
fn descriptors_answer_as_written() {
    check(&Granted::new("files").options(), &["files"]);
}

#[test]
fn paths_answer_as_written() {
    check(&Granted::new("matrix").options(), &["matrix"]);
}

#[test]
fn streams_of_files_answer_as_written() {
    check(&Granted::new("streams").options(), &["streams"]);
}

#[test]
fn clocks_polls_and_random_numbers_answer_as_written() {
    check::<&str>(&[], &["clocks"]);
}

#[test]
fn http_resources_answer_as_written() {
    check::<&str>(&[], &["http", "types"]);
}

/// Requests to a server, good ones and bad ones. The port is no part of what is written down.
#[test]
fn http_requests_answer_as_written() {
    let address = web::start().to_string();
    for part in ["get", "faults", "bodies"] {
        let path: &[&str] = if part == "get" { &["/status/200", "2"] } else { &[] };
        let output = run(&["--http=*"], &[&["http", part, &address], path].concat());
        assert!(output.status.success(), "{part}: {}", text(&output.stderr));
        compare(
            &format!("http-{part}"),
            &text(&output.stdout).replace(&address, "SERVER"),
        );
    }
    // Their neighbour, to which nothing but another host is granted.
    let output = run(&["--http=127.0.0.2"], &["http", "get", &address, "/status/200"]);
    assert_eq!(
        text(&output.stdout),
        "refused HttpRequestDenied\n",
        "{}",
        text(&output.stderr)
    );
}

/// Runs to the end; what it printed, and the most memory that it had, in bytes.
fn run_and_weigh(arguments: &[&str]) -> (String, u64) {
    let mut command = command(&["--http=*"], arguments);
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .expect("the command can be started");
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    while child.try_wait().expect("it is a child").is_none() {
        let status = fs::read_to_string(&status).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        most = most.max(kilobytes.unwrap_or(0) << 10);
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let output = child.wait_with_output().expect("it ended");
    assert!(output.status.success());
    (text(&output.stdout), most)
}

/// The bounded twin of `cargo xtask http-bodies`.
#[test]
fn long_bodies_of_requests_cost_no_memory() {
    const SMALL: u64 = 1 << 20;
    const LARGE: u64 = 64 << 20;
    let address = web::start().to_string();
    let download = |bytes: u64| {
        let (said, most) = run_and_weigh(&["http", "get", &address, &format!("/bytes/{bytes}")]);
        assert!(
            said.contains(&format!(" {bytes} \"dddd")) && said.contains(" end none "),
            "{said}"
        );
        most
    };
    let upload = |bytes: u64| {
        let (said, most) = run_and_weigh(&["http", "upload", &address, "/count", &bytes.to_string()]);
        assert!(said.contains(&format!("\"{bytes}\" end")), "{said}");
        most
    };
    let (small, large) = (download(SMALL), download(LARGE));
    assert!(large < small + (16 << 20), "from {small} to {large} bytes");
    let (small, large) = (upload(SMALL), upload(LARGE));
    assert!(large < small + (16 << 20), "from {small} to {large} bytes");
}

#[test]
fn sockets_answer_as_written() {
    let grants = ["--listen=*", "--connect=*"];
    check(&grants, &["tcp"]);
    check(&grants, &["udp"]);
    // Their neighbour, without grants.
    check::<&str>(&[], &["tcp", "denied"]);
}

#[test]
fn broken_rules_stop_the_guest() {
    let granted = Granted::new("traps");
    let mut options = granted.options();
    options.extend(["--listen=*".to_owned(), "--connect=*".to_owned()]);
    for (part, why) in [
        ("poll-nothing", Some("empty poll list")),
        ("write-big", Some("write exceeded budget")),
        ("zeroes-big", Some("write exceeded budget")),
        ("flush-big", Some("takes 4096 bytes at most")),
        ("flush-zeroes-big", Some("takes 4096 bytes at most")),
        ("stream-before-pollable", Some("resource has children")),
        ("socket-before-streams", Some("resource has children")),
        ("random-huge", Some("random bytes")),
        ("write-unchecked", None),
        ("read-huge", None),
        ("descriptor-before-stream", None),
    ] {
        let output = run(&options, &["trap", part]);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        match why {
            Some(why) => {
                assert_eq!(output.status.code(), Some(134), "{part}: {err}");
                assert!(err.contains(why), "{part}: {err}");
                assert_eq!(out, "before\n", "{part}");
            }
            None => {
                assert!(output.status.success(), "{part}: {err}");
                assert!(out.ends_with("after\n"), "{part}: {out}");
            }
        }
    }
}

#[test]
fn statuses_of_commands_come_through() {
    for (arguments, status) in [
        (&["exit", "0"][..], 0),
        (&["exit", "7"], 7),
        (&["exit", "255"], 255),
        (&["exit-result", "ok"], 0),
        (&["exit-result", "err"], 1),
        (&["panic"], 134),
        (&["abort"], 134),
        (&["deep"], 134),
    ] {
        let output = run::<&str>(&[], &[&["cli"], arguments].concat());
        assert_eq!(
            output.status.code(),
            Some(status),
            "{arguments:?}: {}",
            text(&output.stderr)
        );
    }
}

#[test]
fn arguments_and_variables_come_in() {
    let output = run(
        &["--env=A=b", "--env=NOT_SET_HERE", "--env=C=é"],
        &["cli", "show", "a b", "", "é\""],
    );
    let expected = r#"["p2.wasm", "cli", "show", "a b", "", "é\""]
["p2.wasm", "cli", "show", "a b", "", "é\""]
[("A", "b"), ("C", "é")]
None
false false false
past std
"#;
    assert_eq!(text(&output.stdout), expected, "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "to standard error\nand past std\n");
}

#[test]
fn standard_input_may_be_empty_large_or_closed() {
    let large = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("guests-input-{}", std::process::id()));
    fs::write(&large, vec![b'a'; 3_000_000]).expect("the target folder can be written");
    let from = |input: Stdio, part: &str| {
        let output = command::<&str>(&[], &["cli", part]).stdin(input).output();
        let output = output.expect("the command can be started");
        assert!(output.status.success(), "{part}: {}", text(&output.stderr));
        text(&output.stdout)
    };
    let file = || Stdio::from(fs::File::open(&large).expect("it was just written"));
    let tail = "again closed closed closed\nready true\n";
    assert_eq!(
        from(Stdio::null(), "stdin"),
        format!("read 0 \"\"\n0 0 closed\n{tail}")
    );
    let hash = (0..3_000_000u32).fold(0u64, |h, _| h.wrapping_mul(31).wrapping_add(97));
    assert_eq!(
        from(file(), "stdin"),
        format!("read 0 \"\"\n3000000 {hash} closed\n{tail}")
    );
    assert_eq!(from(Stdio::null(), "stdin-std"), "true\n0\nSome(0)\n");
    assert_eq!(from(file(), "stdin-std"), "true\n3000000\nSome(0)\n");
    // A stream that was dropped has taken nothing with it.
    assert_eq!(from(file(), "stdin-drop"), "\"aaaaa\"\n");
    let _ = fs::remove_file(&large);
}

#[test]
fn standard_output_may_be_large_or_go_away() {
    let output = run::<&str>(&[], &["cli", "big-output", "5"]);
    assert_eq!(output.stdout.len(), 5 << 20);
    assert!(output.stdout.iter().all(|byte| *byte == b'x'));
    let mut child = command::<&str>(&[], &["cli", "stdout-closed"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command can be started");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success());
    assert_eq!(text(&output.stderr), "failed(pipe), then closed\n");
}
