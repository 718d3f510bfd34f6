//! The families of bombs. Each makes a module with a function `run: i32 -> i32` whose result
//! depends on all that it does, and which comes to an end.

use super::Family;
use super::handlers::{handlers_calls, handlers_nested, handlers_older, handlers_sequence};
use super::module::{Code, EMPTY, F32, F64, I32, I64, Module, Type};

/// Locals of one function (a limit of the decoder).
const LOCALS: u32 = 50_000;
/// Bytes of one body (a limit of the decoder), less what begins and ends it.
const BODY: u32 = 7_654_000;
/// Blocks inside each other; the decoder has no limit but the bytes of a body.
const BLOCKS: u32 = 1_000_000;

/// The function that bombs call: `i32 -> i32`.
pub(super) const CALLEE: u32 = 0;
/// The first local of a bomb; the local before is the parameter.
const FIRST: u32 = 1;

const fn family(
    name: &'static str,
    unit: &'static str,
    max: u32,
    small: u32,
    make: fn(u32) -> Vec<u8>,
) -> Family {
    Family {
        name,
        unit,
        max,
        small,
        make,
    }
}

pub(super) const FAMILIES: &[Family] = &[
    family("locals/loop", "locals", LOCALS, 300, locals_loop),
    family("locals/branches", "locals", LOCALS, 300, locals_branches),
    family("locals/ifs", "locals", LOCALS, 300, locals_ifs),
    family("locals/loops", "locals", LOCALS, 300, locals_loops),
    family("locals/nested-loops", "locals", LOCALS, 300, locals_nested_loops),
    family("locals/call", "locals", LOCALS, 300, locals_call),
    family("locals/calls", "locals", LOCALS, 300, locals_calls),
    family("locals/types", "locals", LOCALS, 300, locals_types),
    family("locals/unset", "locals", LOCALS, 300, locals_unset),
    family("locals/switch", "locals", LOCALS, 300, locals_switch),
    family("stack/call", "values", 2 * LOCALS, 300, stack_call),
    family("stack/calls", "values", 2 * LOCALS, 300, stack_calls),
    family("stack/loop", "values", 2 * LOCALS, 300, stack_loop),
    family("stack/branches", "values", 2 * LOCALS, 300, stack_branches),
    family("stack/deep", "bytes", BODY, 3_000, stack_deep),
    family("straight/arith", "bytes", BODY, 3_000, straight_arith),
    family("straight/mixed", "bytes", BODY, 3_000, straight_mixed),
    family("straight/memory", "bytes", BODY, 3_000, straight_memory),
    family("straight/calls", "bytes", BODY, 3_000, straight_calls),
    family("straight/indirect", "bytes", BODY, 600, straight_indirect),
    family("straight/constants", "bytes", BODY, 3_000, straight_constants),
    family("straight/floats", "bytes", BODY, 3_000, straight_floats),
    family("straight/globals", "bytes", BODY, 3_000, straight_globals),
    family("straight/divisions", "bytes", BODY, 3_000, straight_divisions),
    family("straight/selects", "bytes", BODY, 3_000, straight_selects),
    family("straight/tree", "bytes", BODY, 3_000, straight_tree),
    family("straight/unary", "bytes", BODY, 1_000, straight_unary),
    family("straight/conversions", "bytes", BODY, 1_000, straight_conversions),
    family("straight/grow", "bytes", BODY, 600, straight_grow),
    family("straight/dead", "bytes", BODY, 3_000, straight_dead),
    family("straight/nops", "bytes", BODY, 3_000, straight_nops),
    family("blocks/nested", "blocks", BLOCKS, 2_000, blocks_nested),
    family("blocks/left", "blocks", BLOCKS, 2_000, blocks_left),
    family("blocks/values", "blocks", BLOCKS, 2_000, blocks_values),
    family("blocks/params", "blocks", 35_000, 50, blocks_params),
    family("blocks/every-depth", "blocks", 350_000, 500, blocks_every_depth),
    family("blocks/sequence", "blocks", BLOCKS, 500, blocks_sequence),
    family("loops/nested", "loops", BLOCKS, 2_000, loops_nested),
    family("loops/values", "loops", 500_000, 500, loops_values),
    family("loops/params", "loops", 35_000, 50, loops_params),
    family("loops/sequence", "loops", 500_000, 500, loops_sequence),
    family("ifs/nested", "ifs", BLOCKS, 2_000, ifs_nested),
    family("ifs/else", "ifs", BLOCKS, 1_000, ifs_else),
    family("ifs/ladder", "ifs", 500_000, 500, ifs_ladder),
    family("ifs/values", "ifs", 500_000, 500, ifs_values),
    family("branches/value", "branches", 1_000_000, 500, branches_value),
    family("branches/values", "branches", 300_000, 500, branches_values),
    family("branches/return", "branches", 1_000_000, 500, branches_return),
    family("table/one", "targets", 1_000_000, 500, table_one),
    family("table/few", "targets", 1_000_000, 500, table_few),
    family("table/distinct", "targets", 1_000_000, 500, table_distinct),
    family("table/values", "targets", 1_000_000, 500, table_values),
    family("table/loop", "targets", 300_000, 300, table_loop),
    family("table/tables", "tables", 300_000, 300, table_tables),
    family("handlers/calls", "bytes", BODY, 600, handlers_calls),
    family("handlers/sequence", "bytes", BODY, 600, handlers_sequence),
    family("handlers/nested", "blocks", 500_000, 300, handlers_nested),
    family("handlers/older", "blocks", 450_000, 300, handlers_older),
    family("functions/small", "functions", 1_000_000, 300, functions_small),
    family("functions/medium", "functions", 50_000, 50, functions_medium),
    family("functions/params", "calls", 8_000, 10, functions_params),
];

