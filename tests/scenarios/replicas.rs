//! Two replicas on one PostgreSQL, both alive: what one shuts, the other has shut before anybody says so; and what a dead one
//! had begun, the other brings to its end.
//!
//! A replica that stands still cannot say that it serves a new weight, so the other one waits for it with the write done and
//! nothing reported. That is the moment in which it is killed. Refuses to hope for that moment: the database shows it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use serde_json::json;
use sqlx::{Connection as _, PgConnection};
use tidegate_tests::postgres::Postgres;
use tidegate_tests::tidegate::{Setup, Tidegate};
use tidegate_tests::wait;

use crate::crash::client::{Alert, Client};
use crate::crash::ledger::{Database, log_is_whole};
use crate::crash::{FLAG, PLAN, SERVICE};

/// Longer than anything here takes on a busy machine; nothing waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long it may take until another replica has brought to its end what a dead one had begun.
const TAKEN_OVER: Duration = Duration::from_secs(15);
/// A raise waits until the lease of the dead has run out, by the clock of the database, and is done then: promised, too.
const LED_AGAIN: Duration = Duration::from_secs(15);
/// So many rollouts are rolled back one after another.
const ROUNDS: u64 = 5;

/// Two phases, the second of which waits for a person.
fn setup(url: &str) -> Result<Setup> {
    let phase = |name, weight, gate| json!({ "name": name, "weight": weight, "bake": "100ms", "gate": gate });
    let plan = json!({
        "apiVersion": "tidegate.dev/v1alpha1",
        "kind": "RolloutPlan",
        "metadata": { "name": PLAN, "labels": { "tidegate.dev/demo": "true" } },
        "spec": {
            "title": "The gate with two keepers", "service": SERVICE, "environment": "production",
            "target": { "flag": { "key": FLAG } },
            "phases": [phase("half", "50%", "manual"), phase("all", "100%", "auto")],
            "watch": "1d",
            "triggers": [{
                "name": "errors", "alert": { "matchers": ["alertname=\"ErrorRateHigh\""] }, "severity": "sev1",
            }],
            "severities": { "sev1": { "action": "rollback" } },
            "alerts": { "receivers": ["default"], "watchdog": "required" },
            "audiences": { "team": { "channels": ["chat", "log"], "hears": "everything" } },
        },
    });
    let budget = json!({ "environments": { "budget": { "automatic_rollbacks": 1_000, "window": "15m" } } });
    Setup::new()?.plan(PLAN, &plan.to_string())?.with(budget).postgres(url)
}

/// Two replicas; `one` leads.
struct Pair {
    one: Tidegate,
    other: Tidegate,
    to_one: Client,
    to_other: Client,
    database: Database,
    url: String,
    _server: Arc<Postgres>,
}

impl Pair {
    async fn start() -> Result<Self> {
        let server = Postgres::shared().await?;
        let url = server.create_database().await?;
        let database = Database::Postgres(url.clone());
        let one = setup(&url)?.start().await?;
        wait::until("the first one leads", PATIENCE, async || {
            let leaders = database
                .column("SELECT holder FROM leases WHERE expires_at > 0")
                .await?;
            ensure!(leaders.len() == 1, "{leaders:?} lead");
            Ok(())
        })
        .await?;
        let other = setup(&url)?.start().await?;
        wait::until("both live", PATIENCE, async || {
            let replicas = database.column("SELECT id FROM replicas WHERE seen_at > 0").await?;
            ensure!(replicas.len() == 2, "{replicas:?} live");
            Ok(())
        })
        .await?;
        Ok(Self {
            to_one: Client::of(&one)?,
            to_other: Client::of(&other)?,
            one,
            other,
            database,
            url,
            _server: server,
        })
    }

    /// Starts the plan at the first one, and waits until it stands at its gate and both serve it.
    async fn begin(&self) -> Result<String> {
        for client in [&self.to_one, &self.to_other] {
            client.fire(&[Alert::watchdog()]).await?;
        }
        let mut key = format!("start-{}", tidegate::clock::now());
        let id = self.to_one.begin(PLAN, &mut key).await?.1.rollout()?;
        for client in [&self.to_one, &self.to_other] {
            client.serves(&id, 50.0, PATIENCE).await?;
        }
        wait::until(&format!("{id} waits at its gate"), PATIENCE, async || {
            let state = self.to_one.state(&id).await?;
            ensure!(state == "WAITING", "{state}");
            Ok(())
        })
        .await?;
        Ok(id)
    }

    /// Stops the other one where it holds nothing in the database that the first would wait for.
    async fn freeze_the_other(&mut self) -> Result<()> {
        let mut link = PgConnection::connect(&self.url).await?;
        wait::until("the other one stands still", PATIENCE, async || {
            self.other.program()?.signal(Signal::STOP)?;
            let open = "SELECT COUNT(*) FROM pg_stat_activity
                         WHERE datname = current_database() AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%'";
            let (open,): (i64,) = sqlx::query_as(open).fetch_one(&mut link).await?;
            if open > 0 {
                self.other.program()?.signal(Signal::CONT)?;
            }
            ensure!(open == 0, "{open} transactions are open");
            Ok(())
        })
        .await
    }

