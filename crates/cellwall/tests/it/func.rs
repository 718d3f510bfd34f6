//! `Func`, `TypedFunc` and host functions.

use crate::instantiate;
use cellwall::{
    AsContextMut, Caller, Engine, Error, Extern, Func, FuncType, Instance, Module, Result, Store, Trap, V128,
    Val, ValType, WasmBacktrace, bail,
};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

#[test]
fn calls_with_values_of_every_number_type() {
    let (mut store, instance) = instantiate(
        r#"(module (func (export "mix") (param i32 i64 f32 f64) (result f64 f32 i64 i32)
             (local.get 3) (local.get 2) (local.get 1) (local.get 0)))"#,
    );
    let mix = instance
        .get_typed_func::<(i32, i64, f32, f64), (f64, f32, i64, i32)>(&mut store, "mix")
        .expect("its type");
    let values = (-1, i64::MIN, f32::MIN_POSITIVE, -0.0);
    let (d, c, b, a) = mix.call(&mut store, values).expect("it ends");
    assert_eq!(
        (a, b, c, d.to_bits()),
        (-1, i64::MIN, f32::MIN_POSITIVE, (-0.0f64).to_bits())
    );

    let nan = Val::F32(0x7fa0_0001);
    let mut results = [Val::I32(0), Val::I32(0), Val::I32(0), Val::I32(0)];
    let params = [Val::I32(1), Val::I64(2), nan, Val::F64(3)];
    mix.func()
        .call(&mut store, &params, &mut results)
        .expect("its type");
    assert!(matches!(results[1], Val::F32(0x7fa0_0001)), "bits of NaN survive");
    assert!(matches!(results, [Val::F64(3), _, Val::I64(2), Val::I32(1)]));
}

#[test]
fn unsigned_numbers_stand_for_the_same_types() {
    let (mut store, instance) = instantiate(
        r#"(module (func (export "id") (param i32 i64) (result i32 i64) (local.get 0) (local.get 1)))"#,
    );
    let id = instance
        .get_typed_func::<(u32, u64), (u32, u64)>(&mut store, "id")
        .expect("its type");
    assert_eq!(
        id.call(&mut store, (u32::MAX, u64::MAX)).expect("it ends"),
        (u32::MAX, u64::MAX)
    );
}

#[test]
fn wrong_types_are_refused_before_the_call() {
    let (mut store, instance) = instantiate(
        r#"(module (func (export "f") (param i32) (result i32) (local.get 0)) (memory (export "m") 1))"#,
    );
    assert!(instance.get_typed_func::<i32, i32>(&mut store, "f").is_ok());
    for error in [
        instance
            .get_typed_func::<i64, i32>(&mut store, "f")
            .expect_err("parameter"),
        instance
            .get_typed_func::<(i32, i32), i32>(&mut store, "f")
            .map(|_| ())
            .expect_err("count"),
        instance
            .get_typed_func::<i32, f32>(&mut store, "f")
            .map(|_| ())
            .expect_err("result"),
    ]
    .map(|error: Error| format!("{error:#}"))
    {
        assert!(error.contains("(func (param i32) (result i32))"), "{error}");
    }
    for name in ["missing", "m"] {
        let error = instance
            .get_typed_func::<i32, i32>(&mut store, name)
            .expect_err("no function");
        assert!(error.to_string().contains(name), "{error}");
    }
    let f = instance.get_func(&mut store, "f").expect("exported");
    let mut one = [Val::I32(0)];
    assert!(f.call(&mut store, &[Val::I32(3)], &mut one).is_ok());
    assert!(f.call(&mut store, &[], &mut one).is_err());
    assert!(f.call(&mut store, &[Val::I32(3)], &mut []).is_err());
    assert!(f.call(&mut store, &[Val::I64(3)], &mut one).is_err());
}

#[test]
#[should_panic(expected = "wrong store")]
fn a_function_of_another_store_panics() {
    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    let func = Func::wrap(&mut store, || {});
    let _ = func.call(&mut Store::new(&engine, ()), &[], &mut []);
}

