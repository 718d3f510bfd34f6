//! Guests one after another in a stepped process, and calls of their functions under the monitor.
//!
//! Requires artifacts that the verifier accepts; what is then written over their code may be
//! anything. Guarantees that every call starts from the same state (instance, memory, code), whatever
//! the one before did, and that the first thing that leaves the cell ends the call before it happens.

use super::cell::{Cell, Place};
use super::child::{AGAIN, EXPORT, NEXT, OVER, READY};
use super::judge::{self, Forecast, numbered, set_register};
use super::tracee::{Registers, Stop, Tracee, Vectors};
use crate::rng::Rng;
use cellwall_abi::artifact::PADDING;
use cellwall_abi::blob::LandingPad;
use cellwall_abi::convention::{CALLEE_SAVED, Place as ArgPlace, block_overflow};
use cellwall_abi::pack::{self, Origin};
use cellwall_abi::shape::{Export, Item};
use cellwall_abi::{Artifact, FuncRange, LibCall, TrapCode, TrapSite, ValType, assign};
use cellwall_base::FuncIdx;
use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory};
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::process::Command;
use std::time::Duration;

/// How long one call may take; only runaway library calls come near.
const CALL_TIME_MAX: Duration = Duration::from_secs(20);
/// How long loading and instantiating may take.
const LOAD_TIME_MAX: Duration = Duration::from_secs(60);
/// Bytes below the stack pointer, and of the block's overflow places, that are made to look as if
/// somebody had used them.
const RESIDUE_BYTES: usize = 512;
/// The breakpoint.
const INT3: u8 = 0xcc;
/// Flags that guest code has no business with: trap, direction, nested task, I/O privilege,
/// alignment check.
const FLAGS_FIXED: u64 = 0x400 | 0x3000 | 0x4000 | 0x4_0000;
/// Flags of arithmetic.
const FLAGS_FREE: u64 = 0x8d5;

/// A call of a function.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Which one, by its index in the artifact.
    pub func: usize,
    /// Where the numbers for its arguments start.
    pub inputs: u64,
    /// Where the numbers start for everything that it must not see: registers, stack, flags.
    pub residue: u64,
    /// How many instructions are looked at.
    pub steps_max: usize,
}

/// How a call ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum End {
    /// It returned.
    Returned,
    /// It trapped where it may.
    Trapped(TrapCode),
    /// It was stopped after its number of instructions.
    Limit,
    /// A host function or library call ended it.
    Left,
    /// It was about to leave its cell, or did: where and how.
    Escaped(String),
    /// The process took too long in a library call or host function.
    Late,
}

/// What came of a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// How it ended.
    pub end: End,
    /// The program counters of all instructions that ran, in order.
    pub trace: Vec<u32>,
    /// A number made of all that the call may show: its way, its results, what it wrote. `None` if
    /// the runtime had a part in it.
    pub seen: Option<u64>,
}

/// A running function.
struct Frame {
    /// Where its return address lies.
    end: u64,
    return_to: u64,
    func: FuncRange,
    /// What callee-saved registers held when it was entered.
    saved: Saved,
}

/// A place in guest code where the runtime may go on.
#[derive(Clone, Copy)]
struct Way {
    address: u64,
    /// How many frames are left.
    frames: usize,
    /// What the stack pointer must be.
    rsp: u64,
    /// Whether it is a landing pad that is given a reference to the exception.
    with_ref: bool,
}

/// The values of [`CALLEE_SAVED`] registers.
type Saved = [u64; CALLEE_SAVED.len()];

fn saved(registers: &Registers) -> Saved {
    CALLEE_SAVED.map(|number| numbered(registers, number))
}

/// Where the process stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// It waits for a command.
    Over,
    /// In guest code, or at least in the call: its registers may be set.
    InCall,
    /// Gone, or in a state that nobody knows.
    Lost,
}

/// A stepped process with a guest.
pub struct Session<'a> {
    command: &'a dyn Fn() -> Command,
    tracee: Tracee,
    factory: InstructionInfoFactory,
    state: State,
    /// Whether the instance is no longer as it was made.
    dirty: bool,
    /// What is in the process now; text and trap sites may be corrupted.
    artifact: Artifact,
    packed: Vec<u8>,
    /// The text that was accepted.
    honest: Vec<u8>,
    trampoline: u32,
    entry: Registers,
    vectors: Vectors,
    cell: Option<Cell>,
    /// Where instructions start, by function; made when it is asked for.
    boundaries: BTreeMap<u32, Vec<bool>>,
    /// What was in memory before the call wrote it.
    undo: Vec<(u64, Vec<u8>)>,
    /// Processes that were started.
    pub started: u64,
}

