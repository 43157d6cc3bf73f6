//! Owns the service the demo talks to: inside this process, or as a child that can be killed.
//! Refuses to be special: it is the service of `tidegate serve`, started from a configuration file.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use http::Method;
use tidegate_rollout::{PersonId, Rollout, Stage};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};
use url::Url;

use super::DemoError;
use super::files::{Files, YOU};
use crate::app::{self, Running};
use crate::chat::Desk as _;
use crate::clock;
use crate::config::Sources;
use crate::net::Net;
use crate::telemetry;

/// The hidden flag under which this binary is a service that kills itself.
pub(super) const DOOMED: &str = "--crash-child";

/// How long a start may take.
const START: Duration = Duration::from_secs(20);
/// Between two looks while something is awaited.
const LOOK: Duration = Duration::from_millis(20);
/// How long a look may take.
const DEADLINE: Duration = Duration::from_secs(2);
/// How long a stop may take.
const FAREWELL: Duration = Duration::from_secs(2);

/// The service while it runs.
pub(super) enum Service {
    Inside(Box<Running>),
    Child(Child),
}

/// Which child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It dies the moment a rollout of its own is rolling back.
    Doomed,
    /// `tidegate serve`.
    Ordinary,
}

impl Service {
    /// Starts it in this process.
    pub(super) async fn inside(files: &Files, with_log: bool) -> Result<Self, DemoError> {
        let started = async {
            let sources = sources(&files.config());
            let config = sources.load()?;
            let log = if with_log {
                telemetry::start_log(&config.log)
            } else {
                None
            };
            app::start(sources, config, log).await
        };
        let running = started
            .await
            .map_err(|fault| DemoError::failed("start the service", fault))?;
        Ok(Self::Inside(Box::new(running)))
    }

    /// Starts it as a child that runs this very binary.
    pub(super) fn child(files: &Files, fate: Fate) -> Result<Self, DemoError> {
        let started = || -> anyhow::Result<Child> {
            let program = std::env::current_exe().context("could not find this program")?;
            let log = std::fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(files.path(LOG))
                .context("could not open its log")?;
            let mut command = Command::new(program);
            match fate {
                Fate::Doomed => command.arg("demo").arg(DOOMED),
                Fate::Ordinary => command.arg("serve").arg("--config.file"),
            };
            // The demo's configuration is the whole of it; variables of the user's own server would change it.
            for (name, _) in std::env::vars_os() {
                if name.to_string_lossy().starts_with("TIDEGATE_") {
                    command.env_remove(name);
                }
            }
            command
                .arg(files.config())
                .stdin(Stdio::null())
                .stdout(log.try_clone().context("could not open its log twice")?)
                .stderr(log)
                .process_group(0)
                .kill_on_drop(true)
                .spawn()
                .context("could not start this program again")
        };
        started()
            .map(Self::Child)
            .map_err(|fault| DemoError::failed("start the service", fault))
    }

    /// Waits until it says that it is ready.
    pub(super) async fn ready(&mut self, base: &Url, net: &Net, files: &Files) -> Result<(), DemoError> {
        let began = Instant::now();
        loop {
            if let Some(status) = self.ended() {
                let fault = anyhow::anyhow!("it ended with {status}: {}", last_lines(files));
                return Err(DemoError::failed("start the service", fault));
            }
            if is_ready(base, net).await {
                return Ok(());
            }
            if began.elapsed() > START {
                let fault = anyhow::anyhow!("it was not ready after {} s: {}", START.as_secs(), last_lines(files));
                return Err(DemoError::failed("start the service", fault));
            }
            sleep(LOOK).await;
        }
    }

    /// How it ended, if it is a child and has.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        match self {
            Self::Inside(_) => None,
            Self::Child(child) => child.try_wait().ok().flatten(),
        }
    }

    /// The path of a link that signs the person at the terminal in, once. Only a service in this process can make one.
    pub(super) fn invitation(&self) -> Option<String> {
        match self {
            Self::Inside(running) => {
                let person = PersonId::new(YOU);
                running.app.invitations.invite(person, clock::now()).ok()
            }
            Self::Child(_) => None,
        }
    }

    /// Ends it.
    pub(super) async fn stop(self) {
        match self {
            Self::Inside(running) => {
                // What is still open then belongs to a browser; the process is about to end.
                let _ = timeout(FAREWELL, running.stop()).await;
            }
            Self::Child(mut child) => {
                // One that has ended already is as good.
                let _ = child.kill().await;
            }
        }
    }
}

/// Where a child writes what it says.
const LOG: &str = "service.log";

fn last_lines(files: &Files) -> String {
    let written = std::fs::read_to_string(files.path(LOG)).unwrap_or_default();
    let lines: Vec<&str> = written.lines().rev().take(5).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
}

fn sources(config: &Path) -> Sources {
    Sources {
        file: Some(config.to_owned()),
        ..Sources::default()
    }
}

async fn is_ready(base: &Url, net: &Net) -> bool {
    let Ok(url) = base.join("-/ready") else {
        return false;
    };
    let Ok(request) = net.request(Method::GET, &url, DEADLINE) else {
        return false;
    };
    request.send().await.is_ok_and(|answer| answer.status().is_success())
}

/// Runs the service from `config` until one of its rollouts is rolling back, and dies there, in the middle: nothing is
/// flushed, nothing is closed, as when the machine loses its power.
pub async fn run_doomed(config: &Path) -> anyhow::Result<()> {
    let sources = sources(config);
    let config = sources.load()?;
    let log = telemetry::start_log(&config.log);
    let running = app::start(sources, config, log).await?;
    let engine = &running.app.engine;
    let mut changes = engine.changes();
    loop {
        let rolling_back = |rollout: &Arc<Rollout>| matches!(rollout.stage, Stage::RollingBack { .. });
        if engine.active().iter().any(rolling_back) {
            std::process::abort();
        }
        changes.changed().await.context("the engine ended")?;
    }
}
