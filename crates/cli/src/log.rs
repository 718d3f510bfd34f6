//! Logging: what `CELLWALL_LOG` or `--verbose` asks for goes to standard error;
//! without them nothing is set up. All events of the command have the target [`TARGET`].

use std::io::IsTerminal;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;

use crate::failure::Failure;

/// The variable: a level (`debug`), or the target with a level
/// (`cellwall=debug`).
const VARIABLE: &str = "CELLWALL_LOG";
/// The target of everything that is logged.
const TARGET: &str = "cellwall";
/// The levels by name.
const LEVELS: [(&str, LevelFilter); 6] = [
    ("off", LevelFilter::OFF),
    ("error", LevelFilter::ERROR),
    ("warn", LevelFilter::WARN),
    ("info", LevelFilter::INFO),
    ("debug", LevelFilter::DEBUG),
    ("trace", LevelFilter::TRACE),
];

/// Starts logging if the environment asks for it, or if `verbose` does.
pub(crate) fn start(verbose: bool) -> Result<(), Failure> {
    let value = std::env::var_os(VARIABLE).filter(|value| !value.is_empty());
    let Some(value) = value.or_else(|| verbose.then(|| "info".into())) else {
        return Ok(());
    };
    let filter = parse(&value.to_string_lossy()).map_err(|word| {
        Failure::usage(format!(
            "{VARIABLE}: `{word}` is no filter; there are off, error, warn, info, debug, trace and \
             {TARGET}=LEVEL"
        ))
    })?;
    let color = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(color);
    let subscriber = tracing_subscriber::registry().with(filter).with(lines);
    tracing::subscriber::set_global_default(subscriber).expect("nobody has set one before");
    Ok(())
}

/// Levels, with or without the target, with commas between them. `Err` is the
/// word that is neither: one that selects nothing would be silence unexplained.
fn parse(text: &str) -> Result<Targets, String> {
    let mut filter = Targets::new();
    for word in text.split(',').map(str::trim) {
        let level = match word.split_once('=') {
            Some((TARGET, level)) => level,
            Some(_) => return Err(word.to_string()),
            None => word,
        };
        let level = LEVELS.iter().find(|(name, _)| name.eq_ignore_ascii_case(level));
        let (_, level) = level.ok_or_else(|| word.to_string())?;
        filter = filter.with_target(TARGET, *level);
    }
    Ok(filter)
}
