//! Vector registers: what of them is defined, how wide memory operands are, and their encodings.

use crate::harness::*;
use cellwall_abi::{CpuFeatures, Target, TrapCode};
use cellwall_verify::Rule;
use iced_x86::code_asm::*;
use iced_x86::{Code, IcedError, Register};

type Asm = Result<(), IcedError>;
/// Assembles something.
type Build = fn(&mut CodeAssembler) -> Asm;
/// Likewise, with a displacement.
type Access = fn(&mut CodeAssembler, i32) -> Asm;
/// Grants a feature.
type Give = fn(&mut CpuFeatures);
/// Makes a function.
type Make = Box<dyn FnOnce(&mut Fun)>;

const EVERYTHING: CpuFeatures = CpuFeatures {
    popcnt: true,
    lzcnt: true,
    bmi1: true,
    bmi2: true,
    avx: true,
    avx2: true,
    fma: true,
};

/// These instructions between the arguments and a return.
fn body(build: impl Fn(&mut CodeAssembler) -> Asm) -> impl FnOnce(&mut Fun) {
    move |f| {
        f.features = EVERYTHING;
        build(&mut f.a).unwrap();
        f.a.ret().unwrap();
    }
}

/// Accepted with all bytes of `xmm0` (a vector), refused with fewer (a double or a float).
#[track_caller]
fn needs(bytes: u32, build: Build) {
    for (ty, defined) in [(FLOAT_32, 4), (FLOAT_64, 8), (VECTOR, 16)] {
        if defined >= bytes {
            accept(ty, body(build));
        } else {
            refuse(ty, Rule::Undefined, body(build));
        }
    }
}

#[test]
fn no_instruction_shows_bytes_that_nobody_wrote() {
    for show in [
        (|a| a.movmskps(eax, xmm0)) as Build,
        |a| a.movmskpd(eax, xmm0),
        |a| a.pmovmskb(eax, xmm0),
        |a| a.pextrq(rax, xmm0, 1),
        |a| a.pextrb(eax, xmm0, 15),
        |a| a.ptest(xmm0, xmm0),
        |a| a.pshufb(xmm0, xmm0),
        |a| a.punpckhqdq(xmm0, xmm0),
        |a| a.psrldq(xmm0, 8),
        |a| a.pshufd(xmm0, xmm0, 1),
        |a| a.shufps(xmm0, xmm0, 0x40),
        |a| a.vpalignr(xmm1, xmm0, xmm0, 8),
        |a| a.packssdw(xmm0, xmm0),
        |a| a.pinsrd(xmm0, edi, 3),
        |a| a.vpinsrb(xmm1, xmm0, edi, 3),
        |a| a.movups(xmmword_ptr(r15 + At::global(4)), xmm0),
        |a| a.vmovups(xmmword_ptr(r15 + At::global(4)), xmm0),
        |a| a.vcvtpd2ps(xmm1, xmm0),
    ] {
        needs(16, show);
    }
    for show in [
        (|a| a.movq(rax, xmm0)) as Build,
        |a| a.movddup(xmm0, xmm0),
        |a| a.pmovsxwd(xmm0, xmm0),
        |a| a.vpbroadcastq(xmm0, xmm0),
        |a| a.punpcklbw(xmm0, xmm0),
        |a| a.paddq(xmm0, xmm0),
        |a| a.psllw(xmm0, xmm0),
        |a| a.addsd(xmm0, xmm0),
        |a| a.vsqrtsd(xmm1, xmm7, xmm0),
        |a| a.ucomisd(xmm0, xmm0),
        |a| a.cvttsd2si(eax, xmm0),
        |a| a.movsd_2(qword_ptr(r15 + At::global(3)), xmm0),
    ] {
        needs(8, show);
    }
    for show in [
        (|a| a.movd(eax, xmm0)) as Build,
        |a| a.pshufd(xmm0, xmm0, 0),
        |a| a.vpbroadcastb(xmm0, xmm0),
        |a| a.pmovsxbd(xmm0, xmm0),
        |a| a.paddd(xmm0, xmm0),
        |a| a.andps(xmm0, xmm0),
        |a| a.vfmadd231ps(xmm0, xmm0, xmm0),
        |a| a.vsqrtss(xmm1, xmm7, xmm0),
        |a| a.ucomiss(xmm0, xmm0),
    ] {
        needs(4, show);
    }
    // The neighbour register was never written.
    for show in [
        (|a| a.vpaddd(xmm0, xmm0, xmm7)) as Build,
        |a| a.vpblendvb(xmm0, xmm0, xmm0, xmm7),
        |a| a.vfmadd231ps(xmm7, xmm0, xmm0),
        |a| a.vpcmpeqd(xmm0, xmm0, xmm7),
        |a| a.pinsrd(xmm7, edi, 0),
        |a| a.insertps(xmm7, xmm0, 0),
        |a| a.movhps(xmm7, qword_ptr(r15 + At::global(3))),
    ] {
        refuse(VECTOR, Rule::Undefined, body(show));
    }
}

