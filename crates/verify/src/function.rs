//! The proof of one function: blocks, the order in which they are visited, and the tables that
//! must agree with every instruction.
//!
//! Requires checked metadata. Guarantees that every byte of the function was decoded as part of
//! exactly one block, that every block was visited with a state that holds on all paths to it, and
//! that every instruction passed. Deliberately knows no instruction; those are in `transfer`.

use crate::access::BlockWrites;
use crate::domain::{Fact, Kind, Readable, Registers, SlotKind, SlotKinds, U32};
use crate::encoding;
use crate::module::{Convention, Module};
use crate::rows::{self, Feature, Form, Row};
use crate::violation::{Rule, Violation};
use cellwall_abi::convention::CALLEE_SAVED;
use cellwall_abi::{CallSite, FuncRange, TrapCode, TrapSite, UnwindRow};
use iced_x86::{Decoder, DecoderOptions, Formatter, Instruction, NasmFormatter};
use std::collections::BTreeMap;

/// A refusal before it knows its place.
pub(crate) struct Refusal(Box<(Rule, String)>);

/// The answer of a check.
pub(crate) type Check<T> = Result<T, Refusal>;

/// Refuses.
#[cold]
pub(crate) fn refuse<T>(rule: Rule, evidence: impl Into<String>) -> Check<T> {
    Err(Refusal(Box::new((rule, evidence.into()))))
}

/// How often each byte of a function may be visited on average. Honest code needs two to four
/// visits (one, and one more for each loop around it that changes a fact). An edge costs as much as
/// a byte, or more where the frame is large.
const VISITS_MAX: u64 = 64;
/// Bytes added to the length of a function when its budget is computed.
const VISITS_BASE_BYTES: u64 = 4096;
/// Frame slots that are joined as fast as a byte of code is visited, about.
const SLOTS_PER_VISIT: usize = 64;
/// Bytes that the states at block heads may take.
const STATE_BYTES_MAX: usize = 512 << 20;

/// Where execution goes after an instruction.
pub(crate) enum Next {
    /// To the next instruction.
    Continue,
    /// Nowhere: the block ends here.
    Stop,
}

/// The proof of one function while it is made.
pub(crate) struct Function<'a> {
    pub(crate) module: &'a Module<'a>,
    pub(crate) range: FuncRange,
    /// The instruction being looked at, and where it starts.
    pub(crate) insn: Instruction,
    pub(crate) pc: u32,
    /// The state before it.
    pub(crate) state: Registers,
    pub(crate) fact: Fact,
    pub(crate) slots: Vec<SlotKind>,
    pub(crate) block: BlockWrites,
    pub(crate) slot_kinds: SlotKinds,
    /// What a fault of the instruction may mean, if it can fault.
    pub(crate) fault: Option<&'static [TrapCode]>,
    /// By jump table: the jump that uses it, and its blocks.
    pub(crate) jumps: BTreeMap<u32, (u32, Vec<u32>)>,
    /// Where the blocks start, ascending; the first is the entry.
    starts: Vec<u32>,
    /// The state at the start of each block, if it was reached.
    at_start: Vec<Option<Registers>>,
    slots_at_start: Vec<SlotKind>,
    /// Blocks to be visited (again).
    dirty: Vec<bool>,
    next_dirty: usize,
    work: u64,
    traps: &'a [TrapSite],
    calls: &'a [CallSite],
    unwind: &'a [UnwindRow],
    /// For each block, how many rows of the three tables lie before it.
    rows_before: Vec<[u32; 3]>,
}

/// Proves the function at this index of the artifact.
pub(crate) fn prove(module: &Module<'_>, index: usize) -> Result<(), Violation> {
    let range = module.artifact.funcs[index];
    let mut function = Function::new(module, range);
    function.run().map_err(|Refusal(refusal)| {
        let (rule, why) = *refusal;
        Violation {
            func: Some(range.func),
            pc: function.pc,
            rule,
            evidence: format!("{}{why}", function.instruction_text()),
        }
    })
}

/// The part of a table, ascending by program counter, that lies in `from..to`.
fn part<T>(table: &[T], from: u32, to: u32, pc: impl Fn(&T) -> u32) -> &[T] {
    let start = table.partition_point(|row| pc(row) < from);
    let end = table.partition_point(|row| pc(row) < to);
    &table[start..end.max(start)]
}

