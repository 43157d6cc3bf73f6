//! PagerDuty and Grafana, from the body that they sign to the flag at zero; and what is said twice.
//!
//! The bodies are the fixtures with the time of the test in them, signed over exactly those bytes. What one receiver is labelled
//! with is all that tells the environment: neither body says one.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hmac::{Hmac, KeyInit as _, Mac as _};
use regex::Regex;
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use sha2::Sha256;
use tidegate_tests::paths::fixture;
use tidegate_tests::tidegate::{Setup, Tidegate};
use tidegate_tests::{http, wait};

use crate::crash::ledger::Database;

/// Longer than any of this takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

const FLAG: &str = "checkout-v2";
/// While a secret is replaced, the one before it counts, too.
const SECRET: &str = "the-signing-secret";
const SECRET_BEFORE: &str = "the-signing-secret-before";
const TOKEN: &str = "the-token";
const TOKEN_BEFORE: &str = "the-token-before";

const PLAN: &str = r#"
apiVersion: tidegate.dev/v1alpha1
kind: RolloutPlan
metadata: { name: checkout, labels: { tidegate.dev/demo: 'true' } }
spec:
  title: New checkout to production
  service: checkout
  environment: production
  target: { flag: { key: checkout-v2 } }
  phases: [{ name: all, weight: 100%, bake: 1h }]
  watch: 1h
  triggers:
    - { name: incident, alert: { matchers: ['priority=~"P1|P2"', 'urgency="high"'] }, severity: sev1 }
    - { name: rule, alert: { matchers: ['alertname="High error rate"', 'severity="critical"'] }, severity: sev1 }
  severities: { sev1: { action: rollback } }
  alerts: { receivers: [default], watchdog: none }
  audiences: { team: { channels: [chat, log], hears: everything } }
"#;

/// A server that PagerDuty and Grafana post to, for production and for staging.
struct World {
    server: Tidegate,
    http: Client,
    database: Database,
}

impl World {
    async fn start() -> Result<Self> {
        let mut setup = Setup::new()?.plan("checkout", PLAN)?;
        for (name, secret, key) in [
            ("now.secret", SECRET, "secret_file"),
            ("before.secret", SECRET_BEFORE, "secret_before_file"),
            ("now.token", TOKEN, "bearer_file"),
            ("before.token", TOKEN_BEFORE, "bearer_before_file"),
        ] {
            setup = setup.secret_file(name, secret, |file| {
                let proof = json!({ (key): file });
                let both = json!({ "default": proof.clone(), "staging": proof });
                // PagerDuty signs and has no token.
                let pagerduty = if key.starts_with("secret") {
                    both.clone()
                } else {
                    json!({})
                };
                json!({ "receivers": { "pagerduty": pagerduty, "grafana": both } })
            })?;
        }
        let labels = |environment| json!({ "labels": { "environment": environment } });
        let both = json!({ "default": labels("production"), "staging": labels("staging") });
        let setup = setup.with(json!({ "receivers": { "pagerduty": both.clone(), "grafana": both } }));
        let server = setup.start().await?;
        Ok(Self {
            database: Database::of(&server),
            server,
            http: http::client()?,
        })
    }

    /// Starts the plan; the rollout, once it carries everything.
    async fn begin(&self) -> Result<String> {
        let (status, answer) = self
            .server
            .post("/api/v1/commands", &json!({ "text": "start checkout" }))
            .await?;
        ensure!(status == StatusCode::OK, "{status}: {answer}");
        let id = answer["rollout"].as_str().context("no rollout")?.to_owned();
        wait::until(&format!("{id} bakes"), PATIENCE, async || {
            let card = self.card(&id).await?;
            ensure!(card["state"] == "BAKING", "{card}");
            Ok(())
        })
        .await?;
        ensure!(self.server.flag(FLAG, "ana").await?, "the flag is on");
        Ok(id)
    }

    async fn card(&self, rollout: &str) -> Result<Value> {
        Ok(self.server.get(&format!("/api/v1/rollouts/{rollout}")).await?.1)
    }

    /// A body of PagerDuty, signed.
    fn pagerduty(&self, receiver: &str, secret: &str, body: &str) -> RequestBuilder {
        let request = self
            .http
            .post(self.server.url(&format!("/webhooks/pagerduty/{receiver}")));
        let signature = format!("v1={}", sign(secret, body.as_bytes()));
        let request = request.header("x-pagerduty-signature", signature);
        request.header("content-type", "application/json").body(body.to_owned())
    }

