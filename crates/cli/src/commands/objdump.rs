//! `cellwall objdump`: the machine code of a module.

use std::ffi::OsString;

use cellwall::tools::{self, NoSuchFunction, ObjdumpOptions};
use cellwall::{Engine, Error};

use crate::failure::Failure;
use crate::input::Input;
use crate::{function_names, output, progress};

const EXAMPLES: &str = "\
Examples:
  cellwall objdump prog.cwall | less
  cellwall objdump --func add --bytes add.wat";

/// Print the machine code of a module, with traps, calls and fields named
///
/// Takes what `cellwall compile` wrote, proven or not; a module is compiled first.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The file, `.cwall`, `.wasm` or `.wat`; `-` is standard input
    #[arg(value_name = "FILE")]
    file: OsString,
    /// Only this function, by index, name or export
    #[arg(long, value_name = "N|NAME")]
    func: Option<String>,
    /// Print the bytes of each instruction too
    #[arg(long)]
    bytes: bool,
}

pub(super) fn run(args: Args) -> Result<u8, Failure> {
    let input = Input::read(&args.file)?;
    let code = input.code()?;
    let mut options = ObjdumpOptions::default();
    options.function = args.func;
    options.bytes = args.bytes;
    let what = format!("compiling {}", input.name());
    let text = progress::during(&what, || tools::objdump(&Engine::default(), &code, &options));
    output::print(&text.map_err(|e| input.refused(with_names(e)))?)?;
    Ok(0)
}

/// The error, with the names of the functions that there are if the wanted one is not.
fn with_names(error: Error) -> Error {
    match error.downcast_ref::<NoSuchFunction>() {
        Some(none) => {
            let advice = function_names::advice(&none.names, &none.wanted);
            Error::msg(format!("{none}\nhelp: {advice}"))
        }
        None => error,
    }
}
