//! How a subcommand ends when it does not succeed: what is printed, and the
//! exit status.
//!
//! Guarantees: what a module is called inside cannot steer the terminal.

use std::fmt::Write as _;
use std::io::Write as _;

use cellwall::Error;

use crate::escape::visible;

/// The file cannot be read, loaded or linked.
pub(crate) const EXIT_LOAD: u8 = 1;
/// The guest trapped or was stopped.
pub(crate) const EXIT_TRAP: u8 = 134;
/// Ctrl-C.
pub(crate) const EXIT_INTERRUPTED: i32 = 130;

/// The reason why a subcommand ends early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line is wrong, or asks for help or the version.
    Usage(clap::Error),
    /// A file cannot be read, written, loaded or linked.
    Load(Error),
    /// The guest ran and ended by a trap or an error of the host.
    Trap(Error),
    /// Nobody reads our standard output any more.
    ClosedPipe,
}

impl Failure {
    /// A [`Failure::Load`] with the cause `error`.
    pub(crate) fn load(error: impl Into<Error>, what: String) -> Failure {
        Failure::Load(error.into().context(what))
    }

    /// A mistake on the command line that only its subcommand can see.
    pub(crate) fn usage(message: String) -> Failure {
        let message = visible(&message);
        let message = format!("{message}\n\nFor more information, try '--help'.\n");
        Failure::Usage(clap::Error::raw(clap::error::ErrorKind::ValueValidation, message))
    }

    /// Says what happened and returns the exit status.
    pub(crate) fn report(&self) -> u8 {
        match self {
            Failure::Usage(error) => {
                // If nobody reads it there is nobody to tell; help that cannot be
                // written is another thing.
                let printed = error.print().and_then(|()| std::io::stdout().flush());
                if let Err(cause) = printed
                    && !error.use_stderr()
                    && cause.kind() != std::io::ErrorKind::BrokenPipe
                {
                    return Failure::load(cause, "cannot write to standard output".to_string()).report();
                }
                u8::try_from(error.exit_code()).expect("clap exits with 0 or 2")
            }
            Failure::Load(error) => {
                complain(error);
                EXIT_LOAD
            }
            Failure::Trap(error) => {
                complain(error);
                EXIT_TRAP
            }
            Failure::ClosedPipe => 0,
        }
    }
}

/// Prints an error and its causes on standard error.
pub(crate) fn complain(error: &Error) {
    let _ = std::io::stderr().write_all(describe(error).as_bytes());
}

/// The error, and below it its causes; several are numbered.
fn describe(error: &Error) -> String {
    let mut text = format!("Error: {}\n", visible(&error.to_string()));
    let causes = error.chain().skip(1);
    let causes: Vec<String> = causes
        .map(|cause| visible(&cause.to_string()).into_owned())
        .collect();
    if !causes.is_empty() {
        text.push_str("\nCaused by:\n");
    }
    for (number, cause) in causes.iter().enumerate() {
        let head = if causes.len() == 1 {
            "    ".to_string()
        } else {
            format!("{number:5}: ")
        };
        let indent = " ".repeat(head.len());
        for (index, line) in cause.trim_end().lines().enumerate() {
            let before = if index == 0 { &head } else { &indent };
            let line = format!("{before}{line}");
            writeln!(text, "{}", line.trim_end()).expect("a String takes every write");
        }
    }
    text
}
