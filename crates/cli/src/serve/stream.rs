//! The streams of HTTP/2 connections, each a task beside that of its connection.
//!
//! Guarantees: a stream in which nothing happens for too long is gone, with what waits in it for its client,
//! whatever the connection's other streams do. HTTP/1 has no need of it: there the connection says whether its
//! client takes anything.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use super::shard::Shard;

/// Starts what `hyper` starts beside a connection, on the connection's shard.
#[derive(Clone)]
pub(super) struct Executor {
    pub(super) shard: Arc<Shard>,
    /// How long nothing may happen.
    pub(super) patience: Duration,
}

impl<F> hyper::rt::Executor<F> for Executor
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, work: F) {
        self.shard.spawn(Patient {
            work: Box::pin(work),
            patience: self.patience,
            late: None,
        });
    }
}

/// Work that is dropped if nothing calls for it for too long.
struct Patient<F> {
    work: Pin<Box<F>>,
    patience: Duration,
    late: Option<Pin<Box<Sleep>>>,
}

impl<F: Future<Output = ()>> Future for Patient<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let is_late = |late: &mut Pin<Box<Sleep>>| late.as_mut().poll(context).is_ready();
        if this.late.as_mut().is_some_and(is_late) || this.work.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        let next = Instant::now() + this.patience;
        let late = this.late.get_or_insert_with(|| Box::pin(sleep_until(next)));
        late.as_mut().reset(next);
        late.as_mut().poll(context)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::mpsc::channel;
    use std::sync::{Mutex, PoisonError};
    use std::task::Waker;

    use super::*;

    struct OnDrop(std::sync::mpsc::Sender<u32>);

    impl Drop for OnDrop {
        fn drop(&mut self) {
            let _ = self.0.send(0);
        }
    }

    fn patient(
        patience: Duration,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> impl Future<Output = ()> {
        let (work, late) = (Box::pin(work), None);
        Patient { work, patience, late }
    }

    fn run(work: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(work);
    }

    #[test]
    fn work_that_nothing_calls_for_is_gone() {
        let (says, said) = channel();
        let held = OnDrop(says);
        run(patient(Duration::from_millis(20), async move {
            let _held = held;
            std::future::pending().await
        }));
        assert_eq!(said.try_recv(), Ok(0));
    }

    #[test]
    fn work_that_is_called_for_goes_on() {
        let (says, said) = channel();
        let waker: Arc<Mutex<Option<Waker>>> = Arc::default();
        let own = waker.clone();
        // It would be late after the first three calls if they did not count.
        let work = patient(Duration::from_secs(3600), async move {
            for count in 1..=3 {
                let mut is_called = false;
                poll_fn(|context| {
                    if std::mem::replace(&mut is_called, true) {
                        return Poll::Ready(());
                    }
                    *own.lock().unwrap_or_else(PoisonError::into_inner) = Some(context.waker().clone());
                    Poll::Pending
                })
                .await;
                says.send(count).unwrap();
            }
        });
        let calls = std::thread::spawn(move || {
            for _ in 0..3 {
                let waker = loop {
                    match waker.lock().unwrap_or_else(PoisonError::into_inner).take() {
                        Some(waker) => break waker,
                        None => std::thread::yield_now(),
                    }
                };
                waker.wake();
            }
        });
        run(work);
        calls.join().unwrap();
        assert_eq!(said.iter().collect::<Vec<_>>(), [1, 2, 3]);
    }
}
