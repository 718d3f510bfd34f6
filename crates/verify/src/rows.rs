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
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    /// No row: refused.
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
    /// Likewise, a load from memory 0 with a 32-bit index, if the state says so.
    Load,
    /// Likewise, a store.
    Store,
    /// Likewise, an operation on registers and constants whose result is plain.
    Compute,
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
    /// Which flags are defined afterwards, as bits of `domain::FLAGS`.
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
    pub(crate) sets: u32,
    pub(crate) keeps: u32,
    /// A shift by a constant, which changes no flag if the constant is zero.
    pub(crate) unless_zero: bool,
}

impl Flags {
    const NONE: Self = Self {
        sets: 0,
        keeps: FLAGS,
        unless_zero: false,
    };

    /// Whether any flag may change.
    pub(crate) const fn changes(self) -> bool {
        self.keeps != FLAGS
    }

    const fn sets(sets: u32) -> Self {
        Self {
            sets,
            keeps: 0,
            unless_zero: false,
        }
    }
}

const REFUSED: Row = Row {
    form: Form::Refused,
    first: First::Read,
    feature: Feature::Baseline,
    prefix: 0,
    locked: false,
    w: false,
    vex: false,
    flags: Flags::NONE,
    aligned: false,
    vector: vectors::NONE,
};

/// Larger than the number of any form.
pub(crate) const CODES: usize = 5200;

/// The row of a form.
#[inline]
pub(crate) fn row(code: Code) -> &'static Row {
    ROWS.get(code as usize).unwrap_or(&REFUSED)
}

/// The first operand, flags and memory alignment of a group.
const W: Row = Row {
    first: First::Write,
    ..REFUSED
};
pub(crate) const RW: Row = Row {
    first: First::ReadWrite,
    ..REFUSED
};
const R: Row = REFUSED;
const FLAGS_W: Row = with_flags(W, Flags::sets(FLAGS));
const FLAGS_RW: Row = with_flags(RW, Flags::sets(FLAGS));
pub(crate) const FLAGS_R: Row = with_flags(R, Flags::sets(FLAGS));
/// Products say by two flags whether they are too wide.
const PRODUCT_W: Row = with_flags(W, Flags::sets(CARRY | OVERFLOW));
const PRODUCT_RW: Row = with_flags(RW, Flags::sets(CARRY | OVERFLOW));
const PRODUCT_R: Row = with_flags(R, Flags::sets(CARRY | OVERFLOW));
/// Divisions leave every flag undefined.
const QUOTIENT: Row = with_flags(R, Flags::sets(0));
/// Shifts by a constant.
const SHIFT: Row = with_flags(
    RW,
    Flags {
        unless_zero: true,
        ..Flags::sets(FLAGS & !OVERFLOW)
    },
);
/// Shifts by a register, which may be zero, and rotations, which touch two flags at most.
const TURN: Row = with_flags(
    RW,
    Flags {
        sets: 0,
        keeps: FLAGS & !OVERFLOW,
        unless_zero: false,
    },
);
const SCAN: Row = with_flags(RW, Flags::sets(ZERO));
/// Only the carry says what the bit is; zero stays.
const BIT: Row = with_flags(
    R,
    Flags {
        sets: CARRY,
        keeps: ZERO,
        unless_zero: false,
    },
);
const LOCKED: Row = Row {
    locked: true,
    ..FLAGS_R
};
const COUNT: Row = with_flags(W, Flags::sets(CARRY | ZERO));
const BITS: Row = with_flags(W, Flags::sets(FLAGS & !PARITY));

pub(crate) const fn add(
    rows: &mut [Row; CODES],
    form: Form,
    group: Row,
    prefix: u8,
    w: bool,
    codes: &[Code],
) {
    let mut i = 0;
    while i < codes.len() {
        let at = codes[i] as usize;
        assert!(matches!(rows[at].form, Form::Refused), "a form has one row");
        rows[at] = Row {
            form,
            prefix,
            w,
            ..group
        };
        i += 1;
    }
}

