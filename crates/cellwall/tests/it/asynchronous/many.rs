//! Many guests that wait at a time: on a few threads of an executor, and in any order.

use super::{Pauses, poll};
use cellwall::component::{Component, Linker};
use cellwall::{Engine, Result, Store};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;
use tokio::sync::Barrier;

const GUESTS: usize = 10_000;

const WAITS: &str = r#"(component
    (import "wait" (func $wait (param "n" u32) (result u32)))
    (core func $wait (canon lower (func $wait)))
    (core module $m
      (import "" "wait" (func $wait (param i32) (result i32)))
      (memory 1)
      (func $deep (param $depth i32) (param $n i32) (result i32)
        (if (result i32) (local.get $depth)
          (then (i32.add (call $deep (i32.sub (local.get $depth) (i32.const 1)) (local.get $n))
            (i32.const 1)))
          (else
            (i32.store (i32.const 64) (local.get $n))
            (drop (call $wait (local.get $n)))
            (call $wait (i32.load (i32.const 64))))))
      (func (export "run") (param i32 i32) (result i32) (call $deep (local.get 0) (local.get 1))))
    (core instance $i (instantiate $m (with "" (instance (export "wait" (func $wait))))))
    (func (export "run") (param "depth" u32) (param "n" u32) (result u32)
      (canon lift (core func $i "run"))))"#;

#[test]
fn ten_thousand_guests_wait_on_two_threads() {
    let engine = Engine::default();
    let component = Component::new(&engine, WAITS).expect("it is valid");
    let mut linker = Linker::<(Arc<Barrier>, Arc<AtomicUsize>)>::new(&engine);
    let wait = linker.root().func_wrap_async("wait", |store, (n,): (u32,)| {
        let (barrier, waiting) = store.data().clone();
        Box::new(async move {
            waiting.fetch_add(1, Ordering::Relaxed);
            // All of them wait here, twice: nobody goes on before everybody is here.
            barrier.wait().await;
            Ok((n * 2,))
        })
    });
    wait.expect("it is not defined");
    let linker = linker.instantiate_pre(&component).expect("all is there");
    let threads = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .expect("two threads");
    let (barrier, waiting) = (Arc::new(Barrier::new(GUESTS)), Arc::new(AtomicUsize::new(0)));
    let guests = async {
        let spawned: Vec<_> = (0..GUESTS as u32)
            .map(|n| {
                let (engine, linker) = (engine.clone(), linker.clone());
                let data = (barrier.clone(), waiting.clone());
                tokio::spawn(async move {
                    let mut store = Store::new(&engine, data);
                    let it = linker.instantiate_async(&mut store).await?;
                    let run = it.get_typed_func::<(u32, u32), (u32,)>(&mut store, "run")?;
                    run.call_async(&mut store, (n % 7, n)).await
                })
            })
            .collect();
        for (n, guest) in spawned.into_iter().enumerate() {
            let done: Result<(u32,)> = guest.await.expect("no guest panics");
            assert_eq!(done.expect("it returns").0 as usize, 2 * n + n % 7);
        }
    };
    let done = threads.block_on(async { tokio::time::timeout(Duration::from_secs(120), guests).await });
    done.expect("they are through in time");
    assert_eq!(waiting.load(Ordering::Relaxed), 2 * GUESTS);
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit
    }
}

type Call = Pin<Box<dyn Future<Output = Result<(u32,)>> + Send>>;

/// In any order, on any thread, guests begin, go on and are dropped: each comes to what it would alone.
#[test]
fn guests_do_not_get_into_each_others_way() {
    let engine = Engine::default();
    let component = Component::new(&engine, WAITS).expect("it is valid");
    let mut linker = Linker::<()>::new(&engine);
    let wait = linker.root().func_wrap_async("wait", |_, (n,): (u32,)| {
        Box::new(async move {
            Pauses(n % 5).await;
            Ok((n * 2,))
        })
    });
    wait.expect("it is not defined");
    let linker = linker.instantiate_pre(&component).expect("all is there");
    let mut random = Random(0x5eed);
    let mut calls: Vec<(u32, Call)> = Vec::new();
    let mut ended = 0;
    for n in 0..20_000u32 {
        if calls.is_empty() || (calls.len() < 200 && random.below(4) == 0) {
            let (engine, linker) = (engine.clone(), linker.clone());
            let depth = random.below(2000) as u32;
            let call = async move {
                let mut store = Store::new(&engine, ());
                let it = linker.instantiate(&mut store)?;
                let run = it.get_typed_func::<(u32, u32), (u32,)>(&mut store, "run")?;
                run.call_async(&mut store, (depth, n)).await
            };
            calls.push((depth + 2 * n, Box::pin(call)));
        }
        let at = random.below(calls.len());
        if random.below(50) == 0 {
            drop(calls.swap_remove(at));
            continue;
        }
        let call = calls[at].1.as_mut();
        let polled = match random.below(20) {
            0 => std::thread::scope(|scope| scope.spawn(|| poll(call)).join().expect("it does not panic")),
            _ => poll(call),
        };
        if let Poll::Ready(done) = polled {
            assert_eq!(done.expect("it returns").0, calls.swap_remove(at).0);
            ended += 1;
        }
    }
    assert!(ended > 1000, "{ended} guests came to their end");
}
