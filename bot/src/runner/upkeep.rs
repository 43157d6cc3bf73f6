//! Owns the upkeep: the heartbeat, what other replicas changed, and the deletion of what is old.
//! Refuses to touch anything that is not over.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use tidegate_rollout::{Event, Period};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{Engine, poller};
use crate::clock;

/// Other replicas see a change within this time.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A replica that was not heard of for so long does not finish what it claimed. Four heartbeats.
const ORPHANED: Period = Period::seconds(2);
/// How often old things are deleted.
const PRUNE_EVERY: Duration = Duration::from_secs(600);
/// A shorter absence is a pause of the machine, not a gap.
const GAP: Period = Period::seconds(2);

/// Brings a started replica to where things stand: flags first, so that evaluations are answered; then rollouts.
pub(super) async fn resume(engine: &Engine, now: Timestamp) -> anyhow::Result<()> {
    let (flags, revision) = engine.store.flags().await.context("read the flags")?;
    engine.board.post(flags, revision);
    poller::announce(engine);
    for rollout in engine.store.active().await.context("read the active rollouts")? {
        engine.cache(rollout);
    }
    watchdogs(engine).await;
    let away_since = engine.store.last_beat().await.context("read the last heartbeat")?;
    if let Some(away_since) = away_since.filter(|beat| Period::between(*beat, now) > GAP) {
        for rollout in engine.cached() {
            engine
                .apply(&rollout.id, &Event::Returned { away_since }, None, now)
                .await?
                .ok();
        }
    }
    beat(engine, now).await;
    info!("Resumed {} active rollouts", engine.cached().len());
    Ok(())
}

/// Runs until `stop`.
pub(super) async fn run(engine: Arc<Engine>, stop: CancellationToken) {
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut prune = tokio::time::interval(PRUNE_EVERY);
    prune.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen = 0;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = look.tick() => {
                beat(&engine, clock::now()).await;
                catch_up(&engine, &mut seen).await;
                watchdogs(&engine).await;
                if let Err(failure) = engine.store.release_orphans(ORPHANED).await {
                    warn!("Could not free what silent replicas claimed: {failure}");
                }
            }
            _ = prune.tick() => {
                let keep = engine.settings().keep_for;
                let now = clock::now();
                let before = now.saturating_sub(keep.duration()).unwrap_or(Timestamp::MIN);
                if let Err(failure) = engine.store.prune(before, now).await {
                    warn!("Could not delete what is old: {failure}");
                }
            }
        }
    }
}

async fn beat(engine: &Engine, now: Timestamp) {
    let replica = engine.settings().replica.clone();
    match engine.store.beat(&replica, now, engine.board.revision()).await {
        Ok(()) => engine.vitals.well("store"),
        Err(failure) => {
            engine.vitals.ill("store", failure.to_string());
            warn!("Could not note the heartbeat: {failure}");
        }
    }
}

/// Takes over what other replicas saved: rollouts and flags.
async fn catch_up(engine: &Engine, seen: &mut u64) {
    match engine.store.changed_since(*seen).await {
        Ok((rollouts, revision)) => {
            *seen = revision;
            for rollout in rollouts {
                engine.cache(rollout);
            }
        }
        Err(failure) => warn!("Could not read what other replicas changed: {failure}"),
    }
    match engine.store.flags().await {
        Ok((flags, revision)) => engine.board.post(flags, revision),
        Err(failure) => warn!("Could not read the flags: {failure}"),
    }
}

/// Takes over when the Watchdog of each receiver in use was last heard of, here or by another replica.
async fn watchdogs(engine: &Engine) {
    let rollouts = engine.cached();
    let plans = engine.plans.load();
    let in_use = rollouts.iter().flat_map(|rollout| &rollout.plan.spec.alerts.receivers);
    let receivers: BTreeSet<&String> = in_use.chain(plans.receivers()).collect();
    for receiver in receivers {
        match engine.store.watchdog_seen(receiver).await {
            Ok(Some(at)) => engine.path.saw_watchdog(receiver, at),
            Ok(None) => {}
            Err(failure) => warn!("Could not read when the Watchdog of {receiver} was last seen: {failure}"),
        }
    }
}
