//! Owns what the page of one rollout shows.
//! Refuses to ask the store: everything is given.

use jiff::Timestamp;
use serde::Serialize;
use tidegate_rollout::{Entry, Health, Rollout, Stage};

use super::buttons::{self, Buttons};
use super::hooks::{self, Ran};
use super::lists::{self, Fact, Firing, Question, Veto};
use super::next::{self, Wait};
use super::phases::{self, Step};
use super::signoffs::{self, Signoffs};
use super::timeline::{self, Timeline};
use super::way_back::{self, Climbed};
use super::{Banner, Chrome, EVENTS, Mark, Moment, Reader, Seen, grouped, words};

/// The page of one rollout.
#[derive(Clone, Debug, Serialize)]
pub struct RolloutPage {
    chrome: Chrome,
    banner: Option<Banner>,
    id: String,
    title: String,
    subject: String,
    environment: String,
    started: Moment,
    state: Mark,
    /// Absent once it is over.
    health: Option<Mark>,
    health_why: String,
    armed: Mark,
    weight: String,
    weight_word: &'static str,
    observed: Option<String>,
    /// Where in the plan it is: `Phase 2 of 4, quarter`.
    place: String,
    next: String,
    /// The commitment that is due next, and those that were missed.
    next_update: Option<String>,
    missed: Vec<String>,
    phases: Vec<Step>,
    waits: Vec<Wait>,
    /// What people say at the gate.
    signoffs: Option<Signoffs>,
    buttons: Buttons,
    questions: Vec<Question>,
    holds: Vec<Veto>,
    /// The way back as it was climbed.
    ladder: Vec<Climbed>,
    hooks: Vec<Ran>,
    alerts: Vec<Firing>,
    alerts_left_out: usize,
    people: Vec<Fact>,
    facts: Vec<Fact>,
    timeline: Timeline,
}

impl RolloutPage {
    /// The page as it stands at `now`, for one reader. `history` is the rollout's log, each line with its number.
    pub fn of(seen: &Seen<'_>, history: &[(u64, Entry)], reader: Option<&Reader>, now: Timestamp) -> Self {
        let rollout = seen.rollout;
        let spec = &rollout.plan.spec;
        let health = rollout.health(seen.around, now);
        let (alerts, alerts_left_out) = lists::alerts(seen, reader, now);
        let version = rollout
            .version()
            .map(|version| format!(" {version}"))
            .unwrap_or_default();
        Self {
            chrome: chrome(rollout, &health, reader, now),
            banner: None,
            id: rollout.id.to_string(),
            title: spec.title.clone(),
            subject: format!("{}{version}", spec.service),
            environment: spec.environment.clone(),
            started: Moment::of(rollout.started_at, now),
            state: words::state(rollout),
            health: (!rollout.is_final()).then(|| words::health(&health)),
            health_why: if rollout.is_final() {
                String::new()
            } else {
                words::health_why(&health)
            },
            armed: lists::armed(rollout),
            weight: rollout.wanted.to_string(),
            weight_word: weight_word(rollout),
            observed: seen
                .share
                .map(|share| format!("{share} of {} observed", grouped(share.total))),
            place: place(rollout),
            next: next::sentence(seen, now),
            next_update: rollout.next_update(now),
            missed: rollout.missed_updates(now),
            phases: phases::bar(rollout, now),
            waits: next::waits(seen, now),
            signoffs: signoffs::of(seen, reader, now),
            buttons: buttons::row(seen, reader, now),
            questions: lists::questions(seen, reader, now),
            holds: lists::vetoes(rollout, reader, now),
            ladder: way_back::climbed(rollout, now),
            hooks: hooks::ran(rollout, now),
            alerts,
            alerts_left_out,
            people: lists::people(rollout),
            facts: lists::facts(rollout),
            timeline: timeline::of(history, now),
        }
    }

    /// The same page with what became of a pressed button on top.
    pub fn answering(self, banner: Banner) -> Self {
        Self {
            banner: Some(banner),
            ..self
        }
    }
}

fn chrome(rollout: &Rollout, health: &Health, reader: Option<&Reader>, now: Timestamp) -> Chrome {
    let state = words::state(rollout);
    let health = words::health(health);
    let (id, weight) = (&rollout.id, rollout.wanted);
    let over = rollout.is_final();
    let title = match (rollout.is_latched(), over) {
        (true, false) => format!("! ROLLBACK {id}"),
        (_, true) => format!("{} {id}", state.word),
        (false, false) => format!("{weight} {} {} {id}", state.word, health.word),
    };
    let tone = if over || state.tone == "bad" {
        state.tone
    } else {
        worse(&state, &health)
    };
    Chrome {
        icon: tone,
        refresh: refresh(rollout),
        events: EVENTS,
        say: format!("{id}: {}, {}, {weight}", state.word, health.word),
        alarm: rollout.is_latched(),
        ..Chrome::new(title, format!("/r/{id}"), reader, now)
    }
}

fn worse(state: &Mark, health: &Mark) -> &'static str {
    let rank = |tone: &str| {
        ["quiet", "ok", "info", "warn", "nodata", "bad"]
            .iter()
            .position(|known| *known == tone)
    };
    if rank(health.tone) > rank(state.tone) {
        health.tone
    } else {
        state.tone
    }
}

/// How often the page is read again without an event: clocks run on. A plan of seconds is read every second.
fn refresh(rollout: &Rollout) -> u32 {
    if rollout.is_final() {
        return 0;
    }
    if rollout.is_latched() {
        return 1;
    }
    let bake = rollout.phase().map_or(0, |phase| phase.bake.as_millis());
    u32::try_from(bake / 100_000).unwrap_or(15).clamp(1, 15)
}

fn weight_word(rollout: &Rollout) -> &'static str {
    match rollout.stage {
        Stage::Advancing { .. } | Stage::RollingBack { .. } => "asked for",
        Stage::Baking { .. } | Stage::AtGate { .. } | Stage::Watching { .. } => "declared",
        Stage::RolledBack { .. } => "read back",
        Stage::Completed { .. } => "carried",
        Stage::Aborted { .. } => "never carried",
    }
}

fn place(rollout: &Rollout) -> String {
    let phases = rollout.plan.spec.phases.len();
    match &rollout.stage {
        Stage::RollingBack { from, .. } | Stage::RolledBack { from, .. } => format!("From {from} to 0%"),
        Stage::Watching { .. } | Stage::Completed { .. } => format!("All {phases} phases done"),
        Stage::Aborted { .. } => "No phase".to_owned(),
        Stage::Advancing { .. } | Stage::Baking { .. } | Stage::AtGate { .. } => {
            let name = rollout.phase().map(|phase| phase.name.as_str()).unwrap_or_default();
            format!("Phase {} of {phases}, {name}", rollout.phase_index() + 1)
        }
    }
}
