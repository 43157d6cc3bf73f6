//! Much at once: a storm of alerts that concern nobody holds nothing up, and many rollbacks at once hold one another up not
//! at all.
//!
//! Owns what must stay possible. How fast it is, is measured by the benchmarks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use serde_json::json;
use tidegate_tests::tidegate::{RECEIVER_TOKEN, Setup, Tidegate};
use tidegate_tests::{http, wait};
use tokio::task::JoinHandle;

/// From an alert to the flag at zero, whatever else goes on: what is promised for the way back.
const PROMISE: Duration = Duration::from_secs(5);
/// Longer than a start takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
const CONNECTIONS: u64 = 64;

fn plan(name: &str) -> String {
    format!(
        r#"
apiVersion: tidegate.dev/v1alpha1
kind: RolloutPlan
metadata: {{ name: {name}, labels: {{ tidegate.dev/demo: 'true' }} }}
spec:
  title: Storm
  service: {name}
  environment: storm
  target: {{ flag: {{ key: {name} }} }}
  phases: [{{ name: all, weight: 100%, bake: 1h }}]
  watch: 1h
  triggers: [{{ name: any, alert: {{ matchers: ['alertname="Deadly-{name}"'] }}, severity: sev1 }}]
  severities: {{ sev1: {{ action: rollback }} }}
  alerts: {{ receivers: [default], watchdog: none }}
  audiences: {{ team: {{ channels: [chat, log], hears: everything }} }}
"#
    )
}

async fn server(plans: &[String]) -> Result<Tidegate> {
    let budget = json!({ "environments": { "budget": { "automatic_rollbacks": 1_000, "window": "1m" } } });
    let mut setup = Setup::new()?.with(budget);
    for name in plans {
        setup = setup.plan(name, &plan(name))?;
    }
    setup.start().await
}

async fn start(server: &Tidegate, name: &str) -> Result<()> {
    let text = json!({ "text": format!("start {name}") });
    let (status, answer) = server.post("/api/v1/commands", &text).await?;
    ensure!(
        status.is_success() && answer["ok"] == true,
        "{name} did not start: {answer}"
    );
    wait::until(&format!("{name} is on"), PATIENCE, async || {
        ensure!(server.flag(name, "anybody").await?, "{name} is off");
        Ok(())
    })
    .await
}

async fn is_off(server: &Tidegate, name: &str, within: Duration) -> Result<()> {
    wait::until(&format!("{name} is off"), within, async || {
        ensure!(!server.flag(name, "anybody").await?, "{name} is on");
        Ok(())
    })
    .await
}

/// A group of one alert for each of `services`, each by a name of its own: the same alert on many services is no rollout's
/// fault.
fn group(alert: &str, services: &[String]) -> String {
    let alerts = services.iter().enumerate().map(|(number, service)| {
        json!({
            "status": "firing", "labels": { "alertname": format!("{alert}-{service}"), "service": service, "environment": "storm" },
            "annotations": {}, "startsAt": tidegate::clock::now().to_string(), "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "", "fingerprint": format!("{:016x}", fingerprint(alert, service, number)),
        })
    });
    json!({
        "receiver": "tidegate", "status": "firing", "alerts": alerts.collect::<Vec<_>>(), "groupLabels": {},
        "commonLabels": {}, "commonAnnotations": {}, "externalURL": "http://alertmanager.example:9093",
        "version": "4", "groupKey": "{}:{}", "truncatedAlerts": 0,
    })
    .to_string()
}

fn fingerprint(alert: &str, service: &str, number: usize) -> u64 {
    let bytes = alert.bytes().chain(service.bytes());
    bytes.fold(number as u64, |hash, byte| {
        hash.wrapping_mul(31).wrapping_add(u64::from(byte))
    })
}

/// Alerts of services that no plan knows, over many connections, until it is told to stop.
struct Storm {
    stop: Arc<AtomicBool>,
    taken: Arc<AtomicU64>,
    connections: Vec<JoinHandle<Result<()>>>,
}

impl Storm {
    fn over(server: &Tidegate) -> Result<Self> {
        let (stop, taken) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let client = http::client()?;
        let url = server.webhook();
        let connection = |number| {
            let (stop, taken, client, url) = (Arc::clone(&stop), Arc::clone(&taken), client.clone(), url.clone());
            tokio::spawn(async move {
                for turn in 0_u64.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let services: Vec<String> = (0..10).map(|it| format!("other-{number}-{turn}-{it}")).collect();
                    let request = client.post(&url).bearer_auth(RECEIVER_TOKEN);
                    let request = request.header("content-type", "application/json");
                    let answer = request.body(group("DiskFull", &services)).send().await;
                    let status = answer.context("the storm was not answered")?.status();
                    ensure!(
                        status.is_success() || status.as_u16() == 503,
                        "the storm was answered {status}"
                    );
                    taken.fetch_add(u64::from(status.is_success()), Ordering::Relaxed);
                }
                Ok(())
            })
        };
        let connections = (0..CONNECTIONS).map(connection).collect();
        Ok(Self {
            stop,
            taken,
            connections,
        })
    }

    fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Until as many deliveries more were taken.
    async fn lasts(&self, more: u64) -> Result<()> {
        let before = self.taken();
        wait::until("the storm goes on", PATIENCE, async || {
            let taken = self.taken() - before;
            ensure!(taken >= more, "{taken} deliveries were taken");
            Ok(())
        })
        .await
    }

    async fn calm(self) -> Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        for connection in self.connections {
            connection.await??;
        }
        Ok(self.taken.load(Ordering::Relaxed))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_storm_of_others_alerts_plans_start_and_an_alert_that_counts_is_heard() -> Result<()> {
    let plans = ["first", "second", "third"].map(str::to_owned);
    let server = server(&plans).await?;
    start(&server, "first").await?;
    let storm = Storm::over(&server)?;
    for (number, name) in plans.iter().enumerate() {
        // Long enough that whatever falls behind would be far behind.
        storm.lasts(2 * CONNECTIONS).await?;
        let status = server.deliver(group("Deadly", std::slice::from_ref(name))).await?;
        ensure!(status.is_success(), "the alert that counts was answered {status}");
        is_off(&server, name, PROMISE).await?;
        // Nothing that was heard and not decided stands in the way of the next.
        if let Some(next) = plans.get(number + 1) {
            start(&server, next).await.context("in the middle of the storm")?;
        }
    }
    let taken = storm.calm().await?;
    println!("counted: {taken} deliveries of the storm were taken");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_rollbacks_at_once_are_all_at_zero_in_time() -> Result<()> {
    let plans: Vec<String> = (0..24).map(|number| format!("plan-{number}")).collect();
    let server = server(&plans).await?;
    for name in &plans {
        start(&server, name).await?;
    }
    let status = server.deliver(group("Deadly", &plans)).await?;
    ensure!(status.is_success(), "the alerts were answered {status}");
    try_join_all(plans.iter().map(|name| is_off(&server, name, PROMISE)))
        .await
        .map(drop)
}
