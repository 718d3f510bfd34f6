//! Values at the door between host and guest, and the block through which they pass.
//!
//! Guarantees that what is written to the block has the type that the signature says: only
//! [`Raw`] values and checked [`RawVal`]s get there, and the traits are sealed. References are
//! plain numbers in the reference spaces of a store; a number that means nothing there is null.

use cellwall_abi::ValType;
use cellwall_abi::convention::{Assigner, BLOCK_BYTES};
use std::fmt;

/// A function reference: a number in the store's space of functions; 0 is null.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct FuncRef(pub u32);

/// A host reference: a number in the store's space of host values; 0 is null.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct ExternRef(pub u32);

/// A reference to an exception: a number in the store's space of exceptions; 0 is null.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct ExnRef(pub u32);

/// A reference to a number of 31 bits: twice the number and one; 0 is null. It names nothing, so each number
/// is a reference in every store.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct AnyRef(pub u32);

impl AnyRef {
    /// The reference to the low 31 bits of a number.
    pub fn from_i31(bits: u32) -> Self {
        Self(bits << 1 | 1)
    }

    /// The number, without its sign.
    pub fn i31(self) -> Option<u32> {
        (self.0 != 0).then_some(self.0 >> 1)
    }
}

/// A value of any type.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum RawVal {
    /// `i32`.
    I32(i32),
    /// `i64`.
    I64(i64),
    /// `f32`, as bits.
    F32(u32),
    /// `f64`, as bits.
    F64(u64),
    /// `v128`.
    V128(u128),
    /// `funcref`.
    FuncRef(FuncRef),
    /// `externref`.
    ExternRef(ExternRef),
    /// `exnref`.
    ExnRef(ExnRef),
    /// `anyref`.
    AnyRef(AnyRef),
}

impl RawVal {
    /// Its type.
    pub fn ty(self) -> ValType {
        match self {
            Self::I32(_) => ValType::I32,
            Self::I64(_) => ValType::I64,
            Self::F32(_) => ValType::F32,
            Self::F64(_) => ValType::F64,
            Self::V128(_) => ValType::V128,
            Self::FuncRef(_) => ValType::FuncRef,
            Self::ExternRef(_) => ValType::ExternRef,
            Self::ExnRef(_) => ValType::ExnRef,
            Self::AnyRef(_) => ValType::AnyRef,
        }
    }

    /// Zero or null.
    pub fn default_of(ty: ValType) -> Self {
        Self::from_bits(ty, 0)
    }

    /// The value as it lies in a block, a context or a register, without what lies above it.
    pub(crate) fn bits(self) -> u128 {
        match self {
            Self::I32(v) => u128::from(v as u32),
            Self::I64(v) => u128::from(v as u64),
            Self::F32(v) => u128::from(v),
            Self::F64(v) => u128::from(v),
            Self::V128(v) => v,
            Self::FuncRef(FuncRef(v))
            | Self::ExternRef(ExternRef(v))
            | Self::ExnRef(ExnRef(v))
            | Self::AnyRef(AnyRef(v)) => u128::from(v),
        }
    }

    pub(crate) fn from_bits(ty: ValType, bits: u128) -> Self {
        match ty {
            ValType::I32 => Self::I32(bits as i32),
            ValType::I64 => Self::I64(bits as i64),
            ValType::F32 => Self::F32(bits as u32),
            ValType::F64 => Self::F64(bits as u64),
            ValType::V128 => Self::V128(bits),
            ValType::FuncRef => Self::FuncRef(FuncRef(bits as u32)),
            ValType::ExternRef => Self::ExternRef(ExternRef(bits as u32)),
            ValType::ExnRef => Self::ExnRef(ExnRef(bits as u32)),
            ValType::AnyRef => Self::AnyRef(AnyRef(bits as u32)),
        }
    }

    /// The number of a reference.
    pub(crate) fn reference(self) -> Option<u32> {
        match self {
            Self::FuncRef(FuncRef(v))
            | Self::ExternRef(ExternRef(v))
            | Self::ExnRef(ExnRef(v))
            | Self::AnyRef(AnyRef(v)) => Some(v),
            _ => None,
        }
    }
}

/// The store's block: places of arguments and results (see `cellwall_abi::convention`).
#[repr(C, align(16))]
pub struct Block([u8; BLOCK_BYTES as usize]);

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Block")
    }
}

impl Block {
    #[inline]
    pub(crate) fn read<const N: usize>(&self, offset: u32) -> [u8; N] {
        let at = offset as usize;
        self.0[at..at + N].try_into().expect("the slice has this length")
    }

