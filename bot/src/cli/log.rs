//! Owns `tidegate log`: checking the hash chains of the log, on the storage itself.
//! Refuses to repair, a broken chain is evidence, and to call whole what is not there.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use super::{Exit, Failure, Out, serve};
use crate::app;
use crate::config::Sources;

/// What to do with the log.
#[derive(Debug, Subcommand)]
pub(super) enum LogCommand {
    /// Reads every chain and names the first line that does not fit; exit code 10 when there is one.
    Verify(Verify),
}

/// Which storage is read.
#[derive(Args, Debug)]
pub(super) struct Verify {
    /// The configuration file of the server; `tidegate.yml` if it is there.
    #[arg(long = "config.file", value_name = "FILE", env = "TIDEGATE_CONFIG_FILE")]
    config_file: Option<PathBuf>,
    /// The directory of the database, when it is not the configured one.
    #[arg(long = "storage.path", value_name = "DIR")]
    storage_path: Option<String>,
}

impl LogCommand {
    pub(super) fn run(self, out: &mut Out) -> Result<Exit, Failure> {
        match self {
            Self::Verify(verify) => verify.run(out),
        }
    }
}

impl Verify {
    fn run(self, out: &mut Out) -> Result<Exit, Failure> {
        let flags = self.storage_path.map(|path| ("storage.path", path));
        let file = serve::config_file(self.config_file);
        let config = Sources::of_process(file, flags.into_iter().collect()).load()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let report = runtime.block_on(app::verify_log(&config)).map_err(serve::failed)?;
        if report.chains.is_empty() {
            return Err(Failure::new(Exit::Invalid, "there is no log in this database").hint(
                "A log begins with the first rollout. Name the server's storage with --config.file or --storage.path.",
            ));
        }
        let lines: u64 = report.chains.iter().map(|chain| chain.lines).sum();
        let broken: Vec<_> = report
            .broken()
            .map(|chain| json!({ "chain": chain.name, "line": chain.broken_at }))
            .collect();
        let mut text = vec![format!("{} chains, {lines} lines", report.chains.len())];
        text.extend(report.broken().map(|chain| {
            let line = chain.broken_at.unwrap_or_default();
            format!("{}: line {line} does not fit what stands before it", chain.name)
        }));
        let exit = if broken.is_empty() { Exit::Done } else { Exit::Problems };
        text.push(
            if broken.is_empty() {
                "The log is whole."
            } else {
                "The log was changed."
            }
            .to_owned(),
        );
        let value = json!({ "chains": report.chains.len(), "lines": lines, "broken": broken });
        out.verdict(exit, text.join("\n"), &value)?;
        Ok(exit)
    }
}
