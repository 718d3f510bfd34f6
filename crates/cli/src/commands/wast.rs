//! `cellwall wast`: scripts of the specification's test format.

use std::ffi::{OsStr, OsString};
use std::io::Write;

use cellwall::Engine;
use cellwall_cli::wast_runner::{self, Failure as Failed, Feature, Report, Skip};

use crate::escape::visible;
use crate::failure::{EXIT_LOAD, Failure};
use crate::input::Input;
use crate::options::Cpu;

const EXAMPLE: &str = "\
Examples:
  cellwall wast i32.wast
  cellwall wast --skip simd --skip gc tests/*.wast

Exits with 1 if anything failed. Nothing is skipped but what needs a feature
that was named with --skip.";

/// Run test scripts (.wast)
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Args {
    /// The scripts; `-` is standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<OsString>,
    /// Skip what needs this feature, such as `simd`; may be repeated
    #[arg(long, value_name = "FEATURE")]
    skip: Vec<Feature>,
    #[command(flatten)]
    cpu: Cpu,
}

pub(super) fn run(args: Args) -> Result<u8, Failure> {
    let engine = args.cpu.engine()?;
    // The verdict counts, also when nobody reads it any more: errors of writing
    // are not errors of the scripts.
    let mut out = std::io::stdout().lock();
    for feature in &args.skip {
        let _ = writeln!(out, "skip: {}", feature.name());
    }
    let skip = Skip::new(args.skip);
    let mut total = Report::new("total");
    for file in &args.files {
        let report = run_file(&engine, file, &skip);
        let _ = writeln!(out, "{}", visible(&report.to_string()));
        for Failed {
            line,
            column,
            message,
        } in &report.failures
        {
            let message = format!("  {}:{line}:{column}: {message}", report.file);
            let _ = writeln!(out, "{}", visible(&message));
        }
        total.passed += report.passed;
        total.failed += report.failed;
        total.skipped += report.skipped;
    }
    let _ = writeln!(out, "{total}");
    Ok(if total.failed == 0 { 0 } else { EXIT_LOAD })
}

/// A file that cannot be read is a script with one failure, and is complained
/// about as everywhere.
fn run_file(engine: &Engine, file: &OsStr, skip: &Skip) -> Report {
    let read = Input::read(file).and_then(|input| match input.text() {
        Some(text) => Ok(wast_runner::run(engine, &input.name(), text, skip)),
        None => Err(input.refused(cellwall::Error::msg("it is not text in UTF-8"))),
    });
    read.unwrap_or_else(|failure| {
        failure.report();
        let mut report = Report::new(&file.to_string_lossy());
        report.failed = 1;
        report
    })
}
