//! Components.

use super::{Pauses, drive, poll, ready, ready_on_many_threads};
use cellwall::component::{
    Component, Fault, Func, Instance, Linker, Resource, ResourceAny, ResourceType, Val,
};
use cellwall::{Engine, Error, Result, Store, StoreContextMut, WasmBacktrace};

struct Thing;

/// What the host functions have done.
#[derive(Default)]
struct Log(Vec<String>);

/// Functions that pause as often as their first parameter says.
fn linker(engine: &Engine) -> Linker<Log> {
    let mut linker = Linker::<Log>::new(engine);
    let mut root = linker.root();
    root.func_wrap_async(
        "greet",
        |mut store: StoreContextMut<'_, Log>, (pauses, name): (u32, String)| {
            Box::new(async move {
                store.data_mut().0.push(format!("begin {name}"));
                Pauses(pauses).await;
                store.data_mut().0.push(format!("end {name}"));
                if name.is_empty() {
                    return Err(Error::msg("nobody is there"));
                }
                Ok((format!("hello {name}"),))
            })
        },
    )
    .expect("it is not defined");
    root.resource_async("thing", ResourceType::host::<Thing>(), |mut store, rep| {
        Box::new(async move {
            Pauses(rep).await;
            store.data_mut().0.push(format!("drop {rep}"));
            Ok(())
        })
    })
    .expect("it is not defined");
    root.func_new_async("make", |mut store, ty, params, results| {
        Box::new(async move {
            assert_eq!((ty.params().len(), params.len(), results.len()), (1, 1, 1));
            let Val::U32(rep) = params[0] else {
                panic!("it is a u32");
            };
            Pauses(rep).await;
            let thing = Resource::<Thing>::new_own(rep);
            results[0] = Val::Resource(ResourceAny::new_host(&mut store, thing)?);
            Ok(())
        })
    })
    .expect("it is not defined");
    root.func_wrap_async(
        "look",
        |store: StoreContextMut<'_, Log>, (thing,): (Resource<Thing>,)| {
            Box::new(async move {
                let _store = store;
                Pauses(thing.rep()).await;
                Ok((thing.rep(),))
            })
        },
    )
    .expect("it is not defined");
    linker
}

