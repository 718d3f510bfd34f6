//! Comparisons and control: facts from flags, branches, jump tables, calls, tail calls and returns.
//!
//! Requires the state before the instruction. Guarantees that a fact is used only on the edge where
//! its condition holds, and that code is entered only where it may be, by its convention.
//! Deliberately knows neither arithmetic nor addresses.

use crate::access::{Place, not_data};
use crate::domain::{Fact, Kind, Readable, Says};
use crate::frame::Frame;
use crate::function::Function;
use crate::module::{Convention, Places};
use crate::operand::check_gpr;
use crate::stems::Operand;
use crate::violation::{Check, Rule, ensure, refuse};
use cellwall_abi::context::func_entry;
use cellwall_abi::convention::{CALLEE_SAVED, ENTRY, REFERENCE, SCRATCH};
use cellwall_abi::{FieldKind, TrapCode};
use cellwall_base::{FuncIdx, TypeIdx};
use iced_x86::ConditionCode;

impl<'a> Function<'a> {
    pub(crate) fn step_compare(&mut self) -> Check<()> {
        if self.stem.operands[0] == Operand::Memory {
            match self.operand_place()? {
                Place::Entry(kind, at) => {
                    let fact = self.compare_entry(kind, at)?;
                    self.set_flags(fact);
                    return Ok(());
                }
                Place::BelowStack(start) => return self.probe(start),
                _ => {}
            }
        }
        let (a, b) = (self.data(0)?, self.data(1)?);
        self.set_flags(compared(self.stem.operands[0], a, b));
        Ok(())
    }

    pub(crate) fn step_test(&mut self) -> Check<()> {
        if self.stem.operands[0] == Operand::Memory
            && let Place::BelowStack(start) = self.operand_place()?
        {
            return self.probe(start);
        }
        self.sources()?;
        self.set_flags(None);
        Ok(())
    }

    /// A comparison of an entry's reference, which matters to nobody but the program; or of its signature:
    /// with a module-local number in a private table, with the engine-wide number of a type elsewhere; with
    /// the number of null anywhere, which says nothing of the entry.
    fn compare_entry(&mut self, entry: Kind, at: u32) -> Check<Option<Fact>> {
        let is_constant = self.stem.operands[1] == Operand::Immediate;
        let ty = match (at, self.stem.width()) {
            (func_entry::REFERENCE, 4) => return self.data(1).map(|_| None),
            (func_entry::SIGNATURE, 4) => match (entry, self.read(1)?) {
                (_, Kind::UpTo(func_entry::NULL_SIGNATURE)) if is_constant => return Ok(None),
                (Kind::Entry { private: true }, Kind::UpTo(local)) if is_constant => {
                    self.module.artifact.shape.type_of_local_signature(local)
                }
                (Kind::Entry { private: false }, Kind::Signature(ty)) => Some(ty),
                _ => None,
            },
            _ => refuse!(Rule::Kind => "entries are compared by signature and reference only"),
        };
        let Some(ty) = ty else {
            refuse!(Rule::IndirectCall => "not a signature number of the kind that the table holds");
        };
        let (register, says) = (self.stem.base, Says::Signature(ty));
        Ok(Some(Fact { register, says }))
    }

    /// A read below the stack pointer that faults if the stack ends before it.
    fn probe(&mut self, start: u32) -> Check<()> {
        ensure!(start <= self.covered_stack(), Rule::StackProbe => "a probe that could step over the guard");
        self.state.probed = self.state.probed.max(start);
        self.fault = Some(&[TrapCode::StackOverflow]);
        // What was read is residue, and so is what it was compared with, perhaps.
        (self.state.flags, self.fact) = (0, None);
        Ok(())
    }

    /// What the flags say of a register under this condition.
    fn sharpened(&self, condition: ConditionCode) -> Option<(u8, Kind)> {
        let Fact { register, says } = self.fact?;
        let old = self.state.kind(register);
        let below = condition == ConditionCode::b;
        let at_most = below || condition == ConditionCode::be;
        let new = match says {
            Says::Bound { max, wide } if at_most => {
                let max = if below { max.checked_sub(1)? } else { max };
                match old {
                    Kind::Any if wide => Kind::UpTo(max),
                    _ => Kind::UpTo(old.max()?.min(max)),
                }
            }
            Says::Memory(memory) if at_most && old.is_data() => Kind::MemoryIndex {
                memory,
                fits_32: old.max().is_some(),
            },
            Says::Table(table) if below && old.is_data() => Kind::TableIndex(table),
            Says::Signature(ty) if condition == ConditionCode::e && matches!(old, Kind::Entry { .. }) => {
                Kind::TypedEntry(ty)
            }
            _ => return None,
        };
        // What is known already need not be said again, unless a copy may hear it.
        (new != old || !self.state.copies.is_alone(register)).then_some((register, new))
    }

