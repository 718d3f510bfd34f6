//! The on-disk cache: compiled modules and components by the hash of what they were made of.
//!
//! Requires a folder that only its user can change. Guarantees that an entry is used only if it was
//! written by this user for this module, compiler, processor and options, and that even then its
//! code is proven again before it runs: the cache is trusted with *which* program runs, never with
//! what a program may do. Survives anything that may happen to it: entries appear whole (a
//! temporary file is renamed), whatever is found broken is dropped and made again, and no error of
//! the disk reaches who compiles. Concurrent processes share a folder without locks.
//!
//! An entry is the bytes of [`Module::serialize`] or [`Component::serialize`] and then a MAC; its name is its key. The last use of
//! an entry is its time of modification; beyond the size limit the least recently used ones go.

mod folder;

use crate::component::Component;
use crate::{Context, Engine, Module, Result, format_err};
use blake3::Hasher;
use cellwall_abi::pack;
use cellwall_runtime::Frozen;
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::UNIX_EPOCH;

use folder::Folder;

/// Bytes of all entries together, unless said otherwise.
const SIZE_LIMIT_BYTES: u64 = 512 << 20;
/// Bytes of the MAC behind the contents of an entry.
const MAC_BYTES: usize = blake3::OUT_LEN;

/// Options of a [`Cache`].
///
/// ```
/// use cellwall::{Cache, CacheConfig, Config, Engine, Module};
///
/// let folder = std::env::temp_dir().join(format!("cellwall-doc-{}", std::process::id()));
/// let mut options = CacheConfig::new();
/// options.with_directory(&folder).with_files_total_size_soft_limit(64 << 20);
/// let cache = Cache::new(options)?;
///
/// let mut config = Config::new();
/// config.cache(Some(cache.clone()));
/// let engine = Engine::new(&config)?;
/// Module::new(&engine, "(module)")?; // compiled
/// Module::new(&engine, "(module)")?; // loaded
/// assert_eq!((cache.cache_misses(), cache.cache_hits()), (1, 1));
/// # std::fs::remove_dir_all(&folder)?;
/// # cellwall::Ok(())
/// ```
#[derive(Clone, Debug)]
pub struct CacheConfig {
    directory: Option<PathBuf>,
    size_limit_bytes: u64,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            directory: None,
            size_limit_bytes: SIZE_LIMIT_BYTES,
        }
    }
}

impl CacheConfig {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Where the entries lie; [`Cache::default_directory`] by default.
    pub fn with_directory(&mut self, directory: impl Into<PathBuf>) -> &mut Self {
        self.directory = Some(directory.into());
        self
    }

    /// Bytes of all entries together, 512 MiB by default. When there are more, the least recently
    /// used ones are removed.
    pub fn with_files_total_size_soft_limit(&mut self, bytes: u64) -> &mut Self {
        self.size_limit_bytes = bytes;
        self
    }
}

/// Compiled modules and components in a folder; see [`Config::cache`](crate::Config::cache). Cheap to clone; clones
/// are the same cache.
#[derive(Clone)]
pub struct Cache {
    inner: Arc<Inner>,
}

struct Inner {
    folder: Folder,
    size_limit_bytes: u64,
    /// Key of the MACs.
    secret: [u8; blake3::KEY_LEN],
    /// Tells builds of this program apart; without one nothing can be shared.
    build: Option<String>,
    hits: AtomicUsize,
    misses: AtomicUsize,
}

/// What a cache holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CacheUsage {
    /// How many compiled modules and components.
    pub entries: usize,
    /// Bytes of all of them together.
    pub bytes: u64,
}

/// What entries hold, and how it comes into being.
struct Kind<C> {
    name: &'static str,
    load: fn(&Engine, Frozen, usize) -> Result<C>,
    compile: fn(&Engine, &[u8]) -> Result<C>,
    serialize: fn(&C) -> Result<Vec<u8>>,
}

/// What an entry was made of.
struct Key(blake3::Hash);

impl Cache {
    /// Opens a cache; makes its folder, for this user alone, if there is none.
    ///
    /// # Errors
    /// If there is no default folder and none was given, if the folder cannot be made or used, or
    /// if others than this user could change what is in it.
    pub fn new(config: CacheConfig) -> Result<Self> {
        let directory = config.directory.or_else(Self::default_directory);
        let directory = directory
            .ok_or_else(|| format_err!("no folder was given for the cache, and this user has no home"))?;
        let open = || {
            let folder = Folder::open(&directory)?;
            let secret = folder.secret()?;
            crate::Ok((folder, secret))
        };
        let (folder, secret) =
            open().with_context(|| format!("cannot use the cache in `{}`", directory.display()))?;
        Ok(Self {
            inner: Arc::new(Inner {
                folder,
                size_limit_bytes: config.size_limit_bytes,
                secret,
                build: build(),
                hits: AtomicUsize::new(0),
                misses: AtomicUsize::new(0),
            }),
        })
    }

    /// `$XDG_CACHE_HOME/cellwall` or `$HOME/.cache/cellwall`; `None` without either.
    pub fn default_directory() -> Option<PathBuf> {
        let absolute = |name| {
            let path = std::env::var_os(name).map(PathBuf::from);
            path.filter(|path| path.is_absolute())
        };
        let base = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")));
        Some(base?.join("cellwall"))
    }

    /// The folder.
    pub fn directory(&self) -> &Path {
        self.inner.folder.path()
    }