/// A module with one function of `i32 -> i32`, called `run`, that has these locals.
pub(super) fn run(locals: &[(u32, u8)], code: &Code) -> Vec<u8> {
    let mut module = Module::default();
    let ty = callee(&mut module);
    finish(module, ty, locals, code)
}

/// Adds the function that bombs call; its type is that of `run`.
fn callee(module: &mut Module) -> Type {
    let ty = module.ty(&[I32], &[I32]);
    let mut code = Code::default();
    code.get(0).i32(7).add();
    // It may call itself, so that it stays a call.
    code.tee(0).i32(0x1234_5678).op(&[0x46]).if_(EMPTY);
    code.get(0).call(CALLEE).set(0).end().get(0);
    module.func(ty, &[], &code);
    ty
}

fn finish(mut module: Module, ty: Type, locals: &[(u32, u8)], code: &Code) -> Vec<u8> {
    let run = module.func(ty, locals, code);
    module.export("run", run);
    module.finish()
}

/// Repeats until the code has this many bytes.
pub(super) fn fill(code: &mut Code, bytes: u32, mut each: impl FnMut(&mut Code, u32)) {
    // A round adds less than this.
    const ROUND: usize = 64;
    let mut round = 0;
    while code.len() + ROUND < bytes as usize {
        each(code, round);
        round += 1;
    }
}

/// Sets every local to another loaded value.
fn load_all(code: &mut Code, locals: u32) {
    code.repeat(locals, |code, i| {
        code.get(0).load(i * 4 % 60_000).set(FIRST + i);
    });
}

/// Leaves the sum of all locals.
fn sum(code: &mut Code, locals: u32) {
    code.get(0);
    code.repeat(locals, |code, i| {
        code.get(FIRST + i).add();
    });
}

fn locals_loop(n: u32) -> Vec<u8> {
    let n = n - 2;
    let counter = FIRST + n;
    let mut code = Code::default();
    code.i32(3).set(counter).loop_(EMPTY);
    code.repeat(n, |code, i| {
        code.get(FIRST + i)
            .get(FIRST + (i + 1) % n)
            .add()
            .i32(i as i32)
            .xor()
            .set(FIRST + i);
    });
    code.get(counter).i32(-1).add().tee(counter).br_if(0).end();
    sum(&mut code, n);
    run(&[(n + 1, I32)], &code)
}

/// One block that is left after each of many assignments.
fn locals_branches(n: u32) -> Vec<u8> {
    let n = n - 1;
    let mut code = Code::default();
    code.block(EMPTY);
    code.repeat(n, |code, i| {
        code.get(0)
            .load(i % 50_000)
            .set(FIRST + i)
            .get(FIRST + i)
            .br_if(0);
    });
    code.end();
    sum(&mut code, n);
    run(&[(n, I32)], &code)
}

