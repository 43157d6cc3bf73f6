//! Owns `tidegate serve`: its flags, spelt as in the Prometheus world, and how a server that cannot start says so.
//! Refuses to wire anything: that is [`crate::app`].

use std::path::PathBuf;

use clap::Args;

use serde_json::json;

use super::{Exit, Failure, Out, check_config};
use crate::app::{self, Misfits};
use crate::config::{Faults, Sources};
use crate::store::OpenError;

/// The configuration that is read when no other is named, if it is there.
const USUAL: &str = "tidegate.yml";

/// The configuration file of a server: the one that is named, else the usual one if it is there.
pub(super) fn config_file(named: Option<PathBuf>) -> Option<PathBuf> {
    named.or_else(|| Some(PathBuf::from(USUAL)).filter(|path| path.exists()))
}

/// How the server is started.
#[derive(Args, Debug)]
pub(super) struct Serve {
    /// The configuration file; `tidegate.yml` if it is there.
    #[arg(long = "config.file", value_name = "FILE", env = "TIDEGATE_CONFIG_FILE")]
    config_file: Option<PathBuf>,
    /// Where to listen; `:9797` is every address of the machine.
    #[arg(long = "web.listen-address", value_name = "HOST:PORT")]
    listen_address: Option<String>,
    /// A second address for people: chat, API, pages.
    #[arg(long = "web.control-address", value_name = "HOST:PORT")]
    control_address: Option<String>,
    /// The address under which people reach the server.
    #[arg(long = "web.external-url", value_name = "URL")]
    external_url: Option<String>,
    /// A path in front of every path of the server.
    #[arg(long = "web.route-prefix", value_name = "PATH")]
    route_prefix: Option<String>,
    /// Lets `POST /-/reload` reload the configuration.
    #[arg(long = "web.enable-lifecycle")]
    enable_lifecycle: bool,
    /// The directory of the database and of the admin token.
    #[arg(long = "storage.path", value_name = "DIR")]
    storage_path: Option<String>,
    /// error, warn, info, debug or trace.
    #[arg(long = "log.level", value_name = "LEVEL")]
    log_level: Option<String>,
    /// logfmt or json.
    #[arg(long = "log.format", value_name = "FORMAT")]
    log_format: Option<String>,
    /// Checks the configuration and the plans and templates that it names, and starts nothing.
    #[arg(long)]
    dry_run: bool,
}

impl Serve {
    pub(super) fn run(self, out: &mut Out) -> Result<Exit, Failure> {
        let dry_run = self.dry_run;
        let sources = self.sources();
        let config = sources.load().map_err(wrong)?;
        // Asked before anything is started, so that it is told apart from a start that went wrong.
        let named = match dry_run {
            true => check_config::named_files(&config),
            false => Misfits {
                faults: check_config::templates(&config),
                ..Misfits::default()
            },
        };
        if !named.faults.is_empty() {
            return Err(wrong(Faults {
                all: named.faults,
                warnings: Vec::new(),
            }));
        }
        if dry_run {
            let text = "The configuration can be used. A rehearsal: nothing was started.";
            let warnings = [config.warnings, named.warnings].concat();
            out.result(text, &json!({ "dry_run": true, "warnings": warnings }))?;
            return Ok(Exit::Done);
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(anyhow::Error::from)?;
        runtime.block_on(app::run(sources, config)).map_err(failed)?;
        Ok(Exit::Done)
    }

    fn sources(self) -> Sources {
        let given = [
            ("web.listen_address", self.listen_address),
            ("web.control_address", self.control_address),
            ("web.external_url", self.external_url),
            ("web.route_prefix", self.route_prefix),
            ("web.enable_lifecycle", self.enable_lifecycle.then(|| "true".to_owned())),
            ("storage.path", self.storage_path),
            ("log.level", self.log_level),
            ("log.format", self.log_format),
        ];
        let flags = given.into_iter().filter_map(|(key, value)| Some((key, value?)));
        Sources::of_process(config_file(self.config_file), flags.collect())
    }
}

fn wrong(faults: Faults) -> Failure {
    Failure::from(faults).hint("`tidegate check-config FILE` says the same without starting anything.")
}

/// Storage that is unsafe or is not there is the configuration's fault, one that does not answer is not; the exit code says
/// which.
pub(super) fn failed(error: anyhow::Error) -> Failure {
    let exit = match error.downcast_ref::<OpenError>() {
        Some(OpenError::Unsafe { .. } | OpenError::Missing { .. }) => Exit::Invalid,
        Some(open) if open.is_unreachable() => Exit::Unreachable,
        Some(_) | None => Exit::Failed,
    };
    Failure::new(exit, format!("{error:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_that_does_not_answer_is_told_apart_from_one_that_is_unsafe() {
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        let exit = |error: OpenError| failed(anyhow::Error::from(error).context("could not start")).exit;
        let connect = |source| OpenError::Connect {
            tried: "connect to PostgreSQL",
            source,
        };
        assert_eq!(exit(connect(sqlx::Error::Io(refused))), Exit::Unreachable);
        assert_eq!(exit(connect(sqlx::Error::PoolTimedOut)), Exit::Unreachable);
        assert_eq!(exit(connect(sqlx::Error::RowNotFound)), Exit::Failed);
        let unsafe_setting = OpenError::Unsafe {
            setting: "fsync",
            found: "off".to_owned(),
            needed: "on",
        };
        assert_eq!(exit(unsafe_setting), Exit::Invalid);
        assert_eq!(failed(anyhow::anyhow!("something else")).exit, Exit::Failed);
    }
}
