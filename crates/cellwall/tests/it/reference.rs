//! References: to functions and to values of the host.

use crate::instantiate;
use cellwall::{
    AnyRef, Engine, ExternRef, Func, Global, GlobalType, HeapType, I31, Linker, Module, Mutability, Ref,
    RefType, Rooted, Store, Table, TableType, Trap, Val, ValType,
};

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

#[test]
fn numbers_pass_through_guests_as_references() {
    let (mut store, instance) = instantiate(
        r#"(module
             (table $t (export "t") 2 anyref)
             (global (export "g") (ref i31) (ref.i31 (i32.add (i32.const 3) (i32.const 4))))
             (func (export "keep") (param anyref) (table.set $t (i32.const 0) (local.get 0)))
             (func (export "make") (param i32) (result (ref i31)) (ref.i31 (local.get 0)))
             (func (export "read") (param i31ref) (result i32 i32)
               (i31.get_s (local.get 0)) (i31.get_u (local.get 0)))
             (func (export "cast") (param anyref) (result (ref i31)) (ref.cast (ref i31) (local.get 0))))"#,
    );
    type Value = Option<Rooted<AnyRef>>;
    let keep = instance
        .get_typed_func::<Value, ()>(&mut store, "keep")
        .expect("its type");
    let number = AnyRef::from_i31(&mut store, I31::wrapping_i32(-2));
    keep.call(&mut store, Some(number)).expect("its store");
    let table = instance.get_table(&mut store, "t").expect("exported");
    assert_eq!(table.ty(&store).element(), &RefType::ANYREF);
    let kept = table.get(&mut store, 0).expect("in bounds");
    assert_eq!(
        kept.unwrap_any()
            .expect("not null")
            .unwrap_i31(&store)
            .expect("its store")
            .get_i32(),
        -2
    );
    assert!(table.get(&mut store, 1).expect("in bounds").is_null());
    let global = instance.get_global(&mut store, "g").expect("exported");
    let seven = global.get(&mut store);
    assert_eq!(
        seven
            .unwrap_anyref()
            .expect("not null")
            .as_i31(&store)
            .expect("its store"),
        I31::new_u32(7)
    );

    // What is typed more closely than a Rust type says is called with values.
    let make = instance.get_func(&mut store, "make").expect("exported");
    let mut made = [Val::I32(0)];
    make.call(&mut store, &[Val::I32(-1)], &mut made)
        .expect("it ends");
    let (i31, none) = (
        RefType::new(false, HeapType::I31),
        RefType::new(true, HeapType::None),
    );
    assert!(
        made[0]
            .matches_ty(&store, &i31.clone().into())
            .expect("its store")
    );
    assert!(
        !made[0]
            .matches_ty(&store, &none.clone().into())
            .expect("its store")
    );
    assert!(
        Val::null_any_ref()
            .matches_ty(&store, &none.into())
            .expect("null")
    );
    let read = instance.get_func(&mut store, "read").expect("exported");
    let mut numbers = [Val::I32(0), Val::I32(0)];
    read.call(&mut store, &made, &mut numbers).expect("it ends");
    assert_eq!(
        (numbers[0].unwrap_i32(), numbers[1].unwrap_i32()),
        (-1, 0x7fff_ffff)
    );
    let error = read
        .call(&mut store, &[Val::null_any_ref()], &mut numbers)
        .expect_err("null is no number");
    assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::NullI31Ref));
    let cast = instance.get_func(&mut store, "cast").expect("exported");
    cast.call(&mut store, &[number.into()], &mut made)
        .expect("it is one");
    let error = cast
        .call(&mut store, &[Val::null_any_ref()], &mut made)
        .expect_err("null is none");
    assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::CastFailure));

    // Neither a reference of another kind nor one of another store.
    assert!(
        read.call(&mut store, &[Val::null_extern_ref()], &mut numbers)
            .is_err()
    );
    let foreign = AnyRef::from_i31(Store::new(&store.engine().clone(), ()), I31::wrapping_u32(1));
    assert!(keep.call(&mut store, Some(foreign)).is_err());
    assert!(foreign.as_i31(&store).is_err());
}

#[test]
fn numbers_as_references_fit_where_their_type_does() {
    let mut store = Store::new(&Engine::default(), ());
    let number = AnyRef::from_i31(&mut store, I31::wrapping_u32(9));
    let i31 = RefType::new(false, HeapType::I31);
    let table = Table::new(&mut store, TableType::new(i31.clone(), 1, None), number.into()).expect("it fits");
    assert!(table.set(&mut store, 0, Ref::Any(None)).is_err());
    assert!(
        Table::new(
            &mut store,
            TableType::new(RefType::NULLREF, 1, None),
            number.into()
        )
        .is_err()
    );
    let ty = |content: ValType| GlobalType::new(content, Mutability::Const);
    let global = Global::new(&mut store, ty(ValType::I31REF), number.into()).expect("it fits");
    assert!(Global::new(&mut store, ty(ValType::EXTERNREF), number.into()).is_err());

    let mut linker = Linker::new(store.engine());
    linker.define(&store, "", "g", global).expect("a new name");
    linker.define(&store, "", "t", table).expect("a new name");
    for (import, fits) in [
        ("(global i31ref)", true),
        ("(global anyref)", true),
        ("(global (ref i31))", false),
        ("(global externref)", false),
    ] {
        let module = format!("(module (import \"\" \"g\" {import}))");
        let module = Module::new(store.engine(), module).expect("it is valid");
        assert_eq!(linker.instantiate(&mut store, &module).is_ok(), fits, "{import}");
    }
    for (import, fits) in [("(ref i31)", true), ("i31ref", false), ("anyref", false)] {
        let module = format!("(module (import \"\" \"t\" (table 1 {import})))");
        let module = Module::new(store.engine(), module).expect("it is valid");
        assert_eq!(linker.instantiate(&mut store, &module).is_ok(), fits, "{import}");
    }
    assert!(ValType::I31REF.matches(&ValType::EQREF) && !ValType::EQREF.matches(&ValType::I31REF));
    assert_eq!(ValType::NULLREF.to_string(), "nullref");
    assert_eq!(ValType::from(i31).to_string(), "(ref i31)");
}

#[test]
fn numbers_of_31_bits_are_taken_whole_or_cut_on_request() {
    assert_eq!(
        I31::new_i32(-0x4000_0000).map(|n| n.get_i32()),
        Some(-0x4000_0000)
    );
    assert_eq!(
        (I31::new_i32(-0x4000_0001), I31::new_i32(0x4000_0000)),
        (None, None)
    );
    assert_eq!(I31::new_u32(0x7fff_ffff).map(|n| n.get_i32()), Some(-1));
    assert_eq!(I31::new_u32(0x8000_0000), None);
    assert_eq!(I31::wrapping_u32(0xffff_fff0).get_u32(), 0x7fff_fff0);
}
