//! `cellwall completion`: a script that completes command lines.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::failure::Failure;
use crate::{Cli, output};

const EXAMPLE: &str = "\
Example:
  cellwall completion bash > ~/.local/share/bash-completion/completions/cellwall";

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Args {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

pub(super) fn run(args: Args) -> Result<u8, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "cellwall", &mut script);
    output::save(None, &script)?;
    Ok(0)
}
