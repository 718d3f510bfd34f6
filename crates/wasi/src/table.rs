//! The table of open descriptors.
//!
//! Guarantees: a number is either closed or names exactly one object; closing and renumbering
//! drop the object that was there; the table never grows beyond its limit.
//! Does not do: know what the objects are for.

use crate::error::{Answer, Errno};
use crate::files::{OpenDir, OpenFile};
use crate::perms::{Rights, input_rights, output_rights};
use crate::streams::{InputStream, OutputStream};
use bitflags::bitflags;
use std::sync::Arc;

bitflags! {
    /// The `fdflags` of WASI 0.1 (`typenames.witx`, `$fdflags`).
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) struct FdFlags: u16 {
        const APPEND = 1;
        const DSYNC = 2;
        const NONBLOCK = 4;
        const RSYNC = 8;
        const SYNC = 16;
    }
}

/// What a descriptor stands for.
pub(crate) enum Object {
    Input(Arc<dyn InputStream>),
    Output(Arc<dyn OutputStream>),
    File(OpenFile),
    Dir(OpenDir),
}

/// An open descriptor.
pub(crate) struct Entry {
    pub(crate) object: Object,
    pub(crate) flags: FdFlags,
    /// The most that the host granted; only tells who refused.
    granted: Rights,
    /// The rights that are left, for this descriptor.
    base: Rights,
    /// The rights that are left, for what is opened through it.
    inheriting: Rights,
}

impl Entry {
    pub(crate) fn input(stream: Arc<dyn InputStream>) -> Entry {
        Entry::new(
            Object::Input(stream),
            input_rights(),
            input_rights(),
            Rights::empty(),
        )
    }

    pub(crate) fn output(stream: Arc<dyn OutputStream>) -> Entry {
        Entry::new(
            Object::Output(stream),
            output_rights(),
            output_rights(),
            Rights::empty(),
        )
    }

    /// A directory that the host grants.
    pub(crate) fn preopen(dir: OpenDir) -> Entry {
        let (base, inheriting) = (dir.grant.on_dir, dir.grant.inheriting());
        Entry::new(Object::Dir(dir), base, base, inheriting)
    }

    /// A directory opened through one whose descriptor may pass on `inherited`.
    pub(crate) fn dir(dir: OpenDir, inherited: Rights) -> Entry {
        let granted = dir.grant.on_dir;
        Entry::new(Object::Dir(dir), granted, granted & inherited, inherited)
    }

    /// A file opened with `base` through a directory that grants at most `granted` on files.
    pub(crate) fn file(file: OpenFile, granted: Rights, base: Rights, flags: FdFlags) -> Entry {
        let mut entry = Entry::new(Object::File(file), granted, granted & base, Rights::empty());
        entry.flags = flags;
        entry
    }

    fn new(object: Object, granted: Rights, base: Rights, inheriting: Rights) -> Entry {
        Entry {
            object,
            flags: FdFlags::empty(),
            granted,
            base,
            inheriting,
        }
    }

    /// The rights for this descriptor, and for what is opened through it.
    pub(crate) fn rights(&self) -> (Rights, Rights) {
        (self.base, self.inheriting)
    }

    /// Gives up rights.
    ///
    /// # Errors
    /// `notcapable` if one of them is not there to be kept.
    pub(crate) fn narrow(&mut self, base: Rights, inheriting: Rights) -> Answer {
        if !self.base.contains(base) || !self.inheriting.contains(inheriting) {
            return Err(Errno::NotCapable.into());
        }
        (self.base, self.inheriting) = (base, inheriting);
        Ok(())
    }

    /// Passes if the descriptor has `right`.
    ///
    /// # Errors
    /// `badf` for reading and writing, as POSIX has it for a descriptor opened otherwise; else
    /// `perm` if the host refused, `notcapable` if the guest gave the right up itself.
    pub(crate) fn require(&self, right: Rights) -> Answer {
        if self.base.contains(right) {
            Ok(())
        } else if (Rights::FD_READ | Rights::FD_WRITE).contains(right) {
            Err(Errno::BadF.into())
        } else if self.granted.contains(right) {
            Err(Errno::NotCapable.into())
        } else {
            Err(self.denied())
        }
    }