    /// Bytes of all entries together beyond which entries are removed.
    pub fn size_limit(&self) -> u64 {
        self.inner.size_limit_bytes
    }

    /// How many modules and components were found here since it was opened.
    pub fn cache_hits(&self) -> usize {
        self.inner.hits.load(Relaxed)
    }

    /// How many modules and components were not found here since it was opened.
    pub fn cache_misses(&self) -> usize {
        self.inner.misses.load(Relaxed)
    }

    /// What is in the folder now.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn usage(&self) -> Result<CacheUsage> {
        let entries = self.inner.folder.entries()?;
        Ok(CacheUsage {
            entries: entries.len(),
            bytes: entries.iter().map(|entry| entry.bytes).sum(),
        })
    }

    /// Removes every entry; says what there was.
    ///
    /// # Errors
    /// If the folder cannot be read or changed.
    pub fn clear(&self) -> Result<CacheUsage> {
        let usage = self.usage()?;
        self.inner.folder.clear()?;
        Ok(usage)
    }

    /// The module of a binary: from here, or compiled and then kept here.
    pub(crate) fn module(&self, engine: &Engine, binary: &[u8]) -> Result<Module> {
        self.entry(
            engine,
            binary,
            &Kind {
                name: "module",
                load: Module::from_frozen,
                compile: Module::compile,
                serialize: Module::serialize,
            },
        )
    }

    /// The component of a binary, with its adapters: from here, or compiled and then kept here.
    pub(crate) fn component(&self, engine: &Engine, binary: &[u8]) -> Result<Component> {
        self.entry(
            engine,
            binary,
            &Kind {
                name: "component",
                load: Component::from_frozen,
                compile: Component::compile,
                serialize: Component::serialize,
            },
        )
    }

    fn entry<C>(&self, engine: &Engine, binary: &[u8], kind: &Kind<C>) -> Result<C> {
        let Some(key) = self.key(engine, binary, kind.name) else {
            return (kind.compile)(engine, binary);
        };
        if let Some(compiled) = self.load(engine, &key, kind) {
            self.inner.hits.fetch_add(1, Relaxed);
            return Ok(compiled);
        }
        self.inner.misses.fetch_add(1, Relaxed);
        let compiled = (kind.compile)(engine, binary)?;
        self.store(&key, &(kind.serialize)(&compiled)?);
        Ok(compiled)
    }

    /// Everything that the code depends on.
    fn key(&self, engine: &Engine, binary: &[u8], kind: &str) -> Option<Key> {
        let build = self.inner.build.as_ref()?;
        let facts = format!(
            "{kind} {} {} {build} {:?} features={:?}",
            pack::COMPILER,
            pack::FORMAT_VERSION,
            engine.target(),
            engine.config().features(),
        );
        let mut hasher = Hasher::new();
        // The length first, so that facts and binary cannot be shifted against each other.
        hasher.update(&(facts.len() as u64).to_le_bytes());
        hasher.update(facts.as_bytes());
        hasher.update(binary);
        Some(Key(hasher.finalize()))
    }

    /// Binds the contents of an entry to its key and to this folder.
    fn mac(&self, key: &Key, contents: &[u8]) -> blake3::Hash {
        let mut hasher = Hasher::new_keyed(&self.inner.secret);
        hasher.update(key.0.as_bytes());
        hasher.update(contents);
        hasher.finalize()
    }

    /// What an entry holds; whatever does not lead to it is dropped.
    fn load<C>(&self, engine: &Engine, key: &Key, kind: &Kind<C>) -> Option<C> {
        let folder = &self.inner.folder;
        let file = folder.entry(&key.file(), self.inner.size_limit_bytes)?;
        let loaded = self.accept(engine, key, &file, kind);
        match loaded {
            Some(_) => folder.touch(&file),
            None => folder.remove(&key.file()),
        }
        loaded
    }

    fn accept<C>(&self, engine: &Engine, key: &Key, file: &File, kind: &Kind<C>) -> Option<C> {
        // Nobody can change what was hashed before it is used.
        let frozen = Frozen::of(file).ok()?;
        let bytes = frozen.bytes();
        let (contents, mac) = bytes.split_last_chunk::<MAC_BYTES>()?;
        // The comparison takes the same time wherever they differ.
        let is_ours = self.mac(key, contents) == blake3::Hash::from_bytes(*mac);
        let len = contents.len();
        is_ours.then(|| (kind.load)(engine, frozen, len).ok())?
    }

    /// Keeps an entry if that is possible, and makes room.
    fn store(&self, key: &Key, contents: &[u8]) {
        let limit = self.inner.size_limit_bytes;
        if (MAC_BYTES + contents.len()) as u64 > limit {
            return;
        }
        let mac = self.mac(key, contents);
        // Without the entry the next process compiles again; nothing else is lost.
        if self
            .inner
            .folder
            .write(&key.file(), contents, mac.as_bytes())
            .is_ok()
        {
            self.inner.folder.evict(limit);
        }
    }
}

impl Key {
    fn file(&self) -> String {
        format!("{}.{}", self.0.to_hex(), folder::ENDING)
    }
}

/// Size and time of the running program: another build makes other code, also under one version.
fn build() -> Option<String> {
    let program = std::fs::metadata(std::env::current_exe().ok()?).ok()?;
    let since = program.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(format!("{}-{}", program.len(), since.as_nanos()))
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("directory", &self.directory())
            .field("size_limit_bytes", &self.inner.size_limit_bytes)
            .finish_non_exhaustive()
    }
}
