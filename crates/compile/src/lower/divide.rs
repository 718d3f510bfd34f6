//! Division: by constants as multiplication (Granlund and Montgomery 1994; Hacker's Delight,
//! chapter 10), otherwise by the processor with the traps that WebAssembly has.

use super::{Lower, trap_code, width_of};
use Width::{W32, W64};
use cellwall_ir::{BinaryOp, Trap, Type, Value};
use cellwall_isa::x64::{Cond, Inst, Row, Width};
use cellwall_isa::{Class, Reg};

/// How to divide an unsigned integer by a constant: multiply by `factor` (plus 2^bits if `add`),
/// take the high half, shift right.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Unsigned {
    factor: u64,
    add: bool,
    shift: u32,
}

/// For `2 <= divisor < 2^(bits - 1)`.
fn unsigned_magic(divisor: u64, bits: u32) -> Unsigned {
    let d = u128::from(divisor);
    // The loop ends: with `2^shift >= divisor` the error is small enough.
    let mut shift = 0;
    loop {
        let power = 1u128 << (bits + shift);
        let factor = power.div_ceil(d);
        if factor * d - power <= 1 << shift {
            return Unsigned {
                factor: (factor & (u128::MAX >> (128 - bits))) as u64,
                add: factor >> bits != 0,
                shift,
            };
        }
        shift += 1;
    }
}

/// How to divide a signed integer by a constant: multiply by `factor`, take the high half, shift.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Signed {
    factor: i64,
    shift: u32,
}

/// For a divisor whose magnitude is at least 2 and no power of two.
fn signed_magic(divisor: i64, bits: u32) -> Signed {
    let magnitude = u128::from(divisor.unsigned_abs());
    let limit = (1u128 << (bits - 1)) + u128::from(divisor < 0);
    let largest = limit - 1 - limit % magnitude;
    let mut power = bits;
    // The loop ends below 2 * bits: there the left side exceeds every product of the right one.
    while (1u128 << power) <= largest * (magnitude - (1u128 << power) % magnitude) {
        power += 1;
    }
    let factor = ((1u128 << power) + magnitude - (1u128 << power) % magnitude) / magnitude;
    let factor = if divisor < 0 {
        (factor as i64).wrapping_neg()
    } else {
        factor as i64
    };
    Signed {
        factor: if bits == 32 {
            i64::from(factor as i32)
        } else {
            factor
        },
        shift: power - bits,
    }
}

