//! WASI 0.2, for components.
//!
//! Requires: futures are polled in a Tokio runtime with its I/O and time drivers
//! ([`add_to_linker_async`]), or the functions wait on their thread ([`add_to_linker_sync`]).
//! Does not do: HTTP, which is in [`http`](crate::http).
//!
//! A stream of the host is a [`InputStream`] or [`OutputStream`] in the store's
//! [`ResourceTable`](cellwall::component::ResourceTable); both are [`Pollable`], and
//! [`subscribe`] makes a guest's `pollable` of anything that is.

pub mod bindings;
mod executor;
mod files;
mod host;
mod poll;
mod sockets;
mod stdio;
mod streams;

pub use bytes::Bytes;
pub(crate) use executor::driver;
pub use files::{Descriptor, DirectoryEntryStream, FsError};
pub(crate) use files::{Slot, Slots};
pub use poll::{DynFuture, DynPollable, Pollable, subscribe};
pub use streams::{DynInputStream, DynOutputStream, InputStream, OutputStream, StreamError, StreamResult};

use crate::{WasiCtxView, WasiView};
use bindings::wasi;
use cellwall::Result;
use cellwall::component::{HasData, Linker};

/// What a guest's `terminal-input` stands for.
#[derive(Debug)]
#[non_exhaustive]
pub struct TerminalInput;

/// What a guest's `terminal-output` stands for.
#[derive(Debug)]
#[non_exhaustive]
pub struct TerminalOutput;

/// The data of the interfaces: a [`WasiCtxView`].
#[derive(Debug)]
pub struct HasWasi;

impl HasData for HasWasi {
    type Data<'a> = WasiCtxView<'a>;
}

/// Defines `wasi:cli`, `wasi:clocks`, `wasi:filesystem`, `wasi:io`, `wasi:random` and `wasi:sockets` for guests
/// that are called with `call_async`.
///
/// A call that has to wait is pending; the guest goes on when what it waits for is there.
///
/// # Errors
/// A name is defined already and the linker forbids shadowing.
pub fn add_to_linker_async<T: WasiView>(linker: &mut Linker<T>) -> Result<()> {
    add_to_linker(linker, |data| {
        let view = data.ctx();
        view.ctx.waiting.in_place = false;
        view
    })
}

/// The same for guests that are called with `call`: a call that has to wait keeps its thread.
///
/// # Errors
/// As [`add_to_linker_async`].
pub fn add_to_linker_sync<T: WasiView>(linker: &mut Linker<T>) -> Result<()> {
    add_to_linker(linker, |data| {
        let view = data.ctx();
        view.ctx.waiting.in_place = true;
        view
    })
}

fn add_to_linker<T: WasiView>(linker: &mut Linker<T>, get: fn(&mut T) -> WasiCtxView<'_>) -> Result<()> {
    let l = linker;
    wasi::cli::environment::add_to_linker::<T, HasWasi>(l, get)?;
    wasi::cli::exit::add_to_linker::<T, HasWasi>(l, get)?;
    wasi::cli::stdin::add_to_linker::<T, HasWasi>(l, get)?;
    wasi::cli::stdout::add_to_linker::<T, HasWasi>(l, get)?;
    wasi::cli::stderr::add_to_linker::<T, HasWasi>(l, get)?;
    wasi::cli::terminal_input::add_to_linker::<T, HasWasi>(l, get)?;
    wasi::cli::terminal_output::add_to_linker::<T, HasWasi>(l, get)?;
    wasi::cli::terminal_stdin::add_to_linker::<T, HasWasi>(l, get)?;
    wasi::cli::terminal_stdout::add_to_linker::<T, HasWasi>(l, get)?;
    wasi::cli::terminal_stderr::add_to_linker::<T, HasWasi>(l, get)?;
    wasi::clocks::monotonic_clock::add_to_linker::<T, HasWasi>(l, get)?;
    wasi::clocks::timezone::add_to_linker::<T, HasWasi>(l, get)?;
    wasi::clocks::wall_clock::add_to_linker::<T, HasWasi>(l, get)?;
    wasi::filesystem::preopens::add_to_linker::<T, HasWasi>(l, get)?;
    wasi::filesystem::types::add_to_linker::<T, HasWasi>(l, get)?;
    wasi::io::error::add_to_linker::<T, HasWasi>(l, get)?;
    wasi::io::poll::add_to_linker::<T, HasWasi>(l, get)?;
    wasi::io::streams::add_to_linker::<T, HasWasi>(l, get)?;
    wasi::random::insecure::add_to_linker::<T, HasWasi>(l, get)?;
    wasi::random::insecure_seed::add_to_linker::<T, HasWasi>(l, get)?;
    wasi::random::random::add_to_linker::<T, HasWasi>(l, get)?;
    sockets::add_to_linker(l, get)
}
