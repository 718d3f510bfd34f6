//! V4: linear memories, the context, globals, constants; V6: trap sites.

use crate::harness::*;
use cellwall_abi::TrapCode;
use cellwall_abi::context::{BASE, STORE, definition::LENGTH, library_offset};
use cellwall_abi::{LibCall, Target};
use cellwall_verify::{Rule, verify};
use iced_x86::code_asm::*;
use iced_x86::{Code, Register};

type Asm = Result<(), iced_x86::IcedError>;

/// These instructions, then a return.
fn then_return(build: impl FnOnce(&mut Fun) -> Asm) -> impl FnOnce(&mut Fun) {
    move |f| {
        build(f).unwrap();
        f.a.ret().unwrap();
    }
}

#[test]
fn an_index_is_zero_extended() {
    accept(
        I32_TO_I32,
        then_return(|f| f.access().mov(eax, dword_ptr(r14 + rdi))),
    );
    refuse(
        I64_TO_I64,
        Rule::MemoryAccess,
        then_return(|f| f.access().mov(eax, dword_ptr(r14 + rdi))),
    );
    // The instruction that makes the index zero-extends it, or does not.
    let through = |make: fn(&mut CodeAssembler) -> Asm| {
        then_return(move |f| {
            f.a.mov(esi, edi)?;
            make(&mut f.a)?;
            f.access().mov(eax, dword_ptr(r14 + rsi))
        })
    };
    accept(I64_TO_I64, through(|_| Ok(())));
    accept(I64_TO_I64, through(|a| a.add(esi, edi)));
    accept(I64_TO_I64, through(|a| a.shr(rsi, 32)));
    accept(I64_TO_I64, through(|a| a.shl(esi, 3)));
    accept(I64_TO_I64, through(|a| a.and(rsi, 0x7fff_ffff)));
    accept(I64_TO_I64, through(|a| a.mov(sil, dil)));
    accept(I64_TO_I64, through(|a| a.bsr(esi, edi)));
    accept(I64_TO_I64, through(|a| a.lea(esi, ptr(rdi + rdi * 8))));
    refuse(I64_TO_I64, Rule::MemoryAccess, through(|a| a.add(rsi, rdi)));
    refuse(I64_TO_I64, Rule::MemoryAccess, through(|a| a.shl(rsi, 3)));
    accept(I64_TO_I64, through(|a| a.and(rsi, -8)));
    refuse(
        I64_TO_I64,
        Rule::MemoryAccess,
        through(|a| {
            a.mov(rsi, rdi)?;
            a.and(rsi, -8)
        }),
    );
    refuse(I64_TO_I64, Rule::MemoryAccess, through(|a| a.movsxd(rsi, edi)));
    refuse(
        I64_TO_I64,
        Rule::MemoryAccess,
        through(|a| a.lea(rsi, ptr(rdi + rdi * 8))),
    );
    // A 32-bit bit scan leaves the upper half alone if there is no bit.
    refuse(
        I64_TO_I64,
        Rule::MemoryAccess,
        through(|a| {
            a.mov(rsi, rdi)?;
            a.bsr(esi, edi)
        }),
    );
    // An 8-bit write changes nothing above.
    refuse(
        I64_TO_I64,
        Rule::MemoryAccess,
        through(|a| {
            a.mov(rsi, rdi)?;
            a.mov(sil, dil)
        }),
    );
    // A 32-bit conditional move zero-extends in any case, a 64-bit one does not.
    accept(
        I64_TO_I64,
        through(|a| {
            a.mov(rsi, rdi)?;
            a.test(edi, edi)?;
            a.cmove(esi, edi)
        }),
    );
    refuse(
        I64_TO_I64,
        Rule::MemoryAccess,
        through(|a| {
            a.test(edi, edi)?;
            a.cmove(rsi, rdi)
        }),
    );
}

