//! Files and directories of the host, as a guest holds them, and the resolution of its paths.
//!
//! Requires: `cap-std`, whose `open` asks the kernel to resolve beneath a directory
//! (`openat2`, `RESOLVE_BENEATH`) or walks component by component where that is missing.
//! Guarantees: no path leaves the directory it is resolved in: not by being absolute, by `..`,
//! by symbolic links (absolute ones are refused), by trailing slashes (which never reach the
//! kernel), or by a race. The last is so because what a function changes or inspects without
//! following is named by *one* component in a directory that is already open.
//! Does not do: permissions; see `perms`.

use crate::error::{Answer, Errno};
use crate::p2::Slot;
use crate::perms::Grant;
use crate::sys::{self, DirStream};
use crate::table::FdFlags;
use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt};
use cap_std::fs::{Dir, File, Metadata, OpenOptions};
use std::cell::RefCell;
use std::io;
use std::ops::Deref;
use std::sync::Arc;

/// An open file.
pub(crate) struct OpenFile {
    pub(crate) file: Arc<File>,
    /// Not a regular file: a transfer may have to wait.
    pub(crate) waits: bool,
    /// Its place among the descriptors of a context, for as long as anything holds the file.
    pub(crate) slot: Option<Arc<Slot>>,
}

/// An open directory.
pub(crate) struct OpenDir {
    pub(crate) dir: Arc<Dir>,
    pub(crate) grant: Grant,
    /// The name under which the host granted it, or the directory that it is in.
    pub(crate) granted_as: Arc<str>,
    /// The host opened it, and not the guest.
    pub(crate) is_preopen: bool,
    /// The place of the last listing, kept so that the next call goes on from there.
    pub(crate) listing: RefCell<Option<DirStream>>,
}

impl OpenDir {
    pub(crate) fn new(dir: Arc<Dir>, grant: Grant, granted_as: Arc<str>, is_preopen: bool) -> OpenDir {
        OpenDir {
            dir,
            grant,
            granted_as,
            is_preopen,
            listing: RefCell::new(None),
        }
    }
}

/// What was found behind a path.
pub(crate) enum Opened {
    File(OpenFile),
    Dir(Dir),
}

/// How to open.
#[derive(Debug, Clone, Copy)]
pub(crate) struct How {
    pub(crate) read: bool,
    pub(crate) write: bool,
    pub(crate) create: bool,
    pub(crate) exclusive: bool,
    pub(crate) truncate: bool,
    /// Anything but a directory is an error.
    pub(crate) directory: bool,
    pub(crate) follow: bool,
    pub(crate) flags: FdFlags,
}

/// A path of the guest: relative, without trailing slashes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GuestPath<'a> {
    body: &'a str,
    /// It ended in a slash: it names a directory, through a link if need be.
    slash: bool,
}

impl<'a> GuestPath<'a> {
    /// # Errors
    /// `noent` for the empty path, `perm` for an absolute one.
    pub(crate) fn new(path: &'a str) -> Answer<GuestPath<'a>> {
        if path.is_empty() {
            return Err(Errno::NoEnt.into());
        }
        if path.starts_with('/') {
            return Err(Errno::Perm.into());
        }
        let body = path.trim_end_matches('/');
        Ok(GuestPath {
            body,
            slash: body.len() < path.len(),
        })
    }

    /// Opens what the path names.
    pub(crate) fn open(self, dir: &Dir, how: How) -> Answer<Opened> {
        let directory = how.directory || self.slash;
        if self.slash && how.create {
            return Err(Errno::IsDir.into());
        }
        let follow = how.follow || self.slash;
        let file = self.open_host(
            dir,
            How {
                directory,
                follow,
                ..how
            },
        )?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            match how.create || how.write || how.truncate {
                true => Err(Errno::IsDir.into()),
                false => Ok(Opened::Dir(Dir::from_std_file(file.into_std()))),
            }
        } else if directory {
            Err(Errno::NotDir.into())
        } else {
            Ok(Opened::File(OpenFile {
                file: Arc::new(file),
                waits: !metadata.is_file(),
                slot: None,
            }))
        }
    }

    fn open_host(self, dir: &Dir, how: How) -> io::Result<File> {
        // `cap-std` needs a writable handle to create one. A file that is there already may
        // not be writable, so look first.
        if how.create && !how.exclusive && !how.truncate && !how.write {
            let found = dir.open_with(self.body, &options(How { create: false, ..how }));
            if !matches!(&found, Err(error) if error.kind() == io::ErrorKind::NotFound) {
                return found;
            }
        }
        dir.open_with(self.body, &options(how))
    }

    /// The attributes of what the path names, after following a link.
    pub(crate) fn metadata_followed(self, dir: &Dir) -> Answer<Metadata> {
        let metadata = dir.metadata(self.body)?;
        match self.slash && !metadata.is_dir() {
            true => Err(Errno::NotDir.into()),
            false => Ok(metadata),
        }
    }

    /// The attributes of what the path names, of a link itself.
    pub(crate) fn metadata(self, dir: &Dir) -> Answer<Metadata> {
        match self.names_directory() {
            true => self.metadata_followed(dir),
            false => Ok(dir.symlink_metadata(self.body)?),
        }
    }

