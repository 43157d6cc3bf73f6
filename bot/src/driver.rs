//! Owns the moving of traffic: what every driver can do, and what it must prove to be allowed to.
//! Refuses to decide and to remember: it sets a value, reads it back, and says what it saw.

pub mod flag;
pub mod kubernetes;

use jiff::Timestamp;
use tidegate_rollout::{AdvanceToken, ReadBack, Share, Weight};

use crate::leadership::Leadership;

/// The value a target should have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The rollout that wants it.
    pub rollout: String,
    /// Its epoch; the target refuses a lower one than it knows.
    pub epoch: u64,
    /// The weight.
    pub weight: Weight,
    /// Groups that are wholly in.
    pub groups: Vec<String>,
}

/// Why traffic could not be moved.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// The target knows a higher epoch: we are the stale writer, and nothing was written.
    #[error("the target carries epoch {found}, ours is lower")]
    Fenced {
        /// The epoch found.
        found: u64,
    },
    /// The field we last wrote reads differently.
    #[error("the target reads {found} instead of what we wrote: {how}")]
    Foreign {
        /// The weight found.
        found: Weight,
        /// What was found, in words.
        how: String,
    },
    /// It was written, and the target has not followed yet; looking again is all there is to do.
    #[error("{what}")]
    Waiting {
        /// What is there, and what is waited for.
        what: String,
    },
    /// The lease ends too soon for this write. That says nothing of the target, and nothing was written.
    #[error("the lease of term {term} ends before the write could")]
    Unled {
        /// Of which term.
        term: u64,
    },
    /// The target says no, and will until a person changes something.
    #[error("could not {tried}: {why}")]
    Refused {
        /// What we tried.
        tried: &'static str,
        /// Why not.
        why: String,
    },
    /// It could not be written or read now; trying again is safe.
    #[error("could not {tried}")]
    Unreachable {
        /// What we tried.
        tried: &'static str,
        /// What stood in the way.
        #[source]
        source: anyhow::Error,
    },
}

/// What was seen of a target without writing to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The share as it is, where the driver can tell.
    pub share: Option<Share>,
    /// In words.
    pub how: String,
}

/// Something that carries traffic.
pub trait Driver: Send + Sync {
    /// Brings the target to `wanted` and reads it back. May raise, so it takes both proofs: that this replica leads,
    /// and that the rollout still wants it.
    fn raise(
        &self,
        wanted: &Wanted,
        led: &Leadership,
        token: AdvanceToken,
        now: Timestamp,
    ) -> impl Future<Output = Result<ReadBack, DriverError>> + Send;

    /// Brings the target to zero and reads it back. Needs no lease: at worst it is done twice.
    fn to_zero(
        &self,
        rollout: &str,
        epoch: u64,
        now: Timestamp,
    ) -> impl Future<Output = Result<ReadBack, DriverError>> + Send;

    /// Looks whether a rollout could begin with the target as it is. Writes nothing.
    fn may_start(&self) -> impl Future<Output = Result<(), DriverError>> + Send;

    /// Looks whether the way back is alive: who carried the traffic before is there, ready, and can be read. Writes nothing.
    fn way_back(&self) -> impl Future<Output = Result<(), DriverError>> + Send;

    /// Looks whether the target still reads as it was written for `weight`. Writes nothing.
    fn look(&self, weight: Weight) -> impl Future<Output = Result<Seen, DriverError>> + Send;
}
