//! Many stores, many threads, several engines.

use crate::build::*;
use cellwall_abi::TrapCode;
use cellwall_abi::ValType::I32;
use cellwall_runtime::*;
use iced_x86::code_asm::*;
use std::thread;

/// A memory with an image, and `load`.
fn module() -> Module {
    let mut m = Module::new();
    m.memory(1, None);
    m.data(Some(4096), &[3; 4096]);
    let unary = m.ty(&[I32], &[I32]);
    m.export_func("load", unary, |e| {
        e.a.movzx(eax, byte_ptr(r14 + rdi)).unwrap();
        e.a.ret().unwrap();
    });
    m
}

#[test]
fn ten_thousand_stores_live_in_one_process() {
    let engine = engine();
    let code = module().map(&engine);
    let mut stores: Vec<(Store<u32>, InstanceId)> = (0..10_000)
        .map(|i| {
            let mut store = Store::new(&engine, i);
            let instance = store.instantiate(&code, &[]).unwrap();
            (store, instance)
        })
        .collect();
    for (store, instance) in &mut stores {
        let byte: (i32,) = call(store, *instance, "load", (5000i32,)).unwrap();
        assert_eq!(byte, (3,));
    }
}

#[test]
fn threads_trap_and_return_independently() {
    let engine = engine();
    let code = module().map(&engine);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut store = Store::new(&engine, ());
                let instance = store.instantiate(&code, &[]).unwrap();
                for _ in 0..200 {
                    let inside: (i32,) = call(&mut store, instance, "load", (4096i32,)).unwrap();
                    assert_eq!(inside, (3,));
                    let outside = call::<_, _, (i32,)>(&mut store, instance, "load", (-1i32,));
                    assert_eq!(trap_of(outside), TrapCode::MemoryOutOfBounds);
                }
            });
        }
    });
}

#[test]
fn a_store_moves_between_threads() {
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    let engine = engine();
    let mut store = is_send(Store::new(&engine, ()));
    let instance = store.instantiate(&module().map(&engine), &[]).unwrap();
    let mut store = thread::spawn(move || {
        call::<_, _, (i32,)>(&mut store, instance, "load", (0i32,)).unwrap();
        store
    })
    .join()
    .unwrap();
    call::<_, _, (i32,)>(&mut store, instance, "load", (0i32,)).unwrap();
}

#[test]
fn code_is_unmapped_with_its_last_user() {
    let engine = engine();
    // Address space would be used up if nothing came back: 64 GiB, 1 MiB each.
    let mut m = module();
    let nothing = m.ty(&[], &[]);
    m.export_func("large", nothing, |e| {
        for _ in 0..1000 {
            e.a.mov(eax, 1).unwrap();
        }
        e.a.ret().unwrap();
    });
    for _ in 0..100 {
        let code = m.map(&engine);
        let mut store = Store::new(&engine, ());
        let instance = store.instantiate(&code, &[]).unwrap();
        drop(code);
        call::<_, _, ()>(&mut store, instance, "large", ()).unwrap();
    }
}

#[test]
#[should_panic(expected = "another engine")]
fn code_of_another_engine_is_refused() {
    let code = module().map(&engine());
    let _ = Store::new(&engine(), ()).instantiate(&code, &[]);
}
