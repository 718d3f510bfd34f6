//! `cargo xtask mutate`: honest code with one corrupted instruction, under the stepping oracle.

use anyhow::{Result, ensure};
use cellwall_tests::step::hunt::{self, Order, Tally};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use std::process::Command;
use std::time::{Duration, Instant};

/// What the command line asks for.
#[derive(Args)]
pub(crate) struct Options {
    /// How many mutants.
    #[arg(long, default_value_t = 100_000)]
    count: u64,
    /// Where the random numbers start.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many instructions of each are stepped, at most.
    #[arg(long, default_value_t = 200)]
    steps: usize,
    /// How many processes step; by default, one for each processor.
    #[arg(long)]
    workers: Option<usize>,
    /// The largest module of the checkout, in bytes.
    #[arg(long, default_value_t = 600 << 10)]
    bytes_max: u64,
    /// Modules of the specification's tests, and generated ones.
    #[arg(long, default_value_t = 60)]
    others: usize,
    /// Also runs what is refused, over the code of an accepted module: the oracle objects.
    #[arg(long)]
    unverified: bool,
}

/// Runs it and prints the table.
///
/// # Errors
/// If something left its cell, or processes cannot be traced.
pub(crate) fn run(options: &Options) -> Result<()> {
    let mut sources = hunt::featured();
    sources.extend(hunt::sources(options.bytes_max, options.others, options.others)?);
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let order = Order {
        count: options.count,
        seed: options.seed,
        steps_max: options.steps,
        unverified: options.unverified,
        workers: options.workers.unwrap_or(processors),
    };
    let itself = std::env::current_exe()?;
    let command = || {
        let mut command = Command::new(&itself);
        command.arg("stepped");
        command
    };
    let bar = ProgressBar::new(order.count);
    let style = "{elapsed_precise} {bar:40} {human_pos} of {human_len} mutants, {msg}; {eta} left";
    bar.set_style(ProgressStyle::with_template(style)?);
    bar.enable_steady_tick(Duration::from_secs(1));
    let sums = std::sync::Mutex::new((0, 0));
    let start = Instant::now();
    let tally = hunt::run(&order, &sources, &command, &|asked, accepted, escapes| {
        let mut sums = sums.lock().expect("nobody panics with it");
        *sums = (sums.0 + accepted, sums.1 + escapes);
        bar.set_message(format!("{} accepted, {} escapes", sums.0, sums.1));
        bar.inc(asked);
    })?;
    bar.finish_and_clear();
    print(&tally, start.elapsed());
    ensure!(tally.escapes == 0, "{} left their cell", tally.escapes);
    Ok(())
}

fn print(tally: &Tally, time: Duration) {
    let row = |name: &str, count: u64| println!("{name:<44} {count:>12}");
    let modules = |real: bool| tally.modules.get(&real).map_or(0, |modules| modules.len() as u64);
    row("real modules (one for each target)", modules(true));
    row("modules of tests, generated and hand-written", modules(false));
    row(
        "modules left out: not taken, or no instance",
        tally.unusable.len() as u64,
    );
    row("mutants asked about", tally.asked());
    for (rule, &count) in &tally.refused {
        row(&format!("  refused by {rule:?}"), count);
    }
    row("accepted", tally.accepted());
    for (kind, &(asked, accepted)) in &tally.kinds {
        row(&format!("  {kind:?} (of {asked})"), accepted);
    }
    row("accepted and executed under the oracle", tally.executed);
    row("  corrupted instruction among what ran", tally.reached);
    for (end, &count) in &tally.ends {
        row(&format!("  {end}"), count);
    }
    row("calls compared under other residue", tally.compared);
    row("instructions stepped", tally.steps);
    row("processes", tally.processes);
    for name in &tally.unusable {
        println!("  left out: {name}");
    }
    for (rule, &(ran, flagged)) in &tally.unverified {
        row(&format!("unverified, refused by {rule:?}, ran"), ran);
        row("  objected to", flagged);
    }
    row("escapes", tally.escapes);
    for escape in &tally.told {
        println!("  {escape}");
    }
    println!("in {time:.0?}");
}
