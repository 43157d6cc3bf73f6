//! A folder for one test: gone afterwards, kept when the test panicked or whoever runs it wants to keep them all.
//!
//! A scenario that ends with an error is not told apart from one that ends well: its folder goes before the error is seen.
//! `./tests/run` therefore keeps every folder, and takes them away itself when nothing failed.
//!
//! Lies in the system's temporary folder and not in the repository, because the database's user must be able to reach it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tempfile::TempDir;

/// Set to keep every folder, whatever the test said; `./tests/run` sets it.
const KEEP: &str = "TIDEGATE_TESTS_KEEP";

/// A folder that lives as long as this value.
#[derive(Debug)]
pub struct Scratch {
    folder: TempDir,
}

impl Scratch {
    /// Makes a folder whose name tells what it is for.
    ///
    /// # Errors
    /// When the temporary folder cannot be written.
    pub fn new(name: &str) -> Result<Self> {
        let prefix = format!("tidegate-{name}-");
        let folder = tempfile::Builder::new()
            .prefix(&prefix)
            .tempdir()
            .context("could not make a temporary folder")?;
        Ok(Self { folder })
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file into the folder and returns its path.
    ///
    /// # Errors
    /// Names the file that could not be written.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<PathBuf> {
        let path = self.path().join(name);
        std::fs::write(&path, content).with_context(|| format!("could not write {}", path.display()))?;
        Ok(path)
    }
}

impl Drop for Scratch {
    #[expect(
        clippy::print_stderr,
        reason = "whoever reads the failure wants to know where the logs lie"
    )]
    fn drop(&mut self) {
        if std::thread::panicking() || std::env::var_os(KEEP).is_some() {
            self.folder.disable_cleanup(true);
            eprintln!("kept: {}", self.folder.path().display());
        }
    }
}
