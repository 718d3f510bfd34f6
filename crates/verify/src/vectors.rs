//! Vector registers: the rows of their instructions, and the one transfer function of all of them.
//!
//! Requires what `rows` and `transfer` require. Guarantees that of a vector register no byte is seen
//! that this activation did not write: a state says how many low bytes of each are defined, and a row
//! how many of each source decide what it computes. Deliberately has no row for the upper half of
//! `ymm` registers, gathers, masked and non-temporal moves, approximations (which tell processors
//! apart), and `mxcsr`.

use crate::decode::Operand;
use crate::domain::{Fact, Kind, XMM_BYTES};
use crate::function::{Check, Function, Next, refuse};
use crate::rows::{self, CODES, FLAGS_R, Feature, First, Form, RW, Row};
use crate::violation::Rule;
use iced_x86::Code;

/// What a row says of vector registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Vector {
    /// How many low bytes of each vector source must be defined.
    pub(crate) reads: u8,
    /// How many low bytes of the result are.
    pub(crate) gives: Gives,
}

/// How many low bytes of a result are defined. *The rest* of a destination is taken from itself, in a
/// VEX form from the second operand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Gives {
    /// All: it is computed from the bytes that are read, or from nothing else.
    All,
    /// As many as of the source with the least: lanes of `reads` bytes do not mix.
    Lanes,
    /// Likewise; but of equal registers the result is a constant.
    Constant,
    /// So many are computed; the rest is taken from a source.
    Low(u8),
    /// Likewise, and what the rest is taken from is no source otherwise.
    Under(u8),
    /// Likewise, and as many of them as of the source; but a load makes the rest zero.
    Move(u8),
}
use Gives::*;

/// For the rows of other forms.
pub(crate) const NONE: Vector = Vector { reads: 0, gives: All };

/// `op xmm, xmm/m128`, by which the first is changed.
const fn two(reads: u8, gives: Gives) -> Row {
    Row {
        aligned: true,
        vector: Vector { reads, gives },
        ..RW
    }
}
/// `op xmm, xmm/m128`, of which the first is only written.
const fn one(reads: u8, gives: Gives) -> Row {
    Row {
        first: First::Write,
        ..two(reads, gives)
    }
}
/// The memory operand, if there is one, need not be aligned.
const fn any(row: Row) -> Row {
    Row {
        aligned: false,
        ..row
    }
}
/// The VEX form of a row: the destination is apart from the sources, and memory need not be aligned.
const fn twin(row: Row) -> Row {
    let first = match row.first {
        First::Read => First::Read,
        _ => First::Write,
    };
    Row {
        first,
        vex: true,
        feature: Feature::Avx,
        ..any(row)
    }
}
/// VEX forms without another.
const fn avx(reads: u8, gives: Gives) -> Row {
    twin(one(reads, gives))
}
const fn avx2(reads: u8, gives: Gives) -> Row {
    Row {
        feature: Feature::Avx2,
        ..avx(reads, gives)
    }
}
const fn fma(reads: u8, gives: Gives) -> Row {
    Row {
        feature: Feature::Fma,
        first: First::ReadWrite,
        ..avx(reads, gives)
    }
}
/// Two sources and no destination but flags.
const fn compare(row: Row) -> Row {
    Row {
        first: First::Read,
        flags: FLAGS_R.flags,
        ..row
    }
}

/// Each line: form, group, legacy prefix, W, instruction forms | their VEX twins.
macro_rules! pairs {
    ($rows:expr; $($form:ident $group:expr, $prefix:literal $w:literal:
        $($code:ident)* | $($vex:ident)*;)*) => {{
        $(
            rows::add($rows, Form::$form, $group, $prefix, $w != 0, &[$(Code::$code),*]);
            rows::add($rows, Form::$form, twin($group), 0, $w != 0, &[$(Code::$vex),*]);
        )*
    }};
}

