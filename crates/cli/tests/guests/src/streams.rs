//! `wasi:io`: streams of files, `poll`, errors.

use crate::files::{clear, contents, granted, make, open};
use crate::show::{bytes, told, Word};
use wasip2::filesystem::types::{Descriptor, DescriptorFlags as D, OpenFlags as O};
use wasip2::io::poll::poll;

pub fn run() {
    let dir = granted("/d");
    clear(&dir);
    reading(&dir);
    writing(&dir);
    appending(&dir);
    several(&dir);
    splicing(&dir);
    failing(&dir);
    errors_of_others();
    clear(&dir);
}

fn reading(dir: &Descriptor) {
    println!("[reading]");
    make(dir, "file", b"0123456789");
    let file = open(dir, "file", O::empty(), D::READ);
    let s = file.read_via_stream(3).expect("it can be read");
    println!("subscribed ready {}", s.subscribe().ready());
    println!("read 0 {}", bytes(s.read(0)));
    println!("blocking-read 0 {}", bytes(s.blocking_read(0)));
    println!("skip 0 {}", told(s.skip(0)));
    println!("blocking-read 2 {}", bytes(s.blocking_read(2)));
    println!("blocking-skip 2 {}", told(s.blocking_skip(2)));
    println!("blocking-read 100 {}", bytes(s.blocking_read(100)));
    println!("blocking-read at the end {}", bytes(s.blocking_read(100)));
    println!("read at the end {}", bytes(s.read(100)));
    println!("skip at the end {}", told(s.skip(100)));
    println!("blocking-skip at the end {}", told(s.blocking_skip(100)));
    println!("read 0 at the end {}", bytes(s.read(0)));
    println!("ready at the end {}", s.subscribe().ready());
    make(dir, "file", b"0123456789abc");
    println!("after it grew {}", bytes(s.blocking_read(100)));
    drop(s);
    for offset in [10, 13, 14, 1 << 40, (1 << 63) - 1, 1 << 63, u64::MAX] {
        match file.read_via_stream(offset) {
            Ok(s) => {
                println!("at {offset}: {} {}", bytes(s.blocking_read(10)), bytes(s.blocking_read(10)));
            }
            Err(code) => println!("at {offset}: {}", code.name()),
        }
    }
    let s = file.read_via_stream(0).expect("it can be read");
    drop(file);
    println!("after the descriptor {}", bytes(s.blocking_read(4)));
    make(dir, "file", &vec![b'z'; 200_000]);
    let file = open(dir, "file", O::empty(), D::READ);
    let s = file.read_via_stream(0).expect("it can be read");
    let mut sum = 0;
    while let Ok(part) = s.blocking_read(u64::MAX) {
        sum += part.len();
    }
    println!("all {sum}");
    let s = file.read_via_stream(0).expect("it can be read");
    let mut sum = 0;
    while let Ok(part) = s.blocking_skip(1 << 40) {
        sum += part;
    }
    println!("all skipped {sum}");
}

fn writing(dir: &Descriptor) {
    println!("[writing]");
    make(dir, "file", b"0123456789");
    let file = open(dir, "file", O::empty(), D::READ | D::WRITE);
    let s = file.write_via_stream(4).expect("it can be written");
    println!("subscribed ready {}", s.subscribe().ready());
    println!("check-write at least a page {}", s.check_write().is_ok_and(|n| n >= 4096));
    println!("write {} {}", told(s.write(b"ab")), told(s.blocking_flush()));
    println!("{}", contents(dir, "file"));
    println!("blocking-write-and-flush {}", told(s.blocking_write_and_flush(b"cdefgh")));
    println!("{}", contents(dir, "file"));
    println!("write nothing {}", told(s.blocking_write_and_flush(b"")));
    println!("check and zeroes {} {}", s.check_write().is_ok(), told(s.write_zeroes(3)));
    println!("flush {} {}", told(s.flush()), told(s.blocking_flush()));
    println!("{}", contents(dir, "file"));
    println!("zeroes and flush {}", told(s.blocking_write_zeroes_and_flush(2)));
    println!("{}", contents(dir, "file"));
    println!("a page {}", told(s.blocking_write_and_flush(&[b'p'; 4096])));
    println!("a page of zeroes {}", told(s.blocking_write_zeroes_and_flush(4096)));
    println!("{}", file.stat().expect("it is there").size);
    drop(file);
    println!("after the descriptor {}", told(s.blocking_write_and_flush(b"end")));
    drop(s);
    let file = open(dir, "file", O::empty(), D::READ | D::WRITE);
    println!("{}", file.stat().expect("it is there").size);
    let s = file.write_via_stream(100_000).expect("it can be written");
    println!("behind the end {}", told(s.blocking_write_and_flush(b"end")));
    println!("{}", file.stat().expect("it is there").size);
    for offset in [(1 << 63) - 1, 1 << 63, u64::MAX] {
        match file.write_via_stream(offset) {
            Ok(s) => println!("at {offset}: {} then {}", told(s.blocking_write_and_flush(b"x")), told(s.blocking_write_and_flush(b"x"))),
            Err(code) => println!("at {offset}: {}", code.name()),
        }
    }
}

