//! Calls replaced by the body of the callee, translated again in place.
//!
//! Functions are compiled one at a time and in any order, so a callee is never at hand as SSA form;
//! its bytes are, and translating twice is cheap. An inlined body is a `block` whose label is where
//! `return` goes and whose locals are new locals of the caller. Its instructions have sources of
//! their own (see [`cellwall_ir::Inlined`]), so that a backtrace names it.
//!
//! Requires the survey of the module's bodies. Guarantees that what is inlined is bounded: each body
//! in weight, all bodies of one function in weight together, and how deep they nest, so that
//! compiling stays linear in the size of the module. Does not look at what a callee does with
//! particular arguments.

use super::control::Frame;
use super::{Translator, ir_types};
use crate::CompileError;
use cellwall_base::{FuncIdx, IdMap};
use cellwall_ir::{Inlined, Type};
use cellwall_wasm::{Module, Summary, Try};

/// Weight of a body that is hardly more code than the call: inlined wherever it is called.
const TINY_WEIGHT: u32 = 6;
/// Weight of a body without calls and branches that is inlined: it joins the code around it.
const STRAIGHT_WEIGHT: u32 = 40;
/// Weight of a body without calls and loops that is inlined.
const LEAF_WEIGHT: u32 = 20;
/// Weight of any other body that is inlined.
const OTHER_WEIGHT: u32 = 12;
/// How many times as much where the call is in a loop: what is alive across it stays in registers.
const IN_LOOP_FACTOR: u32 = 2;
/// Percent of its own weight that may be inlined into a function, and
const ALLOWANCE_PERCENT: u32 = 30;
/// weight beyond that, so that small functions get something too.
const ALLOWANCE_WEIGHT: u32 = 120;
/// Weight that may be inlined into one function, however large.
const ALLOWANCE_WEIGHT_MAX: u32 = 2_000;
/// Bodies around one another, the function's own not counted.
const DEPTH_MAX: usize = 4;
/// Copies of a function inside itself.
const RECURSION_MAX: usize = 3;
/// Bytes of a body that is inlined.
const BODY_BYTES_MAX: u32 = 1_000;
/// Locals of a body that is inlined; each takes a step.
const LOCALS_MAX: u32 = 50;

/// What is known of all functions when one is translated.
#[derive(Debug, Default)]
pub(crate) struct Inlining {
    /// Empty to inline nothing.
    summaries: IdMap<FuncIdx, Summary>,
}

impl Inlining {
    /// Inlines nothing.
    pub(crate) fn off() -> Self {
        Self::default()
    }

    /// Inlines where it pays.
    pub(crate) fn of(module: &Module) -> Self {
        Self {
            summaries: cellwall_wasm::survey(module),
        }
    }

    /// Weight that may be inlined into a function.
    pub(super) fn allowance(&self, func: FuncIdx) -> u32 {
        let own = self.summaries.get(func).map_or(0, |summary| summary.weight);
        (own / 100 * ALLOWANCE_PERCENT)
            .saturating_add(ALLOWANCE_WEIGHT)
            .min(ALLOWANCE_WEIGHT_MAX)
    }
}

/// A body that is being translated.
pub(super) struct Body {
    pub(super) func: FuncIdx,
    /// What its locals add to their numbers.
    pub(super) first_local: u32,
    /// Its frame's place among the frames.
    pub(super) frame: usize,
    /// What sources add to offsets.
    pub(super) shift: u32,
    /// The `try` operators in it, once they were looked for.
    pub(super) tries: Option<Vec<Try>>,
}

impl Body {
    /// The function's own body.
    pub(super) fn root(func: FuncIdx) -> Self {
        Self {
            func,
            first_local: 0,
            frame: 0,
            shift: 0,
            tries: None,
        }
    }
}

impl Translator<'_> {
    /// The summary of a callee whose body is to stand here instead of a call.
    pub(super) fn inlinable(&self, callee: FuncIdx) -> Option<Summary> {
        let summary = *self.inlining.summaries.get(callee)?;
        let body = self.module.body(callee)?;
        if !summary.whole || body.len() as u32 > BODY_BYTES_MAX || summary.locals > LOCALS_MAX {
            return None;
        }
        if self.bodies.len() > DEPTH_MAX || summary.weight > self.allowance {
            return None;
        }
        let copies = self.bodies.iter().filter(|body| body.func == callee).count();
        if copies > RECURSION_MAX {
            return None;
        }
        let params = self.module.func_type(callee).params.len() as u32;
        if summary.diverges {
            // Hardly ever called.
            return None;
        }
        let mut weight_max = match summary {
            Summary {
                calls: 0,
                branches: 0,
                ..
            } => STRAIGHT_WEIGHT,
            Summary {
                calls: 0, loops: 0, ..
            } => LEAF_WEIGHT,
            _ => OTHER_WEIGHT,
        };
        if self.loops > 0 {
            weight_max *= IN_LOOP_FACTOR;
        }
        let fits = summary.weight <= weight_max.max(TINY_WEIGHT + params);
        fits.then_some(summary)
    }

    /// Translates the body of a callee in place of a call of it.
    pub(super) fn inline(&mut self, callee: FuncIdx, summary: Summary) {
        let module = self.module;
        let ty = module.func_type(callee);
        let bytes = module.body(callee).expect("what is inlined has a body");
        self.allowance -= summary.weight;
        self.ssa.allow(bytes.len());

        let first_local = self.ssa.locals();
        let args = self.stack.split_off(self.stack.len() - ty.params.len());
        let block = self.block.expect("the code is reachable");
        for (local, (arg, ty)) in args.into_iter().zip(ir_types(&ty.params)).enumerate() {
            self.ssa.declare(1, ty);
            self.ssa
                .write(&mut self.func, block, first_local + local as u32, arg);
        }
        let source = self.func.next_source();
        self.func.inlined.push(Inlined {
            func: callee,
            call: self.source,
            source,
            offset: bytes.start,
            len: bytes.len() as u32,
        });
        self.bodies.push(Body {
            func: callee,
            first_local,
            frame: self.frames.len(),
            shift: source.wrapping_sub(bytes.start),
            tries: None,
        });
        let scope = self.scope();
        self.frames
            .push(Frame::of_inlined(&ty.results, self.stack.len(), scope));
        let mut walker = self.walkers.pop().unwrap_or_default();
        if let Err(invalid) = walker.walk(module, callee, self) {
            self.failed.get_or_insert(CompileError::Invalid(invalid));
        }
        self.walkers.push(walker);
        self.bodies.pop();
    }

    /// Locals of an inlined body: they begin as zero at each time that it is entered.
    pub(super) fn declare_zero(&mut self, count: u32, ty: Type) {
        let Some(block) = self.block else {
            unreachable!("locals come before operators");
        };
        for _ in 0..count {
            let local = self.ssa.locals();
            self.ssa.declare(1, ty);
            let zero = self.ssa.zero(&mut self.func, ty);
            self.ssa.write(&mut self.func, block, local, zero);
        }
    }
}