/// Each line: form, group, legacy prefix, REX.W, instruction forms.
macro_rules! rows {
    ($rows:expr; $($form:ident $group:expr, $prefix:literal $w:literal: $($code:ident)*;)*) => {{
        $(add($rows, Form::$form, $group, $prefix, $w != 0, &[$(Code::$code),*]);)*
    }};
}

const fn with_flags(group: Row, flags: Flags) -> Row {
    Row { flags, ..group }
}
const fn need(group: Row, feature: Feature) -> Row {
    Row { feature, ..group }
}
const fn vex(group: Row, feature: Feature) -> Row {
    Row {
        vex: true,
        feature,
        ..group
    }
}

static ROWS: [Row; CODES] = {
    let mut rows = [REFUSED; CODES];
    integers(&mut rows);
    vectors::add_to(&mut rows);
    rows
};

const fn integers(rows: &mut [Row; CODES]) {
    rows! { rows;
    // Moves.
    Move W, 0 0: Mov_r32_rm32 Mov_rm32_r32 Mov_rm8_r8 Mov_r32_imm32 Mov_rm32_imm32 Mov_rm8_imm8;
    Move W, 0 1: Mov_r64_rm64 Mov_rm64_r64 Mov_rm64_imm32 Mov_r64_imm64;
    Move W, 0x66 0: Mov_rm16_r16 Mov_rm16_imm16;
    ZeroExtend W, 0 0: Movzx_r32_rm8 Movzx_r32_rm16;
    Plain W, 0 0: Movsx_r32_rm8 Movsx_r32_rm16;
    Plain W, 0 1: Movsx_r64_rm8 Movsx_r64_rm16;
    SignExtend W, 0 1: Movsxd_r64_rm32;
    Lea W, 0 0: Lea_r32_m;
    Lea W, 0 1: Lea_r64_m;

    // Integer arithmetic. 16-bit forms have a memory operand, or only read.
    Add FLAGS_RW, 0 0: Add_r32_rm32 Add_rm32_r32 Add_rm32_imm8 Add_rm32_imm32 Add_EAX_imm32
        Add_rm8_r8 Add_rm8_imm8;
    Add FLAGS_RW, 0 1: Add_r64_rm64 Add_rm64_r64 Add_rm64_imm8 Add_rm64_imm32 Add_RAX_imm32;
    Add FLAGS_RW, 0x66 0: Add_rm16_r16 Add_rm16_imm8 Add_rm16_imm16;
    Sub FLAGS_RW, 0 0: Sub_r32_rm32 Sub_rm32_r32 Sub_rm32_imm8 Sub_rm32_imm32 Sub_EAX_imm32
        Sub_rm8_r8 Sub_rm8_imm8;
    Sub FLAGS_RW, 0 1: Sub_r64_rm64 Sub_rm64_r64 Sub_rm64_imm8 Sub_rm64_imm32 Sub_RAX_imm32;
    Sub FLAGS_RW, 0x66 0: Sub_rm16_r16 Sub_rm16_imm8 Sub_rm16_imm16;
    And FLAGS_RW, 0 0: And_r32_rm32 And_rm32_r32 And_rm32_imm8 And_rm32_imm32 And_EAX_imm32
        And_rm8_r8 And_rm8_imm8;
    And FLAGS_RW, 0 1: And_r64_rm64 And_rm64_r64 And_rm64_imm8 And_rm64_imm32 And_RAX_imm32;
    And FLAGS_RW, 0x66 0: And_rm16_r16 And_rm16_imm8 And_rm16_imm16;
    Plain FLAGS_RW, 0 0: Or_r32_rm32 Or_rm32_r32 Or_rm32_imm8 Or_rm32_imm32 Or_EAX_imm32
        Or_rm8_r8 Or_rm8_imm8;
    Plain FLAGS_RW, 0 1: Or_r64_rm64 Or_rm64_r64 Or_rm64_imm8 Or_rm64_imm32 Or_RAX_imm32;
    Plain FLAGS_RW, 0x66 0: Or_rm16_r16 Or_rm16_imm8 Or_rm16_imm16;
    Xor FLAGS_RW, 0 0: Xor_r32_rm32 Xor_rm32_r32 Xor_rm32_imm8 Xor_rm32_imm32 Xor_EAX_imm32
        Xor_rm8_r8 Xor_rm8_imm8;
    Xor FLAGS_RW, 0 1: Xor_r64_rm64 Xor_rm64_r64 Xor_rm64_imm8 Xor_rm64_imm32 Xor_RAX_imm32;
    Xor FLAGS_RW, 0x66 0: Xor_rm16_r16 Xor_rm16_imm8 Xor_rm16_imm16;
    Compare FLAGS_R, 0 0: Cmp_r32_rm32 Cmp_rm32_r32 Cmp_rm32_imm8 Cmp_rm32_imm32 Cmp_EAX_imm32
        Cmp_r8_rm8 Cmp_rm8_r8 Cmp_rm8_imm8 Cmp_AL_imm8;
    Compare FLAGS_R, 0 1: Cmp_r64_rm64 Cmp_rm64_r64 Cmp_rm64_imm8 Cmp_rm64_imm32 Cmp_RAX_imm32;
    Compare FLAGS_R, 0x66 0: Cmp_r16_rm16 Cmp_rm16_r16 Cmp_rm16_imm8 Cmp_rm16_imm16 Cmp_AX_imm16;
    Test FLAGS_R, 0 0: Test_rm32_r32 Test_rm32_imm32 Test_EAX_imm32 Test_rm8_r8 Test_rm8_imm8
        Test_AL_imm8;
    Test FLAGS_R, 0 1: Test_rm64_r64 Test_rm64_imm32 Test_RAX_imm32;
    Test FLAGS_R, 0x66 0: Test_rm16_r16 Test_rm16_imm16 Test_AX_imm16;
    Carry FLAGS_RW, 0 0: Adc_r32_rm32 Adc_rm32_r32 Adc_rm32_imm8 Adc_rm32_imm32 Adc_EAX_imm32
        Sbb_r32_rm32 Sbb_rm32_r32 Sbb_rm32_imm8 Sbb_rm32_imm32 Sbb_EAX_imm32;
    Carry FLAGS_RW, 0 1: Adc_r64_rm64 Adc_rm64_r64 Adc_rm64_imm8 Adc_rm64_imm32 Adc_RAX_imm32
        Sbb_r64_rm64 Sbb_rm64_r64 Sbb_rm64_imm8 Sbb_rm64_imm32 Sbb_RAX_imm32;
    Plain FLAGS_RW, 0 0: Neg_rm32;
    Plain FLAGS_RW, 0 1: Neg_rm64;
    Plain PRODUCT_RW, 0 0: Imul_r32_rm32;
    Plain PRODUCT_RW, 0 1: Imul_r64_rm64;
    Plain PRODUCT_W, 0 0: Imul_r32_rm32_imm8 Imul_r32_rm32_imm32;
    Plain PRODUCT_W, 0 1: Imul_r64_rm64_imm8 Imul_r64_rm64_imm32;
    Plain RW, 0 0: Not_rm32 Bswap_r32;
    Plain RW, 0 1: Not_rm64 Bswap_r64;
    MulWide PRODUCT_R, 0 0: Mul_rm32 Imul_rm32;
    MulWide PRODUCT_R, 0 1: Mul_rm64 Imul_rm64;
    MulFree vex(W, Feature::Bmi2), 0 0: VEX_Mulx_r32_r32_rm32;
    MulFree vex(W, Feature::Bmi2), 0 1: VEX_Mulx_r64_r64_rm64;
    Divide QUOTIENT, 0 0: Div_rm32 Idiv_rm32;
    Divide QUOTIENT, 0 1: Div_rm64 Idiv_rm64;
    SignSpread R, 0 0: Cdq;
    SignSpread R, 0 1: Cqo;

    // Atomic ones, on memories alone. The exchange locks by itself.
    Exchange R, 0 0: Xchg_rm8_r8 Xchg_rm32_r32;
    Exchange R, 0 1: Xchg_rm64_r64;
    Exchange R, 0x66 0: Xchg_rm16_r16;
    Exchange LOCKED, 0 0: Xadd_rm8_r8 Xadd_rm32_r32;
    Exchange LOCKED, 0 1: Xadd_rm64_r64;
    Exchange LOCKED, 0x66 0: Xadd_rm16_r16;
    CompareExchange LOCKED, 0 0: Cmpxchg_rm8_r8 Cmpxchg_rm32_r32;
    CompareExchange LOCKED, 0 1: Cmpxchg_rm64_r64;
    CompareExchange LOCKED, 0x66 0: Cmpxchg_rm16_r16;
    Nothing R, 0 0: Mfence;

    // Shifts and bits.
    Shl SHIFT, 0 0: Shl_rm32_imm8;
    Shl SHIFT, 0 1: Shl_rm64_imm8;
    Shl FLAGS_RW, 0 0: Shl_rm32_1;
    Shl FLAGS_RW, 0 1: Shl_rm64_1;
    Shr SHIFT, 0 0: Shr_rm32_imm8;
    Shr SHIFT, 0 1: Shr_rm64_imm8;
    Shr FLAGS_RW, 0 0: Shr_rm32_1;
    Shr FLAGS_RW, 0 1: Shr_rm64_1;
    Plain SHIFT, 0 0: Sar_rm32_imm8;
    Plain SHIFT, 0 1: Sar_rm64_imm8;
    Plain FLAGS_RW, 0 0: Sar_rm32_1;
    Plain FLAGS_RW, 0 1: Sar_rm64_1;
    Plain TURN, 0 0: Shl_rm32_CL Shr_rm32_CL Sar_rm32_CL
        Rol_rm32_CL Rol_rm32_imm8 Rol_rm32_1 Ror_rm32_CL Ror_rm32_imm8 Ror_rm32_1;
    Plain TURN, 0 1: Shl_rm64_CL Shr_rm64_CL Sar_rm64_CL
        Rol_rm64_CL Rol_rm64_imm8 Rol_rm64_1 Ror_rm64_CL Ror_rm64_imm8 Ror_rm64_1;
    Plain SHIFT, 0 0: Shld_rm32_r32_imm8 Shrd_rm32_r32_imm8;
    Plain SHIFT, 0 1: Shld_rm64_r64_imm8 Shrd_rm64_r64_imm8;
    Plain TURN, 0 0: Shld_rm32_r32_CL Shrd_rm32_r32_CL;
    Plain TURN, 0 1: Shld_rm64_r64_CL Shrd_rm64_r64_CL;
    BitTest BIT, 0 0: Bt_rm32_r32 Bt_rm32_imm8;
    BitTest BIT, 0 1: Bt_rm64_r64 Bt_rm64_imm8;
    Set W, 0 0: Seto_rm8 Setno_rm8 Setb_rm8 Setae_rm8 Sete_rm8 Setne_rm8 Setbe_rm8 Seta_rm8
        Sets_rm8 Setns_rm8 Setp_rm8 Setnp_rm8 Setl_rm8 Setge_rm8 Setle_rm8 Setg_rm8;
    Cmov RW, 0 0: Cmovo_r32_rm32 Cmovno_r32_rm32 Cmovb_r32_rm32 Cmovae_r32_rm32 Cmove_r32_rm32
        Cmovne_r32_rm32 Cmovbe_r32_rm32 Cmova_r32_rm32 Cmovs_r32_rm32 Cmovns_r32_rm32
        Cmovp_r32_rm32 Cmovnp_r32_rm32 Cmovl_r32_rm32 Cmovge_r32_rm32 Cmovle_r32_rm32
        Cmovg_r32_rm32;
    Cmov RW, 0 1: Cmovo_r64_rm64 Cmovno_r64_rm64 Cmovb_r64_rm64 Cmovae_r64_rm64 Cmove_r64_rm64
        Cmovne_r64_rm64 Cmovbe_r64_rm64 Cmova_r64_rm64 Cmovs_r64_rm64 Cmovns_r64_rm64
        Cmovp_r64_rm64 Cmovnp_r64_rm64 Cmovl_r64_rm64 Cmovge_r64_rm64 Cmovle_r64_rm64
        Cmovg_r64_rm64;
    BitScan SCAN, 0 0: Bsf_r32_rm32 Bsr_r32_rm32;
    BitScan SCAN, 0 1: Bsf_r64_rm64 Bsr_r64_rm64;
    Plain need(FLAGS_W, Feature::Popcnt), 0xf3 0: Popcnt_r32_rm32;
    Plain need(FLAGS_W, Feature::Popcnt), 0xf3 1: Popcnt_r64_rm64;
    Plain need(COUNT, Feature::Lzcnt), 0xf3 0: Lzcnt_r32_rm32;
    Plain need(COUNT, Feature::Lzcnt), 0xf3 1: Lzcnt_r64_rm64;
    Plain need(COUNT, Feature::Bmi1), 0xf3 0: Tzcnt_r32_rm32;
    Plain need(COUNT, Feature::Bmi1), 0xf3 1: Tzcnt_r64_rm64;
    Plain vex(BITS, Feature::Bmi1), 0 0: VEX_Andn_r32_r32_rm32 VEX_Blsr_r32_rm32
        VEX_Blsmsk_r32_rm32 VEX_Blsi_r32_rm32;
    Plain vex(BITS, Feature::Bmi2), 0 0: VEX_Bzhi_r32_rm32_r32;
    Plain vex(BITS, Feature::Bmi2), 0 1: VEX_Bzhi_r64_rm64_r64;
    Plain vex(BITS, Feature::Bmi1), 0 1: VEX_Andn_r64_r64_rm64 VEX_Blsr_r64_rm64
        VEX_Blsmsk_r64_rm64 VEX_Blsi_r64_rm64;
    Plain vex(W, Feature::Bmi2), 0 0: VEX_Shlx_r32_rm32_r32 VEX_Sarx_r32_rm32_r32
        VEX_Shrx_r32_rm32_r32 VEX_Rorx_r32_rm32_imm8;
    Plain vex(W, Feature::Bmi2), 0 1: VEX_Shlx_r64_rm64_r64 VEX_Sarx_r64_rm64_r64
        VEX_Shrx_r64_rm64_r64 VEX_Rorx_r64_rm64_imm8;

    // Control.
    Branch R, 0 0: Jo_rel8_64 Jno_rel8_64 Jb_rel8_64 Jae_rel8_64 Je_rel8_64 Jne_rel8_64
        Jbe_rel8_64 Ja_rel8_64 Js_rel8_64 Jns_rel8_64 Jp_rel8_64 Jnp_rel8_64 Jl_rel8_64
        Jge_rel8_64 Jle_rel8_64 Jg_rel8_64
        Jo_rel32_64 Jno_rel32_64 Jb_rel32_64 Jae_rel32_64 Je_rel32_64 Jne_rel32_64
        Jbe_rel32_64 Ja_rel32_64 Js_rel32_64 Jns_rel32_64 Jp_rel32_64 Jnp_rel32_64 Jl_rel32_64
        Jge_rel32_64 Jle_rel32_64 Jg_rel32_64;
    Jump R, 0 0: Jmp_rel8_64 Jmp_rel32_64;
    JumpIndirect R, 0 0: Jmp_rm64;
    Call R, 0 0: Call_rel32_64;
    CallIndirect R, 0 0: Call_rm64;
    Return R, 0 0: Retnq;
    Trap R, 0 0: Ud2;
    Nothing R, 0 0: Nopd Nop_rm32;
    Nothing R, 0x66 0: Nopw;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::SIGN;
    use crate::vectors::Gives;
    use iced_x86::{CpuidFeature, EncodingKind, Instruction, MandatoryPrefix, RflagsBits};

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
