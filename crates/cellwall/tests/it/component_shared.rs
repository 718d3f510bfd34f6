//! Instances that share what they are made with, each after the first of one `InstancePre`: they must not share more.

use cellwall::component::{Component, Instance, InstancePre, Linker, Resource, ResourceType};
use cellwall::{Engine, Result, Store, StoreContextMut};

/// Imports of every kind that instances have in common, and one that is given out again as it is.
const GUEST: &str = r#"(component
  (import "host" (instance $host
    (export "thing" (type $thing (sub resource)))
    (export "[constructor]thing" (func (param "number" u32) (result (own $thing))))
    (export "[method]thing.number" (func (param "self" (borrow $thing)) (result u32)))
    (export "say" (func (param "text" string) (result string)))
    (export "later" (func (param "number" u32) (result u32)))))
  (alias export $host "thing" (type $thing))
  (core module $libc
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 256)))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))
  (alias core export $libc "realloc" (core func $realloc))
  (core func $make (canon lower (func $host "[constructor]thing")))
  (core func $number (canon lower (func $host "[method]thing.number")))
  (core func $say (canon lower (func $host "say") (memory $memory) (realloc $realloc)))
  (core func $later (canon lower (func $host "later")))
  (core func $drop (canon resource.drop $thing))
  (type $own (resource (rep i32)))
  (core func $new (canon resource.new $own))
  (core func $rep (canon resource.rep $own))
  (core module $main
    (import "libc" "memory" (memory 1))
    (import "host" "make" (func $make (param i32) (result i32)))
    (import "host" "number" (func $number (param i32) (result i32)))
    (import "host" "say" (func $say (param i32 i32 i32)))
    (import "host" "later" (func $later (param i32) (result i32)))
    (import "host" "drop" (func $drop (param i32)))
    (import "host" "new" (func $new (param i32) (result i32)))
    (import "host" "rep" (func $rep (param i32) (result i32)))
    (global $thing (mut i32) (i32.const 0))
    (global $own (mut i32) (i32.const 0))
    (func (export "open") (param $number i32)
      (i32.store8 (i32.const 16) (i32.add (i32.const 48) (local.get $number)))
      (global.set $thing (call $make (local.get $number)))
      (global.set $own (call $new (local.get $number))))
    ;; The digit, what the host says of it, and the numbers behind the handles.
    (func (export "look") (result i32)
      (call $say (i32.const 16) (i32.const 1) (i32.const 32))
      (i32.add
        (i32.mul (i32.const 1000) (i32.sub (i32.load8_u (i32.load (i32.const 32))) (i32.const 48)))
        (i32.add
          (i32.mul (i32.const 100) (call $later (i32.load (i32.const 36))))
          (i32.add (call $number (global.get $thing)) (call $rep (global.get $own))))))
    (func (export "close") (call $drop (global.get $thing))))
  (core instance $main (instantiate $main
    (with "libc" (instance $libc))
    (with "host" (instance
      (export "make" (func $make))
      (export "number" (func $number))
      (export "say" (func $say))
      (export "later" (func $later))
      (export "drop" (func $drop))
      (export "new" (func $new))
      (export "rep" (func $rep))))))
  (func (export "open") (param "number" u32) (canon lift (core func $main "open")))
  (func (export "look") (result u32) (canon lift (core func $main "look")))
  (func (export "close") (canon lift (core func $main "close")))
  (func (export "later") (param "number" u32) (result u32) (canon lift (core func $later))))"#;

struct Thing;

/// What was dropped.
type Dropped = Vec<u32>;

