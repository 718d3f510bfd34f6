//! Vector registers: the rows of their instructions, and the one transfer function of all of them.
//!
//! Requires what `rows` and `transfer` require. Guarantees that of a vector register no byte is seen
//! that this activation did not write: a state says how many low bytes of each are defined, and a row
//! how many of each source decide what it computes. Deliberately has no row for the upper half of
//! `ymm` registers, gathers, masked and non-temporal moves, approximations (which tell processors
//! apart), and `mxcsr`.

use crate::domain::{FLAGS, Kind, XMM_BYTES};
use crate::function::Function;
use crate::rows::{CODES, D, DQ, Feature, First, Form, Q, RW, Row, Widths, add};
use crate::stems::Operand;
use crate::violation::{Check, Rule, ensure};
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
    let mut row = RW;
    (row.aligned, row.vector) = (true, Vector { reads, gives });
    row
}
/// `op xmm, xmm/m128`, of which the first is only written.
const fn one(reads: u8, gives: Gives) -> Row {
    two(reads, gives).with_first(First::Write)
}
/// The memory operand, if there is one, need not be aligned.
const fn any(mut row: Row) -> Row {
    row.aligned = false;
    row
}
/// The VEX form of a row: the destination is apart from the sources, and memory need not be aligned.
const fn twin(row: Row) -> Row {
    let first = match row.first {
        First::Read => First::Read,
        _ => First::Write,
    };
    any(row).with_first(first).vex(Feature::Avx)
}
/// VEX forms without another.
const fn avx(reads: u8, gives: Gives) -> Row {
    twin(one(reads, gives))
}
const fn avx2(reads: u8, gives: Gives) -> Row {
    avx(reads, gives).need(Feature::Avx2)
}
const fn fma(reads: u8, gives: Gives) -> Row {
    avx(reads, gives).with_first(First::ReadWrite).need(Feature::Fma)
}
/// Two sources and no destination but flags.
const fn compare(row: Row) -> Row {
    row.with_first(First::Read).with_flags(FLAGS, 0)
}

/// Adds the rows of forms, and those of their VEX twins, whose numbers are so much larger, if they have any.
const fn pair(rows: &mut [Row; CODES], form: Form, group: Row, widths: Widths, codes: &[Code], larger: u16) {
    add(rows, form, group, widths, codes, 0);
    if larger != 0 {
        add(rows, form, twin(group), widths, codes, larger);
    }
}

/// Each line: form, group, legacy prefix, widths + how much larger the numbers of the twins are, forms.
macro_rules! pairs {
    ($rows:expr; $($form:ident $group:expr, $prefix:literal $widths:ident + $larger:literal:
        $($code:ident)*;)*) => {{
        $(pair($rows, Form::$form, $group.with_prefix($prefix), $widths, &[$(Code::$code),*], $larger);)*
    }};
}

