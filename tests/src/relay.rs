//! A door in front of the server's own: it passes on what a pair of Alertmanagers posts, and holds back the answer about one
//! alert until both have told of it.
//!
//! The second of a pair is silent as soon as the first one was answered. Held back, the first answer makes sure that both
//! deliver, whatever the machine is busy with. Refuses to judge: the server's own status goes back.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use reqwest::Client;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::http;
use crate::serve::Served;

/// Alertmanager gives up on an answer after ten seconds, and comes again.
const HELD: Duration = Duration::from_secs(8);

/// The door.
#[derive(Debug)]
pub struct Relay {
    served: Served,
    door: Arc<Door>,
}

#[derive(Debug)]
struct Door {
    /// Where it is passed on to.
    behind: String,
    /// What the answers are held back about.
    alertname: String,
    client: Client,
    /// Who has told of it and was answered with a success behind the door, by its own address.
    told: watch::Sender<BTreeSet<String>>,
}

impl Relay {
    /// A door before the webhook at `behind`, which waits for a pair to tell of `alertname`.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(behind: String, alertname: &str) -> Result<Self> {
        let door = Arc::new(Door {
            behind,
            alertname: alertname.to_owned(),
            client: http::client()?,
            told: watch::Sender::default(),
        });
        let router = Router::new().fallback(pass).with_state(Arc::clone(&door));
        Ok(Self {
            served: Served::start(router).await?,
            door,
        })
    }

    /// Where Alertmanager shall post to.
    #[must_use]
    pub fn url(&self) -> String {
        self.served.url("/webhook")
    }

    /// How many of the pair have told of the alert, and were answered with a success.
    #[must_use]
    pub fn told(&self) -> usize {
        self.door.told.borrow().len()
    }
}

impl Door {
    /// Notes who told of the alert; whether this was about it.
    fn note(&self, body: &[u8]) -> bool {
        let Ok(body) = serde_json::from_slice::<Value>(body) else {
            return false;
        };
        let alerts = body["alerts"].as_array().into_iter().flatten();
        let about = alerts
            .filter(|alert| alert["status"] == "firing")
            .any(|alert| alert["labels"]["alertname"] == self.alertname.as_str());
        if about {
            let sender = body["externalURL"].to_string();
            self.told.send_modify(|told| {
                told.insert(sender);
            });
        }
        about
    }
}

async fn pass(State(door): State<Arc<Door>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let mut request = door.client.post(&door.behind).body(body.clone());
    for name in ["authorization", "content-type"] {
        if let Some(value) = headers.get(name) {
            request = request.header(name, value);
        }
    }
    let Ok(answer) = request.send().await else {
        return StatusCode::BAD_GATEWAY;
    };
    let status = answer.status();
    if status.is_success() && door.note(&body) {
        // Answered without the other one in the end: whoever counts will see that.
        let mut told = door.told.subscribe();
        let _ = timeout(HELD, told.wait_for(|told| told.len() > 1)).await;
    }
    status
}
