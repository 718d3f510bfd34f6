//! Linear memories, globals, sizes.

use super::operand::Operand;
use super::plant::Plant;
use super::{BASE, CONTEXT, Lower, trap_code, width_of};
use crate::Unit;
use Width::{W8, W16, W32, W64};
use cellwall_abi::context::definition;
use cellwall_base::{EntityId, GlobalIdx, MemoryIdx, TableIdx};
use cellwall_ir as ir;
use cellwall_ir::{BinaryOp, InstData, LoadOp, StoreOp, Trap, Type, Value};
use cellwall_isa::x64::{Inst, Row, Width};
use cellwall_isa::{Class, Reg};

/// The field of the context that is the value of a global, if the global is not imported.
pub(super) fn owned_global(unit: &Unit<'_>, global: GlobalIdx) -> Option<i32> {
    (!unit.shape.globals[global].imported).then(|| unit.layout.global(global) as i32)
}

/// The row that loads a whole value.
pub(super) fn load_row(ty: Type) -> Row {
    match ty {
        Type::I32 | Type::I64 => Row::Mov,
        Type::F32 | Type::F64 => Row::FLoad,
        Type::V128 => Row::VLoad,
    }
}

/// The row that stores a whole value.
pub(super) fn store_row(ty: Type) -> Row {
    match ty {
        Type::I32 | Type::I64 => Row::MovStore,
        Type::F32 | Type::F64 => Row::FStore,
        Type::V128 => Row::VStore,
    }
}

