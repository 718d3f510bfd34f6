//! The rules of the optimizer: code from rule files, and the solver's word on each of them.
//!
//! The solver is Z3 as a program (`z3`, in most distributions a package of that name); it is needed
//! for proving only. What it proved is recorded beside the rules, and tests compare the record with
//! the rules.

use anyhow::{Context, Result, bail, ensure};
use cellwall_rules::{Obligation, Proofs, Typed, check, generate, obligations};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

fn folder() -> PathBuf {
    super::root().join("crates/compile/src/opt")
}

/// The rule files, in the order of their names.
fn files() -> Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    for entry in folder().read_dir()? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "rules") {
            let name = path.file_name().context("a file has a name")?.to_string_lossy();
            files.push((name.into_owned(), std::fs::read_to_string(&path)?));
        }
    }
    files.sort();
    Ok(files)
}

fn rules() -> Result<Vec<Typed>> {
    let files = files()?;
    check(files.iter().map(|(name, text)| (&name[..], &text[..])))
        .map_err(|(file, error)| anyhow::anyhow!("{file}:{error}"))
}

/// Writes the code of the rules.
pub(crate) fn write() -> Result<()> {
    let rules = rules()?;
    std::fs::write(folder().join("generated.rs"), generate(&rules))?;
    println!("{} rules", rules.len());
    Ok(())
}

/// Asks the solver for what the record does not say yet.
pub(crate) fn prove(all: bool, seconds: u32) -> Result<()> {
    let (rules, path) = (rules()?, folder().join("rules.proofs"));
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    let known = if all {
        Proofs::default()
    } else {
        Proofs::parse(&known)
    };
    let (mut proofs, mut refused) = (Proofs::default(), Vec::new());
    let obligations = obligations(&rules);
    for obligation in &obligations {
        if known.has(obligation) {
            proofs.add(obligation);
            continue;
        }
        match prove_one(obligation, seconds)? {
            None => proofs.add(obligation),
            Some(reason) => {
                eprintln!("{reason}");
                refused.push(obligation.name.clone());
            }
        }
    }
    std::fs::write(path, proofs.to_string())?;
    ensure!(refused.is_empty(), "not proved: {}", refused.join(", "));
    println!("{} rules and lemmas proved", obligations.len());
    Ok(())
}

/// Why an obligation is not proved, if it is not.
fn prove_one(obligation: &Obligation, seconds: u32) -> Result<Option<String>> {
    for (typing, script) in &obligation.scripts {
        let answer = ask(script, seconds)?;
        if answer.trim() != "unsat" {
            return Ok(Some(format!("{} ({typing}): {}", obligation.name, answer.trim())));
        }
    }
    Ok(None)
}

/// The solver's answer to a script.
fn ask(script: &str, seconds: u32) -> Result<String> {
    let mut solver = Command::new("z3")
        .args(["-in", &format!("-T:{seconds}")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start z3, the solver")?;
    let mut input = solver.stdin.take().context("the solver has an input")?;
    input.write_all(script.as_bytes())?;
    drop(input);
    let output = solver.wait_with_output()?;
    let answer = String::from_utf8(output.stdout)?;
    if answer.contains("error") {
        bail!("the solver does not understand: {answer}\n{script}");
    }
    Ok(answer)
}
