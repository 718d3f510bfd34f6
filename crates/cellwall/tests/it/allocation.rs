//! Typed calls, in both directions, take no memory from the allocator.

use cellwall::{Caller, Engine, Func, Instance, Module, Result, Store, Val};

/// A store and an instance that calls the host as often as it is told.
fn calling() -> (Store<u64>, Instance) {
    let engine = Engine::default();
    let mut store = Store::new(&engine, 0u64);
    let add = Func::wrap(
        &mut store,
        |mut caller: Caller<'_, u64>, n: u64, x: f64| -> Result<f64> {
            *caller.data_mut() += n;
            Ok(x * 2.0)
        },
    );
    let wat = r#"(module
        (import "" "" (func $add (param i64 f64) (result f64)))
        (func (export "run") (param i32 f64) (result i32 f64)
          (loop
            (local.set 1 (call $add (i64.extend_i32_u (local.get 0)) (local.get 1)))
            (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
          (local.get 0) (local.get 1)))"#;
    let module = Module::new(&engine, wat).expect("valid");
    let instance = Instance::new(&mut store, &module, &[add.into()]).expect("it fits");
    (store, instance)
}

#[test]
fn calls_allocate_nothing() {
    let (mut store, instance) = calling();
    let run = instance
        .get_typed_func::<(i32, f64), (i32, f64)>(&mut store, "run")
        .expect("exported");
    // The first call may set things up.
    run.call(&mut store, (1, 1.0)).expect("it ends");
    let typed = allocation_counter::measure(|| {
        for _ in 0..100 {
            assert_eq!(run.call(&mut store, (10, 1.0)).expect("it ends"), (0, 1024.0));
        }
    });
    assert_eq!(typed.count_total, 0);
    assert_eq!(*store.data(), 1 + 100 * 55);

    let params = [Val::I32(10), Val::from(1.0f64)];
    let untyped = allocation_counter::measure(|| {
        let mut results = [Val::I32(0), Val::I32(0)];
        run.func()
            .call(&mut store, &params, &mut results)
            .expect("its type");
    });
    assert_eq!(untyped.count_total, 0, "as long as there are few values");
    let allocating = allocation_counter::measure(|| drop(std::hint::black_box(Box::new(1))));
    assert_eq!(allocating.count_total, 1, "the counter counts");
}

/// A component with a function of a number and one of a string, that calls the host with both.
const COMPONENT: &str = r#"(component
  (import "host" (func $host (param "x" u32) (result u32)))
  (core func $host' (canon lower (func $host)))
  (core module $m
    (import "" "host" (func $host (param i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
    (func (export "number") (param i32) (result i32) (call $host (local.get 0)))
    (func (export "length") (param i32 i32) (result i32) (local.get 1)))
  (core instance $m (instantiate $m (with "" (instance (export "host" (func $host'))))))
  (func (export "number") (param "x" u32) (result u32) (canon lift (core func $m "number")))
  (func (export "length") (param "text" string) (result u32)
    (canon lift (core func $m "length") (memory (core memory $m "memory"))
      (realloc (core func $m "realloc")))))"#;

#[test]
fn typed_calls_of_components_allocate_nothing() {
    use cellwall::component::{Component, Linker};
    let engine = Engine::default();
    let component = Component::new(&engine, COMPONENT).expect("valid");
    let mut linker = Linker::new(&engine);
    let host = |_: cellwall::StoreContextMut<'_, ()>, (x,): (u32,)| Ok((x + 1,));
    linker.root().func_wrap("host", host).expect("a new name");
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &component).expect("it links");
    let number = instance.get_typed_func::<(u32,), (u32,)>(&store, "number");
    let length = instance.get_typed_func::<(&str,), (u32,)>(&store, "length");
    let (number, length) = (number.expect("exported"), length.expect("exported"));
    let mut call = || {
        for n in 0..100 {
            assert_eq!(number.call(&mut store, (n,)).expect("it ends"), (n + 1,));
            let text = "a string of some length";
            assert_eq!(length.call(&mut store, (text,)).expect("it ends"), (23,));
        }
    };
    // The first call may set things up.
    call();
    assert_eq!(allocation_counter::measure(call).count_total, 0);
}

/// A module of all that an instance can have, which asks for a function, a global and a memory of its host.
const WHOLE: &str = r#"(module
  (import "host" "add" (func $add (param i32 i32) (result i32)))
  (import "host" "limit" (global $limit i32))
  (type $unary (func (param i32) (result i32)))
  (memory 1)
  (table 4 8 funcref)
  (tag $tag (param i64))
  (global $sum (mut i32) (global.get $limit))
  (elem (i32.const 1) $twice $twice)
  (elem declare func $twice)
  (data (i32.const 8) "\05")
  (data "later")
  (start $begin)
  (func $begin
    (global.set $sum (call $add (global.get $sum) (i32.load8_u (i32.const 8)))))
  (func $twice (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2)))
  (func (export "sum") (param i32) (result i32)
    (call_indirect (type $unary) (global.get $sum) (local.get 0))))"#;

#[test]
fn instances_allocate_nothing_where_others_were_before() {
    use cellwall::{Global, GlobalType, Linker, Mutability, ValType};
    let engine = Engine::default();
    let module = Module::new(&engine, WHOLE).expect("valid");
    let mut linker = Linker::<()>::new(&engine);
    let add = |a: i32, b: i32| a + b;
    linker.func_wrap("host", "add", add).expect("a new name");
    let empty = Module::new(&engine, r#"(module (func (export "f")))"#).expect("valid");
    let empty = linker.instantiate_pre(&empty).expect("nothing is imported");
    // What the host's global needs is the host's.
    let one = |counted: bool| {
        let mut store = Store::new(&engine, ());
        let ty = GlobalType::new(ValType::I32, Mutability::Const);
        let limit = Global::new(&mut store, ty, Val::I32(16)).expect("its type");
        let mut linker = linker.clone();
        linker
            .define(&mut store, "host", "limit", limit)
            .expect("a new name");
        let pre = linker.instantiate_pre(&module).expect("all is there");
        let mut instance = None;
        let made = allocation_counter::measure(|| instance = Some(pre.instantiate(&mut store)));
        let instance = instance.expect("it was made").expect("it fits");
        let sum = instance
            .get_typed_func::<i32, i32>(&mut store, "sum")
            .expect("exported");
        assert_eq!(sum.call(&mut store, 2).expect("it is there"), 42);
        assert!(sum.call(&mut store, 0).is_err(), "a null entry");
        assert!(!counted || made.count_total == 0, "{made:?}");
    };
    one(false);
    for _ in 0..10 {
        one(true);
    }
    let store_and_instance = || {
        let mut store = Store::new(&engine, ());
        empty.instantiate(&mut store).expect("it fits");
    };
    store_and_instance();
    let made = allocation_counter::measure(|| (0..100).for_each(|_| store_and_instance()));
    assert_eq!(
        made.count_total, 100,
        "the store itself, with the data of the host"
    );
}
