//! Owns the way back rung by rung: what was tried, since when, how it ended. It is what people read afterwards.
//! Refuses to write: a rung is an action like every other, and its worker verifies by reading back.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::ActionId;
use crate::period::Period;

/// One rung as it was climbed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Climb {
    /// Its name in the plan.
    pub rung: String,
    /// What it moves.
    pub target: String,
    /// The action that asks for zero.
    pub action: ActionId,
    /// Under which epoch; a person who asks again climbs anew under a higher one.
    pub epoch: u64,
    /// Since when.
    pub since: Timestamp,
    /// How long it had before the next rung was climbed too.
    pub within: Period,
    /// How it ended; nothing while it is being tried.
    pub end: Option<End>,
    /// The higher epoch that the target carries. Nobody goes above it without a person's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fenced_by: Option<u64>,
}

/// How a rung ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// When.
    pub at: Timestamp,
    /// Whether zero was read back from it.
    pub verified: bool,
    /// What was read, or what stood in the way.
    pub how: String,
}

/// The rungs from which zero was not read back: traffic may still lie with them. A rung from before a person asked again was
/// overtaken by that, where its target was asked again.
pub fn left(ladder: &[Climb]) -> Vec<&Climb> {
    let verified = |climb: &Climb| climb.end.as_ref().is_some_and(|end| end.verified);
    let last = ladder.iter().enumerate().filter(|(place, climb)| {
        let again = ladder[place + 1..].iter().any(|later| later.target == climb.target);
        !again && !verified(climb)
    });
    last.map(|(_, climb)| climb).collect()
}

impl Climb {
    /// The rung, and what it moves.
    pub fn called(&self) -> String {
        format!("{} ({})", self.rung, self.target)
    }

    /// In one line: name, target, time taken, what came of it.
    pub fn line(&self, now: Timestamp) -> String {
        let (rung, target) = (&self.rung, &self.target);
        match &self.end {
            Some(end) => {
                let took = Period::between(self.since, end.at);
                let word = if end.verified { "zero read back" } else { "failed" };
                format!("{rung} ({target}): {word} after {took}: {}", end.how)
            }
            None => format!(
                "{rung} ({target}): being tried for {}",
                Period::between(self.since, now)
            ),
        }
    }
}
