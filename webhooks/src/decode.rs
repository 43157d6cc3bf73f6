//! Owns the way from proven bytes to alerts, one wire format per source.
//! Refuses bytes of unknown origin: it takes [`Signed`], which only the check of a receiver can make.

mod alertmanager;
mod grafana;
mod group;
mod pagerduty;

use tidegate_rollout::{Alert, Source};

use crate::intake::Unreadable;
use crate::text::brief;
use crate::verify::Signed;

/// What one body said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The sender's own name for this delivery, if it is part of what was proven.
    pub nonce: Option<String>,
    /// What could be decoded.
    pub alerts: Vec<Alert>,
    /// What could not.
    pub unreadable: Unreadable,
    /// What the sender left out.
    pub truncated: u64,
}

impl Batch {
    /// Whether nothing in it can have any effect.
    pub fn is_empty(&self) -> bool {
        self.alerts.is_empty() && self.unreadable.count == 0 && self.truncated == 0
    }
}

/// The body is not what its source sends. The text may quote the sender.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub String);

impl Malformed {
    fn json(error: &serde_json::Error) -> Self {
        Self(brief(error))
    }
}

/// Decodes a body of proven origin. Unknown fields are ignored: every source adds some from time to time.
pub fn decode(signed: &Signed) -> Result<Batch, Malformed> {
    // Checked for the whole body, also for fields that are skipped: it is stored as text.
    let text = std::str::from_utf8(signed.body())
        .map_err(|error| Malformed(format!("not UTF-8 from byte {} on", error.valid_up_to())))?;
    match signed.source() {
        Source::Alertmanager => alertmanager::decode(text),
        Source::PagerDuty => pagerduty::decode(text),
        Source::Grafana => grafana::decode(text),
    }
}
