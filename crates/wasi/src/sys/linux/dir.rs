//! Listing a directory from any place in it.
//!
//! The cookie of an entry is the kernel's own (`d_off`), so a listing needs no memory of ours
//! that grows with the directory, and goes on correctly when entries come and go meanwhile.

use super::file::file_type;
use crate::p1::types::FileType;
use cap_std::fs::Dir;
use std::io;

/// A listing, and the cookie of its place.
pub(crate) struct DirStream {
    entries: rustix::fs::Dir,
    /// `None` after an error: the next read has to seek.
    place: Option<u64>,
}

/// One entry.
pub(crate) struct DirItem {
    pub(crate) next: u64,
    pub(crate) inode: u64,
    pub(crate) file_type: FileType,
    pub(crate) name: std::ffi::CString,
}

impl DirStream {
    pub(crate) fn new(dir: &Dir) -> io::Result<DirStream> {
        Ok(DirStream {
            entries: rustix::fs::Dir::read_from(dir)?,
            place: None,
        })
    }

    /// Goes to the place with this cookie, 0 being the start, which is always read anew.
    pub(crate) fn seek(&mut self, cookie: u64) -> io::Result<()> {
        if cookie != 0 && self.place == Some(cookie) {
            return Ok(());
        }
        self.place = None;
        let offset = i64::try_from(cookie).map_err(|_| io::ErrorKind::InvalidInput)?;
        self.entries.seek(offset)?;
        self.place = Some(cookie);
        Ok(())
    }

    /// The next entry, or `None` at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<DirItem>> {
        let Some(entry) = self.entries.read() else {
            return Ok(None);
        };
        let entry = entry?;
        let next = entry.offset().cast_unsigned();
        self.place = Some(next);
        let (inode, file_type) = (entry.ino(), file_type(entry.file_type()));
        Ok(Some(DirItem {
            next,
            inode,
            file_type,
            name: entry.file_name().to_owned(),
        }))
    }
}
