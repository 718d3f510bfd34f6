//! Pages that are made as new without being given back: which of them were written to, the kernel tells.
//!
//! Requires Linux 6.7 (`PAGEMAP_SCAN`) and `/proc`; without, everything is given back, which costs the next owner a
//! fault for each page.
//! Guarantees that nothing is left of what was written: whatever the kernel does not name is given back, or was
//! never written to.

use super::map::{ImageFile, Reservation};
use std::ffi::c_ulong;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::OnceLock;

/// Most bytes of a range that stay in memory for its next owner.
const KEPT_BYTES_MAX: usize = 256 << 10;

/// Most pieces in which they may lie.
const PIECES_MAX: usize = 32;

/// What is known of a page; this and what follows is as in `linux/fs.h`.
const PAGE_IS_FILE: u64 = 1 << 2;
const PAGE_IS_PRESENT: u64 = 1 << 3;
const PAGE_IS_SWAPPED: u64 = 1 << 4;
const PAGE_IS_PFNZERO: u64 = 1 << 5;

/// `_IOWR('f', 16, struct pm_scan_arg)`.
const PAGEMAP_SCAN: c_ulong = 3 << 30 | (size_of::<ScanArg>() as c_ulong) << 16 | (b'f' as c_ulong) << 8 | 16;

/// `struct pm_scan_arg`.
#[repr(C)]
struct ScanArg {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    vec: u64,
    vec_len: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_anyof_mask: u64,
    return_mask: u64,
}

/// `struct page_region`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct PageRegion {
    start: u64,
    end: u64,
    categories: u64,
}

/// The page tables of this process, and its number: a child that was forked inherits the descriptor, which
/// speaks of its parent's.
struct PageMap(File, u32);

fn page_map() -> Option<&'static File> {
    static PAGE_MAP: OnceLock<Option<PageMap>> = OnceLock::new();
    let map = PAGE_MAP.get_or_init(|| {
        let file = File::open("/proc/self/pagemap").ok()?;
        Some(PageMap(file, std::process::id()))
    });
    match map {
        Some(PageMap(file, owner)) if *owner == std::process::id() => Some(file),
        _ => None,
    }
}

/// The first pages from `start` to `end` that have memory of their own: not those of a file that nobody wrote
/// to, nor the page of zeros. How many pieces, and up to where the kernel looked.
fn touched(start: usize, end: usize, pieces: &mut [PageRegion; PIECES_MAX]) -> Option<(usize, usize)> {
    let mut arg = ScanArg {
        size: size_of::<ScanArg>() as u64,
        flags: 0,
        start: start as u64,
        end: end as u64,
        walk_end: 0,
        vec: pieces.as_mut_ptr() as u64,
        vec_len: PIECES_MAX as u64,
        max_pages: (KEPT_BYTES_MAX / super::super::PAGE) as u64,
        category_inverted: PAGE_IS_FILE | PAGE_IS_PFNZERO,
        category_mask: PAGE_IS_FILE | PAGE_IS_PFNZERO,
        category_anyof_mask: PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
        return_mask: 0,
    };
    let map = page_map()?.as_raw_fd();
    // SAFETY: the argument has the size that it says, and so have the pieces; the kernel writes to both, and to
    // nothing else, since no flag asks for it.
    let count = unsafe { libc::ioctl(map, PAGEMAP_SCAN, &raw mut arg) };
    let count = usize::try_from(count).ok()?;
    Some((count, arg.walk_end as usize))
}

impl Reservation {
    /// Makes the first `len` bytes as they were when they were new: zero, or the image's where one is mapped (given
    /// with its place). Like [`forget`](Self::forget), but what was written to first stays in memory.
    ///
    /// # Safety
    /// The bytes are readable and writable, nobody uses them any more, and the image is what was mapped.
    pub(crate) unsafe fn renew(&self, len: usize, image: Option<(usize, &ImageFile)>) -> io::Result<()> {
        let start = self.base() as usize;
        let mut pieces = [PageRegion::default(); PIECES_MAX];
        let mut done = 0;
        if len > 0
            && let Some((count, walked)) = touched(start, start + len, &mut pieces)
        {
            for piece in &pieces[..count] {
                let (from, to) = (piece.start as usize, piece.end as usize);
                assert!(
                    start <= from && from <= to && to <= start + len,
                    "the kernel looks where it is told"
                );
                // SAFETY: the caller's promise.
                unsafe { self.overwrite(from - start, to - start, image) };
            }
            done = walked.clamp(start, start + len) - start;
        }
        // SAFETY: the caller's promise.
        unsafe { self.forget(done, len - done) }
    }

