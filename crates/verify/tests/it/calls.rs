//! V2 and V5: calls, entries, arguments and results.

use crate::harness::*;
use cellwall_abi::context::{CALL_REF, func_entry, library_offset};
use cellwall_abi::{LibCall, TrapCode};
use cellwall_verify::{Rule, verify};
use iced_x86::code_asm::*;

type Asm = Result<(), iced_x86::IcedError>;

/// These instructions in a frame of 24 bytes.
fn framed(build: impl FnOnce(&mut Fun) -> Asm) -> impl FnOnce(&mut Fun) {
    move |f| {
        f.a.sub(rsp, 24).unwrap();
        f.frame(24);
        build(f).unwrap();
        f.a.add(rsp, 24).unwrap();
        f.frame(0);
        f.a.ret().unwrap();
    }
}

#[test]
fn a_direct_call_goes_to_an_entry() {
    let call = |target: u64| framed(move |f| f.a.call(target));
    accept(I32_TO_I32, call(CALLEE));
    accept(I32_TO_I32, call(0));
    for target in [1, 4, 32, 500, CALLEE + 2, 1024, 4096] {
        refuse(I32_TO_I32, Rule::CallTarget, call(target));
    }
}

#[test]
fn a_call_is_aligned_and_listed() {
    accept(I32_TO_I32, framed(|f| f.a.call(0u64)));
    refuse(I32_TO_I32, Rule::StackPointer, |f| {
        f.a.call(0u64).unwrap();
        f.a.ret().unwrap();
    });
    let good = artifact(I32_TO_I32, framed(|f| f.a.call(0u64)));
    let mut bad = good.clone();
    bad.calls.clear();
    assert_eq!(verify(bad).unwrap_err().rule, Rule::CallSite);
    let mut bad = good;
    bad.calls[0].return_pc -= 1;
    assert_eq!(verify(bad).unwrap_err().rule, Rule::CallSite);
}

#[test]
fn arguments_and_results_follow_the_convention() {
    // The argument of an i64 function is not zero-extended.
    accept(
        I64_TO_I64,
        framed(|f| {
            f.a.mov(edi, edi)?;
            f.a.call(CALLEE)
        }),
    );
    refuse(I64_TO_I64, Rule::ZeroExtension, framed(|f| f.a.call(CALLEE)));
    refuse(NOTHING, Rule::Undefined, framed(|f| f.a.call(CALLEE)));
    // Nothing but the results and callee-saved registers survives a call.
    accept(
        I32_TO_I32,
        framed(|f| {
            f.a.call(CALLEE)?;
            f.a.mov(edi, eax)?;
            f.a.call(CALLEE)
        }),
    );
    for register in [edi, edx, r8d, r9d] {
        refuse(
            I32_TO_I32,
            Rule::Undefined,
            framed(move |f| {
                f.a.mov(r8d, edi)?;
                f.a.mov(r9d, edi)?;
                f.a.call(CALLEE)?;
                f.a.mov(edi, register)?;
                f.a.call(CALLEE)
            }),
        );
    }
    // A result of type i32 is zero-extended.
    let result = |wide: bool| {
        move |f: &mut Fun| {
            if wide {
                f.a.movsxd(rax, edi).unwrap();
            } else {
                f.a.mov(eax, edi).unwrap();
            }
            f.a.ret().unwrap();
        }
    };
    accept(I32_TO_I32, result(false));
    refuse(I32_TO_I32, Rule::ZeroExtension, result(true));
    accept(I64_TO_I64, result(true));
    refuse(I32_TO_I32, Rule::Undefined, |f| f.a.ret().unwrap());
    refuse(
        FLOAT,
        Rule::Undefined,
        framed(|f| {
            f.a.xor(edi, edi)?;
            f.a.call(CALLEE)
        }),
    );
}

/// Puts a callee-saved register into the frame, runs this and takes it back.
fn saving(
    register: AsmRegister64,
    build: impl FnOnce(&mut Fun) -> Asm + 'static,
) -> impl FnOnce(&mut Fun) -> Asm {
    move |f| {
        f.a.mov(qword_ptr(rsp + 8), register)?;
        build(f)?;
        f.a.mov(register, qword_ptr(rsp + 8))
    }
}

