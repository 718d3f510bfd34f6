//! What the processor really does, where that is not what one would think: partial writes, shift
//! counts, conditional moves from memory, upper halves; and facts that hold on one path only.

use crate::harness::*;
use cellwall_abi::context::definition::LENGTH;
use cellwall_abi::{Target, TrapCode};
use cellwall_verify::Rule;
use iced_x86::IcedError;
use iced_x86::code_asm::*;

type Asm = Result<(), IcedError>;

/// An index that was compared with the length, then changed in some way, in a small reservation.
fn compared_then(change: fn(&mut CodeAssembler) -> Asm) -> impl FnOnce(&mut Fun) {
    move |f| {
        f.target = Target {
            memory_reservation_bytes: 1 << 20,
            memory_guard_bytes: 65536,
            ..Target::new(Default::default())
        };
        let mut out = f.a.create_label();
        // The same number, but no copy.
        f.a.lea(ecx, ptr(rdi)).unwrap();
        f.a.mov(rax, qword_ptr(r15 + At::memory(1))).unwrap();
        f.a.cmp(rdi, qword_ptr(r15 + At::memory(1) + LENGTH as i32))
            .unwrap();
        f.a.ja(out).unwrap();
        change(&mut f.a).unwrap();
        f.access().mov(eax, dword_ptr(rax + rdi)).unwrap();
        f.a.ret().unwrap();
        f.trap(&mut out, TrapCode::MemoryOutOfBounds);
    }
}

#[test]
fn every_write_to_an_index_ends_its_bound() {
    accept(I32_TO_I32, compared_then(|_| Ok(())));
    accept(I32_TO_I32, compared_then(|a| a.mov(cl, dil)));
    accept(I32_TO_I32, compared_then(|a| a.cmp(edi, 7)));
    let changes: [fn(&mut CodeAssembler) -> Asm; 16] = [
        |a| a.mov(dil, cl),
        |a| a.sete(dil),
        |a| a.or(dil, 1i32),
        |a| a.and(dil, -2i32),
        |a| a.add(edi, 0),
        |a| a.shl(edi, 0),
        |a| a.shl(rdi, cl),
        |a| a.ror(edi, cl),
        |a| a.bsf(edi, ecx),
        |a| a.lzcnt(edi, ecx),
        |a| a.shlx(edi, edi, ecx),
        |a| a.andn(edi, ecx, edi),
        |a| a.bswap(edi),
        |a| a.cmova(edi, ecx),
        |a| a.cmove(rdi, rcx),
        |a| a.lea(edi, ptr(rdi)),
    ];
    for change in changes {
        refuse_any(
            compared_then(change),
            &[Rule::MemoryAccess, Rule::Feature, Rule::Undefined],
        );
    }
}

#[track_caller]
fn refuse_any(build: impl FnOnce(&mut Fun), rules: &[Rule]) {
    let violation = answer(I32_TO_I32, build).expect_err("a bound that no longer holds");
    assert!(rules.contains(&violation.rule), "{violation}");
}

/// A bound that holds on one of two paths to a block holds on none; one that both have, holds.
#[test]
fn a_bound_holds_where_every_path_has_it() {
    let build = |f: &mut Fun, both: bool| {
        f.target = Target {
            memory_reservation_bytes: 1 << 20,
            memory_guard_bytes: 65536,
            ..Target::new(Default::default())
        };
        let (mut out, mut other, mut meet) = (f.a.create_label(), f.a.create_label(), f.a.create_label());
        let length = qword_ptr(r15 + At::memory(1) + LENGTH as i32);
        f.a.mov(rax, qword_ptr(r15 + At::memory(1))).unwrap();
        f.a.test(edi, edi).unwrap();
        f.a.je(other).unwrap();
        f.a.cmp(rdi, length).unwrap();
        f.a.ja(out).unwrap();
        f.a.jmp(meet).unwrap();
        f.bind(&mut other);
        if both {
            f.a.cmp(rdi, length).unwrap();
            f.a.ja(out).unwrap();
        } else {
            f.a.mov(ecx, edi).unwrap();
        }
        f.bind(&mut meet);
        f.access().mov(eax, dword_ptr(rax + rdi)).unwrap();
        f.a.ret().unwrap();
        f.trap(&mut out, TrapCode::MemoryOutOfBounds);
    };
    accept(I32_TO_I32, |f| build(f, true));
    refuse(I32_TO_I32, Rule::MemoryAccess, |f| build(f, false));
}

