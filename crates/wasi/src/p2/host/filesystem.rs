//! `wasi:filesystem`: the guest's side of what `descriptor` does.

use super::clocks::{datetime, nanoseconds};
use crate::WasiCtxView;
use crate::descriptor::Durable;
use crate::error::{Answer, Errno};
use crate::files::How;
use crate::guest::PATH_BYTES_MAX;
use crate::p1::types::{FileType, Filestat};
use crate::p2::bindings::wasi::filesystem::{preopens, types};
use crate::p2::files::{FileInput, FileOutput, READ_BYTES_MAX, WritePlace};
use crate::p2::{Descriptor, DirectoryEntryStream, DynInputStream, DynOutputStream, FsError, executor};
use crate::perms::Rights;
use crate::sys::{self, Advice, DirStream, SetTime, Times};
use crate::table::{Entry, FdFlags, Object};
use cellwall::Result;
use cellwall::component::Resource;
use std::hash::{DefaultHasher, Hasher};
use std::io::IoSlice;
use std::sync::Arc;
use types::{
    DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode, MetadataHashValue,
    NewTimestamp, OpenFlags, PathFlags,
};

type FsResult<T> = std::result::Result<T, FsError>;
type Fd = Resource<Descriptor>;

impl WasiCtxView<'_> {
    fn entry(&self, fd: &Fd) -> FsResult<&Entry> {
        Ok(&self.table.get(fd)?.entry)
    }

    /// Waits for something that takes long: on the guest's thread if that is what the host wants,
    /// else on one of the runtime's.
    async fn sync_to_disk(&mut self, fd: &Fd, durable: Durable) -> FsResult<()> {
        let file = self.entry(fd)?.to_sync(durable)?;
        let done = match self.ctx.waiting.in_place {
            true => durable.sync(&file),
            false => {
                let task = tokio::task::spawn_blocking(move || durable.sync(&file));
                executor::wait(&self.ctx.waiting, task)
                    .await
                    .map_err(FsError::Trap)?
                    .unwrap_or_else(|stopped| Err(std::io::Error::other(stopped)))
            }
        };
        Ok(done?)
    }
}

impl preopens::Host for WasiCtxView<'_> {
    fn get_directories(&mut self) -> Result<Vec<(Fd, String)>> {
        let mut directories = Vec::with_capacity(self.ctx.preopens.len());
        for preopen in &self.ctx.preopens {
            let descriptor = Descriptor {
                entry: preopen.open(),
                _slot: None,
            };
            directories.push((self.table.push(descriptor)?, preopen.name.to_string()));
        }
        if directories.is_empty() {
            crate::descriptor::no_directories();
        }
        Ok(directories)
    }
}

impl types::Host for WasiCtxView<'_> {
    fn convert_error_code(&mut self, error: FsError) -> Result<ErrorCode> {
        match error {
            FsError::Code(code) => Ok(code),
            FsError::Trap(error) => Err(error),
        }
    }

    fn filesystem_error_code(&mut self, error: Resource<cellwall::Error>) -> Result<Option<ErrorCode>> {
        let error = self.table.get(&error)?;
        let cause = error.downcast_ref::<std::io::Error>();
        Ok(cause.map(|cause| Errno::of(cause).into()))
    }
}

impl types::HostDirectoryEntryStream for WasiCtxView<'_> {
    fn read_directory_entry(
        &mut self,
        stream: Resource<DirectoryEntryStream>,
    ) -> FsResult<Option<DirectoryEntry>> {
        let listing = &mut self.table.get_mut(&stream)?.listing;
        while let Some(item) = listing.next()? {
            if matches!(item.name.as_bytes(), b"." | b"..") {
                continue;
            }
            let name = item.name.into_string().map_err(|_| Errno::IlSeq)?;
            let type_ = item.file_type.into();
            return Ok(Some(DirectoryEntry { type_, name }));
        }
        Ok(None)
    }

    fn drop(&mut self, stream: Resource<DirectoryEntryStream>) -> Result<()> {
        self.table.delete(stream)?;
        Ok(())
    }
}