#[test]
fn callee_saved_registers_are_restored() {
    for (register, low) in [(rbx, ebx), (rbp, ebp), (r12, r12d), (r13, r13d)] {
        let change = move |f: &mut Fun| f.a.mov(low, edi);
        accept(MANY, framed(saving(register, change)));
        refuse(MANY, Rule::CalleeSaved, framed(change));
        // By way of another register as well, but only as a whole.
        let through = move |whole: bool| {
            framed(move |f| {
                f.a.mov(r10, register)?;
                f.a.mov(low, edi)?;
                if whole {
                    f.a.mov(register, r10)
                } else {
                    f.a.mov(low, r10d)
                }
            })
        };
        accept(MANY, through(true));
        refuse(MANY, Rule::Kind, through(false));
        // What it held is no data: it may be of another cell.
        refuse(
            MANY,
            Rule::Kind,
            framed(move |f| f.access().mov(ptr(r14), register)),
        );
        refuse(MANY, Rule::Kind, framed(move |f| f.a.test(register, register)));
        refuse(I32_TO_I32, Rule::Kind, framed(move |f| f.a.mov(eax, low)));
        // On every path.
        let sometimes = move |restored: bool| {
            framed(move |f| {
                let mut over = f.a.create_label();
                f.a.mov(qword_ptr(rsp + 8), register)?;
                f.a.test(edi, edi)?;
                f.a.je(over)?;
                f.a.mov(low, edi)?;
                if restored {
                    f.a.mov(register, qword_ptr(rsp + 8))?;
                }
                f.bind(&mut over);
                f.a.test(edi, edi)
            })
        };
        accept(MANY, sometimes(true));
        refuse(MANY, Rule::CalleeSaved, sometimes(false));
    }
    // Of another register.
    refuse(MANY, Rule::CalleeSaved, framed(|f| f.a.mov(rbx, rbp)));
    // One that is no callee-saved register is no value at all.
    refuse(MANY, Rule::Undefined, framed(|f| f.a.mov(rax, r10)));
}

#[test]
fn a_call_keeps_callee_saved_registers() {
    for (register, low) in [(rbx, ebx), (rbp, ebp), (r12, r12d), (r13, r13d)] {
        let twice = move |f: &mut Fun| {
            f.a.mov(low, edi)?;
            f.a.call(CALLEE)?;
            f.a.mov(edi, low)?;
            f.a.call(CALLEE)
        };
        accept(I32_TO_I32, framed(saving(register, twice)));
        refuse(I32_TO_I32, Rule::CalleeSaved, framed(twice));
        // A value that was never zero-extended is not after a call.
        let wide = move |f: &mut Fun| {
            f.a.movsxd(register, edi)?;
            f.a.call(CALLEE)?;
            f.a.mov(rdi, register)?;
            f.a.call(CALLEE)
        };
        refuse(I32_TO_I32, Rule::ZeroExtension, framed(saving(register, wide)));
    }
}

#[test]
fn a_library_call_goes_through_its_slot() {
    let offset = library_offset(LibCall::DataDrop) as i32;
    let call = |offset: i32| framed(move |f| f.a.call(qword_ptr(r15 + offset)));
    let returning = |offset: i32| {
        framed(move |f| {
            f.a.call(qword_ptr(r15 + offset))?;
            f.a.xor(eax, eax)
        })
    };
    accept(I32_TO_I32, returning(offset));
    refuse(I32_TO_I32, Rule::Undefined, call(offset)); // it gives no result
    refuse(I64_TO_I64, Rule::ZeroExtension, returning(offset));
    refuse(
        I32_TO_I32,
        Rule::Undefined,
        returning(library_offset(LibCall::MemoryCopy) as i32),
    );
    refuse(I32_TO_I32, Rule::ContextAccess, returning(offset + 4));
    for wrong in [0, 8, 16, At::memory(0), At::table(1), At::global(2)] {
        refuse(I32_TO_I32, Rule::IndirectCall, returning(wrong));
    }
    refuse(I64_TO_I64, Rule::IndirectCall, framed(|f| f.a.call(rdi)));
    refuse(I64_TO_I64, Rule::Address, framed(|f| f.a.call(qword_ptr(rdi))));
    refuse(
        I32_TO_I32,
        Rule::IndirectCall,
        framed(|f| f.access().call(qword_ptr(r14 + rdi))),
    );
}

