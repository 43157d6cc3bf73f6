//! Source files: they say what they are, they are small, and nothing in them is left open.

use std::os::unix::fs::PermissionsExt as _;

use tidegate_tests::paths::repository;

use super::{assert_none, texts};

/// Lines of a source file without its tests.
const LONGEST: usize = 500;

/// Written in two pieces, so that this file does not find itself.
const LEFT_OPEN: [&str; 6] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("to", "do!("),
    concat!("unimplem", "ented!("),
    concat!("#[ig", "nore"),
];

#[test]
fn every_source_file_opens_by_saying_what_it_is() {
    let sources = texts("rs");
    assert!(sources.len() > 20, "only {} sources were found", sources.len());
    let silent = sources.iter().filter(|source| !source.content.starts_with("//! "));
    let silent: Vec<String> = silent.map(|source| source.path.display().to_string()).collect();
    assert_none("the first line has to be `//! …`", &silent);
}

#[test]
fn every_source_file_is_one_room() {
    let sources = texts("rs");
    let long = sources
        .iter()
        .map(|source| (source.code().lines().count(), source))
        .filter(|(lines, _)| *lines > LONGEST);
    let long: Vec<String> = long
        .map(|(lines, source)| format!("{}: {lines} lines", source.path.display()))
        .collect();
    assert_none("split what is longer than 500 lines", &long);
}

#[test]
fn nothing_is_left_open() {
    let mut open = Vec::new();
    for text in ["rs", "sql", "hbs", "py", "toml"].into_iter().flat_map(texts) {
        for (index, line) in text.content.lines().enumerate() {
            if let Some(word) = LEFT_OPEN.iter().find(|word| line.contains(**word)) {
                open.push(format!("{}:{}: {word}", text.path.display(), index + 1));
            }
        }
    }
    assert_none("do it, or write an issue", &open);
}

#[test]
fn the_scripts_can_be_run() {
    for script in [".ci/run", "tests/run"] {
        let mode = repository().join(script).metadata().expect(script).permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{script} has no run bit");
    }
}
