//! Owns PagerDuty's V3 webhooks: one event about one incident per body.
//! Refuses to read anything but "it fires" and "it is resolved" out of them: an acknowledgement is no proof of anything.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use tidegate_rollout::{Alert, AlertStatus, Fingerprint, Labels, Source};

use super::{Batch, Malformed};
use crate::text::{brief, without_nul};

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    event: Event<'a>,
}

#[derive(Deserialize)]
struct Event<'a> {
    id: String,
    event_type: String,
    occurred_at: Timestamp,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

/// What the events that matter carry.
#[derive(Deserialize)]
struct Incident {
    id: String,
    created_at: Timestamp,
    status: Option<String>,
    incident_key: Option<String>,
    title: Option<String>,
    service: Option<Reference>,
    priority: Option<Reference>,
    urgency: Option<String>,
    html_url: Option<String>,
}

#[derive(Deserialize)]
struct Reference {
    summary: Option<String>,
}

/// What an event says about its incident.
enum Said {
    /// It fires since it was created.
    Triggered,
    /// It fires again since the event.
    Reopened,
    /// It stopped with the event.
    Resolved,
}

impl Said {
    /// `None` for events that say neither "it fires" nor "it is resolved": acknowledged, annotated, escalated,
    /// `pagey.ping`, and whatever PagerDuty adds.
    fn by(event_type: &str) -> Option<Self> {
        match event_type {
            // A new priority may be the one that a trigger waits for.
            "incident.triggered" | "incident.priority_updated" => Some(Self::Triggered),
            "incident.reopened" => Some(Self::Reopened),
            "incident.resolved" => Some(Self::Resolved),
            _ => None,
        }
    }
}

pub(super) fn decode(text: &str) -> Result<Batch, Malformed> {
    let Envelope { event } = serde_json::from_str(text).map_err(|error| Malformed::json(&error))?;
    let mut batch = Batch {
        // The id of the event is signed, the `X-Webhook-Id` header is not: who replays a body can change the header.
        nonce: Some(without_nul(event.id.clone())),
        ..Batch::default()
    };
    let Some(said) = Said::by(&event.event_type) else {
        return Ok(batch);
    };
    match read_incident(event.data) {
        Ok(incident) if matches!(said, Said::Triggered) && incident.is_resolved() => {}
        Ok(incident) => batch.alerts.push(incident.into_alert(&said, event.occurred_at)),
        // Not a refusal: PagerDuty drops what is answered 4xx, and after three drops it is silent for a day.
        Err(why) => batch.unreadable.add(0, why),
    }
    Ok(batch)
}

fn read_incident(data: Option<&RawValue>) -> Result<Incident, String> {
    let data = data.ok_or("the event has no `data`")?;
    let incident: Incident = serde_json::from_str(data.get()).map_err(|error| brief(&error))?;
    if incident.id.is_empty() {
        return Err("the incident's `id` is empty".to_owned());
    }
    Ok(incident)
}

impl Incident {
    fn is_resolved(&self) -> bool {
        self.status.as_deref() == Some("resolved")
    }

    fn into_alert(self, said: &Said, occurred_at: Timestamp) -> Alert {
        let (status, starts_at, ends_at) = match said {
            Said::Triggered => (AlertStatus::Firing, self.created_at, None),
            Said::Reopened => (AlertStatus::Firing, occurred_at, None),
            Said::Resolved => (AlertStatus::Resolved, self.created_at, Some(occurred_at)),
        };
        Alert {
            source: Source::PagerDuty,
            // Set by whoever knows the receiver.
            receiver: String::new(),
            fingerprint: Fingerprint(without_nul(self.id)),
            status,
            labels: texts([
                ("service", self.service.and_then(|service| service.summary)),
                ("priority", self.priority.and_then(|priority| priority.summary)),
                ("urgency", self.urgency),
                ("title", self.title.clone()),
                ("dedup_key", self.incident_key),
            ]),
            annotations: texts([("summary", self.title), ("incident_url", self.html_url)]),
            starts_at,
            ends_at,
            suppressed: None,
        }
    }
}

/// Those that are there. The title is never an `alertname`: whoever can mail to PagerDuty could call it "Watchdog".
fn texts<const N: usize>(pairs: [(&str, Option<String>); N]) -> Labels {
    let present = pairs
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), without_nul(value?))));
    present.collect()
}
