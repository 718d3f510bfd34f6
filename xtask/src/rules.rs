//! The rules of the optimizer and of lowering: code from rule files, and the solver's word on each of them.
//!
//! The solver is Z3 as a program (`z3`, in most distributions a package of that name); it is needed
//! for proving only. What it proved is recorded beside the rules, and tests compare the record with
//! the rules.

use anyhow::{Context, Result, bail, ensure};
use cellwall_rules::{
    Mutant, Obligation, Proofs, Question, Refusal, Sort, Subject, Typed, TypedLowering, Verdict, check,
    check_lowering, generate, generate_lowering, judge, lowering_mutants, lowering_obligations, mutants,
    obligations, record, recorded,
};
use cellwall_tests::honest;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where the rules of the optimizer are.
fn opt() -> PathBuf {
    super::root().join("crates/compile/src/opt")
}

/// Where those of lowering are.
fn lower() -> PathBuf {
    super::root().join("crates/compile/src/lower")
}

/// The rule files of a folder, in the order of their names.
fn files(folder: &Path) -> Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    for entry in folder.read_dir()? {
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
    let files = files(&opt())?;
    check(files.iter().map(|(name, text)| (&name[..], &text[..])))
        .map_err(|(file, error)| anyhow::anyhow!("{file}:{error}"))
}

fn lowerings() -> Result<Vec<TypedLowering>> {
    let files = files(&lower())?;
    check_lowering(files.iter().map(|(name, text)| (&name[..], &text[..])))
        .map_err(|(file, error)| anyhow::anyhow!("{file}:{error}"))
}

