//! The first pass: the bytes of a function as an array of permitted instructions, cut into blocks.
//!
//! Requires checked metadata. Guarantees that the bytes decode linearly and without rest, that each
//! instruction has a row, its canonical encoding and its CPU feature, that branches and jump tables
//! lead to listed heads, direct calls and tail calls to entries, that heads and unwind rows are instruction
//! boundaries, and that exactly the calls are listed as calls. Deliberately knows no state.

use crate::encoding;
use crate::module::{Module, Rows};
use crate::rows::{self, Feature, Form};
use crate::stems::{CONSTANTS, Stem, Stems, Written};
use crate::violation::{Check, Rule, ensure, located, refuse};
use cellwall_abi::{FuncRange, JumpTable, TrapCode, UnwindRow};
use cellwall_base::TagIdx;
use iced_x86::{Decoder, DecoderOptions};
use std::ops::Range;

/// Room for so many instructions more than a function has is not given back.
const OPS_SPARE_MAX: usize = 1 << 20;

/// An instruction: its stem, and what is not part of that.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Op {
    /// The immediate in the width of the first operand, if it fits; the block that a branch goes to;
    /// the function that is called, or jumped to.
    pub(crate) value: u32,
    /// What is added to base and index; with [`CONSTANTS`], the offset in the constants, or -1 for
    /// anything outside of them.
    pub(crate) displacement: i32,
    pub(crate) pc: u32,
    /// The number of its stem.
    pub(crate) stem: u32,
    pub(crate) form: Form,
    /// Whether the immediate does not fit 32 bits.
    pub(crate) is_wide: bool,
    /// What a fault means, if it is a listed trap site.
    pub(crate) trap: Option<TrapCode>,
    /// Whether a row of the unwind table starts here.
    pub(crate) unwinds: bool,
}

const _: () = assert!(size_of::<Op>() == 20);

/// A place where a path may enter the function's code.
#[derive(Clone, Copy, Default, Debug)]
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

/// What decoding one function leaves to the next.
#[derive(Default)]
pub(crate) struct Scratch {
    pub(crate) ops: Vec<Op>,
    pub(crate) stems: Stems,
    marks: Vec<(u64, u32)>,
}

/// The pass over one function.
struct Pass<'a> {
    module: &'a Module<'a>,
    range: FuncRange,
    /// The instruction being decoded.
    pc: usize,
    /// The function's rows of the artifact's tables; of calls and landing pads those that are left.
    rows: Rows<'a>,
    /// For each 64 bytes of the function: the heads in it, and how many blocks start before.
    marks: Vec<(u64, u32)>,
    /// Whether the entry is no listed head: nothing may lead to it, but it starts a block.
    entry_is_unlisted: bool,
    heads_at: usize,
    unwind_at: usize,
    out: Decoded<'a>,
}

/// Decodes a function.
///
/// # Errors
/// The refusal with its program counter.
pub(crate) fn decode<'a>(module: &'a Module<'a>, index: usize, scratch: &mut Scratch) -> Check<Decoded<'a>> {
    let (artifact, range) = (module.artifact, module.artifact.funcs[index]);
    let rows = module.rows[index];
    scratch.stems.make_room(artifact.text.len());
    let mut pass = Pass {
        module,
        range,
        pc: range.start as usize,
        rows,
        marks: std::mem::take(&mut scratch.marks),
        entry_is_unlisted: rows.heads.first() != Some(&range.start),
        heads_at: 0,
        unwind_at: 0,
        out: Decoded {
            ops: std::mem::take(&mut scratch.ops),
            blocks: Vec::with_capacity(rows.heads.len() + 1),
            jumps: Vec::new(),
            jump_targets: Vec::new(),
            unwind: rows.unwind,
            pads: Vec::with_capacity(rows.pads.len()),
            is_detached: true,
        },
    };
    let answer = pass.run(&mut scratch.stems);
    scratch.marks = pass.marks;
    located(answer, Some(range.func), pass.pc as u32).map(|()| pass.out)
}

