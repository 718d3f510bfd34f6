//! Copies and fills of few bytes, without a call of the runtime.
//!
//! Everything is read before anything is written, and the last bytes are written first: where the
//! range ends outside of the memory, that write traps and nothing was written. Where the length is
//! not known, the ends of both ranges are compared before, and what is left is to copy from both
//! ends with the widest accesses that fit, which may overlap.
//!
//! Requires operators that type-checked. Guarantees at most [`BYTES_MAX`] bytes for each constant
//! length, and at most [`OPEN_MAX`] copies and fills of a length that is not known in each function.

use super::Translator;
use super::control::open;
use super::ssa::Slot;
use cellwall_base::{Limit, MemoryIdx};
use cellwall_ir::{
    BinaryOp, Block, CompareOp, InstData, LoadOp, StoreOp, Type, UnaryOp, Value, ValueList, VectorOp,
};

/// The longest copy or fill of a constant length.
const BYTES_MAX: u64 = 128;
/// The longest copy or fill of a length that is not known.
const OPEN_BYTES_MAX: u64 = 64;
/// Copies and fills of a length that is not known that get code of their own; the others call.
const OPEN_MAX: u32 = 32;

/// One access of a copy or fill: where it starts, and its width.
#[derive(Clone, Copy)]
struct Piece {
    offset: u64,
    bytes: u64,
}

impl Piece {
    fn load(self) -> (LoadOp, Type) {
        match self.bytes {
            1 => (LoadOp::U8, Type::I32),
            2 => (LoadOp::U16, Type::I32),
            4 => (LoadOp::Full, Type::I32),
            8 => (LoadOp::Full, Type::I64),
            _ => (LoadOp::Full, Type::V128),
        }
    }

    fn store(self) -> StoreOp {
        match self.bytes {
            1 => StoreOp::Low8,
            2 => StoreOp::Low16,
            _ => StoreOp::Full,
        }
    }
}

/// A case of a copy or fill of a length that is not known.
#[derive(Clone, Copy)]
enum Part {
    /// The runtime does it.
    Call,
    /// From so many bytes to twice as many: the first and the last ones.
    Ends(u64),
    /// One to three bytes.
    Bytes,
}

/// The accesses that cover a length, the last bytes first.
fn pieces(len: u64) -> Vec<Piece> {
    let widest = match len {
        16.. => 16,
        8.. => 8,
        4.. => 4,
        // Three bytes in two accesses do not overlap.
        3 => return vec![Piece { offset: 2, bytes: 1 }, Piece { offset: 0, bytes: 2 }],
        _ => len,
    };
    let mut pieces = Vec::new();
    let mut end = len;
    while end > 0 {
        let offset = end.saturating_sub(widest);
        pieces.push(Piece {
            offset,
            bytes: widest,
        });
        end = offset;
    }
    pieces
}

