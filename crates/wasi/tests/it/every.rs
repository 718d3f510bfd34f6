//! For every function of WASI 0.1 one call that succeeds and does what it says, and one that is
//! refused.

use crate::harness::{
    BUF, FOLLOW, O_CREAT, O_TRUNC, OUT, RIGHT_READ, RIGHT_WRITE, RO, RW, SIGNATURES, World, errno,
};
use cellwall_wasi::{FUNCTIONS, I32Exit};

type Case = (&'static str, fn(&mut World), fn(&mut World));

/// A descriptor that is not open.
const CLOSED: i64 = 99;

#[test]
fn each_function_succeeds_and_refuses() {
    let names: Vec<&str> = CASES.iter().map(|(name, _, _)| *name).collect();
    assert_eq!(names, FUNCTIONS, "one row per function");
    for (name, succeeds, refuses) in CASES {
        println!("{name}");
        succeeds(&mut World::new());
        refuses(&mut World::new());
    }
}

#[test]
fn the_table_is_that_of_the_definition() {
    let names: Vec<&str> = SIGNATURES.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, FUNCTIONS);
    assert_eq!(names.len(), 46);
}

fn file(w: &mut World) -> i64 {
    w.guest
        .open(RW, "file", 0, RIGHT_READ | RIGHT_WRITE)
        .expect("it is there")
}

fn filestat_size(w: &World) -> u64 {
    w.guest.u64(BUF + 32)
}

