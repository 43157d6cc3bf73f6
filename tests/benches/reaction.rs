//! From the webhook to the flag at zero: idle, and in the middle of a storm.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;
use tidegate_tests::tidegate::{Setup, Tidegate};
use tidegate_tests::wait;

use crate::load::{self, Done, envelope};
use crate::table::{Goal, Table, quantile};
use crate::usage;

/// How often it is measured in each setting.
const TIMES: usize = 30;
/// How long a storm lasts: longer than the probes in it.
const STORM: Duration = Duration::from_secs(15);
/// A flag that is on for longer than this is a defect, not a figure.
const PATIENCE: Duration = Duration::from_secs(30);

/// A plan for each probe: while a storm lasts nothing that was rolled back starts again.
fn plan(number: usize) -> String {
    format!(
        r#"
apiVersion: tidegate.dev/v1alpha1
kind: RolloutPlan
metadata: {{ name: {name}, labels: {{ tidegate.dev/demo: 'true' }} }}
spec:
  title: Bench
  service: {name}
  environment: bench
  target: {{ flag: {{ key: {name}, groups: {{ probe: [probe] }} }} }}
  phases: [{{ name: all, weight: 100%, bake: 1h, groups: [probe] }}]
  watch: 1h
  triggers: [{{ name: any, alert: {{ matchers: ['alertname="Probe-{name}"'] }}, severity: sev1 }}]
  severities: {{ sev1: {{ action: rollback }} }}
  alerts: {{ receivers: [default], watchdog: none }}
  audiences: {{ team: {{ channels: [chat, log], hears: everything }} }}
"#,
        name = name(number),
    )
}

/// The plan, the service and the flag of a probe.
fn name(number: usize) -> String {
    match number {
        0 => "bench".to_owned(),
        number => format!("bench-{number}"),
    }
}

/// The alert of a probe, by a name of its own: the same alert on many services is no rollout's fault. Nor
/// is one that fired before the start, so each series has others. It begins at `since`, and is over at `until`.
fn probe(series: usize, number: usize, since: jiff::Timestamp, until: Option<jiff::Timestamp>) -> String {
    let (status, until) = match until {
        Some(until) => ("resolved", until.to_string()),
        None => ("firing", "0001-01-01T00:00:00Z".to_owned()),
    };
    let service = name(number);
    envelope(&format!(
        r#"{{"status":"{status}","labels":{{"alertname":"Probe-{service}","service":"{service}","environment":"bench","series":"{series}"}},"annotations":{{}},"startsAt":"{since}","endsAt":"{until}","fingerprint":"ffff{series:04x}{number:08x}"}}"#
    ))
}

#[expect(clippy::disallowed_methods, reason = "an alert begins now")]
fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// A server with as many rollouts that carry all traffic.
pub(crate) async fn exposed(rollouts: usize) -> Result<Tidegate> {
    let budget = json!({ "environments": { "budget": { "automatic_rollbacks": 1_000_000, "window": "1m" } } });
    let mut setup = Setup::new()?.with(budget);
    for number in 0..rollouts {
        setup = setup.plan(&name(number), &plan(number))?;
    }
    let server = setup.start().await?;
    start(&server, rollouts).await?;
    Ok(server)
}

/// Starts every plan, and waits until every flag is on.
async fn start(server: &Tidegate, rollouts: usize) -> Result<()> {
    // A start is refused while what was heard is not decided, and while a rollback is under way.
    for number in 0..rollouts {
        let text = json!({ "text": format!("start {}", name(number)) });
        wait::until("the plan starts", Duration::from_secs(30), async || {
            let (status, answer) = server.post("/api/v1/commands", &text).await?;
            ensure!(status.is_success() && answer["ok"] == true, "{answer}");
            Ok(())
        })
        .await?;
    }
    for number in 0..rollouts {
        wait::until("the flag is on", PATIENCE, async || {
            if !server.flag(&name(number), "probe").await? {
                let (_, card) = server
                    .post(
                        "/api/v1/commands",
                        &json!({ "text": format!("status {}", name(number)) }),
                    )
                    .await?;
                bail!("still off: {card}");
            }
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// Strikes every rollout, one after another: milliseconds from the post of the alert to the flag at 0. Answers also since
/// when each alert fires.
async fn strikes(server: &Tidegate, series: usize) -> Result<(Vec<f64>, Vec<jiff::Timestamp>)> {
    let (mut times, mut fired) = (Vec::new(), Vec::new());
    for number in 0..TIMES {
        let (started, since) = (Instant::now(), now());
        let status = server.deliver(probe(series, number, since, None)).await?;
        ensure!(status.is_success(), "the probe was answered {status}");
        let name = name(number);
        while server.flag(&name, "probe").await? {
            ensure!(
                started.elapsed() < PATIENCE,
                "{name} is on {PATIENCE:?} after its alert"
            );
        }
        times.push(started.elapsed().as_secs_f64() * 1_000.0);
        fired.push(since);
    }
    Ok((times, fired))
}

/// Says that the alerts are over, and brings every rollout back to where it was.
async fn again(server: &Tidegate, series: usize, fired: &[jiff::Timestamp]) -> Result<()> {
    for (number, since) in fired.iter().enumerate() {
        let status = server.deliver(probe(series, number, *since, Some(now()))).await?;
        ensure!(status.is_success(), "the end of a probe was answered {status}");
    }
    start(server, fired.len()).await
}

/// A storm from a thread of its own: what it costs to write the bodies must not hold up the probes.
fn storm(url: String, connections: usize) -> std::thread::JoinHandle<Result<Done>> {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(load::groups(&url, connections, STORM))
    })
}

/// p50 and p99 from the post of an alert to the first evaluation that says "off".
pub(crate) async fn webhook_to_flag(table: &mut Table) -> Result<()> {
    let mut server = exposed(TIMES).await?;
    let process = usage::process(&mut server)?;
    let (idle, mut fired) = strikes(&server, 0).await?;
    row(table, "webhook to flag at 0, idle", &idle);
    for (before, connections) in [128, 512].into_iter().enumerate() {
        again(&server, before, &fired).await?;
        let storm = storm(server.webhook(), connections);
        let struck = strikes(&server, before + 1)
            .await
            .context("a probe in the storm failed")?;
        let in_time = !storm.is_finished();
        let storm = storm.join().map_err(|_| anyhow::anyhow!("the storm broke off"))??;
        let times = struck.0;
        fired = struck.1;
        row(
            table,
            &format!("webhook to flag at 0, storm of {connections} connections"),
            &times,
        );
        table.row(
            &format!("the storm of {connections} connections meanwhile"),
            format!("{:.0} alerts/s", storm.alerts_per_second()),
            if in_time { "" } else { "over before the last probe" },
            format!("{} told to come again", storm.shed),
        );
        table.ratio(
            &format!("p99 in the storm of {connections} / idle"),
            &[quantile(&times, 0.99)],
            &[quantile(&idle, 0.99)],
            Goal(8.0, 4.0, 2.0),
        );
        let memory = usage::resident(process)?;
        table.figure(
            &format!("memory after {connections} connections"),
            "MiB",
            &[memory],
            "goal 100",
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
