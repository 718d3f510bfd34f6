//! Instantiation: imports and their types, globals, start functions, the order of things.

use crate::build::*;
use cellwall_abi::ValType::{I32, I64};
use cellwall_abi::shape::*;
use cellwall_abi::{TrapCode, ValType};
use cellwall_base::MemoryIdx;
use cellwall_runtime::*;
use iced_x86::code_asm::*;

fn link_error(store: &mut Store<()>, module: &Module, given: Extern) -> String {
    let code = module.map(&store.engine().clone());
    match store.instantiate(&code, &[given]) {
        Err(Error::Link(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn imported_functions_must_have_their_type() {
    let engine = engine();
    let mut store = Store::new(&engine, ());
    let mut m = Module::new();
    let ty = m.ty(&[I32], &[]);
    m.import_func("f", ty);
    let right = store.add_host_func(&HostFunc::typed(&engine, |_, (_,): (i32,)| Ok(())));
    let wrong = store.add_host_func(&HostFunc::typed(&engine, |_, (_,): (i64,)| Ok(())));
    store
        .instantiate(&m.map(&engine), &[Extern::Func(right)])
        .unwrap();
    assert_eq!(
        link_error(&mut store, &m, Extern::Func(wrong)),
        "incompatible import type for `env::f`: expected a function of type (i32) -> (), \
         found a function of type (i64) -> ()"
    );
    let missing = store.instantiate(&m.map(&engine), &[]);
    assert!(matches!(missing, Err(Error::Link(_))));
}

#[test]
fn imported_memories_must_fit_in_size_and_maximum() {
    let engine = engine();
    let mut store = Store::new(&engine, ());
    let mut m = Module::new();
    m.shape.memories.push(MemoryShape {
        imported: true,
        is_64: false,
        shared: false,
        page_shift: 16,
        min_pages: 2,
        max_pages: Some(4),
    });
    m.import("m", Item::Memory(MemoryIdx::from_u32(0)));
    let code = m.map(&engine);
    let mut fits = |min_pages, max_pages, grow| {
        let ty = MemoryType {
            is_64: false,
            shared: false,
            page_shift: 16,
            min_pages,
            max_pages,
        };
        let memory = store.new_memory(ty).unwrap();
        store.memory_grow(memory, grow).unwrap();
        store.instantiate(&code, &[Extern::Memory(memory)]).is_ok()
    };
    assert!(fits(2, Some(4), 0));
    assert!(fits(3, Some(3), 0));
    assert!(fits(1, Some(4), 1), "the current size counts");
    assert!(!fits(1, Some(4), 0));
    assert!(!fits(2, Some(5), 0));
    assert!(!fits(2, None, 0));
    let global = store
        .new_global(
            GlobalType {
                ty: I32,
                exact: None,
                mutable: false,
            },
            RawVal::I32(1),
        )
        .unwrap();
    assert_eq!(
        link_error(&mut store, &m, Extern::Global(global)),
        "incompatible import type for `env::m`: expected a 32-bit memory of 2 pages of 64 KiB, at most 4, \
         found an immutable global of type i32"
    );
}

/// Imports a mutable i64; owns an i32 made from constants and a getter for each.
fn globals_module() -> Module {
    let mut m = Module::new();
    let get64 = m.ty(&[], &[I64]);
    let get32 = m.ty(&[], &[I32]);
    let set = m.ty(&[I64], &[]);
    m.shape.globals.push(GlobalShape {
        imported: true,
        ty: I64,
        exact: None,
        mutable: true,
        init: None,
    });
    m.import("g", Item::Global(global(0)));
    let init = vec![
        ConstOp::I32(20),
        ConstOp::I32(3),
        ConstOp::I32Mul,
        ConstOp::I32(-1),
        ConstOp::I32Add,
    ];
    m.shape.globals.push(GlobalShape {
        imported: false,
        ty: I32,
        exact: None,
        mutable: false,
        init: Some(ConstExpr(init)),
    });
    m.export("own", Item::Global(global(1)));
    m.export("imported", Item::Global(global(0)));
    m.export_func("get64", get64, |e| {
        e.a.mov(rax, qword_ptr(r15 + e.layout.global(global(0)) as i32))
            .unwrap();
        e.a.mov(rax, qword_ptr(rax)).unwrap();
        e.a.ret().unwrap();
    });
    m.export_func("get32", get32, |e| {
        e.a.mov(eax, dword_ptr(r15 + e.layout.global(global(1)) as i32))
            .unwrap();
        e.a.ret().unwrap();
    });
    m.export_func("set64", set, |e| {
        e.a.mov(rax, qword_ptr(r15 + e.layout.global(global(0)) as i32))
            .unwrap();
        e.a.mov(qword_ptr(rax), rdi).unwrap();
        e.a.ret().unwrap();
    });
    m
}

#[test]
fn globals_are_shared_with_those_who_import_them() {
    let engine = engine();
    let mut store = Store::new(&engine, ());
    let ty = GlobalType {
        ty: I64,
        exact: None,
        mutable: true,
    };
    let shared = store.new_global(ty, RawVal::I64(5)).unwrap();
    let code = globals_module().map(&engine);
    let a = store.instantiate(&code, &[Extern::Global(shared)]).unwrap();
    let again = store.export(a, "imported").unwrap();
    let b = store.instantiate(&code, &[again]).unwrap();
    assert_eq!(call::<_, _, (i64,)>(&mut store, a, "get64", ()).unwrap(), (5,));
    call::<_, _, ()>(&mut store, b, "set64", (-9i64,)).unwrap();
    assert_eq!(call::<_, _, (i64,)>(&mut store, a, "get64", ()).unwrap(), (-9,));
    assert_eq!(store.global_get(shared), RawVal::I64(-9));
    assert_eq!(call::<_, _, (i32,)>(&mut store, a, "get32", ()).unwrap(), (59,));
    let Some(Extern::Global(own)) = store.export(a, "own") else {
        panic!()
    };
    assert_eq!(store.global_get(own), RawVal::I32(59));
    assert!(
        matches!(store.global_set(own, RawVal::I32(1)), Err(Error::Type(_))),
        "immutable"
    );
    assert!(
        matches!(store.global_set(shared, RawVal::I32(1)), Err(Error::Type(_))),
        "another type"
    );
    let constant = store
        .new_global(
            GlobalType {
                ty: I64,
                exact: None,
                mutable: false,
            },
            RawVal::I64(5),
        )
        .unwrap();
    assert!(matches!(
        store.instantiate(&code, &[Extern::Global(constant)]),
        Err(Error::Link(_))
    ));
}

#[test]
fn a_start_function_runs_last_and_its_trap_is_the_answer() {
    let engine = engine();
    for trapping in [false, true] {
        let mut m = Module::new();
        let nothing = m.ty(&[], &[]);
        let memory = m.memory(1, None);
        m.export("memory", Item::Memory(memory));
        m.data(Some(0), &[1]);
        let start = m.func(nothing, move |e| {
            e.a.xor(ecx, ecx).unwrap();
            e.a.movzx(eax, byte_ptr(r14 + rcx)).unwrap();
            e.a.lea(eax, ptr(rax + rax)).unwrap();
            e.a.mov(byte_ptr(r14 + rcx), al).unwrap();
            if trapping {
                e.trap(TrapCode::Unreachable);
            } else {
                e.a.ret().unwrap();
            }
        });
        m.shape.start = Some(start);
        let mut store = Store::new(&engine, ());
        let result = store.instantiate(&m.map(&engine), &[]);
        if trapping {
            assert_eq!(trap_of(result), TrapCode::Unreachable);
        } else {
            let instance = result.unwrap();
            assert_eq!(
                store.memory(crate::build::memory(&store, instance, "memory"))[0],
                2
            );
        }
    }
}

#[test]
fn a_failed_element_segment_leaves_the_earlier_ones_callable() {
    let engine = engine();
    let mut store = Store::new(&engine, ());
    let ty = TableType {
        element: ValType::FuncRef,
        is_64: false,
        exact: cellwall_base::types::RefType::FUNCREF,
        min: 2,
        max: None,
    };
    let table = store.new_table(ty, 0).unwrap();
    let mut m = Module::new();
    let get = m.ty(&[], &[I32]);
    let shared = m.shape.tables.push(TableShape {
        imported: true,
        private: false,
        element: ValType::FuncRef,
        is_64: false,
        exact: cellwall_base::types::RefType::FUNCREF,
        min: 0,
        max: None,
        init: None,
    });
    m.import("t", Item::Table(shared));
    m.memory(1, None);
    m.data(Some(0), &[8; 5000]);
    let f = m.func(get, |e| {
        e.a.xor(ecx, ecx).unwrap();
        e.a.movzx(eax, byte_ptr(r14 + rcx)).unwrap();
        e.a.ret().unwrap();
    });
    m.elements(shared, 0, &[f]);
    m.elements(shared, 2, &[f]);
    let result = store.instantiate(&m.map(&engine), &[Extern::Table(table)]);
    assert_eq!(trap_of(result), TrapCode::TableOutOfBounds);
    let Some(RawVal::FuncRef(reference)) = store.table_get(table, 0) else {
        panic!()
    };
    let f = store.func_of(reference).unwrap();
    let typed = store.typed::<(), (i32,)>(f).unwrap();
    assert_eq!(
        store.call_typed(&typed, ()).unwrap(),
        (0,),
        "data comes after elements"
    );
}