const CASES: &[Case] = &[
    (
        "args_get",
        |w| {
            w.guest.ok("args_get", &[OUT, BUF]);
            assert_eq!(w.guest.get(BUF, 7), b"prog\0x\0");
            assert_eq!(
                [w.guest.u32(OUT), w.guest.u32(OUT + 4)],
                [BUF as u32, BUF as u32 + 5]
            );
        },
        |w| {
            assert!(
                w.guest.call("args_get", &[OUT, -1]).is_err(),
                "a pointer outside traps"
            )
        },
    ),
    (
        "args_sizes_get",
        |w| {
            w.guest.ok("args_sizes_get", &[OUT, OUT + 4]);
            assert_eq!([w.guest.u32(OUT), w.guest.u32(OUT + 4)], [2, 7]);
        },
        |w| {
            assert!(
                w.guest.call("args_sizes_get", &[OUT + 1, OUT]).is_err(),
                "misaligned"
            )
        },
    ),
    (
        "environ_get",
        |w| {
            w.guest.ok("environ_get", &[OUT, BUF]);
            assert_eq!(w.guest.get(BUF, 4), b"A=b\0");
            assert_eq!(w.guest.u32(OUT), BUF as u32);
        },
        |w| {
            assert!(
                w.guest.call("environ_get", &[-4, BUF]).is_err(),
                "a pointer outside traps"
            )
        },
    ),
    (
        "environ_sizes_get",
        |w| {
            w.guest.ok("environ_sizes_get", &[OUT, OUT + 4]);
            assert_eq!([w.guest.u32(OUT), w.guest.u32(OUT + 4)], [1, 4]);
        },
        |w| assert!(w.guest.call("environ_sizes_get", &[OUT, -4]).is_err(), "outside"),
    ),
    (
        "clock_res_get",
        |w| {
            for clock in [0, 1, 2, 3] {
                w.guest.ok("clock_res_get", &[clock, OUT]);
                assert!((1..1_000_000_000).contains(&w.guest.u64(OUT)));
            }
        },
        |w| w.guest.no("clock_res_get", &[4, OUT], errno::INVAL),
    ),
    (
        "clock_time_get",
        |w| {
            w.guest.ok("clock_time_get", &[0, 0, OUT]);
            assert!(w.guest.u64(OUT) > 1_700_000_000_000_000_000, "later than 2023");
            w.guest.ok("clock_time_get", &[1, 0, OUT]);
            let first = w.guest.u64(OUT);
            w.guest.ok("clock_time_get", &[1, 0, OUT]);
            assert!(
                (first..first + 60_000_000_000).contains(&w.guest.u64(OUT)),
                "it goes forward"
            );
        },
        |w| w.guest.no("clock_time_get", &[77, 0, OUT], errno::INVAL),
    ),
    (
        "fd_advise",
        |w| {
            let fd = file(w);
            for advice in 0..=5 {
                w.guest.ok("fd_advise", &[fd, 0, 5, advice]);
            }
        },
        |w| {
            let fd = file(w);
            w.guest.no("fd_advise", &[fd, 0, 5, 6], errno::INVAL);
            w.guest.no("fd_advise", &[0, 0, 5, 0], errno::SPIPE);
        },
    ),
    (
        "fd_allocate",
        |w| {
            let fd = file(w);
            w.guest.ok("fd_allocate", &[fd, 0, 100]);
            assert_eq!(w.host_text("file").len(), 100);
        },
        |w| {
            let fd = w.guest.open(RO, "file", 0, RIGHT_READ).expect("it may be read");
            w.guest.no("fd_allocate", &[fd, 0, 100], errno::PERM);
            let fd = file(w);
            w.guest.no("fd_allocate", &[fd, i64::MAX, i64::MAX], errno::INVAL);
        },
    ),
    (
        "fd_close",
        |w| {
            let fd = file(w);
            w.guest.ok("fd_close", &[fd]);
            w.guest.no("fd_close", &[fd], errno::BADF);
        },
        |w| w.guest.no("fd_close", &[CLOSED], errno::BADF),
    ),
    (
        "fd_datasync",
        |w| {
            let fd = file(w);
            w.guest.ok("fd_datasync", &[fd]);
            w.guest.ok("fd_datasync", &[RW]);
        },
        |w| w.guest.no("fd_datasync", &[1], errno::INVAL),
    ),
    (
        "fd_fdstat_get",
        |w| {
            let fd = file(w);
            w.guest.ok("fd_fdstat_get", &[fd, BUF]);
            assert_eq!(w.guest.get(BUF, 4), [4, 0, 0, 0], "a regular file without flags");
            let rights = w.guest.u64(BUF + 8) as i64;
            assert_eq!(rights & (RIGHT_READ | RIGHT_WRITE), RIGHT_READ | RIGHT_WRITE);
            w.guest.ok("fd_fdstat_get", &[RO, BUF]);
            assert_eq!(w.guest.get(BUF, 1), [3], "a directory");
            assert_eq!(w.guest.u64(BUF + 16) as i64 & RIGHT_WRITE, 0, "read-only");
        },
        |w| w.guest.no("fd_fdstat_get", &[CLOSED, BUF], errno::BADF),
    ),
    (
        "fd_fdstat_set_flags",
        |w| {
            let fd = file(w);
            w.guest.ok("fd_fdstat_set_flags", &[fd, 1]);
            w.guest.write(fd, b"!").expect("it may be written");
            assert_eq!(w.host_text("file"), "hello world!", "appended");
        },
        |w| {
            let fd = file(w);
            w.guest.no("fd_fdstat_set_flags", &[fd, 2], errno::INVAL);
            w.guest.no("fd_fdstat_set_flags", &[fd, 32], errno::INVAL);
        },
    ),
    (
        "fd_fdstat_set_rights",
        |w| {
            let fd = file(w);
            w.guest.ok("fd_fdstat_set_rights", &[fd, RIGHT_READ, 0]);
            assert_eq!(w.guest.read(fd, 5).expect("kept"), b"hello");
            assert_eq!(w.guest.write(fd, b"x"), Err(errno::BADF), "given up");
        },
        |w| {
            let fd = w.guest.open(RW, "file", 0, RIGHT_READ).expect("it may be read");
            let both = RIGHT_READ | RIGHT_WRITE;
            w.guest
                .no("fd_fdstat_set_rights", &[fd, both, 0], errno::NOTCAPABLE);
        },
    ),
    (
        "fd_filestat_get",
        |w| {
            let fd = file(w);
            w.guest.ok("fd_filestat_get", &[fd, BUF]);
            assert_eq!((w.guest.get(BUF + 16, 1)[0], filestat_size(w)), (4, 11));
            assert!(
                w.guest.u64(BUF + 48) > 1_700_000_000_000_000_000,
                "modified after 2023"
            );
        },
        |w| w.guest.no("fd_filestat_get", &[CLOSED, BUF], errno::BADF),
    ),
    (
        "fd_filestat_set_size",
        |w| {
            let fd = file(w);
            w.guest.ok("fd_filestat_set_size", &[fd, 5]);
            assert_eq!(w.host_text("file"), "hello");
        },
        |w| {
            let fd = w.guest.open(RO, "file", 0, RIGHT_READ).expect("it may be read");
            w.guest.no("fd_filestat_set_size", &[fd, 5], errno::PERM);
            let fd = file(w);
            w.guest.no("fd_filestat_set_size", &[fd, -1], errno::INVAL);
        },
    ),
    (
        "fd_filestat_set_times",
        |w| {
            let fd = file(w);
            w.guest.ok(
                "fd_filestat_set_times",
                &[fd, 1_000_000_001, 2_000_000_002, 1 | 4],
            );
            w.guest.ok("fd_filestat_get", &[fd, BUF]);
            assert_eq!(
                (w.guest.u64(BUF + 40), w.guest.u64(BUF + 48)),
                (1_000_000_001, 2_000_000_002)
            );
        },
        |w| {
            let fd = file(w);
            w.guest
                .no("fd_filestat_set_times", &[fd, 0, 0, 1 | 2], errno::INVAL);
            w.guest.no("fd_filestat_set_times", &[RO, 0, 0, 1], errno::PERM);
        },
    ),
    (
        "fd_pread",
        |w| {
            let fd = file(w);
            let [iovs, count] = w.guest.pass_buffers(&[[BUF, 5]]);
            w.guest.ok("fd_pread", &[fd, iovs, count, 6, OUT]);
            assert_eq!((w.guest.u32(OUT), w.guest.get(BUF, 5)), (5, b"world".to_vec()));
            assert_eq!(
                w.guest.read(fd, 5).expect("readable"),
                b"hello",
                "the position stayed"
            );
        },
        |w| {
            let fd = file(w);
            let [iovs, count] = w.guest.pass_buffers(&[[BUF, 5]]);
            w.guest.no("fd_pread", &[0, iovs, count, 0, OUT], errno::SPIPE);
            w.guest.no("fd_pread", &[fd, iovs, count, -1, OUT], errno::INVAL);
        },
    ),
    (
        "fd_prestat_get",
        |w| {
            w.guest.ok("fd_prestat_get", &[RO, OUT]);
            assert_eq!(
                w.guest.u64(OUT),
                3 << 32,
                "a directory with a name of three bytes"
            );
        },
        |w| {
            w.guest.no("fd_prestat_get", &[5, OUT], errno::BADF);
            w.guest.no("fd_prestat_get", &[0, OUT], errno::BADF);
        },
    ),
    (
        "fd_prestat_dir_name",
        |w| {
            w.guest.ok("fd_prestat_dir_name", &[RO, BUF, 3]);
            assert_eq!(w.guest.get(BUF, 4), b"/ro\0");
        },
        |w| {
            w.guest
                .no("fd_prestat_dir_name", &[RO, BUF, 2], errno::NAMETOOLONG)
        },
    ),
    (
        "fd_pwrite",
        |w| {
            let fd = file(w);
            let data = w.guest.pass("WORLD");
            let [iovs, count] = w.guest.pass_buffers(&[data]);
            w.guest.ok("fd_pwrite", &[fd, iovs, count, 6, OUT]);
            assert_eq!(
                (w.guest.u32(OUT), w.host_text("file").as_str()),
                (5, "hello WORLD")
            );
        },
        |w| {
            let fd = w.guest.open(RW, "file", 0, RIGHT_READ).expect("it may be read");
            let [iovs, count] = w.guest.pass_buffers(&[[BUF, 5]]);
            w.guest.no("fd_pwrite", &[fd, iovs, count, 6, OUT], errno::BADF);
        },
    ),
    (
        "fd_read",
        |w| assert_eq!(w.guest.read(0, 100).expect("connected"), b"input"),
        |w| {
            assert_eq!(w.guest.read(1, 1), Err(errno::BADF), "an output");
            assert_eq!(w.guest.read(RW, 1), Err(errno::BADF), "a directory");
        },
    ),
    (
        "fd_readdir",
        |w| {
            w.guest.ok("fd_readdir", &[RW, BUF, 4096, 0, OUT]);
            let mut names = entries(&w.guest.get(BUF, w.guest.u32(OUT) as usize));
            names.sort();
            let expected = [(".", 3), ("..", 3), ("dir", 3), ("file", 4), ("link", 7)];
            assert_eq!(names, expected.map(|(name, kind)| (name.to_owned(), kind)));
        },
        |w| {
            let fd = file(w);
            w.guest.no("fd_readdir", &[fd, BUF, 4096, 0, OUT], errno::NOTDIR);
            w.guest.no("fd_readdir", &[RW, BUF, 4096, -1, OUT], errno::INVAL);
        },
    ),
    (
        "fd_renumber",
        |w| {
            let fd = file(w);
            w.guest.ok("fd_renumber", &[fd, 0]);
            assert_eq!(w.guest.read(0, 5).expect("the file now"), b"hello");
            w.guest.no("fd_close", &[fd], errno::BADF);
        },
        |w| {
            w.guest.no("fd_renumber", &[RW, CLOSED], errno::BADF);
            w.guest.no("fd_renumber", &[CLOSED, RW], errno::BADF);
        },
    ),
    (
        "fd_seek",
        |w| {
            let fd = file(w);
            w.guest.ok("fd_seek", &[fd, -5, 2, OUT]);
            assert_eq!(w.guest.u64(OUT), 6);
            assert_eq!(w.guest.read(fd, 9).expect("readable"), b"world");
        },
        |w| {
            let fd = file(w);
            w.guest.no("fd_seek", &[fd, -1, 0, OUT], errno::INVAL);
            w.guest.no("fd_seek", &[fd, 0, 3, OUT], errno::INVAL);
            w.guest.no("fd_seek", &[1, 0, 0, OUT], errno::SPIPE);
            w.guest.no("fd_seek", &[RW, 0, 0, OUT], errno::BADF);
        },
    ),
    (
        "fd_sync",
        |w| {
            let fd = file(w);
            w.guest.ok("fd_sync", &[fd]);
            w.guest.ok("fd_sync", &[RW]);
        },
        |w| w.guest.no("fd_sync", &[0], errno::INVAL),
    ),
    (
        "fd_tell",
        |w| {
            let fd = file(w);
            w.guest.read(fd, 4).expect("readable");
            w.guest.ok("fd_tell", &[fd, OUT]);
            assert_eq!(w.guest.u64(OUT), 4);
        },
        |w| w.guest.no("fd_tell", &[0, OUT], errno::SPIPE),
    ),
    (
        "fd_write",
        |w| {
            assert_eq!(w.guest.write(1, b"out"), Ok(3));
            assert_eq!(w.stdout.contents(), b"out");
        },
        |w| {
            assert_eq!(w.guest.write(0, b"x"), Err(errno::BADF), "an input");
            assert_eq!(w.guest.write(RW, b"x"), Err(errno::BADF), "a directory");
        },
    ),
    (
        "path_create_directory",
        |w| {
            assert_eq!(w.guest.path("path_create_directory", &[RW], "dir/new", &[]), 0);
            assert!(w.host.path().join("dir/new").is_dir());
        },
        |w| {
            assert_eq!(
                w.guest.path("path_create_directory", &[RW], "dir", &[]),
                errno::EXIST
            );
            assert_eq!(
                w.guest.path("path_create_directory", &[RW], "../out", &[]),
                errno::PERM
            );
            assert_eq!(
                w.guest.path("path_create_directory", &[RO], "new", &[]),
                errno::PERM
            );
        },
    ),
    (
        "path_filestat_get",
        |w| {
            assert_eq!(
                w.guest.path("path_filestat_get", &[RO, FOLLOW], "link", &[BUF]),
                0
            );
            assert_eq!(
                (w.guest.get(BUF + 16, 1)[0], filestat_size(w)),
                (4, 11),
                "the file"
            );
            assert_eq!(w.guest.path("path_filestat_get", &[RO, 0], "link", &[BUF]), 0);
            assert_eq!(
                (w.guest.get(BUF + 16, 1)[0], filestat_size(w)),
                (7, 4),
                "the link"
            );
        },
        |w| {
            assert_eq!(
                w.guest.path("path_filestat_get", &[RW, 0], "none", &[BUF]),
                errno::NOENT
            );
            assert_eq!(
                w.guest.path("path_filestat_get", &[RW, 0], "..", &[BUF]),
                errno::PERM
            );
            assert_eq!(
                w.guest.path("path_filestat_get", &[RW, 2], "file", &[BUF]),
                errno::INVAL
            );
        },
    ),
    (
        "path_filestat_set_times",
        |w| {
            let name = "path_filestat_set_times";
            assert_eq!(
                w.guest.path(name, &[RW, FOLLOW], "link", &[0, 1_000_000_007, 4]),
                0
            );
            assert_eq!(w.guest.path(name, &[RW, 0], "link", &[0, 9, 4]), 0);
            assert_eq!(w.guest.path("path_filestat_get", &[RW, 0], "file", &[BUF]), 0);
            assert_eq!(w.guest.u64(BUF + 48), 1_000_000_007, "the file, through the link");
            assert_eq!(w.guest.path("path_filestat_get", &[RW, 0], "link", &[BUF]), 0);
            assert_eq!(w.guest.u64(BUF + 48), 9, "the link");
        },
        |w| {
            let name = "path_filestat_set_times";
            assert_eq!(w.guest.path(name, &[RO, 0], "file", &[0, 0, 4]), errno::PERM);
            assert_eq!(w.guest.path(name, &[RW, 0], "file", &[0, 0, 4 | 8]), errno::INVAL);
            assert_eq!(
                w.guest.path(name, &[RW, FOLLOW], "none", &[0, 0, 4]),
                errno::NOENT
            );
        },
    ),
    (
        "path_link",
        |w| {
            assert_eq!(w.guest.two_paths("path_link", (RW, "file"), (RW, "dir/hard")), 0);
            assert_eq!(w.host_text("dir/hard"), "hello world");
        },
        |w| {
            assert_eq!(
                w.guest.two_paths("path_link", (RW, "file"), (RW, "dir")),
                errno::EXIST
            );
            assert_eq!(
                w.guest.two_paths("path_link", (RO, "file"), (RW, "new")),
                errno::PERM
            );
            assert_eq!(
                w.guest.two_paths("path_link", (RW, "dir"), (RW, "new")),
                errno::PERM
            );
        },
    ),
    (
        "path_open",
        |w| {
            let fd = w
                .guest
                .open(RW, "new", O_CREAT, RIGHT_WRITE)
                .expect("it may be made");
            assert_eq!(w.guest.write(fd, b"text"), Ok(4));
            assert_eq!(w.host_text("new"), "text");
        },
        |w| {
            assert_eq!(w.guest.open(RW, "none", 0, RIGHT_READ), Err(errno::NOENT));
            assert_eq!(w.guest.open(RO, "file", 0, RIGHT_WRITE), Err(errno::PERM));
            assert_eq!(w.guest.open(RO, "file", O_TRUNC, RIGHT_READ), Err(errno::PERM));
            assert_eq!(w.guest.open(RW, "/file", 0, RIGHT_READ), Err(errno::PERM));
            assert_eq!(w.host_text("file"), "hello world");
        },
    ),
    (
        "path_readlink",
        |w| {
            assert_eq!(w.guest.path("path_readlink", &[RW], "link", &[BUF, 3, OUT]), 0);
            assert_eq!((w.guest.u32(OUT), w.guest.get(BUF, 4)), (3, b"fil\0".to_vec()));
        },
        |w| {
            let after = [BUF, 9, OUT];
            assert_eq!(w.guest.path("path_readlink", &[RW], "file", &after), errno::INVAL);
        },
    ),
    (
        "path_remove_directory",
        |w| {
            assert_eq!(w.guest.path("path_unlink_file", &[RW], "dir/inner", &[]), 0);
            assert_eq!(w.guest.path("path_remove_directory", &[RW], "dir/", &[]), 0);
            assert!(!w.host.path().join("dir").exists());
        },
        |w| {
            let name = "path_remove_directory";
            assert_eq!(w.guest.path(name, &[RW], "dir", &[]), errno::NOTEMPTY);
            assert_eq!(w.guest.path(name, &[RW], "file", &[]), errno::NOTDIR);
            assert_eq!(w.guest.path(name, &[RW], ".", &[]), errno::INVAL);
            assert_eq!(w.guest.path(name, &[RO], "dir", &[]), errno::PERM);
        },
    ),
    (
        "path_rename",
        |w| {
            assert_eq!(
                w.guest.two_paths("path_rename", (RW, "file"), (RW, "dir/inner")),
                0
            );
            assert_eq!(w.host_text("dir/inner"), "hello world");
            assert!(!w.host.path().join("file").exists());
        },
        |w| {
            let name = "path_rename";
            assert_eq!(w.guest.two_paths(name, (RW, "file"), (RO, "new")), errno::PERM);
            assert_eq!(w.guest.two_paths(name, (RW, "file"), (RW, "dir")), errno::ISDIR);
            assert_eq!(w.guest.two_paths(name, (RW, "none"), (RW, "new")), errno::NOENT);
        },
    ),
    (
        "path_symlink",
        |w| {
            let [old, old_len] = w.guest.pass("../file");
            assert_eq!(
                w.guest.path("path_symlink", &[old, old_len, RW], "dir/up", &[]),
                0
            );
            assert_eq!(w.host_text("dir/up"), "hello world");
        },
        |w| {
            let [old, old_len] = w.guest.pass("/etc");
            assert_eq!(
                w.guest.path("path_symlink", &[old, old_len, RW], "etc", &[]),
                errno::PERM
            );
            let [old, old_len] = w.guest.pass("file");
            assert_eq!(
                w.guest.path("path_symlink", &[old, old_len, RW], "dir", &[]),
                errno::EXIST
            );
        },
    ),
    (
        "path_unlink_file",
        |w| {
            assert_eq!(w.guest.path("path_unlink_file", &[RW], "link", &[]), 0);
            assert!(w.host.path().join("file").exists(), "the link went, not the file");
            assert!(!w.host.path().join("link").exists());
        },
        |w| {
            assert_eq!(w.guest.path("path_unlink_file", &[RW], "dir", &[]), errno::ISDIR);
            assert_eq!(
                w.guest.path("path_unlink_file", &[RW], "file/", &[]),
                errno::NOTDIR
            );
            assert_eq!(w.guest.path("path_unlink_file", &[RO], "file", &[]), errno::PERM);
        },
    ),
    (
        "poll_oneoff",
        |w| {
            let mut subscription = [0u8; 48];
            subscription[0] = 42;
            subscription[16] = 1;
            subscription[24..32].copy_from_slice(&5_000_000u64.to_le_bytes());
            let started = std::time::Instant::now();
            let [at, _] = w.guest.pass(subscription);
            w.guest.ok("poll_oneoff", &[at, BUF, 1, OUT]);
            assert!(started.elapsed().as_millis() >= 5, "it slept");
            assert_eq!(
                (w.guest.u32(OUT), w.guest.u64(BUF), w.guest.u64(BUF + 8)),
                (1, 42, 0)
            );
        },
        |w| w.guest.no("poll_oneoff", &[BUF, BUF, 0, OUT], errno::INVAL),
    ),
    (
        "proc_exit",
        |w| {
            let error = w
                .guest
                .call("proc_exit", &[33])
                .expect_err("the guest is at its end");
            assert_eq!(error.downcast_ref::<I32Exit>(), Some(&I32Exit(33)));
        },
        |w| {
            let error = w
                .guest
                .call("proc_exit", &[-1])
                .expect_err("every status ends the guest");
            assert_eq!(error.downcast_ref::<I32Exit>(), Some(&I32Exit(-1)));
        },
    ),
    (
        "proc_raise",
        |w| {
            w.guest.ok("proc_raise", &[0]);
            let error = w.guest.call("proc_raise", &[6]).expect_err("abrt ends the guest");
            assert_eq!(error.downcast_ref::<I32Exit>(), Some(&I32Exit(134)));
        },
        |w| {
            w.guest.no("proc_raise", &[31], errno::INVAL);
            w.guest.no("proc_raise", &[18], errno::NOTSUP);
        },
    ),
    (
        "sched_yield",
        |w| w.guest.ok("sched_yield", &[]),
        |w| {
            // It cannot be refused; it must not end or change anything.
            w.guest.ok("sched_yield", &[]);
            assert_eq!(w.guest.read(0, 9).expect("still there"), b"input");
        },
    ),
    (
        "random_get",
        |w| {
            w.guest.ok("random_get", &[BUF, 32]);
            let first = w.guest.get(BUF, 32);
            w.guest.ok("random_get", &[BUF, 32]);
            assert_ne!(first, w.guest.get(BUF, 32));
            assert_eq!(w.guest.get(BUF + 32, 8), [0; 8], "no more than was asked for");
        },
        |w| {
            assert!(
                w.guest.call("random_get", &[BUF, -1]).is_err(),
                "more than the memory traps"
            )
        },
    ),
    (
        "sock_accept",
        |w| w.guest.no("sock_accept", &[0, 0, OUT], errno::NOTSOCK),
        |w| w.guest.no("sock_accept", &[CLOSED, 0, OUT], errno::BADF),
    ),
    (
        "sock_recv",
        |w| w.guest.no("sock_recv", &[0, BUF, 0, 0, OUT, OUT], errno::NOTSOCK),
        |w| {
            w.guest
                .no("sock_recv", &[CLOSED, BUF, 0, 0, OUT, OUT], errno::BADF)
        },
    ),
    (
        "sock_send",
        |w| w.guest.no("sock_send", &[1, BUF, 0, 0, OUT], errno::NOTSOCK),
        |w| w.guest.no("sock_send", &[CLOSED, BUF, 0, 0, OUT], errno::BADF),
    ),
    (
        "sock_shutdown",
        |w| w.guest.no("sock_shutdown", &[RW, 1], errno::NOTSOCK),
        |w| w.guest.no("sock_shutdown", &[CLOSED, 1], errno::BADF),
    ),
];

/// The names and types of a listing.
pub(crate) fn entries(mut bytes: &[u8]) -> Vec<(String, u8)> {
    let mut entries = Vec::new();
    while bytes.len() >= 24 {
        let name_bytes = u32::from_le_bytes(bytes[16..20].try_into().expect("four bytes")) as usize;
        if bytes.len() < 24 + name_bytes {
            break;
        }
        entries.push((
            String::from_utf8_lossy(&bytes[24..24 + name_bytes]).into_owned(),
            bytes[20],
        ));
        bytes = &bytes[24 + name_bytes..];
    }
    entries
}