impl std::fmt::Debug for Session<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session({})", self.tracee.pid())
    }
}

/// What ends the stepping of a call.
enum Halt {
    End(End),
    Io(io::Error),
}

impl From<io::Error> for Halt {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn escape<T>(how: impl Into<String>) -> Result<T, Halt> {
    Err(Halt::End(End::Escaped(how.into())))
}

impl<'a> Session<'a> {
    /// Starts a process by this command, and loads an artifact; `None` if it has no code, or cannot
    /// be instantiated.
    ///
    /// # Errors
    /// If the process cannot be started or traced.
    pub fn new(command: &'a dyn Fn() -> Command, artifact: &Artifact) -> io::Result<Option<Self>> {
        let tracee = Tracee::start(command())?;
        let vectors = tracee.vectors()?;
        let entry = tracee.registers()?;
        let mut session = Self {
            command,
            tracee,
            factory: InstructionInfoFactory::new(),
            state: State::Over,
            dirty: true,
            artifact: artifact.clone(),
            packed: Vec::new(),
            honest: Vec::new(),
            trampoline: 0,
            entry,
            vectors,
            cell: None,
            boundaries: BTreeMap::new(),
            undo: Vec::new(),
            started: 1,
        };
        Ok(session.load(artifact)?.then_some(session))
    }

    /// Takes another artifact; whether it can be used.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn load(&mut self, artifact: &Artifact) -> io::Result<bool> {
        self.artifact = artifact.clone();
        self.boundaries.clear();
        let Some(first) = artifact.funcs.first() else {
            return Ok(false);
        };
        self.trampoline = first.start;
        let mut reachable = artifact.clone();
        reachable.shape.exports.push(Export {
            name: EXPORT.into(),
            item: Item::Func(first.func),
        });
        self.packed = pack::pack(&reachable, &Origin::default());
        self.honest = artifact.text.to_vec();
        let is_usable = self.send();
        self.tracee.rest();
        is_usable
    }

    /// Hands the artifact over and goes to the entry.
    fn send(&mut self) -> io::Result<bool> {
        self.cell = None;
        if self.state == State::InCall {
            self.give_up()?;
        }
        if self.state == State::Lost {
            self.tracee = Tracee::start((self.command)())?;
            self.started += 1;
        }
        self.state = State::Over;
        self.tracee.give(LOAD_TIME_MAX);
        let len = (self.packed.len() as u64).to_le_bytes();
        let parts: [&[u8]; 3] = [&[NEXT], &len, &self.packed];
        let stop = self.tracee.resume_with(&parts)?;
        self.arrive(stop)
    }

    /// From the announcement of an instance to the entry of its code.
    fn arrive(&mut self, mut stop: Stop) -> io::Result<bool> {
        // A start function may trap; the runtime knows what to do. Ends: it is not started again.
        while let Stop::Signal(signal @ (Signal::SIGSEGV | Signal::SIGILL | Signal::SIGFPE)) = stop {
            stop = self.tracee.resume_signalled(signal)?;
        }
        match stop {
            Stop::Signal(READY) => {}
            Stop::Signal(OVER) => return Ok(false),
            other => {
                self.state = State::Lost;
                return Err(io::Error::other(format!("the stepped process ended: {other:?}")));
            }
        }
        let code = match &self.cell {
            Some(cell) => cell.code,
            None => self.find_code()?,
        };
        let entry = code + u64::from(self.trampoline);
        let first = self.artifact.text[self.trampoline as usize];
        self.tracee.write(entry, &[INT3])?;
        let stop = self.tracee.resume()?;
        let mut registers = self.tracee.registers()?;
        if stop != Stop::Signal(Signal::SIGTRAP) || registers.rip != entry + 1 {
            self.state = State::Lost;
            return Err(io::Error::other(format!("the entry was not reached: {stop:?}")));
        }
        self.tracee.write(entry, &[first])?;
        registers.rip = entry;
        // Otherwise the kernel takes a stop for a system call that is to be repeated.
        registers.orig_rax = u64::MAX;
        self.entry = registers;
        self.vectors = self.tracee.vectors()?;
        self.cell = Some(Cell::read(&self.tracee, &self.artifact, code, &registers)?);
        (self.state, self.dirty) = (State::InCall, false);
        Ok(true)
    }

