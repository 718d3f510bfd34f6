//! What the checker accepts, each beside a neighbour that it refuses for the right reason.

use crate::{at, block, branch, func, jump, ret};
use cellwall_base::MemoryIdx;
use cellwall_ir::{BinaryOp, Func, InstData, LoadOp, Type, Value, check};

#[track_caller]
fn accepted(func: &Func) {
    check(func).unwrap_or_else(|e| panic!("{e}\n{func}"));
}

#[track_caller]
fn refused(func: &Func, reason: &str) {
    let error = check(func).expect_err("the function must be refused").0;
    assert!(error.contains(reason), "`{error}` is not `{reason}`");
}

fn param(func: &Func, index: usize) -> Value {
    func.blocks[func.entry()].params[index]
}

#[test]
fn types_of_operands() {
    let sum = |second: usize| {
        let mut f = func(&[Type::I32, Type::I32, Type::I64], &[Type::I32]);
        let entry = f.entry();
        let args = [param(&f, 0), param(&f, second)];
        let op = BinaryOp::Add;
        let value = at(&mut f, entry).value(InstData::Binary { op, args }, Type::I32);
        ret(&mut f, entry, &[value]);
        f
    };
    accepted(&sum(1));
    refused(&sum(2), "is i64, not i32");
}

#[test]
fn types_of_results() {
    let constant = |ty: Type, bits: u64| {
        let mut f = func(&[], &[Type::I32]);
        let entry = f.entry();
        let value = at(&mut f, entry).constant(ty, bits);
        ret(&mut f, entry, &[value]);
        f
    };
    accepted(&constant(Type::I32, u64::from(u32::MAX)));
    refused(&constant(Type::I32, 1 << 32), "the types are not the operator's");
    refused(&constant(Type::I64, 1), "the arguments are not");
}

#[test]
fn terminators_end_blocks_and_nothing_else_does() {
    let mut f = func(&[], &[]);
    refused(&f, "is empty");
    let entry = f.entry();
    at(&mut f, entry).constant(Type::I32, 0);
    refused(&f, "is misplaced");
    ret(&mut f, entry, &[]);
    accepted(&f);
    ret(&mut f, entry, &[]);
    refused(&f, "is misplaced");
}

#[test]
fn uses_are_dominated() {
    // The value is made in one arm; it may be used there, not where the arms meet.
    let diamond = |use_in_arm: bool| {
        let mut f = func(&[Type::I32], &[Type::I32]);
        let (entry, cond) = (f.entry(), param(&f, 0));
        let arm = block(&mut f, &[]);
        let meet = block(&mut f, &[Type::I32]);
        let value = at(&mut f, arm).constant(Type::I32, 1);
        jump(&mut f, arm, meet, &[value]);
        let to = [crate::to(&mut f, arm, &[]), crate::to(&mut f, meet, &[cond])];
        at(&mut f, entry).push(InstData::Branch { cond, to }, &[]);
        let result = if use_in_arm {
            f.blocks[meet].params[0]
        } else {
            value
        };
        ret(&mut f, meet, &[result]);
        f
    };
    accepted(&diamond(true));
    refused(&diamond(false), "used where it is not defined");
}

#[test]
fn definitions_come_first_in_their_block() {
    let mut f = func(&[], &[Type::I32]);
    let entry = f.entry();
    let mut build = at(&mut f, entry);
    let x = build.constant(Type::I32, 1);
    let y = build.binary(BinaryOp::Add, x, x);
    ret(&mut f, entry, &[y]);
    accepted(&f);
    f.blocks[entry].insts.swap(0, 1);
    refused(&f, "used where it is not defined");
}

#[test]
fn arguments_match_parameters() {
    let call = |args: usize| {
        let mut f = func(&[Type::I32, Type::I64], &[]);
        let entry = f.entry();
        let next = block(&mut f, &[Type::I32]);
        let value = param(&f, args / 2);
        jump(&mut f, entry, next, &[value][..args.min(1)]);
        ret(&mut f, next, &[]);
        f
    };
    accepted(&call(1));
    refused(&call(0), "do not match the parameters");
    refused(&call(2), "do not match the parameters");
}

#[test]
fn blocks_are_reachable_and_the_entry_is_no_target() {
    let mut f = func(&[], &[]);
    let entry = f.entry();
    let next = block(&mut f, &[]);
    jump(&mut f, entry, next, &[]);
    ret(&mut f, next, &[]);
    accepted(&f);
    let lost = block(&mut f, &[]);
    jump(&mut f, lost, next, &[]);
    refused(&f, "cannot be reached");
    f.order.pop();
    accepted(&f);
    f.blocks[next].insts.clear();
    jump(&mut f, next, entry, &[]);
    refused(&f, "is no target");
}

#[test]
fn wide_addresses_are_checked_in_their_memory() {
    let load = |memory: u32, is_checked: bool| {
        let mut f = func(&[Type::I32, Type::I64], &[Type::I32]);
        let (entry, index, wide) = (f.entry(), param(&f, 0), param(&f, 1));
        let check = InstData::BoundsCheck {
            memory: MemoryIdx::from_u32(0),
            addr: index,
            slack: 0,
        };
        let mut build = at(&mut f, entry);
        let checked = build.value(check, Type::I64);
        let data = InstData::Load {
            op: LoadOp::Full,
            memory: MemoryIdx::from_u32(memory),
            offset: 0,
            addr: if is_checked { checked } else { wide },
        };
        let value = build.value(data, Type::I32);
        ret(&mut f, entry, &[value]);
        f
    };
    accepted(&load(0, true));
    refused(&load(1, true), "is not an address in m1");
    refused(&load(0, false), "is not an address in m0");
}

#[test]
fn widths_of_loads_fit_their_types() {
    let load = |op: LoadOp, ty: Type| {
        let mut f = func(&[Type::I32], &[ty]);
        let (entry, addr) = (f.entry(), param(&f, 0));
        let memory = MemoryIdx::from_u32(0);
        let data = InstData::Load {
            op,
            memory,
            offset: 0,
            addr,
        };
        let value = at(&mut f, entry).value(data, ty);
        ret(&mut f, entry, &[value]);
        f
    };
    accepted(&load(LoadOp::S32, Type::I64));
    refused(&load(LoadOp::U8, Type::F32), "not the operator's");
}

#[test]
fn loops_dominate_by_their_heads() {
    // A value of the loop's body used after the loop is dominated; one from a side arm is not.
    let looped = |from_arm: bool| {
        let mut f = func(&[Type::I32], &[Type::I32]);
        let (entry, cond) = (f.entry(), param(&f, 0));
        let head = block(&mut f, &[]);
        let arm = block(&mut f, &[]);
        let latch = block(&mut f, &[]);
        let exit = block(&mut f, &[]);
        jump(&mut f, entry, head, &[]);
        let in_head = at(&mut f, head).constant(Type::I32, 1);
        branch(&mut f, head, cond, arm, latch);
        let in_arm = at(&mut f, arm).constant(Type::I32, 2);
        jump(&mut f, arm, latch, &[]);
        branch(&mut f, latch, cond, head, exit);
        ret(&mut f, exit, &[if from_arm { in_arm } else { in_head }]);
        f
    };
    accepted(&looped(false));
    refused(&looped(true), "used where it is not defined");
}
