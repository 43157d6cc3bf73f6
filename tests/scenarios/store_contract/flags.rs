//! A flag is written by the latest decision, or not at all.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use sqlx::{Connection as _, PgConnection};
use tidegate::store::{FlagWrite, Store};
use tidegate_rollout::flag::FlagState;
use tidegate_rollout::{Rollout, Weight};
use tidegate_tests::wait;

use super::on_both;
use super::world::{World, after, noon, plan, rollback, started, took};

on_both!(
    a_flag_is_there_once_written,
    stale_epoch_write_is_refused_at_target,
    an_equal_epoch_of_another_rollout_is_fenced,
    nothing_raises_after_a_durable_rollback,
    many_flags_share_one_revision,
);

fn flag(rollout: &str, epoch: u64, percent: u8) -> FlagState {
    FlagState {
        key: "checkout-v2".to_owned(),
        weight: Weight::percent(percent),
        members: BTreeSet::from(["mara".to_owned()]),
        epoch,
        rollout: rollout.to_owned(),
    }
}

async fn written(store: &Store, flag: &FlagState) -> Result<Option<u64>> {
    Ok(match store.write_flag(flag).await? {
        FlagWrite::Written { revision } => Some(revision),
        FlagWrite::Fenced { .. } => None,
    })
}

async fn a_flag_is_there_once_written(world: World) -> Result<()> {
    let store = world.open().await?;
    ensure!(store.flags().await? == (vec![], 0));
    let state = flag("checkout-1", 1, 10);
    let revision = written(&store, &state).await?;
    ensure!(revision == Some(1));
    ensure!(
        written(&store, &state).await? == revision,
        "the same again changes nothing"
    );
    store.close().await;
    let again = world.open().await?;
    ensure!(again.flags().await? == (vec![state], 1));
    Ok(())
}

/// A delayed writer put an old plan over a newer one (AWS DynamoDB, October 2025). Its name is the one in the list of promises; the
/// core's half is `every_write_is_above_all_epochs_before`, that of the pods is in the suite `kubernetes`.
async fn stale_epoch_write_is_refused_at_target(world: World) -> Result<()> {
    let store = world.open().await?;
    ensure!(written(&store, &flag("checkout-1", 3, 0)).await?.is_some());
    let stale = store.write_flag(&flag("checkout-1", 2, 50)).await?;
    ensure!(stale == FlagWrite::Fenced { epoch: 3 });
    ensure!(store.flags().await?.0 == [flag("checkout-1", 3, 0)]);
    ensure!(
        written(&store, &flag("checkout-2", 4, 10)).await? == Some(2),
        "a higher one passes"
    );
    Ok(())
}

async fn an_equal_epoch_of_another_rollout_is_fenced(world: World) -> Result<()> {
    let store = world.open().await?;
    written(&store, &flag("checkout-1", 3, 0)).await?;
    let other = store.write_flag(&flag("checkout-2", 3, 50)).await?;
    ensure!(other == FlagWrite::Fenced { epoch: 3 });
    ensure!(
        written(&store, &flag("checkout-1", 3, 5)).await?.is_some(),
        "its own write is set-to-value"
    );
    Ok(())
}

async fn raised_then_rolled_back(store: &Store) -> Result<(Rollout, Rollout)> {
    let raised = started(store, &plan("checkout", "checkout-v2"), noon()).await?;
    let latched = took(store, &raised, &rollback("bad"), after(1)).await?;
    Ok((raised, latched))
}

async fn nothing_raises_after_a_durable_rollback(world: World) -> Result<()> {
    let store = world.open().await?;
    let (raised, latched) = raised_then_rolled_back(&store).await?;
    // Nobody has written zero yet: it is the decision that fences, not its effect.
    let late = store.write_flag(&flag("checkout-1", raised.epoch, 10)).await?;
    ensure!(late == FlagWrite::Fenced { epoch: latched.epoch });
    ensure!(store.flags().await?.0.is_empty());
    ensure!(written(&store, &flag("checkout-1", latched.epoch, 0)).await?.is_some());
    Ok(())
}

async fn many_flags_share_one_revision(world: World) -> Result<()> {
    let store = world.open().await?;
    for (number, key) in ["b", "a", "c"].into_iter().enumerate() {
        let state = FlagState {
            key: key.to_owned(),
            ..flag(key, 1, 10)
        };
        ensure!(written(&store, &state).await? == Some(number as u64 + 1));
    }
    let (flags, revision) = store.flags().await?;
    let keys: Vec<&str> = flags.iter().map(|flag| flag.key.as_str()).collect();
    ensure!(keys == ["a", "b", "c"] && revision == 3);
    Ok(())
}

/// On PostgreSQL a rollback may be half-way through its commit while another replica writes the flag.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_waits_for_the_rollback_being_saved() -> Result<()> {
    let world = World::postgres().await?;
    let store = world.open().await?;
    let rollout = started(&store, &plan("checkout", "checkout-v2"), noon()).await?;
    let mut other = PgConnection::connect(world.url()).await?;
    let mut saving = other.begin().await?;
    sqlx::query("UPDATE rollouts SET epoch = epoch + 1")
        .execute(&mut *saving)
        .await?;
    let raise = flag("checkout-1", rollout.epoch, 10);
    let write = tokio::spawn({
        let store = store.clone();
        async move { store.write_flag(&raise).await }
    });
    let waiting =
        "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
    wait::until("the write waits", Duration::from_secs(20), async || {
        let (waiting,): (i64,) = sqlx::query_as(waiting).fetch_one(&mut *saving).await?;
        ensure!(waiting == 1 && !write.is_finished());
        Ok(())
    })
    .await?;
    saving.commit().await?;
    let fenced = FlagWrite::Fenced {
        epoch: rollout.epoch + 1,
    };
    ensure!(write.await?? == fenced);
    Ok(())
}
