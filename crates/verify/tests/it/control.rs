//! V2: branches, jump tables, the end of a function.

use crate::harness::*;
use cellwall_abi::TrapCode;
use cellwall_verify::{Rule, verify};
use iced_x86::code_asm::*;
use iced_x86::{Code, Register};

/// A loop with a conditional branch back; returns zero.
fn counted_loop(f: &mut Fun, list_head: bool) -> Result<(), iced_x86::IcedError> {
    let mut top = f.a.create_label();
    f.a.mov(eax, edi)?;
    if list_head {
        f.bind(&mut top);
    } else {
        f.a.set_label(&mut top)?;
    }
    f.a.sub(eax, 1)?;
    f.a.jne(top)?;
    f.a.ret()
}

#[test]
fn a_branch_needs_a_listed_head() {
    accept(I32_TO_I32, |f| counted_loop(f, true).unwrap());
    refuse(I32_TO_I32, Rule::BranchTarget, |f| {
        counted_loop(f, false).unwrap()
    });
}

#[test]
fn a_head_is_an_instruction_boundary() {
    let mut artifact = artifact(I32_TO_I32, |f| counted_loop(f, true).unwrap());
    assert!(verify(artifact.clone()).is_ok());
    artifact.heads.insert(0, 1);
    let violation = verify(artifact).unwrap_err();
    assert_eq!(violation.rule, Rule::Head, "{violation}");
}

#[test]
fn a_branch_into_an_instruction_is_refused() {
    // jmp to the middle of the mov behind it, with and without a head listed there
    let build = |f: &mut Fun| {
        f.a.db(&[0xeb, 0x01]).unwrap();
        f.a.mov(eax, 7).unwrap();
        f.a.ret().unwrap();
    };
    refuse(NOTHING, Rule::BranchTarget, build);
    let mut artifact = artifact(NOTHING, |f| {
        let mut next = f.a.create_label();
        f.a.xor(eax, eax).unwrap();
        f.a.jne(next).unwrap();
        f.a.mov(eax, 7).unwrap();
        f.bind(&mut next);
        f.a.ret().unwrap();
    });
    assert!(verify(artifact.clone()).is_ok());
    artifact.text[3] = 0x01; // the displacement of jne: into the mov
    assert_eq!(verify(artifact).unwrap_err().rule, Rule::BranchTarget);
}

#[test]
fn no_path_runs_off_the_end() {
    accept(NOTHING, |f| f.a.ret().unwrap());
    refuse(NOTHING, Rule::FallsOffEnd, |f| f.a.xor(eax, eax).unwrap());
    refuse(NOTHING, Rule::FallsOffEnd, |f| {
        let mut done = f.a.create_label();
        f.bind(&mut done);
        f.a.xor(eax, eax).unwrap();
        f.a.je(done).unwrap();
    });
    refuse(NOTHING, Rule::Decode, |f| f.a.db(&[0xb8, 1, 2]).unwrap());
}

#[test]
fn code_that_nothing_reaches_is_refused() {
    refuse(NOTHING, Rule::Unreachable, |f| {
        f.a.ret().unwrap();
        f.a.ret().unwrap();
    });
    refuse(NOTHING, Rule::Unreachable, |f| {
        f.a.ret().unwrap();
        f.head();
        f.a.ret().unwrap();
    });
}

#[test]
fn a_branch_leaves_no_function() {
    for list in [false, true] {
        // To an entry it would be a tail call.
        let inside = CALLEE + 2;
        let mut artifact = artifact(NOTHING, |f| f.a.jmp(inside).unwrap());
        if list {
            artifact.heads.push(inside as u32);
        }
        assert_eq!(verify(artifact).unwrap_err().rule, Rule::BranchTarget);
    }
}

/// What can be wrong with a `br_table`.
#[derive(PartialEq)]
enum Flaw {
    None,
    NoBound,
    BoundTooLarge,
    BoundOfAnother,
    Scale,
    OtherTable,
    NoAdd,
    Unlisted,
}

fn switch(f: &mut Fun, flaw: Flaw) -> Result<(), iced_x86::IcedError> {
    let mut default = f.a.create_label();
    f.a.mov(r11d, edi)?;
    f.a.cmp(r11d, if flaw == Flaw::BoundTooLarge { 3 } else { 2 })?;
    if flaw == Flaw::BoundOfAnother {
        f.a.mov(r11d, edi)?;
    }
    if flaw != Flaw::NoBound {
        f.a.jae(default)?;
    }
    let table = if flaw == Flaw::OtherTable { 4 } else { 0 };
    f.rodata_operand(Code::Lea_r64_m, Register::R10, table);
    let index = if flaw == Flaw::Scale { r11 * 2 } else { r11 * 4 };
    f.a.movsxd(r11, dword_ptr(r10 + index))?;
    if flaw != Flaw::NoAdd {
        f.a.add(r10, r11)?;
    }
    f.a.jmp(r10)?;
    let mut targets = vec![];
    for value in [1, 2] {
        targets.push(f.here());
        if !(flaw == Flaw::Unlisted && value == 2) {
            f.head();
        }
        f.a.mov(eax, value)?;
        f.a.ret()?;
    }
    f.bind(&mut default);
    f.a.xor(eax, eax)?;
    f.a.ret()?;
    f.tables.push(targets);
    Ok(())
}

