//! What a scrape of `/metrics` says, in the text form of Prometheus.
//!
//! Refuses to know the names: a scenario asks for the series it means.

use anyhow::{Context, Result};

/// The values of `name` on every line that carries all of `labels`, added up; nothing when there is no such line.
///
/// # Errors
/// When such a line ends with no number.
pub fn sum(text: &str, name: &str, labels: &[(&str, &str)]) -> Result<Option<f64>> {
    let labels: Vec<String> = labels
        .iter()
        .map(|(name, value)| format!("{name}=\"{value}\""))
        .collect();
    let lines = text.lines().filter(|line| {
        let rest = line.strip_prefix(name);
        rest.is_some_and(|rest| rest.starts_with(['{', ' ']) && labels.iter().all(|label| has(rest, label)))
    });
    let mut sum = None;
    for line in lines {
        let value = line.rsplit_once(' ').and_then(|(_, value)| value.parse::<f64>().ok());
        *sum.get_or_insert(0.0) += value.with_context(|| format!("no number: {line}"))?;
    }
    Ok(sum)
}

/// Whether a line carries `label` as a whole: `result="stored"` does not stand in `last_result="stored"`.
fn has(line: &str, label: &str) -> bool {
    line.match_indices(label)
        .any(|(at, _)| line[..at].ends_with(['{', ',']))
}
