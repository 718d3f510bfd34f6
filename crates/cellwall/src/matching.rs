//! Whether something may be imported as something (core specification, "Import Subtyping").

use crate::{ExternType, ImportType, MemoryType, Result, bail};

/// Compares what a module expects with what it is given.
///
/// # Errors
/// With both types, and the name of the import around.
pub(crate) fn check_import(import: &ImportType<'_>, found: &ExternType) -> Result<()> {
    let expected = import.ty();
    matches(&expected, found).map_err(|error| {
        error.context(format!(
            "incompatible import type for `{}::{}`",
            import.module(),
            import.name()
        ))
    })
}

fn matches(expected: &ExternType, found: &ExternType) -> Result<()> {
    let fits = match (expected, found) {
        (ExternType::Func(expected), ExternType::Func(found)) => found.matches(expected),
        (ExternType::Global(expected), ExternType::Global(found)) => {
            let content = match found.mutability().is_const() {
                true => found.content().matches(expected.content()),
                false => found.content() == expected.content(),
            };
            content && expected.mutability() == found.mutability()
        }
        (ExternType::Tag(expected), ExternType::Tag(found)) => expected == found,
        (ExternType::Table(expected), ExternType::Table(found)) => {
            (expected.element(), expected.is_64()) == (found.element(), found.is_64())
                && limits(
                    (expected.minimum(), expected.maximum()),
                    (found.minimum(), found.maximum()),
                )
        }
        (ExternType::Memory(expected), ExternType::Memory(found)) => {
            let kind = |ty: &MemoryType| (ty.is_64(), ty.is_shared(), ty.page_size_log2());
            kind(expected) == kind(found)
                && limits(
                    (expected.minimum(), expected.maximum()),
                    (found.minimum(), found.maximum()),
                )
        }
        _ => bail!(
            "types incompatible: expected a {}, found a {}",
            expected.kind(),
            found.kind()
        ),
    };
    if !fits {
        bail!("types incompatible: expected `{expected}`, found `{found}`");
    }
    Ok(())
}

fn limits(expected: (u64, Option<u64>), found: (u64, Option<u64>)) -> bool {
    found.0 >= expected.0
        && match (expected.1, found.1) {
            (None, _) => true,
            (Some(expected), Some(found)) => found <= expected,
            (Some(_), None) => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GlobalType, Mutability, RefType, TableType, ValType};

    fn fits(expected: impl Into<ExternType>, found: impl Into<ExternType>) -> bool {
        matches(&expected.into(), &found.into()).is_ok()
    }

    #[test]
    fn limits_may_be_tighter_and_not_wider() {
        let memory = MemoryType::new;
        assert!(fits(memory(1, None), memory(2, None)));
        assert!(!fits(memory(2, None), memory(1, None)));
        assert!(fits(memory(1, Some(4)), memory(1, Some(3))));
        assert!(!fits(memory(1, Some(4)), memory(1, Some(5))));
        assert!(!fits(memory(1, Some(4)), memory(1, None)));
        assert!(fits(memory(1, None), memory(1, Some(5))));
        assert!(!fits(memory(1, None), MemoryType::new64(1, None)));
        assert!(!fits(memory(1, Some(2)), MemoryType::shared(1, 2)));
        assert!(fits(MemoryType::shared(1, 2), MemoryType::shared(1, 2)));
    }

    #[test]
    fn elements_and_globals_are_the_same_or_nothing() {
        let table = |element| TableType::new(element, 1, None);
        assert!(fits(table(RefType::FUNCREF), table(RefType::FUNCREF)));
        assert!(!fits(table(RefType::FUNCREF), table(RefType::EXTERNREF)));
        let global = |mutability| GlobalType::new(ValType::I32, mutability);
        assert!(fits(global(Mutability::Var), global(Mutability::Var)));
        assert!(!fits(global(Mutability::Const), global(Mutability::Var)));
        assert!(!fits(global(Mutability::Const), table(RefType::FUNCREF)));
    }
}
