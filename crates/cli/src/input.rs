//! The module that a subcommand works on: a file or standard input, in the
//! binary or the text format, or compiled.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};

use cellwall::{Engine, Precompiled};
use cellwall_cli::legacy;

use crate::failure::Failure;
use crate::{escape, wit};

/// What was read, not yet looked into.
#[derive(Debug)]
pub(crate) struct Input {
    /// The path as it was given; `-` for standard input.
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Input {
    /// Reads the file, or standard input if it is called `-`.
    pub(crate) fn read(path: &OsStr) -> Result<Input, Failure> {
        let path = PathBuf::from(path);
        let bytes = match is_stdin(&path) {
            true => {
                let mut bytes = Vec::new();
                std::io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
            }
            false => std::fs::read(&path),
        };
        let input = |bytes| Input {
            path: path.clone(),
            bytes,
        };
        if let Ok(bytes) = &bytes {
            let file = show(&path);
            tracing::debug!(target: "cellwall", file = %escape::name(&file), bytes = bytes.len(), "read");
        }
        bytes
            .map(input)
            .map_err(|e| Failure::load(e, format!("cannot read `{}`", show(&path))))
    }

    /// The same file, with other contents: what was made of them.
    pub(crate) fn with(self, bytes: Vec<u8>) -> Input {
        Input { bytes, ..self }
    }

    /// How to call it in messages.
    pub(crate) fn name(&self) -> String {
        show(&self.path)
    }

    /// The last part of the path: what a program sees as its own name.
    pub(crate) fn file_name(&self) -> String {
        let name = self.path.file_name().unwrap_or(self.path.as_os_str());
        name.to_string_lossy().into_owned()
    }

    /// The module in the binary format. Text is translated; an error in it has
    /// its line. What is neither text nor a module is returned as it is, so that
    /// the loader says at which offset it stops making sense.
    pub(crate) fn wasm(&self) -> Result<Cow<'_, [u8]>, Failure> {
        if self.is_compiled() {
            let message = "it is compiled already: `cellwall verify` checks it, `cellwall run` runs it";
            return Err(self.refused(cellwall::Error::msg(message)));
        }
        self.code()
    }

    /// Whether it was compiled by `cellwall compile`, or begins so.
    pub(crate) fn is_compiled(&self) -> bool {
        self.compiled().is_some()
    }

    /// What `cellwall compile` made it of, if it did.
    pub(crate) fn compiled(&self) -> Option<Precompiled> {
        Engine::detect_precompiled(&self.bytes)
    }

    /// Whether it is a component, compiled or in the binary or the text format.
    pub(crate) fn is_component(&self) -> Result<bool, Failure> {
        Ok(match self.compiled() {
            Some(compiled) => compiled == Precompiled::Component,
            None => wit::is_component(&self.code()?),
        })
    }

    /// Like [`wasm`](Self::wasm), or what was compiled already, as it is.
    pub(crate) fn code(&self) -> Result<Cow<'_, [u8]>, Failure> {
        if !self.is_text() {
            return Ok(Cow::Borrowed(&self.bytes));
        }
        let name = self.name();
        let path = Path::new(&name);
        let parsed = wat::Parser::new().parse_bytes(Some(path), &self.bytes);
        parsed.or_else(|error| {
            let older = self.text().and_then(|text| legacy::binary(text, path));
            match older {
                Some(older) => older.map(Cow::Owned).map_err(|e| self.refused(e)),
                None => Err(self.refused(error)),
            }
        })
    }

    /// The failure of a module that is not accepted.
    pub(crate) fn refused(&self, error: impl Into<cellwall::Error>) -> Failure {
        Failure::load(error, format!("cannot load `{}`", self.name()))
    }

    /// What was read, if it is text.
    pub(crate) fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.bytes).ok()
    }

    fn is_text(&self) -> bool {
        !self.bytes.is_empty() && !self.bytes.contains(&0) && self.text().is_some()
    }
}

fn is_stdin(path: &Path) -> bool {
    path == "-"
}

fn show(path: &Path) -> String {
    if is_stdin(path) {
        "<stdin>".to_string()
    } else {
        path.display().to_string()
    }
}
