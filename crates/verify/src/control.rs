//! Comparisons and control: facts from flags, branches, jump tables, calls and returns.
//!
//! Requires the state before the instruction. Guarantees that a fact is used only on the edge where
//! its condition holds, and that code is entered only where it may be, by its convention.
//! Deliberately knows neither arithmetic nor addresses.

use crate::access::{Place, not_data};
use crate::domain::{FLAGS, Fact, Kind, Readable, SlotKind, U32};
use crate::encoding;
use crate::function::{Check, Function, Next, refuse};
use crate::module::{Convention, Places};
use crate::rows::{First, Row};
use crate::violation::Rule;
use cellwall_abi::context::func_entry;
use cellwall_abi::convention::{CALLEE_SAVED, ENTRY};
use cellwall_abi::{FieldKind, TrapCode};
use cellwall_base::TypeIdx;
use iced_x86::{ConditionCode, OpKind, Register};

impl Function<'_> {
    pub(crate) fn step_compare(&mut self, row: &Row) -> Check<Next> {
        if self.insn.op0_kind() == OpKind::Memory {
            match self.operand_place(row)? {
                Place::Entry(kind, at) => return self.compare_signature(kind, at, row),
                Place::BelowStack(start) => return self.probe(start, row),
                _ => {}
            }
        }
        let (a, b) = (self.data(0, row)?, self.data(1, row)?);
        let fact = match self.insn.op0_kind() {
            OpKind::Register => compared(self.insn.op0_register(), a, b),
            _ => Fact::Nothing,
        };
        self.set_flags(row, fact);
        Ok(Next::Continue)
    }

    /// `cmp dword [entry + SIGNATURE], …`: with a module-local number in a private table, with the
    /// engine-wide number of a type elsewhere; with the number of null anywhere, which says nothing
    /// of the entry.
    fn compare_signature(&mut self, entry: Kind, at: u32, row: &Row) -> Check<Next> {
        let number = self.insn.memory_base().number() as u8;
        if at != func_entry::SIGNATURE || self.width() != 4 {
            return refuse(Rule::Kind, "entries are compared by signature only");
        }
        let ty = match (entry, self.read(1, row)?) {
            (_, Kind::UpTo(func_entry::NULL_SIGNATURE)) if self.insn.op1_kind() != OpKind::Register => None,
            (Kind::Entry { private: true }, Kind::UpTo(local))
                if self.insn.op1_kind() != OpKind::Register =>
            {
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
        if self.insn.op0_kind() == OpKind::Memory
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
        self.state.defined &= !FLAGS;
        self.fact = Fact::Nothing;
        Ok(Next::Continue)
    }

    /// What the flags say of a register under this condition.
    fn sharpened(&self, condition: ConditionCode) -> Option<(usize, Kind)> {
        let number = usize::from(self.fact.register()?);
        let old = self.state.gprs[number];
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
        Some((number, new))
    }

    /// Makes a register and all copies of it of this kind; what to put back into slots for the
    /// other outcome.
    fn sharpen(&mut self, number: usize, kind: Kind) -> Vec<(usize, SlotKind)> {
        if self.state.gprs[number].length_like() && matches!(kind, Kind::UpTo(_)) {
            // Both facts hold, but a kind says only one: the copies keep the relation to a length.
            self.state.gprs[number] = kind;
            return Vec::new();
        }
        let copies = self.state.copies;
        let mut old_slots = Vec::new();
        for register in 0..16 {
            if register != number && !(copies.equal(register, number) && self.state.gprs[register].is_data())
            {
                continue;
            }
            self.state.gprs[register] = kind;
            if let (Some(slot), Some(kind)) = (copies.home(register), kind.spilled()) {
                old_slots.push((slot, self.slots[slot]));
                self.slots[slot] = self.slot_kinds.byte(kind);
            }
        }
        old_slots
    }

    // ---- where execution goes ----

    pub(crate) fn step_branch(&mut self) -> Check<Next> {
        self.check_flags()?;
        let block = self.block_at(self.insn.near_branch64())?;
        let condition = self.insn.condition_code();
        match self.sharpened(condition) {
            None => self.reach(block)?,
            Some((number, kind)) => {
                let gprs = self.state.gprs;
                let slots = self.sharpen(number, kind);
                self.reach(block)?;
                self.state.gprs = gprs;
                for (slot, kind) in slots.into_iter().rev() {
                    self.slots[slot] = kind;
                }
            }
        }
        if let Some((number, kind)) = self.sharpened(negated(condition)) {
            self.sharpen(number, kind);
        }
        Ok(Next::Continue)
    }

    pub(crate) fn step_jump(&mut self) -> Check<Next> {
        let block = self.block_at(self.insn.near_branch64())?;
        self.reach(block)?;
        Ok(Next::Stop)
    }

    pub(crate) fn step_jump_indirect(&mut self) -> Check<Next> {
        if self.insn.op0_kind() != OpKind::Register {
            return refuse(Rule::IndirectJump, "through memory");
        }
        let number = self.check_gpr(self.insn.op0_register())?;
        let Kind::JumpTarget(table) = self.state.gprs[number] else {
            return refuse(
                Rule::IndirectJump,
                format!("to something that is {:?}", self.state.gprs[number]),
            );
        };
        let (user, targets) = match self.jumps.remove(&table) {
            Some(known) => known,
            None => (self.pc, self.jump_targets(table)?),
        };
        if user != self.pc {
            return refuse(Rule::IndirectJump, "a second jump through the same table");
        }
        for &block in &targets {
            self.reach(block as usize)?;
        }
        self.jumps.insert(table, (user, targets));
        Ok(Next::Stop)
    }

    /// The blocks that a jump table leads to, each once.
    fn jump_targets(&self, table: u32) -> Check<Vec<u32>> {
        let artifact = self.module.artifact;
        let table = artifact.jump_tables[table as usize];
        let bytes = &artifact.rodata[table.offset as usize..][..4 * table.len as usize];
        let base = self.module.rodata as i64 + i64::from(table.offset);
        let mut blocks = Vec::with_capacity(table.len as usize);
        for entry in bytes.chunks_exact(4) {
            let distance = i32::from_le_bytes(entry.try_into().expect("chunks are four bytes"));
            let target = u64::try_from(base + i64::from(distance)).unwrap_or(u64::MAX);
            blocks.push(self.block_at(target)? as u32);
        }
        blocks.sort_unstable();
        blocks.dedup();
        Ok(blocks)
    }

    pub(crate) fn step_call(&mut self) -> Check<Next> {
        let target = self.insn.near_branch64();
        match self.module.entry_at(target) {
            Some(func) => self.call_type(self.module.type_of(func)),
            None => refuse(Rule::CallTarget, format!("no function starts at 0x{target:x}")),
        }
    }

    pub(crate) fn step_call_indirect(&mut self) -> Check<Next> {
        if self.insn.op0_kind() != OpKind::Memory {
            return refuse(Rule::IndirectCall, "through a register");
        }
        let entry = self.state.gprs[usize::from(ENTRY)];
        match self.place(self.width())? {
            Place::Context(field) => match field.kind {
                FieldKind::Library(call) => self.call(None, self.module.library(call)),
                FieldKind::ImportEntry(func) if entry == Kind::ImportEntry(func.as_u32()) => {
                    self.call_type(self.module.type_of(func))
                }
                _ => refuse(
                    Rule::IndirectCall,
                    format!("{:?} with {entry:?} in the entry register", field.kind),
                ),
            },
            Place::Entry(Kind::TypedEntry(ty), func_entry::CALL)
                if self.insn.memory_base() == Register::R11 =>
            {
                self.call_type(ty)
            }
            place => refuse(
                Rule::IndirectCall,
                format!("{place:?} with {entry:?} in the entry register"),
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
        let old = std::mem::replace(&mut self.state.gprs, [Kind::Undefined; 16]);
        for number in CALLEE_SAVED.map(usize::from) {
            self.state.gprs[number] = old[number].spilled().unwrap_or(Kind::Undefined);
        }
        self.state.copies.after_call();
        for &(register, is_32) in &convention.results.gprs {
            self.state.gprs[usize::from(register)] = if is_32 { U32 } else { Kind::Any };
        }
        self.state.defined = convention.results.xmms;
        self.state.readable = match ty {
            Some(ty) if !convention.results.overflow.is_empty() => Readable::Results(ty),
            _ => Readable::Nothing,
        };
        self.fact = Fact::Nothing;
        Ok(Next::Continue)
    }

    /// Whether the values of a convention are where it says.
    fn check_places(&self, places: &Places, what: &str) -> Check<()> {
        for &(register, is_32) in &places.gprs {
            let kind = self.state.gprs[usize::from(register)];
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
        let missing = places.xmms & !self.state.defined;
        if missing != 0 {
            return refuse(
                Rule::Undefined,
                format!("the {what} in xmm{}", missing.trailing_zeros()),
            );
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
        if self.state.depth != 0 {
            return refuse(
                Rule::StackPointer,
                format!("{} bytes above the return address", self.state.depth),
            );
        }
        self.check_places(&self.own().results, "result")?;
        for register in CALLEE_SAVED {
            let kind = self.state.gprs[usize::from(register)];
            if kind != Kind::Saved(register) {
                return refuse(
                    Rule::CalleeSaved,
                    format!("register {register} is {kind:?}, not what it was at entry"),
                );
            }
        }
        Ok(Next::Stop)
    }
}

/// What comparing a register with a value of kind `b` says about it.
fn compared(register: Register, a: Kind, b: Kind) -> Fact {
    let (number, wide) = (encoding::number(register), register.size() == 8);
    match b {
        Kind::MemoryLength(memory) if wide => Fact::Memory {
            register: number,
            memory,
        },
        Kind::TableLength(table) if wide => Fact::Table {
            register: number,
            table,
        },
        // In 32 bits only of a register whose upper half is zero; at fewer bits of none.
        _ if register.size() < 4 || !wide && a.max().is_none() => Fact::Nothing,
        _ => match b.max() {
            Some(max) => Fact::Bound {
                register: number,
                max,
                wide,
            },
            None => Fact::Nothing,
        },
    }
}

/// The condition that holds exactly if the other does not.
fn negated(condition: ConditionCode) -> ConditionCode {
    use ConditionCode::*;
    match condition {
        None => None,
        o => no,
        no => o,
        b => ae,
        ae => b,
        e => ne,
        ne => e,
        be => a,
        a => be,
        s => ns,
        ns => s,
        p => np,
        np => p,
        l => ge,
        ge => l,
        le => g,
        g => le,
    }
}
