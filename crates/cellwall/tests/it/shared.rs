//! Shared memories: several stores on several threads, waiting, waking, interruption.

use cellwall::{Engine, Extern, Instance, Linker, MemoryType, Module, SharedMemory, Store, Trap, WaitResult};
use core::time::Duration;

const GUEST: &str = r#"
    (module
      (import "host" "memory" (memory 1 4 shared))
      (func (export "count") (param $n i32)
        (loop $again
          (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1)))
          ;; The same by a loop of compare and exchange.
          (drop (i64.atomic.rmw.xor (i32.const 8) (i64.const -1)))
          (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
      (func (export "wait") (param i64) (result i32)
        (memory.atomic.wait32 (i32.const 16) (i32.const 0) (local.get 0)))
      (func (export "notify") (result i32) (memory.atomic.notify (i32.const 16) (i32.const -1)))
      (func (export "grow") (result i32) (memory.grow (i32.const 1)))
      (func (export "size") (result i32) (memory.size))
      (func (export "fill") (memory.fill (i32.const 64) (i32.const 7) (i32.const 8)))
      (func (export "copy") (memory.copy (i32.const 66) (i32.const 64) (i32.const 8)))
      (func (export "unaligned") (drop (i32.atomic.load (i32.const 2)))))
"#;

fn setting() -> (Engine, SharedMemory, Linker<()>, Module) {
    let engine = Engine::default();
    let memory = SharedMemory::new(&engine, MemoryType::shared(1, 4)).expect("there is room");
    let mut linker = Linker::new(&engine);
    let mut store = Store::new(&engine, ());
    linker
        .define(&mut store, "host", "memory", memory.clone())
        .expect("it is of the engine");
    let module = Module::new(&engine, GUEST).expect("the module is valid");
    (engine, memory, linker, module)
}

fn call(store: &mut Store<()>, instance: Instance, name: &str) -> i32 {
    let func = instance
        .get_typed_func::<(), i32>(&mut *store, name)
        .expect("it is exported");
    func.call(store, ()).expect("it returns")
}

#[test]
fn threads_count_together_and_lose_nothing() {
    let (engine, memory, linker, module) = setting();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut store = Store::new(&engine, ());
                let instance = linker.instantiate(&mut store, &module).expect("it fits");
                let count = instance
                    .get_typed_func::<i32, ()>(&mut store, "count")
                    .expect("it is exported");
                count.call(&mut store, 5_000).expect("it returns");
            });
        }
    });
    let mut bytes = [0; 16];
    memory.read(0, &mut bytes).expect("they are inside");
    assert_eq!(bytes[..4], 20_000u32.to_le_bytes());
    assert_eq!(bytes[8..], [0; 8], "an even number of changes of all bits");
}

#[test]
fn growth_is_seen_by_all_and_stays_inside_the_maximum() {
    let (engine, memory, linker, module) = setting();
    let mut first = Store::new(&engine, ());
    let mut second = Store::new(&engine, ());
    let a = linker.instantiate(&mut first, &module).expect("it fits");
    let b = linker.instantiate(&mut second, &module).expect("it fits");
    assert_eq!(call(&mut first, a, "grow"), 1);
    assert_eq!(call(&mut second, b, "size"), 2);
    assert_eq!(memory.grow(2).expect("there is room"), 2);
    assert_eq!(call(&mut first, a, "size"), 4);
    assert_eq!(call(&mut second, b, "grow"), -1);
    assert!(memory.grow(1).is_err());
    memory
        .write(4 * 65536 - 1, &[1])
        .expect("the last byte is inside");
    assert!(memory.write(4 * 65536, &[1]).is_err());
}

