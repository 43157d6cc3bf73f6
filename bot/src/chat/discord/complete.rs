//! Owns what is shown to somebody who is still typing: the plans, rollouts, environments and numbers that would make sense.
//! Refuses to show anything to whoever may not read it, and to wait: what is not known at once is not offered.

use std::collections::BTreeSet;
use std::sync::Arc;

use tidegate_rollout::command::Verb;
use tidegate_rollout::{Actor, Rollout, policy};
use tidegate_webhooks::discord::Spoken;

use super::super::{Desk, Dispatcher};
use crate::render::discord::name;

/// The most choices that Discord shows.
const MOST: usize = 25;
/// The longest value of a choice.
const VALUE: usize = 100;

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
    actor: &Actor,
    spoken: &Spoken,
    (focused, typed): (&str, &str),
) -> Vec<Choice> {
    if policy::may(actor, &Verb::List, None).is_err() {
        return Vec::new();
    }
    let desk = dispatcher.desk();
    let all = match (spoken.verb.as_str(), focused) {
        (_, "plan") => desk.plans().iter().map(|plan| Choice::new(plan, "")).collect(),
        ("status" | "history" | "note", "rollout") => rollouts(&newest(desk).await),
        (_, "rollout") => rollouts(&desk.active()),
        (_, "environment") => environments(&newest(desk).await),
        (verb, "number") => numbers(verb, &meant(desk, spoken)),
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

/// The rollouts that a command so far would concern.
fn meant<D: Desk>(desk: &D, spoken: &Spoken) -> Vec<Arc<Rollout>> {
    let named = spoken.options.iter().find(|(name, _)| name == "rollout");
    let is_meant = |rollout: &Arc<Rollout>| match named {
        Some((_, name)) => rollout.id.as_str() == name || rollout.plan.name() == name,
        None => true,
    };
    desk.active().into_iter().filter(is_meant).collect()
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
            "decide" => {
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
