//! `Table`: elements, growth, and what calls through it find.

use crate::instantiate;
use cellwall::{Engine, ExternRef, Func, Ref, RefType, Store, Table, TableType, Trap};

#[test]
fn elements_are_read_and_set_inside() {
    let mut store = Store::new(&Engine::default(), ());
    let ty = TableType::new(RefType::EXTERNREF, 2, Some(4));
    let value = ExternRef::new(&mut store, 5u8).expect("there is room");
    let table = Table::new(&mut store, ty, value.into()).expect("of its type");
    assert!(table.get(&mut store, 1).expect("inside").is_non_null());
    table.set(&mut store, 1, Ref::Extern(None)).expect("inside");
    assert!(table.get(&mut store, 1).expect("inside").is_null());
    let error = table.set(&mut store, 2, Ref::Extern(None)).expect_err("outside");
    assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::TableOutOfBounds));
    assert!(table.set(&mut store, 0, Ref::Func(None)).is_err(), "another type");
    assert!(table.get(&mut store, 2).is_none());

    assert_eq!(table.grow(&mut store, 2, value.into()).expect("allowed"), 2);
    assert!(table.grow(&mut store, 1, value.into()).is_err());
    assert_eq!(table.size(&store), 4);
    assert_eq!(
        (table.ty(&store).minimum(), table.ty(&store).maximum()),
        (4, Some(4))
    );
}

#[test]
fn fill_and_copy_do_all_or_nothing() {
    let mut store = Store::new(&Engine::default(), ());
    let ty = TableType::new(RefType::FUNCREF, 4, None);
    let func = Func::wrap(&mut store, || {});
    let (a, b) = (
        Table::new(&mut store, ty.clone(), Ref::Func(None)).expect("of its type"),
        Table::new(&mut store, ty, Ref::Func(None)).expect("of its type"),
    );
    let null = |table: &Table, store: &mut Store<()>| -> Vec<bool> {
        (0..4)
            .map(|i| table.get(&mut *store, i).expect("inside").is_null())
            .collect()
    };
    a.fill(&mut store, 2, func.into(), 2).expect("inside");
    assert!(a.fill(&mut store, 3, func.into(), 2).is_err());
    assert_eq!(null(&a, &mut store), [true, true, false, false]);
    assert!(Table::copy(&mut store, &b, 3, &a, 2, 2).is_err());
    assert_eq!(null(&b, &mut store), [true; 4]);
    Table::copy(&mut store, &b, 0, &a, 2, 2).expect("inside");
    assert_eq!(null(&b, &mut store), [false, false, true, true]);
}

#[test]
fn the_wrong_type_or_store_is_refused() {
    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    let ty = TableType::new(RefType::FUNCREF, 1, None);
    assert!(Table::new(&mut store, ty.clone(), Ref::Extern(None)).is_err());
    let foreign = Func::wrap(Store::new(&engine, ()), || {});
    assert!(Table::new(&mut store, ty.clone(), foreign.into()).is_err());
    let own = Func::wrap(&mut store, || {});
    assert!(Table::new(&mut store, ty, own.into()).is_ok());
}

#[test]
fn guests_call_what_the_host_put_in() {
    let (mut store, instance) = instantiate(
        r#"(module (table (export "t") 3 funcref)
             (func (export "call") (param i32) (result i32) (call_indirect (result i32) (local.get 0))))"#,
    );
    let table = instance.get_table(&mut store, "t").expect("exported");
    let call = instance
        .get_typed_func::<i32, i32>(&mut store, "call")
        .expect("exported");
    let (good, bad) = (Func::wrap(&mut store, || 5i32), Func::wrap(&mut store, || 5i64));
    table.set(&mut store, 0, good.into()).expect("inside");
    table.set(&mut store, 1, bad.into()).expect("inside");
    assert_eq!(call.call(&mut store, 0).expect("its type"), 5);
    for (index, trap) in [
        (1, Trap::BadSignature),
        (2, Trap::IndirectCallToNull),
        (3, Trap::TableOutOfBounds),
        (-1, Trap::TableOutOfBounds),
    ] {
        let error = call.call(&mut store, index).expect_err("it traps");
        assert_eq!(error.downcast_ref::<Trap>(), Some(&trap), "{index}");
    }
}