impl Translator<'_> {
    /// The constant length of a copy or fill that is done in place.
    fn short(&self, len: Value) -> Option<u64> {
        self.func
            .constant(len)
            .filter(|len| (1..=BYTES_MAX).contains(len))
    }

    fn load_piece(&mut self, memory: MemoryIdx, piece: Piece, index: Value) -> Value {
        let (addr, offset) = self.address(memory, piece.offset, piece.bytes as u32, index);
        let (op, ty) = piece.load();
        let data = InstData::Load {
            op,
            memory,
            offset,
            addr,
        };
        self.build().value(data, ty)
    }

    fn store_piece(&mut self, memory: MemoryIdx, piece: Piece, index: Value, value: Value) {
        let (addr, offset) = self.address(memory, piece.offset, piece.bytes as u32, index);
        let data = InstData::Store {
            op: piece.store(),
            memory,
            offset,
            args: [addr, value],
        };
        self.build().push(data, &[]);
    }

    /// `memory.copy` of few bytes; false if it is none.
    pub(super) fn copy_short(
        &mut self,
        to: MemoryIdx,
        from: MemoryIdx,
        [dst, src, len]: [Value; 3],
    ) -> Result<bool, Limit> {
        if let Some(len) = self.short(len) {
            let pieces = pieces(len);
            let values: Vec<Value> = pieces
                .iter()
                .map(|&piece| self.load_piece(from, piece, src))
                .collect();
            for (&piece, value) in pieces.iter().zip(values) {
                self.store_piece(to, piece, dst, value);
            }
            return Ok(true);
        }
        if to != from || !self.opens(to, len) {
            return Ok(false);
        }
        let args = [dst, src, len];
        self.open_range(to, &[dst, src], len, &|this, part| this.copy_part(to, args, part))?;
        Ok(true)
    }

    /// `memory.fill` of few bytes; false if it is none.
    pub(super) fn fill_short(
        &mut self,
        memory: MemoryIdx,
        [dst, byte, len]: [Value; 3],
    ) -> Result<bool, Limit> {
        if let Some(len) = self.short(len) {
            // Pieces of three bytes are of two widths.
            for piece in pieces(len) {
                let value = self.repeated(byte, piece.bytes);
                self.store_piece(memory, piece, dst, value);
            }
            return Ok(true);
        }
        if !self.opens(memory, len) {
            return Ok(false);
        }
        let args = [dst, byte, len];
        self.open_range(memory, &[dst], len, &|this, part| {
            this.fill_part(memory, args, part)
        })?;
        Ok(true)
    }

    /// A value of so many bytes that all are `byte`.
    fn repeated(&mut self, byte: Value, bytes: u64) -> Value {
        let (_, ty) = Piece { offset: 0, bytes }.load();
        let ones = u64::from_le_bytes([1; 8]) >> (64 - 8 * bytes.min(8));
        match (self.func.constant(byte), ty) {
            (Some(bits), Type::V128) => {
                let bits = u128::from_le_bytes([bits as u8; 16]);
                self.build().vector_constant(bits)
            }
            (Some(bits), _) => self.constant(ty, ones * (bits & 0xff)),
            (None, Type::V128) => self.build().vector(VectorOp::I8x16Splat, &[byte]),
            (None, _) if bytes == 1 => byte,
            (None, _) => {
                let mask = self.constant(Type::I32, 0xff);
                let mut byte = self.build().binary(BinaryOp::And, byte, mask);
                if ty == Type::I64 {
                    byte = self.build().unary(UnaryOp::ExtendU, Type::I64, byte);
                }
                let ones = self.constant(ty, ones);
                self.build().binary(BinaryOp::Mul, byte, ones)
            }
        }
    }

    /// Whether the length of a copy or fill of a memory is looked at when it is known.
    fn opens(&mut self, memory: MemoryIdx, len: Value) -> bool {
        let plain = &self.module.memories()[memory];
        let plain = plain.has_whole_pages() && !plain.is_64 && !plain.shared;
        let opens = plain
            && self.target.index_always_reserved()
            && self.func.constant(len).is_none()
            && self.open_ranges < OPEN_MAX;
        self.open_ranges += u32::from(opens);
        opens
    }

    /// A copy or fill of ranges of one memory that does not call if the length is at most
    /// [`OPEN_BYTES_MAX`]. The memory has pages of the usual size, and its indexes are always within
    /// the reservation.
    fn open_range(
        &mut self,
        memory: MemoryIdx,
        starts: &[Value],
        len: Value,
        work: &dyn Fn(&mut Self, Part),
    ) -> Result<(), Limit> {
        let done = self.new_block();
        let max = self.constant(Type::I32, OPEN_BYTES_MAX);
        let [long, short] = self.fork(CompareOp::GtU, len, max)?;
        self.start(long);
        work(self, Part::Call);
        self.go(done);
        self.start(short);
        // Then no sum of an index and the length wraps.
        for &index in starts {
            let (index, len) = (self.extend(index), self.extend(len));
            let end = self.build().binary(BinaryOp::Add, index, len);
            let data = InstData::BoundsCheck {
                memory,
                addr: end,
                slack: 0,
            };
            self.build().value(data, Type::I64);
        }
        for bytes in [32, 16, 8, 4] {
            let least = self.constant(Type::I32, bytes);
            let [wide, narrow] = self.fork(CompareOp::GeU, len, least)?;
            self.start(wide);
            work(self, Part::Ends(bytes));
            self.go(done);
            self.start(narrow);
        }
        let zero = self.constant(Type::I32, 0);
        let [nothing, bytes] = self.fork(CompareOp::Eq, len, zero)?;
        self.start(nothing);
        self.go(done);
        self.start(bytes);
        work(self, Part::Bytes);
        self.go(done);
        self.ssa.seal(&mut self.func, done)?;
        self.start(done);
        Ok(())
    }

    /// Where a range begins and where its last `bytes` do.
    fn ends(&mut self, start: Value, len: Value, bytes: u64) -> [Value; 2] {
        let minus = self.constant(Type::I32, u64::from((bytes as u32).wrapping_neg()));
        let skip = self.build().binary(BinaryOp::Add, len, minus);
        [start, self.build().binary(BinaryOp::Add, start, skip)]
    }

    /// The first, the middle and the last of one to three bytes.
    fn each_byte(&mut self, start: Value, len: Value) -> [Value; 3] {
        let one = self.constant(Type::I32, 1);
        let middle = self.build().binary(BinaryOp::ShrU, len, one);
        let middle = self.build().binary(BinaryOp::Add, start, middle);
        let [first, last] = self.ends(start, len, 1);
        [first, middle, last]
    }

    /// The accesses of a case within a range: their indexes, which cover it from both sides.
    fn accesses(&mut self, start: Value, len: Value, part: Part) -> Vec<(Value, Piece)> {
        let piece = |offset, bytes| Piece { offset, bytes };
        match part {
            Part::Call => Vec::new(),
            Part::Ends(bytes) => {
                let ends = self.ends(start, len, bytes);
                let width = bytes.min(16);
                let starts = (0..bytes).step_by(width as usize);
                let each = |index| starts.clone().map(move |offset| (index, piece(offset, width)));
                ends.into_iter().flat_map(each).collect()
            }
            Part::Bytes => {
                let bytes = self.each_byte(start, len);
                bytes.map(|index| (index, piece(0, 1))).to_vec()
            }
        }
    }

    fn copy_part(&mut self, memory: MemoryIdx, args: [Value; 3], part: Part) {
        let [dst, src, len] = args;
        if matches!(part, Part::Call) {
            return self.call_copy(memory, memory, args);
        }
        let from = self.accesses(src, len, part);
        let to = self.accesses(dst, len, part);
        let load = |(index, piece)| self.load_piece(memory, piece, index);
        let values: Vec<Value> = from.into_iter().map(load).collect();
        for ((index, piece), value) in to.into_iter().zip(values) {
            self.store_piece(memory, piece, index, value);
        }
    }

    fn fill_part(&mut self, memory: MemoryIdx, args: [Value; 3], part: Part) {
        let [dst, byte, len] = args;
        let bytes = match part {
            Part::Call => return self.call_fill(memory, args),
            Part::Ends(bytes) => bytes.min(16),
            Part::Bytes => 1,
        };
        let value = self.repeated(byte, bytes);
        for (index, piece) in self.accesses(dst, len, part) {
            self.store_piece(memory, piece, index, value);
        }
    }

    fn new_block(&mut self) -> Block {
        self.ssa.make_block(&mut self.func, std::iter::empty())
    }

    /// Ends the current block with a branch on a comparison, to two new blocks.
    fn fork(&mut self, op: CompareOp, x: Value, y: Value) -> Result<[Block; 2], Limit> {
        let from = self.block.expect("the code is reachable");
        let cond = self.build().compare(op, x, y);
        let blocks = [self.new_block(), self.new_block()];
        let branch = self.end_block(InstData::Branch {
            cond,
            to: blocks.map(open),
        });
        for (slot, block) in blocks.into_iter().enumerate() {
            let none = ValueList::default();
            self.ssa
                .add_edge(from, branch, Slot::Fixed(slot as u8), block, none);
            self.ssa.seal(&mut self.func, block)?;
        }
        Ok(blocks)
    }

    /// Ends the current block with a jump.
    fn go(&mut self, to: Block) {
        let from = self.block.expect("the code is reachable");
        let jump = self.end_block(InstData::Jump { to: open(to) });
        self.ssa
            .add_edge(from, jump, Slot::Fixed(0), to, ValueList::default());
    }
}

#[cfg(test)]
mod tests {
    use super::pieces;

    #[test]
    fn pieces_cover_a_length_from_its_end_and_nothing_else() {
        for len in 1..=200u64 {
            let mut covered = vec![false; len as usize];
            let pieces = pieces(len);
            for piece in &pieces {
                covered[piece.offset as usize..][..piece.bytes as usize].fill(true);
            }
            assert!(covered.iter().all(|&c| c), "{len}");
            assert_eq!(pieces[0].offset + pieces[0].bytes, len);
        }
    }
}
