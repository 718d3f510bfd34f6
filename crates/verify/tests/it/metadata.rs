//! V6 and V7: the tables of an artifact, and its target.

use crate::harness::*;
use cellwall_abi::{Artifact, FuncRange, InlinedCall, InlinedSite, JumpTable, TrapCode, TrapSite, UnwindRow};
use cellwall_base::{EntityId, FuncIdx};
use cellwall_verify::{Rule, verify, verify_with};
use iced_x86::code_asm::*;
use std::sync::atomic::{AtomicUsize, Ordering};

fn sample() -> Artifact {
    artifact(I32_TO_I32, |f| {
        f.rodata = vec![0; 16];
        f.access().mov(eax, dword_ptr(r14 + rdi)).unwrap();
        f.a.ret().unwrap();
    })
}

#[track_caller]
fn changed(rule: Rule, change: impl FnOnce(&mut Artifact)) {
    let mut artifact = sample();
    assert!(verify(artifact.clone()).is_ok());
    change(&mut artifact);
    match verify(artifact) {
        Ok(_) => panic!("accepted, but {rule:?} does not hold"),
        Err(violation) => assert_eq!(violation.rule, rule, "{violation}"),
    }
}

#[test]
fn functions_do_not_overlap_and_lie_in_the_text() {
    changed(Rule::Metadata, |a| a.funcs[1].start = a.funcs[0].start);
    changed(Rule::Metadata, |a| a.funcs[1].start -= 8);
    changed(Rule::Metadata, |a| a.funcs[1].len = 1000);
    changed(Rule::Metadata, |a| a.funcs[1].len = u32::MAX);
    changed(Rule::Metadata, |a| a.funcs[1].start = 0xffff_fff0);
    changed(Rule::Metadata, |a| a.funcs[0].len = 0);
    changed(Rule::Metadata, |a| a.funcs[0].func = FuncIdx::new(0)); // imported
    changed(Rule::Metadata, |a| a.funcs[1].func = FuncIdx::new(1)); // twice
    changed(Rule::Metadata, |a| a.funcs[1].func = FuncIdx::new(3)); // not there
    changed(Rule::Metadata, |a| a.funcs.reverse());
    changed(Rule::Metadata, |a| a.funcs[0].len = 513);
}

#[test]
fn inlined_calls_name_functions_and_come_to_an_end() {
    let call = |func: usize, parent| InlinedCall {
        func: FuncIdx::new(func),
        wasm_offset: u32::MAX,
        parent,
    };
    let site = |pc, call| InlinedSite { pc, call };
    let mut honest = sample();
    honest.inlined = vec![call(1, None), call(2, Some(0)), call(1, Some(1))];
    honest.inlined_sites = vec![site(0, 2), site(u32::MAX, 0)];
    assert!(verify(honest.clone()).is_ok());
    let changed = |change: &dyn Fn(&mut Artifact)| {
        let mut artifact = honest.clone();
        change(&mut artifact);
        let violation = verify(artifact).expect_err("it is refused");
        assert_eq!(violation.rule, Rule::Metadata, "{violation}");
    };
    changed(&|a| a.inlined[0] = call(0, None)); // imported
    changed(&|a| a.inlined[0] = call(3, None)); // not there
    changed(&|a| a.inlined[1] = call(2, Some(1))); // its own parent
    changed(&|a| a.inlined[0] = call(1, Some(2))); // a circle
    changed(&|a| a.inlined_sites[1] = site(0, 0)); // twice
    changed(&|a| a.inlined_sites.reverse());
    changed(&|a| a.inlined_sites[0] = site(0, 3)); // not there
}

#[test]
fn text_may_not_be_truncated() {
    let whole = sample();
    for len in 0..whole.text.len() {
        let mut artifact = whole.clone();
        artifact.text.to_mut().truncate(len);
        let needed = whole.funcs[1].start + whole.funcs[1].len;
        assert_eq!(verify(artifact).is_ok(), len >= needed as usize, "{len} bytes");
    }
}

#[test]
fn only_padding_lies_between_functions() {
    let at = sample().funcs[0].len as usize;
    changed(Rule::Padding, |a| a.text[at] = 0x90);
    changed(Rule::Padding, |a| a.text.to_mut().push(0xc3));
    changed(Rule::Padding, |a| a.funcs.truncate(1));
}

