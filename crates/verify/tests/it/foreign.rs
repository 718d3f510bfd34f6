//! V5: no code runs with the context or the base of another instance. Whatever would change, copy or
//! show the pinned pair is refused, and its neighbour with another register is not.

use crate::harness::*;
use cellwall_abi::context::{self, func_entry, library_offset};
use cellwall_abi::{LibCall, TrapCode};
use cellwall_base::FuncIdx;
use cellwall_verify::{Rule, verify};
use iced_x86::code_asm::*;

type Asm = Result<(), iced_x86::IcedError>;
type Use1 = fn(&mut Fun) -> Asm;

/// A register in its widths.
#[derive(Clone, Copy)]
struct Widths(AsmRegister64, AsmRegister32, AsmRegister16, AsmRegister8);

const CONTEXT: Widths = Widths(r15, r15d, r15w, r15b);
const BASE: Widths = Widths(r14, r14d, r14w, r14b);
const FREE: Widths = Widths(r9, r9d, r9w, r9b);

/// These instructions in a frame of 24 bytes, with data in all caller-saved registers and `xmm0`.
fn framed(build: impl FnOnce(&mut Fun) -> Asm) -> impl FnOnce(&mut Fun) {
    move |f| {
        f.a.sub(rsp, 24).unwrap();
        f.frame(24);
        for register in [rax, rcx, rdx, rsi, r8, r9, r10, r11] {
            f.a.mov(register, rdi).unwrap();
        }
        f.a.movq(xmm0, rdi).unwrap();
        f.a.mov(qword_ptr(rsp + 8), rdi).unwrap();
        f.a.test(rdi, rdi).unwrap();
        build(f).unwrap();
        f.a.mov(rax, rdi).unwrap();
        f.a.add(rsp, 24).unwrap();
        f.frame(0);
        f.a.ret().unwrap();
    }
}

type Use = fn(&mut Fun, Widths) -> Asm;

fn only_of_free_registers(uses: &[Use]) {
    for (which, &build) in uses.iter().enumerate() {
        let with = |register| framed(move |f| build(f, register));
        if let Err(violation) = answer(I64_TO_I64, with(FREE)) {
            panic!("number {which} is refused: {violation}");
        }
        for register in [CONTEXT, BASE] {
            refuse(I64_TO_I64, Rule::Pinned, with(register));
        }
    }
}

#[test]
fn the_pinned_pair_is_not_written() {
    only_of_free_registers(&[
        |f, r| f.a.mov(r.0, rdi),
        |f, r| f.a.mov(r.1, edi),
        |f, r| f.a.mov(r.0, 8i64),
        |f, r| f.a.mov(r.0, qword_ptr(rsp + 8)),
        |f, r| f.a.mov(r.0, qword_ptr(r15 + At::global(2))),
        |f, r| f.access().mov(r.0, qword_ptr(r14 + 8)),
        |f, r| f.access().mov(r.1, dword_ptr(r14 + 8)),
        |f, r| f.access().movzx(r.1, byte_ptr(r14 + 8)),
        |f, r| f.a.movzx(r.1, dil),
        |f, r| f.a.movsx(r.0, di),
        |f, r| f.a.movsxd(r.0, edi),
        |f, r| f.a.lea(r.0, qword_ptr(rdi + 64)),
        |f, r| f.a.lea(r.1, qword_ptr(rdi + 64)),
        |f, r| f.a.add(r.0, 64),
        |f, r| f.a.sub(r.0, rdi),
        |f, r| f.a.and(r.0, -64),
        |f, r| f.a.xor(r.1, r.1),
        |f, r| f.a.sub(r.0, r.0),
        |f, r| f.a.or(r.0, qword_ptr(rsp + 8)),
        |f, r| f.a.imul_2(r.0, rdi),
        |f, r| f.a.imul_3(r.0, rdi, 3),
        |f, r| f.a.neg(r.0),
        |f, r| f.a.not(r.1),
        |f, r| f.a.bswap(r.0),
        |f, r| f.a.shl(r.0, 1),
        |f, r| f.a.ror(r.0, 5),
        |f, r| f.a.shld(r.0, rdi, 5),
        |f, r| f.a.bsf(r.0, rdi),
        |f, r| f.a.popcnt(r.0, rdi),
        |f, r| f.a.tzcnt(r.0, rdi),
        |f, r| f.a.andn(r.0, rdi, rsi),
        |f, r| f.a.shlx(r.0, rdi, rsi),
        |f, r| f.a.mulx(r.0, rcx, rdi),
        |f, r| f.a.mulx(rcx, r.0, rdi),
        |f, r| f.a.cmovne(r.0, rdi),
        |f, r| f.a.cmovne(r.1, edi),
        |f, r| f.a.setne(r.3),
        |f, r| f.a.adc(r.0, rdi),
        |f, r| f.a.movq(r.0, xmm0),
        |f, r| f.a.movd(r.1, xmm0),
        |f, r| f.a.cvttsd2si(r.0, xmm0),
        |f, r| f.access().xchg(qword_ptr(r14 + 8), r.0),
        |f, r| f.access().lock().xadd(qword_ptr(r14 + 8), r.0),
    ]);
}

