//! Owns the second channel: asking Alertmanager's own API, so that a lost webhook costs seconds.
//! Refuses to take silence for an answer: one peer that cannot be read makes the round of its receiver a failed one. What
//! an answer means is the core's rule, the very one that the simulation proves.

mod peer;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use tidegate_rollout::action::SuspectAnswer;
use tidegate_rollout::poll::{Before, Round, news};
use tidegate_rollout::{Alert, AlertKey, DeliveryId, Rollout, Source};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::Engine;
use super::path::ROUNDS;
use crate::clock;
use crate::config::Alertmanager;
use crate::store::{Arrival, Content};
use crate::vitals::Vitals;

/// A poller that gives no sign of life for so long is not well.
pub(super) const STALE: Duration = Duration::from_secs(30);
/// Between the beginnings of two rounds, whoever rings: in a storm every delivery may ring.
const REST: Duration = Duration::from_secs(1);
/// How often it gives a sign of life while it waits.
const SIGN_EVERY: Duration = Duration::from_secs(5);
/// No peer may take longer, whatever the configuration says: a worker's attempt ends soon after.
pub(super) const LONGEST: Duration = Duration::from_secs(8);

/// Runs until `stop`: a round at once, then every `poll_every`, or sooner when somebody rings.
pub(super) async fn run(engine: Arc<Engine>, stop: CancellationToken) {
    loop {
        let began = Instant::now();
        round(&engine).await;
        engine.asked_once.store(true, Ordering::Release);
        engine.vitals.well("first poll");
        engine.vitals.well("poller");
        let next = began + jittered(engine.settings().poll_every);
        if !wait(&engine.wake.poll, &engine.vitals, (began + REST)..next, &stop).await {
            return;
        }
    }
}

/// Waits for the end of `when`, or, from its beginning on, until somebody rings; `false` when it is time to stop.
async fn wait(bell: &Notify, vitals: &Vitals, when: Range<Instant>, stop: &CancellationToken) -> bool {
    tokio::select! {
        () = stop.cancelled() => return false,
        () = tokio::time::sleep_until(when.start) => {}
    }
    loop {
        vitals.well("poller");
        let now = Instant::now();
        if now >= when.end {
            return true;
        }
        tokio::select! {
            () = stop.cancelled() => return false,
            () = bell.notified() => return true,
            () = tokio::time::sleep_until(when.end.min(now + SIGN_EVERY)) => {}
        }
    }
}

/// Up to a tenth less, at random, so that replicas do not ask in step.
fn jittered(every: Duration) -> Duration {
    let share = u32::try_from(RandomState::new().build_hasher().finish() % 100).unwrap_or_default();
    every - every / 1_000 * share
}

/// Says which receivers can be polled, so that one that was not asked yet counts as unread and not as unknown.
pub(super) fn announce(engine: &Engine) {
    let settings = engine.settings();
    let names: Vec<&str> = settings.polled.iter().map(|it| it.receiver.as_str()).collect();
    let a_round = settings.poll_every + settings.poll_timeout.min(LONGEST);
    engine.path.polls(&names, a_round * ROUNDS);
}

/// Asks every peer of every receiver, and tells what differs from what is believed and remembered.
async fn round(engine: &Engine) {
    announce(engine);
    let settings = engine.settings();
    if settings.polled.is_empty() {
        return;
    }
    let began = clock::now();
    let before = engine.cached();
    let firing = match engine.store.firing_at_alertmanagers().await {
        Ok(firing) => Some(firing),
        Err(failure) => {
            warn!("Could not read what fires by the last word on it: {failure}");
            None
        }
    };
    let timeout = settings.poll_timeout.min(LONGEST);
    let answers = join_all(settings.polled.iter().map(|it| answer(engine, it, timeout))).await;
    let read: BTreeSet<String> = answers
        .iter()
        .filter(|it| it.complete)
        .map(|it| it.receiver.clone())
        .collect();
    let listed: Vec<Alert> = answers.iter().flat_map(|it| &it.listed).cloned().collect();
    let round = Round {
        listed: &listed,
        polled: &settings.polled.iter().map(|it| it.receiver.clone()).collect(),
        read: &read,
        began,
    };
    let before: Before<'_, Arc<Rollout>> = Before {
        rollouts: &before,
        firing: firing.as_deref(),
    };
    let news = news(&round, &before, &engine.cached());
    // What could not be stored is found again in the next round; until then the answers count for nothing.
    let lost = tell(engine, news).await;
    for answer in &answers {
        let Answer { receiver, complete, .. } = answer;
        if *complete && !lost.contains(receiver) {
            engine.path.answered(receiver, clock::now());
            share(engine, answer).await;
        } else {
            engine.path.silent(receiver, clock::now());
        }
    }
}

