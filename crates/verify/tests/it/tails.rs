//! V2, V3 and V5: tail calls. What they go to and through is tested beside calls.

use crate::harness::*;
use cellwall_abi::LibCall;
use cellwall_abi::context::{CALL_REF, library_offset};
use cellwall_abi::convention::block_overflow;
use cellwall_verify::{Rule, verify};
use iced_x86::code_asm::*;

#[test]
fn a_direct_tail_call_goes_to_an_entry() {
    let jump = |target: u64| move |f: &mut Fun| f.a.jmp(target).unwrap();
    accept(I32_TO_I32, jump(CALLEE));
    // To itself: the entry is no head of a loop.
    accept(I32_TO_I32, jump(0));
    for target in [1, 32, CALLEE + 2, CALLEE - 64, 1024, 4096] {
        refuse(I32_TO_I32, Rule::BranchTarget, jump(target));
    }
    // Only as a whole: no condition leads out of a function.
    refuse(I32_TO_I32, Rule::BranchTarget, |f| {
        f.a.test(edi, edi).unwrap();
        f.a.je(CALLEE).unwrap();
        f.a.jmp(CALLEE).unwrap();
    });
    // Nothing comes after it.
    refuse(I32_TO_I32, Rule::Unreachable, |f| {
        f.a.jmp(CALLEE).unwrap();
        f.a.ret().unwrap();
    });
    // It is no call: there is no return address to list.
    let mut bad = artifact(I32_TO_I32, jump(CALLEE));
    bad.calls.push(cellwall_abi::CallSite {
        return_pc: bad.funcs[0].len,
        wasm_offset: 0,
    });
    assert_eq!(verify(bad).unwrap_err().rule, Rule::CallSite);
}

#[test]
fn the_frame_is_gone_and_what_it_saved_restored() {
    let leaving = |drop: i32, restore: bool| {
        move |f: &mut Fun| {
            f.a.sub(rsp, 24).unwrap();
            f.frame(24);
            f.a.mov(qword_ptr(rsp + 8), rbx).unwrap();
            f.a.mov(ebx, edi).unwrap();
            f.a.call(CALLEE).unwrap();
            f.a.mov(edi, ebx).unwrap();
            if restore {
                f.a.mov(rbx, qword_ptr(rsp + 8)).unwrap();
            }
            f.a.add(rsp, drop).unwrap();
            f.frame(24 - drop as u32);
            f.a.jmp(CALLEE).unwrap();
        }
    };
    accept(I32_TO_I32, leaving(24, true));
    refuse(I32_TO_I32, Rule::CalleeSaved, leaving(24, false));
    refuse(I32_TO_I32, Rule::StackPointer, leaving(16, true));
    refuse(I32_TO_I32, Rule::StackPointer, leaving(8, true));
    // Above the return address there is nothing to drop.
    let above = |f: &mut Fun| {
        f.a.add(rsp, 8).unwrap();
        f.a.jmp(CALLEE).unwrap();
    };
    refuse(I32_TO_I32, Rule::StackPointer, above);
}

#[test]
fn arguments_are_those_of_the_callee() {
    let jump = |f: &mut Fun| f.a.jmp(CALLEE).unwrap();
    // The callee takes and gives an i32: 64 bits would have to be cut.
    refuse(I64_TO_I64, Rule::TailCall, jump);
    refuse(NOTHING, Rule::TailCall, jump);
    refuse(FLOAT, Rule::TailCall, jump);
    refuse(I32_TO_I32, Rule::ZeroExtension, |f| {
        f.a.movsxd(rdi, edi).unwrap();
        f.a.jmp(CALLEE).unwrap();
    });
    refuse(I32_TO_I32, Rule::Undefined, |f| {
        f.a.lea(r11, qword_ptr(r15 + At::import())).unwrap();
        f.a.mov(edi, r8d).unwrap();
        f.a.jmp(CALLEE).unwrap();
    });
    // A pointer is no argument.
    refuse(I32_TO_I32, Rule::Kind, |f| {
        f.a.mov(rdi, qword_ptr(r15 + 8)).unwrap();
        f.a.jmp(CALLEE).unwrap();
    });
}

