//! Cellwall measured against other WebAssembly engines.
//!
//! `set` says what is run, `engines` by whom, `wasi` in which world; `exec`,
//! `load`, `proof`, `calls`, `components`, `files`, `process` and `serve` are the parts; `report` writes them down.
//! README.md has the commands.

pub mod calls;
pub mod clock;
pub mod components;
pub mod engines;
pub mod exec;
pub mod files;
pub mod load;
pub mod process;
pub mod proof;
pub mod report;
pub mod serve;
pub mod set;
pub mod stats;
pub mod threads;
pub mod wasi;