/// What an instruction makes of its sources: tried by what may follow it.
#[test]
fn a_result_is_as_defined_as_its_sources() {
    let then = |ty: u32, bytes: u32, make: Build| {
        let uses: [(u32, Build); 3] = [
            (4, |a| a.movd(eax, xmm1)),
            (8, |a| a.movq(rax, xmm1)),
            (16, |a| a.pmovmskb(eax, xmm1)),
        ];
        for (width, show) in uses {
            let code = body(move |a| make(a).and_then(|()| show(a)));
            if width <= bytes {
                accept(ty, code);
            } else {
                refuse(ty, Rule::Undefined, code);
            }
        }
    };
    for (ty, bytes) in [(FLOAT_32, 4), (FLOAT_64, 8), (VECTOR, 16)] {
        then(ty, bytes, |a| a.movaps(xmm1, xmm0));
        then(ty, bytes, |a| a.vpaddd(xmm1, xmm0, xmm0));
        then(ty, bytes, |a| a.vaddss(xmm1, xmm0, xmm0));
        then(ty, bytes, |a| a.pabsd(xmm1, xmm0));
        then(ty, bytes, |a| a.vblendvps(xmm1, xmm0, xmm0, xmm0));
        then(ty, bytes.min(8), |a| a.movsd_2(xmm1, xmm0));
        then(ty, bytes.max(8), |a| a.vcvtss2sd(xmm1, xmm0, xmm0));
        // Whatever was there, and whatever is there beside the lanes that are read.
        for make in [
            (|a| a.vpxor(xmm1, xmm7, xmm7)) as Build,
            |a| a.pcmpeqd(xmm1, xmm1),
            |a| a.xorps(xmm1, xmm1),
            |a| a.vpcmpeqq(xmm1, xmm7, xmm7),
            |a| a.vpbroadcastd(xmm1, xmm0),
            |a| a.pshufd(xmm1, xmm0, 0),
            |a| a.pmovzxbq(xmm1, xmm0),
            |a| a.movd(xmm1, edi),
            |a| a.movss(xmm1, dword_ptr(r15 + At::global(1))),
        ] {
            then(ty, 16, make);
        }
    }
    // The rest is as it was: undefined, or the second operand's.
    then(VECTOR, 4, |a| a.movss(xmm1, xmm0));
    then(VECTOR, 4, |a| a.sqrtss(xmm1, xmm0));
    then(VECTOR, 4, |a| a.cvtsi2ss(xmm1, edi));
    then(VECTOR, 4, |a| a.vcvtsi2ss(xmm1, xmm7, edi));
    then(VECTOR, 16, |a| a.vcvtsi2ss(xmm1, xmm0, edi));
    then(VECTOR, 8, |a| a.vmovsd_3(xmm1, xmm7, xmm0));
    then(VECTOR, 16, |a| a.vmovsd_3(xmm1, xmm0, xmm0));
    then(VECTOR, 8, |a| a.movlps(xmm1, qword_ptr(r15 + At::global(3))));
    then(VECTOR, 16, |a| {
        a.insertps(xmm0, xmm0, 0).and_then(|()| a.movaps(xmm1, xmm0))
    });
    then(VECTOR, 16, |a| a.vinsertps(xmm1, xmm0, xmm0, 0x10));
}

