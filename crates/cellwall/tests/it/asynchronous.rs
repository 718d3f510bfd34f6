//! Host functions that are futures: guests that wait for them, on one thread after the other, and what
//! becomes of those that are not waited for.

mod component;
mod core;
mod many;

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

/// Pending so many times, then ready.
struct Pauses(u32);

impl Future for Pauses {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<()> {
        if self.0 == 0 {
            return Poll::Ready(());
        }
        self.0 -= 1;
        task.waker().wake_by_ref();
        Poll::Pending
    }
}

fn poll<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Polls until it is ready; how often it was not, too.
fn drive<F: Future>(future: F) -> (F::Output, u32) {
    let mut future = pin!(future);
    let mut pauses = 0;
    loop {
        if let Poll::Ready(output) = poll(future.as_mut()) {
            return (output, pauses);
        }
        pauses += 1;
        assert!(pauses < 10_000, "it ends");
    }
}

fn ready<F: Future>(future: F) -> F::Output {
    drive(future).0
}

/// Polls each time on a thread that has just begun and ends then.
fn ready_on_many_threads<F: Future<Output: Send> + Send>(future: F) -> F::Output {
    let mut future = pin!(future);
    for _ in 0..1000 {
        let polled = std::thread::scope(|scope| scope.spawn(|| poll(future.as_mut())).join());
        match polled {
            Ok(Poll::Ready(output)) => return output,
            Ok(Poll::Pending) => {}
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
    panic!("it ends");
}
