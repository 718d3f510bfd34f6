//! What can be done with an open file or directory, whichever version of WASI asks.
//!
//! Guarantees: every function first asks the descriptor for the right that the act needs; an act
//! that was not granted makes no system call.
//! Does not do: contents, which go between the kernel and where a version of WASI has them.

use crate::error::{Answer, Errno};
use crate::files::{GuestPath, How, OpenDir, Opened};
use crate::p1::types::Filestat;
use crate::perms::Rights;
use crate::sys::{self, Advice, Times};
use crate::table::{Entry, Object};
use std::path::PathBuf;
use std::sync::Arc;

/// What has to be on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durable {
    /// The contents, and what is needed to find them.
    Data,
    /// All attributes too.
    All,
}

impl Entry {
    pub(crate) fn create_directory_at(&self, path: &str) -> Answer {
        let dir = self.dir_with(Rights::PATH_CREATE_DIRECTORY)?;
        GuestPath::new(path)?
            .place(&dir.dir, Errno::Exist)?
            .create_directory()
    }

    pub(crate) fn remove_directory_at(&self, path: &str) -> Answer {
        let dir = self.dir_with(Rights::PATH_REMOVE_DIRECTORY)?;
        GuestPath::new(path)?
            .place(&dir.dir, Errno::Inval)?
            .remove_directory()
    }

    pub(crate) fn unlink_at(&self, path: &str) -> Answer {
        let dir = self.dir_with(Rights::PATH_UNLINK_FILE)?;
        GuestPath::new(path)?.place(&dir.dir, Errno::IsDir)?.unlink()
    }

    pub(crate) fn stat(&self) -> Answer<Filestat> {
        self.require(Rights::FD_FILESTAT_GET)?;
        match &self.object {
            Object::File(file) => Ok(sys::filestat(&file.file.metadata()?)),
            Object::Dir(dir) => Ok(sys::filestat(&dir.dir.dir_metadata()?)),
            Object::Input(_) | Object::Output(_) => Err(Errno::BadF.into()),
        }
    }

    pub(crate) fn stat_at(&self, follow: bool, path: &str) -> Answer<Filestat> {
        let dir = self.dir_with(Rights::PATH_FILESTAT_GET)?;
        let path = GuestPath::new(path)?;
        let metadata = match follow {
            true => path.metadata_followed(&dir.dir)?,
            false => path.metadata(&dir.dir)?,
        };
        Ok(sys::filestat(&metadata))
    }

    pub(crate) fn set_times(&self, times: Times) -> Answer {
        self.require(Rights::FD_FILESTAT_SET_TIMES)
            .or_else(|fault| self.unless_a_stream(fault))?;
        match &self.object {
            Object::File(file) => Ok(sys::set_times(&*file.file, times)?),
            Object::Dir(dir) => Ok(sys::set_times(&*dir.dir, times)?),
            Object::Input(_) | Object::Output(_) => Err(Errno::Inval.into()),
        }
    }

    pub(crate) fn set_times_at(&self, follow: bool, path: &str, times: Times) -> Answer {
        let dir = self.dir_with(Rights::PATH_FILESTAT_SET_TIMES)?;
        let path = GuestPath::new(path)?;
        if follow || path.names_directory() {
            Ok(sys::set_times_located(path.locate(&dir.dir)?, times)?)
        } else {
            path.place(&dir.dir, Errno::Inval)?.set_times(times)
        }
    }

    pub(crate) fn read_link_at(&self, path: &str) -> Answer<PathBuf> {
        let dir = self.dir_with(Rights::PATH_READLINK)?;
        GuestPath::new(path)?.place(&dir.dir, Errno::Inval)?.read_link()
    }

    pub(crate) fn symlink_at(&self, contents: &str, path: &str) -> Answer {
        let dir = self.dir_with(Rights::PATH_SYMLINK)?;
        GuestPath::new(path)?
            .place(&dir.dir, Errno::Exist)?
            .symlink(contents)
    }

    pub(crate) fn link_at(&self, follow: bool, path: &str, new: &Entry, new_path: &str) -> Answer {
        let dir = self.dir_with(Rights::PATH_LINK_SOURCE)?;
        let new_dir = new.dir_with(Rights::PATH_LINK_TARGET)?;
        self.require_no_gain(dir, new, new_dir)?;
        if follow {
            // A link to what a link names: no kernel resolves that beneath a directory.
            return Err(Errno::Inval.into());
        }
        let (path, new_path) = (GuestPath::new(path)?, GuestPath::new(new_path)?);
        let target = new_path.place(&new_dir.dir, Errno::Exist)?;
        path.place(&dir.dir, Errno::Perm)?.link(&target)
    }

