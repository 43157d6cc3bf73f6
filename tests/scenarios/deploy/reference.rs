//! The reference of the configuration: every key that the code reads is in it, with its default, and no other.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use tidegate::config::{self, EXAMPLE};
use tidegate_tests::paths::repository;

const BEGIN: &str = "<!-- keys: checked against the code -->\n";
const END: &str = "<!-- end of keys -->";

/// The rows of the page: key, default, meaning.
fn rows() -> Result<BTreeMap<String, (String, String)>> {
    let page = std::fs::read_to_string(repository().join("docs/configuration.md"))?;
    let table = page.split_once(BEGIN).context("no table")?.1;
    let table = table.split_once(END).context("no end of the table")?.0;
    let mut rows = BTreeMap::new();
    for line in table.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split("|").map(str::trim).collect();
        let [key, default, meaning] = cells.try_into().ok().with_context(|| line.to_owned())?;
        let (key, default) = (key.trim_matches('`').to_owned(), default.trim_matches('`').to_owned());
        let before = rows.insert(key.clone(), (default, meaning.to_owned()));
        ensure!(before.is_none(), "`{key}` stands there twice");
    }
    Ok(rows)
}

#[test]
fn every_key_of_the_code_is_on_the_page_and_no_other() -> Result<()> {
    let rows = rows()?;
    let page: BTreeSet<&String> = rows.keys().collect();
    let keys = config::keys();
    let code: BTreeSet<&String> = keys.iter().collect();
    ensure!(code.len() > 60, "{code:?}");
    let missing: Vec<_> = code.difference(&page).collect();
    let gone: Vec<_> = page.difference(&code).collect();
    ensure!(
        missing.is_empty() && gone.is_empty(),
        "not on the page: {missing:#?}\nnot in the code: {gone:#?}"
    );
    let mute: Vec<_> = rows.iter().filter(|(_, (_, meaning))| meaning.len() < 10).collect();
    ensure!(mute.is_empty(), "without a word: {mute:?}");
    Ok(())
}

/// The defaults are read from the example file, so the page must say what stands there.
#[test]
fn the_defaults_on_the_page_are_those_of_the_example_file() -> Result<()> {
    let defaults: serde_json::Value = serde_saphyr::from_str(EXAMPLE)?;
    for (key, (said, _)) in rows()? {
        let pointer = format!("/{}", key.replace('.', "/"));
        let found = match defaults.pointer(&pointer) {
            None => String::new(),
            Some(serde_json::Value::String(text)) => text.clone(),
            Some(list) if list.as_array().is_some_and(Vec::is_empty) => "[]".to_owned(),
            Some(other) => other.to_string(),
        };
        ensure!(
            said == found,
            "`{key}` is {found:?} by default, and the page says {said:?}"
        );
    }
    Ok(())
}

/// Whoever fills in the example file finds every key in it, some behind a `#`.
#[test]
fn every_key_of_the_code_is_in_the_example_file() -> Result<()> {
    let word = |key: &str| key.rsplit('.').next().unwrap_or(key).trim_end_matches("[]").to_owned();
    let unseen: Vec<String> = config::keys()
        .into_iter()
        .filter(|key| !EXAMPLE.contains(&format!("{}:", word(key))))
        .filter(|key| !EXAMPLE.contains(&format!("`{}`", word(key))))
        .collect();
    // Those of a secret in the environment have no line: the head of the file says how they are spelt.
    let unseen: Vec<&String> = unseen
        .iter()
        .filter(|key| !config::keys().contains(&format!("{key}_file")))
        .collect();
    ensure!(unseen.is_empty(), "{unseen:#?}");
    Ok(())
}