impl Lower<'_> {
    pub(super) fn divide(&mut self, op: BinaryOp, result: Value, [x, y]: [Value; 2]) {
        let ty = self.func.ty(result);
        if let Some(bits) = self.func.constant(y) {
            let done = match op {
                BinaryOp::DivU | BinaryOp::RemU => self.divide_unsigned(op, result, x, bits),
                _ => {
                    let divisor = if ty == Type::I32 {
                        i64::from(bits as i32)
                    } else {
                        bits as i64
                    };
                    self.divide_signed(op, result, x, divisor)
                }
            };
            if done {
                return;
            }
        }
        self.divide_hardware(op, result, [x, y]);
    }

    fn divide_hardware(&mut self, op: BinaryOp, result: Value, [x, y]: [Value; 2]) {
        let ty = self.func.ty(result);
        let width = width_of(ty);
        let by_zero = trap_code(Trap::IntegerDivisionByZero);
        let never_zero = self.func.constant(y).is_some_and(|bits| bits != 0);
        let (x, y) = (self.reg_for(ty, x), self.reg_for(ty, y));
        let dst = self.def(result);
        let other = self.temp(Class::Int);
        let signed = matches!(op, BinaryOp::DivS | BinaryOp::RemS);
        if signed && !never_zero {
            self.emit(Inst::new(Row::Test, width).src(y).rm(y));
            self.emit(Inst::new(Row::TrapIf, W64).cond(Cond::E).trap(by_zero));
        }
        if op == BinaryOp::RemS {
            let rem = Inst::new(Row::RemS, width).src(x).rm(y).dst(dst).dst2(other);
            return self.emit(rem.trap(trap_code(Trap::IntegerOverflow)));
        }
        let high = self.temp(Class::Int);
        let (row, trap) = if signed {
            self.emit(Inst::new(Row::Cdq, width).src(x).dst(high));
            (Row::Idiv, trap_code(Trap::IntegerOverflow))
        } else {
            self.emit(Inst::new(Row::Zero, W32).dst(high));
            (Row::Div, by_zero)
        };
        let div = Inst::new(row, width).src(x).index(high).rm(y).trap(trap);
        let quotient = matches!(op, BinaryOp::DivS | BinaryOp::DivU);
        self.emit(if quotient {
            div.dst(dst).dst2(other)
        } else {
            div.dst(other).dst2(dst)
        });
    }

    /// The high half of `x * factor`, both unsigned or both signed.
    fn high_half(&mut self, row: Row, x: Reg, factor: i64) -> Reg {
        let factor = self.integer(factor);
        let (low, high) = (self.temp(Class::Int), self.temp(Class::Int));
        self.emit(Inst::new(row, W64).src(x).rm(factor).dst(low).dst2(high));
        high
    }

    fn divide_unsigned(&mut self, op: BinaryOp, result: Value, x: Value, divisor: u64) -> bool {
        let ty = self.func.ty(result);
        let width = width_of(ty);
        let bits = ty.bits();
        if divisor == 0 || divisor >> (bits - 1) != 0 {
            return false;
        }
        let n = self.reg(x);
        if divisor.is_power_of_two() {
            let dst = self.def(result);
            if op == BinaryOp::DivU {
                let shift = i64::from(divisor.trailing_zeros());
                let inst = if shift == 0 {
                    Inst::new(Row::Mov, width).rm(n)
                } else {
                    Inst::new(Row::ShrImm, width).src(n).imm(shift)
                };
                self.emit(inst.dst(dst));
            } else if let Ok(mask) = u32::try_from(divisor - 1) {
                self.emit(Inst::new(Row::AndImm, W32).dst(dst).src(n).imm(i64::from(mask)));
            } else {
                let mask = self.integer((divisor - 1) as i64);
                self.emit(Inst::new(Row::And, W64).dst(dst).src(n).rm(mask));
            }
            return true;
        }
        let magic = unsigned_magic(divisor, bits);
        let high = if width == W32 {
            // Both factors are below 2^32, so the whole product fits.
            let factor = self.integer(magic.factor as i64);
            let product = self.step(Row::Imul, W64, factor, n);
            self.step_imm(Row::ShrImm, W64, product, 32)
        } else {
            self.high_half(Row::Mul, n, magic.factor as i64)
        };
        let (sum, shift) = if magic.add {
            // The sum may have one bit more than the register; half of it has not.
            let rest = self.step(Row::Sub, width, n, high);
            let half = self.step_imm(Row::ShrImm, width, rest, 1);
            (self.step(Row::Add, width, half, high), magic.shift - 1)
        } else {
            (high, magic.shift)
        };
        let quotient = if shift > 0 {
            self.step_imm(Row::ShrImm, width, sum, i64::from(shift))
        } else {
            sum
        };
        self.finish_division(op == BinaryOp::DivU, result, n, quotient, divisor as i64);
        true
    }

    fn divide_signed(&mut self, op: BinaryOp, result: Value, x: Value, divisor: i64) -> bool {
        let ty = self.func.ty(result);
        let width = width_of(ty);
        let bits = ty.bits();
        if matches!(divisor, -1..=1) {
            return false;
        }
        let n = self.reg(x);
        let magnitude = divisor.unsigned_abs();
        let quotient = if magnitude.is_power_of_two() {
            // Negative numbers are rounded up: add what the shift will drop.
            let k = i64::from(magnitude.trailing_zeros());
            let sign = if k > 1 {
                self.step_imm(Row::SarImm, width, n, k - 1)
            } else {
                n
            };
            let bias = self.step_imm(Row::ShrImm, width, sign, i64::from(bits) - k);
            let sum = self.step(Row::Add, width, bias, n);
            let quotient = self.step_imm(Row::SarImm, width, sum, k);
            if divisor < 0 {
                self.step_imm(Row::Neg, width, quotient, 0)
            } else {
                quotient
            }
        } else {
            let magic = signed_magic(divisor, bits);
            self.signed_quotient(width, n, divisor, magic)
        };
        self.finish_division(op == BinaryOp::DivS, result, n, quotient, divisor);
        true
    }

    fn signed_quotient(&mut self, width: Width, n: Reg, divisor: i64, magic: Signed) -> Reg {
        let mut high = if width == W32 {
            let wide = self.temp(Class::Int);
            self.emit(Inst::new(Row::Movsxd, W64).dst(wide).rm(n));
            let product = self.temp(Class::Int);
            let imul = Inst::new(Row::ImulImm, W64).imm(magic.factor);
            self.emit(imul.dst(product).rm(wide));
            self.step_imm(Row::ShrImm, W64, product, 32)
        } else {
            self.high_half(Row::ImulWide, n, magic.factor)
        };
        if divisor > 0 && magic.factor < 0 {
            high = self.step(Row::Add, width, high, n);
        } else if divisor < 0 && magic.factor > 0 {
            high = self.step(Row::Sub, width, high, n);
        }
        if magic.shift > 0 {
            high = self.step_imm(Row::SarImm, width, high, i64::from(magic.shift));
        }
        let sign = self.step_imm(Row::ShrImm, width, high, i64::from(width.bits()) - 1);
        self.step(Row::Add, width, sign, high)
    }

    /// The quotient or `n - quotient * divisor` as the result.
    fn finish_division(&mut self, is_quotient: bool, result: Value, n: Reg, quotient: Reg, divisor: i64) {
        let width = width_of(self.func.ty(result));
        let dst = self.def(result);
        if is_quotient {
            return self.emit(Inst::new(Row::Mov, width).dst(dst).rm(quotient));
        }
        let product = if let Ok(imm) = i32::try_from(divisor) {
            let product = self.temp(Class::Int);
            let imul = Inst::new(Row::ImulImm, width).imm(i64::from(imm));
            self.emit(imul.dst(product).rm(quotient));
            product
        } else {
            let divisor = self.integer(divisor);
            self.step(Row::Imul, width, divisor, quotient)
        };
        self.emit(Inst::new(Row::Sub, width).dst(dst).src(n).rm(product));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLES: [u64; 12] = [
        0,
        1,
        2,
        6,
        7,
        99,
        1 << 31,
        (1 << 31) - 1,
        u32::MAX as u64,
        1 << 63,
        (1 << 63) - 1,
        u64::MAX,
    ];

    /// What the emitted sequence computes.
    fn divide_unsigned(n: u64, magic: Unsigned, bits: u32) -> u64 {
        let high = ((u128::from(n) * u128::from(magic.factor)) >> bits) as u64;
        if magic.add {
            (((n - high) >> 1) + high) >> (magic.shift - 1)
        } else {
            high >> magic.shift
        }
    }

    fn divide_signed(n: i64, divisor: i64, magic: Signed, bits: u32) -> i64 {
        let wrap = |x: i64| if bits == 32 { i64::from(x as i32) } else { x };
        let mut high = ((i128::from(n) * i128::from(magic.factor)) >> bits) as i64;
        if divisor > 0 && magic.factor < 0 {
            high = wrap(high.wrapping_add(n));
        } else if divisor < 0 && magic.factor > 0 {
            high = wrap(high.wrapping_sub(n));
        }
        high >>= magic.shift;
        high + i64::from(high < 0)
    }

    #[test]
    fn magic_numbers_divide() {
        for d in (2..2000).chain([641, 0xffff, 0x7fff_ffff, 6_700_417, 1_000_000_007]) {
            for n in SAMPLES
                .into_iter()
                .chain((1..50).flat_map(|k| [k * d - 1, k * d, k * d + 1]))
            {
                let n32 = n & 0xffff_ffff;
                assert_eq!(
                    divide_unsigned(n32, unsigned_magic(d, 32), 32),
                    n32 / d,
                    "{n32} / {d}"
                );
                assert_eq!(divide_unsigned(n, unsigned_magic(d, 64), 64), n / d, "{n} / {d}");
                for d in [d as i64, -(d as i64)] {
                    if d.unsigned_abs().is_power_of_two() {
                        continue;
                    }
                    let n32 = i64::from(n as i32);
                    assert_eq!(
                        divide_signed(n32, d, signed_magic(d, 32), 32),
                        n32 / d,
                        "{n32} / {d}"
                    );
                    let n = n as i64;
                    assert_eq!(divide_signed(n, d, signed_magic(d, 64), 64), n / d, "{n} / {d}");
                }
            }
        }
    }
}
