//! Tables: private and shared ones, calls through them, references.

use crate::build::*;
use cellwall_abi::ValType::{ExternRef as Ext, FuncRef as Fun, I32, I64};
use cellwall_abi::shape::{Item, TableShape};
use cellwall_abi::{LibCall, TrapCode};
use cellwall_base::TableIdx;
use cellwall_runtime::*;
use iced_x86::code_asm::*;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// `call(index)` through a table of `[one, null, binary]`; `set(index, funcref)`.
fn module(private: bool) -> Module {
    let mut m = Module::new();
    let unary = m.ty(&[I32], &[I32]);
    let binary = m.ty(&[I64], &[]);
    let set = m.ty(&[I32, Fun], &[]);
    let get = m.ty(&[I32], &[Fun]);
    let table = m.table(private, 4, None);
    let one = m.export_func("one", unary, |e| {
        e.a.mov(eax, 1).unwrap();
        e.a.ret().unwrap();
    });
    let other = m.func(binary, |e| e.a.ret().unwrap());
    m.elements(table, 0, &[one]);
    m.elements(table, 2, &[other]);
    m.export_func("call", unary, move |e| {
        e.frame(8);
        e.call_indirect(table, unary);
    });
    m.export_func("set", set, |e| {
        e.frame(8);
        e.a.mov(edx, esi).unwrap();
        e.a.mov(esi, edi).unwrap();
        e.a.xor(edi, edi).unwrap();
        e.library(LibCall::TableSet);
        e.leave(8);
    });
    m.export_func("get", get, |e| {
        e.frame(8);
        e.a.mov(esi, edi).unwrap();
        e.a.xor(edi, edi).unwrap();
        e.library(LibCall::TableGet);
        e.a.mov(eax, eax).unwrap();
        e.leave(8);
    });
    if !private {
        m.export("table", Item::Table(table));
    }
    m
}

fn call_at(store: &mut Store<()>, instance: InstanceId, index: i32) -> Result<i32, Error> {
    call::<_, _, (i32,)>(store, instance, "call", (index,)).map(|(value,)| value)
}

#[test]
fn calls_through_tables_check_bounds_null_and_type() {
    for private in [true, false] {
        let engine = engine();
        let mut store = Store::new(&engine, ());
        let i = store.instantiate(&module(private).map(&engine), &[]).unwrap();
        assert_eq!(call_at(&mut store, i, 0).unwrap(), 1);
        assert_eq!(trap_of(call_at(&mut store, i, 1)), TrapCode::IndirectCallToNull);
        assert_eq!(trap_of(call_at(&mut store, i, 2)), TrapCode::BadSignature);
        assert_eq!(trap_of(call_at(&mut store, i, 4)), TrapCode::TableOutOfBounds);
        assert_eq!(trap_of(call_at(&mut store, i, -1)), TrapCode::TableOutOfBounds);
    }
}

#[test]
fn foreign_and_host_functions_are_called_through_any_table() {
    for private in [true, false] {
        let engine = engine();
        let mut store = Store::new(&engine, ());
        let i = store.instantiate(&module(private).map(&engine), &[]).unwrap();
        let mut m = Module::new();
        let first = m.ty(&[I64], &[I64]);
        let unary = m.ty(&[I32], &[I32]);
        let _ = first;
        m.export_func("two", unary, |e| {
            e.a.mov(eax, 2).unwrap();
            e.a.ret().unwrap();
        });
        let foreign = store.instantiate(&m.map(&engine), &[]).unwrap();
        let host = store.add_host_func(&HostFunc::typed(&engine, |_, (_,): (i32,)| Ok((3i32,))));
        let strange = store.add_host_func(&HostFunc::typed(&engine, |_, (_,): (f32,)| Ok((3i32,))));
        let two = func(&store, foreign, "two");
        let mut set = |index: i32, f: Option<FuncId>| {
            let reference = store.func_ref(f);
            call::<_, _, ()>(&mut store, i, "set", (index, reference)).unwrap();
        };
        set(0, Some(two));
        set(1, Some(host));
        set(3, Some(strange));
        set(2, None);
        assert_eq!(call_at(&mut store, i, 0).unwrap(), 2);
        assert_eq!(call_at(&mut store, i, 1).unwrap(), 3);
        assert_eq!(trap_of(call_at(&mut store, i, 3)), TrapCode::BadSignature);
        assert_eq!(trap_of(call_at(&mut store, i, 2)), TrapCode::IndirectCallToNull);
        let (reference,): (FuncRef,) = call(&mut store, i, "get", (0i32,)).unwrap();
        assert_eq!(store.func_of(reference), Some(two));
        let out = call::<_, _, (FuncRef,)>(&mut store, i, "get", (4i32,));
        assert_eq!(trap_of(out), TrapCode::TableOutOfBounds);
    }
}