    /// A handle that only says which object the path names, after following a link.
    pub(crate) fn locate(self, dir: &Dir) -> Answer<File> {
        let mut options = OpenOptions::new();
        options.read(true).follow(FollowSymlinks::Yes);
        sys::only_locate(&mut options, self.slash);
        Ok(dir.open_with(self.body, &options)?)
    }

    /// Whether it ends in a slash, `.` or `..`, so that it cannot mean a link itself.
    pub(crate) fn names_directory(self) -> bool {
        self.slash || matches!(self.body.rsplit('/').next(), Some("." | ".."))
    }

    /// Opens the directory that holds the last component.
    ///
    /// # Errors
    /// `special` if the path ends in `.` or `..`, which name no entry of a directory.
    pub(crate) fn place(self, dir: &'a Dir, special: Errno) -> Answer<Place<'a>> {
        let (parent, name) = match self.body.rsplit_once('/') {
            Some((parent, name)) => (parent.trim_end_matches('/'), name),
            None => ("", self.body),
        };
        if name == "." || name == ".." {
            // Whether the directory is there and inside comes first.
            dir.open_dir(self.body)?;
            return Err(special.into());
        }
        let parent = match parent {
            "" => Parent::Given(dir),
            _ => Parent::Opened(dir.open_dir(parent)?),
        };
        Ok(Place {
            parent,
            name,
            slash: self.slash,
        })
    }
}

fn options(how: How) -> OpenOptions {
    let mut options = OpenOptions::new();
    let write = how.write || how.create || how.truncate;
    options
        .read(how.read || !write)
        .write(write)
        .create(how.create)
        .create_new(how.create && how.exclusive)
        .truncate(how.truncate)
        .follow(if how.follow {
            FollowSymlinks::Yes
        } else {
            FollowSymlinks::No
        });
    sys::open_flags(&mut options, how.flags, how.directory);
    options
}

/// One name in an open directory: nothing that happens elsewhere changes what it means.
pub(crate) struct Place<'a> {
    parent: Parent<'a>,
    /// Neither empty nor `.` nor `..`, and without slashes.
    name: &'a str,
    slash: bool,
}

enum Parent<'a> {
    Given(&'a Dir),
    Opened(Dir),
}

impl Deref for Parent<'_> {
    type Target = Dir;

    fn deref(&self) -> &Dir {
        match self {
            Parent::Given(dir) => dir,
            Parent::Opened(dir) => dir,
        }
    }
}

impl Place<'_> {
    pub(crate) fn create_directory(&self) -> Answer {
        Ok(self.parent.create_dir(self.name)?)
    }

    pub(crate) fn remove_directory(&self) -> Answer {
        Ok(self.parent.remove_dir(self.name)?)
    }

    pub(crate) fn unlink(&self) -> Answer {
        if self.slash {
            return Err(if self.is_dir()? {
                Errno::IsDir
            } else {
                Errno::NotDir
            }
            .into());
        }
        Ok(self.parent.remove_file(self.name)?)
    }

    pub(crate) fn read_link(&self) -> Answer<std::path::PathBuf> {
        if self.slash {
            return Err(if self.is_dir()? {
                Errno::Inval
            } else {
                Errno::NotDir
            }
            .into());
        }
        Ok(self.parent.read_link_contents(self.name)?)
    }

    /// Makes a link with `contents`, which must not be absolute: other programs follow it too.
    pub(crate) fn symlink(&self, contents: &str) -> Answer {
        if contents.is_empty() {
            return Err(Errno::NoEnt.into());
        }
        if contents.starts_with('/') {
            return Err(Errno::Perm.into());
        }
        self.require_new_without_slash()?;
        Ok(self.parent.symlink(contents, self.name)?)
    }

    /// Makes `target` another name of this file.
    pub(crate) fn link(&self, target: &Place<'_>) -> Answer {
        if self.slash {
            return Err(if self.is_dir()? {
                Errno::Perm
            } else {
                Errno::NotDir
            }
            .into());
        }
        target.require_new_without_slash()?;
        Ok(self.parent.hard_link(self.name, &target.parent, target.name)?)
    }

    /// Moves this entry to `target`, and replaces what is there.
    pub(crate) fn rename(&self, target: &Place<'_>) -> Answer {
        if (self.slash || target.slash) && !self.is_dir()? {
            return Err(Errno::NotDir.into());
        }
        Ok(self.parent.rename(self.name, &target.parent, target.name)?)
    }

    /// Sets the times of the entry itself, also of a link.
    pub(crate) fn set_times(&self, times: sys::Times) -> Answer {
        Ok(sys::set_times_at(&self.parent, self.name, times)?)
    }

    fn is_dir(&self) -> io::Result<bool> {
        Ok(self.parent.symlink_metadata(self.name)?.is_dir())
    }

    /// A new entry that is no directory cannot be named with a slash.
    fn require_new_without_slash(&self) -> Answer {
        if !self.slash {
            return Ok(());
        }
        self.parent.symlink_metadata(self.name)?;
        Err(Errno::Exist.into())
    }
}
