//! Flags as a user's service sees them: through the OpenFeature SDK for Python and its OFREP provider.
//!
//! Owns the call of `tests/openfeature/evaluate.py` in the virtual environment that `tests/run` makes.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use tokio::process::Command;

use crate::paths;

/// What the SDK answered for one targeting key.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Evaluation {
    /// The flag's value; false when there was an error.
    pub value: bool,
    /// Why, in the SDK's words (`SPLIT`, `ERROR`, …).
    pub reason: Option<String>,
    /// The variant's name.
    pub variant: Option<String>,
    /// The error's code and message.
    pub error: Option<String>,
}

/// Evaluates `flag` for every targeting key, in order. An empty `token` sends none.
///
/// # Errors
/// When the SDK is not installed or the script fails; carries what it printed.
pub async fn evaluate(base_url: &str, token: &str, flag: &str, targeting_keys: &[&str]) -> Result<Vec<Evaluation>> {
    let python = paths::target()?.join("python/bin/python");
    ensure!(
        python.is_file(),
        "{} is missing: run `./tests/run prepare`",
        python.display()
    );
    let script = paths::repository().join("tests/openfeature/evaluate.py");
    let output = Command::new(python)
        .arg(script)
        .args([base_url, token, flag])
        .args(targeting_keys)
        .kill_on_drop(true)
        .output()
        .await
        .context("could not start Python")?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the OpenFeature client failed: {complaint}");
    let lines = String::from_utf8(output.stdout).context("the OpenFeature client printed no text")?;
    lines
        .lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("not an evaluation: {line}")))
        .collect()
}
