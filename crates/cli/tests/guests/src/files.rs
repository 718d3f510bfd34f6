//! `wasi:filesystem`, one descriptor at a time: what each method answers on each kind of descriptor.

use crate::show::{full, kind, Word};
use wasip2::clocks::wall_clock::Datetime;
use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::{
    Advice, Descriptor, DescriptorFlags as D, NewTimestamp, OpenFlags as O, PathFlags as P,
};

/// The granted directory of this name.
pub fn granted(name: &str) -> Descriptor {
    let mut all = get_directories();
    let at = all.iter().position(|(_, n)| n == name).expect("it is granted");
    all.swap_remove(at).0
}

/// Removes all that is in a directory.
pub fn clear(dir: &Descriptor) {
    let listing = dir.read_directory().expect("it can be listed");
    while let Some(entry) = listing.read_directory_entry().expect("it can be read") {
        if kind(entry.type_) == "directory" {
            let inner = open(dir, &entry.name, O::DIRECTORY, D::READ | D::MUTATE_DIRECTORY);
            clear(&inner);
            drop(inner);
            dir.remove_directory_at(&entry.name).expect("it is empty");
        } else {
            dir.unlink_file_at(&entry.name).expect("it can go");
        }
    }
}

pub fn open(dir: &Descriptor, path: &str, open: O, flags: D) -> Descriptor {
    dir.open_at(P::empty(), path, open, flags).expect("it can be opened")
}

/// A file with these contents.
pub fn make(dir: &Descriptor, path: &str, contents: &[u8]) {
    let file = open(dir, path, O::CREATE | O::TRUNCATE, D::READ | D::WRITE);
    let mut at = 0;
    while at < contents.len() {
        at += file.write(&contents[at..], at as u64).expect("it can be written") as usize;
    }
}

pub fn contents(dir: &Descriptor, path: &str) -> String {
    let file = match dir.open_at(P::empty(), path, O::empty(), D::READ) {
        Ok(file) => file,
        Err(code) => return code.name().to_owned(),
    };
    match file.read(1000, 0) {
        Ok((bytes, _)) => format!("{:?}", String::from_utf8_lossy(&bytes)),
        Err(code) => code.name().to_owned(),
    }
}

pub fn names(dir: &Descriptor) -> String {
    let listing = match dir.read_directory() {
        Ok(listing) => listing,
        Err(code) => return code.name().to_owned(),
    };
    let mut names = Vec::new();
    while let Ok(Some(entry)) = listing.read_directory_entry() {
        names.push(format!("{}:{}", entry.name, kind(entry.type_)));
    }
    names.sort();
    names.join(" ")
}

pub fn run() {
    let dir = granted("/d");
    clear(&dir);
    make(&dir, "file", b"0123456789");
    dir.create_directory_at("dir").expect("it can be made");
    make(&dir, "dir/inner", b"inner");
    dir.symlink_at("file", "link").expect("it can be made");

    let ro = granted("/ro");
    let handles = [
        ("file r", open(&dir, "file", O::empty(), D::READ)),
        ("file w", open(&dir, "file", O::empty(), D::WRITE)),
        ("file rw", open(&dir, "file", O::empty(), D::READ | D::WRITE)),
        ("file -", open(&dir, "file", O::empty(), D::empty())),
        ("dir r", open(&dir, "dir", O::DIRECTORY, D::READ)),
        ("dir rm", open(&dir, "dir", O::DIRECTORY, D::READ | D::MUTATE_DIRECTORY)),
        ("dir m", open(&dir, "dir", O::DIRECTORY, D::MUTATE_DIRECTORY)),
        ("grant", granted("/d")),
        ("ro grant", granted("/ro")),
        ("ro file", open(&ro, "file", O::empty(), D::READ)),
        ("ro dir", open(&ro, "dir", O::DIRECTORY, D::READ)),
    ];
    for (name, handle) in &handles {
        methods(name, handle, &dir);
    }
    sameness(&handles);
    sizes(&dir);
    positions(&dir);
    stamps(&dir);
    listings(&dir);
    sync_flags(&dir);
    clear(&dir);
}

