//! Functions: branches, relaxation, skipped blocks, frames, tables.

use cellwall_isa::x64::{
    Block, BlockData, Call, Code, Cond, Edge, Entry, Inst, LINE_BYTES, MFunc, Pins, RelocTarget, Row, Target,
    Width, encode,
};
use cellwall_isa::{Phys, Reg, Virt};
use iced_x86::{Decoder, DecoderOptions, FlowControl, Formatter, NasmFormatter};

fn pins() -> Pins {
    Pins {
        stack: Reg::gpr(4),
        context: Reg::gpr(15),
        entry: Reg::gpr(11),
        scratch: Reg::gpr(10),
    }
}

/// A function from blocks of instructions and successors.
fn func(blocks: &[(Vec<Inst>, Vec<u32>)]) -> MFunc<Phys> {
    let mut func = MFunc::<Virt>::new(pins());
    func.calls.push(Call {
        catches: Vec::new(),
        target: Target::None,
        fixed: 0..0,
    });
    let mut ranges = Vec::new();
    let mut insts = Vec::new();
    for (body, successors) in blocks {
        let start = insts.len() as u32;
        insts.extend_from_slice(body);
        let first = func.edges.len() as u32;
        func.edges.extend(successors.iter().map(|&to| Edge {
            to: Block::from_u32(to),
            args: 0..0,
        }));
        func.blocks.push(BlockData {
            framed: false,
            insts: 0..0,
            params: 0..0,
            edges: first..func.edges.len() as u32,
        });
        ranges.push(start..insts.len() as u32);
    }
    func.allocated(insts, &ranges, 0).0
}

const NO_FRAME: Entry = Entry {
    frame_bytes: 0,
    probe_bytes: 65536,
    trap: 1,
};

fn text(code: &Code) -> String {
    let mut formatter = NasmFormatter::new();
    let mut text = String::new();
    for instruction in Decoder::with_ip(64, &code.bytes, 0, DecoderOptions::NONE).iter() {
        let mut line = String::new();
        formatter.format(&instruction, &mut line);
        text += &format!("{:x} {line}\n", instruction.ip());
    }
    text
}

fn op(row: Row) -> Inst {
    Inst::new(row, Width::W64)
}

fn add() -> Inst {
    Inst::new(Row::AddImm, Width::W32)
        .dst(Reg::gpr(0))
        .src(Reg::gpr(0))
        .imm(1)
}

#[test]
fn a_block_that_only_jumps_is_skipped_and_the_next_block_is_fallen_into() {
    let code = func(&[
        (vec![op(Row::Branch).cond(Cond::L)], vec![1, 2]),
        (vec![op(Row::Jump)], vec![3]),
        (vec![add(), op(Row::Jump)], vec![3]),
        (vec![op(Row::Ret)], vec![]),
    ]);
    let code = encode(&code, NO_FRAME, 1 << 20).expect("it is small");
    assert_eq!(text(&code), "0 jl short 5\n2 add eax,1\n5 ret\n");
    assert_eq!(code.heads, [5]);
}

#[test]
fn a_circle_of_jumps_stays_a_loop() {
    let code = func(&[
        (vec![op(Row::Jump)], vec![1]),
        (vec![op(Row::Jump)], vec![2]),
        (vec![op(Row::Jump)], vec![1]),
    ]);
    let code = encode(&code, NO_FRAME, 1 << 20).expect("it is small");
    assert_eq!(text(&code), "0 jmp short 0\n");
}

