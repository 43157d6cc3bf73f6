//! Owns what the drivers in Kubernetes have in common: the intent behind a write, and the verdict on what is found before it.
//! Refuses to write over a higher epoch, over somebody else's word while going forward, and more than once while going back.

pub mod cluster;
mod gateways;
pub mod job;
pub mod logs;
mod mark;
mod news;
mod pods;
pub mod replicas;
pub mod rights;
pub mod route;
pub mod selector;

use std::time::{Duration, Instant};

use jiff::Timestamp;
use tidegate_rollout::plan::Target;
use tidegate_rollout::{AdvanceToken, ReadBack, Share, Weight};

use super::{Driver, DriverError, Seen, Wanted};
use crate::leadership::Leadership;
use cluster::Fault;
use mark::Mark;

/// So often somebody else may write at the same moment before the attempt is given up; the next one follows at once.
const TRIES: usize = 5;

/// Who writes, under which epoch, and which way.
struct Intent<'a> {
    /// The name of the target, as the plan says it.
    target: String,
    rollout: &'a str,
    epoch: u64,
    way: Way<'a>,
}

/// Which way the weight may go.
#[derive(Clone, Copy)]
enum Way<'a> {
    /// Anywhere the plan says; only the leader may.
    Forward(&'a Leadership),
    /// To zero.
    Back,
}

/// What the drivers of the cluster do each in their own way.
trait Moves: Send + Sync {
    /// What it moves.
    fn target(&self) -> Target;

    /// Brings the target to `weight`, unless the intent may not, and reads it back.
    fn bring(
        &self,
        intent: &Intent<'_>,
        weight: Weight,
        now: Timestamp,
    ) -> impl Future<Output = Result<ReadBack, DriverError>> + Send;

    /// As [`Driver::may_start`].
    fn may_start(&self) -> impl Future<Output = Result<(), DriverError>> + Send;

    /// As [`Driver::way_back`].
    fn way_back(&self) -> impl Future<Output = Result<(), DriverError>> + Send;

    /// As [`Driver::look`].
    fn look(&self, weight: Weight) -> impl Future<Output = Result<Seen, DriverError>> + Send;
}

impl<T: Moves> Driver for T {
    async fn raise(
        &self,
        wanted: &Wanted,
        led: &Leadership,
        token: AdvanceToken,
        now: Timestamp,
    ) -> Result<ReadBack, DriverError> {
        let intent = Intent {
            target: self.target().name(),
            rollout: &wanted.rollout,
            epoch: token.epoch(),
            way: Way::Forward(led),
        };
        self.bring(&intent, wanted.weight, now).await
    }

    async fn to_zero(&self, rollout: &str, epoch: u64, now: Timestamp) -> Result<ReadBack, DriverError> {
        let intent = Intent {
            target: self.target().name(),
            rollout,
            epoch,
            way: Way::Back,
        };
        self.bring(&intent, Weight::ZERO, now).await
    }

    async fn may_start(&self) -> Result<(), DriverError> {
        Moves::may_start(self).await
    }

    async fn way_back(&self) -> Result<(), DriverError> {
        Moves::way_back(self).await
    }

    async fn look(&self, weight: Weight) -> Result<Seen, DriverError> {
        Moves::look(self, weight).await
    }
}

/// What the object says about earlier writes.
enum Verdict {
    /// It reads as it was written last, or nobody of us wrote to it yet.
    Clear,
    /// Somebody else changed it since; this may be put right once.
    Overwrite,
    /// Somebody else changed it since.
    Foreign,
}

