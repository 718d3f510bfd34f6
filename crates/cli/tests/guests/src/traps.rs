//! What must stop the guest: rules of the interfaces that it breaks.

use crate::files::{clear, granted, make, open};
use wasip2::filesystem::types::{DescriptorFlags as D, OpenFlags as O};
use wasip2::io::poll::poll;

pub fn run(rest: &[&str]) {
    let dir = granted("/d");
    clear(&dir);
    make(&dir, "file", b"0123456789");
    let file = open(&dir, "file", O::empty(), D::READ | D::WRITE);
    let write = file.write_via_stream(0).expect("it can be written");
    let read = file.read_via_stream(0).expect("it can be read");
    println!("before");
    match rest {
        ["poll-nothing"] => drop(poll(&[])),
        ["write-big"] => {
            let permitted = write.check_write().expect("it is open");
            let _ = write.write(&vec![0; permitted as usize + 1]);
        }
        ["zeroes-big"] => {
            let permitted = write.check_write().expect("it is open");
            let _ = write.write_zeroes(permitted + 1);
        }
        ["write-unchecked"] => {
            let _ = write.write(&[0; 1]);
            println!("allowed");
        }
        ["flush-big"] => drop(write.blocking_write_and_flush(&[0; 4097])),
        ["flush-zeroes-big"] => drop(write.blocking_write_zeroes_and_flush(4097)),
        ["stream-before-pollable"] => {
            let pollable = read.subscribe();
            drop(read);
            pollable.block();
        }
        ["socket-before-streams"] => crate::tcp::socket_before_streams(),
        ["read-huge"] => {
            println!("{}", read.blocking_read(u64::MAX).expect("it can be read").len());
        }
        ["random-huge"] => drop(wasip2::random::random::get_random_bytes(1 << 40)),
        ["descriptor-before-stream"] => {
            drop(file);
            drop(read);
            println!("allowed");
        }
        _ => panic!("no such trap: {rest:?}"),
    }
    println!("after");
}
