//! The second pass: the fixpoint over the blocks of one function.
//!
//! Requires what `decode` guarantees. Guarantees that every instruction was passed with a state
//! that holds on all paths to it, that the listed frame sizes are those of the states, and that
//! exactly the instructions that can fault are listed as trap sites. Deliberately knows no
//! instruction; those are in `transfer`.

use crate::access::BlockWrites;
use crate::decode::{self, Decoded, Op};
use crate::domain::{Fact, Kind, Readable, Registers, U32};
use crate::frame::{Frame, Frames, NODE_BYTES};
use crate::module::{Convention, Module};
use crate::rows;
use crate::violation::{Rule, Violation};
use cellwall_abi::convention::CALLEE_SAVED;
use cellwall_abi::{FuncRange, TrapCode};
use iced_x86::{Decoder, DecoderOptions, Formatter, NasmFormatter};

/// A refusal before it knows its place.
pub(crate) struct Refusal(Box<(Rule, String)>);

/// The answer of a check.
pub(crate) type Check<T> = Result<T, Refusal>;

/// Refuses.
#[cold]
pub(crate) fn refuse<T>(rule: Rule, evidence: impl Into<String>) -> Check<T> {
    Err(Refusal(Box::new((rule, evidence.into()))))
}

/// How often each byte of a function may be visited on average. Honest code needs one to three
/// visits (one, and one more for each loop around it that changes what is known). An edge costs as
/// much as a byte, and a node of a frame that differs on two paths as much as another.
const VISITS_MAX: u64 = 64;
/// After so many changes of the state at a block, slots there are no longer known to be small: each
/// visit of a loop may have found one more that is not. Honest code needs few.
const CHANGES_MAX: u8 = 24;
/// Bytes that states may take for each byte of code. Honest code needs 10 to 20; code that is
/// nothing but branches, 120.
const STATE_BYTES_MAX: usize = 256;
/// Bytes added to the length of a function when its budgets are computed.
const BUDGET_BASE_BYTES: u64 = 4096;

/// Where execution goes after an instruction.
pub(crate) enum Next {
    /// To the next instruction.
    Continue,
    /// Nowhere: the block ends here.
    Stop,
}

/// Room for states is kept for the next function up to so many.
const STATES_SPARE_MAX: usize = 1 << 12;

/// What one proof leaves to the next, of the same artifact: what was decoded, and memory.
#[derive(Default)]
pub(crate) struct Scratch {
    decode: decode::Scratch,
    states: Vec<State>,
    frames: Frames,
}

/// What is known between two instructions and at block heads.
#[derive(Clone, Copy)]
struct State {
    registers: Registers,
    frame: Frame,
    /// Whether it is that of several blocks.
    is_shared: bool,
}

/// In place of the number of a state: the block was not reached.
const UNREACHED: u32 = u32::MAX;

/// The proof of one function while it is made.
pub(crate) struct Function<'a> {
    pub(crate) module: &'a Module<'a>,
    pub(crate) range: FuncRange,
    pub(crate) code: Decoded<'a>,
    /// The instruction being looked at.
    pub(crate) op: Op,
    /// The state before it.
    pub(crate) state: Registers,
    pub(crate) frame: Frame,
    pub(crate) fact: Fact,
    pub(crate) block: BlockWrites,
    pub(crate) frames: Frames,
    /// Slots of the deepest frame that is listed.
    pub(crate) slots: usize,
    /// What a fault of the instruction may mean, if it can fault.
    pub(crate) fault: Option<&'static [TrapCode]>,
    /// The last branch that was new at its target, and the state that it left there.
    pub(crate) branched: Option<(u32, u32)>,
    /// By jump table of the function: the jump that uses it.
    pub(crate) jump_users: Vec<Option<u32>>,
    /// States at block heads; a block has the number of its own. Blocks may share one.
    states: Vec<State>,
    state_at: Vec<u32>,
    /// By block: how often its state changed.
    changes: Vec<u8>,
    /// Blocks to be visited (again), one bit each.
    dirty: Vec<u64>,
    work: u64,
}

