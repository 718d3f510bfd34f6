//! What can be done with an open file or directory, whichever version of WASI asks.
//!
//! Guarantees: every function first asks the descriptor for the right that the act needs; an act
//! that was not granted makes no system call, and says what to grant under the log target `cellwall`.
//! Does not do: contents, which go between the kernel and where a version of WASI has them.

use crate::error::{Answer, Errno, Fault};
use crate::files::{GuestPath, How, OpenDir, Opened};
use crate::p1::types::Filestat;
use crate::perms::Rights;
use crate::sys::{self, Advice, Times};
use crate::table::{Entry, Object};
use std::path::PathBuf;
use std::sync::Arc;
use tracing::info;

/// What has to be on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durable {
    /// The contents, and what is needed to find them.
    Data,
    /// All attributes too.
    All,
}

/// Says that a guest looks for directories where there are none.
pub(crate) fn no_directories() {
    info!(target: "cellwall", grant = "--dir HOST::GUEST", "the program asks for directories: none is granted");
}

/// Says that a guest looks for variables where there are none.
pub(crate) fn no_variables() {
    info!(target: "cellwall", grant = "--env NAME", "the program asks for its variables: none is granted");
}

impl OpenDir {
    /// Says which path was refused, where it was.
    fn told<T>(&self, path: &str, answer: Answer<T>) -> Answer<T> {
        if let Err(Fault::Errno(Errno::Perm)) = answer {
            info!(
                target: "cellwall",
                grant = "--dir for the directory that it leads to",
                "denied: {path:?} leads out of `{}`, unless the system refuses by itself",
                self.granted_as
            );
        }
        answer
    }
}

impl Entry {
    /// The error for what the host did not grant; says what would grant it.
    pub(crate) fn denied(&self) -> Fault {
        match &self.object {
            Object::Dir(dir) => info!(
                target: "cellwall",
                grant = %format_args!("--dir HOST::{}", dir.granted_as),
                "denied: a change below `{}`, which is granted for reading",
                dir.granted_as
            ),
            Object::File(_) => info!(
                target: "cellwall",
                grant = "--dir HOST::GUEST",
                "denied: a change of a file whose directory is granted for reading"
            ),
            Object::Input(_) | Object::Output(_) => {}
        }
        Errno::Perm.into()
    }

    /// An act on a path beneath this directory, which it has `right` to.
    fn beneath<T>(
        &self,
        right: Rights,
        path: &str,
        act: impl FnOnce(&OpenDir, GuestPath<'_>) -> Answer<T>,
    ) -> Answer<T> {
        let dir = self.dir_with(right)?;
        dir.told(path, GuestPath::new(path).and_then(|path| act(dir, path)))
    }

    pub(crate) fn create_directory_at(&self, path: &str) -> Answer {
        self.beneath(Rights::PATH_CREATE_DIRECTORY, path, |dir, path| {
            path.place(&dir.dir, Errno::Exist)?.create_directory()
        })
    }

    pub(crate) fn remove_directory_at(&self, path: &str) -> Answer {
        self.beneath(Rights::PATH_REMOVE_DIRECTORY, path, |dir, path| {
            path.place(&dir.dir, Errno::Inval)?.remove_directory()
        })
    }

    pub(crate) fn unlink_at(&self, path: &str) -> Answer {
        self.beneath(Rights::PATH_UNLINK_FILE, path, |dir, path| {
            path.place(&dir.dir, Errno::IsDir)?.unlink()
        })
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
        self.beneath(Rights::PATH_FILESTAT_GET, path, |dir, path| {
            let metadata = match follow {
                true => path.metadata_followed(&dir.dir)?,
                false => path.metadata(&dir.dir)?,
            };
            Ok(sys::filestat(&metadata))
        })
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
        self.beneath(Rights::PATH_FILESTAT_SET_TIMES, path, |dir, path| {
            if follow || path.names_directory() {
                Ok(sys::set_times_located(path.locate(&dir.dir)?, times)?)
            } else {
                path.place(&dir.dir, Errno::Inval)?.set_times(times)
            }
        })
    }

    pub(crate) fn read_link_at(&self, path: &str) -> Answer<PathBuf> {
        self.beneath(Rights::PATH_READLINK, path, |dir, path| {
            path.place(&dir.dir, Errno::Inval)?.read_link()
        })
    }

    pub(crate) fn symlink_at(&self, contents: &str, path: &str) -> Answer {
        self.beneath(Rights::PATH_SYMLINK, path, |dir, path| {
            path.place(&dir.dir, Errno::Exist)?.symlink(contents)
        })
    }

    pub(crate) fn link_at(&self, follow: bool, path: &str, new: &Entry, new_path: &str) -> Answer {
        let dir = self.dir_with(Rights::PATH_LINK_SOURCE)?;
        let new_dir = new.dir_with(Rights::PATH_LINK_TARGET)?;
        self.require_no_gain(dir, new, new_dir)?;
        if follow {
            // A link to what a link names: no kernel resolves that beneath a directory.
            return Err(Errno::Inval.into());
        }
        let link = || {
            let (path, new_path) = (GuestPath::new(path)?, GuestPath::new(new_path)?);
            let target = new_path.place(&new_dir.dir, Errno::Exist)?;
            path.place(&dir.dir, Errno::Perm)?.link(&target)
        };
        dir.told(path, link())
    }

    pub(crate) fn rename_at(&self, path: &str, new: &Entry, new_path: &str) -> Answer {
        let dir = self.dir_with(Rights::PATH_RENAME_SOURCE)?;
        let new_dir = new.dir_with(Rights::PATH_RENAME_TARGET)?;
        self.require_no_gain(dir, new, new_dir)?;
        let rename = || {
            let (path, new_path) = (GuestPath::new(path)?, GuestPath::new(new_path)?);
            let target = new_path.place(&new_dir.dir, Errno::Busy)?;
            path.place(&dir.dir, Errno::Busy)?.rename(&target)
        };
        dir.told(path, rename())
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
            return Err(match dir.grant.on_file.contains(Rights::FD_WRITE) {
                true => Errno::NotCapable.into(),
                false => self.denied(),
            });
        }
        let opened = GuestPath::new(path).and_then(|path| path.open(&dir.dir, how));
        match dir.told(path, opened)? {
            Opened::Dir(found) => {
                let found = OpenDir::new(Arc::new(found), dir.grant, dir.granted_as.clone(), false);
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
    fn unless_a_stream(&self, fault: Fault) -> Answer {
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
