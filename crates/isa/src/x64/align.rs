//! Where loops start.
//!
//! A processor takes instructions that it has decoded before from entries that belong to one line of
//! [`LINE_BYTES`] each. As many instructions as two entries hold come in one cycle; a line with more
//! takes three (measured on Zen 5, where a loop of 14 instructions that starts a line takes four
//! cycles, and two if half of it lies in the next one; RATIONALE). So a loop of up to
//! [`SHORT_BYTES`] is put where the lines that it lies in take the fewest cycles; of one that is
//! longer, where it is entered lies in one line.
//!
//! Requires what `encode` knows of a function. Guarantees less than a line of padding for each loop,
//! and work that is linear in the code: short loops have few instructions, and loops within another
//! one make it one that counts as long. A loop that calls is put into one line if it fits, since the
//! processor comes to it twice for each round, and left alone otherwise.

use super::code::{Branch, Label};
use super::func::{Block, MFunc};
use crate::Phys;
use cellwall_base::EntityId;
use std::ops::Range;

/// Bytes that the processor fetches at once. The function itself must start such a line.
pub const LINE_BYTES: u32 = 64;
/// Loops up to this length are placed by their instructions.
const SHORT_BYTES: u32 = 192;
/// Lines that a short loop can touch.
const LINES_MAX: usize = (SHORT_BYTES / LINE_BYTES) as usize + 2;
/// Instructions of one line that come in one cycle.
const LINE_INSTS: u32 = 12;
/// Cycles of a line with more.
const DENSE_CYCLES: u32 = 3;
/// Short loops start at multiples of this, if they are moved.
const STEP_BYTES: u32 = 8;

/// Instructions that do nothing, longest first; those with an address have its canonical encoding.
const NOPS: [&[u8]; 7] = [
    &[0x0f, 0x1f, 0x84, 0x00, 0, 1, 0, 0], // [rax+rax+256]
    &[0x0f, 0x1f, 0x80, 0, 1, 0, 0],       // [rax+256]
    &[0x0f, 0x1f, 0x44, 0x00, 1],          // [rax+rax+1]
    &[0x0f, 0x1f, 0x40, 1],                // [rax+1]
    &[0x0f, 0x1f, 0x00],                   // [rax]
    &[0x66, 0x90],
    &[0x90],
];

/// An instruction of a short loop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Mark {
    /// How far from the start of the loop.
    at: u8,
    /// Whether it counts; a conditional branch is one with what it tests.
    counts: bool,
}

/// A loop that may be moved by padding before it.
#[derive(Clone, Debug)]
pub(super) struct Loop {
    pub(super) head: Label,
    /// Length of the block at its head.
    head_bytes: u32,
    /// Length up to its last jump back.
    bytes: u32,
    /// Its instructions, if it is short.
    marks: Range<u32>,
    /// Whether there is a call on the way.
    calls: bool,
}

impl Loop {
    /// A loop that is still to be measured.
    pub(super) fn at(head: Label, calls: bool) -> Self {
        Self {
            head,
            calls,
            head_bytes: 0,
            bytes: 0,
            marks: 0..0,
        }
    }

    /// How many bytes to put before the loop, if it would start at `start`.
    pub(super) fn padding(&self, start: u32, marks: &[Mark]) -> u32 {
        let marks = &marks[self.marks.start as usize..self.marks.end as usize];
        let line_rest = LINE_BYTES - start % LINE_BYTES;
        if self.calls && self.bytes > LINE_BYTES {
            return 0;
        }
        if !marks.is_empty() {
            let first = start.next_multiple_of(STEP_BYTES) - start;
            let steps = (first..LINE_BYTES).step_by(STEP_BYTES as usize);
            let places = std::iter::once(0).chain(steps);
            return places
                .min_by_key(|padding| cycles(marks, start + padding))
                .expect("there is one place at least");
        }
        // Of a loop that is larger than a line, what counts is where it is entered.
        let piece = match (self.bytes, self.head_bytes) {
            (..=LINE_BYTES, _) => self.bytes,
            (_, ..=LINE_BYTES) => self.head_bytes,
            _ => LINE_BYTES / 2,
        };
        if piece <= line_rest { 0 } else { line_rest }
    }
}