/// A vector argument or result is sixteen bytes, a double eight, a float four.
#[test]
fn arguments_and_results_are_as_wide_as_their_types() {
    let result = |make: Build| {
        move |f: &mut Fun| {
            f.features = EVERYTHING;
            make(&mut f.a).unwrap();
            f.a.ret().unwrap();
        }
    };
    for ty in [FLOAT_32, FLOAT_64, VECTOR] {
        accept(ty, result(|_| Ok(())));
        accept(ty, result(|a| a.pxor(xmm0, xmm0)));
        refuse(ty, Rule::Undefined, result(|a| a.movss(xmm0, xmm7)));
    }
    accept(
        FLOAT_32,
        result(|a| a.sqrtss(xmm1, xmm0).and_then(|()| a.movaps(xmm0, xmm1))),
    );
    refuse(
        FLOAT_64,
        Rule::Undefined,
        result(|a| a.sqrtss(xmm1, xmm0).and_then(|()| a.movaps(xmm0, xmm1))),
    );
    refuse(
        VECTOR,
        Rule::Undefined,
        result(|a| a.sqrtsd(xmm1, xmm0).and_then(|()| a.movaps(xmm0, xmm1))),
    );
}

/// A slot holds as much as was stored.
#[test]
fn slots_remember_how_much_of_a_register_they_hold() {
    let spill = |store: Build, load: Build| {
        move |f: &mut Fun| {
            f.a.sub(rsp, 40).unwrap();
            f.frame(40);
            store(&mut f.a).unwrap();
            load(&mut f.a).unwrap();
            f.a.add(rsp, 40).unwrap();
            f.frame(0);
            f.a.ret().unwrap();
        }
    };
    let wide = spill(
        |a| a.movups(xmmword_ptr(rsp + 8), xmm0),
        |a| a.movups(xmm0, xmmword_ptr(rsp + 8)),
    );
    for ty in [FLOAT_32, FLOAT_64, VECTOR] {
        accept(ty, wide);
    }
    let half = spill(
        |a| a.movsd_2(qword_ptr(rsp + 8), xmm0),
        |a| a.movsd_2(xmm0, qword_ptr(rsp + 8)),
    );
    accept(FLOAT_32, half);
    accept(FLOAT_64, half);
    accept(VECTOR, half); // a load makes the rest zero
    let narrow = spill(
        |a| a.movss(dword_ptr(rsp + 8), xmm0),
        |a| a.movss(xmm0, dword_ptr(rsp + 8)),
    );
    accept(FLOAT_32, narrow);
    let wider = spill(
        |a| a.movsd_2(qword_ptr(rsp + 8), xmm0),
        |a| a.movups(xmm0, xmmword_ptr(rsp + 8)),
    );
    accept(FLOAT_64, wider);
    refuse(VECTOR, Rule::Undefined, wider);
    let wider = spill(
        |a| a.movss(dword_ptr(rsp + 8), xmm0),
        |a| a.movsd_2(xmm0, qword_ptr(rsp + 8)),
    );
    accept(FLOAT_32, wider);
    refuse(FLOAT_64, Rule::Undefined, wider);
    let never = spill(|_| Ok(()), |a| a.movups(xmm0, xmmword_ptr(rsp + 8)));
    refuse(FLOAT_32, Rule::Undefined, never);
    // A register of which nothing is defined is no value to keep, and a pointer no part of one.
    refuse(
        VECTOR,
        Rule::Undefined,
        spill(|a| a.movups(xmmword_ptr(rsp + 8), xmm7), |_| Ok(())),
    );
    let pointer = |f: &mut Fun, at: i32| {
        f.a.sub(rsp, 40).unwrap();
        f.frame(40);
        f.a.mov(rax, qword_ptr(r15 + At::memory(1))).unwrap();
        f.a.mov(qword_ptr(rsp + 16), rax).unwrap();
        f.a.movups(xmmword_ptr(rsp + 24), xmm0).unwrap();
        f.a.movups(xmm0, xmmword_ptr(rsp + at)).unwrap();
        f.a.add(rsp, 40).unwrap();
        f.frame(0);
        f.a.ret().unwrap();
    };
    accept(VECTOR, |f| pointer(f, 24));
    refuse(VECTOR, Rule::Kind, |f| pointer(f, 16));
    refuse(VECTOR, Rule::Undefined, |f| pointer(f, 8));
    // What is stored over a pointer, in either half, is none.
    let over = |f: &mut Fun, at: i32| {
        f.a.sub(rsp, 40).unwrap();
        f.frame(40);
        f.a.mov(rax, qword_ptr(r15 + At::memory(1))).unwrap();
        f.a.mov(qword_ptr(rsp + 16), rax).unwrap();
        f.a.movups(xmmword_ptr(rsp + at), xmm0).unwrap();
        f.a.mov(rax, qword_ptr(rsp + 16)).unwrap();
        f.access().mov(eax, dword_ptr(rax)).unwrap();
        f.a.add(rsp, 40).unwrap();
        f.frame(0);
        f.a.ret().unwrap();
    };
    accept(VECTOR, |f| over(f, 24));
    accept(VECTOR, |f| over(f, 0));
    refuse(VECTOR, Rule::Address, |f| over(f, 16));
    refuse(VECTOR, Rule::Address, |f| over(f, 8));
}