#[test]
fn functions_of_another_store_cannot_be_passed() {
    let (mut store, instance) = instantiate(r#"(module (func (export "take") (param funcref)))"#);
    let take = instance
        .get_typed_func::<Option<Func>, ()>(&mut store, "take")
        .expect("its type");
    let own = Func::wrap(&mut store, || {});
    assert!(take.call(&mut store, Some(own)).is_ok());
    let foreign = Func::wrap(Store::new(store.engine(), ()), || {});
    assert!(take.call(&mut store, Some(foreign)).is_err());
    assert!(take.func().call(&mut store, &[foreign.into()], &mut []).is_err());
}

#[test]
fn many_parameters_and_results_pass() {
    type Many = (
        i32,
        f64,
        i32,
        f32,
        i64,
        i32,
        i32,
        i32,
        i32,
        f64,
        f64,
        f64,
        f64,
        f64,
        f64,
        f64,
        f64,
    );
    let types = "i32 f64 i32 f32 i64 i32 i32 i32 i32 f64 f64 f64 f64 f64 f64 f64 f64";
    let gets: String = (0..17).map(|i| format!("(local.get {i})")).collect();
    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    #[rustfmt::skip]
    let host = Func::wrap(&mut store,
        |a: i32, b: f64, c: i32, d: f32, e: i64, f: i32, g: i32, h: i32, i: i32, j: f64, k: f64, l: f64, m: f64,
         n: f64, o: f64, p: f64, q: f64| -> Many {
            (a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q + 1.0)
        });
    let wat = format!(
        r#"(module (type $t (func (param {types}) (result {types})))
             (import "" "" (func $host (type $t)))
             (func $id (type $t) {gets})
             (func (export "run") (type $t) {gets} (call $id) (call $host) (call $id)))"#
    );
    let module = Module::new(&engine, wat).expect("valid");
    let instance = Instance::new(&mut store, &module, &[host.into()]).expect("it fits");
    let run = instance
        .get_typed_func::<Many, Many>(&mut store, "run")
        .expect("its type");
    let values = (
        1,
        2.0,
        -3,
        4.0,
        5,
        6,
        7,
        8,
        i32::MIN,
        10.0,
        11.0,
        12.0,
        13.0,
        14.0,
        15.0,
        16.0,
        17.0,
    );
    let (a, b, c, d, e, f, g, h, i, j, .., q) = run.call(&mut store, values).expect("it ends");
    assert_eq!((a, b, c, d, e), (1, 2.0, -3, 4.0, 5));
    assert_eq!((f, g, h, i, j, q), (6, 7, 8, i32::MIN, 10.0, 18.0));
}

#[test]
fn a_thousand_parameters_pass_untyped() {
    let (mut store, instance) = instantiate(&format!(
        r#"(module (func (export "f") (param{types}) (result{types}) {gets}))"#,
        types = " i32".repeat(1000),
        gets = (0..1000).map(|i| format!("(local.get {i})")).collect::<String>()
    ));
    let f = instance.get_func(&mut store, "f").expect("exported");
    let params: Vec<Val> = (0..1000).map(Val::I32).collect();
    let mut results = vec![Val::I32(-1); 1000];
    f.call(&mut store, &params, &mut results).expect("it ends");
    let results: Vec<i32> = results.iter().map(Val::unwrap_i32).collect();
    assert_eq!(results, (0..1000).collect::<Vec<_>>());
}

#[test]
fn vectors_pass_between_host_functions() {
    let mut store = Store::new(&Engine::default(), ());
    let func = Func::wrap(&mut store, |v: V128| V128::from(v.as_u128() + 1));
    let typed = func.typed::<V128, V128>(&store).expect("its type");
    assert_eq!(
        typed
            .call(&mut store, V128::from(u128::MAX - 1))
            .expect("it ends")
            .as_u128(),
        u128::MAX
    );
}

#[derive(Debug, PartialEq)]
struct Exit(i32);
impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit {}", self.0)
    }
}
impl std::error::Error for Exit {}

