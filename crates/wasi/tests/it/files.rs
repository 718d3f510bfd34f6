//! Paths that try to leave, and files with their positions, flags and listings.

use crate::every::entries;
use crate::harness::{
    BUF, FOLLOW, O_CREAT, O_DIRECTORY, O_EXCL, O_TRUNC, OUT, RIGHT_READ, RIGHT_WRITE, RW, TempDir, World,
    errno,
};
use std::os::unix::fs::symlink;

/// A world with a directory beside it that must never be reached, and links to it.
fn world_with_outside() -> (World, TempDir) {
    let (w, outside) = (World::new(), TempDir::new());
    std::fs::write(outside.path().join("secret"), "secret").expect("it is ours");
    let inside = w.host.path();
    symlink(outside.path(), inside.join("absolute")).expect("it is ours");
    let name = outside.path().file_name().expect("it has one");
    symlink(std::path::Path::new("..").join(name), inside.join("relative")).expect("it is ours");
    symlink(outside.path().join("secret"), inside.join("to_file")).expect("it is ours");
    symlink("..", inside.join("dir/up")).expect("it is ours");
    symlink("loop", inside.join("loop")).expect("it is ours");
    (w, outside)
}

/// Every way to name the outside, with and without slashes, is refused by every function.
#[test]
fn no_path_leaves() {
    let (mut w, outside) = world_with_outside();
    let name = outside
        .path()
        .file_name()
        .expect("it has one")
        .to_string_lossy()
        .into_owned();
    let escapes = [
        "absolute/secret".into(),
        "absolute/".into(),
        "absolute///".into(),
        "absolute/.".into(),
        "relative/secret".into(),
        "relative/".into(),
        "relative/.".into(),
        "dir/up/../relative/".into(),
        "dir/up/absolute/".into(),
        "..".into(),
        "../".into(),
        format!("../{name}/secret"),
        format!("dir/../../{name}/secret"),
        format!("dir/up/up/../../{name}/"),
        format!("{}/secret", outside.path().display()),
        "/".into(),
        "//".into(),
        "/etc/passwd".into(),
    ];
    for path in &escapes {
        let g = &mut w.guest;
        for lookup in [0, FOLLOW] {
            for (oflags, rights) in [
                (0, RIGHT_READ),
                (O_DIRECTORY, 0),
                (O_CREAT, RIGHT_WRITE),
                (O_TRUNC, RIGHT_WRITE),
            ] {
                let opened = g.open_with(RW, lookup, path, oflags, rights, 0);
                assert!(opened.is_err(), "path_open {path} {oflags}");
            }
            assert_ne!(
                g.path("path_filestat_get", &[RW, lookup], path, &[BUF]),
                0,
                "{path}"
            );
            let times = g.path("path_filestat_set_times", &[RW, lookup], path, &[0, 1, 4]);
            assert_ne!(times, 0, "path_filestat_set_times {path}");
        }
        assert_ne!(g.path("path_readlink", &[RW], path, &[BUF, 99, OUT]), 0, "{path}");
        assert_ne!(g.path("path_create_directory", &[RW], path, &[]), 0, "{path}");
        assert_ne!(g.path("path_remove_directory", &[RW], path, &[]), 0, "{path}");
        assert_ne!(g.path("path_unlink_file", &[RW], path, &[]), 0, "{path}");
        for name in ["path_rename", "path_link"] {
            assert_ne!(g.two_paths(name, (RW, path), (RW, "gained")), 0, "{name} {path}");
            assert_ne!(g.two_paths(name, (RW, "file"), (RW, path)), 0, "{name} to {path}");
        }
        let [old, old_len] = g.pass("file");
        assert_ne!(
            g.path("path_symlink", &[old, old_len, RW], path, &[]),
            0,
            "{path}"
        );
    }
    assert_eq!(w.guest.open(RW, "to_file", 0, RIGHT_READ), Err(errno::PERM));
    assert_eq!(
        w.guest.open(RW, "to_file", O_TRUNC, RIGHT_WRITE),
        Err(errno::PERM)
    );
    let left: Vec<_> = std::fs::read_dir(outside.path()).expect("it is there").collect();
    assert_eq!(left.len(), 1, "nothing came or went outside");
    let secret = std::fs::read_to_string(outside.path().join("secret")).expect("it is there");
    assert_eq!(secret, "secret");
    assert_eq!(w.host_text("file"), "hello world");
}