/// Tells the other replicas of a full answer, and whoever starts next.
async fn share(engine: &Engine, answer: &Answer) {
    let watchdog_at = answer.lists_watchdog().then(clock::now);
    if let Err(failure) = engine.store.polled(&answer.receiver, watchdog_at).await {
        warn!(
            "Could not tell the other replicas that {} was polled: {failure}",
            answer.receiver
        );
    }
}

/// What the peers of a receiver answered in one round.
struct Answer {
    receiver: String,
    listed: Vec<Alert>,
    /// Whether all of them did.
    complete: bool,
}

impl Answer {
    fn lists_watchdog(&self) -> bool {
        self.listed.iter().any(|alert| alert.is_watchdog() && alert.counts())
    }
}

async fn answer(engine: &Engine, receiver: &Alertmanager, timeout: Duration) -> Answer {
    let questions = receiver
        .peers
        .iter()
        .map(|peer| peer::list(&engine.net, receiver, peer, timeout));
    let mut answer = Answer {
        receiver: receiver.receiver.clone(),
        listed: Vec::new(),
        complete: true,
    };
    for listed in join_all(questions).await {
        match listed {
            Ok(alerts) => answer.listed.extend(alerts),
            Err(failure) => {
                answer.complete = false;
                let name = &receiver.receiver;
                warn!(receiver = name, "Could not read the alerts of {name}: {failure:#}");
            }
        }
    }
    if answer.lists_watchdog() {
        engine.path.saw_watchdog(&receiver.receiver, clock::now());
    }
    answer
}

/// Makes what is new durable and hands it to the decider; answers the receivers whose news could not be stored.
async fn tell(engine: &Engine, news: Vec<Alert>) -> BTreeSet<String> {
    let mut by_receiver: BTreeMap<String, Vec<Alert>> = BTreeMap::new();
    for alert in news {
        by_receiver.entry(alert.receiver.clone()).or_default().push(alert);
    }
    let mut lost = BTreeSet::new();
    for (receiver, alerts) in by_receiver {
        debug!(receiver, "{} alerts changed at {receiver}", alerts.len());
        let arrival = Arrival {
            id: DeliveryId::new(uuid::Uuid::now_v7().to_string()),
            at: clock::now(),
            nonce: None,
            content: Content::Polled {
                source: Source::Alertmanager,
                receiver: receiver.clone(),
                alerts,
            },
            raw: Bytes::new(),
        };
        match engine.store.remember(arrival.clone()).await {
            Ok(_) => engine.queue(arrival),
            Err(failure) => {
                warn!("Could not store what the Alertmanagers of {receiver} list: {failure}");
                lost.insert(receiver);
            }
        }
    }
    lost
}

/// Asks every peer about one alert. Any of them can say that it fires; that it is over only those of its own receiver can
/// say, and whether others can be read does not matter.
pub(super) async fn ask(engine: &Engine, key: &AlertKey, receiver: &str) -> SuspectAnswer {
    let settings = engine.settings();
    let timeout = settings.poll_timeout.min(LONGEST);
    let answers = join_all(settings.polled.iter().map(|it| answer(engine, it, timeout))).await;
    judge(&answers, key, receiver)
}

fn judge(answers: &[Answer], key: &AlertKey, receiver: &str) -> SuspectAnswer {
    let active = |alert: &Alert| alert.key() == *key && alert.counts();
    if answers.iter().flat_map(|answer| &answer.listed).any(active) {
        return SuspectAnswer::Active;
    }
    // A row of an older program does not name the receiver.
    let mut own = answers
        .iter()
        .filter(|answer| receiver.is_empty() || answer.receiver == receiver);
    let asked = own.clone().next().is_some();
    if asked && own.all(|answer| answer.complete) {
        SuspectAnswer::Absent
    } else {
        SuspectAnswer::Unreadable
    }
}

#[cfg(test)]
mod tests;
