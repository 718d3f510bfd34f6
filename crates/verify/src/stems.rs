//! Instructions by their stems, the bytes before displacement and immediate: there are few different
//! ones, so that most instructions need not be decoded and checked again.
//!
//! Requires the decoder's answer for what is kept. Guarantees that what is found is what decoding would
//! give: a processor reads an instruction from its first byte on, and the stem (prefixes, opcode, ModRM,
//! SIB) says everything of it but two numbers: its form, its registers, and how long the numbers are. So
//! a stem is kept only if nothing but these two follows it. Deliberately keeps no more than a table of
//! fixed size: what is not found is decoded.

use crate::decode::{CONSTANTS, NO_REGISTER, Op, Operand};
use crate::rows::Form;
use iced_x86::{ConstantOffsets, Instruction, OpKind};

/// Bytes of a stem that is kept, at most.
const STEM_BYTES_MAX: u8 = 8;
/// Stems that are kept, at most.
const KEPT_MAX: usize = 1 << 13;
/// One of so many bytes of code is room for a stem.
const CODE_BYTES_EACH: usize = 32;

/// The parts of an instruction, and what its two numbers mean.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Parts {
    /// The bits of the immediate that count, once it is extended with its sign.
    mask: u64,
    /// Up to this displacement the form is the usual one that was found.
    pub(crate) usual_max: u32,
    /// A displacement from minus half of this up to half of this has a shorter encoding.
    shorter: u16,
    /// Bytes of the instruction.
    pub(crate) len: u8,
    /// Bytes before displacement and immediate.
    pub(crate) stem: u8,
    /// Bits of the displacement: 0, 8 or 32.
    displacement: u8,
    /// Bits of the immediate: 0, 8, 16, 32 or 64.
    immediate: u8,
    /// Whether the immediate is the distance to where it goes.
    pub(crate) is_target: bool,
}

impl Parts {
    /// Of a decoded instruction.
    pub(crate) fn of(insn: &Instruction, offsets: ConstantOffsets, op: &Op) -> Self {
        let (displacement, immediate) = (offsets.displacement_size(), offsets.immediate_size());
        let stem = match (displacement, immediate) {
            (0, 0) => insn.len(),
            (0, _) => offsets.immediate_offset(),
            (..) => offsets.displacement_offset(),
        };
        let is_target = matches!(op.form, Form::Branch | Form::Jump | Form::Call);
        let width = match op.operands[0] {
            Operand::R64(_) => 8,
            Operand::R32(_) => 4,
            Operand::R16(_) => 2,
            Operand::Memory => usize::from(op.width.clamp(1, 8)),
            _ => 1,
        };
        let is_unsigned = insn.op_kinds().any(|kind| {
            use OpKind::{Immediate8, Immediate16, Immediate32, Immediate64};
            matches!(kind, Immediate8 | Immediate16 | Immediate32 | Immediate64)
        });
        let counted = match () {
            () if is_target => 8,
            () if immediate == 0 => 0,
            () if is_unsigned => immediate.min(width),
            () => width,
        };
        Self {
            mask: u64::MAX.unbounded_shr(64 - 8 * counted as u32),
            usual_max: u32::MAX,
            shorter: match displacement {
                1 if op.base & 7 != 5 => 1,
                // Without a base register there is only the long one.
                4 if op.base != NO_REGISTER && op.base != CONSTANTS => 256,
                _ => 0,
            },
            len: insn.len() as u8,
            stem: stem as u8,
            displacement: 8 * displacement as u8,
            immediate: 8 * immediate as u8,
            is_target,
        }
    }

    /// Displacement and immediate, of which these are the first bytes; 0 where there is none.
    #[inline]
    pub(crate) fn numbers(self, bytes: u64) -> (i32, u64) {
        let displacement = extended(bytes, self.displacement);
        let displacement = if self.displacement == 0 { 0 } else { displacement };
        let immediate = extended(bytes >> (self.displacement & 63), self.immediate);
        (displacement as i32, immediate & self.mask)
    }

