//! The promise of three seconds, kept by a server of its own while alerts pour in.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::json;
use tidegate_tests::http;
use tidegate_tests::slack::Slack;
use tidegate_tests::tidegate::RECEIVER_TOKEN;

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_is_answered_in_time_while_512_connections_pour_in_alerts() -> Result<()> {
    let slack = Slack::start().await?;
    slack.unpaced();
    let server = setup(&slack)?.start().await?;
    let (stop, number, stored) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
        Arc::new(AtomicU64::new(0)),
    );
    let client = http::client()?;
    let url = server.webhook();
    let pour = (0..CONNECTIONS).map(|_| {
        let (stop, number, stored) = (Arc::clone(&stop), Arc::clone(&number), Arc::clone(&stored));
        let (client, url) = (client.clone(), url.clone());
        async move {
            while !stop.load(Ordering::Relaxed) {
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
    });
    let storm = tokio::spawn(join_all(pour));
    tidegate_tests::wait::until("the storm is there", PATIENCE, async || {
        let stored = stored.load(Ordering::Relaxed);
        ensure!(stored > 500, "{stored} alerts are stored");
        Ok(())
    })
    .await?;
    let begun = Instant::now();
    let before = stored.load(Ordering::Relaxed);
    let mut took = Vec::new();
    let mut at_once = 0;
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
            let answered = slack
                .deliver(&server.url("/slack/commands"), &slack.command(ANA, text))
                .await
                .with_context(|| format!("round {round}, {text}"))?;
            ensure!(answered.status == StatusCode::OK, "round {round}, {text}: {answered:?}");
            ensure!(answered.took < PROMISE, "round {round}, {text}: {:?}", answered.took);
            let mut shown = answered.shown();
            if shown.contains("Working on it") {
                let late = slack.late_answer(&answered.response_url, PATIENCE).await?;
                shown = tidegate_tests::slack::read(&late).0;
            } else {
                at_once += 1;
            }
            ensure!(!shown.contains("not stored"), "round {round}, {text}: {shown}");
            took.push(answered.took);
        }
    }
    stop.store(true, Ordering::Relaxed);
    let alerts = stored.load(Ordering::Relaxed) - before;
    storm.await?;
    took.sort_unstable();
    let at = |part: usize| took[(took.len() - 1) * part / 100];
    println!(
        "{} commands while {alerts} alerts were stored in {:.1?}: p50 {:?}, p99 {:?}, longest {:?}; {at_once} with their result at once",
        took.len(),
        begun.elapsed(),
        at(50),
        at(99),
        at(100),
    );
    ensure!(alerts > 100, "only {alerts} alerts: that was no storm");
    Ok(())
}
