//! Owns the second channel: asking Alertmanager's own API, so that a lost webhook costs seconds.
//! Refuses to take silence for an answer: one peer that cannot be read makes the round a failed one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http::Method;
use jiff::Timestamp;
use secrecy::ExposeSecret;
use serde::Deserialize;
use tidegate_rollout::action::SuspectAnswer;
use tidegate_rollout::alert::Suppression;
use tidegate_rollout::{Alert, AlertKey, AlertStatus, DeliveryId, Fingerprint, Labels, Source};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::Engine;
use crate::clock;
use crate::config::{Alertmanager, Login};
use crate::net;
use crate::store::{Arrival, Content};

/// The largest answer that is read; beyond it the round counts as failed.
const LARGEST: usize = 32 * 1024 * 1024;

/// One alert of `GET /api/v2/alerts`; fields we do not need are ignored.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    fingerprint: String,
    starts_at: Timestamp,
    labels: Labels,
    #[serde(default)]
    annotations: Labels,
    status: ListedStatus,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListedStatus {
    #[serde(default)]
    silenced_by: Vec<String>,
    #[serde(default)]
    inhibited_by: Vec<String>,
}

impl From<Listed> for Alert {
    fn from(listed: Listed) -> Self {
        let suppressed = match (listed.status.silenced_by, listed.status.inhibited_by) {
            (silences, _) if !silences.is_empty() => Some(Suppression::Silenced { by: silences }),
            (_, inhibitors) if !inhibitors.is_empty() => Some(Suppression::Inhibited { by: inhibitors }),
            _ => None,
        };
        Self {
            source: Source::Alertmanager,
            fingerprint: Fingerprint(listed.fingerprint),
            status: AlertStatus::Firing,
            labels: listed.labels,
            annotations: listed.annotations,
            starts_at: listed.starts_at,
            ends_at: None,
            suppressed,
        }
    }
}

/// What the last full round of a receiver listed.
type Last = BTreeMap<Fingerprint, Alert>;

/// Runs until `stop`: a round at once, then every `poll_every`, or sooner when somebody rings.
pub(super) async fn run(engine: Arc<Engine>, stop: CancellationToken) {
    let mut last: BTreeMap<String, Last> = BTreeMap::new();
    loop {
        let settings = engine.settings();
        let names: Vec<&str> = settings
            .polled
            .iter()
            .map(|receiver| receiver.receiver.as_str())
            .collect();
        engine.path.polls(&names);
        for receiver in &settings.polled {
            round(
                &engine,
                receiver,
                last.entry(receiver.receiver.clone()).or_default(),
                settings.poll_timeout,
            )
            .await;
        }
        engine.vitals.well("first poll");
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(settings.poll_every) => {}
            () = engine.wake.poll.notified() => {}
        }
    }
}

async fn round(engine: &Engine, receiver: &Alertmanager, last: &mut Last, timeout: Duration) {
    let answers =
        futures_util::future::join_all(receiver.peers.iter().map(|peer| list(engine, receiver, peer, timeout))).await;
    let now = clock::now();
    let mut listed = Last::new();
    let mut all_answered = true;
    for answer in answers {
        match answer {
            Ok(alerts) => merge(&mut listed, alerts),
            Err(failure) => {
                all_answered = false;
                warn!(
                    receiver = receiver.receiver,
                    "Could not read the alerts of {}: {failure:#}", receiver.receiver
                );
            }
        }
    }
    if listed.values().any(|alert| alert.is_watchdog() && alert.counts()) {
        engine.path.saw_watchdog(&receiver.receiver, now);
    }
    let news = news(last, &listed, all_answered, now);
    if !news.is_empty() && !remember(engine, receiver, news, now).await {
        // Not stored: the next round finds the same news again.
        return;
    }
    if all_answered {
        *last = listed;
        engine.path.answered(&receiver.receiver, now);
    } else {
        last.extend(listed);
        engine.path.silent(&receiver.receiver, now);
    }
}

/// Of the same alert at several peers, one that counts wins over a suppressed one.
fn merge(listed: &mut Last, alerts: Vec<Alert>) {
    for alert in alerts {
        match listed.get(&alert.fingerprint) {
            Some(known) if known.counts() && !alert.counts() => {}
            Some(_) | None => {
                listed.insert(alert.fingerprint.clone(), alert);
            }
        }
    }
}

