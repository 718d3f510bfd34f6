//! The tables of an artifact, before any code is looked at.
//!
//! Requires nothing: every field may hold anything. Guarantees that tables are sorted and in range,
//! that functions do not overlap and only padding lies between them, and that every index inside
//! the shape is in range, so that later checks may index freely. Deliberately does not look at
//! code: that a table agrees with it is checked function by function.

use crate::violation::{Check, Rule, ensure, located, refuse};
use cellwall_abi::artifact::{FUNC_ALIGN, PADDING};
use cellwall_abi::shape::{ConstExpr, ConstOp, ElementItems, ElementMode, Item};
use cellwall_abi::{Artifact, FuncRange, Shape, ValType};
use cellwall_base::{EntityId, FuncIdx, limits};

/// Bytes of text and constants together: displacements are signed 32-bit numbers.
const IMAGE_BYTES_MAX: usize = (1 << 31) - (1 << 16);
/// Types and functions of a shape: the layout of the context is 32-bit arithmetic.
const ITEMS_MAX: usize = 4_000_000;

/// Checks everything but the code.
pub(crate) fn check(artifact: &Artifact) -> Check<()> {
    ensure!(artifact.target.is_valid(), Rule::Target => "the facts about memories make no sense");
    let image_bytes = artifact.text.len().saturating_add(artifact.rodata.len());
    ensure!(image_bytes <= IMAGE_BYTES_MAX, Rule::Metadata =>
        "text and constants are larger than displacements reach");
    check_shape(&artifact.shape, artifact.data.len())?;
    check_ranges(artifact)?;
    check_jump_tables(artifact)?;
    check_sites(artifact)?;
    check_pads(artifact)?;
    check_unwind(artifact)?;
    check_backtraces(artifact)
}

/// Backtraces depend on it, and nothing else: that whoever follows it stays inside and comes to an
/// end.
fn check_backtraces(artifact: &Artifact) -> Check<()> {
    let (shape, calls, sites) = (&artifact.shape, &artifact.inlined, &artifact.inlined_sites);
    let is_defined = |func| shape.funcs.get(func).is_some() && !shape.is_imported(func);
    let fit = calls.iter().enumerate().all(|(index, call)| {
        let comes_before = |parent| (parent as usize) < index;
        is_defined(call.func) && call.parent.is_none_or(comes_before)
    });
    ensure!(fit, Rule::Metadata => "an inlined call names no function, or a parent not before it");
    let ascend = sites.is_sorted_by(|a, b| a.pc < b.pc);
    let fit = sites.iter().all(|site| (site.call as usize) < calls.len());
    ensure!(ascend && fit, Rule::Metadata => "inlined sites are not ascending or name no inlined call");
    let ascend = artifact.names.is_sorted_by(|a, b| a.0 < b.0);
    let fit = (artifact.names.last()).is_none_or(|(func, _)| shape.funcs.get(*func).is_some());
    ensure!(ascend && fit, Rule::Metadata => "names are not ascending or name no function");
    Ok(())
}

/// Functions are defined by the module, in order and apart, with padding between them.
fn check_ranges(artifact: &Artifact) -> Check<()> {
    let (mut end, mut last) = (0, None);
    for &range in &artifact.funcs {
        let answer = check_range(artifact, range, end, last);
        located(answer, Some(range.func), range.start)?;
        (end, last) = (range.start + range.len, Some(range.func));
    }
    let (mut end, text_end) = (0, (artifact.text.len() as u32, 0));
    let starts = artifact.funcs.iter().map(|range| (range.start, range.len));
    for (start, len) in starts.chain([text_end]) {
        let mut between = artifact.text[end as usize..start as usize].iter();
        if let Some(at) = between.position(|&byte| byte != PADDING) {
            refuse!(Rule::Padding => "the byte at 0x{:x}", end as usize + at);
        }
        end = start + len;
    }
    Ok(())
}

fn check_range(artifact: &Artifact, range: FuncRange, before: u32, last: Option<FuncIdx>) -> Check<()> {
    let (shape, FuncRange { func, start, len }) = (&artifact.shape, range);
    let is_defined = shape.funcs.get(func).is_some() && !shape.is_imported(func);
    ensure!(is_defined && last < Some(func), Rule::Metadata =>
        "the function is not defined by the module, or out of order");
    ensure!(start >= before && start.is_multiple_of(FUNC_ALIGN), Rule::Metadata =>
        "the function overlaps the one before, or is not aligned");
    let end = start.checked_add(len).map(|end| end as usize);
    let is_inside = end.is_some_and(|end| end <= artifact.text.len());
    ensure!(len > 0 && len as usize <= limits::FUNC_CODE_BYTES_MAX && is_inside, Rule::Metadata =>
        "the function is empty, too long or not inside the text");
    Ok(())
}

