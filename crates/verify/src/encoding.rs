//! Whether the bytes of an instruction are its canonical encoding.
//!
//! Requires the decoder's answer and the row. Guarantees: no legacy prefix but the row's one, a REX
//! or VEX prefix only where its bits have an effect, no SIB byte and no displacement longer than
//! the operand needs (`stems` compares its value), no ignored bit set. Reads the bytes itself, so that a
//! prefix which the decoder skips is seen. Deliberately does not compare lengths of immediates: each is
//! a row.

use crate::rows::{Form, Row};
use crate::stems::{CONSTANTS, NO_REGISTER, Operand, Stem};
use crate::violation::{Check, Rule, ensure, refuse};
use iced_x86::Code;

/// Checks the bytes of one instruction.
pub(crate) fn check(bytes: &[u8], stem: &Stem, row: &Row) -> Check<()> {
    let has_memory = stem.operands.contains(&Operand::Memory);
    let at_modrm = if row.vex {
        check_vex(bytes, stem, row)?
    } else {
        check_prefixes(bytes, stem, row)?
    };
    let modrm = byte(bytes, at_modrm);
    let ignores = row.form == Form::Set && modrm & 0x38 != 0 || stem.code == Code::Mfence && modrm != 0xf0;
    ensure!(!ignores, Rule::Encoding => "an ignored field that is not zero: {bytes:02x?}");
    // Without a base there is one form only: with a scaled index, or with the constants.
    if !has_memory || stem.base == CONSTANTS || stem.base == NO_REGISTER && stem.index != NO_REGISTER {
        return Ok(());
    }
    ensure!(stem.base != NO_REGISTER, Rule::Encoding => "an address without 64-bit registers: {bytes:02x?}");
    let has_sib = modrm & 7 == 4;
    let needs_sib = stem.index != NO_REGISTER || stem.base & 7 == 4;
    ensure!(has_sib == needs_sib, Rule::Encoding => "a SIB byte that is not needed: {bytes:02x?}");
    let ignores = has_sib && stem.index == NO_REGISTER && byte(bytes, at_modrm + 1) >> 6 != 0;
    ensure!(!ignores, Rule::Encoding => "an ignored field that is not zero: {bytes:02x?}");
    Ok(())
}

fn byte(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or(0)
}

/// How many prefix bits the operands need, those of registers numbered 8 and above.
fn bits_needed(stem: &Stem) -> u32 {
    let is_high = |number: u8| number & 0xf8 == 8;
    // A fourth register is in the last byte.
    let registers = stem.operands[..3].iter().filter_map(|operand| operand.register());
    let count = registers
        .chain([stem.base, stem.index])
        .filter(|&number| is_high(number));
    count.count() as u32
}

/// A VEX prefix; where ModRM is.
fn check_vex(bytes: &[u8], stem: &Stem, row: &Row) -> Check<usize> {
    let byte = |at| byte(bytes, at);
    // As if it had three bytes: inverted R, X and B with the opcode map, then W, vvvv, L and pp.
    let (first, last, opcode) = match byte(0) {
        0xc5 => (byte(1) & 0x80 | 0x61, byte(1) & 0x7f, 2),
        0xc4 => (byte(1), byte(2), 3),
        _ => refuse!(Rule::Encoding => "a redundant or misplaced prefix: {bytes:02x?}"),
    };
    let (is_short, could_be_short) = (opcode == 2, first & 0x7f == 0x61 && !row.w);
    ensure!(is_short == could_be_short, Rule::Encoding => "not the shortest VEX prefix: {bytes:02x?}");
    let (rxb, vvvv) = (!first >> 5, (!last >> 3) & 15);
    let has_needed = rxb.count_ones() + u32::from(vvvv >= 8) == bits_needed(stem);
    let has_others = last & 4 != 0 || last >> 7 != u8::from(row.w);
    ensure!(has_needed && !has_others, Rule::Encoding => "a VEX bit without effect: {bytes:02x?}");
    // A fourth register is beside four bits that say nothing.
    let ignores =
        matches!(stem.operands[3], Operand::Xmm(_)) && bytes.last().is_none_or(|last| last & 15 != 0);
    ensure!(!ignores, Rule::Encoding => "an ignored field that is not zero: {bytes:02x?}");
    Ok(opcode + 1)
}

/// Legacy prefixes and REX; where ModRM is.
fn check_prefixes(bytes: &[u8], stem: &Stem, row: &Row) -> Check<usize> {
    let byte = |at| byte(bytes, at);
    let mut at = 0;
    for (is_there, prefix) in [(row.locked, 0xf0), (row.prefix != 0, row.prefix)] {
        if is_there {
            ensure!(byte(at) == prefix, Rule::Encoding => "prefix {prefix:02x} is not there: {bytes:02x?}");
            at += 1;
        }
    }
    let rex = if byte(at) & 0xf0 == 0x40 { byte(at) } else { 0 };
    at += usize::from(rex != 0);
    let has_more = matches!(
        byte(at),
        0x26 | 0x2e | 0x36 | 0x3e | 0x40..=0x4f | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3
    );
    ensure!(!has_more, Rule::Encoding => "a redundant or misplaced prefix: {bytes:02x?}");
    // Some byte registers are others without REX.
    let (bits, is_byte) = (
        bits_needed(stem),
        stem.operands.iter().any(|o| matches!(o, Operand::R8(4..=7))),
    );
    let is_needed = row.w || bits > 0 || is_byte;
    ensure!((rex != 0) == is_needed, Rule::Encoding => "a REX prefix that is not needed: {bytes:02x?}");
    let has_effect = (rex & 8 != 0) == row.w && (rex & 7).count_ones() == bits;
    ensure!(has_effect, Rule::Encoding => "a REX bit without effect: {bytes:02x?}");
    let opcode_bytes = match (byte(at), byte(at + 1)) {
        (0x0f, 0x38 | 0x3a) => 3,
        (0x0f, _) => 2,
        _ => 1,
    };
    Ok(at + opcode_bytes)
}
