//! Rust types as interface types: what a type must be able to do, and the types of one core value.
//!
//! Values go straight between Rust and core values or linear memory. Requires that the type was
//! compared with that of the component before ([`ComponentType::typecheck`]): from then on only values
//! are checked.

use super::layout::Layout;
use super::lift::Lifting;
use super::lower::Lowering;
use super::types::Type;
use crate::{Error, Result, format_err};
use cellwall_component::{Fault, Fields, ValType};

/// A Rust type that an interface type can be.
///
/// Implemented for numbers, `bool`, `char`, strings, `Vec`, slices, arrays, `Option`, `Result`, tuples, maps,
/// resources, error contexts, and references and boxes of all these. For structs and enums it is derived, together with
/// [`Lift`] and [`Lower`]; sets of flags are made by `flags!`.
///
/// | WIT | Rust |
/// |---|---|
/// | `bool`, `s8`.. `u64`, `f32`, `f64`, `char` | `bool`, `i8`.. `u64`, `f32`, `f64`, `char` |
/// | `string` | `String`, `&str`, `Box<str>`, `Arc<str>`; lifted without a copy: [`WasmStr`](super::WasmStr) |
/// | `list<t>` | `Vec<T>`, `&[T]`, `Box<[T]>`; lifted without a copy: [`WasmList`](super::WasmList) |
/// | `list<t, 4>` | `[T; 4]` |
/// | `map<k, v>` | `BTreeMap<K, V>` |
/// | `tuple<t, u>`, `option<t>`, `result<t, e>` | `(T, U)`, `Option<T>`, `Result<T, E>` |
/// | `own<r>`, `borrow<r>` | [`Resource<R>`](super::Resource) of the host, [`ResourceAny`](super::ResourceAny) |
/// | `error-context` | [`ErrorContext`](super::ErrorContext) |
/// | record, variant, enum, flags | derived |
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no interface type",
    note = "derive it: `#[derive(ComponentType, Lift, Lower)] #[component(record)]`"
)]
pub trait ComponentType {
    /// What it takes.
    #[doc(hidden)]
    const LAYOUT: Layout;

    /// Whether it is this type.
    ///
    /// # Errors
    /// With both types.
    fn typecheck(ty: &Type) -> Result<()>;
}

/// A [`ComponentType`] that can be given to a component.
///
/// `derive` implements it; the functions are no part of the interface that stays as it is.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be given to a component",
    note = "derive it: `#[derive(ComponentType, Lower)] #[component(record)]`"
)]
pub trait Lower: ComponentType {
    /// As core values. What is not written of `to` is zero already.
    #[doc(hidden)]
    fn lower_flat<D: 'static>(
        &self,
        cx: &mut Lowering<'_, '_, D>,
        ty: TypeRef<'_>,
        to: &mut [u64],
    ) -> Result<()>;

    /// Into memory, where there is room for it.
    #[doc(hidden)]
    fn lower_memory<D: 'static>(&self, cx: &mut Lowering<'_, '_, D>, ty: TypeRef<'_>, at: u32) -> Result<()>;

    /// Several into memory, where there is room for them.
    #[doc(hidden)]
    fn lower_elements<D: 'static>(
        elements: &[Self],
        cx: &mut Lowering<'_, '_, D>,
        ty: TypeRef<'_>,
        at: u32,
    ) -> Result<()>
    where
        Self: Sized,
    {
        for (element, n) in elements.iter().zip(0..) {
            element.lower_memory(cx, ty, at + n * Self::LAYOUT.size)?;
        }
        Ok(())
    }
}

