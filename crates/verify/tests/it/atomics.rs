//! Atomic accesses: only of memories, only of data, locked, and what they leave in registers.

use crate::harness::*;
use cellwall_abi::context::definition::LENGTH;
use cellwall_verify::Rule;
use iced_x86::code_asm::*;

type Asm = Result<(), iced_x86::IcedError>;

/// These instructions, then a return of data.
fn then_return(build: impl FnOnce(&mut Fun) -> Asm) -> impl FnOnce(&mut Fun) {
    move |f| {
        f.a.mov(esi, edi).unwrap();
        build(f).unwrap();
        f.a.mov(eax, edi).unwrap();
        f.a.ret().unwrap();
    }
}

#[test]
fn memories_are_exchanged_added_to_and_compared() {
    accept(
        I32_TO_I32,
        then_return(|f| f.access().xchg(dword_ptr(r14 + rsi), edi)),
    );
    accept(
        I32_TO_I32,
        then_return(|f| f.access().xchg(word_ptr(r14 + rsi), di)),
    );
    accept(
        I32_TO_I32,
        then_return(|f| f.access().lock().xadd(dword_ptr(r14 + rsi), edi)),
    );
    accept(
        I32_TO_I32,
        then_return(|f| f.access().lock().xadd(word_ptr(r14 + rsi), di)),
    );
    accept(
        I32_TO_I32,
        then_return(|f| f.access().lock().xadd(byte_ptr(r14 + rsi), dil)),
    );
    accept(I32_TO_I32, then_return(|f| f.a.mfence()));
    let compare = |f: &mut Fun| {
        f.a.mov(eax, edi)?;
        f.access().lock().cmpxchg(qword_ptr(r14 + rsi), rdi)
    };
    accept(I32_TO_I32, then_return(compare));
}

#[test]
fn what_is_not_locked_is_refused_and_what_is_locked_needlessly_too() {
    refuse(
        I32_TO_I32,
        Rule::Encoding,
        then_return(|f| f.access().xadd(dword_ptr(r14 + rsi), edi)),
    );
    refuse(
        I32_TO_I32,
        Rule::Encoding,
        then_return(|f| f.access().lock().add(dword_ptr(r14 + rsi), edi)),
    );
    refuse(
        I32_TO_I32,
        Rule::Encoding,
        then_return(|f| f.access().lock().xchg(dword_ptr(r14 + rsi), edi)),
    );
    refuse(
        I32_TO_I32,
        Rule::Encoding,
        then_return(|f| {
            f.a.mov(eax, edi)?;
            f.access().cmpxchg(dword_ptr(r14 + rsi), edi)
        }),
    );
    // `mfence` with a field that says nothing.
    refuse_any(I32_TO_I32, then_return(|f| f.a.db(&[0x0f, 0xae, 0xf1])));
}

#[test]
fn only_memories_take_part() {
    refuse(I32_TO_I32, Rule::Operand, then_return(|f| f.a.xchg(edi, esi)));
    for field in [
        At::global(2),
        At::memory(1),
        At::memory(1) + LENGTH as i32,
        At::table(1),
        At::import(),
    ] {
        refuse_any(
            I64_TO_I64,
            then_return(move |f| f.access().xchg(qword_ptr(r15 + field), rdi)),
        );
        refuse_any(
            I64_TO_I64,
            then_return(move |f| f.access().lock().xadd(qword_ptr(r15 + field), rdi)),
        );
    }
    // Not even a mutable global, or the own frame.
    refuse(
        I32_TO_I32,
        Rule::Operand,
        then_return(|f| f.a.xchg(dword_ptr(r15 + At::global(1)), edi)),
    );
    let in_frame = |f: &mut Fun| {
        f.a.sub(rsp, 24).unwrap();
        f.frame(24);
        f.a.mov(qword_ptr(rsp + 8), rdi).unwrap();
        f.access().lock().xadd(qword_ptr(rsp + 8), rdi).unwrap();
        f.a.add(rsp, 24).unwrap();
        f.frame(0);
        f.a.mov(rax, rdi).unwrap();
        f.a.ret().unwrap();
    };
    refuse(I64_TO_I64, Rule::Operand, in_frame);
}

