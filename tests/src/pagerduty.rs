//! PagerDuty's Events API v2, as far as a sender can tell: it keeps its incidents, and refuses what the real one refuses.
//!
//! Owns the incidents by their keys, open, acknowledged or resolved. Refuses a wrong routing key, an unknown action, a
//! payload without its three fields, a severity of its own, and texts that are too long.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};

use crate::serve::Served;

/// The integration key of the one service.
pub const ROUTING_KEY: &str = "R0123456789abcdef0123456789ABCDE";

/// The most bytes of a request.
const LARGEST: usize = 512 * 1024;

/// An incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    /// `triggered`, `acknowledged` or `resolved`.
    pub state: &'static str,
    /// What each trigger said, in order.
    pub summaries: Vec<String>,
    /// The severity of the last trigger.
    pub severity: String,
    /// The whole of the last trigger.
    pub last: Value,
}

#[derive(Debug, Default)]
struct Desk {
    incidents: BTreeMap<String, Incident>,
    refused: Vec<String>,
    mood: Option<StatusCode>,
    calls: usize,
}

/// The API.
#[derive(Debug)]
pub struct PagerDuty {
    served: Served,
    desk: Arc<Mutex<Desk>>,
}

impl PagerDuty {
    /// Starts to listen.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start() -> Result<Self> {
        let desk = Arc::new(Mutex::new(Desk::default()));
        let router = Router::new()
            .route("/v2/enqueue", post(enqueue))
            .with_state(Arc::clone(&desk));
        Ok(Self {
            served: Served::start(router).await?,
            desk,
        })
    }

    /// The address that the configuration names.
    #[must_use]
    pub fn url(&self) -> String {
        self.served.url("/")
    }

    /// From now on every event is answered so, and nothing comes of it; `None` takes them again.
    pub fn answer_with(&self, status: Option<StatusCode>) {
        open(&self.desk).mood = status;
    }

    /// The incidents, by the end of their keys: what follows `tidegate:<rollout>:`.
    #[must_use]
    pub fn incidents(&self) -> BTreeMap<String, Incident> {
        let incidents = open(&self.desk).incidents.clone();
        let short = |key: String| key.rsplit(':').next().unwrap_or_default().to_owned();
        incidents
            .into_iter()
            .map(|(key, incident)| (short(key), incident))
            .collect()
    }

    /// What was refused, which a good client never causes.
    #[must_use]
    pub fn refused(&self) -> Vec<String> {
        open(&self.desk).refused.clone()
    }

    /// How many calls came.
    #[must_use]
    pub fn calls(&self) -> usize {
        open(&self.desk).calls
    }
}

async fn enqueue(State(desk): State<Arc<Mutex<Desk>>>, headers: HeaderMap, body: Bytes) -> Response {
    let mut desk = open(&desk);
    desk.calls += 1;
    if let Some(status) = desk.mood {
        return status.into_response();
    }
    match judged(&headers, &body) {
        Ok(event) => {
            let key = event["dedup_key"].as_str().unwrap_or_default().to_owned();
            desk.take(&key, event);
            let answer = json!({ "status": "success", "message": "Event processed", "dedup_key": key });
            (StatusCode::ACCEPTED, axum::Json(answer)).into_response()
        }
        Err(errors) => {
            desk.refused.push(errors.join("; "));
            let answer = json!({ "status": "invalid event", "message": "Event object is invalid", "errors": errors });
            (StatusCode::BAD_REQUEST, axum::Json(answer)).into_response()
        }
    }
}

impl Desk {
    /// A trigger opens an incident or adds to an open one; the other two do nothing to one that is not open.
    fn take(&mut self, key: &str, event: Value) {
        let is_open = self
            .incidents
            .get(key)
            .is_some_and(|incident| incident.state != "resolved");
        match event["event_action"].as_str() {
            Some("trigger") => {
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let (summary, severity) = (text(&event["payload"]["summary"]), text(&event["payload"]["severity"]));
                let mut summaries = Vec::new();
                let mut state = "triggered";
                if let (Some(known), true) = (self.incidents.get(key), is_open) {
                    summaries.clone_from(&known.summaries);
                    state = known.state;
                }
                summaries.push(summary);
                let incident = Incident {
                    state,
                    summaries,
                    severity,
                    last: event,
                };
                self.incidents.insert(key.to_owned(), incident);
            }
            Some(action) if is_open => {
                if let Some(incident) = self.incidents.get_mut(key) {
                    incident.state = if action == "resolve" {
                        "resolved"
                    } else {
                        "acknowledged"
                    };
                }
            }
            Some(_) | None => {}
        }
    }
}

fn judged(headers: &HeaderMap, body: &Bytes) -> Result<Value, Vec<String>> {
    let json = headers
        .get("content-type")
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    if !json || body.len() > LARGEST {
        return Err(vec!["not JSON, or too large".to_owned()]);
    }
    let event: Value = serde_json::from_slice(body).map_err(|error| vec![error.to_string()])?;
    let mut errors = Vec::new();
    let mut must = |holds: bool, error: &str| {
        if !holds {
            errors.push(error.to_owned());
        }
    };
    let text = |value: &Value, most: usize| {
        value
            .as_str()
            .is_some_and(|text| !text.is_empty() && text.chars().count() <= most)
    };
    must(event["routing_key"] == ROUTING_KEY, "'routing_key' is invalid");
    must(text(&event["dedup_key"], 255), "'dedup_key' is missing or too long");
    let known = ["trigger", "acknowledge", "resolve"];
    let action = event["event_action"].as_str().unwrap_or_default();
    must(known.contains(&action), "'event_action' is invalid");
    if action == "trigger" {
        let payload = &event["payload"];
        must(
            text(&payload["summary"], 1_024),
            "'payload.summary' is missing, blank or too long",
        );
        must(text(&payload["source"], 1_024), "'payload.source' is missing or blank");
        let severities = ["critical", "error", "warning", "info"];
        must(
            payload["severity"]
                .as_str()
                .is_some_and(|severity| severities.contains(&severity)),
            "'payload.severity' is invalid",
        );
        let at = payload["timestamp"].as_str().map(str::parse::<jiff::Timestamp>);
        must(at.is_none_or(|at| at.is_ok()), "'payload.timestamp' is no time");
        let links = event["links"].as_array().into_iter().flatten();
        let mut links = links.map(|link| text(&link["href"], 2_048));
        must(links.all(|good| good), "'links' must have an href each");
    }
    if errors.is_empty() { Ok(event) } else { Err(errors) }
}

/// A panicking reader leaves the desk whole.
fn open(desk: &Mutex<Desk>) -> MutexGuard<'_, Desk> {
    desk.lock().unwrap_or_else(PoisonError::into_inner)
}
