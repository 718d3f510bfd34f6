//! Calls, returns and the entry: where arguments and results pass.

use super::plant::Plant;
use super::{CONTEXT, Lower, class_of, trap_code, width_of};
use cellwall_abi::context::{self, definition, func_entry, library_offset};
use cellwall_abi::convention::{self, Assigner, Place};
use cellwall_abi::{LibCall, ValType};
use cellwall_base::{EntityId, FuncIdx, TableIdx, TagIdx, TypeIdx};
use cellwall_ir as ir;
use cellwall_ir::{Trap, Type, Value, ValueList};
use cellwall_isa::x64::{
    Below, Call, Fixed, IndirectCall, Inst, ReferenceCall, Row, Signature, TableBase, TableLimit, Target,
    Width,
};
use cellwall_isa::{Class, Reg};

/// The treaty's type of a value; of references it is enough that they pass as I32.
fn val_type(ty: Type) -> ValType {
    match ty {
        Type::I32 => ValType::I32,
        Type::I64 => ValType::I64,
        Type::F32 => ValType::F32,
        Type::F64 => ValType::F64,
        Type::V128 => ValType::V128,
    }
}

/// The hardware register of a place, or the offset in the block.
fn register(place: Place) -> Result<Reg, i32> {
    match place {
        Place::Gpr { register, .. } => Ok(Reg::gpr(register)),
        Place::Xmm { register, .. } => Ok(Reg::xmm(register)),
        Place::Block { block_offset } => Err(block_offset as i32),
    }
}

