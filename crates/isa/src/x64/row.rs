//! The table of instructions: one row each.

use crate::Class;

/// How the fields of an [`Inst`](super::Inst) are used by a row. `rm` is the register in `base`, or
/// a memory operand. `dst=src` is one operand that is read and written: before allocation two
/// registers tied to each other, afterwards one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// `dst ← rm`
    Rm,
    /// `dst=src, rm`
    RmMod,
    /// `src, rm`, no result but flags
    RmUse,
    /// `dst ← rm, imm`
    RmImm,
    /// `dst=src, rm, imm8`
    RmModImm,
    /// memory, `src`; with or without a write
    Store,
    /// `dst ← src`, the destination in the r/m field; registers only
    Reverse,
    /// `dst=src, imm`
    Imm,
    /// `rm, imm`, no result but flags
    ImmUse,
    /// memory, `imm`
    ImmStore,
    /// `dst=src`
    Unary,
    /// `dst=src`, count in `base`, which is `rcx`
    ShiftCl,
    /// `dst=src, imm8`; one byte shorter by 1
    ShiftImm,
    /// `dst=src`, of which the low byte becomes `cond`
    Set,
    /// `dst ← imm`
    Constant,
    /// `dst ← 0`
    Zero,
    /// VEX: `dst ← src, rm`
    VexRvm,
    /// VEX: `dst ← rm, src`
    VexRmv,
    /// VEX: `dst ← rm, imm8`
    VexRmImm,
    /// VEX: `dst ← rm`, the destination in the v field
    VexVm,
    /// Vectors: `dst ← src, rm`; `dst=src` unless the instruction is VEX encoded
    Vec,
    /// Vectors: `dst ← src, rm, imm8`; `dst=src` unless the instruction is VEX encoded
    VecImm,
    /// Vectors: `dst ← src, imm8`, registers only; `dst=src` unless the instruction is VEX encoded
    VecShiftImm,
    /// Vectors: `dst ← rm, imm8`
    VecRmImm,
    /// `dst ← src, imm8`, the destination in the r/m field; registers only
    ReverseImm,
    /// memory, `src`, `imm8`
    StoreImm,
    /// VEX: `dst ← src, rm, dst2`, all vector registers, `dst2` in the immediate
    VexBlend,
    /// VEX: `dst=src, dst2, rm`
    VexFused,
    /// `dst = rax, dst2 = rdx ← src = rax, rm`
    Multiply,
    /// `dst = rax, dst2 = rdx ← src = rax, index = rdx, base` (a register)
    Divide,
    /// `dst=src` exchanged with memory, in whichever way
    Exchange,
    /// `dst = rax ← dst2 = rax` compared with memory, which becomes `src` if they are equal
    CompareExchange,
    /// `dst = rdx ← src = rax`
    SignSpread,
    /// Not one instruction: see `expand`.
    Pseudo,
}

/// How the mandatory prefix is chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Prefix {
    /// None; 66 at 16 bits.
    Int,
    /// Always this one.
    Is(u8),
    /// F3 for 32 bits, F2 for 64.
    Scalar,
    /// None for 32 bits, 66 for 64.
    Packed,
    /// Always 66; the opcode is one higher for 64 bits.
    Rounding,
}

/// Opcode map.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Map {
    One,
    M0f,
    M0f38,
    M0f3a,
}

/// Size of the r/m operand where it is not the width of the instruction. In memory, vectors may be
/// narrower still: see [`Row::memory_bytes`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum RmBits {
    Same,
    B8,
    B16,
    B32,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowDef {
    pub(super) name: &'static str,
    pub(super) form: Form,
    pub(super) prefix: Prefix,
    pub(super) map: Map,
    pub(super) opcode: u8,
    /// Opcode extension in the reg field.
    pub(super) digit: u8,
    /// Allowed widths, one bit each for 8, 16, 32, 64, 128.
    pub(super) widths: u8,
    /// Whether 64 bits need REX.W (or VEX.W).
    pub(super) rex_w: bool,
    pub(super) dst: Class,
    pub(super) rm: Class,
    pub(super) rm_bits: RmBits,
}

