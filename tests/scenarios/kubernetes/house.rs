//! One cluster, one server with its rights, one plan, and whoever says what is to be done.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tidegate_tests::built::Build;
use tidegate_tests::kubernetes::{Kubernetes, TIDEGATE};
use tidegate_tests::paths::repository;
use tidegate_tests::scratch::Scratch;
use tidegate_tests::sink::Sink;
use tidegate_tests::tidegate::{Setup, Tidegate};
use tidegate_tests::wait;

use crate::crash::client::{Alert, Client};

/// Longer than any of this takes on a busy machine; nothing waits for it to pass.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// What pages are signed with.
const PAGER: &str = "the-secret-of-the-pager";

/// The plan, whose rollouts are `sluice-1`, `sluice-2`, …
const PLAN: &str = "sluice";

/// Everything a scenario needs.
pub(crate) struct House {
    pub(super) cluster: Kubernetes,
    pub(super) tidegate: Tidegate,
    pub(super) client: Client,
    /// What wakes somebody.
    pub(super) pager: Sink,
    /// The kubeconfig lies here.
    _scratch: Scratch,
    said: std::cell::Cell<u32>,
}

/// A phase that a person leaves.
pub(crate) fn phase(name: &str, weight: &str) -> Value {
    json!({ "name": name, "weight": weight, "bake": "100ms", "gate": "manual" })
}

pub(crate) fn plan(target: &Value, phases: &[Value]) -> Value {
    json!({
        "apiVersion": "tidegate.dev/v1alpha1",
        "kind": "RolloutPlan",
        "metadata": { "name": PLAN, "labels": { "tidegate.dev/demo": "true" } },
        "spec": {
            "title": "A new version", "service": "sluice", "environment": "production",
            "target": target, "phases": phases, "watch": "1d",
            "triggers": [{
                "name": "errors", "alert": { "matchers": ["alertname=\"ErrorRateHigh\""] }, "severity": "sev1",
            }],
            "severities": { "sev1": { "action": "rollback" } },
            "alerts": { "receivers": ["default"], "watchdog": "required" },
            "audiences": { "oncall": { "channels": ["pager"], "hears": "pages" } },
        },
    })
}

/// The text of a manifest of rights that users apply.
pub(crate) fn manifest(name: &str) -> Result<String> {
    let path = repository().join("deploy/kubernetes").join(name);
    std::fs::read_to_string(path).context("the manifest of the rights")
}

/// How a server for `target` is set up, with the rights of the manifest `rights`.
pub(super) fn setup(cluster: &Kubernetes, target: &Value, phases: &[Value], rights: &str) -> Result<(Setup, Scratch)> {
    setup_for(cluster, &plan(target, phases), &manifest(rights)?)
}

/// How a server for a plan is set up, with these rights.
pub(crate) fn setup_for(cluster: &Kubernetes, plan: &Value, rights: &str) -> Result<(Setup, Scratch)> {
    cluster.grant(rights)?;
    let scratch = Scratch::new("kubeconfig")?;
    let kubeconfig = cluster.kubeconfig(&scratch, TIDEGATE)?;
    let settings = json!({
        "kubernetes": { "kubeconfig": kubeconfig, "call_timeout": "1500ms" },
        "environments": { "budget": { "automatic_rollbacks": 1_000_000, "window": "15m" } },
    });
    let setup = Setup::new()?.plan(PLAN, &plan.to_string())?.with(settings);
    Ok((setup, scratch))
}

impl House {
    pub(super) async fn start(cluster: Kubernetes, target: &Value, phases: &[Value], rights: &str) -> Result<Self> {
        let (setup, scratch) = setup(&cluster, target, phases, rights)?;
        Self::with(cluster, setup, scratch).await
    }

    /// The same on the build that dies at named points.
    pub(super) async fn dying(
        cluster: Kubernetes,
        target: &Value,
        phases: &[Value],
        rights: &str,
        point: &str,
    ) -> Result<Self> {
        let (setup, scratch) = setup(&cluster, target, phases, rights)?;
        let setup = setup.build(Build::Failpoints).env("TIDEGATE_FAILPOINT", point);
        Self::with(cluster, setup, scratch).await
    }

    /// On a server that is set up otherwise.
    pub(super) async fn with(cluster: Kubernetes, setup: Setup, scratch: Scratch) -> Result<Self> {
        let pager = Sink::start().await?;
        let secret = scratch.write("pager.secret", PAGER)?;
        let webhook = json!({ "url": pager.url("/page"), "secret_file": secret });
        let setup = setup.with(json!({ "channels": { "pager": { "webhook": webhook } } }));
        let tidegate = setup.start().await?;
        let client = Client::of(&tidegate)?;
        let house = Self {
            cluster,
            tidegate,
            client,
            pager,
            _scratch: scratch,
            said: std::cell::Cell::new(0),
        };
        house.client.fire(&[Alert::watchdog()]).await?;
        Ok(house)
    }