impl types::HostDescriptor for WasiCtxView<'_> {
    fn read_via_stream(&mut self, fd: Fd, offset: u64) -> FsResult<Resource<DynInputStream>> {
        let entry = self.entry(&fd)?;
        if let Object::Dir(_) = entry.object {
            return Err(ErrorCode::IsDirectory.into());
        }
        let file = entry.file_with(Rights::FD_READ)?;
        let stream: DynInputStream = Box::new(FileInput::new(file, offset));
        Ok(self.table.push(stream)?)
    }

    fn write_via_stream(&mut self, fd: Fd, offset: u64) -> FsResult<Resource<DynOutputStream>> {
        let file = self.entry(&fd)?.file_to_write()?;
        let stream: DynOutputStream = Box::new(FileOutput::new(file, WritePlace::At(offset)));
        Ok(self.table.push(stream)?)
    }

    fn append_via_stream(&mut self, fd: Fd) -> FsResult<Resource<DynOutputStream>> {
        let file = self.entry(&fd)?.file_to_write()?;
        let stream: DynOutputStream = Box::new(FileOutput::new(file, WritePlace::End));
        Ok(self.table.push(stream)?)
    }

    fn advise(&mut self, fd: Fd, offset: u64, length: u64, advice: types::Advice) -> FsResult<()> {
        let advice = match advice {
            types::Advice::Normal => Advice::Normal,
            types::Advice::Sequential => Advice::Sequential,
            types::Advice::Random => Advice::Random,
            types::Advice::WillNeed => Advice::WillNeed,
            types::Advice::DontNeed => Advice::DontNeed,
            types::Advice::NoReuse => Advice::NoReuse,
        };
        Ok(self.entry(&fd)?.advise(offset, length, advice)?)
    }

    async fn sync_data(&mut self, fd: Fd) -> FsResult<()> {
        self.sync_to_disk(&fd, Durable::Data).await
    }

    async fn sync(&mut self, fd: Fd) -> FsResult<()> {
        self.sync_to_disk(&fd, Durable::All).await
    }

    fn get_flags(&mut self, fd: Fd) -> FsResult<DescriptorFlags> {
        let entry = self.entry(&fd)?;
        let (base, _) = entry.rights();
        let (read, write) = match &entry.object {
            Object::Dir(_) => (Rights::PATH_OPEN, None),
            _ => (Rights::FD_READ, Some(Rights::FD_WRITE)),
        };
        let is_dir = write.is_none();
        let rows = [
            (base.contains(read), DescriptorFlags::READ),
            (
                write.is_some_and(|write| base.contains(write)),
                DescriptorFlags::WRITE,
            ),
            (
                is_dir && base.contains(Rights::PATH_CREATE_DIRECTORY),
                DescriptorFlags::MUTATE_DIRECTORY,
            ),
        ];
        let set = rows.into_iter().filter(|(is_set, _)| *is_set);
        Ok(set.fold(DescriptorFlags::empty(), |flags, (_, flag)| flags | flag))
    }

    fn get_type(&mut self, fd: Fd) -> FsResult<DescriptorType> {
        let entry = self.entry(&fd)?;
        match &entry.object {
            Object::Dir(_) => Ok(DescriptorType::Directory),
            _ => Ok(entry.stat()?.file_type.into()),
        }
    }

    fn set_size(&mut self, fd: Fd, size: u64) -> FsResult<()> {
        Ok(self.entry(&fd)?.set_size(size)?)
    }

    fn set_times(&mut self, fd: Fd, access: NewTimestamp, modification: NewTimestamp) -> FsResult<()> {
        Ok(self.entry(&fd)?.set_times(times(access, modification)?)?)
    }

    fn read(&mut self, fd: Fd, length: u64, offset: u64) -> FsResult<(Vec<u8>, bool)> {
        let file = self.entry(&fd)?.file_with(Rights::FD_READ)?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let mut bytes = Vec::with_capacity(length.min(READ_BYTES_MAX));
        let place = Some(checked(offset)?);
        let count = match length {
            0 => 0,
            _ => retried(|| sys::read_into(&file.file, &mut bytes, place))?,
        };
        Ok((bytes, count == 0))
    }

    fn write(&mut self, fd: Fd, buffer: Vec<u8>, offset: u64) -> FsResult<u64> {
        let file = self.entry(&fd)?.file_to_write()?;
        let offset = checked(offset)?;
        let written = retried(|| sys::write_at(&file.file, &[IoSlice::new(&buffer)], offset))?;
        Ok(written as u64)
    }

    fn read_directory(&mut self, fd: Fd) -> FsResult<Resource<DirectoryEntryStream>> {
        let dir = self.entry(&fd)?.dir_with(Rights::FD_READDIR)?;
        let slot = self.ctx.slots.take()?;
        let stream = DirectoryEntryStream {
            listing: DirStream::new(&dir.dir)?,
            _slot: slot,
        };
        Ok(self.table.push(stream)?)
    }

    fn create_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        Ok(self.entry(&fd)?.create_directory_at(checked_path(&path)?)?)
    }

    fn stat(&mut self, fd: Fd) -> FsResult<DescriptorStat> {
        Ok(stat(&self.entry(&fd)?.stat()?))
    }

    fn stat_at(&mut self, fd: Fd, flags: PathFlags, path: String) -> FsResult<DescriptorStat> {
        let found = self.entry(&fd)?.stat_at(follows(flags), checked_path(&path)?)?;
        Ok(stat(&found))
    }

    fn set_times_at(
        &mut self,
        fd: Fd,
        flags: PathFlags,
        path: String,
        access: NewTimestamp,
        modification: NewTimestamp,
    ) -> FsResult<()> {
        let times = times(access, modification)?;
        let entry = self.entry(&fd)?;
        Ok(entry.set_times_at(follows(flags), checked_path(&path)?, times)?)
    }

    fn link_at(&mut self, fd: Fd, flags: PathFlags, path: String, new: Fd, new_path: String) -> FsResult<()> {
        let (entry, new) = (self.entry(&fd)?, self.entry(&new)?);
        let (path, new_path) = (checked_path(&path)?, checked_path(&new_path)?);
        Ok(entry.link_at(follows(flags), path, new, new_path)?)
    }

    fn open_at(
        &mut self,
        fd: Fd,
        path_flags: PathFlags,
        path: String,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> FsResult<Fd> {
        // Before anything is created that could not be returned.
        let slot = Arc::new(self.ctx.slots.take()?);
        let how = how(path_flags, open_flags, flags)?;
        let mut entry = self.entry(&fd)?.open_at(checked_path(&path)?, how)?;
        if let Object::File(file) = &mut entry.object {
            // Streams hold the file, too, and may be kept for longer than the descriptor.
            file.slot = Some(slot.clone());
        }
        let descriptor = Descriptor {
            entry,
            _slot: Some(slot),
        };
        Ok(self.table.push(descriptor)?)
    }

    fn readlink_at(&mut self, fd: Fd, path: String) -> FsResult<String> {
        let contents = self.entry(&fd)?.read_link_at(checked_path(&path)?)?;
        let contents = contents
            .into_os_string()
            .into_string()
            .map_err(|_| Errno::IlSeq)?;
        match contents.starts_with('/') {
            true => Err(ErrorCode::NotPermitted.into()),
            false => Ok(contents),
        }
    }

    fn remove_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        Ok(self.entry(&fd)?.remove_directory_at(checked_path(&path)?)?)
    }

    fn rename_at(&mut self, fd: Fd, path: String, new: Fd, new_path: String) -> FsResult<()> {
        let (entry, new) = (self.entry(&fd)?, self.entry(&new)?);
        Ok(entry.rename_at(checked_path(&path)?, new, checked_path(&new_path)?)?)
    }

    fn symlink_at(&mut self, fd: Fd, contents: String, path: String) -> FsResult<()> {
        let (contents, path) = (checked_path(&contents)?, checked_path(&path)?);
        Ok(self.entry(&fd)?.symlink_at(contents, path)?)
    }

    fn unlink_file_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        Ok(self.entry(&fd)?.unlink_at(checked_path(&path)?)?)
    }

    fn is_same_object(&mut self, fd: Fd, other: Fd) -> Result<bool> {
        let identity = |fd: &Fd| -> Result<Option<(u64, u64)>> {
            let found = self.table.get(fd)?.entry.stat();
            Ok(found.ok().map(|found| (found.device, found.inode)))
        };
        let (one, two) = (identity(&fd)?, identity(&other)?);
        Ok(one.is_some() && one == two)
    }

    fn metadata_hash(&mut self, fd: Fd) -> FsResult<MetadataHashValue> {
        Ok(hash(&self.entry(&fd)?.stat()?))
    }

    fn metadata_hash_at(&mut self, fd: Fd, flags: PathFlags, path: String) -> FsResult<MetadataHashValue> {
        let found = self.entry(&fd)?.stat_at(follows(flags), checked_path(&path)?)?;
        Ok(hash(&found))
    }

    fn drop(&mut self, fd: Fd) -> Result<()> {
        self.table.delete(fd)?;
        Ok(())
    }
}

