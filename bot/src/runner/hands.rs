//! Owns the workers that do what was decided: two lanes, so that nothing forward can delay the way back.
//! Refuses to forget: an outcome is saved before the row is closed, so a crash in between repeats, never loses.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;
use tidegate_rollout::{Action, ActionKind, AdvanceToken, Lane, Outcome, Period};
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::mover::Mover;
use super::{Engine, Job, poller};
use crate::clock;
use crate::driver::{Driver, DriverError, Wanted};
use crate::failpoint;
use crate::leadership::Leadership;
use crate::store::Claimed;

/// How often a lane looks without being rung.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// No single attempt lasts longer.
const ATTEMPT: Duration = Duration::from_secs(10);
/// A forward action that failed so often is given up, and a person must say `advance` again.
const FORWARD_ATTEMPTS: u32 = 5;
/// How soon a target that was written and has not followed yet is looked at again.
const LOOK_AGAIN: Period = Period::millis(500);
/// So many rows are claimed at once.
const CLAIM: u32 = 16;

/// So many actions of a lane are worked on side by side. One target that hangs delays no other.
const SIDE_BY_SIDE: usize = 256;

/// The lane to zero: every replica, no lease.
pub(super) async fn safety(engine: Arc<Engine>, stop: CancellationToken) {
    let mut work = FuturesUnordered::new();
    while wait(&engine.wake.safety, &mut work, &stop).await {
        work.extend(claim(&engine, None, work.len()).await);
    }
    while work.next().await.is_some() {}
}

/// The lane forward: only the leader.
pub(super) async fn forward(engine: Arc<Engine>, stop: CancellationToken) {
    let mut lease: Option<Arc<Leadership>> = None;
    let mut work = FuturesUnordered::new();
    while wait(&engine.wake.forward, &mut work, &stop).await {
        let settings = engine.settings();
        let fresh = lease
            .as_ref()
            .is_some_and(|led| led.holds(Instant::now() + half(settings.lease_for)));
        if !fresh {
            lease = match engine.store.lead(&settings.replica, settings.lease_for).await {
                Ok(lease) => lease.map(Arc::new),
                Err(failure) => {
                    warn!("Could not ask for the lease: {failure}");
                    None
                }
            };
        }
        if let Some(led) = lease.as_ref().filter(|led| led.holds(Instant::now())) {
            work.extend(claim(&engine, Some(led), work.len()).await);
        }
    }
    while work.next().await.is_some() {}
}

fn half(period: Period) -> Duration {
    Duration::try_from(period.duration()).unwrap_or_default() / 2
}

/// Works until a ring or the next look; `false` when it is time to stop.
async fn wait<F: Future<Output = ()>>(bell: &Notify, work: &mut FuturesUnordered<F>, stop: &CancellationToken) -> bool {
    let look = tokio::time::sleep(LOOK_EVERY);
    tokio::pin!(look);
    loop {
        tokio::select! {
            () = stop.cancelled() => return false,
            () = bell.notified() => return true,
            () = &mut look => return true,
            Some(()) = work.next(), if !work.is_empty() => {}
        }
    }
}

/// Takes up everything that waits in a lane.
async fn claim<'a>(
    engine: &'a Engine,
    led: Option<&Arc<Leadership>>,
    busy: usize,
) -> Vec<impl Future<Output = ()> + use<'a>> {
    let settings = engine.settings();
    let mut taken = Vec::new();
    while taken.len() + busy < SIDE_BY_SIDE {
        let now = clock::now();
        let (store, by) = (&engine.store, &settings.replica);
        let claimed = match led {
            None => store.claim_safety(by, now, settings.claim_for, CLAIM).await,
            Some(led) => store.claim_forward(led, by, now, settings.claim_for, CLAIM).await,
        };
        match claimed {
            Ok(claimed) if claimed.is_empty() => break,
            Ok(claimed) => taken.extend(
                claimed
                    .into_iter()
                    .map(|claimed| attempt(engine, claimed, led.cloned())),
            ),
            Err(failure) => {
                warn!("Could not look for things to do: {failure}");
                break;
            }
        }
    }
    taken
}

