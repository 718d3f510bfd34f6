//! The tables of an artifact, before any code is looked at.
//!
//! Requires nothing: every field may hold anything. Guarantees that tables are sorted and in range,
//! that functions do not overlap and only padding lies between them, and that every index inside
//! the shape is in range, so that later checks may index freely. Deliberately does not look at
//! code: that a table agrees with it is checked function by function.

use crate::violation::{Rule, Violation};
use cellwall_abi::artifact::{FUNC_ALIGN, PADDING};
use cellwall_abi::shape::{ConstExpr, ConstOp, ElementItems, ElementMode, Item};
use cellwall_abi::{Artifact, FuncRange, Shape, ValType};
use cellwall_base::{EntityId, FuncIdx, limits};

/// Bytes of text and constants together: displacements are signed 32-bit numbers.
const IMAGE_BYTES_MAX: usize = (1 << 31) - (1 << 16);
/// Types and functions of a shape: the layout of the context is 32-bit arithmetic.
const ITEMS_MAX: usize = 4_000_000;

type Check = Result<(), Violation>;

fn refuse(rule: Rule, evidence: impl Into<String>) -> Check {
    Err(Violation {
        func: None,
        pc: 0,
        rule,
        evidence: evidence.into(),
    })
}

fn ensure(holds: bool, rule: Rule, evidence: &str) -> Check {
    if holds { Ok(()) } else { refuse(rule, evidence) }
}

/// Checks everything but the code.
pub(crate) fn check(artifact: &Artifact) -> Check {
    ensure(
        artifact.target.is_valid(),
        Rule::Target,
        "the facts about memories make no sense",
    )?;
    ensure(
        artifact.text.len().saturating_add(artifact.rodata.len()) <= IMAGE_BYTES_MAX,
        Rule::Metadata,
        "text and constants are larger than displacements reach",
    )?;
    check_shape(&artifact.shape, artifact.data.len())?;
    check_ranges(artifact)?;
    check_padding(artifact)?;
    check_jump_tables(artifact)?;
    check_sites(artifact)?;
    check_unwind(artifact)?;
    check_inlined(artifact)?;
    let ascending = artifact.names.windows(2).all(|pair| pair[0].0 < pair[1].0);
    let known = artifact
        .names
        .last()
        .is_none_or(|(func, _)| artifact.shape.funcs.get(*func).is_some());
    ensure(
        ascending && known,
        Rule::Metadata,
        "names are not ascending or name no function",
    )
}

/// Backtraces depend on it, and nothing else: that whoever follows it stays inside and comes to an
/// end.
fn check_inlined(artifact: &Artifact) -> Check {
    let calls = &artifact.inlined;
    let fits = |(index, call): (usize, &cellwall_abi::InlinedCall)| {
        let defined = artifact.shape.funcs.get(call.func).is_some() && !artifact.shape.is_imported(call.func);
        defined && call.parent.is_none_or(|parent| (parent as usize) < index)
    };
    ensure(
        calls.iter().enumerate().all(fits),
        Rule::Metadata,
        "an inlined call names no function of the module, or a parent that does not come before it",
    )?;
    let sites = &artifact.inlined_sites;
    let ascending = sites.windows(2).all(|pair| pair[0].pc < pair[1].pc);
    ensure(
        ascending && sites.iter().all(|site| (site.call as usize) < calls.len()),
        Rule::Metadata,
        "inlined sites are not ascending or name no inlined call",
    )
}

fn check_ranges(artifact: &Artifact) -> Check {
    let shape = &artifact.shape;
    let mut end = 0u32;
    let mut last: Option<FuncIdx> = None;
    for &FuncRange { func, start, len } in &artifact.funcs {
        let fail = |evidence: &str| {
            Err(Violation {
                func: Some(func),
                pc: start,
                rule: Rule::Metadata,
                evidence: evidence.into(),
            })
        };
        if shape.funcs.get(func).is_none() || shape.is_imported(func) || last >= Some(func) {
            return fail("the function is not defined by the module, or out of order");
        }
        if start < end || !start.is_multiple_of(FUNC_ALIGN) {
            return fail("the function overlaps the one before, or is not aligned");
        }
        let inside = start
            .checked_add(len)
            .is_some_and(|end| end as usize <= artifact.text.len());
        if len == 0 || len as usize > limits::FUNC_CODE_BYTES_MAX || !inside {
            return fail("the function is empty, too long or not inside the text");
        }
        (end, last) = (start + len, Some(func));
    }
    Ok(())
}

fn check_padding(artifact: &Artifact) -> Check {
    let mut end = 0;
    let starts = artifact.funcs.iter().map(|range| (range.start, range.len));
    for (start, len) in starts.chain([(artifact.text.len() as u32, 0)]) {
        let between = &artifact.text[end as usize..start as usize];
        if let Some(at) = between.iter().position(|&byte| byte != PADDING) {
            return Err(Violation {
                func: None,
                pc: end + at as u32,
                rule: Rule::Padding,
                evidence: format!("byte {:02x}", between[at]),
            });
        }
        end = start + len;
    }
    Ok(())
}

