//! Where sockets are registered and work goes on in the background.
//!
//! Guarantees: inside a Tokio runtime that is where; outside of any it is the driver of this crate, one
//! thread for the process. So guests that wait on their thread need no runtime of their host.

use crate::p2::driver;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use tokio::runtime::Handle;
use tokio::task::{JoinHandle, unconstrained};

/// Runs `body` where sockets can be registered and timers started.
pub(crate) fn inside<R>(body: impl FnOnce() -> R) -> io::Result<R> {
    let _guard = match Handle::try_current() {
        Ok(_) => None,
        Err(_) => Some(driver()?.enter()),
    };
    Ok(body())
}

/// Begins work in the background. It goes on when the [`Task`] is dropped.
pub(crate) fn spawn<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> io::Result<Task<T>> {
    inside(|| Task(tokio::spawn(work)))
}

/// Work in the background, and then its result, which can be taken once.
#[derive(Debug)]
pub(crate) struct Task<T>(JoinHandle<T>);

impl<T> Task<T> {
    /// The result, if it is there.
    pub(crate) fn take(&mut self) -> Option<T> {
        match Pin::new(self).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(result) => Some(result),
            Poll::Pending => None,
        }
    }

    /// What tells whether it goes on.
    #[cfg(test)]
    pub(crate) fn abort_handle(&self) -> tokio::task::AbortHandle {
        self.0.abort_handle()
    }

    /// Ends the work where it is.
    pub(crate) fn abort(&self) {
        self.0.abort();
    }
}

impl<T> Future for Task<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        // A guest that polls much must not be told that its share is used up.
        match pin!(unconstrained(&mut self.0)).poll(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(result)) => Poll::Ready(result),
            Poll::Ready(Err(error)) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime is shutting down, and nobody waits for long.
                Err(_) => Poll::Pending,
            },
        }
    }
}

/// Work that ends with whoever waits for it.
#[derive(Debug)]
pub(crate) struct AbortOnDrop<T>(pub(crate) Task<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Waits for `ready`, of which nothing is lost when it is dropped, without using up the share of a
/// Tokio task.
pub(crate) async fn patiently<T>(ready: impl Future<Output = T>) -> T {
    let mut ready = pin!(unconstrained(ready));
    poll_fn(|context| ready.as_mut().poll(context)).await
}
