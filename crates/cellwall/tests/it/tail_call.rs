//! Tail calls: within a module, through tables, between instances and to the host, without a stack
//! that grows, and what backtraces and interruption make of them.

use crate::instantiate;
use cellwall::{
    Caller, Config, Engine, Func, Instance, Linker, Module, Store, Trap, TypedFunc, WasmBacktrace,
};
use std::thread;
use std::time::Duration;

/// Two instances that call each other in tail position: through a table, and by import.
const PING: &str = r#"(module
    (table (export "t") 1 funcref)
    (type $f (func (param i64 i32) (result i64)))
    (func (export "ping") (type $f)
      (if (i64.eqz (local.get 0)) (then (return (i64.extend_i32_u (local.get 1)))))
      (return_call_indirect (type $f)
        (i64.sub (local.get 0) (i64.const 1)) (i32.add (local.get 1) (i32.const 1)) (i32.const 0))))"#;
const PONG: &str = r#"(module
    (import "a" "t" (table 1 funcref))
    (import "a" "ping" (func $ping (param i64 i32) (result i64)))
    (global $calls (export "calls") (mut i64) (i64.const 0))
    (elem (i32.const 0) func $pong)
    (func $pong (export "pong") (param i64 i32) (result i64)
      (if (i64.eqz (local.get 0)) (then (return (i64.const -1))))
      (global.set $calls (i64.add (global.get $calls) (i64.const 1)))
      (return_call $ping (i64.sub (local.get 0) (i64.const 1)) (local.get 1)))
    (func (export "around") (param i64) (result i64)
      (i64.add (call $pong (local.get 0) (i32.const 0)) (global.get $calls))))"#;

/// A store with little stack, and a function of [`PONG`] linked with [`PING`].
fn ping_pong<P, R>(engine: &Engine, name: &str) -> (Store<()>, TypedFunc<P, R>)
where
    P: cellwall::WasmParams,
    R: cellwall::WasmResults,
{
    let mut store = Store::new(engine, ());
    let mut linker = Linker::new(engine);
    for (name, wat) in [("a", PING), ("b", PONG)] {
        let module = Module::new(engine, wat).expect("valid");
        let instance = linker.instantiate(&mut store, &module).expect("it links");
        linker.instance(&mut store, name, instance).expect("a new name");
    }
    let func = linker.get(&mut store, "b", name).and_then(|e| e.into_func());
    let func = func.expect("exported").typed(&store).expect("its type");
    (store, func)
}

fn small_stacks() -> Engine {
    Engine::new(Config::new().max_wasm_stack(64 << 10)).expect("supported")
}

#[test]
fn loops_across_instances_do_not_grow_the_stack() {
    let (mut store, pong) = ping_pong::<(i64, i32), i64>(&small_stacks(), "pong");
    let rounds = 1_000_000;
    // Odd numbers end here, even ones there.
    assert_eq!(
        pong.call(&mut store, (2 * rounds + 1, 0)).expect("it ends"),
        rounds
    );
    assert_eq!(pong.call(&mut store, (2 * rounds, 0)).expect("it ends"), -1);
    // Whoever called in the ordinary way has his own context again: `calls` is the global of `b`.
    let (mut store, around) = ping_pong::<i64, i64>(&small_stacks(), "around");
    assert_eq!(around.call(&mut store, 20_001).expect("it ends"), 10_000 + 10_001);
}

/// Each function counts down by tail calls of one kind; the plain call beside it needs the stack.
const KINDS: &str = r#"(module
    (type $f (func (param i32) (result i32)))
    (table $private funcref (elem $private $odd))
    (table $open (export "open") 1 funcref)
    (elem (table $open) (i32.const 0) func $open)
    (func $direct (export "direct") (type $f)
      (if (local.get 0) (then (return_call $direct (i32.sub (local.get 0) (i32.const 1))))) (i32.const 7))
    (func $even (export "even") (type $f)
      (if (local.get 0) (then (return_call $odd (i32.sub (local.get 0) (i32.const 1))))) (i32.const 1))
    (func $odd (type $f)
      (if (local.get 0) (then (return_call $even (i32.sub (local.get 0) (i32.const 1))))) (i32.const 0))
    (func $private (export "private") (type $f)
      (if (local.get 0) (then (return_call_indirect $private (type $f)
        (i32.sub (local.get 0) (i32.const 1)) (i32.const 0)))) (i32.const 8))
    (func $open (export "own") (type $f)
      (if (local.get 0) (then (return_call_indirect $open (type $f)
        (i32.sub (local.get 0) (i32.const 1)) (i32.const 0)))) (i32.const 9))
    (func $saving (export "saving") (type $f) (local $kept i32)
      (if (i32.eqz (local.get 0)) (then (return (i32.const 10))))
      (local.set $kept (i32.sub (local.get 0) (i32.const 1)))
      (drop (call $even (i32.const 2)))
      (return_call $saving (local.get $kept)))
    (func $plain (export "plain") (type $f)
      (if (local.get 0) (then (return (call $plain (i32.sub (local.get 0) (i32.const 1)))))) (i32.const 11)))"#;

#[test]
fn tail_calls_of_every_kind_drop_the_frame() {
    let engine = small_stacks();
    let module = Module::new(&engine, KINDS).expect("valid");
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &module, &[]).expect("it needs nothing");
    let mut run = |name: &str, n: i32| {
        let func = instance.get_typed_func::<i32, i32>(&mut store, name);
        func.expect("exported").call(&mut store, n)
    };
    for (name, result) in [
        ("direct", 7),
        ("even", 1),
        ("private", 8),
        ("own", 9),
        ("saving", 10),
    ] {
        assert_eq!(run(name, 500_000).expect("it ends"), result, "{name}");
    }
    assert_eq!(run("plain", 100).expect("it ends"), 11);
    let error = run("plain", 500_000).expect_err("too deep");
    assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::StackOverflow));
}