    /// Where the text is mapped: the one executable mapping that holds it.
    fn find_code(&self) -> io::Result<u64> {
        let maps = std::fs::read_to_string(format!("/proc/{}/maps", self.tracee.pid()))?;
        let mut found = vec![0; self.artifact.text.len()];
        for line in maps.lines().filter(|line| line.contains(" r-xp ")) {
            let start = line.split('-').next().unwrap_or_default();
            let start = u64::from_str_radix(start, 16).map_err(io::Error::other)?;
            if self.tracee.read(start, &mut found).is_ok() && found == self.artifact.text[..] {
                return Ok(start);
            }
        }
        Err(io::Error::other("the code is not in the stepped process"))
    }

    /// Ends the call that the process is in, as if the guest had returned.
    fn give_up(&mut self) -> io::Result<()> {
        let mut registers = self.entry;
        registers.rip = self.tracee.word(registers.rsp)?;
        registers.rsp += 8;
        self.tracee.set_registers(registers)?;
        self.tracee.give(CALL_TIME_MAX);
        self.state = match self.tracee.resume()? {
            Stop::Signal(OVER) => State::Over,
            _ => State::Lost,
        };
        Ok(())
    }

    /// A new instance of the same module; in a new process, if the old one is lost. It is made while
    /// the code is what was accepted: a start function runs freely.
    fn renew(&mut self) -> io::Result<bool> {
        if self.state == State::InCall {
            self.give_up()?;
        }
        let wanted = self.artifact.text.clone();
        let again = self.state == State::Over && self.cell.is_some();
        if again {
            self.put_text(&self.honest.clone())?;
            self.tracee.give(LOAD_TIME_MAX);
            let stop = self.tracee.resume_with(&[&[AGAIN]])?;
            if !self.arrive(stop)? {
                return Ok(false);
            }
        } else {
            self.artifact.text.to_mut().clone_from(&self.honest);
            if !self.send()? {
                return Ok(false);
            }
        }
        self.put_text(&wanted)?;
        Ok(true)
    }

    /// Writes what differs from what is there.
    fn put_text(&mut self, text: &[u8]) -> io::Result<()> {
        let differs = |(a, b): (&u8, &u8)| a != b;
        let old = &self.artifact.text;
        let Some(first) = old.iter().zip(text).position(differs) else {
            return Ok(());
        };
        let behind = old.iter().rev().zip(text.iter().rev()).position(differs);
        let end = text.len() - behind.expect("a byte differs");
        let code = self.cell().code;
        self.tracee.write(code + first as u64, &text[first..end])?;
        self.artifact.text[first..end].copy_from_slice(&text[first..end]);
        Ok(())
    }

    fn cell(&self) -> &Cell {
        self.cell.as_ref().expect("there is a guest")
    }

    /// Writes these bytes over the code, and takes these sites for the instructions in their range.
    /// What was there before.
    ///
    /// # Errors
    /// If the code cannot be written.
    pub fn patch(
        &mut self,
        pc: u32,
        bytes: &[u8],
        sites: &[TrapSite],
    ) -> io::Result<(Vec<u8>, Vec<TrapSite>)> {
        let range = pc as usize..pc as usize + bytes.len();
        let code = self.cell().code;
        self.tracee.write(code + u64::from(pc), bytes)?;
        let old = self
            .artifact
            .text
            .to_mut()
            .splice(range.clone(), bytes.iter().copied())
            .collect();
        let from = self
            .artifact
            .traps
            .partition_point(|site| (site.pc as usize) < range.start);
        let to = self
            .artifact
            .traps
            .partition_point(|site| (site.pc as usize) < range.end);
        let old_sites = self
            .artifact
            .traps
            .splice(from..to, sites.iter().copied())
            .collect();
        if let Some(func) = self.artifact.func_at(pc) {
            self.boundaries.remove(&func.start);
        }
        Ok((old, old_sites))
    }

    /// Writes another artifact's code over the code, which the engine knows nothing of.
    ///
    /// # Errors
    /// If the code cannot be written.
    ///
    /// # Panics
    /// If it is not [laid out alike](laid_out_alike).
    pub fn replace(&mut self, artifact: &Artifact) -> io::Result<()> {
        assert_eq!(artifact.text.len(), self.artifact.text.len(), "laid out alike");
        assert_eq!(artifact.rodata, self.artifact.rodata, "laid out alike");
        self.put_text(&artifact.text)?;
        self.artifact = artifact.clone();
        self.boundaries.clear();
        Ok(())
    }