#[test]
fn overflow_arguments_are_written_again() {
    // Those of the function itself lie in the same places: whether they are still there depends on
    // what was called in between, so each is written after the last call.
    let jump = |writes: i32, call: bool, wide: bool| {
        move |f: &mut Fun| {
            f.a.mov(r10, qword_ptr(r15 + 8)).unwrap();
            f.a.mov(eax, dword_ptr(r10 + block_overflow(0) as i32)).unwrap();
            for place in 0..writes {
                let at = r10 + block_overflow(place as usize) as i32;
                match wide {
                    true => f.a.mov(qword_ptr(at), rax).unwrap(),
                    false => f.a.mov(word_ptr(at), ax).unwrap(),
                }
            }
            if call {
                f.a.sub(rsp, 24).unwrap();
                f.frame(24);
                f.a.call(CALLEE).unwrap();
                f.a.add(rsp, 24).unwrap();
                f.frame(0);
                for low in [edi, esi, edx, ecx, r8d, r9d] {
                    f.a.xor(low, low).unwrap();
                }
            }
            f.a.jmp(0u64).unwrap();
        }
    };
    accept(MANY, jump(2, false, true));
    refuse(MANY, Rule::BlockAccess, jump(1, false, true));
    refuse(MANY, Rule::BlockAccess, jump(0, false, true));
    refuse(MANY, Rule::BlockAccess, jump(2, true, true));
    refuse(MANY, Rule::BlockAccess, jump(2, false, false));
    // Results that do not fit the registers, of the same type.
    accept(MANY_RESULTS, |f| f.a.jmp(0u64).unwrap());
}

/// A call by reference goes two ways from where its arguments are.
#[test]
fn overflow_arguments_may_be_written_before_a_branch() {
    let ways = |before: i32, first: bool, second: bool, call: bool| {
        move |f: &mut Fun| {
            let write = |f: &mut Fun, place: i32| {
                let at = r10 + block_overflow(place as usize) as i32;
                f.a.mov(qword_ptr(at), rax).unwrap();
            };
            let (mut other, mut join) = (f.a.create_label(), f.a.create_label());
            f.a.mov(r10, qword_ptr(r15 + 8)).unwrap();
            f.a.xor(eax, eax).unwrap();
            (0..before).for_each(|place| write(f, place));
            if call {
                f.a.sub(rsp, 24).unwrap();
                f.frame(24);
                f.a.call(CALLEE).unwrap();
                f.a.add(rsp, 24).unwrap();
                f.frame(0);
                for low in [eax, edi, esi, edx, ecx, r8d, r9d] {
                    f.a.xor(low, low).unwrap();
                }
                f.a.mov(r10, qword_ptr(r15 + 8)).unwrap();
            }
            f.a.test(edi, edi).unwrap();
            f.a.jne(other).unwrap();
            if first {
                write(f, 1);
            }
            f.a.jmp(join).unwrap();
            f.bind(&mut other);
            f.a.xor(eax, eax).unwrap();
            if second {
                write(f, 1);
            }
            f.bind(&mut join);
            f.a.jmp(0u64).unwrap();
        }
    };
    accept(MANY, ways(2, false, false, false));
    accept(MANY, ways(1, true, true, false));
    refuse(MANY, Rule::BlockAccess, ways(1, true, false, false));
    refuse(MANY, Rule::BlockAccess, ways(1, false, true, false));
    refuse(MANY, Rule::BlockAccess, ways(2, false, false, true));
    // Round a loop that calls, the first time is not every time.
    let around = |again: bool| {
        move |f: &mut Fun| {
            let mut top = f.a.create_label();
            f.a.mov(r10, qword_ptr(r15 + 8)).unwrap();
            f.a.xor(eax, eax).unwrap();
            let write = |f: &mut Fun| {
                for place in 0..2 {
                    let at = r10 + block_overflow(place) as i32;
                    f.a.mov(qword_ptr(at), rax).unwrap();
                }
            };
            f.a.sub(rsp, 24).unwrap();
            f.frame(24);
            write(f);
            f.bind(&mut top);
            f.a.call(0u64).unwrap();
            for low in [eax, edi, esi, edx, ecx, r8d, r9d] {
                f.a.xor(low, low).unwrap();
            }
            if again {
                f.a.mov(r10, qword_ptr(r15 + 8)).unwrap();
                write(f);
            }
            f.a.test(edi, edi).unwrap();
            f.a.jne(top).unwrap();
            f.a.add(rsp, 24).unwrap();
            f.frame(0);
            f.a.ret().unwrap();
        }
    };
    accept(MANY, around(true));
    refuse(MANY, Rule::BlockAccess, around(false));
}

