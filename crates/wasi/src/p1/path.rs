//! Paths, read from guest memory. What is done with them is in `descriptor`.

#![allow(
    clippy::too_many_arguments,
    reason = "the arguments are those of the definition"
)]

use super::fd::{fd_flags, times};
use super::types::{LookupFlags, OFlags};
use crate::WasiCtx;
use crate::error::{Answer, Errno};
use crate::files::How;
use crate::guest::Guest;
use crate::perms::Rights;
use crate::sys;

pub(super) fn path_create_directory(
    ctx: &mut WasiCtx,
    guest: &mut Guest<'_>,
    fd: u32,
    path: u32,
    len: u32,
) -> Answer {
    ctx.table.get(fd)?.create_directory_at(guest.path(path, len)?)
}

pub(super) fn path_remove_directory(
    ctx: &mut WasiCtx,
    guest: &mut Guest<'_>,
    fd: u32,
    path: u32,
    len: u32,
) -> Answer {
    ctx.table.get(fd)?.remove_directory_at(guest.path(path, len)?)
}

pub(super) fn path_unlink_file(
    ctx: &mut WasiCtx,
    guest: &mut Guest<'_>,
    fd: u32,
    path: u32,
    len: u32,
) -> Answer {
    ctx.table.get(fd)?.unlink_at(guest.path(path, len)?)
}

pub(super) fn path_filestat_get(
    ctx: &mut WasiCtx,
    guest: &mut Guest<'_>,
    fd: u32,
    flags: u32,
    path: u32,
    len: u32,
    stat: u32,
) -> Answer {
    let found = ctx
        .table
        .get(fd)?
        .stat_at(follows(flags)?, guest.path(path, len)?)?;
    guest.set_record(stat, 8, &found.record())
}

pub(super) fn path_filestat_set_times(
    ctx: &mut WasiCtx,
    guest: &mut Guest<'_>,
    fd: u32,
    flags: u32,
    path: u32,
    len: u32,
    atim: u64,
    mtim: u64,
    fst_flags: u32,
) -> Answer {
    let entry = ctx.table.get(fd)?;
    let (follow, times) = (follows(flags)?, times(atim, mtim, fst_flags)?);
    entry.set_times_at(follow, guest.path(path, len)?, times)
}

pub(super) fn path_readlink(
    ctx: &mut WasiCtx,
    guest: &mut Guest<'_>,
    fd: u32,
    path: u32,
    len: u32,
    buf: u32,
    buf_len: u32,
    used: u32,
) -> Answer {
    let contents = ctx.table.get(fd)?.read_link_at(guest.path(path, len)?)?;
    let contents = sys::bytes_of_os_string(contents.into_os_string());
    let room = guest.bytes_mut(buf, buf_len)?;
    let fits = room.len().min(contents.len());
    room[..fits].copy_from_slice(&contents[..fits]);
    guest.set_u32(
        used,
        u32::try_from(fits).expect("no more than the buffer was filled"),
    )
}

pub(super) fn path_symlink(
    ctx: &mut WasiCtx,
    guest: &mut Guest<'_>,
    old_path: u32,
    old_len: u32,
    fd: u32,
    new_path: u32,
    new_len: u32,
) -> Answer {
    let (contents, path) = (guest.path(old_path, old_len)?, guest.path(new_path, new_len)?);
    ctx.table.get(fd)?.symlink_at(contents, path)
}

pub(super) fn path_link(
    ctx: &mut WasiCtx,
    guest: &mut Guest<'_>,
    old_fd: u32,
    old_flags: u32,
    old_path: u32,
    old_len: u32,
    new_fd: u32,
    new_path: u32,
    new_len: u32,
) -> Answer {
    let (old, new) = (ctx.table.get(old_fd)?, ctx.table.get(new_fd)?);
    let follow = follows(old_flags)?;
    let (old_path, new_path) = (guest.path(old_path, old_len)?, guest.path(new_path, new_len)?);
    old.link_at(follow, old_path, new, new_path)
}

pub(super) fn path_rename(
    ctx: &mut WasiCtx,
    guest: &mut Guest<'_>,
    old_fd: u32,
    old_path: u32,
    old_len: u32,
    new_fd: u32,
    new_path: u32,
    new_len: u32,
) -> Answer {
    let (old, new) = (ctx.table.get(old_fd)?, ctx.table.get(new_fd)?);
    let (old_path, new_path) = (guest.path(old_path, old_len)?, guest.path(new_path, new_len)?);
    old.rename_at(old_path, new, new_path)
}

pub(super) fn path_open(
    ctx: &mut WasiCtx,
    guest: &mut Guest<'_>,
    fd: u32,
    dirflags: u32,
    path: u32,
    len: u32,
    oflags: u32,
    base: u64,
    _inheriting: u64,
    fdflags: u32,
    opened: u32,
) -> Answer {
    let path = guest.path(path, len)?;
    let how = how(dirflags, oflags, base, fdflags)?;
    // Before anything is created that could not be returned.
    ctx.table.require_room()?;
    let entry = ctx.table.get(fd)?.open_at(path, how)?;
    let number = ctx.table.insert(entry)?;
    guest.set_u32(opened, number)
}

/// Of the rights asked for, reading and writing decide how the file is opened. All others that
/// the directory passes on are granted, asked for or not: that is what guests are built for.
fn how(dirflags: u32, oflags: u32, base: u64, fdflags: u32) -> Answer<How> {
    let oflags = OFlags::from_bits(oflags).ok_or(Errno::Inval)?;
    let base = Rights::from_bits_retain(base);
    let directory = oflags.contains(OFlags::DIRECTORY);
    let how = How {
        read: base.contains(Rights::FD_READ),
        write: base.contains(Rights::FD_WRITE),
        create: oflags.contains(OFlags::CREAT),
        exclusive: oflags.contains(OFlags::EXCL),
        truncate: oflags.contains(OFlags::TRUNC),
        directory,
        follow: follows(dirflags)?,
        flags: fd_flags(fdflags)?,
    };
    match directory && (how.create || how.exclusive || how.truncate) {
        true => Err(Errno::Inval.into()),
        false => Ok(how),
    }
}

fn follows(flags: u32) -> Answer<bool> {
    let flags = LookupFlags::from_bits(flags).ok_or(Errno::Inval)?;
    Ok(flags.contains(LookupFlags::SYMLINK_FOLLOW))
}