    /// Calls a function and looks at every instruction.
    ///
    /// # Errors
    /// If the kernel or the stepped process do not do what they must; what the guest does is in the
    /// report.
    ///
    /// # Panics
    /// If the guest could be instantiated once and cannot be again.
    pub fn run(&mut self, plan: &Plan) -> io::Result<Report> {
        let report = self.run_in_time(plan);
        // Whoever compiles the next module meanwhile may take longer than a call.
        self.tracee.rest();
        report
    }

    fn run_in_time(&mut self, plan: &Plan) -> io::Result<Report> {
        if self.dirty || self.state != State::InCall {
            assert!(self.renew()?, "the guest could be instantiated before");
        }
        self.tracee.give(CALL_TIME_MAX);
        self.undo.clear();
        let func = self.artifact.funcs[plan.func];
        self.prepare(plan, func)?;
        let mut trace = Vec::new();
        let end = match self.walk(func, plan.steps_max, &mut trace) {
            Ok(never) => match never {},
            Err(Halt::End(end)) => end,
            Err(Halt::Io(error)) if self.tracee.was_late() => {
                self.state = State::Lost;
                drop(error);
                End::Late
            }
            Err(Halt::Io(error)) => return Err(error),
        };
        let untouched = self.state == State::InCall && !self.dirty;
        let seen = if untouched {
            Some(self.look(&end, &trace, func.func)?)
        } else {
            None
        };
        if untouched {
            for (address, bytes) in std::mem::take(&mut self.undo).iter().rev() {
                self.tracee.write(*address, bytes)?;
            }
        }
        Ok(Report { end, trace, seen })
    }

    /// Registers, stack and block for a call.
    fn prepare(&mut self, plan: &Plan, func: FuncRange) -> io::Result<()> {
        let (mut residue, mut inputs) = (Rng::new(plan.residue), Rng::new(plan.inputs));
        let (code, block) = (self.cell().code, self.cell().block);
        let mut registers = self.entry;
        registers.rip = code + u64::from(func.start);
        registers.eflags = registers.eflags & !FLAGS_FREE | residue.bits() & FLAGS_FREE;
        for number in (0..14).filter(|&number| number != 4) {
            set_register(&mut registers, number, residue.bits());
        }
        let mut vectors = self.vectors;
        for word in &mut vectors.xmm_space {
            *word = residue.bits() as u32;
        }
        let used = residue.bytes(RESIDUE_BYTES);
        self.tracee.write(registers.rsp - used.len() as u64, &used)?;
        self.tracee.write(block + u64::from(block_overflow(0)), &used)?;
        let signature = self.artifact.shape.signature(func.func).clone();
        for (&ty, place) in signature.params.iter().zip(assign(&signature).params) {
            let (low, high) = (input(&mut inputs, ty), input(&mut inputs, ValType::I64));
            let bytes = (u128::from(high) << 64 | u128::from(low)).to_le_bytes();
            let bytes = &bytes[..ty.bytes() as usize];
            match place {
                ArgPlace::Gpr { register, .. } => set_register(&mut registers, register, low),
                ArgPlace::Xmm { register, .. } => {
                    // What the type does not take is nobody's: it stays what was there.
                    let words = vectors.xmm_space[usize::from(register) * 4..].iter_mut();
                    for (word, bytes) in words.zip(bytes.chunks_exact(4)) {
                        *word = u32::from_le_bytes(bytes.try_into().expect("chunks are four bytes"));
                    }
                }
                ArgPlace::Block { block_offset } => {
                    self.tracee.write(block + u64::from(block_offset), bytes)?;
                }
            }
        }
        self.tracee.set_registers(registers)?;
        self.tracee.set_vectors(vectors)
    }

