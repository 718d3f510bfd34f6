//! Reading and writing: between guest memory and the kernel without a copy.

use crate::WasiCtx;
use crate::error::{Answer, Errno};
use crate::guest::Guest;
use crate::perms::Rights;
use crate::sys;
use crate::table::{Entry, FdFlags, Object};
use crate::waiting::Side;
use std::io::{Read, Write};

pub(super) fn fd_read(
    ctx: &mut WasiCtx,
    guest: &mut Guest<'_>,
    fd: u32,
    iovs: u32,
    count: u32,
    nread: u32,
) -> Answer {
    let entry = ctx.table.get(fd)?;
    require(entry, Rights::FD_READ)?;
    let side = side(entry);
    let buffers = guest.buffers(iovs, count)?;
    let read = guest.read_into(buffers, |slices| match &entry.object {
        Object::Input(stream) => ctx.waiting.read(side, || stream.read(slices)),
        Object::File(file) => ctx.waiting.read(side, || (&*file.file).read_vectored(slices)),
        Object::Output(_) | Object::Dir(_) => Err(Errno::BadF.into()),
    })?;
    store_count(guest, nread, read.unwrap_or(0))
}

pub(super) fn fd_write(
    ctx: &mut WasiCtx,
    guest: &mut Guest<'_>,
    fd: u32,
    iovs: u32,
    count: u32,
    nwritten: u32,
) -> Answer {
    let entry = ctx.table.get(fd)?;
    require(entry, Rights::FD_WRITE)?;
    let side = side(entry);
    let buffers = guest.buffers(iovs, count)?;
    let written = guest.write_from(buffers, |slices, _| match &entry.object {
        Object::Output(stream) => ctx.waiting.write(side, slices, |part| stream.write(part)),
        Object::File(file) => ctx
            .waiting
            .write(side, slices, |part| (&*file.file).write_vectored(part)),
        Object::Input(_) | Object::Dir(_) => Err(Errno::BadF.into()),
    })?;
    guest.set_u32(nwritten, written)
}

pub(super) fn fd_pread(
    ctx: &mut WasiCtx,
    guest: &mut Guest<'_>,
    fd: u32,
    iovs: u32,
    count: u32,
    offset: u64,
    nread: u32,
) -> Answer {
    let entry = ctx.table.get(fd)?;
    let file = &entry.file_with(Rights::FD_READ)?.file;
    let offset = checked(offset)?;
    let buffers = guest.buffers(iovs, count)?;
    let read = guest.read_into(buffers, |slices| {
        ctx.waiting
            .read(Side::READY, || sys::read_at(file, slices, offset))
    })?;
    store_count(guest, nread, read.unwrap_or(0))
}

pub(super) fn fd_pwrite(
    ctx: &mut WasiCtx,
    guest: &mut Guest<'_>,
    fd: u32,
    iovs: u32,
    count: u32,
    offset: u64,
    nwritten: u32,
) -> Answer {
    let entry = ctx.table.get(fd)?;
    let file = &entry.file_with(Rights::FD_WRITE)?.file;
    let offset = checked(offset)?;
    let buffers = guest.buffers(iovs, count)?;
    let written = guest.write_from(buffers, |slices, before| {
        let at = checked(offset + u64::from(before))?;
        ctx.waiting
            .write(Side::READY, slices, |part| sys::write_at(file, part, at))
    })?;
    guest.set_u32(nwritten, written)
}

/// A directory cannot be read or written as a file, whatever its rights.
fn require(entry: &Entry, right: Rights) -> Answer {
    match entry.object {
        Object::Dir(_) => Err(Errno::BadF.into()),
        _ => entry.require(right),
    }
}

fn side(entry: &Entry) -> Side<'_> {
    let (handle, always_ask) = match &entry.object {
        Object::Input(stream) => (stream.handle(), false),
        Object::Output(stream) => (stream.handle(), false),
        Object::File(file) => (file.waits.then(|| sys::handle_of(&*file.file)), file.waits),
        Object::Dir(_) => (None, false),
    };
    Side {
        handle,
        nonblocking: entry.flags.contains(FdFlags::NONBLOCK),
        always_ask,
    }
}

/// The kernel's offsets are signed.
fn checked(offset: u64) -> Answer<u64> {
    i64::try_from(offset).map_err(|_| Errno::Inval)?;
    Ok(offset)
}

fn store_count(guest: &mut Guest<'_>, address: u32, count: usize) -> Answer {
    let count = u32::try_from(count).expect("buffers together are no longer than a u32");
    guest.set_u32(address, count)
}
