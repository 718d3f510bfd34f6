//! V4 for memories with 64-bit indexes: an index is compared with the current length of its own memory
//! in 64 bits, and not changed afterwards.

use crate::harness::*;
use cellwall_abi::context::definition::LENGTH;
use cellwall_abi::{Target, TrapCode};
use cellwall_verify::Rule;
use iced_x86::code_asm::*;

type Asm = Result<(), iced_x86::IcedError>;
type Part = fn(&mut CodeAssembler) -> Asm;
type Exit = fn(&mut CodeAssembler, CodeLabel) -> Asm;

/// The field with the length of the own memory.
fn length() -> AsmMemoryOperand {
    qword_ptr(r15 + At::memory(1) + LENGTH as i32)
}

fn compare(a: &mut CodeAssembler) -> Asm {
    a.cmp(rdi, length())
}

fn unless_above(a: &mut CodeAssembler, out: CodeLabel) -> Asm {
    a.ja(out)
}

fn nothing(_: &mut CodeAssembler) -> Asm {
    Ok(())
}

/// A load at `disp` from the index in `rdi`: the comparison, the way out, and what is done between them
/// and the access.
fn load(compare: Part, exit: Exit, between: Part, disp: i32) -> impl FnOnce(&mut Fun) {
    move |f| {
        f.memory64 = true;
        let mut out = f.a.create_label();
        compare(&mut f.a).unwrap();
        exit(&mut f.a, out).unwrap();
        f.a.mov(rax, qword_ptr(r15 + At::memory(1))).unwrap();
        between(&mut f.a).unwrap();
        f.access().mov(rax, qword_ptr(rax + rdi + disp)).unwrap();
        f.a.ret().unwrap();
        f.trap(&mut out, TrapCode::MemoryOutOfBounds);
    }
}

#[track_caller]
fn refused(compare: Part, exit: Exit, between: Part, disp: i32) {
    refuse(I64_TO_I64, Rule::MemoryAccess, load(compare, exit, between, disp));
}

#[test]
fn an_index_is_compared_with_the_length() {
    accept(I64_TO_I64, load(compare, unless_above, nothing, 0));
    // Stronger is right too.
    accept(I64_TO_I64, load(compare, |a, out| a.jae(out), nothing, 0));
    let in_register: Part = |a| {
        a.mov(rcx, length())?;
        a.cmp(rdi, rcx)
    };
    accept(I64_TO_I64, load(in_register, unless_above, nothing, 0));
    refused(|a| a.test(rdi, rdi), unless_above, nothing, 0);
}

#[test]
fn the_guard_covers_displacement_and_width() {
    let guard = 32 << 20;
    accept(I64_TO_I64, load(compare, unless_above, nothing, guard - 8));
    refused(compare, unless_above, nothing, guard - 7);
    refused(compare, unless_above, nothing, i32::MAX);
    refused(compare, unless_above, nothing, -1);
}

#[test]
fn the_length_is_that_of_the_memory() {
    // Memory 0 is another one: its length is behind its definition.
    let of_other: Part = |a| {
        a.mov(rcx, qword_ptr(r15 + At::memory(0) + 8))?;
        a.cmp(rdi, qword_ptr(rcx + LENGTH))
    };
    refused(of_other, unless_above, nothing, 0);
    // The access is to memory 0.
    refuse(I64_TO_I64, Rule::MemoryAccess, |f| {
        f.memory64 = true;
        let mut out = f.a.create_label();
        compare(&mut f.a).unwrap();
        f.a.ja(out).unwrap();
        f.access().mov(rax, qword_ptr(r14 + rdi)).unwrap();
        f.a.ret().unwrap();
        f.trap(&mut out, TrapCode::MemoryOutOfBounds);
    });
    let imported = |other: bool| {
        move |f: &mut Fun| {
            f.memory64 = true;
            let mut out = f.a.create_label();
            f.a.mov(rcx, qword_ptr(r15 + At::memory(0) + 8)).unwrap();
            f.a.cmp(rdi, qword_ptr(rcx + LENGTH)).unwrap();
            f.a.ja(out).unwrap();
            f.a.mov(rcx, qword_ptr(r15 + At::memory(u32::from(other))))
                .unwrap();
            f.access().mov(rax, qword_ptr(rcx + rdi)).unwrap();
            f.a.ret().unwrap();
            f.trap(&mut out, TrapCode::MemoryOutOfBounds);
        }
    };
    accept(I64_TO_I64, imported(false));
    refuse(I64_TO_I64, Rule::MemoryAccess, imported(true));
    // A length out of a table's field, or one that was computed with, is none.
    refused(
        |a| {
            a.mov(rcx, qword_ptr(r15 + At::table(2) + LENGTH as i32))?;
            a.cmp(rdi, rcx)
        },
        unless_above,
        nothing,
        0,
    );
    refused(
        |a| {
            a.mov(rcx, length())?;
            a.add(rcx, 8)?;
            a.cmp(rdi, rcx)
        },
        unless_above,
        nothing,
        0,
    );
}

