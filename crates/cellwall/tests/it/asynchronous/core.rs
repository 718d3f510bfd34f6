//! Core modules.

use super::{Pauses, drive, poll, ready, ready_on_many_threads};
use cellwall::{
    AsContextMut, Caller, Config, Engine, Error, ExnRef, ExnRefPre, ExnType, Func, FuncType, Instance,
    Linker, Module, Store, ThrownException, Trap, TypedFunc, Val, ValType, WasmBacktrace,
};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// A linker with `wait`: pauses as often as it is told, and returns ten times that.
fn linker(engine: &Engine) -> Linker<u32> {
    let mut linker = Linker::new(engine);
    linker
        .func_wrap_async("", "wait", |mut caller: Caller<'_, u32>, (pauses,): (u32,)| {
            Box::new(async move {
                Pauses(pauses).await;
                *caller.data_mut() += 1;
                pauses * 10
            })
        })
        .expect("it is not defined yet");
    linker
}

fn instance(engine: &Engine, linker: &Linker<u32>, text: &str) -> (Store<u32>, Instance) {
    let module = Module::new(engine, text).unwrap_or_else(|error| panic!("{error:?}"));
    let mut store = Store::new(engine, 0);
    let instance = linker.instantiate(&mut store, &module);
    (store, instance.unwrap_or_else(|error| panic!("{error:?}")))
}

fn func(store: &mut Store<u32>, instance: Instance, name: &str) -> TypedFunc<u32, u32> {
    let func = instance.get_typed_func(store, name);
    func.unwrap_or_else(|error| panic!("{error:?}"))
}

const SUM: &str = r#"(module
    (import "" "wait" (func $wait (param i32) (result i32)))
    (func (export "sum") (param $n i32) (result i32)
      (local $sum i32)
      (loop $again
        (if (local.get $n) (then
          (local.set $sum (i32.add (local.get $sum) (call $wait (local.get $n))))
          (local.set $n (i32.sub (local.get $n) (i32.const 1)))
          (br $again))))
      (local.get $sum))
    (func (export "trap") (param i32) (result i32)
      (drop (call $wait (local.get 0)))
      (i32.div_u (i32.const 1) (i32.const 0)))
    (func (export "leak") (param i32) (result i32) (call $wait (local.get 0))))"#;

#[test]
fn a_guest_waits_as_often_as_its_host_functions_do() {
    let engine = Engine::default();
    let (mut store, it) = instance(&engine, &linker(&engine), SUM);
    let sum = func(&mut store, it, "sum");
    let (done, pauses) = drive(sum.call_async(&mut store, 5));
    assert_eq!((done.expect("it returns"), pauses), (150, 15));
    assert_eq!(*store.data(), 5);
    assert_eq!(
        ready_on_many_threads(sum.call_async(&mut store, 4)).expect("it returns"),
        100
    );
    let mut results = [Val::I64(0)];
    let untyped = it.get_func(&mut store, "sum").expect("it is exported");
    ready(untyped.call_async(&mut store, &[Val::I32(2)], &mut results)).expect("it returns");
    assert_eq!(results[0].unwrap_i32(), 30);
    let error = ready(untyped.call_async(&mut store, &[], &mut results)).expect_err("it takes one");
    assert_eq!(error.to_string(), "expected 1 arguments, got 0");
}

