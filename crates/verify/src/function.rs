//! The second pass: the fixpoint over the blocks of one function. First, as far as there are any, a block
//! to which all ways were gone already: it is visited once, its state is final and given back at once. Loops and
//! what is behind them follow in the order of the code, until nothing changes.
//!
//! Requires what `decode` guarantees. Guarantees that every instruction was passed with a state
//! that holds on all paths to it, that the listed frame sizes are those of the states, and that
//! exactly the instructions that can fault are listed as trap sites. Deliberately knows no
//! instruction; those are in `transfer`.

use crate::decode::{self, Decoded, Op, WAYS_MANY};
use crate::domain::{Fact, Kind, Readable, Registers};
use crate::frame::{Frame, Frames, NODE_BYTES};
use crate::module::{Convention, Module};
use crate::rows::{self, Form, Row};
use crate::stems::Stem;
use crate::violation::{Check, Rule, ensure, located, refuse};
use cellwall_abi::convention::{BLOCK_OVERFLOW_PLACES, CALLEE_SAVED};
use cellwall_abi::{FuncRange, TrapCode};
use iced_x86::{Decoder, DecoderOptions, Formatter, NasmFormatter};
use std::mem::take;

/// How often each byte of a function may be visited on average. Honest code needs one to three
/// visits (one, and one more for each loop around it that changes what is known). An edge costs as
/// much as a byte, and a node of a frame that differs on two paths as much as another.
const VISITS_MAX: u64 = 64;
/// After so many changes of the state at a block, slots there are no longer known to be small: each
/// visit of a loop may have found one more that is not. Honest code needs few. Changes between two
/// visits are one, so that any number of paths may meet.
const CHANGES_MAX: u8 = 24;
/// Bytes that states may take for each byte of code. Honest code needs 10 to 20; code that is
/// nothing but branches, 120.
const STATE_BYTES_MAX: u64 = 256;
/// Bytes added to the length of a function when its budgets are computed.
const BUDGET_BASE_BYTES: u64 = 4096;

/// When so many blocks are ready, they are visited before what comes next in the one at hand.
const READY_MAX: usize = 64;
/// Room for states is kept for the next function up to so many.
const STATES_SPARE_MAX: usize = 1 << 12;

/// What one proof leaves to the next, of the same artifact: what was decoded, and memory.
#[derive(Default)]
pub(crate) struct Scratch {
    decode: decode::Scratch,
    states: States,
    frames: Frames,
    overflow: Frames,
}

/// States at block heads, and which blocks wait for a visit.
#[derive(Default)]
struct States {
    /// By number; blocks may share one.
    all: Vec<State>,
    /// Numbers of states that no block has any more.
    free: Vec<u32>,
    /// By block: the number of its state.
    at: Vec<u32>,
    /// By block: how often its state changed.
    changes: Vec<u8>,
    /// Blocks to which all ways were gone, each from a block that will not be visited again. The
    /// last one is visited next, so that few states wait.
    ready: Vec<u32>,
    /// Blocks to be visited (again), one bit each.
    dirty: Vec<u64>,
}

impl States {
    /// No state, for so many blocks, in the memory of others.
    fn emptied(mut self, blocks: usize) -> Self {
        self.all.clear();
        self.all.shrink_to(STATES_SPARE_MAX);
        for numbers in [&mut self.free, &mut self.ready, &mut self.at] {
            numbers.clear();
            numbers.shrink_to(STATES_SPARE_MAX);
        }
        self.at.resize(blocks, UNREACHED);
        (self.changes, self.dirty) = (vec![0; blocks], vec![0; blocks.div_ceil(64)]);
        self
    }
}

/// What is known between two instructions and at block heads.
#[derive(Clone, Copy)]
struct State {
    registers: Registers,
    frame: Frame,
    written: Frame,
    /// How many other blocks it is the state of as well, or [`OTHERS_MANY`].
    others: u16,
}

/// So many others or more: they are not counted, and the state stays.
const OTHERS_MANY: u16 = u16::MAX;

/// In place of the number of a state: the block was not reached.
const UNREACHED: u32 = u32::MAX;
/// In place of the number of a state: the block was visited with its final one.
const DONE: u32 = u32::MAX - 1;

