//! The walk of one function, as text.

use crate::{CompileError, Passes, Unit, emit, frame, lower, opt, regalloc, tidy};
use cellwall_base::FuncIdx;
use std::fmt::Write;

/// A stage of compilation whose result can be shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// The SSA form as translated.
    Translated,
    /// The SSA form after optimization.
    Optimized,
    /// Machine instructions with virtual registers.
    Virtual,
    /// Machine instructions with allocated registers.
    Allocated,
    /// Machine code as hexadecimal bytes, one line of 16 each, with the tables beside it.
    Code,
}

/// The SSA form as translated and after each step of optimization, in order, with the steps' names.
///
/// # Errors
/// If the function cannot be compiled that far.
pub fn explain_passes(unit: &Unit<'_>, func: FuncIdx) -> Result<Vec<(&'static str, String)>, CompileError> {
    let mut ir = unit.translate(func)?;
    let mut steps = vec![("translate", ir.to_string())];
    opt::run(&mut ir, unit.config, |name, ir| {
        steps.push((name, ir.to_string()))
    });
    Ok(steps)
}

/// How often each rule of the optimizer was applied to a function, in the order of the rules.
///
/// # Errors
/// If the function cannot be compiled that far.
#[cfg(feature = "oracle")]
pub fn rules_applied(unit: &Unit<'_>, func: FuncIdx) -> Result<Vec<(&'static str, u32)>, CompileError> {
    let mut ir = unit.translate(func)?;
    let mut fired = opt::Fired::counting();
    opt::run_and_count(&mut ir, unit.config, &mut fired, |_, _| {});
    Ok(fired.counts())
}

/// The result of a stage for one function.
///
/// # Errors
/// If the function cannot be compiled that far.
pub fn explain(unit: &Unit<'_>, func: FuncIdx, stage: Stage) -> Result<String, CompileError> {
    let mut ir = unit.translate(func)?;
    if stage == Stage::Translated {
        return Ok(ir.to_string());
    }
    opt::run(&mut ir, unit.config, |_, _| {});
    if stage == Stage::Optimized {
        return Ok(ir.to_string());
    }
    let virt = lower::lower(&ir, unit, &mut lower::Scratch::default());
    if stage == Stage::Virtual {
        return Ok(virt.to_string());
    }
    let mut phys = regalloc::regalloc(virt, unit.config.passes, &mut regalloc::Scratch::default());
    tidy::tidy(&mut phys);
    frame::frame(&mut phys);
    if unit.config.passes.contains(Passes::ROTATE) {
        tidy::rotate(&mut phys);
    }
    if stage == Stage::Allocated {
        return Ok(phys.to_string());
    }
    let blob = emit::emit(&phys, &ir, unit.target)?;
    let mut text = String::new();
    for line in blob.code.chunks(16) {
        let bytes: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        let _ = writeln!(text, "{}", bytes.join(" "));
    }
    for reloc in &blob.relocs {
        let _ = writeln!(text, "reloc {:x} {:?}", reloc.at, reloc.kind);
    }
    for site in &blob.traps {
        let _ = writeln!(
            text,
            "trap {:x} {:?} at 0x{:x}",
            site.pc, site.code, site.wasm_offset
        );
    }
    Ok(text)
}