/// Many meetings, each of which sets two locals, all of which are read at the end.
fn locals_ifs(n: u32) -> Vec<u8> {
    let n = n - 1;
    let mut code = Code::default();
    code.repeat(n, |code, i| {
        let (a, b) = (FIRST + i, FIRST + (i + 1) % n);
        code.get(a).get(0).xor().if_(EMPTY);
        code.get(b).i32(3).add().set(a).else_();
        code.get(a).i32(5).xor().set(b).end();
    });
    sum(&mut code, n);
    run(&[(n, I32)], &code)
}

/// All locals live around many loops, one after the other; each changes one.
fn locals_loops(n: u32) -> Vec<u8> {
    let n = n - 1;
    let mut code = Code::default();
    load_all(&mut code, n);
    code.repeat(n, |code, i| {
        code.loop_(EMPTY).get(FIRST + i).i32(1).add().tee(FIRST + i);
        code.i32(3).op(&[0x71]).br_if(0).end();
    });
    sum(&mut code, n);
    run(&[(n, I32)], &code)
}

/// Loops inside each other, a hundredth as many as there are locals; each uses all locals, by the
/// innermost one.
fn locals_nested_loops(n: u32) -> Vec<u8> {
    let n = n - 1;
    let depth = n / 100 + 1;
    let mut code = Code::default();
    code.repeat(depth, |code, i| {
        code.loop_(EMPTY).get(FIRST + i).i32(1).add().set(FIRST + i);
    });
    code.repeat(n, |code, i| {
        code.get(FIRST + i).get(FIRST + (i + 1) % n).add().set(FIRST + i);
    });
    code.repeat(depth, |code, _| {
        code.i32(0).br_if(0).end();
    });
    sum(&mut code, n);
    run(&[(n, I32)], &code)
}

/// All locals live across one call.
fn locals_call(n: u32) -> Vec<u8> {
    let n = n - 1;
    let mut code = Code::default();
    load_all(&mut code, n);
    code.get(0).call(CALLEE).set(0);
    sum(&mut code, n);
    run(&[(n, I32)], &code)
}

/// All locals live across as many calls.
fn locals_calls(n: u32) -> Vec<u8> {
    let n = n - 1;
    let mut code = Code::default();
    load_all(&mut code, n);
    code.repeat(n, |code, i| {
        code.get(FIRST + i)
            .call(CALLEE)
            .get(FIRST + (i * 7 + 1) % n)
            .xor()
            .set(FIRST + i);
    });
    sum(&mut code, n);
    run(&[(n, I32)], &code)
}

/// Locals of all types, live across a loop with a call.
fn locals_types(n: u32) -> Vec<u8> {
    let n = (n - 1) / 4;
    let [i, l, f, d] = [0, 1, 2, 3].map(|kind| FIRST + kind * n);
    let mut code = Code::default();
    code.repeat(n, |code, k| {
        code.get(0).load(k % 10_000 * 4).tee(i + k);
        code.op(&[0xac])
            .tee(l + k)
            .op(&[0xb4])
            .tee(f + k)
            .op(&[0xbb])
            .set(d + k);
    });
    code.get(0).call(CALLEE).set(0);
    code.get(0).if_(EMPTY);
    code.repeat(n, |code, k| {
        // Each takes the next one's value of the other type.
        let next = (k + 1) % n;
        code.get(d + next).op(&[0xaa, 0xb7]).set(d + k);
        code.get(f + next).get(f + k).op(&[0x92]).set(f + k);
        code.get(l + next).get(l + k).op(&[0x85]).set(l + k);
    });
    code.end().get(0);
    code.repeat(n, |code, k| {
        code.get(i + k).xor().get(l + k).op(&[0xa7]).xor();
        code.get(f + k)
            .op(&[0xbc])
            .xor()
            .get(d + k)
            .op(&[0xbd, 0xa7])
            .xor();
    });
    run(&[(n, I32), (n, I64), (n, F32), (n, F64)], &code)
}

/// Locals that are read before anything was written to them, in blocks that meet.
fn locals_unset(n: u32) -> Vec<u8> {
    let n = n - 1;
    let mut code = Code::default();
    code.loop_(EMPTY);
    code.repeat(n, |code, i| {
        code.get(FIRST + i)
            .if_(EMPTY)
            .get(0)
            .set(FIRST + (i + 1) % n)
            .end();
    });
    code.get(FIRST + n - 1).br_if(0).end();
    sum(&mut code, n);
    run(&[(n, I32)], &code)
}

