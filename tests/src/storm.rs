//! Alerts that pour in over many connections, each as fast as it is answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anyhow::Result;
use futures_util::future::join_all;
use reqwest::{Client, StatusCode};
use serde_json::json;
use tokio::task::JoinHandle;

use crate::http;
use crate::tidegate::{RECEIVER_TOKEN, Tidegate};

/// Connections that each send alerts as fast as they are answered.
const CONNECTIONS: usize = 512;

fn body(number: u64) -> String {
    let alert = json!({
        "status": "firing",
        "labels": { "alertname": "Elsewhere", "service": "other", "instance": number.to_string() },
        "annotations": {}, "startsAt": "2026-11-20T10:00:00Z", "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "", "fingerprint": format!("{number:016x}"),
    });
    json!({
        "receiver": "t", "status": "firing", "alerts": [alert], "groupLabels": {}, "commonLabels": {},
        "commonAnnotations": {}, "externalURL": "http://am.example", "version": "4", "groupKey": "{}", "truncatedAlerts": 0,
    })
    .to_string()
}

/// Alerts that pour in until it is over.
#[derive(Debug)]
pub struct Storm {
    over: Arc<AtomicBool>,
    stored: Arc<AtomicU64>,
    connections: JoinHandle<Vec<()>>,
}

impl Storm {
    /// Begins it over a server.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn over(server: &Tidegate) -> Result<Self> {
        let (over, stored, number) = (Arc::default(), Arc::default(), Arc::new(AtomicU64::new(0)));
        let client = http::client()?;
        let pour = (0..CONNECTIONS).map(|_| {
            pour(
                client.clone(),
                server.webhook(),
                Arc::clone(&over),
                Arc::clone(&stored),
                Arc::clone(&number),
            )
        });
        Ok(Self {
            connections: tokio::spawn(join_all(pour)),
            over,
            stored,
        })
    }

    /// How many alerts were stored so far.
    #[must_use]
    pub fn stored(&self) -> u64 {
        self.stored.load(Ordering::Relaxed)
    }

    /// Ends it.
    ///
    /// # Errors
    /// When a connection broke down by itself.
    pub async fn end(self) -> Result<()> {
        self.over.store(true, Ordering::Relaxed);
        self.connections.await?;
        Ok(())
    }
}

async fn pour(client: Client, url: String, over: Arc<AtomicBool>, stored: Arc<AtomicU64>, number: Arc<AtomicU64>) {
    while !over.load(Ordering::Relaxed) {
        let request = client
            .post(&url)
            .bearer_auth(RECEIVER_TOKEN)
            .header("content-type", "application/json")
            .body(body(number.fetch_add(1, Ordering::Relaxed)));
        if let Ok(answer) = request.send().await
            && answer.status() == StatusCode::OK
        {
            stored.fetch_add(1, Ordering::Relaxed);
        }
    }
}
