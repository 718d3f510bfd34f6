//! The module of an adapter while it is written: imports, types, and functions for parts of values.

use super::function::Function;
use super::{EXPORT, Import, Party, Request};
use crate::types::{Flat, Side, ValType};
use std::collections::BTreeMap;
use wasm_encoder::{
    CodeSection, EntityType, ExportKind, ExportSection, FunctionSection, GlobalType, ImportSection,
    MemoryType, Module, TypeSection, ValType as CoreType,
};

/// Functions, memories and globals are numbered from 0 on, each by itself, imports first. What is
/// imported is decided before anything is written, since it moves the numbers of functions.
pub(crate) struct Builder<'a> {
    pub(crate) request: &'a Request<'a>,
    imports: Vec<Import>,
    types: Vec<(Vec<CoreType>, Vec<CoreType>)>,
    /// Type of each function that is not imported, in order; the exported one is the first.
    functions: Vec<u32>,
    bodies: Vec<Option<wasm_encoder::Function>>,
    /// Functions that were made, by what they do.
    made: BTreeMap<String, u32>,
}

pub(crate) fn val(ty: Flat) -> CoreType {
    match ty {
        Flat::I32 => CoreType::I32,
        Flat::I64 => CoreType::I64,
        Flat::F32 => CoreType::F32,
        Flat::F64 => CoreType::F64,
    }
}

impl<'a> Builder<'a> {
    pub(crate) fn new(request: &'a Request<'a>) -> Self {
        let mut imports = vec![Import::Trap];
        if !request.nested {
            needed(request, &mut imports);
        }
        Self {
            request,
            imports,
            types: Vec::new(),
            functions: vec![0],
            bodies: vec![None],
            made: BTreeMap::new(),
        }
    }

    pub(crate) fn into_imports(self) -> Vec<Import> {
        self.imports
    }

    /// The number of an import in its space.
    ///
    /// # Panics
    /// If [`needed`] has forgotten it.
    pub(crate) fn index(&self, import: Import) -> u32 {
        let space = space(import);
        let mut index = 0;
        for &other in &self.imports {
            if other == import {
                return index;
            }
            index += u32::from(self::space(other) == space);
        }
        panic!("{import:?} was not foreseen");
    }

    /// The same.
    pub(crate) fn import(&self, import: Import) -> u32 {
        self.index(import)
    }

    fn imported_functions(&self) -> u32 {
        let functions = self
            .imports
            .iter()
            .filter(|&&import| space(import) == Space::Func);
        functions.count() as u32
    }

    /// The number of a type.
    pub(crate) fn ty(&mut self, params: &[CoreType], results: &[CoreType]) -> u32 {
        let found = self.types.iter().position(|(p, r)| p == params && r == results);
        let index = found.unwrap_or_else(|| {
            self.types.push((params.to_vec(), results.to_vec()));
            self.types.len() - 1
        });
        index as u32
    }

    /// The function that does this, if there is one already.
    pub(crate) fn find(&self, key: &str) -> Option<u32> {
        self.made.get(key).copied()
    }

    /// A number for the function that does this; it can be called before it has a body.
    pub(crate) fn declare(&mut self, key: String, params: &[CoreType], results: &[CoreType]) -> u32 {
        let ty = self.ty(params, results);
        self.functions.push(ty);
        self.bodies.push(None);
        let index = self.imported_functions() + self.functions.len() as u32 - 1;
        self.made.insert(key, index);
        index
    }

    /// Its body.
    pub(crate) fn define(&mut self, index: u32, body: wasm_encoder::Function) {
        let own = index - self.imported_functions();
        self.bodies[own as usize] = Some(body);
    }

    /// The whole module.
    pub(crate) fn finish(&mut self, params: &[Flat], results: &[Flat], main: Function) -> Vec<u8> {
        let values = |list: &[Flat]| list.iter().map(|&ty| val(ty)).collect::<Vec<_>>();
        self.functions[0] = self.ty(&values(params), &values(results));
        self.bodies[0] = Some(main.finish());
        let mut imports = ImportSection::new();
        for (index, import) in self.imports.clone().into_iter().enumerate() {
            let ty = self.entity(import);
            imports.import("", &index.to_string(), ty);
        }
        let mut types = TypeSection::new();
        for (params, results) in &self.types {
            types
                .ty()
                .function(params.iter().copied(), results.iter().copied());
        }
        let mut functions = FunctionSection::new();
        let mut code = CodeSection::new();
        for (&ty, body) in self.functions.iter().zip(&self.bodies) {
            functions.function(ty);
            code.function(body.as_ref().expect("what is declared is defined"));
        }
        let mut exports = ExportSection::new();
        exports.export(EXPORT, ExportKind::Func, self.imported_functions());
        let mut module = Module::new();
        module.section(&types).section(&imports).section(&functions);
        module.section(&exports).section(&code);
        module.finish()
    }

