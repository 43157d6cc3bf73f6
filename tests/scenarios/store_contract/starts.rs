//! A start has its targets for itself, and holds up no rollback while it waits.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use sqlx::{Connection as _, PgConnection};
use tidegate::store::{Begun, Saved, Store};
use tidegate_rollout::plan::{Hook, Run};
use tidegate_rollout::{Code, Period, Plan};
use tidegate_tests::wait;

use super::on_both;
use super::world::{World, after, begin, decided, noon, plan, plan_falling_back, rollback, started};

on_both!(
    a_target_and_a_way_back_are_nobody_elses,
    a_way_back_is_held_by_a_first_step_that_raises_no_epoch_and_by_who_began_long_ago,
    a_start_that_waits_in_a_storm_holds_up_no_rollback,
);

async fn refused_for(store: &Store, plan: &std::sync::Arc<Plan>) -> Result<Option<String>> {
    Ok(match begin(store, plan, None, noon()).await? {
        Begun::Refused(refusal) => {
            ensure!(refusal.code == Code::R406, "{refusal}");
            Some(refusal.message)
        }
        Begun::Started { .. } | Begun::SettledBefore => None,
    })
}

async fn a_target_and_a_way_back_are_nobody_elses(world: World) -> Result<()> {
    let store = world.open().await?;
    let carried = started(&store, &plan_falling_back("cart", "cart", "shop"), noon()).await?;
    let others = [
        ("its target", plan("one", "cart")),
        ("what it falls back on", plan("two", "shop")),
        ("its target, as a way back", plan_falling_back("three", "three", "cart")),
        ("the same way back", plan_falling_back("four", "four", "shop")),
    ];
    for (what, other) in &others {
        let message = refused_for(&store, other).await?.context(*what)?;
        ensure!(message.contains(carried.id.as_str()), "{what}: {message}");
    }
    ensure!(
        refused_for(&store, &plan_falling_back("five", "five", "six"))
            .await?
            .is_none()
    );
    // A row that cannot be read is still in the way of its own target.
    world
        .tamper(&format!(
            "UPDATE rollouts SET document = '{{}}' WHERE id = '{}'",
            carried.id
        ))
        .await?;
    ensure!(refused_for(&store, &others[0].1).await?.is_some());
    world
        .tamper(&format!("UPDATE rollouts SET is_final = 1 WHERE id = '{}'", carried.id))
        .await?;
    ensure!(refused_for(&store, &others[1].1).await?.is_none(), "it is over");
    Ok(())
}

/// Hooks before the first phase put the first raise off. And a version before did not note who holds what.
async fn a_way_back_is_held_by_a_first_step_that_raises_no_epoch_and_by_who_began_long_ago(world: World) -> Result<()> {
    let store = world.open().await?;
    let falling_back = plan_falling_back("cart", "cart", "shop");
    let first = started(&store, &falling_back, noon()).await?;
    world
        .tamper(&format!("UPDATE rollouts SET is_final = 1 WHERE id = '{}'", first.id))
        .await?;
    let mut hooked = Plan::clone(&falling_back);
    let backup = Hook {
        run: Run::Command(vec!["backup".to_owned()]),
        timeout: Period::minutes(1),
        idempotent: false,
        attempts: 1,
        pause: Period::seconds(1),
    };
    hooked.spec.hooks = [("backup".to_owned(), backup)].into();
    hooked.spec.phases[0].hooks.before = vec!["backup".to_owned()];
    let carried = started(&store, &Arc::new(hooked), noon()).await?;
    ensure!(carried.epoch == first.epoch, "{} after {}", carried.epoch, first.epoch);
    let other = plan("two", "shop");
    let message = refused_for(&store, &other).await?.context("its rung is free")?;
    ensure!(message.contains(carried.id.as_str()), "{message}");

    world.tamper("UPDATE targets SET rollout = NULL").await?;
    store.hold_rungs(&carried).await?;
    let message = refused_for(&store, &other).await?.context("its rung was forgotten")?;
    ensure!(message.contains(carried.id.as_str()), "{message}");
    Ok(())
}

/// Whoever stores deliveries that concern nobody keeps starts away until that is committed; on SQLite nobody waits for
/// anything but the one writer.
async fn a_start_that_waits_in_a_storm_holds_up_no_rollback(world: World) -> Result<()> {
    if !world.is_postgres() {
        return Ok(());
    }
    let store = world.open().await?;
    let running = started(&store, &plan("cart", "cart"), noon()).await?;
    let mut storm = PgConnection::connect(world.url()).await?;
    let mut storm = storm.begin().await?;
    sqlx::query("SELECT value FROM counters WHERE name = 'starts' FOR SHARE")
        .fetch_one(&mut *storm)
        .await?;
    let start = tokio::spawn({
        let store = store.clone();
        async move { begin(&store, &plan("shop", "shop"), None, noon()).await }
    });
    let mut watcher = PgConnection::connect(world.url()).await?;
    wait::until("the start waits", Duration::from_secs(20), async || {
        let waiting = "SELECT COUNT(*) FROM pg_locks WHERE NOT granted";
        let (waiting,): (i64,) = sqlx::query_as(waiting).fetch_one(&mut watcher).await?;
        ensure!(waiting > 0);
        Ok(())
    })
    .await?;
    let mut step = decided(&running, &rollback("bad"), after(1));
    // As an automatic one, which also needs what its environment shares.
    step.spends_budget = true;
    let saving = store.save(&step, 0, None, after(1));
    let saved = tokio::time::timeout(Duration::from_secs(5), saving).await;
    ensure!(
        matches!(saved, Ok(Ok(Saved::Done))),
        "it waits for the start: {saved:?}"
    );
    ensure!(!start.is_finished(), "the start waits for the storm");
    storm.commit().await?;
    let begun = start.await??;
    ensure!(matches!(begun, Begun::Started { .. }), "{begun:?}");
    Ok(())
}