fn check_jump_tables(artifact: &Artifact) -> Check<()> {
    let mut end = 0u64;
    for table in &artifact.jump_tables {
        let start = u64::from(table.offset);
        let next = start + 4 * u64::from(table.len);
        let is_apart = table.len > 0 && start >= end && start.is_multiple_of(4);
        let is_inside = next <= artifact.rodata.len() as u64;
        ensure!(is_apart && is_inside && artifact.func_range(table.func).is_some(), Rule::Metadata =>
            "the jump table at {start} is empty, overlaps, lies outside the constants, or is nobody's");
        end = next;
    }
    Ok(())
}

/// Whether program counters are strictly ascending and each lies in a function; `behind` for those
/// that follow an instruction.
fn all_in_functions(artifact: &Artifact, mut pcs: impl Iterator<Item = u32>, behind: u32) -> bool {
    let (mut funcs, mut last) = (artifact.funcs.iter().peekable(), None);
    pcs.all(|pc| {
        let before = last.replace(pc);
        pc.checked_sub(behind).is_some_and(|at| {
            while funcs.next_if(|range| range.start + range.len <= at).is_some() {}
            before < Some(pc) && funcs.peek().is_some_and(|range| at >= range.start)
        })
    })
}

fn check_sites(artifact: &Artifact) -> Check<()> {
    let traps = all_in_functions(artifact, artifact.traps.iter().map(|site| site.pc), 0);
    ensure!(traps, Rule::TrapSite => "trap sites are not ascending or lie outside of functions");
    let calls = all_in_functions(artifact, artifact.calls.iter().map(|call| call.return_pc), 1);
    ensure!(calls, Rule::CallSite => "call sites are not ascending or lie outside of functions");
    let heads = all_in_functions(artifact, artifact.heads.iter().copied(), 0);
    ensure!(heads, Rule::Head => "heads are not ascending or lie outside of functions");
    Ok(())
}

/// Landing pads belong to listed calls, lie in the function of the call, and name tags of the module.
fn check_pads(artifact: &Artifact) -> Check<()> {
    let ascend = artifact.pads.is_sorted_by_key(|pad| pad.return_pc);
    ensure!(ascend, Rule::LandingPad => "landing pads are not ascending");
    let (mut calls, mut funcs) = (artifact.calls.iter().peekable(), artifact.funcs.iter().peekable());
    for pad in &artifact.pads {
        let pc = pad.return_pc;
        while calls.next_if(|call| call.return_pc < pc).is_some() {}
        // The return address lies behind the call, perhaps at the end of the function.
        while funcs.next_if(|range| range.start + range.len < pc).is_some() {}
        let is_of_call = calls.peek().is_some_and(|call| call.return_pc == pc);
        let is_known = pad.tag.is_none_or(|tag| artifact.shape.tags.get(tag).is_some());
        let is_inside = funcs.peek().is_some_and(|range| {
            (range.start..range.start + range.len).contains(&pad.pad) && range.start < pc
        });
        ensure!(is_of_call && is_known && is_inside, Rule::LandingPad =>
            "the landing pad at 0x{pc:x} is not of a call, not in its function, or of no tag");
    }
    Ok(())
}

fn check_unwind(artifact: &Artifact) -> Check<()> {
    let ascend = all_in_functions(artifact, artifact.unwind.iter().map(|row| row.pc), 0);
    ensure!(ascend, Rule::Unwind => "unwind rows are not ascending or lie outside of functions");
    let mut frames = artifact.unwind.iter().map(|row| row.frame_bytes);
    let fit = frames.all(|bytes| bytes <= limits::FRAME_BYTES_MAX && bytes.is_multiple_of(8));
    ensure!(fit, Rule::Unwind => "a frame is larger than the limit or no multiple of 8");
    let mut rows = artifact.unwind.iter().peekable();
    for range in &artifact.funcs {
        while rows.next_if(|row| row.pc < range.start).is_some() {}
        let is_first = rows.peek().is_some_and(|row| row.pc == range.start);
        ensure!(is_first, Rule::Unwind => "a function does not start with an unwind row");
    }
    Ok(())
}

fn check_shape(shape: &Shape, data_bytes: usize) -> Check<()> {
    if let Err(invalid) = shape.check() {
        refuse!(Rule::Metadata => "{}", invalid.reason);
    }
    let counts = [
        (shape.types.len(), ITEMS_MAX),
        (shape.funcs.len(), ITEMS_MAX),
        (shape.memories.len(), limits::MEMORIES_MAX),
        (shape.tables.len(), limits::TABLES_MAX),
        (shape.globals.len(), limits::GLOBALS_MAX),
        (shape.tags.len(), limits::TAGS_MAX),
    ];
    let fit = counts.iter().all(|(count, max)| count <= max);
    ensure!(fit, Rule::Metadata => "too many types, functions, memories, tables, globals or tags");
    check_imports(shape)?;
    let is_start = |func| {
        let is_known = shape.funcs.get(func).is_some();
        is_known && shape.signature(func).params.is_empty() && shape.signature(func).results.is_empty()
    };
    ensure!(shape.start.is_none_or(is_start), Rule::Metadata => "the start function has no such type");
    check_definitions(shape)?;
    check_segments(shape, data_bytes)
}

