//! WebAssembly → SSA: a sink of the validating walk.
//!
//! Requires a decoded module. Guarantees a function that `ir::check` accepts and that means what the
//! body means; blocks that control cannot reach are not made. Does not optimize, apart from not
//! making block parameters for locals that do not change; knows nothing of machine code but which
//! accesses the guard behind memories covers (`Target`).

mod atomic;
mod control;
mod exceptions;
mod inline;
mod memory;
mod nans;
mod numeric;
#[cfg(any(test, feature = "oracle"))]
#[cfg_attr(
    not(feature = "oracle"),
    allow(unreachable_pub, reason = "tests use it from inside")
)]
pub mod oracle;
mod references;
mod short;
mod ssa;
#[cfg(test)]
mod tests;
mod vector;
mod wide;

#[cfg(test)]
pub(crate) use tests::translated_for_host as translate_for_tests;

use crate::CompileError;
use cellwall_abi::{LibCall, Target};
use cellwall_base::{FuncIdx, GlobalIdx, Invalid, Limit, TableIdx, TagIdx, TypeIdx};
use cellwall_ir::{
    BinaryOp, Block, CompareOp, Func, FuncBuilder, Inst, InstData, Library, Sig, Signature, Trap, Type,
    Value, ValueList,
};
use cellwall_wasm::{At, FuncType, Module, Operator, Sink, ValType, Walker};
use control::Frame;
use inline::Body;
pub(crate) use inline::Inlining;
use numeric::Row;
pub(crate) use ssa::Home;
use ssa::Ssa;
use std::collections::HashMap;

/// Translates one function, and into it the callees that `inlining` says. Where locals as values
/// would take too much work, they live in the frame, and nothing is inlined.
///
/// # Errors
/// If the body is invalid, or asks for more than a limit.
pub(crate) fn translate(
    module: &Module,
    func: FuncIdx,
    target: &Target,
    inlining: &Inlining,
) -> Result<Func, CompileError> {
    match translate_with(module, func, target, inlining, Home::Values) {
        Err(CompileError::Limit(_)) => translate_with(module, func, target, &Inlining::off(), Home::Frame),
        other => other,
    }
}

/// Translates with locals in one place or the other.
///
/// # Errors
/// Those of [`translate`], and for values, if they take too much work.
pub(crate) fn translate_with(
    module: &Module,
    func: FuncIdx,
    target: &Target,
    inlining: &Inlining,
    home: Home,
) -> Result<Func, CompileError> {
    let Some(body) = module.body(func) else {
        return Err(CompileError::Invalid(Invalid {
            offset: 0,
            reason: format!("function {} has no body", func.as_u32()),
        }));
    };
    let mut translator = Translator::new(module, func, target, inlining, body.len(), home);
    Walker::new().walk(module, func, &mut translator)?;
    translator.finish()
}

/// The type by which a WebAssembly value is carried; references are 32-bit indexes.
fn ir_type(ty: ValType) -> Type {
    match ty {
        ValType::I32 | ValType::FuncRef | ValType::ExternRef | ValType::ExnRef | ValType::AnyRef => Type::I32,
        ValType::I64 => Type::I64,
        ValType::F32 => Type::F32,
        ValType::F64 => Type::F64,
        ValType::V128 => Type::V128,
    }
}

fn ir_types(types: &[ValType]) -> Vec<Type> {
    types.iter().map(|&ty| ir_type(ty)).collect()
}

fn ir_signature(ty: &FuncType) -> Signature {
    Signature {
        params: ir_types(&ty.params),
        results: ir_types(&ty.results),
    }
}

/// The state of a translation.
struct Translator<'m> {
    module: &'m Module,
    target: &'m Target,
    inlining: &'m Inlining,
    func: Func,
    ssa: Ssa,
    /// The operand stack.
    stack: Vec<Value>,
    /// The enclosing blocks, the function's own first.
    frames: Vec<Frame<'m>>,
    /// Where instructions go, if control can come there.
    block: Option<Block>,
    /// How many of them are loops.
    loops: u32,
    /// Blocks begun inside unreachable code.
    dead_depth: u32,
    /// Blocks to be laid out last.
    late: Vec<Block>,
    /// Offset of the current operator.
    source: u32,
    signatures: HashMap<SigKey, Sig>,
    /// What catches exceptions, by number; number 0 catches nothing.
    scopes: Vec<exceptions::Scope>,
    /// The bodies around the current operator, the function's own first.
    bodies: Vec<Body>,
    /// Weight that may still be inlined.
    allowance: u32,
    /// Copies and fills so far whose length is not known and that have code of their own.
    open_ranges: u32,
    /// Storage for walks of inlined bodies.
    walkers: Vec<Walker>,
    /// The first limit that was exceeded, or why an inlined body is invalid; nothing is translated
    /// after it.
    failed: Option<CompileError>,
}

