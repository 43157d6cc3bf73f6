//! Owns what a poll of the alert sources teaches: where what they list differs from what is believed and remembered.
//! Refuses to ask anybody, and to take a source that could not be read for one that lists nothing.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::alert::{Alert, AlertKey, AlertStatus, Fingerprint, Source};
use crate::ids::RolloutId;
use crate::planted::{self, Bug};
use crate::rollout::{Rollout, Standing, Tracked};
use crate::route::concern;

/// One round: every peer of every receiver was asked.
#[derive(Clone, Copy, Debug)]
pub struct Round<'a> {
    /// Everything that any peer lists as firing, suppressed or not. Each alert names its receiver.
    pub listed: &'a [Alert],
    /// The receivers that can be asked.
    pub polled: &'a BTreeSet<String>,
    /// Those whose peers all answered. At the others, what is missing may only be unread.
    pub read: &'a BTreeSet<String>,
    /// When the round began.
    pub began: Timestamp,
}

/// How things stood when a round began. What changed while the peers were being asked is too new for their answers, and
/// waits for the next round; no clock has to be right for that.
#[derive(Clone, Copy, Debug)]
pub struct Before<'a, R> {
    /// The rollouts that were not over.
    pub rollouts: &'a [R],
    /// What fired by the last word on it, whether it concerns a rollout or not; `None` where that could not be read.
    pub firing: Option<&'a [Alert]>,
}

/// What to tell as [`crate::Event::Polled`]. For the rollouts that are active `now`: alerts that are listed and believed
/// otherwise, and alerts that are believed to fire and that nobody lists. For those that start later: what is listed and
/// not remembered, and what is remembered and not listed. A webhook that was lost, or that contradicts its source, so
/// costs one round, also over a restart.
pub fn news<R: Borrow<Rollout>>(round: &Round<'_>, before: &Before<'_, R>, now: &[R]) -> Vec<Alert> {
    let mut strongest = strongest(round.listed);
    if planted::on(Bug::EndOutweighsList) {
        strongest.retain(|_, alert| !now.iter().any(|rollout| over(rollout.borrow(), alert)));
    }
    let earlier: BTreeMap<&RolloutId, &Rollout> = before
        .rollouts
        .iter()
        .map(|rollout| (&rollout.borrow().id, rollout.borrow()))
        .collect();
    let mut news = News::default();
    for rollout in now {
        let rollout: &Rollout = rollout.borrow();
        let settled = |fingerprint: &Fingerprint| {
            let tracked = |rollout: &Rollout| rollout.alerts.get(fingerprint).cloned();
            let then = earlier.get(&rollout.id).and_then(|rollout| tracked(rollout));
            then == tracked(rollout)
        };
        for alert in strongest.values() {
            if is_new(rollout, alert, round) && settled(&alert.fingerprint) {
                news.add((*alert).clone());
            }
        }
        for (fingerprint, tracked) in &rollout.alerts {
            if !strongest.contains_key(fingerprint) && ended_unheard(tracked, round) && settled(fingerprint) {
                news.add(ended(fingerprint, tracked, round.began));
            }
        }
    }
    if let Some(firing) = before.firing {
        remembered(round, &strongest, firing, now, &mut news);
    }
    news.0.into_values().collect()
}

fn over(rollout: &Rollout, alert: &Alert) -> bool {
    let tracked = rollout.alerts.get(&alert.fingerprint);
    tracked.is_some_and(|tracked| tracked.standing == Standing::Resolved && tracked.starts_at == alert.starts_at)
}

/// What is told, in an order in which an earlier occasion of a label set comes before a later one.
#[derive(Default)]
struct News(BTreeMap<(String, AlertKey), Alert>);

impl News {
    fn add(&mut self, alert: Alert) {
        self.0.insert((alert.receiver.clone(), alert.key()), alert);
    }
}

/// Of what peers and receivers say about the same label set: one that counts wins over a suppressed one, and of two that
/// disagree about the start of a firing the later start.
fn strongest(listed: &[Alert]) -> BTreeMap<&Fingerprint, &Alert> {
    let mut strongest: BTreeMap<&Fingerprint, &Alert> = BTreeMap::new();
    for alert in listed {
        let strength = |alert: &Alert| (alert.counts(), alert.starts_at);
        let known = strongest.get(&alert.fingerprint);
        if known.is_none_or(|known| strength(known) < strength(alert)) {
            strongest.insert(&alert.fingerprint, alert);
        }
    }
    strongest
}

