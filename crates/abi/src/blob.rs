//! One compiled function: inert, position-independent bytes with what linking, verifying, trapping
//! and unwinding need to know about them. Program counters are byte offsets from the function's
//! first byte.

use crate::traps::TrapCode;
use cellwall_base::{FuncIdx, TagIdx};

/// One compiled function.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CodeBlob {
    /// The function.
    pub func: FuncIdx,
    /// Machine code; relocated fields hold zero.
    pub code: Vec<u8>,
    /// Fields to be filled in by the linker.
    pub relocs: Vec<Reloc>,
    /// Constants that the code reads, 16-byte aligned.
    pub rodata: Vec<u8>,
    /// Jump tables: the program counters of their targets.
    pub jump_tables: Vec<Vec<u32>>,
    /// Instructions that can fault, in ascending order.
    pub traps: Vec<TrapSite>,
    /// Calls, in ascending order of their return address.
    pub calls: Vec<CallSite>,
    /// Where exceptions that leave a call are caught, in ascending order of the return address; of
    /// those with the same one, the first that fits counts.
    pub pads: Vec<LandingPad>,
    /// The frame size by program counter, in ascending order; the first row is at 0.
    pub unwind: Vec<UnwindRow>,
    /// Hint for the verifier: the program counters of block heads, ascending. Every branch goes to
    /// one of them.
    pub heads: Vec<u32>,
    /// Calls whose callee was inlined, callers before callees.
    pub inlined: Vec<InlinedCall>,
    /// The traps and calls that lie in inlined bodies, ascending.
    pub inlined_sites: Vec<InlinedSite>,
}

/// A field that the linker fills in: a signed 32-bit displacement from the end of its instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reloc {
    /// Offset of the four-byte field in the code.
    pub at: u32,
    /// Bytes of the instruction behind the field.
    pub tail: u8,
    /// What it refers to.
    pub kind: RelocKind,
}

/// What a relocation refers to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RelocKind {
    /// The entry of a function defined in the module.
    Func(FuncIdx),
    /// A byte of the blob's own constants.
    Rodata(u32),
    /// The first entry of one of the blob's own jump tables.
    JumpTable(u32),
}

/// An instruction that can fault, and what the fault means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TrapSite {
    /// Program counter of the instruction.
    pub pc: u32,
    /// What a fault there means.
    pub code: TrapCode,
    /// Offset of the operator in the WebAssembly binary.
    pub wasm_offset: u32,
}

/// A call and the operator it was made for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CallSite {
    /// Return address.
    pub return_pc: u32,
    /// Offset of the operator in the WebAssembly binary.
    pub wasm_offset: u32,
}

/// A place where an exception that leaves a call is caught.
///
/// The frame there is that of the call. A reference to the exception, then the values of the tag
/// ([`Shape::pad_types`](crate::Shape::pad_types)), are where results of these types are; the pinned
/// registers are what they were, and no other register is defined.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LandingPad {
    /// Return address of the call.
    pub return_pc: u32,
    /// Where execution goes on.
    pub pad: u32,
    /// The tag of exceptions that are caught; `None` for all.
    pub tag: Option<TagIdx>,
    /// Whether the reference is wanted; otherwise it is null.
    pub with_ref: bool,
}

/// A call whose callee was inlined: a frame that backtraces show and the stack has not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InlinedCall {
    /// The callee.
    pub func: FuncIdx,
    /// Offset of the call operator in the WebAssembly binary.
    pub wasm_offset: u32,
    /// The inlined call in whose callee this one lies, as an index that is less than its own.
    pub parent: Option<u32>,
}

/// A trap or call in an inlined body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InlinedSite {
    /// Program counter of the instruction that can fault, or of the last byte of the call.
    pub pc: u32,
    /// The innermost inlined call around it, as an index.
    pub call: u32,
}

/// From `pc` on (up to the next row), the return address lies at `rsp + frame_bytes`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UnwindRow {
    /// First program counter.
    pub pc: u32,
    /// Bytes between the stack pointer and the return address.
    pub frame_bytes: u32,
}
