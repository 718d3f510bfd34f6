//! Traps: the exact code, and where.

use crate::build::*;
use cellwall_abi::TrapCode;
use cellwall_abi::ValType::I32;
use cellwall_abi::shape::Item;
use cellwall_base::MemoryIdx;
use cellwall_runtime::*;
use iced_x86::code_asm::*;

/// One page; `load`, `unreachable`, and `outer`, which calls `unreachable`.
fn module() -> Module {
    let mut m = Module::new();
    m.memory(1, None);
    m.export("memory", Item::Memory(MemoryIdx::from_u32(0)));
    let unary = m.ty(&[I32], &[I32]);
    let nothing = m.ty(&[], &[]);
    m.export_func("load", unary, |e| {
        e.a.mov(eax, dword_ptr(r14 + rdi)).unwrap();
        e.a.ret().unwrap();
    });
    let unreachable = m.export_func("unreachable", nothing, |e| e.trap(TrapCode::Unreachable));
    m.export_func("spread", unary, |e| {
        e.a.lea(eax, dword_ptr(rdi + rdi)).unwrap();
        e.a.ret().unwrap();
    });
    m.export_func("outer", nothing, move |e| {
        e.frame(24);
        e.call(unreachable);
        e.leave(24);
    });
    m.export_func("recurse", nothing, |e| {
        let own = cellwall_base::FuncIdx::from_u32(4);
        e.frame(8);
        e.call(own);
        e.leave(8);
    });
    m
}

fn instance() -> (Store<()>, InstanceId) {
    let engine = engine();
    let mut store = Store::new(&engine, ());
    let instance = store.instantiate(&module().map(&engine), &[]).unwrap();
    (store, instance)
}

#[test]
fn an_access_traps_from_the_first_byte_outside() {
    let (mut store, instance) = instance();
    let memory = memory(&store, instance, "memory");
    store.memory_mut(memory)[65532..].copy_from_slice(&77u32.to_le_bytes());
    let inside: (i32,) = call(&mut store, instance, "load", (65532i32,)).unwrap();
    assert_eq!(inside, (77,));
    for address in [65533, 65536, i32::MAX, -1] {
        let outside = call::<_, _, (i32,)>(&mut store, instance, "load", (address,));
        assert_eq!(trap_of(outside), TrapCode::MemoryOutOfBounds, "{address}");
    }
    let again: (i32,) = call(&mut store, instance, "load", (65532i32,)).unwrap();
    assert_eq!(again, (77,), "a trap at a trap site does not poison");
}

#[test]
fn a_trap_tells_its_frames() {
    let (mut store, instance) = instance();
    let error = call::<_, _, ()>(&mut store, instance, "outer", ()).unwrap_err();
    assert_eq!(frames_of(&error), ["unreachable", "outer"]);
    let Error::Trap { code, frames } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(*code, TrapCode::Unreachable);
    assert!(frames.iter().all(|frame| frame.wasm_offset.is_some()));
    let error = call::<_, _, ()>(&mut store, instance, "unreachable", ()).unwrap_err();
    assert_eq!(frames_of(&error), ["unreachable"]);
}

#[test]
fn the_end_of_the_stack_is_a_trap() {
    let (mut store, instance) = instance();
    for _ in 0..3 {
        let error = call::<_, _, ()>(&mut store, instance, "recurse", ()).unwrap_err();
        assert_eq!(frames_of(&error).len(), FRAMES_MAX);
        assert_eq!(trap_of::<()>(Err(error)), TrapCode::StackOverflow);
    }
}

/// A module whose `step` calls the imported `next`.
fn step(name: &'static str) -> Module {
    let mut m = Module::new();
    let nothing = m.ty(&[], &[]);
    let next = m.import_func("next", nothing);
    m.export_func(name, nothing, move |e| {
        e.frame(8);
        e.call(next);
        e.leave(8);
    });
    m
}

#[test]
fn frames_of_other_instances_and_nested_calls_are_walked() {
    let engine = engine();
    let mut store = Store::new(&engine, ());
    let inner = store.instantiate(&module().map(&engine), &[]).unwrap();
    let target = func(&store, inner, "outer");
    let nested = HostFunc::typed(&engine, move |caller: Caller<'_, ()>, ()| {
        assert_eq!(caller.store.backtrace().len(), 2);
        let error = caller.store.call(target, &[], &mut []).unwrap_err();
        Err::<(), _>(Box::new(error) as HostError)
    });
    let nested = store.add_host_func(&nested);
    let near = store
        .instantiate(&step("near").map(&engine), &[Extern::Func(nested)])
        .unwrap();
    let near = func(&store, near, "near");
    let far = store
        .instantiate(&step("far").map(&engine), &[Extern::Func(near)])
        .unwrap();
    let error = call::<_, _, ()>(&mut store, far, "far", ()).unwrap_err();
    assert_eq!(frames_of(&error), ["near", "far"]);
    let Error::Host { error, .. } = error else {
        unreachable!()
    };
    let inner = error.downcast::<Error>().unwrap();
    assert_eq!(frames_of(&inner), ["unreachable", "outer", "near", "far"]);
}