/// Two registers, each compared with the length of one memory; then an access to each memory, by the
/// register of its own comparison or by the other one.
fn two_memories(second: Part, crossed: bool) -> impl FnOnce(&mut Fun) {
    move |f| {
        f.memory64 = true;
        let (mut out, mut out_too) = (f.a.create_label(), f.a.create_label());
        second(&mut f.a).unwrap();
        compare(&mut f.a).unwrap();
        f.a.ja(out).unwrap();
        f.a.mov(rcx, qword_ptr(r15 + At::memory(0) + 8)).unwrap();
        f.a.cmp(rsi, qword_ptr(rcx + LENGTH)).unwrap();
        f.a.ja(out_too).unwrap();
        let (of_one, of_zero) = if crossed { (rsi, rdi) } else { (rdi, rsi) };
        f.a.mov(rcx, qword_ptr(r15 + At::memory(1))).unwrap();
        f.access().mov(rax, qword_ptr(rcx + of_one)).unwrap();
        f.a.mov(rcx, qword_ptr(r15 + At::memory(0))).unwrap();
        f.access().mov(rax, qword_ptr(rcx + of_zero)).unwrap();
        f.a.ret().unwrap();
        f.trap(&mut out, TrapCode::MemoryOutOfBounds);
        f.trap(&mut out_too, TrapCode::MemoryOutOfBounds);
    }
}

#[test]
fn copies_of_an_index_are_compared_with_the_lengths_of_two_memories() {
    accept(I64_TO_I64, two_memories(|a| a.mov(rsi, rdi), false));
    accept(
        I64_TO_I64,
        two_memories(|a| a.lea(rsi, qword_ptr(rdi + 1)), false),
    );
    let crossed = two_memories(|a| a.lea(rsi, qword_ptr(rdi + 1)), true);
    refuse(I64_TO_I64, Rule::MemoryAccess, crossed);
}

#[test]
fn the_comparison_is_unsigned_and_of_64_bits() {
    refused(compare, |a, out| a.jg(out), nothing, 0);
    refused(compare, |a, out| a.jo(out), nothing, 0);
    refused(compare, |a, out| a.jbe(out), nothing, 0);
    refused(compare, |a, out| a.jne(out), nothing, 0);
    refused(
        |a| {
            a.mov(rcx, length())?;
            a.cmp(edi, ecx)
        },
        unless_above,
        nothing,
        0,
    );
    // The other way round, it is another question.
    refused(
        |a| {
            a.mov(rcx, length())?;
            a.cmp(rcx, rdi)
        },
        unless_above,
        nothing,
        0,
    );
    // What comes between comparison and branch may have changed the flags.
    refused(
        |a| {
            compare(a)?;
            a.test(rdi, rdi)
        },
        unless_above,
        nothing,
        0,
    );
}

#[test]
fn an_index_is_not_changed_after_the_comparison() {
    let changes: [Part; 8] = [
        |a| a.add(rdi, 8),
        |a| a.sub(rdi, 1),
        |a| a.shl(rdi, 1),
        |a| a.neg(rdi),
        |a| a.not(rdi),
        |a| a.lea(rdi, qword_ptr(rdi + rdi)),
        |a| a.mov(rdi, qword_ptr(r15 + At::global(2))),
        |a| a.setb(dil),
    ];
    for change in changes {
        refused(compare, unless_above, change, 0);
    }
    // A copy is the same index.
    accept(
        I64_TO_I64,
        load(
            compare,
            unless_above,
            |a| {
                a.mov(rcx, rdi)?;
                a.mov(rdi, rcx)
            },
            0,
        ),
    );
    // The end of the access wraps around where the index does not.
    refused(
        |a| {
            a.lea(rcx, qword_ptr(rdi + 8))?;
            a.cmp(rcx, length())
        },
        unless_above,
        nothing,
        0,
    );
    // Before the comparison it may have changed.
    refused(
        |a| {
            compare(a)?;
            a.lea(rdi, qword_ptr(rdi + 1))
        },
        unless_above,
        nothing,
        0,
    );
}

