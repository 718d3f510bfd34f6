//! The `try` operators of the older encoding of exceptions, read ahead.
//!
//! In that encoding what catches an exception stands behind the code that throws it. Whoever compiles
//! in one pass asks here first.
//!
//! Requires a decoded module; the body need not be valid. Guarantees time linear in its bytes. Of an
//! invalid body the answer means nothing, and the walk refuses it anyway.

use crate::decode::reader;
use crate::module::Module;
use cellwall_base::{FuncIdx, TagIdx};
use wasmparser::{Operator, OperatorsReader};

/// A `try` operator and what belongs to it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Try {
    /// Offset in bytes from the start of the module.
    pub offset: u32,
    /// Its arms, in order.
    pub arms: Vec<Arm>,
    /// If it ends in `delegate`: to which label, counted from the block around it.
    pub delegate: Option<u32>,
}

/// An arm of a `try`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arm {
    /// The tag of the exceptions that it catches; `None` for all.
    pub tag: Option<TagIdx>,
    /// Whether a `rethrow` names it.
    pub rethrown: bool,
}

/// The `try` operators of a function, in order of their offsets.
pub fn tries(module: &Module, func: FuncIdx) -> Vec<Try> {
    let mut found = Vec::new();
    // What is read before something malformed is of no use, and of no harm.
    let _ = read(module, func, &mut found);
    found
}

fn read(module: &Module, func: FuncIdx, found: &mut Vec<Try>) -> wasmparser::Result<()> {
    let Some(body) = module.body(func) else {
        return Ok(());
    };
    let mut bytes = reader(&module.bytes, body);
    for _ in 0..bytes.read_var_u32()? {
        bytes.read_var_u32()?;
        bytes.read::<wasmparser::ValType>()?;
    }
    let mut operators = OperatorsReader::new(bytes);
    // The blocks around: for a `try`, its number in `found`.
    let mut around: Vec<Option<usize>> = vec![None];
    while !operators.eof() {
        let offset = operators.original_position() as u32;
        match operators.read()? {
            Operator::Block { .. }
            | Operator::Loop { .. }
            | Operator::If { .. }
            | Operator::TryTable { .. } => around.push(None),
            Operator::Try { .. } => {
                around.push(Some(found.len()));
                found.push(Try {
                    offset,
                    ..Try::default()
                });
            }
            Operator::Catch { tag_index } => arm(found, &around, Some(TagIdx::from_u32(tag_index))),
            Operator::CatchAll => arm(found, &around, None),
            Operator::Rethrow { relative_depth } => {
                let at = around.len().checked_sub(1 + relative_depth as usize);
                let at = at.and_then(|at| around[at]);
                if let Some(arm) = at.and_then(|at| found[at].arms.last_mut()) {
                    arm.rethrown = true;
                }
            }
            Operator::Delegate { relative_depth } => {
                if let Some(Some(at)) = around.pop() {
                    found[at].delegate = Some(relative_depth);
                }
            }
            Operator::End => {
                around.pop();
            }
            _ => {}
        }
    }
    Ok(())
}

fn arm(found: &mut [Try], around: &[Option<usize>], tag: Option<TagIdx>) {
    if let Some(&Some(at)) = around.last() {
        found[at].arms.push(Arm { tag, rethrown: false });
    }
}