#[test]
fn paths_that_stay_inside_work() {
    let (mut w, _outside) = world_with_outside();
    for path in [
        "dir/up/file",
        "dir/../file",
        "./dir/.//../link",
        "dir/up/dir/up/file",
    ] {
        let fd = w
            .guest
            .open(RW, path, 0, RIGHT_READ)
            .unwrap_or_else(|errno| panic!("{path}: {errno}"));
        assert_eq!(w.guest.read(fd, 5).expect("readable"), b"hello", "{path}");
    }
    for path in ["dir/", "dir///", "dir/up/", "dir/.", "."] {
        assert!(w.guest.open(RW, path, 0, RIGHT_READ).is_ok(), "{path}");
    }
    assert_eq!(
        w.guest.path("path_readlink", &[RW], "absolute", &[BUF, 99, OUT]),
        0,
        "a link may be read"
    );
}

#[test]
fn a_trailing_slash_means_a_directory() {
    let mut w = World::new();
    symlink("dir", w.host.path().join("to_dir")).expect("it is ours");
    let g = &mut w.guest;
    assert_eq!(g.open(RW, "file/", 0, RIGHT_READ), Err(errno::NOTDIR));
    assert_eq!(g.open(RW, "link/", 0, RIGHT_READ), Err(errno::NOTDIR));
    assert_eq!(g.open(RW, "new/", O_CREAT, RIGHT_WRITE), Err(errno::ISDIR));
    assert_eq!(
        g.path("path_filestat_get", &[RW, 0], "file/", &[BUF]),
        errno::NOTDIR
    );
    assert_eq!(g.path("path_filestat_get", &[RW, 0], "to_dir/", &[BUF]), 0);
    assert_eq!(g.get(BUF + 16, 1), [3], "the directory behind the link");
    assert_eq!(
        g.path("path_readlink", &[RW], "to_dir/", &[BUF, 9, OUT]),
        errno::NOTDIR
    );
    assert_eq!(
        g.path("path_remove_directory", &[RW], "to_dir/", &[]),
        errno::NOTDIR
    );
    assert_eq!(g.path("path_unlink_file", &[RW], "to_dir/", &[]), errno::NOTDIR);
    assert_eq!(
        g.two_paths("path_rename", (RW, "file/"), (RW, "new")),
        errno::NOTDIR
    );
    assert_eq!(
        g.two_paths("path_rename", (RW, "file"), (RW, "new/")),
        errno::NOTDIR
    );
    assert_eq!(
        g.two_paths("path_rename", (RW, "to_dir/"), (RW, "new")),
        errno::NOTDIR
    );
    assert_eq!(g.two_paths("path_link", (RW, "file"), (RW, "new/")), errno::NOENT);
    assert_eq!(g.two_paths("path_rename", (RW, "dir/"), (RW, "new/")), 0);
    assert_eq!(g.path("path_create_directory", &[RW], "more/", &[]), 0);
}

#[test]
fn links_are_followed_only_when_asked() {
    let (mut w, _outside) = world_with_outside();
    assert_eq!(
        w.guest.open_with(RW, 0, "link", 0, RIGHT_READ, 0),
        Err(errno::LOOP)
    );
    assert!(w.guest.open_with(RW, FOLLOW, "link", 0, RIGHT_READ, 0).is_ok());
    assert_eq!(w.guest.open(RW, "loop", 0, RIGHT_READ), Err(errno::LOOP));
    let [old, old_len] = w.guest.pass("file");
    let [new, new_len] = w.guest.pass("hard");
    let args = [RW, FOLLOW, old, old_len, RW, new, new_len];
    w.guest.no("path_link", &args, errno::INVAL);
}

#[test]
fn creating_is_exclusive_when_asked() {
    let mut w = World::new();
    assert_eq!(
        w.guest.open(RW, "file", O_CREAT | O_EXCL, RIGHT_WRITE),
        Err(errno::EXIST)
    );
    assert!(w.guest.open(RW, "new", O_CREAT | O_EXCL, RIGHT_WRITE).is_ok());
    assert_eq!(
        w.guest.open(RW, "dir", O_CREAT | O_DIRECTORY, 0),
        Err(errno::INVAL)
    );
    assert_eq!(w.guest.open(RW, "dir", O_CREAT, RIGHT_WRITE), Err(errno::ISDIR));
    assert_eq!(w.guest.open(RW, "file", O_DIRECTORY, 0), Err(errno::NOTDIR));
    assert_eq!(
        w.guest.open(RW, "dir", O_DIRECTORY, RIGHT_READ | RIGHT_WRITE),
        Err(errno::ISDIR)
    );
    assert!(w.guest.open(RW, "dir", O_DIRECTORY, RIGHT_READ).is_ok());
    let fd = w.guest.open(RW, "file", 0, RIGHT_READ).expect("it is there");
    assert_eq!(
        w.guest.open(fd, "x", 0, RIGHT_READ),
        Err(errno::NOTDIR),
        "a file is no directory"
    );
}

