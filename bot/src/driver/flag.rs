//! Owns the built-in flag as a driver: written under its epoch, served here at once, read back, looked for in the traffic.
//! Refuses to serve anything that is not committed: the board is filled from what the book says was written.

mod board;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tidegate_rollout::flag::FlagState;
use tidegate_rollout::plan::FlagTarget;
use tidegate_rollout::{AdvanceToken, ReadBack, Share, Weight};

pub use board::{FlagBoard, Posted, Unserved};

use super::{Driver, DriverError, Seen, Wanted};
use crate::leadership::Leadership;

/// How the writing of a flag went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It is durable, as of this revision of the flags.
    Durable {
        /// The revision.
        revision: u64,
    },
    /// The stored epoch is higher; nothing was written.
    Fenced {
        /// That epoch.
        epoch: u64,
    },
}

/// Where flags are durable.
pub trait FlagBook: Send + Sync {
    /// Writes a flag unless the stored epoch is higher.
    fn write(&self, flag: &FlagState) -> impl Future<Output = anyhow::Result<Written>> + Send;

    /// Every flag and the revision they are at.
    fn read(&self) -> impl Future<Output = anyhow::Result<(Vec<FlagState>, u64)>> + Send;

    /// Whether every live replica serves at least this revision.
    fn served_everywhere(&self, revision: u64) -> impl Future<Output = anyhow::Result<bool>> + Send;
}

/// How long a read-back waits for an evaluation to show that traffic follows.
const EVALUATION_WAIT: Duration = Duration::from_millis(400);
/// How often it looks meanwhile, and how often it asks whether the other replicas serve it.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The driver of one flag.
pub struct FlagDriver<B> {
    target: FlagTarget,
    book: B,
    board: Arc<FlagBoard>,
}

impl<B: FlagBook> FlagDriver<B> {
    /// A driver for `target`, durable in `book`, served from `board`.
    pub fn new(target: FlagTarget, book: B, board: Arc<FlagBoard>) -> Self {
        Self { target, book, board }
    }

    async fn set(&self, wanted: &Wanted, now: Timestamp) -> Result<ReadBack, DriverError> {
        let members: BTreeSet<String> = wanted
            .groups
            .iter()
            .filter_map(|group| self.target.groups.get(group))
            .flat_map(|keys| keys.iter().cloned())
            .collect();
        let busy_before = self
            .board
            .peek(&self.target.key)
            .is_some_and(|posted| posted.observed().total > 0);
        let state = FlagState {
            key: self.target.key.clone(),
            weight: wanted.weight,
            members,
            epoch: wanted.epoch,
            rollout: wanted.rollout.clone(),
        };
        let written = self
            .book
            .write(&state)
            .await
            .map_err(|source| DriverError::Unreachable {
                tried: "write the flag",
                source,
            })?;
        match written {
            Written::Fenced { epoch } => return Err(DriverError::Fenced { found: epoch }),
            // What is durable is served to the next request, also when the book cannot be read now.
            Written::Durable { revision } => self.board.put(state, revision),
        }
        self.read_back(wanted, busy_before, now).await
    }

    /// Reads what is stored, serves that too, waits until every live replica serves it, and looks for evaluations.
    async fn read_back(&self, wanted: &Wanted, busy: bool, now: Timestamp) -> Result<ReadBack, DriverError> {
        let unreachable = |tried| move |source| DriverError::Unreachable { tried, source };
        let started = tokio::time::Instant::now();
        let (flags, revision) = self.book.read().await.map_err(unreachable("read the flags back"))?;
        self.board.post(flags, revision);
        while !self
            .book
            .served_everywhere(revision)
            .await
            .map_err(unreachable("ask the other replicas"))?
        {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let posted = self
            .board
            .peek(&self.target.key)
            .ok_or_else(|| DriverError::Unreachable {
                tried: "read the flag back",
                source: anyhow::anyhow!("flag {} is not served after it was written", self.target.key),
            })?;
        if posted.state.weight != wanted.weight {
            return Err(DriverError::Foreign {
                found: posted.state.weight,
                how: format!("the flag {} serves another weight", self.target.key),
            });
        }
        while busy && posted.observed().total == 0 && started.elapsed() < EVALUATION_WAIT {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let took = jiff::SignedDuration::try_from(started.elapsed()).unwrap_or_default();
        Ok(describe(
            wanted.weight,
            posted.observed(),
            now.saturating_add(took).unwrap_or(now),
        ))
    }
}

/// A flag that nobody has evaluated since is served, never "verified".
fn describe(weight: Weight, observed: Share, at: Timestamp) -> ReadBack {
    let how = match observed.total {
        0 => format!("The flag serves {weight}, no evaluation seen since"),
        total => format!(
            "The flag serves {weight}; {} of {total} evaluations since went to the new version",
            observed.new
        ),
    };
    ReadBack {
        weight,
        how,
        seen_in_traffic: observed.total > 0 && (!weight.is_zero() || observed.new == 0),
        observed: (observed.total > 0).then_some(observed),
        at,
    }
}

impl<B: FlagBook> Driver for FlagDriver<B> {
    async fn raise(
        &self,
        wanted: &Wanted,
        led: &Leadership,
        token: AdvanceToken,
        now: Timestamp,
    ) -> Result<ReadBack, DriverError> {
        if !led.holds(std::time::Instant::now()) || token.epoch() != wanted.epoch {
            return Err(DriverError::Unled { term: led.term() });
        }
        self.set(wanted, now).await
    }

    async fn to_zero(&self, rollout: &str, epoch: u64, now: Timestamp) -> Result<ReadBack, DriverError> {
        let wanted = Wanted {
            rollout: rollout.to_owned(),
            epoch,
            weight: Weight::ZERO,
            groups: Vec::new(),
        };
        self.set(&wanted, now).await
    }

    /// A flag is made by its first write.
    async fn may_start(&self) -> Result<(), DriverError> {
        Ok(())
    }

    /// The old version lies in the same program, and the book is ours.
    async fn way_back(&self) -> Result<(), DriverError> {
        Ok(())
    }

    /// The book is ours alone, so a flag never reads differently; what is seen is its traffic.
    async fn look(&self, _: Weight) -> Result<Seen, DriverError> {
        let posted = self.board.peek(&self.target.key);
        let share = posted.map(|posted| posted.observed()).filter(|share| share.total > 0);
        let how = share.map_or_else(
            || "no evaluation seen since the last change".to_owned(),
            |share| format!("{} of {} evaluations went to the new version", share.new, share.total),
        );
        Ok(Seen { share, how })
    }
}

#[cfg(test)]
mod tests;