    /// A body of Grafana, with a token and signed together with the time.
    fn grafana(&self, receiver: &str, (token, secret): (&str, &str), body: &str) -> RequestBuilder {
        let request = self
            .http
            .post(self.server.url(&format!("/webhooks/grafana/{receiver}")));
        let time = tidegate::clock::now().as_second().to_string();
        let signature = sign(secret, format!("{time}:{body}").as_bytes());
        let request = request.header("x-grafana-alerting-signature", signature);
        let request = request.header("x-grafana-alerting-timestamp", time).bearer_auth(token);
        request.header("content-type", "application/json").body(body.to_owned())
    }

    async fn everything_is_decided(&self) -> Result<()> {
        wait::until("everything is decided", PATIENCE, async || {
            let open = self
                .database
                .column("SELECT id FROM deliveries WHERE settled = 0")
                .await?;
            ensure!(open.is_empty(), "{open:?} are not");
            Ok(())
        })
        .await
    }

    /// Nothing that came in so far moves `rollout`: all of it is decided, and the flag is where it was.
    async fn assert_untouched(&self, rollout: &str) -> Result<()> {
        self.everything_is_decided().await?;
        let card = self.card(rollout).await?;
        ensure!(card["state"] == "BAKING" && card["weight"] == "100%", "{card}");
        ensure!(self.server.flag(FLAG, "ana").await?, "the flag is off");
        Ok(())
    }

    async fn assert_rolled_back(&self, rollout: &str) -> Result<()> {
        wait::until(&format!("{rollout} is rolled back"), PATIENCE, async || {
            let card = self.card(rollout).await?;
            ensure!(card["state"] == "ROLLED BACK" && card["weight"] == "0%", "{card}");
            Ok(())
        })
        .await?;
        ensure!(!self.server.flag(FLAG, "ana").await?, "the flag is still on");
        Ok(())
    }

    /// How many deliveries are stored.
    async fn stored(&self) -> Result<usize> {
        Ok(self.database.column("SELECT id FROM deliveries").await?.len())
    }
}

fn sign(secret: &str, bytes: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any secret is a key");
    mac.update(bytes);
    hex::encode(mac.finalize().into_bytes())
}

