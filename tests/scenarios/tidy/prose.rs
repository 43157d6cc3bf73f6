//! Prose: whatever a page names is there, and every fixture is named.

use std::collections::BTreeSet;
use std::path::Path;

use regex::Regex;
use tidegate_tests::paths::repository;
use walkdir::WalkDir;

use super::{Text, assert_none, texts};

/// Where a path in prose starts, when it is one of ours.
const TOP: [&str; 9] = [
    ".ci",
    "bot",
    "deploy",
    "docs",
    "migrations",
    "plans",
    "templates",
    "tests",
    "webhooks",
];

/// The paths of `page` that do not exist: links to files, and words in code style that begin with a folder of ours.
fn dangling(page: &Text) -> Vec<String> {
    let links = Regex::new(r"\]\((?P<path>[^)#\s]+)[^)]*\)").expect("it parses");
    let words = Regex::new(r"`(?P<path>[A-Za-z0-9_.-]+/[A-Za-z0-9_./-]*)`").expect("it parses");
    let root = repository();
    let beside = root.join(&page.path).parent().map(Path::to_owned).unwrap_or_default();
    let links = links.captures_iter(&page.content).map(|found| found["path"].to_owned());
    let links = links.filter(|link| !link.contains("://") && !link.starts_with("mailto:"));
    let links = links.map(|link| (beside.join(&link), link));
    let words = words.captures_iter(&page.content).map(|found| found["path"].to_owned());
    let words = words.filter(|word| word.split('/').next().is_some_and(|top| TOP.contains(&top)));
    let words = words.map(|word| (root.join(&word), word));
    let missing = links.chain(words).filter(|(path, _)| !path.exists());
    missing
        .map(|(_, name)| format!("{}: {name}", page.path.display()))
        .collect()
}

#[test]
fn whatever_the_pages_name_exists() {
    let findings: Vec<String> = texts("md").iter().flat_map(dangling).collect();
    assert_none("a page names what is not there", &findings);
}

#[test]
fn a_path_that_dangles_is_seen() {
    let content = "See `bot/src/main.rs`, [the workspace](Cargo.toml), `text/plain`, <https://example.org/bot/x>,
        `bot/src/attic.rs`, [the cellar](cellar.md#stairs), [a place](https://example.org/cellar).";
    let page = Text {
        path: "PAGE.md".into(),
        content: content.to_owned(),
    };
    assert_eq!(dangling(&page), ["PAGE.md: cellar.md", "PAGE.md: bot/src/attic.rs"]);
}

#[test]
fn every_fixture_is_in_the_index() {
    let root = repository().join("tests/fixtures");
    let index = std::fs::read_to_string(root.join("INDEX.md")).expect("there is an index");
    let row = Regex::new(r"(?m)^\| `(?P<file>[^`]+)` \|").expect("it parses");
    let named: BTreeSet<String> = row
        .captures_iter(&index)
        .map(|found| found["file"].to_owned())
        .collect();
    let files = WalkDir::new(&root)
        .into_iter()
        .map(|entry| entry.expect("the fixtures can be read").into_path());
    let files = files.filter(|path| path.is_file() && path.file_name().is_some_and(|name| name != "INDEX.md"));
    let below = |path: std::path::PathBuf| path.strip_prefix(&root).expect("it lies below").display().to_string();
    assert_eq!(files.map(below).collect::<BTreeSet<_>>(), named);
}