/// An instance whose export `run` calls its import.
fn calling(func: impl FnOnce(&mut Store<u32>) -> Func) -> (Store<u32>, Instance) {
    let engine = Engine::default();
    let mut store = Store::new(&engine, 0);
    let func = func(&mut store);
    let module = Module::new(
        &engine,
        r#"(module (import "" "" (func $host)) (func $run (export "run") (call $host))
             (func (export "fine") (result i32) (i32.const 1)))"#,
    );
    let instance = Instance::new(&mut store, &module.expect("valid"), &[func.into()]);
    let instance = instance.expect("it fits");
    (store, instance)
}

fn run(store: &mut Store<u32>, instance: Instance) -> Result<()> {
    let run = instance
        .get_typed_func::<(), ()>(&mut *store, "run")
        .expect("exported");
    run.call(store, ())
}

#[test]
fn an_error_of_a_host_function_comes_out_as_it_went_in() {
    for (mut store, instance) in [
        calling(|store| Func::wrap(store, || -> Result<()> { Err(Exit(7).into()) })),
        calling(|store| {
            let ty = FuncType::new(store.engine(), [], []);
            Func::new(store, ty, |_, _, _| bail!(Exit(7)))
        }),
    ] {
        let error = run(&mut store, instance).expect_err("it fails");
        assert_eq!(error.downcast_ref::<Exit>(), Some(&Exit(7)));
        assert_eq!(error.root_cause().to_string(), "exit 7");
        let trace = error
            .downcast_ref::<WasmBacktrace>()
            .expect("it passed guest code");
        assert_eq!(trace.frames()[0].func_name(), Some("run"));
        assert_eq!(error.downcast::<Exit>().expect("it is one"), Exit(7));
        let fine = instance
            .get_typed_func::<(), i32>(&mut store, "fine")
            .expect("exported");
        assert_eq!(fine.call(&mut store, ()).expect("errors break nothing"), 1);
    }
    let (mut store, instance) = calling(|store| Func::wrap(store, || -> Result<()> { Ok(()) }));
    assert!(run(&mut store, instance).is_ok());
}

#[test]
fn a_trap_returned_by_a_host_function_is_a_trap() {
    let (mut store, instance) =
        calling(|store| Func::wrap(store, || -> Result<()> { Err(Trap::MemoryOutOfBounds.into()) }));
    let error = run(&mut store, instance).expect_err("it fails");
    assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::MemoryOutOfBounds));
}

#[test]
fn a_panic_of_a_host_function_goes_on_in_the_caller() {
    let (mut store, instance) = calling(|store| Func::wrap(store, || -> () { std::panic::panic_any(41u8) }));
    let panic = catch_unwind(AssertUnwindSafe(|| run(&mut store, instance))).expect_err("it panics");
    assert_eq!(panic.downcast_ref::<u8>(), Some(&41));
    let fine = instance
        .get_typed_func::<(), i32>(&mut store, "fine")
        .expect("exported");
    assert_eq!(fine.call(&mut store, ()).expect("the store still works"), 1);
}

#[test]
fn results_of_another_type_are_an_error() {
    let (mut store, instance) = calling(|store| Func::wrap(store, || {}));
    assert!(run(&mut store, instance).is_ok());
    let ty = FuncType::new(store.engine(), [], [ValType::I32]);
    let bad = Func::new(&mut store, ty, |_, _, results| {
        results[0] = Val::F32(0);
        Ok(())
    });
    let error = bad
        .call(&mut store, &[], &mut [Val::I32(0)])
        .expect_err("it returns f32");
    assert!(error.to_string().contains("f32"), "{error}");
}

