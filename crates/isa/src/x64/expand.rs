//! The fixed sequences behind pseudo rows, and what they put after the last block.

use super::code::{Asm, Label, RelocTarget};
use super::encode::RmOperand;
use super::func::{Block, IndirectCall, ReferenceCall, Signature, TableBase, TableLimit, Target};
use super::inst::{Cond, Inst, Width};
use super::row::Row;
use crate::Reg;
use Width::{W32, W64};

/// Code after the last block; labels are where it goes on.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Cold {
    /// `ud2`.
    Trap(u8),
    /// The entry in the entry register is null or of another signature.
    Signature(Box<Mismatch>),
    /// A reference whose function is not among the entries that are looked at first.
    Reference(Box<Missing>),
    /// Equal or unordered operands of a minimum or maximum.
    MinMax { inst: Inst, back: Label },
    /// A truncation gave the smallest integer: it was that, or traps.
    Trunc { inst: Inst, back: Label },
    /// Traps for a NaN with one code, otherwise with another.
    TruncTrap { inst: Inst },
    /// Likewise, where nothing traps.
    Saturate { inst: Inst, back: Label },
    /// An unsigned integer with the high bit set becomes a float.
    U64ToFloat { inst: Inst, back: Label },
    /// The remainder by -1 is 0.
    Remainder { dst: Reg, back: Label },
}

/// A call through a table whose entry is not of the wanted signature.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Mismatch {
    call: IndirectCall,
    around: Around,
}

/// What a call is part of.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Around {
    /// The block with the call, and the call: for what it may throw, and where it goes on.
    block: Block,
    inst: Inst,
    /// Behind the call; `None` if it is a tail call.
    back: Option<Label>,
}

impl Around {
    /// The extension of the opcode that goes through memory: a call or a jump.
    fn digit(&self) -> u8 {
        if self.back.is_some() { 2 } else { 4 }
    }
}

/// A call by reference that the stub makes.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Missing {
    call: ReferenceCall,
    around: Around,
}