#[test]
fn an_index_stays_zero_extended_in_loops_and_slots() {
    let copied = |wide: bool| {
        move |f: &mut Fun| {
            let mut top = f.a.create_label();
            f.a.sub(rsp, 24).unwrap();
            f.frame(24);
            f.a.mov(eax, edi).unwrap();
            f.a.mov(qword_ptr(rsp + 8), rax).unwrap();
            f.bind(&mut top);
            f.a.mov(rsi, qword_ptr(rsp + 8)).unwrap();
            f.access().mov(edx, dword_ptr(r14 + rsi + 16)).unwrap();
            if wide {
                f.a.add(rsi, rdx).unwrap();
            } else {
                f.a.add(esi, edx).unwrap();
            }
            f.a.mov(qword_ptr(rsp + 8), rsi).unwrap();
            f.a.test(edx, edx).unwrap();
            f.a.jne(top).unwrap();
            f.a.mov(rax, rsi).unwrap();
            f.a.add(rsp, 24).unwrap();
            f.frame(0);
            f.a.ret().unwrap();
        }
    };
    accept(I64_TO_I64, copied(false));
    refuse(I64_TO_I64, Rule::MemoryAccess, copied(true));
}

#[test]
fn displacement_and_width_stay_inside_the_guard() {
    let guard = 32 << 20;
    let load = |disp: i32| then_return(move |f| f.access().mov(eax, dword_ptr(r14 + rdi + disp)));
    accept(I32_TO_I32, load(0));
    accept(I32_TO_I32, load(guard - 4));
    refuse(I32_TO_I32, Rule::MemoryAccess, load(guard));
    refuse(I32_TO_I32, Rule::MemoryAccess, load(-1));
    refuse(I32_TO_I32, Rule::MemoryAccess, load(i32::MAX));
    accept(
        I32_TO_I32,
        then_return(|f| {
            f.a.mov(eax, edi)?;
            f.access().mov(ecx, dword_ptr(r14 + i32::MAX))
        }),
    );
    refuse(
        I32_TO_I32,
        Rule::MemoryAccess,
        then_return(|f| f.access().mov(eax, dword_ptr(r14 - 4))),
    );
    refuse(
        I32_TO_I32,
        Rule::MemoryAccess,
        then_return(|f| f.access().mov(eax, dword_ptr(r14 + rdi * 2))),
    );
    refuse(
        I32_TO_I32,
        Rule::Address,
        then_return(|f| f.access().mov(eax, dword_ptr(rdi + r14 * 2))),
    );
}

#[test]
fn trap_sites_agree_with_the_code() {
    let load = |f: &mut Fun| f.access().mov(eax, dword_ptr(r14 + rdi));
    accept(I32_TO_I32, then_return(load));
    refuse(
        I32_TO_I32,
        Rule::TrapSite,
        then_return(|f| f.a.mov(eax, dword_ptr(r14 + rdi))),
    );
    refuse(
        I32_TO_I32,
        Rule::TrapSite,
        then_return(|f| f.site(TrapCode::Unreachable).mov(eax, dword_ptr(r14 + rdi))),
    );
    refuse(
        I32_TO_I32,
        Rule::TrapSite,
        then_return(|f| f.access().mov(eax, edi)),
    );
    let mut inside = artifact(I32_TO_I32, then_return(load));
    inside.traps[0].pc += 1;
    assert_eq!(verify(inside).unwrap_err().rule, Rule::TrapSite);
    let divide = |f: &mut Fun, code: Option<TrapCode>| -> Asm {
        f.a.mov(eax, edi)?;
        f.a.xor(edx, edx)?;
        match code {
            Some(code) => f.site(code).div(edi),
            None => f.a.div(edi),
        }
    };
    accept(
        I32_TO_I32,
        then_return(|f| divide(f, Some(TrapCode::IntegerDivisionByZero))),
    );
    refuse(
        I32_TO_I32,
        Rule::TrapSite,
        then_return(|f| divide(f, Some(TrapCode::MemoryOutOfBounds))),
    );
    refuse(I32_TO_I32, Rule::TrapSite, then_return(|f| divide(f, None)));
}

