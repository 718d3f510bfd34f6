//! The rule language: peephole and lowering rules as data, each of them proved.
//!
//! A rule file is text; [`check`] gives its rules with their types, or says what is wrong and where.
//! [`generate`] makes the Rust code that applies them, [`obligations`] what a solver must answer for
//! them to be true, and [`mutants`] the same rules with a mistake each, which must not be provable.
//! [`check_lowering`], [`generate_lowering`], [`lowering_obligations`] and [`lowering_mutants`] do the same for
//! rules whose right side is machine instructions.
//!
//! Build time only: nothing that ships depends on this crate. Requires nothing of the text; guarantees
//! that all answers are functions of it alone. Runs no solver and touches no file: `cargo xtask` does.

mod encode;
mod example;
mod generate;
mod lanes;
mod lowering;
mod machine;
mod mutate;
mod planted;
mod proof;
mod select;
mod shown;
mod syntax;
mod term;
mod typing;

pub use encode::LEMMAS;
pub use encode::{Question, question};
pub use example::{Example, examples, lowering_examples};
pub use generate::generate;
pub use lowering::{Access, Goal, Guard, Lowering, Node, TypedLowering, check_lowering};
pub use mutate::{
    Mutant, Refusal, Subject, Verdict, judge, lowering_mutants, mutants, record, recorded, replay,
};
pub use proof::{Obligation, Proofs, lowering_obligations, obligations};
pub use select::generate_lowering;
pub use syntax::{Expr, Invalid, Kind, Op, Place, Reason, Rule};
pub use term::{Smt, Sort, Term, TermId, Terms};
pub use typing::Typed;

use cellwall_ir::Type;

/// The types of rules, in the order of typings. How a vector is cut into lanes, its operators say.
pub const TYPES: [Type; 5] = [Type::I32, Type::I64, Type::F32, Type::F64, Type::V128];

/// Reads and types the rules of some files: names with texts.
///
/// # Errors
/// The first rule that does not make sense, with the name of its file.
pub fn check<'f>(
    files: impl IntoIterator<Item = (&'f str, &'f str)>,
) -> Result<Vec<Typed>, (&'f str, Invalid)> {
    let (mut all, mut names) = (Vec::new(), std::collections::BTreeSet::new());
    for (file, text) in files {
        for rule in syntax::parse(text).map_err(|error| (file, error))? {
            if !names.insert(rule.name.clone()) {
                return Err((
                    file,
                    Invalid::new(rule.place, Reason::SecondRule(rule.name.clone())),
                ));
            }
            all.push(typing::check(rule).map_err(|error| (file, error))?);
        }
    }
    Ok(all)
}
