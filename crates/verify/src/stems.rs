//! Instructions by their stems, the bytes before displacement and immediate: there are few different
//! ones, so that most instructions need not be decoded and checked again.
//!
//! Requires the decoder's answer for what is kept. Guarantees that what is found is what decoding would
//! give: a processor reads an instruction from its first byte on, and the stem (prefixes, opcode, ModRM,
//! SIB) says everything of it but two numbers: its form, its registers, and how long the numbers are. So
//! a stem is found again only if nothing but these two follows it. Deliberately forgets all of them between
//! functions when they are too many.

use crate::domain::FLAGS;
use crate::rows::{First, Form, Row};
use cellwall_abi::TrapCode;
use cellwall_abi::convention::{BASE, CONTEXT, STACK};
use iced_x86::{Code, ConditionCode, ConstantOffsets, Instruction, OpKind, Register};

/// Bytes of a stem that is found again, at most.
const STEM_BYTES_MAX: u8 = 8;
/// More stems than these are not kept for the next function.
const KEPT_MAX: usize = 1 << 14;
/// One of so many bytes of code is room for a stem.
const CODE_BYTES_EACH: usize = 16;

/// An operand: where it is, and in what width.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) enum Operand {
    /// There is none.
    #[default]
    None,
    /// All of a general-purpose register, by its hardware number.
    R64(u8),
    /// Its low four bytes; the others become zero when it is written.
    R32(u8),
    /// Its low two bytes.
    R16(u8),
    /// Its low byte.
    R8(u8),
    /// A vector register.
    Xmm(u8),
    /// The bytes at an address.
    Memory,
    /// A constant.
    Immediate,
    /// Something that no row permits: a high byte, a segment, a far address.
    Other,
}

impl Operand {
    /// What iced-x86 calls a register.
    fn of(register: Register) -> Self {
        // Of the low byte of rsp, that of rsp.
        let number = register.full_register().number() as u8;
        match register {
            Register::None => Self::None,
            Register::AH | Register::CH | Register::DH | Register::BH => Self::Other,
            _ if register.is_gpr64() => Self::R64(number),
            _ if register.is_gpr32() => Self::R32(number),
            _ if register.is_gpr16() => Self::R16(number),
            _ if register.is_gpr8() => Self::R8(number),
            _ if register.is_xmm() && number < 16 => Self::Xmm(number),
            _ => Self::Other,
        }
    }

    /// The number of the register that it is (a part of).
    pub(crate) fn register(self) -> Option<u8> {
        match self {
            Self::R64(n) | Self::R32(n) | Self::R16(n) | Self::R8(n) | Self::Xmm(n) => Some(n),
            _ => None,
        }
    }
}

/// In place of the number of a base or index register: there is none.
pub(crate) const NO_REGISTER: u8 = 0xff;
/// In place of the number of a base register: the constants, at the displacement.
pub(crate) const CONSTANTS: u8 = 0xfe;

/// What is known of what a usual instruction writes.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) enum Written {
    /// It is data.
    #[default]
    Data,
    /// It is data of 32 bits.
    Narrow,
    /// At most the value of the instruction.
    UpToValue,
    /// It is the other register, or its low half.
    Copy,
    /// Nothing but flags, which say what a comparison says.
    Compared,
}

