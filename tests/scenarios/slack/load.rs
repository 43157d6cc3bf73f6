//! The promise of three seconds, kept by a server of its own while alerts pour in.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures_util::future::join_all;
use reqwest::{Client, StatusCode};
use serde_json::json;
use tidegate_tests::slack::Slack;
use tidegate_tests::tidegate::{RECEIVER_TOKEN, Tidegate};
use tidegate_tests::{http, wait};
use tokio::task::JoinHandle;

use super::world::{ANA, PATIENCE, setup};

/// Connections that each send alerts as fast as they are answered.
const CONNECTIONS: usize = 512;
/// How often everything is said.
const ROUNDS: usize = 8;
/// Slack waits so long.
const PROMISE: Duration = Duration::from_secs(3);

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
struct Storm {
    over: Arc<AtomicBool>,
    stored: Arc<AtomicU64>,
    connections: JoinHandle<Vec<()>>,
}

impl Storm {
    fn over(server: &Tidegate) -> Result<Self> {
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

    fn stored(&self) -> u64 {
        self.stored.load(Ordering::Relaxed)
    }

    async fn end(self) -> Result<()> {
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

/// Types a command; how long the first answer took, and whether it was the result.
async fn typed(slack: &Slack, server: &Tidegate, text: &str) -> Result<(Duration, bool)> {
    let command = slack.command(ANA, text);
    let answered = slack.deliver(&server.url("/slack/commands"), &command).await?;
    ensure!(answered.status == StatusCode::OK, "{answered:?}");
    ensure!(answered.took < PROMISE, "{:?}", answered.took);
    let mut shown = answered.shown();
    let at_once = !shown.contains("Working on it");
    if !at_once {
        let late = slack.late_answer(&answered.response_url, PATIENCE).await?;
        shown = tidegate_tests::slack::read(&late).0;
    }
    ensure!(!shown.contains("not stored"), "{shown}");
    Ok((answered.took, at_once))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_is_answered_in_time_while_512_connections_pour_in_alerts() -> Result<()> {
    let slack = Slack::start().await?;
    slack.unpaced();
    let server = setup(&slack)?.start().await?;
    let storm = Storm::over(&server)?;
    wait::until("the storm is there", PATIENCE, async || {
        ensure!(storm.stored() > 500, "{} alerts are stored", storm.stored());
        Ok(())
    })
    .await?;
    let (begun, before) = (Instant::now(), storm.stored());
    let (mut took, mut at_once) = (Vec::new(), 0);
    for round in 0..ROUNDS {
        for text in [
            "status",
            "whoami",
            "list",
            "start checkout version:1",
            "note \"x\"",
            "pause",
            "resume",
        ] {
            let answered = typed(&slack, &server, text).await;
            let (time, inline) = answered.with_context(|| format!("round {round}, {text}"))?;
            took.push(time);
            at_once += usize::from(inline);
        }
    }
    let (alerts, lasted) = (storm.stored() - before, begun.elapsed());
    storm.end().await?;
    took.sort_unstable();
    let at = |part: usize| took[(took.len() - 1) * part / 100];
    println!(
        "{} commands while {alerts} alerts were stored in {lasted:.1?}: p50 {:.2?}, p99 {:.2?}, longest {:.2?}; \
         {at_once} with their result at once",
        took.len(),
        at(50),
        at(99),
        at(100),
    );
    ensure!(alerts > 100, "only {alerts} alerts: that was no storm");
    Ok(())
}