/// Now, in whole seconds, as both write the time of an incident.
fn now() -> String {
    tidegate::clock::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The fixture as it would be sent about something that began at `began`.
fn body(name: &str, began: &str) -> Result<String> {
    let time = Regex::new(r#""2026-11-20T[^"]*""#)?;
    let body = fixture(name)?;
    ensure!(time.is_match(&body), "{name} has no time of its own any more");
    Ok(time.replace_all(&body, format!("{began:?}")).into_owned())
}

/// Sends it; the status, and the word that the sender is answered with.
async fn send(request: RequestBuilder) -> Result<(u16, String)> {
    let answer = request.send().await?;
    let status = answer.status().as_u16();
    let body: Value = answer.json().await?;
    let word = body["status"].as_str().or(body["code"].as_str());
    Ok((status, word.with_context(|| format!("{status}: {body}"))?.to_owned()))
}

fn said(status: u16, word: &str) -> (u16, String) {
    (status, word.to_owned())
}

#[tokio::test]
async fn an_incident_of_pagerduty_shuts_the_gate_and_the_same_body_again_does_nothing() -> Result<()> {
    let world = World::start().await?;
    let first = world.begin().await?;
    let began = now();
    let triggered = body("pagerduty/incident.triggered.json", &began)?;
    let quiet = body("pagerduty/incident.triggered-no-priority-low-urgency.json", &began)?;

    // Another environment, another matter, another secret: none of them is about this rollout.
    let elsewhere = triggered.replace("PGR0VU2", "PGR0VU0").replace("R000009", "R000000");
    let elsewhere = world.pagerduty("staging", SECRET, &elsewhere);
    assert_eq!(send(elsewhere).await?, said(200, "stored"));
    let small = quiet.replace("PGR0VU2", "PGR0VU1");
    assert_eq!(
        send(world.pagerduty("default", SECRET, &small)).await?,
        said(200, "stored")
    );
    let forged = world.pagerduty("default", "a-guess", &triggered);
    assert_eq!(send(forged).await?, said(401, "unproven"));
    world.assert_untouched(&first).await?;

    // The secret before still counts, as long as it is configured.
    let request = world.pagerduty("default", SECRET_BEFORE, &triggered);
    assert_eq!(send(request).await?, said(200, "stored"));
    world.assert_rolled_back(&first).await?;
    let resolved = body("pagerduty/incident.resolved.json", &began)?;
    assert_eq!(
        send(world.pagerduty("default", SECRET, &resolved)).await?,
        said(200, "stored")
    );

    // Said again, to the next rollout: not a row more, and nothing moves.
    let second = world.begin().await?;
    let stored = world.stored().await?;
    for secret in [SECRET_BEFORE, SECRET] {
        let again = world.pagerduty("default", secret, &triggered);
        assert_eq!(send(again).await?, said(200, "repeated"));
    }
    assert_eq!(world.stored().await?, stored, "a repeated body was stored again");
    world.assert_untouched(&second).await?;

    // The next incident is another one, and counts.
    let next = body("pagerduty/incident.triggered.json", &now())?;
    let next = next.replace("PGR0VU2", "PGR0VU9").replace("R000009", "R000010");
    assert_eq!(
        send(world.pagerduty("default", SECRET, &next)).await?,
        said(200, "stored")
    );
    world.assert_rolled_back(&second).await
}

#[tokio::test]
async fn an_alert_of_grafana_shuts_the_gate_and_the_same_body_again_does_nothing() -> Result<()> {
    let world = World::start().await?;
    let first = world.begin().await?;
    let firing = body("grafana/firing.json", &now())?;
    let proof = (TOKEN, SECRET);

    let elsewhere = world.grafana(
        "staging",
        proof,
        &firing.replace("c6eadffa33fcdf37", "c6eadffa33fcdf36"),
    );
    assert_eq!(send(elsewhere).await?, said(200, "stored"));
    let small = firing
        .replace("critical", "warning")
        .replace("c6eadffa33fcdf37", "c6eadffa33fcdf38");
    assert_eq!(
        send(world.grafana("default", proof, &small)).await?,
        said(200, "stored")
    );
    for half in [("a-guess", SECRET), (TOKEN, "a-guess")] {
        let forged = world.grafana("default", half, &firing);
        assert_eq!(send(forged).await?, said(401, "unproven"), "{half:?}");
    }
    world.assert_untouched(&first).await?;

    let request = world.grafana("default", (TOKEN_BEFORE, SECRET_BEFORE), &firing);
    assert_eq!(send(request).await?, said(200, "stored"));
    world.assert_rolled_back(&first).await?;

    // Grafana numbers nothing, and repeats what goes on: that is stored again, and the alert itself is recognised.
    let lines = history(&world, &first).await?;
    for _ in 0..3 {
        assert_eq!(
            send(world.grafana("default", proof, &firing)).await?,
            said(200, "stored")
        );
    }
    world.everything_is_decided().await?;
    assert_eq!(history(&world, &first).await?, lines, "what is over was moved");
    let resolved = firing.replace(r#""firing""#, r#""resolved""#);
    let resolved = resolved.replace("0001-01-01T00:00:00Z", &now());
    assert_eq!(
        send(world.grafana("default", proof, &resolved)).await?,
        said(200, "stored")
    );

    // Said again after its end, and with nobody who could be asked: people look, and nothing moves by itself.
    let second = world.begin().await?;
    assert_eq!(
        send(world.grafana("default", proof, &firing)).await?,
        said(200, "stored")
    );
    world.everything_is_decided().await?;
    let card = world.card(&second).await?;
    ensure!(card["state"] == "HELD" && card["weight"] == "100%", "{card}");
    ensure!(card.to_string().contains("came back after its end"), "{card}");
    ensure!(world.server.flag(FLAG, "ana").await?, "the flag is off");

    // The next one is another one, and counts.
    let next = body("grafana/firing.json", &now())?.replace("c6eadffa33fcdf37", "c6eadffa33fcdf39");
    assert_eq!(send(world.grafana("default", proof, &next)).await?, said(200, "stored"));
    world.assert_rolled_back(&second).await
}

async fn history(world: &World, rollout: &str) -> Result<usize> {
    let (_, log) = world.server.get(&format!("/api/v1/rollouts/{rollout}/log")).await?;
    let lines = log["entries"].as_array().context("no log")?;
    ensure!(!lines.is_empty(), "an empty log");
    Ok(lines.len())
}
