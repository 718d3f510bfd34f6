//! Linux.
//!
//! Requires: Linux 5.8 or later (`openat2`, `utimensat` with `AT_EMPTY_PATH`).

use std::time::Duration;
mod dir;
mod errno;
mod file;
mod stdio;
mod wait;

pub(crate) use dir::{DirItem, DirStream};
pub(crate) use file::{
    Advice, SetTime, Times, advise, allocate, bytes_of_os_string, filestat, only_locate, open_flags, read_at,
    read_into, set_flags, set_times, set_times_at, set_times_located, write, write_at, write_end,
};
pub(crate) use stdio::{inherited_stderr, inherited_stdin, inherited_stdout};
pub(crate) use wait::{Bell, Interest, Wanted, handle_of, is_ready, readable_bytes, ready, wait, wait_ready};

/// A descriptor of the host that a stream lends for waiting.
pub type Handle<'a> = std::os::fd::BorrowedFd<'a>;

/// Fills `bytes` with randomness from the kernel.
pub(crate) fn random(bytes: &mut [u8]) -> std::io::Result<()> {
    let mut filled = 0;
    while filled < bytes.len() {
        let flags = rustix::rand::GetRandomFlags::empty();
        match rustix::rand::getrandom(&mut bytes[filled..], flags) {
            Ok(count) => filled += count,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

pub(crate) use rustix::time::ClockId as SystemClock;

/// Resolution of a clock in nanoseconds.
pub(crate) fn clock_resolution(clock: SystemClock) -> u64 {
    let resolution = since(rustix::time::clock_getres(clock));
    u64::try_from(resolution.as_nanos()).unwrap_or(1).max(1)
}

/// What a clock says.
pub(crate) fn clock_time(clock: SystemClock) -> Duration {
    since(rustix::time::clock_gettime(clock))
}

fn since(time: rustix::time::Timespec) -> Duration {
    Duration::try_from(time).unwrap_or_default()
}