#[test]
fn other_memories_load_their_base() {
    let load = |memory: u32, offset: i32| {
        then_return(move |f| {
            f.a.mov(rax, qword_ptr(r15 + At::memory(memory) + offset))?;
            f.access().mov(eax, dword_ptr(rax + rdi + 8))
        })
    };
    accept(I32_TO_I32, load(0, 0));
    accept(I32_TO_I32, load(1, 0));
    refuse(I32_TO_I32, Rule::Address, load(1, LENGTH as i32));
    refuse(I32_TO_I32, Rule::Address, load(0, LENGTH as i32));
    // A base is no data: it does not reach memory, a global or a result.
    let leak = |build: fn(&mut Fun) -> Asm| {
        then_return(move |f| {
            f.a.mov(rax, qword_ptr(r15 + At::memory(1)))?;
            build(f)
        })
    };
    refuse(I64_TO_I64, Rule::Kind, leak(|_| Ok(())));
    refuse(I64_TO_I64, Rule::Kind, leak(|f| f.a.lea(rax, ptr(rax + rdi))));
    refuse(
        I64_TO_I64,
        Rule::Kind,
        leak(|f| f.access().mov(qword_ptr(r14), rax)),
    );
    refuse(I64_TO_I64, Rule::Kind, leak(|f| f.a.movq(xmm0, rax)));
    refuse(I64_TO_I64, Rule::Kind, leak(|f| f.a.mov(eax, eax)));
    refuse(I64_TO_I64, Rule::Kind, leak(|f| f.a.cmp(rax, rdi)));
}

#[test]
fn small_reservations_compare_with_the_current_length() {
    let small = Target {
        memory_reservation_bytes: 1 << 20,
        memory_guard_bytes: 65536,
        ..Target::new(Default::default())
    };
    let load = |target: Target, compare: bool, narrow: bool, inverse: bool, disp: i32| {
        move |f: &mut Fun| {
            f.target = target;
            let mut out = f.a.create_label();
            let length = At::memory(1) + LENGTH as i32;
            if compare && narrow {
                f.a.mov(rax, qword_ptr(r15 + length)).unwrap();
                f.a.cmp(edi, eax).unwrap();
            } else if compare {
                f.a.cmp(rdi, qword_ptr(r15 + length)).unwrap();
            } else {
                f.a.test(edi, edi).unwrap();
            }
            if inverse {
                f.a.jbe(out).unwrap();
            } else {
                f.a.ja(out).unwrap();
            }
            f.a.mov(rax, qword_ptr(r15 + At::memory(1))).unwrap();
            f.access().mov(eax, dword_ptr(rax + rdi + disp)).unwrap();
            f.a.ret().unwrap();
            f.trap(&mut out, TrapCode::MemoryOutOfBounds);
        }
    };
    accept(I32_TO_I32, load(small, true, false, false, 100));
    refuse(
        I32_TO_I32,
        Rule::MemoryAccess,
        load(small, false, false, false, 100),
    );
    refuse(
        I32_TO_I32,
        Rule::MemoryAccess,
        load(small, true, true, false, 100),
    );
    refuse(
        I32_TO_I32,
        Rule::MemoryAccess,
        load(small, true, false, true, 100),
    );
    refuse(
        I32_TO_I32,
        Rule::MemoryAccess,
        load(small, true, false, false, 65536),
    );
    accept(
        I32_TO_I32,
        load(Target::new(Default::default()), false, false, false, 100),
    );
    // The length of another memory is no bound.
    refuse(I32_TO_I32, Rule::MemoryAccess, |f| {
        f.target = small;
        let mut out = f.a.create_label();
        f.a.cmp(rdi, qword_ptr(r15 + At::memory(1) + LENGTH as i32))
            .unwrap();
        f.a.ja(out).unwrap();
        f.access().mov(eax, dword_ptr(r14 + rdi)).unwrap();
        f.a.ret().unwrap();
        f.trap(&mut out, TrapCode::MemoryOutOfBounds);
    });
}

