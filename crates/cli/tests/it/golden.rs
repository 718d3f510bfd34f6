//! What the command says, word for word: the sessions in `tests/golden/*.txt`.
//!
//! A session is a shell session with its answers: a line `$ cellwall ...` runs
//! the command in `tests/data`; below it are its standard output (`> `), its
//! standard error (`! `) and its exit status (`? `, left out if 0). Words may be
//! quoted with `'`; `K=V` before the command is its whole environment; `< FILE`
//! is its standard input. Lines with `#` are comments.
//!
//! Every file there is a test. With `BLESS=1` the files are rewritten with the
//! answers of today, and the diff is the review.

use std::fmt::Write;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const COMMAND: &str = env!("CARGO_BIN_EXE_cellwall");

fn tests_dir(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

#[test]
fn sessions_are_as_written() {
    let entries = std::fs::read_dir(tests_dir("golden")).expect("the folder is in the repository");
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("it can be listed").path())
        .collect();
    paths.retain(|path| path.extension().is_some_and(|ext| ext == "txt"));
    paths.sort();
    assert!(!paths.is_empty(), "no session was found");
    let is_blessing = std::env::var_os("BLESS").is_some();
    let mut wrong = String::new();
    for path in &paths {
        let written = std::fs::read_to_string(path).expect("a session is a text file");
        let today = replay(&written);
        if today == written {
            continue;
        }
        if is_blessing {
            std::fs::write(path, &today).expect("the repository can be written");
        } else {
            writeln!(wrong, "\n{}:\n{}", path.display(), difference(&written, &today))
                .expect("a String takes every write");
        }
    }
    assert!(
        wrong.is_empty(),
        "sessions have changed (BLESS=1 accepts that):\n{wrong}"
    );
}

/// The session with the answers of today.
fn replay(session: &str) -> String {
    let mut text = String::new();
    for line in session.lines() {
        if is_answer(line) {
            continue;
        }
        text.push_str(line);
        text.push('\n');
        if let Some(command) = line.strip_prefix("$ ") {
            text.push_str(&answer(command));
        }
    }
    text
}

fn is_answer(line: &str) -> bool {
    ['>', '!', '?'].iter().any(|mark| line.starts_with(*mark))
}

/// Runs one line and writes down what it answered.
fn answer(line: &str) -> String {
    let mut words = split(line).into_iter().peekable();
    let mut command = Command::new(COMMAND);
    command
        .current_dir(tests_dir("data"))
        .env_clear()
        .stdin(Stdio::null());
    while let Some((name, value)) = words.peek().and_then(|word| word.split_once('=')) {
        command.env(name, value);
        words.next();
    }
    assert_eq!(words.next().as_deref(), Some("cellwall"), "in `{line}`");
    while let Some(word) = words.next() {
        if word == "<" {
            let path = tests_dir("data").join(words.next().expect("a file follows `<`"));
            command.stdin(File::open(path).expect("the input of a session exists"));
        } else {
            command.arg(word);
        }
    }
    let output = command.output().expect("the command can be started");
    let mut text = marked('>', &output.stdout);
    text.push_str(&marked('!', &output.stderr));
    match output.status.code() {
        Some(0) => {}
        Some(code) => text.push_str(&format!("? {code}\n")),
        None => text.push_str("? killed by a signal\n"),
    }
    text
}

fn marked(mark: char, bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.lines()
        .map(|line| format!("{}\n", format!("{mark} {line}").trim_end()))
        .collect()
}

/// Words of a command line; `'` quotes.
fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut is_quoted = false;
    for c in line.chars() {
        match c {
            '\'' => {
                is_quoted = !is_quoted;
                word.get_or_insert_default();
            }
            ' ' if !is_quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// The lines around the first one that differs.
fn difference(written: &str, today: &str) -> String {
    let same = written
        .lines()
        .zip(today.lines())
        .take_while(|(a, b)| a == b)
        .count();
    let part = |text: &str| {
        let lines = text.lines().skip(same.saturating_sub(3)).take(12);
        lines.map(|line| format!("    {line}\n")).collect::<String>()
    };
    format!(
        "line {}, written:\n{}today:\n{}",
        same + 1,
        part(written),
        part(today)
    )
}
