//! What is not granted is refused before any system call that would touch it, and `--verbose` says what to grant.
//!
//! The command runs under a seccomp filter that kills whoever makes one of the system calls that the act would need: a
//! denied act goes through with the interface's own error, its granted neighbour is killed.

use crate::guests::{Granted, folder, text};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};
use std::collections::BTreeMap;
use std::fs::File;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

/// Numbers of system calls on x86-64.
const SOCKET: i64 = 41;
const CONNECT: i64 = 42;
const SENDTO: i64 = 44;
const SENDMSG: i64 = 46;
const BIND: i64 = 49;
const LISTEN: i64 = 50;
const MKDIRAT: i64 = 258;
const UNLINKAT: i64 = 263;
const RENAMEAT: i64 = 264;
const LINKAT: i64 = 265;
const SYMLINKAT: i64 = 266;
const UTIMENSAT: i64 = 280;
const SENDMMSG: i64 = 307;
const RENAMEAT2: i64 = 316;
const OPENAT2: i64 = 437;

/// Everything that a network is reached by.
const NETWORK: &[i64] = &[SOCKET, CONNECT, BIND, LISTEN, SENDTO, SENDMSG, SENDMMSG];
/// What a socket is good for.
const ADDRESSES: &[i64] = &[CONNECT, BIND, LISTEN, SENDTO, SENDMSG, SENDMMSG];
/// The same for sockets that the system binds by itself.
const REMOTES: &[i64] = &[CONNECT, SENDTO, SENDMSG, SENDMMSG];
/// What changes a directory, and what opens anything beneath one.
const CHANGES: &[i64] = &[
    OPENAT2, MKDIRAT, UNLINKAT, RENAMEAT, RENAMEAT2, LINKAT, SYMLINKAT, UTIMENSAT,
];

/// What the kernel kills with.
const SIGSYS: i32 = 31;

/// Where the child finds what it is to run.
const WORDS: &str = "CELLWALL_TEST_FILTERED";

/// The guest, compiled once.
fn guest() -> &'static Path {
    static GUEST: OnceLock<PathBuf> = OnceLock::new();
    GUEST.get_or_init(|| {
        let file =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("denied-{}.cwall", std::process::id()));
        let output = Command::new(env!("CARGO_BIN_EXE_cellwall"))
            .current_dir(folder())
            .args(["compile", "p2.wasm", "-o"])
            .arg(&file)
            .output()
            .expect("the command can be started");
        assert!(output.status.success(), "{}", text(&output.stderr));
        file
    })
}

fn words(options: &[String], acts: &[&str]) -> Vec<String> {
    let guest = guest().to_str().expect("the path is text").to_owned();
    let mut words = vec!["run".to_owned(), "--timeout=100s".to_owned()];
    words.extend(options.iter().cloned());
    words.extend([guest, "acts".to_owned()]);
    words.extend(acts.iter().map(|act| act.to_string()));
    words
}

/// Runs acts under a filter. This test's own binary is the child: it filters itself, which needs no unsafe code,
/// and becomes the command.
fn filtered(calls: &[i64], options: &[String], acts: &[&str]) -> Output {
    static RUNS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let run = RUNS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let name = format!("filtered-{}-{run}", std::process::id());
    let stdout = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let calls: Vec<String> = calls.iter().map(i64::to_string).collect();
    let mut lines = vec![
        stdout.to_str().expect("the path is text").to_owned(),
        calls.join(","),
    ];
    lines.extend(words(options, acts));
    let mut output = Command::new(std::env::current_exe().expect("it runs"))
        .args([
            "--exact",
            "denied::becomes_the_command_under_a_filter",
            "--nocapture",
        ])
        .env(WORDS, lines.join("\n"))
        .stdin(Stdio::null())
        .output()
        .expect("it can be started");
    output.stdout = std::fs::read(&stdout).unwrap_or_default();
    let _ = std::fs::remove_file(&stdout);
    output
}

