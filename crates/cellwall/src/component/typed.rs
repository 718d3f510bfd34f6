//! Rust types as interface types.

use super::types::Type;
use super::{ResourceAny, Val};
use crate::{Error, Result, StoreContextMut, bail, format_err};

/// A Rust type that an interface type can be. Implemented for numbers, `bool`, `char`, strings,
/// `Vec`, `Option`, `Result`, tuples and resources.
pub trait ComponentType: Sized + 'static {
    /// Whether it is this type.
    ///
    /// # Errors
    /// With both types.
    fn typecheck(ty: &Type) -> Result<()>;

    /// It, as a value.
    ///
    /// # Errors
    /// If the store has too many resources.
    fn into_val<D>(self, store: &mut StoreContextMut<'_, D>) -> Result<Val>;

    /// It, from a value.
    ///
    /// # Errors
    /// If the value is of another type.
    fn from_val<D>(store: &mut StoreContextMut<'_, D>, val: Val) -> Result<Self>;
}

#[cold]
pub(crate) fn mismatch(expected: &str, found: &Type) -> Error {
    format_err!("type mismatch: expected `{expected}`, found `{found}`")
}

macro_rules! simple {
    ($($rust:ty, $variant:ident, $name:literal;)*) => {$(
        impl ComponentType for $rust {
            fn typecheck(ty: &Type) -> Result<()> {
                match ty {
                    Type::$variant => Ok(()),
                    other => Err(mismatch($name, other)),
                }
            }

            fn into_val<D>(self, _: &mut StoreContextMut<'_, D>) -> Result<Val> {
                Ok(Val::$variant(self))
            }

            fn from_val<D>(_: &mut StoreContextMut<'_, D>, val: Val) -> Result<Self> {
                match val {
                    Val::$variant(it) => Ok(it),
                    other => super::val::mismatch($name, &other),
                }
            }
        }
    )*};
}

simple! {
    bool, Bool, "bool";
    i8, S8, "s8";
    u8, U8, "u8";
    i16, S16, "s16";
    u16, U16, "u16";
    i32, S32, "s32";
    u32, U32, "u32";
    i64, S64, "s64";
    u64, U64, "u64";
    f32, Float32, "f32";
    f64, Float64, "f64";
    char, Char, "char";
    String, String, "string";
}

impl<E: ComponentType> ComponentType for Vec<E> {
    fn typecheck(ty: &Type) -> Result<()> {
        match ty {
            Type::List(element) => E::typecheck(element),
            other => Err(mismatch("list", other)),
        }
    }

    fn into_val<D>(self, store: &mut StoreContextMut<'_, D>) -> Result<Val> {
        let elements = self.into_iter().map(|element| element.into_val(store));
        Ok(Val::List(elements.collect::<Result<_>>()?))
    }

    fn from_val<D>(store: &mut StoreContextMut<'_, D>, val: Val) -> Result<Self> {
        match val {
            Val::List(vals) => vals.into_iter().map(|val| E::from_val(store, val)).collect(),
            other => super::val::mismatch("list", &other),
        }
    }
}

impl<S: ComponentType> ComponentType for Option<S> {
    fn typecheck(ty: &Type) -> Result<()> {
        match ty {
            Type::Option(some) => S::typecheck(some),
            other => Err(mismatch("option", other)),
        }
    }

    fn into_val<D>(self, store: &mut StoreContextMut<'_, D>) -> Result<Val> {
        Ok(Val::Option(match self {
            Some(some) => Some(Box::new(some.into_val(store)?)),
            None => None,
        }))
    }

    fn from_val<D>(store: &mut StoreContextMut<'_, D>, val: Val) -> Result<Self> {
        match val {
            Val::Option(None) => Ok(None),
            Val::Option(Some(val)) => Ok(Some(S::from_val(store, *val)?)),
            other => super::val::mismatch("option", &other),
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

fn payload_val<P: ComponentType, D>(
    store: &mut StoreContextMut<'_, D>,
    payload: P,
) -> Result<Option<Box<Val>>> {
    Ok(match payload.into_val(store)? {
        Val::Tuple(parts) if parts.is_empty() => None,
        val => Some(Box::new(val)),
    })
}

fn payload<P: ComponentType, D>(store: &mut StoreContextMut<'_, D>, val: Option<Box<Val>>) -> Result<P> {
    P::from_val(store, val.map_or(Val::Tuple(Vec::new()), |val| *val))
}

impl<O: ComponentType, E: ComponentType> ComponentType for Result<O, E> {
    fn typecheck(ty: &Type) -> Result<()> {
        match ty {
            Type::Result(parts) => {
                check_payload::<O>(&parts.0)?;
                check_payload::<E>(&parts.1)
            }
            other => Err(mismatch("result", other)),
        }
    }

    fn into_val<D>(self, store: &mut StoreContextMut<'_, D>) -> Result<Val> {
        Ok(Val::Result(match self {
            Result::Ok(ok) => Result::Ok(payload_val(store, ok)?),
            Err(error) => Err(payload_val(store, error)?),
        }))
    }

    fn from_val<D>(store: &mut StoreContextMut<'_, D>, val: Val) -> Result<Self> {
        match val {
            Val::Result(Result::Ok(val)) => Ok(Result::Ok(payload(store, val)?)),
            Val::Result(Err(val)) => Ok(Err(payload(store, val)?)),
            other => super::val::mismatch("result", &other),
        }
    }
}

impl ComponentType for ResourceAny {
    fn typecheck(ty: &Type) -> Result<()> {
        match ty {
            Type::Own(_) | Type::Borrow(_) => Ok(()),
            other => Err(mismatch("resource", other)),
        }
    }

    fn into_val<D>(self, _: &mut StoreContextMut<'_, D>) -> Result<Val> {
        Ok(Val::Resource(self))
    }

    fn from_val<D>(_: &mut StoreContextMut<'_, D>, val: Val) -> Result<Self> {
        match val {
            Val::Resource(it) => Ok(it),
            other => super::val::mismatch("resource", &other),
        }
    }
}

/// Parameters or results: a tuple of [`ComponentType`]s.
pub trait ComponentNamedList: Sized + 'static {
    #[doc(hidden)]
    fn typecheck(types: &[Type]) -> Result<()>;
    #[doc(hidden)]
    fn into_vals<D>(self, store: &mut StoreContextMut<'_, D>) -> Result<Vec<Val>>;
    #[doc(hidden)]
    fn from_vals<D>(store: &mut StoreContextMut<'_, D>, vals: Vec<Val>) -> Result<Self>;
}

macro_rules! tuples {
    ($(($count:literal: $($name:ident)*))*) => {$(
        #[allow(non_snake_case, unused_variables, unused_mut, reason = "one text for every length")]
        impl<$($name: ComponentType),*> ComponentNamedList for ($($name,)*) {
            fn typecheck(types: &[Type]) -> Result<()> {
                let [$($name),*] = types else {
                    bail!("expected {} types, found {}", $count, types.len());
                };
                $(<$name as ComponentType>::typecheck($name)?;)*
                Ok(())
            }

            fn into_vals<D>(self, store: &mut StoreContextMut<'_, D>) -> Result<Vec<Val>> {
                let ($($name,)*) = self;
                Ok(vec![$($name.into_val(store)?),*])
            }

            fn from_vals<D>(store: &mut StoreContextMut<'_, D>, vals: Vec<Val>) -> Result<Self> {
                let count = vals.len();
                let mut vals = vals.into_iter();
                $(
                    let $name = match vals.next() {
                        Some(val) => <$name as ComponentType>::from_val(store, val)?,
                        None => bail!("expected {} values, found {count}", $count),
                    };
                )*
                Ok(($($name,)*))
            }
        }

        #[allow(non_snake_case, unused_variables, reason = "one text for every length")]
        impl<$($name: ComponentType),*> ComponentType for ($($name,)*) {
            fn typecheck(ty: &Type) -> Result<()> {
                match ty {
                    Type::Tuple(types) => <Self as ComponentNamedList>::typecheck(types),
                    other => Err(mismatch("tuple", other)),
                }
            }

            fn into_val<D>(self, store: &mut StoreContextMut<'_, D>) -> Result<Val> {
                Ok(Val::Tuple(self.into_vals(store)?))
            }

            fn from_val<D>(store: &mut StoreContextMut<'_, D>, val: Val) -> Result<Self> {
                match val {
                    Val::Tuple(vals) => Self::from_vals(store, vals),
                    other => super::val::mismatch("tuple", &other),
                }
            }
        }
    )*};
}

tuples! {
    (0:)
    (1: A0)
    (2: A0 A1)
    (3: A0 A1 A2)
    (4: A0 A1 A2 A3)
    (5: A0 A1 A2 A3 A4)
    (6: A0 A1 A2 A3 A4 A5)
    (7: A0 A1 A2 A3 A4 A5 A6)
    (8: A0 A1 A2 A3 A4 A5 A6 A7)
    (9: A0 A1 A2 A3 A4 A5 A6 A7 A8)
    (10: A0 A1 A2 A3 A4 A5 A6 A7 A8 A9)
    (11: A0 A1 A2 A3 A4 A5 A6 A7 A8 A9 A10)
    (12: A0 A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11)
    (13: A0 A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11 A12)
    (14: A0 A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11 A12 A13)
    (15: A0 A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11 A12 A13 A14)
    (16: A0 A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11 A12 A13 A14 A15)
}
