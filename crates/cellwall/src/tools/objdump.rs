//! The machine code of a whole compiled module as text.
//!
//! Requires nothing of the bytes: what is printed need not be proven. Guarantees nothing about the
//! text, which is for people.

use super::{annotated, artifacts, field_name};
use crate::{Engine, Result};
use cellwall_abi::artifact::FuncRange;
use cellwall_abi::shape::Item;
use cellwall_abi::{Artifact, ContextLayout};
use cellwall_base::FuncIdx;
use iced_x86::{Decoder, DecoderOptions, Formatter, Instruction, NasmFormatter};
use std::collections::HashSet;
use std::fmt::{self, Write};

/// What to print of a compiled module; see [`objdump`].
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ObjdumpOptions {
    /// Only this function: by index (imported ones come first), name, or a name that it is exported
    /// as.
    pub function: Option<String>,
    /// The bytes of each instruction before it.
    pub bytes: bool,
}

/// The error of [`objdump`] if there is no code for the function that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NoSuchFunction {
    /// The function that is wanted.
    pub wanted: String,
    /// The names of those that there are, by index: from the name section, or of exports.
    pub names: Vec<(u32, String)>,
}

impl fmt::Display for NoSuchFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wanted = self.wanted.escape_debug();
        write!(f, "there is no code for a function `{wanted}`")
    }
}

impl std::error::Error for NoSuchFunction {}

/// Bytes of an instruction at most.
const INSTRUCTION_BYTES_MAX: usize = 15;

/// The machine code of a compiled module or component, or of one in the binary format as it would be
/// compiled; module by module, function by function, with what the tables beside the code say.
///
/// # Errors
/// If the bytes are neither, or have no code for the wanted function ([`NoSuchFunction`]). The code is
/// not proven.
///
/// ```
/// use cellwall::{Engine, tools};
///
/// let engine = Engine::default();
/// let bytes = engine.precompile_module(b"(module (func $one) (func unreachable))")?;
/// let text = tools::objdump(&engine, &bytes, &Default::default())?;
/// assert!(text.contains("function 0 (one)") && text.contains("unreachable"));
///
/// let mut options = tools::ObjdumpOptions::default();
/// options.function = Some("two".to_string());
/// let error = tools::objdump(&engine, &bytes, &options).unwrap_err();
/// let error: &tools::NoSuchFunction = error.downcast_ref().unwrap();
/// assert_eq!(error.names, [(0, "one".to_string())]);
/// # cellwall::Ok(())
/// ```
pub fn objdump(engine: &Engine, bytes: &[u8], options: &ObjdumpOptions) -> Result<String> {
    let mut text = String::new();
    let mut is_found = false;
    let mut names = Vec::new();
    for (name, artifact) in artifacts(engine, bytes)? {
        let mut ranges = artifact.funcs.clone();
        if let Some(wanted) = &options.function {
            let func = find(&artifact, wanted);
            names.extend(names_of(&artifact));
            ranges.retain(|range| Some(range.func) == func);
        }
        is_found |= !ranges.is_empty();
        if !name.is_empty() && !ranges.is_empty() {
            let between = if text.is_empty() { "" } else { "\n" };
            let _ = writeln!(text, "{between};; {name}");
        }
        let layout = ContextLayout::new(&artifact.shape);
        for range in ranges {
            if !text.is_empty() {
                text.push('\n');
            }
            function(&artifact, &layout, range, options.bytes, &mut text);
        }
    }
    match &options.function {
        Some(wanted) if !is_found => {
            names.sort_unstable();
            names.dedup();
            let wanted = wanted.clone();
            Err(NoSuchFunction { wanted, names }.into())
        }
        _ => Ok(text),
    }
}

/// The function that the user means.
fn find(artifact: &Artifact, wanted: &str) -> Option<FuncIdx> {
    if let Ok(index) = wanted.parse() {
        return Some(FuncIdx::from_u32(index));
    }
    let wanted = wanted.strip_prefix('$').unwrap_or(wanted);
    let named = artifact.names.iter().find(|(_, name)| name == wanted);
    let exported = || {
        artifact
            .shape
            .exports
            .iter()
            .find_map(|export| match export.item {
                Item::Func(func) if export.name == wanted => Some(func),
                _ => None,
            })
    };
    named.map(|(func, _)| *func).or_else(exported)
}

/// The names of the functions with code.
fn names_of(artifact: &Artifact) -> Vec<(u32, String)> {
    let funcs: HashSet<FuncIdx> = artifact.funcs.iter().map(|range| range.func).collect();
    let named = artifact.names.iter().map(|(func, name)| (*func, name));
    let exports = artifact.shape.exports.iter();
    let exported = exports.filter_map(|export| match export.item {
        Item::Func(func) => Some((func, &export.name)),
        _ => None,
    });
    let names = named.chain(exported).filter(|(func, _)| funcs.contains(func));
    names.map(|(func, name)| (func.as_u32(), name.clone())).collect()
}

fn function(artifact: &Artifact, layout: &ContextLayout, range: FuncRange, bytes: bool, text: &mut String) {
    let title = title(artifact, range);
    let _ = writeln!(text, "{:08x} {title}: {} bytes", range.start, range.len);
    let (start, end) = (range.start as usize, range.start as usize + range.len as usize);
    let Some(code) = artifact.text.get(start..end) else {
        let _ = writeln!(text, "  outside of the code");
        return;
    };
    let mut formatter = NasmFormatter::new();
    for instruction in Decoder::with_ip(64, code, u64::from(range.start), DecoderOptions::NONE) {
        let pc = instruction.ip() as u32;
        if artifact.heads.binary_search(&pc).is_ok() {
            let _ = writeln!(text, "L{pc:x}:");
        }
        let mut line = String::new();
        if bytes {
            let at = pc as usize - start;
            let raw: Vec<String> = code[at..at + instruction.len()]
                .iter()
                .map(|b| format!("{b:02x}"))
                .collect();
            let _ = write!(
                line,
                "{:<width$}",
                raw.join(" "),
                width = 3 * INSTRUCTION_BYTES_MAX
            );
        }
        formatter.format(&instruction, &mut line);
        let _ = writeln!(
            text,
            "{}",
            annotated(pc, &line, &comments(artifact, layout, &instruction))
        );
    }
}

fn title(artifact: &Artifact, range: FuncRange) -> String {
    match artifact.name(range.func) {
        Some(name) => format!("function {} ({})", range.func.as_u32(), name.escape_debug()),
        None => format!("function {}", range.func.as_u32()),
    }
}

fn comments(artifact: &Artifact, layout: &ContextLayout, instruction: &Instruction) -> Vec<String> {
    let mut comments = Vec::new();
    if instruction.is_call_near() {
        let target = instruction.near_branch_target() as u32;
        match artifact.func_at(target) {
            Some(range) if range.start == target => comments.push(title(artifact, range)),
            _ => {}
        }
    }
    comments.extend(field_name(layout, instruction));
    if let Some(site) = artifact.trap_at(instruction.ip() as u32) {
        comments.push(format!("may trap: {} (wasm {:#x})", site.code, site.wasm_offset));
    }
    if let Some(site) = artifact.call_at(instruction.next_ip() as u32) {
        comments.push(format!("wasm {:#x}", site.wasm_offset));
    }
    comments
}
