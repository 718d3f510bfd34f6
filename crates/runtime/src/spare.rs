//! Things that nobody uses now, for whoever needs one next: any thread takes and puts back, and none
//! waits for another.
//!
//! Each place has a bit in one of two words, or in neither while somebody is at it: to empty a place, its
//! bit is taken out of `full` and put into `empty` afterwards, to fill it the other way round. Whoever
//! took the bit out owns the place until the bit is in the other word. So there is no list whose head
//! could be the same and mean another, and a thread that stops half way costs one place.
//!
//! Guarantees that what was put in is taken out once, or dropped with the rest. Deliberately in no order
//! but that low places are used first: what was put back last is likely to be taken next.

use std::cell::UnsafeCell;
use std::fmt;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU64, Ordering};

/// Most places of a set: a bit each.
pub(crate) const PLACES_MAX: usize = u64::BITS as usize;

/// A set of at most [`PLACES_MAX`] things.
pub(crate) struct Spares<T> {
    full: AtomicU64,
    empty: AtomicU64,
    places: Box<[Place<T>]>,
}

struct Place<T> {
    /// A hint about the value, to be read by anybody.
    hint: AtomicU64,
    value: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: a value is only touched by who owns its place, and moves from thread to thread with it.
unsafe impl<T: Send> Sync for Spares<T> {}
// SAFETY: the values move with the set.
unsafe impl<T: Send> Send for Spares<T> {}

impl<T> Spares<T> {
    /// An empty set for so many.
    pub(crate) fn new(places: usize) -> Self {
        assert!(
            (1..=PLACES_MAX).contains(&places),
            "a word has a bit for each place"
        );
        let place = |_| Place {
            hint: AtomicU64::new(0),
            value: UnsafeCell::new(MaybeUninit::uninit()),
        };
        Self {
            full: AtomicU64::new(0),
            empty: AtomicU64::new(u64::MAX >> (PLACES_MAX - places)),
            places: (0..places).map(place).collect(),
        }
    }

    /// Takes something out that fits. What does not look like it by its hint is not touched.
    pub(crate) fn take(&self, hint: impl Fn(u64) -> bool, fits: impl Fn(&T) -> bool) -> Option<T> {
        let mut seen = self.full.load(Ordering::Relaxed);
        // Ends: each round takes a bit out of `seen`.
        while seen != 0 {
            let bit = seen & seen.wrapping_neg();
            seen &= !bit;
            let place = &self.places[bit.trailing_zeros() as usize];
            if !hint(place.hint.load(Ordering::Relaxed)) {
                continue;
            }
            // Sees what was written before the bit was put in.
            if self.full.fetch_and(!bit, Ordering::Acquire) & bit == 0 {
                continue;
            }
            let value = place.value.get().cast::<T>();
            // SAFETY: the bit was in `full` and we took it out: the place has a value, and is ours.
            if !fits(unsafe { &*value }) {
                self.full.fetch_or(bit, Ordering::Release);
                continue;
            }
            // SAFETY: as above; from now on the place counts as empty.
            let value = unsafe { value.read() };
            self.empty.fetch_or(bit, Ordering::Release);
            return Some(value);
        }
        None
    }

    /// Puts something in; gives it back if it finds no room (what others empty meanwhile it does not see).
    pub(crate) fn put(&self, hint: u64, value: T) -> Result<(), T> {
        let mut seen = self.empty.load(Ordering::Relaxed);
        // Ends: each round takes a bit out of `seen`.
        while seen != 0 {
            let bit = seen & seen.wrapping_neg();
            seen &= !bit;
            // Whoever took the last value out has read it.
            if self.empty.fetch_and(!bit, Ordering::Acquire) & bit == 0 {
                continue;
            }
            let place = &self.places[bit.trailing_zeros() as usize];
            let to = place.value.get().cast::<T>();
            // SAFETY: the bit was in `empty` and we took it out: the place has no value, and is ours.
            unsafe { to.write(value) };
            place.hint.store(hint, Ordering::Relaxed);
            self.full.fetch_or(bit, Ordering::Release);
            return Ok(());
        }
        Err(value)
    }
}

impl<T> Drop for Spares<T> {
    fn drop(&mut self) {
        // Ends: each round takes one out, and nobody else has the set.
        while self.take(|_| true, |_| true).is_some() {}
    }
}

impl<T> fmt::Debug for Spares<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Spares({})", self.full.load(Ordering::Relaxed).count_ones())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn what_is_put_in_comes_out_once_and_the_rest_is_dropped() {
        let (spares, counted) = (Spares::new(3), Arc::new(()));
        for hint in 0..3 {
            spares.put(hint, (hint, counted.clone())).expect("there is room");
        }
        assert!(spares.put(3, (3, counted.clone())).is_err(), "three places");
        assert_eq!(spares.take(|hint| hint == 1, |_| true).expect("it is there").0, 1);
        assert!(spares.take(|hint| hint == 1, |_| true).is_none(), "it was");
        assert!(spares.take(|_| true, |value| value.0 == 7).is_none());
        assert_eq!(Arc::strong_count(&counted), 3);
        drop(spares);
        assert_eq!(Arc::strong_count(&counted), 1);
    }

    #[test]
    fn threads_never_hold_the_same_thing() {
        const THINGS: usize = 5;
        let spares = Spares::new(THINGS);
        for thing in 0..THINGS {
            spares.put(thing as u64, Box::new(0u64)).expect("there is room");
        }
        const ROUNDS: u64 = 20_000;
        std::thread::scope(|scope| {
            for thread in 0..4u64 {
                let spares = &spares;
                scope.spawn(move || {
                    for round in 0..ROUNDS {
                        let wanted = |hint: u64| !(hint + round).is_multiple_of(3);
                        let Some(mut thing) = spares.take(wanted, |_| true) else {
                            continue;
                        };
                        // Not atomic: somebody else with the same thing would lose some of it.
                        *thing += 1;
                        // There is a place, but what was free at the first look may be taken at the second.
                        while let Err(back) = spares.put(thread + round, thing) {
                            thing = back;
                        }
                    }
                });
            }
        });
        let mut sum = 0;
        for _ in 0..THINGS {
            sum += *spares.take(|_| true, |_| true).expect("all are back");
        }
        assert!(spares.take(|_| true, |_| true).is_none());
        // Threads that found nothing did not count; one alone finds something in two of three rounds.
        assert!((ROUNDS / 3..=4 * ROUNDS).contains(&sum), "{sum}");
    }
}
