//! Owns the shapes in which Alertmanager tells: the webhook of version 4, and the list of `/api/v2/alerts`.
//! Refuses to send anything.

use jiff::Timestamp;
use serde::Serialize;
use tidegate_rollout::Labels;

/// Alertmanager writes this where an end is not known.
const NO_END: &str = "0001-01-01T00:00:00Z";

/// Something that fires or has fired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Alert {
    pub(super) labels: Labels,
    pub(super) annotations: Labels,
    pub(super) starts_at: Timestamp,
    pub(super) ends_at: Option<Timestamp>,
}

impl Alert {
    /// The `alertname`, by which the demo groups.
    pub(super) fn name(&self) -> &str {
        self.labels.get("alertname").map_or("", String::as_str)
    }

    /// Alertmanager's own: FNV-1a of 64 bits over the sorted labels, each name and value followed by a byte 255.
    pub(super) fn fingerprint(&self) -> String {
        const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
        const PRIME: u64 = 0x0000_0100_0000_01b3;
        let texts = self.labels.iter().flat_map(|(name, value)| [name, value]);
        let bytes = texts.flat_map(|text| text.bytes().chain([0xff]));
        let hash = bytes.fold(BASIS, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME));
        format!("{hash:016x}")
    }
}

/// The body of one webhook: every alert of a group.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Webhook {
    receiver: &'static str,
    status: &'static str,
    alerts: Vec<Told>,
    group_labels: Labels,
    common_labels: Labels,
    common_annotations: Labels,
    #[serde(rename = "externalURL")]
    external_url: String,
    version: &'static str,
    group_key: String,
    truncated_alerts: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    status: &'static str,
    labels: Labels,
    annotations: Labels,
    starts_at: Timestamp,
    ends_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: String,
    fingerprint: String,
}

impl Webhook {
    /// The group of the alerts called `name`, told by an Alertmanager at `external_url`.
    pub(super) fn of(name: &str, alerts: &[Alert], external_url: &str) -> Self {
        let firing = alerts.iter().any(|alert| alert.ends_at.is_none());
        Self {
            receiver: "tidegate",
            status: status(firing),
            group_labels: Labels::from([("alertname".to_owned(), name.to_owned())]),
            common_labels: common(alerts.iter().map(|alert| &alert.labels)),
            common_annotations: common(alerts.iter().map(|alert| &alert.annotations)),
            external_url: external_url.to_owned(),
            version: "4",
            group_key: format!("{{}}:{{alertname={name:?}}}"),
            truncated_alerts: 0,
            alerts: alerts.iter().map(|alert| told(alert, external_url)).collect(),
        }
    }
}

fn told(alert: &Alert, external_url: &str) -> Told {
    Told {
        status: status(alert.ends_at.is_none()),
        labels: alert.labels.clone(),
        annotations: alert.annotations.clone(),
        starts_at: alert.starts_at,
        ends_at: alert.ends_at.map_or_else(|| NO_END.to_owned(), |end| end.to_string()),
        generator_url: external_url.to_owned(),
        fingerprint: alert.fingerprint(),
    }
}

fn status(firing: bool) -> &'static str {
    if firing { "firing" } else { "resolved" }
}

/// What all of them share.
fn common<'a>(mut all: impl Iterator<Item = &'a Labels>) -> Labels {
    let mut shared = all.next().cloned().unwrap_or_default();
    for labels in all {
        shared.retain(|name, value| labels.get(name) == Some(value));
    }
    shared
}

/// One item of `GET /api/v2/alerts`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Listed {
    annotations: Labels,
    ends_at: Timestamp,
    fingerprint: String,
    receivers: [Name; 1],
    starts_at: Timestamp,
    status: Status,
    updated_at: Timestamp,
    #[serde(rename = "generatorURL")]
    generator_url: String,
    labels: Labels,
}

#[derive(Serialize)]
struct Name {
    name: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    inhibited_by: [String; 0],
    silenced_by: [String; 0],
    state: &'static str,
}

impl Listed {
    /// `alert` as it stands at `now`: active, and held to be so for some minutes unless its source says so again.
    pub(super) fn of(alert: &Alert, now: Timestamp, external_url: &str) -> Self {
        let ends_at = now.saturating_add(jiff::SignedDuration::from_mins(4)).unwrap_or(now);
        Self {
            annotations: alert.annotations.clone(),
            ends_at,
            fingerprint: alert.fingerprint(),
            receivers: [Name { name: "tidegate" }],
            starts_at: alert.starts_at,
            status: Status {
                inhibited_by: [],
                silenced_by: [],
                state: "active",
            },
            updated_at: now,
            generator_url: external_url.to_owned(),
            labels: alert.labels.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    const CAPTURED: &str = include_str!("../../../../tests/fixtures/alertmanager/firing-five-two-versions.json");

    fn captured() -> (Value, Vec<Alert>) {
        let body: Value = serde_json::from_str(CAPTURED).unwrap();
        let alert = |told: &Value| Alert {
            labels: serde_json::from_value(told["labels"].clone()).unwrap(),
            annotations: serde_json::from_value(told["annotations"].clone()).unwrap(),
            starts_at: told["startsAt"].as_str().unwrap().parse().unwrap(),
            ends_at: None,
        };
        let alerts = body["alerts"].as_array().unwrap().iter().map(alert).collect();
        (body, alerts)
    }

    #[test]
    fn fingerprints_are_those_of_the_real_alertmanager() {
        let (body, alerts) = captured();
        assert_eq!(alerts.len(), 5);
        for (alert, told) in alerts.iter().zip(body["alerts"].as_array().unwrap()) {
            assert_eq!(alert.fingerprint(), told["fingerprint"].as_str().unwrap());
        }
    }

    #[test]
    fn a_webhook_has_the_keys_of_a_captured_one_and_shares_what_it_shares() {
        let (body, alerts) = captured();
        let made = serde_json::to_value(Webhook::of("x", &alerts, "http://127.0.0.1:1")).unwrap();
        let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&made), keys(&body));
        assert_eq!(keys(&made["alerts"][0]), keys(&body["alerts"][0]));
        assert_eq!(made["commonLabels"], body["commonLabels"]);
        assert_eq!(made["alerts"][0]["endsAt"], body["alerts"][0]["endsAt"]);
        assert_eq!(made["version"], body["version"]);
    }

    #[test]
    fn a_group_fires_for_as_long_as_one_of_it_does() {
        let (_, mut alerts) = captured();
        let end = alerts[0].starts_at;
        alerts[0].ends_at = Some(end);
        let status = |alerts: &[Alert]| Webhook::of("x", alerts, "").status;
        assert_eq!(status(&alerts), "firing");
        alerts.iter_mut().for_each(|alert| alert.ends_at = Some(end));
        assert_eq!(status(&alerts), "resolved");
    }

    #[test]
    fn a_listed_alert_has_the_keys_that_are_polled_and_is_active() {
        let (_, alerts) = captured();
        let listed = serde_json::to_value(Listed::of(&alerts[0], alerts[0].starts_at, "")).unwrap();
        for key in ["fingerprint", "startsAt", "labels", "annotations", "status"] {
            assert!(listed.get(key).is_some(), "{key} is missing in {listed}");
        }
        assert_eq!(listed["status"]["state"], "active");
        assert_eq!(listed["status"]["silencedBy"], Value::Array(Vec::new()));
    }
}