/// Adds the rows.
#[rustfmt::skip] // it would put each instruction form on a line of its own
pub(crate) const fn add_to(rows: &mut [Row; CODES]) { pairs! { rows;
    // Moves, and to and from general-purpose registers.
    Vector any(one(4, Move(4))), 0xf3 D+0: Movss_xmm_xmmm32 Movss_xmmm32_xmm;
    Vector any(one(4, Move(8))), 0xf2 D+0: Movsd_xmm_xmmm64 Movsd_xmmm64_xmm;
    Vector one(4, Lanes), 0 D+0: Movaps_xmm_xmmm128;
    Vector any(one(4, Lanes)), 0 D+1: Movups_xmm_xmmm128 Movups_xmmm128_xmm;
    Vector any(one(4, Lanes)), 0xf3 D+1: Movdqu_xmm_xmmm128 Movdqu_xmmm128_xmm;
    Vector any(one(4, All)), 0x66 D+2: Movd_xmm_rm32 Movd_rm32_xmm;
    Vector any(one(8, All)), 0x66 Q+2: Movq_xmm_rm64 Movq_rm64_xmm;
    Vector any(one(8, All)), 0xf3 D+1: Movq_xmm_xmmm64;
    Vector any(one(8, Under(8))), 0 D+2: Movlps_xmm_m64;
    Vector any(two(8, All)), 0 D+1: Movhps_xmm_m64;
    Vector any(one(8, All)), 0 D+1: Movlps_m64_xmm;
    Vector any(one(16, All)), 0 D+1: Movhps_m64_xmm;
    Vector any(one(16, All)), 0 D+2: Movmskps_r32_xmm;
    Vector any(one(16, All)), 0x66 D+2: Movmskpd_r32_xmm Pmovmskb_r32_xmm Pextrb_r32m8_xmm_imm8
        Pextrw_r32_xmm_imm8 Pextrw_r32m16_xmm_imm8 Pextrd_rm32_xmm_imm8;
    Vector any(one(16, All)), 0x66 Q+2: Pextrq_rm64_xmm_imm8;
    Vector any(two(16, All)), 0x66 D+2: Pinsrb_xmm_r32m8_imm8 Pinsrw_xmm_r32m16_imm8 Pinsrd_xmm_rm32_imm8;
    Vector any(two(16, All)), 0x66 Q+2: Pinsrq_xmm_rm64_imm8;
    Insert any(two(4, All)), 0x66 D+1: Insertps_xmm_xmmm32_imm8;
    // Scalar floats.
    Vector any(two(4, Low(4))), 0xf3 D+1: Addss_xmm_xmmm32 Subss_xmm_xmmm32 Mulss_xmm_xmmm32 Divss_xmm_xmmm32
        Minss_xmm_xmmm32 Maxss_xmm_xmmm32 Cmpss_xmm_xmmm32_imm8;
    Vector any(two(8, Low(8))), 0xf2 D+1: Addsd_xmm_xmmm64 Subsd_xmm_xmmm64 Mulsd_xmm_xmmm64 Divsd_xmm_xmmm64
        Minsd_xmm_xmmm64 Maxsd_xmm_xmmm64 Cmpsd_xmm_xmmm64_imm8;
    Vector any(one(4, Under(4))), 0xf3 D+1: Sqrtss_xmm_xmmm32;
    Vector any(one(4, Under(4))), 0xf3 DQ+2: Cvtsi2ss_xmm_rm32;
    Vector any(one(8, Under(8))), 0xf2 D+1: Sqrtsd_xmm_xmmm64;
    Vector any(one(8, Under(8))), 0xf2 DQ+2: Cvtsi2sd_xmm_rm32;
    Vector any(one(4, Under(8))), 0xf3 D+1: Cvtss2sd_xmm_xmmm32;
    Vector any(one(8, Under(4))), 0xf2 D+1: Cvtsd2ss_xmm_xmmm64;
    Vector any(one(4, Under(4))), 0x66 D+1: Roundss_xmm_xmmm32_imm8;
    Vector any(one(8, Under(8))), 0x66 D+1: Roundsd_xmm_xmmm64_imm8;
    Vector any(one(4, All)), 0xf3 DQ+2: Cvttss2si_r32_xmmm32;
    Vector any(one(8, All)), 0xf2 DQ+2: Cvttsd2si_r32_xmmm64;
    Vector any(compare(two(4, All))), 0 D+1: Ucomiss_xmm_xmmm32;
    Vector any(compare(two(4, All))), 0 D+2: Comiss_xmm_xmmm32;
    Vector any(compare(two(8, All))), 0x66 D+1: Ucomisd_xmm_xmmm64;
    Vector any(compare(two(8, All))), 0x66 D+2: Comisd_xmm_xmmm64;
    // Lane by lane.
    Vector two(4, Constant), 0 D+1: Xorps_xmm_xmmm128;
    Vector two(4, Lanes), 0 D+1: Andps_xmm_xmmm128 Andnps_xmm_xmmm128 Orps_xmm_xmmm128 Addps_xmm_xmmm128
        Subps_xmm_xmmm128 Mulps_xmm_xmmm128 Divps_xmm_xmmm128 Minps_xmm_xmmm128 Maxps_xmm_xmmm128
        Cmpps_xmm_xmmm128_imm8;
    Vector two(8, Lanes), 0x66 D+1: Addpd_xmm_xmmm128 Subpd_xmm_xmmm128 Mulpd_xmm_xmmm128 Divpd_xmm_xmmm128
        Minpd_xmm_xmmm128 Maxpd_xmm_xmmm128 Cmppd_xmm_xmmm128_imm8;
    Vector one(4, Lanes), 0 D+1: Sqrtps_xmm_xmmm128 Cvtdq2ps_xmm_xmmm128;
    Vector one(4, Lanes), 0xf3 D+1: Cvttps2dq_xmm_xmmm128;
    Vector one(8, Lanes), 0x66 D+1: Sqrtpd_xmm_xmmm128 Roundpd_xmm_xmmm128_imm8;
    Vector one(4, Lanes), 0x66 D+1: Roundps_xmm_xmmm128_imm8 Pabsb_xmm_xmmm128 Pabsw_xmm_xmmm128
        Pabsd_xmm_xmmm128;
    Vector two(4, Constant), 0x66 D+1: Pxor_xmm_xmmm128 Pcmpeqb_xmm_xmmm128 Pcmpeqw_xmm_xmmm128
        Pcmpeqd_xmm_xmmm128;
    Vector two(8, Constant), 0x66 D+1: Pcmpeqq_xmm_xmmm128;
    Vector two(4, Lanes), 0x66 D+1: Pand_xmm_xmmm128 Pandn_xmm_xmmm128 Por_xmm_xmmm128 Paddb_xmm_xmmm128
        Paddw_xmm_xmmm128 Paddd_xmm_xmmm128 Psubb_xmm_xmmm128 Psubw_xmm_xmmm128 Psubd_xmm_xmmm128
        Paddsb_xmm_xmmm128 Paddsw_xmm_xmmm128 Paddusb_xmm_xmmm128 Paddusw_xmm_xmmm128 Psubsb_xmm_xmmm128
        Psubsw_xmm_xmmm128 Psubusb_xmm_xmmm128 Psubusw_xmm_xmmm128 Pmullw_xmm_xmmm128 Pmulhw_xmm_xmmm128
        Pmulhuw_xmm_xmmm128 Pmaddwd_xmm_xmmm128 Pmaddubsw_xmm_xmmm128 Pmulhrsw_xmm_xmmm128 Pmulld_xmm_xmmm128
        Pavgb_xmm_xmmm128 Pavgw_xmm_xmmm128 Pminsb_xmm_xmmm128 Pminub_xmm_xmmm128 Pminsw_xmm_xmmm128
        Pminuw_xmm_xmmm128 Pminsd_xmm_xmmm128 Pminud_xmm_xmmm128 Pmaxsb_xmm_xmmm128 Pmaxub_xmm_xmmm128
        Pmaxsw_xmm_xmmm128 Pmaxuw_xmm_xmmm128 Pmaxsd_xmm_xmmm128 Pmaxud_xmm_xmmm128 Pcmpgtb_xmm_xmmm128
        Pcmpgtw_xmm_xmmm128 Pcmpgtd_xmm_xmmm128 Pblendw_xmm_xmmm128_imm8 Psllw_xmm_imm8 Pslld_xmm_imm8
        Psrlw_xmm_imm8 Psrld_xmm_imm8 Psraw_xmm_imm8 Psrad_xmm_imm8;
    // A count is eight bytes wide whatever the lanes are.
    Vector two(8, Lanes), 0x66 D+1: Paddq_xmm_xmmm128 Psubq_xmm_xmmm128 Pmuludq_xmm_xmmm128 Pmuldq_xmm_xmmm128
        Psadbw_xmm_xmmm128 Psllw_xmm_xmmm128 Pslld_xmm_xmmm128 Psllq_xmm_xmmm128 Psrlw_xmm_xmmm128
        Psrld_xmm_xmmm128 Psrlq_xmm_xmmm128 Psraw_xmm_xmmm128 Psrad_xmm_xmmm128 Psllq_xmm_imm8 Psrlq_xmm_imm8;
    // Across lanes.
    Vector two(16, All), 0 D+1: Unpckhps_xmm_xmmm128;
    Vector two(16, All), 0x66 D+1: Unpckhpd_xmm_xmmm128 Punpckhbw_xmm_xmmm128 Punpckhwd_xmm_xmmm128
        Punpckhdq_xmm_xmmm128 Punpckhqdq_xmm_xmmm128 Packsswb_xmm_xmmm128 Packssdw_xmm_xmmm128
        Packuswb_xmm_xmmm128 Packusdw_xmm_xmmm128 Pshufb_xmm_xmmm128 Palignr_xmm_xmmm128_imm8 Pslldq_xmm_imm8
        Psrldq_xmm_imm8;
    Vector two(8, All), 0 D+1: Unpcklps_xmm_xmmm128 Movlhps_xmm_xmm;
    Vector two(8, All), 0x66 D+1: Unpcklpd_xmm_xmmm128 Punpcklbw_xmm_xmmm128 Punpcklwd_xmm_xmmm128
        Punpckldq_xmm_xmmm128 Punpcklqdq_xmm_xmmm128;
    Vector one(16, All), 0x66 D+1: Cvttpd2dq_xmm_xmmm128 Cvtpd2ps_xmm_xmmm128;
    Vector one(16, All), 0xf2 D+1: Pshuflw_xmm_xmmm128_imm8;
    Vector one(16, All), 0xf3 D+1: Pshufhw_xmm_xmmm128_imm8;
    Shuffle one(4, All), 0x66 D+1: Pshufd_xmm_xmmm128_imm8;
    Shuffle two(4, All), 0 D+1: Shufps_xmm_xmmm128_imm8;
    Shuffle two(8, All), 0x66 D+1: Shufpd_xmm_xmmm128_imm8;
    Vector any(one(8, All)), 0 D+1: Cvtps2pd_xmm_xmmm64;
    Vector any(one(8, All)), 0xf3 D+1: Cvtdq2pd_xmm_xmmm64;
    Vector any(one(8, All)), 0xf2 D+1: Movddup_xmm_xmmm64;
    Vector any(one(8, All)), 0x66 D+1: Pmovsxbw_xmm_xmmm64 Pmovsxwd_xmm_xmmm64 Pmovsxdq_xmm_xmmm64
        Pmovzxbw_xmm_xmmm64 Pmovzxwd_xmm_xmmm64 Pmovzxdq_xmm_xmmm64;
    Vector any(one(4, All)), 0x66 D+1: Pmovsxbd_xmm_xmmm32 Pmovsxwq_xmm_xmmm32 Pmovsxbq_xmm_xmmm16
        Pmovzxbd_xmm_xmmm32 Pmovzxwq_xmm_xmmm32 Pmovzxbq_xmm_xmmm16;
    Vector compare(two(16, All)), 0x66 D+1: Ptest_xmm_xmmm128;
    // Those that have no legacy form, or another one.
    Vector avx(4, Lanes), 0 D+0: VEX_Vpblendvb_xmm_xmm_xmmm128_xmm VEX_Vblendvps_xmm_xmm_xmmm128_xmm
        VEX_Vmovsd_m64_xmm;
    Vector avx(8, Lanes), 0 D+0: VEX_Vblendvpd_xmm_xmm_xmmm128_xmm VEX_Vpcmpgtq_xmm_xmm_xmmm128;
    Vector avx(4, Under(4)), 0 D+0: VEX_Vmovss_xmm_xmm_xmm;
    Vector avx(8, Under(8)), 0 D+0: VEX_Vmovsd_xmm_xmm_xmm;
    Vector avx(4, Move(8)), 0 D+0: VEX_Vmovsd_xmm_m64;
    Vector avx(4, All), 0 D+0: VEX_Vmovss_xmm_m32 VEX_Vmovss_m32_xmm VEX_Vbroadcastss_xmm_m32;
    Shuffle avx(4, All), 0 D+0: VEX_Vpermilps_xmm_xmmm128_imm8;
    Vector Row { aligned: true, ..avx(4, Lanes) }, 0 D+0: VEX_Vmovaps_xmm_xmmm128;
    Vector avx2(4, All), 0 D+0: VEX_Vpbroadcastb_xmm_xmmm8 VEX_Vpbroadcastw_xmm_xmmm16
        VEX_Vpbroadcastd_xmm_xmmm32 VEX_Vbroadcastss_xmm_xmm;
    Vector avx2(8, All), 0 D+0: VEX_Vpbroadcastq_xmm_xmmm64;
    Vector avx2(4, Lanes), 0 D+0: VEX_Vpblendd_xmm_xmm_xmmm128_imm8 VEX_Vpsllvd_xmm_xmm_xmmm128
        VEX_Vpsrlvd_xmm_xmm_xmmm128 VEX_Vpsravd_xmm_xmm_xmmm128;
    Vector avx2(8, Lanes), 0 Q+0: VEX_Vpsllvq_xmm_xmm_xmmm128 VEX_Vpsrlvq_xmm_xmm_xmmm128;
    Vector fma(4, Lanes), 0 D+0: VEX_Vfmadd132ps_xmm_xmm_xmmm128 VEX_Vfmadd213ps_xmm_xmm_xmmm128
        VEX_Vfmadd231ps_xmm_xmm_xmmm128 VEX_Vfnmadd132ps_xmm_xmm_xmmm128 VEX_Vfnmadd213ps_xmm_xmm_xmmm128
        VEX_Vfnmadd231ps_xmm_xmm_xmmm128;
    Vector fma(8, Lanes), 0 Q+0: VEX_Vfmadd132pd_xmm_xmm_xmmm128 VEX_Vfmadd213pd_xmm_xmm_xmmm128
        VEX_Vfmadd231pd_xmm_xmm_xmmm128 VEX_Vfnmadd132pd_xmm_xmm_xmmm128 VEX_Vfnmadd213pd_xmm_xmm_xmmm128
        VEX_Vfnmadd231pd_xmm_xmm_xmmm128;
} }

