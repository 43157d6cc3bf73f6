//! Owns looking at targets that nothing is asked of: whether they still read as they were written, and which share they show.
//! Refuses to write to them: whoever changed one is told of, not overruled.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tidegate_rollout::{Event, Rollout, RolloutId, Share, Weight};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::Engine;
use super::mover::Mover;
use crate::clock;
use crate::driver::{Driver, DriverError};

/// How often each target is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// So many looks are under way at once: the API of a cluster has others to serve.
const AT_ONCE: usize = 32;
/// No look lasts longer.
const LOOK_WITHIN: Duration = Duration::from_secs(10);

/// What was last seen of each rollout's target.
#[derive(Default)]
pub(super) struct Sights(Mutex<BTreeMap<RolloutId, Sight>>);

#[derive(Default)]
struct Sight {
    /// At this epoch; a later decision makes it old.
    share: Option<(u64, Share)>,
    /// What was told already: at this epoch, this weight. A person may let it stand; then it is not told again.
    told: Option<(u64, Weight)>,
}

impl Sights {
    fn change<T>(&self, rollout: &RolloutId, change: impl FnOnce(&mut Sight) -> T) -> T {
        let mut sights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(sights.entry(rollout.clone()).or_default())
    }

    fn keep(&self, rollouts: &[Arc<Rollout>]) {
        let under_way: BTreeSet<&RolloutId> = rollouts.iter().map(|rollout| &rollout.id).collect();
        let mut sights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sights.retain(|id, _| under_way.contains(id));
    }
}

impl Engine {
    /// The share that the target of `rollout` shows, where its driver can tell.
    pub fn share(&self, rollout: &Rollout) -> Option<Share> {
        if rollout.is_final() {
            return None;
        }
        match rollout.plan.spec.target.flag() {
            Some(flag) => {
                let posted = self.board.peek(&flag.key);
                posted.map(|posted| posted.observed()).filter(|share| share.total > 0)
            }
            None => {
                let seen = self.sights.change(&rollout.id, |sight| sight.share);
                // While it moves, what was seen before is not what it carries.
                let present = seen.filter(|(epoch, _)| *epoch == rollout.epoch && rollout.rests());
                present.map(|(_, share)| share)
            }
        }
    }
}

/// Runs until `stop`.
pub(super) async fn run(engine: Arc<Engine>, stop: CancellationToken) {
    while tokio::time::timeout(LOOK_EVERY, stop.cancelled()).await.is_err() {
        let mut rollouts = engine.cached();
        engine.sights.keep(&rollouts);
        rollouts.retain(|rollout| rollout.plan.spec.target.is_in_kubernetes() && rollout.rests());
        let looks = stream::iter(rollouts.iter());
        let looks = looks.for_each_concurrent(AT_ONCE, |rollout| look(&engine, rollout));
        // A cluster that hangs keeps nobody from stopping.
        tokio::select! {
            () = stop.cancelled() => return,
            () = looks => {}
        }
    }
}

async fn look(engine: &Engine, rollout: &Rollout) {
    let look = async { Mover::of(engine, &rollout.plan.spec.target)?.look(rollout.wanted).await };
    let id = &rollout.id;
    match tokio::time::timeout(LOOK_WITHIN, look).await {
        Ok(Ok(seen)) => {
            let changed = engine.sights.change(id, |sight| {
                sight.told = None;
                let share = seen.share.map(|share| (rollout.epoch, share));
                std::mem::replace(&mut sight.share, share) != share
            });
            if changed {
                // Pages show it.
                engine.changes.send_modify(|count| *count += 1);
            }
        }
        Ok(Err(DriverError::Foreign { found, how })) => {
            let now = (rollout.epoch, found);
            let news = engine.sights.change(id, |sight| sight.told.replace(now) != Some(now));
            if !news {
                return;
            }
            let event = Event::Drifted {
                epoch: rollout.epoch,
                found,
                how,
            };
            if let Err(failure) = engine.apply(id, &event, None, clock::now()).await {
                warn!(rollout.id = %id, "Could not save that the target of {id} was changed by somebody else: {failure:#}");
                engine.sights.change(id, |sight| sight.told = None);
            }
        }
        Ok(Err(error)) => debug!(rollout.id = %id, "Could not look at the target of {id}: {error}"),
        Err(_) => debug!(rollout.id = %id, "The target of {id} did not answer in time"),
    }
}