/// What changed since the last round. What is gone counts as ended only when every peer answered.
fn news(last: &Last, listed: &Last, all_answered: bool, now: Timestamp) -> Vec<Alert> {
    let changed = |alert: &&Alert| {
        let known = last.get(&alert.fingerprint);
        !alert.is_watchdog()
            && known.is_none_or(|known| known.starts_at != alert.starts_at || known.suppressed != alert.suppressed)
    };
    let mut news: Vec<Alert> = listed.values().filter(changed).cloned().collect();
    if all_answered {
        let gone = last
            .values()
            .filter(|alert| !alert.is_watchdog() && !listed.contains_key(&alert.fingerprint));
        news.extend(gone.map(|alert| Alert {
            status: AlertStatus::Resolved,
            ends_at: Some(now),
            suppressed: None,
            ..alert.clone()
        }));
    }
    news
}

async fn remember(engine: &Engine, receiver: &Alertmanager, alerts: Vec<Alert>, now: Timestamp) -> bool {
    debug!(
        receiver = receiver.receiver,
        "{} alerts changed at {}",
        alerts.len(),
        receiver.receiver
    );
    let arrival = Arrival {
        id: DeliveryId::new(uuid::Uuid::now_v7().to_string()),
        at: now,
        nonce: None,
        content: Content::Polled {
            source: Source::Alertmanager,
            receiver: receiver.receiver.clone(),
            alerts,
        },
        raw: Bytes::new(),
    };
    match engine.store.remember(arrival.clone()).await {
        Ok(_) => {
            engine.queue(arrival);
            true
        }
        Err(failure) => {
            warn!("Could not store what Alertmanager lists: {failure}");
            false
        }
    }
}

async fn list(
    engine: &Engine,
    receiver: &Alertmanager,
    peer: &url::Url,
    timeout: Duration,
) -> anyhow::Result<Vec<Alert>> {
    let mut url = peer.clone();
    url.path_segments_mut()
        .map_err(|()| anyhow::anyhow!("{peer} is not a base URL"))?
        .pop_if_empty()
        .extend(["api", "v2", "alerts"]);
    url.set_query(Some("active=true&silenced=true&inhibited=true&unprocessed=true"));
    let request = engine
        .net
        .request(Method::GET, &url, timeout)
        .context("address the peer")?;
    let request = match &receiver.login {
        None => request,
        Some(Login::Bearer(token)) => request.bearer_auth(token.expose_secret()),
        Some(Login::Basic { user, password }) => request.basic_auth(user, Some(password.expose_secret())),
    };
    let answer = request
        .send()
        .await
        .map_err(reqwest::Error::without_url)
        .context("send the question")?;
    let answer = answer
        .error_for_status()
        .map_err(reqwest::Error::without_url)
        .context("read the status")?;
    let body = net::read(answer, LARGEST).await.context("read the answer")?;
    let listed: Vec<Listed> = serde_json::from_slice(&body).context("understand the answer")?;
    let mut alerts: Vec<Alert> = listed.into_iter().map(Alert::from).collect();
    for alert in &mut alerts {
        for (name, value) in &receiver.labels {
            alert.labels.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
    Ok(alerts)
}

/// Asks every peer of every receiver about one alert.
pub(super) async fn ask(engine: &Engine, key: &AlertKey) -> SuspectAnswer {
    let settings = engine.settings();
    let timeout = settings.poll_timeout;
    let questions = settings.polled.iter().flat_map(|receiver| {
        receiver
            .peers
            .iter()
            .map(move |peer| list(engine, receiver, peer, timeout))
    });
    let answers = futures_util::future::join_all(questions).await;
    let is_it =
        |alert: &Alert| alert.fingerprint == key.fingerprint && alert.starts_at == key.starts_at && alert.counts();
    let active = answers.iter().flatten().flatten().any(is_it);
    let unreadable = answers.is_empty() || answers.iter().any(Result::is_err);
    match (active, unreadable) {
        (true, _) => SuspectAnswer::Active,
        (false, true) => SuspectAnswer::Unreadable,
        (false, false) => SuspectAnswer::Absent,
    }
}
