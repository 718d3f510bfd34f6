//! Everything that depends on the operating system, and nothing else.
//!
//! Each system has a folder that defines the same names; `linux` is the one there is.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub use linux::Handle;
#[cfg(target_os = "linux")]
pub(crate) use linux::*;

#[cfg(not(target_os = "linux"))]
compile_error!("cellwall-wasi runs on Linux only so far; docs/platforms.md says what is planned.");