impl Intent<'_> {
    fn goes_back(&self) -> bool {
        match self.way {
            Way::Back => true,
            Way::Forward(_) => false,
        }
    }

    /// Whether a write of up to `lasting` may begin now.
    fn may_write(&self, lasting: Duration) -> Result<(), DriverError> {
        match self.way {
            Way::Back => Ok(()),
            Way::Forward(led) if led.holds(Instant::now() + lasting) => Ok(()),
            Way::Forward(led) => Err(DriverError::Unled { term: led.term() }),
        }
    }

    /// Judges what was written before; `is` is the field that we own, as it reads now.
    fn judge(&self, mark: Option<&Mark>, is: &str) -> Result<Verdict, DriverError> {
        // A mark of another target, such as the one under which this version was the new one, says nothing about ours.
        let Some(mark) = mark.filter(|mark| mark.target == self.target) else {
            return Ok(Verdict::Clear);
        };
        if mark.epoch > self.epoch {
            return Err(DriverError::Fenced { found: mark.epoch });
        }
        // What happened after an earlier rollout was over is nobody's business.
        if mark.wrote == is || mark.rollout != self.rollout {
            return Ok(Verdict::Clear);
        }
        match (self.goes_back(), mark.epoch == self.epoch, mark.overwrote) {
            // The decision to go back is younger than whatever was written.
            (true, false, _) => Ok(Verdict::Clear),
            (true, true, 0) => Ok(Verdict::Overwrite),
            (true, true, _) | (false, _, _) => Ok(Verdict::Foreign),
        }
    }

    /// What a write of `wrote` leaves on the object.
    fn mark(&self, before: Option<&Mark>, wrote: String, verdict: &Verdict) -> Mark {
        let overwrote = before
            .filter(|mark| mark.target == self.target && mark.epoch == self.epoch)
            .map_or(0, |mark| mark.overwrote);
        let more = match verdict {
            Verdict::Overwrite => 1,
            Verdict::Clear | Verdict::Foreign => 0,
        };
        Mark {
            target: self.target.clone(),
            rollout: self.rollout.to_owned(),
            epoch: self.epoch,
            wrote,
            overwrote: overwrote + more,
        }
    }

    /// Whether the object carries our epoch already.
    fn has_marked(&self, mark: Option<&Mark>) -> bool {
        mark.is_some_and(|mark| mark.target == self.target && mark.epoch == self.epoch && mark.rollout == self.rollout)
    }
}

/// What went wrong with a call, as the worker needs to know it.
fn because(tried: &'static str, fault: Fault) -> DriverError {
    match fault {
        Fault::Refused { why } => DriverError::Refused { tried, why },
        Fault::Conflict => DriverError::Unreachable {
            tried,
            source: anyhow::anyhow!("somebody else writes to it at the same moment"),
        },
        Fault::Unreachable(source) => DriverError::Unreachable { tried, source },
    }
}

/// What became of a write.
#[derive(Clone, Copy)]
enum Written {
    /// It reads so already.
    Nothing,
    /// The API took it.
    Done,
    /// Somebody else was faster.
    Conflict,
}

/// A write that did not come through, and what was read before it: whoever is told has to know what is left.
fn unwritten(tried: &'static str, fault: Fault, reads: &str) -> DriverError {
    match because(tried, fault) {
        DriverError::Refused { tried, why } => DriverError::Refused {
            tried,
            why: format!("{why}; {reads}"),
        },
        DriverError::Unreachable { tried, source } => DriverError::Unreachable {
            tried,
            source: source.context(format!("{reads}, and the write did not come through")),
        },
        known @ (DriverError::Fenced { .. }
        | DriverError::Foreign { .. }
        | DriverError::Waiting { .. }
        | DriverError::Unled { .. }) => known,
    }
}

/// An attempt that wrote again and again and never found what it wrote.
fn unsettled(tried: &'static str, crowd: bool, reads: &str) -> DriverError {
    let source = match crowd {
        true => anyhow::anyhow!("somebody else writes to it all the time; {reads}"),
        false => anyhow::anyhow!("the API takes the write and goes on showing what was there before: {reads}"),
    };
    DriverError::Unreachable { tried, source }
}

/// When something was read, given when the attempt began.
fn read_at(began: Timestamp, since: tokio::time::Instant) -> Timestamp {
    let took = jiff::SignedDuration::try_from(since.elapsed()).unwrap_or_default();
    began.saturating_add(took).unwrap_or(began)
}

/// The weight that `new` of `total` stand for.
fn weight_of(new: u64, total: u64) -> Weight {
    let points = Share { new, total }.basis_points().unwrap_or(0);
    let points = u16::try_from(points).unwrap_or(u16::MAX);
    Weight::from_basis_points(points).unwrap_or(Weight::FULL)
}
