//! Rust types of several parts as interface types.

use super::layout::Layout;
use super::lift::Lifting;
use super::lower::Lowering;
use super::typed::{ComponentNamedList, ComponentType, Lift, Lower, TypeRef, mismatch};
use super::types::Type;
use crate::{Result, bail};
use cellwall_component::Fault;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Types that are lowered as another one behind them.
macro_rules! behind {
    ($(($($generics:tt)*) $rust:ty, $target:ty;)*) => {$(
        impl<$($generics)* R: ComponentType + ?Sized> ComponentType for $rust where $target: ComponentType {
            const LAYOUT: Layout = <$target as ComponentType>::LAYOUT;

            fn typecheck(ty: &Type) -> Result<()> {
                <$target as ComponentType>::typecheck(ty)
            }
        }

        impl<$($generics)* R: Lower + ?Sized> Lower for $rust where $target: Lower {
            #[inline]
            fn lower_flat<D: 'static>(
                &self,
                cx: &mut Lowering<'_, '_, D>,
                ty: TypeRef<'_>,
                to: &mut [u64],
            ) -> Result<()> {
                <$target as Lower>::lower_flat(self, cx, ty, to)
            }

            #[inline]
            fn lower_memory<D: 'static>(
                &self,
                cx: &mut Lowering<'_, '_, D>,
                ty: TypeRef<'_>,
                at: u32,
            ) -> Result<()> {
                <$target as Lower>::lower_memory(self, cx, ty, at)
            }
        }
    )*};
}

behind! {
    ('a,) &'a R, R;
    () Box<R>, R;
    () Arc<R>, R;
}

impl<R: ToOwned + ComponentType + ?Sized> ComponentType for Cow<'_, R> {
    const LAYOUT: Layout = R::LAYOUT;

    fn typecheck(ty: &Type) -> Result<()> {
        R::typecheck(ty)
    }
}

impl<R: ToOwned + Lower + ?Sized> Lower for Cow<'_, R> {
    fn lower_flat<D: 'static>(
        &self,
        cx: &mut Lowering<'_, '_, D>,
        ty: TypeRef<'_>,
        to: &mut [u64],
    ) -> Result<()> {
        R::lower_flat(self, cx, ty, to)
    }

    fn lower_memory<D: 'static>(&self, cx: &mut Lowering<'_, '_, D>, ty: TypeRef<'_>, at: u32) -> Result<()> {
        R::lower_memory(self, cx, ty, at)
    }
}

/// Types that are lifted by way of another one.
macro_rules! lifted_by {
    ($(($($generics:tt)*) $rust:ty, $by:ty;)*) => {$(
        impl<$($generics)*> Lift for $rust {
            fn lift_flat<D: 'static>(cx: &mut Lifting<'_, '_, D>, ty: TypeRef<'_>, from: &[u64]) -> Result<Self> {
                Ok(<$by as Lift>::lift_flat(cx, ty, from)?.into())
            }

            fn lift_memory<D: 'static>(cx: &mut Lifting<'_, '_, D>, ty: TypeRef<'_>, at: u32) -> Result<Self> {
                Ok(<$by as Lift>::lift_memory(cx, ty, at)?.into())
            }
        }
    )*};
}

lifted_by! {
    () Box<str>, String;
    () Arc<str>, String;
    (E: Lift) Box<[E]>, Vec<E>;
    (E: Lift) Arc<[E]>, Vec<E>;
    (P: Lift) Box<P>, P;
    (P: Lift) Arc<P>, P;
}

impl<E: ComponentType> ComponentType for [E] {
    const LAYOUT: Layout = Layout::pointer(E::LAYOUT.resources);

    fn typecheck(ty: &Type) -> Result<()> {
        match ty {
            Type::List(element) => E::typecheck(element),
            other => Err(mismatch("list", other)),
        }
    }
}

impl<E: Lower> Lower for [E] {
    #[inline]
    fn lower_flat<D: 'static>(
        &self,
        cx: &mut Lowering<'_, '_, D>,
        ty: TypeRef<'_>,
        to: &mut [u64],
    ) -> Result<()> {
        let (ptr, length) = cx.list_of(ty, self)?;
        (to[0], to[1]) = (ptr.into(), length.into());
        Ok(())
    }

    #[inline]
    fn lower_memory<D: 'static>(&self, cx: &mut Lowering<'_, '_, D>, ty: TypeRef<'_>, at: u32) -> Result<()> {
        let (ptr, length) = cx.list_of(ty, self)?;
        cx.pointer(at, ptr, length);
        Ok(())
    }
}

