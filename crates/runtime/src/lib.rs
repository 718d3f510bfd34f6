//! Living code: mapping, stores, instances, memories, tables, calls, traps, cell stacks.
//!
//! Takes verified code (`cellwall-verify`) and runs it. Guarantees that only verified bytes become
//! executable, that a guest touches nothing but its own instance, memories and stack, that every
//! fault of guest code is a trap of its caller, and that its users need no `unsafe`. The only crate
//! with `unsafe` and assembly; what depends on the system or the processor is in `sys`.
//!
//! * [`Engine`], [`Code`]: what stores share; mapped code. [`Frozen`]: files that it comes from.
//! * [`Store`]: instances, memories, tables, globals and functions, named by ids; the host's data.
//! * [`HostFunc`], [`Caller`]: Rust closures that guests call. [`Begun`]: those that are futures. [`HostFuncs`]: those
//!   that go into stores together.
//! * [`Error`], [`Frame`]: how a call ends badly, and where.
//! * [`Limiter`]: the embedder's say on growth.
//!
//! Guest code runs on cell stacks, host code on the thread's own. Values cross in the store's
//! block, at places that the signature fixes, so that typed calls in both directions neither
//! allocate nor box. Deliberately knows no compiler and no WebAssembly binary.

mod activation;
mod arena;
mod backtrace;
mod call;
mod code;
mod const_expr;
mod context;
mod engine;
mod error;
mod exception;
mod flat;
mod frozen;
mod func;
mod future;
mod global;
mod host;
mod id;
mod image;
mod instance;
mod library;
mod limits;
mod link;
mod memory;
mod parts;
mod pool;
mod shared;
mod slots;
mod spare;
mod stack;
mod store;
mod sys;
mod table;
mod thread;
mod types;
mod value;
mod wait;

pub use backtrace::{FRAMES_MAX, Frame};
pub use code::Code;
pub use engine::{Engine, EngineConfig, InterruptHandle, host_features};
pub use error::{Error, HostError};
pub use exception::{EXCEPTION_BYTES_MAX, EXCEPTIONS_MAX, ThrownException};
pub use flat::{FLAT_PARAMS_MAX, FlatFunc};
pub use frozen::{FILE_BYTES_MAX, Frozen};
pub use func::TypedFunc;
pub use global::GlobalType;
pub use host::{Caller, HostFunc, HostFuncs, HostFuncsIn, OwnedFunc};
pub use id::{Extern, FuncId, GlobalId, InstanceId, MemoryId, StoreId, TableId, TagId};
pub use limits::Limiter;
pub use memory::MemoryType;
pub use shared::SharedMemory;
pub use store::{Store, StoreInner, StoreOpaque};
pub use sys::mark_for_profiler;
pub use table::TableType;
pub use types::{TypeRecord, plain_ref};
pub use value::{AnyRef, Block, ExnRef, ExternRef, FuncRef, Raw, RawList, RawVal};
pub use wait::{Begun, HostFuture};
