//! How cost grows: with the number of stored alerts, and with the number of active rollouts.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;
use tidegate::store::{Begun, Opening, Saved, Storage, Store};
use tidegate_rollout::begin::Start;
use tidegate_rollout::surroundings::{Poll, Surroundings};
use tidegate_rollout::{Actor, Event, Outcome, PersonId, Plan, ReadBack, Role, Rollout, Step, Surface, step};
use tidegate_tests::tidegate::{Setup, Tidegate};
use tidegate_tests::wait;

use crate::load::{self, GROUP};
use crate::table::Table;
use crate::usage;

/// CPU per alert with 10 and 100 times as many stored alerts as in the beginning.
pub(crate) async fn stored_alerts(table: &mut Table) -> Result<()> {
    let mut server = Setup::new()?.start().await?;
    let process = usage::process(&mut server)?;
    let url = server.webhook();
    let mut stored = 0;
    for goal in [1_000, 10_000, 100_000] {
        while stored < goal {
            stored += load::groups(&url, 64, Duration::from_millis(300)).await?.requests * GROUP;
        }
        let before = usage::cpu(process)?;
        let done = load::groups(&url, 64, Duration::from_secs(1)).await?;
        let alerts = done.requests * GROUP;
        stored += alerts;
        #[expect(clippy::cast_precision_loss, reason = "CPU per thousand alerts")]
        let cost = (usage::cpu(process)? - before) * 1_000.0 / (alerts as f64 / 1_000.0);
        table.figure(
            &format!("CPU per 1,000 alerts with {goal} stored or more"),
            "ms",
            &[cost],
            format!("{stored} stored at the end"),
        );
    }
    Ok(())
}

/// 10,000 rollouts that bake: what they cost a server that has nothing else to do.
pub(crate) async fn ticking(table: &mut Table) -> Result<()> {
    const ROLLOUTS: usize = 10_000;
    let mut server = Setup::new()?.start().await?;
    server.stop().await?;
    let store = Store::open(&Storage::directory(server.scratch().path().join("data"))).await?;
    for number in 0..ROLLOUTS {
        begin(&store, number).await?;
    }
    store.close().await;
    let returned = Instant::now();
    server.start_within(Duration::from_secs(180)).await?;
    table.figure(
        "start with 10,000 rollouts under way",
        "s",
        &[returned.elapsed().as_secs_f64()],
        "each is told that nobody watched meanwhile",
    );
    let process = usage::process(&mut server)?;
    let (mut load, lasting) = (Vec::new(), 5.0);
    // The starts of them all are told first; then it is the steady state.
    all_is_told(&server).await?;
    let told = returned.elapsed().as_secs_f64();
    table.figure(
        "until all of their notices are told",
        "s",
        &[told],
        "two for each, to the log",
    );
    for _ in 0..3 {
        let before = usage::cpu(process)?;
        tokio::time::sleep(Duration::from_secs_f64(lasting)).await;
        load.push((usage::cpu(process)? - before) / lasting * 100.0);
    }
    table.figure(
        "CPU of 10,000 baking rollouts",
        "% of one core",
        &load,
        "looked at four times a second",
    );
    table.figure(
        "memory with 10,000 active rollouts",
        "MiB",
        &[usage::resident(process)?],
        "",
    );
    Ok(())
}

async fn all_is_told(server: &Tidegate) -> Result<()> {
    let file = server.scratch().path().join("data/tidegate.db");
    let mut reader = SqliteConnectOptions::new()
        .filename(file)
        .read_only(true)
        .connect()
        .await?;
    wait::until("all is told", Duration::from_secs(600), async || {
        let waiting = "SELECT COUNT(*) FROM messages WHERE state = 'waiting'";
        let left: i64 = sqlx::query_scalar(waiting).fetch_one(&mut reader).await?;
        ensure!(left == 0, "{left} messages wait");
        Ok(())
    })
    .await
}

fn plan(number: usize) -> Result<Arc<Plan>> {
    let text = format!(
        r#"{{"apiVersion":"tidegate.dev/v1alpha1","kind":"RolloutPlan","metadata":{{"name":"p{number}"}},"spec":{{
            "title":"Plan {number}","service":"s{number}","environment":"e{}","target":{{"flag":{{"key":"f{number}"}}}},
            "phases":[{{"name":"one","weight":"10%","bake":"10d"}}],"watch":"1d",
            "triggers":[{{"name":"any","alert":{{"matchers":["alertname=\"Any\""]}},"severity":"sev1"}}],
            "severities":{{"sev1":{{"action":"rollback"}}}},"alerts":{{"watchdog":"none"}}}}}}"#,
        number % 10
    );
    Ok(Arc::new(serde_json::from_str(&text)?))
}

#[expect(clippy::disallowed_methods, reason = "a rollout begins now")]
async fn begin(store: &Store, number: usize) -> Result<()> {
    let now = jiff::Timestamp::now();
    let plan = plan(number)?;
    let target = plan.spec.target.name();
    let opening = Opening {
        also: &[],
        plan: plan.name(),
        target: &target,
        environment: &plan.spec.environment,
        service: Some(&plan.spec.service),
        window_since: now,
        cause: None,
        now,
    };
    let around = Surroundings {
        poll: Poll::NotConfigured,
        ..Surroundings::calm(now)
    };
    let begun = store
        .begin(opening, |facts| {
            let start = Start {
                plan: plan.clone(),
                inputs: std::collections::BTreeMap::new(),
                actor: Actor {
                    person: PersonId::new("bench"),
                    roles: BTreeSet::from([Role::Admin]),
                    surface: Surface::Api,
                },
                counter: facts.counter,
                recent: facts.recent,
                target_busy: facts.target_busy,
                target_epoch: facts.target_epoch,
            };
            Rollout::begin(start, &around, now)
        })
        .await
        .context("could not store a start")?;
    match begun {
        Begun::Started { step: first, .. } => bake(store, &first, &around, now).await,
        other => bail!("not started: {other:?}"),
    }
}

/// The target took the weight of the first phase.
async fn bake(store: &Store, first: &Step, around: &Surroundings, now: jiff::Timestamp) -> Result<()> {
    let action = first.actions.first().context("nothing was asked of the target")?;
    let read_back = ReadBack {
        weight: first.next.wanted,
        how: "read back".to_owned(),
        seen_in_traffic: false,
        observed: None,
        at: now,
    };
    let reported = Event::Reported {
        action: action.id.clone(),
        outcome: Outcome::Applied(read_back),
    };
    let baking = step(&first.next, around, &reported, now)?;
    let saved = store.save(&baking, 0, None, now).await?;
    ensure!(saved == Saved::Done, "not saved: {saved:?}");
    store.close_action(&action.id, "applied").await?;
    Ok(())
}
