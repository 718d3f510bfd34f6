//! The room of the optimizing passes: function to function, same type, same meaning.
//!
//! Requires and guarantees what `ir::check` says. Each pass is one walk over the function, so that
//! the whole is linear. What is here folds, straightens and removes; it moves nothing.

mod algebra;
mod aliases;
mod dead;
mod divide;
mod fold;
mod straighten;
#[cfg(test)]
mod tests;

pub(crate) use aliases::Aliases;

use cellwall_ir::Func;

/// Optimizes a function.
pub(crate) fn run(func: &mut Func) {
    let mut aliases = Aliases::default();
    straighten::straighten(func, &mut aliases);
    if fold::fold(func, &mut aliases) == fold::Branches::Folded {
        straighten::straighten(func, &mut aliases);
        aliases.rewrite(func);
    }
    dead::remove(func);
}
