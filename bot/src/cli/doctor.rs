//! Owns `tidegate doctor`: which checks are wanted, how their findings are shown, and how the process ends.
//! Refuses to mend anything: every finding says how, and a person decides.

use std::path::PathBuf;

use clap::Args;
use clap::builder::PossibleValuesParser;
use serde_json::json;

use super::table::columns;
use super::{Exit, Failure, Out, check_config, serve};
use crate::app;
use crate::config::{Setting, Sources};
use crate::doctor::{CHECKS, Finding, Level};

/// What is looked at.
#[derive(Args, Debug)]
pub(super) struct Doctor {
    /// The configuration file; `tidegate.yml` if it is there.
    #[arg(long = "config.file", value_name = "FILE", env = "TIDEGATE_CONFIG_FILE")]
    config_file: Option<PathBuf>,
    /// Only these checks.
    #[arg(long, value_name = "CHECK", value_delimiter = ',', value_parser = PossibleValuesParser::new(CHECKS))]
    only: Vec<String>,
    /// Ends with 10 when there are warnings.
    #[arg(long)]
    strict: bool,
}

impl Doctor {
    pub(super) fn run(self, out: &mut Out) -> Result<Exit, Failure> {
        let file = serve::config_file(self.config_file);
        let named = file.is_some();
        let sources = Sources::of_process(file, Vec::new());
        let config = sources.load()?;
        let settings = sources.settings()?;
        let broken = check_config::templates(&config);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut found = runtime.block_on(app::examine(config, broken, &self.only))?;
        if !named {
            found.insert(0, no_file());
        }
        let count = |level| found.iter().filter(|finding| finding.level == level).count();
        let (failed, warned) = (count(Level::Fail), count(Level::Warn));
        let exit = match (failed, warned) {
            (0, 0) => Exit::Done,
            (0, _) if !self.strict => Exit::Done,
            (0, _) => Exit::Problems,
            _ => Exit::Unreachable,
        };
        let mut text = lines(&found);
        text.push_str(&format!("{failed} failed, {warned} warned"));
        if out.verbosity > 0 {
            text.push_str(&format!("\n\n{}", made_by(&settings).trim_end()));
        }
        let value = json!({ "checks": found, "failed": failed, "warned": warned, "settings": settings });
        out.verdict(exit, text, &value)?;
        Ok(exit)
    }
}

/// Of defaults everything may be well, and nothing of what the server uses was looked at.
fn no_file() -> Finding {
    Finding::warn(
        "configuration.file",
        "no configuration file was named, and there is no tidegate.yml here: only defaults and the environment were checked",
        "Say which: tidegate doctor --config.file=/etc/tidegate/tidegate.yml",
    )
}

/// A line for each finding, and one for what to do about it.
fn lines(found: &[Finding]) -> String {
    let widest = found
        .iter()
        .map(|finding| finding.check.len())
        .max()
        .unwrap_or_default();
    let mut text = String::new();
    for finding in found {
        let Finding { check, says, .. } = finding;
        text.push_str(&format!("{:<4}  {check:<widest$}  {says}\n", finding.level.word()));
        if let Some(fix) = &finding.fix {
            text.push_str(&format!("{:<4}  {:<widest$}  {fix}\n", "", "fix:"));
        }
    }
    text
}

/// Who made which setting; what stands at its default is left out.
fn made_by(settings: &[Setting]) -> String {
    let rows: Vec<Vec<String>> = settings
        .iter()
        .map(|setting| vec![setting.path.clone(), setting.from.clone()])
        .collect();
    columns(&rows, 0)
}
