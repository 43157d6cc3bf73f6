//! One server with a directory of hooks, a plan that moves a flag, and whoever says what is to be done.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tidegate_tests::scratch::Scratch;
use tidegate_tests::tidegate::{Setup, Tidegate};
use tidegate_tests::wait;

use crate::crash::client::{Alert, Client};

/// Longer than any of this takes on a busy machine; nothing waits for it to pass.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
const PLAN: &str = "sluice";
const FLAG: &str = "sluice-v2";
/// A variable of the server that commands may have, and one that they may not.
pub(super) const GIVEN: (&str, &str) = ("HOOK_TOKEN", "a-token-for-the-database");
pub(super) const WITHHELD: (&str, &str) = ("CANARY_SECRET", "a-secret-of-the-server");

/// Everything a scenario needs.
pub(super) struct House {
    pub(super) tidegate: Tidegate,
    pub(super) client: Client,
    /// The directory of hooks, and what they leave behind.
    scratch: Scratch,
}

/// What a plan of these scenarios says beside the usual.
#[derive(Clone, Debug, Default)]
pub(super) struct Hooked {
    pub(super) hooks: Value,
    pub(super) probes: Value,
    pub(super) before: Vec<&'static str>,
    pub(super) after: Vec<&'static str>,
    pub(super) back: Vec<&'static str>,
}

impl Hooked {
    fn plan(&self) -> Value {
        let or_none = |value: &Value| if value.is_null() { json!({}) } else { value.clone() };
        json!({
            "apiVersion": "tidegate.dev/v1alpha1",
            "kind": "RolloutPlan",
            "metadata": { "name": PLAN, "labels": { "tidegate.dev/demo": "true" } },
            "spec": {
                "title": "A new version", "service": "sluice", "environment": "production",
                "target": { "flag": { "key": FLAG } },
                "hooks": or_none(&self.hooks),
                "probes": or_none(&self.probes),
                "phases": [
                    {
                        "name": "all", "weight": "100%", "bake": "100ms",
                        "hooks": { "before": self.before, "after": self.after },
                    },
                ],
                "rollback": { "hooks": self.back },
                "watch": "1d",
                "triggers": [{
                    "name": "errors", "alert": { "matchers": ["alertname=\"ErrorRateHigh\""] }, "severity": "sev1",
                }],
                "severities": { "sev1": { "action": "rollback" } },
                "alerts": { "receivers": ["default"], "watchdog": "required" },
            },
        })
    }
}

/// What `check-config` says of a configuration that it refuses. The server starts: its other plans are needed.
pub(super) async fn faults(setup: Setup) -> Result<String> {
    let server = setup.start().await?;
    let file = server.scratch().path().join("tidegate.yml");
    let file = file.to_str().context("the path is no text")?;
    let (code, said) = server.command(&["check-config", file]).await?;
    ensure!(code == 3, "it exits with {code}: {said}");
    Ok(said)
}

/// A directory with programs, each a line or more for `sh`.
pub(super) fn programs(programs: &[(&str, &str)]) -> Result<Scratch> {
    let scratch = Scratch::new("hooks")?;
    for (name, lines) in programs {
        write_program(&scratch, name, lines)?;
    }
    Ok(scratch)
}

fn write_program(scratch: &Scratch, name: &str, lines: &str) -> Result<()> {
    let text = format!("#!/bin/sh\n{lines}\n");
    let path = scratch.write(name, text)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).context("could not make it a program")
}

/// How a server for `hooked` is set up.
pub(super) fn setup(scratch: &Scratch, hooked: &Hooked, settings: Value) -> Result<Setup> {
    let setup = Setup::new()?.plan(PLAN, &hooked.plan().to_string())?.with(json!({
        "hooks": { "directory": scratch.path(), "environment": ["PATH", GIVEN.0] },
        "environments": { "budget": { "automatic_rollbacks": 1_000_000, "window": "15m" } },
    }));
    Ok(setup.with(settings).env(GIVEN.0, GIVEN.1).env(WITHHELD.0, WITHHELD.1))
}

impl House {
    pub(super) async fn start(scratch: Scratch, hooked: &Hooked) -> Result<Self> {
        let setup = setup(&scratch, hooked, json!({}))?;
        Self::with(setup, scratch).await
    }

    pub(super) async fn with(setup: Setup, scratch: Scratch) -> Result<Self> {
        let tidegate = setup.start().await?;
        let client = Client::of(&tidegate)?;
        client.fire(&[Alert::watchdog()]).await?;
        Ok(Self {
            tidegate,
            client,
            scratch,
        })
    }

