//! Approvals, the checklist and who looks at what, through the doors that people use: the API, the command line, the text of a chat.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tidegate_tests::tidegate::{Setup, Tidegate};
use tidegate_tests::{http, wait};

use crate::crash::client::{Alert, Client};

const PATIENCE: Duration = Duration::from_secs(30);

/// One phase whose gate asks a dba and has one item.
fn plan() -> Value {
    json!({
        "apiVersion": "tidegate.dev/v1alpha1",
        "kind": "RolloutPlan",
        "metadata": { "name": "sluice", "labels": { "tidegate.dev/demo": "true" } },
        "spec": {
            "title": "A new version", "service": "sluice", "environment": "production",
            "roles": { "dba": { "members": ["dana"] } },
            "target": { "flag": { "key": "sluice-v2" } },
            "phases": [
                {
                    "name": "some", "weight": "10%", "bake": "100ms",
                    "approvals": [{ "role": "dba" }],
                    "checks": [{ "id": "sessions", "text": "Sessions last" }],
                },
                { "name": "all", "weight": "100%", "bake": "1h" },
            ],
            "watch": "1d",
            "triggers": [{
                "name": "errors", "alert": { "matchers": ["alertname=\"ErrorRateHigh\""] }, "severity": "sev3",
            }],
            "severities": { "sev3": { "action": "log" } },
            "alerts": { "receivers": ["default"], "watchdog": "required" },
        },
    })
}

struct World {
    tidegate: Tidegate,
    client: Client,
    /// Tokens of ana, who operates, and of dana, who may only look and is the plan's dba.
    ana: String,
    dana: String,
}

impl World {
    async fn start() -> Result<Self> {
        let people = json!([
            { "id": "ana", "name": "Ana", "roles": ["operator"] },
            { "id": "dana", "name": "Dana", "roles": ["viewer"] },
        ]);
        let setup = Setup::new()?.plan("sluice", &plan().to_string())?;
        let tidegate = setup.with(json!({ "people": people })).start().await?;
        let client = Client::of(&tidegate)?;
        client.fire(&[Alert::watchdog()]).await?;
        let (ana, dana) = (token(&tidegate, "ana").await?, token(&tidegate, "dana").await?);
        Ok(Self {
            tidegate,
            client,
            ana,
            dana,
        })
    }

    async fn say(&self, token: &str, said: &Value, key: &str) -> Result<(StatusCode, Value)> {
        let request = http::client()?.post(self.tidegate.url("/api/v1/commands"));
        let request = request.bearer_auth(token).header("idempotency-key", key).json(said);
        let answer = request.send().await?;
        Ok((answer.status(), answer.json().await?))
    }

    async fn log(&self, id: &str, kind: &str) -> Result<Vec<Value>> {
        let (_, log) = self
            .tidegate
            .get(&format!("/api/v1/rollouts/{id}/log?limit=1000"))
            .await?;
        let lines = log["entries"].as_array().cloned().unwrap_or_default();
        Ok(lines.into_iter().filter(|line| line["kind"] == kind).collect())
    }

    async fn card(&self, id: &str) -> Result<Value> {
        Ok(self.tidegate.get(&format!("/api/v1/rollouts/{id}")).await?.1)
    }

    async fn at_its_gate(&self) -> Result<String> {
        let (status, answer) = self
            .say(&self.ana, &json!({ "verb": "start", "plan": "sluice" }), "start")
            .await?;
        ensure!(status.is_success(), "{answer}");
        let id = answer["rollout"].as_str().context("a rollout")?.to_owned();
        wait::until("its gate asks people", PATIENCE, async || {
            ensure!(
                self.log(&id, "approval-asked").await?.len() == 1,
                "{}",
                self.card(&id).await?
            );
            Ok(())
        })
        .await?;
        Ok(id)
    }
}

async fn token(tidegate: &Tidegate, person: &str) -> Result<String> {
    let (status, made) = tidegate.post("/api/v1/tokens", &json!({ "person": person })).await?;
    ensure!(status.is_success(), "{status}: {made}");
    made["token"].as_str().map(str::to_owned).context("no token")
}

#[tokio::test]
async fn a_gate_opens_by_the_words_of_those_whom_the_plan_names() -> Result<()> {
    let world = World::start().await?;
    let id = world.at_its_gate().await?;
    let waits = world.card(&id).await?["waits_for"].to_string();
    ensure!(
        waits.contains("approval by dba (dana)") && waits.contains("check sessions"),
        "{waits}"
    );

    let (status, refused) = world
        .say(&world.ana, &json!({ "verb": "approve", "rollout": id }), "a")
        .await?;
    ensure!(
        status == StatusCode::FORBIDDEN && refused["code"] == "R301",
        "{status}: {refused}"
    );
    // Rehearsed, nothing is done.
    let (exit, said) = world
        .tidegate
        .command(&["rollout", "check", &id, "done", "sessions", "--dry-run"])
        .await?;
    ensure!(
        exit == 0 && world.log(&id, "checked").await?.is_empty(),
        "{exit}: {said}"
    );
    let (exit, said) = world
        .tidegate
        .command(&["rollout", "check", &id, "done", "sessions", "see", "graph"])
        .await?;
    ensure!(exit == 0, "{exit}: {said}");

    // The same order twice is one approval, one line, one answer.
    let approval = json!({ "text": format!("approve {id} role:dba \"cache warm\"") });
    let first = world.say(&world.dana, &approval, "once").await?;
    let second = world.say(&world.dana, &approval, "once").await?;
    ensure!(first.0.is_success() && first == second, "{first:?}\n{second:?}");
    let lines = world.log(&id, "approved").await?;
    ensure!(lines.len() == 1 && lines[0]["by"] == "dana", "{lines:?}");
    ensure!(
        lines[0]["text"]
            .as_str()
            .is_some_and(|text| text.contains("cache warm")),
        "{lines:?}"
    );
    let ticked = world.log(&id, "checked").await?;
    ensure!(
        ticked.len() == 1 && ticked[0]["text"].to_string().contains("see graph"),
        "{ticked:?}"
    );
    wait::until("the gate opens", PATIENCE, async || {
        let card = world.card(&id).await?;
        ensure!(card["weight"] == "100%", "{card}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn everybody_sees_who_looks_at_an_alert() -> Result<()> {
    let world = World::start().await?;
    let id = world.at_its_gate().await?;
    world.client.fire(&[Alert::errors(1)]).await?;
    wait::until("the alert is known", PATIENCE, async || {
        ensure!(world.log(&id, "alert-logged").await?.len() == 1);
        Ok(())
    })
    .await?;
    let (status, refused) = world
        .say(&world.dana, &json!({ "verb": "ack", "rollout": id }), "d")
        .await?;
    ensure!(status == StatusCode::FORBIDDEN, "{status}: {refused}");
    let (exit, said) = world
        .tidegate
        .command(&["rollout", "ack", &id, "alert:ErrorRateHigh"])
        .await?;
    ensure!(exit == 0, "{exit}: {said}");
    let card = world.card(&id).await?;
    ensure!(
        card["looked_at"][0]
            .as_str()
            .is_some_and(|line| line.contains("looks at ErrorRateHigh")),
        "{card}"
    );
    let said = json!({ "verb": "note", "rollout": id, "note": "the cache is cold" });
    let (status, _) = world.say(&world.dana, &said, "n").await?;
    ensure!(status.is_success() && world.log(&id, "note").await?.len() == 1);
    Ok(())
}
