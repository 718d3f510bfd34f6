//! Bytes → [`Module`], section by section. Each section passes the validator before it is read.

use crate::error::{FEATURES, invalid, refused};
use crate::hints::Hints;
use crate::module::{
    ConstExpr, ConstOp, CustomSection, DataSegment, ElementItems, ElementMode, ElementSegment, Export,
    FuncType, Global, Import, Item, Memory, Module, Table, Tag, ValType, exact_ref,
};
use crate::names;
use crate::references::UNSUPPORTED;
use cellwall_base::types::{self, ExactFunc, RefType};
use cellwall_base::{
    EntityId, FuncIdx, GlobalIdx, IdMap, Invalid, MemoryIdx, TableIdx, TagIdx, TypeIdx, limits,
};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use wasmparser::{
    BinaryReader, CompositeInnerType, CustomSectionReader, DataKind, ElementKind, Encoding, ExternalKind,
    KnownCustom, Operator, Parser, Payload, RecGroup, TableInit, TypeRef, ValidPayload, Validator,
};

/// Decodes a module. Everything but the bodies is validated.
///
/// # Errors
/// The first thing that is wrong, with its offset: malformed or invalid by the core specification,
/// a feature that is not supported, or more than a limit of
/// [`limits`](cellwall_base::limits).
pub fn decode(bytes: impl Into<Arc<[u8]>>) -> Result<Module, Invalid> {
    let bytes: Arc<[u8]> = bytes.into();
    if bytes.len() > limits::MODULE_BYTES_MAX {
        let max = limits::MODULE_BYTES_MAX;
        return Err(invalid(0, format!("the module is larger than {max} bytes")));
    }
    let mut module = Module {
        bytes: bytes.clone(),
        ..Module::default()
    };
    let mut validator = Validator::new_with_features(FEATURES);
    let mut parser = Parser::new(0);
    parser.set_features(FEATURES);
    let mut names = None;
    for payload in parser.parse_all(&bytes) {
        let payload = payload.map_err(refused)?;
        if let Payload::Version {
            encoding: Encoding::Component,
            ref range,
            ..
        } = payload
        {
            let reason = "this is a component, not a core module (feature not supported: \
                          component-model)";
            // The version field follows the four bytes of magic.
            return Err(invalid(range.start + 4, reason));
        }
        if let ValidPayload::Func(func, _) = validator.payload(&payload).map_err(refused)? {
            module.resources = Some(func.resources);
        }
        if let Payload::CustomSection(section) = &payload {
            if section.name() == "name" {
                names = Some(section.data_reader());
            }
            if let KnownCustom::BranchHints(section) = section.as_known() {
                module.hints = Hints::read(section);
            }
            module.custom.push(custom_section(section));
        } else {
            read_section(&mut module, payload)?;
        }
    }
    check_limits(&module)?;
    module.canonical_types = canonical(&module);
    if let Some(section) = names {
        (module.name, module.func_names) = names::read(section, &bytes, module.funcs.len());
    }
    Ok(module)
}

/// A reader of part of the module's bytes that knows its offset.
pub(crate) fn reader(bytes: &[u8], range: Range<u32>) -> BinaryReader<'_> {
    let (start, end) = (range.start as usize, range.end as usize);
    BinaryReader::new_features(&bytes[start..end], u64::from(range.start), FEATURES)
}

/// Offsets in a module fit 32 bits, because its size is limited.
fn range32(range: Range<u64>) -> Range<u32> {
    range.start as u32..range.end as u32
}

fn custom_section(section: &CustomSectionReader<'_>) -> CustomSection {
    CustomSection {
        name: section.name().to_owned(),
        bytes: range32(section.data_range()),
    }
}