/// Tries again what a signal has interrupted.
fn retried(mut attempt: impl FnMut() -> std::io::Result<usize>) -> FsResult<usize> {
    loop {
        match attempt() {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            result => return Ok(result?),
        }
    }
}

/// The kernel's offsets are signed.
fn checked(offset: u64) -> Answer<u64> {
    i64::try_from(offset).map_err(|_| Errno::Inval)?;
    Ok(offset)
}

/// A path without NUL and not longer than the kernel's are.
fn checked_path(path: &str) -> Answer<&str> {
    if path.len() > PATH_BYTES_MAX as usize {
        return Err(Errno::NameTooLong.into());
    }
    match path.contains('\0') {
        true => Err(Errno::Inval.into()),
        false => Ok(path),
    }
}

fn follows(flags: PathFlags) -> bool {
    flags.contains(PathFlags::SYMLINK_FOLLOW)
}

fn how(path_flags: PathFlags, open_flags: OpenFlags, flags: DescriptorFlags) -> FsResult<How> {
    // Their meaning "has not yet been defined for WASI", and programs ask whether they are there.
    let undefined = DescriptorFlags::FILE_INTEGRITY_SYNC
        | DescriptorFlags::DATA_INTEGRITY_SYNC
        | DescriptorFlags::REQUESTED_WRITE_SYNC;
    if flags.intersects(undefined) {
        return Err(ErrorCode::Unsupported.into());
    }
    let write = flags.contains(DescriptorFlags::WRITE);
    let how = How {
        // Who asks for nothing gets what every descriptor is good for.
        read: flags.contains(DescriptorFlags::READ) || !write,
        write,
        create: open_flags.contains(OpenFlags::CREATE),
        exclusive: open_flags.contains(OpenFlags::EXCLUSIVE),
        truncate: open_flags.contains(OpenFlags::TRUNCATE),
        directory: open_flags.contains(OpenFlags::DIRECTORY),
        follow: follows(path_flags),
        flags: FdFlags::empty(),
    };
    match how.directory && (how.create || how.exclusive || how.truncate) {
        true => Err(ErrorCode::Invalid.into()),
        false => Ok(how),
    }
}