impl<'a> Function<'a> {
    fn new(module: &'a Module<'a>, range: FuncRange) -> Self {
        let artifact = module.artifact;
        let end = range.start + range.len;
        let heads = part(&artifact.heads, range.start, end, |&head| head);
        let mut starts = Vec::with_capacity(heads.len() + 1);
        if heads.first() != Some(&range.start) {
            starts.push(range.start);
        }
        starts.extend_from_slice(heads);
        Self {
            module,
            range,
            insn: Instruction::default(),
            pc: range.start,
            state: Registers::UNKNOWN,
            fact: Fact::Nothing,
            slots: Vec::new(),
            block: BlockWrites::default(),
            slot_kinds: SlotKinds::new(),
            fault: None,
            jumps: BTreeMap::new(),
            at_start: Vec::new(),
            slots_at_start: Vec::new(),
            dirty: Vec::new(),
            next_dirty: 0,
            work: 0,
            rows_before: Vec::new(),
            starts,
            traps: part(&artifact.traps, range.start, end, |site| site.pc),
            calls: part(&artifact.calls, range.start + 1, end + 1, |call| call.return_pc),
            unwind: part(&artifact.unwind, range.start, end, |row| row.pc),
        }
    }

    /// The convention of the function's own type.
    pub(crate) fn own(&self) -> &'a Convention {
        self.module.convention(self.module.type_of(self.range.func))
    }

    fn run(&mut self) -> Check<()> {
        let deepest = self.unwind.iter().map(|row| row.frame_bytes).max().unwrap_or(0);
        self.slots = vec![SlotKinds::UNDEFINED; deepest as usize / 8];
        let (slots, blocks) = (self.slots.len(), self.starts.len());
        if blocks.saturating_mul(slots + size_of::<Registers>()) > STATE_BYTES_MAX {
            return refuse(
                Rule::Budget,
                format!("{blocks} blocks with {deepest} bytes of frame"),
            );
        }
        self.slots_at_start = vec![SlotKinds::UNDEFINED; blocks * slots];
        self.at_start = vec![None; blocks];
        self.dirty = vec![false; blocks];
        self.rows_before = self.count_rows();
        self.state = self.entry_state();
        self.reach(0)?;
        let text = &self.module.artifact.text[..(self.range.start + self.range.len) as usize];
        let mut decoder = Decoder::with_ip(64, text, 0, DecoderOptions::NONE);
        let mut clean = vec![false; self.starts.len()];
        while let Some(block) = self.take_dirty() {
            self.visit(block, &mut decoder, !clean[block])?;
            clean[block] = true;
        }
        match self.at_start.iter().position(Option::is_none) {
            None => Ok(()),
            Some(block) => {
                (self.pc, self.insn) = (self.starts[block], Instruction::default());
                refuse(Rule::Unreachable, "nothing leads to this block")
            }
        }
    }

    /// One pass over blocks and tables.
    fn count_rows(&self) -> Vec<[u32; 3]> {
        let (mut traps, mut calls, mut unwind) = (0, 0, 0);
        let count = |start: &u32| {
            while self.traps.get(traps).is_some_and(|site| site.pc < *start) {
                traps += 1;
            }
            while self.calls.get(calls).is_some_and(|call| call.return_pc <= *start) {
                calls += 1;
            }
            while self.unwind.get(unwind).is_some_and(|row| row.pc <= *start) {
                unwind += 1;
            }
            [traps as u32, calls as u32, unwind as u32]
        };
        self.starts.iter().map(count).collect()
    }

    fn entry_state(&self) -> Registers {
        let mut state = Registers::UNKNOWN;
        let params = &self.own().params;
        for &(register, is_32) in &params.gprs {
            state.gprs[usize::from(register)] = if is_32 { U32 } else { Kind::Any };
        }
        for &register in &CALLEE_SAVED {
            state.gprs[usize::from(register)] = Kind::Saved(register);
        }
        state.defined = params.xmms;
        state.readable = Readable::Arguments;
        state
    }

    fn take_dirty(&mut self) -> Option<usize> {
        let from = self.next_dirty;
        let ahead = self.dirty[from..]
            .iter()
            .position(|&dirty| dirty)
            .map(|at| from + at);
        let block = ahead.or_else(|| self.dirty.iter().position(|&dirty| dirty))?;
        self.dirty[block] = false;
        self.next_dirty = block + 1;
        Some(block)
    }

    /// Joins the current state into that at the start of a block.
    pub(crate) fn reach(&mut self, block: usize) -> Check<()> {
        self.spend(1 + (self.slots.len() / SLOTS_PER_VISIT) as u64)?;
        let slots = &mut self.slots_at_start[block * self.slots.len()..][..self.slots.len()];
        match &mut self.at_start[block] {
            unreached @ None => {
                *unreached = Some(self.state);
                slots.copy_from_slice(&self.slots);
                self.dirty[block] = true;
            }
            Some(state) => {
                if state.depth != self.state.depth {
                    let (a, b) = (state.depth, self.state.depth);
                    return refuse(Rule::StackPointer, format!("frames of {a} and {b} bytes meet"));
                }
                let changed = state.join(&self.state) | self.slot_kinds.join(slots, &self.slots);
                self.dirty[block] |= changed;
            }
        }
        Ok(())
    }

    /// The block that starts at this offset of the text, as the target of a branch.
    pub(crate) fn block_at(&self, pc: u64) -> Check<usize> {
        match self.starts.binary_search_by(|&start| u64::from(start).cmp(&pc)) {
            Ok(block) if block > 0 || self.module.artifact.heads.binary_search(&self.starts[0]).is_ok() => {
                Ok(block)
            }
            _ => refuse(
                Rule::BranchTarget,
                format!("0x{pc:x} is not a listed block head of the function"),
            ),
        }
    }

    fn visit(&mut self, block: usize, decoder: &mut Decoder<'_>, first: bool) -> Check<()> {
        let end_of_function = self.range.start + self.range.len;
        let is_last = block + 1 == self.starts.len();
        let end = self.starts.get(block + 1).copied().unwrap_or(end_of_function);
        self.enter(block);
        self.spend(u64::from(end - self.pc))?;
        let mut tables = Tables::at(self, block, first);
        decoder
            .set_position(self.pc as usize)
            .expect("blocks start inside the text");
        decoder.set_ip(u64::from(self.pc));
        loop {
            let row = self.decode(decoder, end, is_last, first)?;
            tables.before(self)?;
            self.fault = None;
            let next = self.step(row)?;
            tables.after(self)?;
            self.pc = self.insn.next_ip() as u32;
            match next {
                Next::Stop if self.pc < end => {
                    return refuse(Rule::Unreachable, "nothing leads past it");
                }
                Next::Stop => break,
                Next::Continue if self.pc < end => {}
                Next::Continue if is_last => return refuse(Rule::FallsOffEnd, "the last instruction"),
                Next::Continue => {
                    self.reach(block + 1)?;
                    break;
                }
            }
        }
        tables.end(self, end)
    }

    fn spend(&mut self, work: u64) -> Check<()> {
        self.work += work;
        if self.work > VISITS_MAX * (u64::from(self.range.len) + VISITS_BASE_BYTES) {
            return refuse(
                Rule::Budget,
                format!("more than {VISITS_MAX} visits of each byte"),
            );
        }
        Ok(())
    }

    fn enter(&mut self, block: usize) {
        self.pc = self.starts[block];
        self.insn = Instruction::default();
        self.state = self.at_start[block].expect("only reached blocks are dirty");
        let count = self.slots.len();
        self.slots
            .copy_from_slice(&self.slots_at_start[block * count..][..count]);
        self.fact = Fact::Nothing;
        self.block.clear();
    }

    /// Decodes the instruction at the program counter and finds its row.
    fn decode(
        &mut self,
        decoder: &mut Decoder<'_>,
        end: u32,
        last: bool,
        first: bool,
    ) -> Check<&'static Row> {
        decoder.decode_out(&mut self.insn);
        if self.insn.is_invalid() {
            return refuse(Rule::Decode, format!("{:?}", decoder.last_error()));
        }
        let next = self.insn.next_ip() as u32;
        if next > end {
            return if last {
                refuse(Rule::Decode, "cut off by the end of the function")
            } else {
                refuse(Rule::Head, format!("head 0x{end:x} lies inside the instruction"))
            };
        }
        let row = rows::row(self.insn.code());
        if row.form == Form::Refused {
            return refuse(Rule::NotAllowed, format!("form {:?}", self.insn.code()));
        }
        if first {
            let bytes = &self.module.artifact.text[self.pc as usize..next as usize];
            if let Err(what) = encoding::check(bytes, &self.insn, row) {
                return refuse(Rule::Encoding, format!("{what}: {bytes:02x?}"));
            }
            self.check_feature(row.feature)?;
        }
        Ok(row)
    }

    fn check_feature(&self, feature: Feature) -> Check<()> {
        let features = &self.module.artifact.target.features;
        let present = match feature {
            Feature::Baseline => true,
            Feature::Popcnt => features.popcnt,
            Feature::Lzcnt => features.lzcnt,
            Feature::Bmi1 => features.bmi1,
            Feature::Bmi2 => features.bmi2,
        };
        if present {
            Ok(())
        } else {
            refuse(Rule::Feature, format!("needs {feature:?}"))
        }
    }

    fn instruction_text(&self) -> String {
        if self.insn.is_invalid() {
            return String::new();
        }
        let mut text = String::new();
        NasmFormatter::new().format(&self.insn, &mut text);
        format!("`{text}`: ")
    }
}

