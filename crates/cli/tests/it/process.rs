//! What a text cannot show: time, signals, pipes and files.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

fn cellwall(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cellwall"));
    command.current_dir(data()).env_clear().args(args);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

fn output(args: &[&str]) -> Output {
    cellwall(args).output().expect("the command can be started")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A folder of this test's own, empty.
fn scratch(test: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).expect("the target folder can be written");
    dir
}

/// The example `cat.wat`, which sits in a read of standard input after it has
/// echoed one line.
fn waiting_cat(options: &[&str]) -> (Child, ChildStdin, BufReader<ChildStdout>) {
    let args: Vec<&str> = ["run"]
        .iter()
        .chain(options)
        .copied()
        .chain(["../../../../examples/cat.wat"])
        .collect();
    let mut child = cellwall(&args)
        .stdin(Stdio::piped())
        .spawn()
        .expect("the command can be started");
    let mut stdin = child.stdin.take().expect("it is a pipe");
    let mut stdout = BufReader::new(child.stdout.take().expect("it is a pipe"));
    stdin.write_all(b"hello\n").expect("the program reads");
    let mut line = String::new();
    stdout.read_line(&mut line).expect("the program writes");
    assert_eq!(line, "hello\n");
    (child, stdin, stdout)
}

fn interrupt(child: &Child) {
    let status = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(status.expect("there is a command `kill`").success());
}

fn wait_at_most(child: &mut Child, limit: Duration) -> Option<i32> {
    let begin = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("it is our child") {
            return status.code();
        }
        if begin.elapsed() > limit {
            child.kill().expect("it is our child");
            panic!("it still runs after {limit:?}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_time_limit_ends_a_read_in_the_host() {
    let (mut child, stdin, _stdout) = waiting_cat(&["--timeout", "1s"]);
    assert_eq!(wait_at_most(&mut child, Duration::from_secs(20)), Some(134));
    drop(stdin);
    let mut text = String::new();
    child
        .stderr
        .take()
        .expect("it is a pipe")
        .read_to_string(&mut text)
        .expect("it is text");
    assert!(
        text.starts_with("Error: stopped after 1s, as --timeout asks\n"),
        "{text}"
    );
}

/// The neighbour: a program that ends in time is not touched.
#[test]
fn a_time_limit_that_is_kept_changes_nothing() {
    let (mut child, stdin, _stdout) = waiting_cat(&["--timeout", "60s"]);
    drop(stdin);
    assert_eq!(wait_at_most(&mut child, Duration::from_secs(20)), Some(0));
}

#[test]
fn a_time_limit_ends_a_loop_soon() {
    let begin = Instant::now();
    let output = output(&["run", "--timeout", "100ms", "../../../../examples/spin.wat"]);
    assert_eq!(output.status.code(), Some(134));
    assert!(stderr(&output).starts_with("Error: stopped after 100ms, as --timeout asks\n"));
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
}

#[test]
fn ctrl_c_ends_a_loop() {
    let mut child = cellwall(&["ready.wat"])
        .spawn()
        .expect("the command can be started");
    let mut stdout = BufReader::new(child.stdout.take().expect("it is a pipe"));
    let mut line = String::new();
    stdout.read_line(&mut line).expect("the program writes");
    assert_eq!(line, "ready\n");
    interrupt(&child);
    assert_eq!(wait_at_most(&mut child, Duration::from_secs(10)), Some(130));
}

#[test]
fn ctrl_c_ends_a_read_in_the_host() {
    let (mut child, _stdin, _stdout) = waiting_cat(&[]);
    interrupt(&child);
    assert_eq!(wait_at_most(&mut child, Duration::from_secs(10)), Some(130));
}

/// Nobody reads: no panic, no word, also for results of a function.
#[test]
fn a_closed_pipe_is_quiet() {
    let commands: [&[&str]; 5] = [
        &["print", "calc.wat"],
        &["completion", "bash"],
        &["inspect", "calc.wat"],
        &["--help"],
        &["run", "--invoke", "add", "calc.wat", "2", "3"],
    ];
    for args in commands {
        let (reader, writer) = std::io::pipe().expect("the system has pipes");
        drop(reader);
        let output = cellwall(args)
            .stdout(writer)
            .output()
            .expect("the command can be started");
        assert_eq!(
            (output.status.code(), stderr(&output)),
            (Some(0), String::new()),
            "{args:?}"
        );
    }
}

/// Help that could not be written is a failure, like every other output; written,
/// it is none.
#[test]
fn help_for_a_full_disk_is_an_error() {
    for args in [
        &["--help"][..],
        &["run", "--help"],
        &["--version"],
        &["inspect", "calc.wat"],
    ] {
        for (file, code) in [("/dev/full", 1), ("/dev/null", 0)] {
            let to = std::fs::File::options().write(true).open(file);
            let output = cellwall(args)
                .stdout(to.expect("the system has it"))
                .output()
                .expect("the command can be started");
            assert_eq!(output.status.code(), Some(code), "{args:?} to {file}");
            let is_told = stderr(&output).starts_with("Error: cannot write to standard output\n");
            assert_eq!(is_told, code == 1, "{args:?} to {file}");
        }
    }
}

/// A verdict is a verdict, also if nobody reads it.
#[test]
fn a_closed_pipe_does_not_pass_a_script() {
    for (file, code) in [("good.wast", 0), ("bad.wast", 1)] {
        let (reader, writer) = std::io::pipe().expect("the system has pipes");
        drop(reader);
        let output = cellwall(&["wast", file])
            .stdout(writer)
            .output()
            .expect("the command can be started");
        assert_eq!(output.status.code(), Some(code), "{file}");
    }
}

#[test]
fn a_closed_standard_error_is_no_panic() {
    let (reader, writer) = std::io::pipe().expect("the system has pipes");
    drop(reader);
    let status = cellwall(&["nowhere.wasm"])
        .stderr(writer)
        .status()
        .expect("the command can be started");
    assert_eq!(status.code(), Some(1));
}

#[test]
fn parse_and_print_are_inverse() {
    let dir = scratch("parse");
    let wasm = dir.join("calc.wasm").display().to_string();
    let wat = dir.join("calc.wat").display().to_string();
    assert!(output(&["parse", "calc.wat", "-o", &wasm]).status.success());
    assert!(output(&["print", &wasm, "--output", &wat]).status.success());
    let again = output(&["parse", &wat]);
    assert!(again.status.success());
    assert_eq!(again.stdout, std::fs::read(&wasm).expect("it was just written"));
    assert!(again.stdout.starts_with(b"\0asm"));
    let printed = output(&["print", &wasm]);
    assert_eq!(printed.stdout, std::fs::read(&wat).expect("it was just written"));
    let refused = output(&["print", &wasm, "-o", &dir.join("no/where").display().to_string()]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).starts_with("Error: cannot write `"));
    assert_eq!(
        output(&["run", "--invoke", "add", &wasm, "2", "3"]).stdout,
        b"5\n"
    );
}

#[test]
fn every_shell_has_a_completion() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = output(&["completion", shell]);
        assert!(output.status.success(), "{shell}");
        assert!(
            String::from_utf8_lossy(&output.stdout).contains("max-memory-size"),
            "{shell}"
        );
    }
}

