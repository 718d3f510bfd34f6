//! `cellwall parse`: the text format to the binary format.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::failure::Failure;
use crate::input::Input;
use crate::output;

const EXAMPLE: &str = "\
Example:
  cellwall parse add.wat -o add.wasm";

/// Translate a module from the text format to the binary format
///
/// The module is not checked; that is `cellwall validate`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Args {
    /// The module, `.wat`; `-` is standard input
    #[arg(value_name = "FILE")]
    file: OsString,
    /// Write to this file, not to standard output
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,
}

pub(super) fn run(args: Args) -> Result<u8, Failure> {
    if args.output.is_none() && output::is_terminal() {
        let message = "the binary format is not for a terminal; name a file with -o OUT";
        return Err(Failure::usage(message.to_string()));
    }
    let input = Input::read(&args.file)?;
    output::save(args.output.as_deref(), &input.wasm()?)?;
    Ok(0)
}
