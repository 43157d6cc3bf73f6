//! The house rules that a compiler does not keep: files, rooms, packages, prose, fixtures.

mod inside;
mod packages;
mod prose;
mod rooms;
mod sources;

use std::path::{Path, PathBuf};

use tidegate_tests::paths::repository;
use walkdir::WalkDir;

/// A text of the repository and its path from the root.
struct Text {
    path: PathBuf,
    content: String,
}

impl Text {
    /// Everything before the tests that a source file carries at its end.
    fn code(&self) -> &str {
        self.content.split("\n#[cfg(test)]\nmod ").next().unwrap_or_default()
    }
}

/// Every file with `extension` below the folders of the workspace and beside them, in order.
fn texts(extension: &str) -> Vec<Text> {
    let root = repository();
    let ours = |path: &Path| !["target", ".git"].iter().any(|folder| path == root.join(folder));
    let files = WalkDir::new(&root)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|entry| ours(entry.path()));
    let files = files.map(|entry| entry.expect("the repository can be read").into_path());
    let wanted = files.filter(|path| path.is_file() && path.extension().is_some_and(|found| found == extension));
    let read = |path: PathBuf| {
        let content = std::fs::read_to_string(&path).expect("a text of the repository is UTF-8");
        Text {
            path: path.strip_prefix(&root).expect("it lies below the root").to_owned(),
            content,
        }
    };
    wanted.map(read).collect()
}

/// Fails with one line for each finding.
#[track_caller]
fn assert_none(what: &str, findings: &[String]) {
    assert!(findings.is_empty(), "{what}:\n{}", findings.join("\n"));
}
