//! `Global`: values of every type, and what cannot be set.

use crate::instantiate;
use cellwall::{Engine, Global, GlobalType, Mutability, Store, V128, Val, ValType};

#[test]
fn values_of_every_type_come_back() {
    let mut store = Store::new(&Engine::default(), ());
    for value in [
        Val::I32(-1),
        Val::I64(i64::MIN),
        Val::F32(0x7fa0_0001),
        Val::F64(1),
        Val::V128(V128::from(1 << 100)),
        Val::FuncRef(None),
        Val::ExternRef(None),
    ] {
        let ty = value.ty(&store).expect("its store");
        let global = GlobalType::new(ty.clone(), Mutability::Var);
        let zero = Val::default_for_ty(&ty).expect("all have one");
        let global = Global::new(&mut store, global, zero).expect("of its type");
        global.set(&mut store, value).expect("of its type");
        assert_eq!(format!("{:?}", global.get(&mut store)), format!("{value:?}"));
        assert_eq!(global.ty(&store).content(), &ty);
    }
}

#[test]
fn constants_and_other_types_cannot_be_set() {
    let mut store = Store::new(&Engine::default(), ());
    let constant = GlobalType::new(ValType::I32, Mutability::Const);
    assert!(Global::new(&mut store, constant.clone(), Val::I64(1)).is_err());
    let constant = Global::new(&mut store, constant, Val::I32(1)).expect("of its type");
    assert!(constant.set(&mut store, Val::I32(2)).is_err());
    assert_eq!(constant.get(&mut store).unwrap_i32(), 1);
}

#[test]
fn guest_and_host_see_the_same_value() {
    let (mut store, instance) = instantiate(
        r#"(module (global $g (export "g") (mut i64) (i64.const 5)) (global (export "c") f32 (f32.const 1.5))
             (func (export "double") (global.set $g (i64.mul (global.get $g) (i64.const 2)))))"#,
    );
    let global = instance.get_global(&mut store, "g").expect("exported");
    let double = instance
        .get_typed_func::<(), ()>(&mut store, "double")
        .expect("exported");
    double.call(&mut store, ()).expect("it ends");
    assert_eq!(global.get(&mut store).unwrap_i64(), 10);
    global.set(&mut store, Val::I64(-3)).expect("mutable");
    double.call(&mut store, ()).expect("it ends");
    assert_eq!(global.get(&mut store).unwrap_i64(), -6);
    let constant = instance.get_global(&mut store, "c").expect("exported");
    assert_eq!(constant.get(&mut store).unwrap_f32(), 1.5);
    assert!(instance.get_global(&mut store, "double").is_none());
}
