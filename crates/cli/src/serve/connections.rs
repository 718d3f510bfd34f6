//! Connections: how many there are, which of them are idle, and when they end.
//!
//! Guarantees: there are never more than the limit; when it is reached, the one that had no request for the
//! longest time makes room, whatever it speaks and however far its client got. A connection that has no request
//! for too long is closed, and so is one whose client takes nothing.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// Between asking a connection to end and ending it.
const FAREWELL: Duration = Duration::from_secs(1);

/// What a connection is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Order {
    GoOn,
    /// Finish what is under way.
    Finish,
    /// Be gone.
    Break,
}

/// One connection, as seen from outside of its task.
#[derive(Debug)]
pub(super) struct Link {
    all: Arc<Connections>,
    number: u64,
    /// Requests that are not answered yet.
    requests: AtomicU32,
    /// What needs the client to go on to send: bodies of requests, requests of HTTP/2.
    uploads: AtomicU32,
    /// Whether a request's body was not read to its end.
    is_unread: AtomicBool,
    /// When it had no request any more, or was told to finish.
    since: AtomicU64,
    /// Whether the client has to take something first, since `wrote`.
    is_writing: AtomicBool,
    wrote: AtomicU64,
    order: AtomicU8,
    ordered: Notify,
}

impl Link {
    pub(super) fn order(&self) -> Order {
        match self.order.load(Ordering::Acquire) {
            0 => Order::GoOn,
            1 => Order::Finish,
            _ => Order::Break,
        }
    }

    /// Ready when there is an order that may be new.
    pub(super) async fn ordered(&self) {
        self.ordered.notified().await;
    }

    fn tell(&self, order: Order) {
        if self.order.fetch_max(order as u8, Ordering::AcqRel) < order as u8 {
            self.since.store(self.all.now(), Ordering::Relaxed);
            self.ordered.notify_one();
        }
    }

    /// A request begins. In HTTP/2 the client has to send something to the end.
    pub(super) fn begin(self: &Arc<Self>, is_http2: bool) -> Busy {
        self.requests.fetch_add(1, Ordering::Relaxed);
        Busy {
            link: self.clone(),
            _upload: is_http2.then(|| self.upload()),
        }
    }

    /// The client has to go on to send, until the value is dropped.
    pub(super) fn upload(self: &Arc<Self>) -> Upload {
        self.uploads.fetch_add(1, Ordering::Relaxed);
        Upload(self.clone())
    }

    /// Whether a whole request is being answered, and nobody waits for what the client sends.
    pub(super) fn is_answering(&self) -> bool {
        self.requests.load(Ordering::Relaxed) > 0 && self.uploads.load(Ordering::Relaxed) == 0
    }

    /// Whether the client may still be sending what nobody reads.
    pub(super) fn is_unread(&self) -> bool {
        self.is_unread.load(Ordering::Relaxed)
    }

    /// The client has to take something before more can be written, or it has taken it.
    pub(super) fn writes(&self, is_writing: bool) {
        if is_writing != self.is_writing.load(Ordering::Relaxed) {
            self.is_writing.store(is_writing, Ordering::Relaxed);
            self.wrote.store(self.all.now(), Ordering::Relaxed);
        }
    }