/// A [`ComponentType`] that can be taken from a component.
///
/// `derive` implements it; the functions are no part of the interface that stays as it is.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be taken from a component",
    note = "derive it: `#[derive(ComponentType, Lift)] #[component(record)]`"
)]
pub trait Lift: ComponentType + Sized {
    /// From core values.
    #[doc(hidden)]
    fn lift_flat<D: 'static>(cx: &mut Lifting<'_, '_, D>, ty: TypeRef<'_>, from: &[u64]) -> Result<Self>;

    /// From memory, which is there.
    #[doc(hidden)]
    fn lift_memory<D: 'static>(cx: &mut Lifting<'_, '_, D>, ty: TypeRef<'_>, at: u32) -> Result<Self>;

    /// Several from memory, which is there.
    #[doc(hidden)]
    fn lift_elements<D: 'static>(
        cx: &mut Lifting<'_, '_, D>,
        ty: TypeRef<'_>,
        at: u32,
        count: u32,
    ) -> Result<Vec<Self>> {
        cx.charge(count as usize * size_of::<Self>())?;
        let mut elements = Vec::with_capacity(count as usize);
        for n in 0..count {
            elements.push(Self::lift_memory(cx, ty, at + n * Self::LAYOUT.size)?);
        }
        Ok(elements)
    }
}

/// Parameters or results: a tuple of [`ComponentType`]s.
pub trait ComponentNamedList: ComponentType {
    /// Whether these are its types.
    #[doc(hidden)]
    fn typecheck_list(types: &[Type]) -> Result<()>;
}

/// The component's own type of a value, as far as it matters: only resources need it.
#[derive(Clone, Copy, Debug)]
pub enum TypeRef<'a> {
    /// Nobody needs it.
    Unneeded,
    /// Of a value.
    Val(&'a ValType),
    /// Of a tuple of all parameters.
    Params(&'a Fields),
    /// Of a tuple of one result.
    Result(&'a ValType),
}

impl<'a> TypeRef<'a> {
    /// The type of a field.
    #[inline]
    pub fn field<F: ComponentType + ?Sized>(self, field: usize) -> Self {
        if const { !F::LAYOUT.resources } {
            return Self::Unneeded;
        }
        match self {
            Self::Params(fields) => Self::Val(&fields.fields[field].1),
            Self::Result(ty) => Self::Val(ty),
            Self::Val(ty) => {
                let fields = ty.as_fields();
                fields.map_or(Self::Unneeded, |fields| Self::Val(&fields.fields[field].1))
            }
            Self::Unneeded => Self::Unneeded,
        }
    }

    /// The type of a payload.
    #[inline]
    pub fn case<P: ComponentType + ?Sized>(self, case: usize) -> Self {
        if const { !P::LAYOUT.resources } {
            return Self::Unneeded;
        }
        let Self::Val(ty) = self else {
            return Self::Unneeded;
        };
        let payload = ty
            .as_variant()
            .and_then(|variant| variant.cases[case].ty.as_ref());
        payload.map_or(Self::Unneeded, Self::Val)
    }

    /// The type of an element.
    #[inline]
    pub fn element<E: ComponentType + ?Sized>(self) -> Self {
        if const { !E::LAYOUT.resources } {
            return Self::Unneeded;
        }
        match self {
            Self::Val(ValType::List(list) | ValType::Map(list)) => Self::Val(&list.element),
            _ => Self::Unneeded,
        }
    }
}

#[cold]
pub(crate) fn mismatch(expected: &str, found: &Type) -> Error {
    format_err!("type mismatch: expected `{expected}`, found `{found}`")
}

/// Implements `typecheck` for one interface type.
macro_rules! is_type {
    ($pattern:pat, $name:literal) => {
        fn typecheck(ty: &Type) -> Result<()> {
            match ty {
                $pattern => Ok(()),
                other => Err(mismatch($name, other)),
            }
        }
    };
}
pub(super) use is_type;

macro_rules! numbers {
    ($($rust:ident, $size:literal, $variant:ident, $name:literal, |$v:ident| $to:expr, |$bits:ident| $from:expr;)*) => {$(
        impl ComponentType for $rust {
            const LAYOUT: Layout = Layout::scalar($size);
            is_type!(Type::$variant, $name);
        }

        impl Lower for $rust {
            #[inline]
            fn lower_flat<D: 'static>(
                &self,
                _: &mut Lowering<'_, '_, D>,
                _: TypeRef<'_>,
                to: &mut [u64],
            ) -> Result<()> {
                let $v = *self;
                to[0] = $to;
                Ok(())
            }

            #[inline]
            fn lower_memory<D: 'static>(
                &self,
                cx: &mut Lowering<'_, '_, D>,
                _: TypeRef<'_>,
                at: u32,
            ) -> Result<()> {
                cx.write(at, &self.to_le_bytes());
                Ok(())
            }

            fn lower_elements<D: 'static>(
                elements: &[Self],
                cx: &mut Lowering<'_, '_, D>,
                _: TypeRef<'_>,
                at: u32,
            ) -> Result<()> {
                let to = cx.room_at(at, elements.len() * $size);
                for (to, element) in to.as_chunks_mut::<$size>().0.iter_mut().zip(elements) {
                    *to = element.to_le_bytes();
                }
                Ok(())
            }
        }

        impl Lift for $rust {
            #[inline]
            fn lift_flat<D: 'static>(
                _: &mut Lifting<'_, '_, D>,
                _: TypeRef<'_>,
                from: &[u64],
            ) -> Result<Self> {
                let $bits = from[0];
                Ok($from)
            }

            #[inline]
            fn lift_memory<D: 'static>(cx: &mut Lifting<'_, '_, D>, _: TypeRef<'_>, at: u32) -> Result<Self> {
                Ok(Self::from_le_bytes(cx.load(at)))
            }

            fn lift_elements<D: 'static>(
                cx: &mut Lifting<'_, '_, D>,
                _: TypeRef<'_>,
                at: u32,
                count: u32,
            ) -> Result<Vec<Self>> {
                cx.charge(count as usize * $size)?;
                let from = &cx.bytes()[at as usize..][..count as usize * $size];
                let elements = from.as_chunks::<$size>().0.iter();
                Ok(elements.map(|&bytes| Self::from_le_bytes(bytes)).collect())
            }
        }
    )*};
}

