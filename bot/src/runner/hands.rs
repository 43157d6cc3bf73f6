//! Owns the workers that do what was decided: two lanes, so that nothing forward can delay the way back.
//! Refuses to forget: an outcome is saved before the row is closed, so a crash in between repeats, never loses.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use jiff::Timestamp;
use tidegate_rollout::plan::Target;
use tidegate_rollout::pod_log::PodLogs;
use tidegate_rollout::{Action, ActionKind, AdvanceToken, Lane, NoToken, Outcome, Period, Plan, ReadBack};
use tokio::sync::{Notify, oneshot};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::given_up::TRIED_ON;
use super::mover::Mover;
use super::way_back::NotAlive;
use super::{Engine, Job, errands, poller, way_back};
use crate::clock;
use crate::driver::kubernetes::logs;
use crate::driver::{Driver, DriverError, Wanted};
use crate::failpoint;
use crate::leadership::Leadership;
use crate::store::{Claimed, LONGEST_PAUSE, Part, StoreError};

/// How often a lane looks without being rung.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// No single attempt lasts longer.
const ATTEMPT: Duration = Duration::from_secs(10);
/// A forward action that failed so often is given up, and a person must say `advance` again.
const FORWARD_ATTEMPTS: u32 = 5;
/// How soon a target that was written and has not followed yet is looked at again.
const LOOK_AGAIN: Period = Period::millis(500);
/// So many attempts of a lane are under way at once.
const CLAIM: u32 = 16;
/// A raise that something stands in the way of is looked at again after this time.
const PUT_OFF: Period = Period::seconds(1);

/// One part of the lane to zero: every replica, no lease. A target that does not answer never keeps the next one waiting.
pub(super) async fn safety(engine: Arc<Engine>, part: Part, stop: CancellationToken) {
    let bell = match part {
        Part::Lowering => &engine.wake.lowering,
        Part::Asking => &engine.wake.asking,
    };
    // Tasks of their own: an attempt that was held still while this loop waits for the one connection that writes might
    // be the one that has it.
    let mut busy = JoinSet::new();
    let mut look = true;
    loop {
        if look {
            let room = CLAIM.saturating_sub(u32::try_from(busy.len()).unwrap_or(u32::MAX));
            for claimed in claim(&engine, part, room).await {
                let engine = Arc::clone(&engine);
                busy.spawn(async move { attempt(&engine, claimed, None).await });
            }
        }
        look = tokio::select! {
            () = stop.cancelled() => break,
            // Where there was no room, there is now.
            Some(ended) = busy.join_next() => whole(ended),
            () = bell.notified() => true,
            () = tokio::time::sleep(LOOK_EVERY) => true,
        };
    }
    // What is under way is brought to its end, which each attempt has.
    while let Some(ended) = busy.join_next().await {
        whole(ended);
    }
}

/// A panic in an attempt is one of the lane.
fn whole(ended: Result<(), JoinError>) -> bool {
    if let Err(failure) = ended
        && failure.is_panic()
    {
        std::panic::resume_unwind(failure.into_panic());
    }
    true
}

async fn claim(engine: &Engine, part: Part, room: u32) -> Vec<Claimed> {
    if room == 0 {
        return Vec::new();
    }
    let settings = engine.settings();
    let claimed = engine
        .store
        .claim_safety(part, &settings.replica, clock::now(), settings.lease_for, room);
    claimed.await.unwrap_or_else(|failure| {
        warn!("Could not look for things to do: {failure}");
        Vec::new()
    })
}

/// The lane forward: only the leader.
pub(super) async fn forward(engine: Arc<Engine>, stop: CancellationToken) {
    let mut lease: Option<Leadership> = None;
    while wait(&engine.wake.forward, &stop).await {
        // Asked for again between batches, too: with enough to do, the bell is not waited for until the lease has run out.
        while let Some(led) = renewed(&engine, &mut lease).await {
            if !batch(&engine, led).await || stop.is_cancelled() {
                break;
            }
        }
    }
}

