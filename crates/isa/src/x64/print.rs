//! Text: NASM syntax for hardware registers; `v` and `f` with a width for virtual ones.

use super::encode::sign;
use super::func::{Call, MFunc, Target};
use super::inst::{Inst, Rm, Width};
use super::row::{Form, Prefix, RmBits, Row};
use crate::{Class, Reg};
use cellwall_base::EntityId;
use std::fmt::{self, Write};

const LEGACY: [&str; 8] = ["ax", "cx", "dx", "bx", "sp", "bp", "si", "di"];

fn name(reg: Reg, width: Width) -> String {
    if reg.is_none() {
        return "none".into();
    }
    if let Some(index) = reg.virt_index() {
        let suffix = match width {
            Width::W8 => "b",
            Width::W16 => "w",
            Width::W32 => "d",
            Width::W64 | Width::W128 => "",
        };
        return match reg.class() {
            Class::Int => format!("v{index}{suffix}"),
            Class::Float => format!("f{index}"),
        };
    }
    let number = reg.number();
    if reg.class() == Class::Float {
        return format!("xmm{number}");
    }
    match LEGACY.get(number as usize) {
        Some(legacy) => match width {
            Width::W64 | Width::W128 => format!("r{legacy}"),
            Width::W32 => format!("e{legacy}"),
            Width::W16 => (*legacy).into(),
            Width::W8 if number < 4 => format!("{}l", &legacy[..1]),
            Width::W8 => format!("{legacy}l"),
        },
        None => format!(
            "r{number}{}",
            match width {
                Width::W64 | Width::W128 => "",
                Width::W32 => "d",
                Width::W16 => "w",
                Width::W8 => "b",
            }
        ),
    }
}

fn address(inst: &Inst) -> String {
    let mut text = String::from("[");
    match inst.rm {
        Rm::Reg => unreachable!("an address is asked for only if there is one"),
        Rm::Slot => {
            let _ = write!(text, "slot{}", inst.disp);
        }
        Rm::Rodata => {
            let _ = write!(text, "rodata+{}", inst.disp);
        }
        Rm::Mem => {
            let mut parts = Vec::new();
            if !inst.base.is_none() {
                parts.push(name(inst.base, Width::W64));
            }
            if !inst.index.is_none() {
                let index = name(inst.index, Width::W64);
                parts.push(if inst.scale == 0 && !parts.is_empty() {
                    index
                } else {
                    format!("{index}*{}", 1 << inst.scale)
                });
            }
            text += &parts.join("+");
            if inst.disp != 0 || parts.is_empty() {
                let _ = write!(text, "{:+}", inst.disp);
            }
        }
    }
    text + "]"
}

impl Inst {
    fn width_of_rm(&self) -> Width {
        match self.row.def().rm_bits {
            RmBits::Same => self.width,
            RmBits::B8 => Width::W8,
            RmBits::B16 => Width::W16,
            RmBits::B32 => Width::W32,
        }
    }

    fn rm_text(&self) -> String {
        match self.rm {
            Rm::Reg => name(self.base, self.width_of_rm()),
            _ => address(self),
        }
    }

    fn mnemonic(&self) -> String {
        let def = self.row.def();
        let wide = self.width == Width::W64;
        let v = if self.vex { "v" } else { "" };
        match self.row {
            Row::Pinsr | Row::Pextr | Row::PextrStore => {
                format!("{v}{}{}", def.name, if wide { "q" } else { "d" })
            }
            _ if def.form == Form::VexFused => format!("{}{}", def.name, if wide { "d" } else { "s" }),
            Row::FFromInt | Row::FToInt => if wide { "movq" } else { "movd" }.into(),
            Row::FConvert => if wide { "cvtsd2ss" } else { "cvtss2sd" }.into(),
            Row::Cdq => if wide { "cqo" } else { "cdq" }.into(),
            Row::Cmov | Row::Setcc | Row::Branch | Row::FSelect | Row::TrapIf | Row::TrapIfFloat => {
                format!("{}{}", def.name, self.cond.name())
            }
            _ if matches!(def.prefix, Prefix::Scalar | Prefix::Packed | Prefix::Rounding) => {
                format!("{v}{}{}", def.name, if wide { "d" } else { "s" })
            }
            _ => format!("{v}{}", def.name),
        }
    }

