//! For all types and values: what the host sends through one component to another comes back as it
//! was, through lowering, two adapters of any pair of encodings, and lifting.

mod generate;

use cellwall::component::{Component, Func, Instance, Linker, Val};
use cellwall::{Engine, Store};
use generate::{Random, program, value};

/// Programs that are generated; the same each time.
const CASES: u64 = 60;

fn echo(store: &mut Store<()>, instance: &Instance) -> Func {
    let outer = instance.get_export_index(&mut *store, None, "d");
    let index = instance.get_export_index(&mut *store, outer.as_ref(), "echo");
    let func = instance.get_func(&*store, index.expect("it is exported"));
    func.expect("it is a function")
}

#[test]
fn every_value_comes_back_through_two_components() {
    let engine = Engine::default();
    let mut random = Random::new(0x9e37_79b9_7f4a_7c15);
    for case in 0..CASES {
        let program = program(&mut random, "");
        let component = Component::new(&engine, &program);
        let component = component.unwrap_or_else(|error| panic!("case {case}: {error:?}\n{program}"));
        let mut store = Store::new(&engine, ());
        let instance = Linker::new(&engine).instantiate(&mut store, &component);
        let instance = instance.unwrap_or_else(|error| panic!("case {case}: {error:?}\n{program}"));
        let echo = echo(&mut store, &instance);
        let ty = echo.ty(&store).results().next().expect("it has a result");
        for _ in 0..8 {
            let sent = value(&mut random, &ty);
            let mut back = [Val::Bool(false)];
            let done = echo.call(&mut store, std::slice::from_ref(&sent), &mut back);
            done.unwrap_or_else(|error| panic!("case {case}: {error:?}\n{sent:?}\n{program}"));
            assert!(back[0] == sent, "case {case}: {:?}\n{sent:?}\n{program}", back[0]);
        }
    }
}

/// The neighbour: a value that is not of the type is refused, and the component goes on.
#[test]
fn a_value_of_another_type_is_refused_and_no_harm_is_done() {
    let engine = Engine::default();
    let component = Component::new(
        &engine,
        r#"(component
          (core module $m (func (export "f") (param i32) (result i32) (local.get 0)))
          (core instance $m (instantiate $m))
          (func (export "f") (param "v" u8) (result u8) (canon lift (core func $m "f"))))"#,
    );
    let component = component.expect("it is valid");
    let mut store = Store::new(&engine, ());
    let instance = Linker::new(&engine)
        .instantiate(&mut store, &component)
        .expect("it links");
    let f = instance.get_func(&store, "f").expect("it is exported");
    let mut back = [Val::Bool(false)];
    assert!(f.call(&mut store, &[Val::U16(1)], &mut back).is_err());
    assert!(f.call(&mut store, &[], &mut back).is_err());
    f.call(&mut store, &[Val::U8(200)], &mut back)
        .expect("it is of the type");
    assert_eq!(back, [Val::U8(200)]);
    assert!(instance.get_typed_func::<(u16,), (u8,)>(&store, "f").is_err());
}

/// A component that has an asynchronous function can be used for its others.
#[test]
fn an_asynchronous_function_returns_or_fails_by_name() {
    let engine = Engine::default();
    let text = r#"(component
      (core module $m
        (import "" "return" (func $return (param i32)))
        (import "" "wait" (func $wait (param i32 i32) (result i32)))
        (func (export "now") (param i32) (call $return (i32.add (local.get 0) (i32.const 7))))
        (func (export "later") (drop (call $wait (i32.const 1) (i32.const 8)))))
      (core module $memory (memory (export "memory") 1))
      (core instance $memory (instantiate $memory))
      (core func $return (canon task.return (result u32)))
      (core func $wait (canon waitable-set.wait (memory (core memory $memory "memory"))))
      (core instance $i (instantiate $m (with "" (instance
        (export "return" (func $return)) (export "wait" (func $wait))))))
      (func (export "now") async (param "a" u32) (result u32) (canon lift (core func $i "now") async))
      (func (export "later") async (canon lift (core func $i "later") async)))"#;
    let component = Component::new(&engine, text).expect("it is valid");
    let mut store = Store::new(&engine, ());
    let instance = Linker::new(&engine).instantiate(&mut store, &component);
    let instance = instance.expect("it asks for nothing");
    let mut results = [Val::Bool(false)];
    let now = instance.get_func(&store, "now").expect("it is exported");
    now.call(&mut store, &[Val::U32(2)], &mut results)
        .expect("it returns");
    assert!(results == [Val::U32(9)]);
    let typed = instance.get_typed_func::<(u32,), (u32,)>(&mut store, "now");
    assert!(typed.is_err(), "there is no such call of Rust types");
    let later = instance.get_func(&store, "later").expect("it is exported");
    let error = later
        .call(&mut store, &[], &mut [])
        .expect_err("nobody can wait for it");
    assert!(
        format!("{error:?}").contains("`waitable-set.wait` is not supported"),
        "{error:?}"
    );
}
