//! Encoding of a function: layout, branches, tables.
//!
//! Every branch is first emitted with a 32-bit displacement; one linear pass then shortens those
//! whose target is near, pads before loops and moves all program counters. Blocks that only
//! jump are skipped. What rarely runs (traps, slow paths) comes after the last block.

use super::align::{Extents, LINE_BYTES, Loop, Mark, loop_ends, pad};
use super::encode::Bytes;
use super::expand::Cold;
use super::func::{Block, Catches, MFunc};
use super::inst::{Cond, Inst, Width};
use super::row::Row;
use crate::Phys;
use cellwall_base::EntityId;
use std::fmt;

/// The code of a function. Program counters are offsets in `bytes`; all lists ascend.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Code {
    /// Machine code; relocated fields hold zero.
    pub bytes: Vec<u8>,
    /// Fields for the linker.
    pub relocs: Vec<Reloc>,
    /// Instructions that can fault.
    pub traps: Vec<TrapSite>,
    /// Calls.
    pub calls: Vec<CallSite>,
    /// Where exceptions that leave a call are caught; the first that fits counts.
    pub pads: Vec<LandingPad>,
    /// Frame sizes: from each program counter on.
    pub frames: Vec<Frame>,
    /// Targets of branches and jump tables.
    pub heads: Vec<u32>,
    /// Jump tables: program counters of the targets.
    pub jump_tables: Vec<Vec<u32>>,
}

/// A four-byte displacement from the end of its instruction, to be filled in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reloc {
    /// Offset of the field.
    pub at: u32,
    /// Bytes of the instruction behind the field.
    pub tail: u8,
    /// To what.
    pub target: RelocTarget,
}

/// What a relocation refers to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RelocTarget {
    /// A function of the module.
    Func(u32),
    /// A byte of the function's constants.
    Rodata(u32),
    /// A jump table of the function.
    JumpTable(u32),
}

/// An instruction that can fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TrapSite {
    /// Its program counter.
    pub pc: u32,
    /// The trap code.
    pub code: u8,
    /// Offset of the operator in the source.
    pub origin: u32,
}

/// A call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CallSite {
    /// Its return address.
    pub return_pc: u32,
    /// Offset of the operator in the source.
    pub origin: u32,
}

/// A place where exceptions that leave a call are caught.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LandingPad {
    /// Return address of the call.
    pub return_pc: u32,
    /// Where execution goes on.
    pub pad: u32,
    /// Which exceptions.
    pub catches: Catches,
}

/// From `pc` on, the return address lies `bytes` above the stack pointer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frame {
    /// Program counter.
    pub pc: u32,
    /// Bytes between stack pointer and return address.
    pub bytes: u32,
}

/// How the frame is entered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Bytes of the frame.
    pub frame_bytes: u32,
    /// The stack is read at each multiple of this many bytes before a larger frame is entered.
    pub probe_bytes: u32,
    /// Trap code of a probe that faults.
    pub trap: u8,
}

/// The code of the function would be larger than allowed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CodeTooLarge;

impl fmt::Display for CodeTooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the machine code of the function is too large")
    }
}

impl std::error::Error for CodeTooLarge {}

/// A place in the code: the number of a block, or one made by `Asm::label`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Label(pub(super) u32);

/// From where code after the last block is reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Origin {
    /// Offset of the operator in the source.
    source: u32,
    /// Whether the frame exists there.
    framed: bool,
}

/// Position of a label that is not bound yet.
const UNBOUND: u32 = u32::MAX;

pub(super) struct Branch {
    pub(super) at: u32,
    to: Label,
    pub(super) cond: Option<Cond>,
    short: bool,
}

impl Branch {
    /// Length of the long form.
    pub(super) fn len(&self) -> u32 {
        if self.cond.is_some() { 6 } else { 5 }
    }
}

/// How positions before relaxation become those after it: from `from` on, add `by`.
#[derive(Clone, Copy, Debug)]
struct Move {
    from: u32,
    by: i64,
    /// Whether something was put there, not taken away before it.
    pad: bool,
}

/// Code under construction.
pub(super) struct Asm<'f> {
    pub(super) func: &'f MFunc<Phys>,
    pub(super) out: Bytes,
    pub(super) cold: Vec<(Label, Origin, Cold)>,
    entry: Entry,
    /// Whether the frame exists here.
    framed: bool,
    /// The block whose instructions are being emitted.
    pub(super) block: Block,
    positions: Vec<u32>,
    referenced: Vec<bool>,
    bound: Vec<Label>,
    /// Loops whose place matters, in order.
    loops: Vec<Loop>,
    /// Where the instructions of short loops start.
    marks: Vec<Mark>,
    /// Bytes put before each of them.
    pads: Vec<(u32, u32)>,
    branches: Vec<Branch>,
    traps: Vec<TrapSite>,
    calls: Vec<CallSite>,
    frames: Vec<Frame>,
    tables: Vec<(u32, Vec<Label>)>,
    /// The number of the call in `calls`, what is caught, and where.
    landings: Vec<(usize, Catches, Label)>,
    /// For each block, the one that a branch to it may go to instead.
    threaded: Vec<Block>,
}

