//! Owns what a poll of the alert sources teaches: where what they list differs from what the rollouts believe.
//! Refuses to ask anybody, and to take a source that could not be read for one that lists nothing.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::alert::{Alert, AlertStatus, Fingerprint, Source};
use crate::rollout::{Rollout, Standing, Tracked};
use crate::route::concern;

/// One round: every peer of every Alertmanager was asked.
#[derive(Clone, Copy, Debug)]
pub struct Round<'a> {
    /// Everything that any peer lists as firing, suppressed or not.
    pub listed: &'a [Alert],
    /// Whether every peer of every source answered. Else what is missing may only be unread.
    pub complete: bool,
    /// When the round began. What was heard of later may be too new for it.
    pub began: Timestamp,
}

/// What to tell the rollouts as [`crate::Event::Polled`]: alerts that are listed and believed otherwise, and alerts that
/// are believed to fire and that nobody lists. A webhook that was lost, or that contradicts its source, so costs one round.
pub fn news<'a>(round: Round<'_>, active: impl IntoIterator<Item = &'a Rollout>) -> Vec<Alert> {
    let mut news: BTreeMap<Fingerprint, Alert> = BTreeMap::new();
    for rollout in active {
        for alert in round.listed.iter().filter(|alert| is_new(rollout, alert)) {
            news.insert(alert.fingerprint.clone(), alert.clone());
        }
        if round.complete {
            let gone = rollout.alerts.iter().filter(|(fingerprint, tracked)| {
                let listed = round.listed.iter().any(|alert| alert.fingerprint == **fingerprint);
                !listed && ended_unheard(tracked, round.began)
            });
            news.extend(
                gone.map(|(fingerprint, tracked)| (fingerprint.clone(), ended(fingerprint, tracked, round.began))),
            );
        }
    }
    news.into_values().collect()
}

fn is_new(rollout: &Rollout, alert: &Alert) -> bool {
    match rollout.alerts.get(&alert.fingerprint) {
        None => concern(rollout, alert).is_some(),
        Some(tracked) => tracked.starts_at <= alert.starts_at && !believed(tracked, alert),
    }
}

/// Whether the rollout believes what the source lists.
fn believed(tracked: &Tracked, alert: &Alert) -> bool {
    let as_listed = match &tracked.standing {
        Standing::Counting | Standing::PreExisting | Standing::OldVersion => alert.suppressed.is_none(),
        Standing::Suppressed(known) => alert.suppressed.as_ref() == Some(known),
        Standing::Suspect | Standing::Stale | Standing::Resolved => false,
    };
    as_listed && tracked.starts_at == alert.starts_at
}

fn ended_unheard(tracked: &Tracked, began: Timestamp) -> bool {
    tracked.source == Source::Alertmanager && tracked.standing.blocks() && tracked.heard_at < began
}

fn ended(fingerprint: &Fingerprint, tracked: &Tracked, at: Timestamp) -> Alert {
    Alert {
        source: tracked.source,
        fingerprint: fingerprint.clone(),
        status: AlertStatus::Resolved,
        labels: tracked.labels.clone(),
        annotations: BTreeMap::new(),
        starts_at: tracked.starts_at,
        ends_at: Some(at),
        suppressed: None,
    }
}
