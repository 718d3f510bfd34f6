//! Encoding of one instruction (Intel SDM volume 2, chapter 2; VEX in 2.3). Always the shortest form.

use super::code::{Reloc, RelocTarget};
use super::inst::{Inst, Rm, Width};
use super::row::{Form, Map, Prefix, RmBits, Row, RowDef};
use crate::{Class, Reg};

/// Bytes under construction.
#[derive(Debug, Default)]
pub(super) struct Bytes {
    pub(super) code: Vec<u8>,
    pub(super) relocs: Vec<Reloc>,
    /// Where each instruction starts, but for branches.
    pub(super) starts: Vec<u32>,
}

/// The register, memory or rip-relative operand in the r/m field.
#[derive(Clone, Copy)]
pub(super) enum RmOperand {
    Reg(u8),
    Mem {
        base: Option<u8>,
        index: Option<(u8, u8)>,
        disp: i32,
    },
    Rip(RelocTarget),
}

impl RmOperand {
    pub(super) fn base(base: Reg, disp: i32) -> Self {
        Self::Mem {
            base: Some(base.number()),
            index: None,
            disp,
        }
    }

    fn of(inst: &Inst, stack: u8) -> Self {
        match inst.rm {
            Rm::Reg => Self::Reg(inst.base.number()),
            Rm::Mem => Self::Mem {
                base: (!inst.base.is_none()).then(|| inst.base.number()),
                index: (!inst.index.is_none()).then(|| (inst.index.number(), inst.scale)),
                disp: inst.disp,
            },
            Rm::Slot => Self::Mem {
                base: Some(stack),
                index: None,
                disp: inst.disp * 8,
            },
            Rm::Rodata => Self::Rip(RelocTarget::Rodata(inst.disp as u32)),
        }
    }

    /// High bits for REX.B and REX.X.
    fn high(self) -> (u8, u8) {
        match self {
            Self::Reg(r) => (r >> 3, 0),
            Self::Mem { base, index, .. } => (base.unwrap_or(0) >> 3, index.map_or(0, |(r, _)| r >> 3)),
            Self::Rip(_) => (0, 0),
        }
    }
}

/// What comes before the ModRM byte.
#[derive(Clone, Copy)]
struct Head {
    prefix: u8,
    rex_w: bool,
    map: Map,
    opcode: u8,
}

impl Inst {
    /// The bytes of one instruction with hardware registers.
    ///
    /// # Panics
    /// If the row is a pseudo row, which is no single instruction.
    pub fn encode(&self, stack: Reg) -> Vec<u8> {
        let mut bytes = Bytes::default();
        bytes.inst(self, stack.number());
        bytes.code
    }
}

impl Bytes {
    pub(super) fn pos(&self) -> u32 {
        self.code.len() as u32
    }

    pub(super) fn byte(&mut self, byte: u8) {
        self.code.push(byte);
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.code.extend_from_slice(bytes);
    }

    /// A displacement for the linker to fill in.
    pub(super) fn reloc(&mut self, target: RelocTarget) {
        let at = self.pos();
        self.relocs.push(Reloc { at, tail: 0, target });
        self.bytes(&[0; 4]);
    }

    /// A ModRM byte with what follows it.
    fn modrm(&mut self, reg: u8, rm: RmOperand) {
        let reg = (reg & 7) << 3;
        match rm {
            RmOperand::Reg(r) => self.byte(0xc0 | reg | (r & 7)),
            RmOperand::Rip(target) => {
                self.byte(0x05 | reg);
                self.reloc(target);
            }
            RmOperand::Mem { base, index, disp } => {
                let Some(base) = base else {
                    // Without a base: SIB with base 101 and a 32-bit displacement.
                    let (index, scale) = index.map_or((4, 0), |(r, s)| (r & 7, s));
                    self.bytes(&[0x04 | reg, (scale << 6) | (index << 3) | 5]);
                    return self.bytes(&disp.to_le_bytes());
                };
                let small = i8::try_from(disp).ok();
                let mode = match small {
                    // rbp and r13 as base always have a displacement.
                    Some(0) if base & 7 != 5 => 0x00,
                    Some(_) => 0x40,
                    None => 0x80,
                };
                match index {
                    Some((index, scale)) => {
                        debug_assert!(index != 4, "rsp is no index");
                        self.bytes(&[mode | reg | 4, (scale << 6) | ((index & 7) << 3) | (base & 7)]);
                    }
                    // rsp and r12 as base always have a SIB byte.
                    None if base & 7 == 4 => self.bytes(&[mode | reg | 4, 0x24]),
                    None => self.byte(mode | reg | (base & 7)),
                }
                match mode {
                    0x00 => {}
                    0x40 => self.byte(disp as u8),
                    _ => self.bytes(&disp.to_le_bytes()),
                }
            }
        }
    }