#[test]
fn a_forged_reference_is_null() {
    let engine = engine();
    let mut store = Store::new(&engine, ());
    let i = store.instantiate(&module(true).map(&engine), &[]).unwrap();
    assert_eq!(store.func_of(FuncRef(12345)), None);
    call::<_, _, ()>(&mut store, i, "set", (0i32, FuncRef(12345))).unwrap();
    assert_eq!(trap_of(call_at(&mut store, i, 0)), TrapCode::IndirectCallToNull);
    assert!(store.extern_value(ExternRef(1)).is_none());
    let value = store.new_extern(Arc::new(5u8));
    assert_eq!(store.extern_value(value).unwrap().downcast_ref(), Some(&5u8));
}

#[test]
fn an_imported_table_is_called_through_its_definition() {
    let engine = engine();
    let mut store = Store::new(&engine, ());
    let owner = store.instantiate(&module(false).map(&engine), &[]).unwrap();
    let table = store.export(owner, "table").unwrap();
    let mut m = Module::new();
    let unary = m.ty(&[I32], &[I32]);
    m.shape.tables.push(TableShape {
        imported: true,
        private: false,
        element: Fun,
        is_64: false,
        exact: cellwall_base::types::RefType::FUNCREF,
        min: 4,
        max: None,
        init: None,
    });
    m.import("table", Item::Table(TableIdx::from_u32(0)));
    m.export_func("call", unary, move |e| {
        e.frame(8);
        e.call_indirect(TableIdx::from_u32(0), unary);
    });
    let user = store.instantiate(&m.map(&engine), &[table]).unwrap();
    assert_eq!(call_at(&mut store, user, 0).unwrap(), 1);
    let Extern::Table(table) = table else {
        unreachable!()
    };
    let one = store.func_ref(Some(func(&store, owner, "one")));
    assert_eq!(trap_of(call_at(&mut store, user, 4)), TrapCode::TableOutOfBounds);
    assert_eq!(
        store.table_grow(table, 1000, RawVal::FuncRef(one)).unwrap(),
        Some(4)
    );
    assert_eq!(call_at(&mut store, user, 1003).unwrap(), 1);
    assert_eq!(
        trap_of(call_at(&mut store, user, 1004)),
        TrapCode::TableOutOfBounds
    );
}

#[test]
fn the_host_works_on_tables_within_their_bounds_and_types() {
    let engine = engine();
    let mut store = Store::new(&engine, ());
    let ty = TableType {
        element: Ext,
        is_64: false,
        exact: cellwall_base::types::RefType::FUNCREF,
        min: 3,
        max: Some(5),
    };
    let a = store.new_table(ty, 0).unwrap();
    let b = store.new_table(ty, 9).unwrap();
    let extern_ref = |n| RawVal::ExternRef(ExternRef(n));
    store.table_fill(a, 1, extern_ref(4), 2).unwrap();
    assert_eq!(
        trap_of(store.table_fill(a, 2, extern_ref(5), 2)),
        TrapCode::TableOutOfBounds
    );
    store.table_copy(b, 0, a, 0, 2).unwrap();
    assert_eq!(
        trap_of(store.table_copy(b, 2, a, 0, 2)),
        TrapCode::TableOutOfBounds
    );
    let read = |store: &Store<()>, t| (0..4).map(|i| store.table_get(t, i)).collect::<Vec<_>>();
    assert_eq!(
        read(&store, a),
        [
            Some(extern_ref(0)),
            Some(extern_ref(4)),
            Some(extern_ref(4)),
            None
        ]
    );
    assert_eq!(
        read(&store, b),
        [
            Some(extern_ref(0)),
            Some(extern_ref(4)),
            Some(extern_ref(9)),
            None
        ]
    );
    assert_eq!(store.table_grow(a, 2, extern_ref(0)).unwrap(), Some(3));
    assert_eq!(store.table_grow(a, 1, extern_ref(0)).unwrap(), None);
    let wrong = store.table_set(a, 0, RawVal::FuncRef(FuncRef(0)));
    assert!(matches!(wrong, Err(Error::Type(_))));
}

/// Resident memory of the process in bytes.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("this is Linux");
    let pages = statm.split(' ').nth(1).expect("the second number");
    pages.parse::<usize>().expect("a number of pages") * 4096
}

/// Held by who measures, so that no other large table comes and goes meanwhile.
static MEASURING: Mutex<()> = Mutex::new(());

fn measuring() -> MutexGuard<'static, ()> {
    MEASURING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The most elements that a table can have, of 32 bytes each.
const MOST: u64 = 10_000_000;