#[test]
fn the_version_is_that_of_the_package() {
    let output = output(&["--version"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let rest = text
        .strip_prefix(concat!("cellwall ", env!("CARGO_PKG_VERSION")))
        .expect("it begins so");
    let commit = rest
        .trim_end()
        .strip_prefix(" (")
        .and_then(|rest| rest.strip_suffix(')'));
    // Without git there is no commit.
    assert!(
        rest == "\n" || commit.is_some_and(|c| c.chars().all(|c| c.is_ascii_hexdigit())),
        "{text:?}"
    );
}

#[test]
fn logging_is_as_loud_as_asked() {
    let loud = cellwall(&["wast", "good.wast"])
        .env("CELLWALL_LOG", "debug")
        .output();
    let loud = loud.expect("the command can be started");
    assert!(
        stderr(&loud).contains("directive file=good.wast line=2"),
        "{}",
        stderr(&loud)
    );
    assert!(
        !stderr(&loud).contains('\x1b'),
        "no colours where there is no terminal"
    );
    let quiet = cellwall(&["wast", "good.wast"])
        .env("CELLWALL_LOG", "warn")
        .output();
    assert_eq!(stderr(&quiet.expect("the command can be started")), "");
}

/// What a run did is said at the level asked for; values of variables never are.
#[test]
fn a_run_logs_what_it_was_given_and_how_it_ended() {
    let run = |level: &str| {
        let mut command = cellwall(&[
            "run",
            "--dir",
            "tree::/data:ro",
            "--env",
            "K=secret",
            "granted.wat",
        ]);
        let output = command.env("CELLWALL_LOG", level).output();
        stderr(&output.expect("the command can be started"))
    };
    let info = run("info");
    for part in [
        "grant a directory host=tree guest=/data is_read_only=true",
        "name=K",
        "exit status=0",
    ] {
        assert!(info.contains(part), "no `{part}` in {info}");
    }
    assert!(!info.contains("read file="), "{info}");
    let debug = run("cellwall=debug");
    for part in [
        "read file=granted.wat bytes=",
        "compile and verify",
        "instantiate",
        "exit status=0",
    ] {
        assert!(debug.contains(part), "no `{part}` in {debug}");
    }
    assert!(!debug.contains("secret"), "{debug}");
    let trapped = cellwall(&["start_trap.wat"]).env("CELLWALL_LOG", "info").output();
    let trapped = stderr(&trapped.expect("the command can be started"));
    assert!(trapped.contains("trap cause=wasm trap: "), "{trapped}");
    assert_eq!(run("off"), "");
}

/// Broken modules are refused with a place, or they are modules and run; none
/// kills the command.
#[test]
fn mutated_modules_are_refused_or_run() {
    let dir = scratch("mutants");
    let parsed = output(&["parse", "../../../../examples/cat.wat"]).stdout;
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % below as u64) as usize
    };
    let (mut refused, mut accepted) = (0, 0);
    for _ in 0..60 {
        let mut mutant = parsed.clone();
        for _ in 0..1 + random(3) {
            let at = 8 + random(mutant.len() - 8);
            mutant[at] = random(256) as u8;
        }
        let path = dir.join("mutant.wasm").display().to_string();
        std::fs::write(&path, &mutant).expect("the target folder can be written");
        let validated = output(&["validate", &path]);
        match validated.status.code() {
            Some(0) => accepted += 1,
            Some(1) => {
                refused += 1;
                assert!(stderr(&validated).contains("offset 0x"), "{}", stderr(&validated));
            }
            other => panic!("{other:?}: {}", stderr(&validated)),
        }
        let ran = output(&["run", "--timeout", "1s", &path]);
        let is_refused = validated.status.code() == Some(1);
        match ran.status.code() {
            Some(101) | None => panic!("{:?}: {}", ran.status, stderr(&ran)),
            code => assert!(!is_refused || code == Some(1), "refused by one, run by the other"),
        }
    }
    assert!(
        refused > 10 && accepted > 3,
        "{refused} refused, {accepted} accepted: not a mixture"
    );
}