#[test]
fn a_tail_call_of_an_import_names_its_entry() {
    let jump = |name: bool, offset: i32| {
        move |f: &mut Fun| {
            if name {
                f.a.lea(r11, qword_ptr(r15 + At::import())).unwrap();
            }
            f.a.jmp(qword_ptr(r15 + At::import() + offset)).unwrap();
        }
    };
    accept(I32_TO_I32, jump(true, 0));
    refuse(I32_TO_I32, Rule::IndirectJump, jump(false, 0));
    refuse(I32_TO_I32, Rule::ContextAccess, jump(true, 8));
    refuse(FLOAT, Rule::TailCall, jump(true, 0));
}

#[test]
fn nothing_else_is_jumped_through() {
    let through = |offset: i32| move |f: &mut Fun| f.a.jmp(qword_ptr(r15 + offset)).unwrap();
    // A library call returns to where it was called, and gives what the guest does not wait for.
    refuse(
        NOTHING,
        Rule::IndirectJump,
        through(library_offset(LibCall::DataDrop) as i32),
    );
    for offset in [0, 8, 16, At::memory(0), At::table(1), At::global(2)] {
        refuse(NOTHING, Rule::IndirectJump, through(offset));
    }
    refuse(NOTHING, Rule::IndirectJump, |f| f.a.jmp(r11).unwrap());
    refuse(NOTHING, Rule::StackAccess, |f| f.a.jmp(qword_ptr(rsp)).unwrap());
    refuse(NOTHING, Rule::IndirectJump, |f| {
        f.a.jmp(qword_ptr(rsp - 8)).unwrap()
    });
    refuse(I32_TO_I32, Rule::IndirectJump, |f| {
        f.access().jmp(qword_ptr(r14 + rdi)).unwrap();
    });
}

/// A call by reference, in tail position or not, with this put before it.
fn by_reference(ty: u32, tail: bool, build: impl FnOnce(&mut Fun)) -> impl FnOnce(&mut Fun) {
    move |f: &mut Fun| {
        if !tail {
            f.a.sub(rsp, 24).unwrap();
            f.frame(24);
        }
        f.a.mov(eax, edi).unwrap();
        f.a.mov(r10d, dword_ptr(r15 + At::signature(ty))).unwrap();
        build(f);
        let stub = qword_ptr(r15 + CALL_REF as i32);
        if tail {
            f.a.jmp(stub).unwrap();
        } else {
            f.a.call(stub).unwrap();
            f.a.add(rsp, 24).unwrap();
            f.frame(0);
            f.a.ret().unwrap();
        }
    }
}

#[test]
fn a_call_by_reference_names_its_type() {
    for tail in [false, true] {
        let way = if tail {
            Rule::IndirectJump
        } else {
            Rule::IndirectCall
        };
        let of = |ty: u32| by_reference(ty, tail, |_| {});
        accept(I32_TO_I32, of(I32_TO_I32));
        refuse(
            I64_TO_I64,
            if tail { Rule::TailCall } else { Rule::ZeroExtension },
            of(I32_TO_I32),
        );
        // The reference is data, whatever it names.
        let with = |build: fn(&mut Fun)| by_reference(I32_TO_I32, tail, build);
        accept(I32_TO_I32, with(|f| f.a.mov(rax, -1i64).unwrap()));
        refuse(I32_TO_I32, Rule::Undefined, with(|f| f.a.mov(rax, r8).unwrap()));
        refuse(
            I32_TO_I32,
            Rule::Kind,
            with(|f| f.a.mov(rax, qword_ptr(r15 + 8)).unwrap()),
        );
        // The number is that of a type, as the context has it.
        refuse(I32_TO_I32, way, with(|f| f.a.mov(r10d, 2).unwrap()));
        refuse(
            I32_TO_I32,
            way,
            with(|f| f.a.mov(r10, qword_ptr(r15 + 8)).unwrap()),
        );
        refuse(I32_TO_I32, Rule::Kind, with(|f| f.a.add(r10d, 1).unwrap()));
        refuse(I32_TO_I32, Rule::Undefined, with(|f| f.a.mov(edi, r8d).unwrap()));
        refuse(
            I32_TO_I32,
            if tail { Rule::TailCall } else { Rule::Undefined },
            by_reference(FLOAT, tail, |f| f.a.xorps(xmm0, xmm0).unwrap()),
        );
    }
    // The address of the stub is no value.
    refuse(I32_TO_I32, Rule::ContextAccess, |f| {
        f.a.mov(rax, qword_ptr(r15 + CALL_REF as i32)).unwrap();
        f.a.ret().unwrap();
    });
}