impl Lower<'_> {
    /// A register with the address of the store's block.
    fn block_address(&mut self) -> Reg {
        let block = self.temp(Class::Int);
        let load = Inst::new(Row::Mov, Width::W64).dst(block);
        self.emit(load.mem(CONTEXT, context::BLOCK as i32));
        block
    }

    fn store_overflow(&mut self, ty: Type, src: Reg, block: Reg, offset: i32) {
        let row = super::memory::store_row(ty);
        // Integers are stored whole: the host reads 64 bits.
        let width = if ty.is_int() { Width::W64 } else { width_of(ty) };
        self.emit(Inst::new(row, width).src(src).mem(block, offset));
    }

    fn load_overflow(&mut self, ty: Type, dst: Reg, block: Reg, offset: i32) {
        let row = super::memory::load_row(ty);
        self.emit(Inst::new(row, width_of(ty)).dst(dst).mem(block, offset));
    }

    /// Values leave in their places: registers are noted, the rest is stored to the block.
    fn send(&mut self, values: &[Value], mut assigner: Assigner, fixed: &mut Vec<Fixed>) {
        let mut block = None;
        for &value in values {
            let ty = self.func.ty(value);
            let reg = self.reg(value);
            match register(assigner.next(val_type(ty))) {
                Ok(at) => fixed.push(Fixed { reg, at, def: false }),
                Err(offset) => {
                    let address = *block.get_or_insert_with(|| self.block_address());
                    self.store_overflow(ty, reg, address, offset);
                }
            }
        }
    }

    /// Adds a row with these registers to the current sequence.
    fn emit_call(&mut self, row: Row, target: Target, fixed: &[Fixed]) {
        let start = self.out.fixed.len() as u32;
        self.out.fixed.extend_from_slice(fixed);
        let call = Call {
            target,
            fixed: start..self.out.fixed.len() as u32,
            catches: self.caught.take().unwrap_or_default(),
        };
        let index = self.out.calls.len() as i64;
        self.out.calls.push(call);
        self.emit(Inst::new(row, Width::W64).imm(index));
    }

    /// A call with its arguments and results.
    fn emit_whole_call(&mut self, inst: ir::Inst, target: Target, args: &[Value], callee: Option<(Reg, u8)>) {
        let mut fixed = Vec::with_capacity(args.len() + 2);
        self.send(args, Assigner::params(), &mut fixed);
        if let Some((reg, number)) = callee {
            let at = Reg::gpr(number);
            fixed.push(Fixed { reg, at, def: false });
        }
        if self.caught.is_some() {
            return self.emit_call(Row::Invoke, target, &fixed);
        }
        let results: Vec<Value> = self.func.insts[inst].results.iter().collect();
        let overflow = self.receive(&results, &mut fixed);
        self.emit_call(Row::Call, target, &fixed);
        self.load_overflows(overflow);
    }

    /// Results arrive in their places: registers are noted; the rest is to be loaded from the block.
    fn receive(&mut self, results: &[Value], fixed: &mut Vec<Fixed>) -> Vec<(Value, i32)> {
        let mut overflow = Vec::new();
        let mut assigner = Assigner::results();
        for &value in results {
            match register(assigner.next(val_type(self.func.ty(value)))) {
                Ok(at) => fixed.push(Fixed {
                    reg: self.def(value),
                    at,
                    def: true,
                }),
                Err(offset) => overflow.push((value, offset)),
            }
        }
        overflow
    }

    fn load_overflows(&mut self, overflow: Vec<(Value, i32)>) {
        if !overflow.is_empty() {
            let block = self.block_address();
            for (value, offset) in overflow {
                let dst = self.def(value);
                self.load_overflow(self.func.ty(value), dst, block, offset);
            }
        }
    }

    /// The results of a call whose exceptions are caught, where it returned.
    pub(super) fn returned(&mut self, call: ir::Inst) {
        let mut fixed = Vec::new();
        let results: Vec<Value> = self.func.insts[call].results.iter().collect();
        let overflow = self.receive(&results, &mut fixed);
        self.emit_call(Row::Landed, Target::None, &fixed);
        self.load_overflows(overflow);
    }

    /// What a landing pad is given, in registers of this edge's own.
    pub(super) fn landed(&mut self, pad: ir::Inst) -> Vec<Reg> {
        let mut fixed = Vec::new();
        let mut overflow = Vec::new();
        let mut regs = Vec::new();
        let mut assigner = Assigner::results();
        for value in self.func.insts[pad].results.iter() {
            let ty = self.func.ty(value);
            let reg = self.temp(class_of(ty));
            regs.push(reg);
            match register(assigner.next(val_type(ty))) {
                Ok(at) => fixed.push(Fixed { reg, at, def: true }),
                Err(offset) => overflow.push((ty, reg, offset)),
            }
        }
        self.emit_call(Row::Landed, Target::None, &fixed);
        if !overflow.is_empty() {
            let block = self.block_address();
            for (ty, reg, offset) in overflow {
                self.load_overflow(ty, reg, block, offset);
            }
        }
        regs
    }

    /// Throws by calling the entry of the tag.
    pub(super) fn throw(&mut self, inst: ir::Inst, tag: TagIdx, args: ValueList) {
        let target = Target::Entry(self.unit.layout.tag_entry(tag) as i32);
        let func = self.func;
        self.emit_whole_call(inst, target, func.list(args), None);
    }

    pub(super) fn call(&mut self, inst: ir::Inst, callee: FuncIdx, args: ValueList) {
        let func = self.func;
        self.emit_whole_call(inst, self.target(callee), func.list(args), None);
    }

    fn target(&self, callee: FuncIdx) -> Target {
        if self.unit.shape.is_imported(callee) {
            let entry = self.unit.layout.import_entry(callee) as i32;
            match self.unit.has(Plant::EntryNotNamed) {
                true => Target::Slot(entry),
                false => Target::Entry(entry),
            }
        } else {
            Target::Direct(callee.as_u32())
        }
    }

    /// A call in place of the rest of the function: the arguments are where the callee expects them,
    /// and the caller's frame goes before the callee is entered.
    fn emit_tail_call(&mut self, target: Target, args: &[Value], callee: Option<(Reg, u8)>) {
        let mut fixed = Vec::with_capacity(args.len() + 1);
        self.send(args, Assigner::params(), &mut fixed);
        if let Some((reg, number)) = callee {
            let at = Reg::gpr(number);
            fixed.push(Fixed { reg, at, def: false });
        }
        self.emit_call(Row::TailCall, target, &fixed);
    }

    pub(super) fn return_call(&mut self, callee: FuncIdx, args: ValueList) {
        let func = self.func;
        self.emit_tail_call(self.target(callee), func.list(args), None);
    }

    pub(super) fn return_call_indirect(&mut self, table: TableIdx, ty: TypeIdx, args: ValueList) {
        let func = self.func;
        let (&index, args) = func.list(args).split_first().expect("the index comes first");
        let index = self.reg(index);
        let target = Target::Indirect(self.indirect(table, ty));
        self.emit_tail_call(target, args, Some((index, convention::ENTRY)));
    }

    pub(super) fn call_library(&mut self, inst: ir::Inst, library: ir::Library, args: ValueList) {
        let call = LibCall::from_index(library.index()).expect("translation takes rows of the table");
        let target = Target::Slot(library_offset(call) as i32);
        let func = self.func;
        self.emit_whole_call(inst, target, func.list(args), None);
    }

    pub(super) fn call_indirect(&mut self, inst: ir::Inst, table: TableIdx, ty: TypeIdx, args: ValueList) {
        let func = self.func;
        let (&index, args) = func.list(args).split_first().expect("the index comes first");
        let index = self.reg(index);
        let target = Target::Indirect(self.indirect(table, ty));
        self.emit_whole_call(inst, target, args, Some((index, convention::ENTRY)));
    }

    pub(super) fn call_ref(&mut self, inst: ir::Inst, ty: TypeIdx, args: ValueList) {
        let func = self.func;
        let (&reference, args) = func.list(args).split_first().expect("the reference comes first");
        let reference = self.reg(reference);
        let target = Target::Reference(self.reference(ty, Trap::NullReference));
        self.emit_whole_call(inst, target, args, Some((reference, convention::REFERENCE)));
    }

    pub(super) fn return_call_ref(&mut self, ty: TypeIdx, args: ValueList) {
        let func = self.func;
        let (&reference, args) = func.list(args).split_first().expect("the reference comes first");
        let reference = self.reg(reference);
        let target = Target::Reference(self.reference(ty, Trap::NullReference));
        self.emit_tail_call(target, args, Some((reference, convention::REFERENCE)));
    }

    fn reference(&self, ty: TypeIdx, null: Trap) -> ReferenceCall {
        ReferenceCall {
            reference: Reg::gpr(convention::REFERENCE),
            stub: context::CALL_REF as i32,
            signature: self.unit.layout.signature(ty) as i32,
            callable: context::CALLABLE as i32,
            callable_mask: (context::CALLABLE_ENTRIES - 1) as i32,
            entry_shift: func_entry::SHIFT,
            call_offset: func_entry::CALL as i32,
            signature_offset: func_entry::SIGNATURE as i32,
            reference_offset: func_entry::REFERENCE as i32,
            trap_null: trap_code(null),
        }
    }

    /// A function of a type below may be in the table, unless there can be none.
    fn below(&self, ty: TypeIdx) -> Option<Below> {
        let exact = self.unit.shape.exact_types.get(ty)?;
        (!exact.is_final).then(|| Below {
            call: self.reference(ty, Trap::IndirectCallToNull),
        })
    }

    fn indirect(&self, table: TableIdx, ty: TypeIdx) -> IndirectCall {
        let shape = &self.unit.shape.tables[table];
        let field = self.unit.layout.table(table) as i32;
        let length = definition::LENGTH as i32;
        let (base, limit) = if shape.imported {
            (TableBase::Imported(field), TableLimit::Field(length))
        } else if shape.private
            && shape.max == Some(shape.min)
            && let Ok(len) = i32::try_from(shape.min)
        {
            (TableBase::Owned(field), TableLimit::Constant(len))
        } else {
            (TableBase::Owned(field), TableLimit::Field(field + length))
        };
        let signature = if shape.private {
            Signature::Constant(self.unit.shape.local_signature(ty) as i32)
        } else {
            Signature::Field(self.unit.layout.signature(ty) as i32)
        };
        IndirectCall {
            base,
            limit,
            entry_shift: func_entry::SHIFT,
            call_offset: match self.unit.has(Plant::EntryBehind) {
                true => (func_entry::CALL + func_entry::BYTES) as i32,
                false => func_entry::CALL as i32,
            },
            signature_offset: func_entry::SIGNATURE as i32,
            signature,
            null_signature: func_entry::NULL_SIGNATURE as i32,
            trap_bounds: trap_code(Trap::TableOutOfBounds),
            trap_null: trap_code(Trap::IndirectCallToNull),
            trap_signature: trap_code(Trap::BadSignature),
            below: self.below(ty),
        }
    }

    pub(super) fn ret(&mut self, args: ValueList) {
        let func = self.func;
        let mut fixed = Vec::new();
        self.send(func.list(args), Assigner::results(), &mut fixed);
        self.emit_call(Row::Ret, Target::None, &fixed);
    }

    /// The parameters of the function, at the start of the entry block.
    pub(super) fn params(&mut self, params: &[Value]) {
        let mut fixed = Vec::new();
        let mut overflow = Vec::new();
        let mut assigner = Assigner::params();
        for &value in params {
            let used = self.state.uses[value.index()] > 0;
            match register(assigner.next(val_type(self.func.ty(value)))) {
                _ if !used => {}
                Ok(at) => fixed.push(Fixed {
                    reg: self.def(value),
                    at,
                    def: true,
                }),
                Err(offset) => overflow.push((value, offset)),
            }
        }
        self.emit_call(Row::Params, Target::None, &fixed);
        self.load_overflows(overflow);
    }
}