/// No test of its own but the child of the others.
#[test]
fn becomes_the_command_under_a_filter() {
    let Ok(lines) = std::env::var(WORDS) else { return };
    let mut lines = lines.lines();
    let stdout = File::create(lines.next().expect("a file")).expect("it can be made");
    let calls = lines.next().expect("numbers").split(',');
    let calls = calls.map(|number| (number.parse().expect("a number"), Vec::new()));
    let filter = SeccompFilter::new(
        calls.collect::<BTreeMap<_, _>>(),
        SeccompAction::Allow,
        SeccompAction::KillProcess,
        TargetArch::x86_64,
    );
    let filter: BpfProgram = filter.and_then(TryInto::try_into).expect("it is a good filter");
    let mut command = Command::new(env!("CARGO_BIN_EXE_cellwall"));
    command.args(lines).env_clear().stdout(stdout);
    seccompiler::apply_filter(&filter).expect("the kernel filters");
    panic!("{}", command.exec());
}

/// The acts get these answers without one of the system calls.
fn denied(calls: &[i64], options: &[&str], acts: &[&str], answer: &str) {
    let options: Vec<String> = options.iter().map(|option| option.to_string()).collect();
    let output = filtered(calls, &options, acts);
    assert!(
        output.status.success(),
        "{acts:?} {:?} {}",
        output.status,
        text(&output.stderr)
    );
    let names = acts
        .iter()
        .map(|act| act.split('=').next().expect("split gives a part"));
    let expected: String = names.map(|name| format!("{name} {answer}\n")).collect();
    assert_eq!(text(&output.stdout), expected, "{options:?}");
}

/// Each of the acts needs one of the system calls.
fn needed(calls: &[i64], options: &[&str], acts: &[&str]) {
    let options: Vec<String> = options.iter().map(|option| option.to_string()).collect();
    for act in acts {
        let output = filtered(calls, &options, &[act]);
        assert_eq!(
            output.status.signal(),
            Some(SIGSYS),
            "{act} {:?} {} {}",
            output.status,
            text(&output.stdout),
            text(&output.stderr)
        );
    }
}

const ALL: [&str; 4] = ["--connect=*", "--listen=*", "--dns", "--http=*"];

#[test]
fn without_grants_the_network_is_not_touched() {
    let sockets = [
        "tcp",
        "tcp-connect=127.0.0.1:80",
        "tcp-bind=127.0.0.1:8080",
        "tcp-listen=[::1]:8080",
        "udp",
        "udp-bind=127.0.0.1:8080",
        "udp-send=127.0.0.1:80",
        "udp-connect=[::1]:80",
        "dns=localhost",
    ];
    denied(NETWORK, &[], &sockets, "access-denied");
    denied(
        NETWORK,
        &[],
        &["http=127.0.0.1:80", "http=localhost"],
        "refused HttpRequestDenied",
    );
    needed(NETWORK, &ALL, &sockets);
    needed(NETWORK, &ALL, &["http=127.0.0.1:80"]);
}

#[test]
fn what_is_granted_elsewhere_is_not_touched_here() {
    // Nobody else can have these ports meanwhile.
    let (held, own) = (
        TcpListener::bind("127.0.0.1:0").expect("there are ports"),
        UdpSocket::bind("127.0.0.1:0").expect("there are ports"),
    );
    let held = held.local_addr().expect("it is bound");
    let own = own.local_addr().expect("it is bound");
    let grants = [format!("--connect={held}"), format!("--listen={own}")];
    let grants: Vec<&str> = grants.iter().map(String::as_str).collect();
    let port = held.port();
    let elsewhere = [
        "tcp-connect=127.0.0.1:9".to_owned(),
        format!("tcp-connect=127.0.0.2:{port}"),
        format!("tcp-bind={held}"),
        format!("tcp-listen={held}"),
        "udp-bind=127.0.0.1:9".to_owned(),
    ];
    let elsewhere: Vec<&str> = elsewhere.iter().map(String::as_str).collect();
    denied(ADDRESSES, &grants, &elsewhere, "access-denied");
    let here = [
        format!("tcp-connect={held}"),
        format!("tcp-bind={own}"),
        format!("udp-bind={own}"),
    ];
    let here: Vec<&str> = here.iter().map(String::as_str).collect();
    needed(ADDRESSES, &grants, &here);
    let others = ["udp-send=127.0.0.1:9", "udp-connect=127.0.0.1:9"];
    denied(REMOTES, &grants, &others, "access-denied");
    let this = [format!("udp-send={held}"), format!("udp-connect={held}")];
    let this: Vec<&str> = this.iter().map(String::as_str).collect();
    needed(REMOTES, &grants, &this);
    let names = ["--connect=localhost:1", "--http=localhost"];
    denied(NETWORK, &names, &["dns=example.com"], "access-denied");
    denied(
        NETWORK,
        &names,
        &["http=example.com"],
        "refused HttpRequestDenied",
    );
    needed(NETWORK, &names, &["dns=localhost", "http=localhost"]);
}