/// Copies one validated section into the module.
fn read_section(module: &mut Module, payload: Payload<'_>) -> Result<(), Invalid> {
    match payload {
        Payload::TypeSection(section) => {
            for item in section.into_iter_with_offsets() {
                let (offset, group) = item.map_err(refused)?;
                add_types(module, offset, group)?;
            }
        }
        Payload::ImportSection(section) => {
            let offset = section.range().start;
            for import in section.into_imports() {
                add_import(module, offset, import.map_err(refused)?)?;
            }
        }
        Payload::FunctionSection(section) => {
            for ty in section {
                module.funcs.push(TypeIdx::from_u32(ty.map_err(refused)?));
            }
        }
        Payload::TableSection(section) => {
            let offset = section.range().start;
            for item in section {
                let item = item.map_err(refused)?;
                check_ref(offset, item.ty.element_type)?;
                let init = match item.init {
                    TableInit::RefNull => None,
                    TableInit::Expr(expr) => Some(const_expr(&expr)?),
                };
                module.tables.push(table(item.ty, init));
            }
        }
        Payload::MemorySection(section) => {
            for ty in section {
                module.memories.push(memory(ty.map_err(refused)?));
            }
        }
        Payload::TagSection(section) => {
            for ty in section {
                module.tags.push(tag(ty.map_err(refused)?));
            }
        }
        Payload::GlobalSection(section) => {
            let offset = section.range().start;
            for item in section {
                let item = item.map_err(refused)?;
                check_value(offset, item.ty.content_type)?;
                let init = Some(const_expr(&item.init_expr)?);
                module.globals.push(global(item.ty, init));
            }
        }
        Payload::ExportSection(section) => {
            for item in section.into_iter_with_offsets() {
                let (offset, item) = item.map_err(refused)?;
                module.exports.push(export(offset, item)?);
            }
        }
        Payload::StartSection { func, .. } => module.start = Some(FuncIdx::from_u32(func)),
        Payload::ElementSection(section) => {
            let offset = section.range().start;
            for item in section {
                let segment = element(offset, item.map_err(refused)?)?;
                module.elements.push(segment);
            }
        }
        Payload::CodeSectionStart { unchecked_range, .. } => {
            module.code = range32(unchecked_range);
        }
        Payload::CodeSectionEntry(body) => module.bodies.push(range32(body.range())),
        Payload::DataSection(section) => {
            for item in section {
                let segment = data(item.map_err(refused)?)?;
                module.data.push(segment);
            }
        }
        _ => {}
    }
    Ok(())
}

fn check_limits(module: &Module) -> Result<(), Invalid> {
    let rows = [
        ("memories", module.memories.len(), limits::MEMORIES_MAX),
        ("tables", module.tables.len(), limits::TABLES_MAX),
        ("globals", module.globals.len(), limits::GLOBALS_MAX),
        ("tags", module.tags.len(), limits::TAGS_MAX),
    ];
    for (what, count, max) in rows {
        if count > max {
            return Err(invalid(0, format!("{count} {what} exceed the limit of {max}")));
        }
    }
    Ok(())
}

/// Adds the types of a recursion group.
fn add_types(module: &mut Module, offset: u64, group: RecGroup) -> Result<(), Invalid> {
    let first = module.types.next_id();
    for ty in group.into_types() {
        let CompositeInnerType::Func(func) = &ty.composite_type.inner else {
            return Err(invalid(offset, "not a function type (feature not supported: gc)"));
        };
        let list = |types: &[wasmparser::ValType]| {
            let types = types.iter().map(|&ty| ValType::supported(ty));
            types
                .collect::<Option<Box<[_]>>>()
                .ok_or_else(|| unsupported(offset))
        };
        let exact = |types: &[wasmparser::ValType]| types.iter().map(|&ty| exact_value(ty)).collect();
        module.types.push(FuncType {
            params: list(func.params())?,
            results: list(func.results())?,
        });
        let supertype = ty
            .supertype_idxs
            .first()
            .and_then(|index| index.unpack().as_module_index());
        module.exact_types.push(ExactFunc {
            params: exact(func.params()),
            results: exact(func.results()),
            supertype: supertype.map(TypeIdx::from_u32),
            is_final: ty.is_final,
            group: first,
        });
    }
    Ok(())
}

