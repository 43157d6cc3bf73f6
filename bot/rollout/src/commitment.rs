//! Owns how the commitments of a rollout stand: what is due next, what was said and not heard of yet, what was missed.
//! Refuses to move a clock: what time and word do to it is decided in [`crate::step`].

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::ids::NoticeId;
use crate::plan::Audience;
use crate::rollout::{Holder, Rollout, Stage};
use crate::tracked::is_zero;

/// Everything a rollout knows of its commitments.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commitments {
    /// Set while something is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<Incident>,
    /// How each of them stands, by its name in the plan.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tracks: BTreeMap<String, Track>,
    /// What was said lately, the oldest first: updates tell of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub happened: Vec<Happened>,
}

/// Something is wrong, and people wait for word of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// Since when.
    pub since: Timestamp,
    /// Whether traffic is on its way back: that is news even where something was wrong before.
    pub rolling_back: bool,
}

/// One thing that was said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Happened {
    /// When.
    pub at: Timestamp,
    /// In a sentence.
    pub text: String,
}

/// How one commitment stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Track {
    /// How often it fell due.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub number: u32,
    /// How often word came in time.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub kept: u32,
    /// How often it did not.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub missed: u32,
    /// When it falls due next; `None` while its clock stands still.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Timestamp>,
    /// What fell due and was neither kept nor missed yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open: Option<Occasion>,
    /// The last time it was missed, until it is kept again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lapse: Option<Lapse>,
    /// When its last update was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said_at: Option<Timestamp>,
}

/// One time that a commitment falls due.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Occasion {
    /// By when people were to be told.
    pub due: Timestamp,
    /// When it is missed: `due`, and the grace that a message has on its way.
    pub until: Timestamp,
    /// The audiences that no message has reached yet.
    pub waiting: Vec<String>,
    /// The notices that count as word; any of them.
    pub words: Vec<NoticeId>,
}

/// A time that a commitment was missed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lapse {
    /// By when people were to be told.
    pub due: Timestamp,
    /// The audiences that were not.
    pub to: Vec<String>,
}

/// What is due next, for people to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due<'a> {
    /// The name of the commitment.
    pub name: &'a str,
    /// Who is waiting for it.
    pub to: &'a [String],
    /// By when.
    pub by: Timestamp,
}

/// A commitment that was missed and not kept since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missed<'a> {
    /// The name of the commitment.
    pub name: &'a str,
    /// Who was not told, and by when they were to be.
    pub lapse: &'a Lapse,
}

impl Due<'_> {
    /// One line for people, on the clock of the zone: `Next update: hourly to stakeholders by 17:00 CET`.
    pub fn line(&self, zone: &TimeZone, now: Timestamp) -> String {
        format!(
            "Next update: {} to {} by {}",
            self.name,
            self.to.join(", "),
            local(self.by, zone, now)
        )
    }
}

impl Missed<'_> {
    /// One line for people, as [`Due::line`].
    pub fn line(&self, zone: &TimeZone, now: Timestamp) -> String {
        format!(
            "Missed: {} to {}, due {}",
            self.name,
            self.lapse.to.join(", "),
            local(self.lapse.due, zone, now)
        )
    }
}

/// A moment on the clock of a zone, with the day where it is not today.
fn local(at: Timestamp, zone: &TimeZone, now: Timestamp) -> String {
    let (at, now) = (at.to_zoned(zone.clone()), now.to_zoned(zone.clone()));
    let form = if at.date() == now.date() {
        "%H:%M %Z"
    } else {
        "%b %-d %H:%M %Z"
    };
    at.strftime(form).to_string()
}

impl Commitments {
    pub(crate) fn is_plain(&self) -> bool {
        *self == Self::default()
    }
}

impl Rollout {
    /// Whether something is wrong now, so that people want to hear of it.
    pub(crate) fn is_in_incident(&self) -> bool {
        let guarded = self.holds.iter().any(|hold| matches!(hold.by, Holder::Guard(_)));
        let silent = self.no_data.as_ref().is_some_and(|unknown| unknown.paged);
        match &self.stage {
            Stage::RollingBack { .. } => true,
            Stage::Advancing { failed: Some(_), .. } => true,
            Stage::Advancing { failed: None, .. }
            | Stage::Baking { .. }
            | Stage::AtGate { .. }
            | Stage::Watching { .. } => guarded || silent || !self.decisions.is_empty(),
            Stage::RolledBack { .. } | Stage::Completed { .. } | Stage::Aborted { .. } => false,
        }
    }

    /// Whether traffic is being moved: from the first that the new version got until the last phase is through, or all of
    /// it is back.
    pub(crate) fn is_in_cutover(&self) -> bool {
        match self.stage {
            Stage::Advancing { .. } | Stage::Baking { .. } | Stage::AtGate { .. } | Stage::RollingBack { .. } => {
                self.exposed_at.is_some()
            }
            Stage::Watching { .. } | Stage::RolledBack { .. } | Stage::Completed { .. } | Stage::Aborted { .. } => {
                false
            }
        }
    }

    /// Whether it is over and nobody waits for word of it any more: nothing but a person's look concerns it from now on.
    pub fn is_settled(&self) -> bool {
        self.is_final() && self.commitments.tracks.values().all(|track| track.open.is_none())
    }

    /// Whether it matters to a commitment that `notice` was sent on `channel`.
    pub fn awaits_word(&self, notice: &NoticeId, channel: &str) -> bool {
        let open = self.commitments.tracks.values().filter_map(|track| track.open.as_ref());
        open.filter(|occasion| occasion.words.contains(notice))
            .any(|occasion| occasion.waiting.iter().any(|name| self.reaches(channel, name)))
    }

    /// Whether what is sent on `channel` reaches the audience called `name`.
    pub(crate) fn reaches(&self, channel: &str, name: &str) -> bool {
        let audience: Option<&Audience> = self.plan.spec.audiences.get(name);
        audience.is_some_and(|audience| audience.is_reached_by(channel))
    }

    /// What people are to be told next, and by when; nothing where nobody waits for anything.
    pub fn next_commitment(&self) -> Option<Due<'_>> {
        let tracks = self.commitments.tracks.iter();
        let all = tracks.filter_map(|(name, track)| {
            let (name, commitment) = self.plan.spec.commitments.get_key_value(name)?;
            let open = track.open.as_ref().map(|occasion| Due {
                name,
                to: &occasion.waiting,
                by: occasion.until,
            });
            let next = track.next.map(|by| Due {
                name,
                to: &commitment.to,
                by,
            });
            open.or(next)
        });
        all.min_by_key(|due| due.by)
    }

    /// [`Self::next_commitment`] in a line for people.
    pub fn next_update(&self, now: Timestamp) -> Option<String> {
        let due = self.next_commitment()?;
        Some(due.line(&self.plan.zone(), now))
    }

    /// [`Self::missed_commitments`] in a line each.
    pub fn missed_updates(&self, now: Timestamp) -> Vec<String> {
        let missed = self.missed_commitments();
        if missed.is_empty() {
            return Vec::new();
        }
        let zone = self.plan.zone();
        missed.iter().map(|one| one.line(&zone, now)).collect()
    }

    /// The commitments that were missed and not kept since.
    pub fn missed_commitments(&self) -> Vec<Missed<'_>> {
        let tracks = self.commitments.tracks.iter();
        tracks
            .filter_map(|(name, track)| {
                Some(Missed {
                    name,
                    lapse: track.lapse.as_ref()?,
                })
            })
            .collect()
    }
}