/// A small index and a copy of it, of which one is compared with the length of a memory and the other with
/// that of a table: each says what it was compared with, and not what the other was.
#[test]
fn an_index_of_a_memory_stays_one_if_a_copy_becomes_that_of_a_table() {
    let access = |crossed: bool| {
        move |f: &mut Fun| {
            f.target = Target {
                memory_reservation_bytes: 1 << 20,
                memory_guard_bytes: 65536,
                ..Target::new(Default::default())
            };
            let (mut out, mut out_too) = (f.a.create_label(), f.a.create_label());
            f.a.and(edi, 63).unwrap();
            match crossed {
                true => f.a.lea(rsi, qword_ptr(rdi + 1)).unwrap(),
                false => f.a.mov(rsi, rdi).unwrap(),
            }
            f.a.cmp(rdi, qword_ptr(r15 + At::memory(1) + LENGTH as i32))
                .unwrap();
            f.a.ja(out).unwrap();
            f.a.cmp(rsi, qword_ptr(r15 + At::table(1) + LENGTH as i32))
                .unwrap();
            f.a.jae(out_too).unwrap();
            f.a.mov(rax, qword_ptr(r15 + At::memory(1))).unwrap();
            let index = if crossed { rsi } else { rdi };
            f.access().mov(eax, dword_ptr(rax + index + 0x8000)).unwrap();
            f.a.ret().unwrap();
            f.trap(&mut out, TrapCode::MemoryOutOfBounds);
            f.trap(&mut out_too, TrapCode::TableOutOfBounds);
        }
    };
    accept(I32_TO_I32, access(false));
    refuse(I32_TO_I32, Rule::MemoryAccess, access(true));
}

#[test]
fn a_far_offset_is_added_in_64_bits_and_compared() {
    let load = |compare: bool, imported_definition: bool| {
        move |f: &mut Fun| {
            let mut out = f.a.create_label();
            f.a.mov(rcx, 0x7fff_0000u64).unwrap();
            f.a.add(rcx, rdi).unwrap();
            f.a.mov(
                rax,
                qword_ptr(r15 + At::memory(0) + if imported_definition { 8 } else { 0 }),
            )
            .unwrap();
            if compare {
                f.a.cmp(rcx, qword_ptr(rax + LENGTH)).unwrap();
            } else {
                f.a.test(rcx, rcx).unwrap();
            }
            f.a.ja(out).unwrap();
            f.access().mov(eax, dword_ptr(r14 + rcx)).unwrap();
            f.a.ret().unwrap();
            f.trap(&mut out, TrapCode::MemoryOutOfBounds);
        }
    };
    accept(I32_TO_I32, load(true, true));
    refuse(I32_TO_I32, Rule::MemoryAccess, load(false, true));
    refuse(I32_TO_I32, Rule::TrapSite, load(true, false)); // that reads the memory itself
}

#[test]
fn a_memory_size_fits_32_bits() {
    let size = |shift: u32| {
        then_return(move |f| {
            f.a.mov(rax, qword_ptr(r15 + At::memory(1) + LENGTH as i32))?;
            f.a.shr(rax, shift)?;
            f.access().mov(eax, dword_ptr(r14 + rax))
        })
    };
    accept(I32_TO_I32, size(16));
    refuse(I32_TO_I32, Rule::MemoryAccess, size(0));
}

