//! What a guest may not do, each beside what it may; the advisories of other runtimes as tests.

use crate::harness::{
    BUF, Guest, O_CREAT, O_DIRECTORY, O_TRUNC, OUT, RIGHT_READ, RIGHT_WRITE, RO, RW, TempDir, World, errno,
};
use cellwall_wasi::{DirPerms, FilePerms, WasiCtxBuilder};

fn guest_with(grants: &[(&TempDir, DirPerms, FilePerms)]) -> Guest {
    let mut builder = WasiCtxBuilder::new();
    for (host, dirs, files) in grants {
        builder
            .preopened_dir(host.path(), "/", *dirs, *files)
            .expect("the directory is there");
    }
    Guest::new(builder.build())
}

fn with_file() -> TempDir {
    let host = TempDir::new();
    std::fs::write(host.path().join("file"), "contents").expect("it is ours");
    std::fs::create_dir(host.path().join("dir")).expect("it is ours");
    host
}

fn text(host: &TempDir, path: &str) -> String {
    std::fs::read_to_string(host.path().join(path)).expect("it is there")
}

#[test]
fn nothing_is_inherited() {
    let mut guest = Guest::new(WasiCtxBuilder::new().build());
    guest.ok("args_sizes_get", &[OUT, OUT + 4]);
    assert_eq!(guest.u64(OUT), 0, "no arguments");
    guest.ok("environ_sizes_get", &[OUT, OUT + 4]);
    assert_eq!(guest.u64(OUT), 0, "no environment");
    guest.no("fd_prestat_get", &[3, OUT], errno::BADF);
    assert_eq!(guest.read(0, 10), Ok(Vec::new()), "an input at its end");
    assert_eq!(guest.write(1, b"lost"), Ok(4), "an output that keeps nothing");
}

#[test]
fn a_read_only_directory_cannot_be_changed_in_any_way() {
    let host = with_file();
    let mut guest = guest_with(&[(&host, DirPerms::READ, FilePerms::READ)]);
    assert_eq!(
        guest.open(3, "file", O_TRUNC, RIGHT_READ),
        Err(errno::PERM),
        "truncate"
    );
    assert_eq!(
        guest.open(3, "file", 0, RIGHT_READ | RIGHT_WRITE),
        Err(errno::PERM),
        "write"
    );
    assert_eq!(
        guest.open(3, "new", O_CREAT, RIGHT_READ),
        Err(errno::PERM),
        "create"
    );
    assert_eq!(guest.path("path_unlink_file", &[3], "file", &[]), errno::PERM);
    assert_eq!(guest.two_paths("path_link", (3, "file"), (3, "new")), errno::PERM);
    assert_eq!(
        guest.two_paths("path_rename", (3, "file"), (3, "new")),
        errno::PERM
    );
    // Nor through a directory opened in it, whatever rights were asked for.
    let dir = guest
        .open(3, "dir", O_DIRECTORY, !RIGHT_WRITE)
        .expect("it may be read");
    assert_eq!(guest.open(dir, "new", O_CREAT, RIGHT_WRITE), Err(errno::PERM));
    assert_eq!(
        guest.open(dir, "../file", 0, RIGHT_READ),
        Err(errno::PERM),
        "beneath the directory itself"
    );
    let fd = guest.open(3, "file", 0, RIGHT_READ).expect("it may be read");
    assert_eq!(guest.read(fd, 8).expect("it may be read"), b"contents");
    assert_eq!(guest.write(fd, b"x"), Err(errno::BADF));
    guest.no("fd_filestat_set_size", &[fd, 0], errno::PERM);
    guest.no("fd_filestat_set_times", &[fd, 0, 0, 1], errno::PERM);
    guest.no(
        "fd_fdstat_set_rights",
        &[fd, RIGHT_READ | RIGHT_WRITE, 0],
        errno::NOTCAPABLE,
    );
    assert_eq!(text(&host, "file"), "contents");
}

#[test]
fn names_and_contents_are_separate_permissions() {
    let host = with_file();
    let mut guest = guest_with(&[
        (&host, DirPerms::READ, FilePerms::all()),
        (&host, DirPerms::all(), FilePerms::READ),
    ]);
    let (contents, names) = (3, 4);
    let fd = guest
        .open(contents, "file", O_TRUNC, RIGHT_WRITE)
        .expect("contents may change");
    assert_eq!(guest.write(fd, b"new"), Ok(3));
    assert_eq!(
        guest.open(contents, "more", O_CREAT, RIGHT_WRITE),
        Err(errno::PERM)
    );
    assert_eq!(
        guest.path("path_create_directory", &[contents], "more", &[]),
        errno::PERM
    );
    assert_eq!(guest.path("path_create_directory", &[names], "more", &[]), 0);
    assert_eq!(guest.open(names, "file", 0, RIGHT_WRITE), Err(errno::PERM));
    assert_eq!(guest.open(names, "file", O_TRUNC, 0), Err(errno::PERM));
    assert_eq!(
        guest.two_paths("path_rename", (names, "file"), (names, "moved")),
        0
    );
    assert_eq!(text(&host, "moved"), "new");
}

