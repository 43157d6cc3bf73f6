//! Owns the lists of a rollout's page: open questions, holds, alerts, people, facts.
//! Refuses endless ones: what is left out is counted.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;
use tidegate_rollout::command::Command;
use tidegate_rollout::plan::{DecideDefault, Hears, Mode, Watchdog};
use tidegate_rollout::rollout::{Hold, Holder};
use tidegate_rollout::{Period, Role, Rollout, policy};

use super::buttons::not_you;
use super::signoffs::{lookers, refused};
use super::{Mark, Moment, Reader, Seen, brief, words};

/// The most rows of a list.
const MOST: usize = 30;
/// The most characters of an alert's name.
const NAME: usize = 120;

/// A question that people have not answered.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Question {
    number: u32,
    question: String,
    deadline: Moment,
    left: String,
    default: &'static str,
    by: String,
    /// Why this reader may not answer; `None`: they may.
    why: Option<String>,
    /// Who looks at it.
    looks: String,
    /// Whether this reader may say that they look at it.
    ack: bool,
}

pub(super) fn questions(seen: &Seen<'_>, reader: Option<&Reader>, now: Timestamp) -> Vec<Question> {
    let rollout = seen.rollout;
    let open = rollout.decisions.iter().take(MOST);
    open.map(|decision| {
        let by = match decision.by.as_slice() {
            [] => "whoever may roll back".to_owned(),
            roles => roles.join(", "),
        };
        let member = |reader: &Reader| {
            let named = |role: &String| rollout.plan.members(role).contains(&reader.actor.person);
            decision.by.iter().any(named) || reader.actor.has_any(&[Role::IncidentCommander])
        };
        let why = match reader {
            Some(reader) if !decision.by.is_empty() => (!member(reader)).then(|| format!("This question is for {by}.")),
            Some(_) | None => {
                let answer = tidegate_rollout::command::Answer::Continue;
                not_you(rollout, reader, Command::Decide { number: None, answer })
            }
        };
        Question {
            number: decision.number,
            question: words::capital(&brief(&decision.question, 400)),
            deadline: Moment::of(decision.deadline, now),
            left: Period::between(now, decision.deadline).to_string(),
            default: match decision.default {
                DecideDefault::Rollback => "ROLLBACK",
                DecideDefault::Hold => "HOLD",
            },
            by,
            why,
            looks: lookers(rollout, &format!("decision {}", decision.number)),
            ack: may_look(seen, reader, None, Some(decision.number), now),
        }
    })
    .collect()
}

/// Whether this reader may say that they look at an alert or a question.
fn may_look(
    seen: &Seen<'_>,
    reader: Option<&Reader>,
    alert: Option<String>,
    number: Option<u32>,
    now: Timestamp,
) -> bool {
    refused(seen, reader, Command::Ack { alert, number }, now).is_none()
}

/// A veto in force.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Veto {
    number: u32,
    by: String,
    guard: bool,
    reason: String,
    at: Moment,
    lasting: String,
    until: Option<Moment>,
    why: Option<String>,
}

pub(super) fn vetoes(rollout: &Rollout, reader: Option<&Reader>, now: Timestamp) -> Vec<Veto> {
    let holds = rollout.holds.iter().take(MOST);
    holds
        .map(|hold| Veto {
            number: hold.number,
            by: hold.by.to_string(),
            guard: matches!(hold.by, Holder::Guard(_)),
            reason: words::capital(&brief(&hold.reason, 400)),
            at: Moment::of(hold.at, now),
            lasting: Period::between(hold.at, now).to_string(),
            until: hold.until.map(|until| Moment::of(until, now)),
            why: not_you(rollout, reader, Command::Release { number: hold.number })
                .or_else(|| not_yours(rollout, reader, hold)),
        })
        .collect()
}

/// Why this hold is not theirs to release, though they may release others.
fn not_yours(rollout: &Rollout, reader: Option<&Reader>, hold: &Hold) -> Option<String> {
    let actor = &reader?.actor;
    let refusal = policy::may_release(actor, &hold.by, hold.number, &rollout.plan).err()?;
    Some(brief(&format!("{} {}", refusal.message, refusal.hint), 300))
}

