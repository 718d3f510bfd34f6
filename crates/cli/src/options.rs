//! The values of `run`'s options: what a user writes, and what it means.

use std::env::VarError;
use std::path::PathBuf;
use std::time::Duration;

use cellwall::{Config, CpuFeature, Engine};

use crate::failure::Failure;

/// What machine code is made for.
#[derive(Debug, clap::Args)]
pub(crate) struct Cpu {
    /// Leave a feature of this processor unused, such as `avx2`; may be repeated
    #[arg(long, value_name = "FEATURE")]
    without_cpu: Vec<CpuFeature>,
}

impl Cpu {
    /// The options of an engine, otherwise the default ones.
    pub(crate) fn config(&self) -> Config {
        let mut config = Config::new();
        for &feature in &self.without_cpu {
            config.cpu_feature(feature, false);
        }
        config
    }

    /// An engine, otherwise the default one.
    pub(crate) fn engine(&self) -> Result<Engine, Failure> {
        Engine::new(&self.config()).map_err(Failure::Load)
    }
}

/// `HOST[::GUEST][:ro]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DirGrant {
    pub(crate) host: PathBuf,
    pub(crate) guest: String,
    pub(crate) is_read_only: bool,
}

impl DirGrant {
    /// Reads it. A guest name has no `:`, so that a suffix that is nearly `:ro`
    /// is refused and not granted with every right.
    pub(crate) fn parse(text: &str) -> Result<DirGrant, String> {
        let (rest, is_read_only) = match text.strip_suffix(":ro") {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        let (host, guest) = rest.split_once("::").unwrap_or((rest, rest));
        if host.is_empty() || guest.is_empty() {
            return Err("a directory has an empty name".to_string());
        }
        if guest.contains(':') {
            return Err("a guest name has no `:`, and the only suffix is `:ro`".to_string());
        }
        Ok(DirGrant {
            host: PathBuf::from(host),
            guest: guest.to_string(),
            is_read_only,
        })
    }
}

/// A variable to grant, and its value; without one it is not set here, and then not there either.
pub(crate) type EnvGrant = (String, Option<String>);

/// `K=V`, or `K` for the value it has here, if it has one.
pub(crate) fn parse_env(text: &str) -> Result<EnvGrant, String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_string())),
        None => match std::env::var(text) {
            Ok(value) => (text, Some(value)),
            Err(VarError::NotPresent) => (text, None),
            Err(VarError::NotUnicode(_)) => return Err("this variable is not in UTF-8".to_string()),
        },
    };
    match name.is_empty() {
        true => Err("a variable has an empty name".to_string()),
        false => Ok((name.to_string(), value)),
    }
}

/// A time, longer than none, with its unit: `ms`, `s`, `m` or `h`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let seconds_per_unit = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err("a time is a number and a unit (ms, s, m or h), such as 500ms".to_string()),
    };
    let number = number
        .parse::<f64>()
        .map_err(|_| "a time is a number and a unit (ms, s, m or h), such as 500ms")?;
    let time = Duration::try_from_secs_f64(number * seconds_per_unit).map_err(|e| e.to_string())?;
    match time.is_zero() {
        true => Err("a limit of no time lets nothing run".to_string()),
        false => Ok(time),
    }
}

/// A number of bytes, or of binary multiples of them: `K`, `M`, `G`.
pub(crate) fn parse_size(text: &str) -> Result<usize, String> {
    let (number, shift) = match text.char_indices().last() {
        Some((at, 'K' | 'k')) => (&text[..at], 10),
        Some((at, 'M' | 'm')) => (&text[..at], 20),
        Some((at, 'G' | 'g')) => (&text[..at], 30),
        _ => (text, 0),
    };
    let number = number
        .parse::<usize>()
        .map_err(|_| "a size is a number, such as 1000000 or 64M")?;
    number
        .checked_mul(1 << shift)
        .ok_or_else(|| "there is no such size".to_string())
}
