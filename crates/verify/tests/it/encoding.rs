//! V1: the allow-list and canonical encodings.

use crate::harness::*;
use cellwall_abi::CpuFeatures;
use cellwall_verify::{Rule, Violation};
use iced_x86::code_asm::*;

/// These bytes between defined registers and a return.
fn bytes(bytes: &[u8]) -> Result<(), Violation> {
    answer(I64_TO_I64, |f| {
        f.a.mov(rax, rdi).unwrap();
        f.a.mov(rcx, rdi).unwrap();
        f.a.mov(edx, edi).unwrap();
        f.a.mov(esi, edi).unwrap();
        f.a.xorps(xmm0, xmm0).unwrap();
        f.a.test(eax, eax).unwrap();
        f.a.db(bytes).unwrap();
        f.a.ret().unwrap();
    })
}

#[track_caller]
fn accepted(code: &[u8]) {
    if let Err(violation) = bytes(code) {
        panic!("{code:02x?} is refused: {violation}");
    }
}

#[track_caller]
fn refused(code: &[u8], rules: &[Rule]) {
    match bytes(code) {
        Ok(()) => panic!("{code:02x?} is accepted"),
        Err(violation) => assert!(rules.contains(&violation.rule), "{code:02x?}: {violation}"),
    }
}

#[test]
fn each_redundant_byte_is_refused() {
    let pair = |canonical: &[u8], other: &[u8]| {
        accepted(canonical);
        refused(other, &[Rule::Encoding]);
    };
    let add = [0x01, 0xd0]; // add eax, edx
    for prefix in [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x67, 0xf2, 0xf3, 0x40, 0x42] {
        pair(&add, &[prefix, 0x01, 0xd0]);
    }
    pair(&[0x48, 0x01, 0xd0], &[0x48, 0x48, 0x01, 0xd0]); // doubled REX
    pair(&[0x48, 0x01, 0xd0], &[0x4a, 0x01, 0xd0]); // REX.X without an index
    pair(&[0x48, 0x01, 0xd0], &[0x66, 0x48, 0x01, 0xd0]); // operand size beside REX.W
    pair(&[0x83, 0xc0, 0x01], &[0x41, 0x40, 0x83, 0xc0, 0x01]);
    pair(&[0xf3, 0x0f, 0xb8, 0xc1], &[0xf3, 0xf3, 0x0f, 0xb8, 0xc1]); // popcnt, doubled F3
    refused(&[0x66, 0xf3, 0x0f, 0xb8, 0xc1], &[Rule::NotAllowed]);
    pair(&[0x0f, 0x57, 0xc0], &[0x48, 0x0f, 0x57, 0xc0]); // xorps with an ignored REX.W
    pair(&[0x40, 0x0f, 0x94, 0xc6], &[0x40, 0x0f, 0x94, 0xce]); // sete sil, ignored field set
    pair(&[0x0f, 0x94, 0xc0], &[0x40, 0x0f, 0x94, 0xc0]); // sete al
    // nop [rax], and with a displacement of four bytes
    pair(&[0x0f, 0x1f, 0x00], &[0x0f, 0x1f, 0x40, 0x00]);
    pair(&[0x0f, 0x1f, 0x80, 0, 1, 0, 0], &[0x0f, 0x1f, 0x80, 1, 0, 0, 0]);
    pair(
        &[0x0f, 0x1f, 0x84, 0x00, 0, 1, 0, 0],
        &[0x0f, 0x1f, 0x84, 0x00, 1, 0, 0, 0],
    );
    pair(&[0x0f, 0x1f, 0x44, 0x00, 1], &[0x0f, 0x1f, 0x44, 0x00, 0]);
    pair(&[0x90], &[0x40, 0x90]);
    pair(&[0x66, 0x90], &[0x66, 0x66, 0x90]);
    // lea eax, [rax]: displacement of one byte, of four; lea with a SIB byte
    pair(&[0x8d, 0x00], &[0x8d, 0x40, 0x00]);
    pair(&[0x8d, 0x40, 0x01], &[0x8d, 0x80, 0x01, 0, 0, 0]);
    pair(&[0x8d, 0x00], &[0x8d, 0x04, 0x20]);
    // lea eax, [rax*8]
    accepted(&[0x8d, 0x04, 0xc5, 0, 0, 0, 0]);
    // VEX: shlx eax, eax, ecx; with X, with L, with a prefix
    accepted(&[0xc4, 0xe2, 0x71, 0xf7, 0xc0]);
    refused(&[0xc4, 0xa2, 0x71, 0xf7, 0xc0], &[Rule::Encoding]);
    refused(
        &[0xc4, 0xe2, 0x75, 0xf7, 0xc0],
        &[Rule::Decode, Rule::Encoding, Rule::NotAllowed],
    );
    refused(
        &[0x66, 0xc4, 0xe2, 0x71, 0xf7, 0xc0],
        &[Rule::Decode, Rule::Encoding],
    );
}

#[test]
fn a_branch_takes_no_prefix() {
    // jmp, jcc, call and ret with 66, 2e, 3e (hint, notrack), f2 (bnd); `c3` behind the first two
    for prefix in [0x66, 0x2e, 0x3e, 0xf2, 0x48] {
        let rules = [Rule::Encoding, Rule::NotAllowed, Rule::Decode];
        refused(&[prefix, 0xeb, 0x00], &rules);
        refused(&[prefix, 0xe9, 0, 0, 0, 0], &rules);
        refused(&[prefix, 0x74, 0x00], &rules);
        refused(&[prefix, 0xe8, 0, 0, 0, 0], &rules);
        refused(&[prefix, 0xc3], &rules);
    }
}

