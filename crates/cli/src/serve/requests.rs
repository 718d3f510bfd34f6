//! Requests that are under way, and the time that their guests take.
//!
//! Guarantees: a guest that makes its client wait for longer than it may is stopped, whether it
//! computes or waits itself. The time in which the client makes the guest wait does not count; it has a limit of
//! its own, which grows with what the client takes and sends.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use cellwall::InterruptHandle;

/// For so many bytes that go either way a client gets a second more.
const BYTES_PER_SECOND_MIN: u64 = 240;

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
    /// Its client took too long.
    Starved,
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
            4 => Ended::Starved,
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
    /// Milliseconds for which the guest has waited for its client before that,
    waited: AtomicU64,
    /// and bytes that the client took and sent.
    bytes: AtomicU64,
    /// How to stop it, once it runs.
    running: OnceLock<(Waker, InterruptHandle)>,
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

    /// Says how the guest is stopped: where it waits, and where it runs.
    pub(super) fn runs(&self, waker: Waker, interrupt: InterruptHandle) {
        let _ = self.running.set((waker, interrupt));
    }

    /// Ends the guest, wherever it is.
    pub(super) fn stop(&self, how: Ended) {
        let running = Ended::Running as u8;
        let _ = self
            .wanted
            .compare_exchange(running, how as u8, Ordering::AcqRel, Ordering::Acquire);
        if let Some((waker, interrupt)) = self.running.get() {
            interrupt.interrupt();
            waker.wake_by_ref();
        }
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.begin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Sets what the guest waits for among `bits`, from now on.
    fn wait(&self, bits: u64, set: bool) {
        let now = self.millis();
        let update = |old: u64| Some(now << 2 | if set { old & 3 | bits } else { old & 3 & !bits });
        let old = self
            .waiting
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, update);
        let old = old.expect("the closure always has a value");
        if old & 3 != 0 {
            let time = now.saturating_sub(old >> 2);
            self.waited.fetch_add(time, Ordering::Relaxed);
        }
    }

    /// Says whether the client has to take something before it needs more of the guest.
    pub(super) fn client_takes(&self, takes: bool) {
        self.wait(TAKES, takes);
    }

    /// Says whether the guest reads what the client did not send yet.
    pub(super) fn client_sends(&self, sends: bool) {
        self.wait(SENDS, sends);
    }

    /// The client took or sent so many bytes.
    pub(super) fn moved(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// How it is to end for whom it made wait: its client for longer than `timeout`, or itself because of its
    /// client for longer than `patience`.
    fn due(&self, now: u64, timeout: Duration, patience: Duration) -> Option<Ended> {
        let is_over = |time: u64, limit: Duration| u128::from(time) > limit.as_millis();
        let waiting = self.waiting.load(Ordering::Relaxed);
        let time = now.saturating_sub(waiting >> 2);
        if waiting & 3 == 0 {
            return is_over(time, timeout).then_some(Ended::Late);
        }
        let seconds = self.bytes.load(Ordering::Relaxed) / BYTES_PER_SECOND_MIN;
        let all = time.saturating_add(self.waited.load(Ordering::Relaxed));
        let is_slow = is_over(all, patience.saturating_add(Duration::from_secs(seconds)));
        (is_over(time, patience) || is_slow).then_some(Ended::Starved)
    }
}

/// All requests that are under way.
#[derive(Debug)]
pub(super) struct Requests {
    timeout: Duration,
    patience: Duration,
    all: Mutex<BTreeMap<u64, Arc<Current>>>,
}

impl Requests {
    /// Guests may take so long, and their clients so long.
    pub(super) fn new(timeout: Duration, patience: Duration) -> Requests {
        Requests {
            timeout,
            patience,
            all: Mutex::default(),
        }
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Current>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begin(&self) -> Arc<Current> {
        // Of all of the process, for whoever reads the log.
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let current = Arc::new(Current {
            number,
            begin: Instant::now(),
            ended: AtomicU8::new(0),
            wanted: AtomicU8::new(0),
            waiting: AtomicU64::new(0),
            waited: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
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

    /// Stops those that take too long; once more those that were stopped and began to run only then.
    pub(super) fn sweep(&self) {
        let late = |current: &Arc<Current>| {
            let how = current.wanted();
            let how = how.or_else(|| current.due(current.millis(), self.timeout, self.patience))?;
            Some((current.clone(), how))
        };
        let late: Vec<_> = self.all().values().filter_map(late).collect();
        for (current, how) in late {
            current.stop(how);
        }
    }

    pub(super) fn stop_all(&self) {
        let all: Vec<_> = self.all().values().cloned().collect();
        for current in all {
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

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(30);
    const PATIENCE: Duration = Duration::from_secs(60);

    /// What is due after so many milliseconds with this state.
    fn due(now: u64, waiting: u64, waited: u64, bytes: u64) -> Option<Ended> {
        let current = Requests::new(TIMEOUT, PATIENCE).begin();
        current.waiting.store(waiting, Ordering::Relaxed);
        current.waited.store(waited, Ordering::Relaxed);
        current.bytes.store(bytes, Ordering::Relaxed);
        current.due(now, TIMEOUT, PATIENCE)
    }

    #[test]
    fn a_guest_has_time_after_each_wait() {
        assert_eq!(due(30_000, 0, 0, 0), None);
        assert_eq!(due(30_001, 0, 0, 0), Some(Ended::Late));
        assert_eq!(due(130_000, 100_000 << 2, 50_000, 0), None);
        assert_eq!(due(130_001, 100_000 << 2, 50_000, 0), Some(Ended::Late));
    }

    #[test]
    fn a_client_has_time_for_what_it_moves() {
        assert_eq!(due(60_000, SENDS, 0, 0), None);
        assert_eq!(due(60_001, SENDS, 0, 0), Some(Ended::Starved));
        // A byte now and then is not enough,
        assert_eq!(due(100_000, 90_000 << 2 | SENDS, 50_000, 10), None);
        assert_eq!(
            due(100_001, 90_000 << 2 | SENDS, 50_000, 10),
            Some(Ended::Starved)
        );
        // but this is,
        assert_eq!(due(100_001, 90_000 << 2 | TAKES, 50_000, 240), None);
        // and a client that stops is gone whatever it did before.
        assert_eq!(due(160_000, 100_000 << 2 | TAKES, 50_000, 1 << 30), None);
        assert_eq!(
            due(160_001, 100_000 << 2 | TAKES, 50_000, 1 << 30),
            Some(Ended::Starved)
        );
    }
}
