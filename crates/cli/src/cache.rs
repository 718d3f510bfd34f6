//! Where `cellwall` keeps compiled modules: where `CELLWALL_CACHE_DIR` says, or
//! in the user's folder of caches.
//!
//! Guarantees that a cache that cannot be used never keeps a program from
//! running.

use std::io::Write;
use std::path::PathBuf;

use cellwall::{Cache, CacheConfig};

use crate::escape;

/// The variable that names another folder.
const VARIABLE: &str = "CELLWALL_CACHE_DIR";

/// The cache of this user; `None` without a place for one.
pub(crate) fn open() -> Result<Option<Cache>, cellwall::Error> {
    let Some(directory) = chosen().or_else(Cache::default_directory) else {
        return Ok(None);
    };
    let mut config = CacheConfig::new();
    config.with_directory(directory);
    Cache::new(config).map(Some)
}

/// Like [`open`]; if it cannot be used, does without one. Who has chosen the
/// folder is told so.
pub(crate) fn open_if_possible() -> Option<Cache> {
    open().unwrap_or_else(|error| {
        tracing::warn!(target: "cellwall", "{}", escape::name(&format!("{error:#}")));
        if chosen().is_some() {
            let error = format!("{error:#}");
            let text = format!("Warning: running without a cache: {}\n", escape::name(&error));
            // If nobody reads it there is nobody to tell.
            let _ = std::io::stderr().write_all(text.as_bytes());
        }
        None
    })
}

fn chosen() -> Option<PathBuf> {
    let chosen = std::env::var_os(VARIABLE).filter(|value| !value.is_empty());
    chosen.map(PathBuf::from)
}