#[test]
fn what_a_guest_has_in_registers_is_there_when_it_goes_on() {
    let engine = Engine::default();
    let mut linker = Linker::<u32>::new(&engine);
    linker
        .func_wrap_async(
            "",
            "many",
            |_: Caller<'_, u32>, (a, b, c, d): (i64, f64, f32, i32)| {
                Box::new(async move {
                    Pauses(3).await;
                    (b, a, d, c, a + 1, a + 2)
                })
            },
        )
        .expect("it is not defined");
    let text = r#"(module
        (import "" "many" (func $many (param i64 f64 f32 i32) (result f64 i64 i32 f32 i64 i64)))
        (memory 1)
        (func (export "f") (param i32) (result i32)
          (local $i i32) (local $t i32) (local $a i64) (local $b i64) (local $c i64) (local $d i64) (local $e f64)
          (local.set $a (i64.extend_i32_u (local.get 0)))
          (local.set $b (i64.mul (local.get $a) (i64.const 3)))
          (local.set $c (i64.mul (local.get $a) (i64.const 5)))
          (local.set $d (i64.mul (local.get $a) (i64.const 7)))
          (local.set $e (f64.convert_i32_u (local.get 0)))
          (loop $again
            (call $many (local.get $b) (local.get $e) (f32.const 0.5) (i32.const 9))
            local.get $d
            i64.add
            local.set $d
            local.get $c
            i64.add
            local.set $c
            f64.promote_f32
            local.get $e
            f64.add
            local.set $e
            local.set $t
            local.get $b
            i64.add
            local.set $b
            local.get $e
            f64.add
            local.set $e
            (i32.store (i32.const 0) (local.get $t))
            (local.set $i (i32.add (local.get $i) (i32.load (i32.const 0))))
            (br_if $again (i32.lt_u (local.get $i) (i32.const 36))))
          (i32.wrap_i64 (i64.add (i64.add (local.get $a) (local.get $b))
            (i64.add (local.get $c) (i64.add (local.get $d)
              (i64.trunc_f64_s (f64.mul (local.get $e) (f64.const 8)))))))))"#;
    let (mut store, it) = instance(&engine, &linker, text);
    let f = func(&mut store, it, "f");
    let waited = ready_on_many_threads(f.call_async(&mut store, 11)).expect("it returns");
    // The same in Rust.
    let (a, mut b, mut c, mut d, mut e) = (11i64, 33i64, 55i64, 77i64, 11f64);
    for _ in 0..4 {
        let given = (e, b, 0.5, b + 1, b + 2);
        (d, c, e) = (d + given.4, c + given.3, e + given.2);
        (b, e) = (b + given.1, e + given.0);
    }
    assert_eq!(i64::from(waited), a + b + c + d + (e * 8.0) as i64);
}

#[test]
fn a_plain_call_takes_what_is_ready_and_says_what_to_do_otherwise() {
    let engine = Engine::default();
    let (mut store, it) = instance(&engine, &linker(&engine), SUM);
    let sum = func(&mut store, it, "leak");
    assert_eq!(sum.call(&mut store, 0).expect("nothing waits"), 0);
    let error = sum.call(&mut store, 1).expect_err("it would have to wait");
    assert!(format!("{error:#}").contains("use `call_async`"), "{error:#}");
    let frames = error
        .downcast_ref::<WasmBacktrace>()
        .expect("guests were running");
    assert_eq!(frames.frames().len(), 1);
    assert_eq!(sum.call(&mut store, 0).expect("the store is as it was"), 0);
    let host = Func::wrap_async(&mut store, |_: Caller<'_, u32>, (n,): (u32,)| {
        Box::new(async move {
            Pauses(n).await;
            n
        })
    });
    let host = host.typed::<u32, u32>(&store).expect("it is of this type");
    assert_eq!(host.call(&mut store, 0).expect("nothing waits"), 0);
    let error = host.call(&mut store, 1).expect_err("it would have to wait");
    assert!(format!("{error:#}").contains("use `call_async`"), "{error:#}");
    assert_eq!(
        drive(host.call_async(&mut store, 2)).1,
        2,
        "a host function waits, too"
    );
}