    /// Whether the displacement could have a shorter encoding.
    #[inline]
    pub(crate) fn is_too_long(self, displacement: i32) -> bool {
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

/// What instructions with equal stems have in common.
#[derive(Clone, Copy)]
#[repr(align(64))] // a cache line
pub(crate) struct Stem {
    bytes: u64,
    pub(crate) parts: Parts,
    /// The instruction without its numbers.
    pub(crate) op: Op,
}

/// No stem: no byte is equal to these.
const NOTHING: Stem = Stem {
    bytes: u64::MAX,
    parts: Parts {
        mask: 0,
        usual_max: 0,
        shorter: 0,
        len: 1,
        stem: 1,
        displacement: 0,
        immediate: 0,
        is_target: false,
    },
    op: Op::EMPTY,
};

/// The stems of one artifact that occurred before.
#[derive(Default)]
pub(crate) struct Stems(Vec<Stem>);

impl Stems {
    /// Makes room, for an artifact with so many bytes of code.
    pub(crate) fn make_room(&mut self, text_bytes: usize) {
        if self.0.is_empty() {
            let kept = (text_bytes / CODE_BYTES_EACH).next_power_of_two().min(KEPT_MAX);
            self.0.resize(kept, NOTHING);
        }
    }

    /// The stem of the instruction with these first bytes, if it is known.
    #[inline]
    pub(crate) fn find(&self, bytes: u64) -> Option<&Stem> {
        let stem = &self.0[self.place(first(bytes, guess(bytes)))];
        // By its own length, whatever was guessed.
        (first(bytes, stem.parts.stem) == stem.bytes).then_some(stem)
    }

    /// Keeps the stem of the instruction with these first bytes.
    pub(crate) fn keep(&mut self, bytes: u64, parts: Parts, op: &Op) {
        let numbers = (parts.displacement + parts.immediate) / 8;
        if parts.stem <= STEM_BYTES_MAX && parts.stem + numbers == parts.len {
            let bytes = first(bytes, parts.stem);
            let at = self.place(bytes);
            let op = *op;
            self.0[at] = Stem { bytes, parts, op };
        }
    }

    #[inline]
    fn place(&self, stem: u64) -> usize {
        (stem.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize & (self.0.len() - 1)
    }
}

/// The first `len` bytes, of 1 to 8.
#[inline]
fn first(bytes: u64, len: u8) -> u64 {
    bytes & (u64::MAX >> ((64 - 8 * u32::from(len)) & 63))
}

/// In [`OPCODES`]: a prefix.
const PREFIX: u8 = 0x10;
/// In [`OPCODES`]: a ModRM byte follows; below it, the bytes up to there.
const MODRM: u8 = 0x08;

/// By the first byte of an opcode, and by that behind 0x0f: how long it is and what follows.
static OPCODES: [[u8; 256]; 2] = {
    let mut table = [[MODRM | 1; 256], [MODRM | 2; 256]];
    let mut i = 0;
    while i < 256 {
        match i {
            0x40..=0x4f | 0x66 | 0xf0 | 0xf2 | 0xf3 => table[0][i] = PREFIX,
            0x70..=0x7f | 0x90..=0x9f | 0xa8 | 0xa9 | 0xb0..=0xbf | 0xc3 | 0xe8..=0xeb => table[0][i] = 1,
            0xc4 => table[0][i] = MODRM | 4,
            0xc5 => table[0][i] = MODRM | 3,
            _ if i < 0x40 && i & 7 >= 4 => table[0][i] = 1,
            _ => {}
        }
        match i {
            0x0b | 0x80..=0x8f | 0xc8..=0xcf => table[1][i] = 2,
            0x38 | 0x3a => table[1][i] = MODRM | 3,
            _ => {}
        }
        i += 1;
    }
    table
};

/// How many bytes the stem of an instruction with these first bytes has, most likely. Whatever it says,
/// only a stem that is equal byte by byte is found.
#[inline]
fn guess(bytes: u64) -> u8 {
    let of = |bytes: u64| OPCODES[0][usize::from(bytes as u8)];
    let prefix = of(bytes) / PREFIX;
    let bytes = bytes >> (8 * prefix);
    let second = prefix & (of(bytes) / PREFIX);
    let bytes = bytes >> (8 * second);
    let is_long = bytes as u8 == 0x0f;
    let opcode = OPCODES[usize::from(is_long)][usize::from((bytes >> (8 * u8::from(is_long))) as u8)];
    let len = opcode % MODRM;
    let has_modrm = (opcode / MODRM) & 1;
    let modrm = (bytes >> (8 * len)) as u8;
    let has_sib = (modrm & 7 == 4) & (modrm < 0xc0);
    prefix + second + len + has_modrm + (has_modrm & u8::from(has_sib))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::word;
    use crate::rows::row;
    use iced_x86::{Decoder, DecoderOptions};

    /// Its stem, its parts, and what it is.
    fn decoded(code: &[u8]) -> Option<(Instruction, Parts, Op)> {
        let mut decoder = Decoder::new(64, code, DecoderOptions::NONE);
        let insn = decoder.decode();
        if insn.is_invalid() || row(insn.code()).form == Form::Refused {
            return None;
        }
        let op = Op::of(&insn, row(insn.code()));
        Some((
            insn,
            Parts::of(&insn, decoder.get_constant_offsets(&insn), &op),
            op,
        ))
    }

    /// Displacement and immediate, by the decoder: the immediate in the width of the first operand.
    fn numbers(insn: &Instruction, op: &Op) -> (i32, u64) {
        let width = match op.operands[0] {
            Operand::R64(_) => 8,
            Operand::R32(_) => 4,
            Operand::R16(_) => 2,
            Operand::Memory => u32::from(op.width.clamp(1, 8)),
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
            let bytes = word(&code, 0);
            let expected = decoded(&code[..15]);
            if let Some(stem) = stems.find(bytes) {
                let (insn, parts, op) = expected.expect("it was decoded once");
                assert!(stem.parts == parts && stem.op == op, "{code:02x?}");
                let answer = parts.numbers(word(&code, parts.stem.into()));
                assert_eq!(answer, numbers(&insn, &op), "{code:02x?}");
                found += 1;
            } else if let Some((_, parts, op)) = expected {
                stems.keep(bytes, parts, &op);
                kept += 1;
            }
        }
        assert!(found > 20_000 && kept > 10_000, "{found} {kept}");
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
        let (insn, parts, op) = decoded(&blend).expect("vpblendvb");
        assert_eq!(
            (insn.len(), parts.stem, parts.displacement, parts.immediate),
            (8, 6, 8, 0)
        );
        stems.keep(u64::from_le_bytes(blend), parts, &op);
        assert!(stems.find(u64::from_le_bytes(blend)).is_none());
    }
}
