//! One guest: made for a request, run to its end, and gone.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use cellwall::{Engine, Error, Store};
use cellwall_wasi::I32Exit;
use cellwall_wasi::http::{HandlerPre, IncomingRequest, ResponseOutparam};

use super::requests::{Current, Ended};
use super::{Branch, Server};
use crate::host::Host;

type MakeHost = dyn Fn() -> Host + Send + Sync;

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
        host: impl Fn() -> Host + Send + Sync + 'static,
    ) -> Guests {
        Guests {
            engine: engine.clone(),
            pre,
            host: Arc::new(host),
        }
    }
}

/// A request that has taken a place, until its guest is gone: also where that panics.
pub(super) struct Flight {
    branch: Arc<Branch>,
    pub(super) current: Arc<Current>,
    begin: Instant,
}

impl Flight {
    pub(super) fn new(branch: &Arc<Branch>) -> Flight {
        branch.metrics.begin();
        Flight {
            branch: branch.clone(),
            current: branch.requests.begin(),
            begin: Instant::now(),
        }
    }
}

impl Flight {
    /// Says how the guest ended, and counts it: before its store goes, and with it what waits for the response.
    fn end(&self, how: Ended) {
        self.current.end(how);
        self.branch.metrics.end(self.begin.elapsed(), how);
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if self.current.ended() == Ended::Running {
            self.end(Ended::Trapped);
        }
        self.branch.requests.end(&self.current);
        self.branch.server.places.add_permits(1);
    }
}

/// Runs a guest for a request to its end.
pub(super) async fn run(flight: Flight, request: IncomingRequest, param: ResponseOutparam) {
    let (server, current) = (&flight.branch.server, &flight.current);
    // Its client left while it was in the queue.
    if let Some(how) = current.wanted() {
        flight.end(how);
        return;
    }
    let guests = &server.guests;
    let mut store = Store::new(&guests.engine, (guests.host)());
    store.limiter(|host| &mut host.limits);
    let waker = poll_fn(|context| Poll::Ready(context.waker().clone())).await;
    current.runs(waker, store.interrupt_handle());
    let handling = async {
        let handler = guests.pre.instantiate(&mut store).await?;
        handler.handle(&mut store, request, param).await
    };
    let result = unless(handling, || current.wanted().is_some()).await;
    let how = match (&result, current.wanted()) {
        (Some(Ok(())), _) => Ended::Well,
        // A guest that was interrupted ends with a trap.
        (_, Some(how)) => how,
        (Some(Err(error)), None) if error.downcast_ref::<I32Exit>() == Some(&I32Exit(0)) => Ended::Well,
        (Some(Err(_)) | None, None) => Ended::Trapped,
    };
    flight.end(how);
    match (how, result) {
        (Ended::Trapped, Some(Err(error))) => complain(server, current, &error),
        (Ended::Late, _) => {
            let time = server.options.timeout;
            server.journal.complain(&format!(
                "request {}: stopped, it took longer than {time:?}",
                current.number()
            ));
        }
        (Ended::Starved, _) => {
            server.journal.complain(&format!(
                "request {}: stopped, its client was too slow",
                current.number()
            ));
        }
        _ => {}
    }
}

fn complain(server: &Server, current: &Current, error: &Error) {
    let number = current.number();
    server.journal.complain(&format!("request {number}: {error:#}"));
}

/// What a future ends with, unless `stop` says so: who wants that wakes the task.
async fn unless<F: Future>(future: F, stop: impl Fn() -> bool) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|context| match stop() {
        true => Poll::Ready(None),
        false => future.as_mut().poll(context).map(Some),
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use super::*;

    #[test]
    fn a_future_ends_by_itself_or_is_stopped() {
        let poll = |future: &mut (dyn Future<Output = Option<u32>> + Unpin)| {
            pin!(future).poll(&mut Context::from_waker(Waker::noop()))
        };
        assert_eq!(
            poll(&mut pin!(unless(async { 5 }, || false))),
            Poll::Ready(Some(5))
        );
        assert_eq!(poll(&mut pin!(unless(async { 5 }, || true))), Poll::Ready(None));
        let is_stopped = std::cell::Cell::new(false);
        let mut waiting = pin!(unless(std::future::pending(), || is_stopped.get()));
        assert_eq!(poll(&mut waiting), Poll::Pending);
        is_stopped.set(true);
        assert_eq!(poll(&mut waiting), Poll::Ready(None));
    }
}
