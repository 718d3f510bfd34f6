//! V2: the entry whose signature matched is the entry that is called. Whatever takes the two from
//! different entries, or from one at different times, is refused.

use crate::harness::*;
use cellwall_abi::TrapCode;
use cellwall_abi::context::func_entry;
use cellwall_verify::Rule;
use iced_x86::code_asm::*;

type Asm = Result<(), iced_x86::IcedError>;

/// The address of an entry of the private table.
fn entry(f: &mut Fun, register: AsmRegister64, low: AsmRegister32, index: u32) -> Asm {
    f.a.mov(low, index)?;
    f.a.shl(register, i32::from(func_entry::SHIFT))?;
    f.a.add(register, qword_ptr(r15 + At::table(1)))
}

fn compare(f: &mut Fun, register: AsmRegister64) -> Asm {
    f.a.cmp(dword_ptr(register + func_entry::SIGNATURE), I32_TO_I32 + 1)
}

/// Makes an entry in `r11` and matches it as `build` says; goes to `bad` if it does not match.
fn called(
    tail: bool,
    through: AsmRegister64,
    build: impl FnOnce(&mut Fun, CodeLabel) -> Asm,
) -> impl FnOnce(&mut Fun) {
    move |f| {
        let mut bad = f.a.create_label();
        if !tail {
            f.a.sub(rsp, 24).unwrap();
            f.frame(24);
        }
        entry(f, r11, r11d, 3).unwrap();
        build(f, bad).unwrap();
        match tail {
            true => f.a.jmp(qword_ptr(through)).unwrap(),
            false => {
                f.a.call(qword_ptr(through)).unwrap();
                f.a.add(rsp, 24).unwrap();
                f.frame(0);
                f.a.ret().unwrap();
                f.frame(24);
            }
        }
        f.trap(&mut bad, TrapCode::BadSignature);
    }
}

fn way(tail: bool) -> Rule {
    match tail {
        true => Rule::IndirectJump,
        false => Rule::IndirectCall,
    }
}

type Match = fn(&mut Fun, CodeLabel) -> Asm;

#[test]
fn signature_and_code_are_of_one_entry() {
    for tail in [false, true] {
        let with = |build: Match| called(tail, r11, build);
        accept(
            I32_TO_I32,
            with(|f, bad| {
                compare(f, r11)?;
                f.a.jne(bad)
            }),
        );
        let torn: [Match; 5] = [
            // The signature of another entry, in another register.
            |f, bad| {
                entry(f, rcx, ecx, 4)?;
                compare(f, rcx)?;
                f.a.jne(bad)
            },
            // That of a copy: what is known of one is not known of the other.
            |f, bad| {
                f.a.mov(rcx, r11)?;
                compare(f, rcx)?;
                f.a.jne(bad)
            },
            // Found again, by another index, after the match.
            |f, bad| {
                compare(f, r11)?;
                f.a.jne(bad)?;
                entry(f, r11, r11d, 4)
            },
            // By the same index: another thread cannot have changed it, but a call could.
            |f, bad| {
                compare(f, r11)?;
                f.a.jne(bad)?;
                entry(f, r11, r11d, 3)
            },
            // Between comparison and branch.
            |f, bad| {
                compare(f, r11)?;
                f.a.mov(rcx, r11)?;
                f.a.mov(r11d, 4)?;
                f.a.mov(r11, rcx)?;
                f.a.jne(bad)
            },
        ];
        for (which, build) in torn.into_iter().enumerate() {
            match answer(I32_TO_I32, with(build)) {
                Ok(()) => panic!("number {which} is accepted"),
                Err(violation) => assert_eq!(violation.rule, way(tail), "number {which}: {violation}"),
            }
        }
        // Where paths meet that know different things of it, it is no entry any more.
        let met: [Match; 2] = [
            // Matched on one of two paths.
            |f, bad| {
                let mut over = f.a.create_label();
                f.a.test(edi, edi)?;
                f.a.je(over)?;
                compare(f, r11)?;
                f.a.jne(bad)?;
                f.bind(&mut over);
                Ok(())
            },
            // Matched with different types on two paths.
            |f, bad| {
                let (mut other, mut both) = (f.a.create_label(), f.a.create_label());
                f.a.test(edi, edi)?;
                f.a.je(other)?;
                compare(f, r11)?;
                f.a.jne(bad)?;
                f.a.jmp(both)?;
                f.bind(&mut other);
                f.a.cmp(dword_ptr(r11 + func_entry::SIGNATURE), I64_TO_I64 + 1)?;
                f.a.jne(bad)?;
                f.bind(&mut both);
                Ok(())
            },
        ];
        for build in met {
            refuse(I32_TO_I32, Rule::Address, with(build));
        }
        // Through another register, matched or not: the stub looks at r11.
        for matched in [false, true] {
            refuse(
                I32_TO_I32,
                way(tail),
                called(tail, rcx, move |f, bad| {
                    entry(f, rcx, ecx, 4)?;
                    compare(f, if matched { rcx } else { r11 })?;
                    f.a.jne(bad)
                }),
            );
        }
        // Moved on to the next one.
        refuse(
            I32_TO_I32,
            Rule::Kind,
            with(|f, bad| {
                compare(f, r11)?;
                f.a.jne(bad)?;
                f.a.add(r11, func_entry::BYTES as i32)
            }),
        );
    }
}

#[test]
fn an_entry_is_not_kept() {
    // Neither in the frame, nor in a register over a call, which may change the table.
    refuse(
        I32_TO_I32,
        Rule::Kind,
        called(false, r11, |f, bad| {
            compare(f, r11)?;
            f.a.jne(bad)?;
            f.a.mov(qword_ptr(rsp + 8), r11)?;
            f.a.mov(r11, qword_ptr(rsp + 8))
        }),
    );
    let over_a_call = |index_alone: bool| {
        called(false, r11, move |f, bad| {
            f.a.mov(qword_ptr(rsp + 8), rbx)?;
            compare(f, r11)?;
            f.a.jne(bad)?;
            match index_alone {
                true => f.a.mov(ebx, 3)?,
                false => f.a.mov(rbx, r11)?,
            }
            f.a.call(CALLEE)?;
            f.a.mov(edi, eax)?;
            match index_alone {
                true => {
                    entry(f, r11, r11d, 3)?;
                    compare(f, r11)?;
                    f.a.mov(rbx, qword_ptr(rsp + 8))?;
                    f.a.jne(bad)
                }
                false => {
                    f.a.mov(r11, rbx)?;
                    f.a.mov(rbx, qword_ptr(rsp + 8))
                }
            }
        })
    };
    // Found and matched again, it is an entry again.
    accept(I32_TO_I32, over_a_call(true));
    refuse(I32_TO_I32, Rule::Undefined, over_a_call(false));
}
