//! The folder of a cache: files of one user, which appear whole or not at all.
//!
//! Requires a file system that renames and links atomically. Guarantees that a folder that others
//! can write is refused, that files which were never finished are cleared away, and that reading
//! takes bounded memory. Deliberately knows nothing of modules.

use crate::{Context, Result, bail};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

/// How entries end.
pub(super) const ENDING: &str = "cwall";
/// How files begin that are still being written.
const UNFINISHED: &str = ".new-";
/// The file with the key of the MACs.
const SECRET: &str = "key";
/// After this time the writer of an unfinished file is dead.
const UNFINISHED_TIME_MAX: Duration = Duration::from_secs(3600);
/// Permission bits by which others than the owner can write.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// An open folder.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
}

/// An entry.
pub(super) struct Entry {
    path: PathBuf,
    pub(super) bytes: u64,
    /// When it was last used.
    used: SystemTime,
}

impl Folder {
    /// Opens the folder, which is made for this user alone if it is missing.
    pub(super) fn open(path: &Path) -> Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        let metadata = fs::metadata(path)?;
        check_owner(&metadata)?;
        if metadata.mode() & WRITABLE_BY_OTHERS != 0 {
            bail!("other users can write to it; `chmod go-w` it or choose another one");
        }
        Ok(Self { path: path.into() })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The secret of this folder, made on first use.
    pub(super) fn secret<const N: usize>(&self) -> Result<[u8; N]> {
        let path = self.path.join(SECRET);
        // Ends because whatever stands in the way is removed, or is a finished file.
        for _ in 0..8 {
            match self.read_secret(&path)? {
                Some(secret) => return Ok(secret),
                None => self.make_secret::<N>(&path)?,
            }
        }
        bail!("its key is changed all the time");
    }

    /// `None` if there is none, or a broken one, which is removed.
    fn read_secret<const N: usize>(&self, path: &Path) -> Result<Option<[u8; N]>> {
        let mut file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.context("cannot read its key")?,
        };
        let metadata = file.metadata()?;
        check_owner(&metadata)?;
        if metadata.mode() & 0o077 != 0 {
            bail!("other users can read its key; remove the folder, or choose another one");
        }
        let mut secret = [0; N];
        if metadata.len() == N as u64 && file.read_exact(&mut secret).is_ok() {
            return Ok(Some(secret));
        }
        fs::remove_file(path)?;
        Ok(None)
    }

    /// Puts a new secret there unless someone else was faster.
    fn make_secret<const N: usize>(&self, path: &Path) -> Result<()> {
        let mut secret = [0; N];
        let mut filled = 0;
        // Ends because every round that is not an error fills at least one byte.
        while filled < N {
            let flags = rustix::rand::GetRandomFlags::empty();
            filled += rustix::rand::getrandom(&mut secret[filled..], flags)?;
        }
        let unfinished = self.write_unfinished(&[&secret])?;
        // A link, and not a rename: never over the secret of another process.
        let linked = fs::hard_link(&unfinished, path);
        let removed = fs::remove_file(&unfinished);
        match linked {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error)?,
            _ => Ok(removed?),
        }
    }

    /// An open file; `None` if there is none, or one of more than `bytes_max`, which is removed.
    pub(super) fn entry(&self, name: &str, bytes_max: u64) -> Option<File> {
        let file = File::open(self.path.join(name)).ok()?;
        let metadata = file.metadata().ok()?;
        if metadata.is_file() && metadata.len() <= bytes_max {
            return Some(file);
        }
        self.remove(name);
        None
    }

    /// Writes a file of these two parts, whole or not at all.
    pub(super) fn write(&self, name: &str, body: &[u8], tail: &[u8]) -> io::Result<()> {
        let unfinished = self.write_unfinished(&[body, tail])?;
        let renamed = fs::rename(&unfinished, self.path.join(name));
        if renamed.is_err() {
            let _ = fs::remove_file(&unfinished);
        }
        renamed
    }

    fn write_unfinished(&self, parts: &[&[u8]]) -> io::Result<PathBuf> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let name = format!(
            "{UNFINISHED}{}-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Relaxed),
            time.unwrap_or_default().as_nanos()
        );
        let path = self.path.join(name);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        let written = parts.iter().try_for_each(|part| file.write_all(part));
        match written {
            Ok(()) => Ok(path),
            Err(error) => {
                // The disk may be full: what was written is in the way.
                let _ = fs::remove_file(&path);
                Err(error)
            }
        }
    }

    /// Marks a file as just used.
    pub(super) fn touch(&self, file: &File) {
        // A file that keeps its old time only goes earlier.
        let _ = file.set_modified(SystemTime::now());
    }

    /// Removes a file, if it is there.
    pub(super) fn remove(&self, name: &str) {
        let _ = fs::remove_file(self.path.join(name));
    }

    /// All entries, the least recently used first.
    pub(super) fn entries(&self) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for file in fs::read_dir(&self.path)? {
            let path = file?.path();
            // Another process may have removed it meanwhile.
            let Ok(metadata) = fs::symlink_metadata(&path) else {
                continue;
            };
            if metadata.is_file() && path.extension().is_some_and(|ending| ending == ENDING) {
                entries.push(Entry {
                    path,
                    bytes: metadata.len(),
                    used: metadata.modified()?,
                });
            }
        }
        entries.sort_by(|a, b| (a.used, &a.path).cmp(&(b.used, &b.path)));
        Ok(entries)
    }

    /// Removes the least recently used entries until all together have at most so many bytes, and
    /// what dead writers left.
    pub(super) fn evict(&self, bytes_max: u64) {
        let _ = self.remove_unfinished(UNFINISHED_TIME_MAX);
        let Ok(entries) = self.entries() else {
            return;
        };
        let mut bytes: u64 = entries.iter().map(|entry| entry.bytes).sum();
        for entry in entries {
            if bytes <= bytes_max {
                return;
            }
            let _ = fs::remove_file(&entry.path);
            bytes -= entry.bytes;
        }
    }

    /// Removes every entry and every unfinished file.
    pub(super) fn clear(&self) -> Result<()> {
        self.remove_unfinished(Duration::ZERO)?;
        for entry in self.entries()? {
            match fs::remove_file(&entry.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Removes unfinished files that are at least this old.
    fn remove_unfinished(&self, age_min: Duration) -> Result<()> {
        for file in fs::read_dir(&self.path)? {
            let file = file?;
            let is_unfinished = file.file_name().to_string_lossy().starts_with(UNFINISHED);
            let Some(changed) = is_unfinished
                .then(|| file.metadata().ok()?.modified().ok())
                .flatten()
            else {
                continue;
            };
            // A time in the future is none that a living writer made.
            let age = SystemTime::now().duration_since(changed).unwrap_or(Duration::MAX);
            if age >= age_min {
                let _ = fs::remove_file(file.path());
            }
        }
        Ok(())
    }
}

fn check_owner(metadata: &fs::Metadata) -> Result<()> {
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        bail!("it belongs to another user");
    }
    Ok(())
}
