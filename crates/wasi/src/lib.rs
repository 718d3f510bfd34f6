//! WASI for Cellwall: the door through which a guest meets files, clocks, randomness, the standard
//! streams, sockets and HTTP.
//!
//! Requires: the public API of `cellwall` and nothing else of the engine.
//! Guarantees: a guest can touch only what its [`WasiCtx`] was granted; no path leaves a
//! preopened directory; no size named by a guest makes the host allocate before it was compared
//! with a limit; no function panics on any input.
//! Does not do: child processes, threads, signals between guests.
//!
//! Offered: WASI 0.1, imported by modules as `wasi_snapshot_preview1`, all 46 functions; WASI 0.2,
//! imported by components, in [`p2`]; its HTTP in the module `http`, behind the feature of that name.
//!
//! ```
//! use cellwall::{Engine, Linker, Module, Store};
//! use cellwall_wasi::{I32Exit, MemoryOutputPipe, WasiCtx, WasiCtxBuilder, add_to_linker};
//!
//! # fn main() -> cellwall::Result<()> {
//! let engine = Engine::default();
//! let module = Module::new(&engine, r#"(module
//!     (import "wasi_snapshot_preview1" "fd_write"
//!         (func $write (param i32 i32 i32 i32) (result i32)))
//!     (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
//!     (memory (export "memory") 1)
//!     (data (i32.const 0) "\08\00\00\00\06\00\00\00hello\n")
//!     (func (export "_start")
//!         (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))
//!         (call $exit (i32.const 7))))"#)?;
//! let mut linker = Linker::new(&engine);
//! add_to_linker(&mut linker, |ctx: &mut WasiCtx| ctx)?;
//!
//! let stdout = MemoryOutputPipe::new(1024);
//! let ctx = WasiCtxBuilder::new().stdout(stdout.clone()).build();
//! let mut store = Store::new(&engine, ctx);
//! let instance = linker.instantiate(&mut store, &module)?;
//! let start = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
//! let stopped = start.call(&mut store, ()).unwrap_err();
//! assert_eq!(stopped.downcast_ref::<I32Exit>(), Some(&I32Exit(7)));
//! assert_eq!(stdout.contents(), b"hello\n");
//! # Ok(())
//! # }
//! ```

mod ctx;
mod descriptor;
mod error;
mod files;
mod guest;
#[cfg(feature = "http")]
pub mod http;
mod net;
mod p1;
pub mod p2;
mod perms;
mod runtime;
mod streams;
mod sys;
mod table;
mod view;
mod waiting;

pub use async_trait::async_trait;
pub use ctx::{WasiCtx, WasiCtxBuilder};
pub use error::I32Exit;
pub use net::{
    BadGrant, ConnectGrant, ErrorCode, HttpGrant, IpFamily, ListenGrant, SocketAddrAnswer, SocketAddrUse,
};
pub use p1::{FUNCTIONS, MODULE, add_to_linker};
pub use perms::{DirPerms, FilePerms};
pub use streams::{InputStream, MemoryInputPipe, MemoryOutputPipe, NullInput, NullOutput, OutputStream};
pub use sys::Handle;
pub use view::{WasiCtxView, WasiView};
pub use waiting::Canceller;
