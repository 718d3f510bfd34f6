//! A sign of life while something takes long: on a terminal, after half a
//! second, and nowhere else.

use std::io::IsTerminal;
use std::sync::mpsc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// How long a wait may be before anything is shown.
const PATIENCE: Duration = Duration::from_millis(500);
const REDRAW: Duration = Duration::from_millis(100);

/// Does `work`; meanwhile standard error, if it is a terminal, shows `what` once
/// it takes long. Nothing is left on the screen afterwards.
pub(crate) fn during<T>(what: &str, work: impl FnOnce() -> T) -> T {
    if !std::io::stderr().is_terminal() {
        return work();
    }
    // The channel closes when the work is done, also if it panics.
    let (done, closed) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || spin(what, &closed));
        let result = work();
        drop(done);
        result
    })
}

fn spin(what: &str, closed: &mpsc::Receiver<()>) {
    if closed.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Disconnected) {
        return;
    }
    let style = ProgressStyle::with_template("{spinner} {msg} ({elapsed})");
    let style = style.expect("the template is a constant that indicatif accepts");
    let bar = ProgressBar::new_spinner()
        .with_style(style)
        .with_message(what.to_string());
    while closed.recv_timeout(REDRAW) == Err(mpsc::RecvTimeoutError::Timeout) {
        bar.tick();
    }
    bar.finish_and_clear();
}
