//! Arguments and environment: two lists of strings, each in one buffer with an array of
//! pointers into it.

use crate::WasiCtx;
use crate::descriptor;
use crate::error::{Answer, Errno};
use crate::guest::Guest;

pub(super) fn args_get(ctx: &mut WasiCtx, guest: &mut Guest<'_>, argv: u32, buf: u32) -> Answer {
    store(&ctx.args, guest, argv, buf)
}

pub(super) fn args_sizes_get(ctx: &mut WasiCtx, guest: &mut Guest<'_>, count: u32, bytes: u32) -> Answer {
    store_sizes(&ctx.args, guest, count, bytes)
}

pub(super) fn environ_get(ctx: &mut WasiCtx, guest: &mut Guest<'_>, environ: u32, buf: u32) -> Answer {
    store(&ctx.env, guest, environ, buf)
}

pub(super) fn environ_sizes_get(ctx: &mut WasiCtx, guest: &mut Guest<'_>, count: u32, bytes: u32) -> Answer {
    if ctx.env.is_empty() {
        descriptor::no_variables();
    }
    store_sizes(&ctx.env, guest, count, bytes)
}

fn store(strings: &[Vec<u8>], guest: &mut Guest<'_>, pointers: u32, buf: u32) -> Answer {
    let (count, bytes) = sizes(strings)?;
    // Both ranges are looked at first, so that the sums below cannot overflow.
    guest.records(pointers, count, 4, 4)?;
    guest.bytes(buf, bytes)?;
    let (mut pointer, mut at) = (pointers, buf);
    for string in strings {
        let length = u32::try_from(string.len()).map_err(|_| Errno::Overflow)?;
        guest.set_u32(pointer, at)?;
        let (text, end) = guest.bytes_mut(at, length + 1)?.split_at_mut(string.len());
        text.copy_from_slice(string);
        end[0] = 0;
        (pointer, at) = (pointer.wrapping_add(4), at.wrapping_add(length + 1));
    }
    Ok(())
}

fn store_sizes(strings: &[Vec<u8>], guest: &mut Guest<'_>, count: u32, bytes: u32) -> Answer {
    let sizes = sizes(strings)?;
    guest.set_u32(count, sizes.0)?;
    guest.set_u32(bytes, sizes.1)
}

/// The number of strings, and of their bytes with a NUL after each.
fn sizes(strings: &[Vec<u8>]) -> Answer<(u32, u32)> {
    let bytes: usize = strings.iter().map(|string| string.len() + 1).sum();
    let count = u32::try_from(strings.len()).map_err(|_| Errno::Overflow)?;
    Ok((count, u32::try_from(bytes).map_err(|_| Errno::Overflow)?))
}