/// Encodes a function.
///
/// # Errors
/// If the code would be longer than `limit` bytes.
pub fn encode(func: &MFunc<Phys>, entry: Entry, limit: usize) -> Result<Code, CodeTooLarge> {
    let mut asm = Asm::new(func, entry);
    let layout: Vec<Block> = func
        .blocks
        .ids()
        .filter(|&b| b.index() == 0 || asm.threaded[b.index()] == b)
        .collect();
    let ends = loop_ends(func);
    let mut block_ends = vec![0; func.blocks.len()];
    let mut falls = true;
    for (at, &block) in layout.iter().enumerate() {
        let label = Label(block.as_u32());
        asm.bind(label);
        asm.block = block;
        asm.set_framed(func.blocks[block].framed);
        // What is jumped over cannot be padded: nothing would lead to the padding.
        if let Some((_, calls)) = ends[block.index()]
            && falls
            && asm.out.pos() > 0
        {
            asm.loops.push(Loop::at(label, calls));
        }
        for inst in func.insts_of(block) {
            if inst.row.is_terminator() {
                falls = asm.terminator(block, inst, layout.get(at + 1).copied());
            } else {
                asm.inst(inst);
            }
        }
        block_ends[block.index()] = asm.out.pos();
        if asm.out.code.len() > limit {
            return Err(CodeTooLarge);
        }
    }
    asm.marks = Extents {
        positions: &asm.positions,
        starts: &asm.out.starts,
        branches: &asm.branches,
    }
    .measure(&mut asm.loops, &ends, &block_ends);
    let mut next = 0;
    while let Some((label, origin, cold)) = asm.cold.get(next).cloned() {
        asm.bind(label);
        asm.set_framed(origin.framed);
        asm.cold(origin.source, cold);
        next += 1;
    }
    let code = asm.finish();
    if code.bytes.len() > limit {
        Err(CodeTooLarge)
    } else {
        Ok(code)
    }
}

/// Where a branch to each block may go instead, past blocks that only jump.
fn thread(func: &MFunc<Phys>) -> Vec<Block> {
    let mut to: Vec<Block> = func.blocks.ids().collect();
    for block in func.blocks.ids().skip(1) {
        if let [inst] = func.insts_of(block)
            && inst.row == Row::Jump
        {
            to[block.index()] = func.edges_of(block)[0].to;
        }
    }
    // Each chain is followed once; what lies on it gets its end. A circle of jumps ends where it
    // was entered.
    let mut done = vec![false; to.len()];
    let mut chain = Vec::new();
    for start in func.blocks.ids() {
        let mut at = start;
        while !done[at.index()] && to[at.index()] != at {
            done[at.index()] = true;
            chain.push(at);
            at = to[at.index()];
        }
        let circle = chain.iter().position(|&b| b == at);
        let end = if circle.is_some() { at } else { to[at.index()] };
        done[at.index()] = true;
        chain.drain(..).for_each(|b| to[b.index()] = end);
    }
    to
}

impl<'f> Asm<'f> {
    fn new(func: &'f MFunc<Phys>, entry: Entry) -> Self {
        let blocks = func.blocks.len();
        Self {
            func,
            out: Bytes {
                code: Vec::with_capacity(func.insts.len() * 5),
                relocs: Vec::new(),
                starts: Vec::with_capacity(func.insts.len()),
            },
            cold: Vec::new(),
            entry,
            framed: false,
            block: Block::from_u32(0),
            positions: vec![UNBOUND; blocks],
            referenced: vec![false; blocks],
            bound: Vec::with_capacity(blocks),
            loops: Vec::new(),
            marks: Vec::new(),
            pads: Vec::new(),
            branches: Vec::new(),
            traps: Vec::new(),
            calls: Vec::new(),
            frames: vec![Frame { pc: 0, bytes: 0 }],
            tables: Vec::new(),
            landings: Vec::new(),
            threaded: thread(func),
        }
    }

    pub(super) fn stack(&self) -> u8 {
        self.func.pins.stack.number()
    }