    /// Writes what was there at first from `from` to `to`.
    ///
    /// # Safety
    /// As for [`renew`](Self::renew).
    unsafe fn overwrite(&self, from: usize, to: usize, image: Option<(usize, &ImageFile)>) {
        let whole = image.map_or(0..0, |(at, image)| at..at + image.bytes());
        // Before the image, in it, and after it.
        let (first, last) = (whole.start.clamp(from, to), whole.end.clamp(from, to));
        // SAFETY: the caller's promise; the range is inside of the reservation.
        let bytes = unsafe { std::slice::from_raw_parts_mut(self.at(from, to - from), to - from) };
        bytes[..first - from].fill(0);
        if let Some((at, image)) = image
            && first < last
        {
            bytes[first - from..last - from].copy_from_slice(&image.view()[first - at..last - at]);
        }
        bytes[last - from..].fill(0);
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::PAGE;
    use super::*;

    const LEN: usize = 96 * PAGE;

    /// Writes to these pages, renews, and looks at every byte.
    fn is_as_new_after(pages: impl Fn(usize) -> bool, image_at: Option<usize>) {
        let reservation = Reservation::new(LEN).unwrap();
        reservation.commit(0, LEN).unwrap();
        let piece = [7; PAGE + 100];
        let image = ImageFile::new(3 * PAGE, &[(50, &piece)]).unwrap();
        if let Some(at) = image_at {
            reservation.map_image(at, image.bytes(), &image, 0).unwrap();
        }
        let place = image_at.map(|at| (at, &image));
        let new = |at: usize| {
            let start = image_at.map_or(usize::MAX, |at| at + 50);
            if at >= start && at < start + piece.len() {
                7
            } else {
                0
            }
        };
        for _ in 0..3 {
            // SAFETY: the pages are readable and writable, and only used here.
            let bytes = unsafe { std::slice::from_raw_parts_mut(reservation.base(), LEN) };
            for (at, byte) in bytes.iter_mut().enumerate() {
                assert_eq!(*byte, new(at), "at {at:#x}");
                if pages(at / PAGE) {
                    *byte = 0xee;
                }
            }
            // SAFETY: the slice is not used any more.
            unsafe { reservation.renew(LEN, place).unwrap() };
        }
    }

    #[test]
    fn nothing_is_left_of_what_was_written() {
        for image_at in [None, Some(0), Some(5 * PAGE), Some(LEN - 3 * PAGE)] {
            is_as_new_after(|_| false, image_at);
            is_as_new_after(|_| true, image_at);
            is_as_new_after(|page| page < 70, image_at);
            is_as_new_after(|page| page % 2 == 0, image_at);
            is_as_new_after(|page| page % 17 == 6, image_at);
            is_as_new_after(|page| page == 95, image_at);
        }
    }

    #[test]
    fn few_pages_stay_and_many_are_given_back() {
        let reservation = Reservation::new(LEN).unwrap();
        reservation.commit(0, LEN).unwrap();
        let mut pieces = [PageRegion::default(); PIECES_MAX];
        let start = reservation.base() as usize;
        let mut kept = |written: usize| {
            for page in 0..written {
                // SAFETY: the page is writable, and only used here.
                unsafe { reservation.at(page * PAGE, 1).write_volatile(1) };
            }
            // SAFETY: nobody uses the pages.
            unsafe { reservation.renew(LEN, None).unwrap() };
            let (count, _) = touched(start, start + LEN, &mut pieces)?;
            let bytes = pieces[..count].iter().map(|piece| piece.end - piece.start);
            Some(bytes.sum::<u64>() as usize / PAGE)
        };
        // An older kernel keeps nothing, which is right too.
        if let Some(few) = kept(3) {
            assert_eq!(few, 3);
            assert_eq!(kept(96), Some(KEPT_BYTES_MAX / PAGE));
        }
    }
}