    /// Steps until something ends it.
    fn walk(
        &mut self,
        func: FuncRange,
        steps_max: usize,
        trace: &mut Vec<u32>,
    ) -> Result<std::convert::Infallible, Halt> {
        let mut registers = self.tracee.registers()?;
        let mut frames = vec![Frame {
            end: registers.rsp,
            return_to: self.tracee.word(registers.rsp)?,
            func,
            saved: saved(&registers),
        }];
        loop {
            let frame = frames.last().expect("the last return ends the walk");
            let pc = registers.rip.wrapping_sub(self.cell().code);
            if pc < u64::from(frame.func.start) || pc >= u64::from(frame.func.start + frame.func.len) {
                return escape(format!("control is at {pc:#x}, outside of {}", frame.func.func));
            }
            if trace.len() >= steps_max {
                return Err(Halt::End(End::Limit));
            }
            let pc = pc as u32;
            trace.push(pc);
            let insn = self.decode(pc, frame.func);
            let forecast = judge::forecast(
                &mut self.factory,
                &insn,
                &registers,
                self.cell.as_ref().expect("there is a guest"),
                frame.end,
                &self.artifact,
            );
            let forecast = match forecast {
                Ok(forecast) => forecast,
                Err(how) => return escape(format!("{pc:#x} `{insn}` {how}")),
            };
            registers =
                self.step(pc, &insn, &forecast, registers, &mut frames)
                    .map_err(|halt| match halt {
                        Halt::End(End::Escaped(how)) => {
                            Halt::End(End::Escaped(format!("{pc:#x} `{insn}` {how}")))
                        }
                        other => other,
                    })?;
        }
    }

    fn decode(&self, pc: u32, func: FuncRange) -> Instruction {
        let bytes = &self.artifact.text[pc as usize..(func.start + func.len) as usize];
        let ip = self.cell().code + u64::from(pc);
        Decoder::with_ip(64, bytes, ip, DecoderOptions::NONE).decode()
    }

    /// Lets one instruction run, and sees where it went: the registers afterwards.
    fn step(
        &mut self,
        pc: u32,
        insn: &Instruction,
        forecast: &Forecast,
        before: Registers,
        frames: &mut Vec<Frame>,
    ) -> Result<Registers, Halt> {
        for &(address, bytes) in &forecast.writes {
            let mut old = vec![0; bytes as usize];
            // What is not mapped faults below, and is not written.
            if self.tracee.read(address, &mut old).is_ok() {
                self.undo.push((address, old));
            }
        }
        self.check_leaving(insn, &before, frames)?;
        let stop = self.tracee.step()?;
        match stop {
            Stop::Signal(Signal::SIGTRAP) => {}
            Stop::Signal(signal) => return self.faulted(pc, insn, forecast, signal),
            Stop::Ended(_) if self.tracee.was_late() => {
                self.state = State::Lost;
                return Err(Halt::End(End::Late));
            }
            Stop::Ended(how) => {
                self.state = State::Lost;
                return escape(format!("ends the process: {how}"));
            }
        }
        if let Some(code) = forecast.faults {
            return escape(format!("should have faulted ({code}) and did not"));
        }
        let after = self.tracee.registers()?;
        self.check_state(&after)?;
        self.follow(insn, forecast, after, frames)
    }

    /// What holds after every instruction.
    fn check_state(&self, after: &Registers) -> Result<(), Halt> {
        let cell = self.cell();
        if after.r15 != cell.context || after.r14 != cell.base {
            return escape("changes the pinned context or base");
        }
        if (after.eflags ^ self.entry.eflags) & FLAGS_FIXED != 0 {
            return escape("changes flags that are not arithmetic");
        }
        Ok(())
    }

    /// A signal instead of a step: a trap, if it was foreseen or is listed.
    fn faulted(
        &mut self,
        pc: u32,
        insn: &Instruction,
        forecast: &Forecast,
        signal: Signal,
    ) -> Result<Registers, Halt> {
        let site = self.artifact.trap_at(pc).map(|site| site.code);
        let divides = matches!(
            site,
            Some(TrapCode::IntegerDivisionByZero | TrapCode::IntegerOverflow)
        );
        let code = match (signal, forecast.faults) {
            (Signal::SIGSEGV, Some(TrapCode::StackOverflow)) => TrapCode::StackOverflow,
            (Signal::SIGSEGV, Some(code)) if site == Some(code) => code,
            (Signal::SIGFPE, None) if divides => site.expect("it divides"),
            (Signal::SIGILL, None) if insn.flow_control() == FlowControl::Exception => match site {
                Some(code) => code,
                None => return escape("is no listed trap"),
            },
            _ => return escape(format!("faults with {signal} where the list says {site:?}")),
        };
        Err(Halt::End(End::Trapped(code)))
    }

