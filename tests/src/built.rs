//! Programs of this workspace, found beside the test and compared with their sources.
//!
//! Cargo builds a binary only for the tests of its own package, so a test of this one could run yesterday's program. Refuses
//! to hand out a program that is missing or older than a file it was built from.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, ensure};

use crate::paths;

/// Which build of the product.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Build {
    /// What users run, beside this test.
    #[default]
    Shipped,
    /// The one that stops at named points, in `target/failpoints`.
    Failpoints,
}

impl Build {
    /// The path of the program.
    ///
    /// # Errors
    /// Says what to run when it is missing or out of date.
    pub fn program(self) -> Result<PathBuf> {
        match self {
            Self::Shipped => fresh(&paths::programs()?, "cargo build --workspace --all-targets"),
            Self::Failpoints => fresh(&paths::target()?.join("failpoints"), "./tests/run failpoints"),
        }
    }
}

/// The program `tidegate` in `folder`, if it is as new as every source that `tidegate.d` beside it names.
///
/// # Errors
/// Names what is missing or newer, and `remedy`.
pub fn fresh(folder: &Path, remedy: &str) -> Result<PathBuf> {
    let (program, sources) = (folder.join("tidegate"), folder.join("tidegate.d"));
    let built = modified(&program).with_context(|| format!("it is not built: run `{remedy}`"))?;
    let list = std::fs::read_to_string(&sources).with_context(|| format!("{} is missing", sources.display()))?;
    let sources = named_sources(&list);
    ensure!(!sources.is_empty(), "{} names no source", program.display());
    for source in sources {
        let changed = modified(&source).with_context(|| format!("the build is out of date: run `{remedy}`"))?;
        ensure!(
            changed <= built,
            "{} is newer than {}: run `{remedy}`",
            source.display(),
            program.display()
        );
    }
    Ok(program)
}

/// The files that Cargo's list `program: source source…` names; a space inside a name is written `\ `.
fn named_sources(list: &str) -> Vec<PathBuf> {
    let names = list
        .lines()
        .next()
        .and_then(|line| line.split_once(": "))
        .map_or("", |(_, names)| names);
    let names = names.replace("\\ ", "\0");
    names
        .split_whitespace()
        .map(|name| name.replace('\0', " ").into())
        .collect()
}

fn modified(path: &Path) -> Result<SystemTime> {
    let metadata = path
        .metadata()
        .with_context(|| format!("could not look at {}", path.display()))?;
    metadata
        .modified()
        .with_context(|| format!("{} has no time", path.display()))
}
