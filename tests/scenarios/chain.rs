//! The whole chain with real programs: an exporter fails, Prometheus sees it, Alertmanager tells, Tidegate shuts the gate, and a
//! user's OpenFeature client gets the old version.
//!
//! An alert has two ways in, and each is proved without the other: where the webhook is the matter, nobody is asked back;
//! where every webhook is lost, only the poll is left.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tidegate_tests::alertmanager::{self, Alertmanager, Proof};
use tidegate_tests::exporter::{Exporter, Version};
use tidegate_tests::openfeature::evaluate;
use tidegate_tests::postgres::Postgres;
use tidegate_tests::prometheus::{self, Prometheus, Rule};
use tidegate_tests::relay::Relay;
use tidegate_tests::sink::Sink;
use tidegate_tests::tidegate::{RECEIVER_TOKEN, Setup, Tidegate};
use tidegate_tests::wait;

use crate::crash::ledger::Database;

/// Longer than any of this takes on a busy machine; nothing waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(60);

const FLAG: &str = "checkout-v2";
/// The alert that rolls back.
const FAULT: &str = "HighErrorRate";

const PLAN: &str = r#"
apiVersion: tidegate.dev/v1alpha1
kind: RolloutPlan
metadata: { name: checkout }
spec:
  title: New checkout to production
  service: checkout
  environment: production
  inputs: { version: { required: true } }
  target: { flag: { key: checkout-v2 } }
  phases:
    - { name: canary, weight: 50%, bake: 1h }
    - { name: everybody, weight: 100%, bake: 1h }
  watch: 1h
  triggers:
    - name: error-rate
      alert: { matchers: ['alertname="HighErrorRate"'] }
      severity: sev1
  severities:
    sev1: { action: rollback, page: true }
  alerts: { receivers: [default], watchdog: required }
  audiences:
    oncall: { channels: [pager], hears: pages }
    team: { channels: [chat, log], hears: everything }
"#;

const ERRORS: &str = r#"sum by (service, version) (rate(requests_total{code="500"}[3s]))
    / sum by (service, version) (rate(requests_total[3s])) > 0.1"#;

/// Users of whom half are in the new version at 50 %: that none or all of forty are would be one chance in a trillion.
fn users() -> Vec<String> {
    (0..40).map(|number| format!("user-{number}")).collect()
}

/// By which ways Tidegate may hear of an alert.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ways {
    /// Whatever is posted to it; nobody is asked back.
    Webhook,
    /// What is posted, and what the poll finds: how it is run in earnest.
    Both,
}

/// A shop in production under a rollout.
struct World {
    tidegate: Tidegate,
    exporter: Exporter,
    alertmanagers: Vec<Alertmanager>,
    pager: Sink,
    _prometheus: Prometheus,
}

impl World {
    /// Starts everything around `setup`, starts the rollout, and waits until it carries traffic. `pair` asks for two
    /// Alertmanagers; `tell` is what they are told.
    async fn start(setup: Setup, ways: Ways, pair: bool, tell: alertmanager::Settings) -> Result<Self> {
        let exporter = Exporter::start("checkout").await?;
        let alertmanagers = if pair {
            Alertmanager::start_pair(&tell).await?.into()
        } else {
            vec![Alertmanager::start(&tell).await?]
        };
        let errors = Rule::new(FAULT, ERRORS)
            .label("severity", "critical")
            .label("environment", "production");
        let prometheus = Prometheus::start(&prometheus::Settings {
            targets: vec![exporter.address()],
            alertmanagers: alertmanagers.iter().map(Alertmanager::address).collect(),
            rules: vec![errors, Rule::watchdog()],
        })
        .await?;
        let setup = match ways {
            Ways::Webhook => setup,
            Ways::Both => setup.peers(&alertmanagers.iter().map(Alertmanager::url).collect::<Vec<_>>()),
        };
        let pager = Sink::start().await?;
        let tidegate = setup
            .plan("checkout", PLAN)?
            .secret_file("pager.secret", "the-secret-of-the-pager", |file| {
                json!({ "channels": { "pager": { "webhook": { "url": pager.url("/page"), "secret_file": file } } } })
            })?
            .start()
            .await?;
        let world = Self {
            tidegate,
            exporter,
            alertmanagers,
            pager,
            _prometheus: prometheus,
        };
        world.begin().await?;
        Ok(world)
    }

