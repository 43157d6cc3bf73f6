//! The promise of three seconds, while alerts pour in.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::json;
use tidegate_tests::http;

use super::world::{ANA, World};

/// Connections that each send alerts as fast as they are answered.
const CONNECTIONS: usize = 512;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_is_answered_in_time_while_512_connections_pour_in_alerts() -> Result<()> {
    let world = World::new().await?;
    world.slack.unpaced();
    let (stop, number, stored) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
        Arc::new(AtomicU64::new(0)),
    );
    let client = http::client()?;
    let url = world.url("/webhooks/alertmanager");
    let pour = (0..CONNECTIONS).map(|_| {
        let (stop, number, stored) = (Arc::clone(&stop), Arc::clone(&number), Arc::clone(&stored));
        let (client, url) = (client.clone(), url.clone());
        async move {
            while !stop.load(Ordering::Relaxed) {
                let request = client
                    .post(&url)
                    .bearer_auth("the-token-of-alertmanager")
                    .header("content-type", "application/json")
                    .body(body(number.fetch_add(1, Ordering::Relaxed)));
                if let Ok(answer) = request.send().await
                    && answer.status() == StatusCode::OK
                {
                    stored.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    });
    let storm = tokio::spawn(join_all(pour));
    let begun = Instant::now();
    let mut took = Vec::new();
    let mut done = 0;
    for round in 0..20 {
        for text in [
            "status",
            "whoami",
            "list",
            "start checkout version:1",
            "note \"x\"",
            "pause",
            "resume",
        ] {
            let answered = world.typed(ANA, text).await?;
            ensure!(answered.took < PROMISE, "round {round}, {text}: {:?}", answered.took);
            done += usize::from(!answered.shown().contains("Working on it"));
            took.push(answered.took);
        }
    }
    stop.store(true, Ordering::Relaxed);
    let alerts = stored.load(Ordering::Relaxed);
    storm.await?;
    took.sort_unstable();
    let at = |part: usize| took[(took.len() - 1) * part / 100];
    println!(
        "{} commands while {alerts} alerts were stored in {:.1?}: p50 {:?}, p99 {:?}, longest {:?}; {done} with their result at once",
        took.len(),
        begun.elapsed(),
        at(50),
        at(99),
        at(100),
    );
    ensure!(alerts > 100, "only {alerts} alerts: that was no storm");
    Ok(())
}