#[test]
fn an_import_call_names_its_entry() {
    let call = |name: bool, offset: i32| {
        framed(move |f| {
            if name {
                f.a.lea(r11, qword_ptr(r15 + At::import()))?;
            }
            f.a.call(qword_ptr(r15 + At::import() + offset))
        })
    };
    accept(I32_TO_I32, call(true, 0));
    refuse(I32_TO_I32, Rule::IndirectCall, call(false, 0));
    refuse(I32_TO_I32, Rule::ContextAccess, call(true, 8));
    refuse(
        I32_TO_I32,
        Rule::ContextAccess,
        framed(|f| f.a.lea(r11, qword_ptr(r15 + At::global(1)))),
    );
    refuse(
        I32_TO_I32,
        Rule::Kind,
        framed(|f| f.a.lea(rax, qword_ptr(r15 + At::import()))),
    );
}

/// What can be wrong with a `call_indirect`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Flaw {
    None,
    NoBound,
    OtherLength,
    OffByOne,
    WrongShift,
    OtherTable,
    NoSignature,
    WrongSignature,
    WrongSort,
    InverseBranch,
    LateWrite,
    CallBetween,
    OtherField,
    OtherRegister,
}

/// `call_indirect` or `return_call_indirect` of type 1 through table 0 (imported), 1 (private, ten
/// elements) or 2 (owned).
fn indirect(f: &mut Fun, table: u32, flaw: Flaw, tail: bool) -> Asm {
    let mut out = f.a.create_label();
    let (mut signature, mut null) = (f.a.create_label(), f.a.create_label());
    let at = At::table(table);
    f.a.mov(r11d, edi)?;
    if table == 0 {
        f.a.mov(r10, qword_ptr(r15 + at))?;
    }
    match (flaw, table) {
        (Flaw::NoBound, _) => f.a.test(edi, edi)?,
        (Flaw::OtherLength, _) => f.a.cmp(
            r11,
            qword_ptr(r15 + At::table(if table == 2 { 1 } else { 2 }) + 8),
        )?,
        (Flaw::OffByOne, 1) => f.a.cmp(r11, 11)?,
        (_, 0) => f.a.cmp(r11, qword_ptr(r10 + 8))?,
        (_, 1) => f.a.cmp(r11, 10)?,
        _ => f.a.cmp(r11, qword_ptr(r15 + at + 8))?,
    }
    if flaw == Flaw::OffByOne && table != 1 {
        f.a.ja(out)?
    } else {
        f.a.jae(out)?
    }
    f.a.shl(
        r11,
        if flaw == Flaw::WrongShift {
            6
        } else {
            i32::from(func_entry::SHIFT)
        },
    )?;
    match (flaw, table) {
        (Flaw::OtherTable, _) => {
            f.a.add(r11, qword_ptr(r15 + At::table(if table == 1 { 2 } else { 1 })))?
        }
        (_, 0) => f.a.add(r11, qword_ptr(r10))?,
        _ => f.a.add(r11, qword_ptr(r15 + at))?,
    }
    let ty = if flaw == Flaw::WrongSignature {
        FLOAT
    } else {
        I32_TO_I32
    };
    let entry = dword_ptr(r11 + func_entry::SIGNATURE);
    if flaw == Flaw::NoSignature {
        f.a.test(edi, edi)?;
    } else if (table == 1) == (flaw != Flaw::WrongSort) {
        f.a.cmp(entry, ty + 1)?;
    } else {
        f.a.mov(r10d, dword_ptr(r15 + At::signature(ty)))?;
        f.a.cmp(entry, r10d)?;
    }
    if flaw == Flaw::InverseBranch {
        f.a.je(signature)?
    } else {
        f.a.jne(signature)?
    }
    match flaw {
        Flaw::LateWrite => f.a.add(r11, 32)?,
        Flaw::CallBetween => f.a.call(CALLEE)?,
        _ => {}
    }
    match flaw {
        Flaw::OtherField if tail => f.a.jmp(qword_ptr(r11 + 8))?,
        Flaw::OtherRegister if tail => {
            f.a.mov(r10, r11)?;
            f.a.jmp(qword_ptr(r10))?;
        }
        _ if tail => f.a.jmp(qword_ptr(r11))?,
        Flaw::OtherField => f.a.call(qword_ptr(r11 + 8))?,
        Flaw::OtherRegister => {
            f.a.mov(r10, r11)?;
            f.a.call(qword_ptr(r10))?;
        }
        _ => f.a.call(qword_ptr(r11))?,
    }
    if !tail {
        f.a.add(rsp, 24)?;
        f.frame(0);
        f.a.ret()?;
        f.frame(24);
    }
    f.bind(&mut signature);
    f.a.cmp(entry, 0)?;
    f.a.je(null)?;
    f.site(TrapCode::BadSignature).ud2()?;
    f.trap(&mut null, TrapCode::IndirectCallToNull);
    f.trap(&mut out, TrapCode::TableOutOfBounds);
    Ok(())
}

