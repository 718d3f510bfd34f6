//! The table of operators: for each its name, the types it takes and its meaning on bits.
//!
//! Values are carried as the low bits of a `u64`: 32-bit values are zero-extended, floats are their
//! IEEE 754 bits. A meaning is total except where it returns a [`Trap`]. Floating-point results that
//! are NaN are any quiet NaN in WebAssembly; the meanings here return the canonical one or what the
//! host's arithmetic gives, and comparisons between engines must allow for that.

use crate::vector::VectorOp;
use std::fmt;

/// Type of a value. References are `I32` here: an index that the runtime gives meaning to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Type {
    /// 32-bit integer.
    I32,
    /// 64-bit integer.
    I64,
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary64.
    F64,
    /// 128-bit vector.
    V128,
}

impl Type {
    /// Whether this is an integer type.
    pub const fn is_int(self) -> bool {
        matches!(self, Self::I32 | Self::I64)
    }

    /// Whether this is a scalar float type.
    pub const fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F64)
    }

    /// Size in bytes.
    pub const fn bytes(self) -> u32 {
        match self {
            Self::I32 | Self::F32 => 4,
            Self::I64 | Self::F64 => 8,
            Self::V128 => 16,
        }
    }

    /// Size in bits.
    pub const fn bits(self) -> u32 {
        self.bytes() * 8
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::V128 => "v128",
        })
    }
}

/// Why an instruction has no result.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Trap {
    /// A memory access outside the memory.
    MemoryOutOfBounds,
    /// A table access outside the table.
    TableOutOfBounds,
    /// A call of a null table entry.
    IndirectCallToNull,
    /// A call of a table entry with another signature.
    BadSignature,
    /// A quotient or converted float that does not fit.
    IntegerOverflow,
    /// A division by zero.
    IntegerDivisionByZero,
    /// A conversion of NaN to an integer.
    BadConversionToInteger,
    /// A null reference where one with a value was needed.
    NullReference,
    /// Reached on purpose.
    Unreachable,
    /// An atomic access whose address is no multiple of its width.
    UnalignedAtomic,
    /// A wait on a memory that is not shared.
    ExpectedSharedMemory,
    /// A null reference where a number of 31 bits was needed.
    NullI31Reference,
    /// A cast of a reference to a type that it is not of.
    CastFailure,
}

