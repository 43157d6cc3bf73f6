//! What is wrong is refused by the real server, and costs nothing: not a row more or less, and the next good alert still
//! shuts the gate.
//!
//! Owns the whole way, from the socket to the table. The long list of bodies that make no sense is in the tests of the
//! `webhooks` package; here is one of each kind.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};
use tidegate_tests::postgres::Postgres;
use tidegate_tests::tidegate::{RECEIVER_TOKEN, Tidegate};
use tidegate_tests::{http, wait};

use crate::crash::client::{Alert, Client};
use crate::crash::ledger::Database;
use crate::crash::{PLAN, setup};

/// Longer than a start or a rollback takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

const PAGERDUTY_SECRET: &str = "the-secret-of-pagerduty";

/// A server with a rollout that carries traffic, and the clients that talk to it.
struct World {
    server: Tidegate,
    client: Client,
    http: reqwest::Client,
    rollout: String,
}

impl World {
    async fn start(setup: tidegate_tests::tidegate::Setup) -> Result<Self> {
        let receiver = |file| json!({ "receivers": { "pagerduty": { "default": { "secret_file": file } } } });
        let setup = setup.secret_file("pagerduty.secret", PAGERDUTY_SECRET, receiver)?;
        let server = setup.start().await?;
        let client = Client::of(&server)?;
        client.fire(&[Alert::watchdog()]).await?;
        let rollout = wait::until("the rollout starts", PATIENCE, async || {
            let key = format!("start-{}", tidegate::clock::now());
            let said = json!({ "verb": "start", "plan": PLAN });
            client.say(&key, &said).await?.rollout()
        })
        .await?;
        client.serves(&rollout, 100.0, PATIENCE).await?;
        let http = http::client()?;
        Ok(Self {
            server,
            client,
            http,
            rollout,
        })
    }

    /// A request to an Alertmanager route, as Alertmanager would make it.
    fn alertmanager(&self, body: impl Into<reqwest::Body>) -> RequestBuilder {
        let request = self.http.post(self.server.webhook()).bearer_auth(RECEIVER_TOKEN);
        request.header("content-type", "application/json").body(body)
    }

    /// Everything that webhooks have left behind.
    async fn stored(&self, database: &Database) -> Result<BTreeSet<String>> {
        let mut rows = BTreeSet::new();
        for sql in ["SELECT id FROM deliveries", "SELECT fingerprint FROM alerts"] {
            rows.extend(database.column(sql).await?);
        }
        Ok(rows)
    }

    /// The next good alert rolls back.
    async fn a_good_alert_shuts_the_gate(&self) -> Result<()> {
        self.client.fire(&[Alert::errors(1)]).await?;
        self.client.rolled_back(&self.rollout, PATIENCE).await
    }
}

/// A request with something wrong about it, and how it is refused.
struct Wrong {
    name: &'static str,
    request: RequestBuilder,
    status: u16,
    code: &'static str,
}

fn wrong(name: &'static str, request: RequestBuilder, status: u16, code: &'static str) -> Wrong {
    Wrong {
        name,
        request,
        status,
        code,
    }
}

/// A delivery with one alert that would roll back, were it believed.
fn deadly() -> Value {
    json!({ "version": "4", "status": "firing", "alerts": [Alert::errors(7).to_json(false)] })
}

fn with(pointer: &str, key: &str, value: Value) -> String {
    let mut body = deadly();
    body.pointer_mut(pointer).unwrap()[key] = value;
    body.to_string()
}

fn strangers(world: &World) -> Vec<Wrong> {
    let bare = || {
        let request = world.http.post(world.server.webhook()).body(deadly().to_string());
        request.header("content-type", "application/json")
    };
    let pagerduty = |signature: &str| {
        let url = world.server.url("/webhooks/pagerduty");
        let request = world.http.post(url).header("content-type", "application/json");
        request.header("x-pagerduty-signature", signature).body("{}")
    };
    let hash = "0".repeat(64);
    let nobody = world.http.post(world.server.url("/webhooks/alertmanager/nobody"));
    vec![
        wrong("no token", bare(), 401, "unproven"),
        wrong("a wrong token", bare().bearer_auth("guess"), 401, "unproven"),
        wrong(
            "the administrator's token",
            bare().bearer_auth(world.server.token().unwrap()),
            401,
            "unproven",
        ),
        wrong(
            "a password",
            bare().basic_auth("default", Some(RECEIVER_TOKEN)),
            401,
            "unproven",
        ),
        wrong("a forged signature", pagerduty(&format!("v1={hash}")), 401, "unproven"),
        wrong("no signature of a kind we know", pagerduty("v0=00"), 401, "unproven"),
        wrong(
            "a receiver that nobody configured",
            nobody.bearer_auth(RECEIVER_TOKEN),
            404,
            "no-receiver",
        ),
    ]
}

fn wrong_kinds(world: &World) -> Vec<Wrong> {
    let typed = |kind: &str| {
        let request = world.http.post(world.server.webhook()).bearer_auth(RECEIVER_TOKEN);
        request.header("content-type", kind).body(deadly().to_string())
    };
    let compressed = world
        .alertmanager(deadly().to_string())
        .header("content-encoding", "gzip");
    vec![
        wrong("text", typed("text/plain"), 415, "wrong-content-type"),
        wrong(
            "a form",
            typed("application/x-www-form-urlencoded"),
            415,
            "wrong-content-type",
        ),
        wrong("compressed", compressed, 415, "compressed"),
    ]
}

