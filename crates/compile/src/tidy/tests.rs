//! Functions of hardware registers in, what is left of them out.

use super::{rotate, tidy};
use cellwall_base::EntityId;
use cellwall_isa::x64::{Block, BlockData, Call, Cond, Edge, Fixed, Inst, MFunc, Pins, Row, Target, Width};
use cellwall_isa::{Phys, Reg, Virt};

const RAX: Reg = Reg::gpr(0);
const RCX: Reg = Reg::gpr(1);
const RBX: Reg = Reg::gpr(3);
const RDI: Reg = Reg::gpr(7);

/// A function of these blocks. `Params` defines rdi, a call takes it and gives rax, `Ret` takes rax.
fn func(blocks: &[(Vec<Inst>, Vec<u32>)]) -> MFunc<Phys> {
    let mut func = MFunc::<Virt>::new(Pins {
        stack: Reg::gpr(4),
        context: Reg::gpr(15),
        entry: Reg::gpr(11),
        scratch: Reg::gpr(10),
    });
    let fixed = |reg, def| Fixed { reg, at: reg, def };
    func.fixed = vec![
        fixed(RDI, true),
        fixed(RDI, false),
        fixed(RAX, true),
        fixed(RAX, false),
    ];
    for (target, fixed) in [
        (Target::None, 0..1),
        (Target::Direct(0), 1..3),
        (Target::None, 3..4),
    ] {
        func.calls.push(Call {
            target,
            fixed,
            catches: Vec::new(),
        });
    }
    let (mut insts, mut ranges) = (Vec::new(), Vec::new());
    for (body, successors) in blocks {
        let (start, first) = (insts.len() as u32, func.edges.len() as u32);
        insts.extend_from_slice(body);
        func.edges.extend(successors.iter().map(|&to| Edge {
            to: Block::from_u32(to),
            args: 0..0,
        }));
        func.blocks.push(BlockData {
            edges: first..func.edges.len() as u32,
            ..BlockData::default()
        });
        ranges.push(start..insts.len() as u32);
    }
    func.allocated(insts, &ranges, 8).0
}

fn params() -> Inst {
    Inst::new(Row::Params, Width::W64).imm(0)
}

fn call() -> Inst {
    Inst::new(Row::Call, Width::W64).imm(1)
}

fn ret() -> Inst {
    Inst::new(Row::Ret, Width::W64).imm(2)
}

fn jump() -> Inst {
    Inst::new(Row::Jump, Width::W64)
}

fn branch() -> Inst {
    Inst::new(Row::Branch, Width::W64).cond(Cond::E)
}

fn mov(to: Reg, from: Reg) -> Inst {
    Inst::new(Row::Mov, Width::W64).dst(to).rm(from)
}

fn spill(slot: u32, from: Reg) -> Inst {
    Inst::new(Row::MovStore, Width::W64).src(from).slot(slot)
}

fn reload(to: Reg, slot: u32) -> Inst {
    Inst::new(Row::Mov, Width::W64).dst(to).slot(slot)
}

fn add(to: Reg, other: Reg) -> Inst {
    Inst::new(Row::Add, Width::W32).dst(to).src(to).rm(other)
}

fn test(reg: Reg) -> Inst {
    Inst::new(Row::Test, Width::W32).src(reg).rm(reg)
}

/// What is left, one line per block.
fn check(blocks: &[(Vec<Inst>, Vec<u32>)], expected: &[&str]) {
    let mut func = func(blocks);
    tidy(&mut func);
    let line = |block| {
        let texts: Vec<String> = func.insts_of(block).iter().map(Inst::to_string).collect();
        texts.join("; ")
    };
    let lines: Vec<String> = func.blocks.ids().map(line).collect();
    assert_eq!(lines, expected);
}

#[test]
fn a_reload_of_what_a_register_holds_goes_with_its_store() {
    let body = vec![params(), spill(0, RDI), reload(RAX, 0), ret()];
    check(&[(body, vec![])], &["params; mov rax,rdi; ret"]);
    // Not if the register was written in between.
    let body = vec![
        params(),
        spill(0, RDI),
        mov(RAX, RDI),
        add(RDI, RAX),
        reload(RAX, 0),
        add(RAX, RDI),
        ret(),
    ];
    check(
        &[(body, vec![])],
        &["params; mov rax,rdi; add edi,edi; add eax,edi; ret"],
    );
}

