//! Connections and guests on the same few threads, without a word from one thread to another per request.
//!
//! A shard is a runtime for connections and a queue of guests, and one thread at a time drives it: it serves
//! connections until a guest can go on, leaves the runtime, runs the guest until it ends or waits, and comes
//! back. What the guest did for connections meanwhile is seen to then. If it has not come back after a tick of
//! the watch, a spare thread drives the shard from there on, and the guest keeps its thread for as long as it
//! likes: one that computes or blocks holds up others for two ticks, and after that the kernel divides the
//! processors among threads.
//!
//! A guest waits in the shard of its connection. If many wait there and few in another shard, as when all requests
//! come on one connection, the watch moves some.
//!
//! Guarantees: each shard is driven, whatever guests do, while threads can be made; a guest that panics is gone,
//! and nothing else; a guest is never polled by two threads.
//! Deliberately does not: stop guests, or limit how many there are.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

/// How often the watch looks whether drivers came back.
const TICK: Duration = Duration::from_millis(1);

/// For how long guests run one after the other before connections are seen to.
const SLICE: Duration = Duration::from_micros(200);

/// So many more guests than another shard has ready, a shard gives some away: a few are not worth it.
const UNEVEN_MIN: usize = 8;

/// Threads without work that a shard keeps.
const SPARES_MAX: usize = 16;

/// A runtime, its guests, and the threads that take turns at it.
pub(super) struct Shard {
    runtime: Runtime,
    state: Mutex<State>,
    /// For spare threads: there is something to drive.
    offered: Condvar,
    watch: Arc<Watch>,
    /// Connections and what belongs to them.
    tasks: AtomicUsize,
}

#[derive(Default)]
struct State {
    /// Guests that can go on.
    ready: VecDeque<Arc<Guest>>,
    /// Tasks to be woken as soon as somebody drives the runtime.
    deferred: Vec<Waker>,
    /// Of the driver inside of the runtime, where it found no guest.
    driver: Option<Waker>,
    /// Whether the driver is with a guest.
    is_away: bool,
    /// Whether connections come first.
    is_slice_over: bool,
    /// Counts the times that the driver went away or was replaced.
    turn: u64,
    /// Threads that wait for something to drive,
    spares: usize,
    /// and how many of them were told to.
    offers: usize,
}

impl Shard {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something as the runtime: what is made inside belongs to it.
    pub(super) fn inside<R>(&self, body: impl FnOnce() -> R) -> R {
        let _entered = self.runtime.enter();
        body()
    }

    /// Starts work on a connection there.
    pub(super) fn spawn(self: &Arc<Self>, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.fetch_add(1, Ordering::Relaxed);
        self.runtime.spawn(Deferring {
            work: Box::pin(work),
            shard: self.clone(),
            waker: None,
        });
    }

    /// How much is under way that was started with [`spawn`](Self::spawn).
    pub(super) fn tasks(&self) -> usize {
        self.tasks.load(Ordering::Relaxed)
    }

    /// Starts a guest there, soon.
    pub(super) fn start(self: &Arc<Self>, work: impl Future<Output = ()> + Send + 'static) {
        let guest = Arc::new(Guest {
            shard: self.clone(),
            stage: AtomicU8::new(QUEUED),
            work: Mutex::new(Some(Box::pin(work))),
        });
        self.push(guest);
    }

    fn push(&self, guest: Arc<Guest>) {
        let mut state = self.lock();
        state.ready.push_back(guest);
        // A driver that is away looks before it comes back.
        let driver = if state.is_away { None } else { state.driver.take() };
        drop(state);
        if let Some(driver) = driver {
            driver.wake();
        }
    }