/// A loop around a switch with a case for each local, as interpreters have.
fn locals_switch(n: u32) -> Vec<u8> {
    let n = n - 2;
    let counter = FIRST + n;
    let mut code = Code::default();
    code.loop_(EMPTY);
    code.repeat(n, |code, _| {
        code.block(EMPTY);
    });
    code.get(counter).br_table(0..n);
    code.repeat(n, |code, i| {
        code.end();
        code.get(FIRST + i)
            .get(FIRST + (i * 13 + 7) % n)
            .add()
            .set(FIRST + i);
        code.get(counter).i32(1).add().set(counter);
        code.get(counter).i32(100).op(&[0x49]).br_if(n - 1 - i);
    });
    code.end();
    sum(&mut code, n);
    run(&[(n + 1, I32)], &code)
}

/// Pushes other loaded values.
fn push(code: &mut Code, values: u32, mut between: impl FnMut(&mut Code, u32)) {
    code.repeat(values, |code, i| {
        code.get(0).load(i * 4 % 60_000);
        between(code, i);
    });
}

fn add_up(code: &mut Code, values: u32) {
    code.repeat(values - 1, |code, i| {
        code.op(if i % 2 == 0 { &[0x6a] } else { &[0x73] });
    });
}

fn stack_call(n: u32) -> Vec<u8> {
    let mut code = Code::default();
    push(&mut code, n, |_, _| {});
    code.get(0).call(CALLEE).op(&[0x1a]);
    add_up(&mut code, n);
    run(&[], &code)
}

/// A call after each value.
fn stack_calls(n: u32) -> Vec<u8> {
    let mut code = Code::default();
    push(&mut code, n, |code, _| {
        code.call(CALLEE);
    });
    add_up(&mut code, n);
    run(&[], &code)
}

/// Values live around a loop, and around as many small ones.
fn stack_loop(n: u32) -> Vec<u8> {
    let mut code = Code::default();
    push(&mut code, n / 2, |_, _| {});
    code.repeat(n / 2, |code, _| {
        code.loop_(EMPTY)
            .get(0)
            .call(CALLEE)
            .set(0)
            .get(0)
            .i32(3)
            .op(&[0x71])
            .br_if(0)
            .end();
        code.get(0);
    });
    add_up(&mut code, n / 2 * 2);
    run(&[], &code)
}

/// A branch after each value; all go to one block, and leave the values behind.
fn stack_branches(n: u32) -> Vec<u8> {
    let mut code = Code::default();
    code.block(I32);
    push(&mut code, n, |code, _| {
        code.get(0).i32(1).op(&[0x71]).br_if(0);
    });
    add_up(&mut code, n);
    code.end();
    run(&[], &code)
}

/// As many values on the stack as a body has room for.
fn stack_deep(n: u32) -> Vec<u8> {
    let mut code = Code::default();
    let values = (n / 8).max(2);
    code.repeat(values, |code, i| {
        code.get(0).load(i % 100);
    });
    code.get(0).call(CALLEE).op(&[0x1a]);
    add_up(&mut code, values);
    run(&[], &code)
}

fn straight_arith(n: u32) -> Vec<u8> {
    let mut code = Code::default();
    code.get(0);
    fill(&mut code, n, |code, i| {
        const OPS: [u8; 8] = [0x6a, 0x6b, 0x6c, 0x71, 0x72, 0x73, 0x74, 0x77];
        code.get(0).op(&[OPS[i as usize % 8]]).i32(i as i32 % 1000).add();
    });
    run(&[], &code)
}

/// Assignments between sixty locals of two types.
fn straight_mixed(n: u32) -> Vec<u8> {
    let mut code = Code::default();
    let long = FIRST + 30;
    load_all(&mut code, 30);
    fill(&mut code, n, |code, i| {
        let (a, b, c) = (i * 7 % 30, (i * 11 + 3) % 30, (i * 5 + 1) % 30);
        match i % 4 {
            0 => code.get(FIRST + a).get(FIRST + b).op(&[0x6c]).set(FIRST + c),
            1 => code.get(long + a).get(long + b).op(&[0x7c]).set(long + c),
            2 => code
                .get(FIRST + a)
                .op(&[0xac])
                .get(long + b)
                .op(&[0x85])
                .set(long + c),
            _ => code
                .get(long + a)
                .op(&[0xa7])
                .get(FIRST + b)
                .op(&[0x78])
                .set(FIRST + c),
        };
    });
    sum(&mut code, 30);
    run(&[(30, I32), (30, I64)], &code)
}

