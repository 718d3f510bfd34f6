//! The first pass: the bytes of a function as an array of permitted instructions, cut into blocks.
//!
//! Requires checked metadata. Guarantees that the bytes decode linearly and without rest, that each
//! instruction has a row, its canonical encoding and its CPU feature, that branches and jump tables
//! lead to listed heads, direct calls and tail calls to entries, that heads and unwind rows are instruction
//! boundaries, and that exactly the calls are listed as calls. Deliberately knows no state.

use crate::encoding;
use crate::module::Module;
use crate::rows::{self, Feature, First, Form, Row};
use crate::stems::{Parts, Stems};
use crate::violation::{Check, Rule, ensure, located, refuse};
use cellwall_abi::convention::{BASE, CONTEXT, STACK};
use cellwall_abi::{CallSite, FuncRange, JumpTable, LandingPad, TrapCode, TrapSite, UnwindRow};
use cellwall_base::TagIdx;
use iced_x86::{Code, ConditionCode, Decoder, DecoderOptions, Instruction, OpKind, Register};
use std::ops::Range;

/// Room for so many instructions more than a function has is not given back.
const OPS_SPARE_MAX: usize = 1 << 20;

/// An operand: where it is, and in what width.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Operand {
    /// There is none.
    None,
    /// All of a general-purpose register, by its hardware number.
    R64(u8),
    /// Its low four bytes; the others become zero when it is written.
    R32(u8),
    /// Its low two bytes.
    R16(u8),
    /// Its low byte.
    R8(u8),
    /// A vector register.
    Xmm(u8),
    /// The bytes at an address.
    Memory,
    /// A constant of up to 32 bits, zero-extended.
    Immediate,
    /// A constant that does not fit 32 bits.
    WideImmediate,
    /// Something that no row permits: a high byte, a segment, a far address.
    Other,
}

impl Operand {
    /// The number of the register that it is (a part of).
    pub(crate) fn register(self) -> Option<u8> {
        match self {
            Self::R64(n) | Self::R32(n) | Self::R16(n) | Self::R8(n) | Self::Xmm(n) => Some(n),
            _ => None,
        }
    }
}

/// In place of the number of a base or index register: there is none.
pub(crate) const NO_REGISTER: u8 = 0xff;
/// In place of the number of a base register: the constants, at the displacement.
pub(crate) const CONSTANTS: u8 = 0xfe;

/// An instruction, as far as its row needs it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Op {
    /// The immediate in the width of the first operand, if it fits; the block that a branch goes to;
    /// the function that is called, or jumped to.
    pub(crate) value: u32,
    /// What is added to base and index; with [`CONSTANTS`], the offset in the constants, or -1 for
    /// anything outside of them.
    pub(crate) displacement: i32,
    pub(crate) pc: u32,
    /// The registers that it reads, as bits of `Registers::data`: if all of them hold data, so do
    /// its sources. All bits, which never do, if it reads anything else.
    pub(crate) reads: u16,
    pub(crate) code: Code,
    pub(crate) form: Form,
    pub(crate) operands: [Operand; 4],
    pub(crate) base: u8,
    pub(crate) index: u8,
    pub(crate) scale: u8,
    /// Bytes of the memory operand.
    pub(crate) width: u8,
    pub(crate) condition: ConditionCode,
    /// What a fault means, if it is a listed trap site.
    pub(crate) trap: Option<TrapCode>,
    /// Whether a row of the unwind table starts here.
    pub(crate) unwinds: bool,
}

const _: () = assert!(size_of::<Op>() == 32, "two to a cache line");

impl Op {
    /// To be filled in.
    pub(crate) const EMPTY: Self = Self {
        value: 0,
        displacement: 0,
        pc: 0,
        reads: u16::MAX,
        code: Code::INVALID,
        form: Form::Refused,
        operands: [Operand::None; 4],
        base: NO_REGISTER,
        index: NO_REGISTER,
        scale: 1,
        width: 0,
        condition: ConditionCode::None,
        trap: None,
        unwinds: false,
    };

    /// Bytes of the memory operand.
    #[inline]
    pub(crate) fn width(&self) -> u32 {
        self.width.into()
    }