#[test]
fn the_context_is_accessed_by_field() {
    let load = |offset: i32| then_return(move |f| f.a.mov(rax, qword_ptr(r15 + offset)));
    accept(I64_TO_I64, load(At::global(2)));
    for offset in [
        STORE as i32,
        BASE as i32 + 4,
        -8,
        At::global(2) + 8,
        library_offset(LibCall::MemoryGrow) as i32,
        At::import(),
        1 << 20,
    ] {
        refuse(I64_TO_I64, Rule::ContextAccess, load(offset));
    }
    refuse(I64_TO_I64, Rule::ContextAccess, load(At::global(1))); // 8 bytes of an i32
    refuse(
        I64_TO_I64,
        Rule::Address,
        then_return(|f| f.a.mov(rax, qword_ptr(r15 + rdi))),
    );
    let store = |offset: i32| {
        then_return(move |f| {
            f.a.mov(eax, edi)?;
            f.a.mov(dword_ptr(r15 + offset), edi)
        })
    };
    accept(I64_TO_I64, store(At::global(1)));
    for offset in [
        At::global(2),
        At::memory(1),
        At::memory(1) + 8,
        At::table(1),
        At::signature(0),
        8,
        16,
        32,
    ] {
        refuse(I64_TO_I64, Rule::ContextAccess, store(offset));
    }
}

#[test]
fn globals_keep_type_and_mutability() {
    let imported = |wide: bool, disp: i32| {
        then_return(move |f| {
            f.a.mov(rcx, qword_ptr(r15 + At::global(0)))?;
            f.a.mov(rax, qword_ptr(rcx + disp))?;
            if wide {
                f.a.mov(qword_ptr(rcx), rdi)
            } else {
                f.a.add(dword_ptr(rcx), 1)
            }
        })
    };
    accept(I64_TO_I64, imported(true, 0));
    accept(I64_TO_I64, imported(false, 0));
    refuse(I64_TO_I64, Rule::Address, imported(true, 8));
    accept(
        FLOAT,
        then_return(|f| f.a.movsd_2(qword_ptr(r15 + At::global(3)), xmm0)),
    );
    refuse(
        FLOAT,
        Rule::ContextAccess,
        then_return(|f| f.a.movsd_2(qword_ptr(r15 + At::global(2)), xmm0)),
    );
}

#[test]
fn constants_are_read_inside_the_artifact() {
    let load = |code: Code, register: Register, offset: i64| {
        then_return(move |f: &mut Fun| {
            f.rodata = vec![0; 32];
            f.rodata_operand(code, register, offset);
            Ok(())
        })
    };
    accept(FLOAT, load(Code::Movsd_xmm_xmmm64, Register::XMM1, 24));
    accept(FLOAT, load(Code::Andps_xmm_xmmm128, Register::XMM0, 16));
    accept(FLOAT, load(Code::Movaps_xmm_xmmm128, Register::XMM0, 0));
    let from_memory = |f: &mut Fun| f.access().movaps(xmm0, xmmword_ptr(r14));
    refuse(FLOAT, Rule::Address, then_return(from_memory));
    refuse(
        FLOAT,
        Rule::Address,
        load(Code::Andps_xmm_xmmm128, Register::XMM0, 8),
    );
    refuse(
        FLOAT,
        Rule::Rodata,
        load(Code::Movsd_xmm_xmmm64, Register::XMM1, 28),
    );
    refuse(
        FLOAT,
        Rule::Rodata,
        load(Code::Movsd_xmm_xmmm64, Register::XMM1, -8),
    );
    refuse(
        FLOAT,
        Rule::Rodata,
        load(Code::Mov_r64_rm64, Register::RAX, -4096),
    );
    refuse(FLOAT, Rule::IndirectJump, load(Code::Lea_r64_m, Register::RAX, 0));
}

#[test]
fn stray_pointers_are_refused() {
    refuse(
        I64_TO_I64,
        Rule::Address,
        then_return(|f| f.access().mov(rax, qword_ptr(rdi))),
    );
    refuse(
        I32_TO_I32,
        Rule::Address,
        then_return(|f| f.access().mov(eax, dword_ptr(rdi))),
    );
    refuse(
        I64_TO_I64,
        Rule::Address,
        then_return(|f| f.access().mov(rax, qword_ptr(rdi + rdi))),
    );
    refuse(
        I64_TO_I64,
        Rule::Encoding,
        then_return(|f| f.access().db(&[0x48, 0x8b, 0x04, 0x25, 0, 0x10, 0, 0])), // mov rax, [0x1000]
    );
    refuse(
        I64_TO_I64,
        Rule::Encoding,
        then_return(|f| f.access().mov(rax, qword_ptr(rdi).gs())),
    );
}

