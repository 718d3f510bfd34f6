//! The checker that holds between every two passes.
//!
//! Requires nothing of the function but ids in range of its maps for what the order reaches (an id
//! out of range is an error too where it is cheap to say). Guarantees what the crate's header
//! promises. Meant for tests and debug builds: dominators are computed anew on every call.

use crate::dominators::Dominators;
use crate::func::{BlockCall, Func, InstData, Signature, ValueDef, ValueList};
use crate::op::Type;
use crate::{Block, Inst, Sig, Value};
use cellwall_base::{BitSet, EntityId, IdMap};
use std::fmt;

/// What is wrong with a function.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CheckError(pub String);

impl fmt::Display for CheckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CheckError {}

type Checked = Result<(), CheckError>;

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(CheckError(what())) }
}

/// Checks a function.
///
/// # Errors
/// The first thing that is wrong: a block that is empty, without one terminator at its end, twice in
/// the order or out of reach; a landing pad that is entered otherwise than from a catch, or a catch
/// behind no call; a value defined twice or used where its definition does not dominate;
/// a type that is not the row's; arguments that do not match parameters; a 64-bit address that was
/// not checked.
pub fn check(func: &Func) -> Checked {
    check_blocks(func)?;
    let dominators = Dominators::of(func);
    let places = definitions(func, &dominators)?;
    for &block in &func.order {
        for (position, &inst) in func.blocks[block].insts.iter().enumerate() {
            let context = |e: CheckError| {
                CheckError(format!(
                    "{}: {block}: `{}`: {}",
                    func.index,
                    func.display_inst(inst),
                    e.0
                ))
            };
            check_uses(func, &dominators, &places, block, position, inst).map_err(context)?;
            check_inst(func, inst).map_err(context)?;
        }
    }
    Ok(())
}

/// Order, terminators, targets, entry.
fn check_blocks(func: &Func) -> Checked {
    let mut ordered = BitSet::new();
    for &block in &func.order {
        ensure(block.index() < func.blocks.len(), || {
            format!("{block} does not exist")
        })?;
        ensure(ordered.insert(block.index()), || {
            format!("{block} is in the order twice")
        })?;
    }
    let Some(&entry) = func.order.first() else {
        return Err(CheckError("there is no entry block".into()));
    };
    let params: Vec<Type> = func.blocks[entry].params.iter().map(|&v| func.ty(v)).collect();
    ensure(params == func.signature.params, || {
        "the entry block's parameters are not the function's".into()
    })?;
    for &block in &func.order {
        let insts = &func.blocks[block].insts;
        for (i, &inst) in insts.iter().enumerate() {
            let last = i + 1 == insts.len();
            ensure(func.insts[inst].data.is_terminator() == last, || {
                format!("{block}: `{}` is misplaced", func.display_inst(inst))
            })?;
        }
        ensure(!insts.is_empty(), || format!("{block} is empty"))?;
        let mut wrong = None;
        func.for_each_target(func.terminator(block), |to| {
            if !ordered.contains(to.block.index()) || to.block == entry {
                wrong = Some(to.block);
            }
        });
        check_ways_out(func, block)?;
        if let Some(to) = wrong {
            return Err(CheckError(format!(
                "{block} branches to {to}, which is no target"
            )));
        }
    }
    Ok(())
}

