//! `cellwall wit`: the world of a component, in WIT. Nothing is compiled or run.

use std::ffi::OsString;

use cellwall::Error;

use crate::failure::Failure;
use crate::input::Input;
use crate::{output, wit};

const EXAMPLE: &str = "\
Example:
  cellwall wit app.wasm";

/// Print what a component imports and exports, in WIT
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Args {
    /// The component, `.wasm` or `.wat`; `-` is standard input
    #[arg(value_name = "FILE")]
    file: OsString,
}

pub(super) fn run(args: Args) -> Result<u8, Failure> {
    let input = Input::read(&args.file)?;
    let wasm = input.wasm()?;
    if !wit::is_component(&wasm) {
        return Err(input.refused(Error::msg("it is a module, not a component: it has no world")));
    }
    let text = wit::of_component(&wasm).map_err(|e| input.refused(e))?;
    output::print(&text)?;
    Ok(0)
}