/// Writes the code of the rules.
pub(crate) fn write() -> Result<()> {
    let (rules, lowerings) = (rules()?, lowerings()?);
    std::fs::write(opt().join("generated.rs"), generate(&rules))?;
    std::fs::write(lower().join("generated.rs"), generate_lowering(&lowerings))?;
    println!("{} rules, {} of lowering", rules.len(), lowerings.len());
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

/// Says what the code of each program of the checkout hashes to, for each target.
pub(crate) fn digest() -> Result<()> {
    for (name, binary) in honest::shared_modules(8 << 20)? {
        for (target, features) in honest::targets() {
            let Some(artifact) = honest::artifact(&binary, &features) else {
                println!("{name}, {target}: refused");
                continue;
            };
            let mut hasher = blake3::Hasher::new();
            hasher.update(&artifact.text).update(&artifact.rodata);
            let (hash, bytes) = (hasher.finalize().to_hex(), artifact.text.len());
            println!("{name}, {target}: {} {bytes} bytes", &hash[..16]);
        }
    }
    Ok(())
}

/// Asks the solver for what the records do not say yet.
pub(crate) fn prove(all: bool, seconds: u32) -> Result<()> {
    prove_all(&lowering_obligations(&lowerings()?), &lower(), all, seconds)?;
    prove_all(&obligations(&rules()?), &opt(), all, seconds)
}

fn prove_all(obligations: &[Obligation], folder: &Path, all: bool, seconds: u32) -> Result<()> {
    let path = folder.join("rules.proofs");
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    let known = if all {
        Proofs::default()
    } else {
        Proofs::parse(&known)
    };
    let (mut proofs, mut refused) = (Proofs::default(), Vec::new());
    for obligation in obligations {
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
    let lowerings = lowerings()?;
    let originals = lowerings
        .iter()
        .map(|rule| Subject::Lowering(Box::new(rule.lowering.clone())));
    judge_all(
        lowering_mutants(&lowerings),
        originals.collect(),
        &lower(),
        all,
        seconds,
    )?;
    let rules = rules()?;
    let originals = rules
        .iter()
        .map(|rule| Subject::Rule(Box::new(rule.rule.clone())));
    judge_all(mutants(&rules), originals.collect(), &opt(), all, seconds)
}

fn judge_all(
    mutants: Vec<Mutant>,
    originals: Vec<Subject>,
    folder: &Path,
    all: bool,
    seconds: u32,
) -> Result<()> {
    let originals: BTreeMap<&str, &Subject> = originals.iter().map(|rule| (rule.name(), rule)).collect();
    let path = folder.join("rules.mutants");
    let known = match all {
        true => vec![None; mutants.len()],
        false => recorded(&mutants, &std::fs::read_to_string(&path).unwrap_or_default()),
    };
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let (total, start) = (mutants.len(), std::time::Instant::now());
    let done = std::sync::atomic::AtomicUsize::new(0);
    let judge_one = |(mutant, known): (&Mutant, &Option<Verdict>)| -> Result<Verdict> {
        if let Some(verdict) = known.as_ref().filter(|verdict| **verdict != Verdict::Unproved) {
            return Ok(verdict.clone());
        }
        let original = originals[mutant.rule.name()];
        let verdict = match judge(mutant) {
            Ok(verdict) => verdict,
            // A rule that asks the same is proved.
            Err(questions)
                if asks_the_same(original, &questions) || says_no_more(&mutant.rule, original, seconds)? =>
            {
                Verdict::right(&questions)
            }
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

/// Whether questions are those of this rule, once what is constant is computed.
fn asks_the_same(rule: &Subject, questions: &[Question]) -> bool {
    let canonical = |questions: &[Question]| questions.iter().map(Question::canonical).collect::<Vec<_>>();
    rule.questions()
        .is_some_and(|original| canonical(&original) == canonical(questions))
}

/// Whether a mutant differs from a rule by stronger conditions only.
fn says_no_more(mutant: &Subject, rule: &Subject, seconds: u32) -> Result<bool> {
    let Some(questions) = mutant.says_no_more_than(rule) else {
        return Ok(false);
    };
    for question in questions {
        if ask(&question.script(), seconds)?.trim() != "unsat" {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The solver's verdict on a mutant.
fn ask_about(questions: &[Question], seconds: u32) -> Result<Verdict> {
    for (typing, question) in questions.iter().enumerate() {
        match answer(question, "", seconds)? {
            Answer::Holds => {}
            Answer::Refuted(values) => return Ok(Verdict::Refuted(Refusal { typing, values })),
            Answer::Unknown => match by_cases(question, seconds)? {
                Answer::Holds => {}
                Answer::Refuted(values) => return Ok(Verdict::Refuted(Refusal { typing, values })),
                Answer::Unknown => return Ok(Verdict::Unproved),
            },
        }
    }
    Ok(Verdict::right(questions))
}

/// What the solver says of a question.
enum Answer {
    Holds,
    Refuted(BTreeMap<String, u128>),
    Unknown,
}

/// The answer to a question, or a case of it.
fn answer(question: &Question, case: &str, seconds: u32) -> Result<Answer> {
    let script = |question: &Question| {
        let script = question.script();
        format!(
            "{}{case}\n(check-sat)\n",
            script.trim_end().trim_end_matches("(check-sat)")
        )
    };
    // Assumptions that cannot hold are seen sooner without what is claimed.
    if ask(&script(&question.of_assumptions()), seconds)?.trim() == "unsat" {
        return Ok(Answer::Holds);
    }
    let script = script(question);
    let said = ask(&script, seconds)?;
    if said.trim() != "sat" {
        return Ok(match said.trim() {
            "unsat" => Answer::Holds,
            _ => Answer::Unknown,
        });
    }
    let variables = question.terms.variables().into_iter();
    let names: Vec<String> = variables.map(|(name, _)| name).collect();
    let values = ask(&format!("{script}(get-value ({}))\n", names.join(" ")), seconds)?;
    let values = model(&values);
    // A product that is no product may satisfy a question in halves.
    let refutes = names.iter().all(|name| values.contains_key(name)) && question.is_refuted_by(&values);
    Ok(if refutes {
        Answer::Refuted(values)
    } else {
        Answer::Unknown
    })
}

/// The same question case by case: for each value of the low bits of a constant, or for each bit that may
/// be its only one and for what has more or none. The first constant whose cases are all answered counts.
fn by_cases(question: &Question, seconds: u32) -> Result<Answer> {
    for (name, sort) in question.terms.variables() {
        let Sort::Bits(bits) = sort else { continue };
        let is_constant = name.starts_with('k') && name[1..].chars().all(|c| c.is_ascii_digit());
        if !is_constant || bits > 64 {
            continue;
        }
        let low = (0..64).map(|value| format!("(= ((_ extract 5 0) {name}) (_ bv{value} 6))"));
        let single = (0..bits).map(|bit| format!("(= {name} (_ bv{} {bits}))", 1u64 << bit));
        let one = format!("(_ bv1 {bits})");
        let rest = [
            format!("(= {name} (_ bv0 {bits}))"),
            format!("(distinct (bvand {name} (bvsub {name} {one})) (_ bv0 {bits}))"),
        ];
        for cases in [low.collect::<Vec<_>>(), single.chain(rest).collect()] {
            let mut known = true;
            for case in cases {
                match answer(question, &format!("(assert {case})"), seconds)? {
                    Answer::Holds => {}
                    refuted @ Answer::Refuted(_) => return Ok(refuted),
                    Answer::Unknown => {
                        known = false;
                        break;
                    }
                }
            }
            if known {
                return Ok(Answer::Holds);
            }
        }
    }
    Ok(Answer::Unknown)
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
