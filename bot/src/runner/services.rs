//! Owns the count of services on which an alert began at about the same time: too many make it nobody's rollout's fault.
//! Refuses what began long before or after, and what names no service.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use anyhow::Context;
use jiff::Timestamp;
use tidegate_rollout::{Event, Period, Rollout};

use super::Engine;
use crate::store::Store;

/// The same alert on several services counts as one event within this time.
pub(super) const TOGETHER: Period = Period::minutes(2);

/// When each alert of a delivery that fires began on each service, read once for each of their names.
pub(super) struct Services(BTreeMap<String, BTreeMap<String, BTreeSet<Timestamp>>>);

impl Services {
    pub(super) async fn of(engine: &Engine, rollout: &Rollout, events: &[Event]) -> anyhow::Result<Self> {
        let told = events.iter().filter_map(|event| event.concerning(rollout));
        let mut times: BTreeMap<&str, RangeInclusive<Timestamp>> = BTreeMap::new();
        for (name, starts_at) in told {
            let known = times.entry(name).or_insert(starts_at..=starts_at);
            *known = starts_at.min(*known.start())..=starts_at.max(*known.end());
        }
        Self::read(&engine.store, &rollout.plan.spec.environment, times).await
    }

    async fn read(
        store: &Store,
        environment: &str,
        times: BTreeMap<&str, RangeInclusive<Timestamp>>,
    ) -> anyhow::Result<Self> {
        let mut began = BTreeMap::new();
        for (name, times) in times {
            let around = earliest(*times.start())..=latest(*times.end());
            let found = store
                .services_with_alert(name, environment, around)
                .await
                .context("count the services with this alert")?;
            let mut services: BTreeMap<String, BTreeSet<Timestamp>> = BTreeMap::new();
            for (service, at) in found {
                services.entry(service).or_default().insert(at);
            }
            began.insert(name.to_owned(), services);
        }
        Ok(Self(began))
    }

    /// At least the one it came from.
    pub(super) fn with(&self, rollout: &Rollout, event: &Event) -> u32 {
        event
            .concerning(rollout)
            .map_or(1, |(name, starts_at)| self.count(name, starts_at))
    }

    fn count(&self, name: &str, starts_at: Timestamp) -> u32 {
        let together = |began: &&BTreeSet<Timestamp>| {
            let around = earliest(starts_at)..=latest(starts_at);
            began.range(around).next().is_some()
        };
        let services = self.0.get(name).into_iter().flat_map(BTreeMap::values);
        u32::try_from(services.filter(together).count())
            .unwrap_or(u32::MAX)
            .max(1)
    }
}

fn earliest(starts_at: Timestamp) -> Timestamp {
    starts_at.saturating_sub(TOGETHER.duration()).unwrap_or(Timestamp::MIN)
}

fn latest(starts_at: Timestamp) -> Timestamp {
    starts_at.saturating_add(TOGETHER.duration()).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use jiff::SignedDuration;
    use tempfile::tempdir;
    use tidegate_rollout::{Alert, DeliveryId, Fingerprint, Source};

    use super::*;
    use crate::runner::bench::{alert, engine};
    use crate::store::{Arrival, Content};

    const NAME: &str = "HighErrorRate";

    fn on(service: &str, starts_at: Timestamp) -> Alert {
        let mut alert = alert(NAME);
        alert.labels.insert("service".to_owned(), service.to_owned());
        alert.fingerprint = Fingerprint(format!("{service}-{starts_at}"));
        Alert { starts_at, ..alert }
    }

    /// An alert that began on one service is not made everybody's by what begins elsewhere an hour before or after.
    #[tokio::test]
    async fn only_what_began_within_two_minutes_of_it_counts() {
        let directory = tempdir().unwrap();
        let engine = engine(&directory, &[]).await;
        let ours: Timestamp = "2026-01-05T08:00:00Z".parse().unwrap();
        let at = |seconds: i64| ours + SignedDuration::from_secs(seconds);
        let mut alerts = vec![on("checkout", ours), on("", ours)];
        alerts.extend([-121, 121, 3_600].map(|seconds| on(&format!("far{seconds}"), at(seconds))));
        alerts.extend([-120, 120].map(|seconds| on(&format!("near{seconds}"), at(seconds))));
        // It began there once more, much later: the occasion that counts is still there.
        alerts.push(on("near-120", at(3_500)));
        let arrival = Arrival {
            id: DeliveryId::new("d-1"),
            at: ours,
            nonce: None,
            content: Content::Alerts {
                source: Source::Alertmanager,
                receiver: "default".to_owned(),
                alerts,
                truncated: 0,
            },
            raw: Bytes::new(),
        };
        engine.store.remember(arrival).await.unwrap();
        let times = BTreeMap::from([(NAME, ours..=at(3_600))]);
        let services = Services::read(&engine.store, "production", times).await.unwrap();
        assert_eq!(services.count(NAME, ours), 3, "checkout and the two that are near");
        assert_eq!(services.count(NAME, at(3_600)), 2);
        assert_eq!(services.count("Other", ours), 1);
    }
}
