//! Types of values, functions and everything that a module imports or exports.
//!
//! Types that refer to functions of one type belong to an engine; all others are plain data and may be
//! compared with any other. Guarantees that every type here can be held by code of this version:
//! vectors and references to functions and host values; those to objects of the heap are refused
//! before a module exists.

mod external;
mod function;
mod value;

pub use external::{
    ExportType, ExternType, GlobalType, ImportType, MemoryType, MemoryTypeBuilder, TableType, TagType,
};
pub use function::FuncType;
pub use value::{HeapType, Mutability, RefType, ValType};