#[test]
fn a_call_ends_what_registers_hold_but_the_callee_saved_ones() {
    let kept = vec![params(), mov(RBX, RDI), call(), mov(RAX, RBX), ret()];
    check(
        &[(kept, vec![])],
        &["params; mov rbx,rdi; call; mov rax,rbx; ret"],
    );
    let lost = vec![
        params(),
        mov(RCX, RDI),
        spill(0, RCX),
        call(),
        reload(RAX, 0),
        ret(),
    ];
    check(
        &[(lost, vec![])],
        &["params; mov [slot0],rdi; call; mov rax,[slot0]; ret"],
    );
}

#[test]
fn a_store_that_nobody_reads_goes_unless_it_is_read_in_a_loop() {
    let dead = vec![
        params(),
        spill(0, RDI),
        spill(0, RAX),
        call(),
        reload(RCX, 0),
        add(RAX, RCX),
        ret(),
    ];
    check(
        &[(dead, vec![])],
        &["params; mov [slot0],rax; call; add eax,[slot0]; ret"],
    );
    let blocks = [
        (vec![params(), spill(0, RDI), jump()], vec![1]),
        (vec![reload(RDI, 0), call(), test(RAX), branch()], vec![2, 3]),
        (vec![jump()], vec![1]),
        (vec![ret()], vec![]),
    ];
    check(
        &blocks,
        &[
            "params; mov [slot0],rdi; jmp",
            "mov rdi,[slot0]; call; test eax,eax; je",
            "jmp",
            "ret",
        ],
    );
}

#[test]
fn places_are_equal_after_a_join_only_if_they_are_on_every_path() {
    let blocks = |other: Inst| {
        [
            (vec![params(), test(RDI), branch()], vec![1, 2]),
            (vec![spill(0, RDI), jump()], vec![3]),
            (vec![other, jump()], vec![3]),
            (vec![reload(RAX, 0), ret()], vec![]),
        ]
    };
    let both = ["params; test edi,edi; je", "jmp", "jmp", "mov rax,rdi; ret"];
    check(&blocks(spill(0, RDI)), &both);
    let one = [
        "params; test edi,edi; je",
        "mov [slot0],rdi; jmp",
        "mov [slot0],rcx; jmp",
        "mov rax,[slot0]; ret",
    ];
    check(&blocks(spill(0, RCX)), &one);
}

#[test]
fn a_copy_for_a_call_moves_to_the_path_that_calls() {
    let blocks = [
        (vec![params(), mov(RBX, RDI), test(RBX), branch()], vec![1, 2]),
        (vec![mov(RAX, RDI), ret()], vec![]),
        (vec![call(), add(RAX, RBX), ret()], vec![]),
    ];
    check(
        &blocks,
        &[
            "params; test edi,edi; je",
            "mov rax,rdi; ret",
            "mov rbx,rdi; call; add eax,ebx; ret",
        ],
    );
    // Not where its source is written before the branch.
    let mut blocks = blocks;
    blocks[0].0.insert(2, add(RDI, RCX));
    check(
        &blocks,
        &[
            "params; mov rbx,rdi; add edi,ecx; test ebx,ebx; je",
            "mov rax,rdi; ret",
            "call; add eax,ebx; ret",
        ],
    );
}

/// Entry, head, body, exit, where the head goes on or leaves after so many steps.
fn looping(steps: usize, head_end: u32) -> MFunc<Phys> {
    let step = Inst::new(Row::AddImm, Width::W32).dst(RDI).src(RDI).imm(1);
    let mut head = vec![step; steps];
    head.push(Inst::new(Row::Branch, Width::W64).cond(Cond::E));
    let jump = Inst::new(Row::Jump, Width::W64);
    func(&[
        (vec![params(), jump], vec![1]),
        (head, vec![head_end, 2]),
        (vec![step, jump], vec![1]),
        (vec![ret()], vec![]),
    ])
}