/// The lease, if this replica leads: asked for again once half of it is over.
async fn renewed<'l>(engine: &Engine, lease: &'l mut Option<Leadership>) -> Option<&'l Leadership> {
    if !lease.as_ref().is_some_and(|led| is_fresh(engine, led)) {
        *lease = lead(engine).await.unwrap_or_else(|failure| {
            warn!("Could not ask for the lease: {failure}");
            None
        });
    }
    lease.as_ref().filter(|led| led.holds(Instant::now()))
}

async fn lead(engine: &Engine) -> Result<Option<Leadership>, StoreError> {
    let settings = engine.settings();
    engine.store.lead(&settings.replica, settings.lease_for).await
}

/// Whether no more than half of the lease is over.
fn is_fresh(engine: &Engine, led: &Leadership) -> bool {
    let lasts = Duration::try_from(engine.settings().lease_for.duration()).unwrap_or_default();
    led.holds(Instant::now() + lasts / 2)
}

/// Waits for a ring or the next look; `false` when it is time to stop.
async fn wait(bell: &Notify, stop: &CancellationToken) -> bool {
    tokio::select! {
        () = stop.cancelled() => false,
        () = bell.notified() => true,
        () = tokio::time::sleep(LOOK_EVERY) => true,
    }
}

/// Claims what may raise, and brings it to its end; `false` when there was nothing.
async fn batch(engine: &Engine, led: &Leadership) -> bool {
    let settings = engine.settings();
    let claimed = engine
        .store
        .claim_forward(led, &settings.replica, clock::now(), settings.lease_for, CLAIM);
    let claimed = match claimed.await {
        Ok(claimed) => claimed,
        Err(failure) => {
            warn!("Could not look for things to do: {failure}");
            return false;
        }
    };
    let any = !claimed.is_empty();
    let work = claimed.into_iter().map(|claimed| attempt(engine, claimed, Some(led)));
    futures_util::future::join_all(work).await;
    any
}

/// One attempt at one action, and what is noted of it.
async fn attempt(engine: &Engine, claimed: Claimed, led: Option<&Leadership>) {
    let started = clock::now();
    failpoint::hit!("hands.before-attempt");
    let tried = tokio::time::timeout(ATTEMPT, perform(engine, &claimed, led, started)).await;
    failpoint::hit!("hands.after-attempt");
    let Claimed {
        action,
        attempts,
        first_tried_at,
    } = claimed;
    let since = first_tried_at;
    let mut waits = false;
    let outcome = match tried {
        Ok(Ok(Done::Outcome(outcome))) => outcome,
        // Nothing to report: a later decision stands.
        Ok(Ok(Done::Overtaken)) => return close(engine, &action, "overtaken").await,
        // Nothing has happened yet.
        Ok(Ok(Done::InTheWay(why))) => return put_off(engine, &action, &why).await,
        Ok(Err(failure)) => {
            waits = matches!(failure.downcast_ref(), Some(DriverError::Waiting { .. }));
            let final_word = matches!(failure.downcast_ref(), Some(DriverError::Refused { .. }));
            let least = match failure.is::<NotAlive>() {
                true => way_back::WAITS,
                false => Period::ZERO,
            };
            failing(&action, attempts, (since, least), final_word, format!("{failure:#}"))
        }
        Err(_) => {
            let why = format!("no answer within {} s", ATTEMPT.as_secs());
            failing(&action, attempts, (since, Period::ZERO), false, why)
        }
    };
    let why = word(&outcome);
    let over = match &outcome {
        Outcome::Applied(_)
        | Outcome::GaveUp { .. }
        | Outcome::Asked { .. }
        | Outcome::Logs(_)
        | Outcome::Hooked(_) => true,
        Outcome::Failing { .. } => engine.gives_up(&action, (attempts, &why), TRIED_ON, started).await,
        // The way to zero is gone on with, whoever else writes, while the rollout is on it.
        Outcome::Foreign { .. } | Outcome::Fenced { .. } => {
            action.lane() == Lane::Forward || engine.gives_up(&action, (attempts, &why), Period::ZERO, started).await
        }
    };
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
        let until = later(if waits { LOOK_AGAIN } else { back_off(attempts) });
        if let Err(failure) = engine.store.postpone_action(&action.id, until, &why).await {
            warn!("Could not note when to try {} again: {failure}", action.id);
        }
    }
}

