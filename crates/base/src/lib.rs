//! Words that every room shares: typed ids, id-maps, bit sets, limits and the two error shapes of
//! bad input.
//!
//! Requires nothing. Guarantees deterministic iteration order everywhere (no hashing). Deliberately
//! knows neither WebAssembly nor machines.

mod bitset;
mod entity;
mod error;
pub mod limits;
pub mod types;

pub use bitset::BitSet;
pub use entity::{EntityId, IdMap};
pub use error::{Invalid, Limit};

id! {
    /// A function of a module: imported functions first, then defined ones.
    FuncIdx, "f"
}
id! {
    /// A function type of a module.
    TypeIdx, "t"
}
id! {
    /// A linear memory of a module: imported ones first.
    MemoryIdx, "m"
}
id! {
    /// A table of a module: imported ones first.
    TableIdx, "tab"
}
id! {
    /// A global of a module: imported ones first.
    GlobalIdx, "g"
}
id! {
    /// A data segment of a module.
    DataIdx, "d"
}
id! {
    /// An element segment of a module.
    ElemIdx, "e"
}
id! {
    /// A tag of a module: imported ones first.
    TagIdx, "tag"
}
