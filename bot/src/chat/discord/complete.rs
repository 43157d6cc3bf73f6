//! Owns what is shown to somebody who is still typing: the plans, rollouts, environments, numbers, roles, items and alerts that would
//! make sense.
//! Refuses to show anything to whoever may not read it, and to wait: what is not known at once is not offered.

use std::collections::BTreeSet;
use std::sync::Arc;

use tidegate_rollout::command::Verb;
use tidegate_rollout::signoff::Open;
use tidegate_rollout::{Actor, Rollout, policy};
use tidegate_webhooks::discord::Spoken;

use super::super::{Desk, Dispatcher, Occasion};
use crate::render::discord::name;

/// The most choices that Discord shows.
const MOST: usize = 25;
/// The longest value of a choice.
const VALUE: usize = 100;

/// What is said with its name in front and can be offered all the same.
pub(super) const KEYED: [&str; 2] = ["alert", "role"];

/// Something that can be chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// What is shown.
    pub name: String,
    /// What is filled in.
    pub value: String,
}

impl Choice {
    fn new(value: &str, about: &str) -> Self {
        let shown = match about {
            "" => name(value),
            about => name(&format!("{value} – {about}")),
        };
        Self {
            name: shown,
            value: value.to_owned(),
        }
    }
}

/// What fits to what is typed so far.
pub async fn completed<D: Desk>(
    dispatcher: &Dispatcher<D>,
    occasion: &Occasion,
    spoken: &Spoken,
    (focused, typed): (&str, &str),
) -> Vec<Choice> {
    let actor = &occasion.actor;
    if policy::may(actor, &Verb::List, None).is_err() {
        return Vec::new();
    }
    let desk = dispatcher.desk();
    let all = match (spoken.verb.as_str(), focused) {
        (_, "plan") => desk.plans().iter().map(|plan| Choice::new(plan, "")).collect(),
        ("status" | "history" | "note", "rollout") => rollouts(&newest(desk).await),
        (_, "rollout") => rollouts(&desk.active()),
        (_, "environment") => environments(&newest(desk).await),
        (verb, "number") => numbers(verb, &meant(dispatcher, occasion, spoken).await),
        ("approve", "role") => roles(actor, &meant(dispatcher, occasion, spoken).await),
        ("check", "item") => items(spoken, &meant(dispatcher, occasion, spoken).await),
        ("ack", "alert") => alerts(actor, &meant(dispatcher, occasion, spoken).await),
        _ => Vec::new(),
    };
    let typed = typed.trim().to_lowercase();
    let fits = |choice: &Choice| choice.value.len() <= VALUE && choice.name.to_lowercase().contains(&typed);
    all.into_iter().filter(fits).take(MOST).collect()
}

/// The active ones, then those that are over; if those cannot be read, the active ones.
async fn newest<D: Desk>(desk: &D) -> Vec<Arc<Rollout>> {
    let mut all = desk.active();
    let over = desk.newest(20).await.unwrap_or_default();
    all.extend(over.into_iter().filter(|rollout| rollout.is_final()));
    all
}

fn rollouts(all: &[Arc<Rollout>]) -> Vec<Choice> {
    let about = |rollout: &Rollout| {
        format!(
            "{} {} – {}",
            rollout.state_word(),
            rollout.wanted,
            rollout.plan.spec.title
        )
    };
    all.iter()
        .map(|rollout| Choice::new(rollout.id.as_str(), &about(rollout)))
        .collect()
}

fn environments(all: &[Arc<Rollout>]) -> Vec<Choice> {
    let names: BTreeSet<&str> = all.iter().map(|it| it.plan.spec.environment.as_str()).collect();
    names.into_iter().map(|name| Choice::new(name, "")).collect()
}

/// The rollouts that a command so far would concern, if it were sent off where it is typed.
async fn meant<D: Desk>(dispatcher: &Dispatcher<D>, occasion: &Occasion, spoken: &Spoken) -> Vec<Arc<Rollout>> {
    let named = spoken.options.iter().find(|(name, _)| name == "rollout");
    let named = named.map(|(_, name)| name.as_str());
    let candidates = dispatcher.candidates(named, occasion.place.as_deref()).await;
    candidates.unwrap_or_default()
}

fn numbers(verb: &str, all: &[Arc<Rollout>]) -> Vec<Choice> {
    let choice = |id: &str, number: u32, about: &str| Choice::new(&number.to_string(), &format!("{id}: {about}"));
    let of = |rollout: &Arc<Rollout>| -> Vec<Choice> {
        let id = rollout.id.as_str();
        match verb {
            "release" => {
                let holds = rollout.holds.iter();
                holds.map(|hold| choice(id, hold.number, &hold.reason)).collect()
            }
            "decide" | "ack" => {
                let decisions = rollout.decisions.iter();
                decisions
                    .map(|asked| choice(id, asked.number, &asked.question))
                    .collect()
            }
            _ => Vec::new(),
        }
    };
    all.iter().flat_map(of).collect()
}

/// The roles whose approval is missing, those of the asker first.
fn roles(actor: &Actor, all: &[Arc<Rollout>]) -> Vec<Choice> {
    let of = |rollout: &Arc<Rollout>| -> Vec<(bool, Choice)> {
        let open = rollout.open_signoffs().into_iter().filter_map(|open| match open {
            Open::Approval { role, people, .. } => Some((role, people)),
            Open::Check { .. } => None,
        });
        open.map(|(role, people)| {
            let names: Vec<&str> = people.iter().map(|person| person.as_str()).collect();
            let choice = Choice::new(&role, &format!("{}: {}", rollout.id, names.join(", ")));
            (!people.contains(&actor.person), choice)
        })
        .collect()
    };
    let mut found: Vec<(bool, Choice)> = all.iter().flat_map(of).collect();
    found.sort_by_key(|(others, _)| *others);
    found.into_iter().map(|(_, choice)| choice).collect()
}

/// The items that are open; those that are ticked for whoever takes a tick back.
fn items(spoken: &Spoken, all: &[Arc<Rollout>]) -> Vec<Choice> {
    let undo = spoken
        .options
        .iter()
        .any(|(name, said)| name == "answer" && said == "undo");
    let of = |rollout: &Arc<Rollout>| -> Vec<Choice> {
        let index = rollout.phase_index();
        let Some(phase) = rollout.plan.spec.phases.get(index) else {
            return Vec::new();
        };
        let fits = phase
            .checks
            .iter()
            .filter(|check| rollout.checked(index, &check.id).is_some() == undo);
        fits.map(|check| Choice::new(&check.id, &format!("{}: {}", rollout.id, check.text)))
            .collect()
    };
    all.iter().flat_map(of).collect()
}

/// The alerts that fire and at which the asker does not look yet.
fn alerts(actor: &Actor, all: &[Arc<Rollout>]) -> Vec<Choice> {
    let of = |rollout: &Arc<Rollout>| -> Vec<Choice> {
        let looks = |name: &str| {
            let seen = &rollout.acknowledged;
            seen.iter().any(|one| one.what == name && one.by == actor.person)
        };
        let firing = rollout.alerts.values().filter(|tracked| tracked.standing.blocks());
        let names: BTreeSet<&str> = firing
            .map(|tracked| tracked.name.as_str())
            .filter(|name| !looks(name))
            .collect();
        let about = |name: &str| Choice::new(name, &format!("fires on {}", rollout.id));
        names.into_iter().map(about).collect()
    };
    all.iter().flat_map(of).collect()
}