    /// Waits until the first one has written `weight` and has not said so yet, kills it, and lets the other one go on.
    async fn kill_before_it_reports(&mut self, rollout: &str, weight: f64) -> Result<Instant> {
        self.to_one.serves(rollout, weight, PATIENCE).await?;
        let open = "SELECT id FROM actions WHERE outcome IS NULL AND claimed_until > 0";
        let open = self.database.column(open).await?;
        self.one.kill()?;
        let died = Instant::now();
        // Nobody writes any more: what is open now was open when it died.
        let left = self
            .database
            .column("SELECT id FROM actions WHERE outcome IS NULL")
            .await?;
        ensure!(
            !open.is_empty() && !left.is_empty(),
            "it was done already: {open:?}, {left:?}"
        );
        self.other.program()?.signal(Signal::CONT)?;
        Ok(died)
    }
}

/// On SQLite there is one process: another one would answer flags from a memory of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_else_serves_from_a_directory_that_is_served_from() -> Result<()> {
    let first = crate::crash::setup()?.start().await?;
    let data = first.scratch().path().join("data");
    let mut second = crate::crash::setup()?
        .with(json!({ "storage": { "path": data } }))
        .install()?;
    second.launch_again()?;
    let ended = second.program()?.exit(PATIENCE).await?;
    ensure!(!ended.success(), "{ended}");
    let said = second.program()?.tail();
    ensure!(
        said.contains("another Tidegate serves from") && said.contains("stop it first"),
        "{said}"
    );
    let (status, _) = first.get("/api/v1/whoami").await?;
    ensure!(status.is_success(), "{status}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_says_rolled_back_before_every_replica_serves_zero() -> Result<()> {
    let pair = Pair::start().await?;
    for round in 1..=ROUNDS {
        let id = pair.begin().await?;
        let said = json!({ "verb": "rollback", "rollout": id, "reason": "both shall know" });
        // By turns at the one that leads and at the other.
        let (near, far) = match round % 2 {
            0 => (&pair.to_other, &pair.to_one),
            _ => (&pair.to_one, &pair.to_other),
        };
        near.say(&format!("rollback-{round}"), &said).await?.rollout()?;
        wait::until(&format!("{id} is rolled back"), PATIENCE, async || {
            // Asked without a pause: the moment in which it is said first is what counts. And evaluated, so that nobody waits for
            // traffic to be seen.
            while near.state(&id).await? != "ROLLED BACK" {
                near.flag().await?;
            }
            Ok(())
        })
        .await?;
        for (name, client) in [("far", far), ("near", near)] {
            let served = client.flag().await?.context("no flag")?;
            ensure!(
                served.rollout == id && served.weight == 0.0,
                "round {round}: it was said, and the {name} one serves {served:?}"
            );
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_dies_in_the_middle_of_an_advance_is_followed_by_one_that_ends_it() -> Result<()> {
    let mut pair = Pair::start().await?;
    let id = pair.begin().await?;
    pair.freeze_the_other().await?;
    let said = json!({ "verb": "advance", "rollout": id });
    pair.to_one.say("advance", &said).await?.rollout()?;
    let died = pair.kill_before_it_reports(&id, 100.0).await?;
    pair.to_other.fire(&[Alert::watchdog()]).await?;
    wait::until(&format!("{id} has advanced"), LED_AGAIN, async || {
        let state = pair.to_other.state(&id).await?;
        ensure!(state == "WATCHING", "{state}");
        Ok(())
    })
    .await?;
    println!(
        "counted: from the death of the leader to the end of its advance: {:.1?}",
        died.elapsed()
    );
    pair.to_other.serves(&id, 100.0, PATIENCE).await?;
    // It leads as the first one did: the way back is open.
    pair.to_other.fire(&[Alert::errors(1)]).await?;
    pair.to_other.rolled_back(&id, PATIENCE).await?;
    log_is_whole(&pair.other).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_that_was_answered_by_a_replica_that_dies_is_brought_to_its_end_by_the_other() -> Result<()> {
    let mut pair = Pair::start().await?;
    let id = pair.begin().await?;
    pair.freeze_the_other().await?;
    // Returns only after a 200.
    pair.to_one.fire(&[Alert::errors(1)]).await?;
    let died = pair.kill_before_it_reports(&id, 0.0).await?;
    ensure!(
        pair.database.left_open().await?.contains(&id),
        "it was over before the kill"
    );
    pair.to_other.rolled_back(&id, TAKEN_OVER).await?;
    println!(
        "counted: from the death of who answered to rolled back: {:.1?}",
        died.elapsed()
    );
    log_is_whole(&pair.other).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_is_not_lost_with_the_replica_that_had_just_answered_it() -> Result<()> {
    let mut pair = Pair::start().await?;
    let id = pair.begin().await?;
    pair.to_one.fire(&[Alert::errors(1)]).await?;
    pair.one.kill()?;
    let died = Instant::now();
    pair.to_other.rolled_back(&id, TAKEN_OVER).await?;
    println!(
        "counted: from the death right after the answer to rolled back: {:.1?}",
        died.elapsed()
    );
    Ok(())
}
