//! The treaty: every fact on which compiler, verifier and runtime must agree, and nothing else.
//!
//! Requires only the shared words of `base`. Guarantees that each offset of the instance context,
//! each trap code, each library call and each calling-convention fact is written down once.
//! Trusted for isolation, therefore small: data and arithmetic on it, no policy, no I/O.
//!
//! * [`convention`]: registers, argument and result places, the store's block.
//! * [`context`]: the layout of the instance context, with the kind of each field.
//! * [`traps`] and [`library`]: the tables of trap codes and library calls.
//! * [`shape`]: all that the rooms after the compiler know of a module.
//! * [`blob`] and [`artifact`]: compiled functions, alone and linked; [`pack`]: linked ones as bytes;
//!   [`Bytes`]: what they hold, owned or shared.

pub mod artifact;
pub mod blob;
mod bytes;
pub mod context;
pub mod convention;
pub mod library;
pub mod pack;
pub mod shape;
pub mod target;
pub mod traps;
pub mod types;

pub use artifact::{Artifact, FuncRange, JumpTable};
pub use blob::{
    CallSite, CodeBlob, InlinedCall, InlinedSite, LandingPad, Reloc, RelocKind, TrapSite, UnwindRow,
};
pub use bytes::Bytes;
pub use context::{ContextLayout, Field, FieldKind};
pub use convention::{Assignment, Place, assign};
pub use library::LibCall;
pub use shape::Shape;
pub use target::{CpuFeatures, Target};
pub use traps::TrapCode;
pub use types::{Signature, ValType};
