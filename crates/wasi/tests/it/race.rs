//! The race: a thread of the host swaps a directory for a link to the outside, again and again,
//! while the guest goes through that name. Nothing outside may be read, made or changed.
//!
//! `CELLWALL_RACE_SECONDS` sets how long; the default is two seconds.

use crate::harness::{
    BUF, FOLLOW, O_CREAT, O_DIRECTORY, OUT, RIGHT_READ, RIGHT_WRITE, RW, TempDir, World, errno,
};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What was seen in one run.
#[derive(Debug, Default)]
struct Seen {
    /// Exchanges of the directory and the link.
    swaps: u64,
    /// Calls of the guest that went to the directory.
    inside: u64,
    /// Calls of the guest that met the link and were refused.
    refused: u64,
    /// Calls of the guest that reached the outside.
    escapes: u64,
    /// Opens by the host itself, without protection, that reached the outside.
    unprotected: u64,
}

#[test]
fn a_directory_swapped_for_a_link_is_never_left() {
    let seconds = match std::env::var("CELLWALL_RACE_SECONDS") {
        Ok(text) => text
            .parse()
            .expect("CELLWALL_RACE_SECONDS is a number of seconds"),
        Err(_) => 2,
    };
    let seen = race(Duration::from_secs(seconds));
    println!("{seen:?}");
    assert_eq!(seen.escapes, 0, "{seen:?}");
    // The race was a race: both states were met, and it would have caught the unprotected.
    assert!(
        seen.swaps > 100 && seen.inside > 100 && seen.refused > 100,
        "{seen:?}"
    );
    assert!(seen.unprotected > 10, "{seen:?}");
}

fn race(length: Duration) -> Seen {
    let (mut w, outside) = (World::new(), TempDir::new());
    let inside = w.host.path().to_owned();
    for root in [inside.join("dir"), outside.path().to_owned()] {
        std::fs::create_dir(root.join("sub")).expect("it is ours");
    }
    std::fs::write(outside.path().join("inner"), "OUTSIDE").expect("it is ours");
    std::os::unix::fs::symlink(outside.path(), inside.join("swap")).expect("it is ours");
    let before = listing(outside.path());

    let (stop, swaps) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut seen = Seen::default();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (a, b) = (inside.join("dir"), inside.join("swap"));
            while !stop.load(Ordering::Relaxed) {
                renameat_with(CWD, &a, CWD, &b, RenameFlags::EXCHANGE).expect("both are ours");
                swaps.fetch_add(1, Ordering::Relaxed);
                // Let each state live for a while of random length, often none.
                for _ in 0..swaps.load(Ordering::Relaxed) % 64 {
                    std::hint::spin_loop();
                }
            }
        });
        let deadline = Instant::now() + length;
        while Instant::now() < deadline {
            round(&mut w, &mut seen);
            let naive = std::fs::read_to_string(inside.join("dir/inner"));
            seen.unprotected += u64::from(naive.is_ok_and(|text| text == "OUTSIDE"));
        }
        stop.store(true, Ordering::Relaxed);
    });
    seen.swaps = swaps.into_inner();
    // What the guest made or changed outside, if anything.
    seen.escapes += u64::from(before != listing(outside.path()));
    seen
}

/// Goes through the name with every kind of function.
fn round(w: &mut World, seen: &mut Seen) {
    for path in ["dir/inner", "dir/sub/../inner", "./dir/./inner"] {
        if let Some(fd) = judge(w.guest.open(RW, path, 0, RIGHT_READ | RIGHT_WRITE), seen) {
            let text = w.guest.read(fd, 7).expect("it is open");
            seen.escapes += u64::from(text != b"inner");
            w.guest.ok("fd_close", &[fd]);
        }
    }
    for path in ["dir", "dir/", "dir/.", "dir/sub/.."] {
        if let Some(fd) = judge(w.guest.open(RW, path, O_DIRECTORY, 0), seen) {
            let found = w.guest.open(fd, "inner", 0, RIGHT_READ);
            if let Ok(inner) = found {
                let text = w.guest.read(inner, 7).expect("it is open");
                seen.escapes += u64::from(text != b"inner");
                w.guest.ok("fd_close", &[inner]);
            }
            w.guest.ok("fd_close", &[fd]);
        }
    }
    for lookup in [0, FOLLOW] {
        let stat = w
            .guest
            .path("path_filestat_get", &[RW, lookup], "dir/inner", &[BUF]);
        if judge(answer(stat), seen).is_some() {
            seen.escapes += u64::from(w.guest.u64(BUF + 32) != 5);
        }
        let times = w
            .guest
            .path("path_filestat_set_times", &[RW, lookup], "dir/inner", &[0, 1, 4]);
        judge(answer(times), seen);
    }
    if let Some(fd) = judge(w.guest.open(RW, "dir/made", O_CREAT, RIGHT_WRITE), seen) {
        w.guest.ok("fd_close", &[fd]);
    }
    let [old, old_len] = w.guest.pass("inner");
    let link = w.guest.path("path_symlink", &[old, old_len, RW], "dir/link", &[]);
    judge(answer(link), seen);
    let made = w.guest.path("path_create_directory", &[RW], "dir/made_dir", &[]);
    judge(answer(made), seen);
    judge(
        answer(w.guest.two_paths("path_link", (RW, "file"), (RW, "dir/hard"))),
        seen,
    );
    judge(
        answer(
            w.guest
                .two_paths("path_rename", (RW, "dir/hard"), (RW, "dir/moved")),
        ),
        seen,
    );
    judge(
        answer(w.guest.path("path_readlink", &[RW], "dir/link", &[BUF, 99, OUT])),
        seen,
    );
    for name in ["dir/made", "dir/link", "dir/hard", "dir/moved"] {
        judge(answer(w.guest.path("path_unlink_file", &[RW], name, &[])), seen);
    }
    judge(
        answer(w.guest.path("path_remove_directory", &[RW], "dir/made_dir/", &[])),
        seen,
    );
}

fn answer(errno: u32) -> Result<i64, u32> {
    if errno == 0 { Ok(0) } else { Err(errno) }
}

/// Counts an answer. An escape that succeeds is found later, by what it did.
fn judge(answer: Result<i64, u32>, seen: &mut Seen) -> Option<i64> {
    match answer {
        Ok(value) => {
            seen.inside += 1;
            Some(value)
        }
        Err(errno::PERM | errno::LOOP | errno::NOTDIR) => {
            seen.refused += 1;
            None
        }
        // What an earlier step of the round made or did not make.
        Err(errno::NOENT | errno::EXIST) => None,
        Err(errno::AGAIN) => None,
        Err(other) => panic!("unexpected error number {other}"),
    }
}

/// Everything below a folder, with contents, links and times of change.
fn listing(folder: &Path) -> Vec<String> {
    use std::os::unix::fs::MetadataExt;
    let mut lines = Vec::new();
    for entry in std::fs::read_dir(folder).expect("it is ours") {
        let path = entry.expect("it can be listed").path();
        let metadata = path.symlink_metadata().expect("nobody removes it");
        let text = std::fs::read(&path).unwrap_or_default();
        lines.push(format!(
            "{path:?} {} {} {} {text:?}",
            metadata.ctime(),
            metadata.ctime_nsec(),
            metadata.nlink()
        ));
        if metadata.is_dir() {
            lines.extend(listing(&path));
        }
    }
    lines.sort();
    lines
}