    /// Before a return or a jump to another function: the frame is gone, the results are in order.
    fn check_leaving(&self, insn: &Instruction, before: &Registers, frames: &[Frame]) -> Result<(), Halt> {
        if insn.flow_control() != FlowControl::Return {
            return Ok(());
        }
        let frame = frames.last().expect("the last return ends the walk");
        if insn.op_count() != 0 {
            return escape("returns and drops bytes");
        }
        let signature = self.artifact.shape.signature(frame.func.func);
        zero_extended(&signature.results, &assign(signature).results, before, "result")
    }

    /// Where an instruction went.
    fn follow(
        &mut self,
        insn: &Instruction,
        forecast: &Forecast,
        after: Registers,
        frames: &mut Vec<Frame>,
    ) -> Result<Registers, Halt> {
        let frame = frames.last().expect("the last return ends the walk");
        let to = after.rip;
        let near = insn.near_branch_target();
        match insn.flow_control() {
            FlowControl::Next if to != insn.next_ip() => escape(format!(
                "is {} bytes long, the processor took {}",
                insn.len(),
                to.wrapping_sub(insn.ip())
            )),
            FlowControl::Next | FlowControl::ConditionalBranch if to == insn.next_ip() => {
                if after.rsp > frame.end {
                    return escape("moves the stack pointer out of the frame");
                }
                Ok(after)
            }
            FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch if to != near => {
                escape(format!("went to {to:#x} instead of {near:#x}"))
            }
            FlowControl::ConditionalBranch => {
                let func = frame.func;
                self.check_inside(func, to)?;
                Ok(after)
            }
            FlowControl::UnconditionalBranch | FlowControl::IndirectBranch => {
                let func = frame.func;
                if forecast.target.is_none() && self.check_inside(func, to).is_ok() {
                    return Ok(after);
                }
                if after.rsp != frame.end {
                    return escape("goes to another function and leaves its frame behind");
                }
                if saved(&after) != frame.saved {
                    return escape("goes to another function with a changed callee-saved register");
                }
                let frame = frames.pop().expect("looked at above");
                self.enter(forecast, after, frame.end, frame.return_to, frames)
            }
            FlowControl::Call | FlowControl::IndirectCall => {
                let next = insn.next_ip();
                if self.tracee.word(after.rsp)? != next {
                    return escape("pushes something else than its return address");
                }
                self.enter(forecast, after, after.rsp, next, frames)
            }
            FlowControl::Return => {
                let frame = frames.pop().expect("looked at above");
                if to != frame.return_to || after.rsp != frame.end + 8 {
                    return escape(format!("returns to {to:#x} instead of {:#x}", frame.return_to));
                }
                if saved(&after) != frame.saved {
                    return escape("changes a callee-saved register");
                }
                match frames.is_empty() {
                    true => Err(Halt::End(End::Returned)),
                    false => Ok(after),
                }
            }
            _ => escape(format!("went to {to:#x}")),
        }
    }

    /// A branch inside of a function goes to an instruction of it.
    fn check_inside(&mut self, func: FuncRange, to: u64) -> Result<(), Halt> {
        let at = to.wrapping_sub(self.cell().code + u64::from(func.start));
        let artifact = &self.artifact;
        let boundaries = self.boundaries.entry(func.start).or_insert_with(|| {
            let code = &artifact.text[func.start as usize..][..func.len as usize];
            let mut starts = vec![false; code.len()];
            let mut decoder = Decoder::new(64, code, DecoderOptions::NONE);
            while decoder.can_decode() {
                starts[decoder.position()] = true;
                let _ = decoder.decode();
            }
            starts
        });
        match boundaries.get(at as usize) {
            Some(true) => Ok(()),
            _ => escape(format!(
                "goes to {to:#x}, which is no instruction of the function"
            )),
        }
    }

    /// The start of a called function: one of the same code is stepped, all else runs freely.
    fn enter(
        &mut self,
        forecast: &Forecast,
        after: Registers,
        end: u64,
        return_to: u64,
        frames: &mut Vec<Frame>,
    ) -> Result<Registers, Halt> {
        if let Some(Place::Entry(entry)) = forecast.target
            && after.r11 != entry
        {
            return escape("calls through an entry that r11 does not name");
        }
        let pc = after.rip.wrapping_sub(self.cell().code);
        if pc < self.artifact.text.len() as u64 {
            let at = self
                .artifact
                .funcs
                .binary_search_by_key(&(pc as u32), |func| func.start);
            let Ok(at) = at else {
                return escape(format!("calls {pc:#x}, which is no function"));
            };
            let func = self.artifact.funcs[at];
            let signature = self.artifact.shape.signature(func.func);
            zero_extended(&signature.params, &assign(signature).params, &after, "argument")?;
            let saved = saved(&after);
            frames.push(Frame {
                end,
                return_to,
                func,
                saved,
            });
            return Ok(after);
        }
        match forecast.target {
            Some(Place::Library) => {
                self.dirty |= changes_something(insn_slot(&after, self.cell(), &self.tracee)?)
            }
            Some(Place::Entry(_)) => {}
            _ => return escape(format!("calls {:#x}, which is none of its functions", after.rip)),
        }
        self.run_freely(end, return_to, frames)
    }

