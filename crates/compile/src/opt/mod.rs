//! The room of the optimizing passes: function to function, same type, same meaning.
//!
//! Requires and guarantees what `ir::check` says. Each pass takes linear time, or has a named limit
//! that makes it so. Each may be left out ([`Passes`]).

mod aliases;
mod dead;
mod divide;
mod fold;
#[rustfmt::skip]
#[allow(clippy::all, unused, reason = "written by the generator of rules")]
mod generated;
mod number;
mod passes;
mod site;
mod straighten;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use aliases::Aliases;
pub use passes::Passes;

use cellwall_ir::{Dominators, Func};

/// Optimizes a function; `seen` is shown what each step left.
pub(crate) fn run(func: &mut Func, passes: Passes, mut seen: impl FnMut(&'static str, &Func)) {
    let mut aliases = Aliases::default();
    straighten::straighten(func, &mut aliases);
    let dominators = Dominators::of(func);
    if number::number(func, &mut aliases, &dominators, passes) == fold::Branches::Folded {
        straighten::straighten(func, &mut aliases);
        aliases.rewrite(func);
    }
    seen("number", func);
    dead::remove(func);
    seen("dead", func);
}