/// An access of a memory whose guard ends this many bytes behind its base.
fn at_the_end(width: i32, access: Access) -> [(bool, Make); 2] {
    [true, false].map(|inside| {
        let build = move |f: &mut Fun| {
            f.features = EVERYTHING;
            f.target = Target {
                memory_reservation_bytes: 0,
                memory_guard_bytes: 65536,
                ..Target::new(EVERYTHING)
            };
            access(f.access(), 65536 - width + i32::from(!inside)).unwrap();
            f.a.ret().unwrap();
        };
        (inside, Box::new(build) as Make)
    })
}

/// Every width of a memory operand, to the byte.
#[test]
fn a_memory_operand_is_as_wide_as_its_form() {
    let forms: [(i32, Access); 34] = [
        (16, |a, d| a.movups(xmm0, xmmword_ptr(r14 + d))),
        (16, |a, d| a.movups(xmmword_ptr(r14 + d), xmm0)),
        (16, |a, d| a.movdqu(xmm0, xmmword_ptr(r14 + d))),
        (16, |a, d| a.vmovups(xmm0, xmmword_ptr(r14 + d))),
        (16, |a, d| a.vpaddb(xmm0, xmm0, xmmword_ptr(r14 + d))),
        (16, |a, d| a.vpblendvb(xmm0, xmm0, xmmword_ptr(r14 + d), xmm0)),
        (16, |a, d| a.vpunpcklbw(xmm0, xmm0, xmmword_ptr(r14 + d))),
        (16, |a, d| a.vfmadd231ps(xmm0, xmm0, xmmword_ptr(r14 + d))),
        (16, |a, d| a.vpsllw(xmm0, xmm0, xmmword_ptr(r14 + d))),
        (16, |a, d| a.vptest(xmm0, xmmword_ptr(r14 + d))),
        (8, |a, d| a.movsd_2(xmm0, qword_ptr(r14 + d))),
        (8, |a, d| a.movhps(xmm0, qword_ptr(r14 + d))),
        (8, |a, d| a.movhps(qword_ptr(r14 + d), xmm0)),
        (8, |a, d| a.movlps(qword_ptr(r14 + d), xmm0)),
        (8, |a, d| a.movddup(xmm0, qword_ptr(r14 + d))),
        (8, |a, d| a.pmovsxbw(xmm0, qword_ptr(r14 + d))),
        (8, |a, d| a.pmovzxdq(xmm0, qword_ptr(r14 + d))),
        (8, |a, d| a.cvtdq2pd(xmm0, qword_ptr(r14 + d))),
        (8, |a, d| a.cvtps2pd(xmm0, qword_ptr(r14 + d))),
        (8, |a, d| a.vpbroadcastq(xmm0, qword_ptr(r14 + d))),
        (8, |a, d| a.pinsrq(xmm0, qword_ptr(r14 + d), 1)),
        (8, |a, d| a.pextrq(qword_ptr(r14 + d), xmm0, 1)),
        (4, |a, d| a.movss(xmm1, dword_ptr(r14 + d))),
        (4, |a, d| a.insertps(xmm0, dword_ptr(r14 + d), 0x10)),
        (4, |a, d| a.pmovzxbd(xmm0, dword_ptr(r14 + d))),
        (4, |a, d| a.vbroadcastss(xmm0, dword_ptr(r14 + d))),
        (4, |a, d| a.pinsrd(xmm0, dword_ptr(r14 + d), 1)),
        (4, |a, d| a.pextrd(dword_ptr(r14 + d), xmm0, 1)),
        (2, |a, d| a.pmovsxbq(xmm0, word_ptr(r14 + d))),
        (2, |a, d| a.vpbroadcastw(xmm0, word_ptr(r14 + d))),
        (2, |a, d| a.pinsrw(xmm0, word_ptr(r14 + d), 1)),
        (1, |a, d| a.vpbroadcastb(xmm0, byte_ptr(r14 + d))),
        (1, |a, d| a.pinsrb(xmm0, byte_ptr(r14 + d), 1)),
        (1, |a, d| a.pextrb(byte_ptr(r14 + d), xmm0, 1)),
    ];
    for (width, form) in forms {
        for (inside, build) in at_the_end(width, form) {
            if inside {
                accept(VECTOR, build);
            } else {
                refuse(VECTOR, Rule::MemoryAccess, build);
            }
        }
    }
}