macro_rules! ops {
    ($(#[$meta:meta])* $type:ident { $($(#[$op_meta:meta])* $name:ident = $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum $type {
            $($(#[$op_meta])* $name,)*
        }
        impl $type {
            /// Every operator of the table.
            pub const ALL: &'static [$type] = &[$($type::$name,)*];
            /// The name in the text form.
            pub const fn name(self) -> &'static str {
                match self {
                    $($type::$name => $text,)*
                }
            }
        }
    };
}

ops! {
    /// Operators of one operand. Operand and result types are those of the values.
    UnaryOp {
        /// Leading zero bits (the width for 0). Integers.
        Clz = "clz",
        /// Trailing zero bits (the width for 0). Integers.
        Ctz = "ctz",
        /// Set bits. Integers.
        Popcnt = "popcnt",
        /// Sign-extends the low 8 bits. Integers.
        SignExtend8 = "sext8",
        /// Sign-extends the low 16 bits. Integers.
        SignExtend16 = "sext16",
        /// Sign-extends the low 32 bits. I64.
        SignExtend32 = "sext32",
        /// I64 to its low half as I32.
        Wrap = "wrap",
        /// I32 to I64 with zeros.
        ExtendU = "extend_u",
        /// I32 to I64 with the sign.
        ExtendS = "extend_s",
        /// Same bits as the float or integer type of equal width.
        Bitcast = "bitcast",
        /// Clears the sign bit. Floats.
        FAbs = "fabs",
        /// Flips the sign bit. Floats.
        FNeg = "fneg",
        /// Square root. Floats.
        FSqrt = "fsqrt",
        /// Rounds towards positive infinity. Floats.
        FCeil = "fceil",
        /// Rounds towards negative infinity. Floats.
        FFloor = "ffloor",
        /// Rounds towards zero. Floats.
        FTrunc = "ftrunc",
        /// Rounds to nearest, ties to even. Floats.
        FNearest = "fnearest",
        /// F32 to F64.
        FPromote = "fpromote",
        /// F64 to F32.
        FDemote = "fdemote",
        /// Signed integer to float.
        ConvertS = "convert_s",
        /// Unsigned integer to float.
        ConvertU = "convert_u",
        /// Float to signed integer; traps if it does not fit.
        TruncS = "trunc_s",
        /// Float to unsigned integer; traps if it does not fit.
        TruncU = "trunc_u",
        /// Float to signed integer, saturating; NaN is 0.
        TruncSatS = "trunc_sat_s",
        /// Float to unsigned integer, saturating; NaN is 0.
        TruncSatU = "trunc_sat_u",
    }
}

ops! {
    /// Operators of two operands of one type, which is also the result's.
    BinaryOp {
        /// Wrapping sum. Integers.
        Add = "add",
        /// Wrapping difference. Integers.
        Sub = "sub",
        /// Wrapping product. Integers.
        Mul = "mul",
        /// High half of the unsigned product. I64.
        MulHighU = "mul_high_u",
        /// High half of the signed product. I64.
        MulHighS = "mul_high_s",
        /// Signed quotient; traps on 0 and on overflow. Integers.
        DivS = "div_s",
        /// Unsigned quotient; traps on 0. Integers.
        DivU = "div_u",
        /// Signed remainder; traps on 0. Integers.
        RemS = "rem_s",
        /// Unsigned remainder; traps on 0. Integers.
        RemU = "rem_u",
        /// Bitwise and. Integers.
        And = "and",
        /// Bitwise or. Integers.
        Or = "or",
        /// Bitwise exclusive or. Integers.
        Xor = "xor",
        /// Shift left by the count modulo the width. Integers.
        Shl = "shl",
        /// Arithmetic shift right by the count modulo the width. Integers.
        ShrS = "shr_s",
        /// Logical shift right by the count modulo the width. Integers.
        ShrU = "shr_u",
        /// Rotate left by the count modulo the width. Integers.
        Rotl = "rotl",
        /// Rotate right by the count modulo the width. Integers.
        Rotr = "rotr",
        /// Sum. Floats.
        FAdd = "fadd",
        /// Difference. Floats.
        FSub = "fsub",
        /// Product. Floats.
        FMul = "fmul",
        /// Quotient. Floats.
        FDiv = "fdiv",
        /// Minimum; NaN if either is, -0 below +0. Floats.
        FMin = "fmin",
        /// Maximum; NaN if either is, -0 below +0. Floats.
        FMax = "fmax",
        /// First operand with the sign of the second. Floats.
        FCopysign = "fcopysign",
    }
}

ops! {
    /// Comparisons of two operands of one type; the result is `I32`, 0 or 1.
    CompareOp {
        /// Equal. Integers.
        Eq = "eq",
        /// Not equal. Integers.
        Ne = "ne",
        /// Signed less. Integers.
        LtS = "lt_s",
        /// Unsigned less. Integers.
        LtU = "lt_u",
        /// Signed greater. Integers.
        GtS = "gt_s",
        /// Unsigned greater. Integers.
        GtU = "gt_u",
        /// Signed less or equal. Integers.
        LeS = "le_s",
        /// Unsigned less or equal. Integers.
        LeU = "le_u",
        /// Signed greater or equal. Integers.
        GeS = "ge_s",
        /// Unsigned greater or equal. Integers.
        GeU = "ge_u",
        /// Equal; false if either is NaN. Floats.
        FEq = "feq",
        /// Not equal; true if either is NaN. Floats.
        FNe = "fne",
        /// Less; false if either is NaN. Floats.
        FLt = "flt",
        /// Greater; false if either is NaN. Floats.
        FGt = "fgt",
        /// Less or equal; false if either is NaN. Floats.
        FLe = "fle",
        /// Greater or equal; false if either is NaN. Floats.
        FGe = "fge",
    }
}

ops! {
    /// Loads; the result type is the instruction's.
    LoadOp {
        /// All bytes of the result type.
        Full = "load",
        /// One byte, zero-extended. Integers.
        U8 = "load_u8",
        /// One byte, sign-extended. Integers.
        S8 = "load_s8",
        /// Two bytes, zero-extended. Integers.
        U16 = "load_u16",
        /// Two bytes, sign-extended. Integers.
        S16 = "load_s16",
        /// Four bytes, zero-extended. I64.
        U32 = "load_u32",
        /// Four bytes, sign-extended. I64.
        S32 = "load_s32",
        /// One byte to all lanes. V128, as all that follow.
        Splat8 = "load_splat8",
        /// Two bytes to all lanes.
        Splat16 = "load_splat16",
        /// Four bytes to all lanes.
        Splat32 = "load_splat32",
        /// Eight bytes to both lanes.
        Splat64 = "load_splat64",
        /// Four bytes, zeros above.
        Zero32 = "load_zero32",
        /// Eight bytes, zeros above.
        Zero64 = "load_zero64",
        /// Eight bytes, each sign-extended to two.
        S8x8 = "load_s8x8",
        /// Eight bytes, each zero-extended to two.
        U8x8 = "load_u8x8",
        /// Four times two bytes, each sign-extended to four.
        S16x4 = "load_s16x4",
        /// Four times two bytes, each zero-extended to four.
        U16x4 = "load_u16x4",
        /// Twice four bytes, each sign-extended to eight.
        S32x2 = "load_s32x2",
        /// Twice four bytes, each zero-extended to eight.
        U32x2 = "load_u32x2",
    }
}

ops! {
    /// Stores; the operand type is the value's.
    StoreOp {
        /// All bytes of the value.
        Full = "store",
        /// The low byte. Integers.
        Low8 = "store8",
        /// The low two bytes. Integers.
        Low16 = "store16",
        /// The low four bytes. I64.
        Low32 = "store32",
    }
}

ops! {
    /// Atomic accesses, sequentially consistent. Integers; what is read is zero-extended.
    AtomicOp {
        /// Reads.
        Load = "atomic_load",
        /// Writes the operand.
        Store = "atomic_store",
        /// Reads, and writes the sum with the operand.
        Add = "atomic_add",
        /// Reads, and writes the difference to the operand.
        Sub = "atomic_sub",
        /// Reads, and writes the bitwise and with the operand.
        And = "atomic_and",
        /// Reads, and writes the bitwise or with the operand.
        Or = "atomic_or",
        /// Reads, and writes the bitwise exclusive or with the operand.
        Xor = "atomic_xor",
        /// Reads, and writes the operand.
        Exchange = "atomic_exchange",
        /// Reads, and writes the second operand if what was read is the first (both in the width of the
        /// access).
        CompareExchange = "atomic_compare_exchange",
    }
}

impl AtomicOp {
    /// How many operands it has beside the address.
    pub const fn operands(self) -> usize {
        match self {
            Self::Load => 0,
            Self::CompareExchange => 2,
            _ => 1,
        }
    }

    /// Whether it gives what it read.
    pub const fn gives(self) -> bool {
        !matches!(self, Self::Store)
    }

    /// What is in the place afterwards; all operands are cut to the width of the access.
    pub const fn eval(self, old: u64, x: u64, y: u64) -> u64 {
        match self {
            Self::Load => old,
            Self::Store | Self::Exchange => x,
            Self::Add => old.wrapping_add(x),
            Self::Sub => old.wrapping_sub(x),
            Self::And => old & x,
            Self::Or => old | x,
            Self::Xor => old ^ x,
            Self::CompareExchange if old == x => y,
            Self::CompareExchange => old,
        }
    }
}

impl LoadOp {
    /// Bytes read for a result of this type.
    pub const fn bytes(self, ty: Type) -> u32 {
        match self {
            Self::Full => ty.bytes(),
            Self::U8 | Self::S8 | Self::Splat8 => 1,
            Self::U16 | Self::S16 | Self::Splat16 => 2,
            Self::U32 | Self::S32 | Self::Splat32 | Self::Zero32 => 4,
            _ => 8,
        }
    }

    /// Whether a result of this type is legal.
    pub const fn accepts(self, ty: Type) -> bool {
        match self {
            Self::Full => true,
            Self::U8 | Self::S8 | Self::U16 | Self::S16 => ty.is_int(),
            Self::U32 | Self::S32 => matches!(ty, Type::I64),
            _ => matches!(ty, Type::V128),
        }
    }

    /// The value of these bytes, the first `bytes` of which were read (little-endian, zeros above).
    pub fn eval(self, ty: Type, raw: u128) -> u128 {
        let extend = |low: VectorOp| low.eval(0, [raw; 3]);
        let wide = match self {
            Self::Full | Self::U8 | Self::U16 | Self::U32 | Self::Zero32 | Self::Zero64 => return raw,
            Self::S8 => raw as i8 as i64 as u64,
            Self::S16 => raw as i16 as i64 as u64,
            Self::S32 => raw as i32 as i64 as u64,
            Self::Splat8 => return extend(VectorOp::I8x16Splat),
            Self::Splat16 => return extend(VectorOp::I16x8Splat),
            Self::Splat32 => return extend(VectorOp::I32x4Splat),
            Self::Splat64 => return extend(VectorOp::I64x2Splat),
            Self::S8x8 => return extend(VectorOp::I16x8ExtendLowI8x16S),
            Self::U8x8 => return extend(VectorOp::I16x8ExtendLowI8x16U),
            Self::S16x4 => return extend(VectorOp::I32x4ExtendLowI16x8S),
            Self::U16x4 => return extend(VectorOp::I32x4ExtendLowI16x8U),
            Self::S32x2 => return extend(VectorOp::I64x2ExtendLowI32x4S),
            Self::U32x2 => return extend(VectorOp::I64x2ExtendLowI32x4U),
        };
        u128::from(if ty.bytes() == 4 { wide as u32 as u64 } else { wide })
    }
}

impl StoreOp {
    /// Whether a value of this type is legal.
    pub const fn accepts(self, ty: Type) -> bool {
        match self {
            Self::Full => true,
            Self::Low8 | Self::Low16 => ty.is_int(),
            Self::Low32 => matches!(ty, Type::I64),
        }
    }

    /// Bytes written for a value of this type.
    pub const fn bytes(self, ty: Type) -> u32 {
        match self {
            Self::Full => ty.bytes(),
            Self::Low8 => 1,
            Self::Low16 => 2,
            Self::Low32 => 4,
        }
    }
}

impl UnaryOp {
    /// Whether an operand of type `from` may give a result of type `to`.
    pub const fn accepts(self, from: Type, to: Type) -> bool {
        use Type::{F32, F64, I32, I64};
        let same = from as u8 == to as u8;
        match self {
            Self::Clz | Self::Ctz | Self::Popcnt | Self::SignExtend8 | Self::SignExtend16 => {
                from.is_int() && same
            }
            Self::SignExtend32 => matches!((from, to), (I64, I64)),
            Self::Wrap => matches!((from, to), (I64, I32)),
            Self::ExtendU | Self::ExtendS => matches!((from, to), (I32, I64)),
            Self::Bitcast => matches!((from, to), (I32, F32) | (F32, I32) | (I64, F64) | (F64, I64)),
            Self::FAbs
            | Self::FNeg
            | Self::FSqrt
            | Self::FCeil
            | Self::FFloor
            | Self::FTrunc
            | Self::FNearest => from.is_float() && same,
            Self::FPromote => matches!((from, to), (F32, F64)),
            Self::FDemote => matches!((from, to), (F64, F32)),
            Self::ConvertS | Self::ConvertU => from.is_int() && to.is_float(),
            Self::TruncS | Self::TruncU | Self::TruncSatS | Self::TruncSatU => from.is_float() && to.is_int(),
        }
    }

    /// Whether the operator may trap.
    pub const fn traps(self) -> bool {
        matches!(self, Self::TruncS | Self::TruncU)
    }

    /// Whether the result may be a NaN of which it is open which one it is.
    pub const fn chooses_nan(self) -> bool {
        matches!(
            self,
            Self::FSqrt
                | Self::FCeil
                | Self::FFloor
                | Self::FTrunc
                | Self::FNearest
                | Self::FPromote
                | Self::FDemote
        )
    }

    /// The result for an operand of type `from` with bits `x`.
    ///
    /// # Errors
    /// The trap, for operators that [may trap](Self::traps).
    ///
    /// # Panics
    /// If the types are not [accepted](Self::accepts).
    pub fn eval(self, from: Type, to: Type, x: u64) -> Result<u64, Trap> {
        assert!(
            self.accepts(from, to),
            "{} does not take {from} to {to}",
            self.name()
        );
        let narrow = from.bytes() == 4;
        let int = |x: u64| if to.bytes() == 4 { x as u32 as u64 } else { x };
        Ok(match self {
            Self::Clz if narrow => u64::from((x as u32).leading_zeros()),
            Self::Clz => u64::from(x.leading_zeros()),
            Self::Ctz if narrow => u64::from((x as u32).trailing_zeros()),
            Self::Ctz => u64::from(x.trailing_zeros()),
            Self::Popcnt => u64::from(x.count_ones()),
            Self::SignExtend8 => int(x as i8 as u64),
            Self::SignExtend16 => int(x as i16 as u64),
            Self::SignExtend32 | Self::ExtendS => x as i32 as u64,
            Self::Wrap => x as u32 as u64,
            Self::ExtendU | Self::Bitcast => x,
            Self::FAbs if narrow => x & 0x7fff_ffff,
            Self::FAbs => x & (u64::MAX >> 1),
            Self::FNeg if narrow => x ^ 0x8000_0000,
            Self::FNeg => x ^ (1 << 63),
            Self::FSqrt => float(from, x, f32::sqrt, f64::sqrt),
            Self::FCeil => float(from, x, f32::ceil, f64::ceil),
            Self::FFloor => float(from, x, f32::floor, f64::floor),
            Self::FTrunc => float(from, x, f32::trunc, f64::trunc),
            Self::FNearest => float(from, x, f32::round_ties_even, f64::round_ties_even),
            Self::FPromote => quiet64(f64::from(f32::from_bits(x as u32))),
            Self::FDemote => quiet32(f64::from_bits(x) as f32),
            Self::ConvertS | Self::ConvertU => self.convert(from, to, x),
            Self::TruncS | Self::TruncU => return self.trunc(from, to, x),
            Self::TruncSatS | Self::TruncSatU => {
                let value = if narrow {
                    f64::from(f32::from_bits(x as u32))
                } else {
                    f64::from_bits(x)
                };
                match (self, to) {
                    (Self::TruncSatS, Type::I32) => value as i32 as u32 as u64,
                    (Self::TruncSatS, _) => value as i64 as u64,
                    (_, Type::I32) => u64::from(value as u32),
                    _ => value as u64,
                }
            }
        })
    }

    fn convert(self, from: Type, to: Type, x: u64) -> u64 {
        let signed = self == Self::ConvertS;
        match (from, to) {
            (Type::I32, Type::F32) if signed => u64::from((x as i32 as f32).to_bits()),
            (Type::I32, Type::F32) => u64::from((x as u32 as f32).to_bits()),
            (Type::I32, _) if signed => f64::from(x as i32).to_bits(),
            (Type::I32, _) => f64::from(x as u32).to_bits(),
            (_, Type::F32) if signed => u64::from((x as i64 as f32).to_bits()),
            (_, Type::F32) => u64::from((x as f32).to_bits()),
            _ if signed => (x as i64 as f64).to_bits(),
            _ => (x as f64).to_bits(),
        }
    }

    fn trunc(self, from: Type, to: Type, x: u64) -> Result<u64, Trap> {
        let value = if from == Type::F32 {
            f64::from(f32::from_bits(x as u32))
        } else {
            f64::from_bits(x)
        };
        if value.is_nan() {
            return Err(Trap::BadConversionToInteger);
        }
        let value = value.trunc();
        // Both bounds are powers of two, so exact in binary64.
        let (low, end) = match (self, to) {
            (Self::TruncS, Type::I32) => (-2f64.powi(31), 2f64.powi(31)),
            (Self::TruncS, _) => (-2f64.powi(63), 2f64.powi(63)),
            (_, Type::I32) => (0.0, 2f64.powi(32)),
            _ => (0.0, 2f64.powi(64)),
        };
        if value < low || value >= end {
            return Err(Trap::IntegerOverflow);
        }
        Ok(match (self, to) {
            (Self::TruncS, Type::I32) => value as i32 as u32 as u64,
            (Self::TruncS, _) => value as i64 as u64,
            _ => value as u64,
        })
    }
}

impl BinaryOp {
    /// Whether operands of this type are legal.
    pub const fn accepts(self, ty: Type) -> bool {
        if matches!(self, Self::MulHighU | Self::MulHighS) {
            matches!(ty, Type::I64)
        } else if (self as u8) < (Self::FAdd as u8) {
            ty.is_int()
        } else {
            ty.is_float()
        }
    }

    /// Whether the operator may trap.
    pub const fn traps(self) -> bool {
        matches!(self, Self::DivS | Self::DivU | Self::RemS | Self::RemU)
    }

    /// Whether the result may be a NaN of which it is open which one it is.
    pub const fn chooses_nan(self) -> bool {
        matches!(
            self,
            Self::FAdd | Self::FSub | Self::FMul | Self::FDiv | Self::FMin | Self::FMax
        )
    }

    /// Whether the operands may be exchanged (for floats up to the choice of NaN).
    pub const fn commutes(self) -> bool {
        matches!(
            self,
            Self::Add
                | Self::Mul
                | Self::MulHighU
                | Self::MulHighS
                | Self::And
                | Self::Or
                | Self::Xor
                | Self::FAdd
                | Self::FMul
        )
    }

    /// The result for operands of type `ty` with bits `x` and `y`.
    ///
    /// # Errors
    /// The trap, for operators that [may trap](Self::traps).
    ///
    /// # Panics
    /// If the type is not [accepted](Self::accepts).
    pub fn eval(self, ty: Type, x: u64, y: u64) -> Result<u64, Trap> {
        assert!(self.accepts(ty), "{} does not take {ty}", self.name());
        match ty {
            Type::I32 => self.eval_i32(x as u32, y as u32).map(u64::from),
            Type::I64 => self.eval_i64(x, y),
            Type::F32 => Ok(self.eval_f32(x as u32, y as u32)),
            _ => Ok(self.eval_f64(x, y)),
        }
    }

    fn eval_i32(self, x: u32, y: u32) -> Result<u32, Trap> {
        let (sx, sy) = (x as i32, y as i32);
        Ok(match self {
            Self::DivS | Self::DivU | Self::RemS | Self::RemU if y == 0 => {
                return Err(Trap::IntegerDivisionByZero);
            }
            Self::DivS => sx.checked_div(sy).ok_or(Trap::IntegerOverflow)? as u32,
            Self::RemS => sx.wrapping_rem(sy) as u32,
            Self::ShrS => sx.wrapping_shr(y) as u32,
            Self::Shl => x.wrapping_shl(y),
            Self::ShrU => x.wrapping_shr(y),
            Self::Rotl => x.rotate_left(y % 32),
            Self::Rotr => x.rotate_right(y % 32),
            _ => self.eval_i64(u64::from(x), u64::from(y))? as u32,
        })
    }

    fn eval_i64(self, x: u64, y: u64) -> Result<u64, Trap> {
        let (sx, sy) = (x as i64, y as i64);
        Ok(match self {
            Self::Add => x.wrapping_add(y),
            Self::Sub => x.wrapping_sub(y),
            Self::Mul => x.wrapping_mul(y),
            Self::MulHighU => ((u128::from(x) * u128::from(y)) >> 64) as u64,
            Self::MulHighS => ((i128::from(sx) * i128::from(sy)) >> 64) as u64,
            Self::DivS | Self::DivU | Self::RemS | Self::RemU if y == 0 => {
                return Err(Trap::IntegerDivisionByZero);
            }
            Self::DivS => sx.checked_div(sy).ok_or(Trap::IntegerOverflow)? as u64,
            Self::DivU => x / y,
            Self::RemS => sx.wrapping_rem(sy) as u64,
            Self::RemU => x % y,
            Self::And => x & y,
            Self::Or => x | y,
            Self::Xor => x ^ y,
            Self::Shl => x.wrapping_shl(y as u32),
            Self::ShrS => sx.wrapping_shr(y as u32) as u64,
            Self::ShrU => x.wrapping_shr(y as u32),
            Self::Rotl => x.rotate_left((y % 64) as u32),
            Self::Rotr => x.rotate_right((y % 64) as u32),
            _ => unreachable!("float operators are refused by `accepts`"),
        })
    }

    fn eval_f32(self, x: u32, y: u32) -> u64 {
        let (a, b) = (f32::from_bits(x), f32::from_bits(y));
        quiet32(match self {
            Self::FAdd => a + b,
            Self::FSub => a - b,
            Self::FMul => a * b,
            Self::FDiv => a / b,
            Self::FMin if a.is_nan() || b.is_nan() => f32::NAN,
            Self::FMax if a.is_nan() || b.is_nan() => f32::NAN,
            Self::FMin if a == b => f32::from_bits(x | y),
            Self::FMax if a == b => f32::from_bits(x & y),
            Self::FMin => a.min(b),
            Self::FMax => a.max(b),
            // Bits, not arithmetic: NaN payloads stay.
            _ => return u64::from((x & 0x7fff_ffff) | (y & 0x8000_0000)),
        })
    }

    fn eval_f64(self, x: u64, y: u64) -> u64 {
        let (a, b) = (f64::from_bits(x), f64::from_bits(y));
        quiet64(match self {
            Self::FAdd => a + b,
            Self::FSub => a - b,
            Self::FMul => a * b,
            Self::FDiv => a / b,
            Self::FMin if a.is_nan() || b.is_nan() => f64::NAN,
            Self::FMax if a.is_nan() || b.is_nan() => f64::NAN,
            Self::FMin if a == b => f64::from_bits(x | y),
            Self::FMax if a == b => f64::from_bits(x & y),
            Self::FMin => a.min(b),
            Self::FMax => a.max(b),
            _ => return (x & (u64::MAX >> 1)) | (y & (1 << 63)),
        })
    }
}

impl CompareOp {
    /// Whether operands of this type are legal.
    pub const fn accepts(self, ty: Type) -> bool {
        if (self as u8) < (Self::FEq as u8) {
            ty.is_int()
        } else {
            ty.is_float()
        }
    }

    /// The comparison that is true exactly when this one is false, if there is one (there is none
    /// for the ordered float comparisons, because of NaN).
    pub const fn inverse(self) -> Option<Self> {
        Some(match self {
            Self::Eq => Self::Ne,
            Self::Ne => Self::Eq,
            Self::LtS => Self::GeS,
            Self::GeS => Self::LtS,
            Self::LtU => Self::GeU,
            Self::GeU => Self::LtU,
            Self::GtS => Self::LeS,
            Self::LeS => Self::GtS,
            Self::GtU => Self::LeU,
            Self::LeU => Self::GtU,
            Self::FEq => Self::FNe,
            Self::FNe => Self::FEq,
            Self::FLt | Self::FGt | Self::FLe | Self::FGe => return None,
        })
    }

    /// The comparison with the operands exchanged.
    pub const fn swapped(self) -> Self {
        match self {
            Self::LtS => Self::GtS,
            Self::GtS => Self::LtS,
            Self::LtU => Self::GtU,
            Self::GtU => Self::LtU,
            Self::LeS => Self::GeS,
            Self::GeS => Self::LeS,
            Self::LeU => Self::GeU,
            Self::GeU => Self::LeU,
            Self::FLt => Self::FGt,
            Self::FGt => Self::FLt,
            Self::FLe => Self::FGe,
            Self::FGe => Self::FLe,
            Self::Eq | Self::Ne | Self::FEq | Self::FNe => self,
        }
    }

    /// The result for operands of type `ty` with bits `x` and `y`.
    ///
    /// # Panics
    /// If the type is not [accepted](Self::accepts).
    pub fn eval(self, ty: Type, x: u64, y: u64) -> bool {
        assert!(self.accepts(ty), "{} does not take {ty}", self.name());
        let (sx, sy) = if ty == Type::I32 {
            (x as i32 as i64, y as i32 as i64)
        } else {
            (x as i64, y as i64)
        };
        let (fx, fy) = if ty == Type::F32 {
            (
                f64::from(f32::from_bits(x as u32)),
                f64::from(f32::from_bits(y as u32)),
            )
        } else {
            (f64::from_bits(x), f64::from_bits(y))
        };
        match self {
            Self::Eq => x == y,
            Self::Ne => x != y,
            Self::LtS => sx < sy,
            Self::LtU => x < y,
            Self::GtS => sx > sy,
            Self::GtU => x > y,
            Self::LeS => sx <= sy,
            Self::LeU => x <= y,
            Self::GeS => sx >= sy,
            Self::GeU => x >= y,
            Self::FEq => fx == fy,
            Self::FNe => fx != fy,
            Self::FLt => fx < fy,
            Self::FGt => fx > fy,
            Self::FLe => fx <= fy,
            Self::FGe => fx >= fy,
        }
    }
}

fn float(ty: Type, x: u64, narrow: fn(f32) -> f32, wide: fn(f64) -> f64) -> u64 {
    if ty == Type::F32 {
        quiet32(narrow(f32::from_bits(x as u32)))
    } else {
        quiet64(wide(f64::from_bits(x)))
    }
}

fn quiet32(value: f32) -> u64 {
    u64::from(value.to_bits() | if value.is_nan() { 0x0040_0000 } else { 0 })
}

fn quiet64(value: f64) -> u64 {
    value.to_bits() | if value.is_nan() { 1 << 51 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_accepted_unary_form_has_a_meaning() {
        let types = [Type::I32, Type::I64, Type::F32, Type::F64];
        let mut forms = 0;
        for &op in UnaryOp::ALL {
            for from in types {
                for to in types {
                    if !op.accepts(from, to) {
                        continue;
                    }
                    forms += 1;
                    for x in [0, 1, 0x7fc0_0000, 0x8000_0000, 0xbf00_0000] {
                        if let Ok(bits) = op.eval(from, to, x) {
                            assert!(to.bytes() == 8 || bits <= u64::from(u32::MAX), "{}", op.name());
                        }
                    }
                }
            }
        }
        assert_eq!(forms, 58);
    }

    #[test]
    fn division_traps_where_it_must() {
        let min = i32::MIN as u32 as u64;
        assert_eq!(
            BinaryOp::DivS.eval(Type::I32, min, u32::MAX as u64),
            Err(Trap::IntegerOverflow)
        );
        assert_eq!(BinaryOp::RemS.eval(Type::I32, min, u32::MAX as u64), Ok(0));
        assert_eq!(
            BinaryOp::RemU.eval(Type::I64, 1, 0),
            Err(Trap::IntegerDivisionByZero)
        );
        assert_eq!(BinaryOp::DivU.eval(Type::I64, 7, 2), Ok(3));
    }

    #[test]
    fn truncation_is_exact_at_its_bounds() {
        let f = |v: f64| v.to_bits();
        let trunc = |op: UnaryOp, v: f64| op.eval(Type::F64, Type::I32, f(v));
        assert_eq!(trunc(UnaryOp::TruncS, -2147483648.9), Ok(0x8000_0000));
        assert_eq!(trunc(UnaryOp::TruncS, -2147483649.0), Err(Trap::IntegerOverflow));
        assert_eq!(trunc(UnaryOp::TruncU, -0.9), Ok(0));
        assert_eq!(trunc(UnaryOp::TruncU, -1.0), Err(Trap::IntegerOverflow));
        assert_eq!(
            trunc(UnaryOp::TruncS, f64::NAN),
            Err(Trap::BadConversionToInteger)
        );
        assert_eq!(trunc(UnaryOp::TruncSatS, 1e10), Ok(0x7fff_ffff));
    }

    #[test]
    fn inverses_are_inverse_also_for_nan() {
        let nan = f64::NAN.to_bits();
        for &op in CompareOp::ALL {
            let ty = if op.accepts(Type::I64) {
                Type::I64
            } else {
                Type::F64
            };
            for (x, y) in [(1, 2), (2, 1), (3, 3), (nan, 1), (nan, nan)] {
                if let Some(inverse) = op.inverse() {
                    assert_ne!(op.eval(ty, x, y), inverse.eval(ty, x, y), "{}", op.name());
                }
                assert_eq!(op.eval(ty, x, y), op.swapped().eval(ty, y, x), "{}", op.name());
            }
        }
    }
}