/// Landing pads are entered from catches alone, and a catch stands behind a call.
fn check_ways_out(func: &Func, block: Block) -> Checked {
    let is_pad =
        |to: &BlockCall| to.block.index() < func.blocks.len() && func.landing_pad(to.block).is_some();
    let insts = &func.blocks[block].insts;
    for &inst in insts.iter().skip(1) {
        let misplaced = matches!(func.insts[inst].data, InstData::LandingPad { .. });
        ensure(!misplaced, || {
            format!("{block}: a landing pad does not come first")
        })?;
    }
    if let InstData::Catch { to, handlers } = func.insts[func.terminator(block)].data {
        let call = func.caught_call(block).map(|call| func.insts[call].data);
        ensure(call.is_some_and(|data| data.is_call()), || {
            format!("{block}: there is no call before the catch")
        })?;
        let handlers = func
            .handlers
            .get(handlers as usize)
            .filter(|list| !list.is_empty());
        let all = handlers.is_some_and(|handlers| handlers.iter().all(is_pad));
        return ensure(all && !is_pad(&to), || {
            format!("{block}: handlers must begin with landing pads, and nothing else")
        });
    }
    let mut pad = None;
    func.for_each_target(func.terminator(block), |to| {
        if is_pad(&to) {
            pad = Some(to.block);
        }
    });
    ensure(pad.is_none(), || format!("{block} branches to a landing pad"))
}

/// Whether a value that the call before a catch defines may be used in a block: control came there by
/// the way on.
fn has_returned(func: &Func, dominators: &Dominators, at: Block, position: u32, user: Block) -> bool {
    match func.insts[func.terminator(at)].data {
        InstData::Catch { to, .. } if position as usize + 1 == func.blocks[at].insts.len() => {
            dominators.sources(to.block).len() == 1 && dominators.dominates(to.block, user)
        }
        _ => true,
    }
}

/// Where values are defined: block and position, parameters at position 0.
fn definitions(
    func: &Func,
    dominators: &Dominators,
) -> Result<IdMap<Value, Option<(Block, u32)>>, CheckError> {
    let mut places = IdMap::filled(None, func.values.len());
    let mut seen = BitSet::new();
    let mut define = |value: Value, def: ValueDef, place: (Block, u32)| {
        ensure(
            value.index() < func.values.len() && func.def(value) == def,
            || format!("{value} is not defined where {} says", place.0),
        )?;
        ensure(places[value].replace(place).is_none(), || {
            format!("{value} is defined twice")
        })
    };
    for &block in &func.order {
        ensure(dominators.is_reachable(block), || {
            format!("{block} cannot be reached")
        })?;
        for &param in &func.blocks[block].params {
            define(param, ValueDef::Param(block), (block, 0))?;
        }
        for (position, &inst) in func.blocks[block].insts.iter().enumerate() {
            ensure(seen.insert(inst.index()), || format!("{inst} is there twice"))?;
            for (i, result) in func.insts[inst].results.iter().enumerate() {
                define(
                    result,
                    ValueDef::Result(inst, i as u32),
                    (block, position as u32 + 1),
                )?;
            }
        }
    }
    Ok(places)
}

fn check_uses(
    func: &Func,
    dominators: &Dominators,
    places: &IdMap<Value, Option<(Block, u32)>>,
    block: Block,
    position: usize,
    inst: Inst,
) -> Checked {
    let mut result = Ok(());
    func.for_each_use(inst, |value| {
        let dominates = match places.get(value) {
            Some(&Some((at, place))) if at == block => place as usize <= position,
            Some(&Some((at, place))) => {
                dominators.dominates(at, block) && has_returned(func, dominators, at, place, block)
            }
            _ => false,
        };
        if !dominates && result.is_ok() {
            result = Err(CheckError(format!("{value} is used where it is not defined")));
        }
    });
    result
}

fn variable_type(func: &Func, variable: u32) -> Result<Type, CheckError> {
    let ty = func.frame.get(variable as usize).copied();
    ty.ok_or_else(|| CheckError(format!("the frame has no variable {variable}")))
}

