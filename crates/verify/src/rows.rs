//! The allow-list: one row per permitted instruction form, found by its number in one static array.
//!
//! Requires iced-x86's names for instruction forms (`Code`). Guarantees that a form without a row
//! is refused. A row says how operands are used and which encoding is canonical; what the
//! instruction does to the abstract state is its [`Form`], in `transfer`. Deliberately knows
//! nothing of the compiler's instruction table.

use crate::domain::{CARRY, FLAGS, OVERFLOW, PARITY, ZERO};
use crate::vectors::{self, Vector};
use iced_x86::Code;

/// The transfer function of a row.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) enum Form {
    /// No row: refused.
    #[default]
    Refused,
    /// Does nothing, and accesses nothing whatever its operand is.
    Nothing,
    /// Reads its sources, makes plain data of its destination.
    Plain,
    /// Copies a value of any kind.
    Move,
    /// A [`Move`](Form::Move) of a whole register from the frame: in no row, but found when operands
    /// are known, because there is none more common.
    Reload,
    /// Likewise, to the frame.
    Spill,
    /// Likewise, what makes plain data of data: an operation on registers and constants, or on memory 0
    /// with a 32-bit index, if the state says so.
    Usual,
    /// Zero-extends a byte or a word to 32 bits.
    ZeroExtend,
    /// Sign-extends 32 bits to 64; with a jump table, loads a distance.
    SignExtend,
    /// Computes an address without accessing it.
    Lea,
    /// Adds; with an entry index, makes the address of an entry; moves the stack pointer.
    Add,
    /// Subtracts; moves the stack pointer.
    Sub,
    /// Bitwise and: the result is at most either operand.
    And,
    /// Of equal registers the result is zero, whatever was in them.
    Xor,
    /// Shifts left by a constant.
    Shl,
    /// Shifts right by a constant.
    Shr,
    /// Compares; leaves a fact in the flags.
    Compare,
    /// Tests bits; or probes the stack.
    Test,
    /// Finds a bit; leaves its destination alone for zero.
    BitScan,
    /// Moves if a condition holds; a 32-bit one zero-extends in any case.
    Cmov,
    /// Writes the low byte of a register by a condition.
    Set,
    /// Adds or subtracts with the carry flag.
    Carry,
    /// rdx:rax from rax and an operand.
    MulWide,
    /// Two registers from rdx and an operand; leaves the flags alone.
    MulFree,
    /// Tests one bit of a register.
    BitTest,
    /// A register and the bytes of a memory, which change places or are added.
    Exchange,
    /// rax and the bytes of a memory, which become those of a register if they are equal.
    CompareExchange,
    /// rax and rdx from rdx:rax and a register; faults.
    Divide,
    /// rdx from the sign of rax.
    SignSpread,
    /// Branches if a condition holds.
    Branch,
    /// Jumps.
    Jump,
    /// Jumps to an address in a register.
    JumpIndirect,
    /// Calls a function of the artifact.
    Call,
    /// Calls through a slot or an entry.
    CallIndirect,
    /// Returns.
    Return,
    /// A jump to the entry of another function.
    TailCall,
    /// Traps.
    Trap,
    /// Computes with vector registers, as [`Vector`] says.
    Vector,
    /// Likewise; picks lanes by a constant, which for zero is the lowest.
    Shuffle,
    /// Likewise; a lane by a constant from the last register, into one that is kept.
    Insert,
}

impl Form {
    /// Whether nothing goes on to the next instruction.
    pub(crate) fn stops(self) -> bool {
        use Form::*;
        matches!(self, Jump | JumpIndirect | Return | TailCall | Trap)
    }
}

/// What happens to the first operand; all others are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum First {
    Read,
    Write,
    ReadWrite,
}

/// What the target must have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Feature {
    Baseline,
    Popcnt,
    Lzcnt,
    Bmi1,
    Bmi2,
    Avx,
    Avx2,
    Fma,
}

