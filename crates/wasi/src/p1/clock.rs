//! Clocks: the time of day, a monotonic one that starts with the context, and the processor time of
//! the host's process and thread.

use crate::WasiCtx;
use crate::error::{Answer, Errno};
use crate::guest::Guest;
use crate::sys;
use std::time::{SystemTime, UNIX_EPOCH};

/// `clockid`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clock {
    Realtime,
    Monotonic,
    ProcessCpu,
    ThreadCpu,
}

impl Clock {
    pub(super) fn new(id: u32) -> Answer<Clock> {
        match id {
            0 => Ok(Clock::Realtime),
            1 => Ok(Clock::Monotonic),
            2 => Ok(Clock::ProcessCpu),
            3 => Ok(Clock::ThreadCpu),
            _ => Err(Errno::Inval.into()),
        }
    }

    /// Whether one can wait for a time of it: processor time stands while one waits.
    pub(super) fn goes_on_while_waiting(self) -> bool {
        matches!(self, Clock::Realtime | Clock::Monotonic)
    }

    fn system(self) -> sys::SystemClock {
        match self {
            Clock::Realtime => sys::SystemClock::Realtime,
            Clock::Monotonic => sys::SystemClock::Monotonic,
            Clock::ProcessCpu => sys::SystemClock::ProcessCPUTime,
            Clock::ThreadCpu => sys::SystemClock::ThreadCPUTime,
        }
    }

    /// Nanoseconds since 1970, since the context was built, or of processor time.
    pub(crate) fn now(self, ctx: &WasiCtx) -> u64 {
        let since = match self {
            Clock::Realtime => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            Clock::Monotonic => ctx.started.elapsed(),
            Clock::ProcessCpu | Clock::ThreadCpu => sys::clock_time(self.system()),
        };
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }
}

pub(super) fn clock_res_get(_ctx: &mut WasiCtx, guest: &mut Guest<'_>, id: u32, resolution: u32) -> Answer {
    guest.set_u64(resolution, sys::clock_resolution(Clock::new(id)?.system()))
}

pub(super) fn clock_time_get(
    ctx: &mut WasiCtx,
    guest: &mut Guest<'_>,
    id: u32,
    _precision: u64,
    time: u32,
) -> Answer {
    guest.set_u64(time, Clock::new(id)?.now(ctx))
}
