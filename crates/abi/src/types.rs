//! Value types and function signatures as machine code sees them.

use std::fmt;

/// A value type. References are 32-bit indexes into a space of the store (0 is null), so a forged
/// one names nothing outside its cell.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ValType {
    /// 32-bit integer; zero-extended to 64 bits wherever a register or slot holds it.
    I32,
    /// 64-bit integer.
    I64,
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary64.
    F64,
    /// 128-bit vector.
    V128,
    /// Nullable function reference; a zero-extended 32-bit index.
    FuncRef,
    /// Nullable host reference; a zero-extended 32-bit index.
    ExternRef,
    /// Nullable reference to an exception; a zero-extended 32-bit index.
    ExnRef,
    /// Nullable reference to a number of 31 bits: twice the number and one, zero-extended, so that it names
    /// nothing.
    AnyRef,
}

impl ValType {
    /// Whether values live in vector registers.
    pub const fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F64 | Self::V128)
    }

    /// Whether this is a reference.
    pub const fn is_ref(self) -> bool {
        matches!(
            self,
            Self::FuncRef | Self::ExternRef | Self::ExnRef | Self::AnyRef
        )
    }

    /// Size of a value in bytes.
    pub const fn bytes(self) -> u32 {
        match self {
            Self::I32 | Self::F32 | Self::FuncRef | Self::ExternRef | Self::ExnRef | Self::AnyRef => 4,
            Self::I64 | Self::F64 => 8,
            Self::V128 => 16,
        }
    }
}

impl fmt::Display for ValType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::V128 => "v128",
            Self::FuncRef => "funcref",
            Self::ExternRef => "externref",
            Self::ExnRef => "exnref",
            Self::AnyRef => "anyref",
        })
    }
}

/// Parameter and result types of a function.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Signature {
    /// Parameter types.
    pub params: Box<[ValType]>,
    /// Result types.
    pub results: Box<[ValType]>,
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |types: &[ValType]| types.iter().map(|t| t.to_string()).collect::<Vec<_>>().join(" ");
        write!(f, "({}) -> ({})", list(&self.params), list(&self.results))
    }
}
