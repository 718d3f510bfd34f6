//! Honest code at the limits is accepted: the work is bounded by the code, and so is the space,
//! however large the frame is and however many blocks know of it.

use crate::harness::*;
use cellwall_abi::context::BLOCK;
use cellwall_abi::convention::block_overflow;
use cellwall_verify::Rule;
use iced_x86::code_asm::*;

/// Bytes of a frame of 65,536 slots, such that the stack is aligned.
const FRAME: u32 = (1 << 19) + 8;

/// A frame that large, whose slots are all written; then this; then a return.
fn in_a_large_frame(build: impl FnOnce(&mut Fun)) -> impl FnOnce(&mut Fun) {
    move |f| {
        f.target.stack_guard_bytes = 1 << 20;
        f.a.sub(rsp, FRAME as i32).unwrap();
        f.frame(FRAME);
        for slot in 0..FRAME as i32 / 8 {
            f.a.mov(qword_ptr(rsp + 8 * slot), rdi).unwrap();
        }
        build(f);
        f.a.mov(eax, edi).unwrap();
        f.a.add(rsp, FRAME as i32).unwrap();
        f.frame(0);
        f.a.ret().unwrap();
    }
}

/// Blocks in blocks, each left early by a branch and at its end, where it changes a slot.
#[test]
fn thousands_of_blocks_share_the_state_of_a_large_frame() {
    accept(
        I32_TO_I32,
        in_a_large_frame(|f| {
            let mut ends: Vec<_> = (0..20_000).map(|_| f.a.create_label()).collect();
            for end in &ends {
                f.a.test(edi, edi).unwrap();
                f.a.je(*end).unwrap();
            }
            for (slot, end) in ends.iter_mut().enumerate().rev() {
                f.bind(end);
                f.a.movsxd(rcx, edi).unwrap();
                f.a.mov(qword_ptr(rsp + 8 * slot), rcx).unwrap();
            }
        }),
    );
}

/// Two ways that know something else of every slot, and meet again and again.
#[test]
fn paths_that_differ_in_every_slot_may_meet_often() {
    accept(
        I32_TO_I32,
        in_a_large_frame(|f| {
            let mut ends: Vec<_> = (0..5_000).map(|_| f.a.create_label()).collect();
            let mut other = f.a.create_label();
            f.a.test(edi, edi).unwrap();
            f.a.je(other).unwrap();
            f.a.movsxd(rcx, edi).unwrap();
            for slot in 0..FRAME as i32 / 16 {
                f.a.mov(qword_ptr(rsp + 16 * slot), rcx).unwrap();
            }
            for end in &ends {
                f.a.test(edi, edi).unwrap();
                f.a.je(*end).unwrap();
            }
            f.bind(&mut other);
            f.a.movsxd(rcx, edi).unwrap();
            for slot in 0..FRAME as i32 / 16 {
                f.a.mov(qword_ptr(rsp + 16 * slot + 8), rcx).unwrap();
            }
            for (slot, end) in ends.iter_mut().enumerate().rev() {
                f.bind(end);
                f.a.mov(qword_ptr(rsp + 8 * slot), rdi).unwrap();
            }
        }),
    );
}

/// A table that leads to every block, each of which falls into the next one.
#[test]
fn a_jump_table_may_lead_to_every_block() {
    let build = |f: &mut Fun, in_range: bool| {
        let count = 20_000;
        let mut default = f.a.create_label();
        f.a.mov(r11d, edi).unwrap();
        f.a.cmp(r11d, count + i32::from(!in_range)).unwrap();
        f.a.jae(default).unwrap();
        f.rodata_at = 15 * 4096;
        f.rodata_operand(iced_x86::Code::Lea_r64_m, iced_x86::Register::R10, 0);
        f.a.movsxd(r11, dword_ptr(r10 + r11 * 4)).unwrap();
        f.a.add(r10, r11).unwrap();
        f.a.jmp(r10).unwrap();
        let mut targets = vec![];
        for _ in 0..count {
            targets.push(f.here());
            f.head();
            f.a.add(edi, 1).unwrap();
        }
        f.bind(&mut default);
        f.a.mov(eax, edi).unwrap();
        f.a.ret().unwrap();
        f.tables.push(targets);
    };
    accept(I32_TO_I32, |f| build(f, true));
    refuse(I32_TO_I32, Rule::IndirectJump, |f| build(f, false));
}

/// A loop that hands values on from slot to slot, of which the first is no small number: with each
/// visit one slot more turns out not to be small. What a register knows of itself stays known.
#[test]
fn a_loop_may_shift_any_number_of_slots() {
    let build = |f: &mut Fun, access_slot: bool| {
        let count = 401;
        let bytes = 8 * count + 8 * (1 - count % 2);
        f.a.sub(rsp, bytes).unwrap();
        f.frame(bytes as u32);
        for slot in 0..count {
            f.a.mov(qword_ptr(rsp + 8 * slot), rdi).unwrap();
        }
        let mut again = f.a.create_label();
        f.bind(&mut again);
        for slot in (1..count).rev() {
            f.a.mov(rax, qword_ptr(rsp + 8 * (slot - 1))).unwrap();
            f.a.mov(qword_ptr(rsp + 8 * slot), rax).unwrap();
        }
        f.a.movsxd(rcx, edi).unwrap();
        f.a.mov(qword_ptr(rsp), rcx).unwrap();
        if access_slot {
            f.a.mov(rdx, qword_ptr(rsp + 8 * (count - 1))).unwrap();
        } else {
            f.a.mov(edx, edi).unwrap();
        }
        f.access().mov(eax, dword_ptr(r14 + rdx)).unwrap();
        f.a.test(edi, edi).unwrap();
        f.a.jne(again).unwrap();
        f.head();
        f.a.add(rsp, bytes).unwrap();
        f.frame(0);
        f.a.ret().unwrap();
    };
    accept(I32_TO_I32, |f| build(f, false));
    refuse(I32_TO_I32, Rule::MemoryAccess, |f| build(f, true));
}

/// A thousand results, written once for all returns, are looked at for each.
#[test]
fn returns_share_what_was_written_and_cost_work() {
    let returns = |count: usize| {
        move |f: &mut Fun| {
            f.a.xor(eax, eax).unwrap();
            for register in [rdx, rcx, rsi] {
                f.a.mov(register, rax).unwrap();
            }
            f.a.mov(r8, qword_ptr(r15 + BLOCK)).unwrap();
            for place in 0..996 {
                f.a.mov(qword_ptr(r8 + block_overflow(place) as i32), rax)
                    .unwrap();
            }
            for _ in 0..count {
                let mut next = f.a.create_label();
                f.a.test(eax, eax).unwrap();
                f.a.je(next).unwrap();
                f.a.ret().unwrap();
                f.bind(&mut next);
            }
            f.a.ret().unwrap();
        }
    };
    accept(MOST_RESULTS, returns(100));
    refuse(MOST_RESULTS, Rule::Budget, returns(20_000));
}