impl Function<'_> {
    /// Any instruction with vector registers.
    pub(crate) fn step_vector(&mut self) -> Check<()> {
        let (row, operands) = (self.row, self.stem.operands);
        let gives = row.vector.gives;
        let is_apart = row.vex && row.first == First::Write;
        let rest = operands[usize::from(is_apart)];
        // Whether what the rest is taken from is no source otherwise.
        let skips_rest = row.vex && matches!(gives, Under(_) | Move(_)) && operands[2] != Operand::None;
        let is_of_equal = matches!(rest, Operand::Xmm(_)) && rest == operands[1 + usize::from(row.vex)];
        let (mut least, mut loads) = (XMM_BYTES, false);
        let sources = match gives == Constant && is_of_equal {
            true => 4..4,
            false => usize::from(row.first == First::Write)..4,
        };
        for i in sources {
            let defined = match operands[i] {
                Operand::None => break,
                Operand::Immediate => continue,
                Operand::Xmm(_) if skips_rest && i == usize::from(is_apart) => continue,
                Operand::Xmm(number) => self.state.vectors[usize::from(number)],
                Operand::Memory => {
                    loads = true;
                    let place = self.operand_place()?;
                    self.load_vector(place)?
                }
                _ => {
                    self.data(i)?;
                    XMM_BYTES
                }
            };
            let needed = self.bytes_read(i);
            ensure!(defined >= needed, Rule::Undefined =>
                "operand {i} needs {needed} bytes, {defined} are written");
            least = least.min(defined);
        }
        self.set_flags(None);
        let kept = match rest {
            Operand::Xmm(number) => self.state.vectors[usize::from(number)],
            _ => 0,
        };
        let defined = match gives {
            All => XMM_BYTES,
            Lanes | Constant => least,
            Low(bytes) | Under(bytes) => kept.max(bytes),
            Move(bytes) if loads || least < bytes => least,
            Move(bytes) => kept.max(bytes),
        };
        match operands[0] {
            _ if row.first == First::Read => Ok(()),
            Operand::Xmm(number) => {
                self.state.vectors[usize::from(number)] = defined;
                Ok(())
            }
            Operand::Memory => {
                let place = self.operand_place()?;
                self.store_vector(place, defined)
            }
            _ => self.write(0, Kind::Any),
        }
    }

    /// How many low bytes of a vector source the result depends on.
    fn bytes_read(&self, operand: usize) -> u8 {
        let is_lowest = match self.row.form {
            Form::Shuffle => self.op.value == 0,
            // The two highest bits choose the lane of the last register.
            Form::Insert => self.op.value < 64 && operand == 1 + usize::from(self.row.vex),
            _ => true,
        };
        if is_lowest {
            self.row.vector.reads
        } else {
            XMM_BYTES
        }
    }
}