    /// The file, with `right` to it. A stream has no position: `spipe`; a directory: `badf`.
    pub(crate) fn file_with(&self, right: Rights) -> Answer<&OpenFile> {
        match &self.object {
            Object::File(file) => self.require(right).map(|()| file),
            Object::Dir(_) => Err(Errno::BadF.into()),
            Object::Input(_) | Object::Output(_) => Err(Errno::SPipe.into()),
        }
    }

    /// The file, with the right to write it, as WASI 0.2 has it: `perm` where the host does not allow that
    /// for any descriptor, `badf` where this one was not opened for it.
    pub(crate) fn file_to_write(&self) -> Answer<&OpenFile> {
        match &self.object {
            Object::File(_) if !self.granted.contains(Rights::FD_WRITE) => Err(self.denied()),
            _ => self.file_with(Rights::FD_WRITE),
        }
    }

    /// The directory, with `right` to it; anything else: `notdir`.
    pub(crate) fn dir_with(&self, right: Rights) -> Answer<&OpenDir> {
        match &self.object {
            Object::Dir(dir) => self.require(right).map(|()| dir),
            _ => Err(Errno::NotDir.into()),
        }
    }
}

/// All descriptors of a context.
pub(crate) struct Table {
    entries: Vec<Option<Entry>>,
    /// No index below this one is free.
    lowest: usize,
    limit: usize,
}

impl Table {
    /// A table with `entries` from 0 on, and room for `limit` in all.
    pub(crate) fn new(entries: Vec<Entry>, limit: usize) -> Table {
        Table {
            entries: entries.into_iter().map(Some).collect(),
            lowest: 0,
            limit,
        }
    }

    /// Passes if another descriptor fits: to be asked *before* something is created for it.
    pub(crate) fn require_room(&mut self) -> Answer {
        while self.entries.get(self.lowest).is_some_and(Option::is_some) {
            self.lowest += 1;
        }
        match self.lowest < self.limit {
            true => Ok(()),
            false => Err(Errno::MFile.into()),
        }
    }

    /// Opens the lowest free number.
    pub(crate) fn insert(&mut self, entry: Entry) -> Answer<u32> {
        self.require_room()?;
        if self.lowest == self.entries.len() {
            self.entries.push(None);
        }
        self.entries[self.lowest] = Some(entry);
        u32::try_from(self.lowest).map_err(|_| Errno::MFile.into())
    }

    pub(crate) fn get(&self, fd: u32) -> Answer<&Entry> {
        self.entries
            .get(fd as usize)
            .and_then(Option::as_ref)
            .ok_or_else(|| Errno::BadF.into())
    }

    pub(crate) fn get_mut(&mut self, fd: u32) -> Answer<&mut Entry> {
        let entry = self.entries.get_mut(fd as usize).and_then(Option::as_mut);
        entry.ok_or_else(|| Errno::BadF.into())
    }

    /// Closes a number; its object is dropped.
    pub(crate) fn close(&mut self, fd: u32) -> Answer {
        self.take(fd).map(drop)
    }

    /// Moves `from` to the open number `to`, whose object is dropped.
    pub(crate) fn renumber(&mut self, from: u32, to: u32) -> Answer {
        self.get(from)?;
        self.get(to)?;
        if from != to {
            let moved = self.take(from)?;
            *self.get_mut(to)? = moved;
        }
        Ok(())
    }

    fn take(&mut self, fd: u32) -> Answer<Entry> {
        let slot = self.entries.get_mut(fd as usize).ok_or(Errno::BadF)?;
        let entry = slot.take().ok_or(Errno::BadF)?;
        self.lowest = self.lowest.min(fd as usize);
        Ok(entry)
    }
}