pub(crate) fn through(table: u32, flaw: Flaw, tail: bool) -> Result<(), (Rule, String)> {
    answer(I32_TO_I32, |f| {
        if !tail {
            f.a.sub(rsp, 24).unwrap();
            f.frame(24);
        }
        indirect(f, table, flaw, tail).unwrap();
    })
    .map_err(|violation| (violation.rule, violation.to_string()))
}

#[test]
fn a_call_through_a_table_is_bounded_and_its_signature_matched() {
    for (table, tail) in (0..3).flat_map(|table| [(table, false), (table, true)]) {
        assert_eq!(through(table, Flaw::None, tail), Ok(()), "table {table}");
        // The rule that forbids the way in.
        let way = match tail {
            true => Rule::IndirectJump,
            false => Rule::IndirectCall,
        };
        for (flaw, rule) in [
            (Flaw::NoBound, Rule::Address),
            (Flaw::OtherLength, Rule::Address),
            (Flaw::OffByOne, Rule::Address),
            (Flaw::OtherTable, Rule::Address),
            (Flaw::NoSignature, way),
            (
                Flaw::WrongSignature,
                if tail { Rule::TailCall } else { Rule::Undefined },
            ),
            (Flaw::WrongSort, Rule::IndirectCall),
            (Flaw::InverseBranch, way),
            (Flaw::LateWrite, Rule::Kind),
            (Flaw::OtherField, way),
            (Flaw::OtherRegister, way),
        ] {
            match through(table, flaw, tail) {
                Ok(()) => panic!("table {table}: {flaw:?} is accepted"),
                Err((found, text)) => assert_eq!(found, rule, "table {table}, {flaw:?}: {text}"),
            }
        }
        for flaw in [Flaw::WrongShift, Flaw::CallBetween] {
            assert!(
                through(table, flaw, tail).is_err(),
                "table {table}: {flaw:?} is accepted"
            );
        }
    }
}

/// Another signature than the wanted one: the reference in the entry of table 2 goes to the stub.
fn by_reference_of_entry(load: impl FnOnce(&mut Fun)) -> impl FnOnce(&mut Fun) {
    |f| {
        let mut out = f.a.create_label();
        f.a.sub(rsp, 24).unwrap();
        f.frame(24);
        f.a.mov(r11d, edi).unwrap();
        f.a.cmp(r11, qword_ptr(r15 + At::table(2) + 8)).unwrap();
        f.a.jae(out).unwrap();
        f.a.shl(r11, i32::from(func_entry::SHIFT)).unwrap();
        f.a.add(r11, qword_ptr(r15 + At::table(2))).unwrap();
        load(f);
        f.a.mov(r10d, dword_ptr(r15 + At::signature(I32_TO_I32))).unwrap();
        f.a.call(qword_ptr(r15 + CALL_REF as i32)).unwrap();
        f.a.add(rsp, 24).unwrap();
        f.frame(0);
        f.a.ret().unwrap();
        f.frame(24);
        f.trap(&mut out, TrapCode::TableOutOfBounds);
    }
}

