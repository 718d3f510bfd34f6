//! Compiled modules and the cache, as a user meets them.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

fn cellwall(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cellwall"));
    command
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data"))
        .env_clear()
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn output(args: &[&str]) -> Output {
    cellwall(args).output().expect("the command can be started")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A folder of this test's own, empty.
fn scratch(test: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).expect("the target folder can be written");
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o700)).expect("it is ours");
    dir
}

/// A compiled `calc.wat` in this folder.
fn compiled(dir: &Path) -> String {
    let file = dir.join("calc.cwall").display().to_string();
    let done = output(&["compile", "calc.wat", "-o", &file]);
    assert_eq!((done.status.code(), text(&done.stderr)), (Some(0), String::new()));
    file
}

#[test]
fn a_compiled_module_runs_and_is_proven() {
    let dir = scratch("compiled");
    let file = compiled(&dir);
    assert_eq!(
        output(&["compile", "calc.wat"]).stdout,
        std::fs::read(&file).expect("it was written")
    );
    for args in [
        &["run", "--invoke", "add", &file, "2", "3"][..],
        &["--invoke", "add", &file, "2", "3"],
    ] {
        let ran = output(args);
        assert_eq!(
            (text(&ran.stdout), text(&ran.stderr)),
            ("5\n".into(), String::new())
        );
    }
    for name in [&file, "calc.wat"] {
        let verified = output(&["verify", name]);
        assert_eq!(
            (verified.status.code(), text(&verified.stderr)),
            (Some(0), String::new())
        );
        let said = text(&verified.stdout);
        for words in [
            ": proven to be safe\n",
            "functions  7\n",
            "V3 stack\n",
            "4294967296 bytes reserved",
            " ms\n",
        ] {
            assert!(said.contains(words), "{words} is not in {said}");
        }
        let json: Value = serde_json::from_slice(&output(&["verify", "--json", name]).stdout).expect("JSON");
        assert_eq!((&json["verified"], &json["functions"]), (&true.into(), &7.into()));
        assert!(json["time_seconds"].as_f64().expect("a number") > 0.0);
        assert_eq!(json["proven"].as_array().expect("a list").len(), 8);
        assert_eq!(json["relies_on"]["stack_guard_bytes"], 65536);
    }
    let _ = std::fs::remove_dir_all(&dir);
}

/// Every byte of the code, one after the other, becomes one that no code of ours
/// begins with; then random bytes anywhere. The verdict is 0 or 1, `run` agrees.
#[test]
fn changed_code_is_refused_by_a_rule_or_safe() {
    let dir = scratch("changed");
    let bytes = std::fs::read(compiled(&dir)).expect("it was written");
    // The text is the fourth section: its place in the table after the header.
    let at = 24 + 3 * 16;
    let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes")) as usize;
    let (start, len) = (number(at), number(at + 8));
    let file = dir.join("changed.cwall").display().to_string();
    let verdict = |changed: &[u8]| -> Value {
        std::fs::write(&file, changed).expect("the target folder can be written");
        let verified = output(&["verify", "--json", &file]);
        let json: Value = serde_json::from_slice(&verified.stdout).expect("JSON");
        let expected = if json["verified"] == true { 0 } else { 1 };
        assert_eq!(verified.status.code(), Some(expected), "{json}");
        json
    };
    let mut changed = bytes.clone();
    changed[start..start + 2].copy_from_slice(&[0x0f, 0x05]);
    let violation = verdict(&changed)["violation"].take();
    assert_eq!(
        (&violation["function"], &violation["pc"]),
        (&0.into(), &0.into()),
        "{violation}"
    );
    assert_eq!(violation["rule"], "NotAllowed");
    assert!(
        violation["text"]
            .as_str()
            .expect("text")
            .starts_with("V1 allow-list")
    );
    let said = output(&["verify", &file]);
    assert_eq!(said.status.code(), Some(1));
    let said = text(&said.stderr);
    assert!(
        said.contains("is refused\n") && said.contains("function 0, pc 0x0\n"),
        "{said}"
    );
    let ran = output(&["run", "--invoke", "add", &file, "2", "3"]);
    assert_eq!((ran.status.code(), text(&ran.stdout)), (Some(1), String::new()));
    assert!(
        text(&ran.stderr).contains("V1 allow-list"),
        "{}",
        text(&ran.stderr)
    );

    let (mut refused, mut broken, mut accepted) = (0, 0, 0);
    for round in 0..60 {
        let mut changed = bytes.clone();
        let place = match round % 2 {
            0 => start + round * 7 % len,
            _ => round * 7919 % bytes.len(),
        };
        changed[place] ^= 1 << (round % 8);
        let json = verdict(&changed);
        match (json["verified"] == true, json["violation"].is_object()) {
            (true, _) => accepted += 1,
            (false, true) => refused += 1,
            (false, false) => broken += 1,
        }
    }
    assert!(
        refused > 10 && broken > 3,
        "{refused} refused, {broken} broken, {accepted} accepted"
    );
    let _ = std::fs::remove_dir_all(&dir);
}