    pub(crate) fn rename_at(&self, path: &str, new: &Entry, new_path: &str) -> Answer {
        let dir = self.dir_with(Rights::PATH_RENAME_SOURCE)?;
        let new_dir = new.dir_with(Rights::PATH_RENAME_TARGET)?;
        self.require_no_gain(dir, new, new_dir)?;
        let (path, new_path) = (GuestPath::new(path)?, GuestPath::new(new_path)?);
        let target = new_path.place(&new_dir.dir, Errno::Busy)?;
        path.place(&dir.dir, Errno::Busy)?.rename(&target)
    }

    /// Another name must not give other rights to the same file, nor may contents come into a
    /// directory whose files the guest may not write: both directories grant the same, and the
    /// guest gave up nothing at the first that it kept at the second.
    fn require_no_gain(&self, dir: &OpenDir, new: &Entry, new_dir: &OpenDir) -> Answer {
        if dir.grant != new_dir.grant {
            return Err(Errno::Perm.into());
        }
        match self.rights().1.contains(new.rights().1) {
            true => Ok(()),
            false => Err(Errno::NotCapable.into()),
        }
    }

    /// Opens what a path names, with at most the rights that this directory passes on.
    pub(crate) fn open_at(&self, path: &str, how: How) -> Answer<Entry> {
        let dir = self.dir_with(Rights::PATH_OPEN)?;
        if how.create {
            self.require(Rights::PATH_CREATE_FILE)?;
        }
        if how.truncate {
            self.require(Rights::PATH_FILESTAT_SET_SIZE)?;
        }
        let (_, inheriting) = self.rights();
        if how.write && !inheriting.contains(Rights::FD_WRITE) {
            let granted = dir.grant.on_file.contains(Rights::FD_WRITE);
            return Err(if granted { Errno::NotCapable } else { Errno::Perm }.into());
        }
        match GuestPath::new(path)?.open(&dir.dir, how)? {
            Opened::Dir(found) => {
                let found = OpenDir::new(Arc::new(found), dir.grant, None);
                Ok(Entry::dir(found, inheriting))
            }
            Opened::File(file) => {
                let mut base = inheriting;
                base.set(Rights::FD_READ, how.read && inheriting.contains(Rights::FD_READ));
                base.set(Rights::FD_WRITE, how.write);
                Ok(Entry::file(file, dir.grant.on_file, base, how.flags))
            }
        }
    }

    pub(crate) fn advise(&self, offset: u64, len: u64, advice: Advice) -> Answer {
        let file = self.file_with(Rights::FD_ADVISE)?;
        require_range(offset, len)?;
        Ok(sys::advise(&file.file, offset, len, advice)?)
    }

    pub(crate) fn allocate(&self, offset: u64, len: u64) -> Answer {
        let file = self.file_with(Rights::FD_ALLOCATE)?;
        self.require(Rights::FD_WRITE)?;
        require_range(offset, len)?;
        Ok(sys::allocate(&file.file, offset, len)?)
    }

    pub(crate) fn set_size(&self, size: u64) -> Answer {
        let file = self.file_with(Rights::FD_FILESTAT_SET_SIZE)?;
        // As `ftruncate` has it.
        self.require(Rights::FD_WRITE).map_err(|_| Errno::Inval)?;
        i64::try_from(size).map_err(|_| Errno::Inval)?;
        Ok(file.file.set_len(size)?)
    }

    /// A handle of its own to what has to reach the disk: that takes long, and may be done on
    /// another thread.
    pub(crate) fn to_sync(&self, durable: Durable) -> Answer<std::fs::File> {
        let right = match durable {
            Durable::Data => Rights::FD_DATASYNC,
            Durable::All => Rights::FD_SYNC,
        };
        self.require(right).or_else(|fault| self.unless_a_stream(fault))?;
        match &self.object {
            Object::File(file) => Ok(file.file.try_clone()?.into_std()),
            Object::Dir(dir) => Ok(dir.dir.try_clone()?.into_std_file()),
            Object::Input(_) | Object::Output(_) => Err(Errno::Inval.into()),
        }
    }

    /// On a stream the call makes no sense, which says more than a right that is missing.
    fn unless_a_stream(&self, fault: crate::error::Fault) -> Answer {
        match &self.object {
            Object::Input(_) | Object::Output(_) => Err(Errno::Inval.into()),
            Object::File(_) | Object::Dir(_) => Err(fault),
        }
    }
}

impl Durable {
    /// Waits until it is on the disk.
    pub(crate) fn sync(self, file: &std::fs::File) -> std::io::Result<()> {
        match self {
            Durable::Data => file.sync_data(),
            Durable::All => file.sync_all(),
        }
    }
}

/// A range of a file ends before the largest offset.
fn require_range(offset: u64, len: u64) -> Answer {
    let end = offset.checked_add(len).ok_or(Errno::Inval)?;
    i64::try_from(end).map_err(|_| Errno::Inval)?;
    Ok(())
}