    /// Starts the rollout once the server knows that its alert path is alive, and waits until users are let through.
    async fn begin(&self) -> Result<()> {
        wait::until("the rollout starts", PATIENCE, async || {
            let (code, said) = self
                .tidegate
                .command(&["rollout", "start", "checkout", "version:v2"])
                .await?;
            ensure!(code == 0, "exit code {code}: {said}");
            Ok(())
        })
        .await?;
        wait::until("half of the users are in", PATIENCE, async || {
            let inside = self.inside().await?;
            ensure!(0 < inside && inside < users().len(), "{inside} are in");
            Ok(())
        })
        .await
    }

    /// How many of the users get the new version.
    async fn inside(&self) -> Result<usize> {
        let mut inside = 0;
        for user in users() {
            inside += usize::from(self.tidegate.flag(FLAG, &user).await?);
        }
        Ok(inside)
    }

    /// From now on half of the requests to the new version fail.
    fn fault(&self) -> Instant {
        self.exporter.fail(Version::New, 0.5);
        Instant::now()
    }

    /// Waits until nobody is in, sees the same through the OpenFeature SDK, and that the server says so.
    async fn assert_shut(&self, since: Instant) -> Result<()> {
        wait::until("nobody is in", PATIENCE, async || {
            let inside = self.inside().await?;
            ensure!(inside == 0, "{inside} are in");
            Ok(())
        })
        .await?;
        println!("counted: from the fault to weight 0: {:.1?}", since.elapsed());
        let users = users();
        let users: Vec<&str> = users.iter().map(String::as_str).collect();
        let seen = evaluate(&self.tidegate.url(""), "", FLAG, &users).await?;
        for evaluation in seen {
            assert_eq!(
                (evaluation.value, evaluation.error),
                (false, None),
                "the SDK sees the old version"
            );
        }
        let (code, said) = self.tidegate.command(&["rollout", "wait", "checkout-1"]).await?;
        assert_eq!(code, 5, "the rollout ended rolled back: {said}");
        let told = |page: &serde_json::Value| page.to_string().contains(FAULT);
        let page = self.pager.delivery("somebody is paged", PATIENCE, told).await?;
        println!("the page: {}", String::from_utf8_lossy(&page.body));
        Ok(())
    }

    /// How many deliveries were stored.
    async fn stored(&self) -> Result<f64> {
        let labels = [("source", "alertmanager"), ("result", "stored")];
        let stored = self.tidegate.metric("tidegate_webhook_events_total", &labels).await?;
        Ok(stored.unwrap_or(0.0))
    }

    /// The fault, and everything that follows from a webhook about it.
    async fn assert_a_webhook_shuts(&self) -> Result<()> {
        let before = self.stored().await?;
        ensure!(before >= 1.0, "the Watchdog has not come by the webhook");
        let fault = self.fault();
        self.assert_shut(fault).await?;
        let after = self.stored().await?;
        ensure!(
            after > before,
            "{before} deliveries were stored before the fault, {after} after"
        );
        Ok(())
    }
}

fn bearer(setup: &Setup) -> alertmanager::Settings {
    let proof = Proof::Bearer(RECEIVER_TOKEN.to_owned());
    alertmanager::Settings {
        proof,
        ..alertmanager::Settings::to(setup.webhook())
    }
}

#[tokio::test]
async fn a_fault_shuts_the_gate() -> Result<()> {
    let setup = Setup::new()?;
    let tell = bearer(&setup);
    let world = World::start(setup, Ways::Webhook, false, tell).await?;
    let users = users();
    let seen = evaluate(
        &world.tidegate.url(""),
        "",
        FLAG,
        &users.iter().map(String::as_str).collect::<Vec<_>>(),
    )
    .await?;
    let inside = seen.iter().filter(|evaluation| evaluation.value).count();
    assert_eq!(inside, world.inside().await?, "the SDK sees what the flag says");
    world.assert_a_webhook_shuts().await
}

#[tokio::test]
async fn a_fault_shuts_the_gate_on_postgresql_with_both_ways_open() -> Result<()> {
    let server = Postgres::shared().await?;
    let setup = Setup::new()?.postgres(&server.create_database().await?)?;
    let tell = bearer(&setup);
    let world = World::start(setup, Ways::Both, false, tell).await?;
    world.assert_a_webhook_shuts().await
}

