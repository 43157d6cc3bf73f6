//! Owns what a rollout knows of an alert that concerns it, and what that counts for.
//! Refuses to judge: which alert stands how is decided in [`crate::step`].

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::alert::{Labels, Source, Suppression};

/// What we know of an alert that concerns this rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tracked {
    /// Its name.
    pub name: String,
    /// The program that tells of it.
    pub source: Source,
    /// The receiver through which this occasion was told: only its peers can say that it is over.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub receiver: String,
    /// Since when this occasion fires.
    pub starts_at: Timestamp,
    /// The trigger it pulls.
    pub trigger: String,
    /// The severity of that trigger.
    pub severity: String,
    /// Its labels, as received.
    pub labels: Labels,
    /// What it counts for.
    pub standing: Standing,
    /// The latest end its source reported for any occasion.
    pub last_end: Option<Timestamp>,
    /// Set while this fingerprint is known from before the start.
    pub from_before: bool,
    /// Whether it names the old version: then it is never this rollout's fault.
    pub old_version: bool,
    /// The occasion (its `starts_at`) that was acted upon last. An occasion acts once, however often it comes back.
    pub acted_on: Option<Timestamp>,
    /// When its source is asked about it again, after it could not be read.
    pub ask_again: Option<Timestamp>,
    /// How often its source was asked in vain about this suspicion.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unanswered: u32,
    /// When we last heard of it.
    pub heard_at: Timestamp,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
pub(crate) fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// What a known alert counts for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// It fires and can be this rollout's fault.
    Counting,
    /// It fires and cannot be: it began before this rollout carried traffic.
    PreExisting,
    /// It fires about the old version: evidence against a rollback.
    OldVersion,
    /// It fires although its source had said it ended: being asked back.
    Suspect,
    /// It was suspect and no peer knows it: the late word of an HA peer.
    Stale,
    /// It fires and somebody silenced or another alert inhibits it.
    Suppressed(Suppression),
    /// Its source stopped saying that it fires.
    Resolved,
}

impl Standing {
    /// Whether an advance must wait for it.
    pub fn blocks(&self) -> bool {
        match self {
            Self::Counting | Self::PreExisting | Self::OldVersion | Self::Suspect => true,
            Self::Stale | Self::Suppressed(_) | Self::Resolved => false,
        }
    }
}
