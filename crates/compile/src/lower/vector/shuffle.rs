//! Shuffles: the single instruction for a pattern, where there is one.

use super::{Lower, NEW, Operand};
use Width::{W32, W128};
use cellwall_ir::Value;
use cellwall_ir::lanes::shuffle;
use cellwall_isa::Reg;
use cellwall_isa::x64::{Inst, Row, Width};

/// For each byte of the result, the byte of the operands: the first one's, then the second one's, or
/// [`ZERO`].
type Mask = [u8; 16];

/// No byte of an operand: as PSHUFB has it.
const ZERO: u8 = 0x80;

/// The elements of so many bytes that a mask moves as wholes, by number.
fn elements<const N: usize>(mask: &Mask) -> Option<[u8; N]> {
    let bytes = 16 / N;
    let mut elements = [0; N];
    for (element, part) in elements.iter_mut().zip(mask.chunks(bytes)) {
        let whole = part
            .iter()
            .zip(part[0]..)
            .all(|(&byte, expected)| byte == expected);
        if !whole || part[0] >= 32 || usize::from(part[0]) % bytes != 0 {
            return None;
        }
        *element = part[0] / bytes as u8;
    }
    Some(elements)
}

/// The immediate that names four elements.
fn four([a, b, c, d]: [u8; 4]) -> i64 {
    i64::from(a | b << 2 | c << 4 | d << 6)
}

/// The mask whose byte `i` is `f(i)`.
fn mask_of(f: impl Fn(u8) -> u8) -> Mask {
    std::array::from_fn(|i| f(i as u8))
}

/// The mask of an instruction that takes elements of so many bytes in turn from both operands.
fn interleaved(bytes: u8, from: u8) -> Mask {
    mask_of(|i| {
        let (element, byte) = (i / bytes, i % bytes);
        from + element / 2 * bytes + byte + element % 2 * 16
    })
}

/// The unpacking rows: bytes of an element, first byte.
const UNPACK: [(Row, u8, u8); 8] = [
    (Row::Punpcklqdq, 8, 0),
    (Row::Punpckhqdq, 8, 8),
    (Row::Punpckldq, 4, 0),
    (Row::Punpckhdq, 4, 8),
    (Row::Punpcklwd, 2, 0),
    (Row::Punpckhwd, 2, 8),
    (Row::Punpcklbw, 1, 0),
    (Row::Punpckhbw, 1, 8),
];

/// The rows that extend with zeros: bytes of an element before and after.
const EXTEND: [(Row, u8, u8); 6] = [
    (Row::Pmovzxbw, 1, 2),
    (Row::Pmovzxwd, 2, 4),
    (Row::Pmovzxdq, 4, 8),
    (Row::Pmovzxbd, 1, 4),
    (Row::Pmovzxwq, 2, 8),
    (Row::Pmovzxbq, 1, 8),
];

/// The unpacking row for a mask; with one operand, it is both.
fn unpacking(mask: &Mask, is_single: bool) -> Option<Row> {
    let found = UNPACK.iter().find(|&&(_, bytes, from)| {
        let unpacked = interleaved(bytes, from);
        let unpacked = if is_single {
            unpacked.map(|i| i & 15)
        } else {
            unpacked
        };
        unpacked == *mask
    });
    found.map(|row| row.0)
}

/// By how many bytes a mask goes through its operands one after the other.
fn distance(mask: &Mask, is_single: bool) -> Option<u8> {
    let by = mask[0];
    let shifted = mask_of(|i| {
        if is_single {
            (i + by) & 15
        } else {
            i.wrapping_add(by)
        }
    });
    (shifted == *mask && (1..16).contains(&by)).then_some(by)
}

/// Which words come from the second operand, if all stay where they are.
fn blended(mask: &Mask) -> Option<i64> {
    let words = elements::<8>(mask)?;
    let in_place = words.iter().zip(0..).all(|(&word, i)| word & 7 == i);
    let second = |set: i64, (i, &word): (usize, &u8)| set | i64::from(word >> 3) << i;
    in_place.then(|| words.iter().enumerate().fold(0, second))
}

/// The place and the number of the one element of the second operand among four, if those of the
/// first stay where they are.
fn inserted(elements: [u8; 4]) -> Option<(u8, u8)> {
    let mut other = elements.iter().zip(0..).filter(|&(&element, i)| element != i);
    match (other.next(), other.next()) {
        (Some((&element, place)), None) if element >= 4 => Some((place, element - 4)),
        _ => None,
    }
}

