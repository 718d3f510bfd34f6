//! `cellwall print`: a module in the text format.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::failure::Failure;
use crate::input::Input;
use crate::output;

const EXAMPLE: &str = "\
Example:
  cellwall print prog.wasm -o prog.wat";

/// Print a module in the text format
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Args {
    /// The module, `.wasm` or `.wat`; `-` is standard input
    #[arg(value_name = "FILE")]
    file: OsString,
    /// Write to this file, not to standard output
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,
}

pub(super) fn run(args: Args) -> Result<u8, Failure> {
    let input = Input::read(&args.file)?;
    let text = wasmprinter::print_bytes(input.wasm()?).map_err(|e| {
        // Not one of our errors, so its causes are put into one line.
        input.refused(cellwall::Error::msg(format!("{e:#}")))
    })?;
    match &args.output {
        Some(path) => output::save(Some(path), text.as_bytes())?,
        // The text format reads `\u{9b}` in a string or a name as the character.
        None => output::print(&text)?,
    }
    Ok(0)
}