#[tokio::test]
async fn a_pair_with_basic_authentication_that_tells_twice_shuts_the_gate_once() -> Result<()> {
    let setup = Setup::new()?;
    let password = "s3cr3t päss";
    let setup = setup.secret_file("basic.password", password, |file| {
        json!({ "receivers": { "alertmanager": { "default": {
            "basic": { "user": "alertmanager", "password_file": file },
        } } } })
    })?;
    let proof = Proof::Basic {
        user: "alertmanager".to_owned(),
        password: password.to_owned(),
    };
    let relay = Relay::start(setup.webhook(), FAULT).await?;
    let tell = alertmanager::Settings {
        proof,
        // How long the second one waits for the first; that one is not answered before the second has told of it, too.
        peer_timeout: "500ms".to_owned(),
        ..alertmanager::Settings::to(relay.url())
    };
    let world = World::start(setup, Ways::Webhook, true, tell).await?;
    let before = world.stored().await?;
    let fault = world.fault();
    world.assert_shut(fault).await?;
    wait::until("both peers have delivered it", PATIENCE, async || {
        let (told, stored) = (relay.told(), world.stored().await?);
        ensure!(told == 2, "{told} of two have told of it");
        ensure!(
            stored >= before + 2.0,
            "{stored} deliveries were stored, {before} before the fault"
        );
        Ok(())
    })
    .await?;
    let database = Database::of(&world.tidegate);
    wait::until("both were decided about", PATIENCE, async || {
        let open = database.column("SELECT id FROM deliveries WHERE settled = 0").await?;
        ensure!(open.is_empty(), "{open:?} are not");
        Ok(())
    })
    .await?;
    let (_, history) = world.tidegate.command(&["rollout", "history", "checkout-1"]).await?;
    let decisions = history.matches("Automatic rollback").count();
    assert_eq!(decisions, 1, "two peers, one decision: {history}");
    Ok(())
}

#[tokio::test]
async fn a_group_for_every_alert_shuts_the_gate() -> Result<()> {
    let setup = Setup::new()?;
    let tell = alertmanager::Settings {
        group_by: vec!["...".to_owned()],
        ..bearer(&setup)
    };
    let world = World::start(setup, Ways::Webhook, false, tell).await?;
    world.assert_a_webhook_shuts().await
}

#[tokio::test]
async fn a_fault_while_the_server_is_down_shuts_the_gate_when_it_returns() -> Result<()> {
    let setup = Setup::new()?;
    let tell = bearer(&setup);
    let mut world = World::start(setup, Ways::Webhook, false, tell).await?;
    world.tidegate.kill()?;
    world.fault();
    wait::until("Alertmanager knows of the fault", PATIENCE, async || {
        let alerts = world.alertmanagers[0].alerts().await?;
        let fault = alerts.iter().find(|alert| alert["labels"]["alertname"] == FAULT);
        fault.map(drop).context("it does not")
    })
    .await?;
    world.tidegate.start_again().await?;
    world.assert_shut(Instant::now()).await?;
    let stored = world.stored().await?;
    ensure!(stored >= 1.0, "{stored} deliveries were stored since the return");
    Ok(())
}

#[tokio::test]
async fn a_fault_shuts_the_gate_although_every_webhook_is_lost() -> Result<()> {
    let (setup, elsewhere) = (Setup::new()?, Sink::start().await?);
    let tell = alertmanager::Settings::to(elsewhere.url("/webhook"));
    let world = World::start(setup, Ways::Both, false, tell).await?;
    let fault = world.fault();
    world.assert_shut(fault).await?;
    let lost = |body: &serde_json::Value| body["groupLabels"]["alertname"] == FAULT;
    elsewhere.delivery("the webhook went elsewhere", PATIENCE, lost).await?;
    let stored = world.stored().await?;
    ensure!(stored == 0.0, "{stored} deliveries came all the same");
    Ok(())
}

/// Somebody has silenced the alert: the source says so, nobody is called off, and nothing is decided until the silence ends.
#[tokio::test]
async fn a_fault_that_is_silenced_shuts_the_gate_only_when_the_silence_ends() -> Result<()> {
    let setup = Setup::new()?;
    let tell = bearer(&setup);
    let world = World::start(setup, Ways::Both, false, tell).await?;
    let alertmanager = &world.alertmanagers[0];
    let silence = alertmanager
        .silence("alertname", FAULT, "2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z")
        .await?;
    let fault = world.fault();
    let says = format!("Alert {FAULT} fires and is suppressed: silenced by {silence}. It does not count.");
    wait::until("it is known that the fault is silenced", PATIENCE, async || {
        let (_, history) = world.tidegate.command(&["rollout", "history", "checkout-1"]).await?;
        ensure!(history.contains(&says), "{history}");
        Ok(())
    })
    .await?;
    let inside = world.inside().await?;
    ensure!(inside > 0, "a silenced alert has shut the gate");
    let (_, card) = world.tidegate.get("/api/v1/rollouts/checkout-1").await?;
    ensure!(card["state"] == "BAKING", "{card}");
    alertmanager.end_silence(&silence).await?;
    world.assert_shut(fault).await
}