/// For each type, the first one that is equal.
fn canonical(module: &Module) -> IdMap<TypeIdx, TypeIdx> {
    let exact = &module.exact_types;
    let mut first = BTreeMap::new();
    let mut canonical: IdMap<TypeIdx, TypeIdx> = IdMap::with_capacity(exact.len());
    for group in types::groups(exact) {
        let key = types::key(exact, &group, |ty| canonical[ty].as_u32());
        let types: Vec<_> = group.clone().map(|at| &module.types[TypeIdx::new(at)]).collect();
        let start = *first.entry((types, key)).or_insert(group.start);
        for at in 0..group.len() {
            canonical.push(TypeIdx::new(start + at));
        }
    }
    canonical
}

fn exact_value(ty: wasmparser::ValType) -> Option<RefType> {
    match ty {
        wasmparser::ValType::Ref(ty) => exact_ref(ty),
        _ => None,
    }
}

#[cold]
fn unsupported(offset: u64) -> Invalid {
    invalid(offset, UNSUPPORTED)
}

fn check_ref(offset: u64, ty: wasmparser::RefType) -> Result<(), Invalid> {
    exact_ref(ty).map(drop).ok_or_else(|| unsupported(offset))
}

fn check_value(offset: u64, ty: wasmparser::ValType) -> Result<(), Invalid> {
    ValType::supported(ty)
        .map(drop)
        .ok_or_else(|| unsupported(offset))
}

fn add_import(module: &mut Module, offset: u64, import: wasmparser::Import<'_>) -> Result<(), Invalid> {
    let counts = &mut module.imported;
    let item = match import.ty {
        TypeRef::Func(ty) => {
            counts.funcs += 1;
            Item::Func(module.funcs.push(TypeIdx::from_u32(ty)))
        }
        TypeRef::Table(ty) => {
            check_ref(offset, ty.element_type)?;
            counts.tables += 1;
            Item::Table(module.tables.push(table(ty, None)))
        }
        TypeRef::Memory(ty) => {
            counts.memories += 1;
            Item::Memory(module.memories.push(memory(ty)))
        }
        TypeRef::Global(ty) => {
            check_value(offset, ty.content_type)?;
            counts.globals += 1;
            Item::Global(module.globals.push(global(ty, None)))
        }
        TypeRef::Tag(ty) => {
            counts.tags += 1;
            Item::Tag(module.tags.push(tag(ty)))
        }
        TypeRef::FuncExact(_) => {
            return Err(invalid(0, "an import of a kind that is not supported"));
        }
    };
    module.imports.push(Import {
        module: import.module.to_owned(),
        name: import.name.to_owned(),
        item,
    });
    Ok(())
}

fn export(offset: u64, export: wasmparser::Export<'_>) -> Result<Export, Invalid> {
    let item = match export.kind {
        ExternalKind::Func => Item::Func(FuncIdx::from_u32(export.index)),
        ExternalKind::Table => Item::Table(TableIdx::from_u32(export.index)),
        ExternalKind::Memory => Item::Memory(MemoryIdx::from_u32(export.index)),
        ExternalKind::Global => Item::Global(GlobalIdx::from_u32(export.index)),
        ExternalKind::Tag => Item::Tag(TagIdx::from_u32(export.index)),
        ExternalKind::FuncExact => {
            return Err(invalid(offset, "an export of a kind that is not supported"));
        }
    };
    Ok(Export {
        name: export.name.to_owned(),
        item,
    })
}

fn table(ty: wasmparser::TableType, init: Option<ConstExpr>) -> Table {
    Table {
        element: ValType::of_ref(ty.element_type),
        is_64: ty.table64,
        exact: exact_ref(ty.element_type).expect("the caller checked the type"),
        min: ty.initial,
        max: ty.maximum,
        init,
    }
}

fn memory(ty: wasmparser::MemoryType) -> Memory {
    let page_bytes = 1u64 << ty.page_size_log2.unwrap_or(limits::PAGE_BYTES.trailing_zeros());
    assert!(
        (page_bytes == 1 || page_bytes == limits::PAGE_BYTES),
        "the validator refuses others"
    );
    Memory {
        is_64: ty.memory64,
        shared: ty.shared,
        page_shift: page_bytes.trailing_zeros() as u8,
        min_pages: ty.initial,
        max_pages: ty.maximum,
    }
}

