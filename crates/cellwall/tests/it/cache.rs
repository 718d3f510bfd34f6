//! The on-disk cache: what is found again, what is dropped, and who may write it.

mod processes;

use cellwall::{Cache, CacheConfig, CacheUsage, Config, Engine, Instance, Module, Store};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// A folder of a test's own, gone with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(test: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }

    fn cache(&self) -> Cache {
        self.limited(1 << 20).expect("the folder can be used")
    }

    fn limited(&self, bytes: u64) -> cellwall::Result<Cache> {
        let mut config = CacheConfig::new();
        config
            .with_directory(&self.0)
            .with_files_total_size_soft_limit(bytes);
        Cache::new(config)
    }

    /// The files of entries.
    fn entries(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(&self.0).expect("it is there");
        let mut paths: Vec<_> = files.map(|file| file.expect("it can be listed").path()).collect();
        paths.retain(|path| path.extension().is_some_and(|ending| ending == "cwall"));
        paths.sort();
        paths
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn engine(cache: &Cache) -> Engine {
    let mut config = Config::new();
    config.cache(Some(cache.clone()));
    Engine::new(&config).expect("the options make sense")
}

fn text(value: i32) -> String {
    format!(r#"(module (func (export "f") (result i32) (i32.const {value})))"#)
}

/// Makes the module of a value, and checks that it is that one.
fn make(engine: &Engine, value: i32) {
    let module = Module::new(engine, text(value)).expect("valid");
    let mut store = Store::new(engine, ());
    let instance = Instance::new(&mut store, &module, &[]).expect("it needs nothing");
    let f = instance
        .get_typed_func::<(), i32>(&mut store, "f")
        .expect("exported");
    assert_eq!(f.call(&mut store, ()).expect("it returns"), value);
}

fn counts(cache: &Cache) -> (usize, usize) {
    (cache.cache_hits(), cache.cache_misses())
}

#[test]
fn modules_are_found_again() {
    let scratch = Scratch::new("found");
    let cache = scratch.cache();
    make(&engine(&cache), 1);
    make(&engine(&cache), 1);
    make(&engine(&cache), 2);
    assert_eq!(counts(&cache), (1, 2));
    // As in another process.
    let other = scratch.cache();
    make(&engine(&other), 2);
    assert_eq!(counts(&other), (1, 0));
    let CacheUsage { entries, bytes, .. } = other.usage().expect("it can be read");
    assert!(entries == 2 && bytes > 200, "{entries} entries of {bytes} bytes");
    assert_eq!(other.clear().expect("it can be cleared").entries, 2);
    assert_eq!(cache.usage().expect("it can be read"), CacheUsage::default());
    make(&engine(&other), 2);
    assert_eq!(counts(&other), (1, 1));
}

#[test]
fn nothing_is_kept_without_being_asked() {
    let scratch = Scratch::new("unasked");
    let _cache = scratch.cache();
    make(&Engine::default(), 1);
    assert!(scratch.entries().is_empty());
}

#[test]
fn options_have_entries_of_their_own() {
    let scratch = Scratch::new("options");
    let cache = scratch.cache();
    let with = |change: fn(&mut Config)| {
        let mut config = Config::new();
        change(config.cache(Some(cache.clone())));
        make(&Engine::new(&config).expect("the options make sense"), 1);
        cache.cache_misses()
    };
    assert_eq!(with(|_| ()), 1);
    assert_eq!(
        with(|config| {
            config.memory_reservation(1 << 20);
        }),
        2
    );
    assert_eq!(
        with(|config| {
            config.memory_guard_size(1 << 20);
        }),
        3
    );
    assert_eq!(
        with(|config| {
            config.wasm_multi_memory(false);
        }),
        4
    );
    // These change no code.
    assert_eq!(
        with(|config| {
            config.max_wasm_stack(1 << 18);
        }),
        4
    );
    assert_eq!(
        with(|config| {
            config.parallel_compilation(false);
        }),
        4
    );
}

#[test]
fn invalid_modules_are_refused_and_not_kept() {
    let scratch = Scratch::new("invalid");
    let cache = scratch.cache();
    for _ in 0..2 {
        assert!(Module::new(&engine(&cache), "(module (func (result i32)))").is_err());
    }
    assert_eq!(counts(&cache), (0, 2));
    assert!(scratch.entries().is_empty());
}

/// What a crash, a full disk or a neighbour may leave.
#[test]
fn broken_entries_are_dropped_and_made_again() {
    let scratch = Scratch::new("broken");
    let cache = scratch.cache();
    make(&engine(&cache), 1);
    let [path] = &scratch.entries()[..] else {
        panic!("one entry")
    };
    let whole = fs::read(path).expect("it was written");
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    };
    let broken = [
        vec![],
        whole[..20].to_vec(),
        whole[..32].to_vec(),
        whole[..whole.len() - 1].to_vec(),
        [&whole[..], &[0]].concat(),
        flipped(0),
        flipped(40),
        flipped(whole.len() - 1),
        vec![0; 2 << 20],
    ];
    let count = broken.len();
    for bytes in broken {
        fs::write(path, bytes).expect("it is ours");
        make(&engine(&cache), 1);
        assert!(fs::read(path).expect("it was written again") == whole);
    }
    assert_eq!(counts(&cache), (0, 1 + count));
    make(&engine(&cache), 1);
    assert_eq!(counts(&cache), (1, 1 + count));
}

/// An entry is bound to its module, and to the secret of its folder.
#[test]
fn entries_cannot_be_swapped_or_brought_along() {
    let scratch = Scratch::new("swapped");
    let cache = scratch.cache();
    make(&engine(&cache), 1);
    make(&engine(&cache), 2);
    let [one, two] = &scratch.entries()[..] else {
        panic!("two entries")
    };
    let other = fs::read(two).expect("it was written");
    fs::copy(one, two).expect("it is ours");
    make(&engine(&cache), 1);
    make(&engine(&cache), 2);
    assert_eq!(counts(&cache), (1, 3), "one of them was another module");

    let elsewhere = Scratch::new("elsewhere");
    let foreign = elsewhere.cache();
    fs::write(elsewhere.0.join(two.file_name().expect("a file")), other).expect("it is ours");
    make(&engine(&foreign), 1);
    make(&engine(&foreign), 2);
    assert_eq!(counts(&foreign), (0, 2), "another folder has another secret");
}

#[test]
fn a_folder_that_others_can_write_is_refused() {
    let scratch = Scratch::new("open");
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    let set =
        |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
    make(&engine(&scratch.cache()), 1);
    let key = scratch.0.join("key");
    assert_eq!((mode(&scratch.0), mode(&key)), (0o700, 0o600));
    assert_eq!(mode(&scratch.entries()[0]), 0o600);
    for (path, bad, good) in [
        (&scratch.0, 0o770, 0o750),
        (&scratch.0, 0o702, 0o700),
        (&key, 0o640, 0o600),
        (&key, 0o604, 0o400),
    ] {
        set(path, bad);
        let error = scratch.limited(1 << 20).expect_err("others could change it");
        assert!(format!("{error:#}").contains("other users can"), "{error:#}");
        set(path, good);
        make(&engine(&scratch.cache()), 1);
    }
}

#[test]
fn a_broken_secret_is_made_again() {
    let scratch = Scratch::new("secret");
    make(&engine(&scratch.cache()), 1);
    fs::write(scratch.0.join("key"), b"short").expect("it is ours");
    let cache = scratch.cache();
    make(&engine(&cache), 1);
    make(&engine(&cache), 1);
    assert_eq!(counts(&cache), (1, 1));
}

#[test]
fn the_least_recently_used_entries_go_first() {
    let scratch = Scratch::new("evicted");
    make(&engine(&scratch.cache()), 0);
    let entry_bytes = fs::metadata(&scratch.entries()[0]).expect("it was written").len();
    let cache = scratch
        .limited(3 * entry_bytes + entry_bytes / 2)
        .expect("the folder can be used");
    let hits_after = |value| {
        make(&engine(&cache), value);
        cache.cache_hits()
    };
    assert_eq!([1, 2].map(hits_after), [0, 0]);
    assert_eq!(hits_after(0), 1, "used again");
    assert_eq!(hits_after(3), 1, "one too many");
    assert_eq!(scratch.entries().len(), 3);
    assert_eq!([0, 2, 3].map(hits_after), [2, 3, 4]);
    assert_eq!(hits_after(1), 4, "the one that was used least recently is gone");

    // What is larger than everything together is not kept, and evicts nothing.
    let tiny = scratch.limited(entry_bytes / 2).expect("the folder can be used");
    make(&engine(&tiny), 9);
    assert_eq!((counts(&tiny), scratch.entries().len()), ((0, 1), 3));
}

#[test]
fn files_of_dead_writers_are_cleared_away() {
    let scratch = Scratch::new("dead");
    let cache = scratch.cache();
    let (old, young) = (scratch.0.join(".new-1-2-3"), scratch.0.join(".new-4-5-6"));
    for path in [&old, &young] {
        fs::write(path, "half an ent").expect("it is ours");
    }
    let file = fs::File::options().write(true).open(&old).expect("it is there");
    file.set_modified(SystemTime::now() - Duration::from_secs(7200))
        .expect("it is ours");
    make(&engine(&cache), 1);
    assert!(
        !old.exists() && young.exists(),
        "the writer of the young one may live"
    );
    cache.clear().expect("it can be cleared");
    assert!(!young.exists());
}

/// The disk is gone: everything works, nothing is kept.
#[test]
fn no_error_of_the_disk_reaches_the_module() {
    let scratch = Scratch::new("gone");
    let cache = scratch.cache();
    fs::remove_dir_all(&scratch.0).expect("it is ours");
    make(&engine(&cache), 1);
    make(&engine(&cache), 1);
    assert_eq!(counts(&cache), (0, 2));
    assert!(cache.usage().is_err());

    fs::write(&scratch.0, "a file").expect("it is ours");
    assert!(scratch.limited(1 << 20).is_err());
    fs::remove_file(&scratch.0).expect("it is ours");
}

#[test]
fn a_folder_is_shared_without_locks() {
    let scratch = Scratch::new("shared");
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let scratch = &scratch;
            scope.spawn(move || {
                // Each opens it anew, as a process would; some clear or fill it meanwhile.
                for value in 0..30 {
                    let cache = scratch.limited(8 << 10).expect("the folder can be used");
                    make(&engine(&cache), (value * (thread + 1)) % 20);
                    if value % 10 == 9 && thread == 0 {
                        cache.clear().expect("it can be cleared");
                    }
                }
            });
        }
    });
    let names = fs::read_dir(&scratch.0).expect("it is there");
    for name in names.map(|file| file.expect("it can be listed").file_name()) {
        let name = name.to_string_lossy().into_owned();
        assert!(name == "key" || name.ends_with(".cwall"), "{name} is left");
    }
}
