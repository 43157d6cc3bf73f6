//! The load: so many connections that each send as fast as they are answered, for a bounded time, to loopback.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use reqwest::{Client, StatusCode};
use tidegate_tests::http;
use tidegate_tests::tidegate::RECEIVER_TOKEN;

/// Alerts in one group, as in a typical notification.
pub(crate) const GROUP: u64 = 10;

/// Numbers every alert of this run, so that each one is new.
static NUMBER: AtomicU64 = AtomicU64::new(1);

/// What a load led to.
pub(crate) struct Done {
    /// Requests that were answered 200.
    pub(crate) requests: u64,
    /// Requests that were told to come again.
    pub(crate) shed: u64,
    /// How long it lasted.
    pub(crate) seconds: f64,
    /// How long each request took, in milliseconds.
    pub(crate) latencies: Vec<f64>,
}

impl Done {
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    pub(crate) fn alerts_per_second(&self) -> f64 {
        (self.requests * GROUP) as f64 / self.seconds
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    pub(crate) fn requests_per_second(&self) -> f64 {
        self.requests as f64 / self.seconds
    }
}

/// A group of new alerts about services that no plan knows.
pub(crate) fn group() -> String {
    let alerts: Vec<String> = (0..GROUP)
        .map(|_| alert(NUMBER.fetch_add(1, Ordering::Relaxed)))
        .collect();
    envelope(&alerts.join(","))
}

/// A body around alerts.
pub(crate) fn envelope(alerts: &str) -> String {
    format!(
        r#"{{"receiver":"tidegate","status":"firing","alerts":[{alerts}],"groupLabels":{{}},"commonLabels":{{}},"commonAnnotations":{{}},"externalURL":"http://alertmanager.example:9093","version":"4","groupKey":"{{}}:{{}}","truncatedAlerts":0}}"#
    )
}

fn alert(number: u64) -> String {
    let text = "The ratio of failed requests has been above its limit; see the dashboard of the service for details. "
        .repeat(3);
    format!(
        r#"{{"status":"firing","labels":{{"alertname":"HighErrorRate","service":"service-{number}","environment":"production","severity":"critical","instance":"10.0.0.{}:9100","job":"node","cluster":"eu-1"}},"annotations":{{"summary":"{text}","runbook_url":"https://runbooks.example/high-error-rate","description":"{text}"}},"startsAt":"2026-11-20T12:00:00.123Z","endsAt":"0001-01-01T00:00:00Z","generatorURL":"http://prometheus.example/graph","fingerprint":"{number:016x}"}}"#,
        number % 250
    )
}

/// Posts groups over `connections` for `lasting`.
pub(crate) async fn groups(url: &str, connections: usize, lasting: Duration) -> Result<Done> {
    let client = http::client()?;
    run(connections, lasting, async move || {
        let request = client.post(url).bearer_auth(RECEIVER_TOKEN);
        let answer = request
            .header("content-type", "application/json")
            .body(group())
            .send()
            .await;
        answer.context("could not post a group").map(|answer| answer.status())
    })
    .await
}

/// Sends `body` over `connections` for `lasting`; `GET` without one.
pub(crate) async fn same(url: &str, body: Option<&'static str>, connections: usize, lasting: Duration) -> Result<Done> {
    let client: Client = http::client()?;
    run(connections, lasting, async move || {
        let request = match body {
            Some(body) => client.post(url).header("content-type", "application/json").body(body),
            None => client.get(url),
        };
        request
            .send()
            .await
            .context("could not send")
            .map(|answer| answer.status())
    })
    .await
}

async fn run(connections: usize, lasting: Duration, send: impl AsyncFn() -> Result<StatusCode>) -> Result<Done> {
    let started = Instant::now();
    let (requests, shed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let one = async || -> Result<Vec<f64>> {
        let mut latencies = Vec::new();
        while started.elapsed() < lasting {
            let asked = Instant::now();
            match send().await? {
                StatusCode::SERVICE_UNAVAILABLE => shed.fetch_add(1, Ordering::Relaxed),
                status => {
                    ensure!(status.is_success(), "answered {status}");
                    latencies.push(asked.elapsed().as_secs_f64() * 1_000.0);
                    requests.fetch_add(1, Ordering::Relaxed)
                }
            };
        }
        Ok(latencies)
    };
    let all = futures_util::future::try_join_all((0..connections).map(|_| one())).await?;
    Ok(Done {
        requests: requests.load(Ordering::Relaxed),
        shed: shed.load(Ordering::Relaxed),
        seconds: started.elapsed().as_secs_f64(),
        latencies: all.into_iter().flatten().collect(),
    })
}
