//! Owns the demo's directory: the server's configuration, the plan, the secrets, the database.
//! Refuses to outlive the demo: the directory goes away with the value.

use std::fs::Permissions;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use secrecy::SecretString;
use tidegate_rollout::Period;

use super::DemoError;
use super::plan::{self, Speed};
use crate::secret;

/// The person at the terminal, as the configuration names them.
pub(super) const YOU: &str = "you";

/// The directory, readable by its owner only.
pub(super) struct Files {
    directory: tempfile::TempDir,
    webhook_token: SecretString,
    pager_secret: SecretString,
}

/// What the configuration must name.
pub(super) struct Names<'a> {
    /// Where the service listens.
    pub(super) service: SocketAddr,
    /// Where the alert source can be asked.
    pub(super) alerts: SocketAddr,
    /// Where the pager listens.
    pub(super) pager: SocketAddr,
    /// How long a seen Watchdog counts.
    pub(super) watchdog_fresh: Period,
    /// How fast the plan goes.
    pub(super) speed: Speed,
    /// What the service says in its own log.
    pub(super) log_level: &'a str,
}

impl Files {
    /// An empty directory and new secrets.
    pub(super) fn new() -> Result<Self, DemoError> {
        let made = || -> anyhow::Result<Self> {
            let directory = tempfile::Builder::new()
                .prefix("tidegate-demo-")
                .permissions(Permissions::from_mode(0o700))
                .tempdir()
                .context("no temporary directory")?;
            Ok(Self {
                directory,
                webhook_token: secret::random("demo_")?,
                pager_secret: secret::random("demo_")?,
            })
        };
        made().map_err(|fault| DemoError::failed("make a directory for the demo", fault))
    }

    /// Writes the configuration, the plan and the secrets.
    pub(super) fn write(&self, names: &Names<'_>) -> Result<(), DemoError> {
        let written = || -> anyhow::Result<()> {
            secret::write_new(&self.path("webhook.token"), &self.webhook_token)?;
            secret::write_new(&self.path("pager.secret"), &self.pager_secret)?;
            std::fs::write(self.path("plan.yaml"), plan::text(names.speed))?;
            std::fs::write(self.config(), config(names, &self.storage()))?;
            Ok(())
        };
        written().map_err(|fault| DemoError::failed("write the demo's configuration", fault))
    }

    /// A path in the directory.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The server's configuration.
    pub(super) fn config(&self) -> PathBuf {
        self.path("tidegate.yml")
    }

    /// Where the service remembers.
    pub(super) fn storage(&self) -> PathBuf {
        self.path("data")
    }

    /// What an alert source must show.
    pub(super) fn webhook_token(&self) -> SecretString {
        self.webhook_token.clone()
    }

    /// What pages are signed with.
    pub(super) fn pager_secret(&self) -> SecretString {
        self.pager_secret.clone()
    }
}

/// The configuration as a person would write it.
fn config(names: &Names<'_>, storage: &Path) -> String {
    let Names {
        service,
        alerts,
        pager,
        watchdog_fresh,
        log_level,
        ..
    } = names;
    format!(
        "# Written by `tidegate demo`, and gone with it.
web:
  listen_address: {service}
storage:
  path: {storage:?}
log:
  level: {log_level}
people:
  - {{ id: {YOU}, name: You, roles: [operator, oncall, incident-commander, admin] }}
plans: [plan.yaml]
receivers:
  alertmanager:
    default:
      bearer_file: webhook.token
      peers: [\"http://{alerts}\"]
alerts:
  watchdog_fresh: {watchdog_fresh}
  poll_every: 1s
  poll_timeout: 1s
channels:
  pager:
    webhook:
      url: \"http://{pager}/page\"
      secret_file: pager.secret
"
    )
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;
    use crate::config::Sources;
    use crate::plans::Plans;

    fn written() -> Files {
        let files = Files::new().unwrap();
        let names = Names {
            service: "127.0.0.1:8787".parse().unwrap(),
            alerts: "127.0.0.1:9093".parse().unwrap(),
            pager: "127.0.0.1:9999".parse().unwrap(),
            watchdog_fresh: Period::seconds(3),
            speed: Speed::times(3_600),
            log_level: "error",
        };
        files.write(&names).unwrap();
        files
    }

    #[test]
    fn the_server_takes_the_configuration_without_a_warning() {
        let files = written();
        let sources = Sources {
            file: Some(files.config()),
            ..Sources::default()
        };
        let config = sources.load().unwrap();
        assert_eq!(config.warnings, Vec::<String>::new());
        assert_eq!(config.storage.path, files.storage());
        assert_eq!(config.alerts.watchdog_fresh, Period::seconds(3));
        let plans = Plans::read(&config.plans.directory, &config.plans.patterns);
        assert_eq!((plans.names(), plans.broken().len()), (vec!["shop".to_owned()], 0));
        assert_eq!(config.receivers.alertmanagers.len(), 1);
        assert!(config.channels.contains_key("pager"));
    }

    #[test]
    fn the_directory_goes_away_and_nobody_else_can_read_it() {
        let files = written();
        let path = files.path("");
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0);
        assert!(
            !std::fs::read_to_string(files.config())
                .unwrap()
                .contains(files.webhook_token().expose_secret())
        );
        drop(files);
        assert!(!path.exists());
    }
}
