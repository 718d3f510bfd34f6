//! Runs a `.wast` script, the test format of the WebAssembly specification,
//! against an engine.
//!
//! Requires: the text of the script and an [`Engine`]. Guarantees: every
//! directive is counted exactly once as passed, failed or skipped; every
//! failure has a place in the text; nothing is skipped unless the caller named
//! the feature in [`Skip`]; a script that does not parse, has an unknown
//! directive or has no directive is a failure. Does not compare the messages of
//! `assert_malformed` and `assert_invalid` (they are those of the reference
//! interpreter); the messages of traps and link errors are compared by kind.

mod component;
mod custom;
mod features;
mod indices;
mod places;
mod script;
mod spectest;
mod traps;
mod values;

use std::fmt;

use cellwall::Engine;
use wast::Wast;
use wast::lexer::{Lexer, TokenKind};
use wast::parser::ParseBuffer;
use wast::token::Span;

use crate::legacy::Flat;

pub use features::{Feature, Skip, UnknownFeature};
use places::Places;

/// What came of one script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The name of the script, as the caller gave it.
    pub file: String,
    /// Number of directives that did what they say.
    pub passed: usize,
    /// Number of directives that did not, or the script as a whole.
    pub failed: usize,
    /// Number of directives that need a feature in [`Skip`].
    pub skipped: usize,
    /// One entry per failed directive, in the order of the script.
    pub failures: Vec<Failure>,
}

impl Report {
    /// The report of a script of which nothing has run.
    pub fn new(file: &str) -> Report {
        Report {
            file: file.to_string(),
            passed: 0,
            failed: 0,
            skipped: 0,
            failures: Vec::new(),
        }
    }

    /// Counts a failure at a line and column, both from 1.
    pub fn fail(&mut self, line: usize, column: usize, message: String) {
        self.failed += 1;
        self.failures.push(Failure {
            line,
            column,
            message,
        });
    }

    fn fail_at(&mut self, places: &Places<'_>, span: Span, message: String) {
        let (line, column) = places.of_span(span);
        self.fail(line, column, message);
    }
}

/// A directive that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Line of the directive, from 1.
    pub line: usize,
    /// Column of the directive in bytes, from 1.
    pub column: usize,
    /// What was expected and what happened.
    pub message: String,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} passed, {} failed, {} skipped",
            self.file, self.passed, self.failed, self.skipped
        )
    }
}

/// What one directive came to; `Err` is the message of a failure.
pub(crate) type Outcome = Result<Verdict, String>;

/// A directive that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It did what it says.
    Passed,
    /// It needs a feature that the caller wants skipped.
    Skipped,
}

/// Runs the script `text`, called `file` in the report, in a new store of
/// `engine`.
///
/// # Examples
///
/// ```
/// use cellwall_cli::wast_runner::{Skip, run};
///
/// let script = r#"
///     (module (func (export "two") (result i32) (i32.const 2)))
///     (assert_return (invoke "two") (i32.const 2))
///     (assert_return (invoke "two") (i32.const 3))
/// "#;
/// let report = run(&cellwall::Engine::default(), "two.wast", script, &Skip::default());
/// assert_eq!(report.to_string(), "two.wast: 2 passed, 1 failed, 0 skipped");
/// assert_eq!(report.failures[0].line, 4);
/// ```
pub fn run(engine: &Engine, file: &str, text: &str, skip: &Skip) -> Report {
    let mut report = Report::new(file);
    let engine = &with_options(engine, text);
    let flat = Flat::of(text);
    let places = Places::of(text, &flat);
    if let Err((span, message)) = run_directives(engine, text, &flat, &places, skip, &mut report) {
        // The place is one of the text that was parsed.
        if let Some(corrected) = indices::correct(flat.text(), span.offset(), &message) {
            let corrected = indices::modernized(&corrected, complaint);
            return run(engine, file, &corrected, skip);
        }
        report.fail_at(&places, span, message);
    }
    report
}

/// The engine, without what the script wants off in a line such as `;;! component_model_implements = false`.
/// What a script wants on is on in any case, or missing.
fn with_options(engine: &Engine, text: &str) -> Engine {
    let options = text.lines().filter_map(|line| line.strip_prefix(";;!"));
    let is_off = |option: &str| {
        option
            .split_whitespace()
            .eq(["component_model_implements", "=", "false"])
    };
    if !options.into_iter().any(is_off) {
        return engine.clone();
    }
    let mut config = engine.config().clone();
    config.wasm_component_model_implements(false);
    Engine::new(&config).expect("it has one feature less than one that there is")
}

/// Where the parser stops, and why, if it does.
fn complaint(text: &str) -> Option<(usize, String)> {
    let mut lexer = Lexer::new(text);
    lexer.allow_confusing_unicode(true);
    let buffer = ParseBuffer::new_with_lexer(lexer).ok()?;
    let error = wast::parser::parse::<Wast<'_>>(&buffer).err()?;
    Some((error.span().offset(), error.message()))
}

/// Parses the script and runs it; `Err` is a failure of the script as a whole.
fn run_directives(
    engine: &Engine,
    text: &str,
    flat: &Flat<'_>,
    places: &Places<'_>,
    skip: &Skip,
    report: &mut Report,
) -> Result<(), (Span, String)> {
    let syntax = |e: wast::Error| (e.span(), e.message());
    let mut lexer = Lexer::new(flat.text());
    // The tests of names contain every kind of character on purpose.
    lexer.allow_confusing_unicode(true);
    if is_empty(&lexer).map_err(syntax)? {
        return Err((Span::from_offset(0), "the file has no directives".to_string()));
    }
    let buffer = ParseBuffer::new_with_lexer(lexer).map_err(syntax)?;
    let script: Wast<'_> = wast::parser::parse(&buffer).map_err(syntax)?;
    if skip.names_header_of(text) {
        report.skipped += script.directives.len();
        return Ok(());
    }
    let cannot = |e: cellwall::Error| {
        let message = format!("cannot set up the engine and the host modules: {e:#}");
        (Span::from_offset(0), message)
    };
    let canonical;
    let engine = match features::asks_for(text, "nan_canonicalization") {
        true => {
            let mut config = engine.config().clone();
            canonical = Engine::new(config.nan_canonicalization(true)).map_err(cannot)?;
            &canonical
        }
        false => engine,
    };
    let directives = script.directives;
    std::thread::scope(|scope| {
        let mut state = script::Script::new(engine, skip, places, scope).map_err(cannot)?;
        state.run(directives, report);
        Ok(())
    })
}

/// Whether the text holds nothing but white space and comments. The parser
/// would read that as one empty module.
fn is_empty(lexer: &Lexer<'_>) -> Result<bool, wast::Error> {
    for token in lexer.iter(0) {
        match token?.kind {
            TokenKind::Whitespace | TokenKind::LineComment | TokenKind::BlockComment => {}
            _ => return Ok(false),
        }
    }
    Ok(true)
}
