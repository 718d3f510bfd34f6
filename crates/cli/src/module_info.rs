//! What a module says about itself, without compiling it: for `inspect` and
//! `explain`.
//!
//! Guarantees: the module is valid with every feature that the validator knows,
//! so that a module can be looked at that this engine does not run yet.

use std::ops::Range;

use cellwall::Error;
use wasmparser::{
    CompositeInnerType, ExternalKind, HeapType, MemoryType, Name, Operator, Parser, Payload, RefType,
    TypeRef, ValType, Validator, WasmFeatures, types,
};

/// The parts of a module that are shown.
#[derive(Debug, Default)]
pub(crate) struct ModuleInfo {
    pub(crate) imports: Vec<Import>,
    pub(crate) exports: Vec<Export>,
    /// Imported ones first, as everywhere in a module.
    pub(crate) memories: Vec<MemoryType>,
    /// The functions with a body.
    pub(crate) functions: Vec<Function>,
    /// Whether it has a start function.
    pub(crate) has_start: bool,
}

#[derive(Debug)]
pub(crate) struct Import {
    pub(crate) module: String,
    pub(crate) name: String,
    /// Such as `func (i32) -> i32`.
    pub(crate) ty: String,
}

#[derive(Debug)]
pub(crate) struct Export {
    pub(crate) name: String,
    pub(crate) ty: String,
    pub(crate) is_func: bool,
    pub(crate) index: u32,
}

/// A function with a body.
#[derive(Debug)]
pub(crate) struct Function {
    /// Index among all functions, imported ones included.
    pub(crate) index: u32,
    /// From the name section.
    pub(crate) name: Option<String>,
    /// Offsets of its body in the module.
    pub(crate) body: Range<u64>,
    /// Whether nothing stands in it but its end.
    pub(crate) is_empty: bool,
}

impl ModuleInfo {
    /// Reads a binary module.
    pub(crate) fn read(wasm: &[u8]) -> Result<ModuleInfo, Error> {
        if Parser::is_component(wasm) {
            return Err(Error::msg("it is a component; only modules can be looked at"));
        }
        let types = Validator::new_with_features(WasmFeatures::all()).validate_all(wasm)?;
        let types = types.as_ref();
        let mut info = ModuleInfo::default();
        let mut imported = 0;
        for payload in Parser::new(0).parse_all(wasm) {
            match payload? {
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let import = import?;
                        imported += u32::from(matches!(import.ty, TypeRef::Func(_) | TypeRef::FuncExact(_)));
                        let ty = show_type(&types, types.entity_type_from_import(&import));
                        let (module, name) = (import.module.to_string(), import.name.to_string());
                        info.imports.push(Import { module, name, ty });
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export?;
                        info.exports.push(Export {
                            name: export.name.to_string(),
                            ty: show_type(&types, types.entity_type_from_export(&export)),
                            is_func: matches!(export.kind, ExternalKind::Func | ExternalKind::FuncExact),
                            index: export.index,
                        });
                    }
                }
                Payload::StartSection { .. } => info.has_start = true,
                Payload::CodeSectionEntry(body) => {
                    let index =
                        imported + u32::try_from(info.functions.len()).expect("a valid module has fewer");
                    info.functions.push(Function {
                        index,
                        name: None,
                        body: body.range(),
                        is_empty: matches!(body.get_operators_reader()?.read()?, Operator::End),
                    });
                }
                Payload::CustomSection(section) => {
                    if let wasmparser::KnownCustom::Name(names) = section.as_known() {
                        info.add_names(names, imported);
                    }
                }
                _ => {}
            }
        }
        info.memories = (0..types.memory_count())
            .map(|index| types.memory_at(index))
            .collect();
        Ok(info)
    }

    /// Whether it exports a function called `name`.
    pub(crate) fn exports_func(&self, name: &str) -> bool {
        self.exports
            .iter()
            .any(|export| export.is_func && export.name == name)
    }

    /// A name section that does not parse names nothing: it is only a hint.
    fn add_names(&mut self, names: wasmparser::NameSectionReader<'_>, imported: u32) {
        for map in names.flatten() {
            let Name::Function(map) = map else { continue };
            for naming in map.into_iter().flatten() {
                let position = naming.index.checked_sub(imported);
                let function = position.and_then(|at| self.functions.get_mut(at as usize));
                if let Some(function) = function {
                    function.name = Some(naming.name.to_string());
                }
            }
        }
    }
}

