//! Owns the model of what carries traffic: weights, each with a name, and the ways in which targets refuse a stale writer.
//! Refuses to know why somebody writes.

use std::sync::Arc;

use crate::plan::Plan;
use crate::weight::Weight;

use super::random::Random;

/// How a target refuses a stale writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fence {
    /// It lies in our own database: a write is checked against the rollout itself, in the transaction that writes.
    Book,
    /// It carries the epoch of its last writer and refuses lower ones, as an annotation with a precondition does.
    Epoch,
    /// It takes every write. Calls have a deadline after which they never land.
    None,
}

/// Something that carries traffic, or that the traffic of others goes through.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// What plans call it.
    pub(super) name: String,
    /// How it refuses.
    pub(super) fence: Fence,
    /// The weight it has.
    pub(super) weight: Weight,
    /// The epoch of the last write it took.
    pub(super) epoch: u64,
    /// The rollout of that write.
    pub(super) owner: Option<usize>,
    /// Until when it takes writes and ignores them, in milliseconds.
    pub(super) lies_until: u64,
    /// Until when nothing reaches it, in milliseconds.
    pub(super) down_until: u64,
    /// When somebody else last wrote to it.
    pub(super) foreign_at: Option<u64>,
}

/// One write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Write {
    /// Whose.
    pub(super) rollout: usize,
    /// Under which epoch.
    pub(super) epoch: u64,
    /// The value to set.
    pub(super) weight: Weight,
}

/// Every target of a history: those that plans raise, in the order of the plans, and then what else they fall back on.
pub(super) fn all(plans: &[Arc<Plan>], random: &mut Random, rungs: &mut Random) -> Vec<Target> {
    const FENCES: [Fence; 3] = [Fence::Book, Fence::Epoch, Fence::None];
    let fence = |random: &mut Random| FENCES[random.index(FENCES.len())];
    let raised = |plan: &Arc<Plan>| Target::new(plan.spec.target.name(), fence(random), Weight::ZERO);
    let mut targets: Vec<Target> = plans.iter().map(raised).collect();
    for name in plans.iter().flat_map(|plan| plan.targets()) {
        if targets.iter().all(|target| target.name != name) {
            // What is no plan's to raise lets everything through until somebody falls back on it.
            targets.push(Target::new(name, fence(rungs), Weight::FULL));
        }
    }
    targets
}

impl Target {
    /// A target that nobody ever wrote to.
    fn new(name: String, fence: Fence, weight: Weight) -> Self {
        Self {
            name,
            fence,
            weight,
            epoch: 0,
            owner: None,
            lies_until: 0,
            down_until: 0,
            foreign_at: None,
        }
    }

    /// A write arrives at `now`; `decided` is the epoch of the writing rollout's last decision, as the database has it.
    ///
    /// # Errors
    /// The higher epoch, when the writer is stale; nothing was written then.
    pub(super) fn write(&mut self, write: Write, decided: u64, now: u64) -> Result<(), u64> {
        let newer = match self.fence {
            Fence::Book => Some(decided.max(self.epoch)).filter(|newest| *newest > write.epoch),
            Fence::Epoch => Some(self.epoch).filter(|newest| *newest > write.epoch),
            Fence::None => None,
        };
        let another = self.epoch == write.epoch && self.owner.is_some_and(|owner| owner != write.rollout);
        if let Some(newer) = newer {
            return Err(newer);
        }
        if another && self.fence != Fence::None {
            return Err(self.epoch);
        }
        self.epoch = write.epoch;
        self.owner = Some(write.rollout);
        if now >= self.lies_until {
            self.weight = write.weight;
        }
        Ok(())
    }
}