/// A file cannot get other permissions by another name, nor contents come where none may.
#[test]
fn links_and_renames_respect_the_destination() {
    let (a, b) = (with_file(), with_file());
    let weak = (DirPerms::all(), FilePerms::READ);
    let strong = (DirPerms::all(), FilePerms::all());
    let mut guest = guest_with(&[
        (&a, weak.0, weak.1),
        (&b, strong.0, strong.1),
        (&a, strong.0, strong.1),
    ]);
    let (weak, strong, strong_too) = (3, 4, 5);
    for name in ["path_link", "path_rename"] {
        assert_eq!(
            guest.two_paths(name, (weak, "file"), (strong, "gained")),
            errno::PERM,
            "{name}"
        );
        assert_eq!(
            guest.two_paths(name, (strong, "file"), (weak, "file")),
            errno::PERM,
            "{name}"
        );
    }
    assert_eq!(
        (text(&a, "file"), text(&b, "file")),
        ("contents".into(), "contents".into())
    );
    assert_eq!(
        guest.two_paths("path_link", (strong, "file"), (strong_too, "hard")),
        0
    );
    assert_eq!(
        guest.two_paths("path_rename", (strong, "file"), (strong_too, "moved")),
        0
    );
    assert_eq!(
        (text(&a, "hard"), text(&a, "moved")),
        ("contents".into(), "contents".into())
    );
}

#[test]
fn rights_given_up_do_not_come_back_through_another_name() {
    let mut w = World::new();
    let dir = w
        .guest
        .open(RW, "dir", O_DIRECTORY, !RIGHT_WRITE)
        .expect("it is there");
    w.guest.ok("fd_fdstat_get", &[dir, BUF]);
    let (base, inheriting) = (w.guest.u64(BUF + 8) as i64, w.guest.u64(BUF + 16) as i64);
    w.guest
        .ok("fd_fdstat_set_rights", &[dir, base, inheriting & !RIGHT_WRITE]);
    assert_eq!(w.guest.open(dir, "inner", 0, RIGHT_WRITE), Err(errno::NOTCAPABLE));
    assert_eq!(
        w.guest.two_paths("path_link", (dir, "inner"), (RW, "gained")),
        errno::NOTCAPABLE
    );
    assert_eq!(
        w.guest.two_paths("path_rename", (dir, "inner"), (RW, "gained")),
        errno::NOTCAPABLE
    );
    assert_eq!(
        w.guest.two_paths("path_link", (RW, "file"), (dir, "less")),
        0,
        "fewer rights are fine"
    );
}

#[test]
fn renumbering_neither_panics_nor_leaks() {
    let mut w = World::new();
    w.guest.ok("fd_renumber", &[RW, RW]);
    w.guest.no("fd_renumber", &[RW, -1], errno::BADF);
    w.guest.no("fd_renumber", &[-1, RW], errno::BADF);
    w.guest.no("fd_renumber", &[-1, -1], errno::BADF);
    // Those of this test: others open files at the same time.
    let open_on_host = || {
        let all = std::fs::read_dir("/proc/self/fd").expect("Linux has it");
        let files = all.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
        files.filter(|file| file.starts_with(w.host.path())).count()
    };
    let target = w.guest.open(RW, "file", 0, RIGHT_READ).expect("it is there");
    let before = open_on_host();
    assert!(before > 0, "it finds what is open");
    for _ in 0..200 {
        let fd = w
            .guest
            .open(RW, "file", 0, RIGHT_READ)
            .expect("numbers are used again");
        w.guest.ok("fd_renumber", &[fd, target]);
    }
    assert_eq!(open_on_host(), before, "descriptors leak");
    w.guest.ok("fd_fdstat_get", &[target, BUF]);
}

#[test]
fn the_number_of_descriptors_is_limited_before_anything_is_created() {
    let mut w = World::with(|builder| {
        builder.max_descriptors(6);
    });
    let fd = w.guest.open(RW, "file", 0, RIGHT_READ).expect("the sixth");
    assert_eq!(w.guest.open(RW, "new", O_CREAT, RIGHT_WRITE), Err(errno::MFILE));
    assert!(!w.host.path().join("new").exists(), "nothing was created");
    w.guest.ok("fd_close", &[fd]);
    assert_eq!(
        w.guest.open(RW, "new", O_CREAT, RIGHT_WRITE),
        Ok(fd),
        "the lowest free number"
    );
}

#[test]
fn the_read_only_grant_of_a_tree_does_not_weaken_the_other() {
    let mut w = World::new();
    assert_eq!(w.guest.open(RO, "new", O_CREAT, RIGHT_WRITE), Err(errno::PERM));
    assert!(w.guest.open(RW, "new", O_CREAT, RIGHT_WRITE).is_ok());
}
