//! Requests that are under way, and the time that their guests take.
//!
//! Guarantees: a guest that makes its client wait for longer than it may is stopped, whether it
//! computes or waits itself. The time in which the client makes the guest wait does not count.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use cellwall::InterruptHandle;

/// Between two looks at the clock.
const TICK: Duration = Duration::from_millis(25);

/// Without the client taking anything, after which it is taken for gone.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(300);

/// The client has what it can take for now.
const TAKES: u64 = 1;
/// The guest needs what the client is to send.
const SENDS: u64 = 2;

/// How a guest ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Ended {
    Running,
    Well,
    Trapped,
    /// It took too long.
    Late,
    /// Nobody needed it any more.
    Stopped,
}

impl Ended {
    fn of(number: u8) -> Ended {
        match number {
            0 => Ended::Running,
            1 => Ended::Well,
            2 => Ended::Trapped,
            3 => Ended::Late,
            _ => Ended::Stopped,
        }
    }
}

/// One request.
#[derive(Debug)]
pub(super) struct Current {
    number: u64,
    begin: Instant,
    ended: AtomicU8,
    /// How it is to end, if not by itself.
    wanted: AtomicU8,
    /// Milliseconds after `begin` since when somebody waits; the lowest bits are [`TAKES`] and [`SENDS`].
    waiting: AtomicU64,
    /// How to stop it, once it runs.
    running: OnceLock<(Thread, InterruptHandle)>,
}

impl Current {
    /// Counted from 1.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn ended(&self) -> Ended {
        Ended::of(self.ended.load(Ordering::Acquire))
    }

    pub(super) fn end(&self, how: Ended) {
        self.ended.store(how as u8, Ordering::Release);
    }

    /// How it should end, if it should.
    pub(super) fn wanted(&self) -> Option<Ended> {
        Some(Ended::of(self.wanted.load(Ordering::Acquire))).filter(|ended| *ended != Ended::Running)
    }

    /// Says on which thread and how the guest is stopped.
    pub(super) fn runs(&self, interrupt: InterruptHandle) {
        let _ = self.running.set((std::thread::current(), interrupt));
    }

    /// Ends the guest, wherever it is.
    pub(super) fn stop(&self, how: Ended) {
        let running = Ended::Running as u8;
        let _ = self
            .wanted
            .compare_exchange(running, how as u8, Ordering::AcqRel, Ordering::Acquire);
        if let Some((thread, interrupt)) = self.running.get() {
            interrupt.interrupt();
            thread.unpark();
        }
    }

    /// Sets what the guest waits for among `bits`, from now on.
    fn wait(&self, bits: u64, set: bool) {
        let now = u64::try_from(self.begin.elapsed().as_millis()).unwrap_or(u64::MAX >> 2) << 2;
        let update = |old: u64| Some(now | if set { old & 3 | bits } else { old & 3 & !bits });
        // It never fails: the closure always has a value.
        let _ = self
            .waiting
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, update);
    }

    /// Says whether the client has to take something before it needs more of the guest.
    pub(super) fn client_takes(&self, takes: bool) {
        self.wait(TAKES, takes);
    }

    /// Says whether the guest reads what the client did not send yet.
    pub(super) fn client_sends(&self, sends: bool) {
        self.wait(SENDS, sends);
    }

    /// For how long somebody waits, and whether that is the guest for its client.
    fn waiting(&self) -> (Duration, bool) {
        let waiting = self.waiting.load(Ordering::Relaxed);
        let since = Duration::from_millis(waiting >> 2);
        (self.begin.elapsed().saturating_sub(since), waiting & 3 != 0)
    }
}

/// All requests that are under way.
#[derive(Debug)]
pub(super) struct Requests {
    timeout: Duration,
    next: AtomicU64,
    all: Mutex<BTreeMap<u64, Arc<Current>>>,
}

impl Requests {
    pub(super) fn new(timeout: Duration) -> Requests {
        Requests {
            timeout,
            next: AtomicU64::new(1),
            all: Mutex::default(),
        }
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Current>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begin(&self) -> Arc<Current> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let current = Arc::new(Current {
            number,
            begin: Instant::now(),
            ended: AtomicU8::new(0),
            wanted: AtomicU8::new(0),
            waiting: AtomicU64::new(0),
            running: OnceLock::new(),
        });
        self.all().insert(number, current.clone());
        current
    }

    pub(super) fn end(&self, current: &Current) {
        self.all().remove(&current.number);
    }

    pub(super) fn count(&self) -> usize {
        self.all().len()
    }

    /// Stops those that take too long, for ever.
    pub(super) async fn watch(&self) {
        loop {
            tokio::time::sleep(TICK).await;
            let late = |current: &Arc<Current>| {
                let (time, is_guest) = current.waiting();
                time > if is_guest { CLIENT_TIMEOUT } else { self.timeout }
            };
            let late: Vec<Arc<Current>> = self.all().values().filter(|c| late(c)).cloned().collect();
            for current in late {
                current.stop(Ended::Late);
            }
        }
    }

    pub(super) fn stop_all(&self) {
        for current in self.all().values() {
            current.stop(Ended::Stopped);
        }
    }
}

/// Stops a guest whose client is gone.
pub(super) struct StopOnDrop(Option<Arc<Current>>);

impl StopOnDrop {
    pub(super) fn new(current: Arc<Current>) -> StopOnDrop {
        StopOnDrop(Some(current))
    }

    pub(super) fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        if let Some(current) = &self.0 {
            current.stop(Ended::Stopped);
        }
    }
}