#[test]
fn only_forms_with_a_row_are_accepted() {
    accepted(&[0x31, 0xd0]); // xor eax, edx
    let forms: &[&[u8]] = &[
        &[0x0f, 0x05],                   // syscall
        &[0x0f, 0x34],                   // sysenter
        &[0xcd, 0x80],                   // int 0x80
        &[0xcc],                         // int3
        &[0xf1],                         // int1
        &[0xf4],                         // hlt
        &[0x0f, 0x31],                   // rdtsc
        &[0x0f, 0x01, 0xf9],             // rdtscp
        &[0x0f, 0xa2],                   // cpuid
        &[0x0f, 0xc7, 0xf0],             // rdrand eax
        &[0x0f, 0xc7, 0xf8],             // rdseed eax
        &[0x0f, 0x01, 0xef],             // wrpkru
        &[0x0f, 0x01, 0xd0],             // xgetbv
        &[0xf3, 0x48, 0x0f, 0xae, 0xd0], // wrfsbase rax
        &[0x0f, 0xae, 0x10],             // ldmxcsr [rax]
        &[0xdb, 0xe3],                   // fninit
        &[0x0f, 0x77],                   // emms
        &[0xf3, 0xaa],                   // rep stosb
        &[0xa4],                         // movsb
        &[0x50],                         // push rax
        &[0x58],                         // pop rax
        &[0x9c],                         // pushfq
        &[0x9d],                         // popfq
        &[0xc9],                         // leave
        &[0xc8, 0, 0, 0],                // enter
        &[0x48, 0x91],                   // xchg rax, rcx
        &[0xfc],                         // cld
        &[0xfd],                         // std
        &[0xc2, 0, 0],                   // ret 0
        &[0xcb],                         // retf
        &[0x48, 0xcf],                   // iretq
        &[0xe3, 0x00],                   // jrcxz
        &[0xe2, 0x00],                   // loop
        &[0xd7],                         // xlat
        &[0x8e, 0xd8],                   // mov ds, eax
        &[0x8c, 0xd8],                   // mov eax, ds
        &[0xc5, 0xf8, 0x77],             // vzeroupper
        &[0xf3, 0x90],                   // pause
    ];
    for form in forms {
        refused(form, &[Rule::NotAllowed]);
    }
    refused(&[0x0f, 0xb1, 0xd0], &[Rule::Encoding]); // cmpxchg eax, edx: only locked, of memory
    refused(&[0x06], &[Rule::Decode]); // push es: no instruction in 64-bit mode
}

#[test]
fn a_feature_is_needed_before_its_instruction() {
    for present in [true, false] {
        let build = |f: &mut Fun| {
            if !present {
                f.features = CpuFeatures::default();
            }
            f.a.popcnt(rax, rdi).unwrap();
            f.a.ret().unwrap();
        };
        if present {
            accept(I64_TO_I64, build);
        } else {
            refuse(I64_TO_I64, Rule::Feature, build);
        }
    }
}

#[test]
fn some_operands_are_never_permitted() {
    accepted(&[0x88, 0xc1]); // mov cl, al
    refused(&[0x88, 0xe1], &[Rule::Operand]); // mov cl, ah
    refused(&[0x66, 0x01, 0xd0], &[Rule::Operand]); // add ax, dx
    let pinned = |build: fn(&mut CodeAssembler)| {
        refuse(I64_TO_I64, Rule::Pinned, |f| {
            build(&mut f.a);
            f.a.ret().unwrap();
        });
    };
    pinned(|a| a.mov(r15, rdi).unwrap());
    pinned(|a| a.mov(r14, rdi).unwrap());
    pinned(|a| a.mov(r14d, edi).unwrap());
    pinned(|a| a.mov(rax, r15).unwrap());
    pinned(|a| a.lea(rax, qword_ptr(r14 + rdi)).unwrap());
    pinned(|a| a.add(r14, 16).unwrap());
    pinned(|a| a.xor(r15, r15).unwrap());
    pinned(|a| a.popcnt(r15, rdi).unwrap());
    pinned(|a| a.cmp(r15, rdi).unwrap());
}

#[test]
fn registers_are_written_before_they_are_read() {
    accept(I64_TO_I64, |f| {
        f.a.lea(rax, qword_ptr(rdi + rdi * 4 + 3)).unwrap();
        f.a.ret().unwrap();
    });
    refuse(I64_TO_I64, Rule::Undefined, |f| {
        f.a.lea(rax, qword_ptr(rdi + r10 * 4 + 3)).unwrap();
        f.a.ret().unwrap();
    });
    refuse(NOTHING, Rule::Undefined, |f| {
        f.a.addsd(xmm0, xmm0).unwrap();
        f.a.ret().unwrap();
    });
    // A byte of a register is not the register.
    let set = |f: &mut Fun, extend: bool| {
        f.a.test(rdi, rdi).unwrap();
        f.a.sete(al).unwrap();
        if extend {
            f.a.movzx(eax, al).unwrap();
        }
        f.a.ret().unwrap();
    };
    accept(I64_TO_I64, |f| set(f, true));
    refuse(I64_TO_I64, Rule::Undefined, |f| set(f, false));
}
