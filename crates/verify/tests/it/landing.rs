//! V6: exceptions. What a landing pad finds, where one may be, and how tags are thrown.

use crate::harness::*;
use cellwall_abi::blob::LandingPad;
use cellwall_abi::context::BLOCK;
use cellwall_abi::convention::block_overflow;
use cellwall_abi::shape::TagShape;
use cellwall_abi::{Artifact, ContextLayout};
use cellwall_base::{TagIdx, TypeIdx};
use cellwall_verify::{Rule, verify};
use iced_x86::code_asm::*;

type Asm = Result<(), iced_x86::IcedError>;

/// The tags of the module: one without values, one with eight of type i32.
const TAGS: [u32; 2] = [NOTHING, MANY];
const SAVED: [AsmRegister64; 4] = [rbx, rbp, r12, r13];

fn tag(index: u32) -> Option<TagIdx> {
    Some(TagIdx::from_u32(index))
}

fn with_tags(mut artifact: Artifact) -> Artifact {
    for ty in TAGS {
        artifact.shape.tags.push(TagShape {
            imported: false,
            ty: TypeIdx::from_u32(ty),
        });
    }
    artifact
}

/// A function that calls another one, and goes on at a landing pad with `pad` if an exception leaves
/// it; all callee-saved registers are in the frame, and the argument in its first slot.
fn catching(catches: Option<TagIdx>, pad: impl FnOnce(&mut Fun) -> Asm) -> Artifact {
    let leave = |f: &mut Fun| {
        for (slot, register) in SAVED.into_iter().enumerate() {
            f.a.mov(register, qword_ptr(rsp + (8 + 8 * slot as i32))).unwrap();
        }
        f.a.add(rsp, 40).unwrap();
        f.frame(0);
        f.a.ret().unwrap();
    };
    let mut artifact = with_tags(artifact(I32_TO_I32, |f| {
        f.a.sub(rsp, 40).unwrap();
        f.frame(40);
        f.a.mov(qword_ptr(rsp), rdi).unwrap();
        for (slot, register) in SAVED.into_iter().enumerate() {
            f.a.mov(qword_ptr(rsp + (8 + 8 * slot as i32)), register).unwrap();
        }
        f.a.call(CALLEE).unwrap();
        leave(f);
        f.head();
        f.frame(40);
        pad(f).unwrap();
        leave(f);
    }));
    artifact.pads.push(LandingPad {
        return_pc: artifact.calls[0].return_pc,
        pad: artifact.heads[0],
        tag: catches,
        with_ref: true,
    });
    artifact
}

#[track_caller]
fn accepted(artifact: Artifact) {
    if let Err(violation) = verify(artifact) {
        panic!("refused: {violation}");
    }
}

#[track_caller]
fn refused(artifact: Artifact, rule: Rule) {
    let violation = verify(artifact).expect_err("it must be refused");
    assert_eq!(violation.rule, rule, "{violation}");
}

fn usual() -> Artifact {
    catching(None, |f| f.a.mov(eax, dword_ptr(rsp)))
}

#[test]
fn a_landing_pad_has_its_frame_and_what_it_is_given() {
    accepted(usual());
    // The reference, and the values of the tag, are where results are.
    accepted(catching(None, |_| Ok(())));
    for register in [edx, ecx, esi] {
        accepted(catching(tag(1), move |f| f.a.mov(eax, register)));
        refused(catching(tag(0), move |f| f.a.mov(eax, register)), Rule::Undefined);
        refused(catching(None, move |f| f.a.mov(eax, register)), Rule::Undefined);
    }
    // No other register holds anything, the callee-saved ones neither.
    for register in [edi, r8d, r10d, r11d, ebx, ebp, r12d, r13d] {
        refused(catching(tag(1), move |f| f.a.mov(eax, register)), Rule::Undefined);
    }
    refused(catching(tag(1), |f| f.a.movd(eax, xmm0)), Rule::Undefined);
    // Nor do the flags.
    refused(catching(None, |f| f.a.cmove(eax, eax)), Rule::Undefined);
}

