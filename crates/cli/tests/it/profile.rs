//! `run --profile`: the files that `perf` reads.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Runs `calc.wat`'s `add` in a folder of the test's own; its process id and that folder.
fn run(test: &str, options: &[&str]) -> (u32, PathBuf) {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("profile-{test}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).expect("the target folder can be written");
    let calc = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/calc.wat");
    let child = Command::new(env!("CARGO_BIN_EXE_cellwall"))
        .current_dir(&dir)
        .env_clear()
        .arg("run")
        .args(options)
        .args(["--invoke", "add"])
        .arg(calc)
        .args(["2", "3"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the command can be started");
    let pid = child.id();
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "5\n");
    (pid, dir)
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).expect("it is there");
    entries
        .map(|entry| entry.expect("it can be listed").path())
        .collect()
}

#[test]
fn a_perf_map_names_every_function() {
    let (pid, dir) = run("map", &["--profile", "perfmap"]);
    let path = PathBuf::from(format!("/tmp/perf-{pid}.map"));
    let text = std::fs::read_to_string(&path).expect("it was written");
    let _ = std::fs::remove_file(&path);
    let names: Vec<&str> = text
        .lines()
        .map(|line| {
            let (start, rest) = line.split_once(' ').expect("three fields");
            let (bytes, name) = rest.split_once(' ').expect("three fields");
            assert!(u64::from_str_radix(start, 16).expect("an address") > 4096);
            assert!(u64::from_str_radix(bytes, 16).expect("a number of bytes") > 0);
            name
        })
        .collect();
    assert_eq!(names.len(), 7);
    assert!(names.iter().all(|name| name.starts_with("wasm!")), "{names:?}");
    assert!(files(&dir).is_empty());
}

#[test]
fn a_dump_has_the_code_of_every_function() {
    let (pid, dir) = run("dump", &["--profile", "jitdump"]);
    assert_eq!(files(&dir), [dir.join(format!("jit-{pid}.dump"))]);
    let bytes = std::fs::read(dir.join(format!("jit-{pid}.dump"))).expect("it was written");
    let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
    assert_eq!((u32_at(0), u32_at(4), u32_at(20)), (0x4a69_5444, 1, pid));
    let mut at = u32_at(8) as usize;
    let mut functions = 0;
    while at < bytes.len() {
        let len = u32_at(at + 4) as usize;
        let record = &bytes[at..at + len];
        if u32_at(at) == 0 {
            let code_bytes = u64::from_le_bytes(record[40..48].try_into().expect("8 bytes")) as usize;
            assert_eq!(
                record.last(),
                Some(&0xc3),
                "the functions of this module end in `ret`"
            );
            assert_eq!(record[len - code_bytes - 1], 0, "a name ends in zero");
            assert!(at >= 4096, "no code in the page that stays mapped");
            functions += 1;
        }
        at += len;
    }
    assert_eq!((at, functions), (bytes.len(), 7));
    std::fs::remove_dir_all(&dir).expect("it is this test's");
}

#[test]
fn without_the_option_nothing_is_written() {
    let (pid, dir) = run("none", &[]);
    assert!(!Path::new(&format!("/tmp/perf-{pid}.map")).exists());
    assert!(files(&dir).is_empty());
}