    /// Whether it uses the pinned pair, enters a function or may trap. (What holds a pointer through which
    /// something could be called or read came from the context, and the pair is only ever a base.)
    fn is_attached(&self) -> bool {
        matches!(self.base, BASE | CONTEXT)
            || matches!(self.form, Form::Call | Form::CallIndirect | Form::TailCall)
            || self.trap.is_some()
    }

    /// An instruction, but for its displacement and its immediate.
    pub(crate) fn of(insn: &Instruction, row: &Row) -> Self {
        let operand = |i| match insn.op_kind(i) {
            _ if i >= insn.op_count() => Operand::None,
            OpKind::Register => REGISTERS[insn.op_register(i) as usize & 255],
            OpKind::Memory => Operand::Memory,
            _ if insn.try_immediate(i).is_ok() => Operand::Immediate,
            _ => Operand::Other,
        };
        let mut op = Self {
            code: insn.code(),
            operands: [operand(0), operand(1), operand(2), operand(3)],
            ..Self::EMPTY
        };
        if op.operands.contains(&Operand::Memory) {
            op.width = insn.memory_size().size() as u8;
            op.scale = insn.memory_index_scale() as u8;
            op.index = number(insn.memory_index());
            op.base = match insn.memory_base() {
                Register::RIP => CONSTANTS,
                base => number(base),
            };
        }
        op.reads = match row.form {
            Form::Lea => bit(op.base) | bit(op.index),
            _ => reads(&op.operands, row),
        };
        if matches!(row.form, Form::Branch | Form::Set | Form::Cmov) {
            op.condition = insn.condition_code();
        }
        op.form = op.usual_form(row).unwrap_or(row.form);
        op
    }

    /// One of the forms that are in no row, but are most of all code: what they are proven by holds
    /// nearly always, and is prepared here.
    fn usual_form(&mut self, row: &Row) -> Option<Form> {
        use Operand::{Immediate, Memory, R8, R16, R32, R64};
        let [a, b, c, _] = self.operands;
        let in_frame = self.base == STACK && self.index == NO_REGISTER;
        let register = |operand| matches!(operand, R64(_) | R32(_));
        let pinned = |operand: Operand| matches!(operand.register(), Some(STACK | BASE | CONTEXT));
        match (row.form, a, b) {
            (Form::Move, R64(_), Memory) if in_frame => Some(Form::Reload),
            (Form::Move, Memory, R64(_)) if in_frame => Some(Form::Spill),
            (Form::Move, Memory, R64(_) | R32(_) | R16(_) | R8(_) | Immediate) => {
                self.is_usual_address().then_some(Form::Store)
            }
            (Form::Move | Form::ZeroExtend | Form::SignExtend | Form::Plain, R64(_) | R32(_), Memory)
                if c == Operand::None && row.first == First::Write && !row.flags.changes() =>
            {
                // The largest value, or 0 if it is not known.
                self.value = match (row.form, a, self.width) {
                    (Form::ZeroExtend, _, 1) => 0xff,
                    (Form::ZeroExtend, _, 2) => 0xffff,
                    (_, R32(_), _) => u32::MAX,
                    _ => 0,
                };
                (!pinned(a) && self.is_usual_address()).then_some(Form::Load)
            }
            (Form::Plain | Form::Lea | Form::Add | Form::Sub | Form::Xor, ..)
                if register(a) && !pinned(a) =>
            {
                let is_zero_idiom = a == b && matches!(row.form, Form::Sub | Form::Xor);
                let accesses = row.form != Form::Lea && self.operands.contains(&Memory);
                (row.first != First::Read && !accesses && !is_zero_idiom).then_some(Form::Compute)
            }
            _ => None,
        }
    }

    /// Whether it accesses memory 0, with an index as it is.
    fn is_usual_address(&self) -> bool {
        self.base == BASE && (self.index == NO_REGISTER || self.index < 16 && self.scale == 1)
    }

    /// The largest displacement with which that access stays inside if its index, if it has one, has
    /// 32 bits. A negative one is larger than any.
    fn displacement_max_in_memory_0(&self, module: &Module<'_>) -> Option<u32> {
        let index_max = if self.index == NO_REGISTER { 0 } else { u32::MAX };
        let end = u64::from(index_max) + u64::from(self.width);
        let rest = module.reach_of_memory_0.checked_sub(end)?;
        Some(rest.min(i32::MAX as u64) as u32)
    }
}