/// What instructions with equal stems have in common: all but their two numbers, and what the artifact
/// says of their places.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[repr(align(64))] // a cache line
pub(crate) struct Stem {
    /// The bytes of the stem, shifted up so that the other bits of a word are gone.
    bytes: u64,
    /// The bits of the immediate that count, once it is extended with its sign.
    mask: u64,
    /// Up to this displacement it is of the form that was found.
    pub(crate) usual_max: u32,
    /// The value of an instruction without immediate.
    pub(crate) value: u32,
    /// A displacement from minus half of this up to half of this has a shorter encoding.
    shorter: u16,
    pub(crate) code: Code,
    /// If it is usual, as bits of `Registers::data`: the registers that must hold data, those of them that
    /// must hold 32 bits, and the one that it writes.
    pub(crate) reads: u16,
    pub(crate) narrow: u16,
    pub(crate) writes: u16,
    pub(crate) written: Written,
    /// Likewise: which flags stay as they are, which are defined after it, and what a fault means.
    pub(crate) keeps: u8,
    pub(crate) sets: u8,
    pub(crate) trap: Option<TrapCode>,
    pub(crate) form: Form,
    pub(crate) operands: [Operand; 4],
    pub(crate) base: u8,
    pub(crate) index: u8,
    pub(crate) scale: u8,
    /// Bytes of the memory operand.
    width: u8,
    pub(crate) condition: ConditionCode,
    /// Bytes of the instruction.
    pub(crate) len: u8,
    /// Bytes before displacement and immediate.
    pub(crate) stem: u8,
    /// The other bits of a word.
    rest: u8,
    /// Bits of the displacement: 0, 8 or 32.
    displacement: u8,
    /// Bits of the immediate: 0, 8, 16, 32 or 64.
    immediate: u8,
    /// Whether what it is or does depends on its numbers in a way that is not said here.
    pub(crate) is_special: bool,
    /// Whether it uses the pinned pair, or enters a function through a pointer or directly.
    pub(crate) is_attached: bool,
}

const _: () = assert!(size_of::<Stem>() == 64);

impl Stem {
    /// Nothing: one bit never has two.
    fn nothing() -> Self {
        Self {
            bytes: 3,
            usual_max: u32::MAX,
            keeps: FLAGS,
            base: NO_REGISTER,
            index: NO_REGISTER,
            scale: 1,
            len: 1,
            stem: 1,
            rest: 63,
            ..Self::default()
        }
    }

    /// Of a decoded instruction.
    pub(crate) fn of(insn: &Instruction, offsets: ConstantOffsets, row: &Row) -> Self {
        let operand = |i| match insn.op_kind(i) {
            _ if i >= insn.op_count() => Operand::None,
            OpKind::Register => Operand::of(insn.op_register(i)),
            OpKind::Memory => Operand::Memory,
            _ if insn.try_immediate(i).is_ok() => Operand::Immediate,
            _ => Operand::Other,
        };
        let mut stem = Self {
            code: insn.code(),
            operands: [operand(0), operand(1), operand(2), operand(3)],
            form: row.form,
            ..Self::nothing()
        };
        if stem.operands.contains(&Operand::Memory) {
            stem.width = insn.memory_size().size() as u8;
            stem.scale = insn.memory_index_scale() as u8;
            stem.index = number(insn.memory_index());
            stem.base = match insn.memory_base() {
                Register::RIP => CONSTANTS,
                base => number(base),
            };
        }
        if matches!(row.form, Form::Branch | Form::Set | Form::Cmov) {
            stem.condition = insn.condition_code();
        }
        stem.set_numbers(insn, offsets);
        stem.set_usual(row);
        // What holds a pointer through which something could be called or read came from the context, and
        // the pair is only ever a base.
        stem.is_attached = matches!(stem.base, BASE | CONTEXT) || stem.is_call();
        stem.is_special |= stem.is_target() || stem.base == CONSTANTS;
        stem
    }

    /// Where its numbers are, and what they mean.
    fn set_numbers(&mut self, insn: &Instruction, offsets: ConstantOffsets) {
        let (displacement, immediate) = (offsets.displacement_size(), offsets.immediate_size());
        let width = match self.operands[0] {
            Operand::R64(_) => 8,
            Operand::R32(_) => 4,
            Operand::R16(_) => 2,
            Operand::Memory => usize::from(self.width.clamp(1, 8)),
            _ => 1,
        };
        let is_unsigned = insn.op_kinds().any(|kind| {
            use OpKind::{Immediate8, Immediate16, Immediate32, Immediate64};
            matches!(kind, Immediate8 | Immediate16 | Immediate32 | Immediate64)
        });
        let counted = match () {
            () if self.is_target() => 8,
            () if immediate == 0 => 0,
            () if is_unsigned => immediate.min(width),
            () => width,
        };
        self.mask = u64::MAX.unbounded_shr(64 - 8 * counted as u32);
        self.shorter = match displacement {
            1 if self.base & 7 != 5 => 1,
            // Without a base register there is only the long one.
            4 if self.base != NO_REGISTER && self.base != CONSTANTS => 256,
            _ => 0,
        };
        self.len = insn.len() as u8;
        self.stem = match (displacement, immediate) {
            (0, 0) => insn.len() as u8,
            (0, _) => offsets.immediate_offset() as u8,
            (..) => offsets.displacement_offset() as u8,
        };
        (self.displacement, self.immediate) = (8 * displacement as u8, 8 * immediate as u8);
    }