    #[inline]
    pub(crate) fn write<const N: usize>(&mut self, offset: u32, bytes: [u8; N]) {
        let at = offset as usize;
        self.0[at..at + N].copy_from_slice(&bytes);
    }

    /// Reads a value of any type.
    pub(crate) fn read_val(&self, offset: u32, ty: ValType) -> RawVal {
        RawVal::from_bits(ty, u128::from_ne_bytes(self.read(offset)))
    }

    /// Writes a value of any type: eight bytes, or sixteen for a vector.
    pub(crate) fn write_val(&mut self, offset: u32, value: RawVal) {
        match value {
            RawVal::V128(v) => self.write(offset, v.to_ne_bytes()),
            other => self.write(offset, (other.bits() as u64).to_ne_bytes()),
        }
    }
}

mod sealed {
    pub trait Sealed {}
}

/// A value of a fixed type. Sealed.
pub trait Raw: Copy + Send + Sync + 'static + sealed::Sealed {
    /// Its type.
    const TYPE: ValType;
    #[doc(hidden)]
    fn write(self, block: &mut Block, offset: u32);
    #[doc(hidden)]
    fn read(block: &Block, offset: u32) -> Self;
    /// As in an integer register; of no use for floats and vectors.
    #[doc(hidden)]
    fn to_gpr(self) -> u64;
    #[doc(hidden)]
    fn from_gpr(bits: u64) -> Self;
}

macro_rules! raw {
    ($($type:ty, $val:ident, |$v:ident| $to:expr, |$bits:ident: $word:ty| $from:expr;)*) => {$(
        impl sealed::Sealed for $type {}
        impl Raw for $type {
            const TYPE: ValType = ValType::$val;
            #[inline]
            fn write(self, block: &mut Block, offset: u32) {
                let $v = self;
                let bits: $word = $to;
                block.write(offset, bits.to_ne_bytes());
            }
            #[inline]
            fn read(block: &Block, offset: u32) -> Self {
                let $bits = <$word>::from_ne_bytes(block.read(offset));
                $from
            }
            #[inline]
            fn to_gpr(self) -> u64 {
                let $v = self;
                let bits: $word = $to;
                bits as u64
            }
            #[inline]
            fn from_gpr(bits: u64) -> Self {
                let $bits = <$word>::from(bits);
                $from
            }
        }
    )*};
}

// 32-bit integers and references are zero-extended, as guest code expects them.
raw! {
    i32, I32, |v| u64::from(v as u32), |bits: u64| bits as i32;
    u32, I32, |v| u64::from(v), |bits: u64| bits as u32;
    i64, I64, |v| v as u64, |bits: u64| bits as i64;
    u64, I64, |v| v, |bits: u64| bits;
    f32, F32, |v| u64::from(v.to_bits()), |bits: u64| f32::from_bits(bits as u32);
    f64, F64, |v| v.to_bits(), |bits: u64| f64::from_bits(bits);
    u128, V128, |v| v, |bits: u128| bits;
    FuncRef, FuncRef, |v| u64::from(v.0), |bits: u64| FuncRef(bits as u32);
    ExternRef, ExternRef, |v| u64::from(v.0), |bits: u64| ExternRef(bits as u32);
    ExnRef, ExnRef, |v| u64::from(v.0), |bits: u64| ExnRef(bits as u32);
    AnyRef, AnyRef, |v| u64::from(v.0), |bits: u64| AnyRef(bits as u32);
}

/// A fixed list of values: a tuple of up to 17 [`Raw`]s. Sealed.
pub trait RawList: Copy + Send + Sync + 'static + sealed::Sealed {
    /// Their types.
    const TYPES: &'static [ValType];
    #[doc(hidden)]
    fn write_params(self, block: &mut Block);
    #[doc(hidden)]
    fn read_params(block: &Block) -> Self;
    #[doc(hidden)]
    fn write_results(self, block: &mut Block);
    #[doc(hidden)]
    fn read_results(block: &Block) -> Self;
    /// The first ones as in integer registers.
    #[doc(hidden)]
    fn to_gprs<const COUNT: usize>(self) -> [u64; COUNT];
    /// A list of at most one value in an integer register.
    #[doc(hidden)]
    fn from_gpr(bits: u64) -> Self;
}

/// Whether a list has at most so many values, all of which pass in integer registers.
pub(crate) const fn are_few(types: &[ValType], max: usize) -> bool {
    let mut i = 0;
    while i < types.len() {
        if types[i].is_float() {
            return false;
        }
        i += 1;
    }
    types.len() <= max
}