    /// A new label.
    pub(super) fn label(&mut self) -> Label {
        self.positions.push(UNBOUND);
        self.referenced.push(false);
        Label(self.positions.len() as u32 - 1)
    }

    /// The label is here.
    pub(super) fn bind(&mut self, label: Label) {
        self.positions[label.0 as usize] = self.out.pos();
        self.bound.push(label);
    }

    /// A label for code that is emitted after the last block.
    pub(super) fn cold_label(&mut self, source: u32, cold: Cold) -> Label {
        let framed = self.framed;
        let origin = Origin { source, framed };
        if let Some((label, last_origin, last)) = self.cold.last()
            && *last_origin == origin
            && *last == cold
            && matches!(cold, Cold::Trap(_) | Cold::TruncTrap { .. })
        {
            return *label;
        }
        let label = self.label();
        self.cold.push((label, origin, cold));
        label
    }

    /// A label for `ud2` after the last block.
    pub(super) fn trap_label(&mut self, code: u8, origin: u32) -> Label {
        self.cold_label(origin, Cold::Trap(code))
    }

    pub(super) fn jump(&mut self, to: Label) {
        self.branch(to, None);
    }

    /// A conditional jump; compound conditions become two.
    pub(super) fn jump_if(&mut self, cond: Cond, to: Label) {
        match cond {
            Cond::FloatNe => {
                self.branch(to, Some(Cond::Ne));
                self.branch(to, Some(Cond::P));
            }
            Cond::FloatEq => {
                let over = self.label();
                self.branch(over, Some(Cond::Ne));
                self.branch(to, Some(Cond::Np));
                self.bind(over);
            }
            _ => self.branch(to, Some(cond)),
        }
    }

    fn branch(&mut self, to: Label, cond: Option<Cond>) {
        let at = self.out.pos();
        self.referenced[to.0 as usize] = true;
        self.branches.push(Branch {
            at,
            to,
            cond,
            short: false,
        });
        // Filled in by `finish`.
        let len = if cond.is_some() { 6 } else { 5 };
        self.out.bytes(&[0; 6][..len]);
    }

    /// The next instruction may fault.
    pub(super) fn trap_site(&mut self, code: u8, origin: u32) {
        let pc = self.out.pos();
        self.traps.push(TrapSite { pc, code, origin });
    }

    /// A call ended here.
    pub(super) fn call_site(&mut self, origin: u32) {
        let return_pc = self.out.pos();
        self.calls.push(CallSite { return_pc, origin });
    }

    /// What the call that ended here throws is caught as the instruction at the end of a block says.
    pub(super) fn land(&mut self, block: Block, inst: &Inst) {
        let call = self.calls.len() - 1;
        let func = self.func;
        for (edge, &catches) in func.calls[inst.imm as usize].catches.iter().enumerate() {
            let pad = self.target(block, edge as u32 + 1);
            self.referenced[pad.0 as usize] = true;
            self.landings.push((call, catches, pad));
        }
    }

    /// A jump table with these edges of a block.
    pub(super) fn table(&mut self, block: Block, edges: &[u32]) -> u32 {
        let index = self.tables.len() as u32;
        let labels = edges.iter().map(|&e| self.target(block, e)).collect::<Vec<_>>();
        for label in &labels {
            self.referenced[label.0 as usize] = true;
        }
        self.tables.push((index, labels));
        index
    }

    /// The label of an edge's target.
    pub(super) fn target(&self, block: Block, edge: u32) -> Label {
        let to = self.func.edges_of(block)[edge as usize].to;
        Label(self.threaded[to.index()].as_u32())
    }

    /// The frame exists from here on, or does not.
    fn set_framed(&mut self, framed: bool) {
        if self.framed == framed {
            return;
        }
        self.framed = framed;
        if self.entry.frame_bytes > 0 {
            let pc = self.out.pos();
            let bytes = if framed { self.entry.frame_bytes } else { 0 };
            // Between this change and the last one there may be nothing.
            self.frames.pop_if(|row| row.pc == pc && pc > 0);
            if self.frames.last().is_none_or(|row| row.bytes != bytes) {
                self.frames.push(Frame { pc, bytes });
            }
        }
    }

    pub(super) fn enter(&mut self) {
        let Entry {
            frame_bytes,
            probe_bytes,
            trap,
        } = self.entry;
        let stack = self.func.pins.stack;
        for step in 1..=frame_bytes / probe_bytes {
            self.trap_site(trap, 0);
            let probe = Inst::new(Row::CmpImm, Width::W32).mem(stack, -((step * probe_bytes) as i32));
            self.out.inst(&probe, self.stack());
        }
        if frame_bytes > 0 {
            let sub = Inst::new(Row::SubImm, Width::W64).imm(i64::from(frame_bytes));
            self.out.inst(&sub.src(stack).dst(stack), self.stack());
        }
        self.set_framed(true);
        for &(reg, slot) in &self.func.saved {
            let save = Inst::new(Row::MovStore, Width::W64).src(reg).slot(slot);
            self.out.inst(&save, stack.number());
        }
    }

