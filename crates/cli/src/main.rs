//! The command `cellwall`: parses the command line, runs one subcommand, turns
//! its end into an exit status.
//!
//! Guarantees: the exit status is the guest's own, or 1 (cannot load), 2
//! (usage), 134 (trap), 130 (Ctrl-C); whatever goes wrong is said on standard
//! error; a closed pipe ends the command quietly. Does not do any work itself:
//! each subcommand is one file in `commands`.

mod cache;
mod commands;
mod component_run;
mod compose;
mod escape;
mod exception;
mod failure;
mod function_names;
mod grants;
mod host;
mod input;
mod log;
mod module_info;
mod net_grants;
mod options;
mod output;
mod progress;
mod serve;
mod values;
mod watchdog;
mod wave;
mod wit;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory, FromArgMatches, Parser};

use commands::Command;
use failure::Failure;

const EXAMPLES: &str = "\
Examples:
  cellwall hello.wasm                       run a program
  cellwall run --dir . prog.wasm -- -v x    run it with a directory and arguments
  cellwall run --invoke add add.wat 2 3     call one function
  cellwall serve handler.wasm               answer HTTP requests
  cellwall inspect prog.wasm                see what it would need
  cellwall wit component.wasm               print the world of a component
  cellwall run --link a:b/c=dep.wasm app.wasm   link a component to another and run it
  cellwall compile prog.wasm -o prog.cwall  compile it once
  cellwall verify prog.cwall                prove that it is safe to run

Environment:
  CELLWALL_CACHE_DIR  where compiled modules are kept
  CELLWALL_LOG        what to log: error, warn, info, debug or trace
  NO_COLOR            no colours, whatever the terminal can do

Exit status: the program's own; 1 it cannot be loaded, 2 wrong usage,
134 it trapped or was stopped, 130 Ctrl-C.";

/// Runs WebAssembly programs in cells whose machine code is verified
#[derive(Debug, Parser)]
#[command(
    name = "cellwall",
    version = env!("CELLWALL_VERSION"),
    after_help = EXAMPLES,
    override_usage = "cellwall <COMMAND>\n       cellwall FILE [ARGS]...",
    arg_required_else_help = true
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    let result = parse(std::env::args_os().collect()).and_then(|cli| {
        log::start(cli.command.is_verbose())?;
        commands::dispatch(cli.command)
    });
    match result {
        Ok(status) => ExitCode::from(status),
        Err(failure) => ExitCode::from(failure.report()),
    }
}

/// Parses the command line; `cellwall FILE ...` is short for `cellwall run`.
fn parse(mut args: Vec<OsString>) -> Result<Cli, Failure> {
    let mut command = Cli::command();
    let is_program = args.get(1).is_some_and(|first| is_program(&command, first));
    if is_program {
        args.insert(1, OsString::from("run"));
    }
    let matches = command.try_get_matches_from_mut(args);
    let cli = matches.and_then(|matches| Cli::from_arg_matches(&matches));
    cli.map_err(|error| Failure::Usage(suggest(&command, error)))
}

/// Adds the subcommand that was probably meant. (The measure of clap itself does
/// not see that `rnu` is `run`.)
fn suggest(command: &clap::Command, mut error: clap::Error) -> clap::Error {
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) else {
        return error;
    };
    let names = command
        .get_subcommands()
        .map(|sub| (strsim::osa_distance(sub.get_name(), word), sub.get_name()));
    let nearest = names
        .min()
        .filter(|(distance, name)| *distance <= 2 && *distance < name.len());
    if let Some((_, name)) = nearest {
        let name = ContextValue::Strings(vec![name.to_string()]);
        error.insert(ContextKind::SuggestedSubcommand, name);
    }
    error
}

/// Whether the first argument begins the arguments of `run`: it is no
/// subcommand, and it is one of run's options, or a file, or looks like one. (A
/// word that is none of these is a misspelt subcommand.)
fn is_program(command: &clap::Command, first: &OsString) -> bool {
    let text = first.to_string_lossy();
    if matches!(&*text, "-h" | "--help" | "-V" | "--version" | "help")
        || command.find_subcommand(first).is_some()
    {
        return false;
    }
    let path = Path::new(first);
    let is_named_so = path
        .extension()
        .is_some_and(|ext| ext == "wasm" || ext == "wat" || ext == "cwall");
    text.starts_with('-') || is_named_so || text.contains('/') || (path.exists() && !path.is_dir())
}
