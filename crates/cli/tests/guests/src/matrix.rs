//! `wasi:filesystem`, paths: each function that takes one (or two), on each kind of path.

use crate::files::{clear, contents, granted, make, names};
use crate::show::{full, kind, Word};
use wasip2::filesystem::types::{
    Descriptor, DescriptorFlags as D, NewTimestamp, OpenFlags as O, PathFlags as P,
};

const PATHS: &[&str] = &[
    "missing", "missing/", "missing/x", "file", "file/", "file//", "file/.", "file/..", "file/x",
    "dir", "dir/", "dir//", "dir/.", "dir/..", "dir/../file", "dir/inner", "dir/missing", "./file", "./dir",
    "empty", "empty/", "empty/.",
    "to-file", "to-file/", "to-file/x", "to-dir", "to-dir/", "to-dir/inner", "to-dir/..", "to-missing", "to-missing/",
    "to-out", "to-out/x", "to-root", "to-itself", "to-itself/x",
    "", ".", "./", "..", "../", "../d", "/", "/file", "/d/file", "//file", "dir/../../d/file", "dir/../..", "a\0b", "file\0",
];

/// The same tree each time.
fn build(dir: &Descriptor) {
    clear(dir);
    make(dir, "file", b"contents");
    dir.create_directory_at("dir").expect("it can be made");
    dir.create_directory_at("empty").expect("it can be made");
    make(dir, "dir/inner", b"inner");
    for (contents, link) in [
        ("file", "to-file"),
        ("dir", "to-dir"),
        ("nothing", "to-missing"),
        ("..", "to-out"),
        (".", "to-root"),
        ("to-itself", "to-itself"),
    ] {
        dir.symlink_at(contents, link).expect("it can be made");
    }
}

/// All that is in the tree, with contents.
fn tree(dir: &Descriptor) -> String {
    let mut all = names(dir);
    for path in ["file", "dir/inner", "x", "dir/x", "empty/x", "nothing", "missing"] {
        let found = contents(dir, path);
        if found.starts_with('"') {
            all += &format!(" {path}={found}");
        }
    }
    let dirs = ["dir", "empty", "x", "missing"];
    for path in dirs {
        if let Ok(inner) = dir.open_at(P::empty(), path, O::DIRECTORY, D::READ) {
            all += &format!(" {path}/=({})", names(&inner));
        }
    }
    all
}

pub fn run() {
    let dir = granted("/d");
    build(&dir);
    let untouched = tree(&dir);
    println!("{untouched}");
    let after = |dir: &Descriptor| {
        let now = tree(dir);
        if now == untouched {
            String::new()
        } else {
            build(dir);
            let changed = |sign: char, one: &str, two: &str| -> String {
                let rest = |item: &&str| !two.split(' ').any(|other| other == *item);
                one.split(' ').filter(rest).map(|item| format!(" {sign}{item}")).collect()
            };
            changed('-', &untouched, &now) + &changed('+', &now, &untouched)
        }
    };
    for path in PATHS {
        println!("[{path:?}]");
        for follow in [P::empty(), P::SYMLINK_FOLLOW] {
            let f = if follow.is_empty() { "" } else { " followed" };
            println!("stat-at{f} {}", dir.stat_at(follow, path).map_or_else(|c| c.name().to_owned(), |s| format!("{} {}", kind(s.type_), if kind(s.type_) == "regular-file" { s.size } else { 0 })));
            println!("metadata-hash-at{f} {}", dir.metadata_hash_at(follow, path).word());
            println!("set-times-at{f} {}", dir.set_times_at(follow, path, NewTimestamp::Now, NewTimestamp::Now).word());
        }
        println!("readlink-at {}", full(dir.readlink_at(path)));
        println!("create-directory-at {}{}", dir.create_directory_at(path).word(), after(&dir));
        println!("remove-directory-at {}{}", dir.remove_directory_at(path).word(), after(&dir));
        println!("unlink-file-at {}{}", dir.unlink_file_at(path).word(), after(&dir));
        println!("symlink-at {}{}", dir.symlink_at("file", path).word(), after(&dir));
        println!("symlink-at to it {}{}", dir.symlink_at(path, "new").word(), after(&dir));
        for (what, to) in [("new", "new"), ("a file", "file"), ("a directory", "empty"), ("a full one", "dir"), ("a link", "to-file"), ("inside", "dir/x"), ("with slash", "new/")] {
            println!("rename-at to {what} {}{}", dir.rename_at(path, &dir, to).word(), after(&dir));
            println!("link-at to {what} {}{}", dir.link_at(P::empty(), path, &dir, to).word(), after(&dir));
        }
        println!("link-at followed {}{}", dir.link_at(P::SYMLINK_FOLLOW, path, &dir, "new").word(), after(&dir));
        println!("rename-at file {}{}", dir.rename_at("file", &dir, path).word(), after(&dir));
        println!("rename-at dir {}{}", dir.rename_at("dir", &dir, path).word(), after(&dir));
        println!("link-at file {}{}", dir.link_at(P::empty(), "file", &dir, path).word(), after(&dir));
        opens(&dir, path, &after);
    }
    clear(&dir);
}

/// One line for each way of access, with a word for each of the 16 open flags; `*` where the tree changed.
fn opens(dir: &Descriptor, path: &str, after: &dyn Fn(&Descriptor) -> String) {
    for (follow, f) in [(P::empty(), ""), (P::SYMLINK_FOLLOW, " followed")] {
        for (flags, name) in [
            (D::empty(), "-"),
            (D::READ, "r"),
            (D::WRITE, "w"),
            (D::READ | D::WRITE, "rw"),
            (D::READ | D::MUTATE_DIRECTORY, "rm"),
            (D::WRITE | D::MUTATE_DIRECTORY, "wm"),
        ] {
            let words: Vec<String> = (0..16u8)
                .map(|bits| {
                    let word = match dir.open_at(follow, path, O::from_bits_truncate(bits), flags) {
                        Ok(opened) => {
                            let kind = opened.get_type().map(kind).unwrap_or("?").split('-').next().unwrap_or("?");
                            format!("{kind}:{}", opened.get_flags().map_or(255, |flags| flags.bits()))
                        }
                        Err(code) => code.name().to_owned(),
                    };
                    word + if after(dir).is_empty() { "" } else { "*" }
                })
                .collect();
            println!("open-at{f} {name}: {}", words.join(" "));
        }
    }
}
