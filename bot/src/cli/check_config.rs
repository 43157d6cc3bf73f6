//! Owns `tidegate check-config`: says everything that is wrong with configuration files, and starts nothing.
//! Refuses to stop at the first fault or the first file.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{Exit, Failure, Out};
use crate::config::Sources;

/// Which files are checked.
#[derive(Args, Debug)]
pub(super) struct CheckConfig {
    /// Configuration files; the environment counts as it would for the server.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl CheckConfig {
    pub(super) fn run(self, out: &mut Out) -> Result<Exit, Failure> {
        let (mut text, mut results, mut exit) = (Vec::new(), Vec::new(), Exit::Done);
        for file in self.files {
            let name = file.display().to_string();
            let loaded = Sources::of_process(Some(file), Vec::new()).load();
            let (faults, warnings) = match loaded {
                Ok(config) => (Vec::new(), config.warnings),
                Err(faults) => {
                    exit = Exit::Invalid;
                    (faults.all, faults.warnings)
                }
            };
            let verdict = match faults.len() {
                0 => "good".to_owned(),
                1 => "1 fault".to_owned(),
                many => format!("{many} faults"),
            };
            text.push(format!("{name}: {verdict}"));
            text.extend(faults.iter().map(|fault| format!("  error: {fault}")));
            text.extend(warnings.iter().map(|warning| format!("  warning: {warning}")));
            results.push(json!({ "file": name, "faults": faults, "warnings": warnings }));
        }
        out.verdict(exit, text.join("\n"), &results)?;
        Ok(exit)
    }
}