#[derive(PartialEq, Eq, Hash)]
enum SigKey {
    Type(TypeIdx),
    Tag(TagIdx),
    Library(LibCall),
}

impl<'m> Translator<'m> {
    /// A translator at the start of a body of `body_bytes` bytes.
    fn new(
        module: &'m Module,
        index: FuncIdx,
        target: &'m Target,
        inlining: &'m Inlining,
        body_bytes: usize,
        home: Home,
    ) -> Self {
        let ty = module.func_type(index);
        let mut func = Func::new(index, ir_signature(ty));
        let mut ssa = Ssa::new(body_bytes, home);
        let params = ir_types(&ty.params);
        let entry = ssa.make_block(&mut func, params.iter().copied());
        for (local, ty) in params.into_iter().enumerate() {
            ssa.declare(1, ty);
            let param = func.blocks[entry].params[local];
            ssa.write(&mut func, entry, local as u32, param);
        }
        let mut translator = Self {
            module,
            target,
            inlining,
            func,
            ssa,
            stack: Vec::new(),
            frames: vec![Frame::of_function(&ty.results)],
            block: None,
            loops: 0,
            dead_depth: 0,
            late: Vec::new(),
            source: 0,
            signatures: HashMap::new(),
            scopes: vec![exceptions::Scope::default()],
            bodies: vec![Body::root(index)],
            allowance: inlining.allowance(index),
            open_ranges: 0,
            walkers: Vec::new(),
            failed: None,
        };
        translator
            .ssa
            .seal(&mut translator.func, entry)
            .expect("no local of the entry block is incomplete");
        translator.start(entry);
        translator
    }

