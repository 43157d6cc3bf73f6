//! A server that everybody can reach from every side: Slack, Discord, the web chat, the command line and the API.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tidegate::chat::discord::tree;
use tidegate_tests::discord::{self, Discord};
use tidegate_tests::slack::{self, Slack};
use tidegate_tests::tidegate::{Setup, Tidegate};
use tidegate_tests::{http, wait};

/// Longer than anything here takes on a busy machine; nothing waits for it to pass.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// Somebody, and what the platforms call them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Person {
    pub(super) id: &'static str,
    pub(super) slack: &'static str,
    pub(super) discord: &'static str,
    roles: &'static [&'static str],
}

/// May do everything that people do, and is one of the plan's dbas.
pub(super) const ANA: Person = Person {
    id: "ana",
    slack: "U0ANA",
    discord: "80351110224678912",
    roles: &["operator", "oncall", "incident-commander"],
};
/// Operates.
pub(super) const BEN: Person = Person {
    id: "ben",
    slack: "U0BEN",
    discord: "80351110224678915",
    roles: &["operator"],
};
/// May look, and is a dba.
pub(super) const DANA: Person = Person {
    id: "dana",
    slack: "U0DANA",
    discord: "80351110224678916",
    roles: &["viewer"],
};
/// May look.
pub(super) const VIC: Person = Person {
    id: "vic",
    slack: "U0VIC",
    discord: "80351110224678913",
    roles: &["viewer"],
};

const EVERYBODY: [Person; 4] = [ANA, BEN, DANA, VIC];

/// The rollout that the scenarios are about.
pub(super) const ROLLOUT: &str = "checkout-1";

/// A plan that asks people at its first gate, and stays in its second phase.
fn checkout() -> Value {
    json!({
        "apiVersion": "tidegate.dev/v1alpha1", "kind": "RolloutPlan",
        // Nobody is paged here, and a plan that is not a demonstration pages somebody.
        "metadata": { "name": "checkout", "labels": { "tidegate.dev/demo": "true" } },
        "spec": {
            "title": "Checkout", "service": "checkout", "environment": "production",
            "inputs": { "version": { "required": true } },
            "roles": { "dba": { "members": ["dana", "ana"] } },
            "target": { "flag": { "key": "checkout-v2" } },
            "phases": [
                {
                    "name": "canary", "weight": "5%", "bake": "100ms", "gate": "manual",
                    "approvals": [{ "role": "dba" }],
                    "checks": [{ "id": "sessions", "text": "Sessions last" }],
                },
                { "name": "half", "weight": "50%", "bake": "1h", "gate": "manual" },
                { "name": "everybody", "weight": "100%", "bake": "1h", "gate": "manual" },
            ],
            "watch": "1h",
            "triggers": [{ "name": "slow", "alert": { "matchers": ["alertname=\"HighLatency\""] }, "severity": "sev2" }],
            "severities": { "sev2": { "action": { "decide": { "within": "1h", "default": "rollback" } } } },
            "alerts": { "receivers": ["default"], "watchdog": "none" },
        },
    })
}

/// A plan of one phase, in an environment of its own.
fn small(name: &str, watchdog: &str) -> Value {
    json!({
        "apiVersion": "tidegate.dev/v1alpha1", "kind": "RolloutPlan",
        "metadata": { "name": name, "labels": { "tidegate.dev/demo": "true" } },
        "spec": {
            "title": name, "service": name, "environment": "staging",
            "target": { "flag": { "key": name } },
            "phases": [{ "name": "some", "weight": "5%", "bake": "1h", "gate": "manual" }],
            "watch": "1h",
            "triggers": [{ "name": "errors", "alert": { "matchers": ["alertname=\"Errors\""] }, "severity": "sev3" }],
            "severities": { "sev3": { "action": "log" } },
            "alerts": { "receivers": ["default"], "watchdog": watchdog },
        },
    })
}

/// What one line of the log says of who gave an order where: its kind, the person, the surface.
pub(super) type Audit = (String, String, String);

/// All of it.
pub(super) struct World {
    pub(super) tidegate: Tidegate,
    pub(super) slack: Slack,
    pub(super) discord: Discord,
    pub(super) client: Client,
    keys: BTreeMap<&'static str, (String, PathBuf)>,
    sessions: BTreeMap<&'static str, String>,
}