#[test]
fn a_large_table_of_null_entries_takes_no_memory() {
    let _alone = measuring();
    for private in [true, false] {
        let engine = engine();
        let mut store = Store::new(&engine, ());
        let mut m = module(private);
        m.shape.tables[TableIdx::from_u32(0)].min = MOST;
        let code = m.map(&engine);
        let before = resident();
        let i = store.instantiate(&code, &[]).unwrap();
        let last = MOST as i32 - 1;
        let one = func(&store, i, "one");
        let set = |store: &mut Store<()>, f: Option<FuncId>| {
            let reference = store.func_ref(f);
            call::<_, _, ()>(store, i, "set", (last, reference)).unwrap();
        };
        assert_eq!(
            trap_of(call_at(&mut store, i, last)),
            TrapCode::IndirectCallToNull
        );
        set(&mut store, Some(one));
        assert_eq!(call_at(&mut store, i, last).unwrap(), 1);
        set(&mut store, None);
        assert_eq!(
            trap_of(call_at(&mut store, i, last)),
            TrapCode::IndirectCallToNull
        );
        assert_eq!(call_at(&mut store, i, 0).unwrap(), 1);
        assert_eq!(trap_of(call_at(&mut store, i, 1)), TrapCode::IndirectCallToNull);
        assert_eq!(trap_of(call_at(&mut store, i, 2)), TrapCode::BadSignature);
        assert_eq!(
            trap_of(call_at(&mut store, i, last + 1)),
            TrapCode::TableOutOfBounds
        );
        let more = resident().saturating_sub(before);
        assert!(more < 32 << 20, "{more} bytes more");
    }
}

#[test]
fn growing_filling_and_copying_null_takes_no_memory_and_leaves_null() {
    let _alone = measuring();
    let engine = engine();
    let mut store = Store::new(&engine, ());
    let i = store.instantiate(&module(false).map(&engine), &[]).unwrap();
    let Some(Extern::Table(table)) = store.export(i, "table") else {
        unreachable!()
    };
    let null = RawVal::FuncRef(store.func_ref(None));
    let one = RawVal::FuncRef(store.func_ref(Some(func(&store, i, "one"))));
    let before = resident();
    assert_eq!(store.table_grow(table, MOST - 5, null).unwrap(), Some(4));
    assert_eq!(store.table_grow(table, 2, one).unwrap(), None);
    assert_eq!(store.table_grow(table, 1, one).unwrap(), Some(MOST - 1));
    let more = resident().saturating_sub(before);
    assert!(more < 32 << 20, "{more} bytes more after growing");
    let last = MOST as i32 - 1;
    assert_eq!(call_at(&mut store, i, last).unwrap(), 1);
    assert_eq!(
        trap_of(call_at(&mut store, i, last - 1)),
        TrapCode::IndirectCallToNull
    );
    assert_eq!(trap_of(call_at(&mut store, i, 2)), TrapCode::BadSignature);

    // What was in use is given back, to the element.
    store.table_fill(table, 3, one, 1_000_000).unwrap();
    assert!(resident().saturating_sub(before) > 30 << 20);
    store.table_fill(table, 4, null, MOST - 4).unwrap();
    let more = resident().saturating_sub(before);
    assert!(more < 32 << 20, "{more} bytes more after filling");
    assert_eq!(call_at(&mut store, i, 3).unwrap(), 1);
    for null in [1, 4, 1_000_002, last] {
        assert_eq!(
            trap_of(call_at(&mut store, i, null)),
            TrapCode::IndirectCallToNull
        );
    }
    store.table_copy(table, 4, table, 0, 4).unwrap();
    assert_eq!(call_at(&mut store, i, 4).unwrap(), 1);
    assert_eq!(trap_of(call_at(&mut store, i, 5)), TrapCode::IndirectCallToNull);
    assert_eq!(trap_of(call_at(&mut store, i, 6)), TrapCode::BadSignature);
}

#[test]
fn null_copied_over_functions_is_null() {
    let _alone = measuring();
    let engine = engine();
    let mut store = Store::new(&engine, ());
    let ty = TableType {
        element: Fun,
        is_64: false,
        exact: cellwall_base::types::RefType::FUNCREF,
        min: MOST,
        max: None,
    };
    let i = store.instantiate(&module(false).map(&engine), &[]).unwrap();
    let Some(Extern::Table(table)) = store.export(i, "table") else {
        unreachable!()
    };
    let empty = store.new_table(ty, 0).unwrap();
    store.table_copy(table, 0, empty, MOST - 2, 2).unwrap();
    for index in [0, 1] {
        assert_eq!(
            trap_of(call_at(&mut store, i, index)),
            TrapCode::IndirectCallToNull
        );
    }
    assert_eq!(trap_of(call_at(&mut store, i, 2)), TrapCode::BadSignature);
}