/// A row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Row {
    pub(crate) form: Form,
    pub(crate) first: First,
    pub(crate) feature: Feature,
    /// The one legacy prefix of the canonical encoding, or 0.
    pub(crate) prefix: u8,
    /// Whether the instruction is locked, by the prefix before all others.
    pub(crate) locked: bool,
    /// Whether REX.W is set.
    pub(crate) w: bool,
    /// Whether the encoding is VEX.
    pub(crate) vex: bool,
    pub(crate) flags: Flags,
    /// Whether a memory operand must be 16-byte aligned.
    pub(crate) aligned: bool,
    /// For the forms on vector registers.
    pub(crate) vector: Vector,
}

/// Which flags are defined after an instruction: those that it sets, and of those that it keeps the
/// ones that were before. What the processor's manuals call undefined is neither: it may be what
/// code of someone else left behind. (The auxiliary flag is left out; no condition reads it.)
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Flags {
    pub(crate) sets: u8,
    pub(crate) keeps: u8,
    /// A shift by a constant, which changes no flag if the constant is zero.
    pub(crate) unless_zero: bool,
}

impl Flags {
    /// Whether any flag may change.
    pub(crate) const fn changes(self) -> bool {
        self.keeps != FLAGS
    }
}

/// The first operand is read, no flag changes.
const R: Row = Row {
    form: Form::Refused,
    first: First::Read,
    feature: Feature::Baseline,
    prefix: 0,
    locked: false,
    w: false,
    vex: false,
    flags: Flags {
        sets: 0,
        keeps: FLAGS,
        unless_zero: false,
    },
    aligned: false,
    vector: vectors::NONE,
};
const W: Row = R.with_first(First::Write);
pub(crate) const RW: Row = R.with_first(First::ReadWrite);

impl Row {
    pub(crate) const fn with_first(mut self, first: First) -> Self {
        self.first = first;
        self
    }

    pub(crate) const fn with_flags(mut self, sets: u8, keeps: u8) -> Self {
        (self.flags.sets, self.flags.keeps) = (sets, keeps);
        self
    }

    /// Bits of its operands that are whole registers.
    pub(crate) const fn bits(&self) -> u32 {
        if self.w { 64 } else { 32 }
    }

    const fn unless_zero(mut self) -> Self {
        self.flags.unless_zero = true;
        self
    }

    pub(crate) const fn with_prefix(mut self, prefix: u8) -> Self {
        self.prefix = prefix;
        self
    }

    pub(crate) const fn need(mut self, feature: Feature) -> Self {
        self.feature = feature;
        self
    }

    pub(crate) const fn vex(mut self, feature: Feature) -> Self {
        (self.vex, self.feature, self.prefix) = (true, feature, 0);
        self
    }
}

const FLAGS_W: Row = W.with_flags(FLAGS, 0);
const FLAGS_RW: Row = RW.with_flags(FLAGS, 0);
const FLAGS_R: Row = R.with_flags(FLAGS, 0);
const LOCKED: Row = Row {
    locked: true,
    ..FLAGS_R
};
/// Products say by two flags whether they are too wide.
const PRODUCT: u8 = CARRY | OVERFLOW;
/// Divisions leave every flag undefined.
const QUOTIENT: Row = R.with_flags(0, 0);
/// Shifts by a constant.
const SHIFT: Row = RW.with_flags(FLAGS & !OVERFLOW, 0).unless_zero();
/// Shifts by a register, which may be zero, and rotations, which touch two flags at most.
const TURN: Row = RW.with_flags(0, FLAGS & !OVERFLOW);
const SCAN: Row = RW.with_flags(ZERO, 0);
/// Only the carry says what the bit is; zero stays.
const BIT: Row = R.with_flags(CARRY, ZERO);
const COUNT: Row = W.with_flags(CARRY | ZERO, 0).with_prefix(0xf3);
const BITS: Row = W.with_flags(FLAGS & !PARITY, 0);

