//! Real programs, run whole: each case prints exactly what its `.stdout` holds.

use crate::harness::{TempDir, run_program, shared};
use crate::suite::copy;
use cellwall_wasi::{DirPerms, FilePerms, MemoryInputPipe, WasiCtxBuilder};
use std::path::Path;

#[test]
fn every_program_prints_what_it_should() {
    let Some(root) = shared("programs") else { return };
    let mut count = 0;
    for entry in std::fs::read_dir(root).expect("it is there") {
        let folder = entry.expect("it can be listed").path();
        let name = folder
            .file_name()
            .expect("it has one")
            .to_string_lossy()
            .into_owned();
        // Exceptions are a later feature of the engine.
        if !folder.is_dir() || name.ends_with("-eh") {
            continue;
        }
        for file in std::fs::read_dir(&folder).expect("it is there") {
            let expected = file.expect("it can be listed").path();
            if expected
                .extension()
                .is_some_and(|extension| extension == "stdout")
            {
                run(&folder, &name, &expected);
                count += 1;
            }
        }
    }
    assert!(count > 0, "no cases");
    println!("{count} cases pass");
}

fn run(folder: &Path, name: &str, expected: &Path) {
    let mut builder = WasiCtxBuilder::new();
    builder.arg(name);
    if let Ok(args) = std::fs::read_to_string(expected.with_extension("args")) {
        for arg in args.lines() {
            builder.arg(arg);
        }
    }
    if let Ok(input) = std::fs::read(expected.with_extension("stdin")) {
        builder.stdin(MemoryInputPipe::new(input));
    }
    let scratch = TempDir::new();
    if folder.join("root").is_dir() {
        copy(&folder.join("root"), scratch.path()).expect("it is ours");
        builder
            .preopened_dir(scratch.path(), "/", DirPerms::all(), FilePerms::all())
            .expect("it is there");
    }
    let ended = run_program(&folder.join(name).with_extension("wasm"), &mut builder);
    let ended = ended.unwrap_or_else(|error| panic!("{name}: {error:?}"));
    assert_eq!(
        ended.status,
        0,
        "{name}: {}",
        String::from_utf8_lossy(&ended.stderr)
    );
    let expected = std::fs::read(expected).expect("it was just listed");
    assert!(
        ended.stdout == expected,
        "{name}: {}",
        String::from_utf8_lossy(&ended.stdout)
    );
}