/// A conditional move from memory reads it whatever the condition is.
#[test]
fn a_conditional_move_from_memory_can_fault() {
    let build = |f: &mut Fun, listed: bool| {
        f.a.xor(eax, eax).unwrap();
        f.a.test(edi, edi).unwrap();
        let a = if listed { f.access() } else { &mut f.a };
        a.cmove(eax, dword_ptr(r14 + rdi)).unwrap();
        f.a.ret().unwrap();
    };
    accept(I32_TO_I32, |f| build(f, true));
    refuse(I32_TO_I32, Rule::TrapSite, |f| build(f, false));
}

/// Counts are taken modulo the width: a shift by 32 shifts a 32-bit value by nothing.
#[test]
fn a_shift_count_wraps_at_the_width() {
    let build = |f: &mut Fun, count: u32, wide: bool| {
        f.a.mov(eax, edi).unwrap();
        if wide {
            f.a.shr(rax, count).unwrap();
        } else {
            f.a.shr(eax, count).unwrap();
        }
        // At most one, so that the next access ends inside a guard of one page.
        f.target.memory_reservation_bytes = 0;
        f.target.memory_guard_bytes = 65536;
        f.access().mov(eax, dword_ptr(r14 + rax)).unwrap();
        f.a.ret().unwrap();
    };
    accept(I32_TO_I32, |f| build(f, 31, false));
    accept(I32_TO_I32, |f| build(f, 31, true));
    accept(I32_TO_I32, |f| build(f, 32, true));
    refuse(I32_TO_I32, Rule::MemoryAccess, |f| build(f, 32, false));
    refuse(I32_TO_I32, Rule::MemoryAccess, |f| build(f, 64, true));
}

/// The low byte of a pointer is no way to change it, and what is written over one is no pointer.
#[test]
fn a_pointer_is_replaced_as_a_whole_or_not_at_all() {
    let build = |f: &mut Fun, change: fn(&mut CodeAssembler) -> Asm| {
        f.a.mov(rax, qword_ptr(r15 + At::memory(1))).unwrap();
        change(&mut f.a).unwrap();
        f.access().mov(eax, dword_ptr(rax)).unwrap();
        f.a.ret().unwrap();
    };
    accept(I32_TO_I32, |f| build(f, |_| Ok(())));
    refuse(I32_TO_I32, Rule::Address, |f| build(f, |a| a.mov(al, dil)));
    refuse(I32_TO_I32, Rule::Address, |f| build(f, |a| a.mov(eax, edi)));
    for change in [
        (|a| a.add(rax, 8)) as fn(&mut CodeAssembler) -> Asm,
        |a| a.mov(eax, eax),
        |a| a.cmove(rax, rdi),
        |a| a.bswap(rax),
    ] {
        let rules = [Rule::Kind, Rule::Undefined, Rule::Address];
        refuse_any(|f| build(f, change), &rules);
    }
    // Nor is its rest, next to a defined byte, data.
    refuse(I32_TO_I32, Rule::Undefined, |f| {
        f.a.mov(rax, qword_ptr(r15 + At::memory(1))).unwrap();
        f.a.mov(al, dil).unwrap();
        f.a.mov(eax, eax).unwrap();
        f.a.ret().unwrap();
    });
    accept(I32_TO_I32, |f| {
        f.a.mov(rax, qword_ptr(r15 + At::memory(1))).unwrap();
        f.a.mov(al, dil).unwrap();
        f.a.movzx(eax, al).unwrap();
        f.a.ret().unwrap();
    });
}

/// Two jumps through one table, of which the second has no bound.
#[test]
fn a_jump_table_serves_one_jump() {
    let build = |f: &mut Fun, second: bool| {
        let (mut default, mut again) = (f.a.create_label(), f.a.create_label());
        f.a.mov(r11d, edi).unwrap();
        f.a.cmp(r11d, 2).unwrap();
        f.a.jae(default).unwrap();
        f.rodata_operand(iced_x86::Code::Lea_r64_m, iced_x86::Register::R10, 0);
        f.a.movsxd(r11, dword_ptr(r10 + r11 * 4)).unwrap();
        f.a.add(r10, r11).unwrap();
        if second {
            f.a.test(edi, edi).unwrap();
            f.a.je(again).unwrap();
        }
        f.a.jmp(r10).unwrap();
        if second {
            f.bind(&mut again);
            f.a.jmp(r10).unwrap();
        }
        let mut targets = vec![];
        for value in [1, 2] {
            targets.push(f.here());
            f.head();
            f.a.mov(eax, value).unwrap();
            f.a.ret().unwrap();
        }
        f.bind(&mut default);
        f.a.xor(eax, eax).unwrap();
        f.a.ret().unwrap();
        f.tables.push(targets);
    };
    accept(I32_TO_I32, |f| build(f, false));
    refuse(I32_TO_I32, Rule::IndirectJump, |f| build(f, true));
}
