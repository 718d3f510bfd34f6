//! What `cap-std` has no portable name for: flags, advice, allocation, times, attributes.

use crate::p1::types::{FileType, Filestat};
use crate::table::FdFlags;
use cap_std::fs::{Dir, File, Metadata, MetadataExt, OpenOptions, OpenOptionsExt};
use rustix::fs::{AtFlags, OFlags, Timestamps, UTIME_NOW, UTIME_OMIT};
use std::io::{self, IoSlice, IoSliceMut};
use std::num::NonZeroU64;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;

pub(crate) use rustix::fs::Advice;

/// Adds the flags of an `open`.
///
/// It never waits (a pipe without a peer, a device) and never takes a terminal; on anything but
/// a regular file our own waiting takes the place of the kernel's.
pub(crate) fn open_flags(options: &mut OpenOptions, flags: FdFlags, directory: bool) {
    let mut host = OFlags::NONBLOCK | OFlags::NOCTTY | host_flags(flags);
    if directory {
        host |= OFlags::DIRECTORY;
    }
    options.custom_flags(host.bits().cast_signed());
}

/// Makes the `open` give a handle that names an object and permits nothing else.
pub(crate) fn only_locate(options: &mut OpenOptions, directory: bool) {
    let host = if directory {
        OFlags::PATH | OFlags::DIRECTORY
    } else {
        OFlags::PATH
    };
    options.custom_flags(host.bits().cast_signed());
}

/// Changes the flags that can be changed on an open file: `append`.
pub(crate) fn set_flags(file: &File, flags: FdFlags) -> io::Result<()> {
    let append = host_flags(flags) & OFlags::APPEND;
    Ok(rustix::fs::fcntl_setfl(file, append | OFlags::NONBLOCK)?)
}

/// `nonblock` is not here: the host's descriptor has it always.
fn host_flags(flags: FdFlags) -> OFlags {
    let rows = [
        (FdFlags::APPEND, OFlags::APPEND),
        (FdFlags::DSYNC, OFlags::DSYNC),
        (FdFlags::RSYNC, OFlags::SYNC),
        (FdFlags::SYNC, OFlags::SYNC),
    ];
    let wanted = rows.into_iter().filter(|(flag, _)| flags.contains(*flag));
    wanted.fold(OFlags::empty(), |host, (_, row)| host | row)
}

/// Reads at `offset` without moving the position.
pub(crate) fn read_at(file: &File, buffers: &mut [IoSliceMut<'_>], offset: u64) -> io::Result<usize> {
    Ok(rustix::io::preadv(file, buffers, offset)?)
}

/// Reads into the room that `bytes` has beyond its length, at an offset or at the position.
pub(crate) fn read_into(file: &File, bytes: &mut Vec<u8>, offset: Option<u64>) -> io::Result<usize> {
    let room = rustix::buffer::spare_capacity(bytes);
    Ok(match offset {
        Some(offset) => rustix::io::pread(file, room, offset)?,
        None => rustix::io::read(file, room)?,
    })
}

/// Writes at the position.
pub(crate) fn write(file: &File, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
    Ok(rustix::io::writev(file, buffers)?)
}

/// Writes behind the end, wherever that is then, without moving the position.
pub(crate) fn write_end(file: &File, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
    // The kernel takes the offset for nothing but the sign.
    Ok(rustix::io::pwritev2(
        file,
        buffers,
        0,
        rustix::io::ReadWriteFlags::APPEND,
    )?)
}

/// Writes at `offset` without moving the position; at the end if the file is open for `append`.
pub(crate) fn write_at(file: &File, buffers: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
    Ok(rustix::io::pwritev(file, buffers, offset)?)
}

/// Tells the kernel how a range will be used; a length of 0 means to the end.
pub(crate) fn advise(file: &File, offset: u64, length: u64, advice: Advice) -> io::Result<()> {
    Ok(rustix::fs::fadvise(
        file,
        offset,
        NonZeroU64::new(length),
        advice,
    )?)
}

/// Makes sure that a range has space behind it; the file grows to hold it.
pub(crate) fn allocate(file: &File, offset: u64, length: u64) -> io::Result<()> {
    Ok(rustix::fs::fallocate(
        file,
        rustix::fs::FallocateFlags::empty(),
        offset,
        length,
    )?)
}

/// One time to set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SetTime {
    Keep,
    Now,
    /// Nanoseconds since 1970.
    At(u64),
}

/// Both times to set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Times {
    pub(crate) access: SetTime,
    pub(crate) modification: SetTime,
}

/// Sets the times of an open file or directory.
pub(crate) fn set_times(handle: impl AsFd, times: Times) -> io::Result<()> {
    Ok(rustix::fs::futimens(handle, &timestamps(times))?)
}

/// Sets the times of what a handle from [`only_locate`] names.
pub(crate) fn set_times_located(handle: impl AsFd, times: Times) -> io::Result<()> {
    Ok(rustix::fs::utimensat(
        handle,
        "",
        &timestamps(times),
        AtFlags::EMPTY_PATH,
    )?)
}

/// Sets the times of the entry `name` of `parent`, without following a link.
pub(crate) fn set_times_at(parent: &Dir, name: &str, times: Times) -> io::Result<()> {
    Ok(rustix::fs::utimensat(
        parent,
        name,
        &timestamps(times),
        AtFlags::SYMLINK_NOFOLLOW,
    )?)
}

fn timestamps(times: Times) -> Timestamps {
    let one = |time| match time {
        SetTime::Keep => rustix::fs::Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT as _,
        },
        SetTime::Now => rustix::fs::Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_NOW as _,
        },
        SetTime::At(nanoseconds) => rustix::fs::Timespec {
            tv_sec: (nanoseconds / 1_000_000_000).cast_signed(),
            tv_nsec: (nanoseconds % 1_000_000_000).cast_signed(),
        },
    };
    Timestamps {
        last_access: one(times.access),
        last_modification: one(times.modification),
    }
}

/// The attributes as WASI has them.
pub(crate) fn filestat(metadata: &Metadata) -> Filestat {
    Filestat {
        device: metadata.dev(),
        inode: metadata.ino(),
        file_type: file_type(rustix::fs::FileType::from_raw_mode(metadata.mode())),
        links: metadata.nlink(),
        size: metadata.size(),
        access: nanoseconds(metadata.atime(), metadata.atime_nsec()),
        modification: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
        change: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
    }
}

/// A time before 1970 has no form in WASI: it becomes 0.
fn nanoseconds(seconds: i64, fraction: i64) -> u64 {
    let total = i128::from(seconds) * 1_000_000_000 + i128::from(fraction);
    u64::try_from(total.max(0)).unwrap_or(u64::MAX)
}

pub(crate) fn file_type(host: rustix::fs::FileType) -> FileType {
    match host {
        rustix::fs::FileType::RegularFile => FileType::RegularFile,
        rustix::fs::FileType::Directory => FileType::Directory,
        rustix::fs::FileType::Symlink => FileType::SymbolicLink,
        rustix::fs::FileType::BlockDevice => FileType::BlockDevice,
        rustix::fs::FileType::CharacterDevice => FileType::CharacterDevice,
        rustix::fs::FileType::Fifo => FileType::Fifo,
        rustix::fs::FileType::Socket => FileType::SocketStream,
        _ => FileType::Unknown,
    }
}

/// The bytes of a name or value of the host's environment.
pub(crate) fn bytes_of_os_string(string: std::ffi::OsString) -> Vec<u8> {
    string.into_vec()
}