#[test]
fn the_pinned_pair_is_no_value() {
    only_of_free_registers(&[
        |f, r| f.a.mov(rcx, r.0),
        |f, r| f.a.mov(ecx, r.1),
        |f, r| f.a.mov(qword_ptr(rsp), r.0),
        |f, r| f.access().mov(qword_ptr(r14 + 8), r.0),
        |f, r| f.access().mov(dword_ptr(r14 + 8), r.1),
        |f, r| f.access().mov(word_ptr(r14 + 8), r.2),
        |f, r| f.access().mov(byte_ptr(r14 + 8), r.3),
        |f, r| f.a.mov(dword_ptr(r15 + At::global(1)), r.1),
        |f, r| f.a.cmp(r.0, rdi),
        |f, r| f.a.cmp(rdi, r.0),
        |f, r| f.a.test(r.1, r.1),
        |f, r| f.a.bt(r.0, 3),
        |f, r| f.a.add(rcx, r.0),
        |f, r| f.a.mul(r.0),
        |f, r| f.a.cmove(rcx, r.0),
        |f, r| f.a.lea(rcx, qword_ptr(rdi + r.0)),
        |f, r| f.a.movq(xmm1, r.0),
        |f, r| f.a.cvtsi2sd(xmm1, r.0),
        |f, r| f.a.pinsrw(xmm0, r.1, 1),
        |f, r| f.access().lock().cmpxchg(qword_ptr(r14 + 8), r.0),
    ]);
    // Not as an index either, nor in part as an address that is computed and not accessed.
    for register in [r15, r14] {
        refuse(
            I64_TO_I64,
            Rule::Pinned,
            framed(move |f| f.access().mov(rax, qword_ptr(r14 + register))),
        );
    }
    refuse_any(|f| f.a.lea(rcx, qword_ptr(r15 + 8)));
    refuse_any(|f| f.a.lea(rcx, qword_ptr(r14 + rdi)));
    refuse_any(|f| f.access().mov(rax, qword_ptr(r15 + rdi)));
    refuse_any(|f| f.a.push(r15));
    refuse_any(|f| f.a.pop(r14));
}

#[track_caller]
fn refuse_any(build: fn(&mut Fun) -> Asm) {
    assert!(answer(I64_TO_I64, framed(build)).is_err(), "accepted");
}

/// What the foreign stub does, done by hand: context and code out of an entry.
#[test]
fn nobody_but_the_stub_enters_another_instance() {
    let entry = |build: fn(&mut Fun) -> Asm| {
        framed(move |f| {
            f.a.mov(r11d, 3)?;
            f.a.shl(r11, i32::from(func_entry::SHIFT))?;
            f.a.add(r11, qword_ptr(r15 + At::table(1)))?;
            build(f)
        })
    };
    accept(
        I64_TO_I64,
        entry(|f| f.a.cmp(dword_ptr(r11 + func_entry::SIGNATURE), I64_TO_I64 + 1)),
    );
    refuse(
        I64_TO_I64,
        Rule::Kind,
        entry(|f| f.a.mov(r15, qword_ptr(r11 + func_entry::CONTEXT))),
    );
    refuse(
        I64_TO_I64,
        Rule::Kind,
        entry(|f| f.a.mov(rcx, qword_ptr(r11 + func_entry::CODE))),
    );
    refuse(
        I64_TO_I64,
        Rule::Kind,
        entry(|f| f.a.cmp(qword_ptr(r11 + func_entry::CONTEXT), rdi)),
    );
    refuse(
        I64_TO_I64,
        Rule::Address,
        entry(|f| f.a.mov(qword_ptr(r11 + func_entry::CONTEXT), rdi)),
    );
    refuse(
        I64_TO_I64,
        Rule::IndirectCall,
        entry(|f| f.a.call(qword_ptr(r11 + func_entry::CODE))),
    );
    // The import's stub takes the context from the entry that the register names.
    let import = |name: fn(&mut Fun) -> Asm| {
        framed(move |f| {
            name(f)?;
            f.a.mov(edi, edi)?;
            f.a.call(qword_ptr(r15 + At::import()))?;
            f.a.mov(edi, eax)
        })
    };
    accept(
        I64_TO_I64,
        import(|f| f.a.lea(r11, qword_ptr(r15 + At::import()))),
    );
    refuse(I64_TO_I64, Rule::IndirectCall, import(|f| f.a.mov(r11, rdi)));
    refuse(
        I64_TO_I64,
        Rule::IndirectCall,
        import(|f| {
            f.a.mov(r11d, 3)?;
            f.a.shl(r11, i32::from(func_entry::SHIFT))?;
            f.a.add(r11, qword_ptr(r15 + At::table(1)))
        }),
    );
    refuse(
        I64_TO_I64,
        Rule::Kind,
        import(|f| {
            f.a.lea(r11, qword_ptr(r15 + At::import()))?;
            f.a.add(r11, 32)
        }),
    );
}