/// Imports come in order, and are exactly what is marked as imported.
fn check_imports(shape: &Shape) -> Check<()> {
    let mut counts = [0; 5];
    let in_order = shape.imports.iter().all(|import| {
        let (space, index) = match import.item {
            Item::Func(i) => (0, i.index()),
            Item::Table(i) => (1, i.index()),
            Item::Memory(i) => (2, i.index()),
            Item::Global(i) => (3, i.index()),
            Item::Tag(i) => (4, i.index()),
        };
        counts[space] += 1;
        counts[space] == index + 1
    });
    let [funcs, tables, memories, globals, tags] = counts;
    let is_marked = funcs == shape.imported_funcs as usize
        && (shape.tables.values().enumerate()).all(|(i, table)| table.imported == (i < tables))
        && (shape.memories.values().enumerate()).all(|(i, memory)| memory.imported == (i < memories))
        && (shape.globals.values().enumerate()).all(|(i, global)| global.imported == (i < globals))
        && (shape.tags.values().enumerate()).all(|(i, tag)| tag.imported == (i < tags));
    ensure!(in_order && is_marked, Rule::Metadata => "imports are not in order or not marked as such");
    Ok(())
}

fn check_definitions(shape: &Shape) -> Check<()> {
    let memories = shape.memories.values().all(|memory| memory.is_valid());
    let tables = shape.tables.values().all(|table| {
        let init = table.init.as_ref();
        table.element.is_ref()
            && table.min <= table.max.unwrap_or(u64::MAX)
            && !(table.imported && init.is_some())
            && init.is_none_or(|init| gives(shape, init, table.element))
    });
    let globals = shape.globals.values().all(|global| {
        let init = global.init.as_ref();
        global.imported == init.is_none() && init.is_none_or(|init| gives(shape, init, global.ty))
    });
    let fit = memories && tables && globals;
    ensure!(fit, Rule::Metadata => "a memory, table or global is not well-formed");
    Ok(())
}

fn check_segments(shape: &Shape, data_bytes: usize) -> Check<()> {
    let data = shape.data.values().all(|segment| {
        let is_placed = segment.active.as_ref().is_none_or(|(memory, offset)| {
            let memory = shape.memories.get(*memory);
            memory.is_some_and(|memory| gives(shape, offset, memory.index_type()))
        });
        let bytes = &segment.bytes;
        bytes.start <= bytes.end && bytes.end as usize <= data_bytes && is_placed
    });
    let elements = shape.elements.values().all(|segment| {
        let is_placed = match &segment.mode {
            ElementMode::Passive | ElementMode::Declared => true,
            ElementMode::Active(table, offset) => shape.tables.get(*table).is_some_and(|table| {
                let index = if table.is_64 { ValType::I64 } else { ValType::I32 };
                table.element == segment.element && gives(shape, offset, index)
            }),
        };
        let fit = match &segment.items {
            ElementItems::Exprs(exprs) => exprs.iter().all(|expr| gives(shape, expr, segment.element)),
            ElementItems::Funcs(funcs) => {
                segment.element == ValType::FuncRef && funcs.iter().all(|f| shape.funcs.get(*f).is_some())
            }
        };
        is_placed && segment.element.is_ref() && fit
    });
    ensure!(data && elements, Rule::Metadata => "a segment is not well-formed");
    Ok(())
}

/// Whether a constant expression is well-formed and gives one value of this type.
fn gives(shape: &Shape, expr: &ConstExpr, ty: ValType) -> bool {
    let mut stack: Vec<ValType> = Vec::new();
    for op in &expr.0 {
        let (operands, result) = match *op {
            ConstOp::I32(_) => (0, ValType::I32),
            ConstOp::I64(_) => (0, ValType::I64),
            ConstOp::F32(_) => (0, ValType::F32),
            ConstOp::F64(_) => (0, ValType::F64),
            ConstOp::V128(_) => (0, ValType::V128),
            ConstOp::RefFunc(func) if shape.funcs.get(func).is_some() => (0, ValType::FuncRef),
            ConstOp::RefNull if ty.is_ref() => (0, ty),
            ConstOp::GlobalGet(global) => match shape.globals.get(global) {
                Some(global) if !global.mutable => (0, global.ty),
                _ => return false,
            },
            ConstOp::RefI31 if stack.pop() == Some(ValType::I32) => (0, ValType::AnyRef),
            ConstOp::I32Add | ConstOp::I32Sub | ConstOp::I32Mul => (2, ValType::I32),
            ConstOp::I64Add | ConstOp::I64Sub | ConstOp::I64Mul => (2, ValType::I64),
            ConstOp::RefFunc(_) | ConstOp::RefNull | ConstOp::RefI31 => return false,
        };
        if !(0..operands).all(|_| stack.pop() == Some(result)) {
            return false;
        }
        stack.push(result);
    }
    stack == [ty]
}
