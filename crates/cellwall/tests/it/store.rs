//! `Store`: its data, and what dies with it.

use cellwall::{Engine, ExternRef, Func, Store};
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
