//! Linux.
//!
//! Requires: Linux 5.8 or later (`openat2`, `utimensat` with `AT_EMPTY_PATH`).

mod dir;
mod errno;
mod file;
mod stdio;
mod wait;

pub(crate) use dir::{DirItem, DirStream};
pub(crate) use file::{
    Advice, SetTime, Times, advise, allocate, bytes_of_os_string, filestat, only_locate, open_flags, read_at,
    set_flags, set_times, set_times_at, set_times_located, write_at,
};
pub(crate) use stdio::{inherited_stderr, inherited_stdin, inherited_stdout};
pub(crate) use wait::{Bell, Interest, Wanted, handle_of, readable_bytes, wait};

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

/// The resolution of the two clocks, in nanoseconds.
pub(crate) fn clock_resolution(monotonic: bool) -> u64 {
    let id = match monotonic {
        true => rustix::time::ClockId::Monotonic,
        false => rustix::time::ClockId::Realtime,
    };
    let resolution = rustix::time::clock_getres(id);
    let nanoseconds = resolution.tv_sec * 1_000_000_000 + resolution.tv_nsec;
    u64::try_from(nanoseconds).unwrap_or(1).max(1)
}
