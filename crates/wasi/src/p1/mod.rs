//! WASI 0.1, `wasi_snapshot_preview1`: one table row per function.
//!
//! Requires: the guest exports its memory as `memory`.
//! Guarantees: all 46 functions of `wasi_snapshot_preview1.witx` are there, each answers with
//! an `errno` or stops the guest; a pointer outside of the memory stops it with
//! `Trap::MemoryOutOfBounds`.
//! Does not do: `wasi_unstable`, whose records and numbers differ (`filestat`, `whence`,
//! `subscription`).

mod args;
pub(crate) mod clock;
mod fd;
mod io;
mod path;
mod poll;
mod proc;
mod random;
mod sock;
pub(crate) mod types;

use crate::WasiCtx;
use crate::error::{Answer, Fault, I32Exit};
use crate::guest::Guest;
use cellwall::{Caller, Extern, Linker, Memory, Result};

/// The module name under which guests import WASI 0.1.
pub const MODULE: &str = "wasi_snapshot_preview1";

/// Expands the rows: `name(ctx, guest; arguments)` for a function that touches guest memory,
/// `name(ctx; arguments)` for one that does not.
macro_rules! table {
    ($($name:ident => $path:path $(, $memory:ident)?; ($($arg:ident: $ty:ty),*);)*) => {
        /// The names of all functions of WASI 0.1, in the order of its definition.
        pub const FUNCTIONS: &[&str] = &[$(stringify!($name)),*];

        /// Defines all functions of WASI 0.1 in `linker`.
        ///
        /// `get` finds the context in the data of a store. It is called once per call of the
        /// guest and should be as cheap as a field access.
        ///
        /// # Errors
        /// A function of the same name is defined already and the linker forbids shadowing.
        pub fn add_to_linker<T: 'static>(
            linker: &mut Linker<T>,
            get: impl Fn(&mut T) -> &mut WasiCtx + Copy + Send + Sync + 'static,
        ) -> Result<()> {
            $(
                linker.func_wrap(
                    MODULE,
                    stringify!($name),
                    move |mut caller: Caller<'_, T>, $($arg: $ty),*| -> Result<table!(@result $name)> {
                        let answer = table!(@call caller, get, $path $(, $memory)?; $($arg),*);
                        table!(@finish $name, answer)
                    },
                )?;
            )*
            Ok(())
        }
    };
    (@result proc_exit) => { () };
    (@result $name:ident) => { i32 };
    (@finish proc_exit, $answer:expr) => { $answer };
    (@finish $name:ident, $answer:expr) => { finish(stringify!($name), $answer) };
    (@call $caller:ident, $get:ident, $path:path, guest; $($arg:ident),*) => {
        match memory(&mut $caller) {
            Ok(memory) => {
                let (bytes, data) = memory.data_and_store_mut(&mut $caller);
                $path($get(data), &mut Guest::new(bytes), $($arg),*)
            }
            Err(error) => Err(Fault::Stop(error)),
        }
    };
    (@call $caller:ident, $get:ident, $path:path; $($arg:ident),*) => {
        $path($get($caller.data_mut()), $($arg),*)
    };
}

