//! Owns the question before a button that matters: what will happen, and what will not.
//! Refuses to do it: the form on the page does, with the revision the reader saw.

use jiff::Timestamp;
use serde::Serialize;
use tidegate_rollout::Rollout;
use tidegate_rollout::command::Command;
use tidegate_rollout::plan::Hears;

use super::buttons::{is_stuck, not_you, over};
use super::{Chrome, Mark, Moment, Reader, Seen, grouped, next, way_back, words};

/// The page that asks once more.
#[derive(Clone, Debug, Serialize)]
pub struct Confirm {
    chrome: Chrome,
    id: String,
    title: String,
    state: Mark,
    seen: u64,
    verb: &'static str,
    question: String,
    label: &'static str,
    tone: &'static str,
    will: Vec<String>,
    /// The ways back, where there are several.
    rungs: Vec<String>,
    will_not: Vec<String>,
    told: String,
    /// Why this reader may not; `None`: they may.
    why: Option<String>,
}

impl Confirm {
    /// The question before a rollback.
    pub fn rollback(seen: &Seen<'_>, reader: Option<&Reader>, now: Timestamp) -> Self {
        let rollout = seen.rollout;
        let rungs = way_back::rungs(&rollout.plan);
        let (question, label) = match is_stuck(rollout) {
            true => (format!("Ask for 0% of {} once more?", rollout.id), "Try again"),
            false => (format!("Roll back {} now?", rollout.id), "Roll back now"),
        };
        Self {
            question,
            label,
            tone: "bad",
            will: going_back(seen, rungs.is_empty()),
            rungs,
            will_not: way_back::left_alone(&rollout.plan),
            why: over(rollout, true).or_else(|| not_you(rollout, reader, Command::Rollback { reason: String::new() })),
            ..Self::blank(rollout, "rollback", reader, now)
        }
    }

    /// The question before an advance to the next phase.
    pub fn advance(seen: &Seen<'_>, reader: Option<&Reader>, now: Timestamp) -> Self {
        let rollout = seen.rollout;
        let onward = next::onward(rollout);
        let target = rollout.plan.spec.target.name();
        let bake =
            next::following(rollout).map(|phase| format!("It bakes for {} there; guards stay armed.", phase.bake));
        let move_it = next::following(rollout).map(|phase| {
            format!(
                "{target} goes from {} to {} of the traffic.",
                rollout.wanted, phase.weight
            )
        });
        Self {
            question: format!("Continue {} {onward}?", rollout.id),
            label: "Continue",
            tone: "info",
            will: move_it.into_iter().chain(bake).collect(),
            will_not: vec!["Nothing else moves. Rollback stays possible at any time.".to_owned()],
            why: over(rollout, false).or_else(|| not_you(rollout, reader, Command::Advance)),
            ..Self::blank(rollout, "advance", reader, now)
        }
    }

    fn blank(rollout: &Rollout, verb: &'static str, reader: Option<&Reader>, now: Timestamp) -> Self {
        let path = format!("/r/{}/confirm/{verb}", rollout.id);
        let told = rollout.plan.channels_for(Hears::Pages);
        Self {
            chrome: Chrome {
                icon: "warn",
                ..Chrome::new(format!("{verb} {}?", rollout.id), path, reader, now)
            },
            id: rollout.id.to_string(),
            title: rollout.plan.spec.title.clone(),
            state: words::state(rollout),
            seen: rollout.generation,
            verb,
            question: String::new(),
            label: "",
            tone: "info",
            will: Vec::new(),
            rungs: Vec::new(),
            will_not: Vec::new(),
            told: told.into_iter().collect::<Vec<_>>().join(", "),
            why: None,
        }
    }

    /// When the page was made.
    pub fn at(&self) -> &Moment {
        &self.chrome.now
    }
}

/// What a rollback does, one thing after the other; the rungs of a ladder stand beside it.
fn going_back(seen: &Seen<'_>, one_way: bool) -> Vec<String> {
    let rollout = seen.rollout;
    let traffic = match seen.share.filter(|share| share.total > 0) {
        Some(share) => format!("{} ({share} of {} observed)", rollout.wanted, grouped(share.total)),
        None => rollout.wanted.to_string(),
    };
    let moves = match one_way {
        true => format!("{}.", way_back::to_zero(&rollout.plan.spec.target)),
        false => "The first rung below is asked for 0%. One that is not read back in time is followed by the next; \
                  those before are tried on."
            .to_owned(),
    };
    let mut will = vec![
        "0% is decided and written down. From then on nothing can raise this rollout again.".to_owned(),
        moves,
        format!("{traffic} of the traffic returns to the old version."),
        "0% is read back. Only then it is called rolled back; until then it is tried again and again.".to_owned(),
    ];
    let hooks = &rollout.plan.spec.rollback.hooks;
    if !hooks.is_empty() {
        will.push(format!("After that these hooks run, one by one: {}.", hooks.join(", ")));
    }
    will
}
