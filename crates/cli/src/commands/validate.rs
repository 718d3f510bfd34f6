//! `cellwall validate`: would Cellwall accept this module?

use std::ffi::OsString;

use cellwall::{Engine, Module};

use crate::failure::Failure;
use crate::input::Input;

const EXAMPLE: &str = "\
Example:
  cellwall validate prog.wasm && echo fine";

/// Check that a module is valid
///
/// Says nothing if it is; otherwise what is wrong and at which offset.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Args {
    /// The module, `.wasm` or `.wat`; `-` is standard input
    #[arg(value_name = "FILE")]
    file: OsString,
}

pub(super) fn run(args: Args) -> Result<u8, Failure> {
    let input = Input::read(&args.file)?;
    Module::validate(&Engine::default(), &input.wasm()?).map_err(|e| input.refused(e))?;
    Ok(0)
}