#[test]
fn a_comparison_holds_of_every_copy() {
    let small = Target {
        memory_reservation_bytes: 1 << 20,
        memory_guard_bytes: 65536,
        ..Target::new(Default::default())
    };
    // The index is compared in one register and used from another, or from its slot.
    let through = |copy: fn(&mut CodeAssembler) -> Asm, again: fn(&mut CodeAssembler) -> Asm| {
        move |f: &mut Fun| {
            f.target = small;
            let mut out = f.a.create_label();
            f.a.sub(rsp, 24).unwrap();
            f.frame(24);
            f.a.mov(qword_ptr(rsp), rdi).unwrap();
            copy(&mut f.a).unwrap();
            f.a.cmp(rdi, qword_ptr(r15 + At::memory(1) + LENGTH as i32))
                .unwrap();
            f.a.ja(out).unwrap();
            again(&mut f.a).unwrap();
            f.a.mov(rax, qword_ptr(r15 + At::memory(1))).unwrap();
            f.access().mov(eax, dword_ptr(rax + rcx)).unwrap();
            f.a.add(rsp, 24).unwrap();
            f.frame(0);
            f.a.ret().unwrap();
            f.frame(24);
            f.trap(&mut out, TrapCode::MemoryOutOfBounds);
        }
    };
    let nothing = |_: &mut CodeAssembler| Ok(());
    accept(I32_TO_I32, through(|a| a.mov(rcx, rdi), nothing));
    accept(I32_TO_I32, through(|a| a.mov(ecx, edi), nothing));
    accept(I32_TO_I32, through(nothing, |a| a.mov(rcx, qword_ptr(rsp))));
    accept(I32_TO_I32, through(|a| a.mov(rcx, qword_ptr(rsp)), nothing));
    let changed = |copy, again| refuse(I32_TO_I32, Rule::MemoryAccess, through(copy, again));
    changed(|a| a.lea(ecx, ptr(rdi)), nothing);
    changed(
        |a| {
            a.mov(rcx, rdi)?;
            a.add(ecx, 1)
        },
        nothing,
    );
    changed(
        |a| {
            a.mov(rcx, rdi)?;
            a.add(edi, 1)
        },
        nothing,
    );
    changed(|a| a.add(dword_ptr(rsp), 1), |a| a.mov(rcx, qword_ptr(rsp)));
    changed(|a| a.mov(dword_ptr(rsp + 4), 0), |a| a.mov(rcx, qword_ptr(rsp)));
    // A 32-bit move of a 64-bit value is no copy, unless the upper half is known to be zero.
    let truncated = |a: &mut CodeAssembler| {
        a.mov(rcx, rdi)?;
        a.mov(edi, ecx)
    };
    refuse(I64_TO_I64, Rule::MemoryAccess, through(truncated, nothing));
    accept(I32_TO_I32, through(truncated, nothing));
}

/// What a condition makes of the low byte of a small number is small, and so is an index.
#[test]
fn a_byte_of_a_small_number_leaves_it_small() {
    let load = |clear: fn(&mut Fun)| {
        move |f: &mut Fun| {
            clear(f);
            f.a.test(rdi, rdi).unwrap();
            f.a.sete(al).unwrap();
            f.access().movzx(eax, byte_ptr(r14 + rax)).unwrap();
            f.a.ret().unwrap();
        }
    };
    accept(I64_TO_I64, load(|f| f.a.xor(eax, eax).unwrap()));
    accept(I64_TO_I64, load(|f| f.a.mov(eax, edi).unwrap()));
    refuse(
        I64_TO_I64,
        Rule::MemoryAccess,
        load(|f| f.a.mov(rax, rdi).unwrap()),
    );
    refuse(I64_TO_I64, Rule::Undefined, load(|_| ()));
}
