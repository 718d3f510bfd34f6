//! CPU time, in nanoseconds.
//!
//! Everything in-process is measured on the calling thread's own CPU clock, so
//! that neither another process nor another thread is counted. The engines are
//! all configured to work on the calling thread alone; what they would do on
//! another one would be missing here.

use nix::sys::resource::{UsageWho, getrusage};
use nix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// CPU time used by the calling thread since it started.
pub fn thread_cpu_ns() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("every thread has a CPU clock on Linux");
    u64::try_from(Duration::from(now).as_nanos()).expect("584 years of CPU time are not reached")
}

/// CPU time used by all children of this process that were waited for, to the
/// microsecond. The difference across a `wait` is what that child has used.
pub fn children_cpu_ns() -> u64 {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("children can always be asked for");
    let micros = |time: nix::sys::time::TimeVal| {
        u64::try_from(time.tv_sec()).expect("CPU time is not negative") * 1_000_000
            + u64::try_from(time.tv_usec()).expect("CPU time is not negative")
    };
    (micros(usage.user_time()) + micros(usage.system_time())) * 1000
}

/// The CPU time that `work` takes on this thread, and its answer.
pub fn timed<R>(work: impl FnOnce() -> R) -> (u64, R) {
    let start = thread_cpu_ns();
    let answer = work();
    (thread_cpu_ns() - start, answer)
}