/// Granted to be changed, and its neighbour that is not.
#[test]
fn a_read_only_directory_cannot_be_changed() {
    let dir = scratch("grants");
    let grant = dir.display().to_string();
    let refused = output(&["run", "--dir", &format!("{grant}::/data:ro"), "create.wat"]);
    assert!(
        !matches!(refused.status.code(), Some(0 | 134) | None),
        "{:?}",
        refused.status
    );
    assert!(!dir.join("new.txt").exists());
    let done = output(&["run", "--dir", &format!("{grant}::/data"), "create.wat"]);
    assert_eq!((done.status.code(), stderr(&done)), (Some(0), String::new()));
    assert!(dir.join("new.txt").exists());
}

/// Variables are text in WASI 0.2: what is none is left out, and said, not changed.
#[test]
fn an_inherited_variable_that_is_not_text_is_left_out() {
    let inherited = |options: &[&str]| {
        let args = [&["run", "--inherit-env"], options, &["environ.wat"]].concat();
        let mut command = cellwall(&args);
        command.env("GOOD", "ä").env("BAD", OsStr::from_bytes(b"a\xffb"));
        let output = command
            .env(OsStr::from_bytes(b"N\x1b\xff"), "b")
            .output()
            .expect("the command can be started");
        assert!(output.status.success(), "{}", stderr(&output));
        let mut lines: Vec<String> = String::from_utf8_lossy(&output.stdout)
            .lines()
            .map(str::to_owned)
            .collect();
        lines.sort();
        let mut warnings: Vec<String> = stderr(&output).lines().map(str::to_owned).collect();
        warnings.sort();
        (lines.join(" "), warnings)
    };
    let name = "Warning: the variable `N\\u{1b}\u{fffd}` is left out: it is not in UTF-8";
    let value = "Warning: the variable `BAD` is left out: it is not in UTF-8";
    assert_eq!(
        inherited(&[]),
        ("GOOD=ä".to_owned(), vec![value.to_owned(), name.to_owned()])
    );
    // Its neighbour, which is text by another option.
    assert_eq!(
        inherited(&["--env", "BAD=c"]),
        ("BAD=c GOOD=ä".to_owned(), vec![name.to_owned()])
    );
}