/// A fault because of alignment is no trap: it must not happen.
#[test]
fn an_operand_that_must_be_aligned_is() {
    let in_memory = |access: Build| {
        move |f: &mut Fun| {
            f.features = EVERYTHING;
            access(f.access()).unwrap();
            f.a.ret().unwrap();
        }
    };
    accept(VECTOR, in_memory(|a| a.vpaddb(xmm0, xmm0, xmmword_ptr(r14))));
    refuse(
        VECTOR,
        Rule::Address,
        in_memory(|a| a.paddb(xmm0, xmmword_ptr(r14))),
    );
    accept(VECTOR, in_memory(|a| a.movups(xmm0, xmmword_ptr(r14))));
    refuse(
        VECTOR,
        Rule::Address,
        in_memory(|a| a.movaps(xmm0, xmmword_ptr(r14))),
    );
    refuse(
        VECTOR,
        Rule::Address,
        in_memory(|a| a.vmovaps(xmm0, xmmword_ptr(r14))),
    );
    refuse(
        VECTOR,
        Rule::Address,
        body(|a| a.paddb(xmm0, xmmword_ptr(r15 + At::global(4)))),
    );
    accept(
        VECTOR,
        body(|a| a.vpaddb(xmm0, xmm0, xmmword_ptr(r15 + At::global(4)))),
    );
    // In the constants and in the frame, where that is known.
    let constant = |code: Code, offset: i64| {
        move |f: &mut Fun| {
            f.rodata = vec![0; 48];
            f.rodata_operand(code, Register::XMM0, offset);
            f.a.ret().unwrap();
        }
    };
    accept(VECTOR, constant(Code::Paddb_xmm_xmmm128, 32));
    refuse(VECTOR, Rule::Address, constant(Code::Paddb_xmm_xmmm128, 24));
    accept(VECTOR, constant(Code::Movups_xmm_xmmm128, 24));
    refuse(VECTOR, Rule::Rodata, constant(Code::Movups_xmm_xmmm128, 33));
    refuse(VECTOR, Rule::Rodata, constant(Code::Movups_xmm_xmmm128, -1));
    let in_frame = |disp: i32| {
        move |f: &mut Fun| {
            f.a.sub(rsp, 40).unwrap();
            f.frame(40);
            f.a.movups(xmmword_ptr(rsp + disp), xmm0).unwrap();
            f.a.paddb(xmm0, xmmword_ptr(rsp + disp)).unwrap();
            f.a.add(rsp, 40).unwrap();
            f.frame(0);
            f.a.ret().unwrap();
        }
    };
    accept(VECTOR, in_frame(16)); // 24 below the return address, which lies at 8 modulo 16
    refuse(VECTOR, Rule::Address, in_frame(8));
    refuse(VECTOR, Rule::StackAccess, in_frame(4));
    refuse(VECTOR, Rule::StackAccess, in_frame(32));
}

