//! Typed function references: calls through them, types that compare across modules, and what the
//! embedder may put where.

use crate::instantiate;
use cellwall::{
    Engine, ExternType, Func, FuncType, Global, GlobalType, HeapType, Instance, Linker, Module, Mutability,
    Ref, RefType, Store, Table, TableType, Trap, Val, ValType, WasmBacktrace,
};

/// Calls a reference of its table or its parameter, in and out of tail position.
const CALLER: &str = r#"(module
    (type $f (func (param i64) (result i64)))
    (table $t (export "t") 2 (ref null $f))
    (elem (table $t) (i32.const 0) (ref null $f) (ref.func $double))
    (func $double (type $f) (i64.mul (local.get 0) (i64.const 2)))
    (func (export "at") (param i32 i64) (result i64)
      (i64.add (call_ref $f (local.get 1) (table.get $t (local.get 0))) (i64.const 1)))
    (func (export "tail") (param i32 i64) (result i64)
      (return_call_ref $f (local.get 1) (table.get $t (local.get 0))))
    (func (export "pass") (param (ref $f) i64) (result i64)
      (call_ref $f (local.get 1) (local.get 0)))
    (func (export "count") (param i64) (result i64) (local $next (ref $f))
      (local.set $next (ref.func $down)) (return_call_ref $f (local.get 0) (local.get $next)))
    (func $down (type $f)
      (if (i64.eqz (local.get 0)) (then (return (i64.const 77))))
      (return_call_ref $f (i64.sub (local.get 0) (i64.const 1)) (ref.func $down)))
    (elem declare func $down)
    (func (export "first") (param funcref) (result i32)
      (block $null (result)
        (drop (br_on_null $null (local.get 0)))
        (return (i32.const 1)))
      (i32.const 0)))"#;

#[test]
fn references_are_called_from_everywhere() {
    let (mut store, instance) = instantiate(CALLER);
    for (name, extra) in [("at", 1), ("tail", 0)] {
        let func = instance
            .get_typed_func::<(i32, i64), i64>(&mut store, name)
            .expect("exported");
        assert_eq!(
            func.call(&mut store, (0, 21)).expect("no trap"),
            42 + extra,
            "{name}"
        );
        let error = func.call(&mut store, (1, 21)).expect_err("null");
        assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::NullReference), "{name}");
        let frames = error
            .downcast_ref::<WasmBacktrace>()
            .expect("it has one")
            .frames();
        assert_eq!(frames.len(), 1, "{name}: the caller of nothing is still there");
        assert!(frames[0].module_offset().is_some());
    }
    // A million calls by reference in tail position do not grow the stack.
    let count = instance
        .get_typed_func::<i64, i64>(&mut store, "count")
        .expect("exported");
    assert_eq!(count.call(&mut store, 1_000_000).expect("it ends"), 77);
}

#[test]
fn functions_of_the_host_and_of_others_are_called_by_reference() {
    let (mut store, instance) = instantiate(CALLER);
    let table = instance.get_table(&mut store, "t").expect("exported");
    let negate = Func::wrap(&mut store, |x: i64| -x);
    table.set(&mut store, 1, negate.into()).expect("it has the type");
    let at = instance
        .get_typed_func::<(i32, i64), i64>(&mut store, "at")
        .expect("exported");
    assert_eq!(at.call(&mut store, (1, 5)).expect("no trap"), -4);

    let module = instance.module(&store).clone();
    let other = Instance::new(&mut store, &module, &[]).expect("it needs nothing");
    let count = other.get_func(&mut store, "count").expect("exported");
    table
        .set(&mut store, 1, count.into())
        .expect("a function of another instance");
    assert_eq!(at.call(&mut store, (1, 1000)).expect("no trap"), 78);

    let pass = instance.get_func(&mut store, "pass").expect("exported");
    let mut results = [Val::I64(0)];
    pass.call(&mut store, &[negate.into(), Val::I64(9)], &mut results)
        .expect("no trap");
    assert_eq!(results[0].unwrap_i64(), -9);
}