/// Two elements of each operand, and where each of them goes: what two instructions can do.
fn collected(elements: [u8; 4]) -> Option<([u8; 4], [u8; 4])> {
    let (mut taken, mut counts) = ([0; 4], [0; 2]);
    let mut places = [0; 4];
    for (place, element) in places.iter_mut().zip(elements) {
        let second = usize::from(element / 4);
        let known = (0..counts[second]).find(|&i| taken[2 * second + i] == element % 4);
        let at = known.unwrap_or(counts[second]);
        if known.is_none() {
            if at == 2 {
                return None;
            }
            taken[2 * second + at] = element % 4;
            counts[second] += 1;
        }
        *place = (2 * second + at) as u8;
    }
    Some((taken, places))
}

impl Lower<'_> {
    /// A shuffle of two vectors.
    pub(in crate::lower) fn shuffle(&mut self, result: Value, mask: Mask, [x, y]: [Value; 2]) {
        let constants = [x, y].map(|value| self.func.vector_constant(value));
        if let [Some(x), Some(y)] = constants {
            return self.define_constant(result, shuffle(mask, x, y));
        }
        // What a vector of zeros or the same vector gives.
        let mask = mask.map(|byte| match constants[usize::from(byte / 16)] {
            Some(0) => ZERO,
            _ if x == y => byte & 15,
            _ => byte,
        });
        let uses = |second: u8| mask.iter().any(|&byte| byte != ZERO && byte / 16 == second);
        match (uses(0), uses(1)) {
            (_, false) => self.shuffle_one(result, mask, x),
            (false, true) => {
                let mask = mask.map(|byte| if byte == ZERO { ZERO } else { byte - 16 });
                self.shuffle_one(result, mask, y);
            }
            (true, true) => {
                let other = mask.map(|byte| if byte == ZERO { ZERO } else { byte ^ 16 });
                if !self.shuffle_two(result, &mask, x, y) && !self.shuffle_two(result, &other, y, x) {
                    self.shuffle_any(result, mask, x, y);
                }
            }
        }
    }

    /// A swizzle: with a constant, a shuffle; indexes from 16 on give 0.
    pub(super) fn swizzle(&mut self, result: Value, [x, y]: [Value; 2]) {
        if let Some(bits) = self.func.vector_constant(y) {
            let mask = bits.to_le_bytes().map(|byte| if byte < 16 { byte } else { ZERO });
            return self.shuffle_one(result, mask, x);
        }
        // What is not below 16 gets its top bit, which stands for 0.
        let y = self.reg(y);
        let indexes = self.vec_const(Row::Paddusb, NEW, y, super::splat(8, 0x70));
        let x = self.reg(x);
        let dst = self.def(result);
        self.vec_regs(Row::Pshufb, dst, x, indexes);
    }

    pub(super) fn shuffle_one(&mut self, result: Value, mask: Mask, x: Value) {
        if mask == [ZERO; 16] {
            return self.define_constant(result, 0);
        }
        if !mask.contains(&ZERO) {
            if let Some(elements) = elements::<4>(&mask) {
                return self.shuffle_elements(result, elements, x);
            }
            if self.shuffle_words(result, &mask, x) {
                return;
            }
        }
        let x = self.reg(x);
        let dst = self.def(result);
        if !self.shuffle_known(dst, &mask, x) {
            self.vec_const(Row::Pshufb, dst, x, u128::from_le_bytes(mask));
        }
    }

    fn shuffle_elements(&mut self, result: Value, elements: [u8; 4], x: Value) {
        if elements == [0, 1, 2, 3] {
            let x = self.reg(x);
            let dst = self.def(result);
            return self.emit(Inst::new(Row::FMov, W32).dst(dst).rm(x));
        }
        let rm = self.vector_operand(x);
        let dst = self.def(result);
        self.vec_from_imm(Row::Pshufd, dst, rm, four(elements));
    }

    /// A shuffle of words within one half.
    fn shuffle_words(&mut self, result: Value, mask: &Mask, x: Value) -> bool {
        let Some([low @ .., e, f, g, h]) = elements::<8>(mask) else {
            return false;
        };
        let within = |words: [u8; 4], from: u8| words.iter().all(|word| (from..from + 4).contains(word));
        let (row, words) = if [e, f, g, h] == [4, 5, 6, 7] && within(low, 0) {
            (Row::Pshuflw, low)
        } else if low == [0, 1, 2, 3] && within([e, f, g, h], 4) {
            (Row::Pshufhw, [e - 4, f - 4, g - 4, h - 4])
        } else {
            return false;
        };
        let rm = self.vector_operand(x);
        let dst = self.def(result);
        self.vec_from_imm(row, dst, rm, four(words));
        true
    }

    /// A shuffle of one register that needs no constant.
    fn shuffle_known(&mut self, dst: Reg, mask: &Mask, x: Reg) -> bool {
        let rm = Operand::reg(x);
        let has_avx2 = self.unit.target.features.avx2;
        if has_avx2 && *mask == [0; 16] {
            self.vec_from(Row::Pbroadcastb, dst, rm);
        } else if has_avx2 && *mask == mask_of(|i| i % 2) {
            self.vec_from(Row::Pbroadcastw, dst, rm);
        } else if let Some(row) = unpacking(mask, true) {
            self.vec(row, dst, x, rm);
        } else if let Some(by) = distance(mask, true) {
            self.vec_imm(Row::Palignr, dst, x, rm, i64::from(by));
        } else if let Some(&(row, ..)) = EXTEND.iter().find(|&&(_, before, after)| {
            let extended = mask_of(|i| match i % after {
                byte if byte < before => i / after * before + byte,
                _ => ZERO,
            });
            extended == *mask
        }) {
            self.vec_from(row, dst, rm);
        } else {
            return self.shift_bytes_whole(dst, mask, x);
        }
        true
    }

    /// A shift of the whole vector by bytes.
    fn shift_bytes_whole(&mut self, dst: Reg, mask: &Mask, x: Reg) -> bool {
        for by in 1..16 {
            let right = mask_of(|i| if i + by < 16 { i + by } else { ZERO });
            let left = mask_of(|i| if i < by { ZERO } else { i - by });
            let row = match mask {
                _ if *mask == right => Row::Psrldq,
                _ if *mask == left => Row::Pslldq,
                _ => continue,
            };
            self.vec_shift(row, dst, x, u32::from(by));
            return true;
        }
        false
    }

    /// A shuffle of two vectors that one or two instructions without a constant do.
    fn shuffle_two(&mut self, result: Value, mask: &Mask, x: Value, y: Value) -> bool {
        if let Some(row) = unpacking(mask, false) {
            self.two(row, result, x, y);
        } else if let Some(by) = distance(mask, false) {
            // The bytes of the second operand of this one come first.
            self.two_imm(Row::Palignr, result, y, x, i64::from(by));
        } else if let Some(set) = blended(mask) {
            self.two_imm(Row::Pblendw, result, x, y, set);
        } else if let Some([a @ 0..2, b @ 2..4]) = elements::<2>(mask) {
            self.two_imm(Row::Shufpd, result, x, y, i64::from(a | (b - 2) << 1));
        } else if let Some(elements) = elements::<4>(mask) {
            return self.shuffle_two_elements(result, elements, x, y);
        } else {
            return false;
        }
        true
    }

    fn shuffle_two_elements(&mut self, result: Value, elements: [u8; 4], x: Value, y: Value) -> bool {
        if let [a @ 0..4, b @ 0..4, c @ 4..8, d @ 4..8] = elements {
            self.two_imm(Row::Shufps, result, x, y, four([a, b, c - 4, d - 4]));
        } else if let Some((place, element)) = inserted(elements) {
            let (x, y) = (self.reg(x), self.reg(y));
            let dst = self.def(result);
            let imm = i64::from(element << 6 | place << 4);
            self.vec_imm(Row::Insertps, dst, x, Operand::reg(y), imm);
        } else if let Some((taken, places)) = collected(elements) {
            let (x, y) = (self.reg(x), self.reg(y));
            let both = self.vec_imm(Row::Shufps, NEW, x, Operand::reg(y), four(taken));
            let dst = self.def(result);
            self.vec_from_imm(Row::Pshufd, dst, Operand::reg(both), four(places));
        } else {
            return false;
        }
        true
    }

    fn two_imm(&mut self, row: Row, result: Value, x: Value, y: Value, imm: i64) {
        let rm = self.vector_operand(y);
        let x = self.reg(x);
        let dst = self.def(result);
        self.vec_imm(row, dst, x, rm, imm);
    }

    /// Any shuffle of two vectors: a blend if all bytes stay in place, otherwise both, put together.
    fn shuffle_any(&mut self, result: Value, mask: Mask, x: Value, y: Value) {
        let in_place = mask
            .iter()
            .zip(0..)
            .all(|(&byte, i)| byte & 15 == i && byte != ZERO);
        if in_place && self.has_avx() {
            let second = mask.map(|byte| if byte < 16 { 0 } else { 0xff });
            let choice = self.vector_constant(u128::from_le_bytes(second));
            let rm = self.vector_operand(y);
            let x = self.reg(x);
            let dst = self.def(result);
            let blend = Inst::new(Row::Vpblendvb, W128).dst(dst).src(x).dst2(choice);
            return self.emit(rm.on(blend));
        }
        let (x, y) = (self.reg(x), self.reg(y));
        let first = mask.map(|byte| if byte < 16 { byte } else { ZERO });
        let second = mask.map(|byte| if (16..32).contains(&byte) { byte - 16 } else { ZERO });
        let first = self.vec_const(Row::Pshufb, NEW, x, u128::from_le_bytes(first));
        let second = self.vec_const(Row::Pshufb, NEW, y, u128::from_le_bytes(second));
        let dst = self.def(result);
        self.vec_regs(Row::Por, dst, first, second);
    }
}
