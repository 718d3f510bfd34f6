//! What derived implementations and bindings are made of. No part of the interface that stays as it is.

pub use super::layout::Layout;
pub use super::lift::Lifting;
pub use super::lower::Lowering;
pub use super::typed::TypeRef;
use super::typed::{ComponentType, mismatch};
use super::types::Type;
use crate::{Error, Result, bail};
use cellwall_component::Fault;
use std::sync::Arc;

/// The types of a record's fields, which must have these names.
pub fn fields<'a>(ty: &'a Type, names: &[&str]) -> Result<&'a [(Arc<str>, Type)]> {
    match ty {
        Type::Record(fields) => {
            names_equal("field", names, fields.iter().map(|(name, _)| &**name))?;
            Ok(fields)
        }
        other => Err(mismatch("record", other)),
    }
}

/// The types of a variant's cases, which must have these names.
pub fn cases<'a>(ty: &'a Type, names: &[&str]) -> Result<&'a [(Arc<str>, Option<Type>)]> {
    match ty {
        Type::Variant(cases) => {
            names_equal("case", names, cases.iter().map(|(name, _)| &**name))?;
            Ok(cases)
        }
        other => Err(mismatch("variant", other)),
    }
}

pub fn enum_cases(ty: &Type, names: &[&str]) -> Result<()> {
    match ty {
        Type::Enum(cases) => names_equal("case", names, cases.iter().map(|name| &**name)),
        other => Err(mismatch("enum", other)),
    }
}

pub fn flag_names(ty: &Type, names: &[&str]) -> Result<()> {
    match ty {
        Type::Flags(flags) => names_equal("flag", names, flags.iter().map(|name| &**name)),
        other => Err(mismatch("flags", other)),
    }
}

fn names_equal<'a>(
    what: &str,
    expected: &[&str],
    found: impl ExactSizeIterator<Item = &'a str>,
) -> Result<()> {
    if found.len() != expected.len() {
        bail!("expected {} {what}s, found {}", expected.len(), found.len());
    }
    for (expected, found) in expected.iter().zip(found) {
        if **expected != *found {
            bail!("expected the {what} `{expected}`, found `{found}`");
        }
    }
    Ok(())
}

pub fn payload<P: ComponentType + ?Sized>(name: &str, ty: &Option<Type>) -> Result<()> {
    match ty {
        Some(ty) => P::typecheck(ty),
        None => bail!("the case `{name}` has no payload"),
    }
}

pub fn no_payload(name: &str, ty: &Option<Type>) -> Result<()> {
    match ty {
        Some(_) => bail!("the case `{name}` has a payload"),
        None => Ok(()),
    }
}

/// Writes the number of a case, or flags, in so many bytes.
#[inline]
pub fn write_number<D: 'static>(cx: &mut Lowering<'_, '_, D>, at: u32, size: u32, number: u32) {
    cx.write(at, &number.to_le_bytes()[..size as usize]);
}

/// Reads it.
#[inline]
pub fn read_number<D: 'static>(cx: &Lifting<'_, '_, D>, at: u32, size: u32) -> u32 {
    match size {
        1 => cx.load::<1>(at)[0].into(),
        2 => u16::from_le_bytes(cx.load(at)).into(),
        _ => cx.word(at),
    }
}

/// A number that is no case.
#[cold]
pub fn no_case() -> Error {
    Fault::InvalidDiscriminant.into()
}