fn straight_memory(n: u32) -> Vec<u8> {
    let mut code = Code::default();
    fill(&mut code, n, |code, i| {
        code.get(0)
            .get(0)
            .load(i % 5000 * 8)
            .i32(i as i32)
            .add()
            .store((i * 31 + 7) % 60_000);
        code.get(0)
            .i32(16)
            .add()
            .get(0)
            .op(&[0x28, 2, 4, 0xad, 0x37, 3, 16]);
    });
    code.get(0).load(0);
    run(&[], &code)
}

fn straight_calls(n: u32) -> Vec<u8> {
    let mut code = Code::default();
    code.get(0);
    fill(&mut code, n, |code, _| {
        code.call(CALLEE);
    });
    run(&[], &code)
}

fn straight_indirect(n: u32) -> Vec<u8> {
    let mut module = Module::default();
    let ty = callee(&mut module);
    let mut code = Code::default();
    code.get(0);
    fill(&mut code, n, |code, i| {
        code.i32(i as i32 % 8).call_indirect(ty);
    });
    finish(module, ty, &[], &code)
}

fn straight_constants(n: u32) -> Vec<u8> {
    let mut code = Code::default();
    code.get(0).op(&[0xac]).set(1);
    fill(&mut code, n, |code, i| {
        let bits = i64::from(i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as i64);
        code.get(1).i64(bits).op(&[0x85]).set(1);
    });
    code.get(1).op(&[0xa7]);
    run(&[(1, I64)], &code)
}

fn straight_floats(n: u32) -> Vec<u8> {
    let mut code = Code::default();
    code.get(0).op(&[0xb7]).set(1);
    fill(&mut code, n, |code, i| {
        code.get(1)
            .f64(f64::from(i) + 0.25)
            .op(&[if i % 2 == 0 { 0xa0 } else { 0xa1 }])
            .set(1);
    });
    code.get(1).op(&[0xbd, 0xa7]);
    run(&[(1, F64)], &code)
}

fn straight_globals(n: u32) -> Vec<u8> {
    let mut code = Code::default();
    fill(&mut code, n, |code, i| {
        code.op(&[0x23, 0]).i32(i as i32).add().op(&[0x24, 0]);
    });
    code.op(&[0x23, 0]);
    run(&[], &code)
}

/// Divisions whose divisors are not known.
fn straight_divisions(n: u32) -> Vec<u8> {
    let mut code = Code::default();
    code.get(0);
    fill(&mut code, n, |code, i| {
        code.get(0)
            .i32(i as i32 % 50)
            .op(&[0x72])
            .op(&[0x6d + i as u8 % 4])
            .i32(77)
            .add();
    });
    run(&[], &code)
}

fn straight_selects(n: u32) -> Vec<u8> {
    let mut code = Code::default();
    code.get(0);
    fill(&mut code, n, |code, i| {
        code.get(0)
            .i32(i as i32)
            .add()
            .get(0)
            .i32(i as i32 % 32)
            .op(&[0x76, 0x1b]);
    });
    run(&[], &code)
}

/// One expression, as deep as the body has room for.
fn straight_tree(n: u32) -> Vec<u8> {
    let mut code = Code::default();
    let values = (n / 6).max(2);
    code.repeat(values, |code, i| {
        code.get(0).i32(i as i32 % 64).add();
    });
    add_up(&mut code, values);
    run(&[], &code)
}

/// An operator in each byte.
fn straight_unary(n: u32) -> Vec<u8> {
    let mut code = Code::default();
    code.get(0);
    fill(&mut code, n, |code, i| {
        code.op(&[[0x67, 0x68, 0x69, 0xc0, 0xc1][i as usize % 5]]);
    });
    run(&[], &code)
}

/// Conversions that need many instructions each.
fn straight_conversions(n: u32) -> Vec<u8> {
    let mut code = Code::default();
    code.get(0);
    fill(&mut code, n, |code, _| {
        // f32.convert_i32_u, i64.trunc_f32_u, f64.convert_i64_u, i32.trunc_f64_u
        code.op(&[0xb3, 0xaf, 0xba, 0xab]);
    });
    run(&[], &code)
}