#[test]
fn tables_are_ascending_and_inside_functions() {
    let site = |pc| TrapSite {
        pc,
        code: TrapCode::Unreachable,
        wasm_offset: 0,
    };
    changed(Rule::TrapSite, |a| a.traps.push(site(0)));
    changed(Rule::TrapSite, |a| a.traps.push(site(a.funcs[0].len)));
    changed(Rule::TrapSite, |a| a.traps.push(site(1 << 20)));
    changed(Rule::TrapSite, |a| a.traps.clear());
    changed(Rule::Head, |a| a.heads = vec![16, 0]);
    changed(Rule::Head, |a| a.heads = vec![0, 0]);
    changed(Rule::Head, |a| a.heads = vec![15]);
    changed(Rule::Unwind, |a| a.unwind.truncate(1));
    changed(Rule::Unwind, |a| a.unwind[1].pc += 1);
    changed(Rule::Unwind, |a| {
        a.unwind.push(UnwindRow {
            pc: 1 << 20,
            frame_bytes: 0,
        })
    });
    changed(Rule::Unwind, |a| a.unwind[0].frame_bytes = 1 << 30);
    changed(Rule::Unwind, |a| a.unwind[0].frame_bytes = 4);
    let table = |offset, len| JumpTable {
        offset,
        len,
        func: FuncIdx::new(1),
    };
    changed(Rule::Metadata, |a| a.jump_tables = vec![table(0, 5)]);
    changed(Rule::Metadata, |a| a.jump_tables = vec![table(2, 1)]);
    changed(Rule::Metadata, |a| a.jump_tables = vec![table(0, 0)]);
    changed(Rule::Metadata, |a| a.jump_tables = vec![table(0, u32::MAX)]);
    changed(Rule::Metadata, |a| a.jump_tables = vec![table(0, 2), table(4, 1)]);
    changed(Rule::Metadata, |a| {
        a.jump_tables = vec![JumpTable {
            func: FuncIdx::new(0),
            ..table(0, 1)
        }];
    });
}

#[test]
fn the_shape_is_well_formed() {
    changed(Rule::Metadata, |a| a.shape.imported_funcs = 2);
    changed(Rule::Metadata, |a| a.shape.imports.truncate(3));
    changed(Rule::Metadata, |a| a.shape.start = Some(FuncIdx::new(1)));
    changed(Rule::Metadata, |a| a.shape.start = Some(FuncIdx::new(9)));
    changed(Rule::Metadata, |a| {
        a.shape.exports.push(cellwall_abi::shape::Export {
            name: "f".into(),
            item: cellwall_abi::shape::Item::Func(FuncIdx::new(9)),
        })
    });
    changed(Rule::Metadata, |a| {
        a.shape.data.push(cellwall_abi::shape::DataSegment {
            active: None,
            bytes: 0..1,
        });
    });
    changed(Rule::Metadata, |a| {
        a.names = vec![(FuncIdx::new(9), String::new())]
    });
    changed(Rule::Target, |a| a.target.memory_guard_bytes = 1);
    changed(Rule::Target, |a| a.target.stack_guard_bytes = 0);
}

#[test]
fn an_artifact_may_hold_some_of_the_functions() {
    let mut artifact = sample();
    let FuncRange { start, .. } = artifact.funcs.remove(1);
    artifact.text.to_mut().truncate(start as usize);
    artifact.unwind.pop();
    assert!(verify(artifact).is_ok());
}

#[test]
fn an_executor_cannot_skip_a_function() {
    let mut bad = sample();
    bad.text[bad.funcs[1].start as usize] = 0x50; // push
    let verdict = verify_with(bad.clone(), |_, _| ());
    assert_eq!(verdict.unwrap_err().func, Some(FuncIdx::new(2)));
    // Each runs once, and out-of-range or repeated jobs do no harm.
    let runs = AtomicUsize::new(0);
    let verdict = verify_with(sample(), |jobs, job| {
        for i in [jobs - 1, 0, 0, jobs, usize::MAX] {
            runs.fetch_add(1, Ordering::Relaxed);
            job(i);
        }
    });
    assert!(verdict.is_ok() && runs.into_inner() == 5);
    assert!(verify_with(bad, |jobs, job| (0..jobs).rev().for_each(job)).is_err());
}

#[test]
fn a_violation_says_where_and_why() {
    let mut bad = sample();
    bad.text[0..2].copy_from_slice(&[0x0f, 0x05]);
    let violation = verify(bad).unwrap_err();
    assert_eq!(
        violation.to_string(),
        "f1 at 0x0: V1 allow-list: the instruction has a row (`syscall`: the form Syscall has no row)"
    );
}

/// A reference to a number is made of an i32, and is of its own kind.
#[test]
fn references_to_numbers_are_made_of_numbers() {
    use cellwall_abi::ValType;
    use cellwall_abi::shape::{ConstExpr, ConstOp, GlobalShape};
    use cellwall_base::types::RefType;
    let with = |ty, exact, init: &[ConstOp]| {
        let mut artifact = sample();
        artifact.shape.globals.push(GlobalShape {
            imported: false,
            ty,
            exact: Some(exact),
            mutable: false,
            init: Some(ConstExpr(init.to_vec())),
        });
        verify(artifact).map(drop).map_err(|violation| violation.rule)
    };
    let (any, host) = (RefType::ANYREF, RefType::EXTERNREF);
    let number = [ConstOp::I32(7), ConstOp::RefI31];
    assert_eq!(with(ValType::AnyRef, any, &number), Ok(()));
    assert_eq!(with(ValType::AnyRef, any, &[ConstOp::RefNull]), Ok(()));
    for (ty, exact, init) in [
        (ValType::ExternRef, host, &number[..]),
        (ValType::AnyRef, host, &number[..]),
        (ValType::AnyRef, any, &[ConstOp::RefI31]),
        (ValType::AnyRef, any, &[ConstOp::I64(7), ConstOp::RefI31]),
        (ValType::AnyRef, any, &[ConstOp::I32(7)]),
        (
            ValType::AnyRef,
            any,
            &[ConstOp::I32(7), ConstOp::I32(7), ConstOp::RefI31],
        ),
    ] {
        assert_eq!(with(ty, exact, init), Err(Rule::Metadata), "{ty} {init:?}");
    }
}
