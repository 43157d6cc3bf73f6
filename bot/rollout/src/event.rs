//! Owns everything that can happen to a rollout, in one closed list.
//! Refuses anything else: what is not here cannot change a rollout.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::action::Outcome;
use crate::alert::Alert;
use crate::command::Command;
use crate::ids::{ActionId, NoticeId};
use crate::person::Actor;
use crate::rollout::Rollout;
use crate::weight::Weight;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// A webhook told of an alert: it fires or it resolved. It may be late, repeated or out of order.
    Alerted(Alert),
    /// The alert source's own API lists this alert now. It is believed. A complete poll in which an alert that was firing
    /// is missing on every peer is told as that alert, resolved: a lost `resolved` would otherwise block for ever.
    Polled(Alert),
    /// A person with a proven identity asked for something.
    Commanded {
        /// Who.
        actor: Actor,
        /// What.
        command: Command,
        /// The generation the person looked at, when they pressed a button; a different one is refused.
        seen: Option<u64>,
    },
    /// A worker reports how an action went.
    Reported {
        /// Which action.
        action: ActionId,
        /// How it went.
        outcome: Outcome,
    },
    /// The target was looked at while nothing was asked of it, and does not read as it was written.
    Drifted {
        /// The epoch under which it was looked at; a look from before a later decision says nothing.
        epoch: u64,
        /// The weight found.
        found: Weight,
        /// What was found, in words.
        how: String,
    },
    /// A message was really sent: whoever is on that channel was told. Only what a commitment waits for is reported, see
    /// [`Rollout::awaits_word`].
    Told {
        /// What was said.
        notice: NoticeId,
        /// Where.
        channel: String,
        /// When.
        at: Timestamp,
    },
    /// Time passed, or the surroundings changed.
    Ticked,
    /// The service comes back after nobody watched, or the wall clock jumped; that time does not bake. It comes before
    /// anything else that is decided after the break, see [`crate::attention`].
    Returned {
        /// The last moment at which somebody watched.
        away_since: Timestamp,
    },
}

impl Event {
    /// The alert that this event may make `rollout` act upon: its name and since when it fires. Whoever decides counts on
    /// how many services that alert began, see [`crate::Surroundings::services_with_this_alert`]; a suspicion that its
    /// source confirms is no exception.
    pub fn concerning<'a>(&'a self, rollout: &'a Rollout) -> Option<(&'a str, Timestamp)> {
        match self {
            Self::Alerted(alert) | Self::Polled(alert) => Some((alert.name(), alert.starts_at)),
            Self::Reported {
                outcome: Outcome::Asked { key, .. },
                ..
            } => {
                let tracked = rollout.alerts.get(&key.fingerprint)?;
                Some((tracked.name.as_str(), key.starts_at))
            }
            Self::Reported { .. }
            | Self::Commanded { .. }
            | Self::Drifted { .. }
            | Self::Told { .. }
            | Self::Ticked
            | Self::Returned { .. } => None,
        }
    }
}
