//! What a running server tells: channels that hang, letters that are dead, mail, pages and their stand-ins, the chat of every
//! replica, the metrics, and what a replica says to the others when it goes.

mod commitments;
mod letters;
mod mail;
mod metrics;
mod pager;
mod replicas;
mod wires;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tidegate_tests::scratch::Scratch;
use tidegate_tests::wait;

use crate::doors::house::{House, METRICS_TOKEN, json_of};

/// Nothing here takes longer, on however busy a machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The plan's name, and the prefix of its rollouts.
pub(crate) const PLAN: &str = "checkout";
pub(crate) const FLAG: &str = "checkout-v2";
/// What every channel signs with.
const SECRET: &str = "the-secret-of-the-channel";

/// A server with one plan, whose audiences hear everything on `channels`.
struct Gate {
    house: House,
    _plans: Scratch,
}

impl Gate {
    /// Webhooks of these names at these addresses; `changes` are laid over the usual settings.
    async fn open(channels: &[(&str, String)], changes: &[(&str, Value)]) -> Result<Self> {
        let names: Vec<&str> = channels.iter().map(|(name, _)| *name).collect();
        Self::with_plan(&plan(&names), channels, changes).await
    }

    /// The same with a plan of its own.
    async fn with_plan(plan: &Value, channels: &[(&str, String)], changes: &[(&str, Value)]) -> Result<Self> {
        let secret = Scratch::new("telling")?;
        let file = secret.write("channel.secret", SECRET)?;
        let configured = channels
            .iter()
            .map(|(name, url)| (*name, json!({ "webhook": { "url": url, "secret_file": file } })));
        Self::configured(plan, &configured.collect::<Vec<_>>(), changes).await
    }

    /// Channels as they are configured; every one hears everything. `changes` are laid over the usual settings.
    async fn with(channels: &[(&str, Value)], changes: &[(&str, Value)]) -> Result<Self> {
        let names: Vec<&str> = channels.iter().map(|(name, _)| *name).collect();
        Self::configured(&plan(&names), channels, changes).await
    }

    async fn configured(plan: &Value, channels: &[(&str, Value)], changes: &[(&str, Value)]) -> Result<Self> {
        let scratch = Scratch::new("telling")?;
        std::fs::create_dir(scratch.path().join("plans"))?;
        scratch.write("plans/checkout.yaml", plan.to_string())?;
        let configured = channels
            .iter()
            .map(|(name, channel)| ((*name).to_owned(), channel.clone()));
        let mut all = vec![
            ("/plans", json!([scratch.path().join("plans/*.yaml")])),
            ("/channels", configured.collect::<serde_json::Map<_, _>>().into()),
        ];
        all.extend(changes.iter().cloned());
        Ok(Self {
            house: House::with(&all).await,
            _plans: scratch,
        })
    }

    /// Says something as the admin; the answer.
    async fn say(&self, text: &str) -> Result<Value> {
        let request = self.house.post("/api/v1/commands").bearer_auth(self.house.admin());
        let answer = request.json(&json!({ "text": text })).send().await?;
        let status = answer.status();
        let body = json_of(answer).await;
        ensure!(status == StatusCode::OK, "`{text}` was answered {status}: {body}");
        Ok(body)
    }

    /// GETs a document of the API as the admin.
    async fn api(&self, path: &str) -> Result<Value> {
        let answer = self.house.get(path).bearer_auth(self.house.admin()).send().await?;
        ensure!(answer.status() == StatusCode::OK, "{path}: {}", answer.status());
        Ok(json_of(answer).await)
    }

    /// GETs a page as the admin.
    async fn page(&self, path: &str) -> Result<String> {
        let answer = self.house.get(path).bearer_auth(self.house.admin()).send().await?;
        ensure!(answer.status() == StatusCode::OK, "{path}: {}", answer.status());
        Ok(answer.text().await?)
    }

    async fn until_state(&self, id: &str, state: &str) -> Result<()> {
        wait::until(&format!("{id} is {state}"), PATIENCE, async || {
            let card = self.api(&format!("/api/v1/rollouts/{id}")).await?;
            ensure!(card["state"] == state, "{card}");
            Ok(())
        })
        .await
    }

    /// Starts the plan, and waits until its first phase bakes.
    async fn start(&self) -> Result<String> {
        let answer = self.say(&format!("start {PLAN}")).await?;
        let id = answer["rollout"].as_str().context("no rollout")?.to_owned();
        self.until_state(&id, "BAKING").await?;
        Ok(id)
    }

    /// Asks for the flag as a service of the same machine does: the status and the answer.
    async fn flag(&self) -> Result<(StatusCode, Value)> {
        self.flag_for("ana").await
    }

    /// The same, for one of its users.
    async fn flag_for(&self, user: &str) -> Result<(StatusCode, Value)> {
        let context = json!({ "context": { "targetingKey": user } });
        let path = format!("/ofrep/v1/evaluate/flags/{FLAG}");
        let answer = self.house.post(&path).json(&context).send().await?;
        Ok((answer.status(), json_of(answer).await))
    }

    /// Delivers firing alerts of Alertmanager that begin now.
    async fn fire(&self, names: &[&str]) -> Result<()> {
        let now = tidegate::clock::now().to_string();
        let alert = |name: &&str| {
            json!({
                "status": "firing", "annotations": {}, "startsAt": now, "endsAt": "0001-01-01T00:00:00Z",
                "labels": { "alertname": name, "service": PLAN, "environment": "production" },
                "generatorURL": "", "fingerprint": format!("{:016x}", name.len()),
            })
        };
        let body = json!({
            "version": "4", "status": "firing", "receiver": "tidegate", "groupKey": "{}:{}", "truncatedAlerts": 0,
            "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "externalURL": "http://alertmanager.example",
            "alerts": names.iter().map(alert).collect::<Vec<_>>(),
        });
        let request = self
            .house
            .post("/webhooks/alertmanager")
            .bearer_auth("the-secret-of-a-sender");
        let status = request.json(&body).send().await?.status();
        ensure!(status == StatusCode::OK, "{status}");
        Ok(())
    }

    async fn metrics(&self) -> Result<String> {
        let answer = self.house.get("/metrics").bearer_auth(METRICS_TOKEN).send().await?;
        Ok(answer.text().await?)
    }
}

pub(crate) fn plan(names: &[&str]) -> Value {
    let phase = |name, weight| json!({ "name": name, "weight": weight, "bake": "1h" });
    let audience = json!({ "everybody": { "channels": names, "hears": "everything" } });
    json!({
        "apiVersion": "tidegate.dev/v1alpha1",
        "kind": "RolloutPlan",
        "metadata": { "name": PLAN, "labels": { "tidegate.dev/demo": "true" } },
        "spec": {
            "title": "New checkout to production",
            "service": PLAN,
            "environment": "production",
            "target": { "flag": { "key": FLAG } },
            "phases": [phase("half", "50%"), phase("everybody", "100%")],
            "watch": "1h",
            "triggers": [
                { "name": "errors", "alert": { "matchers": ["alertname=\"HighErrorRate\""] }, "severity": "sev1" },
                { "name": "slow", "alert": { "matchers": ["alertname=\"SlowQueries\""] }, "severity": "sev2" },
            ],
            "severities": {
                "sev1": { "action": "rollback" },
                "sev2": { "action": { "decide": { "within": "1h", "default": "hold" } } },
            },
            "alerts": { "receivers": ["default"], "watchdog": "none" },
            "audiences": if names.is_empty() { json!({}) } else { audience },
        },
    })
}