    /// Serves connections until a guest can go on.
    async fn next(&self) -> (Arc<Guest>, u64) {
        let woken = std::mem::take(&mut self.lock().deferred);
        woken.into_iter().for_each(Waker::wake);
        poll_fn(|context| {
            let mut state = self.lock();
            if std::mem::take(&mut state.is_slice_over) {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            match state.ready.pop_front() {
                Some(guest) => Poll::Ready((guest, state.leave())),
                None => {
                    state.driver = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// Drives the shard for ever, or until somebody else does and enough others are spare.
    fn drive(&self) {
        let _entered = self.runtime.enter();
        loop {
            let (first, mut turn) = self.runtime.block_on(self.next());
            self.watch.begin();
            let begin = Instant::now();
            let mut next = Some(first);
            while let Some(guest) = next.take() {
                guest.go_on();
                let mut state = self.lock();
                if state.turn != turn {
                    if !self.wait(state) {
                        return;
                    }
                    break;
                }
                state.is_away = false;
                state.is_slice_over = begin.elapsed() >= SLICE;
                if !state.is_slice_over {
                    next = state.ready.pop_front();
                }
                if next.is_some() {
                    turn = state.leave();
                }
            }
        }
    }

    /// Waits as a spare thread; false if there are enough of them.
    fn wait(&self, mut state: MutexGuard<'_, State>) -> bool {
        if state.spares >= SPARES_MAX {
            return false;
        }
        state.spares += 1;
        while state.offers == 0 {
            state = self.offered.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.offers -= 1;
        true
    }

    /// Has another thread drive the shard, if the driver is still away on the turn `seen`. Returns the turn that
    /// it is away on.
    fn replace(self: &Arc<Self>, seen: u64) -> u64 {
        let mut state = self.lock();
        if !state.is_away || state.turn != seen {
            return state.turn;
        }
        if state.spares > 0 {
            state.spares -= 1;
            state.offers += 1;
            self.offered.notify_one();
        } else if let Err(error) = self.hire() {
            // At the next tick there may be room for a thread.
            tracing::warn!(target: "cellwall", %error, "no thread beside a guest that takes long");
            return state.turn;
        }
        state.is_away = false;
        state.turn += 1;
        state.turn
    }

    /// A further thread that drives the shard.
    fn hire(self: &Arc<Self>) -> io::Result<()> {
        let shard = self.clone();
        let thread = thread::Builder::new().name("cellwall-serve".to_owned());
        thread.spawn(move || shard.drive()).map(drop)
    }
}

impl State {
    /// The driver goes away with a guest.
    fn leave(&mut self) -> u64 {
        self.is_away = true;
        self.turn += 1;
        self.turn
    }
}

/// Waits, and is in the queue of no shard.
const WAITS: u8 = 0;
/// Is in the queue, or has ended.
const QUEUED: u8 = 1;
/// Is polled.
const RUNS: u8 = 2;
/// Is polled, and has to be once more.
const RUNS_ON: u8 = 3;

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A guest, and all that is done for its request.
struct Guest {
    shard: Arc<Shard>,
    stage: AtomicU8,
    work: Mutex<Option<Work>>,
}

impl Guest {
    /// Runs it until it waits or ends.
    fn go_on(self: Arc<Self>) {
        self.stage.store(RUNS, Ordering::Release);
        let waker = Waker::from(self.clone());
        let mut context = Context::from_waker(&waker);
        let mut slot = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(work) = slot.as_mut() else { return };
        let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(&mut context)));
        match polled {
            Ok(Poll::Pending) => drop(slot),
            ended => {
                // What it held may panic once more.
                let work = slot.take();
                drop(slot);
                self.stage.store(QUEUED, Ordering::Release);
                let dropped = catch_unwind(AssertUnwindSafe(|| drop(work)));
                if ended.is_err() || dropped.is_err() {
                    tracing::error!(target: "cellwall", "the host of a guest panicked");
                }
                return;
            }
        }
        let waits = self
            .stage
            .compare_exchange(RUNS, WAITS, Ordering::AcqRel, Ordering::Acquire);
        if waits.is_err() {
            self.stage.store(QUEUED, Ordering::Release);
            let shard = self.shard.clone();
            shard.push(self);
        }
    }
}

impl Wake for Guest {
    fn wake(self: Arc<Self>) {
        Wake::wake_by_ref(&self);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let next = |stage| match stage {
            WAITS => Some(QUEUED),
            RUNS => Some(RUNS_ON),
            _ => None,
        };
        let before = self.stage.fetch_update(Ordering::AcqRel, Ordering::Acquire, next);
        if before == Ok(WAITS) {
            self.shard.push(self.clone());
        }
    }
}

/// Work whose wake-ups wait while the driver is away: they would not be heard earlier, and it would be told of
/// each through the kernel.
struct Deferring<F> {
    work: Pin<Box<F>>,
    shard: Arc<Shard>,
    /// The waker of the task, and ours in its place.
    waker: Option<(Waker, Waker)>,
}

impl<F: Future<Output = ()>> Future for Deferring<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let (_, ours) = match &mut this.waker {
            Some(waker) if waker.0.will_wake(context.waker()) => waker,
            waker => {
                let task = context.waker().clone();
                let deferred = Arc::new(Deferred {
                    task: task.clone(),
                    shard: this.shard.clone(),
                });
                waker.insert((task, Waker::from(deferred)))
            }
        };
        this.work.as_mut().poll(&mut Context::from_waker(ours))
    }
}

impl<F> Drop for Deferring<F> {
    fn drop(&mut self) {
        self.shard.tasks.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Deferred {
    task: Waker,
    shard: Arc<Shard>,
}

impl Wake for Deferred {
    fn wake(self: Arc<Self>) {
        Wake::wake_by_ref(&self);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut state = self.shard.lock();
        if state.is_away {
            state.deferred.push(self.task.clone());
            return;
        }
        drop(state);
        self.task.wake_by_ref();
    }
}

/// Looks after drivers that do not come back. It sleeps while no guest runs.
struct Watch {
    is_asleep: AtomicBool,
    thread: OnceLock<Thread>,
}

impl Watch {
    /// A driver went away.
    fn begin(&self) {
        if self.is_asleep.load(Ordering::SeqCst)
            && self.is_asleep.swap(false, Ordering::SeqCst)
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
    }

    fn run(&self, shards: &[Arc<Shard>]) {
        let _ = self.thread.set(thread::current());
        let mut seen = vec![0; shards.len()];
        loop {
            let mut is_quiet = true;
            for (shard, seen) in shards.iter().zip(&mut seen) {
                let turn = shard.replace(*seen);
                is_quiet &= turn == *seen && !shard.lock().is_away;
                *seen = turn;
            }
            even_out(shards);
            if !is_quiet {
                thread::sleep(TICK);
                continue;
            }
            // Whoever goes away from here on sees it, and whoever did before is seen.
            self.is_asleep.store(true, Ordering::SeqCst);
            let is_away = |shard: &Arc<Shard>| shard.lock().is_away;
            while self.is_asleep.load(Ordering::SeqCst) && !shards.iter().any(is_away) {
                thread::park();
            }
            self.is_asleep.store(false, Ordering::SeqCst);
        }
    }
}

/// Has the shard with the most ready guests give some to the one with the fewest, if it has many more.
fn even_out(shards: &[Arc<Shard>]) {
    let ready = |shard: &Arc<Shard>| shard.lock().ready.len();
    let counts: Vec<usize> = shards.iter().map(ready).collect();
    let by_count = |&at: &usize| counts[at];
    let (Some(most), Some(fewest)) = (
        (0..counts.len()).max_by_key(by_count),
        (0..counts.len()).min_by_key(by_count),
    ) else {
        return;
    };
    let more = counts[most] - counts[fewest];
    if more < UNEVEN_MIN {
        return;
    }
    // Those that have waited for the longest; there may be fewer by now.
    let given: Vec<Arc<Guest>> = {
        let ready = &mut shards[most].lock().ready;
        let count = (more / 2).min(ready.len());
        ready.drain(..count).collect()
    };
    given.into_iter().for_each(|guest| shards[fewest].push(guest));
}

/// Starts so many shards, each with a thread that drives it, for as long as the process lives.
///
/// # Errors
/// The system has no more threads or descriptors.
pub(super) fn start(count: usize) -> io::Result<Vec<Arc<Shard>>> {
    let (shards, watch) = make(count)?;
    for shard in &shards {
        shard.hire()?;
    }
    let watched = shards.clone();
    let thread = thread::Builder::new().name("cellwall-watch".to_owned());
    thread.spawn(move || watch.run(&watched))?;
    Ok(shards)
}

/// Shards that nobody drives yet, and what is to watch them.
fn make(count: usize) -> io::Result<(Vec<Arc<Shard>>, Arc<Watch>)> {
    let watch = Arc::new(Watch {
        is_asleep: AtomicBool::new(false),
        thread: OnceLock::new(),
    });
    let shard = |_| -> io::Result<Arc<Shard>> {
        Ok(Arc::new(Shard {
            runtime: Builder::new_current_thread().enable_all().build()?,
            state: Mutex::default(),
            offered: Condvar::new(),
            watch: watch.clone(),
            tasks: AtomicUsize::new(0),
        }))
    };
    let shards = (0..count).map(shard).collect::<io::Result<Vec<_>>>()?;
    Ok((shards, watch))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    fn shard() -> Arc<Shard> {
        start(1).unwrap().remove(0)
    }

    fn comes<T>(receiver: &Receiver<T>) -> T {
        receiver.recv_timeout(PATIENCE).expect("it comes in time")
    }

    #[test]
    fn a_guest_that_keeps_its_thread_holds_up_nobody() {
        let shard = shard();
        // More than there are spare threads at first, and than are kept.
        let (ends, stop) = (0..2 * SPARES_MAX)
            .map(|_| channel::<()>())
            .unzip::<_, _, Vec<_>, Vec<_>>();
        let (says, said) = channel();
        for stop in stop {
            let says = says.clone();
            shard.start(async move {
                says.send("begins").unwrap();
                // On purpose: it blocks.
                let _ = stop.recv();
                says.send("ends").unwrap();
            });
        }
        for _ in &ends {
            assert_eq!(comes(&said), "begins");
        }
        let (guest, asked) = (says.clone(), says.clone());
        shard.start(async move { guest.send("guest").unwrap() });
        assert_eq!(comes(&said), "guest");
        shard.spawn(async move {
            tokio::time::sleep(TICK).await;
            asked.send("connection").unwrap();
        });
        assert_eq!(comes(&said), "connection");
        let count = ends.len();
        drop(ends);
        for _ in 0..count {
            assert_eq!(comes(&said), "ends");
        }
    }

    #[test]
    fn guests_and_connections_wait_for_each_other() {
        let shard = shard();
        let (says, said) = channel();
        for number in 0..100 {
            let (asks, asked) = tokio::sync::oneshot::channel();
            let (answers, answer) = tokio::sync::oneshot::channel();
            let says = says.clone();
            shard.spawn(async move {
                asks.send(number).unwrap();
                says.send(answer.await.unwrap()).unwrap();
            });
            shard.start(async move {
                let asked: u32 = asked.await.unwrap();
                // A timer of the runtime, although the guest is outside of it.
                tokio::time::sleep(TICK).await;
                answers.send(asked + 1).unwrap();
            });
        }
        let mut all: Vec<u32> = (0..100).map(|_| comes(&said)).collect();
        all.sort_unstable();
        assert_eq!(all, (1..=100).collect::<Vec<_>>());
    }

    #[test]
    fn a_shard_with_many_guests_gives_some_to_another() {
        let (shards, _) = make(3).unwrap();
        let ready = || shards.iter().map(|shard| shard.lock().ready.len());
        let (says, said) = channel();
        for number in 0..100 {
            let says = says.clone();
            shards[1].start(async move { says.send(number).unwrap() });
        }
        even_out(&shards);
        assert_eq!(ready().collect::<Vec<_>>(), [50, 50, 0]);
        even_out(&shards);
        assert_eq!(ready().sum::<usize>(), 100);
        assert_eq!(ready().max(), Some(50));
        while ready().max().unwrap() - ready().min().unwrap() >= UNEVEN_MIN {
            even_out(&shards);
        }
        // A few more or less stay where they are.
        let settled: Vec<_> = ready().collect();
        even_out(&shards);
        assert_eq!(ready().collect::<Vec<_>>(), settled);
        // Each is run once, wherever it is now.
        for shard in &shards {
            shard.hire().unwrap();
        }
        let mut all: Vec<u32> = (0..100).map(|_| comes(&said)).collect();
        all.sort_unstable();
        assert_eq!(all, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn a_panic_ends_its_guest_only() {
        struct OnDrop(std::sync::mpsc::Sender<&'static str>);
        impl Drop for OnDrop {
            fn drop(&mut self) {
                self.0.send("gone").unwrap();
            }
        }
        let shard = shard();
        let (says, said) = channel();
        let held = OnDrop(says.clone());
        shard.start(async move {
            let _held = held;
            tokio::task::yield_now().await;
            panic!("on purpose");
        });
        assert_eq!(comes(&said), "gone");
        shard.start(async move { says.send("next").unwrap() });
        assert_eq!(comes(&said), "next");
    }
}
