//! The end of the guest, and its place among threads.

use crate::WasiCtx;
use crate::error::{Answer, Errno, Fault, I32Exit};

/// The last number of `signal`.
const SIGNAL_MAX: u32 = 30;
/// What a shell reports of a process that a signal ended, less the signal's number.
const SIGNAL_STATUS: i32 = 128;

pub(super) fn proc_exit(_ctx: &mut WasiCtx, status: i32) -> cellwall::Result<()> {
    Err(I32Exit(status).into())
}

/// Sends a signal to the guest itself, which has no handlers, so the default action is taken:
/// nothing, or the end of the guest with the status that a shell would report. Stopping and
/// continuing have no meaning here.
pub(super) fn proc_raise(_ctx: &mut WasiCtx, signal: u32) -> Answer {
    match signal {
        // none, chld, urg, winch
        0 | 16 | 22 | 27 => Ok(()),
        // cont, stop, tstp, ttin, ttou
        17..=21 => Err(Errno::NotSup.into()),
        1..=SIGNAL_MAX => {
            let status = SIGNAL_STATUS + signal.cast_signed();
            Err(Fault::Stop(I32Exit(status).into()))
        }
        _ => Err(Errno::Inval.into()),
    }
}

pub(super) fn sched_yield(_ctx: &mut WasiCtx) -> Answer {
    std::thread::yield_now();
    Ok(())
}