    fn legacy(&mut self, head: Head, reg: u8, rm: RmOperand, byte_reg: bool, byte_rm: bool) {
        if head.prefix != 0 {
            self.byte(head.prefix);
        }
        let (b, x) = rm.high();
        let rex = (u8::from(head.rex_w) << 3) | ((reg >> 3) << 2) | (x << 1) | b;
        // spl, bpl, sil and dil exist only with a REX prefix.
        let low_byte = |r: u8| (4..8).contains(&r);
        let forced =
            (byte_reg && low_byte(reg)) || (byte_rm && matches!(rm, RmOperand::Reg(r) if low_byte(r)));
        if rex != 0 || forced {
            self.byte(0x40 | rex);
        }
        match head.map {
            Map::One => {}
            Map::M0f => self.byte(0x0f),
            Map::M0f38 => self.bytes(&[0x0f, 0x38]),
            Map::M0f3a => self.bytes(&[0x0f, 0x3a]),
        }
        self.byte(head.opcode);
        self.modrm(reg, rm);
    }

    fn vex(&mut self, head: Head, reg: u8, vvvv: u8, rm: RmOperand) {
        let (b, x) = rm.high();
        let map = match head.map {
            Map::M0f => 1,
            Map::M0f38 => 2,
            Map::M0f3a => 3,
            Map::One => unreachable!("the table has no such VEX row"),
        };
        let prefix = match head.prefix {
            0x66 => 1,
            0xf3 => 2,
            0xf2 => 3,
            _ => 0,
        };
        let not = |bit: u8| bit ^ 1;
        if map == 1 && !head.rex_w && b | x == 0 {
            let rest = ((!vvvv & 15) << 3) | prefix;
            self.bytes(&[0xc5, (not(reg >> 3) << 7) | rest, head.opcode]);
            return self.modrm(reg, rm);
        }
        self.bytes(&[
            0xc4,
            (not(reg >> 3) << 7) | (not(x) << 6) | (not(b) << 5) | map,
            (u8::from(head.rex_w) << 7) | ((!vvvv & 15) << 3) | prefix,
            head.opcode,
        ]);
        self.modrm(reg, rm);
    }

    fn imm(&mut self, imm: i64, width: Width) {
        match width {
            Width::W8 => self.byte(imm as u8),
            Width::W16 => self.bytes(&(imm as i16).to_le_bytes()),
            Width::W32 | Width::W64 | Width::W128 => {
                debug_assert!(
                    width == Width::W32 || i32::try_from(imm).is_ok(),
                    "immediate {imm}"
                );
                self.bytes(&(imm as i32).to_le_bytes());
            }
        }
    }

    /// `op reg, [mem]`-like instruction by row, for the fused shapes.
    pub(super) fn row(&mut self, row: Row, width: Width, reg: Reg, rm: RmOperand) {
        self.legacy(head(row.def(), width), reg.number(), rm, false, false);
    }

    /// `op [mem], imm`-like instruction by row.
    pub(super) fn row_imm(&mut self, row: Row, width: Width, rm: RmOperand, imm: i64) {
        self.arithmetic_imm(row.def(), width, rm, imm);
    }

    fn arithmetic_imm(&mut self, def: &RowDef, width: Width, rm: RmOperand, imm: i64) {
        let mut head = head(def, width);
        let short = def.opcode == 0x81 && width != Width::W8 && i8::try_from(sign(imm, width)).is_ok();
        if short {
            head.opcode = 0x83;
        }
        self.legacy(head, def.digit, rm, false, width == Width::W8);
        self.imm(sign(imm, width), if short { Width::W8 } else { width });
    }

