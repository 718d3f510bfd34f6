//! What both guests share: a file of some size is written and read in blocks, and a line says how long that took.

use std::time::Instant;

/// Bytes of the file.
pub const FILE_BYTES: usize = 32 << 20;

/// Bytes of one block.
pub const BLOCKS: [usize; 4] = [512, 4 << 10, 64 << 10, LARGEST];

/// Bytes of the largest block.
pub const LARGEST: usize = 1 << 20;

/// Prints `NAME BLOCK BLOCKS NANOSECONDS`.
pub fn timed(name: &str, block: usize, work: impl FnOnce()) {
    let begin = Instant::now();
    work();
    println!("{name} {block} {} {}", total(block) / block, begin.elapsed().as_nanos());
}

/// How many bytes of small blocks are moved: less, or a row would take seconds.
pub fn total(block: usize) -> usize {
    if block < 4 << 10 { FILE_BYTES / 8 } else { FILE_BYTES }
}
