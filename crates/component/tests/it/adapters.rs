//! Adapters are valid core modules, and reach nothing but the two sides, the handle table and the
//! trap.

use cellwall_component::adapter::{self, Adapter, Import, Party, Request};
use cellwall_component::{
    Case, CoreDef, Encoding, Fields, Flags, FuncKind, FuncType, List, Options, ResourceId, ValType, Variant,
};
use std::sync::Arc;

fn options(encoding: Encoding) -> Options {
    let def = || Some(CoreDef::Trampoline(0));
    Options {
        encoding,
        memory: def(),
        realloc: def(),
        post_return: def(),
        ..Options::default()
    }
}

fn func(params: &[ValType], result: Option<ValType>) -> FuncType {
    let params = params.iter().map(|ty| ("p".into(), ty.clone()));
    FuncType {
        params: Arc::new(Fields::new(params).expect("small")),
        result,
        kind: FuncKind::Sync,
    }
}

fn made(ty: &FuncType, from: Encoding, to: Encoding) -> Adapter {
    let request = Request {
        ty,
        lower: &options(from),
        lift: &options(to),
        nested: false,
        with_context: true,
        locked: true,
    };
    let adapter = adapter::adapter(&request).expect("it is small");
    let valid = wasmparser::Validator::new().validate_all(&adapter.wasm);
    valid.unwrap_or_else(|error| panic!("{error}: {ty:?}"));
    adapter
}

fn list(ty: ValType) -> ValType {
    ValType::List(Arc::new(List::new(ty, None).expect("small")))
}

fn fixed(ty: ValType, length: u32) -> ValType {
    ValType::List(Arc::new(List::new(ty, Some(length)).expect("small")))
}

fn tuple(types: &[ValType]) -> ValType {
    let fields = types.iter().map(|ty| ("".into(), ty.clone()));
    ValType::Tuple(Arc::new(Fields::new(fields).expect("small")))
}

fn variant(types: &[Option<ValType>]) -> ValType {
    let case = |ty: &Option<ValType>| Case {
        name: "c".into(),
        ty: ty.clone(),
    };
    ValType::Variant(Arc::new(
        Variant::new(types.iter().map(case).collect()).expect("small"),
    ))
}

/// One type of each kind, and some of many.
fn types() -> Vec<ValType> {
    let simple = [
        ValType::Bool,
        ValType::S8,
        ValType::U8,
        ValType::S16,
        ValType::U16,
        ValType::S32,
        ValType::U32,
        ValType::S64,
        ValType::U64,
        ValType::F32,
        ValType::F64,
        ValType::Char,
        ValType::String,
        ValType::ErrorContext,
        ValType::Own(ResourceId(3)),
    ];
    let mut types = simple.to_vec();
    types.push(tuple(&simple));
    types.push(fixed(ValType::Char, 3));
    types.push(fixed(ValType::U64, 100));
    types.push(ValType::Flags(Arc::new(Flags::new(vec!["a".into(); 17]))));
    types.push(ValType::Option(Arc::new(
        Variant::option(ValType::F32).expect("small"),
    )));
    types.push(ValType::Result(Arc::new(
        Variant::result(Some(ValType::String), None).expect("small"),
    )));
    types.push(variant(&simple.map(Some)));
    types.push(variant(&vec![None; 300]));
    types.push(variant(&[
        Some(ValType::F32),
        Some(ValType::U64),
        None,
        Some(ValType::F64),
    ]));
    types.extend(types.clone().into_iter().map(list));
    types.push(tuple(&[types[15].clone(), types[15].clone()]));
    types
}

#[test]
fn adapters_for_every_type_and_encoding_are_valid() {
    let encodings = [Encoding::Utf8, Encoding::Utf16, Encoding::CompactUtf16];
    for ty in types() {
        let both = func(std::slice::from_ref(&ty), Some(ty.clone()));
        for from in encodings {
            for to in encodings {
                made(&both, from, to);
            }
        }
        // Behind a pointer.
        made(
            &func(&vec![ty.clone(); 17], Some(tuple(&[ty.clone(), ty]))),
            Encoding::Utf8,
            Encoding::Utf8,
        );
    }
}

/// The functions of the host that an adapter may call: those of the handle table, and the trap.
#[test]
fn adapters_call_nothing_of_the_host_but_the_handle_table_and_the_trap() {
    let id = ResourceId(3);
    let allowed = [
        Import::Trap,
        Import::TransferOwn(id, Party::Caller),
        Import::TransferOwn(id, Party::Callee),
        Import::TransferBorrow(id),
        Import::TransferErrorContext(Party::Caller),
        Import::TransferErrorContext(Party::Callee),
        Import::EnterCall,
        Import::ExitCall,
        Import::NewTask,
    ];
    let mut all = types();
    all.push(ValType::Borrow(id));
    let mut seen = Vec::new();
    for ty in all {
        let result = (!ty.layout().borrows).then(|| ty.clone());
        let adapter = made(&func(&[ty], result), Encoding::Utf8, Encoding::Utf16);
        // What the module imports is what the list says.
        let parsed = wasmparser::Parser::new(0).parse_all(&adapter.wasm);
        let sections = parsed.filter_map(|payload| match payload.expect("it is valid") {
            wasmparser::Payload::ImportSection(section) => Some(section),
            _ => None,
        });
        let count: usize = sections.map(|section| section.into_imports().count()).sum();
        assert_eq!(count, adapter.imports.len());
        for import in adapter.imports {
            if import.is_of_the_host() {
                assert!(allowed.contains(&import), "{import:?}");
                seen.push(import);
            }
        }
    }
    for import in allowed {
        assert!(seen.contains(&import), "{import:?} is never used");
    }
}

#[test]
fn a_call_into_an_instance_under_way_only_traps() {
    let options = options(Encoding::Utf8);
    let request = Request {
        ty: &func(&[ValType::String], None),
        lower: &options,
        lift: &options,
        nested: true,
        with_context: false,
        locked: true,
    };
    let adapter = adapter::adapter(&request).expect("it is small");
    assert_eq!(adapter.imports, [Import::Trap]);
}

/// A type of a few lines can have any number of parts; its adapter has one function for each type.
#[test]
fn types_that_share_parts_stay_small() {
    let doubled = |levels: usize| {
        let mut ty = tuple(&[ValType::Char, ValType::Char]);
        for _ in 0..levels {
            ty = tuple(&[ty.clone(), ty]);
        }
        made(&func(&[list(ty)], None), Encoding::Utf8, Encoding::Utf8)
            .wasm
            .len()
    };
    let (ten, twenty) = (doubled(10), doubled(20));
    assert!(twenty < ten * 3, "{ten} and {twenty} bytes");
}