    /// Makes a register and all copies of it of this kind.
    fn sharpen(&mut self, register: u8, kind: Kind) {
        let copies = self.state.copies;
        // If it is like a length, both facts hold, but a kind says only one: the copies keep the other,
        // such as an index that is compared with the lengths of two memories.
        let is_alone = self.state.kind(register).length_like() && matches!(kind, Kind::UpTo(_));
        self.state.set(register, kind);
        for other in copies.linked().filter(|_| !is_alone) {
            let is_copy = copies.equal(other, register) && self.state.kind(other).is_data();
            let keeps_its_own = self.state.kind(other).tells_apart(kind);
            if other == register || (is_copy && !keeps_its_own) {
                self.state.set(other, kind);
                if let (Some(slot), Some(kind)) = (copies.home(other), kind.spilled()) {
                    self.frames.set(&mut self.frame, slot, kind);
                }
            }
        }
    }

    // ---- where execution goes ----

    pub(crate) fn step_branch(&mut self) -> Check<()> {
        self.make_room()?;
        self.check_condition()?;
        let (block, condition) = (self.op.value as usize, self.stem.condition);
        match self.sharpened(condition) {
            None => {
                let mut kept = None;
                self.reach_each(&mut kept, block)?;
                self.branched = kept;
            }
            Some((register, kind)) => {
                let (state, frame) = (self.state, self.frame);
                self.share();
                self.sharpen(register, kind);
                self.reach(block)?;
                (self.state, self.frame) = (state, frame);
            }
        }
        // Of the conditions that hold if this one does not, those that say something.
        let otherwise = match condition {
            ConditionCode::ae => ConditionCode::b,
            ConditionCode::a => ConditionCode::be,
            ConditionCode::ne => ConditionCode::e,
            _ => return Ok(()),
        };
        if let Some((register, kind)) = self.sharpened(otherwise) {
            self.branched = None;
            self.sharpen(register, kind);
        }
        Ok(())
    }

    pub(crate) fn step_jump_indirect(&mut self) -> Check<()> {
        let Operand::R64(register) = self.stem.operands[0] else {
            return match self.callee(Rule::IndirectJump)? {
                (Some(ty), _) => self.leave_for(ty),
                (None, _) => refuse!(Rule::IndirectJump => "to a library call"),
            };
        };
        let Kind::JumpTarget(table) = self.state.kind(check_gpr(register)?) else {
            refuse!(Rule::IndirectJump => "register {register} is not the target of a jump table");
        };
        let jump = (self.code.jumps.binary_search_by_key(&table, |&(table, _)| table))
            .expect("only the function's own tables become targets");
        let user = *self.jump_users[jump].get_or_insert(self.op.pc);
        ensure!(user == self.op.pc, Rule::IndirectJump => "a second jump through the same table");
        let mut shared = None;
        for at in self.code.jumps[jump].1.clone() {
            self.reach_each(&mut shared, self.code.jump_targets[at as usize] as usize)?;
        }
        Ok(())
    }

    pub(crate) fn step_call(&mut self) -> Check<()> {
        let ty = self.module.type_of(FuncIdx::from_u32(self.op.value));
        self.call(Some(ty), self.module.convention(ty))
    }

    pub(crate) fn step_call_indirect(&mut self) -> Check<()> {
        let is_slot = self.stem.operands[0] == Operand::Memory;
        ensure!(is_slot, Rule::IndirectCall => "through a register");
        let (ty, convention) = self.callee(Rule::IndirectCall)?;
        self.call(ty, convention)
    }

    /// What is entered through the memory operand of the current instruction: its type, unless it is a
    /// library call, and its convention.
    fn callee(&self, rule: Rule) -> Check<(Option<TypeIdx>, &'a Convention)> {
        let entry = self.state.kind(ENTRY);
        let place = self.place()?;
        let ty = match place {
            Place::Context(field) => match (field.kind, entry) {
                (FieldKind::Library(call), _) => return Ok((None, &self.module.library[call as usize])),
                (FieldKind::CallRef, _) => Some(self.type_of_reference(rule)?),
                (FieldKind::ImportEntry(func), Kind::ImportEntry(known)) if known == func.as_u32() => {
                    Some(self.module.type_of(func))
                }
                (FieldKind::TagEntry(tag), Kind::TagEntry(known)) if known == tag.as_u32() => {
                    Some(self.module.artifact.shape.tags[tag].ty)
                }
                _ => None,
            },
            Place::Entry(Kind::TypedEntry(ty), func_entry::CALL) if self.stem.base == ENTRY => Some(ty),
            _ => None,
        };
        match ty {
            Some(ty) => Ok((Some(ty), self.module.convention(ty))),
            None => refuse!(rule => "{place:?} with {entry:?} in the entry register"),
        }
    }

    /// The stub that calls the function of a reference compares its type with that whose number is in
    /// the scratch register. The reference is plain data: whatever it is, it names a function of the
    /// store or nothing.
    fn type_of_reference(&self, rule: Rule) -> Check<TypeIdx> {
        self.data_of(REFERENCE, true)?;
        match self.state.kind(SCRATCH) {
            Kind::Signature(ty) => Ok(ty),
            other => refuse!(rule => "{other:?} in the scratch register, not the number of a type"),
        }
    }