fn methods(name: &str, h: &Descriptor, dir: &Descriptor) {
    make(dir, "file", b"0123456789");
    let now = NewTimestamp::Now;
    println!("[{name}]");
    println!("type {}", h.get_type().map(kind).unwrap_or_else(|code| code.name()));
    println!("flags {}", full(h.get_flags()));
    println!("stat {}", h.stat().map_or_else(|c| c.name().into(), |s| format!("{} {}", kind(s.type_), s.data_access_timestamp.is_some())));
    println!("read {}", full(h.read(4, 2)));
    println!("read nothing {}", full(h.read(0, 2)));
    println!("read behind {}", full(h.read(4, 100)));
    println!("read far {}", full(h.read(4, u64::MAX)));
    println!("write {}", full(h.write(b"ab", 1)));
    println!("write nothing {}", full(h.write(b"", 1)));
    println!("write far {}", full(h.write(b"ab", u64::MAX - 1)));
    println!("read-via-stream {}", h.read_via_stream(0).word());
    println!("write-via-stream {}", h.write_via_stream(0).word());
    println!("append-via-stream {}", h.append_via_stream().word());
    println!("set-size {}", h.set_size(5).word());
    println!("set-times {}", h.set_times(now, now).word());
    println!("set-times nothing {}", h.set_times(NewTimestamp::NoChange, NewTimestamp::NoChange).word());
    println!("sync {}", h.sync().word());
    println!("sync-data {}", h.sync_data().word());
    println!("advise {}", h.advise(0, 10, Advice::WillNeed).word());
    println!("read-directory {}", h.read_directory().word());
    println!("create-directory-at {}", h.create_directory_at("new").word());
    println!("stat-at {}", h.stat_at(P::empty(), "new").word());
    println!("set-times-at {}", h.set_times_at(P::empty(), "new", now, now).word());
    println!("rename-at {}", h.rename_at("new", h, "newer").word());
    println!("remove-directory-at {}", h.remove_directory_at("newer").word());
    println!("open-at {}", h.open_at(P::empty(), "f", O::CREATE, D::WRITE).word());
    println!("open-at r {}", h.open_at(P::empty(), "f", O::empty(), D::READ).word());
    println!("link-at {}", h.link_at(P::empty(), "f", h, "g").word());
    println!("symlink-at {}", h.symlink_at("f", "s").word());
    println!("readlink-at {}", full(h.readlink_at("s")));
    println!("metadata-hash {}", h.metadata_hash().word());
    println!("metadata-hash-at {}", h.metadata_hash_at(P::empty(), "f").word());
    for path in ["f", "g", "s"] {
        println!("unlink-file-at {path} {}", h.unlink_file_at(path).word());
    }
}

fn sameness(handles: &[(&str, Descriptor)]) {
    println!("[is-same-object]");
    for (name, one) in handles {
        let row: Vec<String> = handles.iter().map(|(_, two)| u8::from(one.is_same_object(two)).to_string()).collect();
        println!("{name}: {}", row.join(""));
        let hashes: Vec<_> = handles.iter().map(|(_, two)| two.metadata_hash().ok().map(|h| (h.lower, h.upper))).collect();
        let own = one.metadata_hash().ok().map(|h| (h.lower, h.upper));
        let row: Vec<String> = hashes.iter().map(|h| u8::from(*h == own).to_string()).collect();
        println!("{name} hash: {}", row.join(""));
    }
}

fn sizes(dir: &Descriptor) {
    println!("[sizes]");
    make(dir, "file", b"0123456789");
    let file = open(dir, "file", O::empty(), D::READ | D::WRITE);
    for size in [4, 8, 0, u64::MAX, 1 << 63, 3] {
        let done = file.set_size(size).word();
        println!("{size}: {done} {}", full(file.stat().map(|s| s.size)));
    }
    println!("{}", full(file.read(10, 0)));
    for (offset, length) in [(0, 0), (5, 5), (u64::MAX, 0), (0, u64::MAX), (1 << 62, 1 << 62)] {
        let all = [Advice::Normal, Advice::Sequential, Advice::Random, Advice::WillNeed, Advice::DontNeed, Advice::NoReuse];
        let words: Vec<String> = all.iter().map(|advice| file.advise(offset, length, *advice).word()).collect();
        println!("advise {offset} {length} {}", words.join(" "));
    }
}

fn positions(dir: &Descriptor) {
    println!("[positions]");
    make(dir, "file", b"0123456789");
    let file = open(dir, "file", O::empty(), D::READ | D::WRITE);
    println!("{}", full(file.write(b"xy", 14)));
    println!("{}", full(file.read(100, 8)));
    println!("{}", full(file.read(6, 10)));
    println!("{}", full(file.read(2, 14)));
    println!("{}", full(file.read(3, 14)));
    println!("{}", full(file.read(1, 16)));
    println!("{}", full(file.read(u64::MAX, 12)));
}

