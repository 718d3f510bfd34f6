//! Cellwall: a WebAssembly runtime that proves the machine code it runs.
//!
//! An [`Engine`] compiles a [`Module`]; the machine code is checked by a verifier that trusts no
//! compiler, and only then mapped. A [`Store`] holds what lives: an [`Instance`] of a module with
//! its memories, tables and globals, and the embedder's own data. A [`Linker`] gives modules the
//! host functions they import.
//!
//! The nouns and habits are those of the `wasmtime` crate, so a port is mostly renaming. Components
//! are in [`component`]. What is not there yet: asynchronous host functions, fuel.
//!
//! ```
//! use cellwall::{Caller, Engine, Linker, Module, Store};
//!
//! // Compile once.
//! let engine = Engine::default();
//! let module = Module::new(&engine, r#"
//!     (module
//!       (import "host" "hello" (func $hello (param i32)))
//!       (func (export "run") (call $hello (i32.const 3))))
//! "#)?;
//!
//! // Say what the guest may do.
//! let mut linker = Linker::new(&engine);
//! linker.func_wrap("host", "hello", |mut caller: Caller<'_, u32>, times: u32| {
//!     *caller.data_mut() += times;
//! })?;
//!
//! // Run it, with data of its own.
//! let mut store = Store::new(&engine, 0);
//! let instance = linker.instantiate(&mut store, &module)?;
//! let run = instance.get_typed_func::<(), ()>(&mut store, "run")?;
//! run.call(&mut store, ())?;
//! assert_eq!(*store.data(), 3);
//! # cellwall::Ok(())
//! ```
//!
//! # Errors
//!
//! Everything fails with one [`Error`]. What can be told apart is found in it by
//! [`downcast_ref`](Error::downcast_ref): a [`Trap`] and its [`WasmBacktrace`], the error of a host
//! function as it went in, [`Invalid`] bytes with their offset, a [`Limit`], an
//! [`UnknownImportError`].
//!
//! # Threads
//!
//! [`Engine`], [`Module`], [`Linker`] and [`InstancePre`] are `Send + Sync` and cheap to clone. A
//! [`Store`] is used by one thread at a time, and can be sent to another if its data can.

#![deny(missing_docs)]

mod any;
mod backtrace;
mod cache;
pub mod component;
mod config;
mod cpu;
mod engine;
mod error;
mod exception;
mod externals;
mod func;
mod global;
mod instance;
mod limits;
mod linker;
mod matching;
mod memory;
mod module;
mod profile;
mod shared;
mod store;
mod table;
pub mod tools;
mod trap;
mod types;
mod val;

pub use any::{AnyRef, I31};
pub use backtrace::{FrameInfo, WasmBacktrace};
pub use cache::{Cache, CacheConfig, CacheUsage};
pub use cellwall_base::{Invalid, Limit};
pub use cellwall_verify::{Rule, Violation};
pub use config::Config;
pub use cpu::CpuFeature;
pub use engine::{Engine, Precompiled};
pub use error::{Chain, Context, Error, Ok, Result};
pub use exception::{ExnRef, ExnRefPre, ExnType, Tag, ThrownException};
pub use externals::{Export, Extern};
pub use func::{Caller, Func, IntoFunc, TypedFunc, WasmParams, WasmResults, WasmRet, WasmTy, WasmTyList};
pub use global::Global;
pub use instance::{Instance, InstancePre};
pub use limits::{
    DEFAULT_INSTANCE_LIMIT, DEFAULT_MEMORY_LIMIT, DEFAULT_TABLE_LIMIT, ResourceLimiter, StoreLimits,
    StoreLimitsBuilder,
};
pub use linker::{Linker, UnknownImportError};
pub use memory::{Memory, MemoryAccessError};
pub use module::{CompileError, FrameSymbol, Module};
pub use profile::ProfilingStrategy;
pub use shared::{SharedMemory, WaitResult};
pub use store::{AsContext, AsContextMut, InterruptHandle, Store, StoreContext, StoreContextMut};
pub use table::Table;
pub use trap::Trap;
pub use types::{
    ExportType, ExternType, FuncType, GlobalType, HeapType, ImportType, MemoryType, MemoryTypeBuilder,
    Mutability, RefType, TableType, TagType, ValType,
};
pub use val::{ExternRef, Ref, Rooted, V128, Val};