#[test]
fn more_arguments_and_results_than_registers() {
    let types = |n: usize| vec!["i64"; n].join(" ");
    let gets: String = (0..12).rev().map(|i| format!("(local.get {i})")).collect();
    let wat = format!(
        r#"(module
          (type $f (func (param {many}) (result {many})))
          (table funcref (elem $turn))
          (func $turn (type $f) {all})
          (func (export "twice") (type $f)
            (return_call $over (local.get 0) {rest}))
          (func $over (type $f)
            (drop (call $turn {gets}))
            {drops}
            (return_call_indirect (type $f) {gets} (i32.const 0))))"#,
        many = types(12),
        all = (0..12).map(|i| format!("(local.get {i})")).collect::<String>(),
        rest = (1..12).map(|i| format!("(local.get {i})")).collect::<String>(),
        drops = "drop ".repeat(11),
    );
    let (mut store, instance) = instantiate(&wat);
    let twice = instance.get_func(&mut store, "twice").expect("exported");
    let args: Vec<cellwall::Val> = (0..12).map(cellwall::Val::I64).collect();
    let mut results = vec![cellwall::Val::I64(0); 12];
    twice.call(&mut store, &args, &mut results).expect("no trap");
    let found: Vec<_> = results.iter().map(|v| v.i64()).collect();
    assert_eq!(found, (0..12).rev().map(Some).collect::<Vec<_>>());
}

#[test]
fn a_backtrace_shows_who_is_left() {
    let wat = r#"(module
        (import "" "host" (func $host (param i32) (result i32)))
        (table funcref (elem $stop))
        (type $f (func (param i32) (result i32)))
        (func $outer (export "outer") (param i32) (result i32) (i32.add (call $middle (local.get 0)) (i32.const 1)))
        (func $middle (param i32) (result i32) (return_call $inner (local.get 0)))
        (func $inner (param i32) (result i32)
          (if (local.get 0) (then (return_call $host (local.get 0))))
          (return_call_indirect (type $f) (i32.const 0) (i32.const 0)))
        (func $stop (param i32) (result i32) unreachable)
        (func (export "absent") (return_call_indirect (type $none) (i32.const 1)))
        (type $none (func)))"#;
    let engine = Engine::default();
    let module = Module::new(&engine, wat).expect("valid");
    let mut store = Store::new(&engine, Vec::new());
    let host = Func::wrap(&mut store, |mut caller: Caller<'_, Vec<u32>>, x: i32| {
        let own = caller.get_export("outer").is_some();
        let trace = WasmBacktrace::capture(&caller);
        *caller.data_mut() = trace.frames().iter().map(|frame| frame.func_index()).collect();
        x + i32::from(own)
    });
    let instance = Instance::new(&mut store, &module, &[host.into()]).expect("it fits");
    let outer = instance
        .get_typed_func::<i32, i32>(&mut store, "outer")
        .expect("exported");
    // The host is called in place of `$inner`, which was called in place of `$middle`.
    assert_eq!(outer.call(&mut store, 5).expect("no trap"), 7);
    assert_eq!(store.data()[store.data().len() - 1], 1, "`$outer` waits");
    let error = outer.call(&mut store, 0).expect_err("it traps");
    let frames = error
        .downcast_ref::<WasmBacktrace>()
        .expect("it has one")
        .frames();
    let indexes: Vec<u32> = frames.iter().map(|frame| frame.func_index()).collect();
    assert_eq!((indexes[0], indexes[indexes.len() - 1]), (4, 1));
    // What cannot be called is the caller's fault.
    let absent = instance
        .get_typed_func::<(), ()>(&mut store, "absent")
        .expect("exported");
    let error = absent
        .call(&mut store, ())
        .expect_err("the table has one element");
    assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::TableOutOfBounds));
    let frames = error
        .downcast_ref::<WasmBacktrace>()
        .expect("it has one")
        .frames();
    assert_eq!(frames[0].func_index(), 5);
    assert!(frames[0].module_offset().is_some());
}

#[test]
fn interruption_stops_tail_calls() {
    let engine = Engine::default();
    for name in ["pong", "direct", "own"] {
        let stop = engine.clone();
        let stopper = thread::spawn(move || {
            for _ in 0..3 {
                thread::sleep(Duration::from_millis(20));
                stop.interrupt();
            }
        });
        let error = match name {
            "pong" => {
                let (mut store, pong) = ping_pong::<(i64, i32), i64>(&engine, "pong");
                pong.call(&mut store, (i64::MAX, 0)).expect_err("it never ends")
            }
            _ => {
                let module = Module::new(&engine, KINDS).expect("valid");
                let mut store = Store::new(&engine, ());
                let instance = Instance::new(&mut store, &module, &[]).expect("it needs nothing");
                let func = instance
                    .get_typed_func::<i32, i32>(&mut store, name)
                    .expect("exported");
                // Four billion rounds: longer than it takes to be interrupted.
                func.call(&mut store, -1).expect_err("it takes too long")
            }
        };
        assert_eq!(
            error.downcast_ref::<Trap>(),
            Some(&Trap::Interrupt),
            "{name}: {error:?}"
        );
        stopper.join().expect("it does not panic");
    }
}
