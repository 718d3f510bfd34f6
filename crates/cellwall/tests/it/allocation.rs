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
