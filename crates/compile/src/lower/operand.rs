//! Operands: registers, immediates, constants, memory.

use super::{CONTEXT, Lower, class_of, memory, width_of};
use cellwall_base::EntityId;
use cellwall_ir as ir;
use cellwall_ir::{BinaryOp, InstData, LoadOp, Type, UnaryOp, Value};
use cellwall_isa::x64::{Inst, Rm, Row, Width};
use cellwall_isa::{Class, Reg};

/// An r/m operand.
#[derive(Clone, Copy)]
pub(super) struct Operand {
    pub(super) rm: Rm,
    pub(super) base: Reg,
    pub(super) index: Reg,
    pub(super) scale: u8,
    pub(super) disp: i32,
    pub(super) trap: u8,
    /// The source of the load that this stands for, or 0.
    pub(super) origin: u32,
}

impl Operand {
    pub(super) const fn reg(base: Reg) -> Self {
        Self {
            rm: Rm::Reg,
            base,
            index: Reg::NONE,
            scale: 0,
            disp: 0,
            trap: 0,
            origin: 0,
        }
    }

    pub(super) const fn mem(base: Reg, disp: i32) -> Self {
        Self {
            rm: Rm::Mem,
            disp,
            ..Self::reg(base)
        }
    }

    pub(super) const fn rodata(offset: u32) -> Self {
        Self {
            rm: Rm::Rodata,
            disp: offset as i32,
            ..Self::reg(Reg::NONE)
        }
    }

    /// The instruction with this operand.
    pub(super) fn on(self, mut inst: Inst) -> Inst {
        inst.rm = self.rm;
        inst.base = self.base;
        inst.index = self.index;
        inst.scale = self.scale;
        inst.disp = self.disp;
        if self.trap != 0 {
            inst.trap = self.trap;
            inst.origin = self.origin;
        }
        inst
    }
}

