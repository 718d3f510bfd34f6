//! Decoded and validated WebAssembly modules, and the validating walk over a body.
//!
//! [`decode`] turns bytes into a [`Module`]: every section but the bodies is checked, the bodies
//! are kept as byte ranges. [`walk`] validates one body and delivers its operators to a [`Sink`]
//! in the same pass, so "compile an unvalidated body" cannot be written. [`validate`] does both for
//! a whole module.
//!
//! Requires nothing of the bytes. Guarantees that what a [`Module`] says is valid by the core
//! specification 3.0 without objects of the heap (of garbage collection there are
//! references to numbers of 31 bits, and casts to abstract types), with both encodings of exceptions, threads, custom
//! page sizes and wide arithmetic.
//! Deliberately contains no decoder or validator of its own (both are the crate `wasmparser`) and
//! knows no machine.

mod decode;
mod error;
mod hints;
mod module;
mod names;
mod references;
mod survey;
mod tries;
mod walk;

pub use decode::decode;
pub use error::{invalid, refused};
pub use module::{
    ConstExpr, ConstOp, CustomSection, DataSegment, ElementItems, ElementMode, ElementSegment, Export,
    FuncType, Global, Import, Item, Memory, Module, Table, Tag, ValType,
};
pub use survey::{Summary, survey};
pub use tries::{Arm, Try, tries};
pub use walk::{At, Sink, Walker, walk};
/// The operators that a [`Sink`] hears, and the immediates inside them.
pub use wasmparser::{
    AbstractHeapType, BlockType, BrTable, Catch, HeapType, MemArg, MemArgTarget, Operator, RefType, TryTable,
};

use cellwall_base::{IdMap, Invalid};
use std::sync::Arc;

/// Decodes and fully validates a module, bodies included.
///
/// # Errors
/// The first thing that is wrong, with its offset.
pub fn validate(bytes: impl Into<Arc<[u8]>>) -> Result<Module, Invalid> {
    struct Deaf;
    impl Sink for Deaf {
        fn locals(&mut self, _count: u32, _ty: ValType) {}
        fn operator(&mut self, _operator: &Operator<'_>, _at: At) {}
    }
    let module = decode(bytes)?;
    let mut walker = Walker::new();
    for func in module.defined_funcs() {
        walker.walk(&module, func, &mut Deaf)?;
    }
    Ok(module)
}

/// The features that a module may use.
pub fn features() -> wasmparser::WasmFeatures {
    error::FEATURES
}

/// Function names as ranges of the module's bytes; empty where there is none.
type Names = IdMap<cellwall_base::FuncIdx, std::ops::Range<u32>>;
