//! Owns where and when somebody on a chat platform spoke, and what that means for a request: its key, and how long it counts.
//! Refuses to prove who speaks: that happened before.

use jiff::{SignedDuration, Timestamp};
use tidegate_rollout::Actor;
use tidegate_rollout::command::Verb;

use super::Request;

/// A command that is taken up later than this is refused, because nobody waits for it any more. A rollback never is.
const TAKEN_UP_WITHIN: SignedDuration = SignedDuration::from_millis(2_500);

/// Where and when somebody spoke.
#[derive(Clone, Debug)]
pub struct Occasion {
    /// Who.
    pub actor: Actor,
    /// The idempotency key: the platform's own name for this interaction.
    pub key: String,
    /// The platform's id of the channel or thread.
    pub place: Option<String>,
    /// When it came in.
    pub at: Timestamp,
}

impl Occasion {
    pub(super) fn request(&self, verb: Verb, rollout: Option<String>, seen: Option<u64>) -> Request {
        Request {
            actor: self.actor.clone(),
            verb,
            rollout,
            place: self.place.clone(),
            seen,
            key: Some(self.key.clone()),
            not_after: self.at.checked_add(TAKEN_UP_WITHIN).ok(),
        }
    }
}
