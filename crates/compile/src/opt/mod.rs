//! The room of the optimizing passes: function to function, same type, same meaning.
//!
//! Requires and guarantees what `ir::check` says. Each pass takes linear time, or has a named limit
//! that makes it so. Each may be left out ([`Passes`]).

mod aliases;
mod choose;
mod dead;
mod divide;
#[cfg(test)]
pub(crate) mod examples;
mod fold;
mod hoist;
#[rustfmt::skip]
#[allow(clippy::all, unused, reason = "written by the generator of rules")]
mod generated;
mod known;
mod layout;
mod loops;
mod number;
mod passes;
mod site;
mod straighten;
mod switches;
mod table;
#[cfg(test)]
pub(crate) mod tests;
mod vectors;

pub(crate) use aliases::Aliases;
pub(crate) use known::Imports;
pub use passes::Passes;
pub(crate) use site::{Fired, fold_binary, fold_compare, fold_unary, trim};

use cellwall_ir::{Dominators, Func};
use cellwall_wasm::Module;
use loops::Loops;

/// What the passes know beside the function.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Config {
    /// The passes that run.
    pub(crate) passes: Passes,
    /// What is imported.
    pub(crate) imports: Imports,
}

impl Config {
    /// These passes on functions of a module.
    pub(crate) fn of(module: &Module, passes: Passes) -> Self {
        let memories = module.memories().ids().filter(|&m| module.is_memory_imported(m));
        let memories = memories.count() as u32;
        let globals = module.globals().ids().filter(|&g| module.is_global_imported(g));
        let shared = module.memories().iter().filter(|(_, ty)| ty.shared);
        Self {
            passes,
            imports: Imports {
                memories,
                globals: globals.count() as u32,
                shared: shared.fold(0, |bits, (memory, _)| {
                    bits | Imports::bit(memories, memory.as_u32())
                }),
            },
        }
    }
}

/// Optimizes a function; `seen` is shown what each step left.
pub(crate) fn run(func: &mut Func, config: Config, seen: impl FnMut(&'static str, &Func)) {
    run_and_count(func, config, &mut Fired::default(), seen);
}

/// The same; `fired` counts the rules that were applied.
pub(crate) fn run_and_count(
    func: &mut Func,
    config: Config,
    fired: &mut Fired,
    mut seen: impl FnMut(&'static str, &Func),
) {
    let mut aliases = Aliases::default();
    straighten::straighten(func, &mut aliases);
    let mut dominators = Dominators::of(func);
    let mut loops = Loops::of(func, &dominators);
    let branches = number::number(func, &mut aliases, &dominators, &loops, config, fired);
    if branches == fold::Branches::Folded {
        straighten::straighten(func, &mut aliases);
        aliases.rewrite(func);
        if !loops.all().is_empty() {
            dominators = Dominators::of(func);
            loops = Loops::of(func, &dominators);
        }
    }
    seen("number", func);
    dead::remove(func);
    seen("dead", func);
    if config.passes.contains(Passes::HOIST) {
        hoist::hoist(func, &dominators, &loops, config.imports);
        seen("hoist", func);
    }
    if config.passes.contains(Passes::CHOOSE) {
        choose::choose(func);
        seen("choose", func);
    }
    if config.passes.contains(Passes::SWITCHES) {
        switches::switches(func);
        seen("switches", func);
    }
    if config.passes.contains(Passes::LAYOUT) {
        layout::layout(func);
        seen("layout", func);
    }
}
