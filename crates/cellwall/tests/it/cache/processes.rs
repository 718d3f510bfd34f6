//! The cache between processes: killed, many at once, and without room.
//!
//! A child is this very test binary, which runs the test [`child`] alone and does there what a
//! variable of the environment says.

use super::{Scratch, counts, engine, make};
use cellwall::{Cache, CacheConfig};
use std::env;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// In the environment of a child: the folder.
const FOLDER: &str = "CELLWALL_TEST_CACHE_FOLDER";
/// In the environment of a child: the first module, and how many.
const VALUES: &str = "CELLWALL_TEST_CACHE_VALUES";
/// Different modules that the children make.
const MODULES: i32 = 24;

/// In a child, makes modules through the cache of a folder; nothing elsewhere.
#[test]
fn child() {
    let (Some(folder), Ok(values)) = (env::var_os(FOLDER), env::var(VALUES)) else {
        return;
    };
    let (first, count) = values.split_once(' ').expect("two numbers");
    let (first, count): (i32, i32) = (first.parse().expect("one"), count.parse().expect("two"));
    let mut config = CacheConfig::new();
    let cache = Cache::new(config.with_directory(folder).clone()).expect("the folder can be used");
    let engine = engine(&cache);
    for value in first..first.saturating_add(count) {
        make(&engine, value % MODULES);
    }
}

fn itself() -> std::path::PathBuf {
    env::current_exe().expect("a test knows its own binary")
}

/// A command that becomes a child.
fn command(program: &Path, arguments: &[&str], folder: &Path, first: i32, count: i32) -> Command {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env(FOLDER, folder)
        .env(VALUES, format!("{first} {count}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

const CHILD: [&str; 4] = ["--exact", "cache::processes::child", "--test-threads", "1"];

fn spawn(folder: &Path, first: i32, count: i32) -> Child {
    command(&itself(), &CHILD, folder, first, count)
        .spawn()
        .expect("a test can run itself")
}

/// Every module is made, and what the folder has is sound: after that all are found.
fn all_is_well(scratch: &Scratch) {
    let cache = scratch.cache();
    (0..MODULES).for_each(|value| make(&engine(&cache), value));
    let again = scratch.cache();
    (0..MODULES).for_each(|value| make(&engine(&again), value));
    assert_eq!(counts(&again), (MODULES as usize, 0));
}

/// Whatever the moment, what a killed process leaves is a whole entry or none.
#[test]
fn killed_processes_leave_a_sound_cache() {
    const KILLS: u64 = 60;
    let scratch = Scratch::new("killed");
    let mut found_before = 0;
    for round in 0..KILLS {
        let mut child = spawn(&scratch.0, (round * 7) as i32, i32::MAX);
        // Different moments: from before the folder is there to after it is full.
        std::thread::sleep(Duration::from_micros(round * 1_700 % 50_000));
        child.kill().expect("it is ours");
        child.wait().expect("it was killed");
        if round % 5 == 4 && scratch.0.exists() {
            // What is there is used, not made again: entries that are seen are whole.
            let cache = scratch.cache();
            let entries = scratch.entries().len();
            (0..MODULES).for_each(|value| make(&engine(&cache), value));
            assert_eq!(counts(&cache), (entries, MODULES as usize - entries));
            found_before += entries;
            cache.clear().expect("it can be cleared");
        }
    }
    assert!(found_before > 0, "children were killed after they had written");
    all_is_well(&scratch);
}

#[test]
fn processes_share_a_folder() {
    let scratch = Scratch::new("processes");
    let children: Vec<Child> = (0..4)
        .map(|child| spawn(&scratch.0, child * 5, 2 * MODULES))
        .collect();
    for mut child in children {
        assert!(child.wait().expect("it ends").success());
    }
    let cache = scratch.cache();
    (0..MODULES).for_each(|value| make(&engine(&cache), value));
    assert_eq!(counts(&cache), (MODULES as usize, 0), "what one made, all find");
    let names = fs::read_dir(&scratch.0).expect("it is there");
    let unfinished = names.filter(|file| {
        let name = file.as_ref().expect("it can be listed").file_name();
        name.to_string_lossy().starts_with(".new")
    });
    assert_eq!(unfinished.count(), 0);
}

/// Each write ends in the middle, as on a full disk: modules are made all the same, nothing is kept
/// and nothing lies about.
#[test]
fn writes_that_end_in_the_middle_leave_nothing() {
    let scratch = Scratch::new("short");
    // The key needs room; entries get one block of 512 or 1024 bytes, which is less than any needs.
    drop(scratch.cache());
    let limited = r#"trap "" XFSZ; ulimit -f 1; exec "$0" "$@""#;
    let itself = itself().to_string_lossy().into_owned();
    let arguments = ["-c", limited, &itself, CHILD[0], CHILD[1], CHILD[2], CHILD[3]];
    let child = |arguments: &[&str]| {
        let mut child = command(Path::new("sh"), arguments, &scratch.0, 0, MODULES);
        child.status().expect("there is a shell").success()
    };
    assert!(child(&arguments));
    let names = |scratch: &Scratch| -> Vec<_> {
        let files = fs::read_dir(&scratch.0).expect("it is there");
        files
            .map(|file| file.expect("it can be listed").file_name())
            .collect()
    };
    assert_eq!(names(&scratch), ["key"]);
    // The neighbour with room keeps everything.
    assert!(child(&[
        "-c",
        r#"exec "$0" "$@""#,
        &itself,
        CHILD[0],
        CHILD[1],
        CHILD[2],
        CHILD[3]
    ]));
    assert_eq!(names(&scratch).len(), 1 + MODULES as usize);
    all_is_well(&scratch);
}

/// The same on a file system that is really full, where one can be mounted (by root, or where users
/// have namespaces of their own).
#[test]
fn a_full_file_system_costs_only_time() {
    let scratch = Scratch::new("full");
    drop(scratch.cache());
    let may_mount = |arguments: &[&str]| {
        let mut command = Command::new("unshare");
        let status = command.args(arguments).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    let script = r#"
        mount -t tmpfs -o size=16k,mode=700 none "$CELLWALL_TEST_CACHE_FOLDER" || exit 9
        "$0" "$@" || exit 1
        cd "$CELLWALL_TEST_CACHE_FOLDER"
        # Some entries found room, not all; and nothing half-written is left.
        set -- *.cwall
        [ -f "$1" ] && [ $# -lt 24 ] && [ -z "$(ls -A | grep new)" ] || exit 2
        exit 0"#;
    let itself = itself().to_string_lossy().into_owned();
    let namespaces = ["-m", "-rm"]
        .into_iter()
        .find(|&options| may_mount(&[options, "true"]));
    let Some(options) = namespaces else {
        println!("no file system can be mounted here: writes that end in the middle are tested instead");
        return;
    };
    let arguments = [
        options, "sh", "-c", script, &itself, CHILD[0], CHILD[1], CHILD[2], CHILD[3],
    ];
    let status = command(Path::new("unshare"), &arguments, &scratch.0, 0, MODULES).status();
    let code = status.expect("it ran above").code();
    match code {
        Some(9) => println!("no file system can be mounted here"),
        code => assert_eq!(
            code,
            Some(0),
            "1: a module was not made, 2: what was kept is wrong"
        ),
    }
}
