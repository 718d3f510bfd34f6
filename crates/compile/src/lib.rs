//! The optimizing compiler: one function of a module in, one blob of machine code out.
//!
//! Requires a decoded [`Module`] and the [`Shape`] that was projected from it. Guarantees code in
//! the shapes that the verifier accepts, a pure function of its inputs. Does not link, verify or
//! run anything, and is not trusted: whatever it gets wrong about isolation, the verifier refuses.
//!
//! ```text
//! translate   walk of the body -> ir::Func
//! opt         ir::Func -> ir::Func
//! lower       ir::Func -> isa MFunc<Virt>     the only place where IR meets ISA
//! regalloc    MFunc<Virt> -> MFunc<Phys>
//! tidy        without moves that nobody needs
//! frame       with the frame made where it is needed
//! emit        MFunc<Phys> -> CodeBlob
//! ```

mod emit;
mod explain;
mod frame;
mod lower;
mod opt;
mod regalloc;
#[cfg(test)]
mod tests;
mod tidy;
mod translate;

use cellwall_abi::{CodeBlob, ContextLayout, Shape, Target};
use cellwall_base::{FuncIdx, Invalid, Limit};
use cellwall_wasm::Module;
use std::fmt;

#[cfg(feature = "oracle")]
pub use explain::rules_applied;
pub use explain::{Stage, explain, explain_passes};
#[cfg(not(feature = "planted"))]
use lower::plant::Plant;
#[cfg(feature = "planted")]
pub use lower::plant::Plant;
pub use opt::Passes;
#[cfg(feature = "oracle")]
pub use translate::oracle;

/// Why a function could not be compiled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CompileError {
    /// The body is not valid.
    Invalid(Invalid),
    /// The body asks for more than a limit.
    Limit(Limit),
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(invalid) => invalid.fmt(f),
            Self::Limit(limit) => limit.fmt(f),
        }
    }
}

impl std::error::Error for CompileError {}

impl From<Invalid> for CompileError {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

impl From<Limit> for CompileError {
    fn from(limit: Limit) -> Self {
        Self::Limit(limit)
    }
}

/// What is the same for all functions of a module; made once.
#[derive(Debug)]
pub struct Unit<'m> {
    module: &'m Module,
    shape: &'m Shape,
    target: &'m Target,
    layout: ContextLayout,
    config: opt::Config,
    inlining: translate::Inlining,
    #[cfg(feature = "planted")]
    plant: Option<Plant>,
}

impl<'m> Unit<'m> {
    /// The unit of a module. `shape` is the one that `link` projects from `module`.
    pub fn new(module: &'m Module, shape: &'m Shape, target: &'m Target) -> Self {
        let layout = ContextLayout::new(shape);
        Self {
            module,
            shape,
            target,
            layout,
            config: opt::Config::of(module, Passes::ALL),
            inlining: translate::Inlining::of(module),
            #[cfg(feature = "planted")]
            plant: None,
        }
    }

    /// The same unit with a mistake of another engine, for tests of the verifier.
    #[cfg(feature = "planted")]
    #[must_use]
    pub fn with_plant(self, plant: Plant) -> Self {
        let plant = Some(plant);
        Self { plant, ..self }
    }

    /// The same unit with these passes only.
    #[must_use]
    pub fn with_passes(self, passes: Passes) -> Self {
        let inlining = match passes.contains(Passes::INLINE) {
            true => self.inlining,
            false => translate::Inlining::off(),
        };
        Self {
            config: opt::Config {
                passes,
                ..self.config
            },
            inlining,
            ..self
        }
    }
}

impl Unit<'_> {
    /// The SSA form of a function.
    fn translate(&self, func: FuncIdx) -> Result<cellwall_ir::Func, CompileError> {
        let Self { module, target, .. } = *self;
        match self.config.passes.contains(Passes::VALUES) {
            true => translate::translate(module, func, target, &self.inlining),
            false => translate::translate_with(module, func, target, &self.inlining, translate::Home::Frame),
        }
    }
}

/// Storage that is used again from function to function; of no meaning between them.
#[derive(Default)]
pub struct Scratch {
    lower: lower::Scratch,
    regalloc: regalloc::Scratch,
}

impl fmt::Debug for Scratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scratch")
    }
}

/// Compiles one defined function of a module.
///
/// # Errors
/// If the body is invalid or asks for more than a limit.
///
/// # Panics
/// If an invariant between two stages does not hold, which is our bug.
pub fn function(unit: &Unit<'_>, func: FuncIdx, scratch: &mut Scratch) -> Result<CodeBlob, CompileError> {
    let mut ir = unit.translate(func)?;
    check(&ir);
    opt::run(&mut ir, unit.config, |_, ir| check(ir));
    let virt = lower::lower(&ir, unit, &mut scratch.lower);
    let mut phys = regalloc::regalloc(virt, unit.config.passes, &mut scratch.regalloc);
    if unit.has(Plant::ReloadSignExtended) {
        lower::plant::sign_extend_reloads(&mut phys);
    }
    tidy::tidy(&mut phys);
    frame::frame(&mut phys);
    if unit.config.passes.contains(Passes::ROTATE) {
        tidy::rotate(&mut phys);
    }
    if unit.has(Plant::PadTrustsRegister) {
        lower::plant::trust_registers_at_pads(&mut phys);
    }
    let blob = emit::emit(&phys, &ir, unit.target)?;
    scratch.lower.recycle(phys);
    Ok(blob)
}

/// In debug builds, that the stage before kept the rules of the IR.
fn check(func: &cellwall_ir::Func) {
    if cfg!(debug_assertions)
        && let Err(error) = cellwall_ir::check(func)
    {
        panic!("the IR of {} is broken: {error}", func.index);
    }
}