    /// Where the process may come back to guest code: behind the call, or at a landing pad of a call on
    /// the stack.
    fn ways_back(&self, end: u64, return_to: u64, frames: &[Frame]) -> Vec<Way> {
        let mut ways = vec![Way {
            address: return_to,
            frames: frames.len(),
            rsp: end + 8,
            with_ref: false,
        }];
        let code = self.cell().code;
        for depth in 1..=frames.len() {
            let (end, return_to) = frames
                .get(depth)
                .map_or((end, return_to), |frame| (frame.end, frame.return_to));
            let of_call = |pad: &&LandingPad| code + u64::from(pad.return_pc) == return_to;
            let pads = self.artifact.pads.iter().filter(of_call);
            ways.extend(pads.map(|pad| Way {
                address: code + u64::from(pad.pad),
                frames: depth,
                rsp: end + 8,
                with_ref: pad.with_ref,
            }));
        }
        ways
    }

    /// Host, runtime or another instance: runs until it comes back to guest code.
    fn run_freely(&mut self, end: u64, return_to: u64, frames: &mut Vec<Frame>) -> Result<Registers, Halt> {
        let before = saved(&self.tracee.registers()?);
        let mut ways = self.ways_back(end, return_to, frames);
        let mut there = Vec::new();
        for &Way { address, .. } in &ways {
            let mut byte = [0];
            self.tracee.read(address, &mut byte)?;
            self.tracee.write(address, &[INT3])?;
            there.push((address, byte));
        }
        let mut stop = self.tracee.resume()?;
        // What is called may trap or meet the end of the stack; the runtime knows what to do. Ends: the
        // call is over then.
        while let Stop::Signal(signal @ (Signal::SIGSEGV | Signal::SIGILL | Signal::SIGFPE)) = stop {
            stop = self.tracee.resume_signalled(signal)?;
        }
        if !matches!(stop, Stop::Ended(_)) {
            // In the other order: an address may be there twice.
            for (address, byte) in there.into_iter().rev() {
                self.tracee.write(address, &byte)?;
            }
        }
        match stop {
            Stop::Signal(Signal::SIGTRAP) => {}
            Stop::Signal(OVER) => {
                self.state = State::Over;
                return Err(Halt::End(End::Left));
            }
            Stop::Ended(_) if self.tracee.was_late() => {
                self.state = State::Lost;
                return Err(Halt::End(End::Late));
            }
            other => {
                self.state = State::Lost;
                return escape(format!("ends in the runtime with {other:?}"));
            }
        }
        let mut registers = self.tracee.registers()?;
        registers.rip -= 1;
        ways.retain(|way| way.address == registers.rip);
        let Some(way) = ways.iter().find(|way| way.rsp == registers.rsp) else {
            self.state = State::Lost;
            // A call by reference may come here again, with a frame of its own below.
            if ways.iter().any(|way| registers.rsp < way.rsp) {
                return Err(Halt::End(End::Left));
            }
            return escape("does not come back to where it was called, nor to a landing pad");
        };
        if registers.rip == return_to && saved(&registers) != before {
            self.state = State::Lost;
            return escape("a stub changes a callee-saved register");
        }
        frames.truncate(way.frames);
        // The store keeps what a reference names, and gives the next one another number.
        self.dirty |= way.with_ref;
        registers.orig_rax = u64::MAX;
        self.tracee.set_registers(registers)?;
        if self.dirty {
            let cell = self.cell.as_mut().expect("there is a guest");
            cell.refresh(&self.tracee, &self.artifact)?;
        }
        self.check_state(&registers)?;
        match frames.is_empty() {
            true => Err(Halt::End(End::Returned)),
            false => Ok(registers),
        }
    }

