//! The custom section of branch hints (`metadata.code.branch_hint`).
//!
//! Guarantees nothing: hints say how often, not what, so a broken section is ignored from where it
//! breaks, and hints that name no branch are never asked for.

use cellwall_base::FuncIdx;
use wasmparser::BranchHintSectionReader;

/// Hints by function and offset in its body, ascending.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hints(Vec<(FuncIdx, u32, bool)>);

impl Hints {
    pub(crate) fn read(section: BranchHintSectionReader<'_>) -> Self {
        let mut hints = Vec::new();
        for of_func in section.into_iter().map_while(Result::ok) {
            let func = FuncIdx::from_u32(of_func.func);
            let of_func = of_func.hints.into_iter().map_while(Result::ok);
            hints.extend(of_func.map(|hint| (func, hint.func_offset, hint.taken)));
        }
        // Of several hints for one branch, the first counts.
        hints.sort_by_key(|&(func, offset, _)| (func, offset));
        Self(hints)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a branch is likely taken, if there is a hint.
    pub(crate) fn at(&self, func: FuncIdx, offset: u32) -> Option<bool> {
        let at = self.0.partition_point(|&(f, o, _)| (f, o) < (func, offset));
        let &(f, o, taken) = self.0.get(at)?;
        ((f, o) == (func, offset)).then_some(taken)
    }
}
