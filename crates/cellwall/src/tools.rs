//! For tools that show how Cellwall works: the walk of one function as text, and what is proven.
//!
//! Requires a valid module. Guarantees nothing about the text, which changes from version to
//! version: it is for people.

mod objdump;
mod proof;

pub use objdump::{NoSuchFunction, ObjdumpOptions, objdump};
pub use proof::{Proof, verify};

use crate::module::{binary, compile as compile_module, decode, refused};
use crate::{Engine, Precompiled, Result, component, format_err};
use cellwall_abi::{Artifact, CodeBlob, ContextLayout, RelocKind, Shape, convention, pack};
use cellwall_base::FuncIdx;
use cellwall_compile as compile;
use cellwall_wasm as wasm;
use iced_x86::{Decoder, DecoderOptions, Formatter, Instruction, NasmFormatter, OpKind, Register};
use std::fmt::Write;

/// A stage in the walk of a function.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Stage {
    /// The operators of the body, as the compiler hears them.
    Wasm,
    /// The SSA form, after the optimizations.
    Ir,
    /// Machine instructions, their registers allocated.
    Mir,
    /// The machine code, with its traps and calls.
    Asm,
}

/// The function with this index (imported ones come first) at this stage, as text.
///
/// # Errors
/// If the module is not valid, or has no such function with a body.
///
/// ```
/// use cellwall::{Engine, tools};
///
/// let engine = Engine::default();
/// let wasm = br#"(module (func (param i32) (result i32)
///     (i32.add (local.get 0) (i32.const 5))))"#;
/// let text = tools::explain(&engine, wasm, 0, tools::Stage::Asm)?;
/// assert!(text.contains("ret"));
/// assert!(tools::explain(&engine, wasm, 1, tools::Stage::Asm).is_err());
/// # cellwall::Ok(())
/// ```
pub fn explain(engine: &Engine, wasm: &[u8], function: u32, stage: Stage) -> Result<String> {
    let (module, func) = with_body(engine, wasm, function)?;
    let shape = cellwall_link::shape(&module);
    let unit = compile::Unit::new(&module, &shape, engine.target());
    let text = match stage {
        Stage::Wasm => return operators(&module, func),
        Stage::Ir => compile::explain(&unit, func, compile::Stage::Optimized),
        Stage::Mir => compile::explain(&unit, func, compile::Stage::Allocated),
        Stage::Asm => compile::function(&unit, func, &mut compile::Scratch::default())
            .map(|blob| assembly(&shape, &blob)),
    };
    text.map_err(refused)
}

/// A step of the optimizer, and what it left.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// The pass; the first step is `translate`, which made the SSA form.
    pub name: &'static str,
    /// The SSA form after it.
    pub text: String,
}

/// The SSA form of the function with this index as it was translated, and after each pass of the
/// optimizer, in the order in which they run.
///
/// # Errors
/// If the module is not valid, or has no such function with a body.
///
/// ```
/// use cellwall::{Engine, tools};
///
/// let wasm = br#"(module (func (result i32) (i32.add (i32.const 2) (i32.const 5))))"#;
/// let steps = tools::explain_passes(&Engine::default(), wasm, 0)?;
/// assert_eq!(steps[0].name, "translate");
/// assert!(steps[0].text.contains("add") && !steps[1].text.contains("add"));
/// # cellwall::Ok(())
/// ```
pub fn explain_passes(engine: &Engine, wasm: &[u8], function: u32) -> Result<Vec<Step>> {
    let (module, func) = with_body(engine, wasm, function)?;
    let shape = cellwall_link::shape(&module);
    let unit = compile::Unit::new(&module, &shape, engine.target());
    let steps = compile::explain_passes(&unit, func).map_err(refused)?;
    let step = |(name, text)| Step { name, text };
    Ok(steps.into_iter().map(step).collect())
}

/// The artifacts of these bytes, not yet proven, each with what it is: of a compiled module or
/// component, or of a module or component in the binary format as it would be compiled. A module is
/// nameless.
fn artifacts(engine: &Engine, bytes: &[u8]) -> Result<Vec<(String, Artifact)>> {
    Ok(match Engine::detect_precompiled(bytes) {
        Some(Precompiled::Module) => vec![(String::new(), pack::unpack(bytes)?.0)],
        Some(Precompiled::Component) => component::modules_of(bytes)?,
        None if is_component(bytes) => component::modules_of(&engine.precompile_component(bytes)?)?,
        None => vec![(String::new(), compile_module(engine, &decode(engine, bytes)?)?)],
    })
}

