//! Owns the look at every way back of a plan, before a start and before each raise: what a rollback would fall back on is there.
//! Refuses to write, and to raise on the word of one rung for another: the first may be the one that fails.

use futures_util::future::join_all;
use tidegate_rollout::{Period, Plan};

use super::Engine;
use super::mover::Mover;
use crate::driver::Driver;

/// So long a raise waits at least for a way back before it is given up. It is less than the time after which the core pages
/// because nobody answers.
pub(super) const WAITS: Period = Period::seconds(25);

/// The way back that is not alive; the context of the error that says why.
#[derive(Debug)]
pub(super) struct NotAlive {
    /// Which of several.
    rung: Option<String>,
}

impl std::fmt::Display for NotAlive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the way back is not alive")?;
        match &self.rung {
            Some(rung) => write!(f, ", rung {rung}"),
            None => Ok(()),
        }
    }
}

/// Whether every way back of `plan` is alive; else the first that is not, as a [`NotAlive`] around the driver's word.
pub(super) async fn look(engine: &Engine, plan: &Plan) -> anyhow::Result<()> {
    let rungs = plan.spec.rollback.ladder.iter();
    let rungs = rungs.map(|rung| (Some(rung.name.clone()), &rung.target));
    let target = plan
        .spec
        .rollback
        .ladder
        .is_empty()
        .then_some((None, &plan.spec.target));
    // Side by side, so that one that hangs costs no more than several that do.
    let looks = rungs.chain(target).map(async |(rung, target)| {
        let alive = async { Mover::of(engine, target)?.way_back().await };
        let alive = alive.await.map_err(anyhow::Error::new);
        alive.map_err(|error| error.context(NotAlive { rung }))
    });
    join_all(looks).await.into_iter().collect()
}