fn show_type(types: &types::TypesRef<'_>, ty: Option<types::EntityType>) -> String {
    use types::EntityType;
    match ty {
        Some(EntityType::Func(id) | EntityType::FuncExact(id)) => show_func(types, id),
        Some(EntityType::Table(table)) => {
            let wide = if table.table64 { " i64" } else { "" };
            let limits = show_limits(table.initial, table.maximum);
            format!("table{wide} {limits} {}", show_ref(types, table.element_type))
        }
        Some(EntityType::Memory(memory)) => {
            let page = match memory.page_size_log2 {
                Some(log2) if log2 != 16 => format!(" (pagesize {})", 1u64 << log2),
                _ => String::new(),
            };
            show_memory(&memory) + &page
        }
        Some(EntityType::Global(global)) => {
            let mutable = if global.mutable { "mut " } else { "" };
            format!("global {mutable}{}", show_value(types, global.content_type))
        }
        Some(EntityType::Tag(id)) => show_func(types, id).replacen("func", "tag", 1),
        None => "unknown".to_string(),
    }
}

fn show_func(types: &types::TypesRef<'_>, id: types::CoreTypeId) -> String {
    let CompositeInnerType::Func(ty) = &types[id].composite_type.inner else {
        return "func".to_string();
    };
    let list = |list: &[ValType]| {
        let list: Vec<String> = list.iter().map(|&ty| show_value(types, ty)).collect();
        list.join(", ")
    };
    let params = list(ty.params());
    match ty.results() {
        [] => format!("func ({params})"),
        [one] => format!("func ({params}) -> {}", show_value(types, *one)),
        many => format!("func ({params}) -> ({})", list(many)),
    }
}

fn show_value(types: &types::TypesRef<'_>, ty: ValType) -> String {
    match ty {
        ValType::Ref(ty) => show_ref(types, ty),
        ty => ty.to_string(),
    }
}

/// A reference; one to functions of a declared type with the types that these have, as far as they name
/// no further ones.
fn show_ref(types: &types::TypesRef<'_>, ty: RefType) -> String {
    let (HeapType::Concrete(index) | HeapType::Exact(index)) = ty.heap_type() else {
        return ty.to_string();
    };
    let null = if ty.is_nullable() { "null " } else { "" };
    // The type of an import has the index that stands in the module.
    let declared = index
        .as_module_index()
        .map(|index| types.core_type_at_in_module(index));
    let id = index.as_core_type_id().or(declared);
    let inner = id.map(|id| &types[id].composite_type.inner);
    let what = match inner {
        Some(CompositeInnerType::Func(func)) => {
            let named = |ty: &ValType| match ty {
                ValType::Ref(ty) if ty.type_index().is_some() => "(ref ...)".to_string(),
                ty => ty.to_string(),
            };
            let list = |list: &[ValType]| list.iter().map(named).collect::<Vec<_>>().join(", ");
            match func.results() {
                [] => format!("(func ({}))", list(func.params())),
                [one] => format!("(func ({}) -> {})", list(func.params()), named(one)),
                many => format!("(func ({}) -> ({}))", list(func.params()), list(many)),
            }
        }
        Some(CompositeInnerType::Struct(_)) => "(struct)".to_string(),
        Some(CompositeInnerType::Array(_)) => "(array)".to_string(),
        _ => "...".to_string(),
    };
    format!("(ref {null}{what})")
}

/// A memory with its limits in pages.
pub(crate) fn show_memory(memory: &MemoryType) -> String {
    let wide = if memory.memory64 { " i64" } else { "" };
    let shared = if memory.shared { " shared" } else { "" };
    let limits = show_limits(memory.initial, memory.maximum);
    format!("memory{wide} {limits}{shared}")
}

fn show_limits(initial: u64, maximum: Option<u64>) -> String {
    match maximum {
        Some(maximum) => format!("{initial}..{maximum}"),
        None => format!("{initial}.."),
    }
}
