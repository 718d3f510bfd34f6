//! One guest: made for a request, run on a thread of its own, and gone.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use cellwall::{Engine, Error, Store};
use cellwall_wasi::I32Exit;
use cellwall_wasi::http::{HandlerPre, IncomingRequest, ResponseOutparam};

use super::Server;
use super::requests::{Current, Ended};
use crate::host::Host;

type MakeHost = dyn Fn() -> Result<Host, Error> + Send + Sync;

/// How guests are made.
#[derive(Clone)]
pub(crate) struct Guests {
    engine: Engine,
    pre: HandlerPre<Host>,
    host: Arc<MakeHost>,
}

impl Guests {
    /// Guests of one component; `host` makes what each of them is granted.
    pub(crate) fn new(
        engine: &Engine,
        pre: HandlerPre<Host>,
        host: impl Fn() -> Result<Host, Error> + Send + Sync + 'static,
    ) -> Guests {
        Guests {
            engine: engine.clone(),
            pre,
            host: Arc::new(host),
        }
    }
}

/// Runs a guest for a request to its end, on this thread.
pub(super) fn run(server: &Server, current: &Current, request: IncomingRequest, param: ResponseOutparam) {
    let guests = &server.guests;
    let mut store = match (guests.host)() {
        Ok(host) => Store::new(&guests.engine, host),
        Err(error) => {
            current.end(Ended::Trapped);
            server
                .journal
                .complain(&format!("request {}: {error:#}", current.number()));
            return;
        }
    };
    store.limiter(|host| &mut host.limits);
    current.runs(store.interrupt_handle());
    let handling = async {
        let handler = guests.pre.instantiate(&mut store).await?;
        handler.handle(&mut store, request, param).await
    };
    let result = block_on(handling, || current.wanted().is_some());
    let how = match (&result, current.wanted()) {
        (Some(Ok(())), _) => Ended::Well,
        // A guest that was interrupted ends with a trap.
        (_, Some(how)) => how,
        (Some(Err(error)), None) if error.downcast_ref::<I32Exit>() == Some(&I32Exit(0)) => Ended::Well,
        (Some(Err(_)) | None, None) => Ended::Trapped,
    };
    // Said before the store goes, and with it what waits for the response.
    current.end(how);
    match (how, result) {
        (Ended::Trapped, Some(Err(error))) => {
            server
                .journal
                .complain(&format!("request {}: {error:#}", current.number()));
        }
        (Ended::Late, _) => {
            let time = server.options.timeout;
            server.journal.complain(&format!(
                "request {}: stopped, it took longer than {time:?}",
                current.number()
            ));
        }
        _ => {}
    }
    drop(store);
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future to its end on this thread, or until `stop` says so: who wants that wakes the thread.
fn block_on<F: Future>(future: F, stop: impl Fn() -> bool) -> Option<F::Output> {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if stop() {
            return None;
        }
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return Some(output),
            Poll::Pending => std::thread::park(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_future_ends_by_itself_or_is_stopped() {
        assert_eq!(block_on(async { 5 }, || false), Some(5));
        assert_eq!(block_on(async { 5 }, || true), None);
        let main = std::thread::current();
        let stopped = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let flag = stopped.clone();
        let stopper = std::thread::spawn(move || {
            flag.store(true, std::sync::atomic::Ordering::SeqCst);
            main.unpark();
        });
        let never = std::future::pending::<()>();
        assert_eq!(
            block_on(never, || stopped.load(std::sync::atomic::Ordering::SeqCst)),
            None
        );
        stopper.join().unwrap();
    }
}
