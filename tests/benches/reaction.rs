//! From the webhook to the flag at zero: idle, and in the middle of a storm.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tidegate_tests::tidegate::{Setup, Tidegate};
use tidegate_tests::wait;

use crate::load::{self, envelope};
use crate::table::{Table, quantile};

/// How often it is measured in each setting.
const TIMES: usize = 30;

const PLAN: &str = r#"
apiVersion: tidegate.dev/v1alpha1
kind: RolloutPlan
metadata: { name: bench, labels: { tidegate.dev/demo: 'true' } }
spec:
  title: Bench
  service: bench
  environment: bench
  target: { flag: { key: bench, groups: { probe: [probe] } } }
  phases: [{ name: all, weight: 100%, bake: 1h, groups: [probe] }]
  watch: 1h
  triggers: [{ name: any, alert: { matchers: ['alertname="Probe"'] }, severity: sev1 }]
  severities: { sev1: { action: rollback } }
  alerts: { receivers: [default], watchdog: none }
  audiences: { team: { channels: [chat, log], hears: everything } }
"#;

/// An alert that begins at `since`, and is over at `until`.
fn probe(number: usize, since: jiff::Timestamp, until: Option<jiff::Timestamp>) -> String {
    let (status, until) = match until {
        Some(until) => ("resolved", until.to_string()),
        None => ("firing", "0001-01-01T00:00:00Z".to_owned()),
    };
    envelope(&format!(
        r#"{{"status":"{status}","labels":{{"alertname":"Probe","service":"bench","environment":"bench"}},"annotations":{{}},"startsAt":"{since}","endsAt":"{until}","fingerprint":"ffffffff{number:08x}"}}"#
    ))
}

#[expect(clippy::disallowed_methods, reason = "an alert begins now")]
fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// A server with a rollout that carries all traffic.
pub(crate) async fn exposed() -> Result<Tidegate> {
    let budget = json!({ "environments": { "budget": { "automatic_rollbacks": 1_000_000, "window": "1m" } } });
    let server = Setup::new()?.plan("bench", PLAN)?.with(budget).start().await?;
    start(&server).await?;
    Ok(server)
}

async fn start(server: &Tidegate) -> Result<()> {
    let (status, answer) = server
        .post("/api/v1/commands", &json!({ "text": "start bench" }))
        .await?;
    ensure!(status.is_success() && answer["ok"] == true, "could not start: {answer}");
    wait::until("the flag is on", Duration::from_secs(10), async || {
        ensure!(server.flag("bench", "probe").await?, "still off");
        Ok(())
    })
    .await
}

async fn once(server: &Tidegate, number: usize) -> Result<f64> {
    let (started, since) = (Instant::now(), now());
    let status = server.deliver(probe(number, since, None)).await?;
    ensure!(status.is_success(), "the probe was answered {status}");
    while server.flag("bench", "probe").await? {}
    let took = started.elapsed().as_secs_f64() * 1_000.0;
    // While it fires, nothing starts.
    wait::until("the end of the probe is heard", Duration::from_secs(20), async || {
        let status = server.deliver(probe(number, since, Some(now()))).await?;
        ensure!(status.is_success(), "the end of the probe was answered {status}");
        Ok(())
    })
    .await?;
    Ok(took)
}

async fn series(server: &Tidegate, from: usize) -> Result<Vec<f64>> {
    let mut times = Vec::with_capacity(TIMES);
    for number in from..from + TIMES {
        times.push(once(server, number).await.context("a probe failed")?);
        wait::until("the rollback is over", Duration::from_secs(20), async || {
            start(server).await
        })
        .await?;
    }
    Ok(times)
}

/// p50 and p99 from the post of an alert to the first evaluation that says "off".
pub(crate) async fn webhook_to_flag(table: &mut Table) -> Result<()> {
    let server = exposed().await?;
    let idle = series(&server, 0).await?;
    row(table, "webhook to flag at 0, idle", &idle);
    for connections in [128, 512] {
        let url = server.webhook();
        let storm = load::groups(&url, connections, Duration::from_secs(20));
        let probes = series(&server, connections * 1_000);
        let (storm, times) = tokio::join!(storm, probes);
        let (storm, times) = (storm?, times?);
        row(
            table,
            &format!("webhook to flag at 0, storm of {connections} connections"),
            &times,
        );
        table.row(
            &format!("the storm of {connections} connections meanwhile"),
            format!("{:.0} alerts/s", storm.alerts_per_second()),
            "",
            format!("{} told to come again", storm.shed),
        );
        let ratio = quantile(&times, 0.99) / quantile(&idle, 0.99);
        table.row(
            &format!("p99 in the storm of {connections} / idle"),
            format!("{ratio:.1}x"),
            "",
            "goal 2x",
        );
    }
    Ok(())
}

fn row(table: &mut Table, what: &str, times: &[f64]) {
    table.row(
        what,
        format!("p50 {:.1} ms", quantile(times, 0.5)),
        format!("p99 {:.1} ms", quantile(times, 0.99)),
        format!("{} probes on the same port", times.len()),
    );
}
