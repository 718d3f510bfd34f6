//! Allocated code → blob.
//!
//! Decides the frame, has the instruction set encode the function, and puts the answer in the words
//! of the treaty. Knows no IR but which calls were inlined.

use crate::CompileError;
use cellwall_abi::{
    CallSite, CodeBlob, InlinedCall, InlinedSite, LandingPad, Reloc, RelocKind, Target, TrapCode, TrapSite,
    UnwindRow,
};
use cellwall_base::{FuncIdx, Limit, TagIdx, limits};
use cellwall_ir as ir;
use cellwall_isa::Phys;
use cellwall_isa::x64::{Code, Entry, MFunc, RelocTarget, encode};

/// Encodes a function. `source` is the SSA form that it was made from.
///
/// # Errors
/// If its frame or its code is larger than allowed.
pub(crate) fn emit(func: &MFunc<Phys>, source: &ir::Func, target: &Target) -> Result<CodeBlob, CompileError> {
    let code = encode(func, entry(func, target)?, limits::FUNC_CODE_BYTES_MAX).map_err(|_| Limit {
        what: "the machine code of a function in bytes",
        max: limits::FUNC_CODE_BYTES_MAX as u64,
    })?;
    let trap = |code| TrapCode::from_u8(code).expect("lowering takes codes from the table of traps");
    let (inlined, inlined_sites) = inlined(&code, source);
    Ok(CodeBlob {
        func: source.index,
        code: code.bytes,
        relocs: code
            .relocs
            .iter()
            .map(|reloc| Reloc {
                at: reloc.at,
                tail: reloc.tail,
                kind: match reloc.target {
                    RelocTarget::Func(func) => RelocKind::Func(FuncIdx::from_u32(func)),
                    RelocTarget::Rodata(offset) => RelocKind::Rodata(offset),
                    RelocTarget::JumpTable(table) => RelocKind::JumpTable(table),
                },
            })
            .collect(),
        rodata: func.rodata.clone(),
        jump_tables: code.jump_tables,
        traps: code
            .traps
            .iter()
            .map(|site| TrapSite {
                pc: site.pc,
                code: trap(site.code),
                wasm_offset: source.place_of(site.origin).0,
            })
            .collect(),
        calls: code
            .calls
            .iter()
            .map(|site| CallSite {
                return_pc: site.return_pc,
                wasm_offset: source.place_of(site.origin).0,
            })
            .collect(),
        pads: code
            .pads
            .iter()
            .map(|pad| LandingPad {
                return_pc: pad.return_pc,
                pad: pad.pad,
                tag: pad.catches.tag.map(TagIdx::from_u32),
                with_ref: pad.catches.with_ref,
            })
            .collect(),
        unwind: code
            .frames
            .iter()
            .map(|row| UnwindRow {
                pc: row.pc,
                frame_bytes: row.bytes,
            })
            .collect(),
        heads: code.heads,
        inlined,
        inlined_sites,
    })
}

/// The traps and calls in inlined bodies, and the inlined calls around them.
fn inlined(code: &Code, source: &ir::Func) -> (Vec<InlinedCall>, Vec<InlinedSite>) {
    if source.inlined.is_empty() {
        return Default::default();
    }
    let traps = code.traps.iter().map(|site| (site.pc, site.origin));
    let calls = code.calls.iter().map(|site| (site.return_pc - 1, site.origin));
    let mut sites: Vec<InlinedSite> = traps
        .chain(calls)
        .filter_map(|(pc, origin)| {
            let call = source.place_of(origin).1? as u32;
            Some(InlinedSite { pc, call })
        })
        .collect();
    sites.sort_by_key(|site| site.pc);
    // Bodies around another come before it.
    let parents: Vec<_> = source
        .inlined
        .iter()
        .map(|body| source.place_of(body.call))
        .collect();
    let mut used = vec![false; parents.len()];
    sites.iter().for_each(|site| used[site.call as usize] = true);
    for (at, &(_, parent)) in parents.iter().enumerate().rev() {
        if let (true, Some(parent)) = (used[at], parent) {
            used[parent] = true;
        }
    }
    let mut kept = Vec::new();
    let mut index_of = vec![0; parents.len()];
    for (at, body) in source.inlined.iter().enumerate().filter(|(at, _)| used[*at]) {
        let (wasm_offset, parent) = parents[at];
        index_of[at] = kept.len() as u32;
        kept.push(InlinedCall {
            func: body.func,
            wasm_offset,
            parent: parent.map(|parent| index_of[parent]),
        });
    }
    sites
        .iter_mut()
        .for_each(|site| site.call = index_of[site.call as usize]);
    (kept, sites)
}

/// The frame: as many slots as were spilled to; where the function calls, the stack is aligned.
fn entry(func: &MFunc<Phys>, target: &Target) -> Result<Entry, Limit> {
    let mut slots = u64::from(func.slots);
    // Of vectors in the frame, none then lies across two lines of the cache.
    if (func.vectors && slots > 0) || func.insts.iter().any(|inst| inst.row.is_call()) {
        slots |= 1;
    }
    if slots * 8 > u64::from(limits::FRAME_BYTES_MAX) {
        return Err(Limit {
            what: "the stack frame of a function in bytes",
            max: u64::from(limits::FRAME_BYTES_MAX),
        });
    }
    Ok(Entry {
        frame_bytes: slots as u32 * 8,
        probe_bytes: target.stack_guard_bytes,
        trap: TrapCode::StackOverflow as u8,
    })
}