    /// Finds the form that is in no row, but is most of all code: what it is proven by holds nearly
    /// always, and is prepared here.
    fn set_usual(&mut self, row: &Row) {
        use Form::{Add, Compare, Lea, Move, Plain, Shl, SignExtend, Sub, Test, Xor, ZeroExtend};
        use Operand::{Immediate, Memory, R8, R16, R32, R64};
        let [a, b, ..] = self.operands;
        self.reads = match row.form {
            Lea => bit(self.base) | bit(self.index),
            _ => reads(&self.operands, row),
        };
        let to = match a {
            R64(to) | R32(to) if !matches!(to, STACK | BASE | CONTEXT) => Some(to),
            _ => None,
        };
        let is_in_frame = self.base == STACK && self.index == NO_REGISTER;
        let written = match (row.form, a, b) {
            (Move, R64(_), Memory) if is_in_frame => {
                self.form = Form::Reload;
                return;
            }
            (Move, Memory, R64(_)) if is_in_frame => {
                self.form = Form::Spill;
                return;
            }
            (Move, Memory, R64(_) | R32(_) | R16(_) | R8(_) | Immediate) => Written::Data,
            (_, Memory, _) if row.form != Test => return,
            (Move, _, Immediate) => Written::UpToValue,
            (Move, _, R64(_) | R32(_)) => Written::Copy,
            (Compare, ..) if !self.operands.contains(&Memory) => Written::Compared,
            (Sub | Xor, ..) if a == b && to.is_some() => {
                self.reads = 0;
                Written::UpToValue
            }
            (ZeroExtend, ..) => {
                self.value = match b {
                    R8(_) => 0xff,
                    Memory if self.width == 1 => 0xff,
                    _ => 0xffff,
                };
                Written::UpToValue
            }
            (Move, _, Memory) | (Plain | Lea | Add | Sub | Xor | SignExtend | Test, ..) => Written::Data,
            (Shl, ..) if !row.w && self.immediate != 0 => Written::Data,
            _ => return,
        };
        if row.form != Lea && self.operands.contains(&Memory) {
            let is_usual = self.base == BASE && (self.index == NO_REGISTER || self.scale == 1);
            if !is_usual {
                return;
            }
            (self.narrow, self.trap) = (bit(self.index), Some(TrapCode::MemoryOutOfBounds));
        }
        if a != Memory && row.first != First::Read {
            let Some(to) = to else { return };
            self.writes = bit(to);
        }
        // Shifts by some constants do something else.
        self.is_special = row.flags.unless_zero;
        (self.keeps, self.sets) = (row.flags.keeps, row.flags.sets);
        self.written = match (a, written) {
            (R32(_), Written::Data) => Written::Narrow,
            _ => written,
        };
        self.form = Form::Usual;
    }

    /// Restricts the usual form to displacements with which an access stays inside memory 0, of which so
    /// many bytes are it or fault, if its index has 32 bits. A negative one is larger than any.
    pub(crate) fn limit_to(&mut self, reach: u64, row: &Row) {
        let index_max = if self.narrow == 0 { 0 } else { u32::MAX };
        let end = u64::from(index_max) + u64::from(self.width);
        match reach.checked_sub(end) {
            Some(rest) => self.usual_max = rest.min(i32::MAX as u64) as u32,
            None => self.form = row.form,
        }
    }

    /// Bytes of the memory operand.
    #[inline]
    pub(crate) fn width(&self) -> u32 {
        self.width.into()
    }