/// The bytes of a vector in the block are all there, or it is not.
#[test]
fn a_vector_in_the_block_is_written_as_a_whole() {
    let pass = |wide: bool| {
        move |f: &mut Fun| {
            f.a.mov(rax, qword_ptr(r15 + cellwall_abi::context::BLOCK as i32))
                .unwrap();
            let place = rax + cellwall_abi::convention::block_overflow(0) as i32;
            for i in 1..4 {
                f.a.movaps([xmm0, xmm1, xmm2, xmm3][i], xmm0).unwrap();
            }
            if wide {
                f.a.movups(xmmword_ptr(place), xmm0).unwrap();
            } else {
                f.a.movsd_2(qword_ptr(place), xmm0).unwrap();
            }
            f.a.ret().unwrap();
        }
    };
    accept(VECTORS, pass(true));
    refuse(VECTORS, Rule::BlockAccess, pass(false));
}

/// One encoding of each instruction: the shortest prefix, and no bit that says nothing.
#[test]
fn a_vex_prefix_is_canonical() {
    let bytes = |bytes: &'static [u8]| {
        move |f: &mut Fun| {
            f.features = EVERYTHING;
            for register in [xmm1, xmm2, xmm9, xmm10] {
                f.a.movaps(register, xmm0).unwrap();
            }
            f.a.db(bytes).unwrap();
            f.a.ret().unwrap();
        }
    };
    let canonical: [&[u8]; 6] = [
        &[0xc5, 0xe9, 0xfc, 0xca],             // vpaddb xmm1, xmm2, xmm2
        &[0xc4, 0x41, 0x29, 0xfc, 0xca],       // vpaddb xmm9, xmm10, xmm10
        &[0xc5, 0x29, 0xfc, 0xc9],             // vpaddb xmm9, xmm10, xmm1
        &[0xc4, 0xe2, 0x69, 0x00, 0xca],       // vpshufb xmm1, xmm2, xmm2
        &[0xc4, 0xe2, 0xe9, 0xb8, 0xca],       // vfmadd231pd xmm1, xmm2, xmm2
        &[0xc4, 0xe3, 0x69, 0x4c, 0xca, 0xa0], // vpblendvb xmm1, xmm2, xmm2, xmm10
    ];
    for code in canonical {
        accept(VECTOR, bytes(code));
    }
    let others: [&[u8]; 9] = [
        &[0xc4, 0xe1, 0x69, 0xfc, 0xca],       // three bytes where two do
        &[0xc4, 0xe1, 0xe9, 0xfc, 0xca],       // W
        &[0xc4, 0xa1, 0x69, 0xfc, 0xca],       // X without an index
        &[0xc5, 0xed, 0xfc, 0xca],             // L: ymm
        &[0xc4, 0xe2, 0xe9, 0x00, 0xca],       // W on a form that ignores it
        &[0xc4, 0xa2, 0x69, 0x00, 0xca],       // X
        &[0xc5, 0xee, 0x58, 0xca],             // vaddss with L, which is ignored
        &[0xc4, 0xe3, 0x69, 0x4c, 0xca, 0xa1], // low bits beside the fourth register
        &[0xf3, 0xc5, 0xe9, 0xfc, 0xca],       // a prefix
    ];
    for code in others {
        let violation = answer(VECTOR, bytes(code)).expect_err("it is not canonical");
        let rules = [Rule::Encoding, Rule::NotAllowed, Rule::Decode];
        assert!(rules.contains(&violation.rule), "{code:02x?}: {violation}");
    }
}