fn times(access: NewTimestamp, modification: NewTimestamp) -> FsResult<Times> {
    let one = |time| match time {
        NewTimestamp::NoChange => Ok(SetTime::Keep),
        NewTimestamp::Now => Ok(SetTime::Now),
        NewTimestamp::Timestamp(time) => Ok(SetTime::At(nanoseconds(time).ok_or(Errno::Inval)?)),
    };
    let one = |time| -> FsResult<SetTime> { one(time).map_err(|errno: Errno| errno.into()) };
    Ok(Times {
        access: one(access)?,
        modification: one(modification)?,
    })
}

fn stat(found: &Filestat) -> DescriptorStat {
    DescriptorStat {
        type_: found.file_type.into(),
        link_count: found.links,
        size: found.size,
        data_access_timestamp: Some(datetime(found.access)),
        data_modification_timestamp: Some(datetime(found.modification)),
        status_change_timestamp: Some(datetime(found.change)),
    }
}

/// Of the object's identity alone: guests take it for the number of an inode, which stays the
/// same when a file is written.
fn hash(found: &Filestat) -> MetadataHashValue {
    let half = |which: u8| {
        let mut hasher = DefaultHasher::new();
        hasher.write_u8(which);
        hasher.write_u64(found.device);
        hasher.write_u64(found.inode);
        hasher.finish()
    };
    MetadataHashValue {
        lower: half(0),
        upper: half(1),
    }
}

