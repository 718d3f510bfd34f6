//! Waiting for descriptors and time.

use super::Handle;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};
use tokio::io::unix::AsyncFd;

/// Something to wait for.
pub(crate) struct Wanted<'a> {
    what: PollFd<'a>,
    seen: PollFlags,
}

/// The direction of a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interest {
    Read,
    Write,
}

impl<'a> Wanted<'a> {
    pub(crate) fn new(handle: Handle<'a>, interest: Interest) -> Wanted<'a> {
        let flags = match interest {
            Interest::Read => PollFlags::IN,
            Interest::Write => PollFlags::OUT,
        };
        Wanted {
            what: PollFd::from_borrowed_fd(handle, flags),
            seen: PollFlags::empty(),
        }
    }

    /// A transfer would not wait now: there is something to do, or an error to hear of.
    pub(crate) fn is_ready(&self) -> bool {
        !self.seen.is_empty()
    }

    /// The other end is gone.
    pub(crate) fn is_hung_up(&self) -> bool {
        self.seen.contains(PollFlags::HUP)
    }
}

/// What ends a wait from another thread. It stays rung.
#[derive(Debug)]
pub(crate) struct Bell(OwnedFd);

impl Bell {
    pub(crate) fn new() -> io::Result<Bell> {
        Ok(Bell(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
    }

    pub(crate) fn ring(&self) {
        // The only failure is a counter at its maximum, and then it is ringing already.
        let _ = rustix::io::write(&self.0, &1u64.to_ne_bytes());
    }
}

/// Waits until one of `wanted` is ready, the bell rings, or the time is over.
pub(crate) fn wait(
    wanted: &mut [Wanted<'_>],
    bell: Option<&Bell>,
    timeout: Option<Duration>,
) -> io::Result<()> {
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let mut all: Vec<PollFd<'_>> = wanted.iter().map(|wanted| wanted.what.clone()).collect();
    if let Some(bell) = bell {
        all.push(PollFd::new(&bell.0, PollFlags::IN));
    }
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let left = left.map(|left| Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(left.subsec_nanos()),
        });
        match poll(&mut all, left.as_ref()) {
            Ok(_) => break,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    for (wanted, polled) in wanted.iter_mut().zip(&all) {
        wanted.seen = polled.revents();
    }
    Ok(())
}

/// Whether a transfer would not wait now.
pub(crate) fn is_ready(handle: Handle<'_>, interest: Interest) -> bool {
    let mut wanted = [Wanted::new(handle, interest)];
    // What cannot be polled says so when it is used.
    wait(&mut wanted, None, Some(Duration::ZERO)).is_err() || wanted[0].is_ready()
}

/// Waits on this thread until a transfer would not wait.
pub(crate) fn wait_ready(handle: Handle<'_>, interest: Interest) -> io::Result<()> {
    wait(&mut [Wanted::new(handle, interest)], None, None)
}

/// Waits in the runtime until a transfer would not wait.
///
/// The registration is of a duplicate and made for each wait: the kernel then tells the present
/// state first, several may wait on one descriptor, and nothing stays behind.
pub(crate) async fn ready(handle: Handle<'_>, interest: Interest) {
    if is_ready(handle, interest) {
        return;
    }
    let Ok(own) = handle.try_clone_to_owned() else {
        return;
    };
    let registered = match interest {
        Interest::Read => tokio::io::Interest::READABLE,
        Interest::Write => tokio::io::Interest::WRITABLE,
    };
    // What cannot be registered (a regular file) never waits.
    #[expect(
        deprecated,
        reason = "what takes its place has a promise to make that a descriptor of its own keeps by itself"
    )]
    let watched = AsyncFd::with_interest(own, registered);
    let Ok(watched) = watched else { return };
    loop {
        let woken = match interest {
            Interest::Read => watched.readable().await,
            Interest::Write => watched.writable().await,
        };
        let Ok(mut woken) = woken else { return };
        // Somebody else may have been faster.
        if is_ready(handle, interest) {
            return;
        }
        woken.clear_ready();
    }
}

/// How many bytes a read would give now, where the kernel knows.
pub(crate) fn readable_bytes(handle: Handle<'_>) -> Option<u64> {
    rustix::io::ioctl_fionread(handle).ok()
}

/// The descriptor of something open.
pub(crate) fn handle_of(open: &impl AsFd) -> Handle<'_> {
    open.as_fd()
}

impl AsFd for Bell {
    fn as_fd(&self) -> Handle<'_> {
        self.0.as_fd()
    }
}