impl Lower<'_> {
    /// The operand of an access of `bytes` bytes.
    pub(super) fn access(
        &mut self,
        memory: MemoryIdx,
        addr: Value,
        offset: u32,
        bytes: u32,
        origin: u32,
    ) -> Operand {
        let target = self.unit.target;
        let reserved = target.memory_reservation_bytes + target.memory_guard_bytes;
        let base = if memory.index() == 0 {
            BASE
        } else {
            let base = self.temp(Class::Int);
            let field = self.unit.layout.memory(memory) as i32;
            self.emit(Inst::new(Row::Mov, W64).dst(base).mem(CONTEXT, field));
            base
        };
        let at = self
            .func
            .constant(addr)
            .and_then(|k| k.checked_add(u64::from(offset)));
        let mut operand = match at {
            Some(at) if at <= i32::MAX as u64 && at + u64::from(bytes) <= reserved => {
                Operand::mem(base, at as i32)
            }
            _ => {
                let (index, scale) = self.index(addr, bytes);
                let place = Operand::mem(base, offset as i32);
                Operand {
                    index,
                    scale,
                    ..place
                }
            }
        };
        operand.trap = trap_code(Trap::MemoryOutOfBounds);
        operand.origin = origin;
        operand
    }

    /// The register of an index, which is zero-extended as every 32-bit value is, and its scale: 1,
    /// unless a test plants a mistake.
    fn index(&mut self, addr: Value, bytes: u32) -> (Reg, u8) {
        if let Some((index, scale)) = self.planted_scale(addr, bytes) {
            return (self.reg(index), scale);
        }
        if self.unit.has(Plant::IndexNotExtended) {
            return (self.reg_low(addr), 0);
        }
        if let Some(index) = self.planted_index(addr) {
            return (index, 0);
        }
        (self.reg(addr), 0)
    }

    pub(super) fn load(&mut self, inst: ir::Inst) {
        let InstData::Load {
            op,
            memory,
            offset,
            addr,
        } = self.func.insts[inst].data
        else {
            unreachable!("the caller looked")
        };
        let result = self.func.result(inst);
        let ty = self.func.ty(result);
        let from = self.access(memory, addr, offset, op.bytes(ty), self.source);
        let dst = self.def(result);
        if ty == Type::V128 {
            return self.vector_load(op, dst, from);
        }
        let width = width_of(ty);
        let row = match op {
            LoadOp::Full => Inst::new(load_row(ty), width),
            LoadOp::U8 => Inst::new(Row::Movzx8, W32),
            LoadOp::U16 => Inst::new(Row::Movzx16, W32),
            LoadOp::U32 => Inst::new(Row::Mov, W32),
            LoadOp::S8 => Inst::new(Row::Movsx8, width),
            LoadOp::S16 => Inst::new(Row::Movsx16, width),
            LoadOp::S32 => Inst::new(Row::Movsxd, W64),
            _ => unreachable!("vectors are refused by the validator"),
        };
        self.emit(from.on(row.dst(dst)));
    }

    pub(super) fn store(&mut self, inst: ir::Inst) {
        let InstData::Store {
            op,
            memory,
            offset,
            args: [addr, value],
        } = self.func.insts[inst].data
        else {
            unreachable!("the caller looked")
        };
        let ty = self.func.ty(value);
        let width = match op {
            StoreOp::Full => width_of(ty),
            StoreOp::Low8 => W8,
            StoreOp::Low16 => W16,
            StoreOp::Low32 => W32,
        };
        let bytes = op.bytes(ty);
        let source = self.source;
        if self.store_lane(op, value, |lower| {
            lower.access(memory, addr, offset, bytes, source)
        }) {
            return;
        }
        if ty.is_int() {
            if self.modify_in_place(inst, width) {
                return;
            }
            if let Some(bits) = self.func.constant(value)
                && (width != W64 || i32::try_from(bits as i64).is_ok())
            {
                let to = self.access(memory, addr, offset, bytes, source);
                return self.emit(to.on(Inst::new(Row::MovStoreImm, width).imm(bits as i64)));
            }
            let src = if width == W64 {
                self.reg(value)
            } else {
                self.reg_low(value)
            };
            let to = self.access(memory, addr, offset, bytes, source);
            self.emit(to.on(Inst::new(Row::MovStore, width).src(src)));
        } else {
            let src = self.reg(value);
            let to = self.access(memory, addr, offset, bytes, source);
            self.emit(to.on(Inst::new(store_row(ty), width).src(src)));
        }
    }

    /// `[a] = [a] op x` as one instruction, where the value that is stored has no other use.
    fn modify_in_place(&mut self, inst: ir::Inst, width: Width) -> bool {
        let InstData::Store {
            memory,
            offset,
            args: [addr, value],
            op: store,
        } = self.func.insts[inst].data
        else {
            return false;
        };
        let Some(&InstData::Binary { op, args }) = self.data_of(value) else {
            return false;
        };
        let (row, row_imm) = match op {
            BinaryOp::Add => (Row::AddStore, Row::AddStoreImm),
            BinaryOp::Sub => (Row::SubStore, Row::SubStoreImm),
            BinaryOp::And => (Row::AndStore, Row::AndStoreImm),
            BinaryOp::Or => (Row::OrStore, Row::OrStoreImm),
            BinaryOp::Xor => (Row::XorStore, Row::XorStoreImm),
            _ => return false,
        };
        let ty = self.func.ty(value);
        let is_same = |lower: &Self, candidate: Value| {
            let load = lower.sinkable(candidate)?;
            match lower.func.insts[load].data {
                InstData::Load {
                    op,
                    memory: m,
                    offset: o,
                    addr: a,
                } => (m == memory && o == offset && a == addr && op.bytes(ty) == store.bytes(ty))
                    .then_some(load),
                _ => None,
            }
        };
        if !self.is_single(value) {
            return false;
        }
        let (load, loaded, other) = match (is_same(self, args[0]), is_same(self, args[1])) {
            (Some(load), _) => (load, args[0], args[1]),
            (None, Some(load)) if op.commutes() => (load, args[1], args[0]),
            _ => return false,
        };
        // Load and operator are gone; the store uses their operands, the address once less.
        self.take(value, &[]);
        let binary = self.func.def_inst(value).expect("a binary operator defines it");
        self.state.sunk[binary.index()] = true;
        self.sink(load, loaded);
        self.state.uses[addr.index()] -= 1;
        let imm = self.func.constant(other).map(|bits| bits as i64);
        let imm = imm.filter(|&imm| width != W64 || i32::try_from(imm).is_ok());
        let (bytes, source) = (store.bytes(ty), self.source);
        if let Some(imm) = imm {
            let to = self.access(memory, addr, offset, bytes, source);
            self.emit(to.on(Inst::new(row_imm, width).imm(imm)));
        } else {
            let src = if width == W64 {
                self.reg(other)
            } else {
                self.reg_low(other)
            };
            let to = self.access(memory, addr, offset, bytes, source);
            self.emit(to.on(Inst::new(row, width).src(src)));
        }
        true
    }

    /// The current length of a memory in bytes.
    fn memory_length(&mut self, memory: MemoryIdx) -> Operand {
        let field = (self.unit.layout.memory(memory) + definition::LENGTH) as i32;
        if !self.unit.shape.memories[memory].is_elsewhere() {
            return Operand::mem(CONTEXT, field);
        }
        let at = self.temp(Class::Int);
        self.emit(Inst::new(Row::Mov, W64).dst(at).mem(CONTEXT, field));
        Operand::mem(at, definition::LENGTH as i32)
    }

    /// The result is the register that was compared, so that the verifier knows it wherever it goes.
    pub(super) fn bounds_check(&mut self, inst: ir::Inst, memory: MemoryIdx, addr: Value, slack: u64) {
        assert!(
            self.unit.target.guard_covers(0, slack),
            "translation adds offsets that the guard does not cover to the address"
        );
        let index = self.reg(addr);
        let length = self.memory_length(memory);
        let dst = self.def(self.func.result(inst));
        let trap = trap_code(Trap::MemoryOutOfBounds);
        let check = Inst::new(Row::CheckIndex, W64)
            .mem(length.base, length.disp)
            .trap(trap);
        if self.unit.has(Plant::CheckLeftOut) {
            return self.emit(Inst::new(Row::Mov, W64).dst(dst).rm(index));
        }
        if slack == 0 {
            return self.emit(check.dst(dst).src(index));
        }
        // The end cannot wrap: the index has 32 bits, or is not above the length.
        let is_narrow = self.func.ty(addr) == Type::I32 && self.unit.target.index_always_reserved();
        if is_narrow || self.unit.has(Plant::EndWraps) {
            self.emit(Inst::new(Row::Mov, W64).dst(dst).rm(index));
        } else {
            self.emit(check.dst(dst).src(index));
        }
        let (end, checked) = (self.temp(Class::Int), self.temp(Class::Int));
        self.emit(Inst::new(Row::Lea, W64).dst(end).mem(dst, slack as i32));
        self.emit(check.dst(checked).src(end));
    }

    pub(super) fn memory_size(&mut self, inst: ir::Inst, memory: MemoryIdx) {
        let length = self.memory_length(memory);
        let dst = self.def(self.func.result(inst));
        self.emit(length.on(Inst::new(Row::Mov, W64).dst(dst)));
    }

    pub(super) fn table_size(&mut self, inst: ir::Inst, table: TableIdx) {
        let field = self.unit.layout.table(table) as i32;
        let length = if self.unit.shape.tables[table].imported {
            let at = self.temp(Class::Int);
            self.emit(Inst::new(Row::Mov, W64).dst(at).mem(CONTEXT, field));
            Operand::mem(at, definition::LENGTH as i32)
        } else {
            Operand::mem(CONTEXT, field + definition::LENGTH as i32)
        };
        let elements = self.temp(Class::Int);
        self.emit(length.on(Inst::new(Row::Mov, W64).dst(elements)));
        let result = self.func.result(inst);
        let width = width_of(self.func.ty(result));
        let dst = self.def(result);
        self.emit(Inst::new(Row::Mov, width).dst(dst).rm(elements));
    }

    /// Where the value of a global is.
    fn global(&mut self, global: GlobalIdx) -> Operand {
        if let Some(field) = owned_global(self.unit, global) {
            return Operand::mem(CONTEXT, field);
        }
        let at = self.temp(Class::Int);
        let field = self.unit.layout.global(global) as i32;
        self.emit(Inst::new(Row::Mov, W64).dst(at).mem(CONTEXT, field));
        Operand::mem(at, 0)
    }

    pub(super) fn global_get(&mut self, inst: ir::Inst, global: GlobalIdx) {
        let from = self.global(global);
        let result = self.func.result(inst);
        let ty = self.func.ty(result);
        let dst = self.def(result);
        self.emit(from.on(Inst::new(load_row(ty), width_of(ty)).dst(dst)));
    }

    pub(super) fn global_set(&mut self, global: GlobalIdx, value: Value) {
        let ty = self.func.ty(value);
        let width = width_of(ty);
        if let Some(imm) = self.immediate(value) {
            let to = self.global(global);
            return self.emit(to.on(Inst::new(Row::MovStoreImm, width).imm(imm)));
        }
        let src: Reg = self.reg_for(ty, value);
        let to = self.global(global);
        let (row, width) = match ty == Type::F64 && self.unit.has(Plant::WideLaneStore) {
            true => (Row::VStore, Width::W128),
            false => (store_row(ty), width),
        };
        self.emit(to.on(Inst::new(row, width).src(src)));
    }
}