impl Asm<'_> {
    fn emit(&mut self, inst: Inst) {
        self.out.inst(&inst, self.stack());
    }

    /// `op src, rm` of vector registers, without result.
    fn compare_floats(&mut self, width: Width, x: Reg, y: Reg) {
        self.emit(Inst::new(Row::FCmp, width).src(x).rm(y));
    }

    /// `op dst, rm` with the destination also read.
    fn modify(&mut self, row: Row, width: Width, dst: Reg, rm: Reg) {
        self.emit(Inst::new(row, width).dst(dst).src(dst).rm(rm));
    }

    pub(super) fn expand(&mut self, inst: &Inst) {
        let mut inst = *inst;
        match inst.row {
            Row::Params | Row::Landed => {}
            Row::Enter => self.enter(),
            Row::Leave => self.leave(),
            Row::Call | Row::Invoke => self.call(&inst),
            Row::TrapIf => {
                let trap = self.trap_label(inst.trap, inst.origin);
                self.jump_if(inst.cond, trap);
            }
            Row::AtomicLoop => self.atomic_loop(inst),
            Row::Mfence => self.out.bytes(&[0x0f, 0xae, 0xf0]),
            Row::CheckIndex => {
                let trap = self.trap_label(inst.trap, inst.origin);
                self.emit(Inst::new(Row::Cmp, W64).src(inst.dst).mem(inst.base, inst.disp));
                self.jump_if(Cond::A, trap);
            }
            Row::TrapIfFloat => {
                // Too low, too high and not a number share one.
                let cond = std::mem::replace(&mut inst.cond, Cond::P);
                let trap = self.cold_label(inst.origin, Cold::TruncTrap { inst });
                self.jump_if(cond, trap);
            }
            Row::FSelect => {
                let over = self.label();
                self.jump_if(inst.cond.inverse(), over);
                self.emit(Inst::new(Row::FMov, W32).dst(inst.dst).rm(inst.base));
                self.bind(over);
            }
            Row::FMinWasm | Row::FMaxWasm => {
                let back = self.label();
                let slow = self.cold_label(inst.origin, Cold::MinMax { inst, back });
                self.compare_floats(inst.width, inst.dst, inst.base);
                self.jump_if(Cond::E, slow);
                let row = if inst.row == Row::FMinWasm {
                    Row::FMin
                } else {
                    Row::FMax
                };
                self.modify(row, inst.width, inst.dst, inst.base);
                self.bind(back);
            }
            Row::CheckTrunc | Row::Saturate => {
                let back = self.label();
                let cold = match inst.row {
                    Row::CheckTrunc => Cold::Trunc { inst, back },
                    _ => Cold::Saturate { inst, back },
                };
                let slow = self.cold_label(inst.origin, cold);
                // Overflows for the smallest integer only.
                self.emit(Inst::new(Row::CmpImm, inst.width).rm(inst.src).imm(1));
                self.jump_if(Cond::O, slow);
                self.bind(back);
            }
            Row::U64ToFloat => {
                let back = self.label();
                let slow = self.cold_label(inst.origin, Cold::U64ToFloat { inst, back });
                self.emit(Inst::new(Row::FZero, W32).dst(inst.dst));
                self.emit(Inst::new(Row::Test, W64).src(inst.src).rm(inst.src));
                self.jump_if(Cond::S, slow);
                self.modify(int_to_float(inst.width), W64, inst.dst, inst.src);
                self.bind(back);
            }
            Row::RemS => {
                let back = self.label();
                let slow = self.cold_label(inst.origin, Cold::Remainder { dst: inst.dst, back });
                self.emit(Inst::new(Row::CmpImm, inst.width).rm(inst.base).imm(-1));
                self.jump_if(Cond::E, slow);
                self.emit(Inst::new(Row::Cdq, inst.width).src(inst.src).dst(inst.dst));
                self.trap_site(inst.trap, inst.origin);
                self.emit(Inst::new(Row::Idiv, inst.width).rm(inst.base));
                self.bind(back);
            }
            _ => unreachable!("{:?} is no pseudo row inside a block", inst.row),
        }
    }

    /// Reads, computes and tries to write until nobody else wrote in between.
    fn atomic_loop(&mut self, inst: Inst) {
        let (old, new) = (inst.dst, inst.dst2);
        let on_place = |row, width| {
            let mut at = Inst::new(row, width).mem(inst.base, inst.disp);
            (at.index, at.scale) = (inst.index, inst.scale);
            at
        };
        let (load, wide) = match inst.width {
            Width::W8 => (Row::Movzx8, W32),
            Width::W16 => (Row::Movzx16, W32),
            width => (Row::Mov, width),
        };
        let row = [Row::And, Row::Or, Row::Xor][inst.imm as usize];
        self.trap_site(inst.trap, inst.origin);
        self.emit(on_place(load, wide).dst(old));
        let again = self.label();
        self.bind(again);
        self.emit(Inst::new(Row::Mov, wide).dst(new).rm(old));
        self.modify(row, wide, new, inst.src);
        self.trap_site(inst.trap, inst.origin);
        self.emit(on_place(Row::Cmpxchg, inst.width).src(new));
        self.jump_if(Cond::Ne, again);
    }

    pub(super) fn cold(&mut self, origin: u32, cold: Cold) {
        match cold {
            Cold::Trap(code) => self.ud2(code, origin),
            Cold::Signature(mismatch) => self.mismatch(origin, &mismatch),
            Cold::Reference(missing) => self.missing(origin, &missing),
            Cold::MinMax { inst, back } => {
                let nan = self.label();
                self.jump_if(Cond::P, nan);
                // Equal: of two zeros, the one with or without a sign.
                let row = if inst.row == Row::FMinWasm {
                    Row::FOr
                } else {
                    Row::FAnd
                };
                self.modify(row, W32, inst.dst, inst.base);
                self.jump(back);
                self.bind(nan);
                self.modify(Row::FAdd, inst.width, inst.dst, inst.base);
                self.jump(back);
            }
            Cold::Trunc { inst, back } => {
                let float = if inst.imm & 1 == 0 { W32 } else { W64 };
                let nan = self.trap_label((inst.imm >> 8) as u8, origin);
                self.compare_floats(float, inst.base, inst.base);
                self.jump_if(Cond::P, nan);
                let overflow = self.trap_label(inst.trap, origin);
                let low = inst.disp as u32;
                self.emit(Inst::new(Row::FCmp, float).src(inst.base).rodata(low));
                self.jump_if(inst.cond, overflow);
                self.emit(
                    Inst::new(Row::FCmp, float)
                        .src(inst.base)
                        .rodata(low + float.bytes()),
                );
                self.jump_if(Cond::Ae, overflow);
                self.jump(back);
            }
            Cold::Saturate { inst, back } => {
                let float = if inst.imm == 0 { W32 } else { W64 };
                let nan = self.label();
                let zero = inst.disp as u32;
                self.emit(Inst::new(Row::FCmp, float).src(inst.base).rodata(zero));
                self.jump_if(Cond::P, nan);
                // Too small, or the smallest integer itself.
                self.jump_if(Cond::B, back);
                // The largest is its complement.
                self.emit(Inst::new(Row::Not, inst.width).dst(inst.dst).src(inst.dst));
                self.jump(back);
                self.bind(nan);
                self.emit(Inst::new(Row::Zero, W32).dst(inst.dst));
                self.jump(back);
            }
            Cold::TruncTrap { inst } => {
                let nan = self.trap_label(inst.imm as u8, origin);
                self.compare_floats(inst.width, inst.base, inst.base);
                self.jump_if(Cond::P, nan);
                self.ud2(inst.trap, origin);
            }
            Cold::U64ToFloat { inst, back } => {
                // Half of it, with the lost bit or-ed in so that it still counts in rounding.
                let (half, dst) = (inst.dst2, inst.dst);
                self.emit(Inst::new(Row::Mov, W64).dst(half).rm(inst.src));
                self.emit(Inst::new(Row::ShrImm, W64).dst(half).src(half).imm(1));
                let even = self.label();
                self.jump_if(Cond::Ae, even);
                self.emit(Inst::new(Row::OrImm, W64).dst(half).src(half).imm(1));
                self.bind(even);
                self.modify(int_to_float(inst.width), W64, dst, half);
                self.modify(Row::FAdd, inst.width, dst, dst);
                self.jump(back);
            }
            Cold::Remainder { dst, back } => {
                self.emit(Inst::new(Row::Zero, W32).dst(dst));
                self.jump(back);
            }
        }
    }

    /// Traps, or calls the function of the entry if its type is below the wanted one.
    fn mismatch(&mut self, origin: u32, mismatch: &Mismatch) {
        let Mismatch { call, around } = mismatch;
        let entry = self.func.pins.entry;
        let Some(below) = call.below else {
            let signature = RmOperand::base(entry, call.signature_offset);
            self.out
                .row_imm(Row::CmpImm, W32, signature, i64::from(call.null_signature));
            let null = self.trap_label(call.trap_null, origin);
            self.jump_if(Cond::E, null);
            return self.ud2(call.trap_signature, origin);
        };
        let load = Inst::new(Row::Mov, W32).dst(below.call.reference);
        self.emit(load.mem(entry, below.call.reference_offset));
        self.through_reference(&below.call, origin, *around);
        self.go_back(origin, around);
    }

    /// Behind a call of which there are several in the code.
    fn go_back(&mut self, origin: u32, around: &Around) {
        if let Some(back) = around.back {
            self.call_site(origin);
            self.land(around.block, &around.inst);
            self.jump(back);
        }
    }

    /// Goes to the function of a reference, if it is among those that were called lately.
    fn through_reference(&mut self, call: &ReferenceCall, origin: u32, around: Around) {
        let pins = self.func.pins;
        let (entry, scratch) = (pins.entry, pins.scratch);
        let missing = Missing { call: *call, around };
        let missing = self.cold_label(origin, Cold::Reference(Box::new(missing)));
        self.emit(Inst::new(Row::Mov, W32).dst(entry).rm(call.reference));
        let mask = Inst::new(Row::AndImm, W32).imm(i64::from(call.callable_mask));
        self.emit(mask.dst(entry).src(entry));
        let shift = Inst::new(Row::ShlImm, W64).imm(i64::from(call.entry_shift));
        self.emit(shift.dst(entry).src(entry));
        self.emit(
            Inst::new(Row::Add, W64)
                .dst(entry)
                .src(entry)
                .mem(pins.context, call.callable),
        );
        let reference = RmOperand::base(entry, call.reference_offset);
        self.out.row(Row::CmpStore, W32, call.reference, reference);
        self.jump_if(Cond::Ne, missing);
        let number = Inst::new(Row::Mov, W32).dst(scratch);
        self.emit(number.mem(pins.context, call.signature));
        let signature = RmOperand::base(entry, call.signature_offset);
        self.out.row(Row::CmpStore, W32, scratch, signature);
        self.jump_if(Cond::Ne, missing);
        self.go_through(around.digit(), entry, call.call_offset);
    }

    /// Traps for null, otherwise goes to the function of a reference through the stub that finds it.
    fn missing(&mut self, origin: u32, missing: &Missing) {
        let Missing { call, around } = missing;
        let pins = self.func.pins;
        self.emit(Inst::new(Row::Test, W32).src(call.reference).rm(call.reference));
        let null = self.trap_label(call.trap_null, origin);
        self.jump_if(Cond::E, null);
        let number = Inst::new(Row::Mov, W32).dst(pins.scratch);
        self.emit(number.mem(pins.context, call.signature));
        self.go_through(around.digit(), pins.context, call.stub);
        self.go_back(origin, around);
    }

    fn ud2(&mut self, code: u8, origin: u32) {
        self.trap_site(code, origin);
        self.out.bytes(&[0x0f, 0x0b]);
    }

    /// `cmp; jae default; lea; movsxd; add; jmp`. The index is zero-extended.
    pub(super) fn switch(&mut self, block: Block, inst: &Inst) {
        let pins = self.func.pins;
        let func = self.func;
        let edges = &func.tables[inst.imm as usize];
        let (default, edges) = edges.split_last().expect("a switch has a default");
        let default = self.target(block, *default);
        // The index may be in a register of the two; the table goes in the other one.
        let (target, distance) = match inst.base == pins.scratch {
            true => (pins.entry, pins.scratch),
            false => (pins.scratch, pins.entry),
        };
        self.emit(Inst::new(Row::CmpImm, W32).rm(inst.base).imm(edges.len() as i64));
        self.jump_if(Cond::Ae, default);
        let table = self.table(block, edges);
        self.out.row(
            Row::Lea,
            W64,
            target,
            RmOperand::Rip(RelocTarget::JumpTable(table)),
        );
        self.emit(
            Inst::new(Row::Movsxd, W64)
                .dst(distance)
                .mem_index(target, inst.base, 2, 0),
        );
        self.modify(Row::Add, W64, target, distance);
        let number = target.number();
        if number >= 8 {
            self.out.byte(0x41);
        }
        self.out.bytes(&[0xff, 0xe0 | (number & 7)]);
    }

    /// `call qword [base + disp]` (2) or `jmp qword [base + disp]` (4).
    fn go_through(&mut self, digit: u8, base: Reg, disp: i32) {
        let number = base.number();
        debug_assert!(number & 7 != 4, "no SIB byte is needed");
        if number >= 8 {
            self.out.byte(0x41);
        }
        let modrm = digit << 3 | number & 7;
        match i8::try_from(disp) {
            Ok(0) if number & 7 != 5 => self.out.bytes(&[0xff, modrm]),
            Ok(disp) => self.out.bytes(&[0xff, 0x40 | modrm, disp as u8]),
            Err(_) => {
                self.out.bytes(&[0xff, 0x80 | modrm]);
                self.out.bytes(&disp.to_le_bytes());
            }
        }
    }

    fn call(&mut self, inst: &Inst) {
        let back = self.enter_callee(inst, 0xe8, 2);
        self.call_site(inst.origin);
        if let Some(back) = back {
            self.bind(back);
        }
    }

    /// The frame is gone: the return address is that of the caller.
    pub(super) fn tail_call(&mut self, inst: &Inst) {
        self.enter_callee(inst, 0xe9, 4);
    }

    /// What there is to know of a call here, with a label to which others like it return, if there may be
    /// any.
    fn around(&mut self, inst: &Inst, others: bool) -> Around {
        let is_call = inst.row != Row::TailCall;
        Around {
            block: self.block,
            inst: *inst,
            back: (is_call && others).then(|| self.label()),
        }
    }

    /// Goes to a callee by an opcode with a displacement, or by this extension of the indirect one. The
    /// label to which a call that is made elsewhere returns, if there is one.
    fn enter_callee(&mut self, inst: &Inst, opcode: u8, digit: u8) -> Option<Label> {
        let func = self.func;
        let pins = func.pins;
        match &func.calls[inst.imm as usize].target {
            Target::None => unreachable!("only calls call"),
            Target::Direct(func) => {
                self.out.byte(opcode);
                self.out.reloc(RelocTarget::Func(*func));
            }
            Target::Slot(offset) => self.go_through(digit, pins.context, *offset),
            Target::Entry(offset) => {
                self.emit(
                    Inst::new(Row::Lea, W64)
                        .dst(pins.entry)
                        .mem(pins.context, *offset),
                );
                self.go_through(digit, pins.context, *offset);
            }
            Target::Reference(call) => {
                let around = self.around(inst, true);
                self.through_reference(call, inst.origin, around);
                return around.back;
            }
            Target::Indirect(indirect) => {
                let around = self.around(inst, indirect.below.is_some());
                let call = indirect.clone();
                self.find_entry(indirect, inst.origin, Mismatch { call, around });
                self.go_through(digit, pins.entry, indirect.call_offset);
                return around.back;
            }
        }
        None
    }

    /// The address of the entry in the entry register, once it is known to be in the table and of
    /// the signature.
    fn find_entry(&mut self, call: &IndirectCall, origin: u32, mismatch: Mismatch) {
        let pins = self.func.pins;
        let (entry, scratch) = (pins.entry, pins.scratch);
        let (base, definition) = match call.base {
            TableBase::Owned(field) => ((pins.context, field), pins.context),
            TableBase::Imported(field) => {
                self.emit(Inst::new(Row::Mov, W64).dst(scratch).mem(pins.context, field));
                ((scratch, 0), scratch)
            }
        };
        match call.limit {
            TableLimit::Constant(len) => {
                self.emit(Inst::new(Row::CmpImm, W64).rm(entry).imm(i64::from(len)));
            }
            TableLimit::Field(offset) => {
                self.emit(Inst::new(Row::Cmp, W64).src(entry).mem(definition, offset));
            }
        }
        let bounds = self.trap_label(call.trap_bounds, origin);
        self.jump_if(Cond::Ae, bounds);
        let shift = Inst::new(Row::ShlImm, W64).imm(i64::from(call.entry_shift));
        self.emit(shift.dst(entry).src(entry));
        self.emit(Inst::new(Row::Add, W64).dst(entry).src(entry).mem(base.0, base.1));
        let signature = RmOperand::base(entry, call.signature_offset);
        match call.signature {
            Signature::Constant(number) => self.out.row_imm(Row::CmpImm, W32, signature, i64::from(number)),
            Signature::Field(offset) => {
                self.emit(Inst::new(Row::Mov, W32).dst(scratch).mem(pins.context, offset));
                self.out.row(Row::CmpStore, W32, scratch, signature);
            }
        }
        let mismatch = self.cold_label(origin, Cold::Signature(Box::new(mismatch)));
        self.jump_if(Cond::Ne, mismatch);
    }
}

fn int_to_float(width: Width) -> Row {
    if width == W32 {
        Row::IntToF32
    } else {
        Row::IntToF64
    }
}
