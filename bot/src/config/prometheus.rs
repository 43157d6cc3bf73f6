//! Owns where the Prometheus servers are whose rules raise the alerts.
//! Refuses to be needed: alerts come through Alertmanager; this is for looking whether the rules behind them are there.

use url::Url;

use super::receivers::{Login, WebAddress, login};
use super::section::Section;

/// The Prometheus servers, and what they ask for.
#[derive(Clone, Debug, Default)]
pub struct Prometheus {
    /// The base address of each.
    pub servers: Vec<Url>,
    /// What they ask for.
    pub login: Option<Login>,
}

impl Prometheus {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let servers = section.list::<WebAddress>("servers");
        Self {
            servers: servers.into_iter().map(|server| server.0).collect(),
            login: login(section, "login"),
        }
    }
}
