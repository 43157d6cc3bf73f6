//! Where things lie: the repository, the fixtures, the build.
//!
//! Refuses to guess: the build folder is the one this very test was started from.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The root of the repository.
#[must_use]
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new("."))
        .to_owned()
}

/// The text of `tests/fixtures/<name>`, byte for byte.
///
/// # Errors
/// Names the file that cannot be read.
pub fn fixture(name: &str) -> Result<String> {
    let path = repository().join("tests/fixtures").join(name);
    std::fs::read_to_string(&path).with_context(|| format!("could not read the fixture {}", path.display()))
}

/// The folder of the built programs: `target/debug`, or what `CARGO_TARGET_DIR` and the profile make of it.
///
/// # Errors
/// When this test does not lie where Cargo puts tests.
pub fn programs() -> Result<PathBuf> {
    let test = std::env::current_exe().context("could not tell which program this is")?;
    let deps = test.parent().filter(|folder| folder.ends_with("deps"));
    let programs = deps.and_then(Path::parent);
    programs
        .map(Path::to_owned)
        .with_context(|| format!("{} does not lie in a Cargo target folder", test.display()))
}

/// Cargo's target folder, where the tools of the tests lie beside the profiles.
///
/// # Errors
/// As [`programs`].
pub fn target() -> Result<PathBuf> {
    let programs = programs()?;
    programs
        .parent()
        .map(Path::to_owned)
        .with_context(|| format!("{} has no parent", programs.display()))
}
