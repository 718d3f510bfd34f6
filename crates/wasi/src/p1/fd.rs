//! Descriptors: their state, attributes, positions and entries; not their contents.

use super::types::{FileType, Filestat, FstFlags, dirent, fdstat};
use crate::WasiCtx;
use crate::descriptor::{self, Durable};
use crate::error::{Answer, Errno};
use crate::guest::Guest;
use crate::perms::Rights;
use crate::sys::{self, Advice, DirItem, DirStream, SetTime, Times};
use crate::table::{Entry, FdFlags, Object};
use std::io::{Seek, SeekFrom};

/// `prestat` of a directory: the tag and the length of its name.
const PRESTAT_DIR: u32 = 0;
/// Where a guest's libc begins to ask for directories: behind the standard streams.
const FIRST_PREOPEN: u32 = 3;

pub(super) fn fd_close(ctx: &mut WasiCtx, fd: u32) -> Answer {
    ctx.table.close(fd)
}

pub(super) fn fd_renumber(ctx: &mut WasiCtx, from: u32, to: u32) -> Answer {
    ctx.table.renumber(from, to)
}

pub(super) fn fd_advise(ctx: &mut WasiCtx, fd: u32, offset: u64, len: u64, advice: u32) -> Answer {
    let entry = ctx.table.get(fd)?;
    let advice = match advice {
        0 => Advice::Normal,
        1 => Advice::Sequential,
        2 => Advice::Random,
        3 => Advice::WillNeed,
        4 => Advice::DontNeed,
        5 => Advice::NoReuse,
        _ => return entry.file_with(Rights::FD_ADVISE).and(Err(Errno::Inval.into())),
    };
    entry.advise(offset, len, advice)
}

pub(super) fn fd_allocate(ctx: &mut WasiCtx, fd: u32, offset: u64, len: u64) -> Answer {
    ctx.table.get(fd)?.allocate(offset, len)
}

pub(super) fn fd_sync(ctx: &mut WasiCtx, fd: u32) -> Answer {
    sync(ctx, fd, Durable::All)
}

pub(super) fn fd_datasync(ctx: &mut WasiCtx, fd: u32) -> Answer {
    sync(ctx, fd, Durable::Data)
}

fn sync(ctx: &WasiCtx, fd: u32, durable: Durable) -> Answer {
    let file = ctx.table.get(fd)?.to_sync(durable)?;
    Ok(durable.sync(&file)?)
}

pub(super) fn fd_fdstat_get(ctx: &mut WasiCtx, guest: &mut Guest<'_>, fd: u32, stat: u32) -> Answer {
    let entry = ctx.table.get(fd)?;
    let (base, inheriting) = entry.rights();
    let flags = entry.flags.bits();
    let record = fdstat(file_type(entry)?, flags, base.bits(), inheriting.bits());
    guest.set_record(stat, 8, &record)
}

pub(super) fn fd_fdstat_set_flags(ctx: &mut WasiCtx, fd: u32, flags: u32) -> Answer {
    let entry = ctx.table.get_mut(fd)?;
    entry.require(Rights::FD_FDSTAT_SET_FLAGS)?;
    let flags = fd_flags(flags)?;
    // When data reaches the disk is decided by the open; a stream has no end to append to.
    let changeable = match &entry.object {
        Object::File(_) => FdFlags::APPEND | FdFlags::NONBLOCK,
        Object::Input(_) | Object::Output(_) => FdFlags::NONBLOCK,
        Object::Dir(_) => FdFlags::empty(),
    };
    if !changeable.contains(flags ^ entry.flags) {
        return Err(Errno::Inval.into());
    }
    if let Object::File(file) = &entry.object {
        sys::set_flags(&file.file, flags)?;
    }
    entry.flags = flags;
    Ok(())
}

pub(super) fn fd_fdstat_set_rights(ctx: &mut WasiCtx, fd: u32, base: u64, inheriting: u64) -> Answer {
    let entry = ctx.table.get_mut(fd)?;
    entry.narrow(
        Rights::from_bits_retain(base),
        Rights::from_bits_retain(inheriting),
    )
}

pub(super) fn fd_filestat_get(ctx: &mut WasiCtx, guest: &mut Guest<'_>, fd: u32, stat: u32) -> Answer {
    let entry = ctx.table.get(fd)?;
    let filestat = match &entry.object {
        Object::File(_) | Object::Dir(_) => entry.stat()?,
        Object::Input(_) | Object::Output(_) => Filestat::of_stream(file_type(entry)?),
    };
    guest.set_record(stat, 8, &filestat.record())
}

pub(super) fn fd_filestat_set_size(ctx: &mut WasiCtx, fd: u32, size: u64) -> Answer {
    ctx.table.get(fd)?.set_size(size)
}

pub(super) fn fd_filestat_set_times(ctx: &mut WasiCtx, fd: u32, atim: u64, mtim: u64, flags: u32) -> Answer {
    let entry = ctx.table.get(fd)?;
    entry.set_times(times(atim, mtim, flags)?)
}

pub(super) fn fd_prestat_get(ctx: &mut WasiCtx, guest: &mut Guest<'_>, fd: u32, prestat: u32) -> Answer {
    let length = u32::try_from(preopen(ctx, fd)?.len()).map_err(|_| Errno::Overflow)?;
    let mut record = [0; 8];
    record[..4].copy_from_slice(&PRESTAT_DIR.to_le_bytes());
    record[4..].copy_from_slice(&length.to_le_bytes());
    guest.set_record(prestat, 4, &record)
}

