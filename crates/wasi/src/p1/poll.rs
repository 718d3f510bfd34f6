//! `poll_oneoff`: waiting for the first of several things.
//!
//! Guarantees: every subscription that came true by the time of the answer has its event, so
//! at least one has; memory of the host is used for at most [`SUBSCRIPTIONS_MAX`] of them.

use super::clock::Clock;
use super::types::{EVENT_BYTES, Event, SUBSCRIPTION_BYTES, get};
use crate::WasiCtx;
use crate::error::{Answer, Errno, Fault};
use crate::guest::Guest;
use crate::perms::Rights;
use crate::sys::{self, Interest, Wanted};
use crate::table::{Entry, Object};
use std::io::Seek;
use std::time::Duration;

/// The most subscriptions in one call.
const SUBSCRIPTIONS_MAX: u32 = 4096;

const KIND_CLOCK: u8 = 0;
const KIND_READ: u8 = 1;
const KIND_WRITE: u8 = 2;
/// `subclockflags`: the timeout is a time, not a duration.
const ABSTIME: u64 = 1;

/// One subscription as the guest wrote it.
struct Subscription {
    userdata: u64,
    /// `Err`: it can never come true, which is an event too.
    to: Result<To, Errno>,
    kind: u8,
}

enum To {
    Clock { clock: Clock, deadline: u64 },
    Transfer { fd: u32, interest: Interest },
}

pub(super) fn poll_oneoff(
    ctx: &mut WasiCtx,
    guest: &mut Guest<'_>,
    subscriptions: u32,
    events: u32,
    count: u32,
    stored: u32,
) -> Answer {
    if count == 0 || count > SUBSCRIPTIONS_MAX {
        return Err(Errno::Inval.into());
    }
    let records = guest.records(subscriptions, count, SUBSCRIPTION_BYTES, 8)?;
    let subscriptions: Vec<Subscription> = records
        .chunks_exact(SUBSCRIPTION_BYTES as usize)
        .map(|record| subscription(ctx, record))
        .collect::<Answer<_>>()?;
    guest.records(events, count, EVENT_BYTES, 8)?;
    let found = wait(ctx, &subscriptions)?;
    for (event, at) in found.iter().zip((events..).step_by(EVENT_BYTES as usize)) {
        guest.set_record(at, 8, &event.record())?;
    }
    guest.set_u32(
        stored,
        u32::try_from(found.len()).expect("no more than were subscribed"),
    )
}

fn subscription(ctx: &WasiCtx, record: &[u8]) -> Answer<Subscription> {
    let kind = record[8];
    // The union's first word: a clock or a descriptor. Neither is wider.
    let word = u32::try_from(get(record, 16) & u64::from(u32::MAX)).expect("it was masked");
    let to = match kind {
        KIND_CLOCK => clock(ctx, word, get(record, 24), get(record, 40) & 0xffff),
        KIND_READ => Ok(To::Transfer {
            fd: word,
            interest: Interest::Read,
        }),
        KIND_WRITE => Ok(To::Transfer {
            fd: word,
            interest: Interest::Write,
        }),
        _ => return Err(Errno::Inval.into()),
    };
    Ok(Subscription {
        userdata: get(record, 0),
        to,
        kind,
    })
}

fn clock(ctx: &WasiCtx, id: u32, timeout: u64, flags: u64) -> Result<To, Errno> {
    let clock = Clock::new(id).map_err(|_| Errno::Inval)?;
    if !clock.goes_on_while_waiting() {
        return Err(Errno::Inval);
    }
    match flags {
        0 => Ok(To::Clock {
            clock,
            deadline: clock.now(ctx).saturating_add(timeout),
        }),
        ABSTIME => Ok(To::Clock {
            clock,
            deadline: timeout,
        }),
        _ => Err(Errno::Inval),
    }
}