    /// `dst, src` in two operands, or in one if they are tied.
    fn modified_or_made(&self) -> Vec<String> {
        match self.is_tied() {
            true => vec![self.modified()],
            false => vec![name(self.dst, self.width), name(self.src, self.width)],
        }
    }

    /// `dst=src` before allocation, one register afterwards.
    fn modified(&self) -> String {
        let (dst, src) = (name(self.dst, self.width), name(self.src, self.width));
        if dst == src { dst } else { format!("{dst}={src}") }
    }

    fn operands(&self) -> Vec<String> {
        let width = self.width;
        let dst = || name(self.dst, width);
        let src = || name(self.src, width);
        let imm = || sign(self.imm, width).to_string();
        let bits = || (self.imm as u8).to_string();
        match self.row.form() {
            Form::Rm => vec![dst(), self.rm_text()],
            Form::RmMod => vec![self.modified(), self.rm_text()],
            // NASM has the operands of this one the other way round.
            Form::RmUse if self.row == Row::Test => vec![self.rm_text(), src()],
            Form::RmUse => vec![src(), self.rm_text()],
            Form::RmImm => vec![dst(), self.rm_text(), imm()],
            Form::RmModImm => vec![self.modified(), self.rm_text(), bits()],
            // NASM has the operands of this one the other way round.
            Form::Exchange if self.row == Row::Xchg => vec![self.modified(), address(self)],
            Form::Exchange => vec![address(self), self.modified()],
            Form::Store | Form::CompareExchange => vec![address(self), src()],
            Form::Reverse => vec![dst(), src()],
            Form::Imm => vec![self.modified(), imm()],
            Form::ImmUse | Form::ImmStore => vec![self.rm_text(), imm()],
            Form::Unary => vec![self.modified()],
            Form::ShiftCl => vec![self.modified(), name(self.base, Width::W8)],
            Form::ShiftImm => vec![self.modified(), bits()],
            Form::Set => vec![self.modified()],
            Form::Constant => vec![
                dst(),
                if width == Width::W64 {
                    self.imm.to_string()
                } else {
                    imm()
                },
            ],
            Form::Zero => vec![dst(), dst()],
            Form::VexRvm => vec![dst(), src(), self.rm_text()],
            Form::VexRmv => vec![dst(), self.rm_text(), src()],
            Form::VexRmImm => vec![dst(), self.rm_text(), bits()],
            Form::VexVm => vec![dst(), self.rm_text()],
            Form::Vec => [self.modified_or_made(), vec![self.rm_text()]].concat(),
            Form::VecImm => [self.modified_or_made(), vec![self.rm_text(), bits()]].concat(),
            Form::VecShiftImm => [self.modified_or_made(), vec![bits()]].concat(),
            Form::VecRmImm => vec![dst(), self.rm_text(), bits()],
            Form::ReverseImm => vec![dst(), src(), bits()],
            Form::StoreImm => vec![address(self), src(), bits()],
            Form::VexBlend => vec![dst(), src(), self.rm_text(), name(self.dst2, width)],
            Form::VexFused => vec![self.modified(), name(self.dst2, width), self.rm_text()],
            Form::Multiply => vec![self.rm_text()],
            Form::Divide => vec![name(self.base, width)],
            Form::SignSpread => vec![],
            Form::Pseudo => self.pseudo_operands(),
        }
    }