/// Adds the rows.
#[rustfmt::skip] // it would put each instruction form on a line of its own
pub(crate) const fn add_to(rows: &mut [Row; CODES]) { pairs! { rows;

    // Moves, and to and from general-purpose registers.
    Vector any(one(4, Move(4))), 0xf3 0: Movss_xmm_xmmm32 Movss_xmmm32_xmm |;
    Vector any(one(4, Move(8))), 0xf2 0: Movsd_xmm_xmmm64 Movsd_xmmm64_xmm |;
    Vector one(4, Lanes), 0 0: Movaps_xmm_xmmm128 |;
    Vector any(one(4, Lanes)), 0 0: Movups_xmm_xmmm128 Movups_xmmm128_xmm
      | VEX_Vmovups_xmm_xmmm128 VEX_Vmovups_xmmm128_xmm;
    Vector any(one(4, Lanes)), 0xf3 0: Movdqu_xmm_xmmm128 Movdqu_xmmm128_xmm
      | VEX_Vmovdqu_xmm_xmmm128 VEX_Vmovdqu_xmmm128_xmm;
    Vector any(one(4, All)), 0x66 0: Movd_xmm_rm32 Movd_rm32_xmm
      | VEX_Vmovd_xmm_rm32 VEX_Vmovd_rm32_xmm;
    Vector any(one(8, All)), 0x66 1: Movq_xmm_rm64 Movq_rm64_xmm
      | VEX_Vmovq_xmm_rm64 VEX_Vmovq_rm64_xmm;
    Vector any(one(8, All)), 0xf3 0: Movq_xmm_xmmm64
      | VEX_Vmovq_xmm_xmmm64;
    Vector any(one(8, Under(8))), 0 0: Movlps_xmm_m64
      | VEX_Vmovlps_xmm_xmm_m64;
    Vector any(two(8, All)), 0 0: Movhps_xmm_m64
      | VEX_Vmovhps_xmm_xmm_m64;
    Vector any(one(8, All)), 0 0: Movlps_m64_xmm
      | VEX_Vmovlps_m64_xmm;
    Vector any(one(16, All)), 0 0: Movhps_m64_xmm
      | VEX_Vmovhps_m64_xmm;
    Vector any(one(16, All)), 0 0: Movmskps_r32_xmm
      | VEX_Vmovmskps_r32_xmm;
    Vector any(one(16, All)), 0x66 0: Movmskpd_r32_xmm Pmovmskb_r32_xmm Pextrb_r32m8_xmm_imm8
        Pextrw_r32_xmm_imm8 Pextrw_r32m16_xmm_imm8 Pextrd_rm32_xmm_imm8
      | VEX_Vmovmskpd_r32_xmm VEX_Vpmovmskb_r32_xmm VEX_Vpextrb_r32m8_xmm_imm8 VEX_Vpextrw_r32_xmm_imm8
        VEX_Vpextrw_r32m16_xmm_imm8 VEX_Vpextrd_rm32_xmm_imm8;
    Vector any(one(16, All)), 0x66 1: Pextrq_rm64_xmm_imm8
      | VEX_Vpextrq_rm64_xmm_imm8;
    Vector any(two(16, All)), 0x66 0: Pinsrb_xmm_r32m8_imm8 Pinsrw_xmm_r32m16_imm8 Pinsrd_xmm_rm32_imm8
      | VEX_Vpinsrb_xmm_xmm_r32m8_imm8 VEX_Vpinsrw_xmm_xmm_r32m16_imm8 VEX_Vpinsrd_xmm_xmm_rm32_imm8;
    Vector any(two(16, All)), 0x66 1: Pinsrq_xmm_rm64_imm8
      | VEX_Vpinsrq_xmm_xmm_rm64_imm8;
    Insert any(two(4, All)), 0x66 0: Insertps_xmm_xmmm32_imm8
      | VEX_Vinsertps_xmm_xmm_xmmm32_imm8;
    // Scalar floats.
    Vector any(two(4, Low(4))), 0xf3 0: Addss_xmm_xmmm32 Subss_xmm_xmmm32 Mulss_xmm_xmmm32
        Divss_xmm_xmmm32 Minss_xmm_xmmm32 Maxss_xmm_xmmm32 Cmpss_xmm_xmmm32_imm8
      | VEX_Vaddss_xmm_xmm_xmmm32 VEX_Vsubss_xmm_xmm_xmmm32 VEX_Vmulss_xmm_xmm_xmmm32
        VEX_Vdivss_xmm_xmm_xmmm32 VEX_Vminss_xmm_xmm_xmmm32 VEX_Vmaxss_xmm_xmm_xmmm32
        VEX_Vcmpss_xmm_xmm_xmmm32_imm8;
    Vector any(two(8, Low(8))), 0xf2 0: Addsd_xmm_xmmm64 Subsd_xmm_xmmm64 Mulsd_xmm_xmmm64
        Divsd_xmm_xmmm64 Minsd_xmm_xmmm64 Maxsd_xmm_xmmm64 Cmpsd_xmm_xmmm64_imm8
      | VEX_Vaddsd_xmm_xmm_xmmm64 VEX_Vsubsd_xmm_xmm_xmmm64 VEX_Vmulsd_xmm_xmm_xmmm64
        VEX_Vdivsd_xmm_xmm_xmmm64 VEX_Vminsd_xmm_xmm_xmmm64 VEX_Vmaxsd_xmm_xmm_xmmm64
        VEX_Vcmpsd_xmm_xmm_xmmm64_imm8;
    Vector any(one(4, Under(4))), 0xf3 0: Sqrtss_xmm_xmmm32 Cvtsi2ss_xmm_rm32
      | VEX_Vsqrtss_xmm_xmm_xmmm32 VEX_Vcvtsi2ss_xmm_xmm_rm32;
    Vector any(one(8, Under(8))), 0xf2 0: Sqrtsd_xmm_xmmm64 Cvtsi2sd_xmm_rm32
      | VEX_Vsqrtsd_xmm_xmm_xmmm64 VEX_Vcvtsi2sd_xmm_xmm_rm32;
    Vector any(one(4, Under(4))), 0xf3 1: Cvtsi2ss_xmm_rm64
      | VEX_Vcvtsi2ss_xmm_xmm_rm64;
    Vector any(one(8, Under(8))), 0xf2 1: Cvtsi2sd_xmm_rm64
      | VEX_Vcvtsi2sd_xmm_xmm_rm64;
    Vector any(one(4, Under(8))), 0xf3 0: Cvtss2sd_xmm_xmmm32
      | VEX_Vcvtss2sd_xmm_xmm_xmmm32;
    Vector any(one(8, Under(4))), 0xf2 0: Cvtsd2ss_xmm_xmmm64
      | VEX_Vcvtsd2ss_xmm_xmm_xmmm64;
    Vector any(one(4, Under(4))), 0x66 0: Roundss_xmm_xmmm32_imm8
      | VEX_Vroundss_xmm_xmm_xmmm32_imm8;
    Vector any(one(8, Under(8))), 0x66 0: Roundsd_xmm_xmmm64_imm8
      | VEX_Vroundsd_xmm_xmm_xmmm64_imm8;
    Vector any(one(4, All)), 0xf3 0: Cvttss2si_r32_xmmm32
      | VEX_Vcvttss2si_r32_xmmm32;
    Vector any(one(8, All)), 0xf2 0: Cvttsd2si_r32_xmmm64
      | VEX_Vcvttsd2si_r32_xmmm64;
    Vector any(one(4, All)), 0xf3 1: Cvttss2si_r64_xmmm32
      | VEX_Vcvttss2si_r64_xmmm32;
    Vector any(one(8, All)), 0xf2 1: Cvttsd2si_r64_xmmm64
      | VEX_Vcvttsd2si_r64_xmmm64;
    Vector any(compare(two(4, All))), 0 0: Ucomiss_xmm_xmmm32 Comiss_xmm_xmmm32
      | VEX_Vucomiss_xmm_xmmm32 VEX_Vcomiss_xmm_xmmm32;
    Vector any(compare(two(8, All))), 0x66 0: Ucomisd_xmm_xmmm64 Comisd_xmm_xmmm64
      | VEX_Vucomisd_xmm_xmmm64 VEX_Vcomisd_xmm_xmmm64;
    // Lane by lane.
    Vector two(4, Constant), 0 0: Xorps_xmm_xmmm128
      | VEX_Vxorps_xmm_xmm_xmmm128;
    Vector two(4, Lanes), 0 0: Andps_xmm_xmmm128 Andnps_xmm_xmmm128 Orps_xmm_xmmm128 Addps_xmm_xmmm128
        Subps_xmm_xmmm128 Mulps_xmm_xmmm128 Divps_xmm_xmmm128 Minps_xmm_xmmm128 Maxps_xmm_xmmm128
        Cmpps_xmm_xmmm128_imm8
      | VEX_Vandps_xmm_xmm_xmmm128 VEX_Vandnps_xmm_xmm_xmmm128 VEX_Vorps_xmm_xmm_xmmm128
        VEX_Vaddps_xmm_xmm_xmmm128 VEX_Vsubps_xmm_xmm_xmmm128 VEX_Vmulps_xmm_xmm_xmmm128
        VEX_Vdivps_xmm_xmm_xmmm128 VEX_Vminps_xmm_xmm_xmmm128 VEX_Vmaxps_xmm_xmm_xmmm128
        VEX_Vcmpps_xmm_xmm_xmmm128_imm8;
    Vector two(8, Lanes), 0x66 0: Addpd_xmm_xmmm128 Subpd_xmm_xmmm128 Mulpd_xmm_xmmm128
        Divpd_xmm_xmmm128 Minpd_xmm_xmmm128 Maxpd_xmm_xmmm128 Cmppd_xmm_xmmm128_imm8
      | VEX_Vaddpd_xmm_xmm_xmmm128 VEX_Vsubpd_xmm_xmm_xmmm128 VEX_Vmulpd_xmm_xmm_xmmm128
        VEX_Vdivpd_xmm_xmm_xmmm128 VEX_Vminpd_xmm_xmm_xmmm128 VEX_Vmaxpd_xmm_xmm_xmmm128
        VEX_Vcmppd_xmm_xmm_xmmm128_imm8;
    Vector one(4, Lanes), 0 0: Sqrtps_xmm_xmmm128 Cvtdq2ps_xmm_xmmm128
      | VEX_Vsqrtps_xmm_xmmm128 VEX_Vcvtdq2ps_xmm_xmmm128;
    Vector one(4, Lanes), 0xf3 0: Cvttps2dq_xmm_xmmm128
      | VEX_Vcvttps2dq_xmm_xmmm128;
    Vector one(8, Lanes), 0x66 0: Sqrtpd_xmm_xmmm128 Roundpd_xmm_xmmm128_imm8
      | VEX_Vsqrtpd_xmm_xmmm128 VEX_Vroundpd_xmm_xmmm128_imm8;
    Vector one(4, Lanes), 0x66 0: Roundps_xmm_xmmm128_imm8 Pabsb_xmm_xmmm128 Pabsw_xmm_xmmm128
        Pabsd_xmm_xmmm128
      | VEX_Vroundps_xmm_xmmm128_imm8 VEX_Vpabsb_xmm_xmmm128 VEX_Vpabsw_xmm_xmmm128
        VEX_Vpabsd_xmm_xmmm128;
    Vector two(4, Constant), 0x66 0: Pxor_xmm_xmmm128 Pcmpeqb_xmm_xmmm128 Pcmpeqw_xmm_xmmm128
        Pcmpeqd_xmm_xmmm128
      | VEX_Vpxor_xmm_xmm_xmmm128 VEX_Vpcmpeqb_xmm_xmm_xmmm128 VEX_Vpcmpeqw_xmm_xmm_xmmm128
        VEX_Vpcmpeqd_xmm_xmm_xmmm128;
    Vector two(8, Constant), 0x66 0: Pcmpeqq_xmm_xmmm128
      | VEX_Vpcmpeqq_xmm_xmm_xmmm128;
    Vector two(4, Lanes), 0x66 0: Pand_xmm_xmmm128 Pandn_xmm_xmmm128 Por_xmm_xmmm128 Paddb_xmm_xmmm128
        Paddw_xmm_xmmm128 Paddd_xmm_xmmm128 Psubb_xmm_xmmm128 Psubw_xmm_xmmm128 Psubd_xmm_xmmm128
        Paddsb_xmm_xmmm128 Paddsw_xmm_xmmm128 Paddusb_xmm_xmmm128 Paddusw_xmm_xmmm128 Psubsb_xmm_xmmm128
        Psubsw_xmm_xmmm128 Psubusb_xmm_xmmm128 Psubusw_xmm_xmmm128 Pmullw_xmm_xmmm128 Pmulhw_xmm_xmmm128
        Pmulhuw_xmm_xmmm128 Pmaddwd_xmm_xmmm128 Pmaddubsw_xmm_xmmm128 Pmulhrsw_xmm_xmmm128
        Pmulld_xmm_xmmm128 Pavgb_xmm_xmmm128 Pavgw_xmm_xmmm128 Pminsb_xmm_xmmm128 Pminub_xmm_xmmm128
        Pminsw_xmm_xmmm128 Pminuw_xmm_xmmm128 Pminsd_xmm_xmmm128 Pminud_xmm_xmmm128 Pmaxsb_xmm_xmmm128
        Pmaxub_xmm_xmmm128 Pmaxsw_xmm_xmmm128 Pmaxuw_xmm_xmmm128 Pmaxsd_xmm_xmmm128 Pmaxud_xmm_xmmm128
        Pcmpgtb_xmm_xmmm128 Pcmpgtw_xmm_xmmm128 Pcmpgtd_xmm_xmmm128 Pblendw_xmm_xmmm128_imm8
        Psllw_xmm_imm8 Pslld_xmm_imm8 Psrlw_xmm_imm8 Psrld_xmm_imm8 Psraw_xmm_imm8 Psrad_xmm_imm8
      | VEX_Vpand_xmm_xmm_xmmm128 VEX_Vpandn_xmm_xmm_xmmm128 VEX_Vpor_xmm_xmm_xmmm128
        VEX_Vpaddb_xmm_xmm_xmmm128 VEX_Vpaddw_xmm_xmm_xmmm128 VEX_Vpaddd_xmm_xmm_xmmm128
        VEX_Vpsubb_xmm_xmm_xmmm128 VEX_Vpsubw_xmm_xmm_xmmm128 VEX_Vpsubd_xmm_xmm_xmmm128
        VEX_Vpaddsb_xmm_xmm_xmmm128 VEX_Vpaddsw_xmm_xmm_xmmm128 VEX_Vpaddusb_xmm_xmm_xmmm128
        VEX_Vpaddusw_xmm_xmm_xmmm128 VEX_Vpsubsb_xmm_xmm_xmmm128 VEX_Vpsubsw_xmm_xmm_xmmm128
        VEX_Vpsubusb_xmm_xmm_xmmm128 VEX_Vpsubusw_xmm_xmm_xmmm128 VEX_Vpmullw_xmm_xmm_xmmm128
        VEX_Vpmulhw_xmm_xmm_xmmm128 VEX_Vpmulhuw_xmm_xmm_xmmm128 VEX_Vpmaddwd_xmm_xmm_xmmm128
        VEX_Vpmaddubsw_xmm_xmm_xmmm128 VEX_Vpmulhrsw_xmm_xmm_xmmm128 VEX_Vpmulld_xmm_xmm_xmmm128
        VEX_Vpavgb_xmm_xmm_xmmm128 VEX_Vpavgw_xmm_xmm_xmmm128 VEX_Vpminsb_xmm_xmm_xmmm128
        VEX_Vpminub_xmm_xmm_xmmm128 VEX_Vpminsw_xmm_xmm_xmmm128 VEX_Vpminuw_xmm_xmm_xmmm128
        VEX_Vpminsd_xmm_xmm_xmmm128 VEX_Vpminud_xmm_xmm_xmmm128 VEX_Vpmaxsb_xmm_xmm_xmmm128
        VEX_Vpmaxub_xmm_xmm_xmmm128 VEX_Vpmaxsw_xmm_xmm_xmmm128 VEX_Vpmaxuw_xmm_xmm_xmmm128
        VEX_Vpmaxsd_xmm_xmm_xmmm128 VEX_Vpmaxud_xmm_xmm_xmmm128 VEX_Vpcmpgtb_xmm_xmm_xmmm128
        VEX_Vpcmpgtw_xmm_xmm_xmmm128 VEX_Vpcmpgtd_xmm_xmm_xmmm128 VEX_Vpblendw_xmm_xmm_xmmm128_imm8
        VEX_Vpsllw_xmm_xmm_imm8 VEX_Vpslld_xmm_xmm_imm8 VEX_Vpsrlw_xmm_xmm_imm8 VEX_Vpsrld_xmm_xmm_imm8
        VEX_Vpsraw_xmm_xmm_imm8 VEX_Vpsrad_xmm_xmm_imm8;
    // A count is eight bytes wide whatever the lanes are.
    Vector two(8, Lanes), 0x66 0: Paddq_xmm_xmmm128 Psubq_xmm_xmmm128 Pmuludq_xmm_xmmm128
        Pmuldq_xmm_xmmm128 Psadbw_xmm_xmmm128 Psllw_xmm_xmmm128 Pslld_xmm_xmmm128 Psllq_xmm_xmmm128
        Psrlw_xmm_xmmm128 Psrld_xmm_xmmm128 Psrlq_xmm_xmmm128 Psraw_xmm_xmmm128 Psrad_xmm_xmmm128
        Psllq_xmm_imm8 Psrlq_xmm_imm8
      | VEX_Vpaddq_xmm_xmm_xmmm128 VEX_Vpsubq_xmm_xmm_xmmm128 VEX_Vpmuludq_xmm_xmm_xmmm128
        VEX_Vpmuldq_xmm_xmm_xmmm128 VEX_Vpsadbw_xmm_xmm_xmmm128 VEX_Vpsllw_xmm_xmm_xmmm128
        VEX_Vpslld_xmm_xmm_xmmm128 VEX_Vpsllq_xmm_xmm_xmmm128 VEX_Vpsrlw_xmm_xmm_xmmm128
        VEX_Vpsrld_xmm_xmm_xmmm128 VEX_Vpsrlq_xmm_xmm_xmmm128 VEX_Vpsraw_xmm_xmm_xmmm128
        VEX_Vpsrad_xmm_xmm_xmmm128 VEX_Vpsllq_xmm_xmm_imm8 VEX_Vpsrlq_xmm_xmm_imm8;
    // Across lanes.
    Vector two(16, All), 0 0: Unpckhps_xmm_xmmm128
      | VEX_Vunpckhps_xmm_xmm_xmmm128;
    Vector two(16, All), 0x66 0: Unpckhpd_xmm_xmmm128 Punpckhbw_xmm_xmmm128 Punpckhwd_xmm_xmmm128
        Punpckhdq_xmm_xmmm128 Punpckhqdq_xmm_xmmm128 Packsswb_xmm_xmmm128 Packssdw_xmm_xmmm128
        Packuswb_xmm_xmmm128 Packusdw_xmm_xmmm128 Pshufb_xmm_xmmm128 Palignr_xmm_xmmm128_imm8
        Pslldq_xmm_imm8 Psrldq_xmm_imm8
      | VEX_Vunpckhpd_xmm_xmm_xmmm128 VEX_Vpunpckhbw_xmm_xmm_xmmm128 VEX_Vpunpckhwd_xmm_xmm_xmmm128
        VEX_Vpunpckhdq_xmm_xmm_xmmm128 VEX_Vpunpckhqdq_xmm_xmm_xmmm128 VEX_Vpacksswb_xmm_xmm_xmmm128
        VEX_Vpackssdw_xmm_xmm_xmmm128 VEX_Vpackuswb_xmm_xmm_xmmm128 VEX_Vpackusdw_xmm_xmm_xmmm128
        VEX_Vpshufb_xmm_xmm_xmmm128 VEX_Vpalignr_xmm_xmm_xmmm128_imm8 VEX_Vpslldq_xmm_xmm_imm8
        VEX_Vpsrldq_xmm_xmm_imm8;
    Vector two(8, All), 0 0: Unpcklps_xmm_xmmm128 Movlhps_xmm_xmm
      | VEX_Vunpcklps_xmm_xmm_xmmm128 VEX_Vmovlhps_xmm_xmm_xmm;
    Vector two(8, All), 0x66 0: Unpcklpd_xmm_xmmm128 Punpcklbw_xmm_xmmm128 Punpcklwd_xmm_xmmm128
        Punpckldq_xmm_xmmm128 Punpcklqdq_xmm_xmmm128
      | VEX_Vunpcklpd_xmm_xmm_xmmm128 VEX_Vpunpcklbw_xmm_xmm_xmmm128 VEX_Vpunpcklwd_xmm_xmm_xmmm128
        VEX_Vpunpckldq_xmm_xmm_xmmm128 VEX_Vpunpcklqdq_xmm_xmm_xmmm128;
    Vector one(16, All), 0x66 0: Cvttpd2dq_xmm_xmmm128 Cvtpd2ps_xmm_xmmm128
      | VEX_Vcvttpd2dq_xmm_xmmm128 VEX_Vcvtpd2ps_xmm_xmmm128;
    Vector one(16, All), 0xf2 0: Pshuflw_xmm_xmmm128_imm8
      | VEX_Vpshuflw_xmm_xmmm128_imm8;
    Vector one(16, All), 0xf3 0: Pshufhw_xmm_xmmm128_imm8
      | VEX_Vpshufhw_xmm_xmmm128_imm8;
    Shuffle one(4, All), 0x66 0: Pshufd_xmm_xmmm128_imm8
      | VEX_Vpshufd_xmm_xmmm128_imm8;
    Shuffle two(4, All), 0 0: Shufps_xmm_xmmm128_imm8
      | VEX_Vshufps_xmm_xmm_xmmm128_imm8;
    Shuffle two(8, All), 0x66 0: Shufpd_xmm_xmmm128_imm8
      | VEX_Vshufpd_xmm_xmm_xmmm128_imm8;
    Vector any(one(8, All)), 0 0: Cvtps2pd_xmm_xmmm64
      | VEX_Vcvtps2pd_xmm_xmmm64;
    Vector any(one(8, All)), 0xf3 0: Cvtdq2pd_xmm_xmmm64
      | VEX_Vcvtdq2pd_xmm_xmmm64;
    Vector any(one(8, All)), 0xf2 0: Movddup_xmm_xmmm64
      | VEX_Vmovddup_xmm_xmmm64;
    Vector any(one(8, All)), 0x66 0: Pmovsxbw_xmm_xmmm64 Pmovsxwd_xmm_xmmm64 Pmovsxdq_xmm_xmmm64
        Pmovzxbw_xmm_xmmm64 Pmovzxwd_xmm_xmmm64 Pmovzxdq_xmm_xmmm64
      | VEX_Vpmovsxbw_xmm_xmmm64 VEX_Vpmovsxwd_xmm_xmmm64 VEX_Vpmovsxdq_xmm_xmmm64
        VEX_Vpmovzxbw_xmm_xmmm64 VEX_Vpmovzxwd_xmm_xmmm64 VEX_Vpmovzxdq_xmm_xmmm64;
    Vector any(one(4, All)), 0x66 0: Pmovsxbd_xmm_xmmm32 Pmovsxwq_xmm_xmmm32 Pmovsxbq_xmm_xmmm16
        Pmovzxbd_xmm_xmmm32 Pmovzxwq_xmm_xmmm32 Pmovzxbq_xmm_xmmm16
      | VEX_Vpmovsxbd_xmm_xmmm32 VEX_Vpmovsxwq_xmm_xmmm32 VEX_Vpmovsxbq_xmm_xmmm16
        VEX_Vpmovzxbd_xmm_xmmm32 VEX_Vpmovzxwq_xmm_xmmm32 VEX_Vpmovzxbq_xmm_xmmm16;
    Vector compare(two(16, All)), 0x66 0: Ptest_xmm_xmmm128
      | VEX_Vptest_xmm_xmmm128;

    // Those that have no legacy form, or another one.
    Vector one(4, Lanes), 0 0: | VEX_Vpblendvb_xmm_xmm_xmmm128_xmm VEX_Vblendvps_xmm_xmm_xmmm128_xmm
        VEX_Vmovsd_m64_xmm;
    Vector one(8, Lanes), 0 0: | VEX_Vblendvpd_xmm_xmm_xmmm128_xmm VEX_Vpcmpgtq_xmm_xmm_xmmm128;
    Vector one(4, Under(4)), 0 0: | VEX_Vmovss_xmm_xmm_xmm;
    Vector one(8, Under(8)), 0 0: | VEX_Vmovsd_xmm_xmm_xmm;
    Vector one(4, Move(8)), 0 0: | VEX_Vmovsd_xmm_m64;
    Vector one(4, All), 0 0: | VEX_Vmovss_xmm_m32 VEX_Vmovss_m32_xmm VEX_Vbroadcastss_xmm_m32;
    Shuffle one(4, All), 0 0: | VEX_Vpermilps_xmm_xmmm128_imm8;
    Vector Row { aligned: true, ..avx(4, Lanes) }, 0 0: VEX_Vmovaps_xmm_xmmm128 |;
    Vector avx2(4, All), 0 0: VEX_Vpbroadcastb_xmm_xmmm8 VEX_Vpbroadcastw_xmm_xmmm16
        VEX_Vpbroadcastd_xmm_xmmm32 VEX_Vbroadcastss_xmm_xmm |;
    Vector avx2(8, All), 0 0: VEX_Vpbroadcastq_xmm_xmmm64 |;
    Vector avx2(4, Lanes), 0 0: VEX_Vpblendd_xmm_xmm_xmmm128_imm8 VEX_Vpsllvd_xmm_xmm_xmmm128
        VEX_Vpsrlvd_xmm_xmm_xmmm128 VEX_Vpsravd_xmm_xmm_xmmm128 |;
    Vector avx2(8, Lanes), 0 1: VEX_Vpsllvq_xmm_xmm_xmmm128 VEX_Vpsrlvq_xmm_xmm_xmmm128 |;
    Vector fma(4, Lanes), 0 0: VEX_Vfmadd132ps_xmm_xmm_xmmm128 VEX_Vfmadd213ps_xmm_xmm_xmmm128
        VEX_Vfmadd231ps_xmm_xmm_xmmm128 VEX_Vfnmadd132ps_xmm_xmm_xmmm128
        VEX_Vfnmadd213ps_xmm_xmm_xmmm128 VEX_Vfnmadd231ps_xmm_xmm_xmmm128 |;
    Vector fma(8, Lanes), 0 1: VEX_Vfmadd132pd_xmm_xmm_xmmm128 VEX_Vfmadd213pd_xmm_xmm_xmmm128
        VEX_Vfmadd231pd_xmm_xmm_xmmm128 VEX_Vfnmadd132pd_xmm_xmm_xmmm128
        VEX_Vfnmadd213pd_xmm_xmm_xmmm128 VEX_Vfnmadd231pd_xmm_xmm_xmmm128 |;
} }