#[test]
fn variables_and_directories_are_not_there_without_grants() {
    denied(CHANGES, &[], &["env", "dirs"], "0");
    let granted = Granted::new("denied-none");
    let mut options = granted.options();
    options.push("--env=A=b".to_owned());
    let output = filtered(CHANGES, &options, &["env", "dirs"]);
    assert_eq!(
        text(&output.stdout),
        "env 1\ndirs 2\n",
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn a_directory_granted_for_reading_is_not_changed() {
    let granted = Granted::new("denied");
    let options = granted.options();
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let acts = [
        "write", "create", "truncate", "mkdir", "rmdir", "unlink", "rename", "link", "symlink", "times",
    ];
    let on =
        |folder: &str| -> Vec<String> { acts.iter().map(|act| format!("{act}=/{folder}/file")).collect() };
    let (read_only, writable) = (on("ro"), on("d"));
    let read_only: Vec<&str> = read_only.iter().map(String::as_str).collect();
    let writable: Vec<&str> = writable.iter().map(String::as_str).collect();
    denied(CHANGES, &options, &read_only, "not-permitted");
    needed(CHANGES, &options, &writable);
    needed(CHANGES, &options, &["read=/ro/file"]);
}

#[test]
fn verbose_says_what_would_grant_each_denied_act() {
    let granted = Granted::new("denied-verbose");
    let folders = granted.options();
    let run = |options: &[String], act: &str| {
        let mut options = options.to_vec();
        options.push("--verbose".to_owned());
        let output = Command::new(env!("CARGO_BIN_EXE_cellwall"))
            .args(words(&options, &[act]))
            .env_clear()
            .stdin(Stdio::null())
            .output()
            .expect("the command can be started");
        text(&output.stderr)
    };
    for (act, grant) in [
        ("tcp-connect=127.0.0.1:9", "grant=--connect or --listen"),
        ("udp", "grant=--connect or --listen"),
        ("dns=example.com", "grant=--dns or --connect example.com"),
        ("http=example.com:81", "grant=--http example.com:81"),
        ("env", "grant=\"--env NAME\""),
        ("dirs", "grant=\"--dir HOST::GUEST\""),
    ] {
        let said = run(&[], act);
        assert!(said.contains(grant), "{act}: {said}");
    }
    for (act, grant) in [
        ("mkdir=/ro/x", "grant=--dir HOST::/ro"),
        ("write=/ro/file", "grant=--dir HOST::/ro"),
        ("unlink=/ro/file", "grant=--dir HOST::/ro"),
        (
            "read=/ro/../../x",
            "grant=\"--dir for the directory that it leads to\"",
        ),
    ] {
        let said = run(&folders, act);
        assert!(said.contains(grant), "{act}: {said}");
    }
    // Their neighbours, of which there is nothing to say.
    for act in ["mkdir=/d/x", "read=/ro/file", "dirs"] {
        let said = run(&folders, act);
        assert!(!said.contains("denied:"), "{act}: {said}");
    }
    let other = vec![
        "--connect=127.0.0.1:9".to_owned(),
        "--listen=127.0.0.1:9".to_owned(),
    ];
    let said = run(&other, "tcp-connect=127.0.0.1:10");
    assert!(said.contains("grant=--connect 127.0.0.1:10"), "{said}");
    let said = run(&other, "tcp-bind=127.0.0.1:10");
    assert!(said.contains("grant=--listen 127.0.0.1:10"), "{said}");
}
