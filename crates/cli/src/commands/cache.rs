//! `cellwall cache`: what `run` has kept, and how to be rid of it.

use crate::failure::Failure;
use crate::{cache, output};

const EXAMPLE: &str = "\
Examples:
  cellwall cache
  cellwall cache --clear

The folder is $CELLWALL_CACHE_DIR, $XDG_CACHE_HOME/cellwall or
~/.cache/cellwall. What is in it is proven again before it runs.";

/// Show or clear the cache of compiled modules
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Args {
    /// Remove every compiled module
    #[arg(long)]
    clear: bool,
}

pub(super) fn run(args: Args) -> Result<u8, Failure> {
    let Some(cache) = cache::open().map_err(Failure::Load)? else {
        output::print("there is no cache: this user has no home, and CELLWALL_CACHE_DIR is not set\n")?;
        return Ok(0);
    };
    let usage = match args.clear {
        true => cache.clear(),
        false => cache.usage(),
    };
    let directory = cache.directory().display();
    let usage = usage.map_err(|e| Failure::load(e, format!("cannot use the cache in `{directory}`")))?;
    let plural = if usage.entries == 1 { "" } else { "s" };
    let held = format!("{} compiled module{plural}, {} bytes", usage.entries, usage.bytes);
    output::print(&match args.clear {
        true => format!("{directory}: removed {held}\n"),
        false => format!("{directory}: {held} of at most {}\n", cache.size_limit()),
    })?;
    Ok(0)
}