/// Sixteen bytes of this code as a number, zeros behind its end.
#[inline]
pub(crate) fn window(code: &[u8], at: usize) -> u128 {
    let code = code.get(at..).unwrap_or_default();
    u128::from_le_bytes(code.first_chunk().copied().unwrap_or_else(|| {
        let mut bytes = [0; 16];
        bytes[..code.len()].copy_from_slice(code);
        bytes
    }))
}

impl Pass<'_> {
    fn run(&mut self, stems: &mut Stems) -> Check<()> {
        let text = &self.module.artifact.text[..(self.range.start + self.range.len) as usize];
        // All blocks are known before the first instruction, so branches find theirs at once.
        let unlisted = usize::from(self.entry_is_unlisted);
        let blocks = unlisted + self.rows.heads.len();
        self.out.blocks.resize(blocks, Block::default());
        self.out.blocks[0].ways = 1;
        self.mark_heads();
        self.resolve_jump_tables()?;
        let mut decoder = Decoder::with_ip(64, text, 0, DecoderOptions::NONE);
        // Four bytes is the usual length of an instruction.
        let mut ops = std::mem::take(&mut self.out.ops);
        ops.clear();
        ops.reserve(self.range.len as usize / 4 + 8);
        let mut traps = self.rows.traps;
        let (mut next_site, mut is_detached) = (self.next_site(), true);
        while self.pc < text.len() {
            let pc = self.pc;
            let bytes = window(text, pc);
            let (id, len, stem) = match stems.find(bytes as u64) {
                Some(found) if pc + usize::from(found.1) <= text.len() => found,
                _ => {
                    let stem = self.decode_stem(&mut decoder, pc)?;
                    let id = stems.add(bytes as u64, stem);
                    (id, stem.len, &stems.known()[id as usize])
                }
            };
            let (displacement, immediate) = stem.numbers((bytes >> (8 * (stem.stem & 15))) as u64);
            ensure!(!stem.is_too_long(displacement), Rule::Encoding =>
                "a displacement longer than needed: {displacement}");
            let (pc, next) = (pc as u32, pc as u32 + u32::from(len));
            // One in three has a trap site, and which cannot be foretold.
            let site = traps.first().filter(|site| site.pc < next);
            traps = &traps[usize::from(site.is_some())..];
            let mut op = Op {
                value: stem.value | immediate as u32,
                displacement,
                pc,
                stem: id,
                form: stem.form,
                is_wide: immediate > u64::from(u32::MAX),
                trap: site.map(|site| site.code),
                unwinds: false,
            };
            if stem.is_special || op.is_wide || displacement as u32 > stem.usual_max {
                self.complete(&mut op, stem, immediate, next)?;
            }
            if let Some(site) = site {
                ensure!(site.pc == pc, Rule::TrapSite => "0x{:x} is inside the instruction", site.pc);
            }
            if next_site < next || stem.is_call() {
                self.take_sites(&mut op, stem.is_call(), &ops, next)?;
                next_site = self.next_site();
            }
            is_detached &= !stem.is_attached && op.trap.is_none();
            ops.push(op);
            self.pc = next as usize;
        }
        self.out.is_detached &= is_detached;
        if ops.capacity() - ops.len() > OPS_SPARE_MAX {
            ops.shrink_to_fit();
        }
        self.out.ops = ops;
        Ok(())
    }

    /// Decodes the instruction at `pc`: its row, its encoding, its feature.
    #[cold]
    fn decode_stem(&self, decoder: &mut Decoder<'_>, pc: usize) -> Check<Stem> {
        let moved = decoder.set_position(pc);
        moved.expect("functions lie in the text");
        let insn = decoder.decode();
        ensure!(!insn.is_invalid(), Rule::Decode => "{:?}", decoder.last_error());
        let row = rows::row(insn.code());
        ensure!(row.form != Form::Refused, Rule::NotAllowed => "the form {:?} has no row", insn.code());
        let mut stem = Stem::of(&insn, decoder.get_constant_offsets(&insn), row);
        if stem.trap.is_some() {
            stem.limit_to(self.module.reach_of_memory_0, row);
        }
        let bytes = &self.module.artifact.text[pc..][..insn.len()];
        encoding::check(bytes, &stem, row)?;
        self.check_feature(row.feature)?;
        Ok(stem)
    }

    /// What of an instruction depends on its numbers otherwise than usual.
    fn complete(&mut self, op: &mut Op, stem: &Stem, immediate: u64, next: u32) -> Check<()> {
        let row = rows::row(stem.code);
        if stem.base == CONSTANTS {
            let address = i64::from(next) + i64::from(op.displacement);
            op.displacement = self.module.constant_at(address as u64);
        }
        if stem.is_target() {
            op.is_wide = false;
            return self.find_target(op, u64::from(next).wrapping_add(immediate));
        }
        if op.is_wide {
            op.value = 0;
        }
        let changes_nothing = row.flags.unless_zero && op.value.is_multiple_of(row.bits());
        let is_unknown = op.is_wide && stem.written == Written::UpToValue;
        let is_too_far = op.displacement as u32 > stem.usual_max;
        if op.form == Form::Usual && (is_too_far || changes_nothing || is_unknown) {
            op.form = row.form;
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
            if op.form == Form::Jump {
                (op.form, self.out.is_detached) = (Form::TailCall, false);
            }
            return Ok(());
        }
        let is_call = op.form == Form::Call;
        ensure!(!is_call, Rule::CallTarget => "no function of the artifact starts at 0x{target:x}");
        op.value = self.lead_to(target, Rule::BranchTarget)?;
        Ok(())
    }

    /// No head, no row and no listed call is in the code before this offset, or ends there.
    fn next_site(&self) -> u32 {
        let head = self.rows.heads.get(self.heads_at).copied().unwrap_or(u32::MAX);
        let row = self.out.unwind.get(self.unwind_at).map_or(u32::MAX, |row| row.pc);
        // A call is listed by its end.
        let call = self.rows.calls.first();
        let call = call.map_or(u32::MAX, |call| call.return_pc.saturating_sub(1));
        head.min(row).min(call)
    }

    /// What the tables list for this instruction, behind these.
    fn take_sites(&mut self, op: &mut Op, is_call: bool, ops: &[Op], next: u32) -> Check<()> {
        let unlisted = usize::from(self.entry_is_unlisted);
        if self.rows.heads.get(self.heads_at) == Some(&op.pc) {
            let block = &mut self.out.blocks[unlisted + self.heads_at];
            (block.first, block.unwind) = (ops.len() as u32, self.unwind_at as u32);
            let falls_in = ops.last().is_some_and(|op| !op.form.stops());
            block.ways = block.ways.saturating_add(falls_in.into());
            self.heads_at += 1;
        }
        if let Some(&head) = self.rows.heads.get(self.heads_at) {
            ensure!(head >= next, Rule::Head => "head 0x{head:x} lies inside the instruction");
        }
        if let Some(row) = self.out.unwind.get(self.unwind_at)
            && row.pc < next
        {
            ensure!(row.pc == op.pc, Rule::Unwind => "the row at 0x{:x} starts inside of it", row.pc);
            (op.unwinds, self.unwind_at) = (true, self.unwind_at + 1);
        }
        let listed = self.rows.calls.first().map(|call| call.return_pc);
        let listed = listed.filter(|&pc| pc <= next);
        if is_call || listed.is_some() {
            ensure!(is_call && listed == Some(next), Rule::CallSite =>
                "it is a call: {is_call}; listed is the call before {listed:x?}, it ends at {next:x}");
            self.rows.calls = &self.rows.calls[1..];
            self.take_pads(op.pc, next)?;
        }
        Ok(())
    }

    /// The landing pads of the call at `pc`; metadata says that they are of listed calls.
    fn take_pads(&mut self, pc: u32, next: u32) -> Check<()> {
        while let Some((pad, rest)) = self.rows.pads.split_first()
            && pad.return_pc == next
        {
            let block = self.lead_to(pad.pad.into(), Rule::LandingPad)?;
            self.out.pads.push((pc, block, pad.tag));
            self.rows.pads = rest;
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
        for &head in self.rows.heads {
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