#[test]
fn what_is_of_another_type_is_refused_at_the_door() {
    let (mut store, instance) = instantiate(CALLER);
    let table = instance.get_table(&mut store, "t").expect("exported");
    let wrong = Func::wrap(&mut store, |x: i32| x);
    assert!(table.set(&mut store, 1, wrong.into()).is_err());
    assert!(table.fill(&mut store, 0, wrong.into(), 1).is_err());
    assert!(table.grow(&mut store, 1, wrong.into()).is_err());
    table
        .set(&mut store, 1, Ref::Func(None))
        .expect("null is one of them");
    assert_eq!(
        table.ty(&store).element().to_string(),
        "(ref null (func (param i64) (result i64)))"
    );

    let pass = instance.get_func(&mut store, "pass").expect("exported");
    let mut results = [Val::I64(0)];
    for bad in [Val::FuncRef(None), wrong.into()] {
        let error = pass.call(&mut store, &[bad, Val::I64(9)], &mut results);
        assert!(error.is_err(), "{bad:?}");
    }
    // A Rust type says less than the parameter demands.
    assert!(pass.typed::<(Option<Func>, i64), i64>(&store).is_err());
    let first = instance
        .get_typed_func::<Option<Func>, i32>(&mut store, "first")
        .expect("a funcref");
    assert_eq!(first.call(&mut store, None).expect("no trap"), 0);
    assert_eq!(first.call(&mut store, Some(wrong)).expect("no trap"), 1);
}

