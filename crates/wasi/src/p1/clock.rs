//! Clocks: the time of day, and a monotonic one that starts with the context.
//!
//! Does not do: the processor-time clocks, which would tell of the host's process; they answer
//! `inval`, as the definition asks of a clock that is not there.

use crate::WasiCtx;
use crate::error::{Answer, Errno};
use crate::guest::Guest;
use crate::sys;
use std::time::{SystemTime, UNIX_EPOCH};

/// `clockid`, as far as there is a clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clock {
    Realtime,
    Monotonic,
}

impl Clock {
    pub(super) fn new(id: u32) -> Answer<Clock> {
        match id {
            0 => Ok(Clock::Realtime),
            1 => Ok(Clock::Monotonic),
            _ => Err(Errno::Inval.into()),
        }
    }

    /// Nanoseconds since 1970, or since the context was built.
    pub(super) fn now(self, ctx: &WasiCtx) -> u64 {
        let since = match self {
            Clock::Realtime => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            Clock::Monotonic => ctx.started.elapsed(),
        };
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }
}

pub(super) fn clock_res_get(_ctx: &mut WasiCtx, guest: &mut Guest<'_>, id: u32, resolution: u32) -> Answer {
    let clock = Clock::new(id)?;
    guest.set_u64(resolution, sys::clock_resolution(clock == Clock::Monotonic))
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
