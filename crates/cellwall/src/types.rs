//! Types of values, functions and everything that a module imports or exports.
//!
//! Requires nothing of an engine: a type is plain data and may be compared with any other.
//! Guarantees that every type here can be held by code of this version: vectors and references to
//! functions and host values; reference types of later specifications are refused before a module
//! exists.

mod external;
mod function;
mod value;

pub use external::{
    ExportType, ExternType, GlobalType, ImportType, MemoryType, MemoryTypeBuilder, TableType, TagType,
};
pub use function::FuncType;
pub use value::{HeapType, Mutability, RefType, ValType};