pub(super) fn fd_prestat_dir_name(
    ctx: &mut WasiCtx,
    guest: &mut Guest<'_>,
    fd: u32,
    path: u32,
    path_len: u32,
) -> Answer {
    let name = preopen(ctx, fd)?.as_bytes();
    let room = guest.bytes_mut(path, path_len)?;
    let room = room.get_mut(..name.len()).ok_or(Errno::NameTooLong)?;
    room.copy_from_slice(name);
    Ok(())
}

pub(super) fn fd_seek(
    ctx: &mut WasiCtx,
    guest: &mut Guest<'_>,
    fd: u32,
    offset: i64,
    whence: u32,
    position: u32,
) -> Answer {
    let to = match whence {
        0 => SeekFrom::Start(u64::try_from(offset).map_err(|_| Errno::Inval)?),
        1 => SeekFrom::Current(offset),
        2 => SeekFrom::End(offset),
        _ => return Err(Errno::Inval.into()),
    };
    let file = ctx.table.get(fd)?.file_with(Rights::FD_SEEK)?;
    let at = (&*file.file).seek(to)?;
    guest.set_u64(position, at)
}

pub(super) fn fd_tell(ctx: &mut WasiCtx, guest: &mut Guest<'_>, fd: u32, position: u32) -> Answer {
    let file = ctx.table.get(fd)?.file_with(Rights::FD_TELL)?;
    let at = (&*file.file).stream_position()?;
    guest.set_u64(position, at)
}

pub(super) fn fd_readdir(
    ctx: &mut WasiCtx,
    guest: &mut Guest<'_>,
    fd: u32,
    buf: u32,
    buf_len: u32,
    cookie: u64,
    used: u32,
) -> Answer {
    let dir = ctx.table.get(fd)?.dir_with(Rights::FD_READDIR)?;
    let own_inode = sys::filestat(&dir.dir.dir_metadata()?).inode;
    let mut listing = dir.listing.borrow_mut();
    let listing = match &mut *listing {
        Some(listing) => listing,
        empty => empty.insert(DirStream::new(&dir.dir)?),
    };
    listing.seek(cookie)?;
    let room = guest.bytes_mut(buf, buf_len)?;
    let mut filled = 0;
    while filled < room.len() {
        let Some(mut item) = listing.next()? else { break };
        if item.name.as_bytes() == b".." {
            // What lies above a granted directory is not the guest's to know.
            item.inode = own_inode;
        }
        filled += put_entry(&mut room[filled..], &item);
    }
    guest.set_u32(
        used,
        u32::try_from(filled).expect("no more than the buffer was filled"),
    )
}

/// Writes as much of an entry as fits: one that is cut off tells the guest that there is more.
fn put_entry(room: &mut [u8], item: &DirItem) -> usize {
    let name = item.name.as_bytes();
    let name_bytes = u32::try_from(name.len()).expect("the kernel's names are short");
    let head = dirent(item.next, item.inode, name_bytes, item.file_type);
    let (head_room, name_room) = room.split_at_mut(room.len().min(head.len()));
    head_room.copy_from_slice(&head[..head_room.len()]);
    let name_fits = name_room.len().min(name.len());
    name_room[..name_fits].copy_from_slice(&name[..name_fits]);
    head_room.len() + name_fits
}

/// The `fdflags` of a call.
pub(super) fn fd_flags(bits: u32) -> Answer<FdFlags> {
    let bits = u16::try_from(bits).map_err(|_| Errno::Inval)?;
    FdFlags::from_bits(bits).ok_or_else(|| Errno::Inval.into())
}

/// The times of a call.
pub(super) fn times(atim: u64, mtim: u64, flags: u32) -> Answer<Times> {
    let flags = FstFlags::from_bits(flags).ok_or(Errno::Inval)?;
    let one = |given, now, time| match (flags.contains(given), flags.contains(now)) {
        (false, false) => Ok(SetTime::Keep),
        (false, true) => Ok(SetTime::Now),
        (true, false) => Ok(SetTime::At(time)),
        (true, true) => Err(Errno::Inval),
    };
    Ok(Times {
        access: one(FstFlags::ATIM, FstFlags::ATIM_NOW, atim)?,
        modification: one(FstFlags::MTIM, FstFlags::MTIM_NOW, mtim)?,
    })
}

/// The name of a directory that the host granted. For all else `badf`: a guest's libc counts the
/// granted directories up to the first such answer and gives up at any other.
fn preopen(ctx: &WasiCtx, fd: u32) -> Answer<&str> {
    if fd == FIRST_PREOPEN && ctx.preopens.is_empty() {
        descriptor::no_directories();
    }
    match &ctx.table.get(fd)?.object {
        Object::Dir(dir) if dir.is_preopen => Ok(&dir.granted_as),
        _ => Err(Errno::BadF.into()),
    }
}

fn file_type(entry: &Entry) -> Answer<FileType> {
    let terminal = match &entry.object {
        Object::File(file) => return Ok(sys::filestat(&file.file.metadata()?).file_type),
        Object::Dir(_) => return Ok(FileType::Directory),
        Object::Input(stream) => stream.is_terminal(),
        Object::Output(stream) => stream.is_terminal(),
    };
    Ok(if terminal {
        FileType::CharacterDevice
    } else {
        FileType::Unknown
    })
}
