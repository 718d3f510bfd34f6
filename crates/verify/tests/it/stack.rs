//! V3: the stack pointer, frames, probes, and the store's block.

use crate::harness::*;
use cellwall_abi::TrapCode;
use cellwall_abi::context::BLOCK;
use cellwall_abi::convention::block_overflow;
use cellwall_verify::{Rule, verify};
use iced_x86::code_asm::*;

/// A function with a frame and these instructions inside it.
fn framed(bytes: u32, inside: impl FnOnce(&mut Fun)) -> impl FnOnce(&mut Fun) {
    move |f| {
        f.a.sub(rsp, bytes as i32).unwrap();
        f.frame(bytes);
        inside(f);
        f.a.add(rsp, bytes as i32).unwrap();
        f.frame(0);
        f.a.ret().unwrap();
    }
}

#[test]
fn the_frame_is_restored() {
    accept(NOTHING, framed(24, |_| ()));
    refuse(NOTHING, Rule::StackPointer, |f| {
        f.a.sub(rsp, 24).unwrap();
        f.frame(24);
        f.a.ret().unwrap();
    });
    refuse(NOTHING, Rule::StackPointer, |f| {
        f.a.add(rsp, 8).unwrap();
        f.a.ret().unwrap();
    });
    refuse(I64_TO_I64, Rule::StackPointer, |f| f.a.sub(rsp, rdi).unwrap());
    refuse(I64_TO_I64, Rule::StackPointer, |f| f.a.mov(rsp, rdi).unwrap());
    refuse(I64_TO_I64, Rule::StackPointer, |f| f.a.mov(rdi, rsp).unwrap());
    refuse(I64_TO_I64, Rule::StackPointer, |f| {
        f.a.lea(rdi, ptr(rsp + 8)).unwrap()
    });
    refuse(NOTHING, Rule::StackPointer, |f| f.a.and(rsp, -16).unwrap());
}

#[test]
fn unwind_rows_agree_with_the_frame() {
    let good = artifact(NOTHING, framed(24, |_| ()));
    assert!(verify(good.clone()).is_ok());
    for row in 0..3 {
        let mut bad = good.clone();
        bad.unwind[row].frame_bytes += 8;
        assert_eq!(verify(bad).unwrap_err().rule, Rule::Unwind);
        let mut bad = good.clone();
        bad.unwind.remove(row);
        assert_eq!(verify(bad).unwrap_err().rule, Rule::Unwind);
        let mut bad = good.clone();
        bad.unwind[row].pc += 1;
        assert_eq!(verify(bad).unwrap_err().rule, Rule::Unwind);
    }
}

#[test]
fn accesses_lie_in_the_frame() {
    let store = |disp: i32| move |f: &mut Fun| f.a.mov(qword_ptr(rsp + disp), rdi).unwrap();
    for disp in [0, 8, 16] {
        accept(
            I64_TO_I64,
            framed(24, move |f| {
                store(disp)(f);
                f.a.mov(rax, qword_ptr(rsp + disp)).unwrap();
            }),
        );
    }
    for disp in [24, 32, -8, 1 << 20] {
        refuse(I64_TO_I64, Rule::StackAccess, framed(24, store(disp)));
    }
    refuse(I64_TO_I64, Rule::StackAccess, framed(24, store(20)));
    refuse(I64_TO_I64, Rule::StackAccess, framed(24, store(4)));
    refuse(
        I64_TO_I64,
        Rule::Address,
        framed(24, |f| f.a.mov(qword_ptr(rsp + rdi), rdi).unwrap()),
    );
}

#[test]
fn slots_are_written_before_they_are_read() {
    let read_back = |write: u32, read: u32| {
        framed(24, move |f: &mut Fun| {
            match write {
                8 => f.a.mov(qword_ptr(rsp), rdi).unwrap(),
                4 => f.a.mov(dword_ptr(rsp), edi).unwrap(),
                _ => {}
            }
            match read {
                8 => f.a.mov(rax, qword_ptr(rsp)).unwrap(),
                _ => f.a.mov(eax, dword_ptr(rsp)).unwrap(),
            }
        })
    };
    accept(I64_TO_I64, read_back(8, 8));
    accept(I64_TO_I64, read_back(8, 4));
    accept(I64_TO_I64, read_back(4, 4));
    refuse(I64_TO_I64, Rule::Undefined, read_back(4, 8));
    refuse(I64_TO_I64, Rule::Undefined, read_back(0, 8));
    refuse(I64_TO_I64, Rule::Undefined, read_back(0, 4));
    // Written on one of two paths only.
    let on_paths = |both: bool| {
        framed(24, move |f: &mut Fun| {
            let mut join = f.a.create_label();
            if both {
                f.a.mov(qword_ptr(rsp), rdi).unwrap();
            }
            f.a.test(rdi, rdi).unwrap();
            f.a.je(join).unwrap();
            f.a.mov(qword_ptr(rsp), rdi).unwrap();
            f.bind(&mut join);
            f.a.mov(rax, qword_ptr(rsp)).unwrap();
        })
    };
    accept(I64_TO_I64, on_paths(true));
    refuse(I64_TO_I64, Rule::Undefined, on_paths(false));
}