    /// Whether it is a call.
    #[inline]
    pub(crate) fn is_call(&self) -> bool {
        matches!(self.form, Form::Call | Form::CallIndirect)
    }

    /// Whether the immediate is the distance to where it goes.
    #[inline]
    pub(crate) fn is_target(&self) -> bool {
        matches!(self.form, Form::Branch | Form::Jump | Form::Call)
    }

    /// Displacement and immediate, of which these are the first bytes; 0 where there is none.
    #[inline]
    pub(crate) fn numbers(&self, bytes: u64) -> (i32, u64) {
        let displacement = extended(bytes, self.displacement);
        let displacement = if self.displacement == 0 { 0 } else { displacement };
        let immediate = extended(bytes >> (self.displacement & 63), self.immediate);
        (displacement as i32, immediate & self.mask)
    }

    /// Whether the displacement could have a shorter encoding.
    #[inline]
    pub(crate) fn is_too_long(&self, displacement: i32) -> bool {
        let shorter = u32::from(self.shorter);
        (displacement as u32).wrapping_add(shorter / 2) < shorter
    }
}

/// The low bits, extended with their sign; anything if there are none.
#[inline]
fn extended(bytes: u64, bits: u8) -> u64 {
    let rest = (64 - u32::from(bits)) & 63;
    ((bytes << rest) as i64 >> rest) as u64
}

/// The stems of one artifact that occurred before, as far as they are kept.
#[derive(Default)]
pub(crate) struct Stems {
    /// By number; the first is [`Stem::nothing`].
    known: Vec<Stem>,
    /// Numbers and bytes of those that are found again, each in one of two places.
    places: Vec<u32>,
}

impl Stems {
    /// Makes room for those of another function of an artifact with so many bytes of code.
    pub(crate) fn make_room(&mut self, text_bytes: usize) {
        if self.known.is_empty() || self.known.len() > KEPT_MAX {
            let places = (text_bytes / CODE_BYTES_EACH).next_power_of_two();
            self.known.clear();
            self.known.shrink_to(2 * KEPT_MAX);
            self.known.push(Stem::nothing());
            self.places.clear();
            self.places.resize(places.clamp(2, KEPT_MAX), 0);
        }
    }

    /// All of them, by their numbers.
    #[inline]
    pub(crate) fn known(&self) -> &[Stem] {
        &self.known
    }

    /// The stem of the instruction with these first bytes, if it is known; its number, and its bytes.
    #[inline]
    pub(crate) fn find(&self, bytes: u64) -> Option<(u32, u8, &Stem)> {
        let at = self.place(bytes << (guess(bytes) & 63));
        // By its own length, whatever was guessed.
        let known = |at: usize| {
            let (id, len) = (self.places[at] >> 8, self.places[at] as u8);
            let stem = &self.known[id as usize];
            (bytes << (stem.rest & 63) == stem.bytes).then_some((id, len, stem))
        };
        known(at).or_else(|| known(at ^ 1))
    }

    /// Adds the stem of the instruction with these first bytes; its number.
    #[cold]
    pub(crate) fn add(&mut self, bytes: u64, mut stem: Stem) -> u32 {
        let id = self.known.len() as u32;
        let numbers = (stem.displacement + stem.immediate) / 8;
        if stem.stem <= STEM_BYTES_MAX && stem.stem + numbers == stem.len && id <= u32::MAX >> 8 {
            stem.rest = 64 - 8 * stem.stem;
            stem.bytes = bytes << stem.rest;
            let at = self.place(stem.bytes);
            let is_taken = self.places[at] != 0 && self.places[at ^ 1] == 0;
            self.places[at ^ usize::from(is_taken)] = id << 8 | u32::from(stem.len);
        }
        self.known.push(stem);
        id
    }

    #[inline]
    fn place(&self, stem: u64) -> usize {
        (stem.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48) as usize & (self.places.len() - 1)
    }
}

/// In [`STARTS`]: a ModRM byte follows.
const MODRM: u8 = 0x80;