    fn pseudo_operands(&self) -> Vec<String> {
        match self.row {
            Row::FSelect | Row::FMinWasm | Row::FMaxWasm | Row::Saturate => {
                vec![self.modified(), name(self.base, self.width)]
            }
            Row::U64ToFloat => vec![
                name(self.dst, self.width),
                name(self.src, Width::W64),
                name(self.dst2, Width::W64),
            ],
            Row::CheckIndex => vec![self.modified(), address(self)],
            Row::AtomicLoop => vec![
                name(self.dst, self.width),
                address(self),
                name(self.src, self.width),
                name(self.dst2, self.width),
            ],
            Row::CheckTrunc => vec![name(self.src, self.width), name(self.base, self.width)],
            Row::RemS => vec![name(self.dst, self.width), name(self.base, self.width)],
            Row::TrapIfFloat => vec![name(self.base, self.width)],
            _ => vec![],
        }
    }
}

impl fmt::Display for Inst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.mnemonic())?;
        let operands = self.operands();
        if !operands.is_empty() {
            write!(f, " {}", operands.join(","))?;
        }
        Ok(())
    }
}

impl<P> MFunc<P> {
    fn fmt_call(&self, f: &mut fmt::Formatter<'_>, call: &Call) -> fmt::Result {
        match &call.target {
            Target::None => {}
            Target::Direct(func) => write!(f, " f{func}")?,
            Target::Slot(offset) => write!(f, " [context+{offset}]")?,
            Target::Entry(offset) => write!(f, " entry [context+{offset}]")?,
            Target::Reference(call) => write!(f, " reference [context+{}]", call.signature)?,
            Target::Indirect(indirect) => {
                write!(f, " indirect {:?} {:?}", indirect.base, indirect.signature)?
            }
        }
        for fixed in self.fixed_of(call) {
            let sign = if fixed.def { "->" } else { "<-" };
            write!(
                f,
                " {}{sign}{}",
                name(fixed.at, Width::W64),
                name(fixed.reg, Width::W64)
            )?;
        }
        Ok(())
    }

    fn fmt_edge(&self, f: &mut fmt::Formatter<'_>, edge: &super::func::Edge) -> fmt::Result {
        write!(f, " {}", edge.to)?;
        self.fmt_regs(f, self.regs_of(&edge.args))
    }

    fn fmt_regs(&self, f: &mut fmt::Formatter<'_>, regs: &[Reg]) -> fmt::Result {
        if regs.is_empty() {
            return Ok(());
        }
        let names: Vec<String> = regs.iter().map(|&r| name(r, Width::W64)).collect();
        write!(f, "({})", names.join(", "))
    }
}

/// Before and after allocation; edges and call registers are shown only before.
impl<P> fmt::Display for MFunc<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let virt = self.virtual_regs > 0;
        for (block, data) in self.blocks.iter() {
            write!(f, "{block}")?;
            if virt {
                self.fmt_regs(f, self.regs_of(&data.params))?;
            }
            writeln!(f, ":")?;
            for inst in self.insts_of(block) {
                write!(f, "    {inst}")?;
                match inst.row {
                    row if row.is_listed() && (virt || row.is_call() || row == Row::TailCall) => {
                        let call = &self.calls[inst.imm as usize];
                        if virt {
                            self.fmt_call(f, call)?
                        } else {
                            write!(f, " {:?}", call.target)?
                        }
                        for edge in self.edges_of(block).iter().filter(|_| row == Row::Invoke) {
                            write!(f, " {}", edge.to)?;
                        }
                    }
                    Row::Jump | Row::Branch => {
                        for edge in self.edges_of(block) {
                            if virt {
                                self.fmt_edge(f, edge)?
                            } else {
                                write!(f, " {}", edge.to)?
                            }
                        }
                    }
                    Row::Switch => {
                        write!(f, " {}", name(inst.base, Width::W32))?;
                        for &edge in &self.tables[inst.imm as usize] {
                            write!(f, " {}", self.edges_of(block)[edge as usize].to)?;
                        }
                    }
                    _ => {}
                }
                writeln!(f)?;
            }
        }
        debug_assert!(self.blocks.ids().all(|b| b.index() < self.blocks.len()));
        Ok(())
    }
}