#[test]
fn every_path_compares() {
    let skipped = |skip: bool| {
        move |f: &mut Fun| {
            f.memory64 = true;
            let (mut over, mut out) = (f.a.create_label(), f.a.create_label());
            if skip {
                f.a.test(rdi, rdi).unwrap();
                f.a.je(over).unwrap();
            }
            compare(&mut f.a).unwrap();
            f.a.ja(out).unwrap();
            if skip {
                f.bind(&mut over);
            }
            f.a.mov(rax, qword_ptr(r15 + At::memory(1))).unwrap();
            f.access().mov(rax, qword_ptr(rax + rdi)).unwrap();
            f.a.ret().unwrap();
            f.trap(&mut out, TrapCode::MemoryOutOfBounds);
        }
    };
    accept(I64_TO_I64, skipped(false));
    refuse(I64_TO_I64, Rule::MemoryAccess, skipped(true));
}

#[test]
fn a_comparison_outlives_a_call_in_the_frame_only_as_it_was() {
    let around = |change: Part| {
        move |f: &mut Fun| {
            f.memory64 = true;
            let mut out = f.a.create_label();
            f.a.sub(rsp, 24).unwrap();
            f.frame(24);
            compare(&mut f.a).unwrap();
            f.a.ja(out).unwrap();
            f.a.mov(qword_ptr(rsp + 8), rdi).unwrap();
            f.a.mov(edi, 1).unwrap();
            f.a.call(CALLEE).unwrap();
            change(&mut f.a).unwrap();
            f.a.mov(rdi, qword_ptr(rsp + 8)).unwrap();
            f.a.mov(rax, qword_ptr(r15 + At::memory(1))).unwrap();
            f.access().mov(rax, qword_ptr(rax + rdi)).unwrap();
            f.a.add(rsp, 24).unwrap();
            f.frame(0);
            f.a.ret().unwrap();
            f.frame(24);
            f.trap(&mut out, TrapCode::MemoryOutOfBounds);
        }
    };
    accept(I64_TO_I64, around(nothing));
    refuse(
        I64_TO_I64,
        Rule::MemoryAccess,
        around(|a| a.mov(dword_ptr(rsp + 12), eax)),
    );
}

#[test]
fn what_fits_32_bits_needs_the_reservation_alone() {
    let narrow = |target: Target, extend: bool| {
        move |f: &mut Fun| {
            f.memory64 = true;
            f.target = target;
            if extend {
                f.a.mov(edi, edi).unwrap();
            }
            f.access().mov(rax, qword_ptr(r14 + rdi + 16)).unwrap();
            f.a.ret().unwrap();
        }
    };
    let full = Target::new(Default::default());
    let small = Target {
        memory_reservation_bytes: 1 << 20,
        ..full
    };
    accept(I64_TO_I64, narrow(full, true));
    refuse(I64_TO_I64, Rule::MemoryAccess, narrow(full, false));
    refuse(I64_TO_I64, Rule::MemoryAccess, narrow(small, true));
}

#[test]
fn the_size_of_such_a_memory_does_not_fit_32_bits() {
    let size = |wide: bool, shift: u32| {
        move |f: &mut Fun| {
            f.memory64 = wide;
            f.a.mov(rax, length()).unwrap();
            f.a.shr(rax, shift).unwrap();
            f.access().mov(rax, qword_ptr(r14 + rax)).unwrap();
            f.a.ret().unwrap();
        }
    };
    accept(I64_TO_I64, size(false, 16));
    refuse(I64_TO_I64, Rule::MemoryAccess, size(true, 16));
    accept(I64_TO_I64, size(true, 32));
}