fn later(period: Period) -> Timestamp {
    clock::now().saturating_add(period.duration()).unwrap_or(Timestamp::MAX)
}

async fn put_off(engine: &Engine, action: &Action, why: &str) {
    info!(action.id = %action.id, "Action {} waits: {why}", action.id);
    if let Err(failure) = engine.store.put_off_action(&action.id, later(PUT_OFF), why).await {
        warn!("Could not put {} off: {failure}", action.id);
    }
}

/// It did not work this time. Forward it is given up once it was tried often enough and for as long as its target may take,
/// at the least for so long since then, or when the target's word is final until a person changes something.
fn failing(
    action: &Action,
    attempts: u32,
    (since, least): (Timestamp, Period),
    final_word: bool,
    why: String,
) -> Outcome {
    let patience = match &action.kind {
        ActionKind::SetWeight { target, .. } | ActionKind::ToZero { target } => target.patience().max(least),
        // Its worker never knows better than the rollout, which counts its time from when it could begin.
        ActionKind::RunHook { .. } => return Outcome::Failing { attempts, since, why },
        ActionKind::AskAboutAlert { .. } | ActionKind::ReadLogs { .. } => Period::ZERO,
    };
    let worn_out = attempts >= FORWARD_ATTEMPTS && Period::between(since, clock::now()) >= patience;
    if action.lane() == Lane::Forward && (worn_out || final_word) {
        return Outcome::GaveUp { attempts, why };
    }
    Outcome::Failing { attempts, since, why }
}

/// A quarter of a second, doubled each time, up to [`LONGEST_PAUSE`].
fn back_off(attempts: u32) -> Period {
    let millis = 250_i64.saturating_mul(1 << attempts.min(10).saturating_sub(1));
    Period::millis(millis).min(LONGEST_PAUSE)
}

fn word(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Applied(read_back) => format!("applied: {}", read_back.how),
        Outcome::Failing { why, .. } => why.clone(),
        Outcome::GaveUp { why, .. } => format!("given up: {why}"),
        Outcome::Foreign { found } => format!("somebody else wrote {found}"),
        Outcome::Fenced { found } => format!("the target carries the higher epoch {found}"),
        Outcome::Asked { answer, .. } => format!("asked: {answer:?}"),
        Outcome::Logs(logs) => format!("read the logs of {} pods", logs.pods.len()),
        Outcome::Hooked(end) => format!("hook {:?}: {}", end.how, end.why),
    }
}

/// How an attempt ended.
pub(super) enum Done {
    /// So; the rollout hears of it.
    Outcome(Outcome),
    /// A later decision stands.
    Overtaken,
    /// Something stands in the way of a raise.
    InTheWay(String),
}

impl From<NoToken> for Done {
    fn from(none: NoToken) -> Self {
        match none {
            NoToken::Overtaken => Self::Overtaken,
            NoToken::InTheWay(blocker) => Self::InTheWay(format!("{blocker:?}")),
        }
    }
}