#[test]
fn the_host_calls_back_into_the_guest() {
    let engine = Engine::default();
    let mut store = Store::new(&engine, 0u32);
    let bounce = Func::wrap(&mut store, |mut caller: Caller<'_, u32>, n: i32| -> Result<i32> {
        *caller.data_mut() += 1;
        let run = caller
            .get_export("run")
            .and_then(Extern::into_func)
            .expect("exported");
        let run = run.typed::<i32, i32>(&caller)?;
        run.call(&mut caller, n - 1)
    });
    let module = Module::new(
        &engine,
        r#"(module
             (import "" "bounce" (func $bounce (param i32) (result i32)))
             (func $run (export "run") (param i32) (result i32)
               (if (i32.eqz (local.get 0)) (then (return (i32.const 100))))
               (if (i32.eq (local.get 0) (i32.const -1000)) (then unreachable))
               (i32.add (i32.const 1) (call $bounce (local.get 0)))))"#,
    );
    let instance = Instance::new(&mut store, &module.expect("valid"), &[bounce.into()]).expect("it fits");
    let run = instance
        .get_typed_func::<i32, i32>(&mut store, "run")
        .expect("exported");
    assert_eq!(run.call(&mut store, 20).expect("it ends"), 120);
    assert_eq!(*store.data(), 20);

    let error = run.call(&mut store, -990).expect_err("the innermost guest traps");
    assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::UnreachableCodeReached));
    assert_eq!(run.call(&mut store, 3).expect("traps break nothing"), 103);
}

#[test]
fn endless_recursion_through_the_host_traps() {
    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    let again = Func::wrap(&mut store, |mut caller: Caller<'_, ()>| -> Result<()> {
        let run = caller
            .get_export("run")
            .and_then(Extern::into_func)
            .expect("exported");
        run.call(&mut caller, &[], &mut [])
    });
    let module = Module::new(
        &engine,
        r#"(module (import "" "" (func)) (func (export "run") (call 0)))"#,
    );
    let instance = Instance::new(&mut store, &module.expect("valid"), &[again.into()]).expect("it fits");
    let run = instance
        .get_typed_func::<(), ()>(&mut store, "run")
        .expect("exported");
    // The host's own stack must not be what ends it.
    let thread = std::thread::Builder::new().stack_size(1 << 30);
    let error = std::thread::scope(|scope| {
        let call = thread.spawn_scoped(scope, || run.call(&mut store, ()).expect_err("it never ends"));
        call.expect("a thread").join().expect("it does not panic")
    });
    assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::StackOverflow));
}

#[test]
fn the_caller_sees_its_guest_and_no_guest_sees_none() {
    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    let ask = Func::wrap(&mut store, |mut caller: Caller<'_, ()>| -> i32 {
        match caller.get_export("memory") {
            Some(Extern::Memory(memory)) => memory.data(&caller)[0].into(),
            _ => -1,
        }
    });
    let typed = ask.typed::<(), i32>(&store).expect("its type");
    assert_eq!(typed.call(&mut store, ()).expect("it ends"), -1);
    let module = Module::new(
        &engine,
        r#"(module (import "" "" (func (result i32))) (memory (export "memory") 1) (data (i32.const 0) "*")
             (func (export "run") (result i32) (call 0)))"#,
    );
    let instance = Instance::new(&mut store, &module.expect("valid"), &[ask.into()]).expect("it fits");
    let run = instance
        .get_typed_func::<(), i32>(&mut store, "run")
        .expect("exported");
    assert_eq!(run.call(&mut store, ()).expect("it ends"), i32::from(b'*'));
}

#[test]
fn contexts_can_be_lent_on() {
    fn bump(mut store: impl AsContextMut<Data = u32>) -> u32 {
        let mut context = store.as_context_mut();
        *context.data_mut() += 1;
        let again = &mut context;
        *again.data_mut() += 1;
        *again.data()
    }
    let mut store = Store::new(&Engine::default(), 0);
    assert_eq!(bump(&mut store), 2);
    let func = Func::wrap(&mut store, |mut caller: Caller<'_, u32>| {
        bump(&mut caller);
        bump(caller)
    });
    let func = func.typed::<(), u32>(&store).expect("its type");
    assert_eq!(func.call(&mut store, ()).expect("it ends"), 6);
}