impl Function<'_> {
    /// Any instruction with vector registers.
    pub(crate) fn step_vector(&mut self, row: &Row) -> Check<Next> {
        let gives = row.vector.gives;
        let rest = usize::from(row.vex && row.first == First::Write);
        let only_rest = matches!(gives, Under(_) | Move(_)) && row.vex;
        let (mut least, mut loads) = (XMM_BYTES, false);
        if !(gives == Constant && self.is_of_equal(row)) {
            for i in usize::from(row.first == First::Write)..self.op.operands.len() {
                let defined = match self.op.operands[i] {
                    Operand::None => break,
                    Operand::Immediate => continue,
                    Operand::Xmm(_) if only_rest && i == rest && self.op.operands[2] != Operand::None => {
                        continue;
                    }
                    Operand::Xmm(number) => self.state.vectors[usize::from(number)],
                    Operand::Memory => {
                        loads = true;
                        let place = self.operand_place(row)?;
                        self.load_vector(place, self.op.width.into())?
                    }
                    _ => {
                        self.data(i, row)?;
                        XMM_BYTES
                    }
                };
                let needed = self.bytes_read(row, i);
                if defined < needed {
                    return refuse(
                        Rule::Undefined,
                        format!("operand {i} needs {needed} bytes, {defined} are written"),
                    );
                }
                least = least.min(defined);
            }
        }
        self.set_flags(row, Fact::Nothing);
        let kept = match self.op.operands[rest] {
            Operand::Xmm(number) => self.state.vectors[usize::from(number)],
            _ => 0,
        };
        let defined = match gives {
            All => XMM_BYTES,
            Lanes | Constant => least,
            Low(bytes) | Under(bytes) => kept.max(bytes),
            Move(_) if loads => least,
            Move(bytes) if least < bytes => least,
            Move(bytes) => kept.max(bytes),
        };
        match self.op.operands[0] {
            _ if row.first == First::Read => {}
            Operand::Xmm(number) => self.state.vectors[usize::from(number)] = defined,
            Operand::Memory => {
                let place = self.operand_place(row)?;
                self.store_vector(place, self.op.width.into(), defined)?;
            }
            _ => self.write(0, Kind::Any, row)?,
        }
        Ok(Next::Continue)
    }

    /// Whether both sources are the same register.
    fn is_of_equal(&self, row: &Row) -> bool {
        let [a, b, c, _] = self.op.operands;
        let (left, right) = if row.vex { (b, c) } else { (a, b) };
        left == right && matches!(left, Operand::Xmm(_))
    }

    /// How many low bytes of a vector source the result depends on.
    fn bytes_read(&self, row: &Row, operand: usize) -> u8 {
        let lowest = match row.form {
            Form::Shuffle => self.op.value == 0,
            // The two highest bits choose the lane of the last register.
            Form::Insert => self.op.value < 64 && operand == 1 + usize::from(row.vex),
            _ => true,
        };
        if lowest { row.vector.reads } else { XMM_BYTES }
    }
}
