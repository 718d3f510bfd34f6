//! One function of an adapter while it is written: its code, and its locals as they are needed.

use super::Import;
use super::module::Builder;
use super::translate::Var;
use crate::fault::Fault;
use crate::types::Flat;
use wasm_encoder::{BlockType, InstructionSink};

/// A function in the making.
pub(crate) struct Function {
    params: u32,
    locals: Vec<Flat>,
    code: Vec<u8>,
}

impl Function {
    pub(crate) fn new(params: &[Flat]) -> Self {
        Self {
            params: params.len() as u32,
            locals: Vec::new(),
            code: Vec::new(),
        }
    }

    /// Where instructions go.
    pub(crate) fn code(&mut self) -> InstructionSink<'_> {
        InstructionSink::new(&mut self.code)
    }

    /// Bytes so far.
    pub(crate) fn len(&self) -> usize {
        self.code.len()
    }

    /// A new local.
    pub(crate) fn local(&mut self, ty: Flat) -> u32 {
        self.locals.push(ty);
        self.params + self.locals.len() as u32 - 1
    }

    /// A new local with its type.
    pub(crate) fn var(&mut self, ty: Flat) -> Var {
        Var::new(self.local(ty), ty)
    }

    /// Ends the call.
    pub(crate) fn trap(&mut self, builder: &Builder<'_>, fault: Fault) {
        let trap = builder.index(Import::Trap);
        self.code()
            .i32_const(fault.number() as i32)
            .call(trap)
            .unreachable();
    }

    /// Ends the call if the value on the stack is not 0.
    pub(crate) fn trap_if(&mut self, builder: &Builder<'_>, fault: Fault) {
        self.code().if_(BlockType::Empty);
        self.trap(builder, fault);
        self.code().end();
    }

    pub(crate) fn finish(mut self) -> wasm_encoder::Function {
        self.code().end();
        let locals = self.locals.iter().map(|&ty| super::module::val(ty));
        let mut function = wasm_encoder::Function::new_with_locals_types(locals);
        function.raw(self.code);
        function
    }
}