/// The proof of one function while it is made.
pub(crate) struct Function<'a> {
    pub(crate) module: &'a Module<'a>,
    pub(crate) range: FuncRange,
    pub(crate) code: Decoded<'a>,
    stems: &'a [Stem],
    /// The instruction being looked at.
    pub(crate) op: Op,
    pub(crate) stem: &'a Stem,
    pub(crate) row: &'static Row,
    /// The state before it.
    pub(crate) state: Registers,
    pub(crate) frame: Frame,
    pub(crate) fact: Option<Fact>,
    pub(crate) frames: Frames,
    /// Which overflow places were written since the last call, two words of each, and all that are at block heads.
    pub(crate) written: Frame,
    pub(crate) overflow: Frames,
    /// Slots of the deepest frame that is listed.
    pub(crate) slots: usize,
    /// What a fault of the instruction may mean, if it can fault.
    pub(crate) fault: Option<&'static [TrapCode]>,
    /// If it is a branch that tells nothing and was new at its target: the state that it left there.
    pub(crate) branched: Option<u32>,
    /// By jump table of the function: the jump that uses it.
    pub(crate) jump_users: Vec<Option<u32>>,
    states: States,
    /// Whether blocks that are ready are being visited, so that what is done now is final.
    is_final: bool,
    /// Whether that is in the midst of another block.
    makes_room: bool,
    work: u64,
}

/// Proves the function at this index of the artifact; whether it is [detached](crate::Verified::is_detached).
pub(crate) fn prove(module: &Module<'_>, index: usize, scratch: &mut Scratch) -> Check<bool> {
    let range = module.artifact.funcs[index];
    let proof = decode::decode(module, index, &mut scratch.decode).and_then(|code| {
        let is_detached = code.is_detached;
        let stems = scratch.decode.stems.known();
        let mut function = Function::new(module, range, code, stems, take(&mut scratch.states));
        function.frames = take(&mut scratch.frames).emptied(function.slots);
        function.overflow = take(&mut scratch.overflow).emptied(2 * BLOCK_OVERFLOW_PLACES);
        let proof = function.run();
        scratch.decode.ops = function.code.ops;
        (scratch.states, scratch.frames) = (function.states, function.frames);
        scratch.overflow = function.overflow;
        located(proof, Some(range.func), function.op.pc).map(|()| is_detached)
    });
    proof.map_err(|mut violation| {
        let instruction = instruction_text(module, range, violation.pc);
        violation.evidence.insert_str(0, &instruction);
        violation
    })
}

/// The instruction at a place of the text in words, for evidence.
fn instruction_text(module: &Module<'_>, range: FuncRange, pc: u32) -> String {
    let text = &module.artifact.text[pc as usize..(range.start + range.len) as usize];
    let insn = Decoder::with_ip(64, text, pc.into(), DecoderOptions::NONE).decode();
    if insn.is_invalid() {
        return String::new();
    }
    let mut words = String::new();
    NasmFormatter::new().format(&insn, &mut words);
    format!("`{words}`: ")
}

impl<'a> Function<'a> {
    fn new(
        module: &'a Module<'a>,
        range: FuncRange,
        code: Decoded<'a>,
        stems: &'a [Stem],
        states: States,
    ) -> Self {
        let deepest = code.unwind.iter().map(|row| row.frame_bytes).max().unwrap_or(0);
        let slots = deepest as usize / 8;
        Self {
            module,
            range,
            stems,
            op: code.ops[0],
            stem: &stems[code.ops[0].stem as usize],
            row: rows::row(stems[code.ops[0].stem as usize].code),
            state: Registers::UNKNOWN,
            frame: Frame::UNDEFINED,
            fact: None,
            frames: Frames::default(),
            written: Frame::UNDEFINED,
            overflow: Frames::default(),
            slots,
            fault: None,
            branched: None,
            jump_users: vec![None; code.jumps.len()],
            states: states.emptied(code.blocks.len()),
            is_final: true,
            makes_room: false,
            work: 0,
            code,
        }
    }

