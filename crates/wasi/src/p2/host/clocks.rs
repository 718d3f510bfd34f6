//! `wasi:clocks`. The monotonic clock starts with the context; the time zone is UTC.

use crate::WasiCtxView;
use crate::p1::clock::Clock;
use crate::p2::bindings::wasi::clocks::{monotonic_clock, timezone, wall_clock};
use crate::p2::{DynPollable, Pollable, subscribe};
use crate::sys::{self, SystemClock};
use async_trait::async_trait;
use cellwall::Result;
use cellwall::component::Resource;
use std::time::{Duration, Instant};

const NANOSECONDS: u64 = 1_000_000_000;

/// A time to wait for; one so late that the host has no number for it never comes.
struct Deadline(Option<Instant>);

#[async_trait]
impl Pollable for Deadline {
    async fn ready(&mut self) {
        match self.0 {
            Some(time) if time <= Instant::now() => {}
            Some(time) => tokio::time::sleep_until(time.into()).await,
            None => std::future::pending().await,
        }
    }
}

impl monotonic_clock::Host for WasiCtxView<'_> {
    fn now(&mut self) -> Result<u64> {
        Ok(Clock::Monotonic.now(self.ctx))
    }

    fn resolution(&mut self) -> Result<u64> {
        Ok(sys::clock_resolution(SystemClock::Monotonic))
    }

    fn subscribe_instant(&mut self, when: u64) -> Result<Resource<DynPollable>> {
        let time = self.ctx.started.checked_add(Duration::from_nanos(when));
        let deadline = self.table.push(Deadline(time))?;
        Ok(subscribe(self.table, deadline)?)
    }

    fn subscribe_duration(&mut self, when: u64) -> Result<Resource<DynPollable>> {
        let time = Instant::now().checked_add(Duration::from_nanos(when));
        let deadline = self.table.push(Deadline(time))?;
        Ok(subscribe(self.table, deadline)?)
    }
}

impl wall_clock::Host for WasiCtxView<'_> {
    fn now(&mut self) -> Result<wall_clock::Datetime> {
        Ok(datetime(Clock::Realtime.now(self.ctx)))
    }

    fn resolution(&mut self) -> Result<wall_clock::Datetime> {
        Ok(datetime(sys::clock_resolution(SystemClock::Realtime)))
    }
}

impl timezone::Host for WasiCtxView<'_> {
    fn display(&mut self, _when: wall_clock::Datetime) -> Result<timezone::TimezoneDisplay> {
        Ok(timezone::TimezoneDisplay {
            utc_offset: 0,
            name: "UTC".to_owned(),
            in_daylight_saving_time: false,
        })
    }

    fn utc_offset(&mut self, _when: wall_clock::Datetime) -> Result<i32> {
        Ok(0)
    }
}

/// Nanoseconds since 1970 as the interface has them.
pub(super) fn datetime(nanoseconds: u64) -> wall_clock::Datetime {
    wall_clock::Datetime {
        seconds: nanoseconds / NANOSECONDS,
        nanoseconds: u32::try_from(nanoseconds % NANOSECONDS).expect("less than a second"),
    }
}

/// The nanoseconds since 1970 that the interface means; `None` if there is no such time.
pub(super) fn nanoseconds(time: wall_clock::Datetime) -> Option<u64> {
    let fraction = u64::from(time.nanoseconds);
    if fraction >= NANOSECONDS {
        return None;
    }
    time.seconds.checked_mul(NANOSECONDS)?.checked_add(fraction)
}
