//! What users take with them: the image, the manifests, the unit, the snippets. Each is judged by the program that will read it,
//! or by something as strict.

mod image;
mod manifests;
mod reference;
mod systemd;

use std::path::PathBuf;

use anyhow::{Context, Result};
use tidegate_tests::paths::repository;
use tidegate_tests::process::{Launch, installed};

/// A file or folder below `deploy`.
pub(crate) fn shipped(name: &str) -> PathBuf {
    repository().join("deploy").join(name)
}

/// Its text.
pub(crate) fn text(name: &str) -> Result<String> {
    let path = shipped(name);
    std::fs::read_to_string(&path).with_context(|| path.display().to_string())
}

/// Lets promtool judge a file with alerting rules.
pub(crate) fn rules_are_taken(name: &str) -> Result<()> {
    let promtool = installed("promtool", "prometheus")?;
    Launch::new(promtool)
        .args(["check", "rules"])
        .arg(shipped(name))
        .run()
        .map(drop)
}

/// Lets promtool carry out a file of tests of alerting rules.
pub(crate) fn rules_are_tested(name: &str) -> Result<()> {
    let promtool = installed("promtool", "prometheus")?;
    Launch::new(promtool)
        .args(["test", "rules"])
        .arg(shipped(name))
        .run()
        .map(drop)
}

/// Lets amtool judge a configuration of Alertmanager.
pub(crate) fn routes_are_taken(name: &str) -> Result<()> {
    let amtool = installed("amtool", "prometheus-alertmanager")?;
    Launch::new(amtool)
        .arg("check-config")
        .arg(shipped(name))
        .run()
        .map(drop)
}

#[test]
fn the_snippets_are_taken_by_the_programs_that_read_them() -> Result<()> {
    rules_are_taken("prometheus/rules.yml")?;
    rules_are_tested("prometheus/rules.test.yml")?;
    routes_are_taken("alertmanager/alertmanager.yml")?;
    let promtool = installed("promtool", "prometheus")?;
    Launch::new(promtool)
        .args(["check", "config"])
        .arg(shipped("prometheus/prometheus.yml"))
        .run()
        .map(drop)
}

/// An alert about a series that nobody exports never fires.
#[test]
fn every_series_of_the_rules_is_one_that_is_exported() -> Result<()> {
    let page = std::fs::read_to_string(repository().join("docs/configuration.md"))?;
    let series = regex::Regex::new(r"\btidegate_[a-z_]+")?;
    let rules = text("prometheus/rules.yml")?;
    let named: Vec<&str> = series.find_iter(&rules).map(|found| found.as_str()).collect();
    assert!(named.len() > 3, "{named:?}");
    let unknown: Vec<&&str> = named
        .iter()
        .filter(|name| !page.contains(&format!("`{name}`")))
        .collect();
    assert!(
        unknown.is_empty(),
        "not in the list of docs/configuration.md: {unknown:?}"
    );
    Ok(())
}
