//! Owns the question before a button that matters: what will happen, and what will not.
//! Refuses to do it: the form on the page does, with the revision the reader saw.

use jiff::Timestamp;
use serde::Serialize;
use tidegate_rollout::Rollout;
use tidegate_rollout::command::Command;
use tidegate_rollout::plan::Hears;

use super::buttons::not_you;
use super::{Chrome, Mark, Moment, Reader, Seen, grouped, next, words};

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
    will_not: Vec<String>,
    told: String,
    /// Why this reader may not; `None`: they may.
    why: Option<String>,
}

impl Confirm {
    /// The question before a rollback.
    pub fn rollback(seen: &Seen<'_>, reader: Option<&Reader>, now: Timestamp) -> Self {
        let rollout = seen.rollout;
        let target = rollout.plan.spec.target.name();
        let observed = seen.share.filter(|share| share.total > 0);
        let traffic = match observed {
            Some(share) => format!("{} ({share} of {} observed)", rollout.wanted, grouped(share.total)),
            None => rollout.wanted.to_string(),
        };
        Self {
            question: format!("Roll back {} now?", rollout.id),
            label: "Roll back now",
            tone: "bad",
            will: vec![
                "0% is decided and written down. From then on nothing can raise this rollout again.".to_owned(),
                format!("{target} is set to 0%: {traffic} of the traffic returns to the old version."),
                "0% is read back. Only then it is called rolled back; until then it is tried again and again."
                    .to_owned(),
            ],
            will_not: vec![
                "The database and everything the new version wrote: nothing is undone there.".to_owned(),
                "The old version: it is neither started nor scaled by this.".to_owned(),
            ],
            why: not_you(rollout, reader, Command::Rollback { reason: String::new() }),
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
            why: not_you(rollout, reader, Command::Advance),
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
