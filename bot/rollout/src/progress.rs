//! Owns what a worker says of an action that has not come through yet, so that people see what is waited for.
//! Refuses to be a decision: what follows from a long wait is decided where outcomes are.

use serde::{Deserialize, Serialize};

use crate::ids::ActionId;
use crate::rollout::Rollout;

/// An action that has not come through yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The action.
    pub action: ActionId,
    /// How often it had been tried when this was said first.
    pub attempts: u32,
    /// What is there, and what stands in the way.
    pub why: String,
}

impl Rollout {
    /// What is known about an action that has not come through.
    pub fn progress_of(&self, action: &ActionId) -> Option<&Progress> {
        self.progress.as_ref().filter(|progress| progress.action == *action)
    }
}