impl<E: ComponentType> ComponentType for Vec<E> {
    const LAYOUT: Layout = <[E]>::LAYOUT;

    fn typecheck(ty: &Type) -> Result<()> {
        <[E]>::typecheck(ty)
    }
}

impl<E: Lower> Lower for Vec<E> {
    #[inline]
    fn lower_flat<D: 'static>(
        &self,
        cx: &mut Lowering<'_, '_, D>,
        ty: TypeRef<'_>,
        to: &mut [u64],
    ) -> Result<()> {
        self.as_slice().lower_flat(cx, ty, to)
    }

    #[inline]
    fn lower_memory<D: 'static>(&self, cx: &mut Lowering<'_, '_, D>, ty: TypeRef<'_>, at: u32) -> Result<()> {
        self.as_slice().lower_memory(cx, ty, at)
    }
}

impl<E: Lift> Lift for Vec<E> {
    fn lift_flat<D: 'static>(cx: &mut Lifting<'_, '_, D>, ty: TypeRef<'_>, from: &[u64]) -> Result<Self> {
        let (ptr, length) = (from[0] as u32, from[1] as u32);
        cx.check_list(ptr, length, E::LAYOUT.size, E::LAYOUT.align)?;
        E::lift_elements(cx, ty.element::<E>(), ptr, length)
    }

    fn lift_memory<D: 'static>(cx: &mut Lifting<'_, '_, D>, ty: TypeRef<'_>, at: u32) -> Result<Self> {
        let from = [cx.word(at).into(), cx.word(at + 4).into()];
        Self::lift_flat(cx, ty, &from)
    }
}

impl<E: ComponentType, const N: usize> ComponentType for [E; N] {
    const LAYOUT: Layout = Layout::array(&E::LAYOUT, N);

    fn typecheck(ty: &Type) -> Result<()> {
        match ty {
            Type::FixedLengthList(element, length) if *length as usize == N => E::typecheck(element),
            other => Err(mismatch("list of a fixed length", other)),
        }
    }
}

impl<E: Lower, const N: usize> Lower for [E; N] {
    fn lower_flat<D: 'static>(
        &self,
        cx: &mut Lowering<'_, '_, D>,
        ty: TypeRef<'_>,
        to: &mut [u64],
    ) -> Result<()> {
        for (element, to) in self.iter().zip(to.chunks_exact_mut(E::LAYOUT.flat_count)) {
            element.lower_flat(cx, ty.element::<E>(), to)?;
        }
        Ok(())
    }

    fn lower_memory<D: 'static>(&self, cx: &mut Lowering<'_, '_, D>, ty: TypeRef<'_>, at: u32) -> Result<()> {
        E::lower_elements(self, cx, ty.element::<E>(), at)
    }
}

/// An array, or the first error.
fn array<E, const N: usize>(mut next: impl FnMut(usize) -> Result<E>) -> Result<[E; N]> {
    let mut elements: [Option<E>; N] = [const { None }; N];
    for (n, element) in elements.iter_mut().enumerate() {
        *element = Some(next(n)?);
    }
    Ok(elements.map(|element| element.expect("each was set just now")))
}

impl<E: Lift, const N: usize> Lift for [E; N] {
    fn lift_flat<D: 'static>(cx: &mut Lifting<'_, '_, D>, ty: TypeRef<'_>, from: &[u64]) -> Result<Self> {
        let count = E::LAYOUT.flat_count;
        array(|n| E::lift_flat(cx, ty.element::<E>(), &from[n * count..][..count]))
    }

    fn lift_memory<D: 'static>(cx: &mut Lifting<'_, '_, D>, ty: TypeRef<'_>, at: u32) -> Result<Self> {
        array(|n| E::lift_memory(cx, ty.element::<E>(), at + n as u32 * E::LAYOUT.size))
    }
}

