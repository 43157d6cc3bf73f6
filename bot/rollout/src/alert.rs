//! Owns the one shape every alert takes inside Tidegate, whatever program sent it.
//! Refuses wire formats: those are decoded at the edge, before an [`Alert`] exists.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Label name → value, as the sender gave them.
pub type Labels = BTreeMap<String, String>;

/// What one label set is known by at its source: sixteen hex digits from Alertmanager and Grafana, the incident's id from PagerDuty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(pub String);

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The identity of a decision: one firing of one label set. A new `startsAt` is a new occasion.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AlertKey {
    /// Which label set.
    pub fingerprint: Fingerprint,
    /// Since when.
    pub starts_at: Timestamp,
}

/// The program that told us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// Alertmanager, by its webhook or when we polled its API.
    Alertmanager,
    /// PagerDuty V3 webhooks.
    PagerDuty,
    /// Grafana alerting's webhook contact point.
    Grafana,
}

impl Source {
    /// The word used in URLs, metrics and messages.
    pub fn word(self) -> &'static str {
        match self {
            Self::Alertmanager => "alertmanager",
            Self::PagerDuty => "pagerduty",
            Self::Grafana => "grafana",
        }
    }
}

/// Whether the alert is on or off, as its source says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlertStatus {
    /// The condition holds.
    Firing,
    /// The source stopped saying that it holds. This is not a proof of health.
    Resolved,
}

/// Why an alert that fires must not count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Suppression {
    /// Somebody silenced it: the ids of the silences, and who made the first one where that is known.
    Silenced {
        /// Ids of the silences in force.
        by: Vec<String>,
    },
    /// Another alert inhibits it: fingerprints of those.
    Inhibited {
        /// Fingerprints of the inhibiting alerts.
        by: Vec<String>,
    },
}

/// One alert, once, from one source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// The program that told us.
    pub source: Source,
    /// The configured receiver it came to, or whose peers list it. Empty where a row of an older program does not say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub receiver: String,
    /// Which label set.
    pub fingerprint: Fingerprint,
    /// On or off.
    pub status: AlertStatus,
    /// What it is about. Data from outside: never markup, never a template, never a path.
    pub labels: Labels,
    /// Human text of the rule. Data from outside, as the labels are.
    pub annotations: Labels,
    /// Since when it fires.
    pub starts_at: Timestamp,
    /// When it stopped. While firing `None`, or the end that its source had told before it told the same occasion again.
    pub ends_at: Option<Timestamp>,
    /// Set when it is silenced or inhibited; only the API of the source tells, a webhook never does.
    pub suppressed: Option<Suppression>,
}

impl Alert {
    /// The identity of the decision this alert may lead to.
    pub fn key(&self) -> AlertKey {
        AlertKey {
            fingerprint: self.fingerprint.clone(),
            starts_at: self.starts_at,
        }
    }

    /// The `alertname` label, or the `title` of an incident, or the fingerprint where there is neither (Alertmanager
    /// allows that).
    pub fn name(&self) -> &str {
        self.label("alertname")
            .or_else(|| self.label("title"))
            .unwrap_or(&self.fingerprint.0)
    }

    /// The value of a label; an empty value is an absent one, as in Prometheus.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// Whether it fires and nothing suppresses it.
    pub fn counts(&self) -> bool {
        self.status == AlertStatus::Firing && self.suppressed.is_none()
    }

    /// The dead man's switch: an alert that always fires so that silence can be told from health.
    pub fn is_watchdog(&self) -> bool {
        self.label("alertname") == Some("Watchdog")
    }

    /// Alerts about Tidegate itself, and incidents it opened itself, never trigger and never block.
    pub fn is_our_own(&self) -> bool {
        self.label("job") == Some("tidegate") || self.label("dedup_key").is_some_and(|key| key.starts_with("tidegate:"))
    }
}