/// The widths in which a form occurs, of which the 32-bit one is named: how far away the number of its form
/// is, its operand-size prefix, and its REX.W. (What all this comes to is listed in `tests/rows.txt`.)
pub(crate) type Widths = &'static [(u16, u8, bool)];
const BYTE: (u16, u8, bool) = (0u16.wrapping_sub(2), 0, false);
const WORD: (u16, u8, bool) = (0u16.wrapping_sub(1), 0x66, false);
const DOUBLE: (u16, u8, bool) = (0, 0, false);
const QUAD: (u16, u8, bool) = (1, 0, true);
const BWDQ: Widths = &[BYTE, WORD, DOUBLE, QUAD];
const WDQ: Widths = &[WORD, DOUBLE, QUAD];
const WD: Widths = &[WORD, DOUBLE];
pub(crate) const DQ: Widths = &[DOUBLE, QUAD];
pub(crate) const D: Widths = &[DOUBLE];
/// Of 64 bits alone, and named itself.
pub(crate) const Q: Widths = &[(0, 0, true)];

/// Adds the rows of forms whose numbers are so much larger than those of the named ones.
pub(crate) const fn add(
    rows: &mut [Row; CODES],
    form: Form,
    group: Row,
    widths: Widths,
    codes: &[Code],
    larger: u16,
) {
    let mut i = 0;
    while i < codes.len() * widths.len() {
        let (distance, prefix, w) = widths[i % widths.len()];
        let code = codes[i / widths.len()] as u16;
        let at = code.wrapping_add(distance).wrapping_add(larger) as usize;
        assert!(matches!(rows[at].form, Form::Refused), "a form has one row");
        let prefix = if prefix == 0 { group.prefix } else { prefix };
        rows[at] = Row {
            form,
            prefix,
            w,
            ..group
        };
        i += 1;
    }
}

/// Each line: form, group, and instruction forms by their widths.
macro_rules! rows {
    ($rows:expr; $($form:ident $group:expr => $($widths:ident $($code:ident)*),*;)*) => {{
        $($(add($rows, Form::$form, $group, $widths, &[$(Code::$code),*], 0);)*)*
    }};
}

/// Larger than the number of any form.
pub(crate) const CODES: usize = 5200;

static ROWS: [Row; CODES] = {
    let mut rows = [R; CODES];
    integers(&mut rows);
    conditions(&mut rows);
    vectors::add_to(&mut rows);
    rows
};

/// The row of a form.
#[inline]
pub(crate) fn row(code: Code) -> &'static Row {
    ROWS.get(code as usize).unwrap_or(&R)
}