/// Waits until at least one subscription has an event, and returns all events there are.
fn wait(ctx: &WasiCtx, subscriptions: &[Subscription]) -> Answer<Vec<Event>> {
    let mut events = Vec::new();
    // What the kernel has to tell us about, beside its subscription.
    let mut wanted: Vec<Wanted<'_>> = Vec::new();
    let mut waiters: Vec<(&Subscription, &Entry, Interest)> = Vec::new();
    let mut clocks: Vec<(&Subscription, Clock, u64)> = Vec::new();
    for subscription in subscriptions {
        match subscription.to {
            Err(errno) => events.push(event(subscription, errno as u16, 0, false)),
            Ok(To::Clock { clock, deadline }) => clocks.push((subscription, clock, deadline)),
            Ok(To::Transfer { fd, interest }) => match look(ctx, fd, interest) {
                Err(Fault::Stop(error)) => return Err(Fault::Stop(error)),
                Err(Fault::Errno(errno)) => {
                    events.push(event(subscription, errno as u16, 0, false));
                }
                Ok((_, Ready::Now(bytes))) => events.push(event(subscription, 0, bytes, false)),
                Ok((entry, Ready::Ask(handle))) => {
                    wanted.push(Wanted::new(handle, interest));
                    waiters.push((subscription, entry, interest));
                }
            },
        }
    }
    let hurry = !events.is_empty() || ctx.waiting.forbidden;
    loop {
        ctx.waiting.wait(&mut wanted, time_left(ctx, &clocks, hurry))?;
        for ((subscription, entry, interest), wanted) in waiters.iter().zip(&wanted) {
            if wanted.is_ready() {
                let bytes = bytes_ready(entry, *interest);
                events.push(event(subscription, 0, bytes, wanted.is_hung_up()));
            }
        }
        for (subscription, clock, deadline) in &clocks {
            if clock.now(ctx) >= *deadline {
                events.push(event(subscription, 0, 0, false));
            }
        }
        if !events.is_empty() {
            return Ok(events);
        }
        if ctx.waiting.forbidden {
            return Err(Errno::Again.into());
        }
        // The clock that was waited for was set back, or the wait ended a little early.
    }
}

/// How long the kernel may keep us: `None` is for ever.
fn time_left(ctx: &WasiCtx, clocks: &[(&Subscription, Clock, u64)], hurry: bool) -> Option<Duration> {
    if hurry {
        return Some(Duration::ZERO);
    }
    let left = clocks
        .iter()
        .map(|(_, clock, deadline)| deadline.saturating_sub(clock.now(ctx)));
    left.min().map(Duration::from_nanos)
}

/// Whether a transfer would wait.
enum Ready<'a> {
    /// No; so many bytes are there.
    Now(u64),
    /// The kernel knows.
    Ask(sys::Handle<'a>),
}

fn look(ctx: &WasiCtx, fd: u32, interest: Interest) -> Answer<(&Entry, Ready<'_>)> {
    let entry = ctx.table.get(fd)?;
    entry
        .require(Rights::POLL_FD_READWRITE)
        .map_err(|_| Errno::BadF)?;
    entry.require(match interest {
        Interest::Read => Rights::FD_READ,
        Interest::Write => Rights::FD_WRITE,
    })?;
    let handle = match &entry.object {
        Object::Input(stream) => stream.handle(),
        Object::Output(stream) => stream.handle(),
        Object::File(file) => file.waits.then(|| sys::handle_of(&*file.file)),
        Object::Dir(_) => return Err(Errno::BadF.into()),
    };
    match handle {
        Some(handle) => Ok((entry, Ready::Ask(handle))),
        None => Ok((entry, Ready::Now(bytes_ready(entry, interest)))),
    }
}

/// How many bytes a read would find, as far as that is known; at least 1 where it is not.
fn bytes_ready(entry: &Entry, interest: Interest) -> u64 {
    if interest == Interest::Write {
        return 1;
    }
    match &entry.object {
        Object::File(file) if !file.waits => {
            let size = file.file.metadata().map_or(0, |metadata| metadata.len());
            size.saturating_sub((&*file.file).stream_position().unwrap_or(0))
        }
        Object::File(file) => sys::readable_bytes(sys::handle_of(&*file.file)).unwrap_or(1),
        Object::Input(stream) => stream.handle().and_then(sys::readable_bytes).unwrap_or(1),
        Object::Output(_) | Object::Dir(_) => 1,
    }
}

fn event(subscription: &Subscription, errno: u16, bytes: u64, hangup: bool) -> Event {
    Event {
        userdata: subscription.userdata,
        errno,
        kind: subscription.kind,
        bytes,
        hangup,
    }
}