/// Maps: lists of pairs.
macro_rules! maps {
    ($($map:ident: $($bound:ident)+;)*) => {$(
        impl<K: ComponentType, V: ComponentType> ComponentType for $map<K, V> {
            const LAYOUT: Layout = Layout::pointer(K::LAYOUT.resources || V::LAYOUT.resources);

            fn typecheck(ty: &Type) -> Result<()> {
                match ty {
                    Type::Map(entry) => {
                        K::typecheck(&entry.0)?;
                        V::typecheck(&entry.1)
                    }
                    other => Err(mismatch("map", other)),
                }
            }
        }

        impl<K: Lower, V: Lower> Lower for $map<K, V> {
            fn lower_flat<D: 'static>(
                &self,
                cx: &mut Lowering<'_, '_, D>,
                ty: TypeRef<'_>,
                to: &mut [u64],
            ) -> Result<()> {
                let layout = <(K, V)>::LAYOUT;
                let (ptr, length) = cx.room_for(layout.size, layout.align, self.len())?;
                let ty = ty.element::<(K, V)>();
                for (entry, n) in self.iter().zip(0..) {
                    entry.lower_memory(cx, ty, ptr + n * layout.size)?;
                }
                (to[0], to[1]) = (ptr.into(), length.into());
                Ok(())
            }

            fn lower_memory<D: 'static>(
                &self,
                cx: &mut Lowering<'_, '_, D>,
                ty: TypeRef<'_>,
                at: u32,
            ) -> Result<()> {
                let mut to = [0; 2];
                self.lower_flat(cx, ty, &mut to)?;
                cx.pointer(at, to[0] as u32, to[1] as u32);
                Ok(())
            }
        }

        impl<K: Lift $(+ $bound)+, V: Lift> Lift for $map<K, V> {
            fn lift_flat<D: 'static>(
                cx: &mut Lifting<'_, '_, D>,
                ty: TypeRef<'_>,
                from: &[u64],
            ) -> Result<Self> {
                Ok(Vec::<(K, V)>::lift_flat(cx, ty, from)?.into_iter().collect())
            }

            fn lift_memory<D: 'static>(
                cx: &mut Lifting<'_, '_, D>,
                ty: TypeRef<'_>,
                at: u32,
            ) -> Result<Self> {
                Ok(Vec::<(K, V)>::lift_memory(cx, ty, at)?.into_iter().collect())
            }
        }
    )*};
}

maps! {
    BTreeMap: Ord;
}

impl<S: ComponentType> ComponentType for Option<S> {
    const LAYOUT: Layout = Layout::variant(&[None, Some(S::LAYOUT)]);

    fn typecheck(ty: &Type) -> Result<()> {
        match ty {
            Type::Option(some) => S::typecheck(some),
            other => Err(mismatch("option", other)),
        }
    }
}

impl<S: Lower> Lower for Option<S> {
    #[inline]
    fn lower_flat<D: 'static>(
        &self,
        cx: &mut Lowering<'_, '_, D>,
        ty: TypeRef<'_>,
        to: &mut [u64],
    ) -> Result<()> {
        if let Some(some) = self {
            to[0] = 1;
            some.lower_flat(cx, ty.case::<S>(1), &mut to[1..])?;
        }
        Ok(())
    }

    #[inline]
    fn lower_memory<D: 'static>(&self, cx: &mut Lowering<'_, '_, D>, ty: TypeRef<'_>, at: u32) -> Result<()> {
        cx.write(at, &[self.is_some().into()]);
        if let Some(some) = self {
            let payload = const { Layout::payload(&[None, Some(S::LAYOUT)]) };
            some.lower_memory(cx, ty.case::<S>(1), at + payload)?;
        }
        Ok(())
    }
}

impl<S: Lift> Lift for Option<S> {
    #[inline]
    fn lift_flat<D: 'static>(cx: &mut Lifting<'_, '_, D>, ty: TypeRef<'_>, from: &[u64]) -> Result<Self> {
        match from[0] as u32 {
            0 => Ok(None),
            1 => Ok(Some(S::lift_flat(cx, ty.case::<S>(1), &from[1..])?)),
            _ => Err(Fault::InvalidDiscriminant.into()),
        }
    }

    #[inline]
    fn lift_memory<D: 'static>(cx: &mut Lifting<'_, '_, D>, ty: TypeRef<'_>, at: u32) -> Result<Self> {
        let payload = const { Layout::payload(&[None, Some(S::LAYOUT)]) };
        match cx.load::<1>(at)[0] {
            0 => Ok(None),
            1 => Ok(Some(S::lift_memory(cx, ty.case::<S>(1), at + payload)?)),
            _ => Err(Fault::InvalidDiscriminant.into()),
        }
    }
}