table! {
    args_get => args::args_get, guest; (argv: u32, argv_buf: u32);
    args_sizes_get => args::args_sizes_get, guest; (argc: u32, argv_buf_size: u32);
    environ_get => args::environ_get, guest; (environ: u32, environ_buf: u32);
    environ_sizes_get => args::environ_sizes_get, guest; (count: u32, buf_size: u32);
    clock_res_get => clock::clock_res_get, guest; (id: u32, resolution: u32);
    clock_time_get => clock::clock_time_get, guest; (id: u32, precision: u64, time: u32);
    fd_advise => fd::fd_advise; (fd: u32, offset: u64, len: u64, advice: u32);
    fd_allocate => fd::fd_allocate; (fd: u32, offset: u64, len: u64);
    fd_close => fd::fd_close; (fd: u32);
    fd_datasync => fd::fd_datasync; (fd: u32);
    fd_fdstat_get => fd::fd_fdstat_get, guest; (fd: u32, stat: u32);
    fd_fdstat_set_flags => fd::fd_fdstat_set_flags; (fd: u32, flags: u32);
    fd_fdstat_set_rights => fd::fd_fdstat_set_rights; (fd: u32, base: u64, inheriting: u64);
    fd_filestat_get => fd::fd_filestat_get, guest; (fd: u32, stat: u32);
    fd_filestat_set_size => fd::fd_filestat_set_size; (fd: u32, size: u64);
    fd_filestat_set_times => fd::fd_filestat_set_times; (fd: u32, atim: u64, mtim: u64, flags: u32);
    fd_pread => io::fd_pread, guest; (fd: u32, iovs: u32, count: u32, offset: u64, nread: u32);
    fd_prestat_get => fd::fd_prestat_get, guest; (fd: u32, prestat: u32);
    fd_prestat_dir_name => fd::fd_prestat_dir_name, guest; (fd: u32, path: u32, path_len: u32);
    fd_pwrite => io::fd_pwrite, guest; (fd: u32, iovs: u32, count: u32, offset: u64, nwritten: u32);
    fd_read => io::fd_read, guest; (fd: u32, iovs: u32, count: u32, nread: u32);
    fd_readdir => fd::fd_readdir, guest; (fd: u32, buf: u32, buf_len: u32, cookie: u64, used: u32);
    fd_renumber => fd::fd_renumber; (from: u32, to: u32);
    fd_seek => fd::fd_seek, guest; (fd: u32, offset: i64, whence: u32, position: u32);
    fd_sync => fd::fd_sync; (fd: u32);
    fd_tell => fd::fd_tell, guest; (fd: u32, position: u32);
    fd_write => io::fd_write, guest; (fd: u32, iovs: u32, count: u32, nwritten: u32);
    path_create_directory => path::path_create_directory, guest; (fd: u32, path: u32, len: u32);
    path_filestat_get => path::path_filestat_get, guest; (fd: u32, flags: u32, path: u32, len: u32, stat: u32);
    path_filestat_set_times => path::path_filestat_set_times, guest; (fd: u32, flags: u32, path: u32, len: u32, atim: u64, mtim: u64, fst_flags: u32);
    path_link => path::path_link, guest; (old_fd: u32, old_flags: u32, old_path: u32, old_len: u32, new_fd: u32, new_path: u32, new_len: u32);
    path_open => path::path_open, guest; (fd: u32, dirflags: u32, path: u32, len: u32, oflags: u32, base: u64, inheriting: u64, fdflags: u32, opened: u32);
    path_readlink => path::path_readlink, guest; (fd: u32, path: u32, len: u32, buf: u32, buf_len: u32, used: u32);
    path_remove_directory => path::path_remove_directory, guest; (fd: u32, path: u32, len: u32);
    path_rename => path::path_rename, guest; (fd: u32, old_path: u32, old_len: u32, new_fd: u32, new_path: u32, new_len: u32);
    path_symlink => path::path_symlink, guest; (old_path: u32, old_len: u32, fd: u32, new_path: u32, new_len: u32);
    path_unlink_file => path::path_unlink_file, guest; (fd: u32, path: u32, len: u32);
    poll_oneoff => poll::poll_oneoff, guest; (subscriptions: u32, events: u32, count: u32, stored: u32);
    proc_exit => proc::proc_exit; (status: i32);
    proc_raise => proc::proc_raise; (signal: u32);
    sched_yield => proc::sched_yield; ();
    random_get => random::random_get, guest; (buf: u32, len: u32);
    sock_accept => sock::sock_accept; (fd: u32, flags: u32, accepted: u32);
    sock_recv => sock::sock_recv; (fd: u32, iovs: u32, count: u32, flags: u32, nread: u32, out_flags: u32);
    sock_send => sock::sock_send; (fd: u32, iovs: u32, count: u32, flags: u32, nwritten: u32);
    sock_shutdown => sock::sock_shutdown; (fd: u32, how: u32);
}

fn memory<T>(caller: &mut Caller<'_, T>) -> Result<Memory> {
    match caller.get_export("memory") {
        Some(Extern::Memory(memory)) => Ok(memory),
        // Its functions take slices of memory, which another thread could write to.
        Some(Extern::SharedMemory(_)) => Err(cellwall::Error::msg(
            "the guest's `memory` is shared, and WASI 0.1 takes pointers into a memory of one thread only",
        )),
        _ => Err(cellwall::Error::msg(
            "WASI needs the guest to export its memory as `memory`",
        )),
    }
}

fn finish(name: &'static str, answer: Answer) -> Result<i32> {
    match answer {
        Ok(()) => Ok(0),
        Err(Fault::Errno(errno)) => Ok(errno as i32),
        Err(Fault::Stop(error)) if error.is::<I32Exit>() => Err(error),
        Err(Fault::Stop(error)) => Err(error.context(format!("in `{MODULE}::{name}`"))),
    }
}