#[test]
fn of_an_entry_the_reference_is_loaded_and_nothing_else() {
    let at = |offset: u32| r11 + offset as i32;
    accept(
        I32_TO_I32,
        by_reference_of_entry(|f| f.a.mov(eax, dword_ptr(at(func_entry::REFERENCE))).unwrap()),
    );
    // Wider, narrower, beside it, or a pointer that lies in the entry.
    refuse(
        I32_TO_I32,
        Rule::Kind,
        by_reference_of_entry(|f| f.a.mov(rax, qword_ptr(at(func_entry::REFERENCE))).unwrap()),
    );
    refuse(
        I32_TO_I32,
        Rule::Kind,
        by_reference_of_entry(|f| f.a.movzx(eax, word_ptr(at(func_entry::REFERENCE))).unwrap()),
    );
    for field in [
        func_entry::CALL,
        func_entry::CODE,
        func_entry::CONTEXT,
        func_entry::SIGNATURE,
        func_entry::REFERENCE + 4,
    ] {
        refuse(
            I32_TO_I32,
            Rule::Kind,
            by_reference_of_entry(|f| f.a.mov(eax, dword_ptr(at(field))).unwrap()),
        );
    }
    refuse(
        I32_TO_I32,
        Rule::Kind,
        by_reference_of_entry(|f| f.a.mov(rax, qword_ptr(at(func_entry::CONTEXT))).unwrap()),
    );
    // It is never stored to.
    refuse(
        I32_TO_I32,
        Rule::Address,
        by_reference_of_entry(|f| {
            f.a.mov(eax, edi).unwrap();
            f.a.mov(dword_ptr(at(func_entry::REFERENCE)), eax).unwrap();
        }),
    );
    // The reference of an import's entry is nobody's business.
    refuse(
        I32_TO_I32,
        Rule::Kind,
        by_reference_of_entry(|f| {
            f.a.lea(r11, qword_ptr(r15 + At::import())).unwrap();
            f.a.mov(eax, dword_ptr(at(func_entry::REFERENCE))).unwrap();
        }),
    );
}

/// What is left out or done otherwise in a call by reference through the entries of the context.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Lookup {
    Whole,
    /// Which function it is decides the program, not its walls.
    NoReference,
    NoMask,
    WideMask,
    /// A number whose low byte is a condition: at most the last entry, or one behind it.
    Byte,
    WideByte,
    NoShift,
    NarrowShift,
    NoSignature,
    OtherSignature,
    LocalSignature,
    SignatureOfOther,
    OtherField,
    Loaded,
}

