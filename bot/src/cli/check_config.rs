//! Owns `tidegate check-config`: says everything that is wrong with configuration files, and starts nothing.
//! Refuses to stop at the first fault or the first file.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{Exit, Failure, Out};
use crate::app::{Misfits, misfits};
use crate::config::{Config, Fault, Sources};
use crate::plans::Plans;
use crate::render::Renderer;

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
                Ok(config) => {
                    let found = named_files(&config);
                    (
                        found.faults,
                        config.warnings.into_iter().chain(found.warnings).collect(),
                    )
                }
                Err(faults) => (faults.all, faults.warnings),
            };
            if !faults.is_empty() {
                exit = Exit::Invalid;
            }
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

/// What is wrong with the plans and templates that a good configuration names.
pub(super) fn named_files(config: &Config) -> Misfits {
    let plans = Plans::read(&config.plans.directory, &config.plans.patterns);
    let mut found = misfits(config, &plans);
    found.faults.extend(templates(config));
    found
}

/// What is wrong with the templates alone: a server does not start with one that is broken.
pub(super) fn templates(config: &Config) -> Vec<Fault> {
    let broken = Renderer::new(config.outside.templates.as_deref()).err();
    let faults = broken.into_iter().flatten().map(|fault| Fault {
        path: "templates.directory".to_owned(),
        origin: None,
        message: fault.to_string(),
    });
    faults.collect()
}
