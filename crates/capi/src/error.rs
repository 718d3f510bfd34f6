//! What went wrong in a function that can only answer null or false.

use cellwall_rs::{Error, Result};
use std::cell::RefCell;

thread_local! {
    static LAST: RefCell<Option<Error>> = const { RefCell::new(None) };
}

/// Keeps an error for [`last`].
pub(crate) fn record(error: Error) {
    LAST.with(|last| *last.borrow_mut() = Some(error));
}

/// The last error of this thread, which is forgotten.
pub(crate) fn last() -> Option<Error> {
    LAST.with(|last| last.borrow_mut().take())
}

/// The value; an error is recorded.
pub(crate) fn ok<T>(result: Result<T>) -> Option<T> {
    result.map_err(record).ok()
}

/// The value; that there is none is recorded.
pub(crate) fn some<T>(value: Option<T>, why: &'static str) -> Option<T> {
    if value.is_none() {
        record(Error::msg(why));
    }
    value
}
