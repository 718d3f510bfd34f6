//! Permissions: what the host grants with a directory, as the rights that the guest then holds.
//!
//! Guarantees: [`Grant::new`] is the only place where permissions become rights. Every function
//! asks for a right by name; none looks at permissions itself. Rights only ever shrink on the
//! way from a directory to what is opened through it.
//! Does not do: the host's own file modes, which the kernel adds on top.

use bitflags::bitflags;

bitflags! {
    /// What a guest may do with the *names* in a preopened directory, and in those below it.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct DirPerms: u8 {
        /// List entries, look up attributes, read links, open what is there.
        const READ = 1;
        /// Create, remove, rename and link entries.
        const MUTATE = 2;
    }

    /// What a guest may do with the *contents* of files in a preopened directory, and below it.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct FilePerms: u8 {
        /// Read contents.
        const READ = 1;
        /// Change contents, size and times. New files also need [`DirPerms::MUTATE`].
        const WRITE = 2;
    }

    /// The `rights` of WASI 0.1, bit for bit (`typenames.witx`, `$rights`).
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) struct Rights: u64 {
        const FD_DATASYNC = 1 << 0;
        const FD_READ = 1 << 1;
        const FD_SEEK = 1 << 2;
        const FD_FDSTAT_SET_FLAGS = 1 << 3;
        const FD_SYNC = 1 << 4;
        const FD_TELL = 1 << 5;
        const FD_WRITE = 1 << 6;
        const FD_ADVISE = 1 << 7;
        const FD_ALLOCATE = 1 << 8;
        const PATH_CREATE_DIRECTORY = 1 << 9;
        const PATH_CREATE_FILE = 1 << 10;
        const PATH_LINK_SOURCE = 1 << 11;
        const PATH_LINK_TARGET = 1 << 12;
        const PATH_OPEN = 1 << 13;
        const FD_READDIR = 1 << 14;
        const PATH_READLINK = 1 << 15;
        const PATH_RENAME_SOURCE = 1 << 16;
        const PATH_RENAME_TARGET = 1 << 17;
        const PATH_FILESTAT_GET = 1 << 18;
        const PATH_FILESTAT_SET_SIZE = 1 << 19;
        const PATH_FILESTAT_SET_TIMES = 1 << 20;
        const FD_FILESTAT_GET = 1 << 21;
        const FD_FILESTAT_SET_SIZE = 1 << 22;
        const FD_FILESTAT_SET_TIMES = 1 << 23;
        const PATH_SYMLINK = 1 << 24;
        const PATH_REMOVE_DIRECTORY = 1 << 25;
        const PATH_UNLINK_FILE = 1 << 26;
        const POLL_FD_READWRITE = 1 << 27;
        const SOCK_SHUTDOWN = 1 << 28;
        const SOCK_ACCEPT = 1 << 29;
    }
}

/// The most that a directory's permissions allow, for itself and for what is opened through it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grant {
    /// Rights on this directory and on directories below it.
    pub(crate) on_dir: Rights,
    /// Rights on files in it and below it.
    pub(crate) on_file: Rights,
}

impl Grant {
    /// The one function that decides permissions.
    pub(crate) fn new(dir: DirPerms, file: FilePerms) -> Grant {
        let mut on_dir =
            Rights::FD_FDSTAT_SET_FLAGS | Rights::FD_SYNC | Rights::FD_DATASYNC | Rights::FD_FILESTAT_GET;
        let mut on_file =
            on_dir | Rights::FD_SEEK | Rights::FD_TELL | Rights::FD_ADVISE | Rights::POLL_FD_READWRITE;
        if dir.contains(DirPerms::READ) {
            on_dir |=
                Rights::PATH_OPEN | Rights::FD_READDIR | Rights::PATH_READLINK | Rights::PATH_FILESTAT_GET;
        }
        if dir.contains(DirPerms::MUTATE) {
            on_dir |= Rights::PATH_CREATE_DIRECTORY
                | Rights::PATH_LINK_SOURCE
                | Rights::PATH_LINK_TARGET
                | Rights::PATH_RENAME_SOURCE
                | Rights::PATH_RENAME_TARGET
                | Rights::PATH_SYMLINK
                | Rights::PATH_REMOVE_DIRECTORY
                | Rights::PATH_UNLINK_FILE
                | Rights::FD_FILESTAT_SET_TIMES;
        }
        if file.contains(FilePerms::READ) {
            on_file |= Rights::FD_READ;
        }
        if file.contains(FilePerms::WRITE) {
            on_file |= Rights::FD_WRITE
                | Rights::FD_ALLOCATE
                | Rights::FD_FILESTAT_SET_SIZE
                | Rights::FD_FILESTAT_SET_TIMES;
            on_dir |= Rights::PATH_FILESTAT_SET_SIZE;
        }
        // A path may name a file or a directory, so these two need both permissions.
        if dir.contains(DirPerms::MUTATE) && file.contains(FilePerms::WRITE) {
            on_dir |= Rights::PATH_CREATE_FILE | Rights::PATH_FILESTAT_SET_TIMES;
        }
        Grant { on_dir, on_file }
    }

    /// What a descriptor opened through the directory can inherit at most.
    pub(crate) fn inheriting(self) -> Rights {
        self.on_dir | self.on_file
    }
}

/// The rights of the standard input.
pub(crate) fn input_rights() -> Rights {
    stream_rights() | Rights::FD_READ
}

/// The rights of the standard output and error.
pub(crate) fn output_rights() -> Rights {
    stream_rights() | Rights::FD_WRITE
}

/// No seek and no tell: `isatty` of the guest's libc tells a terminal from a device by that.
fn stream_rights() -> Rights {
    Rights::FD_FDSTAT_SET_FLAGS | Rights::FD_FILESTAT_GET | Rights::POLL_FD_READWRITE
}