fn looked_up(flaw: Lookup, tail: bool) -> impl FnOnce(&mut Fun) {
    use cellwall_abi::context::{CALLABLE, CALLABLE_ENTRIES};
    move |f| {
        let mut missing = f.a.create_label();
        if !tail {
            f.a.sub(rsp, 24).unwrap();
            f.frame(24);
        }
        f.a.mov(eax, edi).unwrap();
        f.a.mov(r11d, eax).unwrap();
        match flaw {
            Lookup::NoMask => {}
            Lookup::WideMask => f.a.and(r11d, 2 * CALLABLE_ENTRIES as i32 - 1).unwrap(),
            Lookup::Byte | Lookup::WideByte => {
                let above = if flaw == Lookup::Byte { 256 } else { 0 };
                f.a.mov(r11d, CALLABLE_ENTRIES as i32 - above).unwrap();
                f.a.test(eax, eax).unwrap();
                f.a.sete(r11b).unwrap();
            }
            _ => f.a.and(r11d, CALLABLE_ENTRIES as i32 - 1).unwrap(),
        }
        match flaw {
            Lookup::NoShift => {}
            Lookup::NarrowShift => f.a.shl(r11d, i32::from(func_entry::SHIFT)).unwrap(),
            _ => f.a.shl(r11, i32::from(func_entry::SHIFT)).unwrap(),
        }
        match flaw {
            Lookup::OtherField => f.a.add(r11, qword_ptr(r15 + CALL_REF as i32)).unwrap(),
            Lookup::Loaded => {
                f.a.mov(r10, qword_ptr(r15 + CALLABLE as i32)).unwrap();
                f.a.add(r11, r10).unwrap();
            }
            _ => f.a.add(r11, qword_ptr(r15 + CALLABLE as i32)).unwrap(),
        }
        if flaw != Lookup::NoReference {
            f.a.cmp(dword_ptr(r11 + func_entry::REFERENCE), eax).unwrap();
            f.a.jne(missing).unwrap();
        }
        let ty = if flaw == Lookup::OtherSignature {
            FLOAT
        } else {
            I32_TO_I32
        };
        f.a.mov(r10d, dword_ptr(r15 + At::signature(ty))).unwrap();
        match flaw {
            Lookup::NoSignature => f.a.test(eax, eax).unwrap(),
            Lookup::LocalSignature => f.a.cmp(dword_ptr(r11 + func_entry::SIGNATURE), ty + 1).unwrap(),
            Lookup::SignatureOfOther => f.a.cmp(dword_ptr(r11 + func_entry::REFERENCE), r10d).unwrap(),
            _ => f.a.cmp(dword_ptr(r11 + func_entry::SIGNATURE), r10d).unwrap(),
        }
        f.a.jne(missing).unwrap();
        if tail {
            f.a.jmp(qword_ptr(r11)).unwrap();
        } else {
            f.a.call(qword_ptr(r11)).unwrap();
            f.a.add(rsp, 24).unwrap();
            f.frame(0);
            f.a.ret().unwrap();
            f.frame(24);
        }
        f.trap(&mut missing, TrapCode::NullReference);
    }
}

#[test]
fn entries_of_calls_by_reference_are_bounded_and_matched() {
    for tail in [false, true] {
        accept(I32_TO_I32, looked_up(Lookup::Whole, tail));
        accept(I32_TO_I32, looked_up(Lookup::NoReference, tail));
        accept(I32_TO_I32, looked_up(Lookup::Byte, tail));
        let way = if tail {
            Rule::IndirectJump
        } else {
            Rule::IndirectCall
        };
        for (flaw, rule) in [
            (Lookup::NoMask, Rule::Address),
            (Lookup::WideMask, Rule::Address),
            (Lookup::WideByte, Rule::Address),
            (Lookup::NoSignature, way),
            (
                Lookup::OtherSignature,
                if tail { Rule::TailCall } else { Rule::Undefined },
            ),
            (Lookup::LocalSignature, Rule::IndirectCall),
            (Lookup::SignatureOfOther, Rule::Kind),
            (Lookup::Loaded, Rule::ContextAccess),
        ] {
            refuse(I32_TO_I32, rule, looked_up(flaw, tail));
        }
        for flaw in [Lookup::NoShift, Lookup::NarrowShift, Lookup::OtherField] {
            let answer = answer(I32_TO_I32, looked_up(flaw, tail));
            assert!(answer.is_err(), "{flaw:?} is accepted");
        }
    }
}

#[test]
fn the_number_of_no_type_matches_nothing() {
    // The private table's number of a type that is not the first of its kind, of no type, of null
    // and of foreign types.
    for number in [12, 100, 0, -1] {
        let result = answer(
            I32_TO_I32,
            framed(|f| {
                f.a.mov(r11d, 3)?;
                f.a.shl(r11, 5)?;
                f.a.add(r11, qword_ptr(r15 + At::table(1)))?;
                f.a.cmp(dword_ptr(r11 + func_entry::SIGNATURE), number)?;
                let mut skip = f.a.create_label();
                f.a.jne(skip)?;
                f.a.call(qword_ptr(r11))?;
                f.bind(&mut skip);
                f.a.xor(eax, eax)
            }),
        );
        assert_eq!(result.unwrap_err().rule, Rule::IndirectCall, "{number}");
    }
}
