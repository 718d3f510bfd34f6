//! `wasi:random`. All of it comes from the kernel, also what may be insecure: it is fast enough.

use crate::WasiCtxView;
use crate::p2::bindings::wasi::random::{insecure, insecure_seed, random};
use crate::sys;
use cellwall::{Result, bail};

/// The most random bytes of one call.
const RANDOM_BYTES_MAX: u64 = 64 << 20;

impl random::Host for WasiCtxView<'_> {
    fn get_random_bytes(&mut self, len: u64) -> Result<Vec<u8>> {
        bytes(len)
    }

    fn get_random_u64(&mut self) -> Result<u64> {
        number()
    }
}

impl insecure::Host for WasiCtxView<'_> {
    fn get_insecure_random_bytes(&mut self, len: u64) -> Result<Vec<u8>> {
        bytes(len)
    }

    fn get_insecure_random_u64(&mut self) -> Result<u64> {
        number()
    }
}

impl insecure_seed::Host for WasiCtxView<'_> {
    fn insecure_seed(&mut self) -> Result<(u64, u64)> {
        if let Some(seed) = self.ctx.seed {
            return Ok(seed);
        }
        Ok(*self.ctx.seed.insert((number()?, number()?)))
    }
}

fn bytes(len: u64) -> Result<Vec<u8>> {
    if len > RANDOM_BYTES_MAX {
        bail!("{len} random bytes are more than the {RANDOM_BYTES_MAX} of one call");
    }
    let mut bytes = vec![0; usize::try_from(len).expect("it was just compared")];
    sys::random(&mut bytes)?;
    Ok(bytes)
}

fn number() -> Result<u64> {
    let mut bytes = [0; 8];
    sys::random(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}
