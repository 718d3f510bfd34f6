//! References: to functions and to values of the host.

use crate::instantiate;
use cellwall::{Engine, ExternRef, Func, Ref, Rooted, Store, Trap, Val, ValType};

#[test]
fn host_values_pass_through_guests() {
    let (mut store, instance) = instantiate(
        r#"(module (table $t 1 externref)
             (func (export "keep") (param externref) (table.set $t (i32.const 0) (local.get 0)))
             (func (export "give") (result externref) (table.get $t (i32.const 0)))
             (func (export "is_null") (param externref) (result i32) (ref.is_null (local.get 0))))"#,
    );
    type Value = Option<Rooted<ExternRef>>;
    let keep = instance
        .get_typed_func::<Value, ()>(&mut store, "keep")
        .expect("exported");
    let give = instance
        .get_typed_func::<(), Value>(&mut store, "give")
        .expect("exported");
    let is_null = instance
        .get_typed_func::<Value, i32>(&mut store, "is_null")
        .expect("exported");
    assert!(give.call(&mut store, ()).expect("it ends").is_none());
    let value = ExternRef::new(&mut store, vec![1, 2, 3]).expect("there is room");
    keep.call(&mut store, Some(value)).expect("its store");
    let back = give.call(&mut store, ()).expect("it ends").expect("it was kept");
    let data = back.data(&store).expect("its store").expect("it has data");
    assert_eq!(data.downcast_ref::<Vec<i32>>(), Some(&vec![1, 2, 3]));
    assert!(data.downcast_ref::<String>().is_none());
    assert!(Rooted::ref_eq(&store, &value, &back).expect("its store"));
    assert_eq!(is_null.call(&mut store, Some(back)).expect("it ends"), 0);
    assert_eq!(is_null.call(&mut store, None).expect("it ends"), 1);

    let engine = store.engine().clone();
    let foreign = ExternRef::new(Store::new(&engine, ()), 1u8).expect("there is room");
    assert!(keep.call(&mut store, Some(foreign)).is_err());
    assert!(foreign.data(&store).is_err());
    assert!(Val::from(foreign).ty(&store).is_err());
}

#[test]
fn functions_pass_through_guests() {
    let (mut store, instance) = instantiate(
        r#"(module (elem declare func $five) (func $five (result i32) (i32.const 5))
             (func (export "five") (result funcref) (ref.func $five))
             (func (export "same") (param funcref) (result funcref) (local.get 0)))"#,
    );
    let five = instance
        .get_typed_func::<(), Option<Func>>(&mut store, "five")
        .expect("exported");
    let five = five.call(&mut store, ()).expect("it ends").expect("not null");
    let same = instance
        .get_typed_func::<Option<Func>, Option<Func>>(&mut store, "same")
        .expect("exported");
    let five = same
        .call(&mut store, Some(five))
        .expect("its store")
        .expect("not null");
    let five = five.typed::<(), i32>(&store).expect("its type");
    assert_eq!(five.call(&mut store, ()).expect("it ends"), 5);
    assert!(same.call(&mut store, None).expect("it ends").is_none());

    let strict = instance
        .get_typed_func::<Option<Func>, Func>(&mut store, "same")
        .expect("exported");
    assert!(strict.call(&mut store, Some(*five.func())).is_ok());
    let error = strict.call(&mut store, None).expect_err("null");
    assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::NullReference));
}

#[test]
fn values_know_their_type() {
    let store = Store::new(&Engine::default(), ());
    assert_eq!(Val::null_func_ref().ty(&store).expect("null"), ValType::FUNCREF);
    assert!(Val::I32(1).matches_ty(&store, &ValType::I32).expect("a number"));
    assert!(!Val::I32(1).matches_ty(&store, &ValType::I64).expect("a number"));
    assert_eq!(Val::from(2.5f64).unwrap_f64(), 2.5);
    assert!(Val::from(2.5f64).f32().is_none());
    assert!(matches!(Val::null_extern_ref().ref_(), Some(Ref::Extern(None))));
    assert!(Val::I32(1).ref_().is_none());
}
