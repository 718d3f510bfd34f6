//! `Store`: its data, and what dies with it.

use cellwall::{Engine, ExternRef, Func, Instance, Module, Store, Val};
use std::sync::Arc;

#[test]
fn a_store_gives_its_data_back_and_drops_what_it_held() {
    let engine = Engine::default();
    let witness = Arc::new(());
    let mut store = Store::new(&engine, Arc::clone(&witness));
    let captured = Arc::clone(&witness);
    Func::wrap(&mut store, move || drop(Arc::clone(&captured)));
    ExternRef::new(&mut store, Arc::clone(&witness)).expect("there is room");
    assert_eq!(Arc::strong_count(&witness), 4);
    let data = store.into_data();
    assert_eq!(Arc::strong_count(&witness), 2);
    assert!(Arc::ptr_eq(&data, &witness));
}

#[test]
fn a_store_can_be_sent_while_it_is_not_used() {
    let engine = Engine::default();
    let mut store = Store::new(&engine, 1u32);
    let func = Func::wrap(&mut store, || 7i32);
    let (mut store, result) = std::thread::spawn(move || {
        let func = func.typed::<(), i32>(&store).expect("its type");
        let result = func.call(&mut store, ());
        (store, result)
    })
    .join()
    .expect("it does not panic");
    *store.data_mut() += 1;
    assert_eq!((*store.data(), result.expect("it ends")), (2, 7));
    assert!(Engine::same(store.engine(), &engine));
}

#[test]
fn a_handle_outlives_its_store_and_stops_no_other() {
    let engine = Engine::default();
    let runs = |store: &mut Store<()>| {
        let func = Module::new(
            &engine,
            r#"(module (func (export "f") (result i32) (i32.const 1)))"#,
        );
        let instance = Instance::new(&mut *store, &func.expect("valid"), &[]).expect("nothing is imported");
        let f = instance
            .get_typed_func::<(), i32>(&mut *store, "f")
            .expect("exported");
        f.call(&mut *store, ())
    };
    // The next store is made of what the last one had.
    let mut store = Store::new(&engine, ());
    let handle = store.interrupt_handle();
    assert_eq!(runs(&mut store).expect("nobody stops it"), 1);
    drop(store);
    let mut store = Store::new(&engine, ());
    handle.interrupt();
    engine.interrupt();
    assert_eq!(runs(&mut store).expect("it is another store's handle"), 1);
    store.interrupt_handle().interrupt();
    drop(store);
    let mut store = Store::new(&engine, ());
    engine.interrupt();
    assert_eq!(runs(&mut store).expect("that was the store before"), 1);
}

/// A module with a memory of this many pages full of `byte` from 4096 on, a table and a global.
fn module_of(engine: &Engine, pages: u32, byte: u8) -> Module {
    let data = format!("\\{byte:02x}").repeat(5000);
    let wat = format!(
        r#"(module
          (memory (export "memory") {pages})
          (table (export "table") 4 funcref)
          (global (export "global") (mut i64) (i64.const 7))
          (func (export "f"))
          (data (i32.const 4096) "{data}"))"#
    );
    Module::new(engine, wat).expect("valid")
}

#[test]
fn what_a_store_left_is_not_seen_by_the_next_one() {
    let engine = Engine::default();
    let modules =
        [(1, 3), (1, 5), (3, 9)].map(|(pages, byte)| (module_of(&engine, pages, byte), pages, byte));
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (engine, modules) = (&engine, &modules);
            scope.spawn(move || {
                for round in 0..300 {
                    let (module, pages, byte) = &modules[(thread + round) % modules.len()];
                    let mut store = Store::new(engine, ());
                    let instance = Instance::new(&mut store, module, &[]).expect("nothing is imported");
                    let memory = instance.get_memory(&mut store, "memory").expect("exported");
                    let bytes = memory.data_mut(&mut store);
                    assert_eq!(bytes.len(), *pages as usize * 65536);
                    let expected = |at: usize| if (4096..9096).contains(&at) { *byte } else { 0 };
                    let wrong = bytes.iter().enumerate().find(|&(at, &b)| b != expected(at));
                    assert_eq!(wrong, None);
                    bytes.fill(0xee);
                    let table = instance.get_table(&mut store, "table").expect("exported");
                    let global = instance.get_global(&mut store, "global").expect("exported");
                    assert_eq!(global.get(&mut store).i64(), Some(7));
                    global.set(&mut store, Val::I64(8)).expect("it is mutable");
                    let f = instance.get_func(&mut store, "f");
                    for at in 0..4 {
                        let entry = table.get(&mut store, at).expect("inside");
                        assert!(entry.as_func().expect("of functions").is_none());
                        table.set(&mut store, at, f.into()).expect("inside");
                    }
                }
            });
        }
    });
}