#[test]
fn types_compare_across_modules_by_structure() {
    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    let mut linker = Linker::new(&engine);
    // The same group under other indexes; a group that differs in one member; one type in no group.
    let exporter = r#"(module (type (func)) (rec (type $a (func (param (ref null $b)))) (type $b (func (param (ref null $a)))))
        (func (export "f") (type $a))
        (global (export "g") (ref null $a) (ref.null $a)))"#;
    let module = Module::new(&engine, exporter).expect("valid");
    let instance = linker.instantiate(&mut store, &module).expect("it needs nothing");
    linker.instance(&mut store, "m", instance).expect("a new name");
    let links = |group: &str, import: &str| {
        let wat = format!(r#"(module {group} (import "m" {import}))"#);
        linker
            .instantiate_pre(&Module::new(&engine, wat).expect("valid"))
            .is_ok()
    };
    let same = "(rec (type $a (func (param (ref null $b)))) (type $b (func (param (ref null $a)))))";
    let other = "(rec (type $a (func (param (ref null $b)))) (type $b (func (param (ref $a)))))";
    let alone = "(type $a (func (param funcref)))";
    let f = r#""f" (func (type $a))"#;
    assert!(links(same, f));
    assert!(!links(other, f));
    assert!(!links(alone, f));
    // A constant may be more than is asked for, not less.
    assert!(links(same, r#""g" (global (ref null $a))"#));
    assert!(links(same, r#""g" (global funcref)"#));
    assert!(!links(same, r#""g" (global (ref $a))"#));
    assert!(!links(other, r#""g" (global (ref null $a))"#));
}

#[test]
fn types_of_the_embedder_are_those_of_modules() {
    let engine = Engine::default();
    let f = FuncType::new(&engine, [ValType::I64], [ValType::I64]);
    let to_f = RefType::new(false, HeapType::ConcreteFunc(f.clone()));
    let takes = FuncType::new(&engine, [to_f.clone().into()], []);
    assert_eq!(takes, FuncType::new(&engine, [to_f.clone().into()], []));
    assert_ne!(
        takes,
        FuncType::new(&engine, [RefType::new(true, f.clone().into()).into()], [])
    );
    assert_eq!(
        takes.to_string(),
        "(type (func (param (ref (func (param i64) (result i64))))))"
    );
    let module = r#"(module (type $f (func (param i64) (result i64)))
        (func (export "takes") (param (ref $f))) (func (export "gives") (type $f) (local.get 0)))"#;
    let module = Module::new(&engine, module).expect("valid");
    assert_eq!(module.get_export("takes"), Some(ExternType::Func(takes.clone())));
    let other = FuncType::new(
        &Engine::default(),
        [RefType::new(true, HeapType::NoFunc).into()],
        [],
    );
    assert_ne!(
        other,
        FuncType::new(&engine, [RefType::new(true, HeapType::NoFunc).into()], [])
    );

    // Subtyping of references.
    let matches = |a: &RefType, b: &RefType| a.matches(b);
    let nullable = RefType::new(true, HeapType::ConcreteFunc(f));
    assert!(matches(&to_f, &nullable) && matches(&nullable, &RefType::FUNCREF));
    assert!(!matches(&nullable, &to_f) && !matches(&RefType::FUNCREF, &nullable));
    assert!(matches(&RefType::new(true, HeapType::NoFunc), &nullable));
    assert!(!matches(&RefType::new(true, HeapType::NoExtern), &nullable));

    // Globals and tables of the embedder hold what their type says.
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &module, &[]).expect("it needs nothing");
    let gives = instance.get_func(&mut store, "gives").expect("exported");
    let takes_func = instance.get_func(&mut store, "takes").expect("exported");
    assert!(takes_func.matches_ty(&store, &takes) && !gives.matches_ty(&store, &takes));
    let global = |store: &mut Store<()>, value: Val| {
        Global::new(
            store,
            GlobalType::new(to_f.clone().into(), Mutability::Var),
            value,
        )
    };
    assert!(global(&mut store, Val::FuncRef(None)).is_err());
    assert!(global(&mut store, takes_func.into()).is_err());
    let kept = global(&mut store, gives.into()).expect("it has the type");
    assert!(kept.set(&mut store, takes_func.into()).is_err());
    let table =
        |store: &mut Store<()>, init: Ref| Table::new(store, TableType::new(to_f.clone(), 1, None), init);
    assert!(table(&mut store, Ref::Func(None)).is_err());
    table(&mut store, gives.into()).expect("it has the type");

    // A host function that promises a reference gives one.
    let promises = FuncType::new(&engine, [], [to_f.into()]);
    for (value, fits) in [
        (Val::FuncRef(None), false),
        (gives.into(), true),
        (takes_func.into(), false),
    ] {
        let func = Func::new(&mut store, promises.clone(), move |_, _, results| {
            results[0] = value;
            Ok(())
        });
        assert_eq!(func.call(&mut store, &[], &mut [Val::I32(0)]).is_ok(), fits);
    }
}

/// A table with functions of a type below another one, of the same, and of neither.
const BELOW: &str = r#"(module
    (type $above (sub (func (result i32))))
    (type $below (sub $above (func (result i32))))
    (type $lowest (sub final $below (func (result i32))))
    (rec (type $other (sub (func (result i32)))) (type (func)))
    (type $takes (sub (func (param i32) (result i32))))
    (import "" "host" (func $host (type $plain)))
    (type $plain (func (result i32)))
    (tag $e (param i32))
    (table $t TABLE funcref)
    (elem (table $t) (i32.const 1) func $a $b $l $o $x $host $throws)
    (func $a (type $above) (i32.const 10))
    (func $b (type $below) (i32.const 11))
    (func $l (type $lowest) (i32.const 12))
    (func $o (type $other) (i32.const 13))
    (func $x (type $takes) (i32.const 14))
    (func $throws (type $below) (throw $e (i32.const 99)))
    (func (export "above") (param i32) (result i32)
      (i32.add (call_indirect $t (type $above) (local.get 0)) (i32.const 100)))
    (func (export "below") (param i32) (result i32)
      (i32.add (call_indirect $t (type $below) (local.get 0)) (i32.const 100)))
    (func (export "lowest") (param i32) (result i32)
      (i32.add (call_indirect $t (type $lowest) (local.get 0)) (i32.const 100)))
    (func (export "tail") (param i32) (result i32)
      (return_call_indirect $t (type $above) (local.get 0)))
    (func (export "caught") (param i32) (result i32)
      (block $h (result i32)
        (return (try_table (result i32) (catch $e $h)
          (i32.add (call_indirect $t (type $above) (local.get 0)) (i32.const 100)))))))"#;

#[test]
fn calls_through_tables_match_types_below() {
    let engine = Engine::default();
    // Private, and seen by others.
    for table in ["9", "(export \"t\") 9"] {
        let module = Module::new(&engine, BELOW.replace("TABLE", table)).expect("valid");
        let mut store = Store::new(&engine, ());
        let host = Func::wrap(&mut store, || 15);
        let instance = Instance::new(&mut store, &module, &[host.into()]).expect("it links");
        let mut call = |name: &str, index: i32| {
            let func = instance
                .get_typed_func::<i32, i32>(&mut store, name)
                .expect("exported");
            func.call(&mut store, index).map_err(|error| {
                *error
                    .downcast_ref::<Trap>()
                    .unwrap_or_else(|| panic!("{name} {index}: {error:#}"))
            })
        };
        let mismatch = Err(Trap::BadSignature);
        let edges = [Err(Trap::IndirectCallToNull), Err(Trap::TableOutOfBounds)];
        for (name, of, extra) in [
            ("above", [true, true, true], 100),
            ("below", [false, true, true], 100),
            ("lowest", [false, false, true], 100),
            ("tail", [true, true, true], 0),
            ("caught", [true, true, true], 100),
        ] {
            for (index, fits) in (1..).zip(of) {
                let expected = if fits { Ok(9 + index + extra) } else { mismatch };
                assert_eq!(call(name, index), expected, "{table}: {name} {index}");
            }
            for index in 4..=6 {
                assert_eq!(call(name, index), mismatch, "{table}: {name} {index}");
            }
            assert_eq!([call(name, 0), call(name, 9)], edges, "{table}: {name}");
        }
        assert_eq!(
            call("caught", 7),
            Ok(99),
            "{table}: what the slow path throws is caught"
        );
    }
}

/// More functions than an instance keeps entries for, each called as its own type and as the one above.
#[test]
fn many_functions_are_called_by_reference() {
    let funcs = 1100;
    let mut text = String::from(
        "(module (type $above (sub (func (param i32) (result i32))))
         (type $f (sub final $above (func (param i32) (result i32))))",
    );
    for i in 0..funcs {
        text += &format!("(func $f{i} (type $f) (i32.add (local.get 0) (i32.const {i})))");
    }
    let all: String = (0..funcs).map(|i| format!("(ref.func $f{i})")).collect();
    text += &format!(
        r#"(table $t {funcs} (ref null $f))
        (elem (table $t) (i32.const 0) (ref null $f) {all})
        (func (export "f") (param i32) (result i32)
          (call_ref $f (i32.const 5) (table.get $t (local.get 0))))
        (func (export "above") (param i32) (result i32)
          (call_ref $above (i32.const 6) (table.get $t (local.get 0)))))"#
    );
    let (mut store, instance) = instantiate(&text);
    let (mut store2, other) = instantiate(&text);
    for round in 0..3 {
        for (name, argument) in [("f", 5), ("above", 6)] {
            let func = instance
                .get_typed_func::<i32, i32>(&mut store, name)
                .expect("exported");
            let also = other
                .get_typed_func::<i32, i32>(&mut store2, name)
                .expect("exported");
            for i in [0, 1, 1023, 1024, 1025, 76, 1099, 75] {
                let expected = i + argument;
                assert_eq!(func.call(&mut store, i).expect("no trap"), expected, "{round}");
                assert_eq!(also.call(&mut store2, i).expect("no trap"), expected, "{round}");
            }
        }
    }
}

/// Arguments that no register holds are written before it is known which way the call goes.
#[test]
fn references_are_called_with_more_arguments_than_registers_hold() {
    for (types, call, count) in [
        ("i32", "i32.add", 12),
        ("i64", "i64.add", 7),
        ("f64", "f64.add", 9),
        ("f32", "f32.add", 20),
        ("v128", "i64x2.add", 9),
    ] {
        let value = |i: usize| match types {
            "v128" => format!("(v128.const i64x2 {i} 0) "),
            _ => format!("({types}.const {i}) "),
        };
        let params = format!("{types} ").repeat(count);
        let values: String = (1..=count).map(value).collect();
        let sum: String = (1..count).map(|i| format!("local.get {i} {call} ")).collect();
        let text = format!(
            r#"(module
            (type $f (sub (func (param {params}) (result {types}))))
            (type $g (sub $f (func (param {params}) (result {types}))))
            (table $t 2 funcref)
            (elem (table $t) (i32.const 0) func $sum $sum)
            (func $sum (type $g) local.get 0 {sum})
            (func (export "ref") (result {types}) (call_ref $g {values} (ref.func $sum)))
            (func (export "tail") (result {types}) (return_call_ref $f {values} (ref.func $sum)))
            (func (export "table") (param i32) (result {types})
              (call_indirect $t (type $f) {values} (local.get 0)))
            (func (export "tail-table") (param i32) (result {types})
              (return_call_indirect $t (type $f) {values} (local.get 0)))
            (func (export "loop") (param $n i32) (result {types}) (local $r (ref null $g)) (local $s {types})
              (local.set $r (ref.func $sum))
              (loop $again
                (local.set $s (call_ref $g {values} (local.get $r)))
                (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
              (local.get $s)))"#
        );
        let (mut store, instance) = instantiate(&text);
        let total = (count * (count + 1) / 2) as u64;
        for (name, params) in [
            ("ref", &[][..]),
            ("tail", &[]),
            ("table", &[Val::I32(1)]),
            ("tail-table", &[Val::I32(1)]),
            ("loop", &[Val::I32(5)]),
        ] {
            let func = instance.get_func(&mut store, name).expect("exported");
            let mut results = [Val::I32(0)];
            func.call(&mut store, params, &mut results).expect("no trap");
            let result = match results[0] {
                Val::I32(value) => value as u64,
                Val::I64(value) => value as u64,
                Val::F32(bits) => f32::from_bits(bits) as u64,
                Val::F64(bits) => f64::from_bits(bits) as u64,
                Val::V128(value) => value.as_u128() as u64,
                ref other => panic!("{other:?}"),
            };
            assert_eq!(result, total, "{types} {name}");
        }
    }
}