/// Calls of the runtime.
fn straight_grow(n: u32) -> Vec<u8> {
    let mut code = Code::default();
    code.get(0);
    fill(&mut code, n, |code, _| {
        code.op(&[0x40, 0]);
    });
    run(&[], &code)
}

/// Work that nothing uses.
fn straight_dead(n: u32) -> Vec<u8> {
    let mut code = Code::default();
    fill(&mut code, n, |code, i| {
        code.get(0).i32(i as i32).add().op(&[0x1a]);
    });
    code.get(0).op(&[0x0f]);
    // Beyond the return, too.
    code.get(0);
    run(&[], &code)
}

fn straight_nops(n: u32) -> Vec<u8> {
    let mut code = Code::default();
    fill(&mut code, n, |code, _| {
        code.op(&[0x01]);
    });
    code.get(0);
    run(&[], &code)
}

fn blocks_nested(n: u32) -> Vec<u8> {
    let mut code = Code::default();
    code.repeat(n, |code, _| {
        code.block(EMPTY);
    });
    code.get(0).i32(1).add().set(0);
    code.repeat(n, |code, _| {
        code.end();
    });
    code.get(0);
    run(&[], &code)
}

/// Each block is left by a branch that may be taken.
fn blocks_left(n: u32) -> Vec<u8> {
    let mut code = Code::default();
    code.repeat(n, |code, _| {
        code.block(EMPTY);
    });
    code.get(0).i32(1).add().set(0);
    code.repeat(n, |code, _| {
        code.get(0).br_if(0).end();
    });
    code.get(0);
    run(&[], &code)
}

/// Each block gives a value, also where it is left early.
fn blocks_values(n: u32) -> Vec<u8> {
    let mut code = Code::default();
    code.repeat(n, |code, _| {
        code.block(I32);
    });
    code.get(0);
    code.repeat(n, |code, _| {
        code.get(0).br_if(0).end();
    });
    run(&[], &code)
}

/// Blocks that take and give a hundred values.
fn blocks_params(n: u32) -> Vec<u8> {
    with_params(n, 0x02, |code| {
        code.get(0);
    })
}

/// Loops that take and give a hundred values.
fn loops_params(n: u32) -> Vec<u8> {
    with_params(n, 0x03, |code| {
        // Zero, which no compiler can know.
        code.i32(0).load(0);
    })
}

fn with_params(n: u32, opcode: u8, condition: fn(&mut Code)) -> Vec<u8> {
    const VALUES: u32 = 100;
    let mut module = Module::default();
    let ty = callee(&mut module);
    let many = module.ty(&[I32; VALUES as usize], &[I32; VALUES as usize]);
    let mut code = Code::default();
    push(&mut code, VALUES, |_, _| {});
    code.repeat(n, |code, i| {
        code.typed(opcode, many).i32(i as i32).add();
    });
    code.repeat(n, |code, _| {
        condition(code);
        code.br_if(0).end();
    });
    add_up(&mut code, VALUES);
    finish(module, ty, &[], &code)
}

/// A branch to each depth, from the innermost block.
fn blocks_every_depth(n: u32) -> Vec<u8> {
    let mut code = Code::default();
    code.repeat(n, |code, _| {
        code.block(EMPTY);
    });
    code.repeat(n, |code, i| {
        code.get(0).i32(i as i32).op(&[0x46]).br_if(i);
    });
    code.repeat(n, |code, _| {
        code.end().get(0).i32(1).add().set(0);
    });
    code.get(0);
    run(&[], &code)
}

fn blocks_sequence(n: u32) -> Vec<u8> {
    let mut code = Code::default();
    code.repeat(n, |code, _| {
        code.block(EMPTY).get(0).br_if(0).end();
    });
    code.get(0);
    run(&[], &code)
}

fn loops_nested(n: u32) -> Vec<u8> {
    let mut code = Code::default();
    code.repeat(n, |code, _| {
        code.loop_(EMPTY);
    });
    code.get(0).op(&[0x45]).set(FIRST);
    code.repeat(n, |code, _| {
        // Left at once, since the parameter is not read from memory that is zero.
        code.get(FIRST).br_if(0).end();
    });
    code.get(0);
    // With an argument of zero, the innermost loop would not end.
    let mut guarded = Code::default();
    guarded.get(0).op(&[0x45]).if_(EMPTY).i32(1).set(0).end();
    guarded.op(&code.bytes);
    run(&[(1, I32)], &guarded)
}