/// Block offsets of a list, known to the compiler of the caller.
const fn offsets<const N: usize>(types: &[ValType], mut assigner: Assigner) -> [u32; N] {
    let mut offsets = [0; N];
    let mut i = 0;
    while i < N {
        offsets[i] = assigner.next(types[i]).block_offset();
        i += 1;
    }
    offsets
}

macro_rules! count {
    () => { 0 };
    ($head:ident $($tail:ident)*) => { 1 + count!($($tail)*) };
}

macro_rules! raw_list {
    ($($name:ident)*) => {
        impl<$($name: Raw),*> sealed::Sealed for ($($name,)*) {}
        #[allow(
            non_snake_case,
            unused_variables,
            unused_mut,
            clippy::unused_unit,
            reason = "types double as names of values, and the empty list uses nothing"
        )]
        impl<$($name: Raw),*> RawList for ($($name,)*) {
            const TYPES: &'static [ValType] = &[$($name::TYPE),*];
            #[inline]
            fn write_params(self, block: &mut Block) {
                let ($($name,)*) = self;
                let mut places = params::<Self, { count!($($name)*) }>().into_iter();
                $($name.write(block, place(&mut places));)*
            }
            #[inline]
            fn read_params(block: &Block) -> Self {
                let mut places = params::<Self, { count!($($name)*) }>().into_iter();
                ($($name::read(block, place(&mut places)),)*)
            }
            #[inline]
            fn write_results(self, block: &mut Block) {
                let ($($name,)*) = self;
                let mut places = results::<Self, { count!($($name)*) }>().into_iter();
                $($name.write(block, place(&mut places));)*
            }
            #[inline]
            fn read_results(block: &Block) -> Self {
                let mut places = results::<Self, { count!($($name)*) }>().into_iter();
                ($($name::read(block, place(&mut places)),)*)
            }
            #[inline]
            fn to_gprs<const COUNT: usize>(self) -> [u64; COUNT] {
                let ($($name,)*) = self;
                let mut gprs = [0; COUNT];
                let mut free = gprs.iter_mut();
                $(if let Some(gpr) = free.next() { *gpr = $name.to_gpr() })*
                gprs
            }
            #[inline]
            fn from_gpr(bits: u64) -> Self {
                ($(<$name as Raw>::from_gpr(bits),)*)
            }
        }
    };
}

#[inline(always)]
const fn params<L: RawList, const N: usize>() -> [u32; N] {
    const { offsets::<N>(L::TYPES, Assigner::params()) }
}

#[inline(always)]
const fn results<L: RawList, const N: usize>() -> [u32; N] {
    const { offsets::<N>(L::TYPES, Assigner::results()) }
}

#[inline(always)]
fn place(places: &mut impl Iterator<Item = u32>) -> u32 {
    places.next().expect("one place per type")
}

macro_rules! raw_lists {
    () => { raw_list!(); };
    ($head:ident $($tail:ident)*) => {
        raw_list!($head $($tail)*);
        raw_lists!($($tail)*);
    };
}

raw_lists!(A B C D E F G H I J K L M N O P Q);

#[cfg(test)]
mod tests {
    use super::*;

    fn block() -> Box<Block> {
        Box::new(Block([0xee; BLOCK_BYTES as usize]))
    }

    #[test]
    fn typed_and_untyped_values_share_their_places() {
        let mut block = block();
        (-1i32, 2.5f64, 7u64, FuncRef(9)).write_params(&mut block);
        let mut assigner = Assigner::params();
        let mut read = |ty| block.read_val(assigner.next(ty).block_offset(), ty);
        assert_eq!(read(ValType::I32), RawVal::I32(-1));
        assert_eq!(read(ValType::F64), RawVal::F64(2.5f64.to_bits()));
        assert_eq!(read(ValType::I64), RawVal::I64(7));
        assert_eq!(read(ValType::FuncRef), RawVal::FuncRef(FuncRef(9)));
    }

    #[test]
    fn narrow_values_are_zero_extended_and_wide_ones_are_not_cut() {
        let mut block = block();
        let at = Assigner::results().next(ValType::I32).block_offset();
        (-1i32,).write_results(&mut block);
        assert_eq!(u64::from_ne_bytes(block.read(at)), 0xffff_ffff);
        (-1i64,).write_results(&mut block);
        assert_eq!(u64::from_ne_bytes(block.read(at)), u64::MAX);
    }
}