fn check_jump_tables(artifact: &Artifact) -> Check {
    let mut end = 0u64;
    for table in &artifact.jump_tables {
        let start = u64::from(table.offset);
        let next = start + 4 * u64::from(table.len);
        let in_place = start >= end && start.is_multiple_of(4) && next <= artifact.rodata.len() as u64;
        if table.len == 0 || !in_place || artifact.func_range(table.func).is_none() {
            return refuse(
                Rule::Metadata,
                format!("the jump table at {start} is empty, overlaps, or lies outside the constants"),
            );
        }
        end = next;
    }
    Ok(())
}

/// Whether program counters are strictly ascending and each lies in a function; `behind` for those
/// that follow an instruction.
fn all_in_functions(artifact: &Artifact, pcs: impl Iterator<Item = u32>, behind: u32) -> bool {
    let mut funcs = artifact.funcs.iter().peekable();
    let mut last = None;
    for pc in pcs {
        if last >= Some(pc) {
            return false;
        }
        last = Some(pc);
        let Some(at) = pc.checked_sub(behind) else {
            return false;
        };
        while funcs.next_if(|range| range.start + range.len <= at).is_some() {}
        if funcs.peek().is_none_or(|range| at < range.start) {
            return false;
        }
    }
    true
}

fn check_sites(artifact: &Artifact) -> Check {
    ensure(
        all_in_functions(artifact, artifact.traps.iter().map(|site| site.pc), 0),
        Rule::TrapSite,
        "trap sites are not ascending or lie outside of functions",
    )?;
    ensure(
        all_in_functions(artifact, artifact.calls.iter().map(|call| call.return_pc), 1),
        Rule::CallSite,
        "call sites are not ascending or lie outside of functions",
    )?;
    check_pads(artifact)?;
    ensure(
        all_in_functions(artifact, artifact.heads.iter().copied(), 0),
        Rule::Head,
        "heads are not ascending or lie outside of functions",
    )
}

/// Landing pads belong to listed calls, lie in the function of the call, and name tags of the module.
fn check_pads(artifact: &Artifact) -> Check {
    let ascending = (artifact.pads.windows(2)).all(|pair| pair[0].return_pc <= pair[1].return_pc);
    ensure(ascending, Rule::LandingPad, "landing pads are not ascending")?;
    let (mut calls, mut funcs) = (artifact.calls.iter().peekable(), artifact.funcs.iter().peekable());
    for pad in &artifact.pads {
        while calls.next_if(|call| call.return_pc < pad.return_pc).is_some() {}
        let of_call = calls.peek().is_some_and(|call| call.return_pc == pad.return_pc);
        // The return address lies behind the call, perhaps at the end of the function.
        while funcs
            .next_if(|range| range.start + range.len < pad.return_pc)
            .is_some()
        {}
        let inside = |range: &&FuncRange| {
            pad.pad >= range.start && pad.pad < range.start + range.len && pad.return_pc > range.start
        };
        let known = pad.tag.is_none_or(|tag| artifact.shape.tags.get(tag).is_some());
        if !of_call || !known || !funcs.peek().is_some_and(inside) {
            return Err(Violation {
                func: None,
                pc: pad.return_pc,
                rule: Rule::LandingPad,
                evidence: "a landing pad is not of a call, not in its function, or of no tag".into(),
            });
        }
    }
    Ok(())
}

fn check_unwind(artifact: &Artifact) -> Check {
    ensure(
        all_in_functions(artifact, artifact.unwind.iter().map(|row| row.pc), 0),
        Rule::Unwind,
        "unwind rows are not ascending or lie outside of functions",
    )?;
    ensure(
        (artifact.unwind.iter())
            .all(|row| row.frame_bytes <= limits::FRAME_BYTES_MAX && row.frame_bytes.is_multiple_of(8)),
        Rule::Unwind,
        "a frame is larger than the limit or no multiple of 8",
    )?;
    let mut rows = artifact.unwind.iter().peekable();
    for range in &artifact.funcs {
        while rows.next_if(|row| row.pc < range.start).is_some() {}
        ensure(
            rows.peek().is_some_and(|row| row.pc == range.start),
            Rule::Unwind,
            "a function does not start with an unwind row",
        )?;
    }
    Ok(())
}

fn check_shape(shape: &Shape, data_bytes: usize) -> Check {
    if let Err(invalid) = shape.check() {
        return refuse(Rule::Metadata, invalid.reason);
    }
    ensure(
        shape.types.len() <= ITEMS_MAX
            && shape.funcs.len() <= ITEMS_MAX
            && shape.memories.len() <= limits::MEMORIES_MAX
            && shape.tables.len() <= limits::TABLES_MAX
            && shape.globals.len() <= limits::GLOBALS_MAX
            && shape.tags.len() <= limits::TAGS_MAX,
        Rule::Metadata,
        "too many types, functions, memories, tables, globals or tags",
    )?;
    check_imports(shape)?;
    let start_fits = shape.start.is_none_or(|func| {
        let known = shape.funcs.get(func).is_some();
        known && shape.signature(func).params.is_empty() && shape.signature(func).results.is_empty()
    });
    ensure(start_fits, Rule::Metadata, "the start function has no such type")?;
    check_definitions(shape)?;
    check_segments(shape, data_bytes)
}