/// Loops inside each other that take and give a value.
fn loops_values(n: u32) -> Vec<u8> {
    let mut module = Module::default();
    let ty = callee(&mut module);
    let mut code = Code::default();
    code.get(0);
    code.repeat(n, |code, _| {
        code.typed(0x03, ty);
    });
    code.i32(1).add();
    code.repeat(n, |code, _| {
        code.get(FIRST).br_if(0).end();
    });
    finish(module, ty, &[(1, I32)], &code)
}

fn loops_sequence(n: u32) -> Vec<u8> {
    let mut code = Code::default();
    code.repeat(n, |code, _| {
        code.loop_(EMPTY)
            .get(0)
            .i32(1)
            .add()
            .tee(0)
            .i32(7)
            .op(&[0x71])
            .br_if(0)
            .end();
    });
    code.get(0);
    run(&[], &code)
}

fn ifs_nested(n: u32) -> Vec<u8> {
    let mut code = Code::default();
    code.repeat(n, |code, _| {
        code.get(0).if_(EMPTY);
    });
    code.get(0).i32(1).add().set(0);
    code.repeat(n, |code, _| {
        code.end();
    });
    code.get(0);
    run(&[], &code)
}

/// Each in the other arm of the one before.
fn ifs_else(n: u32) -> Vec<u8> {
    let mut code = Code::default();
    code.repeat(n, |code, _| {
        code.get(0).if_(EMPTY).else_();
    });
    code.get(0).i32(1).add().set(0);
    code.repeat(n, |code, _| {
        code.end();
    });
    code.get(0);
    run(&[], &code)
}

fn ifs_ladder(n: u32) -> Vec<u8> {
    let mut code = Code::default();
    code.repeat(n, |code, i| {
        let to = FIRST + i % 8;
        code.get(0)
            .if_(EMPTY)
            .i32(i as i32 % 60)
            .set(to)
            .else_()
            .get(0)
            .set(to)
            .end();
    });
    sum(&mut code, 8);
    run(&[(8, I32)], &code)
}

fn ifs_values(n: u32) -> Vec<u8> {
    let mut code = Code::default();
    code.get(0);
    code.repeat(n, |code, i| {
        code.get(0).if_(I32).i32(i as i32 % 60).else_().get(0).end().add();
    });
    run(&[], &code)
}

/// Branches to one label that bring a value.
fn branches_value(n: u32) -> Vec<u8> {
    let mut code = Code::default();
    code.block(I32).get(0);
    code.repeat(n, |code, i| {
        code.i32(i as i32 % 60).add().get(0).br_if(0);
    });
    code.end();
    run(&[], &code)
}

/// Branches to one label that bring eight values.
fn branches_values(n: u32) -> Vec<u8> {
    let mut module = Module::default();
    let ty = callee(&mut module);
    let eight = module.ty(&[], &[I32; 8]);
    let mut code = Code::default();
    code.typed(0x02, eight);
    push(&mut code, 8, |_, _| {});
    code.repeat(n, |code, i| {
        code.i32(i as i32 % 60).add().get(0).br_if(0);
        code.set(FIRST + i % 9).get(FIRST + (i + 1) % 9);
    });
    code.end();
    add_up(&mut code, 8);
    finish(module, ty, &[(9, I32)], &code)
}

/// Branches out of the function.
fn branches_return(n: u32) -> Vec<u8> {
    let mut code = Code::default();
    code.get(0);
    code.repeat(n, |code, i| {
        code.i32(i as i32 % 60).add().get(0).br_if(0);
    });
    run(&[], &code)
}

fn table_one(n: u32) -> Vec<u8> {
    let mut code = Code::default();
    code.block(EMPTY).get(0);
    code.br_table(std::iter::repeat_n(0, n as usize));
    code.end().get(0);
    run(&[], &code)
}

fn table_few(n: u32) -> Vec<u8> {
    let mut code = Code::default();
    let few = 100;
    code.repeat(few, |code, _| {
        code.block(EMPTY);
    });
    code.get(0)
        .br_table((0..n).map(|i| i * 7 % few).collect::<Vec<_>>().into_iter());
    code.repeat(few, |code, _| {
        code.end().get(0).i32(1).add().set(0);
    });
    code.get(0);
    run(&[], &code)
}

