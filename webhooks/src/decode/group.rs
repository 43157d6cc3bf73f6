//! Owns the shape that Alertmanager and Grafana share: a group of alerts.
//! Refuses to let one bad alert spoil its neighbours: each is decoded by itself.

use std::fmt;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;
use tidegate_rollout::{Alert, AlertStatus, Fingerprint, Source};

use super::{Batch, Malformed};
use crate::intake::Unreadable;
use crate::text::{Texts, brief, without_nul};

/// A group as it is sent, with everything in it that matters here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Group {
    version: Option<String>,
    alerts: WireAlerts,
    #[serde(default)]
    truncated_alerts: u64,
}

/// Reads a group. Alerts that cannot be read are set aside.
pub(super) fn read(text: &str) -> Result<Group, Malformed> {
    serde_json::from_str(text).map_err(|error| Malformed::json(&error))
}

impl Group {
    pub(super) fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// Gives the alerts. It is an error if there were some and none could be read: then the sender should keep
    /// them, see its own alarm about failing notifications, and bring them again.
    pub(super) fn into_batch(self, source: Source) -> Result<Batch, Malformed> {
        let WireAlerts { read, unreadable } = self.alerts;
        if let (true, Some((_, why))) = (read.is_empty(), unreadable.reasons.first()) {
            return Err(Malformed(format!("no alert can be read; the first: {why}")));
        }
        Ok(Batch {
            nonce: None,
            alerts: read.into_iter().map(|alert| alert.into_alert(source)).collect(),
            unreadable,
            truncated: self.truncated_alerts,
        })
    }
}

/// The list of alerts, decoded one by one while it is read, so that no list of raw values is ever held.
struct WireAlerts {
    read: Vec<WireAlert>,
    unreadable: Unreadable,
}

impl<'de> Deserialize<'de> for WireAlerts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(WireAlertsVisitor)
    }
}

struct WireAlertsVisitor;

impl<'de> Visitor<'de> for WireAlertsVisitor {
    type Value = WireAlerts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of alerts")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<WireAlerts, A::Error> {
        let mut alerts = WireAlerts {
            read: Vec::new(),
            unreadable: Unreadable::default(),
        };
        let mut index = 0;
        while let Some(raw) = seq.next_element::<&RawValue>()? {
            match WireAlert::read(raw) {
                Ok(alert) => alerts.read.push(alert),
                Err(why) => alerts.unreadable.add(index, why),
            }
            index += 1;
        }
        Ok(alerts)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fields {
    status: WireStatus,
    labels: Texts,
    annotations: Option<Texts>,
    starts_at: Timestamp,
    /// Parsed only where it is needed: a firing alert has year 1 here.
    ends_at: Option<String>,
    fingerprint: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum WireStatus {
    Firing,
    Resolved,
}

/// An alert whose every part we need is there and makes sense.
struct WireAlert {
    fields: Fields,
    ends_at: Option<Timestamp>,
}

impl WireAlert {
    fn read(raw: &RawValue) -> Result<Self, String> {
        let fields: Fields = serde_json::from_str(raw.get()).map_err(|error| brief(&error))?;
        if fields.fingerprint.is_empty() {
            return Err("`fingerprint` is empty".to_owned());
        }
        let ends_at = match fields.status {
            WireStatus::Firing => None,
            WireStatus::Resolved => Some(end(fields.ends_at.as_deref())?),
        };
        Ok(Self { fields, ends_at })
    }

    fn into_alert(self, source: Source) -> Alert {
        let Self { fields, ends_at } = self;
        Alert {
            source,
            // Set by whoever knows the receiver.
            receiver: String::new(),
            fingerprint: Fingerprint(without_nul(fields.fingerprint)),
            status: match fields.status {
                WireStatus::Firing => AlertStatus::Firing,
                WireStatus::Resolved => AlertStatus::Resolved,
            },
            labels: fields.labels.0,
            annotations: fields.annotations.unwrap_or_default().0,
            starts_at: fields.starts_at,
            ends_at,
            suppressed: None,
        }
    }
}

/// When a resolved alert ended. Without that it cannot be told from a late firing, so it is not taken for resolved.
fn end(written: Option<&str>) -> Result<Timestamp, String> {
    let written = written.ok_or("resolved, but without `endsAt`")?;
    let end: Timestamp = written
        .parse()
        .map_err(|error| brief(&format_args!("`endsAt`: {error}")))?;
    if end <= GO_ZERO_TIME {
        return Err("resolved, but `endsAt` is the zero time".to_owned());
    }
    Ok(end)
}

/// `0001-01-01T00:00:00Z`, which Go writes for "no time".
const GO_ZERO_TIME: Timestamp = Timestamp::constant(-62_135_596_800, 0);