#[test]
fn branches_are_short_exactly_when_they_reach() {
    // `n` instructions of three bytes between a forward and a backward branch.
    let lengths = |n: usize| {
        let code = func(&[
            (vec![op(Row::Branch).cond(Cond::E)], vec![2, 1]),
            (
                [vec![add(); n], vec![op(Row::Branch).cond(Cond::Ne)]].concat(),
                vec![1, 2],
            ),
            (vec![op(Row::Ret)], vec![]),
        ]);
        let code = encode(&code, NO_FRAME, 1 << 20).expect("it is small");
        let branches: Vec<(u64, u64, usize)> = Decoder::with_ip(64, &code.bytes, 0, DecoderOptions::NONE)
            .iter()
            .filter(|i| i.flow_control() == FlowControl::ConditionalBranch)
            .map(|i| (i.ip(), i.near_branch_target(), i.len()))
            .collect();
        let first = branches[0].2 as u64;
        assert_eq!(branches[0].1, code.bytes.len() as u64 - 1);
        let padding = branches[1].1 - first;
        assert!(padding < u64::from(LINE_BYTES));
        let heads = [first + padding, code.bytes.len() as u64 - 1].map(|pc| pc as u32);
        assert_eq!(code.heads, heads);
        (branches[0].2, branches[1].2)
    };
    // The forward one has to expect padding on its way.
    assert_eq!(lengths(19), (2, 2));
    assert_eq!(lengths(22), (6, 2));
    assert_eq!(lengths(42), (6, 2));
    assert_eq!(lengths(43), (6, 6));
}

/// Code whose second block is a loop, and starts at byte 59 unless it is padded.
fn with_loop(before: &[Inst], inside: &[Inst], to: u32) -> Code {
    let enter = [before, &[op(Row::Jump)]].concat();
    let again = [inside, &[op(Row::Branch).cond(Cond::Ne)]].concat();
    let mut code = func(&[
        (enter, vec![to]),
        (again, vec![1, 2]),
        (vec![add(), op(Row::Branch).cond(Cond::E)], vec![1, 3]),
        (vec![op(Row::Ret)], vec![]),
    ]);
    code.calls.push(Call {
        catches: Vec::new(),
        target: Target::Direct(7),
        fixed: 0..0,
    });
    encode(&code, NO_FRAME, 1 << 20).expect("it is small")
}

#[test]
fn a_loop_that_would_cross_a_line_is_padded() {
    let call = op(Row::Call).imm(1);
    let before = [vec![add(); 18], vec![call]].concat();
    let code = with_loop(&before, &[add()], 1);
    assert_eq!(code.calls[0].return_pc, 59, "the padding comes after the call");
    assert_eq!(code.heads[0], LINE_BYTES);
    assert_eq!(with_loop(&before, &[add(), call], 1).heads[0], LINE_BYTES);
    // One that does not cross a line, one that calls and needs two in any case, and one that nothing
    // falls into: there the padding would be unreachable.
    assert_eq!(with_loop(&[add(), add()], &[add()], 1).heads[0], 6);
    let long = [vec![add(); 20], vec![call]].concat();
    assert_eq!(with_loop(&before, &long, 1).heads[0], 59);
    assert_eq!(with_loop(&[add(); 19], &[add()], 2).heads[0], 59);
}

#[test]
fn a_dense_loop_lies_in_two_lines() {
    // The loop goes on with one more instruction and a branch.
    let start = |inside: usize| with_loop(&[add(); 8], &vec![add(); inside], 1).heads[0];
    assert_eq!(start(10), 24, "eleven and one branch that counts in one line");
    let dense = start(14);
    assert!(dense > 24 && dense % 8 == 0, "starts at {dense}");
    let first = (LINE_BYTES - dense % LINE_BYTES) / 3;
    assert!(first <= 12 && 15 - first <= 12, "{first} in the first line");
}

#[test]
fn a_frame_is_entered_and_left_and_rows_say_so() {
    let trap = op(Row::TrapIf).cond(Cond::B).trap(9);
    let body = vec![(vec![op(Row::Enter), trap, op(Row::Leave), op(Row::Ret)], vec![])];
    let entry = Entry {
        frame_bytes: 24,
        ..NO_FRAME
    };
    let code = encode(&func(&body), entry, 1 << 20).expect("it is small");
    assert_eq!(
        text(&code),
        "0 sub rsp,18h\n4 jb short 000000000000000Bh\n6 add rsp,18h\na ret\nb ud2\n"
    );
    let rows: Vec<(u32, u32)> = code.frames.iter().map(|f| (f.pc, f.bytes)).collect();
    assert_eq!(rows, [(0, 0), (4, 24), (10, 0), (11, 24)]);
    assert_eq!((code.traps[0].pc, code.traps[0].code), (11, 9));
}

