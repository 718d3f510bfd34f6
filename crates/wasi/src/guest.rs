//! The guest's memory, with every access checked.
//!
//! Guarantees: an access outside of the memory, or not aligned to its type, is a [`Fault`] that
//! stops the guest (the pointer rules of `witx`), never a panic. Lengths named by the guest are
//! compared with the memory or a limit before anything is done with them. Nothing is allocated.
//! Does not do: copying; buffers are handed to the kernel where they lie.

use crate::error::{Answer, Errno, Fault, Misaligned};
use std::io::{IoSlice, IoSliceMut};
use std::ops::Range;

/// The longest path that is looked at, as in Linux's `PATH_MAX` without the final NUL.
pub(crate) const PATH_BYTES_MAX: u32 = 4095;
/// The most buffers in one vectored call, as Linux's `IOV_MAX`.
pub(crate) const BUFFERS_MAX: u32 = 1024;
/// How many buffers go to the kernel at once.
const BATCH: usize = 16;
/// Bytes of one `iovec`: a pointer and a length.
const IOVEC_BYTES: u32 = 8;

/// The memory of the guest that is calling.
pub(crate) struct Guest<'a> {
    memory: &'a mut [u8],
}

impl<'a> Guest<'a> {
    pub(crate) fn new(memory: &'a mut [u8]) -> Guest<'a> {
        Guest { memory }
    }

    /// `count` bytes at `address`.
    pub(crate) fn bytes(&self, address: u32, count: u32) -> Answer<&[u8]> {
        Ok(&self.memory[self.range(address, count)?])
    }

    /// `count` bytes at `address`, to be written.
    pub(crate) fn bytes_mut(&mut self, address: u32, count: u32) -> Answer<&mut [u8]> {
        let range = self.range(address, count)?;
        Ok(&mut self.memory[range])
    }

    pub(crate) fn u32(&self, address: u32) -> Answer<u32> {
        aligned(address, 4)?;
        let bytes = self.bytes(address, 4)?;
        Ok(u32::from_le_bytes(
            bytes.try_into().expect("four bytes were asked for"),
        ))
    }

    pub(crate) fn set_u32(&mut self, address: u32, value: u32) -> Answer {
        aligned(address, 4)?;
        self.bytes_mut(address, 4)?.copy_from_slice(&value.to_le_bytes());
        Ok(())
    }

    pub(crate) fn set_u64(&mut self, address: u32, value: u64) -> Answer {
        aligned(address, 8)?;
        self.bytes_mut(address, 8)?.copy_from_slice(&value.to_le_bytes());
        Ok(())
    }

    /// Writes a record whose fields need `alignment`.
    pub(crate) fn set_record(&mut self, address: u32, alignment: u32, record: &[u8]) -> Answer {
        aligned(address, alignment)?;
        let count = u32::try_from(record.len()).expect("records of WASI are small");
        self.bytes_mut(address, count)?.copy_from_slice(record);
        Ok(())
    }

    /// An array of `count` records of `bytes` each, aligned to `alignment`.
    pub(crate) fn records(&self, address: u32, count: u32, bytes: u32, alignment: u32) -> Answer<&[u8]> {
        aligned(address, alignment)?;
        let total = count.checked_mul(bytes).ok_or_else(outside)?;
        self.bytes(address, total)
    }

    /// A path: UTF-8 without NUL and not longer than [`PATH_BYTES_MAX`].
    pub(crate) fn path(&self, address: u32, count: u32) -> Answer<&str> {
        let bytes = self.bytes(address, count)?;
        if count > PATH_BYTES_MAX {
            return Err(Errno::NameTooLong.into());
        }
        if bytes.contains(&0) {
            return Err(Errno::Inval.into());
        }
        std::str::from_utf8(bytes).map_err(|_| Errno::IlSeq.into())
    }

    /// Checks all `count` buffers described at `address`, so that later steps need not.
    pub(crate) fn buffers(&self, address: u32, count: u32) -> Answer<Buffers> {
        if count > BUFFERS_MAX {
            return Err(Errno::Inval.into());
        }
        self.records(address, count, IOVEC_BYTES, 4)?;
        let buffers = Buffers { address, count };
        let mut total = 0u32;
        for index in 0..count {
            let range = self.buffer(buffers, index)?;
            let bytes = u32::try_from(range.len()).expect("a buffer's length was a u32");
            total = total.checked_add(bytes).ok_or(Errno::Inval)?;
        }
        Ok(buffers)
    }

    fn buffer(&self, buffers: Buffers, index: u32) -> Answer<Range<usize>> {
        let at = buffers.address + index * IOVEC_BYTES;
        self.range(self.u32(at)?, self.u32(at + 4)?)
    }

    /// Hands the buffers to `read`, at most two at once, and returns its count.
    ///
    /// Two are enough for the libraries that use vectored reads (a caller's buffer and their
    /// own); fewer bytes than asked for are always a legal answer. Buffers that overlap are
    /// read one at a time, so no byte of memory is borrowed twice.
    pub(crate) fn read_into<R>(
        &mut self,
        buffers: Buffers,
        read: impl FnOnce(&mut [IoSliceMut<'_>]) -> Answer<R>,
    ) -> Answer<Option<R>> {
        let mut found: [Range<usize>; 2] = [0..0, 0..0];
        let mut used = 0;
        for index in 0..buffers.count {
            let range = self.buffer(buffers, index)?;
            if !range.is_empty() {
                found[used] = range;
                used += 1;
                if used == found.len() {
                    break;
                }
            }
        }
        if used == 0 {
            return Ok(None);
        }
        if used == 2
            && let Ok([first, second]) = self.memory.get_disjoint_mut(found.clone())
        {
            return read(&mut [IoSliceMut::new(first), IoSliceMut::new(second)]).map(Some);
        }
        let [first, _] = found;
        read(&mut [IoSliceMut::new(&mut self.memory[first])]).map(Some)
    }

    /// Hands the buffers to `write` in batches until all is written or one batch was not taken
    /// whole; returns the bytes written. `write` also gets the bytes written before.
    pub(crate) fn write_from(
        &self,
        buffers: Buffers,
        mut write: impl FnMut(&[IoSlice<'_>], u32) -> Answer<usize>,
    ) -> Answer<u32> {
        let mut written = 0u32;
        let mut index = 0;
        while index < buffers.count {
            let mut batch = [IoSlice::new(&[]); BATCH];
            let (mut used, mut wanted) = (0, 0);
            while index < buffers.count && used < BATCH {
                let range = self.buffer(buffers, index)?;
                wanted += range.len();
                if !range.is_empty() {
                    batch[used] = IoSlice::new(&self.memory[range]);
                    used += 1;
                }
                index += 1;
            }
            if used == 0 {
                break;
            }
            match write(&batch[..used], written) {
                Ok(taken) => {
                    written += u32::try_from(taken).expect("the sum of all lengths is a u32");
                    if taken < wanted {
                        break;
                    }
                }
                Err(Fault::Errno(_)) if written > 0 => break,
                Err(fault) => return Err(fault),
            }
        }
        Ok(written)
    }

    fn range(&self, address: u32, count: u32) -> Answer<Range<usize>> {
        let start = address as usize;
        match start.checked_add(count as usize) {
            Some(end) if end <= self.memory.len() => Ok(start..end),
            _ => Err(outside()),
        }
    }
}

/// An array of buffers in guest memory that [`Guest::buffers`] has checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Buffers {
    address: u32,
    count: u32,
}

fn outside() -> Fault {
    Fault::Stop(cellwall::Error::from(cellwall::Trap::MemoryOutOfBounds))
}

fn aligned(address: u32, alignment: u32) -> Answer {
    match address % alignment {
        0 => Ok(()),
        _ => Err(Fault::Stop(cellwall::Error::from(Misaligned {
            address,
            alignment,
        }))),
    }
}
