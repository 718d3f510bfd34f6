//! The SSA intermediate representation: what a function computes, without WebAssembly and without
//! machines.
//!
//! A [`Func`] is a list of blocks with parameters; every value is defined once, by a block
//! parameter or an instruction. Operators are rows of [`op`], each with its meaning as a function
//! on bits, which constant folding and the reference interpreter share.
//!
//! Requires nothing but ids. Guarantees, once [`check()`] accepts a function: every use is dominated
//! by its definition, types agree with the rows, branch arguments match block parameters. Does not
//! know calling conventions, offsets of the context, or traps as faults.

mod check;
mod dominators;
mod func;
pub mod interp;
pub mod lanes;
pub mod op;
mod text;
pub mod vector;

pub use check::{CheckError, check};
pub use dominators::Dominators;
pub use func::{
    BlockCall, BlockData, Func, FuncBuilder, Inlined, InstData, InstNode, SOURCES_INLINED, Signature,
    ValueDef, ValueList, ValueRange,
};
pub use op::{AtomicOp, BinaryOp, CompareOp, LoadOp, StoreOp, Trap, Type, UnaryOp};
pub use vector::{Form, VectorOp};

cellwall_base::id! {
    /// An SSA value.
    Value, "v"
}
cellwall_base::id! {
    /// A basic block.
    Block, "b"
}
cellwall_base::id! {
    /// An instruction.
    Inst, "i"
}
cellwall_base::id! {
    /// A signature that calls in this function use.
    Sig, "sig"
}
cellwall_base::id! {
    /// A routine of the runtime, by its number in the treaty between compiler and runtime.
    Library, "lib"
}
