//! Threads that wait for another one, for a time at most, or until they are to give up.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// One wait of one thread.
#[derive(Debug, Default)]
pub(crate) struct Parker {
    woken: Mutex<bool>,
    changed: Condvar,
}

/// How a wait ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Parked {
    /// It was woken.
    Woken,
    /// The time is over.
    TimedOut,
    /// It was to give up.
    GaveUp,
}

impl Parker {
    /// Ends the wait.
    pub(crate) fn wake(&self) {
        *self.woken.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Lets the wait look whether it is to give up.
    pub(crate) fn nudge(&self) {
        // With the lock, so that it is either before its look or asleep.
        let _woken = self.woken.lock().unwrap_or_else(PoisonError::into_inner);
        self.changed.notify_all();
    }

    /// Waits, without end if there is no time. `give_up` is asked at the start and after each nudge.
    pub(crate) fn park(&self, time: Option<Duration>, give_up: impl Fn() -> bool) -> Parked {
        // What no clock can tell is without end.
        let deadline = time.and_then(|time| Instant::now().checked_add(time));
        let mut woken = self.woken.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if *woken {
                return Parked::Woken;
            }
            if give_up() {
                return Parked::GaveUp;
            }
            woken = match deadline {
                None => self.changed.wait(woken).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Parked::TimedOut;
                    }
                    let (woken, _) = self
                        .changed
                        .wait_timeout(woken, left)
                        .unwrap_or_else(PoisonError::into_inner);
                    woken
                }
            };
        }
    }
}
