//! The interfaces of WASI 0.2 on a [`WasiCtxView`](crate::WasiCtxView), one file a package.

mod cli;
mod clocks;
mod filesystem;
mod io;
mod random;
