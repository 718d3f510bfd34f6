//! Instructions that occurred before, by their bytes: most of them occur again and again, and need not be
//! decoded and checked again.
//!
//! Requires that what is kept is about no place relative to itself. Guarantees that what is found is what
//! decoding would give: an instruction is read from its first byte on and no byte behind it is looked
//! at, so that equal bytes are the same instruction, of the same length. Deliberately keeps no more than
//! a table of fixed size: what is not found is decoded.

use crate::decode::Op;

/// Bytes of an instruction that is kept, at most.
const BYTES_MAX: usize = 8;
/// Instructions that are kept, at most.
const KEPT_MAX: usize = 1 << 13;
/// One of so many bytes of code is room for an instruction.
const CODE_BYTES_EACH: usize = 32;
/// Guesses at lengths, by the first bytes of instructions.
const GUESSES: usize = 1 << 13;
/// The bytes by which a length is guessed: prefix, opcode and ModRM of most instructions.
const GUESSED_BY: u64 = 0xff_ffff;

/// An instruction with its bytes, of which there are `len`.
#[derive(Clone, Copy)]
struct Kept {
    bytes: u64,
    len: u8,
    op: Op,
}

/// Nothing: no byte is equal to these.
const NOTHING: Kept = Kept {
    bytes: u64::MAX,
    len: 1,
    op: Op::EMPTY,
};

/// The instructions of one artifact that occurred before.
#[derive(Default)]
pub(crate) struct Seen {
    /// By the first bytes: how long the last instruction that began so was.
    lens: Vec<u8>,
    kept: Vec<Kept>,
}

/// The next bytes, where there are so many.
#[inline]
fn next_bytes(code: &[u8]) -> Option<u64> {
    code.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

/// The first `len` bytes, of 1 to 8.
#[inline]
fn first(bytes: u64, len: u8) -> u64 {
    bytes & (u64::MAX >> ((64 - 8 * u32::from(len)) & 63))
}

/// A place in a table whose length is a power of two.
#[inline]
fn place(bytes: u64, table_len: usize) -> usize {
    (bytes.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize & (table_len - 1)
}

impl Seen {
    /// Makes room, for an artifact with so many bytes of code.
    pub(crate) fn make_room(&mut self, text_bytes: usize) {
        if self.kept.is_empty() {
            let kept = (text_bytes / CODE_BYTES_EACH).next_power_of_two().min(KEPT_MAX);
            self.kept.resize(kept, NOTHING);
            self.lens.resize(kept.min(GUESSES), 0);
        }
    }

    /// The instruction at the start of this code, and its length, if it is known.
    #[inline]
    pub(crate) fn find(&self, code: &[u8]) -> Option<(u32, &Op)> {
        let bytes = next_bytes(code)?;
        let guess = self.lens[place(bytes & GUESSED_BY, self.lens.len())];
        if guess == 0 {
            return None;
        }
        let kept = &self.kept[place(first(bytes, guess), self.kept.len())];
        // By its own length, whatever was guessed.
        (first(bytes, kept.len) == kept.bytes).then_some((kept.len.into(), &kept.op))
    }

    /// Keeps the instruction at the start of this code.
    pub(crate) fn keep(&mut self, code: &[u8], len: usize, op: &Op) {
        if let Some(bytes) = next_bytes(code)
            && len <= BYTES_MAX
        {
            let guess = place(bytes & GUESSED_BY, self.lens.len());
            let (bytes, len) = (first(bytes, len as u8), len as u8);
            self.lens[guess] = len;
            let at = place(bytes, self.kept.len());
            self.kept[at] = Kept { bytes, len, op: *op };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use iced_x86::{Decoder, DecoderOptions};

    fn decoded(code: &[u8]) -> Option<usize> {
        let insn = Decoder::new(64, code, DecoderOptions::NONE).decode();
        (!insn.is_invalid()).then_some(insn.len())
    }

    /// Code of few different bytes, so that much of it occurs again, with other bytes behind it.
    #[test]
    fn what_is_found_is_what_decoding_gives() {
        const BYTES: [u8; 16] = [
            0x48, 0x41, 0x8b, 0x89, 0x00, 0x01, 0xc0, 0x44, 0x24, 0x0f, 0xb6, 0xc5, 0xf8, 0x66, 0x83, 0xb8,
        ];
        let mut seen = Seen::default();
        seen.make_room(1 << 20);
        let (mut state, mut found, mut kept) = (0x9e37_79b9_7f4a_7c15u64, 0, 0);
        for number in 0..200_000u32 {
            let code: [u8; 15] = std::array::from_fn(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                BYTES[(state >> 60) as usize]
            });
            let len = decoded(&code);
            if let Some((known, op)) = seen.find(&code) {
                assert_eq!(Some(known as usize), len, "{code:02x?}");
                // Its own number, under which it was kept.
                assert!(op.pc < number);
                found += 1;
            } else if let Some(len) = len {
                let mut op = Op::EMPTY;
                op.pc = number;
                seen.keep(&code, len, &op);
                kept += 1;
            }
        }
        assert!(found > 20_000 && kept > 20_000, "{found} {kept}");
    }

    #[test]
    fn nothing_is_found_where_nothing_was_kept() {
        let mut seen = Seen::default();
        seen.make_room(100);
        for byte in 0..=255 {
            assert!(seen.find(&[byte; 16]).is_none());
        }
        // Too few bytes to compare, and an instruction that is too long.
        seen.keep(&[0x90; 16], 1, &Op::EMPTY);
        assert!(seen.find(&[0x90; 8]).is_some() && seen.find(&[0x90; 7]).is_none());
        let long = [0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0, 0];
        seen.keep(&long, 10, &Op::EMPTY);
        assert!(seen.find(&long).is_none());
    }
}
