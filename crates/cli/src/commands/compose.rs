//! `cellwall compose`: components linked to one component. Nothing is compiled or run.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::compose::{Link, compose};
use crate::failure::Failure;
use crate::input::Input;
use crate::output;

const EXAMPLES: &str = "\
Examples:
  cellwall compose app.wasm --link docs:math/add=add.wasm -o all.wasm
  cellwall compose app.wasm -d add.wasm -d store.wasm -o all.wasm

What no component gives stays an import of the result. A component that exports
what it imports stands between others: it gets it from those named after it.";

/// Link components to one that holds them all
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The component whose exports the result has, `.wasm` or `.wat`; `-` is standard input
    #[arg(value_name = "FILE")]
    file: OsString,
    /// Give it, or what is linked to it, this import from a component; may be repeated
    #[arg(long = "link", value_name = "NAME=FILE", value_parser = Link::parse)]
    links: Vec<Link>,
    /// Link everything that this component exports; may be repeated
    #[arg(short, long = "dep", visible_alias = "plug", value_name = "FILE")]
    deps: Vec<OsString>,
    /// Write to this file, not to standard output
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,
}

pub(super) fn run(args: Args) -> Result<u8, Failure> {
    if args.links.is_empty() && args.deps.is_empty() {
        let message = "there is nothing to link; name it with --link NAME=FILE or -d FILE";
        return Err(Failure::usage(message.to_string()));
    }
    if args.output.is_none() && output::is_terminal() {
        let message = "a component is not for a terminal; name a file with -o OUT";
        return Err(Failure::usage(message.to_string()));
    }
    let input = Input::read(&args.file)?;
    let mut links = args.links;
    links.extend(args.deps.iter().map(Link::all_of));
    let bytes = compose(&input, &links)?;
    output::save(args.output.as_deref(), &bytes)?;
    Ok(0)
}