/// An alert that concerns the rollout.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Firing {
    name: String,
    standing: Mark,
    why: &'static str,
    since: Moment,
    /// For how long already, as long as anything is heard for the rollout.
    lasting: Option<String>,
    trigger: String,
    severity: String,
    labels: String,
    /// Who looks at it.
    looks: String,
    /// Whether this reader may say that they look at it.
    ack: bool,
}

/// The alerts, those that matter first, and how many are left out.
pub(super) fn alerts(seen: &Seen<'_>, reader: Option<&Reader>, now: Timestamp) -> (Vec<Firing>, usize) {
    let rollout = seen.rollout;
    let mut all: Vec<_> = rollout.alerts.values().collect();
    all.sort_by_key(|tracked| (!tracked.standing.blocks(), std::cmp::Reverse(tracked.starts_at)));
    let left_out = all.len().saturating_sub(MOST);
    let mut named = BTreeSet::new();
    let shown = all.into_iter().take(MOST).map(|tracked| Firing {
        // One button for all the label sets of an alert; a name that is not shown whole could not be sent back.
        ack: brief(&tracked.name, NAME) == tracked.name
            && named.insert(tracked.name.as_str())
            && may_look(seen, reader, Some(tracked.name.clone()), None, now),
        looks: lookers(rollout, &tracked.name),
        name: brief(&tracked.name, NAME),
        standing: words::standing(tracked, rollout.is_final()),
        why: words::standing_why(tracked, rollout.is_final()),
        since: Moment::of(tracked.starts_at, now),
        lasting: (!rollout.is_final()).then(|| Period::between(tracked.starts_at, now).to_string()),
        trigger: tracked.trigger.clone(),
        severity: tracked.severity.clone(),
        labels: words::labels(&tracked.labels),
    });
    (shown.collect(), left_out)
}

/// A name and what it is, in words.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Fact {
    name: String,
    value: String,
}

impl Fact {
    fn new(name: &str, value: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            value: value.into(),
        }
    }
}

/// Who started it, and the people of the plan's roles.
pub(super) fn people(rollout: &Rollout) -> Vec<Fact> {
    let mut people = vec![Fact::new("started by", rollout.started_by.to_string())];
    for (role, members) in rollout.plan.spec.roles.iter().take(MOST) {
        let names: Vec<&str> = members.members.iter().map(|person| person.as_str()).collect();
        people.push(Fact::new(role, names.join(", ")));
    }
    people
}

/// What it was started with, and how it is bound.
pub(super) fn facts(rollout: &Rollout) -> Vec<Fact> {
    let spec = &rollout.plan.spec;
    let mut facts = vec![
        Fact::new("target", spec.target.name()),
        Fact::new("plan", format!("{} {}", rollout.plan.name(), rollout.plan.digest())),
        Fact::new("revision", rollout.generation.to_string()),
        Fact::new("epoch", rollout.epoch.to_string()),
    ];
    for (name, value) in rollout.inputs.iter().take(MOST) {
        facts.push(Fact::new(name, brief(value, 100)));
    }
    let watchdog = match spec.alerts.watchdog {
        Watchdog::Required => "required",
        Watchdog::None => "not used: silence counts as health",
    };
    facts.push(Fact::new("watchdog", watchdog));
    for (name, audience) in spec.audiences.iter().take(MOST) {
        let hears = match audience.hears {
            Hears::Pages => "pages",
            Hears::Milestones => "milestones",
            Hears::Everything => "everything",
        };
        facts.push(Fact::new(
            name,
            format!("hears {hears} on {}", audience.channels.join(", ")),
        ));
    }
    facts
}

/// Whether it acts by itself.
pub(super) fn armed(rollout: &Rollout) -> Mark {
    match rollout.plan.spec.mode {
        _ if rollout.is_final() => Mark::new("auto-rollback OVER", "stop", "quiet"),
        Mode::Armed => Mark::new("auto-rollback ARMED", "shield", "ok"),
        Mode::Shadow => Mark::new("SHADOW, says only", "shield", "warn"),
    }
}
