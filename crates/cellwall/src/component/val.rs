//! Values of interface types.

use super::ResourceAny;
use crate::{Result, bail};
use std::sync::Arc;

/// A value of an interface type.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Val {
    /// `bool`.
    Bool(bool),
    /// `s8`.
    S8(i8),
    /// `u8`.
    U8(u8),
    /// `s16`.
    S16(i16),
    /// `u16`.
    U16(u16),
    /// `s32`.
    S32(i32),
    /// `u32`.
    U32(u32),
    /// `s64`.
    S64(i64),
    /// `u64`.
    U64(u64),
    /// `f32`.
    Float32(f32),
    /// `f64`.
    Float64(f64),
    /// `char`.
    Char(char),
    /// `string`.
    String(String),
    /// `list<t>`, of fixed length or not.
    List(Vec<Val>),
    /// `map<k, v>`, in the order in which it is passed.
    Map(Vec<(Val, Val)>),
    /// A record: names and values of its fields, in order.
    Record(Vec<(String, Val)>),
    /// A tuple.
    Tuple(Vec<Val>),
    /// A case of a variant, and its payload.
    Variant(String, Option<Box<Val>>),
    /// A case of an enum.
    Enum(String),
    /// `option<t>`.
    Option(Option<Box<Val>>),
    /// `result<t, e>`.
    Result(Result<Option<Box<Val>>, Option<Box<Val>>>),
    /// The flags that are set, in order.
    Flags(Vec<String>),
    /// A resource, owned or lent.
    Resource(ResourceAny),
    /// An error context: its message.
    ErrorContext(Arc<str>),
}

/// Floats are equal if both are NaN, or they compare equal; resources if they are the same handle.
impl PartialEq for Val {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::S8(a), Self::S8(b)) => a == b,
            (Self::U8(a), Self::U8(b)) => a == b,
            (Self::S16(a), Self::S16(b)) => a == b,
            (Self::U16(a), Self::U16(b)) => a == b,
            (Self::S32(a), Self::S32(b)) => a == b,
            (Self::U32(a), Self::U32(b)) => a == b,
            (Self::S64(a), Self::S64(b)) => a == b,
            (Self::U64(a), Self::U64(b)) => a == b,
            (Self::Float32(a), Self::Float32(b)) => a == b || a.is_nan() && b.is_nan(),
            (Self::Float64(a), Self::Float64(b)) => a == b || a.is_nan() && b.is_nan(),
            (Self::Char(a), Self::Char(b)) => a == b,
            (Self::String(a), Self::String(b)) | (Self::Enum(a), Self::Enum(b)) => a == b,
            (Self::List(a), Self::List(b)) | (Self::Tuple(a), Self::Tuple(b)) => a == b,
            (Self::Map(a), Self::Map(b)) => a == b,
            (Self::Record(a), Self::Record(b)) => a == b,
            (Self::Variant(a, x), Self::Variant(b, y)) => a == b && x == y,
            (Self::Option(a), Self::Option(b)) => a == b,
            (Self::Result(Ok(a)), Self::Result(Ok(b))) => a == b,
            (Self::Result(Err(a)), Self::Result(Err(b))) => a == b,
            (Self::Flags(a), Self::Flags(b)) => a == b,
            (Self::Resource(a), Self::Resource(b)) => a == b,
            (Self::ErrorContext(a), Self::ErrorContext(b)) => a == b,
            _ => false,
        }
    }
}

impl Val {
    /// What it is, in one word.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Bool(_) => "bool",
            Self::S8(_) => "s8",
            Self::U8(_) => "u8",
            Self::S16(_) => "s16",
            Self::U16(_) => "u16",
            Self::S32(_) => "s32",
            Self::U32(_) => "u32",
            Self::S64(_) => "s64",
            Self::U64(_) => "u64",
            Self::Float32(_) => "f32",
            Self::Float64(_) => "f64",
            Self::Char(_) => "char",
            Self::String(_) => "string",
            Self::List(_) => "list",
            Self::Map(_) => "map",
            Self::Record(_) => "record",
            Self::Tuple(_) => "tuple",
            Self::Variant(..) => "variant",
            Self::Enum(_) => "enum",
            Self::Option(_) => "option",
            Self::Result(_) => "result",
            Self::Flags(_) => "flags",
            Self::Resource(_) => "resource",
            Self::ErrorContext(_) => "error-context",
        }
    }
}

/// The value is not of the type.
#[cold]
pub(crate) fn mismatch<T>(expected: &str, val: &Val) -> Result<T> {
    bail!("type mismatch: expected {expected}, found {}", val.kind())
}
