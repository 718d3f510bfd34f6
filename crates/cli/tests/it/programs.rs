//! Real programs, compiled by compilers that are not ours, through the command:
//! every case of the checkout beside the repository prints exactly what it
//! should. Without a checkout there is nothing to run.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// One run of a program: its arguments, its input and what it must print.
struct Case {
    program: PathBuf,
    /// Without its ending: the files `.args`, `.stdin` and `.stdout` belong to it.
    path: PathBuf,
}

#[test]
fn programs_print_what_they_should() {
    let Some(dir) = crate::spec::shared("programs") else {
        return;
    };
    let cases = cases(&dir);
    assert!(
        cases.len() >= 6,
        "only {} cases: the checkout is not whole",
        cases.len()
    );
    let wrong: Vec<String> = cases.iter().filter_map(|case| run(case).err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The cases of all programs but those that need exceptions (`-eh`).
fn cases(dir: &Path) -> Vec<Case> {
    let list = |dir: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(dir).expect("the checkout can be listed");
        entries
            .map(|entry| entry.expect("the checkout can be listed").path())
            .collect()
    };
    let is_ours = |dir: &PathBuf| dir.is_dir() && !dir.to_string_lossy().ends_with("-eh");
    let mut cases = Vec::new();
    for folder in list(dir).into_iter().filter(is_ours) {
        let name = folder.file_name().expect("a folder has a name").to_os_string();
        let program = folder.join(name).with_extension("wasm");
        let outputs = list(&folder)
            .into_iter()
            .filter(|path| path.extension().is_some_and(|e| e == "stdout"));
        cases.extend(outputs.map(|path| Case {
            program: program.clone(),
            path: path.with_extension(""),
        }));
    }
    cases
}

fn run(case: &Case) -> Result<(), String> {
    let file = |extension: &str| case.path.with_extension(extension);
    let mut command = Command::new(env!("CARGO_BIN_EXE_cellwall"));
    command.arg("run").env_clear().stdin(Stdio::null());
    let root = case.path.with_file_name("root");
    if root.is_dir() {
        command.arg("--dir").arg(format!("{}::/:ro", root.display()));
    }
    command.arg(&case.program).arg("--");
    if let Ok(args) = std::fs::read_to_string(file("args")) {
        command.args(args.lines());
    }
    if let Ok(stdin) = File::open(file("stdin")) {
        command.stdin(stdin);
    }
    let output = command.output().expect("the command can be started");
    let expected = std::fs::read(file("stdout")).expect("it was listed");
    let name = case.path.display();
    match output.status.code() {
        Some(0) if output.stdout == expected => Ok(()),
        Some(0) => Err(format!(
            "{name}: printed {:?}",
            String::from_utf8_lossy(&output.stdout)
        )),
        code => Err(format!(
            "{name}: {code:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        )),
    }
}