#[test]
fn a_file_that_may_not_be_written_can_be_opened_with_create() {
    use std::os::unix::fs::PermissionsExt;
    let mut w = World::new();
    let path = w.host.path().join("file");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o444)).expect("it is ours");
    let fd = w
        .guest
        .open(RW, "file", O_CREAT, RIGHT_READ)
        .expect("it is only read");
    assert_eq!(w.guest.read(fd, 5).expect("readable"), b"hello");
    // The superuser may write it all the same.
    let as_user = std::fs::OpenOptions::new().write(true).open(&path).map(|_| ());
    let opened = w.guest.open(RW, "file", O_CREAT, RIGHT_WRITE).map(|_| ());
    assert_eq!(opened, as_user.map_err(|_| errno::ACCES));
}

#[test]
fn reading_and_writing_only_as_opened() {
    let mut w = World::new();
    let fd = w.guest.open(RW, "file", 0, RIGHT_READ).expect("it is there");
    assert_eq!(w.guest.write(fd, b"x"), Err(errno::BADF));
    let fd = w.guest.open(RW, "file", 0, RIGHT_WRITE).expect("it is there");
    assert_eq!(w.guest.read(fd, 1), Err(errno::BADF));
    let fd = w.guest.open(RW, "new", O_CREAT, 0).expect("created");
    assert_eq!(
        (w.guest.read(fd, 1), w.guest.write(fd, b"x")),
        (Err(errno::BADF), Err(errno::BADF))
    );
}

#[test]
fn flags_of_an_open_file() {
    let mut w = World::new();
    for (flags, name) in [
        (1, "append"),
        (2, "dsync"),
        (4, "nonblock"),
        (8, "rsync"),
        (16, "sync"),
    ] {
        let rights = RIGHT_READ | RIGHT_WRITE;
        let fd = w
            .guest
            .open_with(RW, FOLLOW, name, O_CREAT | O_TRUNC, rights, flags)
            .expect(name);
        w.guest.ok("fd_fdstat_get", &[fd, BUF]);
        assert_eq!(w.guest.get(BUF + 2, 2), [flags as u8, 0], "{name}");
        assert_eq!(
            (w.guest.write(fd, b"one"), w.guest.write(fd, b"two")),
            (Ok(3), Ok(3)),
            "{name}"
        );
        assert_eq!(w.host_text(name), "onetwo");
    }
    assert_eq!(
        w.guest.open_with(RW, FOLLOW, "file", 0, RIGHT_READ, 32),
        Err(errno::INVAL)
    );
}

#[test]
fn a_listing_goes_on_from_any_cookie() {
    let mut w = World::new();
    for number in 0..300 {
        std::fs::write(w.host.path().join(format!("dir/number-{number}")), "").expect("it is ours");
    }
    let fd = w.guest.open(RW, "dir", O_DIRECTORY, 0).expect("it is there");
    let (mut names, mut cookie) = (Vec::new(), 0);
    loop {
        w.guest.ok("fd_readdir", &[fd, BUF, 256, cookie, OUT]);
        let used = w.guest.u32(OUT) as usize;
        let bytes = w.guest.get(BUF, used);
        let part = entries(&bytes);
        let mut last = 0;
        for (name, _) in &part {
            cookie = u64::from_le_bytes(bytes[last..last + 8].try_into().expect("eight bytes")) as i64;
            last += 24 + name.len();
        }
        names.extend(part.into_iter().map(|(name, _)| name));
        if used < 256 {
            break;
        }
    }
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 303, "300 files, inner, . and ..");
    w.guest.ok("fd_readdir", &[fd, BUF, 10, 0, OUT]);
    assert_eq!(w.guest.u32(OUT), 10, "an entry that does not fit is cut off");
    w.guest.ok("fd_readdir", &[fd, BUF, 0, 0, OUT]);
    assert_eq!(w.guest.u32(OUT), 0);
}

#[test]
fn the_parent_of_a_granted_directory_is_not_told() {
    let mut w = World::new();
    w.guest.ok("fd_readdir", &[RW, BUF, 4096, 0, OUT]);
    w.guest.ok("fd_filestat_get", &[RW, 32768]);
    let own = w.guest.u64(32768 + 8);
    let bytes = w.guest.get(BUF, w.guest.u32(OUT) as usize);
    let mut at = 0;
    for (name, _) in entries(&bytes) {
        if name == "." || name == ".." {
            let inode = u64::from_le_bytes(bytes[at + 8..at + 16].try_into().expect("eight bytes"));
            assert_eq!(inode, own, "{name}");
        }
        at += 24 + name.len();
    }
}