/// Proves the function at this index of the artifact; whether it is [detached](crate::Verified::is_detached).
pub(crate) fn prove(module: &Module<'_>, index: usize, scratch: &mut Scratch) -> Result<bool, Violation> {
    let range = module.artifact.funcs[index];
    let violation = |pc, Refusal(refusal): Refusal| {
        let (rule, why) = *refusal;
        Violation {
            func: Some(range.func),
            pc,
            rule,
            evidence: format!("{}{why}", instruction_text(module, range, pc)),
        }
    };
    let code =
        decode::decode(module, index, &mut scratch.decode).map_err(|(pc, refusal)| violation(pc, refusal))?;
    let is_detached = code.is_detached;
    let mut function = Function::new(module, range, code, scratch);
    let proof = function.run();
    scratch.decode.ops = function.code.ops;
    (scratch.states, scratch.frames) = (function.states, function.frames);
    match proof {
        Ok(()) => Ok(is_detached),
        Err(refusal) => Err(violation(function.op.pc, refusal)),
    }
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
    fn new(module: &'a Module<'a>, range: FuncRange, code: Decoded<'a>, scratch: &mut Scratch) -> Self {
        let deepest = code.unwind.iter().map(|row| row.frame_bytes).max().unwrap_or(0);
        let (slots, blocks) = (deepest as usize / 8, code.blocks.len());
        let mut states = std::mem::take(&mut scratch.states);
        states.clear();
        states.shrink_to(STATES_SPARE_MAX);
        Self {
            module,
            range,
            op: code.ops[0],
            state: Registers::UNKNOWN,
            frame: Frame::UNDEFINED,
            fact: Fact::Nothing,
            block: BlockWrites::default(),
            frames: std::mem::take(&mut scratch.frames).emptied(slots),
            slots,
            fault: None,
            branched: None,
            jump_users: vec![None; code.jumps.len()],
            states,
            state_at: vec![UNREACHED; blocks],
            changes: vec![0; blocks],
            dirty: vec![0; blocks.div_ceil(64)],
            work: 0,
            code,
        }
    }

    /// The convention of the function's own type.
    pub(crate) fn own(&self) -> &'a Convention {
        self.module.convention(self.module.type_of(self.range.func))
    }

    fn run(&mut self) -> Check<()> {
        self.state = self.entry_state();
        self.reach(0)?;
        let mut from = 0;
        while let Some(block) = self.take_dirty(from) {
            from = self.visit(block)?;
        }
        // What is no target was passed on the way from the block before it.
        let is_left = |(block, state): (&decode::Block, &u32)| block.is_target && *state == UNREACHED;
        match self.code.blocks.iter().zip(&self.state_at).position(is_left) {
            None => Ok(()),
            Some(block) => {
                self.op = self.code.ops[self.code.blocks[block].first as usize];
                refuse(Rule::Unreachable, "no path leads to this block")
            }
        }
    }

    fn entry_state(&self) -> Registers {
        let mut state = Registers::UNKNOWN;
        for register in CALLEE_SAVED {
            state.set(usize::from(register), Kind::Saved(register));
        }
        let params = &self.own().params;
        for &(register, is_32) in &params.gprs {
            state.set(usize::from(register), if is_32 { U32 } else { Kind::Any });
        }
        for &(register, bytes) in &params.xmms {
            state.vectors[usize::from(register)] = bytes;
        }
        state.readable = Readable::Arguments;
        state
    }

    /// The next block to be visited from this one on, or else from the first on: in the order of the
    /// code, so that nearly every block is visited after all that lead to it.
    fn take_dirty(&mut self, from: usize) -> Option<usize> {
        let (word, bit) = (from / 64, from % 64);
        let here = self.dirty.get(word).map_or(0, |bits| bits >> bit << bit);
        let at = if here != 0 {
            word
        } else {
            let ahead = (word + 1..self.dirty.len()).find(|&word| self.dirty[word] != 0);
            ahead.or_else(|| self.dirty.iter().position(|&bits| bits != 0))?
        };
        // Words that are passed over cost as well.
        self.work += at.abs_diff(word) as u64 / 8;
        let bits = if here != 0 { here } else { self.dirty[at] };
        let bit = bits.trailing_zeros() as usize;
        self.dirty[at] &= !(1 << bit);
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
        self.check_space()?;
        self.frames.share();
        let old = self.state_at[block];
        if old == UNREACHED {
            let state = match *shared {
                Some(state) => {
                    self.states[state as usize].is_shared = true;
                    state
                }
                None => *shared.insert(self.keep(self.state, self.frame)),
            };
            self.state_at[block] = state;
            self.dirty[block / 64] |= 1 << (block % 64);
            return Ok(());
        }
        if self.states[old as usize].registers.depth != self.state.depth {
            let (a, b) = (self.states[old as usize].registers.depth, self.state.depth);
            return refuse(
                Rule::StackPointer,
                format!("paths with frames of {a} and {b} bytes meet"),
            );
        }
        let State { frame, is_shared, .. } = self.states[old as usize];
        let mut joined = self.frames.join(frame, self.frame, &mut self.work);
        if joined != frame {
            self.changes[block] = self.changes[block].saturating_add(1);
            if self.changes[block] > CHANGES_MAX {
                joined = self.frames.widen(joined, &mut self.work);
            }
        }
        self.frames.share();
        let changed = if is_shared {
            let mut registers = self.states[old as usize].registers;
            let changed = registers.join(&self.state) || joined != frame;
            if changed {
                self.state_at[block] = self.keep(registers, joined);
            }
            changed
        } else {
            let state = &mut self.states[old as usize];
            state.frame = joined;
            state.registers.join(&self.state) || joined != frame
        };
        if changed {
            self.dirty[block / 64] |= 1 << (block % 64);
        }
        Ok(())
    }

    /// Adds a state; its number.
    fn keep(&mut self, registers: Registers, frame: Frame) -> u32 {
        if self.states.len() == self.states.capacity() {
            // Twice as many, but room for more than one of each block only if they need it.
            let (len, blocks) = (self.states.len(), self.code.blocks.len());
            let more = if len < blocks { len.min(blocks - len) } else { len };
            self.states.reserve_exact(more.max(4));
        }
        self.states.push(State {
            registers,
            frame,
            is_shared: false,
        });
        self.states.len() as u32 - 1
    }

    fn check_space(&self) -> Check<()> {
        let bytes = self.states.len() * size_of::<State>() + self.frames.size() * NODE_BYTES;
        if bytes > STATE_BYTES_MAX * (self.range.len as usize + BUDGET_BASE_BYTES as usize) {
            return refuse(
                Rule::Budget,
                format!("the states take more than {STATE_BYTES_MAX} bytes for each byte of code"),
            );
        }
        Ok(())
    }

    fn spend(&mut self, work: u64) -> Check<()> {
        self.work += work;
        if self.work > VISITS_MAX * (u64::from(self.range.len) + BUDGET_BASE_BYTES) {
            return refuse(
                Rule::Budget,
                format!("more than {VISITS_MAX} visits of each byte"),
            );
        }
        Ok(())
    }

    /// Passes through the code from a block on, until no path leads further or to the next block
    /// that others lead to as well; the number of that.
    fn visit(&mut self, block: usize) -> Check<usize> {
        let start = self.code.blocks[block];
        State {
            registers: self.state,
            frame: self.frame,
            ..
        } = self.states[self.state_at[block] as usize];
        (self.fact, self.fault) = (Fact::Nothing, None);
        self.block.clear();
        let mut unwind = start.unwind as usize;
        let mut frame_bytes = (unwind.checked_sub(1)).map_or(0, |row| self.code.unwind[row].frame_bytes);
        let (mut at, mut next_block) = (start.first as usize, block + 1);
        loop {
            let next = self.code.blocks.get(next_block);
            let end = next.map_or(self.code.ops.len(), |block| block.first as usize);
            let mut stops = false;
            let from = at;
            while at < end && !stops {
                self.op = self.code.ops[at];
                if self.op.unwinds {
                    frame_bytes = self.code.unwind[unwind].frame_bytes;
                    unwind += 1;
                }
                if frame_bytes != self.state.depth {
                    let depth = self.state.depth;
                    return refuse(
                        Rule::Unwind,
                        format!("{frame_bytes} bytes of frame are listed, {depth} are in the code"),
                    );
                }
                stops = self.pass()?;
                at += 1;
            }
            self.spend(4 * (at - from) as u64)?;
            let is_target = self.code.blocks.get(next_block).map(|block| block.is_target);
            match (stops, is_target) {
                (true, _) if at < end => return refuse(Rule::Unreachable, "no path leads past it"),
                (true, Some(false)) => {
                    return refuse(
                        Rule::Unreachable,
                        "no path leads past it, and none to the next head",
                    );
                }
                (true, _) => return Ok(next_block),
                (false, None) => return refuse(Rule::FallsOffEnd, "it is the last instruction"),
                (false, Some(true)) => {
                    // Behind a branch that told nothing, all is as at its target.
                    let branched = self.branched.filter(|&(pc, _)| pc == self.op.pc);
                    self.reach_each(&mut branched.map(|(_, state)| state), next_block)?;
                    return Ok(next_block);
                }
                (false, Some(false)) => next_block += 1,
            }
        }
    }

    /// One instruction; whether its block ends here.
    fn pass(&mut self) -> Check<bool> {
        self.fault = None;
        let next = self.step(rows::row(self.op.code))?;
        match (self.op.trap, self.fault) {
            (None, None) => {}
            (Some(_), None) => return refuse(Rule::TrapSite, "it is listed, but cannot fault"),
            (None, Some(_)) => return refuse(Rule::TrapSite, "it can fault, but is not listed"),
            (Some(code), Some(codes)) if codes.contains(&code) => {}
            (Some(code), Some(codes)) => {
                return refuse(
                    Rule::TrapSite,
                    format!("it is listed as {code:?}, a fault means one of {codes:?}"),
                );
            }
        }
        Ok(matches!(next, Next::Stop))
    }
}