    /// The convention of the function's own type.
    pub(crate) fn own(&self) -> &'a Convention {
        self.module.convention(self.module.type_of(self.range.func))
    }

    fn run(&mut self) -> Check<()> {
        for register in CALLEE_SAVED {
            self.state.set(register, Kind::Saved(register));
        }
        self.state.give(&self.own().params);
        self.state.readable = Readable::Arguments;
        self.reach(0)?;
        self.visit_ready()?;
        self.is_final = false;
        let mut from = 0;
        while let Some(block) = self.take_dirty(from) {
            from = self.visit(block)?;
        }
        // What is no target was passed on the way from the block before it.
        let is_left = |(block, state): (&decode::Block, &u32)| block.is_target && *state == UNREACHED;
        if let Some(block) = self.code.blocks.iter().zip(&self.states.at).position(is_left) {
            self.op = self.code.ops[self.code.blocks[block].first as usize];
            refuse!(Rule::Unreachable => "no path leads to this block");
        }
        Ok(())
    }

    /// Visits the blocks that are ready, and those that become so.
    fn visit_ready(&mut self) -> Check<()> {
        while let Some(block) = self.states.ready.pop() {
            let block = block as usize;
            self.states.dirty[block / 64] &= !(1 << (block % 64));
            self.visit(block)?;
        }
        Ok(())
    }

    /// Visits the blocks that are ready if they are many, in the midst of another one.
    pub(crate) fn make_room(&mut self) -> Check<()> {
        if self.states.ready.len() < READY_MAX || self.makes_room {
            return Ok(());
        }
        self.makes_room = true;
        self.share();
        let (op, stem, row, fault) = (self.op, self.stem, self.row, self.fault);
        let (state, frame, fact) = (self.state, self.frame, self.fact);
        let written = self.written;
        let ready = take(&mut self.states.ready);
        for block in ready {
            self.states.ready.push(block);
            self.visit_ready()?;
        }
        self.written = written;
        (self.state, self.frame, self.fact) = (state, frame, fact);
        (self.op, self.stem, self.row) = (op, stem, row);
        (self.fault, self.branched) = (fault, None);
        self.makes_room = false;
        Ok(())
    }

    /// The next block to be visited from this one on, or else from the first on: in the order of the
    /// code, so that nearly every block is visited after all that lead to it.
    fn take_dirty(&mut self, from: usize) -> Option<usize> {
        let (word, words) = (from / 64, self.states.dirty.len());
        let mut bits = self
            .states
            .dirty
            .get(word)
            .map_or(0, |bits| bits & u64::MAX << (from % 64));
        let mut at = word;
        if bits == 0 {
            at = (word + 1..words)
                .chain(0..words)
                .find(|&at| self.states.dirty[at] != 0)?;
            bits = self.states.dirty[at];
            // Words that are passed over cost as well.
            self.work += at.abs_diff(word) as u64 / 8;
        }
        let bit = bits.trailing_zeros() as usize;
        self.states.dirty[at] &= !(1 << bit);
        Some(64 * at + bit)
    }

    /// Joins the current state into that at the start of a block.
    pub(crate) fn reach(&mut self, block: usize) -> Check<()> {
        self.reach_each(&mut None, block)
    }

    /// Likewise for one of several blocks that are reached with the same state: those that were not
    /// reached before share it.
    pub(crate) fn reach_each(&mut self, shared: &mut Option<u32>, block: usize) -> Check<()> {
        self.spend(1)?;
        self.count_way(block);
        let at = self.states.at[block];
        let (word, bit) = (block / 64, 1 << (block % 64));
        if at >= DONE {
            self.share();
            self.states.at[block] = match *shared {
                Some(state) => {
                    let others = &mut self.states.all[state as usize].others;
                    *others = others.saturating_add(1);
                    state
                }
                None => *shared.insert(self.keep(self.state, self.frame, self.written)),
            };
            self.states.dirty[word] |= bit;
            return Ok(());
        }
        let mut state = self.states.all[at as usize];
        let (a, b) = (state.registers.depth, self.state.depth);
        ensure!(a == b, Rule::StackPointer => "paths with frames of {a} and {b} bytes meet");
        let mut joined = self.frames.join(state.frame, self.frame, &mut self.work);
        if joined != state.frame {
            let is_new = self.states.dirty[word] & bit == 0;
            self.states.changes[block] = self.states.changes[block].saturating_add(u8::from(is_new));
            if self.states.changes[block] > CHANGES_MAX {
                joined = self.frames.widen(joined, &mut self.work);
            }
        }
        let written = self.overflow.join(state.written, self.written, &mut self.work);
        self.share();
        let is_changed = joined != state.frame || written != state.written;
        if state.registers.join(&self.state) || is_changed {
            (state.frame, state.written) = (joined, written);
            if state.others == 0 {
                self.states.all[at as usize] = state;
            } else {
                self.give_back(at);
                self.states.at[block] = self.keep(state.registers, joined, written);
            }
            self.states.dirty[word] |= bit;
        }
        Ok(())
    }

    /// All trees made so far belong to more than one state from now on.
    pub(crate) fn share(&mut self) {
        self.frames.share();
        self.overflow.share();
    }

    /// One way to a block was gone. If it was the last and all were gone for good, the block is ready.
    #[inline]
    fn count_way(&mut self, block: usize) {
        let ways = &mut self.code.blocks[block].ways;
        if self.is_final && (1..WAYS_MANY).contains(ways) {
            *ways -= 1;
            if *ways == 0 {
                self.states.ready.push(block as u32);
            }
        }
    }

    /// A block has its state no more.
    fn give_back(&mut self, at: u32) {
        match &mut self.states.all[at as usize].others {
            0 => self.states.free.push(at),
            &mut OTHERS_MANY => {}
            others => *others -= 1,
        }
    }

    /// Adds a state; its number.
    fn keep(&mut self, registers: Registers, frame: Frame, written: Frame) -> u32 {
        let state = State {
            registers,
            frame,
            written,
            others: 0,
        };
        if let Some(at) = self.states.free.pop() {
            self.states.all[at as usize] = state;
            return at;
        }
        if self.states.all.len() == self.states.all.capacity() {
            // Twice as many, but room for more than one of each block only if they need it.
            let (len, blocks) = (self.states.all.len(), self.code.blocks.len());
            let more = if len < blocks { len.min(blocks - len) } else { len };
            self.states.all.reserve_exact(more.max(4));
        }
        self.states.all.push(state);
        self.states.all.len() as u32 - 1
    }

    /// Counts work, and looks at what it and the states come to.
    pub(crate) fn spend(&mut self, work: u64) -> Check<()> {
        self.work += work;
        let code_bytes = u64::from(self.range.len) + BUDGET_BASE_BYTES;
        let nodes = self.frames.size() + self.overflow.size();
        let space = self.states.all.len() * size_of::<State>() + nodes * NODE_BYTES;
        ensure!(self.work <= VISITS_MAX * code_bytes, Rule::Budget =>
            "more than {VISITS_MAX} visits of each byte");
        ensure!(space as u64 <= STATE_BYTES_MAX * code_bytes, Rule::Budget =>
            "the states take more than {STATE_BYTES_MAX} bytes for each byte of code");
        Ok(())
    }

    /// Passes through the code from a block on, until no path leads further or to the next block
    /// that others lead to as well; the number of that.
    fn visit(&mut self, block: usize) -> Check<usize> {
        let start = self.code.blocks[block];
        let at = self.states.at[block];
        let state = &self.states.all[at as usize];
        (self.state, self.frame, self.fact) = (state.registers, state.frame, None);
        self.written = state.written;
        if self.is_final {
            self.give_back(at);
            self.states.at[block] = DONE;
        }
        let mut unwind = start.unwind as usize;
        let mut frame_bytes = (unwind.checked_sub(1)).map_or(0, |row| self.code.unwind[row].frame_bytes);
        let (mut at, mut next_block) = (start.first as usize, block + 1);
        loop {
            let next = self.code.blocks.get(next_block).copied();
            let end = next.map_or(self.code.ops.len(), |block| block.first as usize);
            let (from, mut stops) = (at, false);
            while at < end && !stops {
                self.op = self.code.ops[at];
                if self.op.unwinds {
                    frame_bytes = self.code.unwind[unwind].frame_bytes;
                    unwind += 1;
                }
                ensure!(frame_bytes == self.state.depth, Rule::Unwind =>
                    "{frame_bytes} bytes of frame are listed, {} are in the code", self.state.depth);
                self.pass()?;
                stops = self.op.form.stops();
                at += 1;
            }
            self.spend(4 * (at - from) as u64)?;
            ensure!(!stops || at == end, Rule::Unreachable => "no path leads past it");
            match next {
                Some(next) if !next.is_target => {
                    ensure!(!stops, Rule::Unreachable => "no path leads past it, and none to the next head");
                    next_block += 1;
                }
                _ if stops => return Ok(next_block),
                None => refuse!(Rule::FallsOffEnd => "it is the last instruction"),
                Some(_) => {
                    // Behind a branch that told nothing, all is as at its target.
                    let mut branched = self.branched;
                    self.reach_each(&mut branched, next_block)?;
                    return Ok(next_block);
                }
            }
        }
    }

    /// One instruction.
    #[inline]
    fn pass(&mut self) -> Check<()> {
        self.stem = &self.stems[self.op.stem as usize];
        self.branched = None;
        if self.op.form == Form::Usual && self.step_usual() {
            return Ok(());
        }
        (self.row, self.fault) = (rows::row(self.stem.code), None);
        self.step()?;
        match (self.op.trap, self.fault) {
            (None, None) => Ok(()),
            (Some(code), Some(codes)) if codes.contains(&code) => Ok(()),
            (listed, codes) => refuse!(Rule::TrapSite => "listed is {listed:?}, a fault means {codes:?}"),
        }
    }
}
