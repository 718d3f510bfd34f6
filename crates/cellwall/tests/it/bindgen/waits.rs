//! Functions of the host that are futures, and calls that wait for them.

use cellwall::component::{Component, HasSelf, Linker, Resource, ResourceTable};
use cellwall::{Engine, Result, Store};
use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

mod bindings {
    cellwall::component::bindgen!({
        inline: r#"
            package test:waits;

            interface host {
                resource clock {
                    constructor();
                    tick: func(by: u32) -> u32;
                }
                log: func(line: string);
            }
            world guest {
                import host;
                export run: func() -> u32;
            }
        "#,
        imports: {
            "test:waits/host.[method]clock.tick": async,
            "test:waits/host.[drop]clock": async,
            "test:waits/host.log": async | trappable,
        },
        exports: { default: async },
        with: { "test:waits/host.clock": super::Clock },
    });
}

pub(crate) struct Clock(u32);

#[derive(Default)]
struct Host {
    table: ResourceTable,
    lines: Vec<String>,
}

/// Is pending once.
async fn wait() {
    let mut waited = false;
    poll_fn(|_| match std::mem::replace(&mut waited, true) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    })
    .await;
}

impl bindings::test::waits::host::Host for Host {
    async fn log(&mut self, line: String) -> Result<()> {
        wait().await;
        self.lines.push(line);
        Ok(())
    }
}

impl bindings::test::waits::host::HostClock for Host {
    fn new(&mut self) -> Resource<Clock> {
        self.table.push(Clock(0)).expect("there is room")
    }

    async fn tick(&mut self, self_: Resource<Clock>, by: u32) -> u32 {
        wait().await;
        let clock = self.table.get_mut(&self_).expect("it is there");
        clock.0 += by;
        clock.0
    }

    async fn drop(&mut self, rep: Resource<Clock>) -> Result<()> {
        wait().await;
        self.table.delete(rep)?;
        Ok(())
    }
}

const GUEST: &str = r#"(component
  (import "test:waits/host" (instance $host
    (export "clock" (type $clock (sub resource)))
    (export "[constructor]clock" (func (result (own $clock))))
    (export "[method]clock.tick" (func (param "self" (borrow $clock)) (param "by" u32) (result u32)))
    (export "log" (func (param "line" string)))))
  (alias export $host "clock" (type $clock))
  (core module $libc (memory (export "memory") 1) (data (i32.const 8) "tick"))
  (core instance $libc (instantiate $libc))
  (core func $new (canon lower (func $host "[constructor]clock")))
  (core func $tick (canon lower (func $host "[method]clock.tick")))
  (core func $log (canon lower (func $host "log") (memory (core memory $libc "memory"))))
  (core func $drop (canon resource.drop $clock))
  (core module $m
    (import "" "new" (func $new (result i32)))
    (import "" "tick" (func $tick (param i32 i32) (result i32)))
    (import "" "log" (func $log (param i32 i32)))
    (import "" "drop" (func $drop (param i32)))
    (func (export "run") (result i32)
      (local $clock i32)
      (local.set $clock (call $new))
      (call $log (i32.const 8) (i32.const 4))
      (drop (call $tick (local.get $clock) (i32.const 5)))
      (call $tick (local.get $clock) (i32.const 7))
      (call $drop (local.get $clock))))
  (core instance $m (instantiate $m (with "" (instance
    (export "new" (func $new)) (export "tick" (func $tick)) (export "log" (func $log))
    (export "drop" (func $drop))))))
  (func (export "run") (result u32) (canon lift (core func $m "run"))))"#;

fn linker(engine: &Engine) -> Result<Linker<Host>> {
    let mut linker = Linker::new(engine);
    bindings::Guest::add_to_linker::<_, HasSelf<_>>(&mut linker, |host: &mut Host| host)?;
    Ok(linker)
}

/// Polls a future to its end; how often it was pending.
fn poll<R>(future: impl Future<Output = R>) -> (R, usize) {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    for pending in 0..100 {
        if let Poll::Ready(result) = future.as_mut().poll(&mut context) {
            return (result, pending);
        }
    }
    panic!("it does not end");
}

#[test]
fn what_waits_is_waited_for() -> Result<()> {
    let engine = Engine::default();
    let component = Component::new(&engine, GUEST)?;
    let linker = linker(&engine)?;
    let mut store = Store::new(&engine, Host::default());
    let (guest, _) = poll(bindings::Guest::instantiate_async(
        &mut store, &component, &linker,
    ));
    let guest = guest?;
    let (result, pending) = poll(guest.call_run(&mut store));
    assert_eq!(
        (result?, pending),
        (12, 4),
        "each function waits once, but for the constructor"
    );
    assert_eq!(store.data().lines, ["tick"]);
    assert!(store.data().table.is_empty());
    Ok(())
}

/// The neighbour: a plain call meets what has to wait.
#[test]
fn a_plain_call_does_not_wait() -> Result<()> {
    let engine = Engine::default();
    let component = Component::new(&engine, GUEST)?;
    let mut store = Store::new(&engine, Host::default());
    let instance = linker(&engine)?.instantiate(&mut store, &component)?;
    let run = instance.get_typed_func::<(), (u32,)>(&mut store, "run")?;
    let error = run.call(&mut store, ()).expect_err("it has to wait");
    assert!(format!("{error:?}").contains("call_async"), "{error:?}");
    Ok(())
}
