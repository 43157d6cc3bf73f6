//! Owns the state of a built-in flag and its evaluation.
//! Refuses to remember users: an answer follows from the state and the key alone.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::bucket;
use crate::weight::Weight;

/// What a flag serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlagState {
    /// The key that services evaluate.
    pub key: String,
    /// The part of all users that is in.
    pub weight: Weight,
    /// Targeting keys of the groups that are wholly in; they count for nothing at weight 0.
    pub members: BTreeSet<String>,
    /// The epoch of the rollout that wrote it; a write with a lower one is refused.
    pub epoch: u64,
    /// The rollout that wrote it.
    pub rollout: String,
}

/// Why somebody is in or out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Why {
    /// The weight is zero: nobody is in.
    Off,
    /// The user belongs to a group that is wholly in.
    Group,
    /// The user's bucket decided.
    Bucket,
}

/// The answer to one evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evaluation {
    /// Whether the new version is served.
    pub on: bool,
    /// Why.
    pub why: Why,
}

impl FlagState {
    /// Whether the user called `targeting_key` gets the new version.
    pub fn evaluate(&self, targeting_key: &str) -> Evaluation {
        if self.weight.is_zero() {
            return Evaluation {
                on: false,
                why: Why::Off,
            };
        }
        if self.members.contains(targeting_key) {
            return Evaluation {
                on: true,
                why: Why::Group,
            };
        }
        Evaluation {
            on: bucket::is_in(&self.key, targeting_key, self.weight),
            why: Why::Bucket,
        }
    }
}