/// The rows of the function's tables that lie in the rest of a block.
struct Tables<'a> {
    traps: &'a [TrapSite],
    calls: &'a [CallSite],
    unwind: &'a [UnwindRow],
    frame_bytes: u32,
    /// Whether trap and call sites are still to be compared; depths always are.
    first: bool,
}

impl<'a> Tables<'a> {
    fn at(function: &Function<'a>, block: usize, first: bool) -> Self {
        let [traps, calls, unwind] = function.rows_before[block].map(|count| count as usize);
        Self {
            traps: &function.traps[traps..],
            calls: &function.calls[calls..],
            // The function starts with a row.
            frame_bytes: function.unwind[unwind - 1].frame_bytes,
            unwind: &function.unwind[unwind..],
            first,
        }
    }

    /// Before the instruction's transfer: the frame size is the listed one.
    fn before(&mut self, function: &Function<'a>) -> Check<()> {
        if let Some((row, rest)) = self.unwind.split_first()
            && row.pc <= function.pc
        {
            if row.pc < function.pc {
                return refuse(
                    Rule::Unwind,
                    format!("a row at 0x{:x}, inside an instruction", row.pc),
                );
            }
            (self.frame_bytes, self.unwind) = (row.frame_bytes, rest);
        }
        if self.frame_bytes == function.state.depth {
            return Ok(());
        }
        refuse(
            Rule::Unwind,
            format!(
                "{} bytes listed, {} in the code",
                self.frame_bytes, function.state.depth
            ),
        )
    }