// Narrow integers are extended to 32 bits by their sign, then with zeros.
numbers! {
    i8, 1, S8, "s8", |v| (i32::from(v) as u32).into(), |bits| bits as i8;
    u8, 1, U8, "u8", |v| v.into(), |bits| bits as u8;
    i16, 2, S16, "s16", |v| (i32::from(v) as u32).into(), |bits| bits as i16;
    u16, 2, U16, "u16", |v| v.into(), |bits| bits as u16;
    i32, 4, S32, "s32", |v| (v as u32).into(), |bits| bits as i32;
    u32, 4, U32, "u32", |v| v.into(), |bits| bits as u32;
    i64, 8, S64, "s64", |v| v as u64, |bits| bits as i64;
    u64, 8, U64, "u64", |v| v, |bits| bits;
    f32, 4, Float32, "f32", |v| v.to_bits().into(), |bits| f32::from_bits(bits as u32);
    f64, 8, Float64, "f64", |v| v.to_bits(), |bits| f64::from_bits(bits);
}

impl ComponentType for bool {
    const LAYOUT: Layout = Layout::scalar(1);
    is_type!(Type::Bool, "bool");
}

impl Lower for bool {
    #[inline]
    fn lower_flat<D: 'static>(
        &self,
        _: &mut Lowering<'_, '_, D>,
        _: TypeRef<'_>,
        to: &mut [u64],
    ) -> Result<()> {
        to[0] = (*self).into();
        Ok(())
    }

    #[inline]
    fn lower_memory<D: 'static>(&self, cx: &mut Lowering<'_, '_, D>, _: TypeRef<'_>, at: u32) -> Result<()> {
        cx.write(at, &[(*self).into()]);
        Ok(())
    }
}