#[test]
fn a_function_that_needs_its_instance_is_told_apart_from_its_caller() {
    // `spread` needs nothing and is entered as it is. `unreachable` uses nothing of its instance, but a trap
    // tells of it, of which there are two with the same code; `load` uses its memory.
    let engine = engine();
    let mut store = Store::new(&engine, ());
    let code = module().map(&engine);
    store.instantiate(&code, &[]).unwrap();
    let inner = store.instantiate(&code, &[]).unwrap();
    let mut m = Module::new();
    let (nothing, unary) = (m.ty(&[], &[]), m.ty(&[I32], &[I32]));
    let unreachable = m.import_func("unreachable", nothing);
    let load = m.import_func("load", unary);
    let spread = m.import_func("spread", unary);
    m.memory(1, None);
    m.data(Some(16), &1u32.to_le_bytes());
    for (name, ty, import) in [
        ("near", nothing, unreachable),
        ("load_far", unary, load),
        ("spread_far", unary, spread),
    ] {
        m.export_func(name, ty, move |e| {
            e.frame(8);
            e.call(import);
            e.leave(8);
        });
    }
    let given = ["unreachable", "load", "spread"].map(|name| Extern::Func(func(&store, inner, name)));
    let outer = store.instantiate(&m.map(&engine), &given).unwrap();
    let error = call::<_, _, ()>(&mut store, outer, "near", ()).unwrap_err();
    assert_eq!(frames_of(&error), ["unreachable", "near"]);
    let Error::Trap { code, frames } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(*code, TrapCode::Unreachable);
    let instances: Vec<_> = frames.iter().map(|frame| frame.instance).collect();
    assert_eq!(instances, [Some(inner), Some(outer)]);
    // The other's memory, and the own one again afterwards.
    let loaded: (i32,) = call(&mut store, outer, "load_far", (16i32,)).unwrap();
    assert_eq!(loaded, (0,));
    let error = call::<_, _, (i32,)>(&mut store, outer, "load_far", (65536i32,)).unwrap_err();
    assert_eq!(frames_of(&error), ["load", "load_far"]);
    let spread: (i32,) = call(&mut store, outer, "spread_far", (3i32,)).unwrap();
    assert_eq!(spread, (6,));
}

#[test]
fn instances_that_call_each_other_reach_the_end_of_the_stack() {
    // A table that both share lets the first call the second.
    let engine = engine();
    let mut store = Store::new(&engine, ());
    let ty = TableType {
        element: cellwall_abi::ValType::FuncRef,
        is_64: false,
        exact: cellwall_base::types::RefType::FUNCREF,
        min: 1,
        max: None,
    };
    let table = store.new_table(ty, 0).unwrap();
    let mut m = Module::new();
    let nothing = m.ty(&[I32], &[]);
    let shared = m.shape.tables.push(cellwall_abi::shape::TableShape {
        imported: true,
        private: false,
        element: ty.element,
        is_64: false,
        exact: cellwall_base::types::RefType::FUNCREF,
        min: 1,
        max: None,
        init: None,
    });
    m.import("table", Item::Table(shared));
    m.export_func("bounce", nothing, move |e| {
        e.frame(8);
        e.a.xor(edi, edi).unwrap();
        e.call_indirect(shared, nothing);
    });
    let code = m.map(&engine);
    let first = store.instantiate(&code, &[Extern::Table(table)]).unwrap();
    let bounce = func(&store, first, "bounce");
    let error = call::<_, _, ()>(&mut store, first, "bounce", (0i32,)).unwrap_err();
    assert_eq!(trap_of::<()>(Err(error)), TrapCode::IndirectCallToNull);
    let reference = store.func_ref(Some(bounce));
    store.table_set(table, 0, RawVal::FuncRef(reference)).unwrap();
    let error = call::<_, _, ()>(&mut store, first, "bounce", (0i32,)).unwrap_err();
    assert_eq!(frames_of(&error).len(), FRAMES_MAX);
    assert_eq!(trap_of::<()>(Err(error)), TrapCode::StackOverflow);
}

#[test]
fn backtraces_can_be_switched_off() {
    let config = EngineConfig {
        backtrace: false,
        ..EngineConfig::default()
    };
    let engine = Engine::new(config).unwrap();
    let mut store = Store::new(&engine, ());
    let instance = store.instantiate(&module().map(&engine), &[]).unwrap();
    let error = call::<_, _, ()>(&mut store, instance, "outer", ()).unwrap_err();
    assert!(frames_of(&error).is_empty());
}