macro_rules! rows {
    ($($(#[$meta:meta])* $row:ident $name:literal $form:ident $prefix:expr, $map:ident $opcode:literal / $digit:literal
       [$($width:literal)*] $dst:ident $rm:ident $bits:ident;)*) => {
        /// A row of the table of instructions.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u16)]
        pub enum Row {
            $(
                #[doc = concat!("`", $name, "`")]
                $(#[$meta])*
                $row,
            )*
        }
        impl Row {
            /// Every row.
            pub const ALL: &'static [Row] = &[$(Row::$row,)*];
        }
        static ROWS: [RowDef; Row::ALL.len()] = [$(RowDef {
            name: $name,
            form: Form::$form,
            prefix: $prefix,
            map: Map::$map,
            opcode: $opcode,
            digit: $digit,
            widths: 0 $(| ($width / 8))*,
            rex_w: matches!($prefix, Prefix::Int | Prefix::Is(_)),
            dst: Class::$dst,
            rm: Class::$rm,
            rm_bits: RmBits::$bits,
        },)*];
    };
}

use Prefix::{Int as I, Is, Packed, Rounding, Scalar};

// Columns: row, name, form, prefix, map and opcode (of the 16-bit and wider variant) / extension,
// widths, class of the destination (or source), class and size of the r/m operand.
rows! {
    Mov "mov" Rm I, One 0x8b/0 [32 64] Int Int Same;
    MovStore "mov" Store I, One 0x89/0 [8 16 32 64] Int Int Same;
    MovImm "mov" Constant I, One 0xb8/0 [32 64] Int Int Same;
    MovStoreImm "mov" ImmStore I, One 0xc7/0 [8 16 32 64] Int Int Same;
    Movzx8 "movzx" Rm I, M0f 0xb6/0 [32] Int Int B8;
    Movzx16 "movzx" Rm I, M0f 0xb7/0 [32] Int Int B16;
    Movsx8 "movsx" Rm I, M0f 0xbe/0 [32 64] Int Int B8;
    Movsx16 "movsx" Rm I, M0f 0xbf/0 [32 64] Int Int B16;
    Movsxd "movsxd" Rm I, One 0x63/0 [64] Int Int B32;
    Lea "lea" Rm I, One 0x8d/0 [32 64] Int Int Same;
    Zero "xor" Zero I, One 0x33/0 [32] Int Int Same;

    Add "add" RmMod I, One 0x03/0 [32 64] Int Int Same;
    Or "or" RmMod I, One 0x0b/0 [32 64] Int Int Same;
    And "and" RmMod I, One 0x23/0 [32 64] Int Int Same;
    Sub "sub" RmMod I, One 0x2b/0 [32 64] Int Int Same;
    Xor "xor" RmMod I, One 0x33/0 [32 64] Int Int Same;
    /// Reads the carry flag.
    Adc "adc" RmMod I, One 0x13/0 [32 64] Int Int Same;
    /// Reads the carry flag.
    Sbb "sbb" RmMod I, One 0x1b/0 [32 64] Int Int Same;
    Cmp "cmp" RmUse I, One 0x3b/0 [8 16 32 64] Int Int Same;
    Imul "imul" RmMod I, M0f 0xaf/0 [32 64] Int Int Same;
    Cmov "cmov" RmMod I, M0f 0x40/0 [32 64] Int Int Same;
    AddStore "add" Store I, One 0x01/0 [8 16 32 64] Int Int Same;
    OrStore "or" Store I, One 0x09/0 [8 16 32 64] Int Int Same;
    AndStore "and" Store I, One 0x21/0 [8 16 32 64] Int Int Same;
    SubStore "sub" Store I, One 0x29/0 [8 16 32 64] Int Int Same;
    XorStore "xor" Store I, One 0x31/0 [8 16 32 64] Int Int Same;
    CmpStore "cmp" Store I, One 0x39/0 [8 16 32 64] Int Int Same;
    Test "test" RmUse I, One 0x85/0 [8 16 32 64] Int Int Same;
    AddImm "add" Imm I, One 0x81/0 [32 64] Int Int Same;
    OrImm "or" Imm I, One 0x81/1 [32 64] Int Int Same;
    /// Reads the carry flag.
    AdcImm "adc" Imm I, One 0x81/2 [32 64] Int Int Same;
    /// Reads the carry flag.
    SbbImm "sbb" Imm I, One 0x81/3 [32 64] Int Int Same;
    AndImm "and" Imm I, One 0x81/4 [32 64] Int Int Same;
    SubImm "sub" Imm I, One 0x81/5 [32 64] Int Int Same;
    XorImm "xor" Imm I, One 0x81/6 [32 64] Int Int Same;
    CmpImm "cmp" ImmUse I, One 0x81/7 [8 16 32 64] Int Int Same;
    TestImm "test" ImmUse I, One 0xf7/0 [8 16 32 64] Int Int Same;
    AddStoreImm "add" ImmStore I, One 0x81/0 [8 16 32 64] Int Int Same;
    OrStoreImm "or" ImmStore I, One 0x81/1 [8 16 32 64] Int Int Same;
    AndStoreImm "and" ImmStore I, One 0x81/4 [8 16 32 64] Int Int Same;
    SubStoreImm "sub" ImmStore I, One 0x81/5 [8 16 32 64] Int Int Same;
    XorStoreImm "xor" ImmStore I, One 0x81/6 [8 16 32 64] Int Int Same;
    ImulImm "imul" RmImm I, One 0x69/0 [32 64] Int Int Same;
    Neg "neg" Unary I, One 0xf7/3 [32 64] Int Int Same;
    Not "not" Unary I, One 0xf7/2 [32 64] Int Int Same;
    Mul "mul" Multiply I, One 0xf7/4 [32 64] Int Int Same;
    ImulWide "imul" Multiply I, One 0xf7/5 [32 64] Int Int Same;
    Div "div" Divide I, One 0xf7/6 [32 64] Int Int Same;
    Idiv "idiv" Divide I, One 0xf7/7 [32 64] Int Int Same;
    Cdq "cdq" SignSpread I, One 0x99/0 [32 64] Int Int Same;

    Rol "rol" ShiftCl I, One 0xd3/0 [32 64] Int Int Same;
    Ror "ror" ShiftCl I, One 0xd3/1 [32 64] Int Int Same;
    Shl "shl" ShiftCl I, One 0xd3/4 [32 64] Int Int Same;
    Shr "shr" ShiftCl I, One 0xd3/5 [32 64] Int Int Same;
    Sar "sar" ShiftCl I, One 0xd3/7 [32 64] Int Int Same;
    RolImm "rol" ShiftImm I, One 0xc1/0 [32 64] Int Int Same;
    RorImm "ror" ShiftImm I, One 0xc1/1 [32 64] Int Int Same;
    ShlImm "shl" ShiftImm I, One 0xc1/4 [32 64] Int Int Same;
    ShrImm "shr" ShiftImm I, One 0xc1/5 [32 64] Int Int Same;
    SarImm "sar" ShiftImm I, One 0xc1/7 [32 64] Int Int Same;
    Setcc "set" Set I, M0f 0x90/0 [8] Int Int Same;
    /// Leaves the destination alone for 0.
    Bsf "bsf" RmMod I, M0f 0xbc/0 [32 64] Int Int Same;
    /// Leaves the destination alone for 0.
    Bsr "bsr" RmMod I, M0f 0xbd/0 [32 64] Int Int Same;
    Tzcnt "tzcnt" Rm Is(0xf3), M0f 0xbc/0 [32 64] Int Int Same;
    Lzcnt "lzcnt" Rm Is(0xf3), M0f 0xbd/0 [32 64] Int Int Same;
    Popcnt "popcnt" Rm Is(0xf3), M0f 0xb8/0 [32 64] Int Int Same;

    Andn "andn" VexRvm Is(0), M0f38 0xf2/0 [32 64] Int Int Same;
    Blsr "blsr" VexVm Is(0), M0f38 0xf3/1 [32 64] Int Int Same;
    Blsmsk "blsmsk" VexVm Is(0), M0f38 0xf3/2 [32 64] Int Int Same;
    Blsi "blsi" VexVm Is(0), M0f38 0xf3/3 [32 64] Int Int Same;
    Shlx "shlx" VexRmv Is(0x66), M0f38 0xf7/0 [32 64] Int Int Same;
    Sarx "sarx" VexRmv Is(0xf3), M0f38 0xf7/0 [32 64] Int Int Same;
    Shrx "shrx" VexRmv Is(0xf2), M0f38 0xf7/0 [32 64] Int Int Same;
    Rorx "rorx" VexRmImm Is(0xf2), M0f3a 0xf0/0 [32 64] Int Int Same;

    /// From memory.
    FLoad "movs" Rm Scalar, M0f 0x10/0 [32 64] Float Float Same;
    FStore "movs" Store Scalar, M0f 0x11/0 [32 64] Float Float Same;
    /// Between registers.
    FMov "movaps" Rm Is(0), M0f 0x28/0 [32] Float Float Same;
    FZero "xorps" Zero Is(0), M0f 0x57/0 [32] Float Float Same;
    /// `movd` or `movq` from a general-purpose register or memory.
    FFromInt "mov" Rm Is(0x66), M0f 0x6e/0 [32 64] Float Int Same;
    /// `movd` or `movq` to a general-purpose register.
    FToInt "mov" Reverse Is(0x66), M0f 0x7e/0 [32 64] Float Int Same;
    FAdd "adds" RmMod Scalar, M0f 0x58/0 [32 64] Float Float Same;
    FMul "muls" RmMod Scalar, M0f 0x59/0 [32 64] Float Float Same;
    FSub "subs" RmMod Scalar, M0f 0x5c/0 [32 64] Float Float Same;
    FMin "mins" RmMod Scalar, M0f 0x5d/0 [32 64] Float Float Same;
    FDiv "divs" RmMod Scalar, M0f 0x5e/0 [32 64] Float Float Same;
    FMax "maxs" RmMod Scalar, M0f 0x5f/0 [32 64] Float Float Same;
    FSqrt "sqrts" RmMod Scalar, M0f 0x51/0 [32 64] Float Float Same;
    FRound "rounds" RmModImm Rounding, M0f3a 0x0a/0 [32 64] Float Float Same;
    FCompare "cmps" RmModImm Scalar, M0f 0xc2/0 [32 64] Float Float Same;
    FAnd "andps" RmMod Is(0), M0f 0x54/0 [32] Float Float Same;
    FAndn "andnps" RmMod Is(0), M0f 0x55/0 [32] Float Float Same;
    FOr "orps" RmMod Is(0), M0f 0x56/0 [32] Float Float Same;
    FXor "xorps" RmMod Is(0), M0f 0x57/0 [32] Float Float Same;
    FCmp "ucomis" RmUse Packed, M0f 0x2e/0 [32 64] Float Float Same;
    /// Width of the operand.
    FConvert "cvts" RmMod Scalar, M0f 0x5a/0 [32 64] Float Float Same;
    /// Width of the integer.
    IntToF32 "cvtsi2ss" RmMod Is(0xf3), M0f 0x2a/0 [32 64] Float Int Same;
    /// Width of the integer.
    IntToF64 "cvtsi2sd" RmMod Is(0xf2), M0f 0x2a/0 [32 64] Float Int Same;
    /// Width of the integer.
    F32ToInt "cvttss2si" Rm Is(0xf3), M0f 0x2c/0 [32 64] Int Float B32;
    /// Width of the integer.
    F64ToInt "cvttsd2si" Rm Is(0xf2), M0f 0x2c/0 [32 64] Int Float Same;

    // Vectors of integers: `dst ← src, rm`.
    Paddb "paddb" Vec Is(0x66), M0f 0xfc/0 [128] Float Float Same;
    Paddw "paddw" Vec Is(0x66), M0f 0xfd/0 [128] Float Float Same;
    Paddd "paddd" Vec Is(0x66), M0f 0xfe/0 [128] Float Float Same;
    Paddq "paddq" Vec Is(0x66), M0f 0xd4/0 [128] Float Float Same;
    Psubb "psubb" Vec Is(0x66), M0f 0xf8/0 [128] Float Float Same;
    Psubw "psubw" Vec Is(0x66), M0f 0xf9/0 [128] Float Float Same;
    Psubd "psubd" Vec Is(0x66), M0f 0xfa/0 [128] Float Float Same;
    Psubq "psubq" Vec Is(0x66), M0f 0xfb/0 [128] Float Float Same;
    Paddsb "paddsb" Vec Is(0x66), M0f 0xec/0 [128] Float Float Same;
    Paddsw "paddsw" Vec Is(0x66), M0f 0xed/0 [128] Float Float Same;
    Paddusb "paddusb" Vec Is(0x66), M0f 0xdc/0 [128] Float Float Same;
    Paddusw "paddusw" Vec Is(0x66), M0f 0xdd/0 [128] Float Float Same;
    Psubsb "psubsb" Vec Is(0x66), M0f 0xe8/0 [128] Float Float Same;
    Psubsw "psubsw" Vec Is(0x66), M0f 0xe9/0 [128] Float Float Same;
    Psubusb "psubusb" Vec Is(0x66), M0f 0xd8/0 [128] Float Float Same;
    Psubusw "psubusw" Vec Is(0x66), M0f 0xd9/0 [128] Float Float Same;
    Pmullw "pmullw" Vec Is(0x66), M0f 0xd5/0 [128] Float Float Same;
    Pmulhw "pmulhw" Vec Is(0x66), M0f 0xe5/0 [128] Float Float Same;
    Pmulhuw "pmulhuw" Vec Is(0x66), M0f 0xe4/0 [128] Float Float Same;
    Pmaddwd "pmaddwd" Vec Is(0x66), M0f 0xf5/0 [128] Float Float Same;
    Pmuludq "pmuludq" Vec Is(0x66), M0f 0xf4/0 [128] Float Float Same;
    Pavgb "pavgb" Vec Is(0x66), M0f 0xe0/0 [128] Float Float Same;
    Pavgw "pavgw" Vec Is(0x66), M0f 0xe3/0 [128] Float Float Same;
    Pminub "pminub" Vec Is(0x66), M0f 0xda/0 [128] Float Float Same;
    Pminsw "pminsw" Vec Is(0x66), M0f 0xea/0 [128] Float Float Same;
    Pmaxub "pmaxub" Vec Is(0x66), M0f 0xde/0 [128] Float Float Same;
    Pmaxsw "pmaxsw" Vec Is(0x66), M0f 0xee/0 [128] Float Float Same;
    Pcmpeqb "pcmpeqb" Vec Is(0x66), M0f 0x74/0 [128] Float Float Same;
    Pcmpeqw "pcmpeqw" Vec Is(0x66), M0f 0x75/0 [128] Float Float Same;
    Pcmpeqd "pcmpeqd" Vec Is(0x66), M0f 0x76/0 [128] Float Float Same;
    Pcmpgtb "pcmpgtb" Vec Is(0x66), M0f 0x64/0 [128] Float Float Same;
    Pcmpgtw "pcmpgtw" Vec Is(0x66), M0f 0x65/0 [128] Float Float Same;
    Pcmpgtd "pcmpgtd" Vec Is(0x66), M0f 0x66/0 [128] Float Float Same;
    Pand "pand" Vec Is(0x66), M0f 0xdb/0 [128] Float Float Same;
    Pandn "pandn" Vec Is(0x66), M0f 0xdf/0 [128] Float Float Same;
    Por "por" Vec Is(0x66), M0f 0xeb/0 [128] Float Float Same;
    Pxor "pxor" Vec Is(0x66), M0f 0xef/0 [128] Float Float Same;
    Packsswb "packsswb" Vec Is(0x66), M0f 0x63/0 [128] Float Float Same;
    Packssdw "packssdw" Vec Is(0x66), M0f 0x6b/0 [128] Float Float Same;
    Packuswb "packuswb" Vec Is(0x66), M0f 0x67/0 [128] Float Float Same;
    Punpcklbw "punpcklbw" Vec Is(0x66), M0f 0x60/0 [128] Float Float Same;
    Punpcklwd "punpcklwd" Vec Is(0x66), M0f 0x61/0 [128] Float Float Same;
    Punpckldq "punpckldq" Vec Is(0x66), M0f 0x62/0 [128] Float Float Same;
    Punpcklqdq "punpcklqdq" Vec Is(0x66), M0f 0x6c/0 [128] Float Float Same;
    Punpckhbw "punpckhbw" Vec Is(0x66), M0f 0x68/0 [128] Float Float Same;
    Punpckhwd "punpckhwd" Vec Is(0x66), M0f 0x69/0 [128] Float Float Same;
    Punpckhdq "punpckhdq" Vec Is(0x66), M0f 0x6a/0 [128] Float Float Same;
    Punpckhqdq "punpckhqdq" Vec Is(0x66), M0f 0x6d/0 [128] Float Float Same;
    Psadbw "psadbw" Vec Is(0x66), M0f 0xf6/0 [128] Float Float Same;
    Pshufb "pshufb" Vec Is(0x66), M0f38 0x00/0 [128] Float Float Same;
    Pmaddubsw "pmaddubsw" Vec Is(0x66), M0f38 0x04/0 [128] Float Float Same;
    Pmulhrsw "pmulhrsw" Vec Is(0x66), M0f38 0x0b/0 [128] Float Float Same;
    Pmuldq "pmuldq" Vec Is(0x66), M0f38 0x28/0 [128] Float Float Same;
    Pcmpeqq "pcmpeqq" Vec Is(0x66), M0f38 0x29/0 [128] Float Float Same;
    Packusdw "packusdw" Vec Is(0x66), M0f38 0x2b/0 [128] Float Float Same;
    Pminsb "pminsb" Vec Is(0x66), M0f38 0x38/0 [128] Float Float Same;
    Pminsd "pminsd" Vec Is(0x66), M0f38 0x39/0 [128] Float Float Same;
    Pminuw "pminuw" Vec Is(0x66), M0f38 0x3a/0 [128] Float Float Same;
    Pminud "pminud" Vec Is(0x66), M0f38 0x3b/0 [128] Float Float Same;
    Pmaxsb "pmaxsb" Vec Is(0x66), M0f38 0x3c/0 [128] Float Float Same;
    Pmaxsd "pmaxsd" Vec Is(0x66), M0f38 0x3d/0 [128] Float Float Same;
    Pmaxuw "pmaxuw" Vec Is(0x66), M0f38 0x3e/0 [128] Float Float Same;
    Pmaxud "pmaxud" Vec Is(0x66), M0f38 0x3f/0 [128] Float Float Same;
    Pmulld "pmulld" Vec Is(0x66), M0f38 0x40/0 [128] Float Float Same;
    /// Only with VEX: beyond the baseline otherwise.
    Pcmpgtq "pcmpgtq" Vec Is(0x66), M0f38 0x37/0 [128] Float Float Same;

    // Shifts: the count in a register, or an immediate.
    Psllw "psllw" Vec Is(0x66), M0f 0xf1/0 [128] Float Float Same;
    Pslld "pslld" Vec Is(0x66), M0f 0xf2/0 [128] Float Float Same;
    Psllq "psllq" Vec Is(0x66), M0f 0xf3/0 [128] Float Float Same;
    Psrlw "psrlw" Vec Is(0x66), M0f 0xd1/0 [128] Float Float Same;
    Psrld "psrld" Vec Is(0x66), M0f 0xd2/0 [128] Float Float Same;
    Psrlq "psrlq" Vec Is(0x66), M0f 0xd3/0 [128] Float Float Same;
    Psraw "psraw" Vec Is(0x66), M0f 0xe1/0 [128] Float Float Same;
    Psrad "psrad" Vec Is(0x66), M0f 0xe2/0 [128] Float Float Same;
    PsllwImm "psllw" VecShiftImm Is(0x66), M0f 0x71/6 [128] Float Float Same;
    PslldImm "pslld" VecShiftImm Is(0x66), M0f 0x72/6 [128] Float Float Same;
    PsllqImm "psllq" VecShiftImm Is(0x66), M0f 0x73/6 [128] Float Float Same;
    PsrlwImm "psrlw" VecShiftImm Is(0x66), M0f 0x71/2 [128] Float Float Same;
    PsrldImm "psrld" VecShiftImm Is(0x66), M0f 0x72/2 [128] Float Float Same;
    PsrlqImm "psrlq" VecShiftImm Is(0x66), M0f 0x73/2 [128] Float Float Same;
    PsrawImm "psraw" VecShiftImm Is(0x66), M0f 0x71/4 [128] Float Float Same;
    PsradImm "psrad" VecShiftImm Is(0x66), M0f 0x72/4 [128] Float Float Same;
    Pslldq "pslldq" VecShiftImm Is(0x66), M0f 0x73/7 [128] Float Float Same;
    Psrldq "psrldq" VecShiftImm Is(0x66), M0f 0x73/3 [128] Float Float Same;

    // Vectors of floats.
    Addps "addps" Vec Is(0), M0f 0x58/0 [128] Float Float Same;
    Addpd "addpd" Vec Is(0x66), M0f 0x58/0 [128] Float Float Same;
    Subps "subps" Vec Is(0), M0f 0x5c/0 [128] Float Float Same;
    Subpd "subpd" Vec Is(0x66), M0f 0x5c/0 [128] Float Float Same;
    Mulps "mulps" Vec Is(0), M0f 0x59/0 [128] Float Float Same;
    Mulpd "mulpd" Vec Is(0x66), M0f 0x59/0 [128] Float Float Same;
    Divps "divps" Vec Is(0), M0f 0x5e/0 [128] Float Float Same;
    Divpd "divpd" Vec Is(0x66), M0f 0x5e/0 [128] Float Float Same;
    Minps "minps" Vec Is(0), M0f 0x5d/0 [128] Float Float Same;
    Minpd "minpd" Vec Is(0x66), M0f 0x5d/0 [128] Float Float Same;
    Maxps "maxps" Vec Is(0), M0f 0x5f/0 [128] Float Float Same;
    Maxpd "maxpd" Vec Is(0x66), M0f 0x5f/0 [128] Float Float Same;
    Andps "andps" Vec Is(0), M0f 0x54/0 [128] Float Float Same;
    Andnps "andnps" Vec Is(0), M0f 0x55/0 [128] Float Float Same;
    Orps "orps" Vec Is(0), M0f 0x56/0 [128] Float Float Same;
    Xorps "xorps" Vec Is(0), M0f 0x57/0 [128] Float Float Same;
    Unpcklps "unpcklps" Vec Is(0), M0f 0x14/0 [128] Float Float Same;
    Unpcklpd "unpcklpd" Vec Is(0x66), M0f 0x14/0 [128] Float Float Same;
    Unpckhps "unpckhps" Vec Is(0), M0f 0x15/0 [128] Float Float Same;
    Unpckhpd "unpckhpd" Vec Is(0x66), M0f 0x15/0 [128] Float Float Same;
    Cmpps "cmpps" VecImm Is(0), M0f 0xc2/0 [128] Float Float Same;
    Cmppd "cmppd" VecImm Is(0x66), M0f 0xc2/0 [128] Float Float Same;
    Sqrtps "sqrtps" Rm Is(0), M0f 0x51/0 [128] Float Float Same;
    Sqrtpd "sqrtpd" Rm Is(0x66), M0f 0x51/0 [128] Float Float Same;
    Roundps "roundps" VecRmImm Is(0x66), M0f3a 0x08/0 [128] Float Float Same;
    Roundpd "roundpd" VecRmImm Is(0x66), M0f3a 0x09/0 [128] Float Float Same;
    Cvtdq2ps "cvtdq2ps" Rm Is(0), M0f 0x5b/0 [128] Float Float Same;
    Cvttps2dq "cvttps2dq" Rm Is(0xf3), M0f 0x5b/0 [128] Float Float Same;
    Cvttpd2dq "cvttpd2dq" Rm Is(0x66), M0f 0xe6/0 [128] Float Float Same;
    /// From 8 bytes, as the next one.
    Cvtdq2pd "cvtdq2pd" Rm Is(0xf3), M0f 0xe6/0 [128] Float Float Same;
    Cvtps2pd "cvtps2pd" Rm Is(0), M0f 0x5a/0 [128] Float Float Same;
    Cvtpd2ps "cvtpd2ps" Rm Is(0x66), M0f 0x5a/0 [128] Float Float Same;

    // Shuffles.
    Palignr "palignr" VecImm Is(0x66), M0f3a 0x0f/0 [128] Float Float Same;
    Pblendw "pblendw" VecImm Is(0x66), M0f3a 0x0e/0 [128] Float Float Same;
    Shufps "shufps" VecImm Is(0), M0f 0xc6/0 [128] Float Float Same;
    Shufpd "shufpd" VecImm Is(0x66), M0f 0xc6/0 [128] Float Float Same;
    Pshufd "pshufd" VecRmImm Is(0x66), M0f 0x70/0 [128] Float Float Same;
    Pshuflw "pshuflw" VecRmImm Is(0xf2), M0f 0x70/0 [128] Float Float Same;
    Pshufhw "pshufhw" VecRmImm Is(0xf3), M0f 0x70/0 [128] Float Float Same;
    Pabsb "pabsb" Rm Is(0x66), M0f38 0x1c/0 [128] Float Float Same;
    Pabsw "pabsw" Rm Is(0x66), M0f38 0x1d/0 [128] Float Float Same;
    Pabsd "pabsd" Rm Is(0x66), M0f38 0x1e/0 [128] Float Float Same;
    Pmovsxbw "pmovsxbw" Rm Is(0x66), M0f38 0x20/0 [128] Float Float Same;
    Pmovsxbd "pmovsxbd" Rm Is(0x66), M0f38 0x21/0 [128] Float Float Same;
    Pmovsxbq "pmovsxbq" Rm Is(0x66), M0f38 0x22/0 [128] Float Float Same;
    Pmovsxwd "pmovsxwd" Rm Is(0x66), M0f38 0x23/0 [128] Float Float Same;
    Pmovsxwq "pmovsxwq" Rm Is(0x66), M0f38 0x24/0 [128] Float Float Same;
    Pmovsxdq "pmovsxdq" Rm Is(0x66), M0f38 0x25/0 [128] Float Float Same;
    Pmovzxbw "pmovzxbw" Rm Is(0x66), M0f38 0x30/0 [128] Float Float Same;
    Pmovzxbd "pmovzxbd" Rm Is(0x66), M0f38 0x31/0 [128] Float Float Same;
    Pmovzxbq "pmovzxbq" Rm Is(0x66), M0f38 0x32/0 [128] Float Float Same;
    Pmovzxwd "pmovzxwd" Rm Is(0x66), M0f38 0x33/0 [128] Float Float Same;
    Pmovzxwq "pmovzxwq" Rm Is(0x66), M0f38 0x34/0 [128] Float Float Same;
    Pmovzxdq "pmovzxdq" Rm Is(0x66), M0f38 0x35/0 [128] Float Float Same;
    Movddup "movddup" Rm Is(0xf2), M0f 0x12/0 [128] Float Float Same;
    /// Only with VEX, as the next four.
    Pbroadcastb "pbroadcastb" Rm Is(0x66), M0f38 0x78/0 [128] Float Float Same;
    Pbroadcastw "pbroadcastw" Rm Is(0x66), M0f38 0x79/0 [128] Float Float Same;
    Pbroadcastd "pbroadcastd" Rm Is(0x66), M0f38 0x58/0 [128] Float Float Same;
    Pbroadcastq "pbroadcastq" Rm Is(0x66), M0f38 0x59/0 [128] Float Float Same;
    Broadcastss "broadcastss" Rm Is(0x66), M0f38 0x18/0 [128] Float Float Same;

    // Lanes. The width of a row with two is that of the lane.
    Pinsrb "pinsrb" VecImm Is(0x66), M0f3a 0x20/0 [128] Float Int B32;
    Pinsrw "pinsrw" VecImm Is(0x66), M0f 0xc4/0 [128] Float Int B32;
    Pinsr "pinsr" VecImm Is(0x66), M0f3a 0x22/0 [32 64] Float Int Same;
    Insertps "insertps" VecImm Is(0x66), M0f3a 0x21/0 [128] Float Float Same;
    Pextrb "pextrb" ReverseImm Is(0x66), M0f3a 0x14/0 [32] Float Int Same;
    Pextrw "pextrw" VecRmImm Is(0x66), M0f 0xc5/0 [32] Int Float Same;
    Pextr "pextr" ReverseImm Is(0x66), M0f3a 0x16/0 [32 64] Float Int Same;
    PextrbStore "pextrb" StoreImm Is(0x66), M0f3a 0x14/0 [128] Float Float Same;
    PextrwStore "pextrw" StoreImm Is(0x66), M0f3a 0x15/0 [128] Float Float Same;
    PextrStore "pextr" StoreImm Is(0x66), M0f3a 0x16/0 [32 64] Float Float Same;
    /// 8 bytes of memory into the low half.
    Movlps "movlps" Vec Is(0), M0f 0x12/0 [128] Float Float Same;
    /// 8 bytes of memory into the high half.
    Movhps "movhps" Vec Is(0), M0f 0x16/0 [128] Float Float Same;
    MovhpsStore "movhps" Store Is(0), M0f 0x17/0 [128] Float Float Same;
    /// The low lane of `rm`, a register, and the others of `src`.
    MovLow "movs" Vec Scalar, M0f 0x10/0 [32 64] Float Float Same;
    Pmovmskb "pmovmskb" Rm Is(0x66), M0f 0xd7/0 [32] Int Float Same;
    Movmskps "movmskps" Rm Is(0), M0f 0x50/0 [32] Int Float Same;
    Movmskpd "movmskpd" Rm Is(0x66), M0f 0x50/0 [32] Int Float Same;
    Ptest "ptest" RmUse Is(0x66), M0f38 0x17/0 [128] Float Float Same;

    // Whole vectors.
    /// From memory.
    VLoad "movups" Rm Is(0), M0f 0x10/0 [128] Float Float Same;
    VStore "movups" Store Is(0), M0f 0x11/0 [128] Float Float Same;
    /// All bits set.
    Ones "pcmpeqd" Zero Is(0x66), M0f 0x76/0 [128] Float Float Same;

    // Four operands.
    Vpblendvb "vpblendvb" VexBlend Is(0x66), M0f3a 0x4c/0 [128] Float Float Same;
    Vblendvps "vblendvps" VexBlend Is(0x66), M0f3a 0x4a/0 [128] Float Float Same;
    Vblendvpd "vblendvpd" VexBlend Is(0x66), M0f3a 0x4b/0 [128] Float Float Same;
    Vfmadd213 "vfmadd213p" VexFused Is(0x66), M0f38 0xa8/0 [32 64] Float Float Same;
    Vfnmadd213 "vfnmadd213p" VexFused Is(0x66), M0f38 0xac/0 [32 64] Float Float Same;
    Vfmadd231 "vfmadd231p" VexFused Is(0x66), M0f38 0xb8/0 [32 64] Float Float Same;
    Vfnmadd231 "vfnmadd231p" VexFused Is(0x66), M0f38 0xbc/0 [32 64] Float Float Same;

    /// `dst=src ← cond ? base : src`, vector registers.
    FSelect "fselect" Pseudo I, One 0/0 [32 64] Float Float Same;
    /// `dst=src ← min(src, base)` as WebAssembly has it.
    FMinWasm "fmin" Pseudo I, One 0/0 [32 64] Float Float Same;
    /// `dst=src ← max(src, base)` as WebAssembly has it.
    FMaxWasm "fmax" Pseudo I, One 0/0 [32 64] Float Float Same;
    /// Converts the unsigned 64-bit `src` to a float of the width in `dst`; `dst2` is scratch.
    U64ToFloat "cvtu64" Pseudo I, One 0/0 [32 64] Float Int Same;
    /// After a truncating signed conversion of the float `base` to `src` (of the width): traps
    /// unless it fitted. `disp` is the offset in rodata of the limits; see `expand`.
    CheckTrunc "checktrunc" Pseudo I, One 0/0 [32 64] Int Float Same;
    /// `dst=src`, to which the float `base` was truncated (signed, of the width): what did not fit becomes
    /// the nearest integer, NaN zero. `disp` is the offset in rodata of zero, `imm` whether it is 64-bit.
    Saturate "saturate" Pseudo I, One 0/0 [32 64] Int Float Same;
    /// `dst = rdx ← src = rax % base`, signed, without a trap for -1; `dst2` is rax, `trap` the code
    /// of the division inside.
    RemS "rem_s" Pseudo I, One 0/0 [32 64] Int Int Same;

    Xchg "xchg" Exchange I, One 0x87/0 [8 16 32 64] Int Int Same;
    Xadd "lock xadd" Exchange I, M0f 0xc1/0 [8 16 32 64] Int Int Same;
    Cmpxchg "lock cmpxchg" CompareExchange I, M0f 0xb1/0 [8 16 32 64] Int Int Same;
    /// Memory becomes itself and (`imm` 0), or (1) or exclusive or (2) `src`; `dst = rax` is what it was,
    /// `dst2` scratch.
    AtomicLoop "atomicloop" Pseudo I, One 0/0 [8 16 32 64] Int Int Same;
    Mfence "mfence" Pseudo I, One 0/0 [64] Int Int Same;

    /// `dst=src`, not above the memory operand; otherwise traps. 64 bits, unsigned.
    CheckIndex "checkindex" Pseudo I, One 0/0 [64] Int Int Same;

    /// Defines the parameters of the function in their registers; emits nothing.
    Params "params" Pseudo I, One 0/0 [64] Int Int Same;
    /// Makes the frame and saves registers in it; changes flags.
    Enter "enter" Pseudo I, One 0/0 [64] Int Int Same;
    /// Restores what `Enter` saved and drops the frame; changes flags.
    Leave "leave" Pseudo I, One 0/0 [64] Int Int Same;
    /// A call; `imm` is the index in the function's list.
    Call "call" Pseudo I, One 0/0 [64] Int Int Same;
    /// A call that ends its block: goes to the first edge if it returns, and to one of the others, each
    /// described in the call's `catches`, if an exception leaves it. Changes every register.
    Invoke "invoke" Pseudo I, One 0/0 [64] Int Int Same;
    /// Stands first where an edge of an [`Invoke`](Self::Invoke) leads, and defines what it brings in
    /// registers; emits nothing. `imm` as for a call.
    Landed "landed" Pseudo I, One 0/0 [64] Int Int Same;
    /// Uses the results in their registers and returns; `imm` as for a call.
    Ret "ret" Pseudo I, One 0/0 [64] Int Int Same;
    /// Goes to what a call would call, with the arguments in their registers, in place of the rest
    /// of the function; `imm` as for a call. The frame is dropped before.
    TailCall "tailcall" Pseudo I, One 0/0 [64] Int Int Same;
    /// Goes to the only edge.
    Jump "jmp" Pseudo I, One 0/0 [64] Int Int Same;
    /// Goes to the first edge if the condition holds, otherwise to the second.
    Branch "j" Pseudo I, One 0/0 [64] Int Int Same;
    /// Goes through the jump table `imm` with index `base`.
    Switch "switch" Pseudo I, One 0/0 [64] Int Int Same;
    /// Traps.
    Trap "ud2" Pseudo I, One 0/0 [64] Int Int Same;
    /// Traps if the condition holds.
    TrapIf "trapif" Pseudo I, One 0/0 [64] Int Int Same;
    /// Traps if the condition holds: with code `imm` if the float `base` (of the width) is NaN,
    /// otherwise with `trap`.
    TrapIfFloat "trapif" Pseudo I, One 0/0 [32 64] Float Float Same;
}

impl Row {
    pub(super) fn def(self) -> &'static RowDef {
        &ROWS[self as usize]
    }

    /// How the row uses the fields of an instruction.
    pub fn form(self) -> Form {
        self.def().form
    }

    /// Whether the row exists at this width.
    pub fn allows(self, width: super::Width) -> bool {
        self.def().widths & (1 << width as u8) != 0
    }

    /// Whether there is a VEX encoding beside the other one; such an instruction says by
    /// [`Inst::vex`](super::Inst::vex) which one it has.
    pub fn has_vex(self) -> bool {
        let packed = self.allows(super::Width::W128);
        match self.form() {
            Form::Vec | Form::VecImm | Form::VecShiftImm | Form::VecRmImm => true,
            Form::Rm | Form::RmUse => packed && !matches!(self, Self::VLoad),
            _ => false,
        }
    }

    /// Whether every encoding of the row is VEX.
    pub fn is_vex_only(self) -> bool {
        let bmi = matches!(
            self.form(),
            Form::VexRvm | Form::VexRmv | Form::VexRmImm | Form::VexVm | Form::VexBlend | Form::VexFused
        );
        bmi || matches!(
            self,
            Self::Pcmpgtq
                | Self::Pbroadcastb
                | Self::Pbroadcastw
                | Self::Pbroadcastd
                | Self::Pbroadcastq
                | Self::Broadcastss
        )
    }

    /// How many bytes the memory operand of a vector row has: the whole vector, unless said
    /// otherwise here.
    pub fn memory_bytes(self, width: super::Width) -> u32 {
        match self {
            Self::Pmovsxbw
            | Self::Pmovsxwd
            | Self::Pmovsxdq
            | Self::Pmovzxbw
            | Self::Pmovzxwd
            | Self::Pmovzxdq
            | Self::Cvtdq2pd
            | Self::Cvtps2pd
            | Self::Movddup
            | Self::Pbroadcastq
            | Self::Movlps
            | Self::Movhps
            | Self::MovhpsStore => 8,
            Self::Pmovsxbd
            | Self::Pmovsxwq
            | Self::Pmovzxbd
            | Self::Pmovzxwq
            | Self::Pbroadcastd
            | Self::Broadcastss
            | Self::Insertps => 4,
            Self::Pmovsxbq | Self::Pmovzxbq | Self::Pbroadcastw | Self::Pinsrw | Self::PextrwStore => 2,
            Self::Pbroadcastb | Self::Pinsrb | Self::PextrbStore => 1,
            _ => width.bytes(),
        }
    }

    /// Whether the instruction has a `lock` prefix.
    pub(super) const fn is_locked(self) -> bool {
        matches!(self, Self::Xadd | Self::Cmpxchg)
    }

    /// Whether the row ends a block.
    pub const fn is_terminator(self) -> bool {
        matches!(
            self,
            Self::Ret | Self::TailCall | Self::Jump | Self::Branch | Self::Switch | Self::Trap | Self::Invoke
        )
    }

    /// Whether the row calls, to return.
    pub const fn is_call(self) -> bool {
        matches!(self, Self::Call | Self::Invoke)
    }

    /// Whether the row ends the function, so that its frame is dropped before.
    pub const fn leaves(self) -> bool {
        matches!(self, Self::Ret | Self::TailCall)
    }

    /// Whether the registers of the row are in [`MFunc::calls`](super::MFunc::calls), at index `imm`.
    pub const fn is_listed(self) -> bool {
        matches!(
            self,
            Self::Call | Self::Invoke | Self::Landed | Self::Ret | Self::TailCall | Self::Params
        )
    }

    /// The classes of the destination (or source) and of the r/m operand.
    pub fn classes(self) -> (Class, Class) {
        (self.def().dst, self.def().rm)
    }
}
