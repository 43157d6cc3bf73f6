//! Owns what a rollout cannot know by itself: the life of the alert path, freezes, the rollbacks of its neighbours.
//! Refuses to be remembered: it is read, and guarded by a generation, in the transaction that saves the step.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::period::Period;

/// The world around one rollout at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Surroundings {
    /// When the always-firing Watchdog was last seen, by webhook or active in a poll; the oldest over the plan's receivers.
    pub watchdog_seen: Option<Timestamp>,
    /// How long a seen Watchdog stays fresh.
    pub watchdog_fresh: Period,
    /// How the polling of the alert sources goes; the worst over the plan's receivers.
    pub poll: Poll,
    /// Automatic rollbacks of this environment inside the window.
    pub automatic_rollbacks: u32,
    /// How many of them are allowed in the window.
    pub automatic_rollbacks_allowed: u32,
    /// Set while all changes of this environment are frozen.
    pub freeze: Option<Freeze>,
    /// For how long, by a clock that cannot jump, this replica has watched the present run of the rollout's bake clock;
    /// see [`crate::attention::Attention::watched`]. The bake clock never counts more, whatever the wall clock says.
    /// `None` in a process that has just started and watched nothing yet.
    pub watched: Option<Period>,
    /// How long the oldest thing that was heard, and answered 200, waits to be decided; `None` when nothing waits.
    pub undecided: Option<Period>,
    /// Services of this environment on which an alert of the same name began within two minutes, this one included; the
    /// alert is the one of [`crate::Event::concerning`].
    pub services_with_this_alert: u32,
}

impl Surroundings {
    /// From this many services on, an alert is nobody's rollout's fault.
    pub const WIDE: u32 = 3;
    /// What was heard is decided within this time, or nothing is known any more: it may be the alert that counts.
    pub const BEHIND: Period = Period::seconds(1);

    /// A world in which everything is well at `now`: for tests and simulations.
    pub fn calm(now: Timestamp) -> Self {
        Self {
            watchdog_seen: Some(now),
            watchdog_fresh: Period::seconds(90),
            poll: Poll::Good,
            automatic_rollbacks: 0,
            automatic_rollbacks_allowed: 3,
            freeze: None,
            watched: Some(Period::minutes(u32::MAX)),
            undecided: None,
            services_with_this_alert: 1,
        }
    }
}

/// How asking the alert sources goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Poll {
    /// Nothing is configured to be polled: the webhook and the Watchdog are all there is.
    NotConfigured,
    /// The last rounds were answered.
    Good,
    /// Not asked yet since the start of the service.
    NotYet,
    /// Three rounds or more went unanswered.
    Unreadable {
        /// Since when.
        since: Timestamp,
    },
}

/// All changes of an environment stand still; rollbacks may always go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freeze {
    /// A person's id, or `tidegate`.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub at: Timestamp,
}