fn stamps(dir: &Descriptor) {
    println!("[times]");
    make(dir, "file", b"0123456789");
    dir.symlink_at("file", "s").expect("it can be made");
    let file = open(dir, "file", O::empty(), D::READ | D::WRITE);
    let at = |seconds, nanoseconds| NewTimestamp::Timestamp(Datetime { seconds, nanoseconds });
    let show = |what: &str, done: String| {
        let s = file.stat().expect("it is there");
        let time = |t: Option<Datetime>| t.map(|t| if t.seconds > 1_600_000_000 { "now".into() } else { format!("{}.{:09}", t.seconds, t.nanoseconds) });
        println!("{what}: {done} {:?} {:?}", time(s.data_access_timestamp), time(s.data_modification_timestamp));
    };
    show("both", file.set_times(at(100, 5), at(200, 7)).word());
    show("keep access", file.set_times(NewTimestamp::NoChange, at(300, 999_999_999)).word());
    show("keep both", file.set_times(NewTimestamp::NoChange, NewTimestamp::NoChange).word());
    show("too many nanoseconds", file.set_times(at(1, 1_000_000_000), NewTimestamp::NoChange).word());
    show("zero", file.set_times(at(0, 0), at(0, 0)).word());
    show("access now", file.set_times(NewTimestamp::Now, NewTimestamp::NoChange).word());
    show("at", dir.set_times_at(P::empty(), "file", at(11, 0), at(12, 0)).word());
    show("link", dir.set_times_at(P::empty(), "s", at(21, 0), at(22, 0)).word());
    let link = dir.stat_at(P::empty(), "s").expect("it is there");
    println!("the link: {:?} {}", link.data_modification_timestamp.map(|t| t.seconds), kind(link.type_));
    show("through the link", dir.set_times_at(P::SYMLINK_FOLLOW, "s", at(31, 0), at(32, 0)).word());
    let s = dir.stat_at(P::SYMLINK_FOLLOW, "s").expect("it is there");
    println!("{} {} {}", kind(s.type_), s.size, s.link_count);
    dir.link_at(P::empty(), "file", dir, "other").expect("it can be made");
    println!("links {}", full(file.stat().map(|s| s.link_count)));
    dir.unlink_file_at("file").expect("it is there");
    println!("links {}", full(file.stat().map(|s| s.link_count)));
    println!("still read {}", full(file.read(3, 0)));
    dir.unlink_file_at("other").expect("it is there");
    println!("links {}", full(file.stat().map(|s| s.link_count)));
    println!("still read {}", full(file.read(3, 0)));
}

fn listings(dir: &Descriptor) {
    println!("[listings]");
    clear(dir);
    println!("empty: {:?}", names(dir));
    dir.create_directory_at("big").expect("it can be made");
    let big = open(dir, "big", O::DIRECTORY, D::READ | D::MUTATE_DIRECTORY);
    for i in 0..1000 {
        make(&big, &format!("{:0>100}", i), b"");
    }
    let listing = big.read_directory().expect("it can be listed");
    let mut found = Vec::new();
    while let Some(entry) = listing.read_directory_entry().expect("it can be read") {
        found.push(entry.name);
    }
    println!("at the end: {}", full(listing.read_directory_entry().map(|e| e.is_some())));
    found.sort();
    println!("{} {}", found.len(), found.windows(2).all(|w| w[0] < w[1]));
    println!("remove full: {}", dir.remove_directory_at("big").word());
    clear(&big);
    let kept = big.read_directory().expect("it can be listed");
    println!("remove open: {}", dir.remove_directory_at("big").word());
    println!("listing of what is gone: {}", full(kept.read_directory_entry().map(|e| e.is_some())));
    println!("create in what is gone: {}", big.create_directory_at("x").word());
    println!("list again: {}", big.read_directory().word());
    make(dir, "é中", b"");
    make(dir, " ", b"");
    make(dir, "a\nb", b"");
    make(dir, "...", b"");
    println!("{:?}", names(dir));
    for length in [255, 256, 4095, 4096, 70_000] {
        println!("name of {length}: {}", dir.open_at(P::empty(), &"n".repeat(length), O::CREATE, D::WRITE).word());
    }
    for count in [100, 2047, 2048, 5000] {
        println!("path of {count} steps: {}", dir.stat_at(P::empty(), &"./".repeat(count)).word());
    }
}

/// Which flags a descriptor says that it has, for each set of them it was opened with, as numbers.
fn sync_flags(dir: &Descriptor) {
    println!("[flags]");
    dir.create_directory_at("fd").expect("it can be made");
    for path in ["...", "fd"] {
        for row in 0..8u8 {
            let words: Vec<String> = (row * 8..row * 8 + 8)
                .map(|bits| match dir.open_at(P::empty(), path, O::empty(), D::from_bits_truncate(bits)) {
                    Ok(file) => format!("{bits}={}", file.get_flags().map_or(255, |flags| flags.bits())),
                    Err(code) => format!("{bits}={}", code.name()),
                })
                .collect();
            println!("{path}: {}", words.join(" "));
        }
    }
}
