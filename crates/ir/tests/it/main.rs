//! Checker, interpreter and text form of the SSA form, on functions made by hand.

mod check;
mod dominators;
mod interp;
mod vectors;

use cellwall_base::FuncIdx;
use cellwall_ir::{Block, BlockCall, Func, FuncBuilder, InstData, Signature, Type, Value};

/// A function of these types whose entry block is there, with its parameters.
fn func(params: &[Type], results: &[Type]) -> Func {
    let signature = Signature {
        params: params.to_vec(),
        results: results.to_vec(),
    };
    let mut func = Func::new(FuncIdx::from_u32(0), signature);
    let entry = block(&mut func, params);
    assert_eq!(func.entry(), entry);
    func
}

/// A block at the end of the order.
fn block(func: &mut Func, params: &[Type]) -> Block {
    let block = func.make_block();
    for &ty in params {
        func.add_param(block, ty);
    }
    func.order.push(block);
    block
}

fn at(func: &mut Func, block: Block) -> FuncBuilder<'_> {
    FuncBuilder {
        func,
        block,
        source: 0,
    }
}

fn to(func: &mut Func, block: Block, args: &[Value]) -> BlockCall {
    let args = func.make_list(args);
    BlockCall { block, args }
}

fn jump(func: &mut Func, from: Block, target: Block, args: &[Value]) {
    let to = to(func, target, args);
    at(func, from).push(InstData::Jump { to }, &[]);
}

fn branch(func: &mut Func, from: Block, cond: Value, yes: Block, no: Block) {
    let to = [to(func, yes, &[]), to(func, no, &[])];
    at(func, from).push(InstData::Branch { cond, to }, &[]);
}

fn ret(func: &mut Func, from: Block, values: &[Value]) {
    let args = func.make_list(values);
    at(func, from).push(InstData::Return { args }, &[]);
}
