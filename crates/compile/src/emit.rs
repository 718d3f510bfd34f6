//! Allocated code → blob.
//!
//! Decides the frame, has the instruction set encode the function, and puts the answer in the words
//! of the treaty. Knows no IR.

use crate::CompileError;
use cellwall_abi::{CallSite, CodeBlob, Reloc, RelocKind, Target, TrapCode, TrapSite, UnwindRow};
use cellwall_base::{FuncIdx, Limit, limits};
use cellwall_isa::Phys;
use cellwall_isa::x64::{Entry, MFunc, RelocTarget, Row, encode};

/// Encodes a function.
///
/// # Errors
/// If its frame or its code is larger than allowed.
pub(crate) fn emit(func: &MFunc<Phys>, index: FuncIdx, target: &Target) -> Result<CodeBlob, CompileError> {
    let code = encode(func, entry(func, target)?, limits::FUNC_CODE_BYTES_MAX).map_err(|_| Limit {
        what: "the machine code of a function in bytes",
        max: limits::FUNC_CODE_BYTES_MAX as u64,
    })?;
    let trap = |code| TrapCode::from_u8(code).expect("lowering takes codes from the table of traps");
    Ok(CodeBlob {
        func: index,
        code: code.bytes,
        relocs: code
            .relocs
            .iter()
            .map(|reloc| Reloc {
                at: reloc.at,
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
                wasm_offset: site.origin,
            })
            .collect(),
        calls: code
            .calls
            .iter()
            .map(|site| CallSite {
                return_pc: site.return_pc,
                wasm_offset: site.origin,
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
    })
}

/// The frame: as many slots as were spilled to; where the function calls, the stack is aligned.
fn entry(func: &MFunc<Phys>, target: &Target) -> Result<Entry, Limit> {
    let mut slots = u64::from(func.slots);
    if func.insts.iter().any(|inst| inst.row == Row::Call) {
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