fn linker(engine: &Engine) -> Result<Linker<Dropped>> {
    let mut linker = Linker::<Dropped>::new(engine);
    let mut host = linker.instance("host")?;
    let drop = |mut store: StoreContextMut<'_, Dropped>, rep| {
        store.data_mut().push(rep);
        Ok(())
    };
    host.resource("thing", ResourceType::host::<Thing>(), drop)?;
    host.func_wrap("[constructor]thing", |_, (number,): (u32,)| {
        Ok((Resource::<Thing>::new_own(number),))
    })?;
    host.func_wrap("[method]thing.number", |_, (thing,): (Resource<Thing>,)| {
        Ok((thing.rep() * 10,))
    })?;
    host.func_wrap("say", |_, (text,): (String,)| Ok((text + "!",)))?;
    host.func_wrap_async("later", |_, (number,): (u32,)| {
        Box::new(async move { Ok((number,)) })
    })?;
    Ok(linker)
}

fn pre(engine: &Engine, text: &str) -> Result<InstancePre<Dropped>> {
    linker(engine)?.instantiate_pre(&Component::new(engine, text)?)
}

fn open(store: &mut Store<Dropped>, instance: &Instance, number: u32) -> Result<()> {
    let open = instance.get_typed_func::<(u32,), ()>(&mut *store, "open")?;
    open.call(&mut *store, (number,))
}

fn look(store: &mut Store<Dropped>, instance: &Instance) -> Result<u32> {
    let look = instance.get_typed_func::<(), (u32,)>(&mut *store, "look")?;
    Ok(look.call(&mut *store, ())?.0)
}

#[test]
fn each_instance_has_its_own_memory_and_handles() -> Result<()> {
    let engine = Engine::default();
    let pre = pre(&engine, GUEST)?;
    for _ in 0..3 {
        let mut store = Store::new(&engine, Dropped::new());
        let mut instances = Vec::new();
        for number in 1..=4 {
            let instance = pre.instantiate(&mut store)?;
            open(&mut store, &instance, number)?;
            instances.push((number, instance));
        }
        for (number, instance) in &instances {
            assert_eq!(look(&mut store, instance)?, 1000 * number + 200 + 11 * number);
            // The host's own function, given out by the guest.
            let later = instance.get_typed_func::<(u32,), (u32,)>(&mut store, "later")?;
            assert_eq!(later.call(&mut store, (7,))?, (7,));
        }
        for (_, instance) in instances.iter().rev() {
            let close = instance.get_typed_func::<(), ()>(&mut store, "close")?;
            close.call(&mut store, ())?;
            // Its handle is gone, and it cannot be entered any more after that; others can.
            assert!(look(&mut store, instance).is_err());
        }
        assert_eq!(*store.data(), [4, 3, 2, 1]);
    }
    Ok(())
}

#[test]
fn what_is_wrong_is_wrong_in_every_instance() -> Result<()> {
    let engine = Engine::default();
    // It drops a handle that it does not have.
    let text = GUEST.replace("(call $drop (global.get $thing))", "(call $drop (i32.const 77))");
    assert_ne!(text, GUEST);
    let pre = pre(&engine, &text)?;
    let mut messages = Vec::new();
    for _ in 0..3 {
        let mut store = Store::new(&engine, Dropped::new());
        let instance = pre.instantiate(&mut store)?;
        open(&mut store, &instance, 1)?;
        let close = instance.get_typed_func::<(), ()>(&mut store, "close")?;
        let error = close.call(&mut store, ()).unwrap_err();
        messages.push(format!("{error:#}"));
    }
    assert!(messages[0].contains("unknown handle index 77"), "{messages:?}");
    assert!(
        messages.iter().all(|message| *message == messages[0]),
        "{messages:?}"
    );
    Ok(())
}

#[test]
fn a_store_of_another_engine_is_refused() -> Result<()> {
    let engine = Engine::default();
    let pre = pre(&engine, GUEST)?;
    let mut store = Store::new(&engine, Dropped::new());
    for _ in 0..2 {
        pre.instantiate(&mut store)?;
        let mut other = Store::new(&Engine::default(), Dropped::new());
        let error = pre.instantiate(&mut other).unwrap_err();
        assert!(error.to_string().contains("of another"), "{error}");
    }
    Ok(())
}