/// One component calls another one beside it, which calls the host.
const TWO: &str = r#"(component
    (import "greet" (func $greet (param "pauses" u32) (param "name" string) (result string)))
    (import "thing" (type $thing (sub resource)))
    (import "make" (func $make (param "rep" u32) (result (own $thing))))
    (import "look" (func $look (param "thing" (borrow $thing)) (result u32)))
    (component $inner
      (import "greet" (func $greet (param "pauses" u32) (param "name" string) (result string)))
      (core module $libc
        (memory (export "memory") 1)
        (global $next (mut i32) (i32.const 1024))
        (func (export "realloc") (param i32 i32 i32 i32) (result i32)
          (global.get $next)
          (global.set $next (i32.add (global.get $next) (local.get 3)))))
      (core instance $libc (instantiate $libc))
      (core func $greet (canon lower (func $greet)
        (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
      (core module $m
        (import "" "greet" (func $greet (param i32 i32 i32 i32)))
        (import "" "memory" (memory 1))
        (func (export "greet") (param i32 i32 i32) (result i32)
          (call $greet (local.get 0) (local.get 1) (local.get 2) (i32.const 16))
          (i32.const 16))
        (func (export "done") (param i32)))
      (core instance $m (instantiate $m (with "" (instance
        (export "greet" (func $greet)) (export "memory" (memory $libc "memory"))))))
      (func (export "greet") (param "pauses" u32) (param "name" string) (result string)
        (canon lift (core func $m "greet") (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))
          (post-return (core func $m "done")))))
    (component $outer
      (import "greet" (func $greet (param "pauses" u32) (param "name" string) (result string)))
      (import "thing" (type $thing (sub resource)))
      (import "make" (func $make (param "rep" u32) (result (own $thing))))
      (import "look" (func $look (param "thing" (borrow $thing)) (result u32)))
      (core module $libc
        (memory (export "memory") 1)
        (global $next (mut i32) (i32.const 2048))
        (func (export "realloc") (param i32 i32 i32 i32) (result i32)
          (global.get $next)
          (global.set $next (i32.add (global.get $next) (local.get 3)))))
      (core instance $libc (instantiate $libc))
      (core func $greet-core (canon lower (func $greet)
        (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
      (core func $make-core (canon lower (func $make)))
      (core func $look-core (canon lower (func $look)))
      (core func $drop (canon resource.drop $thing))
      (core module $m
        (import "" "greet" (func $greet (param i32 i32 i32 i32)))
        (import "" "make" (func $make (param i32) (result i32)))
        (import "" "look" (func $look (param i32) (result i32)))
        (import "" "drop" (func $drop (param i32)))
        (func (export "greet") (param i32 i32 i32) (result i32)
          (call $greet (local.get 0) (local.get 1) (local.get 2) (i32.const 32))
          (i32.const 32))
        (func (export "things") (param i32) (result i32)
          (local $thing i32) (local $sum i32)
          (local.set $thing (call $make (local.get 0)))
          (local.set $sum (i32.add (call $look (local.get $thing)) (call $look (local.get $thing))))
          (call $drop (local.get $thing))
          (local.get $sum)))
      (core instance $m (instantiate $m (with "" (instance
        (export "greet" (func $greet-core)) (export "make" (func $make-core))
        (export "look" (func $look-core)) (export "drop" (func $drop))))))
      (func (export "greet") (param "pauses" u32) (param "name" string) (result string)
        (canon lift (core func $m "greet") (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
      (func (export "things") (param "rep" u32) (result u32)
        (canon lift (core func $m "things")))
      (func (export "give") (param "thing" (own $thing)) (canon lift (core func $drop))))
    (instance $inner (instantiate $inner (with "greet" (func $greet))))
    (instance $outer (instantiate $outer
      (with "greet" (func $inner "greet"))
      (with "thing" (type $thing))
      (with "make" (func $make))
      (with "look" (func $look))))
    (export "greet" (func $outer "greet"))
    (export "things" (func $outer "things"))
    (export "give" (func $outer "give"))
)"#;

fn instance(engine: &Engine) -> (Store<Log>, Instance) {
    let component = Component::new(engine, TWO).unwrap_or_else(|error| panic!("{error:?}"));
    let mut store = Store::new(engine, Log::default());
    let instance = ready(linker(engine).instantiate_async(&mut store, &component));
    (store, instance.unwrap_or_else(|error| panic!("{error:?}")))
}

#[test]
fn a_guest_behind_another_one_waits() {
    let engine = Engine::default();
    let (mut store, it) = instance(&engine);
    let greet = it.get_typed_func::<(u32, String), (String,)>(&mut store, "greet");
    let greet = greet.expect("it is exported");
    let (done, pauses) = drive(greet.call_async(&mut store, (3, "you".into())));
    assert_eq!(done.expect("it returns").0, "hello you");
    assert_eq!(pauses, 3);
    let done = ready_on_many_threads(greet.call_async(&mut store, (5, "all".into())));
    assert_eq!(done.expect("it returns").0, "hello all");
    assert_eq!(
        greet.call(&mut store, (0, "me".into())).expect("nothing waits").0,
        "hello me"
    );
    assert_eq!(
        store.data().0,
        [
            "begin you",
            "end you",
            "begin all",
            "end all",
            "begin me",
            "end me"
        ]
    );

    let func: Func = it.get_func(&mut store, "greet").expect("it is exported");
    let mut results = [Val::Bool(false)];
    let params = [Val::U32(2), Val::String("you".into())];
    ready(func.call_async(&mut store, &params, &mut results)).expect("it returns");
    assert_eq!(results, [Val::String("hello you".into())]);
    let error = ready(func.call_async(&mut store, &params[..1], &mut results)).expect_err("one is missing");
    assert_eq!(error.to_string(), "expected 2 arguments, got 1");
}

#[test]
fn resources_are_made_lent_and_dropped_with_waits_between() {
    let engine = Engine::default();
    let (mut store, it) = instance(&engine);
    let things = it
        .get_typed_func::<(u32,), (u32,)>(&mut store, "things")
        .expect("it is exported");
    let (sum, pauses) = drive(things.call_async(&mut store, (3,)));
    assert_eq!((sum.expect("it returns").0, pauses), (6, 4 * 3));
    let sum = ready_on_many_threads(things.call_async(&mut store, (2,)));
    assert_eq!(sum.expect("it returns").0, 4);
    assert_eq!(things.call(&mut store, (0,)).expect("nothing waits").0, 0);
    assert_eq!(store.data().0, ["drop 3", "drop 2", "drop 0"]);
    let give = it
        .get_typed_func::<(Resource<Thing>,), ()>(&mut store, "give")
        .expect("it is exported");
    let thing = Resource::new_own(4);
    assert_eq!(
        drive(give.call_async(&mut store, (thing,))).1,
        4,
        "the destructor waits"
    );
    let error = give
        .call(&mut store, (Resource::new_own(4),))
        .expect_err("it would have to wait");
    assert!(format!("{error:#}").contains("use `call_async`"), "{error:#}");
}

#[test]
fn errors_after_a_wait_come_out_with_the_frames_of_both() {
    let engine = Engine::default();
    let (mut store, it) = instance(&engine);
    let greet = it.get_typed_func::<(u32, String), (String,)>(&mut store, "greet");
    let greet = greet.expect("it is exported");
    let error = ready(greet.call_async(&mut store, (2, String::new()))).expect_err("it fails");
    assert_eq!(error.root_cause().to_string(), "nobody is there");
    let frames = error
        .downcast_ref::<WasmBacktrace>()
        .expect("guests were running");
    assert!(frames.frames().len() >= 2, "{error:?}");
    let error = ready(greet.call_async(&mut store, (2, "a".into()))).expect_err("it has failed");
    assert_eq!(error.downcast_ref::<Fault>(), Some(&Fault::CannotEnter));
}

#[test]
fn an_instance_whose_call_was_dropped_is_not_entered_again() {
    let engine = Engine::default();
    let (mut store, it) = instance(&engine);
    let component = it.component().clone();
    let other = ready(linker(&engine).instantiate_async(&mut store, &component)).expect("it instantiates");
    let greet = |store: &mut Store<Log>, it: &Instance| {
        let greet = it.get_typed_func::<(u32, String), (String,)>(store, "greet");
        greet.expect("it is exported")
    };
    let (greet, other) = (greet(&mut store, &it), greet(&mut store, &other));
    // Before it has begun, nothing has happened.
    drop(greet.call_async(&mut store, (1, "a".into())));
    assert!(ready(greet.call_async(&mut store, (1, "a".into()))).is_ok());
    let mut call = Box::pin(greet.call_async(&mut store, (2, "b".into())));
    assert!(poll(call.as_mut()).is_pending());
    drop(call);
    let error = ready(greet.call_async(&mut store, (1, "c".into()))).expect_err("it was abandoned");
    assert_eq!(error.downcast_ref::<Fault>(), Some(&Fault::CannotEnter));
    let done = ready(other.call_async(&mut store, (1, "d".into())));
    assert_eq!(done.expect("the other one is as it was").0, "hello d");
}

#[test]
fn start_functions_of_components_wait() -> Result<()> {
    let engine = Engine::default();
    let text = r#"(component
        (import "wait" (func $wait (param "pauses" u32)))
        (core func $wait (canon lower (func $wait)))
        (core module $m
          (import "" "wait" (func $wait (param i32)))
          (func $start (call $wait (i32.const 3)))
          (func (export "run"))
          (start $start))
        (core instance $i (instantiate $m (with "" (instance (export "wait" (func $wait))))))
        (func (export "run") (canon lift (core func $i "run"))))"#;
    let component = Component::new(&engine, text)?;
    let mut linker = Linker::<Log>::new(&engine);
    linker.root().func_wrap_async("wait", |_, (pauses,): (u32,)| {
        Box::new(async move {
            Pauses(pauses).await;
            Ok(())
        })
    })?;
    let mut store = Store::new(&engine, Log::default());
    let (it, pauses) = drive(linker.instantiate_async(&mut store, &component));
    assert_eq!(pauses, 3);
    it?.get_typed_func::<(), ()>(&mut store, "run")?
        .call(&mut store, ())?;
    let error = linker
        .instantiate(&mut store, &component)
        .expect_err("it would have to wait");
    assert!(format!("{error:#}").contains("`instantiate_async`"), "{error:#}");
    // One that nobody waits for does not get in the way.
    {
        let mut begun = Box::pin(linker.instantiate_async(&mut store, &component));
        assert!(poll(begun.as_mut()).is_pending());
    }
    ready(linker.instantiate_async(&mut store, &component))?;
    Ok(())
}

#[test]
fn destructors_of_guests_wait() -> Result<()> {
    let engine = Engine::default();
    let text = r#"(component
        (import "wait" (func $wait (param "pauses" u32)))
        (core func $wait (canon lower (func $wait)))
        (core module $d
          (import "" "wait" (func $wait (param i32)))
          (func (export "dtor") (param i32) (call $wait (local.get 0))))
        (core instance $d (instantiate $d (with "" (instance (export "wait" (func $wait))))))
        (type $r' (resource (rep i32) (dtor (core func $d "dtor"))))
        (core func $new (canon resource.new $r'))
        (core func $drop (canon resource.drop $r'))
        (core module $m
          (import "" "new" (func $new (param i32) (result i32)))
          (import "" "drop" (func $drop (param i32)))
          (func (export "run") (param i32) (call $drop (call $new (local.get 0)))))
        (core instance $i (instantiate $m (with "" (instance
          (export "new" (func $new)) (export "drop" (func $drop))))))
        (export $r "r" (type $r'))
        (func (export "make") (param "pauses" u32) (result (own $r)) (canon lift (core func $new)))
        (func (export "run") (param "pauses" u32) (canon lift (core func $i "run"))))"#;
    let component = Component::new(&engine, text)?;
    let mut linker = Linker::<Log>::new(&engine);
    linker.root().func_wrap_async("wait", |_, (pauses,): (u32,)| {
        Box::new(async move {
            Pauses(pauses).await;
            Ok(())
        })
    })?;
    let mut store = Store::new(&engine, Log::default());
    let it = ready(linker.instantiate_async(&mut store, &component))?;
    let run = it.get_typed_func::<(u32,), ()>(&mut store, "run")?;
    assert_eq!(drive(run.call_async(&mut store, (4,))).1, 4);
    let make = it.get_typed_func::<(u32,), (ResourceAny,)>(&mut store, "make")?;
    let (made,) = make.call(&mut store, (5,))?;
    let (done, pauses) = drive(made.resource_drop_async(&mut store));
    assert_eq!((done?, pauses), ((), 5));
    let (made,) = make.call(&mut store, (5,))?;
    let error = made.resource_drop(&mut store).expect_err("it would have to wait");
    assert!(format!("{error:#}").contains("use `call_async`"), "{error:#}");
    Ok(())
}
