//! Address space: reservations, and the changes of protection that the runtime makes inside them.
//!
//! Guarantees that no page is ever writable and executable: `commit` makes pages read-write, only
//! `seal_code` makes them executable, and nothing turns executable pages writable but `release`,
//! which replaces them. Deliberately knows nothing of what lies in a reservation.

use super::super::{PAGE, page_up};
use super::frozen::FrozenFile;
use std::ffi::c_int;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::FileExt;
use std::ptr::{self, NonNull};

/// A range of address space that belongs to its owner alone; unmapped on drop.
#[derive(Debug)]
pub(crate) struct Reservation {
    base: NonNull<u8>,
    bytes: usize,
}

// SAFETY: a reservation is a plain range of addresses that any thread may use and unmap.
unsafe impl Send for Reservation {}
// SAFETY: as above; methods that change pages go through the kernel, which serialises them.
unsafe impl Sync for Reservation {}

impl Reservation {
    /// Reserves `bytes` (a multiple of the page) without access.
    pub(crate) fn new(bytes: usize) -> io::Result<Self> {
        debug_assert!(bytes > 0 && bytes.is_multiple_of(PAGE));
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new anonymous mapping at an address of the kernel's choice overlaps nothing.
        let base = unsafe { libc::mmap(ptr::null_mut(), bytes, libc::PROT_NONE, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).expect("the kernel maps nothing at address 0 unasked");
        Ok(Self { base, bytes })
    }

    /// The first byte.
    pub(crate) fn base(&self) -> *mut u8 {
        self.base.as_ptr()
    }

    /// Size in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The address of a range of pages.
    pub(super) fn at(&self, offset: usize, len: usize) -> *mut u8 {
        assert!(
            offset.is_multiple_of(PAGE) && offset <= self.bytes && len <= self.bytes - offset,
            "page ranges stay inside their reservation"
        );
        // SAFETY: the assertion keeps the address inside the reservation.
        unsafe { self.base().add(offset) }
    }

    fn protect(&self, offset: usize, len: usize, protection: c_int) -> io::Result<()> {
        let start = self.at(offset, len);
        if len == 0 {
            return Ok(());
        }
        // SAFETY: the range belongs to this reservation, whose owner decides on its protection.
        match unsafe { libc::mprotect(start.cast(), len, protection) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Makes pages readable and writable; they keep their contents (zero at first).
    pub(crate) fn commit(&self, offset: usize, len: usize) -> io::Result<()> {
        self.protect(offset, len, libc::PROT_READ | libc::PROT_WRITE)
    }

    /// Makes pages readable only.
    pub(crate) fn seal_rodata(&self, offset: usize, len: usize) -> io::Result<()> {
        self.protect(offset, len, libc::PROT_READ)
    }

    /// Takes all access from pages; they keep their contents.
    pub(crate) fn hide(&self, offset: usize, len: usize) -> io::Result<()> {
        self.protect(offset, len, libc::PROT_NONE)
    }

    /// Gives the contents of pages back: they are zero, or the image's, from now on.
    ///
    /// # Safety
    /// Nobody may rely on the contents any more.
    pub(crate) unsafe fn forget(&self, offset: usize, len: usize) -> io::Result<()> {
        let start = self.at(offset, len);
        if len == 0 {
            return Ok(());
        }
        // SAFETY: the range belongs to this reservation and the caller says that nobody uses it.
        match unsafe { libc::madvise(start.cast(), len, libc::MADV_DONTNEED) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Makes pages readable and executable, and no longer writable.
    pub(crate) fn seal_code(&self, offset: usize, len: usize) -> io::Result<()> {
        self.protect(offset, len, libc::PROT_READ | libc::PROT_EXEC)
    }

    /// Maps bytes of an image over pages of the reservation: readable, writable, private.
    pub(crate) fn map_image(
        &self,
        offset: usize,
        len: usize,
        image: &ImageFile,
        image_offset: usize,
    ) -> io::Result<()> {
        let start = self.at(offset, len);
        assert!(image_offset.is_multiple_of(PAGE) && page_up(len) <= image.bytes - image_offset);
        let flags = libc::MAP_PRIVATE | libc::MAP_FIXED | libc::MAP_NORESERVE;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let fd = image.file.as_raw_fd();
        // SAFETY: the range belongs to this reservation; the image is sealed, so that nobody can
        // change or truncate what is mapped.
        let mapped = unsafe { libc::mmap(start.cast(), len, protection, flags, fd, image_offset as i64) };
        if mapped == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    /// Gives pages memory before they are touched one by one. Only saves time.
    pub(crate) fn populate(&self, offset: usize, len: usize) {
        let start = self.at(offset, len);
        // SAFETY: the range belongs to this reservation; its contents do not change. Kernels that
        // do not know the advice refuse it.
        unsafe { libc::madvise(start.cast(), len, libc::MADV_POPULATE_WRITE) };
    }

    /// Maps the start of a frozen file over pages of the reservation, readable only.
    pub(crate) fn map_frozen(&self, offset: usize, len: usize, file: &FrozenFile<'_>) -> io::Result<()> {
        let start = self.at(offset, len);
        let flags = libc::MAP_PRIVATE | libc::MAP_FIXED | libc::MAP_NORESERVE;
        let fd = file.file.as_raw_fd();
        // SAFETY: the range belongs to this reservation; the file is frozen, so that nobody can
        // change or truncate what is mapped.
        let mapped = unsafe { libc::mmap(start.cast(), len, libc::PROT_READ, flags, fd, 0) };
        if mapped == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    /// Gives pages back: no access, contents gone.
    ///
    /// # Safety
    /// Nobody may use the pages any more.
    pub(crate) unsafe fn release(&self, offset: usize, len: usize) -> io::Result<()> {
        let start = self.at(offset, len);
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED;
        // SAFETY: the range belongs to this reservation and the caller says that nobody uses it.
        let mapped = unsafe { libc::mmap(start.cast(), len, libc::PROT_NONE, flags, -1, 0) };
        if mapped == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        // SAFETY: the owner is gone, so nobody uses the range.
        let result = unsafe { libc::munmap(self.base().cast(), self.bytes) };
        debug_assert_eq!(result, 0, "unmapping an own range cannot fail");
    }
}

/// Maps the first page of a file so that `perf` sees the name of the file: it records executable
/// mappings only. The page stays mapped until the process ends. Whoever makes the file sees to it
/// that nothing but a fixed header is in its first page; no code is ever entered there.
///
/// # Errors
/// What the operating system answers.
pub fn mark_for_profiler(file: &File) -> io::Result<()> {
    let protection = libc::PROT_READ | libc::PROT_EXEC;
    let fd = file.as_raw_fd();
    // SAFETY: a new mapping at an address of the kernel's choice overlaps nothing, and no reference
    // into it is ever made.
    let page = unsafe { libc::mmap(ptr::null_mut(), PAGE, protection, libc::MAP_PRIVATE, fd, 0) };
    match page == libc::MAP_FAILED {
        true => Err(io::Error::last_os_error()),
        false => Ok(()),
    }
}

/// Bytes in a sealed file in memory, from which private copies are mapped.
#[derive(Debug)]
pub(crate) struct ImageFile {
    file: File,
    bytes: usize,
    /// All of it, readable only.
    view: Reservation,
}

impl ImageFile {
    /// Makes an image of `bytes` (a multiple of the page) with these pieces in it, at most once
    /// each; the rest is zero.
    pub(crate) fn new(bytes: usize, pieces: &[(usize, &[u8])]) -> io::Result<Self> {
        let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
        // SAFETY: the name is a valid C string; the call makes a new descriptor.
        let fd = unsafe { libc::memfd_create(c"cellwall-image".as_ptr(), flags) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new and nobody else owns it.
        let file = unsafe { File::from_raw_fd(fd) };
        file.set_len(bytes as u64)?;
        for &(offset, piece) in pieces {
            file.write_all_at(piece, offset as u64)?;
        }
        let seals = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE | libc::F_SEAL_SEAL;
        // SAFETY: sealing an own descriptor touches no memory.
        if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) } != 0 {
            return Err(io::Error::last_os_error());
        }
        let view = Reservation::new(bytes)?;
        let flags = libc::MAP_PRIVATE | libc::MAP_FIXED | libc::MAP_NORESERVE;
        let (place, fd) = (view.base().cast(), file.as_raw_fd());
        // SAFETY: the range belongs to the new reservation; the file is sealed.
        if unsafe { libc::mmap(place, bytes, libc::PROT_READ, flags, fd, 0) } == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { file, bytes, view })
    }

    /// Size in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Its bytes.
    pub(crate) fn view(&self) -> &[u8] {
        // SAFETY: all of the reservation was mapped readable, and nobody can write to what is mapped.
        unsafe { std::slice::from_raw_parts(self.view.base(), self.bytes) }
    }
}