    /// What it is to be told now.
    fn due(&self, now: u64) -> Order {
        let is_over = |since: &AtomicU64, time: Duration| {
            u128::from(now.saturating_sub(since.load(Ordering::Relaxed))) >= time.as_millis()
        };
        let is_writing = self.is_writing.load(Ordering::Relaxed);
        let takes_nothing = is_writing && is_over(&self.wrote, self.all.patience);
        let is_idle = !is_writing && self.requests.load(Ordering::Relaxed) == 0;
        match self.order() {
            _ if takes_nothing => Order::Break,
            Order::GoOn if is_idle && is_over(&self.since, self.all.idle) => Order::Finish,
            Order::Finish if is_idle && is_over(&self.since, FAREWELL) => Order::Break,
            order => order,
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.all.lock().remove(&self.number);
        self.all.left.notify_waiters();
    }
}

/// A request of a connection, until its response is over.
#[derive(Debug)]
pub(super) struct Busy {
    link: Arc<Link>,
    _upload: Option<Upload>,
}

impl Drop for Busy {
    fn drop(&mut self) {
        let link = &self.link;
        link.since.store(link.all.now(), Ordering::Relaxed);
        link.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What the client has begun to send.
#[derive(Debug)]
pub(super) struct Upload(Arc<Link>);

impl Upload {
    /// Nobody reads the rest.
    pub(super) fn leave(self) {
        self.0.is_unread.store(true, Ordering::Relaxed);
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.0.uploads.fetch_sub(1, Ordering::Relaxed);
    }
}

/// All connections.
#[derive(Debug)]
pub(super) struct Connections {
    max: usize,
    /// How long one may have no request.
    idle: Duration,
    /// How long a client may take nothing.
    patience: Duration,
    begin: Instant,
    /// Milliseconds after `begin` when somebody looked last.
    now: AtomicU64,
    all: Mutex<BTreeMap<u64, Weak<Link>>>,
    next: AtomicU64,
    /// A connection is gone.
    left: Notify,
}

impl Connections {
    /// So many at a time, each for so long without a request, and for so long while its client takes nothing.
    pub(super) fn new(max: usize, idle: Duration, patience: Duration) -> Arc<Connections> {
        Arc::new(Connections {
            max,
            idle,
            patience,
            begin: Instant::now(),
            now: AtomicU64::new(1),
            all: Mutex::default(),
            next: AtomicU64::new(0),
            left: Notify::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Weak<Link>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    /// Those that are there. A link must not be dropped while the map is locked.
    fn links(&self) -> Vec<Arc<Link>> {
        self.lock().values().filter_map(|link| link.upgrade()).collect()
    }

    /// A new one.
    pub(super) fn open(self: &Arc<Self>) -> Arc<Link> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let link = Arc::new(Link {
            all: self.clone(),
            number,
            requests: AtomicU32::new(0),
            uploads: AtomicU32::new(0),
            is_unread: AtomicBool::new(false),
            since: AtomicU64::new(self.now()),
            is_writing: AtomicBool::new(false),
            wrote: AtomicU64::new(0),
            order: AtomicU8::new(Order::GoOn as u8),
            ordered: Notify::new(),
        });
        self.lock().insert(number, Arc::downgrade(&link));
        link
    }

    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }

    /// Ready when there is room for one more.
    pub(super) async fn room(&self) {
        self.until(|count| count < self.max, || self.close_idlest()).await;
    }

    /// Ready when there are none.
    pub(super) async fn none(&self) {
        self.until(|count| count == 0, || ()).await;
    }

    async fn until(&self, enough: impl Fn(usize) -> bool, otherwise: impl Fn()) {
        loop {
            let left = self.left.notified();
            if enough(self.count()) {
                return;
            }
            otherwise();
            // One that is busy now is idle later, and nobody says so.
            let _ = tokio::time::timeout(Duration::from_millis(100), left).await;
        }
    }

    /// Ends the connection that had no request for the longest time, if one has none.
    pub(super) fn close_idlest(&self) {
        let links = self.links();
        if links.iter().any(|link| link.order() == Order::Break) {
            return;
        }
        let idle = links
            .iter()
            .filter(|link| link.requests.load(Ordering::Relaxed) == 0);
        if let Some(link) = idle.min_by_key(|link| (link.since.load(Ordering::Relaxed), link.number)) {
            link.tell(Order::Break);
        }
    }

    /// Lets all finish what is under way.
    pub(super) fn finish(&self) {
        self.links().iter().for_each(|link| link.tell(Order::Finish));
    }

    /// Ends all.
    pub(super) fn break_all(&self) {
        self.links().iter().for_each(|link| link.tell(Order::Break));
    }

    /// Looks at the clock, for times that are counted from then on.
    pub(super) fn tick(&self) {
        let now = u64::try_from(self.begin.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.now.store(now.max(1), Ordering::Relaxed);
    }

    /// Closes those that are idle for too long.
    pub(super) fn sweep(&self) {
        let now = self.now();
        for link in self.links() {
            link.tell(link.due(now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(30);
    const PATIENCE: Duration = Duration::from_secs(300);

    #[test]
    fn who_is_idle_for_too_long_is_told_so() {
        let all = Connections::new(10, IDLE, PATIENCE);
        let link = all.open();
        assert_eq!(link.due(30_000), Order::GoOn);
        assert_eq!(link.due(30_001), Order::Finish);
        let busy = link.begin(false);
        assert_eq!(link.due(1_000_000), Order::GoOn);
        all.now.store(50_000, Ordering::Relaxed);
        drop(busy);
        assert_eq!(link.due(79_999), Order::GoOn);
        assert_eq!(link.due(80_000), Order::Finish);
        link.tell(Order::Finish);
        assert_eq!(link.due(50_999), Order::Finish);
        assert_eq!(link.due(51_000), Order::Break);
    }

    #[test]
    fn who_takes_something_is_not_idle_and_who_takes_nothing_is_gone() {
        let all = Connections::new(10, IDLE, PATIENCE);
        let link = all.open();
        all.now.store(1_000, Ordering::Relaxed);
        link.writes(true);
        assert_eq!(link.due(300_999), Order::GoOn);
        assert_eq!(link.due(301_000), Order::Break);
        all.now.store(200_000, Ordering::Relaxed);
        link.writes(false);
        link.writes(true);
        assert_eq!(link.due(301_000), Order::GoOn);
    }

    #[test]
    fn a_request_is_answered_once_it_is_whole() {
        let all = Connections::new(10, IDLE, PATIENCE);
        let link = all.open();
        assert!(!link.is_answering());
        let request = link.begin(false);
        assert!(link.is_answering());
        let upload = link.upload();
        assert!(!link.is_answering());
        drop(upload);
        assert!(link.is_answering());
        drop(request);
        assert!(!link.is_answering());
        let _request = link.begin(true);
        assert!(!link.is_answering());
    }

    #[test]
    fn the_idlest_makes_room_and_the_busy_do_not() {
        let all = Connections::new(3, IDLE, PATIENCE);
        let (busy, idlest, idle) = (all.open(), all.open(), all.open());
        let request = busy.begin(false);
        all.now.store(9, Ordering::Relaxed);
        drop(idle.begin(false));
        all.close_idlest();
        let orders = || [busy.order(), idlest.order(), idle.order()];
        assert_eq!(orders(), [Order::GoOn, Order::Break, Order::GoOn]);
        // One at a time.
        all.close_idlest();
        assert_eq!(orders(), [Order::GoOn, Order::Break, Order::GoOn]);
        assert_eq!(all.count(), 3);
        drop((request, busy, idle));
        assert_eq!(all.count(), 1);
    }
}
