//! Images: what the memories of a module look like after its data was written, made once per
//! module and mapped copy-on-write into each instance.

use crate::sys::{ImageFile, PAGE, page_up};
use cellwall_abi::Artifact;
use cellwall_abi::shape::{ConstOp, DataSegment, Shape};
use cellwall_base::{DataIdx, IdMap, MemoryIdx};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Less data than this is copied: mapping would cost more.
const IMAGE_BYTES_MIN: usize = 4096;

/// The image of one memory.
#[derive(Debug)]
pub(crate) struct Image {
    /// Unique in the process.
    pub(crate) id: u64,
    pub(crate) file: Arc<ImageFile>,
    /// Where in the memory it begins, a multiple of the page.
    pub(crate) offset: usize,
}

/// The images of a module.
#[derive(Debug)]
pub(crate) struct MemoryImages {
    images: Vec<(MemoryIdx, Image)>,
    /// For each segment whether an image has it.
    done: IdMap<DataIdx, bool>,
}

impl MemoryImages {
    /// Makes the images of the leading segments that are the same in every instance. Where one
    /// cannot be made, its segments are left to copying.
    pub(crate) fn new(artifact: &Artifact) -> Self {
        let shape = &artifact.shape;
        let mut pieces: Vec<(MemoryIdx, DataIdx, usize, &[u8])> = Vec::new();
        for (index, segment) in shape.data.iter() {
            if segment.active.is_none() {
                continue;
            }
            // What comes after a segment that may trap or be covered must wait for it.
            let Some((memory, offset)) = fixed_place(shape, segment) else {
                break;
            };
            let bytes = &artifact.data[segment.bytes.start as usize..segment.bytes.end as usize];
            if !bytes.is_empty() {
                pieces.push((memory, index, offset, bytes));
            }
        }
        let mut images = Vec::new();
        let mut done = IdMap::filled(false, shape.data.len());
        for memory in shape.memories.ids() {
            let own = || pieces.iter().filter(|(m, ..)| *m == memory);
            if let Some(image) = image_of(own().map(|&(_, _, offset, bytes)| (offset, bytes)).collect()) {
                own().for_each(|&(_, index, ..)| done[index] = true);
                images.push((memory, image));
            }
        }
        Self { images, done }
    }

    /// The images and their memories.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (MemoryIdx, &Image)> {
        self.images.iter().map(|(memory, image)| (*memory, image))
    }

    /// The image of a memory.
    pub(crate) fn of(&self, memory: MemoryIdx) -> Option<&Image> {
        self.iter().find(|(of, _)| *of == memory).map(|(_, image)| image)
    }

    /// Whether an image has the bytes of a segment.
    pub(crate) fn has(&self, segment: DataIdx) -> bool {
        self.done[segment]
    }
}

fn image_of(mut pieces: Vec<(usize, &[u8])>) -> Option<Image> {
    let bytes: usize = pieces.iter().map(|(_, piece)| piece.len()).sum();
    if bytes < IMAGE_BYTES_MIN {
        return None;
    }
    let start = pieces.iter().map(|&(at, _)| at).min()? / PAGE * PAGE;
    let end = pieces.iter().map(|&(at, piece)| at + piece.len()).max()?;
    pieces.iter_mut().for_each(|(at, _)| *at -= start);
    let file = ImageFile::new(page_up(end - start), &pieces).ok()?;
    static NEXT: AtomicU64 = AtomicU64::new(1);
    Some(Image {
        id: NEXT.fetch_add(1, Ordering::Relaxed),
        file: Arc::new(file),
        offset: start,
    })
}

/// Where an active segment goes in every instance: constant, in an own memory, in bounds.
fn fixed_place(shape: &Shape, segment: &DataSegment) -> Option<(MemoryIdx, usize)> {
    let (memory, offset) = segment.active.as_ref()?;
    let ty = shape.memories.get(*memory)?;
    let offset = match offset.0[..] {
        [ConstOp::I32(v)] => u64::from(v as u32),
        [ConstOp::I64(v)] => v as u64,
        _ => return None,
    };
    let end = offset.checked_add(segment.bytes.len() as u64)?;
    let fits = !ty.is_elsewhere() && end <= ty.min_pages.checked_mul(1 << ty.page_shift)?;
    fits.then_some((*memory, offset as usize))
}
