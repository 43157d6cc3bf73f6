//! Owns the choice of where alerts come from: the built-in evaluator, or Prometheus and Alertmanager.
//! Refuses to mix them: one source, one peer that the service can ask.

use std::net::SocketAddr;
use std::time::Duration;

use jiff::Timestamp;

use super::DemoError;
use super::alerts::{Evaluator, Ways};
use super::files::Files;
use super::prometheus::{Ports, Programs, Stack};
use super::serving::Open;
use crate::net::Net;

/// Where alerts should come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AlertsFrom {
    /// From Prometheus and Alertmanager when both are on the PATH, else built in.
    #[default]
    Auto,
    /// From the demo itself.
    Builtin,
    /// From Prometheus and Alertmanager.
    Prometheus,
}

/// A source that was chosen and has its port.
pub(super) enum Chosen {
    Builtin(Open),
    Real(Programs, Ports),
}

/// A source that runs.
pub(super) enum Source {
    Builtin(Evaluator),
    Real(Box<Stack>),
}

impl Chosen {
    /// Chooses as `wanted`, and takes the ports.
    pub(super) async fn new(wanted: AlertsFrom) -> Result<Self, DemoError> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = match wanted {
            AlertsFrom::Builtin => None,
            AlertsFrom::Auto => Programs::find(&path),
            AlertsFrom::Prometheus => Some(Programs::find(&path).ok_or(DemoError::NoPrograms)?),
        };
        let chosen = async || {
            Ok(match found {
                Some(programs) => Self::Real(programs, Ports::pick().await?),
                None => Self::Builtin(Open::port(0).await?),
            })
        };
        chosen()
            .await
            .map_err(|fault: std::io::Error| DemoError::failed("find a port for the alert source", fault))
    }

    /// Where it can be asked back.
    pub(super) fn address(&self) -> SocketAddr {
        match self {
            Self::Builtin(open) => open.address(),
            Self::Real(_, ports) => ports.alertmanager(),
        }
    }

    /// What it is, for the story.
    pub(super) fn says(&self) -> String {
        match self {
            Self::Builtin(_) => {
                "built in: they are posted in Alertmanager's shape, over HTTP, to the same webhook".to_owned()
            }
            Self::Real(programs, _) => format!("the real ones: {}", programs.says()),
        }
    }

    /// Starts it; from now on the Watchdog comes.
    pub(super) async fn start(self, ways: Ways, files: &Files, net: Net) -> Result<Source, DemoError> {
        Ok(match self {
            Self::Builtin(open) => Source::Builtin(Evaluator::start(open, ways, net)),
            Self::Real(programs, ports) => {
                Source::Real(Box::new(Stack::start(&programs, &ports, &ways, files, net).await?))
            }
        })
    }
}

impl Source {
    /// From now on nothing comes any more, the Watchdog included.
    pub(super) async fn fall_silent(&mut self) {
        match self {
            Self::Builtin(evaluator) => evaluator.fall_silent(),
            Self::Real(stack) => stack.kill().await,
        }
    }

    /// Thousands of other alerts come together with the next one about the shop.
    pub(super) fn brew_storm(&mut self) {
        match self {
            Self::Builtin(evaluator) => evaluator.brew_storm(),
            Self::Real(stack) => stack.brew_storm(),
        }
    }

    /// How long it took to post the storm; said once, when it is over.
    pub(super) async fn storm_took(&mut self) -> Option<Duration> {
        match self {
            Self::Builtin(evaluator) => evaluator.storm_took(),
            Self::Real(stack) => stack.storm_took().await,
        }
    }

    /// When the alert about the shop first left for the service, or since when it fires where only that is known.
    pub(super) async fn told_at(&self) -> Option<Timestamp> {
        match self {
            Self::Builtin(evaluator) => evaluator.first_told(),
            Self::Real(stack) => stack.firing_since().await,
        }
    }

    /// Ends it.
    pub(super) async fn stop(self) {
        match self {
            Self::Builtin(evaluator) => evaluator.stop().await,
            Self::Real(mut stack) => stack.kill().await,
        }
    }
}