    /// After the transfer: the instruction is listed exactly if it can fault, or is a call.
    fn after(&mut self, function: &Function<'a>) -> Check<()> {
        if !self.first {
            return Ok(());
        }
        let (pc, next) = (function.pc, function.insn.next_ip() as u32);
        let listed = self.traps.first().filter(|site| site.pc < next);
        match (listed, function.fault) {
            (None, None) => {}
            (Some(site), _) if site.pc != pc => {
                return refuse(
                    Rule::TrapSite,
                    format!("0x{:x} is inside the instruction", site.pc),
                );
            }
            (Some(_), None) => return refuse(Rule::TrapSite, "listed, but it cannot fault"),
            (None, Some(_)) => return refuse(Rule::TrapSite, "can fault, but is not listed"),
            (Some(site), Some(codes)) if !codes.contains(&site.code) => {
                return refuse(Rule::TrapSite, format!("listed as {:?}", site.code));
            }
            (Some(_), Some(_)) => self.traps = &self.traps[1..],
        }
        let is_call = matches!(
            rows::row(function.insn.code()).form,
            Form::Call | Form::CallIndirect
        );
        let listed = self.calls.first().filter(|call| call.return_pc <= next);
        match listed {
            Some(call) if call.return_pc == next && is_call => self.calls = &self.calls[1..],
            Some(call) => {
                return refuse(
                    Rule::CallSite,
                    format!("0x{:x} is not behind a call", call.return_pc),
                );
            }
            None if is_call => return refuse(Rule::CallSite, "the call is not listed"),
            None => {}
        }
        Ok(())
    }

    /// At the end of a block: nothing listed inside it is left over.
    fn end(&self, function: &Function<'a>, end: u32) -> Check<()> {
        match self.unwind.first() {
            Some(row) if row.pc < end => refuse(
                Rule::Unwind,
                format!("a row at 0x{:x}, inside {}", row.pc, function.instruction_text()),
            ),
            _ => Ok(()),
        }
    }
}