    pub(super) fn leave(&mut self) {
        let stack = self.func.pins.stack;
        for &(reg, slot) in &self.func.saved {
            let restore = Inst::new(Row::Mov, Width::W64).dst(reg).slot(slot);
            self.out.inst(&restore, stack.number());
        }
        let frame_bytes = self.entry.frame_bytes;
        if frame_bytes > 0 {
            let add = Inst::new(Row::AddImm, Width::W64).imm(i64::from(frame_bytes));
            self.out.inst(&add.src(stack).dst(stack), self.stack());
        }
        self.set_framed(false);
    }

    fn inst(&mut self, inst: &Inst) {
        if inst.row.form() == super::row::Form::Pseudo {
            return self.expand(inst);
        }
        if inst.trap != 0 {
            self.trap_site(inst.trap, inst.origin);
        }
        self.out.inst(inst, self.stack());
    }

    /// Emits the end of a block; whether it runs on into the next one.
    fn terminator(&mut self, block: Block, inst: &Inst, next: Option<Block>) -> bool {
        let next = next.map(|b| Label(b.as_u32()));
        match inst.row {
            Row::Jump => {
                let to = self.target(block, 0);
                if Some(to) == next {
                    return true;
                }
                self.jump(to);
            }
            Row::Branch => {
                let (taken, not) = (self.target(block, 0), self.target(block, 1));
                if Some(taken) == next {
                    if taken != not {
                        self.jump_if(inst.cond.inverse(), not);
                    }
                    return true;
                }
                self.jump_if(inst.cond, taken);
                if Some(not) == next {
                    return true;
                }
                self.jump(not);
            }
            Row::Switch => self.switch(block, inst),
            Row::Invoke => {
                self.expand(inst);
                self.land(block, inst);
                let to = self.target(block, 0);
                if Some(to) == next {
                    return true;
                }
                self.jump(to);
            }
            Row::Trap => {
                self.trap_site(inst.trap, inst.origin);
                self.out.bytes(&[0x0f, 0x0b]);
            }
            Row::TailCall => self.tail_call(inst),
            _ => self.out.byte(0xc3),
        }
        false
    }

    /// Decides which branches are short and how much is put before aligned labels;
    /// `moved[label]` is each label's final position.
    fn relax(&mut self, moved: &mut [u32]) -> Vec<Move> {
        // How many loops there are up to each label.
        let mut pads_up_to = vec![0u32; self.positions.len()];
        let mut loops = self.loops.iter().peekable();
        let mut count = 0;
        for label in &self.bound {
            count += u32::from(loops.next_if(|l| l.head == *label).is_some());
            pads_up_to[label.0 as usize] = count;
        }
        let mut moves = Vec::new();
        let mut by = 0i64;
        let mut at = Settle {
            bound: &self.bound,
            loops: &self.loops,
            marks: &self.marks,
            pads: &mut self.pads,
        };
        for branch in &mut self.branches {
            at.settle(branch.at, &self.positions, &mut by, moved, &mut moves);
            let to = branch.to.0 as usize;
            let distance = if moved[to] != UNBOUND {
                i64::from(moved[to]) - (i64::from(branch.at) + by + 2)
            } else {
                // What lies between can only shrink, but for the padding.
                let pads = pads_up_to[to] - at.pads.len() as u32;
                let padding = i64::from(pads * (LINE_BYTES - 1));
                i64::from(self.positions[to]) - i64::from(branch.at + branch.len()) + padding
            };
            branch.short = i8::try_from(distance).is_ok();
            if branch.short {
                by -= i64::from(branch.len() - 2);
                let from = branch.at + branch.len();
                moves.push(Move { from, by, pad: false });
            }
        }
        at.settle(UNBOUND - 1, &self.positions, &mut by, moved, &mut moves);
        moves
    }

