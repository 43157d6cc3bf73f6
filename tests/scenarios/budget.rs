//! How far an automatic rollback may reach: three in an environment within the window, and none for what many services share.
//!
//! The server runs with the budget that it has when nobody says anything. Refuses to count decisions: what counts are flags,
//! states and pages.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tidegate_tests::sink::Sink;
use tidegate_tests::tidegate::{Setup, Tidegate};
use tidegate_tests::wait;

use crate::crash::ledger::Database;

/// Longer than any of this takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// Services of production, each with an alert of its own.
const FIVE: [&str; 5] = ["basket", "checkout", "invoice", "payment", "search"];
/// Services of another environment, which share an alert, and one more that has not begun.
const THREE: [&str; 3] = ["maps", "routes", "traffic"];
const FOURTH: &str = "weather";

/// What is allowed by default.
const ALLOWED: usize = 3;

fn plan(service: &str, environment: &str) -> Value {
    json!({
        "apiVersion": "tidegate.dev/v1alpha1",
        "kind": "RolloutPlan",
        "metadata": { "name": service, "labels": { "tidegate.dev/demo": "true" } },
        "spec": {
            "title": "One of many", "service": service, "environment": environment,
            "target": { "flag": { "key": service } },
            "phases": [{ "name": "all", "weight": "100%", "bake": "1h" }],
            "watch": "1h",
            "triggers": [{
                "name": "any", "alert": { "matchers": ["severity=\"critical\""] }, "severity": "sev1",
            }],
            "severities": { "sev1": { "action": "rollback", "page": true } },
            "alerts": { "receivers": ["default"], "watchdog": "none" },
            "audiences": {
                "oncall": { "channels": ["pager"], "hears": "pages" },
                "team": { "channels": ["chat", "log"], "hears": "everything" },
            },
        },
    })
}

fn alert(name: &str, service: &str, environment: &str) -> Value {
    json!({
        "status": "firing", "annotations": {}, "generatorURL": "", "fingerprint": format!("{name}-{service}"),
        "labels": { "alertname": name, "service": service, "environment": environment, "severity": "critical" },
        "startsAt": tidegate::clock::now().to_string(), "endsAt": "0001-01-01T00:00:00Z",
    })
}

struct World {
    server: Tidegate,
    pager: Sink,
}

impl World {
    async fn start() -> Result<Self> {
        let pager = Sink::start().await?;
        let mut setup = Setup::new()?.secret_file("pager.secret", "the-secret-of-the-pager", |file| {
            json!({ "channels": { "pager": { "webhook": { "url": pager.url("/page"), "secret_file": file } } } })
        })?;
        for service in FIVE {
            setup = setup.plan(service, &plan(service, "production").to_string())?;
        }
        for service in THREE.into_iter().chain([FOURTH]) {
            setup = setup.plan(service, &plan(service, "europe").to_string())?;
        }
        let server = setup.start().await?;
        Ok(Self { server, pager })
    }

    async fn say(&self, text: &str) -> Result<(StatusCode, Value)> {
        self.server.post("/api/v1/commands", &json!({ "text": text })).await
    }

    async fn begin(&self, services: &[&str]) -> Result<()> {
        for service in services {
            let (status, answer) = self.say(&format!("start {service}")).await?;
            ensure!(status == StatusCode::OK, "{status}: {answer}");
        }
        wait::until("all of them bake", PATIENCE, async || {
            for service in services {
                let state = self.state(service).await?;
                ensure!(state == "BAKING", "{service} is {state}");
            }
            Ok(())
        })
        .await
    }

    async fn state(&self, service: &str) -> Result<String> {
        let (_, card) = self.server.get(&format!("/api/v1/rollouts/{service}-1")).await?;
        let state = card["state"].as_str().with_context(|| format!("no state in {card}"))?;
        Ok(state.to_owned())
    }

    async fn deliver(&self, alerts: &[Value]) -> Result<()> {
        let body = json!({ "version": "4", "status": "firing", "alerts": alerts });
        let status = self.server.deliver(body.to_string()).await?;
        ensure!(status == StatusCode::OK, "{status}");
        Ok(())
    }

    /// The services that people were paged about in these words, each once.
    fn paged(&self, kind: &str) -> Result<Vec<String>> {
        let mut services = Vec::new();
        for delivery in self.pager.deliveries() {
            let body = delivery.json()?;
            if body["type"] == kind {
                let id = body["data"]["about"]["rollout"].as_str();
                let id = id.with_context(|| format!("no rollout in {body}"))?;
                services.push(id.trim_end_matches("-1").to_owned());
            }
        }
        services.sort_unstable();
        Ok(services)
    }

    async fn everything_is_decided(&self) -> Result<()> {
        let database = Database::of(&self.server);
        wait::until("everything is decided", PATIENCE, async || {
            let open = database.column("SELECT id FROM deliveries WHERE settled = 0").await?;
            ensure!(open.is_empty(), "{open:?} are not");
            Ok(())
        })
        .await
    }

