//! Rows of wide and bitwise arithmetic: what they read, which flags and which widths they leave.

use crate::harness::*;
use cellwall_abi::{CpuFeatures, TrapCode};
use cellwall_verify::Rule;
use iced_x86::IcedError;
use iced_x86::code_asm::*;

type Asm = Result<(), IcedError>;
type Step = fn(&mut CodeAssembler) -> Asm;
type Change = fn(&mut CpuFeatures);

/// With four registers of data and all flags defined: these instructions, then a return.
fn with(build: Step) -> impl FnOnce(&mut Fun) {
    move |f| {
        f.a.mov(rax, rdi).unwrap();
        f.a.mov(rcx, rdi).unwrap();
        f.a.mov(rdx, rdi).unwrap();
        f.a.test(rdi, rdi).unwrap();
        build(&mut f.a).unwrap();
        f.a.ret().unwrap();
    }
}

/// Each reads and writes data; with a pointer or an unwritten register instead it is refused.
#[test]
fn sources_are_defined_data() {
    let pairs: [(Step, Step); 12] = [
        (|a| a.adc(rax, rcx), |a| a.adc(rax, r10)),
        (|a| a.adc(rax, 5), |a| a.adc(r10, 5)),
        (|a| a.sbb(eax, ecx), |a| a.sbb(r10d, ecx)),
        (|a| a.sbb(rax, rax), |a| a.sbb(r10, r10)),
        (|a| a.mul(rcx), |a| a.mul(r10)),
        (|a| a.mulx(rax, r10, rcx), |a| a.mulx(rax, rcx, r10)),
        (|a| a.bzhi(rax, rcx, rdx), |a| a.bzhi(rax, rcx, r10)),
        (|a| a.shld(rax, rcx, 7), |a| a.shld(rax, r10, 7)),
        (|a| a.shrd(rax, rdx, cl), |a| a.shrd(r10, rdx, cl)),
        (|a| a.bt(rax, rcx), |a| a.bt(rax, r10)),
        (|a| a.bt(rax, 63), |a| a.bt(r10, 63)),
        (|a| a.andn(rax, rcx, rdx), |a| a.andn(rax, r10, rdx)),
    ];
    for (good, bad) in pairs {
        accept(I64_TO_I64, with(good));
        refuse(I64_TO_I64, Rule::Undefined, with(bad));
    }
    refuse(I64_TO_I64, Rule::Kind, |f| {
        f.a.mov(rax, qword_ptr(r15 + At::memory(1))).unwrap();
        f.a.test(rdi, rdi).unwrap();
        f.a.adc(rax, rdi).unwrap();
        f.a.ret().unwrap();
    });
    refuse(I64_TO_I64, Rule::Kind, |f| {
        f.a.mov(rdx, qword_ptr(r15 + At::memory(1))).unwrap();
        f.a.mulx(rax, rcx, rdi).unwrap();
        f.a.ret().unwrap();
    });
}

/// The register that only the manual names: nobody has written it at entry.
#[test]
fn a_product_reads_rdx_or_rax() {
    let mulx = |f: &mut Fun, given: bool| {
        if given {
            f.a.mov(rdx, rdi).unwrap();
        }
        f.a.mulx(rax, rcx, rdi).unwrap();
        f.a.ret().unwrap();
    };
    accept(I64_TO_I64, |f| mulx(f, true));
    refuse(I64_TO_I64, Rule::Undefined, |f| mulx(f, false));
    let mul = |f: &mut Fun, given: bool| {
        if given {
            f.a.mov(rax, rdi).unwrap();
        }
        f.a.mul(rdi).unwrap();
        f.a.add(rax, rdx).unwrap();
        f.a.ret().unwrap();
    };
    accept(I64_TO_I64, |f| mul(f, true));
    refuse(I64_TO_I64, Rule::Undefined, |f| mul(f, false));
}

/// What each leaves in the flags, by the condition that may be read after it.
#[test]
fn flags_are_those_that_the_instruction_sets() {
    let pairs: [(Step, Step); 9] = [
        // A product without flags keeps them, the other one has two.
        (
            |a| a.mulx(rcx, r10, rax).and_then(|()| a.setle(al)),
            |a| a.mul(rcx).and_then(|()| a.setle(al)),
        ),
        (
            |a| a.mul(rcx).and_then(|()| a.seto(al)),
            |a| a.mul(rcx).and_then(|()| a.sete(al)),
        ),
        // A tested bit is in the carry; zero is left alone.
        (
            |a| a.bt(rcx, 5).and_then(|()| a.setb(al)),
            |a| a.bt(rcx, 5).and_then(|()| a.sets(al)),
        ),
        (
            |a| a.bt(rcx, rax).and_then(|()| a.setbe(al)),
            |a| a.bt(rcx, rax).and_then(|()| a.setl(al)),
        ),
        (
            |a| a.bzhi(rcx, rcx, rax).and_then(|()| a.setle(al)),
            |a| a.bzhi(rcx, rcx, rax).and_then(|()| a.setp(al)),
        ),
        // By a constant that is not zero, all but one.
        (
            |a| a.shld(rcx, rax, 3).and_then(|()| a.setbe(al)),
            |a| a.shld(rcx, rax, 3).and_then(|()| a.seto(al)),
        ),
        // By nothing, none changes; by a register, perhaps.
        (
            |a| a.shrd(rcx, rax, 64).and_then(|()| a.seto(al)),
            |a| a.shrd(rcx, rax, 65).and_then(|()| a.seto(al)),
        ),
        (
            |a| a.shld(rdx, rax, cl).and_then(|()| a.sets(al)),
            |a| a.shld(rdx, rax, cl).and_then(|()| a.seto(al)),
        ),
        (
            |a| a.adc(rcx, rax).and_then(|()| a.adc(rcx, rax)),
            |a| a.bsf(rcx, rax).and_then(|()| a.adc(rcx, rax)),
        ),
    ];
    for (good, bad) in pairs {
        accept(I64_TO_I64, with(good));
        refuse(I64_TO_I64, Rule::Undefined, with(bad));
    }
    // Nobody's carry.
    refuse(I64_TO_I64, Rule::Undefined, |f| {
        f.a.mov(rax, rdi).unwrap();
        f.a.sbb(rax, rdi).unwrap();
        f.a.ret().unwrap();
    });
}

