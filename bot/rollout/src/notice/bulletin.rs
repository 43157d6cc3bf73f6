//! Owns what an update and a report say: how things stand, what is open, what happened since the last one.
//! Refuses to grow: lists and lines are bounded, and what is left out is counted.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::period::Period;
use crate::rollout::{Rollout, Stage};
use crate::signoff::Open;
use crate::surroundings::Surroundings;

/// So many lines of each list are said.
const LINES: usize = 10;
/// So long is a line at most, in characters.
const LENGTH: usize = 240;

/// How things stand, as one commitment tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bulletin {
    /// The name of the commitment.
    pub name: String,
    /// The how-manyth of this commitment.
    pub number: u32,
    /// The word for health; empty once it is over.
    pub health: String,
    /// What is open: holds, questions, alerts that fire, a pause, people who are asked.
    pub open: Vec<String>,
    /// How much more is open.
    pub more_open: usize,
    /// What happened since the last one, the oldest first.
    pub happened: Vec<String>,
    /// When the last one was, or the rollout began.
    pub since: Timestamp,
    /// When the next one is due, if its clock goes on.
    pub next: Option<Timestamp>,
    /// The time zone of the plan.
    pub zone: String,
}

/// A rollout in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Since when it runs.
    pub running: Period,
    /// How many alerts concerned it.
    pub alerts: usize,
    /// How many of them fire.
    pub firing: usize,
    /// How many holds are in force.
    pub holds: usize,
    /// How many questions are open.
    pub questions: usize,
    /// How many commitments were kept.
    pub kept: u32,
    /// How many were missed.
    pub missed: u32,
}

impl Bulletin {
    /// What the commitment called `name` has to say of `rollout` now.
    pub(crate) fn of(rollout: &Rollout, around: &Surroundings, name: &str, now: Timestamp) -> Self {
        let zone = rollout.plan.zone();
        let track = rollout.commitments.tracks.get(name);
        let last = track.and_then(|track| track.said_at);
        let since = last.unwrap_or(rollout.started_at);
        let mut open = open(rollout, &zone);
        let more_open = open.len().saturating_sub(LINES);
        open.truncate(LINES);
        let news = rollout
            .commitments
            .happened
            .iter()
            .filter(|one| last.is_none_or(|last| one.at > last));
        let happened = news.map(|one| cut(&format!("{} {}", clock(one.at, now, &zone), one.text)));
        Self {
            name: name.to_owned(),
            number: track.map_or(1, |track| track.number),
            health: if rollout.is_final() {
                String::new()
            } else {
                rollout.health(around, now).word().to_owned()
            },
            open,
            more_open,
            happened: happened.collect(),
            since,
            next: track.and_then(|track| track.next),
            zone: rollout.plan.spec.timezone.clone(),
        }
    }
}

impl Counts {
    /// The numbers of `rollout` now.
    pub(crate) fn of(rollout: &Rollout, now: Timestamp) -> Self {
        let alerts = rollout.alerts.values();
        let tracks = rollout.commitments.tracks.values();
        Self {
            running: Period::between(rollout.started_at, now),
            alerts: alerts.len(),
            firing: alerts.filter(|tracked| tracked.standing.blocks()).count(),
            holds: rollout.holds.len(),
            questions: rollout.decisions.len(),
            kept: tracks.clone().map(|track| track.kept).sum(),
            missed: tracks.map(|track| track.missed).sum(),
        }
    }
}

/// Everything that waits for somebody or something, in a line each.
fn open(rollout: &Rollout, zone: &TimeZone) -> Vec<String> {
    let at = |moment: Timestamp| moment.to_zoned(zone.clone()).strftime("%H:%M %Z").to_string();
    let mut lines = Vec::new();
    match &rollout.stage {
        Stage::RollingBack { stuck: Some(why), .. } => lines.push(format!("the rollback is stuck: {why}")),
        Stage::Advancing { failed: Some(why), .. } => lines.push(format!("the target could not be moved: {why}")),
        Stage::RollingBack { stuck: None, .. }
        | Stage::Advancing { failed: None, .. }
        | Stage::Baking { .. }
        | Stage::AtGate { .. }
        | Stage::Watching { .. }
        | Stage::RolledBack { .. }
        | Stage::Completed { .. }
        | Stage::Aborted { .. } => {}
    }
    let question = |one: &crate::rollout::Decision| {
        format!("decision {} until {}: {}", one.number, at(one.deadline), one.question)
    };
    lines.extend(rollout.decisions.iter().map(question));
    let hold = |one: &crate::rollout::Hold| {
        let until = one
            .until
            .map(|until| format!(" until {}", at(until)))
            .unwrap_or_default();
        format!("hold {} by {}{until}: {}", one.number, one.by, one.reason)
    };
    lines.extend(rollout.holds.iter().map(hold));
    lines.extend(
        rollout
            .no_data
            .iter()
            .map(|unknown| format!("health is not known: {}", unknown.why)),
    );
    let mut firing: BTreeMap<&str, Timestamp> = BTreeMap::new();
    for tracked in rollout.alerts.values().filter(|tracked| tracked.standing.blocks()) {
        let since = firing.entry(&tracked.name).or_insert(tracked.starts_at);
        *since = tracked.starts_at.min(*since);
    }
    lines.extend(
        firing
            .iter()
            .map(|(name, since)| format!("alert {name} fires since {}", at(*since))),
    );
    lines.extend(
        rollout
            .pause
            .iter()
            .map(|pause| format!("paused by {} since {}", pause.by, at(pause.at))),
    );
    lines.extend(rollout.open_signoffs().iter().map(Open::words));
    lines.iter().map(|line| cut(line)).collect()
}

/// The time on the clock of the zone, with the day where it is not today.
fn clock(at: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    let (at, now) = (at.to_zoned(zone.clone()), now.to_zoned(zone.clone()));
    let form = if at.date() == now.date() {
        "%H:%M"
    } else {
        "%b %-d %H:%M"
    };
    at.strftime(form).to_string()
}

/// A line of bounded length.
pub(crate) fn cut(line: &str) -> String {
    match line.char_indices().nth(LENGTH) {
        None => line.to_owned(),
        Some((end, _)) => format!("{}…", &line[..end]),
    }
}
