//! The subcommands, one file each: its arguments as a type with an example, and
//! a function `run`.

mod cache;
mod compile;
mod completion;
mod componentize;
mod compose;
mod explain;
mod inspect;
mod objdump;
mod parse;
mod print;
mod run;
mod serve;
mod validate;
mod verify;
mod wast;
mod wit;

use clap::Subcommand;

use crate::failure::Failure;

/// The subcommand and its arguments.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Run(run::Args),
    Serve(serve::Args),
    Compile(compile::Args),
    Compose(compose::Args),
    Componentize(componentize::Args),
    Verify(verify::Args),
    Cache(cache::Args),
    Wast(wast::Args),
    Explain(explain::Args),
    Objdump(objdump::Args),
    Inspect(inspect::Args),
    Wit(wit::Args),
    Validate(validate::Args),
    Print(print::Args),
    Parse(parse::Args),
    Completion(completion::Args),
}

impl Command {
    /// Whether it is to say what is granted and what was denied.
    pub(crate) fn is_verbose(&self) -> bool {
        match self {
            Command::Run(args) => args.net.verbose,
            Command::Serve(args) => args.net.verbose,
            _ => false,
        }
    }
}

/// Runs the subcommand; returns the exit status.
pub(crate) fn dispatch(command: Command) -> Result<u8, Failure> {
    match command {
        Command::Run(args) => run::run(args),
        Command::Serve(args) => serve::run(args),
        Command::Compile(args) => compile::run(args),
        Command::Compose(args) => compose::run(args),
        Command::Componentize(args) => componentize::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Cache(args) => cache::run(args),
        Command::Wast(args) => wast::run(args),
        Command::Explain(args) => explain::run(args),
        Command::Objdump(args) => objdump::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Wit(args) => wit::run(args),
        Command::Validate(args) => validate::run(args),
        Command::Print(args) => print::run(args),
        Command::Parse(args) => parse::run(args),
        Command::Completion(args) => completion::run(args),
    }
}