const fn integers(rows: &mut [Row; CODES]) {
    rows! { rows;
    // Moves.
    Move W => BWDQ Mov_rm32_r32, DQ Mov_r32_rm32 Mov_r32_imm32, WDQ Mov_rm32_imm32, D Mov_rm8_imm8;
    ZeroExtend W => D Movzx_r32_rm8 Movzx_r32_rm16;
    Plain W => DQ Movsx_r32_rm8 Movsx_r32_rm16;
    SignExtend W => Q Movsxd_r64_rm32;
    Lea W => DQ Lea_r32_m;

    // Integer arithmetic. 16-bit forms have a memory operand, or only read.
    Add FLAGS_RW => BWDQ Add_rm32_r32, DQ Add_r32_rm32 Add_EAX_imm32, WDQ Add_rm32_imm8 Add_rm32_imm32,
        D Add_rm8_imm8;
    Sub FLAGS_RW => BWDQ Sub_rm32_r32, DQ Sub_r32_rm32 Sub_EAX_imm32, WDQ Sub_rm32_imm8 Sub_rm32_imm32,
        D Sub_rm8_imm8;
    And FLAGS_RW => BWDQ And_rm32_r32, DQ And_r32_rm32 And_EAX_imm32, WDQ And_rm32_imm8 And_rm32_imm32,
        D And_rm8_imm8;
    Plain FLAGS_RW => BWDQ Or_rm32_r32, DQ Or_r32_rm32 Or_EAX_imm32, WDQ Or_rm32_imm8 Or_rm32_imm32,
        D Or_rm8_imm8;
    Xor FLAGS_RW => BWDQ Xor_rm32_r32, DQ Xor_r32_rm32 Xor_EAX_imm32, WDQ Xor_rm32_imm8 Xor_rm32_imm32,
        D Xor_rm8_imm8;
    Compare FLAGS_R => BWDQ Cmp_rm32_r32 Cmp_r32_rm32 Cmp_EAX_imm32, WDQ Cmp_rm32_imm8 Cmp_rm32_imm32,
        D Cmp_rm8_imm8;
    Test FLAGS_R => BWDQ Test_rm32_r32 Test_EAX_imm32, WDQ Test_rm32_imm32, D Test_rm8_imm8;
    Carry FLAGS_RW => DQ Adc_rm32_r32 Adc_r32_rm32 Adc_rm32_imm8 Adc_rm32_imm32 Adc_EAX_imm32
        Sbb_rm32_r32 Sbb_r32_rm32 Sbb_rm32_imm8 Sbb_rm32_imm32 Sbb_EAX_imm32;
    Plain FLAGS_RW => DQ Neg_rm32;
    Plain RW.with_flags(PRODUCT, 0) => DQ Imul_r32_rm32;
    Plain W.with_flags(PRODUCT, 0) => DQ Imul_r32_rm32_imm8 Imul_r32_rm32_imm32;
    Plain RW => DQ Not_rm32 Bswap_r32;
    MulWide R.with_flags(PRODUCT, 0) => DQ Mul_rm32 Imul_rm32;
    MulFree W.vex(Feature::Bmi2) => DQ VEX_Mulx_r32_r32_rm32;
    Divide QUOTIENT => DQ Div_rm32 Idiv_rm32;
    SignSpread R => DQ Cdq;

    // Atomic ones, on memories alone. The exchange locks by itself.
    Exchange R => BWDQ Xchg_rm32_r32;
    Exchange LOCKED => BWDQ Xadd_rm32_r32;
    CompareExchange LOCKED => BWDQ Cmpxchg_rm32_r32;
    Nothing R => D Mfence;

    // Shifts and bits.
    Shl SHIFT => DQ Shl_rm32_imm8;
    Shl FLAGS_RW => DQ Shl_rm32_1;
    Shr SHIFT => DQ Shr_rm32_imm8;
    Shr FLAGS_RW => DQ Shr_rm32_1;
    Plain SHIFT => DQ Sar_rm32_imm8 Shld_rm32_r32_imm8 Shrd_rm32_r32_imm8;
    Plain FLAGS_RW => DQ Sar_rm32_1;
    Plain TURN => DQ Shl_rm32_CL Shr_rm32_CL Sar_rm32_CL Shld_rm32_r32_CL Shrd_rm32_r32_CL
        Rol_rm32_CL Rol_rm32_imm8 Rol_rm32_1 Ror_rm32_CL Ror_rm32_imm8 Ror_rm32_1;
    BitTest BIT => DQ Bt_rm32_r32 Bt_rm32_imm8;
    BitScan SCAN => DQ Bsf_r32_rm32 Bsr_r32_rm32;
    Plain FLAGS_W.with_prefix(0xf3).need(Feature::Popcnt) => DQ Popcnt_r32_rm32;
    Plain COUNT.need(Feature::Lzcnt) => DQ Lzcnt_r32_rm32;
    Plain COUNT.need(Feature::Bmi1) => DQ Tzcnt_r32_rm32;
    Plain BITS.vex(Feature::Bmi1) => DQ VEX_Andn_r32_r32_rm32 VEX_Blsr_r32_rm32 VEX_Blsmsk_r32_rm32
        VEX_Blsi_r32_rm32;
    Plain BITS.vex(Feature::Bmi2) => DQ VEX_Bzhi_r32_rm32_r32;
    Plain W.vex(Feature::Bmi2) => DQ VEX_Shlx_r32_rm32_r32 VEX_Sarx_r32_rm32_r32 VEX_Shrx_r32_rm32_r32
        VEX_Rorx_r32_rm32_imm8;

    // Control.
    Jump R => D Jmp_rel8_64 Jmp_rel32_64;
    JumpIndirect R => D Jmp_rm64;
    Call R => D Call_rel32_64;
    CallIndirect R => D Call_rm64;
    Return R => D Retnq;
    Trap R => D Ud2;
    Nothing R => D Nop_rm32, WD Nopd;
    }
}