fn is_new(rollout: &Rollout, alert: &Alert, round: &Round<'_>) -> bool {
    match rollout.alerts.get(&alert.fingerprint) {
        None => concern(rollout, alert).is_some(),
        Some(tracked) => tracked.starts_at <= alert.starts_at && !believed(tracked, alert, round),
    }
}

/// Whether the rollout believes what the source lists. An alert that came through a receiver that cannot be asked is told
/// once more through the one that can: only that one will ever say that it is over.
fn believed(tracked: &Tracked, alert: &Alert, round: &Round<'_>) -> bool {
    let as_listed = match &tracked.standing {
        Standing::Counting | Standing::PreExisting | Standing::OldVersion => alert.suppressed.is_none(),
        Standing::Suppressed(known) => alert.suppressed.as_ref() == Some(known),
        Standing::Suspect | Standing::Stale | Standing::Resolved => false,
    };
    let will_be_asked = tracked.receiver == alert.receiver || round.polled.contains(&tracked.receiver);
    as_listed && will_be_asked && tracked.starts_at == alert.starts_at
}

fn ended_unheard(tracked: &Tracked, round: &Round<'_>) -> bool {
    let read = if tracked.receiver.is_empty() {
        // A row of an older program: nobody knows whose it is.
        !round.polled.is_empty() && round.polled.is_subset(round.read)
    } else {
        round.read.contains(&tracked.receiver)
    };
    tracked.source == Source::Alertmanager && tracked.standing.blocks() && read
}

fn ended(fingerprint: &Fingerprint, tracked: &Tracked, at: Timestamp) -> Alert {
    Alert {
        source: tracked.source,
        receiver: tracked.receiver.clone(),
        fingerprint: fingerprint.clone(),
        status: AlertStatus::Resolved,
        labels: tracked.labels.clone(),
        annotations: BTreeMap::new(),
        starts_at: tracked.starts_at,
        ends_at: Some(at),
        suppressed: None,
    }
}

/// Compares what is listed with the latest words on every alert: a rollout that starts later is judged by those.
fn remembered<R: Borrow<Rollout>>(
    round: &Round<'_>,
    strongest: &BTreeMap<&Fingerprint, &Alert>,
    firing: &[Alert],
    now: &[R],
    news: &mut News,
) {
    let place = |alert: &Alert| (alert.receiver.clone(), alert.key());
    let known: BTreeMap<_, &Alert> = firing.iter().map(|alert| (place(alert), alert)).collect();
    let listed: BTreeSet<_> = round.listed.iter().map(place).collect();
    for alert in strongest.values().filter(|alert| !alert.is_watchdog()) {
        let as_known = known
            .get(&place(alert))
            .is_some_and(|known| known.suppressed == alert.suppressed);
        if !as_known {
            news.add((*alert).clone());
        }
    }
    for (place, known) in &known {
        let asked = known.source == Source::Alertmanager && round.read.contains(&known.receiver);
        if known.is_watchdog() || !asked || listed.contains(place) {
            continue;
        }
        let end = match strongest.get(&known.fingerprint) {
            // The label set fires anew: this occasion ended before, and its end must not end the new one.
            Some(later) if later.starts_at > known.starts_at => before(later.starts_at),
            Some(_) => continue,
            // A rollout that believes in it decides above whether the answers are new enough.
            None if now.iter().any(|rollout| blocks(rollout.borrow(), &known.fingerprint)) => continue,
            None => round.began,
        };
        news.add(Alert {
            status: AlertStatus::Resolved,
            ends_at: Some(end),
            suppressed: None,
            ..(*known).clone()
        });
    }
}

fn before(moment: Timestamp) -> Timestamp {
    moment.saturating_sub(SignedDuration::from_nanos(1)).unwrap_or(moment)
}

fn blocks(rollout: &Rollout, fingerprint: &Fingerprint) -> bool {
    let tracked = rollout.alerts.get(fingerprint);
    tracked.is_some_and(|tracked| tracked.standing.blocks())
}