    /// Any row that is one instruction.
    pub(super) fn inst(&mut self, inst: &Inst, stack: u8) {
        self.starts.push(self.pos());
        let def = inst.row.def();
        debug_assert!(def.widths & (1 << inst.width as u8) != 0, "{inst:?}");
        let mut head = head(def, inst.width);
        let w8 = inst.width == Width::W8;
        let byte_rm = def.rm_bits == RmBits::B8 || (w8 && def.rm == Class::Int);
        let rm = || RmOperand::of(inst, stack);
        let tied = || {
            debug_assert!(
                inst.dst == inst.src,
                "tied registers are one after allocation: {inst:?}"
            )
        };
        debug_assert!(!inst.vex || inst.row.has_vex(), "{inst:?}");
        match def.form {
            Form::Rm if inst.vex => self.vex(head, inst.dst.number(), 0, rm()),
            Form::RmUse if inst.vex => self.vex(head, inst.src.number(), 0, rm()),
            Form::Rm => self.legacy(head, inst.dst.number(), rm(), false, byte_rm),
            Form::RmMod => {
                tied();
                if inst.row == Row::Cmov {
                    head.opcode |= inst.cond.number();
                }
                self.legacy(head, inst.dst.number(), rm(), false, byte_rm);
            }
            Form::RmUse | Form::Store => {
                let byte_reg = w8 && def.dst == Class::Int;
                self.legacy(head, inst.src.number(), rm(), byte_reg, byte_rm);
            }
            Form::Reverse => self.legacy(
                head,
                inst.src.number(),
                RmOperand::Reg(inst.dst.number()),
                false,
                false,
            ),
            Form::RmImm => {
                let short = i8::try_from(sign(inst.imm, inst.width)).is_ok();
                if short {
                    head.opcode = 0x6b;
                }
                self.legacy(head, inst.dst.number(), rm(), false, false);
                self.imm(
                    sign(inst.imm, inst.width),
                    if short { Width::W8 } else { inst.width },
                );
            }
            Form::RmModImm => {
                tied();
                debug_assert!(
                    inst.rm != Rm::Rodata,
                    "relocations end at the end of the instruction"
                );
                self.legacy(head, inst.dst.number(), rm(), false, false);
                self.byte(inst.imm as u8);
            }
            Form::Imm => {
                tied();
                self.arithmetic_imm(def, inst.width, RmOperand::Reg(inst.dst.number()), inst.imm);
            }
            Form::ImmUse | Form::ImmStore => self.arithmetic_imm(def, inst.width, rm(), inst.imm),
            Form::Unary | Form::ShiftCl => {
                tied();
                self.legacy(head, def.digit, RmOperand::Reg(inst.dst.number()), false, false);
            }
            Form::ShiftImm => {
                tied();
                if inst.imm == 1 {
                    head.opcode = 0xd1;
                }
                self.legacy(head, def.digit, RmOperand::Reg(inst.dst.number()), false, false);
                if inst.imm != 1 {
                    self.byte(inst.imm as u8);
                }
            }
            Form::Set => {
                tied();
                head.opcode = def.opcode | inst.cond.number();
                self.legacy(head, 0, RmOperand::Reg(inst.dst.number()), false, true);
            }
            Form::Constant => self.constant(inst),
            Form::Zero => {
                let r = inst.dst.number();
                self.legacy(head, r, RmOperand::Reg(r), false, false);
            }
            Form::VexRvm => self.vex(head, inst.dst.number(), inst.src.number(), rm()),
            Form::VexRmv => self.vex(head, inst.dst.number(), inst.src.number(), rm()),
            Form::VexVm => self.vex(head, def.digit, inst.dst.number(), rm()),
            Form::VexRmImm => {
                debug_assert!(
                    inst.rm != Rm::Rodata,
                    "relocations end at the end of the instruction"
                );
                self.vex(head, inst.dst.number(), 0, rm());
                self.byte(inst.imm as u8);
            }
            Form::Vec | Form::VecImm | Form::VecRmImm | Form::StoreImm | Form::VexBlend | Form::VexFused => {
                self.vector(inst, head, rm())
            }
            Form::VecShiftImm if inst.vex => {
                let rm = RmOperand::Reg(inst.src.number());
                self.vex(head, def.digit, inst.dst.number(), rm);
                self.byte(inst.imm as u8);
            }
            Form::VecShiftImm => {
                tied();
                let rm = RmOperand::Reg(inst.dst.number());
                self.legacy(head, def.digit, rm, false, false);
                self.byte(inst.imm as u8);
            }
            Form::ReverseImm => {
                let rm = RmOperand::Reg(inst.dst.number());
                self.legacy(head, inst.src.number(), rm, false, false);
                self.byte(inst.imm as u8);
            }
            Form::Multiply | Form::Divide => {
                let rm = if def.form == Form::Divide {
                    RmOperand::Reg(inst.base.number())
                } else {
                    rm()
                };
                self.legacy(head, def.digit, rm, false, false);
            }
            Form::Exchange | Form::CompareExchange => {
                if inst.row.is_locked() {
                    self.byte(0xf0);
                }
                self.legacy(head, inst.src.number(), rm(), w8, byte_rm);
            }
            Form::SignSpread => {
                if inst.width == Width::W64 {
                    self.byte(0x48);
                }
                self.byte(def.opcode);
            }
            Form::Pseudo => unreachable!("pseudo rows are expanded: {inst:?}"),
        }
    }