    /// Copies the code without the gaps behind short branches and with the padding, and fills in
    /// displacements.
    fn compact(&mut self, moved: &[u32]) {
        let old = std::mem::take(&mut self.out.code);
        let mut code = Vec::with_capacity(old.len() + self.pads.len() * LINE_BYTES as usize);
        let mut pads = self.pads.iter().peekable();
        let mut from = 0;
        let mut copy = |code: &mut Vec<u8>, from: &mut usize, until: usize| {
            while let Some(&(at, len)) = pads.next_if(|pad| pad.0 as usize <= until) {
                code.extend_from_slice(&old[*from..at as usize]);
                *from = at as usize;
                pad(code, len as usize);
            }
            code.extend_from_slice(&old[*from..until]);
            *from = until;
        };
        for branch in &self.branches {
            copy(&mut code, &mut from, branch.at as usize);
            from += branch.len() as usize;
            let len = if branch.short { 2 } else { i64::from(branch.len()) };
            let end = code.len() as i64 + len;
            let distance = (i64::from(moved[branch.to.0 as usize]) - end) as i32;
            match (branch.short, branch.cond) {
                (true, None) => code.extend_from_slice(&[0xeb, distance as u8]),
                (true, Some(cond)) => code.extend_from_slice(&[0x70 | cond.number(), distance as u8]),
                (false, None) => code.push(0xe9),
                (false, Some(cond)) => code.extend_from_slice(&[0x0f, 0x80 | cond.number()]),
            }
            if !branch.short {
                code.extend_from_slice(&distance.to_le_bytes());
            }
        }
        copy(&mut code, &mut from, old.len());
        self.out.code = code;
    }

    fn finish(mut self) -> Code {
        let mut moved = vec![UNBOUND; self.positions.len()];
        let moves = self.relax(&mut moved);
        self.compact(&moved);
        shift(&moves, &mut self.out.relocs, |r| &mut r.at, Side::After);
        shift(&moves, &mut self.traps, |t| &mut t.pc, Side::After);
        shift(&moves, &mut self.calls, |c| &mut c.return_pc, Side::Before);
        shift(&moves, &mut self.frames, |f| &mut f.pc, Side::Before);
        let end = self.out.code.len() as u32;
        self.frames.retain(|row| row.pc < end);
        let mut heads: Vec<u32> = self
            .bound
            .iter()
            .filter(|label| self.referenced[label.0 as usize])
            .map(|label| moved[label.0 as usize])
            .collect();
        heads.dedup();
        let jump_tables = self
            .tables
            .iter()
            .map(|(_, labels)| labels.iter().map(|l| moved[l.0 as usize]).collect())
            .collect();
        let calls = &self.calls;
        let landing = |&(call, catches, pad): &(usize, Catches, Label)| LandingPad {
            return_pc: calls[call].return_pc,
            pad: moved[pad.0 as usize],
            catches,
        };
        let pads = self.landings.iter().map(landing).collect();
        Code {
            pads,
            bytes: self.out.code,
            relocs: self.out.relocs,
            traps: self.traps,
            calls: self.calls,
            frames: self.frames,
            heads,
            jump_tables,
        }
    }
}

/// What is left of the labels while branches are decided in order.
struct Settle<'a> {
    bound: &'a [Label],
    loops: &'a [Loop],
    marks: &'a [Mark],
    pads: &'a mut Vec<(u32, u32)>,
}

impl Settle<'_> {
    /// Gives the labels up to a position their final one; `by` is what the padding adds to.
    fn settle(
        &mut self,
        until: u32,
        positions: &[u32],
        by: &mut i64,
        moved: &mut [u32],
        moves: &mut Vec<Move>,
    ) {
        while let Some((&label, rest)) = self.bound.split_first() {
            let old = positions[label.0 as usize];
            if old > until {
                break;
            }
            self.bound = rest;
            let new = (i64::from(old) + *by) as u32;
            moved[label.0 as usize] = new;
            if let Some((found, rest)) = self.loops.split_first()
                && found.head == label
            {
                self.loops = rest;
                let len = found.padding(new, self.marks);
                moved[label.0 as usize] = new + len;
                *by += i64::from(len);
                self.pads.push((old, len));
                moves.push(Move {
                    from: old,
                    by: *by,
                    pad: true,
                });
            }
        }
    }
}

/// To which side of a position where something was put a program counter belongs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    /// It is the end of what comes before.
    Before,
    /// It is the start of what comes after.
    After,
}

/// Moves the program counters of an ascending list.
fn shift<T>(moves: &[Move], list: &mut [T], pc: impl Fn(&mut T) -> &mut u32, side: Side) {
    let mut moves = moves.iter().peekable();
    let mut by = 0;
    for item in list {
        let pc = pc(item);
        while let Some(next) =
            moves.next_if(|m| m.from < *pc || (m.from == *pc && (side == Side::After || !m.pad)))
        {
            by = next.by;
        }
        *pc = (i64::from(*pc) + by) as u32;
    }
}
