//! What bodies look like from far: sizes and counts for whoever decides how to compile them.
//!
//! Requires a decoded module; its bodies need not be valid. Guarantees time linear in their bytes
//! and the same answer for the same module. Delivers no operators ([`walk`](crate::walk()) alone
//! does), so nothing can be compiled from what is found here: a summary is a hint.

use crate::decode::reader;
use crate::module::{ConstExpr, ConstOp, ElementItems, Item, Module};
use cellwall_base::{FuncIdx, IdMap};
use std::ops::Range;
use wasmparser::{Operator, OperatorsReader, OperatorsReaderAllocations};

/// A function from far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Summary {
    /// Operators that compute, access or branch: not constants, locals, or the bounds of blocks.
    pub weight: u32,
    /// Calls of functions, of whichever kind.
    pub calls: u32,
    /// Branches of every kind, returns included.
    pub branches: u32,
    /// Loops.
    pub loops: u32,
    /// Locals beside the parameters; saturates.
    pub locals: u32,
    /// `call` and `return_call` operators in the module that name the function; saturates.
    pub callers: u32,
    /// Whether it can be called otherwise: it is exported, an element of a segment, named by a
    /// constant expression, or the start function.
    pub escapes: bool,
    /// Whether no way through the body returns: it ends in `unreachable`, and nothing branches to its
    /// end. So does what reports a failure.
    pub diverges: bool,
    /// Whether the bytes of the body could be read to their end. If not, the body is malformed.
    pub whole: bool,
}

/// Summarizes every function; of imported ones, only `callers` and `escapes` mean something.
pub fn survey(module: &Module) -> IdMap<FuncIdx, Summary> {
    let mut summaries = IdMap::filled(Summary::default(), module.funcs.len());
    let mut storage = OperatorsReaderAllocations::default();
    for func in module.defined_funcs() {
        let body = module.body(func).expect("the function is defined");
        let read = read(module, body, &mut storage, &mut summaries);
        // What was counted of a body that ends too early is of no use, and of no harm.
        let summary = read.unwrap_or_default();
        let old = summaries[func];
        summaries[func] = Summary {
            callers: old.callers,
            escapes: old.escapes,
            ..summary
        };
    }
    mark_escaping(module, &mut summaries);
    summaries
}

fn read(
    module: &Module,
    body: Range<u32>,
    storage: &mut OperatorsReaderAllocations,
    summaries: &mut IdMap<FuncIdx, Summary>,
) -> wasmparser::Result<Summary> {
    let mut summary = Summary::default();
    let mut bytes = reader(&module.bytes, body);
    for _ in 0..bytes.read_var_u32()? {
        summary.locals = summary.locals.saturating_add(bytes.read_var_u32()?);
        bytes.read::<wasmparser::ValType>()?;
    }
    let mut operators = OperatorsReader::new_with_allocs(bytes, std::mem::take(storage));
    let (mut depth, mut returns, mut last_unreachable) = (0, false, false);
    while !operators.eof() {
        let operator = operators.read()?;
        summary.weight = summary.weight.saturating_add(weight(&operator));
        // The last `end` closes the body; what comes before it ends it.
        if !operators.eof() {
            last_unreachable = matches!(operator, Operator::Unreachable);
        }
        match operator {
            Operator::Block { .. } | Operator::TryTable { .. } | Operator::Try { .. } => depth += 1,
            // It closes a block as `end` does.
            Operator::Delegate { .. } => depth = u32::saturating_sub(depth, 1),
            Operator::Throw { .. } | Operator::ThrowRef | Operator::Rethrow { .. } => summary.calls += 1,
            Operator::Loop { .. } => {
                depth += 1;
                summary.loops += 1;
            }
            Operator::If { .. } => {
                depth += 1;
                summary.branches += 1;
            }
            Operator::End => depth = u32::saturating_sub(depth, 1),
            Operator::Br { relative_depth }
            | Operator::BrIf { relative_depth }
            | Operator::BrOnNull { relative_depth }
            | Operator::BrOnNonNull { relative_depth }
            | Operator::BrOnCast { relative_depth, .. }
            | Operator::BrOnCastFail { relative_depth, .. } => {
                summary.branches += 1;
                returns |= relative_depth == depth;
            }
            Operator::BrTable { .. } | Operator::Return => {
                summary.branches += 1;
                returns = true;
            }
            Operator::Call { function_index } => {
                summary.calls += 1;
                if let Some(callee) = summaries.get_mut(FuncIdx::from_u32(function_index)) {
                    callee.callers = callee.callers.saturating_add(1);
                }
            }
            Operator::CallIndirect { .. } => summary.calls += 1,
            Operator::ReturnCall { function_index } => {
                summary.calls += 1;
                returns = true;
                if let Some(callee) = summaries.get_mut(FuncIdx::from_u32(function_index)) {
                    callee.callers = callee.callers.saturating_add(1);
                }
            }
            Operator::CallRef { .. } => summary.calls += 1,
            Operator::ReturnCallIndirect { .. } | Operator::ReturnCallRef { .. } => {
                summary.calls += 1;
                returns = true;
            }
            _ => {}
        }
    }
    summary.diverges = last_unreachable && !returns;
    *storage = operators.into_allocations();
    summary.whole = true;
    Ok(summary)
}

fn weight(operator: &Operator<'_>) -> u32 {
    match operator {
        Operator::Nop
        | Operator::Drop
        | Operator::Block { .. }
        | Operator::Loop { .. }
        | Operator::Else
        | Operator::End
        | Operator::Return
        | Operator::LocalGet { .. }
        | Operator::LocalSet { .. }
        | Operator::LocalTee { .. }
        | Operator::I32Const { .. }
        | Operator::I64Const { .. }
        | Operator::V128Const { .. } => 0,
        Operator::BrTable { targets } => targets.len(),
        _ => 1,
    }
}

fn mark_escaping(module: &Module, summaries: &mut IdMap<FuncIdx, Summary>) {
    let mut mark = |func: FuncIdx| summaries[func].escapes = true;
    for export in &module.exports {
        if let Item::Func(func) = export.item {
            mark(func);
        }
    }
    module.start.into_iter().for_each(&mut mark);
    let mut mark_named = |expr: &ConstExpr| {
        for op in &expr.0 {
            if let ConstOp::RefFunc(func) = *op {
                mark(func);
            }
        }
    };
    module
        .globals
        .values()
        .filter_map(|global| global.init.as_ref())
        .for_each(&mut mark_named);
    module
        .tables
        .values()
        .filter_map(|table| table.init.as_ref())
        .for_each(&mut mark_named);
    for segment in module.elements.values() {
        match &segment.items {
            ElementItems::Funcs(funcs) => funcs.iter().for_each(|&func| summaries[func].escapes = true),
            ElementItems::Exprs(exprs) => {
                for op in exprs.iter().flat_map(|expr| &expr.0) {
                    if let ConstOp::RefFunc(func) = *op {
                        summaries[func].escapes = true;
                    }
                }
            }
        }
    }
}
