//! Stopping a program from outside: `--timeout` and Ctrl-C.
//!
//! Guarantees: after the time limit the process is gone within [`GRACE`], also
//! if the guest sits in a host call that cannot be interrupted; Ctrl-C ends the
//! process with its own status.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use crate::failure::{EXIT_INTERRUPTED, EXIT_TRAP, Failure};

/// How long a guest that was interrupted may take to come out of the engine.
const GRACE: Duration = Duration::from_millis(100);

/// Makes Ctrl-C end the process at once, whatever the guest does.
pub(crate) fn exit_on_ctrl_c() -> Result<(), Failure> {
    let always = Arc::new(AtomicBool::new(true));
    let signal = signal_hook::consts::SIGINT;
    signal_hook::flag::register_conditional_shutdown(signal, EXIT_INTERRUPTED, always)
        .map(|_| ())
        .map_err(|e| Failure::load(e, "cannot handle Ctrl-C".to_string()))
}

/// A running time limit. Dropping it lifts the limit.
pub(crate) struct TimeLimit {
    /// Closed by dropping.
    _alive: mpsc::Sender<()>,
    expired: Arc<AtomicBool>,
}

impl TimeLimit {
    /// From now on `stop` is called when `limit` is over. If the limit is not
    /// dropped within [`GRACE`] after that, the process says `message` and exits
    /// with the status of a trap.
    pub(crate) fn start(limit: Duration, message: String, stop: impl Fn() + Send + 'static) -> TimeLimit {
        let (alive, closed) = mpsc::channel();
        let expired = Arc::new(AtomicBool::new(false));
        let flag = expired.clone();
        std::thread::spawn(move || {
            if closed.recv_timeout(limit) == Err(RecvTimeoutError::Disconnected) {
                return;
            }
            flag.store(true, Ordering::SeqCst);
            stop();
            if closed.recv_timeout(GRACE) == Err(RecvTimeoutError::Timeout) {
                let _ = writeln!(std::io::stderr(), "Error: {message}");
                std::process::exit(i32::from(EXIT_TRAP));
            }
        });
        TimeLimit {
            _alive: alive,
            expired,
        }
    }

    /// Whether the time is over.
    pub(crate) fn has_expired(&self) -> bool {
        self.expired.load(Ordering::SeqCst)
    }
}