    /// The function, once the walk is over.
    fn finish(mut self) -> Result<Func, CompileError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        assert!(self.frames.is_empty(), "the last operator ends the function");
        self.func.order.append(&mut self.late);
        self.ssa.finish(&mut self.func)?;
        Ok(self.func)
    }

    /// Appends to the current block.
    fn build(&mut self) -> FuncBuilder<'_> {
        FuncBuilder {
            func: &mut self.func,
            block: self.block.expect("operators in unreachable code are skipped"),
            source: self.source,
        }
    }

    fn pop(&mut self) -> Value {
        self.stack.pop().expect("the operator type-checked")
    }

    /// The two topmost values, the lower one first.
    fn pop2(&mut self) -> [Value; 2] {
        let y = self.pop();
        [self.pop(), y]
    }

    /// The two topmost values, the lower one first, and the one below them.
    fn pop3(&mut self) -> [Value; 3] {
        let [y, z] = self.pop2();
        [self.pop(), y, z]
    }

    /// Takes steps for as many values as signatures and block types make of a few bytes.
    fn spend(&mut self, values: usize) {
        if let Err(limit) = self.ssa.spend(values) {
            self.failed.get_or_insert(limit.into());
        }
    }

    /// Removes the topmost values as a list.
    fn pop_list(&mut self, count: usize) -> ValueList {
        let list = self.top_list(count);
        self.stack.truncate(self.stack.len() - count);
        list
    }

    /// The topmost values as a list; they stay.
    fn top_list(&mut self, count: usize) -> ValueList {
        self.spend(count);
        let from = self.stack.len() - count;
        self.func.make_list(&self.stack[from..])
    }

    fn constant(&mut self, ty: Type, bits: u64) -> Value {
        self.build().constant(ty, bits)
    }

    /// Appends an instruction and pushes its results.
    fn push_results(&mut self, data: InstData, results: &[Type]) -> Inst {
        self.spend(results.len());
        let inst = self.build().push(data, results);
        self.stack.extend(self.func.insts[inst].results.iter());
        inst
    }

    fn signature(&mut self, key: SigKey) -> Sig {
        let (module, signatures) = (self.module, &mut self.func.signatures);
        match key {
            SigKey::Type(ty) => *self
                .signatures
                .entry(SigKey::Type(ty))
                .or_insert_with(|| signatures.push(ir_signature(&module.types()[ty]))),
            SigKey::Tag(tag) => *self
                .signatures
                .entry(SigKey::Tag(tag))
                .or_insert_with(|| signatures.push(ir_signature(&module.types()[module.tags()[tag].ty]))),
            SigKey::Library(call) => *self.signatures.entry(SigKey::Library(call)).or_insert_with(|| {
                let types = |types: &[cellwall_abi::ValType]| types.iter().map(|&t| abi_type(t)).collect();
                signatures.push(Signature {
                    params: types(call.params()),
                    results: types(call.results()),
                })
            }),
        }
    }

    /// Appends a call of the runtime; the results are pushed.
    fn call_library(&mut self, call: LibCall, args: &[Value]) {
        let sig = self.signature(SigKey::Library(call));
        let data = InstData::CallLibrary {
            library: Library::from_u32(call as u32),
            sig,
            args: self.func.make_list(args),
        };
        let results: Vec<Type> = call.results().iter().map(|&t| abi_type(t)).collect();
        self.push_results(data, &results);
    }

    /// An operator in code that control can reach.
    fn operator(&mut self, operator: &Operator<'_>) -> Result<(), Limit> {
        if self.control(operator)?
            || self.bulk(operator)?
            || self.threads(operator)
            || self.references(operator)
        {
            return Ok(());
        }
        if let Some(row) = Row::of(operator) {
            self.row(row);
            return Ok(());
        }
        match *operator {
            Operator::Nop => {}
            Operator::Drop => {
                self.pop();
            }
            Operator::LocalGet { local_index } => {
                let local_index = self.body().first_local + local_index;
                let block = self.block.expect("the code is reachable");
                let value = self.ssa.read(&mut self.func, block, local_index)?;
                self.stack.push(value);
            }
            Operator::LocalSet { local_index } => {
                let local_index = self.body().first_local + local_index;
                let value = self.pop();
                let block = self.block.expect("the code is reachable");
                self.ssa.write(&mut self.func, block, local_index, value);
            }
            Operator::LocalTee { local_index } => {
                let local_index = self.body().first_local + local_index;
                let value = *self.stack.last().expect("the operator type-checked");
                let block = self.block.expect("the code is reachable");
                self.ssa.write(&mut self.func, block, local_index, value);
            }
            Operator::GlobalGet { global_index } => {
                let global = GlobalIdx::from_u32(global_index);
                let ty = ir_type(self.module.globals()[global].ty);
                self.push_results(InstData::GlobalGet { global }, &[ty]);
            }
            Operator::GlobalSet { global_index } => {
                let global = GlobalIdx::from_u32(global_index);
                let value = self.pop();
                self.build().push(InstData::GlobalSet { global, value }, &[]);
            }
            Operator::Call { function_index } => self.call(FuncIdx::from_u32(function_index)),
            Operator::CallIndirect {
                type_index,
                table_index,
            } => self.call_indirect(TypeIdx::from_u32(type_index), TableIdx::from_u32(table_index)),
            Operator::Select | Operator::TypedSelect { .. } => {
                let [x, y, cond] = self.pop3();
                let ty = self.func.ty(x);
                self.push_results(InstData::Select { cond, args: [x, y] }, &[ty]);
            }
            Operator::I32Const { value } => self.push_constant(Type::I32, u64::from(value as u32)),
            Operator::I64Const { value } => self.push_constant(Type::I64, value as u64),
            Operator::F32Const { value } => self.push_constant(Type::F32, u64::from(value.bits())),
            Operator::F64Const { value } => self.push_constant(Type::F64, value.bits()),
            Operator::RefNull { .. } => self.push_constant(Type::I32, 0),
            Operator::RefIsNull | Operator::I32Eqz => self.equal_zero(Type::I32),
            Operator::I64Eqz => self.equal_zero(Type::I64),
            Operator::RefAsNonNull => {
                let reference = *self.stack.last().expect("the operator type-checked");
                let cond = self.is_null(reference);
                let trap = Trap::NullReference;
                self.build().push(InstData::TrapIf { cond, trap }, &[]);
            }
            Operator::CallRef { type_index } => self.call_ref(TypeIdx::from_u32(type_index)),
            Operator::RefFunc { function_index } => {
                let func = self.constant(Type::I32, u64::from(function_index));
                self.call_library(LibCall::RefFunc, &[func]);
            }
            Operator::I64Add128 => self.wide_sum(BinaryOp::Add),
            Operator::I64Sub128 => self.wide_sum(BinaryOp::Sub),
            Operator::I64MulWideS => self.wide_product(BinaryOp::MulHighS),
            Operator::I64MulWideU => self.wide_product(BinaryOp::MulHighU),
            ref other => assert!(self.vector(other), "the validator refuses {other:?}"),
        }
        Ok(())
    }

    fn push_constant(&mut self, ty: Type, bits: u64) {
        let value = self.constant(ty, bits);
        self.stack.push(value);
    }

    fn equal_zero(&mut self, ty: Type) {
        let x = self.pop();
        let zero = self.constant(ty, 0);
        let value = self.build().compare(CompareOp::Eq, x, zero);
        self.stack.push(value);
    }

    /// An operator that is a row of the table of operators of the SSA form.
    fn row(&mut self, row: Row) {
        let value = match row {
            Row::Unary(op, to) => {
                let x = self.pop();
                let value = self.build().unary(op, to, x);
                self.canonical(value, op.chooses_nan())
            }
            Row::Binary(op) => {
                let [x, y] = self.pop2();
                let value = self.build().binary(op, x, y);
                self.canonical(value, op.chooses_nan())
            }
            Row::Compare(op) => {
                let [x, y] = self.pop2();
                self.build().compare(op, x, y)
            }
            Row::Load(op, ty, ref memarg) => {
                let index = self.pop();
                self.load(op, ty, memarg, index)
            }
            Row::Store(op, ref memarg) => {
                let [index, value] = self.pop2();
                return self.store(op, memarg, index, value);
            }
        };
        self.stack.push(value);
    }

    /// The body that the current operator is in.
    fn body(&self) -> &Body {
        self.bodies.last().expect("the function's own body is there")
    }

    fn call(&mut self, func: FuncIdx) {
        if let Some(summary) = self.inlinable(func) {
            return self.inline(func, summary);
        }
        let results = ir_types(&self.module.func_type(func).results);
        let (sig, args) = self.call_args(func);
        self.push_results(InstData::Call { func, sig, args }, &results);
        self.catch_call();
    }

    /// The signature of a function, and its arguments from the stack.
    fn call_args(&mut self, func: FuncIdx) -> (Sig, ValueList) {
        let sig = self.signature(SigKey::Type(self.module.funcs()[func]));
        (sig, self.pop_list(self.module.func_type(func).params.len()))
    }

    fn call_indirect(&mut self, ty: TypeIdx, table: TableIdx) {
        let results = ir_types(&self.module.types()[ty].results);
        let (sig, args) = self.indirect_args(ty);
        self.push_results(InstData::CallIndirect { table, ty, sig, args }, &results);
        self.catch_call();
    }

    fn call_ref(&mut self, ty: TypeIdx) {
        let results = ir_types(&self.module.types()[ty].results);
        let (sig, args) = self.indirect_args(ty);
        self.push_results(InstData::CallRef { ty, sig, args }, &results);
        self.catch_call();
    }

    /// 1 if a reference is null.
    fn is_null(&mut self, reference: Value) -> Value {
        let null = self.constant(Type::I32, 0);
        self.build().compare(CompareOp::Eq, reference, null)
    }

    /// The signature of a type, and from the stack what says which function, then the arguments.
    fn indirect_args(&mut self, ty: TypeIdx) -> (Sig, ValueList) {
        let sig = self.signature(SigKey::Type(ty));
        // The index or reference comes first in the list, but is on top of the stack.
        let index = self.pop();
        let params = self.module.types()[ty].params.len();
        self.stack.insert(self.stack.len() - params, index);
        (sig, self.pop_list(params + 1))
    }
}

fn abi_type(ty: cellwall_abi::ValType) -> Type {
    match ty {
        cellwall_abi::ValType::I64 => Type::I64,
        cellwall_abi::ValType::F32 => Type::F32,
        cellwall_abi::ValType::F64 => Type::F64,
        cellwall_abi::ValType::V128 => Type::V128,
        _ => Type::I32,
    }
}

impl Sink for Translator<'_> {
    fn locals(&mut self, count: u32, ty: ValType) {
        match self.bodies.len() {
            1 => self.ssa.declare(count, ir_type(ty)),
            _ => self.declare_zero(count, ir_type(ty)),
        }
    }

    fn operator(&mut self, operator: &Operator<'_>, at: At) {
        if self.failed.is_some() {
            return;
        }
        self.source = at.offset.wrapping_add(self.body().shift);
        let result = match self.block {
            Some(_) => Translator::operator(self, operator),
            None => self.skip(operator),
        };
        if let Err(limit) = result {
            self.failed.get_or_insert(limit.into());
        }
    }
}
