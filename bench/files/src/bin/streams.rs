//! Files as WASI 0.2 has them: through streams, and at a place.

use files::{timed, total, BLOCKS};
use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::{DescriptorFlags, OpenFlags, PathFlags};

fn main() {
    let (dir, _) = get_directories().pop().expect("/d is granted");
    let flags = DescriptorFlags::READ | DescriptorFlags::WRITE;
    let file = dir.open_at(PathFlags::empty(), "file", OpenFlags::CREATE | OpenFlags::TRUNCATE, flags).expect("it can be made");
    for block in BLOCKS {
        let buffer = vec![7; block];
        let total = total(block);
        timed("stream-write", block, || {
            let stream = file.write_via_stream(0).expect("it can be written");
            let ready = stream.subscribe();
            for _ in 0..total / block {
                let mut rest = &buffer[..];
                while !rest.is_empty() {
                    let permitted = stream.check_write().expect("it is open") as usize;
                    if permitted == 0 {
                        ready.block();
                        continue;
                    }
                    let (now, later) = rest.split_at(permitted.min(rest.len()));
                    stream.write(now).expect("it was permitted");
                    rest = later;
                }
            }
            stream.blocking_flush().expect("it is open");
        });
        if block <= 4 << 10 {
            timed("stream-write-and-flush", block, || {
                let stream = file.write_via_stream(0).expect("it can be written");
                for _ in 0..total / block {
                    stream.blocking_write_and_flush(&buffer).expect("it can be written");
                }
            });
        }
        timed("stream-read", block, || {
            let stream = file.read_via_stream(0).expect("it can be read");
            let mut left = total;
            while left > 0 {
                let part = stream.blocking_read(block.min(left) as u64).expect("it is as long as it was written");
                assert!(part.first() == Some(&7));
                left -= part.len();
            }
        });
        timed("place-write", block, || {
            let mut at = 0;
            while at < total {
                at += file.write(&buffer, at as u64).expect("it can be written") as usize;
            }
        });
        timed("place-read", block, || {
            let mut at = 0;
            while at < total {
                let (part, _) = file.read(block as u64, at as u64).expect("it can be read");
                at += part.len();
            }
        });
    }
}