/// A place where a path may enter the function's code.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block {
    /// The number of its first instruction.
    pub(crate) first: u32,
    /// How many unwind rows lie before it.
    pub(crate) unwind: u32,
    /// Whether something leads to it other than the instruction before it.
    pub(crate) is_target: bool,
    /// How many ways lead to it, the instruction before it and the entry of the function among them, or
    /// [`WAYS_MANY`].
    pub(crate) ways: u16,
}

/// So many ways or more: they are not counted.
pub(crate) const WAYS_MANY: u16 = u16::MAX;

/// A function after the first pass.
pub(crate) struct Decoded<'a> {
    pub(crate) ops: Vec<Op>,
    /// The listed heads, the entry first.
    pub(crate) blocks: Vec<Block>,
    /// The function's jump tables, ascending, each with its part of `jump_targets`.
    pub(crate) jumps: Vec<(u32, Range<u32>)>,
    /// Blocks, each once per table.
    pub(crate) jump_targets: Vec<u32>,
    pub(crate) unwind: &'a [UnwindRow],
    /// The landing pads: the program counter of the call, the block, and the tag.
    pub(crate) pads: Vec<(u32, u32, Option<TagIdx>)>,
    /// Whether no instruction uses the pinned pair, enters a function or may trap.
    pub(crate) is_detached: bool,
}

/// What iced-x86 calls a register.
static REGISTERS: [Operand; 256] = {
    let mut table = [Operand::Other; 256];
    table[Register::None as usize] = Operand::None;
    let mut i = 0;
    while i < 16 {
        table[Register::RAX as usize + i] = Operand::R64(i as u8);
        table[Register::EAX as usize + i] = Operand::R32(i as u8);
        table[Register::AX as usize + i] = Operand::R16(i as u8);
        table[Register::XMM0 as usize + i] = Operand::Xmm(i as u8);
        i += 1;
    }
    // Behind the four high bytes, the low bytes from that of rsp on.
    i = 0;
    while i < 4 {
        table[Register::AL as usize + i] = Operand::R8(i as u8);
        i += 1;
    }
    while i < 16 {
        table[Register::SPL as usize + i - 4] = Operand::R8(i as u8);
        i += 1;
    }
    table
};

/// What decoding one function leaves to the next.
#[derive(Default)]
pub(crate) struct Scratch {
    pub(crate) ops: Vec<Op>,
    marks: Vec<(u64, u32)>,
    stems: Stems,
}

/// The function's rows of the artifact's tables, from where the pass is.
struct Pass<'a> {
    module: &'a Module<'a>,
    range: FuncRange,
    heads: &'a [u32],
    /// For each 64 bytes of the function: the heads in it, and how many blocks start before.
    marks: Vec<(u64, u32)>,
    stems: Stems,
    /// Whether the entry is no listed head: nothing may lead to it, but it starts a block.
    entry_is_unlisted: bool,
    traps: &'a [TrapSite],
    calls: &'a [CallSite],
    pads: &'a [LandingPad],
    unwind_at: usize,
    out: Decoded<'a>,
}

/// Decodes a function.
///
/// # Errors
/// The refusal with its program counter.
pub(crate) fn decode<'a>(module: &'a Module<'a>, index: usize, scratch: &mut Scratch) -> Check<Decoded<'a>> {
    let (artifact, range) = (module.artifact, module.artifact.funcs[index]);
    let rows = &module.rows[index];
    scratch.stems.make_room(artifact.text.len());
    let heads = &artifact.heads[rows.heads.clone()];
    let mut pass = Pass {
        module,
        range,
        heads,
        marks: std::mem::take(&mut scratch.marks),
        stems: std::mem::take(&mut scratch.stems),
        entry_is_unlisted: heads.first() != Some(&range.start),
        traps: &artifact.traps[rows.traps.clone()],
        calls: &artifact.calls[rows.calls.clone()],
        pads: &artifact.pads[rows.pads.clone()],
        unwind_at: 0,
        out: Decoded {
            ops: std::mem::take(&mut scratch.ops),
            blocks: Vec::with_capacity(heads.len() + 1),
            jumps: Vec::new(),
            jump_targets: Vec::new(),
            unwind: &artifact.unwind[rows.unwind.clone()],
            pads: Vec::with_capacity(rows.pads.len()),
            is_detached: true,
        },
    };
    let mut pc = range.start;
    let answer = pass.run(&mut pc);
    (scratch.marks, scratch.stems) = (pass.marks, pass.stems);
    located(answer, Some(range.func), pc).map(|()| pass.out)
}