impl Lift for bool {
    #[inline]
    fn lift_flat<D: 'static>(_: &mut Lifting<'_, '_, D>, _: TypeRef<'_>, from: &[u64]) -> Result<Self> {
        Ok(from[0] as u32 != 0)
    }

    #[inline]
    fn lift_memory<D: 'static>(cx: &mut Lifting<'_, '_, D>, _: TypeRef<'_>, at: u32) -> Result<Self> {
        Ok(cx.load::<1>(at)[0] != 0)
    }
}

impl ComponentType for char {
    const LAYOUT: Layout = Layout::scalar(4);
    is_type!(Type::Char, "char");
}

impl Lower for char {
    #[inline]
    fn lower_flat<D: 'static>(
        &self,
        _: &mut Lowering<'_, '_, D>,
        _: TypeRef<'_>,
        to: &mut [u64],
    ) -> Result<()> {
        to[0] = u32::from(*self).into();
        Ok(())
    }

    #[inline]
    fn lower_memory<D: 'static>(&self, cx: &mut Lowering<'_, '_, D>, _: TypeRef<'_>, at: u32) -> Result<()> {
        cx.write(at, &u32::from(*self).to_le_bytes());
        Ok(())
    }
}

fn to_char(bits: u32) -> Result<char> {
    Ok(char::from_u32(bits).ok_or(Fault::InvalidChar)?)
}

impl Lift for char {
    #[inline]
    fn lift_flat<D: 'static>(_: &mut Lifting<'_, '_, D>, _: TypeRef<'_>, from: &[u64]) -> Result<Self> {
        to_char(from[0] as u32)
    }

    #[inline]
    fn lift_memory<D: 'static>(cx: &mut Lifting<'_, '_, D>, _: TypeRef<'_>, at: u32) -> Result<Self> {
        to_char(cx.word(at))
    }
}

impl ComponentType for str {
    const LAYOUT: Layout = Layout::pointer(false);
    is_type!(Type::String, "string");
}

impl Lower for str {
    #[inline]
    fn lower_flat<D: 'static>(
        &self,
        cx: &mut Lowering<'_, '_, D>,
        _: TypeRef<'_>,
        to: &mut [u64],
    ) -> Result<()> {
        let (ptr, length) = cx.string(self)?;
        (to[0], to[1]) = (ptr.into(), length.into());
        Ok(())
    }

    #[inline]
    fn lower_memory<D: 'static>(&self, cx: &mut Lowering<'_, '_, D>, _: TypeRef<'_>, at: u32) -> Result<()> {
        let (ptr, length) = cx.string(self)?;
        cx.pointer(at, ptr, length);
        Ok(())
    }
}

impl ComponentType for String {
    const LAYOUT: Layout = str::LAYOUT;

    fn typecheck(ty: &Type) -> Result<()> {
        str::typecheck(ty)
    }
}

impl Lower for String {
    #[inline]
    fn lower_flat<D: 'static>(
        &self,
        cx: &mut Lowering<'_, '_, D>,
        ty: TypeRef<'_>,
        to: &mut [u64],
    ) -> Result<()> {
        self.as_str().lower_flat(cx, ty, to)
    }

    #[inline]
    fn lower_memory<D: 'static>(&self, cx: &mut Lowering<'_, '_, D>, ty: TypeRef<'_>, at: u32) -> Result<()> {
        self.as_str().lower_memory(cx, ty, at)
    }
}

impl Lift for String {
    #[inline]
    fn lift_flat<D: 'static>(cx: &mut Lifting<'_, '_, D>, _: TypeRef<'_>, from: &[u64]) -> Result<Self> {
        cx.string(from[0] as u32, from[1] as u32)
    }

    #[inline]
    fn lift_memory<D: 'static>(cx: &mut Lifting<'_, '_, D>, _: TypeRef<'_>, at: u32) -> Result<Self> {
        cx.string(cx.word(at), cx.word(at + 4))
    }
}
