//! A folder for the files of one measurement, gone with it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// The folder.
pub struct Scratch {
    folder: PathBuf,
}

impl Scratch {
    /// A new folder that only this user can enter: a cache accepts no other.
    ///
    /// # Errors
    ///
    /// If it cannot be made.
    pub fn new() -> io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "cellwall-bench-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Relaxed)
        );
        let folder = std::env::temp_dir().join(name);
        std::fs::DirBuilder::new().mode(0o700).create(&folder)?;
        Ok(Self { folder })
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A file of these bytes.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn file(&self, bytes: &[u8]) -> io::Result<PathBuf> {
        let file = self.folder.join("module");
        std::fs::write(&file, bytes)?;
        Ok(file)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left is left in a folder for what may go.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
