//! Files as a library knows them: WASI 0.1, as a module or behind the adapter of components.

use files::{timed, total, BLOCKS, LARGEST};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::Mutex;

/// Not on the heap: there, the adapter's own memory is in the way of a libc that grows it by a block of this size.
static BUFFER: Mutex<[u8; LARGEST]> = Mutex::new([0; LARGEST]);

fn main() {
    let mut buffer = BUFFER.lock().expect("nobody else has it");
    buffer.fill(7);
    let mut file = File::options().read(true).write(true).create(true).truncate(true).open("/d/file").expect("/d is granted");
    for block in BLOCKS {
        let buffer = &mut buffer[..block];
        let total = total(block);
        file.seek(SeekFrom::Start(0)).expect("it has places");
        timed("write", block, || {
            for _ in 0..total / block {
                file.write_all(buffer).expect("it can be written");
            }
        });
        file.seek(SeekFrom::Start(0)).expect("it has places");
        timed("read", block, || {
            for _ in 0..total / block {
                file.read_exact(buffer).expect("it is as long as it was written");
            }
        });
        assert!(buffer.iter().all(|byte| *byte == 7));
    }
}
