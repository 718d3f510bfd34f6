//! What derived implementations are made of.

use super::Val;
use super::typed::{ComponentType, mismatch};
use super::types::Type;
use super::val::mismatch as wrong_val;
use crate::{Result, StoreContextMut, bail};
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
            bail!("expected {what} `{expected}`, found `{found}`");
        }
    }
    Ok(())
}

pub fn payload<P: ComponentType>(name: &str, ty: &Option<Type>) -> Result<()> {
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

pub fn record_val(val: Val) -> Result<std::vec::IntoIter<(String, Val)>> {
    match val {
        Val::Record(fields) => Ok(fields.into_iter()),
        other => wrong_val("record", &other),
    }
}

pub fn next<D, P: ComponentType>(
    store: &mut StoreContextMut<'_, D>,
    vals: &mut std::vec::IntoIter<(String, Val)>,
) -> Result<P> {
    match vals.next() {
        Some((_, val)) => P::from_val(store, val),
        None => bail!("a record has too few fields"),
    }
}

pub fn variant_val(val: Val) -> Result<(String, Option<Box<Val>>)> {
    match val {
        Val::Variant(name, payload) => Ok((name, payload)),
        other => wrong_val("variant", &other),
    }
}

pub fn payload_of<D, P: ComponentType>(
    store: &mut StoreContextMut<'_, D>,
    payload: Option<Box<Val>>,
) -> Result<P> {
    match payload {
        Some(val) => P::from_val(store, *val),
        None => bail!("a case has no payload"),
    }
}

pub fn enum_val(val: Val) -> Result<String> {
    match val {
        Val::Enum(name) => Ok(name),
        other => wrong_val("enum", &other),
    }
}

pub fn flags_val(val: Val) -> Result<Vec<String>> {
    match val {
        Val::Flags(names) => Ok(names),
        other => wrong_val("flags", &other),
    }
}

#[cold]
pub fn unknown<T>(what: &str, name: &str) -> Result<T> {
    bail!("there is no {what} `{name}`")
}