    /// The rows that only vectors have.
    fn vector(&mut self, inst: &Inst, head: Head, rm: RmOperand) {
        let def = inst.row.def();
        debug_assert!(!inst.is_tied() || inst.dst == inst.src, "{inst:?}");
        if inst.rm == Rm::Rodata && !matches!(def.form, Form::Vec | Form::VexFused) {
            self.vector_without_tail(inst, head, rm);
            let reloc = self.relocs.last_mut().expect("the operand is relocated");
            reloc.tail = 1;
        } else {
            self.vector_without_tail(inst, head, rm);
        }
    }

    /// The same, as if a relocated field were always at the end.
    fn vector_without_tail(&mut self, inst: &Inst, head: Head, rm: RmOperand) {
        let def = inst.row.def();
        let number = |reg: Reg| reg.number();
        match def.form {
            Form::Vec | Form::VecImm if inst.vex => self.vex(head, number(inst.dst), number(inst.src), rm),
            Form::VecRmImm if inst.vex => self.vex(head, number(inst.dst), 0, rm),
            Form::Vec | Form::VecImm | Form::VecRmImm => {
                self.legacy(head, number(inst.dst), rm, false, false);
            }
            Form::StoreImm => self.legacy(head, number(inst.src), rm, false, false),
            Form::VexBlend => {
                self.vex(head, number(inst.dst), number(inst.src), rm);
                return self.byte(number(inst.dst2) << 4);
            }
            _ => return self.vex(head, number(inst.dst), number(inst.dst2), rm),
        }
        if def.form != Form::Vec {
            self.byte(inst.imm as u8);
        }
    }

    fn constant(&mut self, inst: &Inst) {
        let (r, imm) = (inst.dst.number(), inst.imm);
        let b = r >> 3;
        if inst.width == Width::W32 {
            if b != 0 {
                self.byte(0x41);
            }
            self.byte(0xb8 | (r & 7));
            self.bytes(&(imm as i32).to_le_bytes());
        } else if let Ok(imm) = i32::try_from(imm) {
            self.bytes(&[0x48 | b, 0xc7, 0xc0 | (r & 7)]);
            self.bytes(&imm.to_le_bytes());
        } else {
            self.bytes(&[0x48 | b, 0xb8 | (r & 7)]);
            self.bytes(&imm.to_le_bytes());
        }
    }
}

fn head(def: &RowDef, width: Width) -> Head {
    let mut opcode = def.opcode;
    let prefix = match def.prefix {
        Prefix::Int => {
            if width == Width::W8 && def.form != Form::Set {
                opcode -= 1;
            }
            if width == Width::W16 { 0x66 } else { 0 }
        }
        Prefix::Is(prefix) => prefix,
        Prefix::Scalar if width == Width::W32 => 0xf3,
        Prefix::Scalar => 0xf2,
        Prefix::Packed if width == Width::W32 => 0,
        Prefix::Packed => 0x66,
        Prefix::Rounding => {
            opcode += u8::from(width == Width::W64);
            0x66
        }
    };
    Head {
        prefix,
        rex_w: def.rex_w && width == Width::W64,
        map: def.map,
        opcode,
    }
}

/// The immediate as the processor sign-extends it.
pub(super) fn sign(imm: i64, width: Width) -> i64 {
    match width {
        Width::W8 => i64::from(imm as i8),
        Width::W16 => i64::from(imm as i16),
        Width::W32 => i64::from(imm as i32),
        Width::W64 | Width::W128 => imm,
    }
}
