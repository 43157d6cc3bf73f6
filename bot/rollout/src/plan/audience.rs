//! Owns who is told and where: the audiences of a plan, how much each hears, and the channels that reach them.
//! Refuses to know what a channel is: the server's configuration does, and the store keeps what is said.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Plan;
use crate::notice::Notice;

/// Some people and the channels that reach them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Audience {
    /// Names of channels of the server's configuration; `chat` and `log` are always there.
    #[schemars(length(min = 1))]
    pub channels: Vec<String>,
    /// How much they hear.
    #[serde(default)]
    pub hears: Hears,
    /// Of what an alert leads to they hear only what these severities cause; left out: all of it. What no alert caused they
    /// hear as `hears` says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub severities: Vec<String>,
}

/// How much an audience hears. Each level includes the ones above it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Hears {
    /// Only what needs a person now.
    Pages,
    /// Pages, and what changes the outcome: started, rolled back, finished.
    Milestones,
    /// Everything.
    #[default]
    Everything,
}

impl Audience {
    /// Channels that are always there. Both are read by people who look; they reach nobody by themselves.
    pub const READ_BY_LOOKING: [&str; 2] = ["chat", "log"];

    /// Whether what is sent on `channel` reaches these people.
    pub fn is_reached_by(&self, channel: &str) -> bool {
        !Self::READ_BY_LOOKING.contains(&channel) && self.channels.iter().any(|own| own == channel)
    }

    /// Whether they want to hear a notice.
    pub(crate) fn wants(&self, notice: &Notice) -> bool {
        let caused = notice.severity.as_ref();
        let counts = self.severities.is_empty() || caused.is_none_or(|severity| self.severities.contains(severity));
        counts && self.hears >= notice.kind.loudness()
    }

    /// Whether anything reaches these people.
    pub fn is_reachable(&self) -> bool {
        self.channels.iter().any(|channel| self.is_reached_by(channel))
    }
}

impl Plan {
    /// The channels that carry something this loud: those of every audience that hears it, and always `chat` and `log`.
    pub fn channels_for(&self, loudness: Hears) -> BTreeSet<String> {
        let listening = self
            .spec
            .audiences
            .values()
            .filter(|audience| audience.hears >= loudness);
        with_ours(listening)
    }

    /// The channels that carry `notice`: those of the audiences to whom it is addressed, or else of every audience that
    /// hears it.
    pub fn channels_of(&self, notice: &Notice) -> BTreeSet<String> {
        if notice.to.is_empty() {
            return with_ours(self.spec.audiences.values().filter(|audience| audience.wants(notice)));
        }
        with_ours(notice.to.iter().filter_map(|name| self.spec.audiences.get(name)))
    }
}

/// The channels of these audiences, and the two that are always there.
fn with_ours<'a>(audiences: impl Iterator<Item = &'a Audience>) -> BTreeSet<String> {
    let named = audiences.flat_map(|audience| audience.channels.iter().cloned());
    let ours = Audience::READ_BY_LOOKING.into_iter().map(str::to_owned);
    named.chain(ours).collect()
}