#[test]
fn a_jump_table_needs_a_bounded_index_and_checked_entries() {
    accept(I32_TO_I32, |f| switch(f, Flaw::None).unwrap());
    for flaw in [
        Flaw::NoBound,
        Flaw::BoundTooLarge,
        Flaw::BoundOfAnother,
        Flaw::Scale,
        Flaw::OtherTable,
        Flaw::NoAdd,
    ] {
        refuse(I32_TO_I32, Rule::IndirectJump, |f| switch(f, flaw).unwrap());
    }
    let with_table = |change: fn(&mut Vec<u8>)| {
        let mut artifact = artifact(I32_TO_I32, |f| switch(f, Flaw::None).unwrap());
        change(artifact.rodata.to_mut());
        verify(artifact).map_err(|violation| violation.rule).map(|_| ())
    };
    assert_eq!(with_table(|_| ()), Ok(()));
    assert_eq!(with_table(|table| table[4] += 1), Err(Rule::BranchTarget));
    assert_eq!(with_table(|table| table[7] = 0x7f), Err(Rule::BranchTarget));
}

#[test]
fn jumps_through_registers_and_memory_are_refused() {
    refuse(I64_TO_I64, Rule::IndirectJump, |f| f.a.jmp(rdi).unwrap());
    refuse(NOTHING, Rule::IndirectJump, |f| {
        f.a.jmp(qword_ptr(r15 + 40)).unwrap()
    });
    refuse(I64_TO_I64, Rule::IndirectJump, |f| {
        f.access().jmp(qword_ptr(r14)).unwrap()
    });
}

#[test]
fn traps_end_a_path() {
    for code in [
        TrapCode::Unreachable,
        TrapCode::NullI31Reference,
        TrapCode::CastFailure,
    ] {
        accept(NOTHING, |f| f.site(code).ud2().unwrap());
    }
    refuse(NOTHING, Rule::TrapSite, |f| f.a.ud2().unwrap());
    for code in [TrapCode::Interrupt, TrapCode::StackOverflow] {
        refuse(NOTHING, Rule::TrapSite, |f| f.site(code).ud2().unwrap());
    }
}

#[test]
fn flags_are_defined_before_they_are_read() {
    let build = |f: &mut Fun, defined: bool| {
        if defined {
            f.a.test(edi, edi).unwrap();
        }
        f.a.mov(eax, 0).unwrap();
        f.a.sete(al).unwrap();
        f.a.ret().unwrap();
    };
    accept(I32_TO_I32, |f| build(f, true));
    refuse(I32_TO_I32, Rule::Undefined, |f| build(f, false));
}

/// What an instruction leaves alone, or undefined, may be residue: of a callee, or of the stack
/// below, bit by bit.
#[test]
fn flags_that_an_instruction_may_not_write_stay_undefined() {
    type Step = fn(&mut Fun) -> Result<(), iced_x86::IcedError>;
    let build = |f: &mut Fun, step: Step, defined: bool| {
        f.a.mov(eax, 1).unwrap();
        f.a.mov(ecx, edi).unwrap();
        f.site(TrapCode::StackOverflow)
            .cmp(dword_ptr(rsp - 64), ecx)
            .unwrap();
        if defined {
            f.a.test(edi, edi).unwrap();
        }
        step(f).unwrap();
        f.a.ret().unwrap();
    };
    // These write no flag that is read afterwards, or perhaps none: what was there before counts.
    let keep: [Step; 8] = [
        |f| f.a.shl(ecx, cl).and_then(|()| f.a.setb(al)),
        |f| f.a.shr(rcx, cl).and_then(|()| f.a.sete(al)),
        |f| f.a.sar(ecx, cl).and_then(|()| f.a.sets(al)),
        |f| f.a.shl(ecx, 0).and_then(|()| f.a.sete(al)),
        |f| f.a.shr(rcx, 64).and_then(|()| f.a.setb(al)),
        |f| f.a.sar(ecx, 32).and_then(|()| f.a.sets(al)),
        |f| f.a.ror(ecx, 5).and_then(|()| f.a.sete(al)),
        |f| f.a.rol(rcx, cl).and_then(|()| f.a.setp(al)),
    ];
    for step in keep {
        accept(I32_TO_I32, |f| build(f, step, true));
        refuse(I32_TO_I32, Rule::Undefined, |f| build(f, step, false));
    }
    // These leave the flag undefined, whatever it was before.
    let undefined: [Step; 9] = [
        |f| f.a.imul_2(ecx, eax).and_then(|()| f.a.sete(al)),
        |f| f.a.imul_3(rcx, rcx, 3).and_then(|()| f.a.sets(al)),
        |f| f.a.bsf(ecx, edi).and_then(|()| f.a.setb(al)),
        |f| f.a.bsr(rcx, rdi).and_then(|()| f.a.sets(al)),
        |f| f.a.lzcnt(ecx, edi).and_then(|()| f.a.sets(al)),
        |f| f.a.tzcnt(ecx, edi).and_then(|()| f.a.setl(al)),
        |f| f.a.blsr(ecx, edi).and_then(|()| f.a.setp(al)),
        |f| f.a.shl(ecx, 3).and_then(|()| f.a.seto(al)),
        |f| f.a.ror(ecx, cl).and_then(|()| f.a.seto(al)),
    ];
    for step in undefined {
        refuse(I32_TO_I32, Rule::Undefined, |f| build(f, step, true));
    }
    // Their neighbours read what is written.
    let written: [Step; 8] = [
        |f| f.a.imul_2(ecx, eax).and_then(|()| f.a.seto(al)),
        |f| f.a.bsf(ecx, edi).and_then(|()| f.a.sete(al)),
        |f| f.a.lzcnt(ecx, edi).and_then(|()| f.a.setb(al)),
        |f| f.a.popcnt(ecx, edi).and_then(|()| f.a.setg(al)),
        |f| f.a.blsr(ecx, edi).and_then(|()| f.a.setl(al)),
        |f| f.a.shl(ecx, 3).and_then(|()| f.a.sete(al)),
        |f| f.a.sar(rcx, 1).and_then(|()| f.a.setle(al)),
        |f| f.a.add(ecx, 1).and_then(|()| f.a.seto(al)),
    ];
    for step in written {
        accept(I32_TO_I32, |f| build(f, step, false));
    }
}