/// Results of 32 bits are indexes, those of 64 are not.
#[test]
fn narrow_results_are_zero_extended() {
    let pairs: [(Step, Step); 8] = [
        (|a| a.adc(esi, edi), |a| a.adc(rsi, rdi)),
        (|a| a.sbb(esi, edi), |a| a.sbb(rsi, rdi)),
        (|a| a.mulx(esi, r10d, edi), |a| a.mulx(rsi, r10, rdi)),
        (|a| a.mulx(r10d, esi, edi), |a| a.mulx(r10, rsi, rdi)),
        (|a| a.bzhi(esi, edi, edi), |a| a.bzhi(rsi, rdi, rdi)),
        (|a| a.shld(esi, edi, 3), |a| a.shld(rsi, rdi, 3)),
        (|a| a.shrd(esi, edi, cl), |a| a.shrd(rsi, rdi, cl)),
        (|a| a.rorx(esi, edi, 3), |a| a.rorx(rsi, rdi, 3)),
    ];
    let build = |step: Step| {
        move |f: &mut Fun| {
            f.a.mov(rsi, rdi).unwrap();
            f.a.mov(rcx, rdi).unwrap();
            f.a.mov(rdx, rdi).unwrap();
            f.a.test(rdi, rdi).unwrap();
            step(&mut f.a).unwrap();
            f.site(TrapCode::MemoryOutOfBounds)
                .mov(eax, dword_ptr(r14 + rsi))
                .unwrap();
            f.a.ret().unwrap();
        }
    };
    for (narrow, wide) in pairs {
        accept(I64_TO_I64, build(narrow));
        refuse(I64_TO_I64, Rule::MemoryAccess, build(wide));
    }
}

/// A bit of memory whose number is in a register lies up to 2^60 bytes away.
#[test]
fn bits_are_tested_in_registers_only() {
    accept(I64_TO_I64, with(|a| a.bt(rax, rcx)));
    for bad in [
        (|a| a.bt(dword_ptr(r14), ecx)) as Step,
        |a| a.bt(qword_ptr(r14), rcx),
        |a| a.bt(dword_ptr(r14), 3),
    ] {
        refuse(I64_TO_I64, Rule::Operand, with(bad));
    }
    // Those that change the bit have no row at all.
    for bad in [
        (|a| a.bts(rax, rcx)) as Step,
        |a| a.btr(rax, 3),
        |a| a.btc(rax, 3),
    ] {
        refuse(I64_TO_I64, Rule::NotAllowed, with(bad));
    }
}

/// With only one feature missing, exactly its instructions are refused.
#[test]
fn each_instruction_needs_its_own_feature() {
    let forms: [(Step, Change); 9] = [
        (|a| a.popcnt(rax, rcx), |f| f.popcnt = false),
        (|a| a.lzcnt(rax, rcx), |f| f.lzcnt = false),
        (|a| a.tzcnt(rax, rcx), |f| f.bmi1 = false),
        (|a| a.andn(rax, rcx, rdx), |f| f.bmi1 = false),
        (|a| a.blsr(rax, rcx), |f| f.bmi1 = false),
        (|a| a.mulx(rax, rcx, rdx), |f| f.bmi2 = false),
        (|a| a.bzhi(rax, rcx, rdx), |f| f.bmi2 = false),
        (|a| a.shlx(rax, rcx, rdx), |f| f.bmi2 = false),
        (|a| a.rorx(rax, rcx, 3), |f| f.bmi2 = false),
    ];
    let only = CpuFeatures {
        popcnt: true,
        lzcnt: true,
        bmi1: true,
        bmi2: true,
        ..CpuFeatures::default()
    };
    for (i, (step, _)) in forms.into_iter().enumerate() {
        for (j, (_, without)) in forms.into_iter().enumerate() {
            let mut features = only;
            without(&mut features);
            let mut alone = only;
            forms[i].1(&mut alone);
            let build = |f: &mut Fun| {
                f.features = features;
                with(step)(f);
            };
            if alone == features {
                refuse(I64_TO_I64, Rule::Feature, build);
            } else {
                assert_ne!(i, j);
                accept(I64_TO_I64, build);
            }
        }
    }
}
