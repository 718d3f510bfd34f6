//! Calls in both directions: values, errors, panics, stores.

use crate::build::*;
use cellwall_abi::ValType::{F32, F64, I32, I64};
use cellwall_abi::{Signature, TrapCode};
use cellwall_runtime::*;
use iced_x86::code_asm::*;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// `add: (i32, i32) -> i32` and `call: (i32) -> i32`, which calls the import.
fn module() -> Module {
    let mut m = Module::new();
    let binary = m.ty(&[I32, I32], &[I32]);
    let unary = m.ty(&[I32], &[I32]);
    let host = m.import_func("host", unary);
    m.export_func("add", binary, |e| {
        e.a.lea(eax, ptr(rdi + rsi)).unwrap();
        e.a.ret().unwrap();
    });
    m.export_func("call", unary, move |e| {
        e.frame(8);
        e.call(host);
        e.leave(8);
    });
    m
}

fn with_host(
    host: impl Fn(Caller<'_, u32>, (i32,)) -> Result<(i32,), HostError> + Send + Sync + 'static,
) -> (Store<u32>, InstanceId) {
    let engine = engine();
    let mut store = Store::new(&engine, 7);
    let host = store.add_host_func(&HostFunc::typed(&engine, host));
    let code = module().map(&engine);
    let instance = store.instantiate(&code, &[Extern::Func(host)]).unwrap();
    (store, instance)
}

#[test]
fn values_pass_to_the_guest_and_back() {
    let (mut store, instance) = with_host(|_, x| Ok(x));
    let sum: (i32,) = call(&mut store, instance, "add", (40i32, 2i32)).unwrap();
    assert_eq!(sum, (42,));
    let mut results = [RawVal::I32(0)];
    let add = func(&store, instance, "add");
    store
        .call(add, &[RawVal::I32(-1), RawVal::I32(3)], &mut results)
        .unwrap();
    assert_eq!(results, [RawVal::I32(2)]);
}

#[test]
fn values_of_other_types_are_refused() {
    let (mut store, instance) = with_host(|_, x| Ok(x));
    let add = func(&store, instance, "add");
    assert!(matches!(
        store.typed::<(i64, i32), (i32,)>(add),
        Err(Error::Type(_))
    ));
    let wrong = [RawVal::I64(1), RawVal::I32(3)];
    assert!(matches!(
        store.call(add, &wrong, &mut [RawVal::I32(0)]),
        Err(Error::Type(_))
    ));
    assert!(matches!(
        store.call(add, &[RawVal::I32(1); 2], &mut []),
        Err(Error::Type(_))
    ));
}

#[test]
fn a_host_function_sees_arguments_data_and_its_caller() {
    let (mut store, instance) = with_host(|caller, (x,)| {
        assert!(caller.instance.is_some());
        *caller.store.data_mut() += 1;
        Ok((x * 2,))
    });
    let result: (i32,) = call(&mut store, instance, "call", (21i32,)).unwrap();
    assert_eq!((result, *store.data()), ((42,), 8));
    assert_eq!(store.into_data(), 8);
}

#[test]
fn an_error_of_a_host_function_comes_out_as_it_went_in() {
    #[derive(Debug, PartialEq)]
    struct Mine(u32);
    let (mut store, instance) = with_host(|_, (x,)| match x {
        0 => Ok((1,)),
        x => Err(Box::new(Mine(x as u32))),
    });
    let result: Result<(i32,), Error> = call(&mut store, instance, "call", (5i32,));
    let Err(error @ Error::Host { .. }) = result else {
        panic!("{result:?}");
    };
    assert_eq!(frames_of(&error), ["call"]);
    let Error::Host { error, .. } = error else {
        unreachable!()
    };
    assert_eq!(*error.downcast::<Mine>().unwrap(), Mine(5));
    let after: (i32,) = call(&mut store, instance, "call", (0i32,)).unwrap();
    assert_eq!(after, (1,), "the instance is usable after an error");
}

#[test]
fn a_panic_of_a_host_function_goes_on_outside_of_the_guest() {
    let (mut store, instance) = with_host(|_, (x,)| if x == 0 { Ok((1,)) } else { panic!("panic {x}") });
    let result = catch_unwind(AssertUnwindSafe(|| {
        call::<_, _, (i32,)>(&mut store, instance, "call", (3i32,))
    }));
    let panic = result.unwrap_err();
    assert_eq!(panic.downcast_ref::<String>().unwrap(), "panic 3");
    let after: (i32,) = call(&mut store, instance, "call", (0i32,)).unwrap();
    assert_eq!(after, (1,));
}

#[test]
fn host_functions_of_any_type_get_and_give_values() {
    let engine = engine();
    let signature = Signature {
        params: [F64, I64].into(),
        results: [I64, F64].into(),
    };
    let swap = HostFunc::untyped(&engine, signature, |_, params, results| {
        results.copy_from_slice(&[params[1], params[0]]);
        Ok(())
    });
    let mut store = Store::new(&engine, ());
    let swap = store.add_host_func(&swap);
    let typed = store.typed::<(f64, i64), (i64, f64)>(swap).unwrap();
    assert_eq!(store.call_typed(&typed, (0.5, 9)).unwrap(), (9, 0.5));
}

#[test]
#[should_panic(expected = "object used with the wrong store")]
fn a_function_of_another_store_is_refused() {
    let (store, instance) = with_host(|_, x| Ok(x));
    let add = func(&store, instance, "add");
    let (mut other, _) = with_host(|_, x| Ok(x));
    let _ = other.call(add, &[RawVal::I32(1); 2], &mut [RawVal::I32(0)]);
}

#[test]
fn guest_and_host_that_call_each_other_meet_a_trap() {
    let (mut store, instance) = with_host(|mut caller, (x,)| {
        let instance = caller.instance.unwrap();
        let Some(Extern::Func(again)) = caller.store.export(instance, "call") else {
            panic!()
        };
        let again = caller.store.typed::<(i32,), (i32,)>(again).unwrap();
        *caller.store.data_mut() += 1;
        let store = &mut caller.store;
        store
            .call_typed(&again, (x,))
            .map_err(|error| Box::new(error) as HostError)
    });
    let result: Result<(i32,), Error> = call(&mut store, instance, "call", (1i32,));
    // Each level wraps the error of the one inside.
    let mut error = result.unwrap_err();
    let mut levels = 0;
    while let Error::Host { error: inner, .. } = error {
        error = *inner.downcast::<Error>().unwrap();
        levels += 1;
    }
    assert_eq!(trap_of::<()>(Err(error)), TrapCode::StackOverflow);
    assert!(levels > 10 && *store.data() == 7 + levels, "{levels} levels");
}

#[test]
fn many_arguments_pass_in_the_block() {
    let mut m = Module::new();
    let ty = m.ty(&[I64; 8], &[I64]);
    m.export_func("last", ty, |e| {
        let at = cellwall_abi::convention::block_overflow(1) as i32;
        e.a.mov(rax, qword_ptr(r15 + cellwall_abi::context::BLOCK as i32))
            .unwrap();
        e.a.mov(rax, qword_ptr(rax + at)).unwrap();
        e.a.ret().unwrap();
    });
    let engine = engine();
    let mut store = Store::new(&engine, ());
    let instance = store.instantiate(&m.map(&engine), &[]).unwrap();
    let params = (1i64, 2i64, 3i64, 4i64, 5i64, 6i64, 7i64, 8i64);
    let result: (i64,) = call(&mut store, instance, "last", params).unwrap();
    assert_eq!(result, (8,));
}

#[test]
fn floats_pass_in_their_own_registers() {
    let mut m = Module::new();
    let ty = m.ty(&[F64, I32, F32], &[F32, F64, I32]);
    let host = m.import_func("host", ty);
    m.export_func("call", ty, move |e| {
        e.frame(8);
        e.call(host);
        e.leave(8);
    });
    let engine = engine();
    let mut store = Store::new(&engine, ());
    let turn = |_: Caller<'_, ()>, (a, b, c): (f64, i32, f32)| Ok((c + 1.0, a * 2.0, -b));
    let host = store.add_host_func(&HostFunc::typed(&engine, turn));
    let instance = store.instantiate(&m.map(&engine), &[Extern::Func(host)]).unwrap();
    let result: (f32, f64, i32) = call(&mut store, instance, "call", (1.5f64, 7i32, 0.25f32)).unwrap();
    assert_eq!(result, (1.25, 3.0, -7));
    let id = func(&store, instance, "call");
    let params = [
        RawVal::F64(1.5f64.to_bits()),
        RawVal::I32(7),
        RawVal::F32(0.25f32.to_bits()),
    ];
    let mut results = [RawVal::I32(0); 3];
    store.call(id, &params, &mut results).unwrap();
    let expected = [
        RawVal::F32(1.25f32.to_bits()),
        RawVal::F64(3f64.to_bits()),
        RawVal::I32(-7),
    ];
    assert_eq!(results, expected);
}