#[test]
fn only_data_goes_there() {
    let base = |f: &mut Fun| -> Asm {
        f.a.mov(rcx, qword_ptr(r15 + At::memory(1)))?;
        f.access().xchg(qword_ptr(r14 + rsi), rcx)
    };
    refuse(I32_TO_I32, Rule::Kind, then_return(base));
    let compared = |f: &mut Fun| -> Asm {
        f.a.mov(rax, qword_ptr(r15 + At::memory(1)))?;
        f.access().lock().cmpxchg(qword_ptr(r14 + rsi), rdi)
    };
    refuse(I32_TO_I32, Rule::Kind, then_return(compared));
    // Residue: nothing wrote rcx, or rax.
    refuse(
        I32_TO_I32,
        Rule::Undefined,
        then_return(|f| f.access().xchg(dword_ptr(r14 + rsi), ecx)),
    );
    refuse(
        I32_TO_I32,
        Rule::Undefined,
        then_return(|f| f.access().lock().cmpxchg(dword_ptr(r14 + rsi), edi)),
    );
    // The pinned registers are no operands.
    refuse(
        I32_TO_I32,
        Rule::Pinned,
        then_return(|f| f.access().xchg(qword_ptr(r14 + rsi), r15)),
    );
    refuse(
        I32_TO_I32,
        Rule::StackPointer,
        then_return(|f| f.access().xchg(qword_ptr(r14 + rsi), rsp)),
    );
}

#[test]
fn a_result_is_an_index_only_if_it_is_zero_extended() {
    let then_load = |make: fn(&mut Fun) -> Asm, index: AsmRegister64| {
        then_return(move |f| {
            make(f)?;
            f.access().mov(ecx, dword_ptr(r14 + index))
        })
    };
    accept(
        I64_TO_I64,
        then_load(|f| f.access().xchg(dword_ptr(r14 + rsi), edi), rdi),
    );
    refuse(
        I64_TO_I64,
        Rule::MemoryAccess,
        then_load(|f| f.access().xchg(qword_ptr(r14 + rsi), rdi), rdi),
    );
    // The upper bytes stay what they were.
    refuse(
        I64_TO_I64,
        Rule::MemoryAccess,
        then_load(|f| f.access().xchg(word_ptr(r14 + rsi), di), rdi),
    );
    accept(
        I32_TO_I32,
        then_load(|f| f.access().xchg(word_ptr(r14 + rsi), di), rdi),
    );
    // `cmpxchg` writes rax or leaves it, so that 32 bits do not zero-extend.
    let compare = |wide: bool| -> fn(&mut Fun) -> Asm {
        match wide {
            true => |f| {
                f.a.mov(rax, rdi)?;
                f.access().lock().cmpxchg(dword_ptr(r14 + rsi), edi)
            },
            false => |f| {
                f.a.mov(eax, edi)?;
                f.access().lock().cmpxchg(dword_ptr(r14 + rsi), edi)
            },
        }
    };
    accept(I64_TO_I64, then_load(compare(false), rax));
    refuse(I64_TO_I64, Rule::MemoryAccess, then_load(compare(true), rax));
}

#[test]
fn atomic_accesses_are_trap_sites_and_stay_in_bounds() {
    refuse(
        I32_TO_I32,
        Rule::TrapSite,
        then_return(|f| f.a.xchg(dword_ptr(r14 + rsi), edi)),
    );
    refuse(
        I64_TO_I64,
        Rule::MemoryAccess,
        then_return(|f| f.access().lock().xadd(dword_ptr(r14 + rdi), esi)),
    );
    refuse(
        I32_TO_I32,
        Rule::MemoryAccess,
        then_return(|f| f.access().lock().xadd(dword_ptr(r14 + rsi - 4), edi)),
    );
    // What was compared before is another value now.
    refuse(I64_TO_I64, Rule::MemoryAccess, |f| {
        f.memory64 = true;
        let mut out = f.a.create_label();
        f.a.mov(esi, edi).unwrap();
        f.a.cmp(rdi, qword_ptr(r15 + At::memory(1) + LENGTH as i32))
            .unwrap();
        f.a.ja(out).unwrap();
        f.a.mov(rax, qword_ptr(r15 + At::memory(1))).unwrap();
        f.access().xchg(qword_ptr(r14 + rsi), rdi).unwrap();
        f.access().mov(rax, qword_ptr(rax + rdi)).unwrap();
        f.a.ret().unwrap();
        f.trap(&mut out, cellwall_abi::TrapCode::MemoryOutOfBounds);
    });
}

/// The function must be refused, by whichever rule is asked first.
#[track_caller]
fn refuse_any(ty: u32, build: impl FnOnce(&mut Fun)) {
    assert!(answer(ty, build).is_err(), "accepted");
}