/// Types of operands and results.
fn check_inst(func: &Func, inst: Inst) -> Checked {
    let node = &func.insts[inst];
    let results: Vec<Type> = node.results.iter().map(|v| func.ty(v)).collect();
    let ty = |v: Value| func.ty(v);
    let is =
        |v: Value, expected: Type| ensure(ty(v) == expected, || format!("{v} is {}, not {expected}", ty(v)));
    let gives = |expected: &[Type]| {
        ensure(results == expected, || {
            format!("the results are not {expected:?}")
        })
    };
    let one = || match results[..] {
        [result] => Ok(result),
        _ => Err(CheckError("there is not one result".into())),
    };
    let legal = |holds: bool| ensure(holds, || "the types are not the operator's".into());
    match node.data {
        InstData::Const { bits } => {
            let result = one()?;
            legal(result != Type::V128 && (result.bytes() >= 8 || bits <= u64::from(u32::MAX)))
        }
        InstData::VectorConst { .. } => gives(&[Type::V128]),
        InstData::Vector { op, lane, args } => {
            let form = op.form();
            for (i, arg) in args.into_iter().enumerate() {
                match form.operands().get(i) {
                    Some(&operand) => is(arg, operand)?,
                    None => ensure(arg == args[0], || "there are too many operands".into())?,
                }
            }
            let lanes = if form.has_lane() { op.lanes() } else { 1 };
            ensure(u32::from(lane) < lanes, || format!("there is no lane {lane}"))?;
            gives(&[form.result()])
        }
        InstData::Shuffle { mask, args: [x, y] } => {
            is(x, Type::V128)?;
            is(y, Type::V128)?;
            ensure(mask.iter().all(|&byte| byte < 32), || {
                "the mask names more than two vectors".into()
            })?;
            gives(&[Type::V128])
        }
        InstData::Unary { op, arg } => legal(op.accepts(ty(arg), one()?)),
        InstData::Binary { op, args: [x, y] } => {
            is(y, ty(x))?;
            legal(op.accepts(ty(x)))?;
            gives(&[ty(x)])
        }
        InstData::Compare { op, args: [x, y] } => {
            is(y, ty(x))?;
            legal(op.accepts(ty(x)))?;
            gives(&[Type::I32])
        }
        InstData::Select { cond, args: [x, y] } => {
            is(cond, Type::I32)?;
            is(y, ty(x))?;
            gives(&[ty(x)])
        }
        InstData::BoundsCheck { addr, slack, .. } => {
            legal(ty(addr).is_int() && slack < 1 << 31)?;
            gives(&[Type::I64])
        }
        InstData::Load { op, offset, addr, .. } => {
            check_address(func, inst, addr, offset)?;
            legal(op.accepts(one()?))
        }
        InstData::Store {
            op,
            offset,
            args: [addr, value],
            ..
        } => {
            check_address(func, inst, addr, offset)?;
            legal(op.accepts(ty(value)))?;
            gives(&[])
        }
        InstData::Atomic {
            op,
            width,
            offset,
            args,
            ..
        } => {
            let Some((&addr, operands)) = func.list(args).split_first() else {
                return Err(CheckError("the address is missing".into()));
            };
            check_address(func, inst, addr, offset)?;
            let of = match operands.first() {
                Some(&first) => ty(first),
                None => one()?,
            };
            legal(of.is_int() && width.bytes(of) <= of.bytes() && operands.len() == op.operands())?;
            operands.iter().try_for_each(|&operand| is(operand, of))?;
            if op.gives() { gives(&[of]) } else { gives(&[]) }
        }
        InstData::Fence => gives(&[]),
        InstData::MemorySize { .. } => gives(&[Type::I64]),
        InstData::TableSize { .. } => legal(one()?.is_int()),
        InstData::GlobalGet { .. } => one().map(drop),
        InstData::GlobalSet { .. } => gives(&[]),
        InstData::FrameGet { variable } => gives(&[variable_type(func, variable)?]),
        InstData::FrameSet { variable, value } => {
            is(value, variable_type(func, variable)?)?;
            gives(&[])
        }
        InstData::Call { sig, args, .. }
        | InstData::CallLibrary { sig, args, .. }
        | InstData::Throw { sig, args, .. } => {
            let signature = signature(func, sig)?;
            check_args(func, func.list(args), &signature.params)?;
            gives(&signature.results)
        }
        InstData::CallIndirect { sig, args, .. } | InstData::CallRef { sig, args, .. } => {
            let signature = signature(func, sig)?;
            let Some((&index, args)) = func.list(args).split_first() else {
                return Err(CheckError("what to call is missing".into()));
            };
            legal(ty(index).is_int())?;
            check_args(func, args, &signature.params)?;
            gives(&signature.results)
        }
        InstData::LandingPad { .. } => ensure(results.first() == Some(&Type::I32), || {
            "the reference to the exception is missing".into()
        }),
        InstData::TrapIf { cond, .. } => {
            is(cond, Type::I32)?;
            gives(&[])
        }
        InstData::Jump { to } => {
            check_target(func, to)?;
            gives(&[])
        }
        InstData::Branch { cond, to } => {
            is(cond, Type::I32)?;
            to.into_iter().try_for_each(|to| check_target(func, to))?;
            gives(&[])
        }
        InstData::Switch { index, targets } => {
            is(index, Type::I32)?;
            let entries = func.switches.get(targets as usize);
            let entries = entries.filter(|entries| !entries.is_empty());
            let entries = entries.ok_or_else(|| CheckError("there are no targets".into()))?;
            entries.iter().try_for_each(|&to| check_target(func, to))?;
            gives(&[])
        }
        InstData::Catch { to, handlers } => {
            let handlers = &func.handlers[handlers as usize];
            (handlers.iter().chain([&to])).try_for_each(|&to| check_target(func, to))?;
            gives(&[])
        }
        InstData::Return { args } => {
            check_args(func, func.list(args), &func.signature.results)?;
            gives(&[])
        }
        InstData::ReturnCall { sig, args, .. } => {
            let signature = signature(func, sig)?;
            check_args(func, func.list(args), &signature.params)?;
            check_tail(func, signature)?;
            gives(&[])
        }
        InstData::ReturnCallIndirect { sig, args, .. } | InstData::ReturnCallRef { sig, args, .. } => {
            let signature = signature(func, sig)?;
            let Some((&index, args)) = func.list(args).split_first() else {
                return Err(CheckError("what to call is missing".into()));
            };
            legal(ty(index).is_int())?;
            check_args(func, args, &signature.params)?;
            check_tail(func, signature)?;
            gives(&[])
        }
        InstData::Trap { .. } => gives(&[]),
    }
}