/// How many cycles it takes to fetch a loop that starts at `start`.
fn cycles(marks: &[Mark], start: u32) -> u32 {
    let mut lines = [None; LINES_MAX];
    for mark in marks {
        let line = (start % LINE_BYTES + u32::from(mark.at)) / LINE_BYTES;
        *lines[line as usize].get_or_insert(0) += u32::from(mark.counts);
    }
    let touched = lines.into_iter().flatten();
    touched
        .map(|insts: u32| if insts <= LINE_INSTS { 1 } else { DENSE_CYCLES })
        .sum()
}

/// What is known of the code before branches get short.
pub(super) struct Extents<'a> {
    /// By label.
    pub(super) positions: &'a [u32],
    /// Where instructions start that are no branches.
    pub(super) starts: &'a [u32],
    pub(super) branches: &'a [Branch],
}

impl Extents<'_> {
    /// Fills in how long loops will be, if their branches become short; the instructions of short
    /// ones.
    pub(super) fn measure(
        &self,
        loops: &mut [Loop],
        ends: &[Option<(Block, bool)>],
        block_ends: &[u32],
    ) -> Vec<Mark> {
        let mut marks = Vec::new();
        for at in 0..loops.len() {
            let head = loops[at].head.0 as usize;
            let start = self.positions[head];
            let (last, _) = ends[head].expect("only loops are in the list");
            // The last block may have been skipped, as one that only jumps.
            let end = block_ends[last.index()].max(block_ends[head]);
            let inner = loops.get(at + 1);
            let innermost = inner.is_none_or(|inner| self.positions[inner.head.0 as usize] >= end);
            let found = &mut loops[at];
            found.head_bytes = self.bytes(start, block_ends[head]);
            found.bytes = self.bytes(start, end);
            if innermost && !found.calls && found.bytes <= SHORT_BYTES {
                let first = marks.len() as u32;
                self.mark(start, end, &mut marks);
                found.marks = first..marks.len() as u32;
            }
        }
        marks
    }

    /// The branches from a position on.
    fn branches_from(&self, start: u32) -> &[Branch] {
        &self.branches[self.branches.partition_point(|branch| branch.at < start)..]
    }

    fn bytes(&self, start: u32, end: u32) -> u32 {
        // What is longer than a few lines need not be known exactly.
        let branches = self.branches_from(start).iter().take(LINE_BYTES as usize);
        let inside = branches.take_while(|branch| branch.at < end);
        end - start - inside.map(|branch| branch.len() - 2).sum::<u32>()
    }

    /// Adds the instructions of a short loop.
    fn mark(&self, start: u32, end: u32, marks: &mut Vec<Mark>) {
        let from = self.starts.partition_point(|&at| at < start);
        let mut starts = self.starts[from..].iter().copied().peekable();
        let mut saved = 0;
        let mut branches = self.branches_from(start).iter();
        loop {
            let branch = branches.next().filter(|branch| branch.at < end);
            let until = branch.map_or(end, |branch| branch.at);
            let mut push = |at: u32, counts: bool| {
                let at = u8::try_from(at - start - saved).expect("the loop is short");
                marks.push(Mark { at, counts });
            };
            while let Some(at) = starts.next_if(|&at| at < until) {
                push(at, true);
            }
            let Some(branch) = branch else { break };
            push(branch.at, branch.cond.is_none());
            saved += branch.len() - 2;
        }
    }
}

/// For each block that is the head of a loop, the last block that jumps back to it, and whether there
/// is a call on the way.
pub(super) fn loop_ends(func: &MFunc<Phys>) -> Vec<Option<(Block, bool)>> {
    // For each block, how many blocks before it call.
    let mut calls = Vec::with_capacity(func.blocks.len() + 1);
    calls.push(0u32);
    let mut ends = vec![None; func.blocks.len()];
    for block in func.blocks.ids() {
        let any = func.insts_of(block).iter().any(|inst| inst.row.is_call());
        let count = calls[block.index()] + u32::from(any);
        calls.push(count);
        for edge in func.edges_of(block) {
            if edge.to <= block {
                // The last such edge decides: it has the whole loop before it.
                ends[edge.to.index()] = Some((block, calls[edge.to.index()] != count));
            }
        }
    }
    ends
}

/// This many bytes of instructions that do nothing.
pub(super) fn pad(code: &mut Vec<u8>, mut len: usize) {
    for nop in NOPS {
        while len >= nop.len() {
            code.extend_from_slice(nop);
            len -= nop.len();
        }
    }
}