    /// All that a call may show, as one number.
    fn look(&self, end: &End, trace: &[u32], func: FuncIdx) -> io::Result<u64> {
        let mut hasher = DefaultHasher::new();
        trace.hash(&mut hasher);
        std::mem::discriminant(end).hash(&mut hasher);
        let mut written: Vec<(u64, usize)> = self.undo.iter().map(|(at, old)| (*at, old.len())).collect();
        written.sort_unstable();
        written.dedup();
        for (address, len) in written {
            let mut now = vec![0; len];
            self.tracee.read(address, &mut now)?;
            // Places in the block are as private as a frame.
            if address.wrapping_sub(self.cell().block) > u64::from(cellwall_abi::convention::BLOCK_BYTES) {
                (address, now).hash(&mut hasher);
            }
        }
        if *end == End::Returned {
            self.results(func)?.hash(&mut hasher);
        }
        Ok(hasher.finish())
    }

    /// The results of a call that returned.
    fn results(&self, func: FuncIdx) -> io::Result<Vec<u128>> {
        let signature = self.artifact.shape.signature(func);
        let registers = self.tracee.registers()?;
        let mut results = Vec::new();
        for (&ty, place) in signature.results.iter().zip(assign(signature).results) {
            results.push(match place {
                ArgPlace::Gpr { register, .. } => u128::from(numbered(&registers, register)),
                ArgPlace::Xmm { register, .. } => {
                    let vectors = self.tracee.vectors()?;
                    let words = &vectors.xmm_space[usize::from(register) * 4..][..ty.bytes() as usize / 4];
                    words
                        .iter()
                        .rev()
                        .fold(0, |all, &word| all << 32 | u128::from(word))
                }
                ArgPlace::Block { block_offset } => {
                    let mut bytes = [0; 16];
                    let at = self.cell().block + u64::from(block_offset);
                    self.tracee.read(at, &mut bytes[..ty.bytes() as usize])?;
                    u128::from_le_bytes(bytes)
                }
            });
        }
        Ok(results)
    }

    /// The registers where the last call was stopped.
    ///
    /// # Errors
    /// If the process is no more.
    pub fn registers(&self) -> io::Result<(Registers, Vectors)> {
        Ok((self.tracee.registers()?, self.tracee.vectors()?))
    }

    /// The artifact as it is in the process.
    pub fn artifact(&self) -> &Artifact {
        &self.artifact
    }
}

/// Two artifacts of one module, padded so that one's code can be written over the other's: text of
/// the same length, and the constants of the second.
pub fn laid_out_alike(first: &mut Artifact, second: &mut Artifact) {
    let len = first.rodata_offset().max(second.rodata_offset()) as usize;
    let constants = first.rodata.len().max(second.rodata.len());
    for artifact in [&mut *first, &mut *second] {
        artifact.text.to_mut().resize(len, PADDING);
        artifact.rodata.to_mut().resize(constants, 0);
    }
    first.rodata.clone_from(&second.rodata);
}

/// An argument: small numbers reach further than large ones, references are null or small.
fn input(rng: &mut Rng, ty: ValType) -> u64 {
    let number = match rng.below(4) {
        0 => rng.interesting(),
        1 => rng.bits() % 70_000,
        _ => rng.bits() % 300,
    };
    match ty {
        ValType::I32 | ValType::F32 => u64::from(number as u32),
        ValType::I64 | ValType::F64 => number,
        _ => number % 4,
    }
}

/// 32-bit values in integer registers have nothing above.
fn zero_extended(
    types: &[ValType],
    places: &[ArgPlace],
    registers: &Registers,
    what: &str,
) -> Result<(), Halt> {
    for (ty, place) in types.iter().zip(places) {
        if let ArgPlace::Gpr { register, .. } = place
            && ty.bytes() == 4
            && numbered(registers, *register) > u64::from(u32::MAX)
        {
            return escape(format!("has a 32-bit {what} that is not zero-extended"));
        }
    }
    Ok(())
}

/// Which library call starts at the program counter.
fn insn_slot(registers: &Registers, cell: &Cell, tracee: &Tracee) -> io::Result<Option<LibCall>> {
    for &call in LibCall::ALL {
        let slot = cell.context + u64::from(cellwall_abi::context::library_offset(call));
        if tracee.word(slot)? == registers.rip {
            return Ok(Some(call));
        }
    }
    Ok(None)
}

/// Whether a library call leaves something other than it was.
fn changes_something(call: Option<LibCall>) -> bool {
    !matches!(call, Some(LibCall::TableGet | LibCall::RefFunc))
}