async fn perform(engine: &Engine, claimed: &Claimed, led: Option<&Leadership>, now: Timestamp) -> anyhow::Result<Done> {
    let action = &claimed.action;
    let done = match &action.kind {
        ActionKind::AskAboutAlert { key, receiver } => {
            let answer = poller::ask(engine, key, receiver).await;
            return Ok(Done::Outcome(Outcome::Asked {
                key: key.clone(),
                answer,
            }));
        }
        ActionKind::ReadLogs { target, lines } => {
            let logs = pod_logs(engine, target, *lines).await;
            return Ok(Done::Outcome(Outcome::Logs(Box::new(logs))));
        }
        ActionKind::RunHook { .. } => {
            return match led {
                Some(led) => errands::attempt(engine, claimed, led, now).await,
                None => Ok(Done::InTheWay("another replica leads".to_owned())),
            };
        }
        ActionKind::ToZero { target } => match Mover::of(engine, target) {
            Ok(mover) => mover.to_zero(action.rollout.as_str(), action.epoch, now).await,
            Err(error) => Err(error),
        },
        ActionKind::SetWeight { target, weight, groups } => {
            let plan = match token(engine, action, now).await? {
                Ok((plan, _)) => plan,
                Err(none) => return Ok(none.into()),
            };
            let Some(led) = led else {
                return Ok(Done::InTheWay("another replica leads".to_owned()));
            };
            way_back::look(engine, &plan).await?;
            // Looking took its time: what counts is who leads, and what stands in the way, by now.
            let renewed;
            let led = if is_fresh(engine, led) {
                led
            } else {
                renewed = lead(engine).await.context("ask for the lease again")?;
                match &renewed {
                    Some(renewed) => renewed,
                    None => return Ok(Done::InTheWay("another replica leads".to_owned())),
                }
            };
            let token = match token(engine, action, clock::now()).await? {
                Ok((_, token)) => token,
                Err(none) => return Ok(none.into()),
            };
            let wanted = Wanted {
                rollout: action.rollout.to_string(),
                epoch: action.epoch,
                weight: *weight,
                groups: groups.clone(),
            };
            match Mover::of(engine, target) {
                Ok(mover) => mover.raise(&wanted, led, token, clock::now()).await,
                Err(error) => Err(error),
            }
        }
    };
    ended(action, done)
}

async fn pod_logs(engine: &Engine, target: &Target, lines: u32) -> PodLogs {
    match &engine.settings().cluster {
        Some(cluster) => logs::of_new(cluster, target, lines).await,
        None => PodLogs {
            pods: Vec::new(),
            unread: Some("the server's configuration names no cluster".to_owned()),
        },
    }
}

/// What the word of a driver means for the action.
fn ended(action: &Action, done: Result<ReadBack, DriverError>) -> anyhow::Result<Done> {
    match done {
        Ok(read_back) => Ok(Done::Outcome(Outcome::Applied(read_back))),
        // Not the target's fault, so it does not count against it: whoever leads next tries again.
        Err(trouble @ DriverError::Unled { .. }) => Ok(Done::InTheWay(trouble.to_string())),
        Err(DriverError::Fenced { found }) => Ok(Done::Outcome(Outcome::Fenced { found })),
        Err(DriverError::Foreign { found, how }) => {
            warn!(action.id = %action.id, "Somebody else writes to {}: {how}", action.rollout);
            Ok(Done::Outcome(Outcome::Foreign { found }))
        }
        Err(
            trouble @ (DriverError::Unreachable { .. } | DriverError::Waiting { .. } | DriverError::Refused { .. }),
        ) => Err(trouble.into()),
    }
}

/// The proof that the rollout still wants this raise, as it stands in the store and in the world at this moment, and its plan.
async fn token(
    engine: &Engine,
    action: &Action,
    now: Timestamp,
) -> anyhow::Result<Result<(Arc<Plan>, AdvanceToken), NoToken>> {
    Ok(match engine.as_it_stands(&action.rollout, now).await? {
        Some((rollout, around)) => {
            AdvanceToken::of(&rollout, action, &around, now).map(|token| (Arc::clone(&rollout.plan), token))
        }
        None => Err(NoToken::Overtaken),
    })
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
    engine.hooks.forget(&action.id);
    if let Err(failure) = engine.store.close_action(&action.id, why).await {
        error!(
            "Could not close action {}; it will be read back once more: {failure}",
            action.id
        );
    }
}

#[cfg(test)]
mod tests;
