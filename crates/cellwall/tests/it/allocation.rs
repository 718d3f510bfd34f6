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
