//! wasmi in a process of its own, asked for what it sees of a module.
//!
//! wasmi 2.0.0 panics where it cannot unwind, now and then, which ends its process: that must not end
//! the fuzzer's. Guarantees: a child that ends has no say on the module that ended it, and the next
//! question starts another one. Deliberately does not limit the child's time: the fuzzer's own watch
//! does, and the child ends with its parent's pipe.

use crate::observe;
use crate::told::{Told, told};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};

/// The argument with which a fuzzer's command answers questions instead of fuzzing.
pub const ARGUMENT: &str = "--answer-for-wasmi";
/// What the child says of a module that wasmi refuses.
const REFUSED: &str = "refused";
/// What it says at the end of each answer.
const END: &str = "end";
/// What stands for what follows the end of the stack.
const EXHAUSTED: &str = "exhausted";

/// A process that answers for wasmi.
pub struct Wasmi {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Wasmi {
    /// Starts the process: this program, with [`ARGUMENT`].
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start() -> io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(ARGUMENT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let questions = child.stdin.take().expect("it is piped");
        let answers = BufReader::new(child.stdout.take().expect("it is piped"));
        Ok(Self {
            child,
            questions,
            answers,
        })
    }

    /// What wasmi sees of a module; `None` if it refuses it.
    ///
    /// # Errors
    /// If the process has ended.
    pub fn ask(&mut self, wasm: &[u8], seed: u64) -> io::Result<Option<Told>> {
        self.questions.write_all(&seed.to_le_bytes())?;
        self.questions.write_all(&(wasm.len() as u64).to_le_bytes())?;
        self.questions.write_all(wasm)?;
        self.questions.flush()?;
        let mut told = Told::new();
        loop {
            let mut line = String::new();
            if self.answers.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            match line.trim_end_matches('\n').split_once('\t') {
                Some((name, seen)) => {
                    told.push((name.to_string(), (seen != EXHAUSTED).then(|| seen.to_string())))
                }
                None if line.trim_end() == REFUSED => return Ok(None),
                None => return Ok(Some(told)),
            }
        }
    }
}

impl Drop for Wasmi {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The `main` of the process: answers until there is nothing more to read.
pub fn answer() -> ExitCode {
    let (mut questions, mut answers) = (io::stdin().lock(), io::stdout().lock());
    while let Ok((wasm, seed)) = read(&mut questions) {
        let seen = std::panic::catch_unwind(|| observe::wasmi::observe(&wasm, seed));
        let mut text = String::new();
        match seen {
            Ok(Ok(exports)) => {
                for (name, seen) in told(&exports) {
                    let seen = seen.as_deref().unwrap_or(EXHAUSTED);
                    text.push_str(&format!("{name}\t{seen}\n"));
                }
                text.push_str(END);
            }
            _ => text.push_str(REFUSED),
        }
        text.push('\n');
        if answers
            .write_all(text.as_bytes())
            .and_then(|()| answers.flush())
            .is_err()
        {
            break;
        }
    }
    ExitCode::SUCCESS
}

fn read(questions: &mut impl Read) -> io::Result<(Vec<u8>, u64)> {
    let mut number = [0; 8];
    questions.read_exact(&mut number)?;
    let seed = u64::from_le_bytes(number);
    questions.read_exact(&mut number)?;
    let mut wasm = vec![0; u64::from_le_bytes(number) as usize];
    questions.read_exact(&mut wasm)?;
    Ok((wasm, seed))
}