#[test]
fn a_landing_pad_restores_what_its_caller_relies_on() {
    let mut lost = usual();
    // The load of rbx at the landing pad becomes one of itself.
    let pad = lost.pads[0].pad as usize;
    let text = lost.text.to_mut();
    let load = text[pad..]
        .windows(5)
        .position(|bytes| bytes == [0x48, 0x8b, 0x5c, 0x24, 0x08]);
    let at = pad + load.expect("mov rbx,[rsp+8]");
    text[at..at + 5].copy_from_slice(&[0x48, 0x8b, 0x44, 0x24, 0x00]);
    assert!(verify(lost).is_err());
    // What the frame held before the call, it holds; what it did not, it does not.
    refused(
        catching(None, |f| f.a.mov(eax, dword_ptr(rsp - 8))),
        Rule::StackAccess,
    );
}

#[test]
fn values_beyond_the_registers_are_those_of_the_tag() {
    let overflow = |index: usize| {
        move |f: &mut Fun| {
            f.a.mov(rcx, qword_ptr(r15 + BLOCK))?;
            f.a.mov(eax, dword_ptr(rcx + block_overflow(index)))
        }
    };
    // A reference and eight integers: four registers, five places.
    accepted(catching(tag(1), overflow(4)));
    refused(catching(tag(1), overflow(5)), Rule::BlockAccess);
    refused(catching(tag(0), overflow(0)), Rule::BlockAccess);
    refused(catching(None, overflow(0)), Rule::BlockAccess);
    // They are gone after the next call.
    refused(
        catching(tag(1), move |f| {
            f.a.mov(edi, eax)?;
            f.a.call(CALLEE)?;
            overflow(0)(f)
        }),
        Rule::BlockAccess,
    );
}

#[test]
fn rows_name_a_call_a_place_in_its_function_and_a_tag() {
    let change = |change: fn(&mut Artifact)| {
        let mut artifact = usual();
        change(&mut artifact);
        artifact
    };
    let no = Rule::LandingPad;
    refused(change(|a| a.pads[0].return_pc += 1), no);
    refused(change(|a| a.pads[0].return_pc = 0), no);
    refused(change(|a| a.pads[0].return_pc = u32::MAX), no);
    // In the middle of an instruction, in another function, beyond all.
    refused(change(|a| a.pads[0].pad += 1), no);
    refused(change(|a| a.pads[0].pad = CALLEE as u32), no);
    refused(change(|a| a.pads[0].pad = u32::MAX), no);
    // A boundary, but no head: of a head, the proof would have a state.
    refused(change(|a| a.pads[0].pad = a.calls[0].return_pc), no);
    refused(change(|a| a.pads[0].tag = tag(2)), no);
    // Without a row, nothing leads there.
    refused(change(|a| a.pads.clear()), Rule::Unreachable);
    // Two for one call are in order; one that comes too early is not.
    accepted(change(|a| {
        a.pads.insert(
            0,
            LandingPad {
                tag: tag(0),
                ..a.pads[0]
            },
        )
    }));
    refused(
        change(|a| {
            let after = LandingPad {
                return_pc: 0,
                ..a.pads[0]
            };
            a.pads.push(after);
        }),
        no,
    );
}

#[test]
fn the_frame_of_a_landing_pad_is_that_of_the_call() {
    // A head in code without a frame: two frames would meet there.
    let mut artifact = with_tags(artifact(I32_TO_I32, |f| {
        let mut end = f.a.create_label();
        f.a.mov(eax, edi).unwrap();
        f.a.test(edi, edi).unwrap();
        f.a.je(end).unwrap();
        f.a.sub(rsp, 40).unwrap();
        f.frame(40);
        f.a.call(CALLEE).unwrap();
        f.a.add(rsp, 40).unwrap();
        f.frame(0);
        f.bind(&mut end);
        f.a.ret().unwrap();
    }));
    accepted(artifact.clone());
    artifact.pads.push(LandingPad {
        return_pc: artifact.calls[0].return_pc,
        pad: artifact.heads[0],
        tag: None,
        with_ref: false,
    });
    refused(artifact, Rule::StackPointer);
}

