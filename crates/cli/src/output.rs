//! Where a subcommand writes what it was asked for: standard output or a file.
//! A closed pipe is no error of ours, and never a panic. In text, what would steer
//! a terminal is escaped.

use std::io::{self, IsTerminal, Write};
use std::path::Path;

use crate::escape::visible;
use crate::failure::Failure;

/// Writes all of `text` to standard output, [`visible`].
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    write_all(&mut io::stdout().lock(), visible(text).as_bytes())
}

/// Writes to the file, or to standard output if there is none.
pub(crate) fn save(path: Option<&Path>, bytes: &[u8]) -> Result<(), Failure> {
    match path {
        Some(path) => std::fs::write(path, bytes)
            .map_err(|e| Failure::load(e, format!("cannot write `{}`", path.display()))),
        None => write_all(&mut io::stdout().lock(), bytes),
    }
}

/// Whether a person would have to read what goes to standard output.
pub(crate) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

fn write_all(to: &mut impl Write, bytes: &[u8]) -> Result<(), Failure> {
    let written = to.write_all(bytes).and_then(|()| to.flush());
    written.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::ClosedPipe,
        _ => Failure::load(error, "cannot write to standard output".to_string()),
    })
}