/// Eight bytes of this code as a number, zeros behind its end.
#[inline]
pub(crate) fn word(code: &[u8], at: usize) -> u64 {
    let code = code.get(at..).unwrap_or_default();
    u64::from_le_bytes(code.first_chunk().copied().unwrap_or_else(|| {
        let mut bytes = [0; 8];
        bytes[..code.len()].copy_from_slice(code);
        bytes
    }))
}

impl Pass<'_> {
    fn run(&mut self, pc: &mut u32) -> Check<()> {
        let text = &self.module.artifact.text[..(self.range.start + self.range.len) as usize];
        // All blocks are known before the first instruction, so branches find theirs at once.
        let block = Block {
            first: 0,
            unwind: 0,
            is_target: false,
            ways: 0,
        };
        let unlisted = usize::from(self.entry_is_unlisted);
        self.out.blocks.resize(unlisted + self.heads.len(), block);
        self.out.blocks[0].ways = 1;
        self.mark_heads();
        self.resolve_jump_tables()?;
        let mut decoder = Decoder::with_ip(64, text, 0, DecoderOptions::NONE);
        // Four bytes is the usual length of an instruction.
        let mut ops = std::mem::take(&mut self.out.ops);
        ops.clear();
        ops.reserve(self.range.len as usize / 4 + 8);
        let mut at_block = unlisted;
        let mut next_head = self.heads.first().copied().unwrap_or(u32::MAX);
        while (*pc as usize) < text.len() {
            if next_head == *pc {
                let block = &mut self.out.blocks[at_block];
                (block.first, block.unwind) = (ops.len() as u32, self.unwind_at as u32);
                let falls_in = ops.last().is_some_and(|op| !op.form.stops());
                block.ways = block.ways.saturating_add(falls_in.into());
                at_block += 1;
                next_head = self.heads.get(at_block - unlisted).copied().unwrap_or(u32::MAX);
            }
            let bytes = word(text, *pc as usize);
            // In place: an instruction is written once.
            let parts = match self.stems.find(bytes) {
                Some(stem) if *pc as usize + usize::from(stem.parts.len) <= text.len() => {
                    ops.push(stem.op);
                    stem.parts
                }
                _ => {
                    let (op, parts) = self.decode_stem(&mut decoder, *pc)?;
                    self.stems.keep(bytes, parts, &op);
                    ops.push(op);
                    parts
                }
            };
            let next = *pc + u32::from(parts.len);
            ensure!(next_head >= next, Rule::Head => "head 0x{next_head:x} lies inside the instruction");
            let op = ops.last_mut().expect("one was pushed");
            op.pc = *pc;
            let numbers = word(text, *pc as usize + usize::from(parts.stem));
            self.complete(op, parts, numbers, next)?;
            self.take_sites(op, next)?;
            self.out.is_detached &= !op.is_attached();
            *pc = next;
        }
        if ops.capacity() - ops.len() > OPS_SPARE_MAX {
            ops.shrink_to_fit();
        }
        self.out.ops = ops;
        Ok(())
    }

    /// Decodes the instruction at `pc`: its row, its encoding, its feature.
    #[cold]
    fn decode_stem(&self, decoder: &mut Decoder<'_>, pc: u32) -> Check<(Op, Parts)> {
        let moved = decoder.set_position(pc as usize);
        moved.expect("functions lie in the text");
        let insn = decoder.decode();
        ensure!(!insn.is_invalid(), Rule::Decode => "{:?}", decoder.last_error());
        let row = rows::row(insn.code());
        ensure!(row.form != Form::Refused, Rule::NotAllowed => "the form {:?} has no row", insn.code());
        let mut op = Op::of(&insn, row);
        let mut parts = Parts::of(&insn, decoder.get_constant_offsets(&insn), &op);
        if matches!(op.form, Form::Load | Form::Store) {
            match op.displacement_max_in_memory_0(self.module) {
                Some(max) => parts.usual_max = max,
                None => op.form = row.form,
            }
        }
        let bytes = &self.module.artifact.text[pc as usize..][..insn.len()];
        if let Err(what) = encoding::check(bytes, &op, row) {
            refuse!(Rule::Encoding => "{what}: {bytes:02x?}");
        }
        self.check_feature(row.feature)?;
        Ok((op, parts))
    }

    /// Displacement and immediate of an instruction, which start with these bytes, and what follows.
    #[inline]
    fn complete(&mut self, op: &mut Op, parts: Parts, bytes: u64, next: u32) -> Check<()> {
        let (displacement, immediate) = parts.numbers(bytes);
        op.displacement = displacement;
        op.value |= immediate as u32;
        ensure!(!parts.is_too_long(displacement), Rule::Encoding =>
            "a displacement longer than needed: {displacement}");
        if displacement as u32 > parts.usual_max {
            op.form = rows::row(op.code).form;
        }
        if op.base == CONSTANTS {
            let address = i64::from(next) + i64::from(displacement);
            op.displacement = self.module.constant_at(address as u64);
        }
        if parts.is_target {
            return self.find_target(op, u64::from(next).wrapping_add(immediate));
        }
        if immediate > u64::from(u32::MAX) {
            op.value = 0;
            for operand in &mut op.operands {
                if *operand == Operand::Immediate {
                    *operand = Operand::WideImmediate;
                }
            }
        }
        Ok(())
    }

    /// Where a branch or a call goes to.
    fn find_target(&mut self, op: &mut Op, target: u64) -> Check<()> {
        let callee = match op.form {
            Form::Call => self.module.entry_at(target),
            // To its own entry, too, where that is no head.
            Form::Jump if self.block_at(target).is_none() => self.module.entry_at(target),
            _ => None,
        };
        if let Some(func) = callee {
            op.value = func.as_u32();
            op.form = if op.form == Form::Jump {
                Form::TailCall
            } else {
                op.form
            };
            return Ok(());
        }
        let is_call = op.form == Form::Call;
        ensure!(!is_call, Rule::CallTarget => "no function of the artifact starts at 0x{target:x}");
        op.value = self.lead_to(target, Rule::BranchTarget)?;
        Ok(())
    }

    /// What the tables list for this instruction.
    fn take_sites(&mut self, op: &mut Op, next: u32) -> Check<()> {
        // One in three has a trap site, and which cannot be foretold.
        let site = self.traps.first().filter(|site| site.pc < next);
        op.trap = site.map(|site| site.code);
        self.traps = &self.traps[usize::from(site.is_some())..];
        if let Some(&TrapSite { pc, .. }) = site {
            ensure!(pc == op.pc, Rule::TrapSite => "0x{pc:x} is inside the instruction");
        }
        if let Some(row) = self.out.unwind.get(self.unwind_at)
            && row.pc < next
        {
            ensure!(row.pc == op.pc, Rule::Unwind => "the row at 0x{:x} starts inside of it", row.pc);
            (op.unwinds, self.unwind_at) = (true, self.unwind_at + 1);
        }
        let is_call = matches!(op.form, Form::Call | Form::CallIndirect);
        let listed = self
            .calls
            .first()
            .map(|call| call.return_pc)
            .filter(|&pc| pc <= next);
        if is_call || listed.is_some() {
            ensure!(is_call && listed == Some(next), Rule::CallSite =>
                "it is a call: {is_call}; listed is the call before {listed:x?}, it ends at {next:x}");
            self.calls = &self.calls[1..];
            self.take_pads(op.pc, next)?;
        }
        Ok(())
    }

    /// The landing pads of the call at `pc`; metadata says that they are of listed calls.
    fn take_pads(&mut self, pc: u32, next: u32) -> Check<()> {
        while let Some((pad, rest)) = self.pads.split_first()
            && pad.return_pc == next
        {
            let block = self.lead_to(pad.pad.into(), Rule::LandingPad)?;
            self.out.pads.push((pc, block, pad.tag));
            self.pads = rest;
        }
        Ok(())
    }

    fn check_feature(&self, feature: Feature) -> Check<()> {
        let features = &self.module.artifact.target.features;
        let is_present = match feature {
            Feature::Baseline => true,
            Feature::Popcnt => features.popcnt,
            Feature::Lzcnt => features.lzcnt,
            Feature::Bmi1 => features.bmi1,
            Feature::Bmi2 => features.bmi2,
            Feature::Avx => features.avx,
            Feature::Avx2 => features.avx2,
            Feature::Fma => features.fma,
        };
        ensure!(is_present, Rule::Feature => "needs {feature:?}, which the target has not");
        Ok(())
    }

    /// Makes the block that starts at this offset of the text a place to go to.
    fn lead_to(&mut self, pc: u64, rule: Rule) -> Check<u32> {
        let Some(block) = self.block_at(pc) else {
            refuse!(rule => "0x{pc:x} is not a listed block head of the function");
        };
        let target = &mut self.out.blocks[block];
        target.is_target = true;
        target.ways = target.ways.saturating_add(1);
        Ok(block as u32)
    }

    /// The block that starts at this offset of the text.
    fn block_at(&self, pc: u64) -> Option<usize> {
        let at = pc.wrapping_sub(self.range.start.into());
        let &(heads, before) = self.marks.get(usize::try_from(at / 64).ok()?)?;
        let lower = heads & ((1 << (at % 64)) - 1);
        (heads >> (at % 64) & 1 != 0).then_some(before as usize + lower.count_ones() as usize)
    }

    /// Marks the heads, so that a block is found in constant time.
    fn mark_heads(&mut self) {
        self.marks.clear();
        self.marks.resize(self.range.len as usize / 64 + 1, (0, 0));
        for &head in self.heads {
            let at = head - self.range.start;
            self.marks[at as usize / 64].0 |= 1 << (at % 64);
        }
        let mut before = u32::from(self.entry_is_unlisted);
        for (heads, first) in &mut self.marks {
            *first = before;
            before += heads.count_ones();
        }
    }

    /// Every entry of every jump table of the function leads to a head.
    fn resolve_jump_tables(&mut self) -> Check<()> {
        let artifact = self.module.artifact;
        let mut seen = Vec::new();
        for &table in self.module.jump_tables_of(self.range.func) {
            seen.resize(self.out.blocks.len(), u32::MAX);
            let JumpTable { offset, len, .. } = artifact.jump_tables[table as usize];
            let bytes = &artifact.rodata[offset as usize..][..4 * len as usize];
            let base = self.module.rodata as i64 + i64::from(offset);
            let from = self.out.jump_targets.len() as u32;
            for entry in bytes.chunks_exact(4) {
                let distance = i32::from_le_bytes(entry.try_into().expect("chunks are four bytes"));
                let target = u64::try_from(base + i64::from(distance)).unwrap_or(u64::MAX);
                let block = self.lead_to(target, Rule::BranchTarget)?;
                if seen[block as usize] == table {
                    let ways = &mut self.out.blocks[block as usize].ways;
                    *ways -= u16::from(*ways != WAYS_MANY);
                    continue;
                }
                seen[block as usize] = table;
                self.out.jump_targets.push(block);
            }
            let to = self.out.jump_targets.len() as u32;
            self.out.jumps.push((table, from..to));
        }
        Ok(())
    }
}

/// The registers that operands which are read need, as bits of `Registers::data`.
fn reads(operands: &[Operand; 4], row: &Row) -> u16 {
    let mut reads = 0;
    for (i, &operand) in operands.iter().enumerate() {
        reads |= match operand {
            _ if i == 0 && row.first == First::Write => 0,
            Operand::R64(n) | Operand::R32(n) | Operand::R16(n) | Operand::R8(n) => 1 << n,
            Operand::None | Operand::Immediate | Operand::WideImmediate => 0,
            Operand::Xmm(_) | Operand::Memory | Operand::Other => u16::MAX,
        };
    }
    reads
}

/// The bit of an address register in `Registers::data`.
fn bit(register: u8) -> u16 {
    match register {
        NO_REGISTER => 0,
        0..16 => 1 << register,
        _ => u16::MAX,
    }
}

/// The hardware number of an address register.
fn number(register: Register) -> u8 {
    match REGISTERS[register as usize & 255] {
        Operand::R64(number) => number,
        _ => NO_REGISTER,
    }
}