    fn entity(&mut self, import: Import) -> EntityType {
        let i32s = |count: usize| vec![CoreType::I32; count];
        let (params, results) = match import {
            Import::Memory(_) => {
                return EntityType::Memory(MemoryType {
                    minimum: 0,
                    maximum: None,
                    memory64: false,
                    shared: false,
                    page_size_log2: None,
                });
            }
            Import::MayLeave(_) => {
                return EntityType::Global(GlobalType {
                    val_type: CoreType::I32,
                    mutable: true,
                    shared: false,
                });
            }
            Import::Trap => (i32s(1), Vec::new()),
            Import::Callee => {
                let (params, results) = self.request.ty.core_signature(Side::Lift);
                let values = |list: Vec<Flat>| list.into_iter().map(val).collect::<Vec<_>>();
                (values(params), values(results))
            }
            Import::PostReturn => {
                let (_, results) = self.request.ty.core_signature(Side::Lift);
                (results.into_iter().map(val).collect(), Vec::new())
            }
            Import::Realloc(_) => (i32s(4), i32s(1)),
            Import::TransferOwn(..) | Import::TransferBorrow(_) | Import::TransferErrorContext(_) => {
                (i32s(1), i32s(1))
            }
            Import::EnterCall | Import::ExitCall | Import::NewTask => (Vec::new(), Vec::new()),
        };
        EntityType::Function(self.ty(&params, &results))
    }
}

#[derive(PartialEq, Eq)]
enum Space {
    Func,
    Memory,
    Global,
}

fn space(import: Import) -> Space {
    match import {
        Import::Memory(_) => Space::Memory,
        Import::MayLeave(_) => Space::Global,
        _ => Space::Func,
    }
}

/// What an adapter can need, by the type of the function alone.
fn needed(request: &Request<'_>, imports: &mut Vec<Import>) {
    let ty = request.ty;
    imports.push(Import::Callee);
    if request.lift.post_return.is_some() {
        imports.push(Import::PostReturn);
    }
    if ty.borrows() {
        imports.extend([Import::EnterCall, Import::ExitCall]);
    }
    if request.with_context {
        imports.push(Import::NewTask);
    }
    let (_, spilled) = ty.flat_params();
    let (_, indirect) = ty.flat_results();
    let params = ty.params.layout();
    let result = ty.result.as_ref().map(ValType::layout);
    let result_pointers = result.is_some_and(|layout| layout.pointers);
    if spilled || params.pointers {
        imports.push(Import::Realloc(Party::Callee));
    }
    if result_pointers {
        imports.push(Import::Realloc(Party::Caller));
    }
    if spilled || indirect || params.pointers || result_pointers {
        imports.extend([Import::Memory(Party::Caller), Import::Memory(Party::Callee)]);
    }
    imports.extend([Import::MayLeave(Party::Caller), Import::MayLeave(Party::Callee)]);
    let mut seen = BTreeMap::new();
    for (_, ty, _) in &ty.params.fields {
        transfers(ty, Party::Callee, imports, &mut seen);
    }
    seen.clear();
    if let Some(ty) = &ty.result {
        transfers(ty, Party::Caller, imports, &mut seen);
    }
}

/// Transfers of handles to `to` inside of a type; parts that are shared are looked at once.
fn transfers(ty: &ValType, to: Party, imports: &mut Vec<Import>, seen: &mut BTreeMap<usize, ()>) {
    let mut add = |import| {
        if !imports.contains(&import) {
            imports.push(import);
        }
    };
    match ty {
        ValType::Own(id) => return add(Import::TransferOwn(*id, to)),
        ValType::Borrow(id) => return add(Import::TransferBorrow(*id)),
        ValType::ErrorContext => return add(Import::TransferErrorContext(to)),
        _ => {}
    }
    let Some(address) = address(ty) else { return };
    if seen.insert(address, ()).is_some() {
        return;
    }
    if let Some(fields) = ty.as_fields() {
        for (_, ty, _) in &fields.fields {
            transfers(ty, to, imports, seen);
        }
    }
    if let Some(variant) = ty.as_variant() {
        for ty in variant.cases.iter().filter_map(|case| case.ty.as_ref()) {
            transfers(ty, to, imports, seen);
        }
    }
    if let ValType::List(list) | ValType::Map(list) = ty {
        transfers(&list.element, to, imports, seen);
    }
}

/// What is the same for a type that is used twice; `None` for types without parts.
pub(crate) fn address(ty: &ValType) -> Option<usize> {
    Some(match ty {
        ValType::List(it) | ValType::Map(it) => std::sync::Arc::as_ptr(it) as usize,
        ValType::Record(it) | ValType::Tuple(it) => std::sync::Arc::as_ptr(it) as usize,
        ValType::Variant(it) | ValType::Enum(it) | ValType::Option(it) | ValType::Result(it) => {
            std::sync::Arc::as_ptr(it) as usize
        }
        _ => return None,
    })
}