impl World {
    pub(super) async fn new() -> Result<Self> {
        let (slack, discord) = (Slack::start().await?, Discord::start().await?);
        discord.register(tree("rollout"))?;
        let people = EVERYBODY.map(|person| {
            json!({ "id": person.id, "slack": person.slack, "discord": person.discord, "roles": person.roles })
        });
        let mut setup = Setup::new()?.with(json!({
            "people": people,
            "slack": { "workspaces": [slack::TEAM], "api_url": slack.api_url(), "hooks_url": slack.hooks_url() },
            "discord": {
                "public_key": Discord::public_key(), "application": discord::APP, "guilds": [discord::GUILD],
                "api_url": discord.api_url(),
            },
        }));
        let plans = [
            ("checkout", checkout()),
            ("ledger", small("ledger", "none")),
            ("search", small("search", "none")),
            ("blind", small("blind", "required")),
        ];
        for (name, plan) in plans {
            setup = setup.plan(name, &plan.to_string())?;
        }
        let secrets = [
            ("signing", slack::SECRET, "slack", "signing_secret_file"),
            ("slack-bot", slack::TOKEN, "slack", "token_file"),
            ("discord-bot", discord::TOKEN, "discord", "token_file"),
        ];
        for (name, secret, table, key) in secrets {
            setup = setup.secret_file(name, secret, |file| json!({ table: { key: file } }))?;
        }
        let mut world = Self {
            tidegate: setup.start().await?,
            slack,
            discord,
            client: http::client()?,
            keys: BTreeMap::new(),
            sessions: BTreeMap::new(),
        };
        for person in EVERYBODY {
            world.let_in(person).await?;
        }
        Ok(world)
    }

    /// Gives somebody a token, and signs them in with it.
    async fn let_in(&mut self, person: Person) -> Result<()> {
        let wanted = json!({ "person": person.id });
        let (status, made) = self.tidegate.post("/api/v1/tokens", &wanted).await?;
        ensure!(status == StatusCode::CREATED, "{made}");
        let token = made["token"].as_str().context("no token")?.to_owned();
        let file = self.tidegate.scratch().write(&format!("{}.token", person.id), &token)?;
        let signing_in = self.client.post(self.tidegate.url("/login")).form(&[("token", &token)]);
        let answer = signing_in.send().await?;
        let cookie = answer.headers().get("set-cookie").context("no session")?.to_str()?;
        let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        self.keys.insert(person.id, (token, file));
        self.sessions.insert(person.id, cookie);
        Ok(())
    }

    pub(super) fn token(&self, person: Person) -> Result<&str> {
        Ok(&self.keys.get(person.id).context("nobody")?.0)
    }

    pub(super) fn token_file(&self, person: Person) -> Result<&PathBuf> {
        Ok(&self.keys.get(person.id).context("nobody")?.1)
    }

    pub(super) fn session(&self, person: Person) -> Result<&str> {
        Ok(self.sessions.get(person.id).context("nobody")?)
    }

    /// By log and number: every line of the rollouts' logs and the server's that says where somebody gave an order, signing in and tokens aside.
    pub(super) async fn audit(&self) -> Result<BTreeMap<(String, u64), Audit>> {
        let mut found = BTreeMap::new();
        let paths = ["checkout-1", "ledger-1", "search-1"].map(|id| format!("/api/v1/rollouts/{id}/log?limit=1000"));
        for path in paths.iter().map(String::as_str).chain(["/api/v1/log?limit=1000"]) {
            let (_, log) = self.tidegate.get(path).await?;
            for line in log["entries"].as_array().into_iter().flatten() {
                let text = |key: &str| line[key].as_str().map(str::to_owned);
                let keys = ["token-made", "signed-in"];
                if let (Some(kind), Some(by), Some(surface)) = (text("kind"), text("by"), text("surface"))
                    && !keys.contains(&kind.as_str())
                {
                    let number = line["number"].as_u64().context("a line without a number")?;
                    found.insert((path.to_owned(), number), (kind, by, surface));
                }
            }
        }
        Ok(found)
    }

    /// The card of the rollout, as a program reads it.
    pub(super) async fn card(&self) -> Result<Value> {
        Ok(self.tidegate.get(&format!("/api/v1/rollouts/{ROLLOUT}")).await?.1)
    }

    /// Waits until the rollout shows this state.
    pub(super) async fn reaches(&self, state: &str) -> Result<()> {
        wait::until(state, PATIENCE, async || {
            let card = self.card().await?;
            ensure!(card["state"] == state, "{card}");
            Ok(())
        })
        .await
    }

    /// An alert asks people for a decision.
    pub(super) async fn asks(&self) -> Result<()> {
        #[expect(clippy::disallowed_methods, reason = "the clock of Prometheus")]
        let now = jiff::Timestamp::now();
        let body = json!({
            "receiver": "tidegate", "status": "firing", "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {},
            "externalURL": "http://am.example", "version": "4", "groupKey": "{}:{}", "truncatedAlerts": 0,
            "alerts": [{
                "status": "firing",
                "labels": { "alertname": "HighLatency", "service": "checkout", "environment": "production" },
                "annotations": {}, "startsAt": now.to_string(), "endsAt": "0001-01-01T00:00:00Z",
                "generatorURL": "http://prometheus.example/graph", "fingerprint": "f1f1f1f1f1f1f1f1",
            }],
        });
        let status = self.tidegate.deliver(body.to_string()).await?;
        ensure!(status == StatusCode::OK, "{status}");
        wait::until("the question is open", PATIENCE, async || {
            let (_, log) = self.tidegate.get(&format!("/api/v1/rollouts/{ROLLOUT}/log")).await?;
            ensure!(log.to_string().contains("\"decision-opened\""), "{log}");
            Ok(())
        })
        .await
    }
}