#[test]
fn what_the_frame_saves_is_stored_and_loaded() {
    let body = vec![(vec![op(Row::Enter), op(Row::Leave), op(Row::Ret)], vec![])];
    let mut func = func(&body);
    func.saved = vec![(Reg::gpr(3), 0), (Reg::gpr(12), 1)];
    let entry = Entry {
        frame_bytes: 16,
        ..NO_FRAME
    };
    let code = encode(&func, entry, 1 << 20).expect("it is small");
    assert_eq!(
        text(&code),
        "0 sub rsp,10h\n4 mov [rsp],rbx\n8 mov [rsp+8],r12\nd mov rbx,[rsp]\n11 mov r12,[rsp+8]\n\
         16 add rsp,10h\n1a ret\n"
    );
}

#[test]
fn a_path_without_a_frame_has_no_row() {
    // The frame is made in the second block alone; the third one follows it in the text.
    let mut func = func(&[
        (vec![op(Row::Branch).cond(Cond::B)], vec![2, 1]),
        (vec![op(Row::Enter), add(), op(Row::Jump)], vec![3]),
        (vec![op(Row::TrapIf).cond(Cond::B).trap(9), op(Row::Ret)], vec![]),
        (
            vec![
                op(Row::TrapIf).cond(Cond::B).trap(9),
                op(Row::Leave),
                op(Row::Ret),
            ],
            vec![],
        ),
    ]);
    func.blocks[Block::from_u32(3)].framed = true;
    let entry = Entry {
        frame_bytes: 24,
        ..NO_FRAME
    };
    let code = encode(&func, entry, 1 << 20).expect("it is small");
    let rows: Vec<(u32, u32)> = code.frames.iter().map(|f| (f.pc, f.bytes)).collect();
    assert_eq!(
        text(&code),
        "0 jb short 000000000000000Bh\n2 sub rsp,18h\n6 add eax,1\n9 jmp short 000000000000000Eh\n\
         b jb short 0000000000000015h\nd ret\ne jb short 0000000000000017h\n10 add rsp,18h\n14 ret\n\
         15 ud2\n17 ud2\n"
    );
    assert_eq!(rows, [(0, 0), (6, 24), (11, 0), (14, 24), (20, 0), (23, 24)]);
}

#[test]
fn a_large_frame_is_probed_and_a_small_one_is_not() {
    let body = vec![(vec![op(Row::Enter), op(Row::Leave), op(Row::Ret)], vec![])];
    let sites = |frame_bytes| {
        let entry = Entry {
            frame_bytes,
            probe_bytes: 4096,
            trap: 1,
        };
        let code = encode(&func(&body), entry, 1 << 20).expect("it is small");
        code.traps.len()
    };
    assert_eq!(sites(4088), 0);
    assert_eq!(sites(12296), 3);
}

#[test]
fn a_switch_has_its_targets_in_a_table() {
    let mut code = func(&[
        (vec![op(Row::Switch).rm(Reg::gpr(0))], vec![1, 2]),
        (vec![add(), op(Row::Ret)], vec![]),
        (vec![op(Row::Ret)], vec![]),
    ]);
    code.tables.push(vec![0, 1, 0, 1]);
    let code = encode(&code, NO_FRAME, 1 << 20).expect("it is small");
    let ret = code.bytes.len() as u32 - 1;
    assert_eq!(code.jump_tables, [[ret - 4, ret, ret - 4]]);
    assert_eq!(code.relocs[0].target, RelocTarget::JumpTable(0));
    assert_eq!(code.heads, [ret - 4, ret]);
}

#[test]
fn code_beyond_the_limit_is_refused() {
    let body = vec![([vec![add(); 10], vec![op(Row::Ret)]].concat(), vec![])];
    assert!(encode(&func(&body), NO_FRAME, 31).is_ok());
    assert!(encode(&func(&body), NO_FRAME, 30).is_err());
}