/// What is wrong with one of many branches of a straight line.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Wrong {
    Nothing,
    /// The index is not compared.
    Uncompared,
    /// Where the branch leads to, a register is read that nothing wrote.
    Residue,
}

/// Compares an index and goes on below the limit, or out of line to a block of its own that traps or
/// goes back, so often that blocks are visited in the midst of the line.
fn many_branches(f: &mut Fun, at: i32, wrong: Wrong) -> Result<(), iced_x86::IcedError> {
    let mut cold = Vec::new();
    f.a.mov(rcx, rdi)?;
    for i in 0..200 {
        f.a.lea(rdi, ptr(rcx + i))?;
        if wrong == Wrong::Uncompared && i == at {
            f.a.test(rdi, rdi)?;
        } else {
            f.a.cmp(rdi, 1000)?;
        }
        let (slow, mut back) = (f.a.create_label(), f.a.create_label());
        f.a.ja(slow)?;
        f.access().mov(eax, dword_ptr(r14 + rdi))?;
        if i % 50 == 49 {
            f.bind(&mut back);
        }
        cold.push((slow, back));
    }
    f.a.xor(eax, eax)?;
    f.a.ret()?;
    for (i, (mut slow, back)) in (0..).zip(cold) {
        f.bind(&mut slow);
        if wrong == Wrong::Residue && i == at {
            f.a.test(r10, r10)?;
        }
        if i % 50 == 49 {
            f.a.jmp(back)?;
        } else {
            f.site(TrapCode::Unreachable).ud2()?;
        }
    }
    Ok(())
}

#[test]
fn blocks_are_visited_in_the_midst_of_another() {
    accept(I64_TO_I64, |f| many_branches(f, 0, Wrong::Nothing).unwrap());
    for at in [0, 48, 49, 63, 64, 65, 128, 149, 198, 199] {
        let build = |wrong| move |f: &mut Fun| many_branches(f, at, wrong).unwrap();
        refuse(I64_TO_I64, Rule::MemoryAccess, build(Wrong::Uncompared));
        refuse(I64_TO_I64, Rule::Undefined, build(Wrong::Residue));
    }
}

/// One or two ways lead to a block before a loop, and one from its second round on with an index that
/// is known there no more, or still is.
#[test]
fn a_block_waits_for_the_ways_from_loops() {
    let build = |is_wide: bool, ways: usize| {
        move |f: &mut Fun| -> Result<(), iced_x86::IcedError> {
            let (mut out, mut top) = (f.a.create_label(), f.a.create_label());
            f.a.xor(r10d, r10d)?;
            f.a.mov(eax, edi)?;
            f.a.test(edi, edi)?;
            for _ in 0..ways {
                f.a.je(out)?;
            }
            f.bind(&mut top);
            f.a.sub(eax, 1)?;
            f.a.je(out)?;
            if is_wide {
                f.a.mov(r10, rdi)?;
            } else {
                f.a.mov(r10d, edi)?;
            }
            f.a.jmp(top)?;
            f.bind(&mut out);
            f.access().mov(eax, dword_ptr(r14 + r10))?;
            f.a.ret()
        }
    };
    for ways in 0..3 {
        accept(I64_TO_I64, |f| build(false, ways)(f).unwrap());
        refuse(I64_TO_I64, Rule::MemoryAccess, |f| build(true, ways)(f).unwrap());
    }
}