    /// Says something new.
    pub(super) async fn say(&self, said: Value) -> Result<(StatusCode, Value)> {
        self.said.set(self.said.get() + 1);
        self.tidegate.post("/api/v1/commands", &said).await
    }

    /// Starts the plan.
    pub(super) async fn begin(&self) -> Result<String> {
        let (status, answer) = self.say(json!({ "verb": "start", "plan": PLAN })).await?;
        ensure!(status.is_success(), "{status}: {answer}");
        answer["rollout"]
            .as_str()
            .map(str::to_owned)
            .context("no rollout in the answer")
    }

    /// Tries to start the plan and is refused; what the refusal says.
    pub(super) async fn refused(&self) -> Result<String> {
        let (status, answer) = self.say(json!({ "verb": "start", "plan": PLAN })).await?;
        ensure!(
            status == StatusCode::CONFLICT && answer["code"] == "R409",
            "{status}: {answer}"
        );
        Ok(answer["detail"].as_str().unwrap_or_default().to_owned())
    }

    /// Goes to the next phase once this one has baked.
    pub(super) async fn advance(&self, id: &str) -> Result<()> {
        wait::until("it advances", PATIENCE, async || {
            let (status, answer) = self.say(json!({ "verb": "advance", "rollout": id })).await?;
            ensure!(status.is_success(), "{status}: {answer}");
            Ok(())
        })
        .await
    }

    /// Rolls back by an alert.
    pub(super) async fn strike(&self) -> Result<()> {
        self.client.fire(&[Alert::errors(7)]).await
    }

    pub(super) async fn card(&self, id: &str) -> Result<Value> {
        let (status, card) = self.tidegate.get(&format!("/api/v1/rollouts/{id}")).await?;
        ensure!(status.is_success(), "{status}: {card}");
        Ok(card)
    }

    /// Waits until the state is `word`.
    pub(super) async fn becomes(&self, id: &str, word: &str) -> Result<Value> {
        wait::until(&format!("{id} is {word}"), PATIENCE, async || {
            let card = self.card(id).await?;
            ensure!(card["state"] == word, "{card}\n{}", self.log(id).await?.join("\n"));
            Ok(card)
        })
        .await
    }

    /// Waits until a phase waits for a person.
    pub(super) async fn waits(&self, id: &str, phase: &str) -> Result<()> {
        wait::until(&format!("{id} waits in {phase}"), PATIENCE, async || {
            let card = self.card(id).await?;
            let there = card["state"] == "WAITING" && card["phase"] == phase;
            ensure!(there, "{card}\n{}", self.log(id).await?.join("\n"));
            Ok(())
        })
        .await
    }

    /// The lines of the log, oldest first.
    pub(super) async fn log(&self, id: &str) -> Result<Vec<String>> {
        let (_, log) = self
            .tidegate
            .get(&format!("/api/v1/rollouts/{id}/log?limit=1000"))
            .await?;
        let lines = log["entries"].as_array().cloned().unwrap_or_default();
        Ok(lines
            .iter()
            .map(|line| line["text"].as_str().unwrap_or_default().to_owned())
            .collect())
    }

    /// Waits until the card says what is waited for.
    pub(super) async fn shows(&self, id: &str, words: &str) -> Result<()> {
        wait::until(&format!("the card says: {words}"), PATIENCE, async || {
            let card = self.card(id).await?;
            ensure!(card["next"].as_str().is_some_and(|next| next.contains(words)), "{card}");
            Ok(())
        })
        .await
    }

    /// Waits for a line of the log that contains `words`.
    pub(super) async fn told(&self, id: &str, words: &str) -> Result<String> {
        wait::until(&format!("it is told: {words}"), PATIENCE, async || {
            let log = self.log(id).await?;
            let found = log.iter().find(|line| line.contains(words)).cloned();
            found.with_context(|| log.join("\n"))
        })
        .await
    }

    /// Waits for a page that says all of this.
    pub(super) async fn paged(&self, within: Duration, words: &[&str]) -> Result<()> {
        let fits = |body: &Value| {
            let body = body.to_string();
            words.iter().all(|words| body.contains(words))
        };
        let page = self
            .pager
            .delivery(&format!("a page says {words:?}"), within, fits)
            .await?;
        page.is_signed_with(PAGER)
    }

    /// Where the server listens.
    pub(super) fn url(&self) -> String {
        self.tidegate.url("")
    }

    /// The server dies, and comes back on the same storage.
    pub(super) async fn dies_and_returns(&mut self) -> Result<()> {
        self.tidegate.kill()?;
        self.tidegate.start_again().await?;
        self.revive().await
    }

    /// Tells a server that came back that its alert path is alive.
    pub(super) async fn revive(&mut self) -> Result<()> {
        self.client = Client::of(&self.tidegate)?;
        self.client.fire(&[Alert::watchdog()]).await
    }

    /// How often this was called so far.
    pub(super) fn calls(&self, method: &Method, path: &str) -> Result<usize> {
        let calls = self.cluster.calls()?;
        let alike = calls.iter().filter(|(one, of)| one == method && of.contains(path));
        Ok(alike.count())
    }
}
