//! Paths. Who may is asked of the descriptor (`table`, `perms`), where it leads of `files`.

#![allow(
    clippy::too_many_arguments,
    reason = "the arguments are those of the definition"
)]

use super::fd::{fd_flags, times};
use super::types::{LookupFlags, OFlags};
use crate::WasiCtx;
use crate::error::{Answer, Errno};
use crate::files::{GuestPath, How, OpenDir, Opened};
use crate::guest::Guest;
use crate::perms::Rights;
use crate::sys;
use crate::table::Entry;

pub(super) fn path_create_directory(
    ctx: &mut WasiCtx,
    guest: &mut Guest<'_>,
    fd: u32,
    path: u32,
    len: u32,
) -> Answer {
    let dir = ctx.table.get(fd)?.dir_with(Rights::PATH_CREATE_DIRECTORY)?;
    let path = GuestPath::new(guest.path(path, len)?)?;
    path.place(&dir.dir, Errno::Exist)?.create_directory()
}

pub(super) fn path_remove_directory(
    ctx: &mut WasiCtx,
    guest: &mut Guest<'_>,
    fd: u32,
    path: u32,
    len: u32,
) -> Answer {
    let dir = ctx.table.get(fd)?.dir_with(Rights::PATH_REMOVE_DIRECTORY)?;
    let path = GuestPath::new(guest.path(path, len)?)?;
    path.place(&dir.dir, Errno::Inval)?.remove_directory()
}

pub(super) fn path_unlink_file(
    ctx: &mut WasiCtx,
    guest: &mut Guest<'_>,
    fd: u32,
    path: u32,
    len: u32,
) -> Answer {
    let dir = ctx.table.get(fd)?.dir_with(Rights::PATH_UNLINK_FILE)?;
    let path = GuestPath::new(guest.path(path, len)?)?;
    path.place(&dir.dir, Errno::IsDir)?.unlink()
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
    let dir = ctx.table.get(fd)?.dir_with(Rights::PATH_FILESTAT_GET)?;
    let follow = follows(flags)?;
    let path = GuestPath::new(guest.path(path, len)?)?;
    let metadata = match follow {
        true => path.metadata_followed(&dir.dir)?,
        false => path.metadata(&dir.dir)?,
    };
    guest.set_record(stat, 8, &sys::filestat(&metadata).record())
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
    let dir = ctx.table.get(fd)?.dir_with(Rights::PATH_FILESTAT_SET_TIMES)?;
    let follow = follows(flags)?;
    let times = times(atim, mtim, fst_flags)?;
    let path = GuestPath::new(guest.path(path, len)?)?;
    if follow || path.names_directory() {
        Ok(sys::set_times_located(path.locate(&dir.dir)?, times)?)
    } else {
        path.place(&dir.dir, Errno::Inval)?.set_times(times)
    }
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
    let dir = ctx.table.get(fd)?.dir_with(Rights::PATH_READLINK)?;
    let path = GuestPath::new(guest.path(path, len)?)?;
    let contents = path.place(&dir.dir, Errno::Inval)?.read_link()?;
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
    let dir = ctx.table.get(fd)?.dir_with(Rights::PATH_SYMLINK)?;
    let contents = guest.path(old_path, old_len)?;
    let path = GuestPath::new(guest.path(new_path, new_len)?)?;
    path.place(&dir.dir, Errno::Exist)?.symlink(contents)
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
    let old_dir = old.dir_with(Rights::PATH_LINK_SOURCE)?;
    let new_dir = new.dir_with(Rights::PATH_LINK_TARGET)?;
    require_no_gain(old, old_dir, new, new_dir)?;
    if follows(old_flags)? {
        // A link to what a link names: no kernel resolves that beneath a directory.
        return Err(Errno::Inval.into());
    }
    let old_path = GuestPath::new(guest.path(old_path, old_len)?)?;
    let new_path = GuestPath::new(guest.path(new_path, new_len)?)?;
    let target = new_path.place(&new_dir.dir, Errno::Exist)?;
    old_path.place(&old_dir.dir, Errno::Perm)?.link(&target)
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
    let old_dir = old.dir_with(Rights::PATH_RENAME_SOURCE)?;
    let new_dir = new.dir_with(Rights::PATH_RENAME_TARGET)?;
    require_no_gain(old, old_dir, new, new_dir)?;
    let old_path = GuestPath::new(guest.path(old_path, old_len)?)?;
    let new_path = GuestPath::new(guest.path(new_path, new_len)?)?;
    let target = new_path.place(&new_dir.dir, Errno::Busy)?;
    old_path.place(&old_dir.dir, Errno::Busy)?.rename(&target)
}

/// Another name must not give other rights to the same file, nor may contents come into a
/// directory whose files the guest may not write: both directories grant the same, and the
/// guest gave up nothing at the first that it kept at the second.
fn require_no_gain(old: &Entry, old_dir: &OpenDir, new: &Entry, new_dir: &OpenDir) -> Answer {
    if old_dir.grant != new_dir.grant {
        return Err(Errno::Perm.into());
    }
    match old.rights().1.contains(new.rights().1) {
        true => Ok(()),
        false => Err(Errno::NotCapable.into()),
    }
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
    let entry = open(ctx, fd, path, how)?;
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

fn open(ctx: &mut WasiCtx, fd: u32, path: &str, how: How) -> Answer<Entry> {
    // Before anything is created that could not be returned.
    ctx.table.require_room()?;
    let entry = ctx.table.get(fd)?;
    let dir = entry.dir_with(Rights::PATH_OPEN)?;
    if how.create {
        entry.require(Rights::PATH_CREATE_FILE)?;
    }
    if how.truncate {
        entry.require(Rights::PATH_FILESTAT_SET_SIZE)?;
    }
    let (_, inheriting) = entry.rights();
    if how.write && !inheriting.contains(Rights::FD_WRITE) {
        let granted = dir.grant.on_file.contains(Rights::FD_WRITE);
        return Err(if granted { Errno::NotCapable } else { Errno::Perm }.into());
    }
    match GuestPath::new(path)?.open(&dir.dir, how)? {
        Opened::Dir(found) => Ok(Entry::dir(OpenDir::new(found, dir.grant, None), inheriting)),
        Opened::File(file) => {
            let mut base = inheriting;
            base.set(Rights::FD_READ, how.read && inheriting.contains(Rights::FD_READ));
            base.set(Rights::FD_WRITE, how.write);
            Ok(Entry::file(file, dir.grant.on_file, base, how.flags))
        }
    }
}

fn follows(flags: u32) -> Answer<bool> {
    let flags = LookupFlags::from_bits(flags).ok_or(Errno::Inval)?;
    Ok(flags.contains(LookupFlags::SYMLINK_FOLLOW))
}
