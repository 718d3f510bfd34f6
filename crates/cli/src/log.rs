//! Logging: what `CELLWALL_LOG` asks for goes to standard error; without it
//! nothing is set up.

use std::io::IsTerminal;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;

use crate::failure::Failure;

/// The variable: a level (`debug`), or targets with levels
/// (`info,cellwall_wasi=trace`).
const VARIABLE: &str = "CELLWALL_LOG";

/// Starts logging if the environment asks for it.
pub(crate) fn start() -> Result<(), Failure> {
    let Some(value) = std::env::var_os(VARIABLE).filter(|value| !value.is_empty()) else {
        return Ok(());
    };
    let filter = value.to_string_lossy().parse::<Targets>();
    let filter = filter.map_err(|e| Failure::usage(format!("{VARIABLE}: {e}")))?;
    let color = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(color);
    let subscriber = tracing_subscriber::registry().with(filter).with(lines);
    tracing::subscriber::set_global_default(subscriber).expect("nobody has set one before");
    Ok(())
}
