//! The rules of the optimizer: code from rule files, and the solver's word on each of them.
//!
//! The solver is Z3 as a program (`z3`, in most distributions a package of that name); it is needed
//! for proving only. What it proved is recorded beside the rules, and tests compare the record with
//! the rules.

use anyhow::{Context, Result, bail, ensure};
use cellwall_rules::{
    Mutant, Obligation, Proofs, Question, Refusal, Typed, Verdict, check, generate, judge, mutants,
    obligations, record, recorded,
};
use cellwall_tests::honest;
use std::collections::BTreeMap;
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

/// Says how often each rule is applied to the programs of the checkout, seldom ones first.
pub(crate) fn count() -> Result<()> {
    let [(_, target), ..] = honest::targets();
    let mut counts: BTreeMap<&'static str, (u64, u64)> = BTreeMap::new();
    let modules = honest::shared_modules(64 << 20)?;
    for (_, binary) in &modules {
        for (name, count) in honest::rules_applied(binary, &target).unwrap_or_default() {
            let (times, programs) = counts.entry(name).or_default();
            *times += count;
            *programs += u64::from(count > 0);
        }
    }
    let mut rows: Vec<_> = counts.into_iter().collect();
    rows.sort_by_key(|&(name, (times, programs))| (programs, times, name));
    println!("   times  programs of {}", modules.len());
    for (name, (times, programs)) in rows {
        println!("{times:>8} {programs:>9}  {name}");
    }
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

/// Judges every mutant: by values if some refute it, otherwise by the solver. What the record says of a
/// mutant is kept if it holds, unless all are to be judged again.
pub(crate) fn judge_mutants(all: bool, seconds: u32) -> Result<()> {
    let mutants = mutants(&rules()?);
    let path = folder().join("rules.mutants");
    let known = match all {
        true => vec![None; mutants.len()],
        false => recorded(&mutants, &std::fs::read_to_string(&path).unwrap_or_default()),
    };
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let (total, start) = (mutants.len(), std::time::Instant::now());
    let done = std::sync::atomic::AtomicUsize::new(0);
    let judge_one = |(mutant, known): (&Mutant, &Option<Verdict>)| -> Result<Verdict> {
        if let Some(verdict) = known {
            return Ok(verdict.clone());
        }
        let verdict = match judge(mutant) {
            Ok(verdict) => verdict,
            Err(questions) => ask_about(&questions, seconds)?,
        };
        if verdict == Verdict::Unproved {
            eprintln!("{}: {}", mutant.name, mutant.what);
        }
        let done = 1 + done.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if done.is_multiple_of(500) {
            eprintln!("{done} of {total} after {:.0?}", start.elapsed());
        }
        Ok(verdict)
    };
    // Each worker takes every n-th mutant; the order of the record is that of the mutants.
    let parts = std::thread::scope(|scope| {
        let worker = |first: usize| {
            let (mutants, known, judge_one) = (&mutants, &known, &judge_one);
            scope.spawn(move || -> Result<Vec<Verdict>> {
                mutants
                    .iter()
                    .zip(known)
                    .skip(first)
                    .step_by(workers)
                    .map(judge_one)
                    .collect()
            })
        };
        let handles: Vec<_> = (0..workers).map(worker).collect();
        let join = |handle: std::thread::ScopedJoinHandle<'_, Result<Vec<Verdict>>>| {
            handle.join().expect("a worker does not panic")
        };
        handles.into_iter().map(join).collect::<Result<Vec<_>>>()
    })?;
    let mut parts: Vec<_> = parts.into_iter().map(Vec::into_iter).collect();
    let mut verdicts = Vec::new();
    for (i, mutant) in mutants.into_iter().enumerate() {
        let verdict = parts[i % workers].next().context("each mutant has a verdict")?;
        verdicts.push((mutant, verdict));
    }
    let text = record(&verdicts);
    std::fs::write(path, &text)?;
    println!("{}", text.lines().nth(1).unwrap_or_default());
    Ok(())
}

/// The solver's verdict on a mutant.
fn ask_about(questions: &[Question], seconds: u32) -> Result<Verdict> {
    for (typing, question) in questions.iter().enumerate() {
        let names: Vec<String> = question
            .terms
            .variables()
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        let script = question.script();
        let answer = ask(&script, seconds)?;
        if answer.trim() == "unsat" {
            continue;
        }
        if answer.trim() != "sat" {
            return Ok(Verdict::Unproved);
        }
        let values = ask(&format!("{script}(get-value ({}))\n", names.join(" ")), seconds)?;
        let values = model(&values);
        // A product that is no product may satisfy a question in halves.
        let refutes = names.iter().all(|name| values.contains_key(name)) && question.is_refuted_by(&values);
        return Ok(if refutes {
            Verdict::Refuted(Refusal { typing, values })
        } else {
            Verdict::Unproved
        });
    }
    Ok(Verdict::right(questions))
}

/// The values in an answer such as `((x #x0000000f) (k #b01))`.
fn model(answer: &str) -> BTreeMap<String, u128> {
    let words = answer.split(|c: char| c.is_whitespace() || "()".contains(c));
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    let pairs = words.windows(2).filter_map(|pair| {
        let value = match pair[1].strip_prefix("#x") {
            Some(digits) => u128::from_str_radix(digits, 16).ok()?,
            None => u128::from_str_radix(pair[1].strip_prefix("#b")?, 2).ok()?,
        };
        Some((pair[0].to_owned(), value))
    });
    pairs.collect()
}