fn signature(func: &Func, sig: Sig) -> Result<&Signature, CheckError> {
    let signature = func.signatures.get(sig);
    signature.ok_or_else(|| CheckError(format!("{sig} does not exist")))
}

fn check_args(func: &Func, args: &[Value], params: &[Type]) -> Checked {
    ensure(
        args.iter().map(|&v| func.ty(v)).eq(params.iter().copied()),
        || format!("the arguments are not {params:?}"),
    )
}

fn check_tail(func: &Func, callee: &Signature) -> Checked {
    let results = &func.signature.results;
    ensure(callee.results == *results, || {
        format!("the results are {:?}, not {results:?}", callee.results)
    })
}

fn check_target(func: &Func, to: BlockCall) -> Checked {
    let params = func.blocks[to.block].params.iter().map(|&v| func.ty(v));
    let args: ValueList = to.args;
    ensure(func.list(args).iter().map(|&v| func.ty(v)).eq(params), || {
        format!("the arguments do not match the parameters of {}", to.block)
    })
}

/// A 64-bit address must be the result of a check of the same memory.
fn check_address(func: &Func, access: Inst, addr: Value, offset: u32) -> Checked {
    ensure(offset < 1 << 31, || "the offset is too large".into())?;
    let memory = match func.insts[access].data {
        InstData::Load { memory, .. } | InstData::Store { memory, .. } | InstData::Atomic { memory, .. } => {
            memory
        }
        _ => unreachable!("only accesses have addresses"),
    };
    let checked = func.def_inst(addr).map(|inst| func.insts[inst].data);
    match (func.ty(addr), checked) {
        (Type::I32, _) => Ok(()),
        (Type::I64, Some(InstData::BoundsCheck { memory: of, .. })) if of == memory => Ok(()),
        _ => Err(CheckError(format!("{addr} is not an address in {memory}"))),
    }
}
