//! Owns two thousand alerts about other services, as a bad day in the data centre makes them.
//! Refuses any that could be about the shop.

use jiff::Timestamp;
use serde_json::{Value, json};
use tidegate_rollout::Labels;

use super::message::Alert;

/// What goes wrong elsewhere, one group each.
const NAMES: [&str; 20] = [
    "CertificateExpiresSoon",
    "ConnectionPoolExhausted",
    "ConsumerLagHigh",
    "CPUThrottlingHigh",
    "DiskAlmostFull",
    "DNSLookupsSlow",
    "FileDescriptorsExhausted",
    "JobFailed",
    "LatencyHigh",
    "LoginFailuresHigh",
    "MemoryAlmostFull",
    "NodeNotReady",
    "PacketsLost",
    "PodRestarts",
    "QueueGrows",
    "ReplicaBehind",
    "ScrapeFailed",
    "ThreadPoolExhausted",
    "TimeoutsHigh",
    "VolumeReadOnly",
];

/// How many of each.
const EACH: usize = 100;

/// How many there are.
pub(in crate::demo) const SIZE: usize = NAMES.len() * EACH;

/// All of them, firing since `since`.
pub(super) fn storm(since: Timestamp) -> Vec<Alert> {
    let label = |name: &str, value: String| (name.to_owned(), value);
    let alert = |name: &str, number: usize| Alert {
        labels: Labels::from([
            label("alertname", name.to_owned()),
            label("service", format!("service-{number:02}")),
            label("environment", "demo".to_owned()),
            label("instance", format!("10.0.0.{number}:9100")),
            label("severity", "critical".to_owned()),
        ]),
        annotations: Labels::from([label("summary", format!("{name} on service-{number:02}"))]),
        starts_at: since,
        ends_at: None,
    };
    let group = |name: &'static str| (0..EACH).map(move |number| alert(name, number));
    NAMES.into_iter().flat_map(group).collect()
}

/// All of them as `POST /api/v2/alerts` of Alertmanager takes them.
pub(in crate::demo) fn posted(since: Timestamp) -> Value {
    let item = |alert: Alert| json!({ "labels": alert.labels, "annotations": alert.annotations, "startsAt": since });
    storm(since).into_iter().map(item).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn there_are_two_thousand_and_all_differ() {
        let storm = storm(Timestamp::UNIX_EPOCH);
        let fingerprints: BTreeSet<String> = storm.iter().map(Alert::fingerprint).collect();
        assert_eq!((storm.len(), fingerprints.len(), SIZE), (2_000, 2_000, 2_000));
    }

    #[test]
    fn none_is_about_the_shop() {
        let about_the_shop = |alert: &Alert| alert.labels["service"] == "shop";
        assert!(!storm(Timestamp::UNIX_EPOCH).iter().any(about_the_shop));
    }
}