#[test]
fn traps_and_errors_after_a_wait_are_as_without_one() {
    let engine = Engine::default();
    let (mut store, it) = instance(&engine, &linker(&engine), SUM);
    let trap = func(&mut store, it, "trap");
    let plain = trap.call(&mut store, 0).expect_err("it traps");
    let waited = ready_on_many_threads(trap.call_async(&mut store, 3)).expect_err("it traps");
    assert_eq!(waited.downcast_ref::<Trap>(), Some(&Trap::IntegerDivisionByZero));
    assert_eq!(format!("{plain:?}"), format!("{waited:?}"), "backtraces, too");

    let mut linker = Linker::<u32>::new(&engine);
    linker
        .func_wrap_async("", "wait", |_: Caller<'_, u32>, (pauses,): (u32,)| {
            Box::new(async move {
                Pauses(pauses).await;
                Err::<u32, _>(Error::msg("no answer"))
            })
        })
        .expect("it is not defined");
    let (mut store, it) = instance(&engine, &linker, SUM);
    let leak = func(&mut store, it, "leak");
    for pauses in [0, 2] {
        let error = ready(leak.call_async(&mut store, pauses)).expect_err("it fails");
        assert_eq!(error.root_cause().to_string(), "no answer");
        let frames = error
            .downcast_ref::<WasmBacktrace>()
            .expect("a guest was running");
        assert_eq!(frames.frames().len(), 1, "{pauses}");
    }
}

fn fails_with(number: u32) -> u32 {
    std::panic::panic_any(number)
}

#[test]
fn a_panic_comes_out_of_the_poll_as_it_went_in() {
    let engine = Engine::default();
    let mut linker = Linker::<u32>::new(&engine);
    linker
        .func_wrap_async("", "wait", |_: Caller<'_, u32>, (pauses,): (u32,)| {
            Box::new(async move {
                Pauses(pauses).await;
                fails_with(pauses + 40)
            })
        })
        .expect("it is not defined");
    let (mut store, it) = instance(&engine, &linker, SUM);
    let leak = func(&mut store, it, "leak");
    for pauses in [0, 2] {
        let call = std::panic::AssertUnwindSafe(|| ready(leak.call_async(&mut store, pauses)));
        let panic = std::panic::catch_unwind(call).expect_err("it panics");
        assert_eq!(panic.downcast_ref::<u32>(), Some(&(pauses + 40)));
    }
}

#[test]
fn exceptions_cross_a_wait() {
    let engine = Engine::default();
    let mut linker = Linker::<u32>::new(&engine);
    linker
        .func_wrap_async("", "wait", |mut caller: Caller<'_, u32>, (pauses,): (u32,)| {
            Box::new(async move {
                Pauses(pauses).await;
                let tag = caller.get_export("tag").and_then(|it| it.into_tag());
                let tag = tag.expect("the guest exports one");
                let ty = ExnType::from_tag_type(&tag.ty(&caller))?;
                let pre = ExnRefPre::new(&mut caller, ty);
                let exception = ExnRef::new(&mut caller, &pre, &tag, &[Val::I32(pauses as i32 + 7)])?;
                Ok::<u32, Error>(caller.as_context_mut().throw(exception)?)
            })
        })
        .expect("it is not defined");
    let text = r#"(module
        (import "" "wait" (func $wait (param i32) (result i32)))
        (tag $tag (export "tag") (param i32))
        (func $deeper (param i32) (result i32) (i32.add (call $wait (local.get 0)) (i32.const 100)))
        (func (export "catch") (param i32) (result i32)
          (block $caught (result i32)
            (try_table (result i32) (catch $tag $caught) (call $deeper (local.get 0)))
            (return))
          (i32.const 1000) (i32.add))
        (func (export "pass") (param i32) (result i32) (call $deeper (local.get 0))))"#;
    let (mut store, it) = instance(&engine, &linker, text);
    let (catch, pass) = (func(&mut store, it, "catch"), func(&mut store, it, "pass"));
    for pauses in [0, 3] {
        let caught = ready_on_many_threads(catch.call_async(&mut store, pauses));
        assert_eq!(caught.expect("it is caught"), 1007 + pauses);
        let error = ready(pass.call_async(&mut store, pauses)).expect_err("nobody catches it");
        assert!(error.is::<ThrownException>(), "{error:?}");
    }
}