fn appending(dir: &Descriptor) {
    println!("[appending]");
    make(dir, "file", b"01");
    let file = open(dir, "file", O::empty(), D::READ | D::WRITE);
    let one = file.append_via_stream().expect("it can be written");
    let two = file.append_via_stream().expect("it can be written");
    println!("{} {}", told(one.blocking_write_and_flush(b"a")), told(two.blocking_write_and_flush(b"b")));
    println!("{} {}", told(one.blocking_write_and_flush(b"c")), told(two.blocking_write_zeroes_and_flush(1)));
    println!("{}", contents(dir, "file"));
    file.set_size(1).expect("it can be cut");
    println!("{}", told(one.blocking_write_and_flush(b"d")));
    println!("{}", contents(dir, "file"));
}

fn several(dir: &Descriptor) {
    println!("[several]");
    make(dir, "file", b"0123456789");
    let file = open(dir, "file", O::empty(), D::READ | D::WRITE);
    let read = file.read_via_stream(0).expect("it can be read");
    let again = file.read_via_stream(5).expect("it can be read");
    let write = file.write_via_stream(0).expect("it can be written");
    println!("{} {}", bytes(read.blocking_read(2)), bytes(again.blocking_read(2)));
    println!("{}", told(write.blocking_write_and_flush(b"abcdef")));
    println!("{} {}", bytes(read.blocking_read(3)), bytes(again.blocking_read(3)));
    let (a, b, c) = (read.subscribe(), again.subscribe(), write.subscribe());
    println!("poll {:?}", poll(&[&a, &b, &c, &a]));
    a.block();
    println!("{}", c.ready());
}

fn splicing(dir: &Descriptor) {
    println!("[splicing]");
    make(dir, "from", b"0123456789");
    make(dir, "to", b"");
    let from = open(dir, "from", O::empty(), D::READ);
    let to = open(dir, "to", O::empty(), D::WRITE);
    let r = from.read_via_stream(0).expect("it can be read");
    let w = to.write_via_stream(0).expect("it can be written");
    println!("0 {}", told(w.splice(&r, 0)));
    println!("blocking 0 {}", told(w.blocking_splice(&r, 0)));
    println!("3 {}", told(w.blocking_splice(&r, 3)));
    println!("check {} splice {}", w.check_write().is_ok(), told(w.splice(&r, 2)));
    println!("flush {}", told(w.blocking_flush()));
    println!("all {}", told(w.blocking_splice(&r, 1000)));
    println!("end {}", told(w.blocking_splice(&r, 1000)));
    println!("end {}", told(w.splice(&r, 1000)));
    println!("{}", contents(dir, "to"));
}

fn failing(dir: &Descriptor) {
    println!("[failing]");
    let file = open(dir, "to", O::empty(), D::READ | D::WRITE);
    let w = file.write_via_stream((1 << 63) - 1).expect("it can be asked for");
    let first = w.blocking_write_and_flush(b"xyz");
    println!("{}", told(first));
    println!("check {}", told(w.check_write()));
    println!("write {}", told(w.blocking_write_and_flush(b"x")));
    println!("flush {} {}", told(w.flush()), told(w.blocking_flush()));
    println!("zeroes {}", told(w.blocking_write_zeroes_and_flush(1)));
    println!("ready {}", w.subscribe().ready());
    let r = file.read_via_stream(0).expect("it can be read");
    println!("splice {}", told(w.splice(&r, 1)));
    println!("blocking-splice {}", told(w.blocking_splice(&r, 1)));
}

/// An error that is not one of files.
fn errors_of_others() {
    println!("[stdout]");
    let out = wasip2::cli::stdout::get_stdout();
    println!("check-write {}", out.check_write().is_ok_and(|n| n > 0));
    println!("write {}", out.blocking_write_and_flush(b"written\n").word());
    println!("zeroes {}", out.blocking_write_zeroes_and_flush(0).word());
    println!("flush {} {}", out.flush().word(), out.blocking_flush().word());
    println!("twice {}", wasip2::cli::stdout::get_stdout().blocking_write_and_flush(b"again\n").word());
}
