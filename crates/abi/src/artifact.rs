//! Linked code of one module: what the verifier proves and the runtime maps.
//!
//! The image is `text`, then `rodata` at the next multiple of [`PAGE`]; displacements between them
//! are already filled in. Program counters in tables are offsets from the start of `text`. An
//! artifact is untrusted until the verifier has accepted it.

use crate::blob::{CallSite, InlinedCall, InlinedSite, LandingPad, TrapSite, UnwindRow};
use crate::bytes::Bytes;
use crate::shape::Shape;
use crate::target::Target;
use cellwall_base::FuncIdx;

/// Alignment in bytes of `rodata` behind `text` in the image.
pub const PAGE: u32 = 4096;
/// Alignment in bytes of a function's first byte, and with it of the loops inside.
pub const FUNC_ALIGN: u32 = 64;
/// Byte between functions (`int3`).
pub const PADDING: u8 = 0xcc;

/// Linked code of one module.
#[derive(Clone, PartialEq, Debug)]
pub struct Artifact {
    /// What the code was compiled for.
    pub target: Target,
    /// The module from outside.
    pub shape: Shape,
    /// Machine code of all functions.
    pub text: Bytes,
    /// Constants and jump tables.
    pub rodata: Bytes,
    /// The functions present, in ascending order of their place and of their index.
    pub funcs: Vec<FuncRange>,
    /// Jump tables in `rodata`, ascending.
    pub jump_tables: Vec<JumpTable>,
    /// All instructions that can fault, ascending.
    pub traps: Vec<TrapSite>,
    /// All calls, ascending.
    pub calls: Vec<CallSite>,
    /// Where exceptions that leave a call are caught, ascending by the call; the first that fits
    /// counts.
    pub pads: Vec<LandingPad>,
    /// The frame size by program counter, ascending; each function starts with a row.
    pub unwind: Vec<UnwindRow>,
    /// Hint: block heads, ascending.
    pub heads: Vec<u32>,
    /// Calls whose callee was inlined, callers before callees; for backtraces only.
    pub inlined: Vec<InlinedCall>,
    /// The traps and calls in inlined bodies, ascending; for backtraces only.
    pub inlined_sites: Vec<InlinedSite>,
    /// Bytes of the data segments.
    pub data: Bytes,
    /// Function names from the name section, ascending; for backtraces only.
    pub names: Vec<(FuncIdx, String)>,
}

/// Where a function lies in `text`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FuncRange {
    /// The function.
    pub func: FuncIdx,
    /// Its first byte.
    pub start: u32,
    /// Its length in bytes.
    pub len: u32,
}

/// A jump table in `rodata`: `len` signed 32-bit distances from the table's first byte to a target
/// in the text of `func`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct JumpTable {
    /// Offset in `rodata`, a multiple of 4.
    pub offset: u32,
    /// Number of entries, at least 1.
    pub len: u32,
    /// The function it belongs to.
    pub func: FuncIdx,
}

impl Artifact {
    /// Offset of `rodata` in the image.
    pub fn rodata_offset(&self) -> u32 {
        (self.text.len() as u32).next_multiple_of(PAGE)
    }

    /// The range of a function, if the artifact has it.
    pub fn func_range(&self, func: FuncIdx) -> Option<FuncRange> {
        // Most often all functions from the first one on are there.
        let guess = func.as_u32().checked_sub(self.funcs.first()?.func.as_u32())?;
        match self.funcs.get(guess as usize) {
            Some(range) if range.func == func => Some(*range),
            _ => {
                let at = self.funcs.binary_search_by_key(&func, |range| range.func).ok()?;
                Some(self.funcs[at])
            }
        }
    }

    /// The function whose code has the byte at `pc`.
    pub fn func_at(&self, pc: u32) -> Option<FuncRange> {
        let after = self.funcs.partition_point(|range| range.start <= pc);
        let range = *self.funcs.get(after.checked_sub(1)?)?;
        (pc - range.start < range.len).then_some(range)
    }

    /// The trap site of the instruction at `pc`.
    pub fn trap_at(&self, pc: u32) -> Option<TrapSite> {
        let at = self.traps.binary_search_by_key(&pc, |site| site.pc).ok()?;
        Some(self.traps[at])
    }

    /// The call whose return address is `pc`.
    pub fn call_at(&self, pc: u32) -> Option<CallSite> {
        let at = self.calls.binary_search_by_key(&pc, |site| site.return_pc).ok()?;
        Some(self.calls[at])
    }

    /// Where exceptions that leave the call with this return address are caught, in order of
    /// preference.
    pub fn pads_at(&self, return_pc: u32) -> &[LandingPad] {
        let from = self.pads.partition_point(|pad| pad.return_pc < return_pc);
        let len = self.pads[from..]
            .iter()
            .take_while(|pad| pad.return_pc == return_pc);
        &self.pads[from..from + len.count()]
    }

    /// The inlined calls around the trap at `pc`, or around the call whose last byte is there, the
    /// innermost first.
    pub fn inlined_at(&self, pc: u32) -> impl Iterator<Item = InlinedCall> {
        let at = self.inlined_sites.binary_search_by_key(&pc, |site| site.pc);
        let first = at.ok().map(|at| self.inlined_sites[at].call);
        let call = |index: u32| Some((index, *self.inlined.get(index as usize)?));
        // Ends because indexes only become less.
        let calls = std::iter::successors(first.and_then(call), move |&(index, inlined)| {
            call(inlined.parent.filter(|&parent| parent < index)?)
        });
        calls.map(|(_, inlined)| inlined)
    }

    /// Bytes between the stack pointer and the return address at `pc`.
    pub fn frame_bytes_at(&self, pc: u32) -> Option<u32> {
        let range = self.func_at(pc)?;
        let after = self.unwind.partition_point(|row| row.pc <= pc);
        let row = self.unwind.get(after.checked_sub(1)?)?;
        (row.pc >= range.start).then_some(row.frame_bytes)
    }

    /// The name of a function, if it has one.
    pub fn name(&self, func: FuncIdx) -> Option<&str> {
        let at = self.names.binary_search_by_key(&func, |(f, _)| *f).ok()?;
        Some(&self.names[at].1)
    }
}
