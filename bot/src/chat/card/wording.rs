//! Owns the words of a card that are the same on every chat platform: its headline, its sentence, its small print.
//! Refuses markup: whoever draws the card knows what its platform reads as more than text.

use jiff::Timestamp;
use tidegate_rollout::notice::clock;
use tidegate_rollout::rollout::State;
use tidegate_rollout::{Health, Rollout};

use super::Card;
use crate::chat::Desk;

/// What stands above the reasons.
pub(in crate::chat) const REASONS: &str = "What keeps it from advancing:";
/// What stands above the rungs.
pub(in crate::chat) const WAY_BACK: &str = "The way back";
/// What stands above the hooks.
pub(in crate::chat) const HOOKS: &str = "Hooks";
/// What is said where the plans are newer than the rollout.
pub(in crate::chat) const PLAN_CHANGED: &str =
    "The file of its plan says something else by now; it keeps the plan that it was started with.";
/// The most reasons that are listed; more are counted.
const MOST: usize = 8;
/// The most hooks, and people who look at something, that are listed: the latest ones; those before are counted.
const LATEST: usize = 4;
/// The most characters of a line about one of them.
const LINE: usize = 170;

impl Card {
    /// The same card with what the desk knows beside the rollout.
    pub(crate) fn beside<D: Desk>(self, desk: &D, rollout: &Rollout) -> Self {
        Self {
            observed: desk.observed(rollout).map(|share| share.to_string()),
            plan_changed: desk.plan_changed(rollout).then(|| PLAN_CHANGED.to_owned()),
            ..self
        }
    }

    /// What is rolled out, and where to.
    pub(in crate::chat) fn headline(&self) -> String {
        let version = self.version.as_deref().map(|it| format!(" {it}")).unwrap_or_default();
        format!("{}{version} → {}", self.title, self.environment)
    }

    /// The phase, with a space in front; nothing where there is none.
    pub(in crate::chat) fn phase_in_words(&self) -> String {
        let name = |name: &String| format!(" phase {} of {} ({name})", self.number, self.phases);
        self.phase.as_ref().map(name).unwrap_or_default()
    }

    /// The weight that is wanted, and beside it what the target shows now.
    pub(in crate::chat) fn share_in_words(&self) -> String {
        let observed = self.observed.as_ref().map(|share| format!(" ({share} observed)"));
        format!("{}{}", self.weight, observed.unwrap_or_default())
    }

    /// The rungs as they were climbed, the latest ones. One rung alone is said by what it waits for, or was read back.
    pub(in crate::chat) fn rungs(&self) -> &[String] {
        match self.ladder.len() {
            0 | 1 => &[],
            many => &self.ladder[many.saturating_sub(MOST)..],
        }
    }

    /// The one sentence that stands for the card: on a lock screen, in a reader's voice, in a search.
    pub(in crate::chat) fn sentence(&self) -> String {
        let health = self.health.as_deref().map(|it| format!(", {it}")).unwrap_or_default();
        let because = self
            .because
            .as_deref()
            .map(|it| format!(" Because: {it}."))
            .unwrap_or_default();
        format!(
            "{} {}: {}{} at {}{health}.{because} {}",
            self.rollout,
            self.headline(),
            self.state,
            self.phase_in_words(),
            self.share_in_words(),
            self.next
        )
    }

    /// What people are to be told next, and of what they were not told.
    pub(in crate::chat) fn commitments(&self) -> Vec<String> {
        self.next_update
            .iter()
            .chain(&self.missed)
            .take(MOST)
            .cloned()
            .collect()
    }

    /// Who looks at what, the latest ones.
    pub(in crate::chat) fn lookers(&self) -> Vec<String> {
        latest(&self.looked_at)
    }

    /// The hooks, the latest ones.
    pub(in crate::chat) fn latest_hooks(&self) -> Vec<String> {
        latest(&self.hooks)
    }

    /// What keeps it from advancing, as far as it is listed.
    pub(in crate::chat) fn reasons(&self) -> Vec<String> {
        let mut reasons: Vec<String> = self.waits_for.iter().take(MOST).cloned().collect();
        match self.waits_for.len().saturating_sub(MOST) {
            0 => {}
            more => reasons.push(format!("and {more} more")),
        }
        reasons
    }

    /// Which rollout it is, who started it, and which of its pictures this is.
    pub(in crate::chat) fn small_print(&self, as_of: Option<Timestamp>) -> String {
        let mut parts = vec![self.rollout.clone(), format!("started by {}", self.started_by)];
        if self.armed {
            parts.push("auto-rollback ARMED".to_owned());
        }
        parts.push(format!("revision {}", self.generation));
        parts.extend(as_of.map(|at| format!("as of {}", clock(at))));
        parts.join(" · ")
    }
}

/// The latest ones, below how many came before; each in one line.
fn latest(all: &[String]) -> Vec<String> {
    let before = all.len().saturating_sub(LATEST);
    let counted = (before > 0).then(|| format!("{before} more before"));
    counted
        .into_iter()
        .chain(all.iter().skip(before).map(|line| one_line(line)))
        .collect()
}

fn one_line(text: &str) -> String {
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if flat.chars().count() <= LINE {
        return flat;
    }
    flat.chars().take(LINE - 1).chain(['…']).collect()
}

/// States and healths are our own words, and there are few of them: nothing else is ever bold.
pub(in crate::chat) fn known(word: &str) -> &'static str {
    let states = State::ALL.into_iter().map(State::word);
    let healths = Health::ALL.map(|health| health.word());
    states.chain(healths).find(|known| *known == word).unwrap_or("UNKNOWN")
}