/// By the first two bytes: the bits of prefix and opcode, and what follows; 0 if the first is a prefix and
/// the second no opcode.
static STARTS: [[u8; 256]; 256] = {
    let (mut table, mut prefixed, mut long) = ([[0; 256]; 256], [0; 256], [MODRM | 16; 256]);
    let mut i = 0;
    while i < 256 {
        let bits = match i {
            0x0f | 0x40..=0x4f | 0x66 | 0xf0 | 0xf2 | 0xf3 => 0,
            0x70..=0x7f | 0x90..=0x9f | 0xa8 | 0xa9 | 0xb0..=0xbf | 0xc3 | 0xe8..=0xeb => 8,
            0xc4 => MODRM | 32,
            0xc5 => MODRM | 24,
            _ if i < 0x40 && i & 7 >= 4 => 8,
            _ => MODRM | 8,
        };
        table[i] = [bits; 256];
        prefixed[i] = if bits == 0 { 0 } else { bits + 8 };
        match i {
            0x0b | 0x80..=0x8f | 0xc8..=0xcf => long[i] = 16,
            0x38 | 0x3a => long[i] = MODRM | 24,
            _ => {}
        }
        i += 1;
    }
    i = 0;
    while i < 256 {
        if table[i][0] == 0 {
            table[i] = prefixed;
        }
        i += 1;
    }
    table[0x0f] = long;
    table
};

/// By ModRM: the bits of it and of SIB.
static MODRMS: [u8; 256] = {
    let mut table = [8; 256];
    let mut i = 4;
    while i < 0xc0 {
        table[i] = 16;
        i += 8;
    }
    table
};

/// How many of these bits are not of the stem of an instruction that starts with them, most likely. Whatever
/// it says, only a stem that is equal byte by byte is found.
#[inline]
fn guess(mut bytes: u64) -> u8 {
    let start = |bytes: u64| STARTS[usize::from(bytes as u8)][usize::from((bytes >> 8) as u8)];
    let (mut bits, mut before) = (start(bytes), 0);
    while bits == 0 && before < 24 {
        bytes >>= 8;
        before += 8;
        bits = start(bytes);
    }
    let modrm = MODRMS[usize::from((bytes >> (bits & 0x38)) as u8)];
    let modrm = if bits >= MODRM { modrm } else { 0 };
    64u8.wrapping_sub(before + bits % MODRM + modrm)
}

/// The registers that operands which are read are, as bits of `Registers::data`.
fn reads(operands: &[Operand; 4], row: &Row) -> u16 {
    let mut reads = 0;
    for (i, &operand) in operands.iter().enumerate() {
        reads |= match operand {
            _ if i == 0 && row.first == First::Write => 0,
            Operand::R64(n) | Operand::R32(n) | Operand::R16(n) | Operand::R8(n) => 1 << n,
            Operand::None | Operand::Immediate | Operand::Memory => 0,
            Operand::Xmm(_) | Operand::Other => u16::MAX,
        };
    }
    reads
}

/// The bit of an address register in `Registers::data`.
fn bit(register: u8) -> u16 {
    match register {
        NO_REGISTER => 0,
        0..16 => 1 << register,
        _ => u16::MAX,
    }
}

