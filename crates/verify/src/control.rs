//! Comparisons and control: facts from flags, branches, jump tables, calls, tail calls and returns.
//!
//! Requires the state before the instruction. Guarantees that a fact is used only on the edge where
//! its condition holds, and that code is entered only where it may be, by its convention.
//! Deliberately knows neither arithmetic nor addresses.

use crate::access::{Place, not_data};
use crate::decode::Operand;
use crate::domain::{Fact, Kind, Readable, U32};
use crate::function::{Check, Function, Next, refuse};
use crate::module::{Convention, Places};
use crate::operand::check_gpr;
use crate::rows::{First, Row};
use crate::violation::Rule;
use cellwall_abi::context::func_entry;
use cellwall_abi::convention::{CALLEE_SAVED, ENTRY, REFERENCE, SCRATCH};
use cellwall_abi::{FieldKind, LibCall, TrapCode};
use cellwall_base::{FuncIdx, TypeIdx};
use iced_x86::ConditionCode;

impl Function<'_> {
    pub(crate) fn step_compare(&mut self, row: &Row) -> Check<Next> {
        if self.op.operands[0] == Operand::Memory {
            match self.operand_place(row)? {
                Place::Entry(kind, at) => return self.compare_signature(kind, at, row),
                Place::BelowStack(start) => return self.probe(start, row),
                _ => {}
            }
        }
        let (a, b) = (self.data(0, row)?, self.data(1, row)?);
        self.set_flags(row, compared(self.op.operands[0], a, b));
        Ok(Next::Continue)
    }

    /// `cmp dword [entry + SIGNATURE], …`: with a module-local number in a private table, with the
    /// engine-wide number of a type elsewhere; with the number of null anywhere, which says nothing
    /// of the entry.
    fn compare_signature(&mut self, entry: Kind, at: u32, row: &Row) -> Check<Next> {
        let number = self.op.base;
        if at == func_entry::REFERENCE && self.op.width == 4 {
            // Which function it is matters to nobody but the program.
            self.data(1, row)?;
            self.set_flags(row, Fact::Nothing);
            return Ok(Next::Continue);
        }
        if at != func_entry::SIGNATURE || self.op.width != 4 {
            return refuse(Rule::Kind, "entries are compared by signature and reference only");
        }
        let is_constant = self.op.operands[1] == Operand::Immediate;
        let ty = match (entry, self.read(1, row)?) {
            (_, Kind::UpTo(func_entry::NULL_SIGNATURE)) if is_constant => None,
            (Kind::Entry { private: true }, Kind::UpTo(local)) if is_constant => {
                let Some(ty) = self.module.artifact.shape.type_of_local_signature(local) else {
                    return refuse(
                        Rule::IndirectCall,
                        format!("{local} is no module-local signature number"),
                    );
                };
                Some(ty)
            }
            (Kind::Entry { private: false }, Kind::Signature(ty)) => Some(ty),
            _ => {
                return refuse(
                    Rule::IndirectCall,
                    "not the kind of signature number that the table holds",
                );
            }
        };
        let fact = ty.map_or(Fact::Nothing, |ty| Fact::Signature { register: number, ty });
        self.set_flags(row, fact);
        Ok(Next::Continue)
    }

    pub(crate) fn step_test(&mut self, row: &Row) -> Check<Next> {
        if self.op.operands[0] == Operand::Memory
            && let Place::BelowStack(start) = self.operand_place(row)?
        {
            return self.probe(start, row);
        }
        self.plain(row, Kind::Any)
    }

    /// A read below the stack pointer that faults if the stack ends before it.
    fn probe(&mut self, start: u32, row: &Row) -> Check<Next> {
        if start > self.covered_stack() {
            return refuse(Rule::StackProbe, "a probe that could step over the guard");
        }
        debug_assert!(row.first == First::Read);
        self.state.probed = self.state.probed.max(start);
        self.fault = Some(&[TrapCode::StackOverflow]);
        // What was read is residue, and so is what it was compared with, perhaps.
        self.state.flags = 0;
        self.fact = Fact::Nothing;
        Ok(Next::Continue)
    }

    /// What the flags say of a register under this condition.
    fn sharpened(&self, condition: ConditionCode) -> Option<(usize, Kind)> {
        let number = usize::from(self.fact.register()?);
        let old = self.state.kind(number);
        let below = condition == ConditionCode::b;
        let at_most = below || condition == ConditionCode::be;
        let new = match self.fact {
            Fact::Bound { max, wide, .. } if at_most => {
                let max = if below { max.checked_sub(1)? } else { max };
                match old {
                    Kind::UpTo(old) => Kind::UpTo(old.min(max)),
                    Kind::Any if wide => Kind::UpTo(max),
                    // Of this register alone, see `sharpen`: copies keep what they are.
                    _ => Kind::UpTo(old.max()?.min(max)),
                }
            }
            Fact::Memory { memory, .. } if at_most && old.is_data() => Kind::MemoryIndex {
                memory,
                fits_32: old.max().is_some(),
            },
            Fact::Table { table, .. } if below && old.is_data() => Kind::TableIndex(table),
            Fact::Signature { ty, .. } if condition == ConditionCode::e => match old {
                Kind::Entry { .. } => Kind::TypedEntry(ty),
                _ => return None,
            },
            _ => return None,
        };
        // What is known already need not be said again, unless a copy may hear it.
        (new != old || !self.state.copies.is_alone(number)).then_some((number, new))
    }

    /// Makes a register and all copies of it of this kind.
    fn sharpen(&mut self, number: usize, kind: Kind) {
        if self.state.kind(number).length_like() && matches!(kind, Kind::UpTo(_)) {
            // Both facts hold, but a kind says only one: the copies keep the relation to a length.
            self.state.set(number, kind);
            return;
        }
        let copies = self.state.copies;
        for register in 0..16 {
            if register != number && !(copies.equal(register, number) && self.state.kind(register).is_data())
            {
                continue;
            }
            self.state.set(register, kind);
            if let (Some(slot), Some(kind)) = (copies.home(register), kind.spilled()) {
                self.frames.set(&mut self.frame, slot, kind);
            }
        }
    }

    // ---- where execution goes ----

    pub(crate) fn step_branch(&mut self) -> Check<Next> {
        self.check_flags()?;
        let (block, condition) = (self.op.value as usize, self.op.condition);
        self.branched = None;
        match self.sharpened(condition) {
            None => {
                let mut kept = None;
                self.reach_each(&mut kept, block)?;
                self.branched = kept.map(|state| (self.op.pc, state));
            }
            Some((number, kind)) => {
                let (state, frame) = (self.state, self.frame);
                self.frames.share();
                self.sharpen(number, kind);
                self.reach(block)?;
                (self.state, self.frame) = (state, frame);
            }
        }
        // Of the conditions that hold if this one does not, those that say something.
        let otherwise = match condition {
            ConditionCode::ae => ConditionCode::b,
            ConditionCode::a => ConditionCode::be,
            ConditionCode::ne => ConditionCode::e,
            _ => return Ok(Next::Continue),
        };
        if let Some((number, kind)) = self.sharpened(otherwise) {
            self.sharpen(number, kind);
            self.branched = None;
        }
        Ok(Next::Continue)
    }

    pub(crate) fn step_jump(&mut self) -> Check<Next> {
        self.reach(self.op.value as usize)?;
        Ok(Next::Stop)
    }

    pub(crate) fn step_jump_indirect(&mut self) -> Check<Next> {
        let Operand::R64(register) = self.op.operands[0] else {
            let ty = match self.callee(Rule::IndirectJump)? {
                Callee::Library(_) => return refuse(Rule::IndirectJump, "to a library call"),
                Callee::Type(ty) => ty,
            };
            return self.leave_for(ty);
        };
        let kind = self.state.kind(check_gpr(register)?);
        let Kind::JumpTarget(table) = kind else {
            return refuse(
                Rule::IndirectJump,
                format!("register {register} is {kind:?}, not the target of a jump table"),
            );
        };
        let jump = (self.code.jumps.binary_search_by_key(&table, |&(table, _)| table))
            .expect("only the function's own tables become targets");
        if *self.jump_users[jump].get_or_insert(self.op.pc) != self.op.pc {
            return refuse(Rule::IndirectJump, "a second jump through the same table");
        }
        let mut shared = None;
        for at in self.code.jumps[jump].1.clone() {
            self.reach_each(&mut shared, self.code.jump_targets[at as usize] as usize)?;
        }
        Ok(Next::Stop)
    }

    pub(crate) fn step_call(&mut self) -> Check<Next> {
        let func = FuncIdx::from_u32(self.op.value);
        self.call_type(self.module.type_of(func))
    }

    pub(crate) fn step_call_indirect(&mut self) -> Check<Next> {
        if self.op.operands[0] != Operand::Memory {
            return refuse(Rule::IndirectCall, "through a register");
        }
        match self.callee(Rule::IndirectCall)? {
            Callee::Library(call) => self.call(None, self.module.library(call)),
            Callee::Type(ty) => self.call_type(ty),
        }
    }

    /// What is entered through the memory operand of the current instruction.
    fn callee(&self, rule: Rule) -> Check<Callee> {
        let entry = self.state.kind(usize::from(ENTRY));
        match self.place(self.op.width.into())? {
            Place::Context(field) => match field.kind {
                FieldKind::Library(call) => Ok(Callee::Library(call)),
                FieldKind::CallRef => self.callee_of_reference(rule),
                FieldKind::ImportEntry(func) if entry == Kind::ImportEntry(func.as_u32()) => {
                    Ok(Callee::Type(self.module.type_of(func)))
                }
                FieldKind::TagEntry(tag) if entry == Kind::TagEntry(tag.as_u32()) => {
                    Ok(Callee::Type(self.module.type_of_tag(tag)))
                }
                _ => refuse(
                    rule,
                    format!("{:?} with {entry:?} in the entry register", field.kind),
                ),
            },
            Place::Entry(Kind::TypedEntry(ty), func_entry::CALL) if self.op.base == ENTRY => {
                Ok(Callee::Type(ty))
            }
            place => refuse(rule, format!("{place:?} with {entry:?} in the entry register")),
        }
    }

    /// The stub that calls the function of a reference compares its type with that whose number is in
    /// the scratch register. The reference is plain data: whatever it is, it names a function of the
    /// store or nothing.
    fn callee_of_reference(&self, rule: Rule) -> Check<Callee> {
        let reference = self.state.kind(usize::from(REFERENCE));
        if !reference.is_data() {
            return refuse(
                not_data(reference),
                format!("the reference in register {REFERENCE} is {reference:?}"),
            );
        }
        match self.state.kind(usize::from(SCRATCH)) {
            Kind::Signature(ty) => Ok(Callee::Type(ty)),
            other => refuse(
                rule,
                format!("{other:?} in the scratch register, not the number of a type"),
            ),
        }
    }

    fn call_type(&mut self, ty: TypeIdx) -> Check<Next> {
        self.call(Some(ty), self.module.convention(ty))
    }

    /// A call by a convention: arguments before it, results after it, nothing else remains.
    fn call(&mut self, ty: Option<TypeIdx>, convention: &Convention) -> Check<Next> {
        let depth = self.state.depth;
        if depth % 16 != 8 {
            return refuse(
                Rule::StackPointer,
                format!("a call with a frame of {depth} bytes is not aligned"),
            );
        }
        if depth + 8 > self.covered_stack() {
            return refuse(Rule::StackProbe, format!("a call with {depth} bytes of frame"));
        }
        self.check_places(&convention.params, "argument")?;
        self.block.clear();
        self.throw_to_pads()?;
        let before = CALLEE_SAVED.map(|register| self.state.kind(register.into()));
        self.state.after_call();
        for (register, kind) in CALLEE_SAVED.into_iter().zip(before) {
            self.state
                .set(register.into(), kind.spilled().unwrap_or(Kind::Undefined));
        }
        for &(register, is_32) in &convention.results.gprs {
            self.state
                .set(register.into(), if is_32 { U32 } else { Kind::Any });
        }
        for &(register, bytes) in &convention.results.xmms {
            self.state.vectors[usize::from(register)] = bytes;
        }
        self.state.flags = 0;
        self.state.readable = match ty {
            Some(ty) if !convention.results.overflow.is_empty() => Readable::Results(ty),
            _ => Readable::Nothing,
        };
        self.fact = Fact::Nothing;
        Ok(Next::Continue)
    }

    /// The landing pads of the call at hand: the frame and what it holds stay, as after the call,
    /// but no register does; what the runtime gives is where results are.
    fn throw_to_pads(&mut self) -> Check<()> {
        if self.code.pads.is_empty() {
            return Ok(());
        }
        let first = self.code.pads.partition_point(|&(call, ..)| call < self.op.pc);
        let (state, fact) = (self.state, self.fact);
        let mut at = first;
        while let Some(&(call, block, tag)) = self.code.pads.get(at)
            && call == self.op.pc
        {
            let places = self.module.pad(tag);
            self.state.after_throw();
            for &(register, is_32) in &places.gprs {
                let kind = if is_32 { U32 } else { Kind::Any };
                self.state.set(register.into(), kind);
            }
            for &(register, bytes) in &places.xmms {
                self.state.vectors[usize::from(register)] = bytes;
            }
            self.state.readable = match tag {
                Some(tag) if !places.overflow.is_empty() => Readable::Exception(tag),
                _ => Readable::Nothing,
            };
            self.fact = Fact::Nothing;
            self.reach(block as usize)?;
            (self.state, self.fact) = (state, fact);
            at += 1;
        }
        Ok(())
    }

    /// Whether the values of a convention are where it says.
    fn check_places(&self, places: &Places, what: &str) -> Check<()> {
        for &(register, is_32) in &places.gprs {
            let kind = self.state.kind(usize::from(register));
            if !kind.is_data() {
                return refuse(
                    not_data(kind),
                    format!("the {what} in register {register} is {kind:?}"),
                );
            }
            if is_32 && kind.max().is_none() {
                return refuse(Rule::ZeroExtension, format!("the {what} in register {register}"));
            }
        }
        for &(register, bytes) in &places.xmms {
            let defined = self.state.vectors[usize::from(register)];
            if defined < bytes {
                return refuse(
                    Rule::Undefined,
                    format!("of the {what} in xmm{register}, {defined} of {bytes} bytes are written"),
                );
            }
        }
        match self.block.missing(places) {
            None => Ok(()),
            Some(index) => refuse(
                Rule::BlockAccess,
                format!("the {what} in overflow place {index} is not written"),
            ),
        }
    }

    pub(crate) fn step_return(&mut self) -> Check<Next> {
        self.check_places(&self.own().results, "result")?;
        self.check_left()?;
        Ok(Next::Stop)
    }

    pub(crate) fn step_tail_call(&mut self) -> Check<Next> {
        let func = FuncIdx::from_u32(self.op.value);
        self.leave_for(self.module.type_of(func))
    }

    /// A jump to a function of this type, which returns in place of this one: all is as at its
    /// entry, and its results are those that the caller waits for.
    fn leave_for(&mut self, ty: TypeIdx) -> Check<Next> {
        let callee = self.module.convention(ty);
        if callee.results != self.own().results {
            return refuse(
                Rule::TailCall,
                format!("{ty} has other results than the function"),
            );
        }
        self.check_places(&callee.params, "argument")?;
        self.check_left()?;
        Ok(Next::Stop)
    }

    /// Whether stack pointer and callee-saved registers are what they were at entry.
    fn check_left(&self) -> Check<()> {
        if self.state.depth != 0 {
            return refuse(
                Rule::StackPointer,
                format!("{} bytes above the return address", self.state.depth),
            );
        }
        for register in CALLEE_SAVED {
            let kind = self.state.kind(usize::from(register));
            if kind != Kind::Saved(register) {
                return refuse(
                    Rule::CalleeSaved,
                    format!("register {register} is {kind:?}, not what it was at entry"),
                );
            }
        }
        Ok(())
    }
}

/// What is entered through memory.
enum Callee {
    /// A library call.
    Library(LibCall),
    /// A function of this type.
    Type(TypeIdx),
}

/// What comparing an operand of kind `a` with a value of kind `b` says about it.
fn compared(operand: Operand, a: Kind, b: Kind) -> Fact {
    match (operand, b) {
        (Operand::R64(register), Kind::MemoryLength(memory)) => Fact::Memory { register, memory },
        (Operand::R64(register), Kind::TableLength(table)) => Fact::Table { register, table },
        (Operand::R64(register) | Operand::R32(register), _) => {
            let wide = matches!(operand, Operand::R64(_));
            match b.max() {
                // In 32 bits only of a register whose upper half is zero.
                Some(max) if wide || a.max().is_some() => Fact::Bound { register, max, wide },
                _ => Fact::Nothing,
            }
        }
        _ => Fact::Nothing,
    }
}