fn wrong_bodies(world: &World) -> Vec<Wrong> {
    let padding = "x".repeat(9 << 20);
    let mut not_utf8 = deadly().to_string().into_bytes();
    not_utf8[20] = 0xff;
    let cut = deadly().to_string();
    let body = |name, body: Vec<u8>| wrong(name, world.alertmanager(body), 400, "malformed");
    let text = |name, text: String| body(name, text.into_bytes());
    vec![
        wrong(
            "nine mebibytes",
            world.alertmanager(with("", "externalURL", padding.into())),
            413,
            "too-large",
        ),
        text("nothing", String::new()),
        text("half of it", cut[..cut.len() / 2].to_owned()),
        text("nested a hundred thousand deep", "[".repeat(100_000)),
        text(
            "nested inside a label",
            with("/alerts/0/labels", "deep", json!([[[[]]]])),
        ),
        text("alerts are a word", with("", "alerts", "firing".into())),
        text("a label is a number", with("/alerts/0/labels", "severity", 1.into())),
        text("a start that is no time", with("/alerts/0", "startsAt", "soon".into())),
        text(
            "truncated by a negative number",
            with("", "truncatedAlerts", (-1).into()),
        ),
        body("not UTF-8", not_utf8),
        body(
            "a raw NUL",
            deadly().to_string().replacen("firing", "fir\0ing", 1).into_bytes(),
        ),
    ]
}

#[tokio::test]
async fn what_is_wrong_is_refused_and_leaves_nothing_behind() -> Result<()> {
    let world = World::start(setup()?).await?;
    let database = Database::of(&world.server);
    let before = world.stored(&database).await?;
    ensure!(!before.is_empty(), "the watchdog was not stored");
    let all = [strangers(&world), wrong_kinds(&world), wrong_bodies(&world)];
    for Wrong {
        name,
        request,
        status,
        code,
    } in all.into_iter().flatten()
    {
        let answer = request.send().await.with_context(|| format!("{name}: no answer"))?;
        let got = answer.status();
        let kind = answer.headers().get("content-type").cloned();
        let problem: Value = answer.json().await.with_context(|| format!("{name}: {got}"))?;
        assert_eq!((got.as_u16(), problem["code"].as_str()), (status, Some(code)), "{name}");
        assert_eq!(kind.unwrap(), "application/problem+json", "{name}");
        assert_ne!(problem["detail"], "", "{name}");
        assert!(!problem.to_string().contains(RECEIVER_TOKEN), "{name}: {problem}");
        assert_eq!(world.stored(&database).await?, before, "{name} left something behind");
    }
    let served = world.client.flag().await?;
    ensure!(served.is_some_and(|served| served.weight == 100.0), "the gate moved");
    world.a_good_alert_shuts_the_gate().await
}

/// Nothing is said about no alerts, and that is not an error of the sender.
#[tokio::test]
async fn no_alerts_at_all_are_taken_and_change_nothing() -> Result<()> {
    let world = World::start(setup()?).await?;
    let status = world.server.deliver(r#"{"version":"4","alerts":[]}"#).await?;
    assert_eq!(status, StatusCode::OK);
    let served = world.client.flag().await?;
    ensure!(served.is_some_and(|served| served.weight == 100.0), "the gate moved");
    world.a_good_alert_shuts_the_gate().await
}

/// A neighbour that makes no sense does not cost the alert beside it.
#[tokio::test]
async fn a_good_alert_among_bad_ones_is_heard() -> Result<()> {
    let world = World::start(setup()?).await?;
    let mut body = deadly();
    let alerts = body["alerts"].as_array_mut().context("no alerts")?;
    alerts.insert(0, json!("firing"));
    alerts.push(json!({ "status": "firing", "labels": { "alertname": 7 } }));
    assert_eq!(world.server.deliver(body.to_string()).await?, StatusCode::OK);
    world.client.rolled_back(&world.rollout, PATIENCE).await
}

/// Somebody else holds the file's lock for longer than the server waits.
#[tokio::test]
async fn what_sqlite_cannot_store_is_answered_503_and_taken_when_it_is_sent_again() -> Result<()> {
    let world = World::start(setup()?).await?;
    let database = Database::of(&world.server);
    let before = world.stored(&database).await?;
    let file = world.server.scratch().path().join("data/tidegate.db");
    let mut blocker = SqliteConnectOptions::new().filename(file).connect().await?;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut blocker).await?;
    let answer = world.alertmanager(deadly().to_string()).send().await?;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers().contains_key("retry-after"));
    let problem: Value = answer.json().await?;
    assert!(!problem.to_string().contains("lock"), "our trouble is told: {problem}");
    sqlx::query("ROLLBACK").execute(&mut blocker).await?;
    blocker.close().await?;
    assert_eq!(world.stored(&database).await?, before, "it was stored all the same");
    world.a_good_alert_shuts_the_gate().await
}

#[tokio::test]
async fn what_postgresql_cannot_store_is_answered_503_and_taken_when_it_is_sent_again() -> Result<()> {
    let mut postgres = Postgres::start().await?;
    let url = postgres.create_database().await?;
    let world = World::start(setup()?.postgres(&url)?).await?;
    postgres.stop().await?;
    let answer = world.alertmanager(deadly().to_string()).send().await?;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers().contains_key("retry-after"));
    postgres.start_again().await?;
    wait::until("the same delivery is taken", PATIENCE, async || {
        let status = world.server.deliver(deadly().to_string()).await?;
        ensure!(status == StatusCode::OK, "{status}");
        Ok(())
    })
    .await?;
    world.client.rolled_back(&world.rollout, PATIENCE).await
}
