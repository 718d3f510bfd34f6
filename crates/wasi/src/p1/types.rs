//! The records of WASI 0.1 as they lie in guest memory (`typenames.witx`).

use bitflags::bitflags;

/// `filetype`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum FileType {
    Unknown = 0,
    BlockDevice = 1,
    CharacterDevice = 2,
    Directory = 3,
    RegularFile = 4,
    SocketStream = 6,
    SymbolicLink = 7,
    /// A pipe: WASI 0.1 has none, only later versions do.
    Fifo,
}

impl FileType {
    /// The number in the records of WASI 0.1.
    fn number(self) -> u8 {
        match self {
            FileType::Fifo => FileType::Unknown as u8,
            other => other as u8,
        }
    }
}

bitflags! {
    /// `lookupflags`.
    #[derive(Debug, Clone, Copy)]
    pub(crate) struct LookupFlags: u32 {
        const SYMLINK_FOLLOW = 1;
    }

    /// `oflags`.
    #[derive(Debug, Clone, Copy)]
    pub(crate) struct OFlags: u32 {
        const CREAT = 1;
        const DIRECTORY = 2;
        const EXCL = 4;
        const TRUNC = 8;
    }

    /// `fstflags`.
    #[derive(Debug, Clone, Copy)]
    pub(crate) struct FstFlags: u32 {
        const ATIM = 1;
        const ATIM_NOW = 2;
        const MTIM = 4;
        const MTIM_NOW = 8;
    }
}

/// `filestat`: 64 bytes, aligned to 8.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Filestat {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) file_type: FileType,
    pub(crate) links: u64,
    pub(crate) size: u64,
    /// Nanoseconds since 1970, as the next two.
    pub(crate) access: u64,
    pub(crate) modification: u64,
    pub(crate) change: u64,
}

impl Filestat {
    /// What is known of a stream.
    pub(crate) fn of_stream(file_type: FileType) -> Filestat {
        Filestat {
            device: 0,
            inode: 0,
            file_type,
            links: 0,
            size: 0,
            access: 0,
            modification: 0,
            change: 0,
        }
    }

    pub(crate) fn record(&self) -> [u8; 64] {
        let mut record = [0; 64];
        put(&mut record, 0, self.device);
        put(&mut record, 8, self.inode);
        record[16] = self.file_type.number();
        put(&mut record, 24, self.links);
        put(&mut record, 32, self.size);
        put(&mut record, 40, self.access);
        put(&mut record, 48, self.modification);
        put(&mut record, 56, self.change);
        record
    }
}

/// `fdstat`: 24 bytes, aligned to 8.
pub(crate) fn fdstat(file_type: FileType, flags: u16, base: u64, inheriting: u64) -> [u8; 24] {
    let mut record = [0; 24];
    record[0] = file_type.number();
    record[2..4].copy_from_slice(&flags.to_le_bytes());
    put(&mut record, 8, base);
    put(&mut record, 16, inheriting);
    record
}

/// `dirent`: 24 bytes; the name follows.
pub(crate) fn dirent(next: u64, inode: u64, name_bytes: u32, file_type: FileType) -> [u8; 24] {
    let mut record = [0; 24];
    put(&mut record, 0, next);
    put(&mut record, 8, inode);
    record[16..20].copy_from_slice(&name_bytes.to_le_bytes());
    record[20] = file_type.number();
    record
}

/// Bytes of a `subscription`, aligned to 8.
pub(crate) const SUBSCRIPTION_BYTES: u32 = 48;
/// Bytes of an `event`, aligned to 8.
pub(crate) const EVENT_BYTES: u32 = 32;

/// `event`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Event {
    pub(crate) userdata: u64,
    /// 0 is success.
    pub(crate) errno: u16,
    /// `eventtype`.
    pub(crate) kind: u8,
    pub(crate) bytes: u64,
    pub(crate) hangup: bool,
}

impl Event {
    pub(crate) fn record(&self) -> [u8; EVENT_BYTES as usize] {
        let mut record = [0; EVENT_BYTES as usize];
        put(&mut record, 0, self.userdata);
        record[8..10].copy_from_slice(&self.errno.to_le_bytes());
        record[10] = self.kind;
        put(&mut record, 16, self.bytes);
        record[24] = u8::from(self.hangup);
        record
    }
}

/// The eight bytes of `record` at `offset`, which must be inside.
pub(crate) fn get(record: &[u8], offset: usize) -> u64 {
    let bytes = record[offset..offset + 8]
        .try_into()
        .expect("eight bytes were taken");
    u64::from_le_bytes(bytes)
}

fn put(record: &mut [u8], offset: usize, value: u64) {
    record[offset..offset + 8].copy_from_slice(&value.to_le_bytes());
}