#[test]
fn a_waiting_thread_is_woken_or_times_out() {
    let (engine, memory, linker, module) = setting();
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &module).expect("it fits");
    let wait = instance
        .get_typed_func::<i64, i32>(&mut store, "wait")
        .expect("it is exported");
    assert_eq!(wait.call(&mut store, 1_000).expect("it returns"), 2);
    memory.write(16, &[1]).expect("it is inside");
    assert_eq!(wait.call(&mut store, -1).expect("it returns"), 1);
    memory.write(16, &[0]).expect("it is inside");
    let woken = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| wait.call(&mut store, -1).expect("it returns"));
        while memory.atomic_notify(16, 1).expect("the address is aligned") == 0 {
            std::thread::yield_now();
        }
        waiting.join().expect("the thread does not panic")
    });
    assert_eq!(woken, 0);
    assert_eq!(memory.atomic_wait32(16, 5, None), Ok(WaitResult::Mismatch));
    let short = Some(Duration::from_nanos(1));
    assert_eq!(memory.atomic_wait64(16, 0, short), Ok(WaitResult::TimedOut));
    assert_eq!(memory.atomic_wait32(17, 0, None), Err(Trap::HeapMisaligned));
    assert_eq!(memory.atomic_notify(1 << 20, 1), Err(Trap::MemoryOutOfBounds));
}

#[test]
fn an_interruption_wakes_a_waiting_thread() {
    let (engine, memory, linker, module) = setting();
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &module).expect("it fits");
    let wait = instance
        .get_typed_func::<i64, i32>(&mut store, "wait")
        .expect("it is exported");
    let error = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| wait.call(&mut store, -1).expect_err("nobody wakes it"));
        // Calls that begin after an interruption are not affected, so it is repeated.
        while !waiting.is_finished() {
            engine.interrupt();
            std::thread::yield_now();
        }
        waiting.join().expect("the thread does not panic")
    });
    assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::Interrupt));
    assert_eq!(
        memory.atomic_notify(16, 9),
        Ok(0),
        "it is not in the queue any more"
    );
}

#[test]
fn bulk_operations_and_traps_are_those_of_any_memory() {
    let (engine, memory, linker, module) = setting();
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &module).expect("it fits");
    let mut run = |name: &str| {
        let func = instance
            .get_typed_func::<(), ()>(&mut store, name)
            .expect("it is exported");
        func.call(&mut store, ())
    };
    run("fill").expect("it returns");
    memory.write(64, &[1, 2, 3]).expect("it is inside");
    run("copy").expect("it returns");
    let mut bytes = [0; 11];
    memory.read(64, &mut bytes).expect("they are inside");
    assert_eq!(bytes, [1, 2, 1, 2, 3, 7, 7, 7, 7, 7, 0]);
    let error = run("unaligned").expect_err("it traps");
    assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::HeapMisaligned));
}

#[test]
fn a_shared_memory_is_exported_as_such_and_fits_its_like_alone() {
    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    let exporter = Module::new(
        &engine,
        r#"(module (memory (export "m") 1 2 shared) (data (i32.const 1) "x"))"#,
    );
    let exporter = exporter.expect("the module is valid");
    let instance = Instance::new(&mut store, &exporter, &[]).expect("it has no imports");
    assert!(instance.get_memory(&mut store, "m").is_none());
    let memory = instance
        .get_shared_memory(&mut store, "m")
        .expect("it is exported");
    let mut byte = [0];
    memory.read(1, &mut byte).expect("it is inside");
    assert_eq!(&byte, b"x");
    let import = |ty: &str| {
        let text = format!(r#"(module (import "a" "b" (memory {ty})))"#);
        Module::new(&engine, text).expect("the module is valid")
    };
    let item = Extern::from(memory);
    assert!(Instance::new(&mut store, &import("1 2 shared"), std::slice::from_ref(&item)).is_ok());
    assert!(Instance::new(&mut store, &import("1 2"), std::slice::from_ref(&item)).is_err());
    assert!(Instance::new(&mut store, &import("1 1 shared"), std::slice::from_ref(&item)).is_err());
    let mut other = Store::new(&Engine::default(), ());
    assert!(Instance::new(&mut other, &import("1 2 shared"), &[item]).is_err());
}
