//! For all types and values: what the host sends through one component to another comes back as it
//! was, through lowering, two adapters of any pair of encodings, and lifting.

mod generate;

use cellwall::component::{
    Component, Func, Instance, Linker, Resource, ResourceAny, ResourceType, Type, Val,
};
use cellwall::{AsContextMut, Engine, Store};
use generate::{Damage, Random, answer, mapped, program, value};

/// Programs that are generated; the same each time.
const CASES: u64 = 60;

/// What the resources of the host are called.
struct R;

/// A linker with the host's instance, whose functions return what they are given, and the sum of what they are lent.
fn host(engine: &Engine) -> Linker<()> {
    let mut linker = Linker::new(engine);
    let mut host = linker.instance("host").expect("the name is free");
    host.resource("r", ResourceType::host::<R>(), |_, _| Ok(()))
        .expect("the name is free");
    host.func_new("pass", |_, _, params, results| {
        results.clone_from_slice(params);
        Ok(())
    })
    .expect("the name is free");
    host.func_new("lend", |mut store, _, params, results| {
        let Val::List(lent) = &params[0] else {
            panic!("{params:?} is no list");
        };
        let mut sum = 0_u32;
        for resource in lent {
            let Val::Resource(resource) = resource else {
                panic!("{resource:?} is no resource");
            };
            assert!(!resource.owned());
            sum = sum.wrapping_add(resource.into_resource::<R>(&mut store)?.rep());
        }
        results[0] = Val::U32(sum);
        Ok(())
    })
    .expect("the name is free");
    linker
}

fn function(store: &mut Store<()>, instance: &Instance, name: &str) -> Func {
    let outer = instance.get_export_index(&mut *store, None, "d");
    let index = instance.get_export_index(&mut *store, outer.as_ref(), name);
    let func = instance.get_func(&*store, index.expect("it is exported"));
    func.expect("it is a function")
}

/// The value with resources in the place of their numbers.
fn with_resources(store: &mut Store<()>, val: &Val, ty: &Type) -> Val {
    mapped(val, ty, &mut |val, ty| match (val, ty) {
        (Val::U32(number), Type::Own(_) | Type::Borrow(_)) => {
            let resource = ResourceAny::new_host(store.as_context_mut(), Resource::<R>::new_own(*number));
            Val::Resource(resource.expect("there is room"))
        }
        (val, _) => val.clone(),
    })
}

/// The value with numbers in the place of resources, which are taken out of the store.
fn with_numbers(store: &mut Store<()>, val: &Val, ty: &Type) -> Val {
    mapped(val, ty, &mut |val, _| match val {
        Val::Resource(resource) => {
            assert!(resource.owned());
            let resource = resource.into_resource::<R>(store.as_context_mut());
            Val::U32(resource.expect("it is of the host").rep())
        }
        val => val.clone(),
    })
}

#[test]
fn every_value_comes_back_through_two_components() {
    let engine = Engine::default();
    let linker = host(&engine);
    let mut random = Random::new(0x9e37_79b9_7f4a_7c15);
    for case in 0..CASES {
        let program = program(&mut random, true, &Damage::default());
        let component = Component::new(&engine, &program);
        let component = component.unwrap_or_else(|error| panic!("case {case}: {error:?}\n{program}"));
        let mut store = Store::new(&engine, ());
        let instance = linker.instantiate(&mut store, &component);
        let instance = instance.unwrap_or_else(|error| panic!("case {case}: {error:?}\n{program}"));
        for name in ["echo", "pass", "lend"] {
            let func = function(&mut store, &instance, name);
            let ty = func.ty(&store);
            let (_, ty) = ty.params().next().expect("it has a parameter");
            for _ in 0..8 {
                let value = value(&mut random, &ty);
                let sent = with_resources(&mut store, &value, &ty);
                let mut back = [Val::Bool(false)];
                let done = func.call(&mut store, &[sent], &mut back);
                done.unwrap_or_else(|error| panic!("case {case}: {error:?}\n{value:?}\n{program}"));
                let back = with_numbers(&mut store, &back[0], &ty);
                let expected = answer(name, &value);
                assert!(back == expected, "case {case}: {back:?}\n{expected:?}\n{program}");
            }
        }
    }
}

/// An error context goes into a component in C of the examples, and another one comes out.
#[test]
fn the_host_reads_the_error_of_an_example() {
    let engine = Engine::default();
    let bank = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/components/bank.wasm");
    let component = Component::from_file(&engine, bank).expect("it is valid");
    let mut store = Store::new(&engine, ());
    let instance = Linker::new(&engine).instantiate(&mut store, &component);
    let instance = instance.expect("it asks for nothing");
    let types = instance.get_export_index(&mut store, None, "docs:exchange/types@1.0.0");
    let trace = instance.get_export_index(&mut store, types.as_ref(), "trace");
    let trace = instance.get_func(&store, trace.expect("it is exported"));
    let trace = trace.expect("it is a function");
    let mut back = [Val::Bool(false)];
    for why in ["no money \u{1f4b8}", ""] {
        trace
            .call(&mut store, &[Val::ErrorContext(why.into())], &mut back)
            .expect("it takes errors");
        assert_eq!(back, [Val::ErrorContext(format!("at the bank: {why}").into())]);
    }
    // A text is not an error.
    let text = Val::String("no money".to_owned());
    assert!(trace.call(&mut store, &[text], &mut back).is_err());
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