impl From<FileType> for DescriptorType {
    fn from(file_type: FileType) -> DescriptorType {
        match file_type {
            FileType::Unknown => DescriptorType::Unknown,
            FileType::BlockDevice => DescriptorType::BlockDevice,
            FileType::CharacterDevice => DescriptorType::CharacterDevice,
            FileType::Directory => DescriptorType::Directory,
            FileType::RegularFile => DescriptorType::RegularFile,
            FileType::SocketStream => DescriptorType::Socket,
            FileType::SymbolicLink => DescriptorType::SymbolicLink,
            FileType::Fifo => DescriptorType::Fifo,
        }
    }
}

impl From<Errno> for ErrorCode {
    fn from(errno: Errno) -> ErrorCode {
        match errno {
            Errno::Access => ErrorCode::Access,
            Errno::Again => ErrorCode::WouldBlock,
            Errno::BadF => ErrorCode::BadDescriptor,
            Errno::Busy => ErrorCode::Busy,
            Errno::Deadlk => ErrorCode::Deadlock,
            Errno::DQuot => ErrorCode::Quota,
            Errno::Exist => ErrorCode::Exist,
            Errno::FBig => ErrorCode::FileTooLarge,
            Errno::IlSeq => ErrorCode::IllegalByteSequence,
            Errno::Intr | Errno::Canceled => ErrorCode::Interrupted,
            Errno::Fault | Errno::Inval | Errno::NotSock | Errno::Range | Errno::TooBig => ErrorCode::Invalid,
            Errno::ConnReset | Errno::Io | Errno::Stale | Errno::TimedOut => ErrorCode::Io,
            Errno::IsDir => ErrorCode::IsDirectory,
            Errno::Loop => ErrorCode::Loop,
            // A table is full: of this guest, the process or the system.
            Errno::MFile | Errno::NFile | Errno::NoBufs | Errno::NoMem => ErrorCode::InsufficientMemory,
            Errno::MLink => ErrorCode::TooManyLinks,
            Errno::NameTooLong => ErrorCode::NameTooLong,
            Errno::NoDev => ErrorCode::NoDevice,
            Errno::NoEnt => ErrorCode::NoEntry,
            Errno::NoLck => ErrorCode::NoLock,
            Errno::NoSpc => ErrorCode::InsufficientSpace,
            Errno::NoSys | Errno::NotSup => ErrorCode::Unsupported,
            Errno::NotDir => ErrorCode::NotDirectory,
            Errno::NotEmpty => ErrorCode::NotEmpty,
            Errno::NoTty => ErrorCode::NoTty,
            Errno::NxIo => ErrorCode::NoSuchDevice,
            Errno::Overflow => ErrorCode::Overflow,
            Errno::Perm | Errno::NotCapable => ErrorCode::NotPermitted,
            Errno::Pipe => ErrorCode::Pipe,
            Errno::RoFs => ErrorCode::ReadOnly,
            Errno::SPipe => ErrorCode::InvalidSeek,
            Errno::TxtBsy => ErrorCode::TextFileBusy,
            Errno::XDev => ErrorCode::CrossDevice,
        }
    }
}
