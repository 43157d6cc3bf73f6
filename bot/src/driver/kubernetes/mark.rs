//! Owns the annotations that a write leaves on its object: whose it was, under which epoch, and what it wrote.
//! Refuses to decide what a mark means.

use serde_json::{Value, json};

const TARGET: &str = "tidegate.dev/target";
const ROLLOUT: &str = "tidegate.dev/rollout";
const EPOCH: &str = "tidegate.dev/epoch";
const WROTE: &str = "tidegate.dev/wrote";
const OVERWROTE: &str = "tidegate.dev/overwrote";

/// What the last write of Tidegate said about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// The target it was for. An object can be the old version for one and have been the new one for another.
    pub(super) target: String,
    /// The rollout that wrote.
    pub(super) rollout: String,
    /// Its epoch; only grows on one target.
    pub(super) epoch: u64,
    /// The value it wrote.
    pub(super) wrote: String,
    /// How often it was put right after somebody else had changed it, under this epoch.
    pub(super) overwrote: u32,
}

impl Mark {
    /// The mark on `object`; none where a part of it is missing or makes no sense.
    pub(super) fn on(object: &Value) -> Option<Self> {
        let annotations = &object["metadata"]["annotations"];
        let text = |key: &str| annotations[key].as_str();
        Some(Self {
            target: text(TARGET)?.to_owned(),
            rollout: text(ROLLOUT)?.to_owned(),
            epoch: text(EPOCH)?.parse().ok()?,
            wrote: text(WROTE)?.to_owned(),
            overwrote: text(OVERWROTE).and_then(|count| count.parse().ok()).unwrap_or(0),
        })
    }

    /// As annotations.
    pub(super) fn annotations(&self) -> Value {
        json!({
            TARGET: self.target,
            ROLLOUT: self.rollout,
            EPOCH: self.epoch.to_string(),
            WROTE: self.wrote,
            OVERWROTE: self.overwrote.to_string(),
        })
    }
}
