//! Bytes that the host keeps for the HTTP of one guest: fields, request lines, bodies that nobody has read.
//!
//! Guarantees: what a guest makes the host keep is counted before it is kept, and given back when it goes.
//! Does not do: count what clients and servers send, which has limits in the connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of one guest unless the host says otherwise.
pub(crate) const HTTP_BYTES_MAX: usize = 64 << 20;

/// What one guest may make the host keep.
#[derive(Debug, Clone)]
pub(crate) struct Budget(Arc<Account>);

#[derive(Debug)]
struct Account {
    used: AtomicUsize,
    max: usize,
}

impl Default for Budget {
    fn default() -> Budget {
        Budget::new(HTTP_BYTES_MAX)
    }
}

impl Budget {
    pub(crate) fn new(max: usize) -> Budget {
        let used = AtomicUsize::new(0);
        Budget(Arc::new(Account { used, max }))
    }

    /// A part of it, of no bytes yet.
    pub(super) fn part(&self) -> Charge {
        Charge {
            budget: self.clone(),
            bytes: 0,
        }
    }
}

/// A part of a budget, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Charge {
    budget: Budget,
    bytes: usize,
}

impl Charge {
    /// Another part of the same budget, of no bytes yet.
    pub(super) fn another(&self) -> Charge {
        self.budget.part()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes by which it could grow.
    pub(super) fn left(&self) -> usize {
        let account = &self.budget.0;
        account.max.saturating_sub(account.used.load(Ordering::Relaxed))
    }

    /// Makes it this large, unless there are not so many bytes left: then it stays as it is.
    #[must_use]
    pub(super) fn resize(&mut self, bytes: usize) -> bool {
        let account = &self.budget.0;
        let old = self.bytes;
        let change = |used: usize| {
            let used = (used - old).checked_add(bytes)?;
            (used <= account.max || bytes <= old).then_some(used)
        };
        let order = Ordering::Relaxed;
        let fits = account.used.fetch_update(order, order, change).is_ok();
        if fits {
            self.bytes = bytes;
        }
        fits
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.0.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_given_back() {
        let budget = Budget::new(100);
        let (mut a, mut b) = (budget.part(), budget.part());
        assert!(a.resize(60) && b.resize(40));
        assert!(!b.resize(41) && b.bytes() == 40 && b.left() == 0);
        assert!(!b.resize(usize::MAX));
        assert!(a.resize(59) && b.resize(41));
        drop(a);
        assert!(b.resize(100) && !b.another().resize(1));
    }
}
