//! Randomness, from the kernel straight into guest memory.

use crate::WasiCtx;
use crate::error::Answer;
use crate::guest::Guest;
use crate::sys;

/// Bytes between two looks at whether somebody cancelled.
const CHUNK_BYTES: usize = 1 << 20;

pub(super) fn random_get(ctx: &mut WasiCtx, guest: &mut Guest<'_>, buf: u32, len: u32) -> Answer {
    for chunk in guest.bytes_mut(buf, len)?.chunks_mut(CHUNK_BYTES) {
        ctx.waiting.check()?;
        sys::random(chunk)?;
    }
    Ok(())
}
