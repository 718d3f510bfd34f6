//! Waiting for futures: in the runtime of the host, or on the guest's thread.
//!
//! Requires: where waiting is left to the host's runtime, that runtime is Tokio's, with its I/O
//! and time drivers.
//! Guarantees: on the guest's thread no runtime of the host is needed; that thread sleeps while a
//! driver, one thread for the whole process, watches descriptors and time. Waiting so is also
//! possible where a runtime of the host is present. After a cancellation every wait ends with
//! [`Trap::Interrupt`].

use crate::waiting::Waiting;
use cellwall::{Result, Trap};
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use tokio::runtime::Handle;

/// Waits for `future`, or until somebody cancels.
pub(crate) async fn wait<F: Future>(waiting: &Waiting, future: F) -> Result<F::Output> {
    if waiting.in_place {
        return block_on(until_cancelled(waiting, future))?;
    }
    until_cancelled(waiting, future).await
}

/// What `future` gives without waiting.
pub(crate) fn now<F: Future>(waiting: &Waiting, future: F) -> Result<Option<F::Output>> {
    let _entered = match waiting.in_place {
        true => Some(driver()?.enter()),
        false => None,
    };
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Ok(Some(output)),
        Poll::Pending => Ok(None),
    }
}

async fn until_cancelled<F: Future>(waiting: &Waiting, future: F) -> Result<F::Output> {
    let mut future = pin!(future);
    let Some(canceller) = &waiting.canceller else {
        return Ok(future.await);
    };
    let mut cancelled = pin!(canceller.cancelled());
    std::future::poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Ok(output));
        }
        cancelled.as_mut().poll(cx).map(|()| Err(Trap::Interrupt.into()))
    })
    .await
}

/// Runs a future to its end on this thread.
fn block_on<F: Future>(future: F) -> io::Result<F::Output> {
    let _entered = driver()?.enter();
    let mut future = pin!(future);
    // Most are ready, and need nobody to wake.
    if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        return Ok(output);
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut cx = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut cx) {
            Poll::Ready(output) => return Ok(output),
            // A wake-up that came meanwhile makes this return at once.
            Poll::Pending => std::thread::park(),
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The driver of descriptors and time, started when it is first needed: once in a process, since a child that was
/// forked has the threads of its parent no more.
pub(crate) fn driver() -> io::Result<&'static Handle> {
    static DRIVER: Mutex<Option<(u32, &'static Handle)>> = Mutex::new(None);
    let process = std::process::id();
    let mut driver = DRIVER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((owner, handle)) = *driver
        && owner == process
    {
        return Ok(handle);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let handle = Box::leak(Box::new(runtime.handle().clone()));
    std::thread::Builder::new()
        .name("cellwall-wasi".to_owned())
        .spawn(move || runtime.block_on(std::future::pending::<()>()))?;
    *driver = Some((process, handle));
    Ok(handle)
}
