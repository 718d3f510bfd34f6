//! Properties of Cellwall, one file each with the property in line one. Every
//! property is a function `run(data: &[u8])` that panics if `data` breaks it:
//! that is what libFuzzer and `cargo fuzz` call, and what the commands in
//! `bin/` drive by themselves.

#[cfg(feature = "peers")]
pub mod child;
#[cfg(feature = "peers")]
pub mod components;
#[cfg(feature = "peers")]
pub mod differential;
pub mod drive;
pub mod loader;
pub mod mutate;
#[cfg(feature = "peers")]
mod observe;
#[cfg(feature = "peers")]
mod told;