/// A payload that may be missing, as `()`.
fn check_payload<P: ComponentType>(ty: &Option<Type>) -> Result<()> {
    match ty {
        Some(ty) => P::typecheck(ty),
        None => P::typecheck(&Type::Tuple(Vec::new())),
    }
}

impl<O: ComponentType, E: ComponentType> ComponentType for Result<O, E> {
    const LAYOUT: Layout = Layout::variant(&[Some(O::LAYOUT), Some(E::LAYOUT)]);

    fn typecheck(ty: &Type) -> Result<()> {
        match ty {
            Type::Result(parts) => {
                check_payload::<O>(&parts.0)?;
                check_payload::<E>(&parts.1)
            }
            other => Err(mismatch("result", other)),
        }
    }
}

impl<O: Lower, E: Lower> Lower for Result<O, E> {
    #[inline]
    fn lower_flat<D: 'static>(
        &self,
        cx: &mut Lowering<'_, '_, D>,
        ty: TypeRef<'_>,
        to: &mut [u64],
    ) -> Result<()> {
        match self {
            Ok(ok) => ok.lower_flat(cx, ty.case::<O>(0), &mut to[1..]),
            Err(error) => {
                to[0] = 1;
                error.lower_flat(cx, ty.case::<E>(1), &mut to[1..])
            }
        }
    }

    #[inline]
    fn lower_memory<D: 'static>(&self, cx: &mut Lowering<'_, '_, D>, ty: TypeRef<'_>, at: u32) -> Result<()> {
        let payload = at + const { Layout::payload(&[Some(O::LAYOUT), Some(E::LAYOUT)]) };
        cx.write(at, &[self.is_err().into()]);
        match self {
            Ok(ok) => ok.lower_memory(cx, ty.case::<O>(0), payload),
            Err(error) => error.lower_memory(cx, ty.case::<E>(1), payload),
        }
    }
}

impl<O: Lift, E: Lift> Lift for Result<O, E> {
    #[inline]
    fn lift_flat<D: 'static>(cx: &mut Lifting<'_, '_, D>, ty: TypeRef<'_>, from: &[u64]) -> Result<Self> {
        match from[0] as u32 {
            0 => Ok(Ok(O::lift_flat(cx, ty.case::<O>(0), &from[1..])?)),
            1 => Ok(Err(E::lift_flat(cx, ty.case::<E>(1), &from[1..])?)),
            _ => Err(Fault::InvalidDiscriminant.into()),
        }
    }

    #[inline]
    fn lift_memory<D: 'static>(cx: &mut Lifting<'_, '_, D>, ty: TypeRef<'_>, at: u32) -> Result<Self> {
        let payload = at + const { Layout::payload(&[Some(O::LAYOUT), Some(E::LAYOUT)]) };
        match cx.load::<1>(at)[0] {
            0 => Ok(Ok(O::lift_memory(cx, ty.case::<O>(0), payload)?)),
            1 => Ok(Err(E::lift_memory(cx, ty.case::<E>(1), payload)?)),
            _ => Err(Fault::InvalidDiscriminant.into()),
        }
    }
}

