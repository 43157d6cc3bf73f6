//! Owns one question to one peer: what does Alertmanager's API list.
//! Refuses answers that are too large, and every word of them that is not needed.

use std::time::Duration;

use anyhow::Context;
use http::Method;
use jiff::Timestamp;
use serde::Deserialize;
use tidegate_rollout::alert::Suppression;
use tidegate_rollout::{Alert, AlertStatus, Fingerprint, Labels, Source};

use crate::config::Alertmanager;
use crate::net::{self, Net};

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
            // Set by whoever knows the receiver.
            receiver: String::new(),
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

/// Everything that `peer` lists, with the labels that its receiver adds.
pub(super) async fn list(
    net: &Net,
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
    let request = net.request(Method::GET, &url, timeout).context("address the peer")?;
    let answer = net::present(request, receiver.login.as_ref())
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
        alert.receiver.clone_from(&receiver.receiver);
        for (name, value) in &receiver.labels {
            alert.labels.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
    Ok(alerts)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn suppressed(status: &Value) -> Option<Suppression> {
        let listed = json!({
            "fingerprint": "c66ee782d2871950", "startsAt": "2026-11-20T17:49:54.763Z", "endsAt": "2026-11-20T17:53:54.763Z",
            "updatedAt": "2026-11-20T17:49:54.845Z", "receivers": [{ "name": "tidegate" }], "status": status,
            "labels": { "alertname": "HighErrorRate" }, "annotations": {}, "generatorURL": "",
        });
        let listed: Listed = serde_json::from_value(listed).unwrap();
        Alert::from(listed).suppressed
    }

    /// Shapes of `GET /api/v2/alerts` of Alertmanager 0.25; who silences and who inhibits are lists of different things.
    #[test]
    fn who_silences_and_who_inhibits_is_kept_apart() {
        let both = |silences: &[&str], inhibitors: &[&str]| {
            suppressed(&json!({ "state": "suppressed", "silencedBy": silences, "inhibitedBy": inhibitors }))
        };
        let silenced = |by: &str| {
            Some(Suppression::Silenced {
                by: vec![by.to_owned()],
            })
        };
        assert_eq!(both(&["f6b2"], &[]), silenced("f6b2"));
        let by = vec!["9a1c3ee8d1f0b2a4".to_owned()];
        assert_eq!(both(&[], &["9a1c3ee8d1f0b2a4"]), Some(Suppression::Inhibited { by }));
        assert_eq!(both(&["f6b2"], &["9a1c3ee8d1f0b2a4"]), silenced("f6b2"));
        assert_eq!(
            suppressed(&json!({ "state": "active", "silencedBy": [], "inhibitedBy": [] })),
            None
        );
        assert_eq!(suppressed(&json!({ "state": "unprocessed" })), None);
    }
}
