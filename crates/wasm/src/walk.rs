//! The validating walk over one body: the only source of operators.

use crate::decode::reader;
use crate::error::{invalid, refused};
use crate::module::{Module, ValType};
use crate::references;
use cellwall_base::{FuncIdx, Invalid};
use wasmparser::{
    FuncToValidate, FuncValidator, FuncValidatorAllocations, Operator, OperatorsReader,
    OperatorsReaderAllocations, ValidatorResources,
};

/// Where an operator stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct At {
    /// Offset in bytes from the start of the module.
    pub offset: u32,
    /// Whether control can come here by the specification's rule: false from an unconditional
    /// branch to the `end` or `else` of its block, those included. Blocks in unreachable code are
    /// delivered too, so that a sink can keep its nesting.
    pub reachable: bool,
}

/// Listens to the operators of one body.
pub trait Sink {
    /// `count` more locals of type `ty`, after the parameters; called before any operator.
    fn locals(&mut self, count: u32, ty: ValType);
    /// An operator that type-checked, the last `end` included.
    fn operator(&mut self, operator: &Operator<'_>, at: At);
}

/// Validates the body of `func` and delivers it to `sink`.
///
/// # Errors
/// The first operator that does not type-check; the sink then heard only what precedes it. Also if
/// `func` has no body.
pub fn walk(module: &Module, func: FuncIdx, sink: &mut impl Sink) -> Result<(), Invalid> {
    Walker::new().walk(module, func, sink)
}

/// [`walk`] with storage that is used again from body to body.
#[derive(Default)]
pub struct Walker {
    validator: FuncValidatorAllocations,
    reader: OperatorsReaderAllocations,
}

impl Walker {
    /// A walker without storage yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// See [`walk`].
    ///
    /// # Errors
    /// See [`walk`].
    pub fn walk(&mut self, module: &Module, func: FuncIdx, sink: &mut impl Sink) -> Result<(), Invalid> {
        let (Some(range), Some(resources)) = (module.body(func), &module.resources) else {
            return Err(invalid(0, format!("function {} has no body", func.as_u32())));
        };
        let mut validator = FuncToValidate {
            resources: resources.clone(),
            index: func.as_u32(),
            ty: module.funcs[func].as_u32(),
            features: crate::error::FEATURES,
        }
        .into_validator(std::mem::take(&mut self.validator));

        let mut bytes = reader(&module.bytes, range);
        let locals = bytes.read_var_u32().map_err(refused)?;
        for _ in 0..locals {
            let offset = bytes.original_position();
            let count = bytes.read_var_u32().map_err(refused)?;
            let ty = bytes.read().map_err(refused)?;
            validator.define_locals(offset, count, ty).map_err(refused)?;
            let ty = ValType::supported(ty).ok_or_else(|| invalid(offset, references::UNSUPPORTED))?;
            sink.locals(count, ty);
        }

        let storage = std::mem::take(&mut self.reader);
        let mut operators = OperatorsReader::new_with_allocs(bytes, storage);
        deliver(&mut operators, &mut validator, sink)?;
        self.reader = operators.into_allocations();
        self.validator = validator.into_allocations();
        Ok(())
    }
}

fn deliver(
    operators: &mut OperatorsReader<'_>,
    validator: &mut FuncValidator<ValidatorResources>,
    sink: &mut impl Sink,
) -> Result<(), Invalid> {
    // The control height at which code became unreachable.
    let mut dead: Option<u32> = None;
    while !operators.eof() {
        let offset = operators.original_position();
        let operator = operators.read().map_err(refused)?;
        validator.op(offset, &operator).map_err(refused)?;
        if !references::is_supported(&operator) {
            return Err(invalid(offset, references::UNSUPPORTED_OPERATOR));
        }
        let at = At {
            offset: offset as u32,
            reachable: dead.is_none(),
        };
        sink.operator(&operator, at);
        let height = validator.control_stack_height();
        match (dead, &operator) {
            (Some(h), Operator::Else | Operator::Catch { .. } | Operator::CatchAll) if height == h => {
                dead = None;
            }
            (Some(h), Operator::End | Operator::Delegate { .. }) if height < h => dead = None,
            _ => {}
        }
        if dead.is_none() && validator.get_control_frame(0).is_some_and(|f| f.unreachable) {
            dead = Some(height);
        }
    }
    operators.finish().map_err(refused)
}