/// Imports come in order, and are exactly what is marked as imported.
fn check_imports(shape: &Shape) -> Check {
    let (mut funcs, mut tables, mut memories, mut globals, mut tags) = (0, 0, 0, 0, 0);
    let next = |count: &mut usize, index: usize| {
        *count += 1;
        *count == index + 1
    };
    let in_order = shape.imports.iter().all(|import| match import.item {
        Item::Func(i) => next(&mut funcs, i.index()),
        Item::Table(i) => next(&mut tables, i.index()),
        Item::Memory(i) => next(&mut memories, i.index()),
        Item::Global(i) => next(&mut globals, i.index()),
        Item::Tag(i) => next(&mut tags, i.index()),
    });
    let marked = funcs == shape.imported_funcs as usize
        && shape
            .tables
            .values()
            .enumerate()
            .all(|(i, t)| t.imported == (i < tables))
        && shape
            .memories
            .values()
            .enumerate()
            .all(|(i, m)| m.imported == (i < memories))
        && shape
            .globals
            .values()
            .enumerate()
            .all(|(i, g)| g.imported == (i < globals))
        && (shape.tags.values().enumerate()).all(|(i, tag)| tag.imported == (i < tags));
    ensure(
        in_order && marked,
        Rule::Metadata,
        "imports are not in order or not marked as such",
    )
}

fn check_definitions(shape: &Shape) -> Check {
    let memories = shape.memories.values().all(|memory| memory.is_valid());
    let tables = shape.tables.values().all(|t| {
        let init = t.init.as_ref();
        t.element.is_ref()
            && t.min <= t.max.unwrap_or(u64::MAX)
            && !(t.imported && init.is_some())
            && init.is_none_or(|init| gives(shape, init, t.element))
    });
    let globals = shape.globals.values().all(|g| {
        let init = g.init.as_ref();
        g.imported == init.is_none() && init.is_none_or(|init| gives(shape, init, g.ty))
    });
    ensure(
        memories && tables && globals,
        Rule::Metadata,
        "a memory, table or global is not well-formed",
    )
}

fn check_segments(shape: &Shape, data_bytes: usize) -> Check {
    let data = shape.data.values().all(|segment| {
        let active = segment.active.as_ref();
        segment.bytes.start <= segment.bytes.end
            && segment.bytes.end as usize <= data_bytes
            && active.is_none_or(|(memory, offset)| {
                let memory = shape.memories.get(*memory);
                memory.is_some_and(|memory| gives(shape, offset, memory.index_type()))
            })
    });
    let elements = shape.elements.values().all(|segment| {
        let placed = match &segment.mode {
            ElementMode::Passive | ElementMode::Declared => true,
            ElementMode::Active(table, offset) => {
                let table = shape.tables.get(*table);
                table.is_some_and(|table| {
                    let index = if table.is_64 { ValType::I64 } else { ValType::I32 };
                    table.element == segment.element && gives(shape, offset, index)
                })
            }
        };
        let items = match &segment.items {
            ElementItems::Funcs(funcs) => {
                segment.element == ValType::FuncRef && funcs.iter().all(|f| shape.funcs.get(*f).is_some())
            }
            ElementItems::Exprs(exprs) => exprs.iter().all(|expr| gives(shape, expr, segment.element)),
        };
        placed && segment.element.is_ref() && items
    });
    ensure(data && elements, Rule::Metadata, "a segment is not well-formed")
}

/// Whether a constant expression is well-formed and gives one value of this type.
fn gives(shape: &Shape, expr: &ConstExpr, ty: ValType) -> bool {
    let mut stack: Vec<ValType> = Vec::new();
    for op in &expr.0 {
        let result = match *op {
            ConstOp::I32(_) => ValType::I32,
            ConstOp::I64(_) => ValType::I64,
            ConstOp::F32(_) => ValType::F32,
            ConstOp::F64(_) => ValType::F64,
            ConstOp::V128(_) => ValType::V128,
            ConstOp::RefFunc(func) if shape.funcs.get(func).is_some() => ValType::FuncRef,
            ConstOp::RefNull if ty.is_ref() => ty,
            ConstOp::GlobalGet(global) => match shape.globals.get(global) {
                Some(global) if !global.mutable => global.ty,
                _ => return false,
            },
            ConstOp::I32Add | ConstOp::I32Sub | ConstOp::I32Mul => {
                if (stack.pop(), stack.pop()) != (Some(ValType::I32), Some(ValType::I32)) {
                    return false;
                }
                ValType::I32
            }
            ConstOp::I64Add | ConstOp::I64Sub | ConstOp::I64Mul => {
                if (stack.pop(), stack.pop()) != (Some(ValType::I64), Some(ValType::I64)) {
                    return false;
                }
                ValType::I64
            }
            ConstOp::RefFunc(_) | ConstOp::RefNull => return false,
        };
        stack.push(result);
    }
    stack == [ty]
}
