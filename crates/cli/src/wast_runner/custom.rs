//! What the tests of custom sections call invalid: hints for what is no branch.
//!
//! Requires a module in binary form; one that cannot be read has nothing wrong in this sense.

use std::collections::BTreeSet;

use wasmparser::{KnownCustom, Operator, Parser, Payload};

/// Whether the section of branch hints names an offset where there is no `if` or `br_if`.
pub(super) fn has_stray_hint(wasm: &[u8]) -> bool {
    stray_hint(wasm).unwrap_or(false)
}

fn stray_hint(wasm: &[u8]) -> wasmparser::Result<bool> {
    let mut imported = 0;
    // Function and offset in its body.
    let (mut hints, mut branches) = (BTreeSet::new(), BTreeSet::new());
    let mut defined = 0;
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    imported += u32::from(matches!(import?.ty, wasmparser::TypeRef::Func(_)));
                }
            }
            Payload::CustomSection(section) => {
                if let KnownCustom::BranchHints(section) = section.as_known() {
                    for of_func in section {
                        let of_func = of_func?;
                        for hint in of_func.hints {
                            hints.insert((of_func.func, u64::from(hint?.func_offset)));
                        }
                    }
                }
            }
            Payload::CodeSectionEntry(body) => {
                let func = imported + defined;
                defined += 1;
                for item in body.get_operators_reader()?.into_iter_with_offsets() {
                    let (operator, offset) = item?;
                    if matches!(operator, Operator::If { .. } | Operator::BrIf { .. }) {
                        branches.insert((func, offset - body.range().start));
                    }
                }
            }
            _ => {}
        }
    }
    Ok(!hints.is_subset(&branches))
}