#[test]
fn a_frame_that_was_dropped_is_forgotten() {
    refuse(I64_TO_I64, Rule::Undefined, |f| {
        framed(24, |f| f.a.mov(qword_ptr(rsp), rdi).unwrap())(f);
        f.a = std::mem::replace(&mut f.a, CodeAssembler::new(64).unwrap());
        // again, in the place of the return
        let mut instructions = f.a.take_instructions();
        instructions.pop();
        for instruction in instructions {
            f.a.add_instruction(instruction).unwrap();
        }
        framed(24, |f| f.a.mov(rax, qword_ptr(rsp)).unwrap())(f);
    });
}

#[test]
fn frames_meet_with_equal_depth() {
    refuse(I64_TO_I64, Rule::StackPointer, |f| {
        let mut join = f.a.create_label();
        f.a.mov(rax, rdi).unwrap();
        f.a.test(rdi, rdi).unwrap();
        f.a.je(join).unwrap();
        f.a.sub(rsp, 24).unwrap();
        f.frame(24);
        f.bind(&mut join);
        f.a.ret().unwrap();
    });
}

/// Probes of a large frame at these distances, then a store at its bottom.
fn probed(bytes: u32, probes: &[i32], listed: bool) -> impl FnOnce(&mut Fun) {
    move |f| {
        f.a.xor(eax, eax).unwrap();
        for &probe in probes {
            let a = if listed {
                f.site(TrapCode::StackOverflow)
            } else {
                &mut f.a
            };
            a.test(dword_ptr(rsp - probe), eax).unwrap();
        }
        framed(bytes, |f| f.a.mov(dword_ptr(rsp), eax).unwrap())(f);
    }
}

#[test]
fn a_large_frame_probes() {
    let guard = 65536;
    accept(NOTHING, probed(65528, &[], true));
    accept(NOTHING, probed(65544, &[guard], true));
    accept(NOTHING, probed(200_008, &[guard, 2 * guard, 3 * guard], true));
    refuse(NOTHING, Rule::StackProbe, probed(65544, &[], true));
    refuse(
        NOTHING,
        Rule::StackProbe,
        probed(200_008, &[guard, 2 * guard], true),
    );
    refuse(
        NOTHING,
        Rule::StackProbe,
        probed(200_008, &[guard, 3 * guard], true),
    );
    refuse(NOTHING, Rule::TrapSite, probed(65544, &[guard], false));
    // What a probe reads is residue, and so are the flags.
    refuse(NOTHING, Rule::Undefined, |f| {
        f.a.xor(eax, eax).unwrap();
        f.site(TrapCode::StackOverflow)
            .test(dword_ptr(rsp - 64), eax)
            .unwrap();
        f.a.sete(al).unwrap();
        f.a.ret().unwrap();
    });
}

fn overflow(i: usize) -> i32 {
    block_overflow(i) as i32
}

#[test]
fn overflow_arguments_are_read_before_the_first_call() {
    // Two of eight integers pass in the block.
    let read = |offset: i32, store_first: bool| {
        move |f: &mut Fun| {
            f.a.mov(rax, qword_ptr(r15 + BLOCK)).unwrap();
            if store_first {
                f.a.mov(dword_ptr(rax + overflow(3)), edi).unwrap();
            }
            f.a.mov(ecx, dword_ptr(rax + offset)).unwrap();
            f.a.ret().unwrap();
        }
    };
    accept(MANY, read(overflow(0), false));
    accept(MANY, read(overflow(1), false));
    refuse(MANY, Rule::BlockAccess, read(overflow(2), false));
    refuse(MANY, Rule::BlockAccess, read(overflow(0) + 4, false));
    refuse(MANY, Rule::BlockAccess, read(0, false));
    refuse(MANY, Rule::BlockAccess, read(overflow(1000), false));
    refuse(MANY, Rule::BlockAccess, read(overflow(0), true));
    refuse(I32_TO_I32, Rule::BlockAccess, read(overflow(0), false));
}

#[test]
fn overflow_results_are_written_before_the_return() {
    let results = |count: usize, wide: bool| {
        move |f: &mut Fun| {
            for register in [rax, rdx, rcx, rsi, rdi] {
                f.a.mov(register, 1i64).unwrap();
            }
            f.a.mov(r8, qword_ptr(r15 + BLOCK)).unwrap();
            for i in 0..count {
                if wide {
                    f.a.mov(qword_ptr(r8 + overflow(i)), rdi).unwrap();
                } else {
                    f.a.mov(dword_ptr(r8 + overflow(i)), edi).unwrap();
                }
            }
            f.a.ret().unwrap();
        }
    };
    accept(MANY_RESULTS, results(2, true));
    refuse(MANY_RESULTS, Rule::BlockAccess, results(1, true));
    refuse(MANY_RESULTS, Rule::BlockAccess, results(2, false));
}