fn rotated(mut func: MFunc<Phys>) -> (Vec<usize>, Vec<usize>) {
    rotate(&mut func);
    let blocks = || func.blocks.ids();
    let lens = blocks().map(|block| func.insts_of(block).len()).collect();
    let edges = func
        .edges_of(Block::from_u32(2))
        .iter()
        .map(|edge| edge.to.index());
    (lens, edges.collect())
}

#[test]
fn a_loop_tests_at_its_end() {
    // The jump of the body makes place for the head.
    assert_eq!(rotated(looping(2, 3)), (vec![2, 3, 4, 1], vec![3, 2]));
    // One that is too long stays.
    assert_eq!(rotated(looping(8, 3)), (vec![2, 9, 2, 1], vec![1]));
    // So does one that leads nowhere else.
    assert_eq!(rotated(looping(2, 2)), (vec![2, 3, 2, 1], vec![1]));
}

#[test]
fn a_head_that_calls_stays_where_it_is() {
    let mut blocks = looping(2, 3);
    let calls = blocks.blocks[Block::from_u32(1)].insts.start as usize;
    blocks.insts[calls] = call();
    assert_eq!(rotated(blocks), (vec![2, 3, 2, 1], vec![1]));
}

#[test]
fn a_move_for_the_next_iteration_goes_before_the_branch_unless_the_way_out_reads_what_it_overwrites() {
    let counter = |left: Reg| {
        [
            (vec![params(), mov(RCX, RDI), jump()], vec![1]),
            (vec![add(RAX, RCX), test(RDI), branch()], vec![3, 2]),
            (vec![mov(RCX, RAX), jump()], vec![1]),
            (vec![mov(RAX, left), ret()], vec![]),
        ]
    };
    // The test neither reads nor changes what is moved, so that branch and test stay together.
    let risen = [
        "params; mov rcx,rdi; jmp",
        "add eax,ecx; mov rcx,rax; test edi,edi; je",
        "jmp",
        "mov rax,rdi; ret",
    ];
    check(&counter(RDI), &risen);
    let stays = [
        "params; mov rcx,rdi; jmp",
        "add eax,ecx; test edi,edi; je",
        "mov rcx,rax; jmp",
        "mov rax,rcx; ret",
    ];
    check(&counter(RCX), &stays);
}

#[test]
fn a_test_of_what_was_just_computed_goes_unless_it_asks_for_more_than_the_flags_say() {
    let blocks = |tested: Reg, cond: Cond, between: Inst| {
        let branch = Inst::new(Row::Branch, Width::W64).cond(cond);
        [
            (
                vec![params(), add(RDI, RDI), between, test(tested), branch],
                vec![1, 2],
            ),
            (vec![ret()], vec![]),
            (vec![mov(RAX, RDI), ret()], vec![]),
        ]
    };
    let first = |tested, cond, between| {
        let mut func = func(&blocks(tested, cond, between));
        tidy(&mut func);
        let insts = func.insts_of(Block::new(0)).iter();
        insts.map(Inst::to_string).collect::<Vec<_>>().join("; ")
    };
    // The way out by the branch returns it, so that it is not dropped.
    let moved = mov(RAX, RCX);
    assert_eq!(
        first(RDI, Cond::Ne, moved),
        "params; add edi,edi; mov rax,rcx; jne"
    );
    // Of another register, for an overflow that a test rules out, and of what was moved there since.
    for (tested, cond, between) in [
        (RCX, Cond::Ne, moved),
        (RDI, Cond::L, moved),
        (RDI, Cond::Ne, mov(RDI, RCX)),
    ] {
        assert!(
            first(tested, cond, between).contains("test"),
            "{tested:?} {cond:?}"
        );
    }
}

/// Landing pads come last, so what only they jump to has no block before it that leads there.
#[test]
fn what_only_later_blocks_jump_to_stays() {
    let mut func = looping(2, 3);
    // The entry goes past the head.
    let first = func.blocks[Block::from_u32(0)].edges.start as usize;
    func.edges[first].to = Block::from_u32(2);
    assert_eq!(rotated(func), (vec![2, 3, 2, 1], vec![1]));
}