/// Forms with a condition, in the order of its number.
const fn conditions(rows: &mut [Row; CODES]) {
    let mut condition = 0;
    while condition < 16 {
        add(rows, Form::Set, W, D, &[Code::Seto_rm8], condition);
        // Three widths of each, of which not all have a row.
        add(rows, Form::Cmov, RW, DQ, &[Code::Cmovo_r32_rm32], 3 * condition);
        add(
            rows,
            Form::Branch,
            R,
            D,
            &[Code::Jo_rel8_64, Code::Jo_rel32_64],
            3 * condition,
        );
        condition += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::SIGN;
    use crate::vectors::Gives;
    use iced_x86::{CpuidFeature, EncodingKind, Instruction, MandatoryPrefix, RflagsBits};

    /// The allow-list in full, which the tables above only abbreviate: rows, each with its forms.
    #[test]
    fn rows_are_listed() {
        let mut lists: Vec<(Row, Vec<Code>)> = Vec::new();
        for code in Code::values().filter(|&code| row(code).form != Form::Refused) {
            match lists.iter_mut().find(|(known, _)| known == row(code)) {
                Some((_, codes)) => codes.push(code),
                None => lists.push((*row(code), vec![code])),
            }
        }
        let list = |(row, codes): &(Row, Vec<Code>)| {
            let codes: Vec<String> = codes.iter().map(|code| format!("    {code:?}\n")).collect();
            format!("{row:?}\n{}", codes.concat())
        };
        let text: String = lists.iter().map(list).collect();
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rows.txt");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(path, &text).expect("the list can be written");
        }
        let listed = std::fs::read_to_string(path).expect("the list is there");
        assert!(
            text == listed,
            "the allow-list changed: see the difference after BLESS=1"
        );
    }

    /// Every row against the instruction-set description of an outside library.
    #[test]
    fn columns_agree_with_the_instruction_set() {
        let mut listed = 0;
        for code in Code::values() {
            let row = row(code);
            if row.form == Form::Refused {
                continue;
            }
            listed += 1;
            let info = code.op_code();
            assert!(info.mode64() && !info.is_privileged(), "{code:?}");
            let prefix = match info.mandatory_prefix() {
                MandatoryPrefix::PF3 => 0xf3,
                MandatoryPrefix::PF2 => 0xf2,
                MandatoryPrefix::P66 => 0x66,
                _ if info.operand_size() == 16 => 0x66,
                _ => 0,
            };
            let is_vex = info.encoding() == EncodingKind::VEX;
            // An unaligned operand of 16 bytes would fault in a way that is no trap.
            let wide = info.memory_size().size() == 16 && has_memory_form(info);
            let aligned = match is_vex {
                true => code == Code::VEX_Vmovaps_xmm_xmmm128,
                false => wide && !is_unaligned(code),
            };
            assert!(row.aligned == aligned || !has_memory_form(info), "{code:?}");
            assert_eq!(row.vex, is_vex, "{code:?}");
            assert_eq!(row.feature, feature(code), "{code:?}");
            if is_vex {
                assert!(
                    info.l() == 0 && row.w == (info.w() == 1 && !info.is_wig()),
                    "{code:?}"
                );
            } else {
                assert_eq!(row.prefix, prefix, "{code:?}");
                // Branches, calls and returns are 64 bits wide without the bit.
                let wide = info.w() == 1 || info.operand_size() == 64 && !is_control(row.form);
                assert_eq!(row.w, wide, "{code:?}");
            }
        }
        assert!(listed > 500, "{listed} rows");
    }

    fn is_unaligned(code: Code) -> bool {
        use Code::*;
        matches!(
            code,
            Movups_xmm_xmmm128 | Movups_xmmm128_xmm | Movdqu_xmm_xmmm128 | Movdqu_xmmm128_xmm
        )
    }

    /// What a form needs; the baseline ends with SSE4.1.
    fn feature(code: Code) -> Feature {
        use CpuidFeature::*;
        let has = |feature: CpuidFeature| code.cpuid_features().contains(&feature);
        match () {
            () if has(AVX2) => Feature::Avx2,
            () if has(FMA) => Feature::Fma,
            () if has(AVX) => Feature::Avx,
            () if has(BMI1) => Feature::Bmi1,
            () if has(BMI2) => Feature::Bmi2,
            () if has(LZCNT) => Feature::Lzcnt,
            () if has(POPCNT) => Feature::Popcnt,
            () => {
                let baseline = [
                    INTEL8086,
                    INTEL186,
                    INTEL286,
                    INTEL386,
                    INTEL486,
                    X64,
                    CMOV,
                    MULTIBYTENOP,
                    SSE,
                    SSE2,
                    SSE3,
                    SSSE3,
                    SSE4_1,
                ];
                let known = |feature| baseline.contains(feature);
                assert!(code.cpuid_features().iter().all(known), "{code:?}");
                Feature::Baseline
            }
        }
    }

    /// What a row says of its operands, against the description of the instruction.
    #[test]
    fn operands_agree_with_the_instruction_set() {
        use iced_x86::{InstructionInfoFactory, OpAccess, OpCodeOperandKind, OpKind, Register};
        let mut factory = InstructionInfoFactory::new();
        for code in Code::values() {
            let row = row(code);
            if !matches!(row.form, Form::Vector | Form::Shuffle | Form::Insert) {
                continue;
            }
            let mut insn = Instruction::default();
            insn.set_code(code);
            insn.set_memory_base(Register::RAX);
            for i in 0..code.op_code().op_count() {
                use OpCodeOperandKind::*;
                let register = match code.op_code().op_kind(i) {
                    xmm_reg | xmm_or_mem | xmm_rm | xmm_vvvv | xmm_is4 => Register::XMM1 + i,
                    r32_reg | r32_or_mem | r32_rm => Register::ECX + i,
                    r64_reg | r64_or_mem | r64_rm => Register::RCX + i,
                    mem => {
                        insn.set_op_kind(i, OpKind::Memory);
                        continue;
                    }
                    imm8 => {
                        insn.set_op_kind(i, OpKind::Immediate8);
                        continue;
                    }
                    other => panic!("{code:?} has an operand {other:?}"),
                };
                insn.set_op_kind(i, OpKind::Register);
                insn.set_op_register(i, register);
            }
            let info = factory.info(&insn);
            // No register but those named, of which only the first is written.
            let named = 1..1 + code.op_code().op_count() as usize;
            let used = |used: &iced_x86::UsedRegister| {
                used.register() == Register::RAX || named.contains(&used.register().number())
            };
            assert!(info.used_registers().iter().all(used), "{code:?}");
            let merges = matches!(row.vector.gives, Gives::Under(_) | Gives::Move(_)) && !row.vex;
            let first = match info.op0_access() {
                OpAccess::Read => First::Read,
                OpAccess::Write => First::Write,
                OpAccess::ReadWrite if merges => First::Write,
                OpAccess::ReadWrite => First::ReadWrite,
                other => panic!("{code:?}: {other:?}"),
            };
            assert_eq!(row.first, first, "{code:?}");
            let others = [info.op1_access(), info.op2_access(), info.op3_access()];
            let read = |access| matches!(access, OpAccess::Read | OpAccess::None | OpAccess::CondRead);
            assert!(others.into_iter().all(read), "{code:?}");
        }
    }

    /// What a row says of flags against the description of the instruction: it sets only what is
    /// written in any case, and keeps nothing that is left undefined.
    #[test]
    fn flags_agree_with_the_instruction_set() {
        let bits = |flags: u32| {
            let pairs = [
                (RflagsBits::CF, CARRY),
                (RflagsBits::PF, PARITY),
                (RflagsBits::ZF, ZERO),
                (RflagsBits::SF, SIGN),
                (RflagsBits::OF, OVERFLOW),
            ];
            let given = pairs.into_iter().filter(|(theirs, _)| flags & theirs != 0);
            given.fold(0, |all, (_, ours)| all | ours)
        };
        for code in Code::values() {
            let row = row(code);
            if row.form == Form::Refused {
                continue;
            }
            let mut insn = Instruction::default();
            insn.set_code(code);
            insn.set_immediate8(5);
            let written = bits(insn.rflags_written() | insn.rflags_cleared() | insn.rflags_set());
            let Flags { sets, keeps, .. } = row.flags;
            assert_eq!(sets & !written, 0, "{code:?} sets what it does not write");
            assert_eq!(keeps & bits(insn.rflags_undefined()), 0, "{code:?} keeps residue");
            assert!(
                row.flags.changes() || bits(insn.rflags_modified()) == 0,
                "{code:?}"
            );
            let by_register = (0..code.op_code().op_count())
                .any(|i| code.op_code().op_kind(i) == iced_x86::OpCodeOperandKind::cl);
            assert!(!by_register || sets == 0, "{code:?} may shift by zero");
            insn.set_immediate8(0);
            let unchanged = bits(insn.rflags_modified()) == 0 && written != 0;
            assert_eq!(unchanged && sets != 0, row.flags.unless_zero, "{code:?}");
        }
    }

    fn has_memory_form(info: &iced_x86::OpCodeInfo) -> bool {
        use iced_x86::OpCodeOperandKind::{mem, xmm_or_mem};
        info.op_kinds()
            .iter()
            .any(|&kind| kind == mem || kind == xmm_or_mem)
    }

    fn is_control(form: Form) -> bool {
        use Form::*;
        matches!(form, Branch | Jump | JumpIndirect | Call | CallIndirect | Return)
    }

    #[test]
    fn every_code_has_a_place_in_the_array() {
        assert!(Code::values().map(|code| code as usize).max() < Some(CODES));
    }

    #[test]
    fn notorious_forms_have_no_row() {
        use Code::*;
        for code in [
            Syscall,
            Sysenter,
            Int_imm8,
            Rdtsc,
            Rdtscp,
            Cpuid,
            Rdrand_r64,
            Wrfsbase_r64,
            Ldmxcsr_m32,
            Fxrstor_m512byte,
            Xrstor_mem,
            Wrpkru,
            Rep_stosd_wrong(),
            Movsb_m8_m8,
            Push_r64,
            Pop_r64,
            Xchg_r64_RAX,
            Cmpxchg16b_m128,
            Cmpxchg486_rm32_r32,
            Jmp_m1664,
            Call_m1664,
            Retfq,
            Iretq,
            Popfq,
            Std,
            Cld,
            VEX_Vpgatherdd_xmm_vm32x_xmm,
            VEX_Vpaddb_ymm_ymm_ymmm256,
            VEX_Vmaskmovps_xmm_xmm_m128,
            Maskmovdqu_rDI_xmm_xmm,
            Movntps_m128_xmm,
            Rcpps_xmm_xmmm128,
            VEX_Vldmxcsr_m32,
            Enterq_imm16_imm8,
            Leaveq,
            Jmp_rel32_32,
            Call_rel16,
        ] {
            assert_eq!(row(code).form, Form::Refused, "{code:?}");
        }
    }

    #[allow(non_snake_case)]
    fn Rep_stosd_wrong() -> Code {
        Code::Stosd_m32_EAX
    }
}
