//! Whether the bytes of an instruction are its canonical encoding.
//!
//! Requires the decoder's answer and the row. Guarantees: no legacy prefix but the row's one, a REX
//! or VEX prefix only where its bits have an effect, no SIB byte and no displacement longer than
//! the operand needs (`stems` compares its value), no ignored bit set. Reads the bytes itself, so that a
//! prefix which the decoder skips is seen. Deliberately does not compare lengths of immediates: each is
//! a row.

use crate::rows::{Form, Row};
use crate::stems::{CONSTANTS, NO_REGISTER, Operand, Stem};
use iced_x86::Code;

/// Checks the bytes of one instruction.
///
/// # Errors
/// What is not canonical, in words.
pub(crate) fn check(bytes: &[u8], stem: &Stem, row: &Row) -> Result<(), &'static str> {
    let byte = |at: usize| bytes.get(at).copied().unwrap_or(0);
    let extended = Extended::of(stem);
    let mut at = 0;
    let opcode_bytes;
    if row.vex {
        // As if it had three bytes: inverted R, X and B with the opcode map, then W, vvvv, L and pp.
        let (first, last);
        (first, last, at) = match byte(0) {
            0xc5 => (byte(1) & 0x80 | 0x61, byte(1) & 0x7f, 2),
            0xc4 => (byte(1), byte(2), 3),
            _ => return Err("a redundant or misplaced prefix"),
        };
        let (rxb, vvvv) = (!first >> 5, (!last >> 3) & 15);
        let is_short = byte(0) == 0xc5;
        if is_short != (first & 0x7f == 0x61 && !row.w) {
            return Err("not the shortest VEX prefix");
        }
        if rxb.count_ones() + u32::from(vvvv >= 8) != extended.count {
            return Err("a VEX bit without effect");
        }
        if last & 4 != 0 || last >> 7 != u8::from(row.w) {
            return Err("a VEX bit without effect");
        }
        // A fourth register is in the last byte, beside four bits that say nothing.
        if matches!(stem.operands[3], Operand::Xmm(_)) && bytes.last().is_none_or(|last| last & 15 != 0) {
            return Err("an ignored field that is not zero");
        }
        opcode_bytes = 1;
    } else {
        if row.locked {
            if byte(0) != 0xf0 {
                return Err("an access that must be locked");
            }
            at = 1;
        }
        if row.prefix != 0 {
            if byte(at) != row.prefix {
                return Err("a redundant or misplaced prefix");
            }
            at += 1;
        }
        let rex = if byte(at) & 0xf0 == 0x40 { byte(at) } else { 0 };
        at += usize::from(rex != 0);
        if matches!(
            byte(at),
            0x26 | 0x2e | 0x36 | 0x3e | 0x40..=0x4f | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3
        ) {
            return Err("a redundant or misplaced prefix");
        }
        if (rex != 0) != (row.w || extended.count > 0 || extended.byte) {
            return Err("a REX prefix that is not needed");
        }
        if (rex & 8 != 0) != row.w || (rex & 7).count_ones() != extended.count {
            return Err("a REX bit without effect");
        }
        opcode_bytes = match (byte(at), byte(at + 1)) {
            (0x0f, 0x38 | 0x3a) => 3,
            (0x0f, _) => 2,
            _ => 1,
        };
    }
    let modrm = byte(at + opcode_bytes);
    let ignores = row.form == Form::Set && modrm & 0x38 != 0 || stem.code == Code::Mfence && modrm != 0xf0;
    if ignores {
        return Err("an ignored field that is not zero");
    }
    if extended.memory {
        check_memory(stem, modrm, byte(at + opcode_bytes + 1))?;
    }
    Ok(())
}

/// Operands that need a prefix bit.
struct Extended {
    /// How many prefix bits the registers numbered 8 and above need.
    count: u32,
    /// Whether a byte register needs REX as such.
    byte: bool,
    /// Whether there is a memory operand.
    memory: bool,
}

impl Extended {
    fn of(stem: &Stem) -> Self {
        let high = |number: u8| u32::from(number & 0xf8 == 8);
        let mut extended = Self {
            count: 0,
            byte: false,
            memory: false,
        };
        for (i, operand) in stem.operands.into_iter().enumerate() {
            if i < 3 {
                extended.count += operand.register().map_or(0, high);
            }
            extended.byte |= matches!(operand, Operand::R8(4..=7));
            extended.memory |= operand == Operand::Memory;
        }
        if extended.memory {
            extended.count += high(stem.base) + high(stem.index);
        }
        extended
    }
}

fn check_memory(stem: &Stem, modrm: u8, sib: u8) -> Result<(), &'static str> {
    if stem.base == CONSTANTS {
        return Ok(());
    }
    if stem.base == NO_REGISTER && stem.index != NO_REGISTER {
        return Ok(()); // one form only: no base, scaled index, 32-bit displacement
    }
    if stem.base == NO_REGISTER {
        return Err("an address of other than 64-bit registers");
    }
    let has_sib = modrm & 7 == 4;
    if has_sib != (stem.index != NO_REGISTER || stem.base & 7 == 4) {
        return Err("a SIB byte that is not needed");
    }
    if has_sib && stem.index == NO_REGISTER && sib >> 6 != 0 {
        return Err("an ignored field that is not zero");
    }
    Ok(())
}
