//! Memories that are not in use: their address space, and often their image, can serve the next
//! instance without a word to the kernel. No thread waits for another here (`spare.rs`).
//!
//! Guarantees that a slot taken out has nothing in it but zeros and its image: pages are given back or
//! overwritten before it is put in.

use crate::engine::Engine;
use crate::image::Image;
use crate::spare::{PLACES_MAX, Spares};
use crate::sys::{ImageFile, PAGE, Reservation, page_up};
use std::io;
use std::sync::Arc;

/// Most slots that an engine keeps; each takes the address space of a memory.
const SLOTS_KEPT_MAX: usize = PLACES_MAX;

/// The address space of a memory: accessible pages, then none.
#[derive(Debug)]
pub(crate) struct Slot {
    reservation: Reservation,
    /// Accessible bytes, whole pages.
    bytes: usize,
    image: Option<Mapped>,
}

/// An image that lies in a slot.
#[derive(Debug)]
struct Mapped {
    id: u64,
    offset: usize,
    file: Arc<ImageFile>,
}

/// The unused slots of an engine.
#[derive(Debug)]
pub(crate) struct MemoryPool(Spares<Slot>);

impl Default for MemoryPool {
    fn default() -> Self {
        Self(Spares::new(SLOTS_KEPT_MAX))
    }
}

impl Slot {
    /// A slot of `all` bytes of address space with the pages of `bytes` accessible and only this
    /// image in it.
    pub(crate) fn take(engine: &Engine, all: usize, bytes: usize, image: Option<&Image>) -> io::Result<Self> {
        let bytes = page_up(bytes);
        let wanted = image.map(|image| image.id);
        let mut slot = match engine.0.memories.pop(all, wanted) {
            Some(slot) => slot,
            None => Slot {
                reservation: Reservation::new(all)?,
                bytes: 0,
                image: None,
            },
        };
        if slot.image.as_ref().map(|image| image.id) != wanted
            && let Some(other) = slot.image.take()
        {
            // SAFETY: the slot is not in use yet.
            unsafe { slot.reservation.release(other.offset, other.file.bytes())? };
            slot.reservation.commit(0, slot.bytes)?;
        }
        if slot.bytes > bytes {
            slot.reservation.hide(bytes, slot.bytes - bytes)?;
            slot.bytes = bytes;
        }
        slot.grow(bytes)?;
        if let Some(image) = image {
            // Whoever asks again, to write the data, hears of a failure and copies.
            let _ = slot.map_image(image);
        }
        Ok(slot)
    }

    pub(crate) fn base(&self) -> *mut u8 {
        self.reservation.base()
    }

    /// Bytes with what is never accessible.
    pub(crate) fn reserved_bytes(&self) -> usize {
        self.reservation.bytes()
    }

    /// Makes the pages of `bytes` accessible, which are not less than now.
    pub(crate) fn grow(&mut self, bytes: usize) -> io::Result<()> {
        let bytes = page_up(bytes);
        self.reservation.commit(self.bytes, bytes - self.bytes)?;
        self.bytes = bytes;
        Ok(())
    }

    /// Puts an image over its pages, unless it is there; what lay there is gone.
    pub(crate) fn map_image(&mut self, image: &Image) -> io::Result<()> {
        if self.image.as_ref().is_some_and(|mapped| mapped.id == image.id) {
            return Ok(());
        }
        let len = image.file.bytes();
        assert!(
            image.offset + len <= self.bytes && self.image.is_none(),
            "a memory has one image, inside"
        );
        self.reservation.map_image(image.offset, len, &image.file, 0)?;
        self.image = Some(Mapped {
            id: image.id,
            offset: image.offset,
            file: image.file.clone(),
        });
        Ok(())
    }

    /// Whether an image lies in it.
    pub(crate) fn has_image(&self) -> bool {
        self.image.is_some()
    }

    /// Keeps the slot for the next memory.
    ///
    /// # Safety
    /// Nobody may use its pages any more.
    pub(crate) unsafe fn give_back(self, engine: &Engine) {
        let image = self.image.as_ref().map(|image| (image.offset, &*image.file));
        // SAFETY: the caller's promise; accessible pages are readable and writable, and the image lies there.
        if unsafe { self.reservation.renew(self.bytes, image) }.is_ok() {
            engine.0.memories.push(self);
        }
    }
}

impl MemoryPool {
    /// A slot of this size with the wanted image, or else any of this size.
    fn pop(&self, all: usize, image: Option<u64>) -> Option<Slot> {
        let has_size = |slot: &Slot| slot.reserved_bytes() == all;
        let wanted = hint(all, image);
        let fits = |slot: &Slot| has_size(slot) && slot.image.as_ref().map(|mapped| mapped.id) == image;
        let same = self.0.take(|hint| hint == wanted, fits);
        same.or_else(|| self.0.take(|hint| hint >> 32 == wanted >> 32, has_size))
    }

    fn push(&self, slot: Slot) {
        let hint = hint(slot.reserved_bytes(), slot.image.as_ref().map(|mapped| mapped.id));
        // Where there is no room, it is dropped.
        drop(self.0.put(hint, slot));
    }
}

/// Size and image of a slot, as far as a word tells them apart.
fn hint(all: usize, image: Option<u64>) -> u64 {
    let pages = (all / PAGE) as u64;
    pages << 32 | u64::from(image.unwrap_or(0) as u32)
}