#[test]
fn a_host_function_that_waits_calls_guests_that_wait() {
    let engine = Engine::default();
    let inner = linker(&engine);
    let mut store = Store::new(&engine, 0);
    let module = Module::new(&engine, SUM).expect("it is valid");
    let inner = inner
        .instantiate(&mut store, &module)
        .expect("it has all imports");
    let sum = func(&mut store, inner, "sum");
    let plain = func(&mut store, inner, "leak");
    let outer = Func::wrap_async(&mut store, move |mut caller: Caller<'_, u32>, (n,): (u32,)| {
        let (sum, plain) = (sum.clone(), plain.clone());
        Box::new(async move {
            let first = sum.call_async(&mut caller, n).await?;
            Pauses(2).await;
            let second = plain.call(&mut caller, 0)?;
            // One that is begun and not waited for.
            {
                let mut abandoned = pin!(sum.call_async(&mut caller, 3));
                assert!(poll(abandoned.as_mut()).is_pending());
            }
            assert!(
                plain.call(&mut caller, 1).is_err(),
                "a plain call inside cannot wait"
            );
            Ok::<u32, Error>(first + second + sum.call_async(&mut caller, n).await?)
        })
    });
    let outer = Instance::new(&mut store, &module, &[outer.into()]).expect("it has all imports");
    let outer_sum = func(&mut store, outer, "sum");
    let sums = |n: u32| (1..=n).map(|n| 10 * n * (n + 1)).sum::<u32>();
    assert_eq!(
        ready(outer_sum.call_async(&mut store, 3)).expect("it returns"),
        sums(3)
    );
    let done = ready_on_many_threads(outer_sum.call_async(&mut store, 4));
    assert_eq!(done.expect("it returns"), sums(4));
}

struct Counts(Arc<AtomicU32>);
impl Drop for Counts {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_call_that_is_dropped_leaves_the_store_usable() {
    let engine = Engine::default();
    let dropped = Arc::new(AtomicU32::new(0));
    let mut linker = Linker::<u32>::new(&engine);
    let count = dropped.clone();
    linker
        .func_wrap_async("", "wait", move |_: Caller<'_, u32>, (pauses,): (u32,)| {
            let counts = Counts(count.clone());
            Box::new(async move {
                let _counts = counts;
                Pauses(pauses).await;
                pauses
            })
        })
        .expect("it is not defined");
    let (mut store, it) = instance(&engine, &linker, SUM);
    let sum = func(&mut store, it, "sum");
    for polls in 0..4 {
        let mut call = Box::pin(sum.call_async(&mut store, 4));
        for _ in 0..polls {
            assert!(poll(call.as_mut()).is_pending());
        }
        drop(call);
        assert_eq!(dropped.swap(0, Ordering::Relaxed), u32::from(polls > 0));
        assert_eq!(ready(sum.call_async(&mut store, 3)).expect("it returns"), 6);
        assert_eq!(dropped.swap(0, Ordering::Relaxed), 3);
    }
    // Together with its store.
    let mut call = Box::pin(async move { sum.call_async(&mut store, 2).await });
    assert!(poll(call.as_mut()).is_pending());
    drop(call);
    assert_eq!(dropped.swap(0, Ordering::Relaxed), 1);
    // And on another thread, one that never ran guests.
    let (mut store, it) = instance(&engine, &linker, SUM);
    let sum = func(&mut store, it, "sum");
    let mut call = Box::pin(sum.call_async(&mut store, 2));
    assert!(poll(call.as_mut()).is_pending());
    std::thread::scope(|scope| scope.spawn(move || drop(call)).join().is_ok());
    assert_eq!(dropped.load(Ordering::Relaxed), 1);
}

