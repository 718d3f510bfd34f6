//! Sockets. WASI 0.1 cannot make one and a host grants none here, so every descriptor answers
//! `notsock`, or `badf` where there is none.

use crate::WasiCtx;
use crate::error::{Answer, Errno};

pub(super) fn sock_accept(ctx: &mut WasiCtx, fd: u32, _flags: u32, _accepted: u32) -> Answer {
    no_socket(ctx, fd)
}

pub(super) fn sock_recv(
    ctx: &mut WasiCtx,
    fd: u32,
    _iovs: u32,
    _count: u32,
    _flags: u32,
    _nread: u32,
    _out_flags: u32,
) -> Answer {
    no_socket(ctx, fd)
}

pub(super) fn sock_send(
    ctx: &mut WasiCtx,
    fd: u32,
    _iovs: u32,
    _count: u32,
    _flags: u32,
    _nwritten: u32,
) -> Answer {
    no_socket(ctx, fd)
}

pub(super) fn sock_shutdown(ctx: &mut WasiCtx, fd: u32, _how: u32) -> Answer {
    no_socket(ctx, fd)
}

fn no_socket(ctx: &WasiCtx, fd: u32) -> Answer {
    ctx.table.get(fd)?;
    Err(Errno::NotSock.into())
}