/// The hardware number of an address register.
fn number(register: Register) -> u8 {
    match Operand::of(register) {
        Operand::R64(number) => number,
        _ => NO_REGISTER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::window;
    use crate::rows::row;
    use iced_x86::{Decoder, DecoderOptions};

    /// What it is, and its stem.
    fn decoded(code: &[u8]) -> Option<(Instruction, Stem)> {
        let mut decoder = Decoder::new(64, code, DecoderOptions::NONE);
        let insn = decoder.decode();
        if insn.is_invalid() || row(insn.code()).form == Form::Refused {
            return None;
        }
        let offsets = decoder.get_constant_offsets(&insn);
        Some((insn, Stem::of(&insn, offsets, row(insn.code()))))
    }

    /// Displacement and immediate, by the decoder: the immediate in the width of the first operand.
    fn numbers(insn: &Instruction, stem: &Stem) -> (i32, u64) {
        let width = match stem.operands[0] {
            Operand::R64(_) => 8,
            Operand::R32(_) => 4,
            Operand::R16(_) => 2,
            Operand::Memory => u32::from(stem.width.clamp(1, 8)),
            _ => 1,
        };
        let immediate = (0..insn.op_count()).find_map(|i| match insn.op_kind(i) {
            OpKind::NearBranch64 => Some(insn.near_branch64().wrapping_sub(insn.next_ip())),
            _ => Some(insn.try_immediate(i).ok()? & (u64::MAX >> (64 - 8 * width))),
        });
        let displacement = match insn.op_kinds().any(|kind| kind == OpKind::Memory) {
            true if insn.is_ip_rel_memory_operand() => {
                insn.memory_displacement64().wrapping_sub(insn.next_ip())
            }
            true => insn.memory_displacement64(),
            false => 0,
        };
        (displacement as i32, immediate.unwrap_or(0))
    }

    /// Code of few different bytes, so that much of it occurs again, with other bytes behind it.
    #[test]
    fn what_is_found_is_what_decoding_gives() {
        const BYTES: [u8; 32] = [
            0x48, 0x41, 0x8b, 0x89, 0x00, 0x01, 0xc0, 0x44, 0x24, 0x0f, 0xb6, 0xc5, 0xf8, 0x66, 0x83, 0xb8,
            0xc1, 0xc7, 0x81, 0x05, 0xe8, 0x74, 0x84, 0xc4, 0xe3, 0x79, 0x3a, 0xf2, 0x80, 0xff, 0x7f, 0xeb,
        ];
        let mut stems = Stems::default();
        stems.make_room(1 << 20);
        let (mut state, mut found, mut kept) = (0x9e37_79b9_7f4a_7c15u64, 0, 0);
        for _ in 0..200_000 {
            let code: [u8; 24] = std::array::from_fn(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                BYTES[(state >> 59) as usize]
            });
            let bytes = window(&code, 0) as u64;
            let expected = decoded(&code[..15]);
            if let Some((_, len, stem)) = stems.find(bytes) {
                assert_eq!(len, stem.len);
                let (insn, expected) = expected.expect("it was decoded once");
                let Stem { bytes, rest, .. } = *stem;
                let expected = Stem {
                    bytes,
                    rest,
                    ..expected
                };
                assert!(*stem == expected, "{code:02x?}");
                let answer = stem.numbers(window(&code, stem.stem.into()) as u64);
                assert_eq!(answer, numbers(&insn, stem), "{code:02x?}");
                found += 1;
            } else if let Some((_, stem)) = expected {
                stems.add(bytes, stem);
                kept += 1;
            }
        }
        assert!(found > 20_000 && kept > 5_000, "{found} {kept}");
    }

    #[test]
    fn nothing_is_found_where_nothing_was_kept() {
        let mut stems = Stems::default();
        stems.make_room(100);
        for byte in 0..=255 {
            assert!(stems.find(u64::from_le_bytes([byte; 8])).is_none());
        }
        // A register in the last byte is part of what it is, and no stem ends behind it.
        let blend = [0xc4, 0xe3, 0x71, 0x4c, 0x44, 0x24, 0x08, 0x30];
        let (insn, stem) = decoded(&blend).expect("vpblendvb");
        assert_eq!(
            (insn.len(), stem.stem, stem.displacement, stem.immediate),
            (8, 6, 8, 0)
        );
        stems.add(u64::from_le_bytes(blend), stem);
        assert!(stems.find(u64::from_le_bytes(blend)).is_none());
    }

    /// Room is made again where there were too many.
    #[test]
    fn too_many_stems_are_forgotten() {
        let mut stems = Stems::default();
        stems.make_room(100);
        let (_, stem) = decoded(&[0x90]).expect("nop");
        stems.add(0x90, stem);
        stems.make_room(100);
        assert!(stems.find(0x90).is_some());
        for _ in 0..KEPT_MAX {
            stems.add(0x90, stem);
        }
        stems.make_room(100);
        assert!(stems.find(0x90).is_none() && stems.known().len() == 1);
    }
}