#[test]
fn a_tag_is_thrown_by_its_entry() {
    let layout = ContextLayout::new(&with_tags(artifact(NOTHING, |f| f.a.ret().unwrap())).shape);
    let entry = |index: u32| layout.tag_entry(TagIdx::from_u32(index)) as i32;
    let throw = |named: i32, called: i32| {
        with_tags(artifact(NOTHING, |f| {
            f.a.sub(rsp, 24).unwrap();
            f.frame(24);
            f.a.lea(r11, qword_ptr(r15 + named)).unwrap();
            f.a.call(qword_ptr(r15 + called)).unwrap();
            f.a.add(rsp, 24).unwrap();
            f.frame(0);
            f.a.ret().unwrap();
        }))
    };
    accepted(throw(entry(0), entry(0)));
    // The values are missing.
    refused(throw(entry(1), entry(1)), Rule::Undefined);
    // The entry in the register is that of another tag, or of an imported function.
    refused(throw(entry(1), entry(0)), Rule::IndirectCall);
    let import = layout.import_entry(cellwall_base::FuncIdx::from_u32(0)) as i32;
    refused(throw(import, entry(0)), Rule::IndirectCall);
    refused(throw(entry(0) + 8, entry(0)), Rule::ContextAccess);
    refused(throw(entry(0), entry(0) + 8), Rule::ContextAccess);
}

/// Two calls that throw to one landing pad; `between` runs after the first.
fn twice(between: fn(&mut Fun) -> Asm, pad: impl FnOnce(&mut Fun) -> Asm) -> Artifact {
    let mut artifact = with_tags(artifact(I32_TO_I32, |f| {
        f.a.sub(rsp, 24).unwrap();
        f.frame(24);
        f.a.mov(qword_ptr(rsp), rbx).unwrap();
        f.a.mov(ebx, edi).unwrap();
        f.a.call(CALLEE).unwrap();
        between(f).unwrap();
        f.a.mov(edi, eax).unwrap();
        f.a.call(CALLEE).unwrap();
        f.a.mov(rbx, qword_ptr(rsp)).unwrap();
        f.a.add(rsp, 24).unwrap();
        f.frame(0);
        f.a.ret().unwrap();
        f.head();
        f.frame(24);
        // The other callee-saved registers are lost: it does not return.
        pad(f).unwrap();
        f.site(cellwall_abi::TrapCode::Unreachable).ud2().unwrap();
    }));
    for call in 0..2 {
        artifact.pads.push(LandingPad {
            return_pc: artifact.calls[call].return_pc,
            pad: artifact.heads[0],
            tag: None,
            with_ref: false,
        });
    }
    artifact
}

#[test]
fn a_landing_pad_knows_what_holds_at_every_call_that_names_it() {
    let store = |f: &mut Fun| f.a.mov(qword_ptr(rsp + 8), rax);
    let nothing = |_: &mut Fun| Ok(());
    accepted(twice(nothing, |_| Ok(())));
    accepted(twice(store, |_| Ok(())));
    // Written between the two calls: not before the first one threw.
    refused(
        twice(store, |f| f.a.mov(rcx, qword_ptr(rsp + 8))),
        Rule::Undefined,
    );
    // What the callee-saved register held is in the frame, and nowhere else.
    accepted(twice(nothing, |f| f.a.mov(rbx, qword_ptr(rsp))));
    refused(twice(nothing, |f| f.a.mov(ecx, ebx)), Rule::Undefined);
    refused(twice(nothing, |f| f.a.test(ebx, ebx)), Rule::Undefined);
    refused(
        twice(nothing, |f| f.access().mov(ecx, dword_ptr(r14 + rbx))),
        Rule::Undefined,
    );
    // Nor does a fact survive of what was compared before, and the pinned pair is not to be set.
    refused(twice(nothing, |f| f.a.setb(cl)), Rule::Undefined);
    refused(twice(nothing, |f| f.a.mov(r14, qword_ptr(rsp))), Rule::Pinned);
    accepted(twice(nothing, |f| f.access().mov(ecx, dword_ptr(r14 + 8))));
}

#[test]
fn an_index_that_a_landing_pad_uses_was_kept_in_the_frame() {
    let kept = |in_frame: bool| {
        catching(None, move |f| {
            match in_frame {
                true => f.a.mov(ecx, dword_ptr(rsp))?,
                false => f.a.mov(ecx, r12d)?,
            }
            f.access().mov(ecx, dword_ptr(r14 + rcx))
        })
    };
    accepted(kept(true));
    refused(kept(false), Rule::Undefined);
    // As it was: 64 bits of the slot are not an index of 32.
    let wide = |f: &mut Fun| {
        f.a.mov(rcx, qword_ptr(rsp + 8))?;
        f.access().mov(ecx, dword_ptr(r14 + rcx))
    };
    refused(catching(None, wide), Rule::MemoryAccess);
}