#[test]
fn programs_are_compiled_once() {
    let dir = scratch("cached");
    let run = |options: &[&str]| {
        let args: Vec<&str> = ["run"].iter().chain(options).copied().collect();
        let mut command = cellwall(&args);
        command.args(["--invoke", "add", "calc.wat", "2", "3"]);
        let ran = command
            .env("CELLWALL_CACHE_DIR", &dir)
            .env("CELLWALL_LOG", "debug")
            .output()
            .expect("the command can be started");
        assert_eq!(text(&ran.stdout), "5\n");
        text(&ran.stderr)
    };
    let cache = |args: &[&str]| {
        let mut command = cellwall(args);
        let shown = command.env("CELLWALL_CACHE_DIR", &dir).output();
        text(&shown.expect("the command can be started").stdout)
    };
    assert_eq!(run(&["--no-cache"]).matches("cache").count(), 0);
    assert!(cache(&["cache"]).contains(": 0 compiled modules, 0 bytes of at most "));
    assert!(run(&[]).contains("hits=0 misses=1"));
    assert!(run(&[]).contains("hits=1 misses=0"));
    assert!(cache(&["cache"]).contains(": 1 compiled module, "));
    assert!(cache(&["cache", "--clear"]).contains(": removed 1 compiled module, "));
    assert!(cache(&["cache"]).contains(": 0 compiled modules, "));
    assert!(run(&[]).contains("hits=0 misses=1"));
    let _ = std::fs::remove_dir_all(&dir);
}

/// Without a variable: below the user's folder of caches, for this user alone.
#[test]
fn the_cache_is_private() {
    let dir = scratch("home");
    let run = |name: &str, value: &Path| {
        let mut command = cellwall(&["run", "--invoke", "add", "calc.wat", "2", "3"]);
        let ran = command
            .env(name, value)
            .output()
            .expect("the command can be started");
        assert_eq!(
            (text(&ran.stdout), text(&ran.stderr)),
            ("5\n".into(), String::new())
        );
    };
    let files = |dir: &Path| std::fs::read_dir(dir).expect("it is there").count();
    run("HOME", &dir);
    let folder = dir.join(".cache/cellwall");
    let mode = std::fs::metadata(&folder)
        .expect("it was made")
        .permissions()
        .mode();
    assert_eq!((mode & 0o777, files(&folder)), (0o700, 2));
    run("XDG_CACHE_HOME", &dir);
    assert_eq!(files(&dir.join("cellwall")), 2);
    // One that others can write is not used, and nothing is lost but time.
    let open = dir.join("open/cellwall");
    std::fs::create_dir_all(&open).expect("it is ours");
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o777)).expect("it is ours");
    run("XDG_CACHE_HOME", &dir.join("open"));
    assert_eq!(files(&open), 0);
    let _ = std::fs::remove_dir_all(&dir);
}

/// Whenever a process is killed, the next one finds a whole entry or none.
#[test]
fn the_cache_survives_kills() {
    let dir = scratch("killed");
    let start = || {
        let mut command = cellwall(&["run", "--invoke", "add", "calc.wat", "2", "3"]);
        command.env("CELLWALL_CACHE_DIR", &dir);
        command.spawn().expect("the command can be started")
    };
    for round in 0..40 {
        let mut child = start();
        std::thread::sleep(Duration::from_micros(400 * round));
        let _ = child.kill();
        child.wait().expect("it is our child");
        if round % 10 == 9 {
            let mut clear = cellwall(&["cache", "--clear"]);
            let cleared = clear.env("CELLWALL_CACHE_DIR", &dir).status();
            assert!(cleared.expect("the command can be started").success());
        }
    }
    let ended = start().wait_with_output().expect("it is our child");
    assert_eq!(
        (text(&ended.stdout), text(&ended.stderr)),
        ("5\n".into(), String::new())
    );
    let _ = std::fs::remove_dir_all(&dir);
}