/// Whatever one bit of a VEX prefix is changed to: another instruction, or none.
#[test]
fn no_two_prefixes_mean_the_same() {
    use iced_x86::{Decoder, DecoderOptions};
    let codes: [&[u8]; 5] = [
        &[0xc5, 0xe9, 0xfc, 0xca],
        &[0xc4, 0x41, 0x29, 0xfc, 0xca],
        &[0xc5, 0xea, 0x58, 0xca],
        &[0xc4, 0xe2, 0x69, 0x00, 0xca],
        &[0xc4, 0xe3, 0x69, 0x4c, 0xca, 0xa0],
    ];
    let decode = |code: &[u8]| Decoder::new(64, code, DecoderOptions::NONE).decode();
    for code in codes {
        for bit in 0..8 * code.len() {
            let mut other = code.to_vec();
            other[bit / 8] ^= 1 << (bit % 8);
            if decode(&other) != decode(code) || decode(&other).len() != code.len() {
                continue;
            }
            let build = move |f: &mut Fun| {
                f.features = EVERYTHING;
                f.a.db(&other).unwrap();
                f.a.ret().unwrap();
            };
            refuse(VECTOR, Rule::Encoding, build);
        }
    }
}

#[test]
fn vector_features_are_needed() {
    let needs: [(Give, Build); 3] = [
        (|f| f.avx = true, |a| a.vpaddb(xmm0, xmm0, xmm0)),
        (|f| f.avx2 = true, |a| a.vpbroadcastb(xmm0, xmm0)),
        (|f| f.fma = true, |a| a.vfmadd231ps(xmm0, xmm0, xmm0)),
    ];
    for (i, (_, code)) in needs.iter().enumerate() {
        for (j, (give, _)) in needs.iter().enumerate() {
            let build = |f: &mut Fun| {
                f.features = CpuFeatures::default();
                give(&mut f.features);
                code(&mut f.a).unwrap();
                f.a.ret().unwrap();
            };
            if i == j {
                accept(VECTOR, build);
            } else {
                refuse(VECTOR, Rule::Feature, build);
            }
        }
    }
}

/// What can fault is listed, also when it is a vector.
#[test]
fn a_vector_access_is_a_trap_site() {
    for listed in [true, false] {
        let build = |f: &mut Fun| {
            let a = if listed {
                f.site(TrapCode::MemoryOutOfBounds)
            } else {
                &mut f.a
            };
            a.movups(xmm0, xmmword_ptr(r14 + rdi)).unwrap();
            f.a.ret().unwrap();
        };
        if listed {
            refuse(VECTOR, Rule::Undefined, |f| {
                f.access().movups(xmm0, xmmword_ptr(r14 + r10)).unwrap();
                f.a.ret().unwrap();
            });
            accept(VECTOR, build);
        } else {
            refuse(VECTOR, Rule::TrapSite, build);
        }
    }
}