/// Whether bytes in the binary format begin like a component.
fn is_component(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\0asm") && bytes.get(6..8) == Some(&[1, 0])
}

/// The decoded module, and the index as that of a function with a body.
fn with_body(engine: &Engine, wasm: &[u8], function: u32) -> Result<(wasm::Module, FuncIdx)> {
    let module = decode(engine, &binary(wasm)?)?;
    let func = FuncIdx::from_u32(function);
    if module.body(func).is_none() {
        return Err(format_err!("there is no function {function} with a body"));
    }
    Ok((module, func))
}

/// The operators of a body, one a line, with their offsets in the module.
fn operators(module: &wasm::Module, func: FuncIdx) -> Result<String> {
    struct Lines(String);
    impl wasm::Sink for Lines {
        fn locals(&mut self, count: u32, ty: wasm::ValType) {
            let _ = writeln!(self.0, "          {count} locals of {ty}");
        }
        fn operator(&mut self, operator: &wasm::Operator<'_>, at: wasm::At) {
            let _ = writeln!(self.0, "{:#8x}  {operator:?}", at.offset);
        }
    }
    let mut lines = Lines(String::new());
    wasm::walk(module, func, &mut lines)?;
    Ok(lines.0)
}

/// The code of a function, one instruction a line, with what the tables beside it say.
fn assembly(shape: &Shape, blob: &CodeBlob) -> String {
    let mut text = String::new();
    let layout = ContextLayout::new(shape);
    let mut formatter = NasmFormatter::new();
    for instruction in Decoder::with_ip(64, &blob.code, 0, DecoderOptions::NONE) {
        let pc = instruction.ip() as u32;
        if blob.heads.binary_search(&pc).is_ok() {
            let _ = writeln!(text, "L{pc:x}:");
        }
        let mut line = String::new();
        formatter.format(&instruction, &mut line);
        let _ = writeln!(
            text,
            "{}",
            annotated(pc, &line, &comments(&layout, blob, &instruction))
        );
    }
    for (i, targets) in blob.jump_tables.iter().enumerate() {
        let targets: Vec<_> = targets.iter().map(|pc| format!("L{pc:x}")).collect();
        let _ = writeln!(text, "jump table {i}: {}", targets.join(" "));
    }
    text
}

/// A line of code with what is known of it.
fn annotated(pc: u32, line: &str, comments: &[String]) -> String {
    match comments.is_empty() {
        true => format!("{pc:8x}  {line}"),
        false => format!("{pc:8x}  {line:<40} ; {}", comments.join(", ")),
    }
}

/// The field of the context that an instruction reads or writes, if it does.
fn field_name(layout: &ContextLayout, instruction: &Instruction) -> Option<String> {
    let has_memory = (0..instruction.op_count()).any(|i| instruction.op_kind(i) == OpKind::Memory);
    if !has_memory
        || instruction.memory_base().number() != usize::from(convention::CONTEXT)
        || instruction.memory_index() != Register::None
    {
        return None;
    }
    let field = layout.field_at(instruction.memory_displacement64() as u32)?;
    Some(format!("{:?}", field.kind))
}

/// What is known of an instruction beside itself.
fn comments(layout: &ContextLayout, blob: &CodeBlob, instruction: &Instruction) -> Vec<String> {
    let (start, end) = (instruction.ip() as u32, instruction.next_ip() as u32);
    let mut comments = Vec::new();
    let reloc = blob.relocs.iter().find(|reloc| (start..end).contains(&reloc.at));
    match reloc.map(|reloc| reloc.kind) {
        Some(RelocKind::Func(func)) => comments.push(format!("function {}", func.as_u32())),
        Some(RelocKind::Rodata(at)) => comments.push(format!("constant {at:#x}")),
        Some(RelocKind::JumpTable(table)) => comments.push(format!("jump table {table}")),
        None => {}
    }
    comments.extend(field_name(layout, instruction));
    if let Ok(at) = blob.traps.binary_search_by_key(&start, |site| site.pc) {
        let site = blob.traps[at];
        comments.push(format!("may trap: {} (wasm {:#x})", site.code, site.wasm_offset));
    }
    if let Ok(at) = blob.calls.binary_search_by_key(&end, |site| site.return_pc) {
        comments.push(format!("wasm {:#x}", blob.calls[at].wasm_offset));
    }
    comments
}