    pub(super) fn put_program(&self, name: &str, lines: &str) -> Result<()> {
        write_program(&self.scratch, name, lines)
    }

    /// A file that hooks leave beside themselves.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    pub(super) async fn say(&self, said: Value) -> Result<Value> {
        let (status, answer) = self.tidegate.post("/api/v1/commands", &said).await?;
        ensure!(status.is_success(), "{status}: {answer}");
        Ok(answer)
    }

    /// Something that is refused; the answer.
    pub(super) async fn refused(&self, said: Value) -> Result<Value> {
        let (status, answer) = self.tidegate.post("/api/v1/commands", &said).await?;
        ensure!(status == StatusCode::CONFLICT, "{status}: {answer}");
        Ok(answer)
    }

    pub(super) async fn begin(&self) -> Result<String> {
        let answer = self.say(json!({ "verb": "start", "plan": PLAN })).await?;
        let id = answer["rollout"].as_str().map(str::to_owned);
        id.context("no rollout in the answer")
    }

    pub(super) async fn card(&self, id: &str) -> Result<Value> {
        let (status, card) = self.tidegate.get(&format!("/api/v1/rollouts/{id}")).await?;
        ensure!(status.is_success(), "{status}: {card}");
        Ok(card)
    }

    pub(super) async fn log(&self, id: &str) -> Result<Vec<Value>> {
        let path = format!("/api/v1/rollouts/{id}/log?limit=1000");
        let (_, log) = self.tidegate.get(&path).await?;
        Ok(log["entries"].as_array().cloned().unwrap_or_default())
    }

    /// Waits until the state is `word`.
    pub(super) async fn becomes(&self, id: &str, word: &str) -> Result<Value> {
        wait::until(&format!("{id} is {word}"), PATIENCE, async || {
            let card = self.card(id).await?;
            ensure!(card["state"] == word, "{card:#}\n{:#?}", self.log(id).await?);
            Ok(card)
        })
        .await
    }

    /// Waits for a line of this kind; its text.
    pub(super) async fn told(&self, id: &str, kind: &str) -> Result<String> {
        wait::until(&format!("{kind} is told"), PATIENCE, async || {
            let log = self.log(id).await?;
            let line = log.iter().find(|line| line["kind"] == kind);
            let text = line.and_then(|line| line["text"].as_str()).map(str::to_owned);
            text.with_context(|| format!("{log:#?}"))
        })
        .await
    }

    /// Waits until a file is there and has something in it.
    pub(super) async fn written(&self, name: &str) -> Result<String> {
        wait::until(&format!("{name} is written"), PATIENCE, async || {
            let text = std::fs::read_to_string(self.file(name))?;
            ensure!(text.ends_with('\n'), "{text:?}");
            Ok(text)
        })
        .await
    }

    /// Whether the flag is on for any of some users.
    pub(super) async fn is_on(&self) -> Result<bool> {
        for user in 0..20 {
            match self.tidegate.flag(FLAG, &format!("user-{user}")).await {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                // A flag that was never written is off.
                Err(error) if error.to_string().contains("404") => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// Nothing was ever asked of the target.
    pub(super) async fn never_moved(&self, id: &str) -> Result<()> {
        ensure!(!self.is_on().await?, "the flag is on");
        let log = self.log(id).await?;
        let moved = log
            .iter()
            .find(|line| line["kind"] == "advancing" || line["kind"] == "phase-began");
        ensure!(moved.is_none(), "{moved:?}");
        Ok(())
    }

    /// Tells a server that came back that its alert path is alive.
    pub(super) async fn revive(&mut self) -> Result<()> {
        self.tidegate.start_again().await?;
        self.client = Client::of(&self.tidegate)?;
        self.client.fire(&[Alert::watchdog()]).await
    }

    /// Rolls back by an alert.
    pub(super) async fn strike(&self) -> Result<()> {
        self.client.fire(&[Alert::errors(7)]).await
    }
}

/// Waits until a process is gone, or only waits for its parent.
pub(super) async fn gone(pid: &str) -> Result<()> {
    wait::until(&format!("process {pid} is gone"), PATIENCE, async || {
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())) else {
            return Ok(());
        };
        let state = stat
            .rsplit_once(')')
            .and_then(|(_, rest)| rest.split_whitespace().next());
        ensure!(state == Some("Z"), "{stat}");
        Ok(())
    })
    .await
}