/// Whether the function under test is accepted and may be entered in any instance.
fn is_detached(ty: u32, build: impl FnOnce(&mut Fun)) -> bool {
    let verified = verify(artifact(ty, build)).unwrap_or_else(|violation| panic!("{violation}"));
    verified.is_detached(FuncIdx::from_u32(1))
}

#[test]
fn a_function_is_detached_if_it_needs_nothing_of_an_instance() {
    let attached: [Use1; 9] = [
        |f| f.access().mov(rcx, qword_ptr(r14 + 8)),
        |f| f.access().mov(byte_ptr(r14), al),
        |f| f.a.mov(rcx, qword_ptr(r15 + At::global(2))),
        |f| f.a.mov(dword_ptr(r15 + At::global(1)), 1),
        |f| f.a.mov(rcx, qword_ptr(r15 + context::BLOCK)),
        |f| {
            f.a.mov(edi, edi)?;
            f.a.call(CALLEE)?;
            f.a.mov(edi, eax)
        },
        |f| {
            f.a.lea(r11, qword_ptr(r15 + At::import()))?;
            f.a.mov(edi, edi)?;
            f.a.call(qword_ptr(r15 + At::import()))?;
            f.a.mov(edi, eax)
        },
        |f| {
            f.a.mov(edi, edi)?;
            f.a.call(qword_ptr(r15 + library_offset(LibCall::MemoryGrow) as i32))?;
            f.a.mov(rdi, rax)
        },
        |f| {
            f.a.cqo()?;
            f.site(TrapCode::IntegerDivisionByZero).div(rdi)?;
            f.a.mov(rdi, rax)
        },
    ];
    for (which, build) in attached.into_iter().enumerate() {
        if let Err(violation) = answer(I64_TO_I64, framed(build)) {
            panic!("number {which} is refused: {violation}");
        }
        assert!(!is_detached(I64_TO_I64, framed(build)), "number {which}");
    }
    let detached: [Use1; 4] = [
        |f| f.a.add(rdi, 1),
        |f| f.a.mov(rdi, qword_ptr(rsp + 8)),
        |f| f.a.lea(rdi, qword_ptr(rdi + rdi)),
        |f| {
            f.a.cqo()?;
            f.a.mov(rdi, rdx)
        },
    ];
    for (which, build) in detached.into_iter().enumerate() {
        if let Err(violation) = answer(I64_TO_I64, framed(build)) {
            panic!("number {which} is refused: {violation}");
        }
        assert!(is_detached(I64_TO_I64, framed(build)), "number {which}");
    }
    // A tail call enters a function, and its neighbour, a loop, does not.
    assert!(!is_detached(I32_TO_I32, |f| f.a.jmp(CALLEE).unwrap()));
    assert!(is_detached(NOTHING, |f| {
        f.head();
        f.a.jmp(0u64).unwrap();
    }));
    // A function that the artifact has not is nobody's.
    let verified = verify(artifact(NOTHING, |f| f.a.ret().unwrap())).unwrap();
    assert!(verified.is_detached(FuncIdx::from_u32(1)));
    assert!(!verified.is_detached(FuncIdx::from_u32(0)));
}