#[test]
fn an_interruption_ends_what_waits_when_it_would_go_on() {
    let engine = Engine::default();
    let (mut store, it) = instance(&engine, &linker(&engine), SUM);
    let sum = func(&mut store, it, "sum");
    let mut call = Box::pin(sum.call_async(&mut store, 2));
    assert!(poll(call.as_mut()).is_pending());
    engine.interrupt();
    let error = ready(call).expect_err("it was under way when the engine was interrupted");
    assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::Interrupt));
    let frames = error
        .downcast_ref::<WasmBacktrace>()
        .expect("a guest was waiting");
    assert_eq!(frames.frames().len(), 1);
    assert_eq!(
        ready(sum.call_async(&mut store, 2)).expect("it began after that"),
        30
    );
}

#[test]
fn start_functions_wait() {
    let engine = Engine::default();
    let text = r#"(module
        (import "" "wait" (func $wait (param i32) (result i32)))
        (global $g (mut i32) (i32.const 0))
        (func $start (global.set $g (call $wait (i32.const 3))))
        (func (export "get") (param i32) (result i32) (global.get $g))
        (start $start))"#;
    let module = Module::new(&engine, text).expect("it is valid");
    let linker = linker(&engine);
    let mut store = Store::new(&engine, 0);
    let error = linker
        .instantiate(&mut store, &module)
        .expect_err("it would have to wait");
    assert!(format!("{error:#}").contains("`instantiate_async`"), "{error:#}");
    let (it, pauses) = drive(linker.instantiate_async(&mut store, &module));
    assert_eq!(pauses, 3);
    let get = func(&mut store, it.expect("it waits"), "get");
    assert_eq!(get.call(&mut store, 0).expect("it returns"), 30);
}

#[test]
fn calls_that_may_wait_are_limited() {
    let engine = Engine::new(Config::new().async_calls_max(2)).expect("any number is fine");
    let mut stores = [(); 3].map(|()| instance(&engine, &linker(&engine), SUM));
    let sums: Vec<_> = stores
        .iter_mut()
        .map(|(store, it)| func(store, *it, "sum"))
        .collect();
    let mut stores = stores.iter_mut().zip(&sums).map(|((store, _), sum)| (store, sum));
    let mut call = || {
        let (store, sum) = stores.next().expect("there are three");
        Box::pin(sum.call_async(store, 2))
    };
    let (mut first, mut second, mut third) = (call(), call(), call());
    assert!(poll(first.as_mut()).is_pending());
    assert!(poll(second.as_mut()).is_pending());
    let error = ready(third.as_mut()).expect_err("there are two");
    assert!(
        error.to_string().contains("no more than 2 asynchronous calls"),
        "{error}"
    );
    drop(first);
    assert_eq!(ready(second).expect("it goes on"), 30);
    drop(third);
    let (store, it) = &mut instance(&engine, &linker(&engine), SUM);
    let sum = func(store, *it, "sum");
    assert_eq!(ready(sum.call_async(store, 2)).expect("there is room again"), 30);
}

#[test]
fn untyped_functions_wait_and_their_results_are_checked() {
    let engine = Engine::default();
    let mut linker = Linker::<u32>::new(&engine);
    let ty = FuncType::new(&engine, [ValType::I32], [ValType::I32]);
    linker
        .func_new_async("", "wait", ty, |_, params, results| {
            Box::new(async move {
                let pauses = params[0].unwrap_i32() as u32;
                Pauses(pauses).await;
                results[0] = match pauses {
                    3 => Val::F32(0),
                    _ => Val::I32(5),
                };
                Ok(())
            })
        })
        .expect("it is not defined");
    let (mut store, it) = instance(&engine, &linker, SUM);
    let leak = func(&mut store, it, "leak");
    assert_eq!(drive(leak.call_async(&mut store, 2)).1, 2);
    assert_eq!(ready(leak.call_async(&mut store, 2)).expect("it returns"), 5);
    let error = ready(leak.call_async(&mut store, 3)).expect_err("it is of another type");
    let text = format!("{error:#}");
    assert!(text.contains("returned f32 where its type says i32"), "{text}");
}