/// One attempt at one action, and what is noted of it.
async fn attempt(engine: &Engine, claimed: Claimed, led: Option<Arc<Leadership>>) {
    let Claimed {
        action,
        attempts,
        first_tried_at,
    } = claimed;
    let started = clock::now();
    let since = first_tried_at;
    failpoint::hit!("hands.before-attempt");
    let tried = tokio::time::timeout(ATTEMPT, perform(engine, &action, led.as_deref(), started)).await;
    failpoint::hit!("hands.after-attempt");
    let mut waits = false;
    let outcome = match tried {
        Ok(Ok(Some(outcome))) => outcome,
        // Overtaken by a later decision: nothing to report.
        Ok(Ok(None)) => return close(engine, &action, "overtaken").await,
        Ok(Err(failure)) => {
            waits = matches!(failure.downcast_ref(), Some(DriverError::Waiting { .. }));
            let final_word = matches!(failure.downcast_ref(), Some(DriverError::Refused { .. }));
            failing(&action, attempts, since, final_word, format!("{failure:#}"))
        }
        Err(_) => {
            let why = format!("no answer within {} s", ATTEMPT.as_secs());
            failing(&action, attempts, since, false, why)
        }
    };
    let over = !matches!(
        outcome,
        Outcome::Failing { .. } | Outcome::Foreign { .. } | Outcome::Fenced { .. }
    ) || (matches!(outcome, Outcome::Foreign { .. } | Outcome::Fenced { .. })
        && action.lane() == Lane::Forward);
    let why = word(&outcome);
    if !report(engine, &action, outcome).await {
        // It stays claimed until the claim runs out, and is then read back and reported again.
        return;
    }
    failpoint::hit!("hands.after-report");
    if over {
        info!(action.id = %action.id, attempts, "Action {} ended: {why}", action.id);
        close(engine, &action, &why).await;
    } else {
        if waits {
            debug!(action.id = %action.id, attempts, "Action {} is under way: {why}", action.id);
        } else {
            warn!(action.id = %action.id, attempts, "Action {} did not work, it is tried again: {why}", action.id);
        }
        let pause = if waits { LOOK_AGAIN } else { back_off(attempts) };
        let until = clock::now().saturating_add(pause.duration()).unwrap_or(Timestamp::MAX);
        if let Err(failure) = engine.store.postpone_action(&action.id, until, &why).await {
            warn!("Could not note when to try {} again: {failure}", action.id);
        }
    }
}

/// It did not work this time. Forward it is given up once it was tried often enough and for as long as its target may take,
/// or when the target's word is final until a person changes something.
fn failing(action: &Action, attempts: u32, since: Timestamp, final_word: bool, why: String) -> Outcome {
    let patience = match &action.kind {
        ActionKind::SetWeight { target, .. } | ActionKind::ToZero { target } => target.patience(),
        ActionKind::AskAboutAlert { .. } => Period::ZERO,
    };
    let worn_out = attempts >= FORWARD_ATTEMPTS && Period::between(since, clock::now()) >= patience;
    if action.lane() == Lane::Forward && (worn_out || final_word) {
        return Outcome::GaveUp { attempts, why };
    }
    Outcome::Failing { attempts, since, why }
}

/// A quarter of a second, doubled each time, at most 15 seconds.
fn back_off(attempts: u32) -> Period {
    let millis = 250_i64.saturating_mul(1 << attempts.min(10).saturating_sub(1));
    Period::millis(millis.min(15_000))
}

fn word(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Applied(read_back) => format!("applied: {}", read_back.how),
        Outcome::Failing { why, .. } => why.clone(),
        Outcome::GaveUp { why, .. } => format!("given up: {why}"),
        Outcome::Foreign { found } => format!("somebody else wrote {found}"),
        Outcome::Fenced { found } => format!("the target carries the higher epoch {found}"),
        Outcome::Asked { answer, .. } => format!("asked: {answer:?}"),
    }
}

async fn perform(
    engine: &Engine,
    action: &Action,
    led: Option<&Leadership>,
    now: Timestamp,
) -> anyhow::Result<Option<Outcome>> {
    let done = match &action.kind {
        ActionKind::AskAboutAlert { key } => {
            let answer = poller::ask(engine, key).await;
            return Ok(Some(Outcome::Asked {
                key: key.clone(),
                answer,
            }));
        }
        ActionKind::ToZero { target } => match Mover::of(engine, target) {
            Ok(mover) => mover.to_zero(action.rollout.as_str(), action.epoch, now).await,
            Err(error) => Err(error),
        },
        ActionKind::SetWeight { target, weight, groups } => {
            let rollout = engine
                .store
                .rollout(&action.rollout)
                .await
                .context("read the rollout")?;
            let token = rollout.as_ref().and_then(|rollout| AdvanceToken::of(rollout, action));
            let (Some(token), Some(led)) = (token, led) else {
                return Ok(None);
            };
            let wanted = Wanted {
                rollout: action.rollout.to_string(),
                epoch: action.epoch,
                weight: *weight,
                groups: groups.clone(),
            };
            match Mover::of(engine, target) {
                Ok(mover) => mover.raise(&wanted, led, token, now).await,
                Err(error) => Err(error),
            }
        }
    };
    match done {
        Ok(read_back) => Ok(Some(Outcome::Applied(read_back))),
        Err(DriverError::Fenced { found }) => Ok(Some(Outcome::Fenced { found })),
        Err(DriverError::Foreign { found, how }) => {
            warn!(action.id = %action.id, "Somebody else writes to {}: {how}", action.rollout);
            Ok(Some(Outcome::Foreign { found }))
        }
        Err(
            trouble @ (DriverError::Unreachable { .. } | DriverError::Waiting { .. } | DriverError::Refused { .. }),
        ) => Err(trouble.into()),
    }
}

/// Hands an outcome to the decider and waits until it is saved.
async fn report(engine: &Engine, action: &Action, outcome: Outcome) -> bool {
    let (saved, done) = oneshot::channel();
    let job = Job::Report {
        rollout: action.rollout.clone(),
        action: action.id.clone(),
        outcome,
        saved,
    };
    engine.jobs.send(job).await.is_ok() && done.await.unwrap_or(false)
}

async fn close(engine: &Engine, action: &Action, why: &str) {
    if let Err(failure) = engine.store.close_action(&action.id, why).await {
        error!(
            "Could not close action {}; it will be read back once more: {failure}",
            action.id
        );
    }
}
