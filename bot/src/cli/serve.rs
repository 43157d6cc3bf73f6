//! Owns `tidegate serve`: its flags, spelt as in the Prometheus world, and how a server that cannot start says so.
//! Refuses to wire anything: that is [`crate::app`].

use std::path::PathBuf;

use clap::Args;

use super::{Exit, Failure, Out};
use crate::app;
use crate::config::Sources;
use crate::store::OpenError;

/// The configuration that is read when no other is named, if it is there.
const USUAL: &str = "tidegate.yml";

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
}

impl Serve {
    pub(super) fn run(self, out: &mut Out) -> Result<Exit, Failure> {
        let sources = self.sources();
        let config = match sources.load() {
            Ok(config) => config,
            Err(faults) => {
                for fault in &faults.all {
                    out.note(format_args!("error: {fault}"));
                }
                let count = faults.all.len();
                return Err(
                    Failure::new(Exit::Invalid, format!("the configuration has {count} faults"))
                        .hint("`tidegate check-config FILE` says the same without starting anything."),
                );
            }
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(anyhow::Error::from)?;
        runtime.block_on(app::run(sources, config)).map_err(failed)?;
        Ok(Exit::Done)
    }

    fn sources(self) -> Sources {
        let usual = || Some(PathBuf::from(USUAL)).filter(|path| path.exists());
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
        Sources::of_process(self.config_file.or_else(usual), flags.collect())
    }
}

/// Unsafe storage is the configuration's fault, and says so in its exit code.
fn failed(error: anyhow::Error) -> Failure {
    match error.downcast_ref::<OpenError>() {
        Some(OpenError::Unsafe { .. }) => Failure::new(Exit::Invalid, format!("{error:#}")),
        _ => error.into(),
    }
}