    /// A call by a convention: arguments before it, results after it, nothing else remains.
    fn call(&mut self, ty: Option<TypeIdx>, convention: &Convention) -> Check<()> {
        let depth = self.state.depth;
        ensure!(depth % 16 == 8, Rule::StackPointer => "a call with a frame of {depth} bytes is not aligned");
        ensure!(depth + 8 <= self.covered_stack(), Rule::StackProbe => "a call with {depth} bytes of frame");
        self.check_places(&convention.params, "argument")?;
        self.written = Frame::UNDEFINED;
        self.throw_to_pads()?;
        let readable = ty.map_or(Readable::Nothing, Readable::Results);
        self.enter(&CALLEE_SAVED, &convention.results, readable);
        Ok(())
    }

    /// Where something returned: what is kept stays as far as a slot could hold it, and these values are
    /// where the convention says.
    fn enter(&mut self, kept: &[u8], values: &Places, readable: Readable) {
        self.state.keep_only(kept);
        self.state.give(values);
        self.state.readable = match values.overflow.is_empty() {
            true => Readable::Nothing,
            false => readable,
        };
        self.fact = None;
    }

    /// The landing pads of the call at hand: the frame and what it holds stay, as after the call,
    /// but no register does; what the runtime gives is where results are.
    fn throw_to_pads(&mut self) -> Check<()> {
        let mut at = self.code.pads.partition_point(|&(call, ..)| call < self.op.pc);
        while let Some(&(call, block, tag)) = self.code.pads.get(at)
            && call == self.op.pc
        {
            let (state, fact) = (self.state, self.fact);
            let readable = tag.map_or(Readable::Nothing, Readable::Exception);
            self.enter(&[], self.module.pad(tag), readable);
            self.reach(block as usize)?;
            (self.state, self.fact) = (state, fact);
            at += 1;
        }
        Ok(())
    }

    /// Whether the values of a convention are where it says. Those in overflow places may have been written
    /// once for any number of calls and returns, so they cost work at each.
    fn check_places(&mut self, places: &Places, what: &str) -> Check<()> {
        self.spend(places.overflow.len() as u64)?;
        for &(register, is_32) in &places.gprs {
            let kind = self.state.kind(register);
            ensure!(kind.is_data(), not_data(kind) => "the {what} in register {register} is {kind:?}");
            let is_extended = !is_32 || kind.max().is_some();
            ensure!(is_extended, Rule::ZeroExtension => "the {what} in register {register}");
        }
        for &(register, bytes) in &places.xmms {
            let defined = self.state.vectors[usize::from(register)];
            ensure!(defined >= bytes, Rule::Undefined =>
                "of the {what} in xmm{register}, {defined} of {bytes} bytes are written");
        }
        if let Some(index) = self.missing_overflow(places) {
            refuse!(Rule::BlockAccess => "the {what} in overflow place {index} is not written");
        }
        Ok(())
    }

    pub(crate) fn step_return(&mut self) -> Check<()> {
        self.check_places(&self.own().results, "result")?;
        self.check_left()
    }

    pub(crate) fn step_tail_call(&mut self) -> Check<()> {
        self.leave_for(self.module.type_of(FuncIdx::from_u32(self.op.value)))
    }

    /// A jump to a function of this type, which returns in place of this one: all is as at its
    /// entry, and its results are those that the caller waits for.
    fn leave_for(&mut self, ty: TypeIdx) -> Check<()> {
        let callee = self.module.convention(ty);
        self.spend(callee.results.overflow.len() as u64)?;
        let is_alike = callee.results == self.own().results;
        ensure!(is_alike, Rule::TailCall => "{ty} has other results than the function");
        self.check_places(&callee.params, "argument")?;
        self.check_left()
    }

    /// Whether stack pointer and callee-saved registers are what they were at entry.
    fn check_left(&self) -> Check<()> {
        let depth = self.state.depth;
        ensure!(depth == 0, Rule::StackPointer => "{depth} bytes above the return address");
        for register in CALLEE_SAVED {
            let kind = self.state.kind(register);
            ensure!(kind == Kind::Saved(register), Rule::CalleeSaved =>
                "register {register} is {kind:?}, not what it was at entry");
        }
        Ok(())
    }
}

/// What comparing an operand of kind `a` with a value of kind `b` says about it.
pub(crate) fn compared(operand: Operand, a: Kind, b: Kind) -> Option<Fact> {
    let (Operand::R64(register) | Operand::R32(register)) = operand else {
        return None;
    };
    let wide = matches!(operand, Operand::R64(_));
    let says = match b {
        Kind::MemoryLength(memory) if wide => Says::Memory(memory),
        Kind::TableLength(table) if wide => Says::Table(table),
        // In 32 bits only of a register whose upper half is zero.
        _ if wide || a.max().is_some() => Says::Bound { max: b.max()?, wide },
        _ => return None,
    };
    Some(Fact { register, says })
}