fn global(ty: wasmparser::GlobalType, init: Option<ConstExpr>) -> Global {
    Global {
        ty: ValType::of(ty.content_type),
        exact: exact_value(ty.content_type),
        mutable: ty.mutable,
        init,
    }
}

fn tag(ty: wasmparser::TagType) -> Tag {
    Tag {
        ty: TypeIdx::from_u32(ty.func_type_idx),
    }
}

fn element(offset: u64, element: wasmparser::Element<'_>) -> Result<ElementSegment, Invalid> {
    let mode = match element.kind {
        ElementKind::Passive => ElementMode::Passive,
        ElementKind::Declared => ElementMode::Declared,
        ElementKind::Active {
            table_index,
            offset_expr,
        } => ElementMode::Active(
            TableIdx::from_u32(table_index.unwrap_or(0)),
            const_expr(&offset_expr)?,
        ),
    };
    let (element, items) = match element.items {
        wasmparser::ElementItems::Functions(funcs) => {
            let funcs: Result<Vec<_>, _> = funcs.into_iter().map(|f| f.map(FuncIdx::from_u32)).collect();
            (ValType::FuncRef, ElementItems::Funcs(funcs.map_err(refused)?))
        }
        wasmparser::ElementItems::Expressions(ty, exprs) => {
            check_ref(offset, ty)?;
            let exprs: Result<Vec<_>, _> = exprs
                .into_iter()
                .map(|e| const_expr(&e.map_err(refused)?))
                .collect();
            (ValType::of_ref(ty), ElementItems::Exprs(exprs?))
        }
    };
    Ok(ElementSegment { mode, element, items })
}

fn data(data: wasmparser::Data<'_>) -> Result<DataSegment, Invalid> {
    let active = match data.kind {
        DataKind::Passive => None,
        DataKind::Active {
            memory_index,
            offset_expr,
        } => Some((MemoryIdx::from_u32(memory_index), const_expr(&offset_expr)?)),
    };
    // The payload ends where the whole segment ends.
    let end = data.range.end as u32;
    Ok(DataSegment {
        active,
        bytes: end - data.data.len() as u32..end,
    })
}

fn const_expr(expr: &wasmparser::ConstExpr<'_>) -> Result<ConstExpr, Invalid> {
    let mut ops = Vec::new();
    for item in expr.get_operators_reader().into_iter_with_offsets() {
        let (operator, offset) = item.map_err(refused)?;
        ops.push(match operator {
            Operator::End => break,
            Operator::I32Const { value } => ConstOp::I32(value),
            Operator::I64Const { value } => ConstOp::I64(value),
            Operator::F32Const { value } => ConstOp::F32(value.bits()),
            Operator::F64Const { value } => ConstOp::F64(value.bits()),
            Operator::V128Const { value } => ConstOp::V128(u128::from_le_bytes(*value.bytes())),
            Operator::GlobalGet { global_index } => ConstOp::GlobalGet(GlobalIdx::from_u32(global_index)),
            Operator::RefNull { .. } => ConstOp::RefNull,
            Operator::RefFunc { function_index } => ConstOp::RefFunc(FuncIdx::from_u32(function_index)),
            Operator::RefI31 => ConstOp::RefI31,
            Operator::I32Add => ConstOp::I32Add,
            Operator::I32Sub => ConstOp::I32Sub,
            Operator::I32Mul => ConstOp::I32Mul,
            Operator::I64Add => ConstOp::I64Add,
            Operator::I64Sub => ConstOp::I64Sub,
            Operator::I64Mul => ConstOp::I64Mul,
            _ => {
                let reason =
                    "an operator that is no part of a constant expression (feature not supported: gc)";
                return Err(invalid(offset, reason));
            }
        });
    }
    Ok(ConstExpr(ops))
}
