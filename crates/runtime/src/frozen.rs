//! Frozen files: bytes in memory that nobody can change, in which code can run where it lies.
//!
//! Guarantees that [`Frozen::bytes`] never change and that reading them never faults: a file is
//! mapped only if the kernel promises that its contents stay what they are (sealed memory, or
//! fs-verity); everything else is copied first. Deliberately does not care what the bytes are.

use crate::arena::{ArenaPages, arena};
use crate::error::Error;
use crate::sys::FrozenFile;
use cellwall_abi::Bytes;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Bytes of the largest file.
pub const FILE_BYTES_MAX: u64 = 8 << 30;

/// The contents of a file, frozen. See the module documentation. Cheap to clone; clones are the same
/// bytes.
#[derive(Clone)]
pub struct Frozen {
    pages: Arc<FrozenPages>,
}

pub(crate) struct FrozenPages {
    pub(crate) pages: ArenaPages,
    bytes: usize,
    is_mapped: bool,
}

/// The owner of shared bytes.
struct Owner(Arc<FrozenPages>);

impl Frozen {
    /// Freezes a file: maps it if its contents can never change, and otherwise copies them as they
    /// are now.
    ///
    /// # Errors
    /// If it cannot be read, or is larger than [`FILE_BYTES_MAX`].
    pub fn of(file: &File) -> Result<Self, Error> {
        let os = |error| Error::Os {
            what: "cannot read the file",
            error,
        };
        let bytes = file.metadata().map_err(os)?.len();
        if bytes > FILE_BYTES_MAX {
            return Err(Error::Limit(format!(
                "a file of compiled code can have at most {FILE_BYTES_MAX} bytes"
            )));
        }
        let bytes = bytes as usize;
        let mut pages = arena()?.allocate(bytes)?;
        let mapped = match FrozenFile::of(file) {
            // A file system that maps nothing, or not here: the contents can still be copied.
            Some(frozen) => pages.map_frozen(&frozen, bytes).is_ok(),
            None => false,
        };
        let bytes = match mapped {
            true => bytes,
            false => pages
                .fill(bytes.next_multiple_of(crate::sys::PAGE), |to| {
                    read(file, &mut to[..bytes])
                })
                .map_err(os)?,
        };
        Ok(Self {
            pages: Arc::new(FrozenPages {
                pages,
                bytes,
                is_mapped: mapped,
            }),
        })
    }

    /// The bytes; they live as long as anyone refers to them.
    pub fn bytes(&self) -> bytes::Bytes {
        bytes::Bytes::from_owner(Owner(Arc::clone(&self.pages)))
    }

    /// Whether the file itself is mapped, and not a copy.
    pub fn is_mapped(&self) -> bool {
        self.pages.is_mapped
    }

    /// Where a part of the bytes lies in the pages, if it is a part.
    pub(crate) fn offset_of(&self, part: &Bytes) -> Option<usize> {
        let offset = (part.as_ptr() as usize).checked_sub(self.pages.pages.start())?;
        (part.len() <= self.pages.bytes.checked_sub(offset)?).then_some(offset)
    }

    pub(crate) fn pages(&self) -> &ArenaPages {
        &self.pages.pages
    }

    pub(crate) fn into_pages(self) -> Arc<FrozenPages> {
        self.pages
    }
}

impl AsRef<[u8]> for FrozenPages {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: the pages are readable and hold so many bytes. They were filled or mapped before
        // this value was made; from then on nobody makes them writable, and nobody else can change
        // a file that is sealed.
        unsafe { std::slice::from_raw_parts(self.pages.start() as *const u8, self.bytes) }
    }
}

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        (*self.0).as_ref()
    }
}

/// Reads from the start, up to the end of the file or of `to`; says how much.
fn read(file: &File, to: &mut [u8]) -> io::Result<usize> {
    let mut len = 0;
    // Ends because every round reads at least a byte, or is the last.
    while len < to.len() {
        match file.read_at(&mut to[len..], len as u64) {
            Ok(0) => break,
            Ok(more) => len += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(len)
}