impl Lower<'_> {
    /// The instruction that defines a value.
    pub(super) fn data_of(&self, value: Value) -> Option<&InstData> {
        Some(&self.func.insts[self.func.def_inst(value)?].data)
    }

    /// Whether only one instruction uses the value.
    pub(super) fn is_single(&self, value: Value) -> bool {
        self.state.uses[value.index()] == 1
    }

    /// A user takes the definition of `value` into itself and uses `operands` instead.
    pub(super) fn take(&mut self, value: Value, operands: &[Value]) {
        self.state.uses[value.index()] -= 1;
        for operand in operands {
            self.state.uses[operand.index()] += 1;
        }
    }

    /// The user of a value, which is its only one, takes its definition into itself, and with it the
    /// uses of its operands.
    pub(super) fn absorb(&mut self, value: Value) {
        debug_assert!(self.is_single(value));
        let inst = self.func.def_inst(value).expect("it was found by its definition");
        self.take(value, &[]);
        self.state.sunk[inst.index()] = true;
    }

    /// A binary operator with these operands defines `value`.
    pub(super) fn binary_of(&self, value: Value, wanted: BinaryOp) -> Option<[Value; 2]> {
        match self.data_of(value)? {
            InstData::Binary { op, args } if *op == wanted => Some(*args),
            _ => None,
        }
    }

    /// A constant as the processor sign-extends it, if it fits in 32 bits.
    pub(super) fn immediate(&self, value: Value) -> Option<i64> {
        let bits = self.func.constant(value)?;
        match self.func.ty(value) {
            Type::I32 => Some(i64::from(bits as i32)),
            Type::I64 => i32::try_from(bits as i64).ok().map(i64::from),
            _ => None,
        }
    }

    /// The register of a value. Constants are made anew, which may change flags.
    pub(super) fn reg(&mut self, value: Value) -> Reg {
        match self.data_of(value) {
            Some(&InstData::Const { bits }) => self.make_constant(self.func.ty(value), bits),
            Some(&InstData::VectorConst { bytes }) => self.vector_constant(u128::from_le_bytes(bytes)),
            // Nothing happens: a 32-bit value is zero-extended.
            Some(&InstData::Unary {
                op: UnaryOp::ExtendU,
                arg,
            }) => {
                self.take(value, &[arg]);
                self.reg(arg)
            }
            _ => self.def(value),
        }
    }

    /// A register of whose value only the low 32 bits count.
    pub(super) fn reg_low(&mut self, value: Value) -> Reg {
        match self.data_of(value) {
            Some(&InstData::Unary {
                op: UnaryOp::Wrap,
                arg,
            }) => {
                self.take(value, &[arg]);
                self.reg_low(arg)
            }
            _ => self.reg(value),
        }
    }

    /// A register for an operation on values of this type.
    pub(super) fn reg_for(&mut self, ty: Type, value: Value) -> Reg {
        if ty == Type::I32 {
            self.reg_low(value)
        } else {
            self.reg(value)
        }
    }

    fn make_constant(&mut self, ty: Type, bits: u64) -> Reg {
        let dst = self.temp(class_of(ty));
        let inst = match ty {
            Type::I32 | Type::I64 if bits == 0 => Inst::new(Row::Zero, Width::W32),
            Type::I32 => Inst::new(Row::MovImm, Width::W32).imm(i64::from(bits as i32)),
            Type::I64 if bits <= u64::from(u32::MAX) => {
                Inst::new(Row::MovImm, Width::W32).imm(i64::from(bits as i32))
            }
            Type::I64 => Inst::new(Row::MovImm, Width::W64).imm(bits as i64),
            _ if bits == 0 => Inst::new(Row::FZero, Width::W32),
            _ => {
                let offset = self.constant_bytes(bits, ty.bytes());
                Inst::new(Row::FLoad, width_of(ty)).rodata(offset)
            }
        };
        self.emit(inst.dst(dst));
        dst
    }

    /// A 64-bit integer constant in a register; flags are kept.
    pub(super) fn integer(&mut self, value: i64) -> Reg {
        let dst = self.temp(Class::Int);
        let small = u32::try_from(value).is_ok();
        let width = if small { Width::W32 } else { Width::W64 };
        let imm = if small { i64::from(value as i32) } else { value };
        self.emit(Inst::new(Row::MovImm, width).dst(dst).imm(imm));
        dst
    }

    /// The offset in rodata of a constant of 4, 8 or 16 bytes, at a multiple of them.
    pub(super) fn constant_bytes(&mut self, bits: impl Into<u128>, bytes: u32) -> u32 {
        let bits = bits.into();
        // Only the last ones are searched, so that many constants cost linear time.
        let recent = self.state.constants.iter().rev().take(32);
        if let Some(known) = recent.into_iter().find(|c| c.0 == bits && c.1 == bytes) {
            return known.2;
        }
        let offset = self.bytes(&bits.to_le_bytes()[..bytes as usize], bytes);
        self.state.constants.push((bits, bytes, offset));
        offset
    }

    /// The offset in rodata of these bytes.
    pub(super) fn bytes(&mut self, bytes: &[u8], align: u32) -> u32 {
        let offset = (self.out.rodata.len() as u32).next_multiple_of(align);
        self.out.rodata.resize(offset as usize, 0);
        self.out.rodata.extend_from_slice(bytes);
        offset
    }

    /// A value as r/m operand: a load or constant that only this instruction uses, or a register.
    pub(super) fn operand(&mut self, value: Value) -> Operand {
        if let Some(operand) = self.memory_operand(value) {
            return operand;
        }
        let ty = self.func.ty(value);
        if ty.is_float()
            && let Some(bits) = self.func.constant(value)
            && bits != 0
        {
            return Operand::rodata(self.constant_bytes(bits, ty.bytes()));
        }
        Operand::reg(self.reg_for(ty, value))
    }

    /// A load or read of a global that can move into the current instruction.
    pub(super) fn memory_operand(&mut self, value: Value) -> Option<Operand> {
        let inst = self.sinkable(value)?;
        match self.func.insts[inst].data {
            InstData::Load {
                op: LoadOp::Full,
                memory,
                offset,
                addr,
            } => {
                self.sink(inst, value);
                let bytes = self.func.ty(value).bytes();
                Some(self.access(memory, addr, offset, bytes, self.func.insts[inst].source))
            }
            InstData::GlobalGet { global } => {
                let field = memory::owned_global(self.unit, global)?;
                self.take(value, &[]);
                Some(Operand::mem(CONTEXT, field))
            }
            _ => None,
        }
    }

    /// The instruction that defines `value`, if only the current one uses it and nothing happens
    /// between the two.
    pub(super) fn sinkable(&self, value: Value) -> Option<ir::Inst> {
        let inst = self.func.def_inst(value)?;
        let near = self.state.color[inst.index()] == self.color;
        (near && self.is_single(value) && !self.state.sunk[inst.index()]).then_some(inst)
    }

    /// Moves a load into the current instruction, which becomes its address's user.
    pub(super) fn sink(&mut self, inst: ir::Inst, value: Value) {
        debug_assert_eq!(self.func.def_inst(value), Some(inst));
        self.absorb(value);
    }
}