fn table_distinct(n: u32) -> Vec<u8> {
    let mut code = Code::default();
    // Two bytes for a block, one for its end, at most three for an entry.
    code.repeat(n, |code, _| {
        code.block(EMPTY);
    });
    code.get(0).br_table(0..n);
    code.repeat(n, |code, _| {
        code.end();
    });
    code.get(0);
    run(&[], &code)
}

/// Entries that bring a value to blocks of their own.
fn table_values(n: u32) -> Vec<u8> {
    let n = n / 2;
    let mut code = Code::default();
    code.repeat(n, |code, _| {
        code.block(I32);
    });
    code.get(0).get(0).br_table(0..n);
    code.repeat(n, |code, _| {
        code.end().get(0).add();
    });
    run(&[], &code)
}

/// A switch in a loop, with as many cases.
fn table_loop(n: u32) -> Vec<u8> {
    let mut code = Code::default();
    let count = FIRST + 5;
    code.loop_(EMPTY);
    code.repeat(n, |code, _| {
        code.block(EMPTY);
    });
    code.get(0).br_table(0..n);
    code.repeat(n, |code, i| {
        let (a, b) = (FIRST + i % 5, FIRST + (i + 2) % 5);
        code.end().get(a).get(b).add().i32(i as i32).add().set(a);
        if i % 4 == 0 {
            code.get(count)
                .i32(1)
                .add()
                .tee(count)
                .i32(40)
                .op(&[0x49])
                .br_if(n - 1 - i);
        }
    });
    code.end();
    sum(&mut code, 5);
    run(&[(6, I32)], &code)
}

/// Many tables of eight entries.
fn table_tables(n: u32) -> Vec<u8> {
    let mut code = Code::default();
    code.repeat(n, |code, i| {
        code.block(EMPTY).block(EMPTY);
        code.get(0).br_table([0, 1, 0, 1, 1, 0, 0, 1].into_iter());
        code.end().get(0).i32(i as i32 % 60).add().set(0).end();
    });
    code.get(0);
    run(&[], &code)
}

fn functions_small(n: u32) -> Vec<u8> {
    let mut module = Module::default();
    let ty = callee(&mut module);
    let mut code = Code::default();
    code.get(0);
    for i in 1..n - 1 {
        module.func(ty, &[], &code);
        if i == 20 {
            module.export("one", i);
        }
    }
    code.call(CALLEE).call((n - 2).max(1));
    finish(module, ty, &[], &code)
}

/// Functions with a loop, a call and some locals.
fn functions_medium(n: u32) -> Vec<u8> {
    let mut module = Module::default();
    let ty = callee(&mut module);
    let mut last = CALLEE;
    for i in 1..n - 1 {
        let mut code = Code::default();
        code.i32(3).set(FIRST).loop_(EMPTY);
        code.get(0)
            .load(i % 1000)
            .get(FIRST + 1)
            .add()
            .tee(FIRST + 1)
            .call(CALLEE)
            .set(0);
        code.get(FIRST).i32(1).op(&[0x6b]).tee(FIRST).br_if(0).end();
        code.get(0)
            .if_(EMPTY)
            .get(0)
            .set(FIRST + 1)
            .end()
            .get(FIRST + 1)
            .get(0)
            .xor();
        last = module.func(ty, &[(3, I32)], &code);
    }
    let mut code = Code::default();
    code.get(0).call(last);
    finish(module, ty, &[], &code)
}

/// Calls with a thousand arguments and results.
fn functions_params(n: u32) -> Vec<u8> {
    const VALUES: u32 = 1000;
    let mut module = Module::default();
    let ty = callee(&mut module);
    let many = module.ty(&[I32; VALUES as usize], &[I32; VALUES as usize]);
    let mut body = Code::default();
    body.repeat(VALUES, |code, i| {
        code.get(VALUES - 1 - i);
    });
    let reverse = module.func(many, &[], &body);
    let mut code = Code::default();
    push(&mut code, VALUES, |_, _| {});
    code.repeat(n, |code, _| {
        code.call(reverse).i32(3).add();
    });
    add_up(&mut code, VALUES);
    finish(module, ty, &[], &code)
}
