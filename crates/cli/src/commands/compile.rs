//! `cellwall compile`: a module or component to machine code in a file.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::failure::Failure;
use crate::input::Input;
use crate::options::Cpu;
use crate::{output, progress, wit};

const EXAMPLE: &str = "\
Example:
  cellwall compile prog.wasm -o prog.cwall
  cellwall run prog.cwall

The result is for processors with the features of this one, without those that
were to be left unused, and for this version of cellwall. It is proven to be safe again whenever it is run.";

/// Compile a module or component to a file that runs without compiling
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Args {
    /// The module or component, `.wasm` or `.wat`; `-` is standard input
    #[arg(value_name = "FILE")]
    file: OsString,
    /// Write to this file (`.cwall`), not to standard output
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,
    #[command(flatten)]
    cpu: Cpu,
}

pub(super) fn run(args: Args) -> Result<u8, Failure> {
    if args.output.is_none() && output::is_terminal() {
        let message = "machine code is not for a terminal; name a file with -o OUT";
        return Err(Failure::usage(message.to_string()));
    }
    let input = Input::read(&args.file)?;
    let wasm = input.wasm()?;
    let what = format!("compiling {}", input.name());
    let engine = args.cpu.engine()?;
    let compiled = progress::during(&what, || match wit::is_component(&wasm) {
        true => engine.precompile_component(&wasm),
        false => engine.precompile_module(&wasm),
    });
    let compiled = compiled.map_err(|e| input.refused(e))?;
    output::save(args.output.as_deref(), &compiled)?;
    Ok(0)
}
