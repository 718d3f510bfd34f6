//! The prebuilt programs of the WASI test suite, as their `.json` files describe them.

use crate::harness::{TempDir, run_program, shared};
use cellwall_wasi::{DirPerms, FilePerms, WasiCtxBuilder};
use serde_json::Value;
use std::path::{Path, PathBuf};

const FOLDERS: [&str; 3] = ["assemblyscript", "c", "rust"];
const PROGRAMS: usize = 72;

#[test]
fn every_program_of_the_suite_passes() {
    let Some(root) = shared("tests/wasi") else { return };
    let mut failures = Vec::new();
    let mut count = 0;
    for folder in FOLDERS {
        for wasm in programs(&root.join(folder).join("wasm32-wasip1")) {
            count += 1;
            if let Err(reason) = run(&wasm) {
                failures.push(format!("{}: {reason}", wasm.display()));
            }
        }
    }
    assert_eq!(count, PROGRAMS);
    assert!(
        failures.is_empty(),
        "{} of {count} fail:\n{}",
        failures.len(),
        failures.join("\n")
    );
    println!("{count} of {count} programs pass");
}

fn programs(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the folder is part of the suite");
    let mut programs: Vec<PathBuf> = entries
        .map(|entry| entry.expect("it can be listed").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "wasm"))
        .collect();
    programs.sort();
    programs
}

fn run(wasm: &Path) -> Result<(), String> {
    let spec: Value = match std::fs::read_to_string(wasm.with_extension("json")) {
        Ok(text) => serde_json::from_str(&text).map_err(|error| error.to_string())?,
        Err(_) => Value::Object(serde_json::Map::new()),
    };
    let mut builder = WasiCtxBuilder::new();
    builder.arg(wasm.file_name().expect("it is a file").to_string_lossy());
    for arg in spec["args"].as_array().into_iter().flatten() {
        builder.arg(arg.as_str().ok_or("an argument is no string")?);
    }
    for (name, value) in spec["env"].as_object().into_iter().flatten() {
        builder.env(name, value.as_str().ok_or("a variable is no string")?);
    }
    let scratch = TempDir::new();
    if let Some(root) = spec["root"].as_str() {
        copy(&wasm.with_file_name(root), scratch.path()).map_err(|error| error.to_string())?;
        builder
            .preopened_dir(scratch.path(), "/", DirPerms::all(), FilePerms::all())
            .map_err(|error| format!("{error:?}"))?;
    }
    let ended = run_program(wasm, &mut builder).map_err(|error| format!("{error:?}"))?;
    let expected = spec["exit_code"].as_i64().unwrap_or(0);
    if i64::from(ended.status) != expected {
        let said = String::from_utf8_lossy(&ended.stderr);
        return Err(format!("status {} instead of {expected}: {said}", ended.status));
    }
    for (name, bytes) in [("stdout", ended.stdout), ("stderr", ended.stderr)] {
        if let Some(text) = spec[name].as_str()
            && text.as_bytes() != bytes
        {
            return Err(format!("{name} is {:?}", String::from_utf8_lossy(&bytes)));
        }
    }
    Ok(())
}

/// Copies the contents of a folder.
pub(crate) fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            std::fs::create_dir(&target)?;
            copy(&entry.path(), &target)?;
        } else {
            std::fs::write(&target, std::fs::read(entry.path())?)?;
        }
    }
    Ok(())
}
