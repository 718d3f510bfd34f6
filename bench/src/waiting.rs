//! The part `waiting`: what a host function that is a future costs, and what a guest that waits for one
//! takes of memory.
//!
//! Guarantees: all guests wait at the same time, each in a store of its own, with a memory of one page
//! that it has written to; memory is what the system counts for this process, over what it was with the
//! first guest alone. Only Cellwall is measured.

use crate::clock::timed;
use crate::stats::Stat;

/// Guests that wait at a time.
pub const GUESTS: usize = 10_000;

/// What the part measures.
#[derive(Debug)]
pub struct Costs {
    /// A call of a plain host function, in nanoseconds, like the two below.
    pub plain: Stat,
    /// A call of one that is a future, ready at once.
    pub ready: Stat,
    /// A call of one that is pending once: the guest is parked and goes on.
    pub pending: Stat,
    /// Bytes of memory (resident pages) of each guest that waits.
    pub resident_bytes: u64,
    /// Bytes of page tables of each.
    pub table_bytes: u64,
}

#[cfg(feature = "cellwall")]
pub use cellwall_only::measure;

#[cfg(feature = "cellwall")]
mod cellwall_only {
    use super::{Costs, GUESTS, Stat, timed};
    use anyhow::{Context as _, Result, anyhow};
    use cellwall::{Caller, Engine, InstancePre, Linker, Module, Store};
    use std::future::Future;
    use std::pin::{Pin, pin};
    use std::task::{Context, Poll, Waker};

    const CALLS: u32 = 100_000;

    const MODULE: &str = r#"(module
        (import "host" "plain" (func $plain (param i32) (result i32)))
        (import "host" "wait" (func $wait (param i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "plain") (param $n i32)
          (loop $again
            (drop (call $plain (i32.const 0)))
            (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
        (func (export "wait") (param $n i32) (param $pauses i32)
          (i32.store (i32.const 64) (local.get $n))
          (loop $again
            (drop (call $wait (local.get $pauses)))
            (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))"#;

    /// Pending so many times, then ready.
    struct Pauses(u32);

    impl Future for Pauses {
        type Output = ();
        fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            match self.0 {
                0 => Poll::Ready(()),
                _ => {
                    self.0 -= 1;
                    Poll::Pending
                }
            }
        }
    }

    fn poll<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    fn failed(error: cellwall::Error) -> anyhow::Error {
        anyhow!("{error:?}")
    }

    /// Measures it.
    ///
    /// # Errors
    /// If something fails that should not, or the system does not tell.
    pub fn measure(rounds: usize) -> Result<Costs> {
        let engine = Engine::default();
        let module = Module::new(&engine, MODULE).map_err(failed)?;
        let mut linker = Linker::new(&engine);
        linker.func_wrap("host", "plain", |n: u32| n).map_err(failed)?;
        let wait = linker.func_wrap_async("host", "wait", |_: Caller<'_, ()>, (pauses,): (u32,)| {
            Box::new(async move {
                Pauses(pauses).await;
                pauses
            })
        });
        wait.map_err(failed)?;
        let pre = linker.instantiate_pre(&module).map_err(failed)?;
        let (resident_bytes, table_bytes) = memory(&engine, &pre)?;
        let mut rows: [Vec<f64>; 3] = Default::default();
        for _ in 0..rounds {
            let mut store = Store::new(&engine, ());
            let it = pre.instantiate(&mut store).map_err(failed)?;
            let plain = it.get_typed_func::<u32, ()>(&mut store, "plain").map_err(failed)?;
            let wait = it.get_typed_func::<(u32, u32), ()>(&mut store, "wait").map_err(failed)?;
            let (ns, done) = timed(|| plain.call(&mut store, CALLS));
            done.map_err(failed)?;
            rows[0].push(ns as f64 / f64::from(CALLS));
            for pauses in [0, 1] {
                let mut call = pin!(wait.call_async(&mut store, (CALLS, pauses)));
                let (ns, done) = timed(|| {
                    loop {
                        if let Poll::Ready(done) = poll(call.as_mut()) {
                            break done;
                        }
                    }
                });
                done.map_err(failed)?;
                rows[1 + pauses as usize].push(ns as f64 / f64::from(CALLS));
            }
        }
        let [plain, ready, pending] = rows.map(|row| Stat::of(row.into_iter()));
        Ok(Costs {
            plain: plain.context("no rounds")?,
            ready: ready.context("no rounds")?,
            pending: pending.context("no rounds")?,
            resident_bytes,
            table_bytes,
        })
    }

    /// Resident bytes and bytes of page tables of each of many guests.
    fn memory(engine: &Engine, pre: &InstancePre<()>) -> Result<(u64, u64)> {
        let begin = || -> Pin<Box<dyn Future<Output = cellwall::Result<()>>>> {
            let (engine, pre) = (engine.clone(), pre.clone());
            Box::pin(async move {
                let mut store = Store::new(&engine, ());
                let it = pre.instantiate_async(&mut store).await?;
                let wait = it.get_typed_func::<(u32, u32), ()>(&mut store, "wait")?;
                wait.call_async(&mut store, (1, 1)).await
            })
        };
        let mut guests = Vec::with_capacity(GUESTS + 1);
        let mut before = (0, 0);
        for n in 0..=GUESTS {
            let mut guest = begin();
            anyhow::ensure!(poll(guest.as_mut()).is_pending(), "a guest does not wait");
            guests.push(guest);
            if n == 0 {
                before = status()?;
            }
        }
        let after = status()?;
        for mut guest in guests {
            let Poll::Ready(done) = poll(guest.as_mut()) else {
                anyhow::bail!("a guest does not go on");
            };
            done.map_err(failed)?;
        }
        let each = |before: u64, after: u64| after.saturating_sub(before) / GUESTS as u64;
        Ok((each(before.0, after.0), each(before.1, after.1)))
    }

    /// Resident bytes and bytes of page tables of this process.
    fn status() -> Result<(u64, u64)> {
        let text = std::fs::read_to_string("/proc/self/status")?;
        let row = |name: &str| -> Result<u64> {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            let number = line.context("a row of /proc/self/status")?.trim().trim_end_matches(" kB");
            Ok(number.parse::<u64>()? << 10)
        };
        Ok((row("VmRSS:")?, row("VmPTE:")?))
    }
}
