//! Dot products of bytes as compilers write them for vectors of four sums: the products of the low
//! four bytes and those of the high four, each extended twice, added to the sums.
//!
//! The high four bytes are loaded once more, from four bytes further on. Where eight bytes can be
//! loaded, so can these: an address that wraps between the two lies so near the end of the index
//! space that the load of eight traps. With nothing between them that has an effect, only that load
//! remains; its products are added in pairs.

use super::{Lower, NEW};
use cellwall_base::{EntityId, MemoryIdx};
use cellwall_ir as ir;
use cellwall_ir::{BinaryOp, InstData, LoadOp, Type, Value, VectorOp as V};
use cellwall_isa::Reg;
use cellwall_isa::x64::Row;

/// A vector of words that are extended bytes from memory.
#[derive(Clone, Copy)]
struct Loaded {
    extended: Value,
    is_signed: bool,
    load: ir::Inst,
    value: Value,
    op: LoadOp,
    memory: MemoryIdx,
    addr: Value,
    offset: u32,
}

/// Both loads of a factor.
#[derive(Clone, Copy)]
struct Factor {
    low: Loaded,
    high: Loaded,
}

impl Lower<'_> {
    /// A sum of two such products and another vector; whether the operands are that.
    pub(super) fn dot_product(&mut self, result: Value, [p, q]: [Value; 2]) -> bool {
        let Some((outer, inner)) = self.product_and_sum(p, q).or_else(|| self.product_and_sum(q, p)) else {
            return false;
        };
        let Some(&InstData::Vector { args: [a, b, _], .. }) = self.data_of(inner) else {
            return false;
        };
        let (other, sums, factors) = if let Some(factors) = self.factors(outer, a) {
            (a, b, factors)
        } else if let Some(factors) = self.factors(outer, b) {
            (b, a, factors)
        } else {
            return false;
        };
        for value in [outer, inner, other] {
            self.absorb(value);
        }
        let [x, y] = factors.map(|factor| self.paired(factor));
        let products = self.vec_regs(Row::Pmaddwd, NEW, x, y);
        let sums = self.vector_operand(sums);
        let dst = self.def(result);
        self.vec(Row::Paddd, dst, products, sums);
        true
    }

    /// A product and a sum that only the current instruction uses.
    fn product_and_sum(&self, product: Value, sum: Value) -> Option<(Value, Value)> {
        let is = |value: Value, wanted: fn(V) -> bool| {
            let data = self.data_of(value);
            let is_op = data.is_some_and(|data| matches!(data, InstData::Vector { op, .. } if wanted(*op)));
            is_op && self.is_single(value)
        };
        let found = is(product, is_product) && is(sum, |op| op == V::I32x4Add);
        found.then_some((product, sum))
    }

    /// The factors of two products, if each is of neighbouring bytes.
    fn factors(&self, first: Value, second: Value) -> Option<[Factor; 2]> {
        let [a, b] = self.loaded_factors(first)?;
        let [c, d] = self.loaded_factors(second)?;
        let pairs = |x: [Loaded; 2], y: [Loaded; 2]| Some([self.factor_of(x)?, self.factor_of(y)?]);
        pairs([a, c], [b, d]).or_else(|| pairs([a, d], [b, c]))
    }

    fn loaded_factors(&self, product: Value) -> Option<[Loaded; 2]> {
        match *self.data_of(product)? {
            InstData::Vector { op, args, .. } if is_product(op) && self.is_single(product) => {
                Some([self.loaded(args[0])?, self.loaded(args[1])?])
            }
            _ => None,
        }
    }

    /// The load of bytes whose extension a value is, if it can move into the current instruction.
    fn loaded(&self, extended: Value) -> Option<Loaded> {
        let InstData::Vector { op: extend, args, .. } = *self.data_of(extended)? else {
            return None;
        };
        let is_signed = match extend {
            V::I16x8ExtendLowI8x16S => true,
            V::I16x8ExtendLowI8x16U => false,
            _ => return None,
        };
        let value = args[0];
        let load = self.sinkable(value).filter(|_| self.is_single(extended))?;
        match self.func.insts[load].data {
            InstData::Load {
                op,
                memory,
                offset,
                addr,
            } => Some(Loaded {
                extended,
                is_signed,
                load,
                value,
                op,
                memory,
                addr,
                offset,
            }),
            _ => None,
        }
    }

    /// Eight bytes, and the last four of them once more; in either order.
    fn factor_of(&self, [a, b]: [Loaded; 2]) -> Option<Factor> {
        let (low, high) = match (a.op, b.op) {
            (LoadOp::Zero64, LoadOp::Zero32) => (a, b),
            (LoadOp::Zero32, LoadOp::Zero64) => (b, a),
            _ => return None,
        };
        let is_next = if high.addr == low.addr {
            high.offset.checked_sub(low.offset) == Some(4)
        } else {
            let [base, step] = self.binary_of(high.addr, BinaryOp::Add)?;
            base == low.addr && self.func.constant(step) == Some(4) && high.offset == low.offset
        };
        // A 32-bit index: its wrapping is what the header speaks of.
        let is_narrow = self.func.ty(low.addr) == Type::I32;
        let alike = low.memory == high.memory && low.is_signed == high.is_signed;
        (is_next && is_narrow && alike).then_some(Factor { low, high })
    }

    /// The eight words of a factor, each of the first four beside its counterpart of the last four.
    fn paired(&mut self, Factor { low, high }: Factor) -> Reg {
        const PAIRS: [u8; 16] = [0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15];
        for loaded in [low, high] {
            self.absorb(loaded.extended);
        }
        // This load is not made: its address is used once less.
        self.sink(high.load, high.value);
        self.state.uses[high.addr.index()] -= 1;
        let rm = self.half_operand(low.value);
        let row = if low.is_signed {
            Row::Pmovsxbw
        } else {
            Row::Pmovzxbw
        };
        let words = self.vec_from(row, NEW, rm);
        self.vec_const(Row::Pshufb, NEW, words, u128::from_le_bytes(PAIRS))
    }
}

fn is_product(op: V) -> bool {
    op == V::I32x4ExtMulLowI16x8S
}
