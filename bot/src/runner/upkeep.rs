//! Owns the upkeep: the heartbeat, what other replicas changed, and the deletion of what is old.
//! Refuses to touch anything that is not over, and to let one of the three wait for another.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use jiff::Timestamp;
use tidegate_rollout::Period;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::flags::SERVES;
use super::{Engine, poller};
use crate::clock;
use crate::store::Position;

/// Other replicas see a change within this time.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A sign of life that takes longer is given up: the next one goes by another connection.
const PULSE: Duration = Duration::from_secs(2);
/// A replica that was not heard of for so long does not finish what it claimed. Four heartbeats.
const ORPHANED: Period = Period::seconds(2);
/// How often old things are deleted.
const PRUNE_EVERY: Duration = Duration::from_secs(600);
/// Whoever stops says so to the database within this time, or not at all.
const FAREWELL: Duration = Duration::from_secs(3);

/// Brings a started replica to where things stand: flags first, so that evaluations are answered; then rollouts. Answers
/// the position from which changes are to be followed.
pub(super) async fn resume(engine: &Engine) -> anyhow::Result<Position> {
    let (flags, revision) = engine.store.flags().await.context("read the flags")?;
    engine.board.post(flags, revision);
    poller::announce(engine);
    // Read first: what is saved from now on is read again as a change.
    let followed_from = engine.store.position().await.context("read how far the rollouts are")?;
    let active = engine.store.active().await.context("read the active rollouts")?;
    for rollout in &active {
        engine
            .store
            .hold_rungs(rollout)
            .await
            .context("note what a rollout holds")?;
    }
    engine.take_over(active, followed_from);
    watchdogs(engine).await;
    polls(engine).await;
    info!("Resumed {} active rollouts", engine.cached().len());
    Ok(followed_from)
}

/// Tells every rollout how long nobody watched, before anything else is decided.
pub(super) async fn catch_up(engine: &Engine, now: Timestamp) -> anyhow::Result<()> {
    let began = engine.moment(now);
    let last_beat = engine.store.last_beat().await.context("read the last heartbeat")?;
    if let Some(last_beat) = last_beat {
        // Also where it was a moment ago: what was watched until then is counted now, for this process has watched none of
        // it. A clock ahead of ours is no reason to move anything.
        engine.returned(last_beat.min(now), now).await?;
    }
    let told = engine.since(began);
    engine.watch_from(told);
    pulse(engine, told.wall).await;
    Ok(())
}

/// Runs until `stop`. `followed_from` is what [`resume`] answered.
pub(super) async fn run(engine: Arc<Engine>, followed_from: Position, stop: CancellationToken) {
    let all = async { tokio::join!(live(&engine), follow(&engine, followed_from), forget(&engine)) };
    tokio::select! {
        () = stop.cancelled() => {}
        _ = all => {}
    }
}

fn every(period: Duration) -> tokio::time::Interval {
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// Shows the others that this replica lives, for as long as it does.
async fn live(engine: &Engine) {
    let mut look = every(LOOK_EVERY);
    loop {
        look.tick().await;
        pulse(engine, clock::now()).await;
    }
}

/// One sign of life: the flags as they are now, then the heartbeat that says so. Only both together let this replica go on
/// serving flags, where others may change them: they wait for it no longer than its heartbeat counts.
///
/// After a break it says no more than that this replica watched until then, before everybody was told of the break: whoever
/// comes back at the same time would take it for the proof that somebody has watched all along.
async fn pulse(engine: &Engine, now: Timestamp) {
    // Taken before anything is sent: a slow answer shortens what is left.
    let began = Instant::now();
    let beat = async {
        read_flags(engine).await.context("read the flags")?;
        let replica = engine.settings().replica.clone();
        let beat = engine
            .store
            .beat(&replica, engine.watched_until(now), engine.board.revision())
            .await;
        beat.context("note the heartbeat")
    };
    match tokio::time::timeout(PULSE, beat).await {
        Ok(Ok(())) => {
            engine.vitals.well("store");
            if engine.store.is_shared() {
                engine.board.serve_until(began + SERVES);
            }
        }
        Ok(Err(failure)) => ill(engine, &format!("could not {failure:#}")),
        Err(_) => ill(engine, &format!("no answer within {} s", PULSE.as_secs())),
    }
}

fn ill(engine: &Engine, why: &str) {
    engine.vitals.ill("store", why);
    warn!("The store gave no sign of life: {why}");
}

async fn read_flags(engine: &Engine) -> Result<(), crate::store::StoreError> {
    if engine.store.flags_revision().await? != engine.board.revision() {
        let (flags, revision) = engine.store.flags().await?;
        engine.board.post(flags, revision);
    }
    Ok(())
}

/// Takes over what other replicas saved, and frees what dead ones have claimed.
async fn follow(engine: &Engine, mut seen: Position) {
    let mut look = every(LOOK_EVERY);
    loop {
        look.tick().await;
        match engine.store.changed_since(seen.revision).await {
            Ok((rollouts, position)) => {
                seen = position;
                engine.take_over(rollouts, position);
            }
            Err(failure) => warn!("Could not read what other replicas changed: {failure}"),
        }
        watchdogs(engine).await;
        if engine.store.is_shared() {
            polls(engine).await;
        }
        if let Err(failure) = engine.store.release_orphans(ORPHANED).await {
            warn!("Could not free what silent replicas claimed: {failure}");
        }
    }
}

/// Deletes what is old, a little at a time.
async fn forget(engine: &Engine) {
    let mut look = every(PRUNE_EVERY);
    loop {
        look.tick().await;
        let keep = engine.settings().keep_for;
        let now = clock::now();
        let before = now.saturating_sub(keep.duration()).unwrap_or(Timestamp::MIN);
        if let Err(failure) = engine.store.prune(before, now).await {
            warn!("Could not delete what is old: {failure}");
        }
    }
}

impl Engine {
    /// Gives back what this replica holds, once all its tasks have ended: nobody needs to wait for it.
    pub async fn farewell(&self) {
        let replica = self.settings().replica.clone();
        match tokio::time::timeout(FAREWELL, self.store.leave(&replica)).await {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => warn!("Could not give back what this replica holds; it runs out by itself: {failure}"),
            Err(_) => warn!("The store did not answer in time; what this replica holds runs out by itself"),
        }
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

/// Takes over when the sources last answered in full, here or another replica.
async fn polls(engine: &Engine) {
    // Taken before: an answer that takes long makes what it tells of older, never younger.
    let asked = Instant::now();
    match engine.store.polls().await {
        Ok(polls) => {
            let now = clock::now();
            for poll in polls {
                let age = poll.age + asked.elapsed();
                let at = now.saturating_sub(age).unwrap_or(Timestamp::MIN);
                engine.path.answered_somebody(&poll.receiver, age, at);
                if let Some(at) = poll.watchdog_at {
                    engine.path.saw_watchdog(&poll.receiver, at);
                }
            }
        }
        Err(failure) => warn!("Could not read when the alert sources last answered: {failure}"),
    }
}

#[cfg(test)]
mod tests;