    /// Which of the services are rolled back; every other one carries what it did.
    async fn rolled_back(&self, services: &[&str]) -> Result<Vec<String>> {
        let mut rolled_back = Vec::new();
        let mut states = BTreeMap::new();
        for service in services {
            let (state, on) = (self.state(service).await?, self.server.flag(service, "ana").await?);
            match (state.as_str(), on) {
                ("ROLLED BACK", false) => rolled_back.push((*service).to_owned()),
                ("BAKING" | "HELD", true) => {}
                _ => drop(states.insert(service, (state, on))),
            }
        }
        ensure!(states.is_empty(), "neither here nor there: {states:?}");
        Ok(rolled_back)
    }
}

#[tokio::test]
async fn the_fourth_automatic_rollback_is_held_and_paged_and_a_person_may_still_say_it() -> Result<()> {
    let world = World::start().await?;
    world.begin(&FIVE).await?;
    // All at once, as on a bad day: the budget is counted where the decision is saved.
    let all = FIVE.map(|service| (format!("Errors-{service}"), service));
    try_join_all(all.iter().map(async |(name, service)| {
        let alert = alert(name, service, "production");
        world.deliver(&[alert]).await
    }))
    .await?;
    world.everything_is_decided().await?;
    let rolled_back = wait::until("three are rolled back", PATIENCE, async || {
        let rolled_back = world.rolled_back(&FIVE).await?;
        ensure!(rolled_back.len() >= ALLOWED, "{rolled_back:?} are rolled back");
        Ok(rolled_back)
    })
    .await?;
    assert_eq!(rolled_back.len(), ALLOWED, "{rolled_back:?} are rolled back");
    let held: Vec<&str> = FIVE
        .into_iter()
        .filter(|service| !rolled_back.iter().any(|other| other == service))
        .collect();
    wait::until("people are paged about the other two", PATIENCE, async || {
        let paged = world.paged("rollout.guard-holds")?;
        ensure!(paged == held, "{paged:?} were paged about, and {held:?} are held");
        Ok(())
    })
    .await?;
    for service in &held {
        let (_, card) = world.server.get(&format!("/api/v1/rollouts/{service}-1")).await?;
        let said = card.to_string();
        ensure!(said.contains("3 automatic rollbacks happened in production"), "{said}");
    }
    let (status, answer) = world.say(&format!("rollback {}-1 errors", held[0])).await?;
    ensure!(status == StatusCode::OK, "{status}: {answer}");
    wait::until("the fourth is rolled back on a person's word", PATIENCE, async || {
        let rolled_back = world.rolled_back(&FIVE).await?;
        ensure!(rolled_back.len() == ALLOWED + 1, "{rolled_back:?} are rolled back");
        Ok(())
    })
    .await?;
    ensure!(world.server.flag(held[1], "ana").await?, "the fifth went along");
    Ok(())
}

#[tokio::test]
async fn an_alert_that_three_services_share_rolls_none_of_them_back_and_freezes_their_environment() -> Result<()> {
    let world = World::start().await?;
    world.begin(&THREE).await?;
    world.begin(&FIVE[..1]).await?;
    // Alertmanager groups by the name of the alert: it comes in one delivery.
    world
        .deliver(&THREE.map(|service| alert("ErrorsEverywhere", service, "europe")))
        .await?;
    world.everything_is_decided().await?;
    wait::until("people are paged about all of them", PATIENCE, async || {
        let paged = world.paged("rollout.guard-holds")?;
        ensure!(paged == THREE, "{paged:?} were paged about");
        Ok(())
    })
    .await?;
    assert_eq!(world.rolled_back(&THREE).await?, Vec::<String>::new());
    assert_eq!(world.paged("rollout.rolling-back")?, Vec::<String>::new());
    let frozen = Database::of(&world.server);
    let frozen = frozen
        .column("SELECT name FROM environments WHERE frozen IS NOT NULL")
        .await?;
    assert_eq!(frozen, ["europe"], "only where it happened");
    let (status, refused) = world.say(&format!("start {FOURTH}")).await?;
    ensure!(
        status == StatusCode::CONFLICT && refused["ok"] == false,
        "{status}: {refused}"
    );
    ensure!(
        refused["text"]
            .as_str()
            .is_some_and(|text| text.contains("frozen") && text.contains("ErrorsEverywhere")),
        "{refused}"
    );
    // Elsewhere the way back is as short as ever.
    world.deliver(&[alert("Errors-basket", FIVE[0], "production")]).await?;
    wait::until("the other environment rolls back", PATIENCE, async || {
        let rolled_back = world.rolled_back(&FIVE[..1]).await?;
        ensure!(rolled_back == FIVE[..1], "{rolled_back:?} are rolled back");
        Ok(())
    })
    .await
}