macro_rules! tuples {
    ($(($count:literal: $($name:ident $n:tt)*))*) => {$(
        impl<$($name: ComponentType),*> ComponentType for ($($name,)*) {
            const LAYOUT: Layout = Layout::record(&[$($name::LAYOUT),*]);

            fn typecheck(ty: &Type) -> Result<()> {
                match ty {
                    Type::Tuple(types) => Self::typecheck_list(types),
                    other => Err(mismatch("tuple", other)),
                }
            }
        }

        #[allow(non_snake_case, reason = "one text for every length")]
        impl<$($name: ComponentType),*> ComponentNamedList for ($($name,)*) {
            fn typecheck_list(types: &[Type]) -> Result<()> {
                let [$($name),*] = types else {
                    bail!("expected {} types, found {}", $count, types.len());
                };
                $(<$name as ComponentType>::typecheck($name)?;)*
                Ok(())
            }
        }

        #[allow(unused_variables, reason = "one text for every length")]
        impl<$($name: Lower),*> Lower for ($($name,)*) {
            #[inline]
            fn lower_flat<D: 'static>(
                &self,
                cx: &mut Lowering<'_, '_, D>,
                ty: TypeRef<'_>,
                to: &mut [u64],
            ) -> Result<()> {
                $(
                    let (part, to) = to.split_at_mut($name::LAYOUT.flat_count);
                    self.$n.lower_flat(cx, ty.field::<$name>($n), part)?;
                )*
                Ok(())
            }

            #[inline]
            fn lower_memory<D: 'static>(
                &self,
                cx: &mut Lowering<'_, '_, D>,
                ty: TypeRef<'_>,
                at: u32,
            ) -> Result<()> {
                let offsets: [u32; $count] = const { Layout::offsets(&[$($name::LAYOUT),*]) };
                $(self.$n.lower_memory(cx, ty.field::<$name>($n), at + offsets[$n])?;)*
                Ok(())
            }
        }

        #[allow(unused_variables, non_snake_case, clippy::unused_unit, reason = "one text for every length")]
        impl<$($name: Lift),*> Lift for ($($name,)*) {
            #[inline]
            fn lift_flat<D: 'static>(
                cx: &mut Lifting<'_, '_, D>,
                ty: TypeRef<'_>,
                from: &[u64],
            ) -> Result<Self> {
                $(
                    let (part, from) = from.split_at($name::LAYOUT.flat_count);
                    let $name = $name::lift_flat(cx, ty.field::<$name>($n), part)?;
                )*
                Ok(($($name,)*))
            }

            #[inline]
            fn lift_memory<D: 'static>(
                cx: &mut Lifting<'_, '_, D>,
                ty: TypeRef<'_>,
                at: u32,
            ) -> Result<Self> {
                let offsets: [u32; $count] = const { Layout::offsets(&[$($name::LAYOUT),*]) };
                $(let $name = $name::lift_memory(cx, ty.field::<$name>($n), at + offsets[$n])?;)*
                Ok(($($name,)*))
            }
        }
    )*};
}

tuples! {
    (0:)
    (1: A0 0)
    (2: A0 0 A1 1)
    (3: A0 0 A1 1 A2 2)
    (4: A0 0 A1 1 A2 2 A3 3)
    (5: A0 0 A1 1 A2 2 A3 3 A4 4)
    (6: A0 0 A1 1 A2 2 A3 3 A4 4 A5 5)
    (7: A0 0 A1 1 A2 2 A3 3 A4 4 A5 5 A6 6)
    (8: A0 0 A1 1 A2 2 A3 3 A4 4 A5 5 A6 6 A7 7)
    (9: A0 0 A1 1 A2 2 A3 3 A4 4 A5 5 A6 6 A7 7 A8 8)
    (10: A0 0 A1 1 A2 2 A3 3 A4 4 A5 5 A6 6 A7 7 A8 8 A9 9)
    (11: A0 0 A1 1 A2 2 A3 3 A4 4 A5 5 A6 6 A7 7 A8 8 A9 9 A10 10)
    (12: A0 0 A1 1 A2 2 A3 3 A4 4 A5 5 A6 6 A7 7 A8 8 A9 9 A10 10 A11 11)
    (13: A0 0 A1 1 A2 2 A3 3 A4 4 A5 5 A6 6 A7 7 A8 8 A9 9 A10 10 A11 11 A12 12)
    (14: A0 0 A1 1 A2 2 A3 3 A4 4 A5 5 A6 6 A7 7 A8 8 A9 9 A10 10 A11 11 A12 12 A13 13)
    (15: A0 0 A1 1 A2 2 A3 3 A4 4 A5 5 A6 6 A7 7 A8 8 A9 9 A10 10 A11 11 A12 12 A13 13 A14 14)
    (16: A0 0 A1 1 A2 2 A3 3 A4 4 A5 5 A6 6 A7 7 A8 8 A9 9 A10 10 A11 11 A12 12 A13 13 A14 14 A15 15)
}
