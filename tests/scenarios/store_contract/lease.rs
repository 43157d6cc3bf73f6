//! One replica leads at a time, by the database's clock; and whoever lost the lease knows it first.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures_util::future::join_all;
use tidegate_rollout::Period;

use super::on_both;
use super::world::{World, after, noon};

on_both!(
    one_replica_leads,
    of_many_that_ask_at_once_one_leads,
    the_term_grows_with_every_change,
    a_leader_gives_up_before_the_database_does,
    replicas_live_while_they_beat,
    what_one_replica_has_polled_all_know,
);

const LONG: Period = Period::seconds(3_600);

async fn one_replica_leads(world: World) -> Result<()> {
    let store = world.open().await?;
    let led = store.lead("r1", LONG).await?.context("nobody leads")?;
    ensure!(led.holds(Instant::now()) && led.term() == 1);
    ensure!(store.lead("r2", LONG).await?.is_none());
    let renewed = store.lead("r1", LONG).await?.context("it may renew")?;
    ensure!(renewed.term() == 1, "renewing is no change of leader");
    Ok(())
}

async fn of_many_that_ask_at_once_one_leads(world: World) -> Result<()> {
    let store = world.open().await?;
    let names: Vec<String> = (0..8).map(|number| format!("r{number}")).collect();
    let granted = join_all(names.iter().map(|name| store.lead(name, LONG))).await;
    let granted: Vec<_> = granted.into_iter().collect::<Result<_, _>>()?;
    ensure!(granted.iter().flatten().count() == 1, "{granted:?}");
    Ok(())
}

async fn the_term_grows_with_every_change(world: World) -> Result<()> {
    let store = world.open().await?;
    let first = store.lead("r1", LONG).await?.context("nobody leads")?;
    world.tamper("UPDATE leases SET expires_at = 1").await?;
    let second = store.lead("r2", LONG).await?.context("the lease had run out")?;
    ensure!(second.term() == first.term() + 1);
    // The old leader leaves late: that is not its lease any more.
    store.leave("r1").await?;
    ensure!(store.lead("r1", LONG).await?.is_none());
    store.leave("r2").await?;
    let third = store.lead("r2", LONG).await?.context("nobody leads")?;
    ensure!(third.term() == 3, "also for the same replica, after a gap");
    Ok(())
}

async fn a_leader_gives_up_before_the_database_does(world: World) -> Result<()> {
    let store = world.open().await?;
    let asked = Instant::now();
    let led = store.lead("r1", Period::seconds(100)).await?.context("nobody leads")?;
    ensure!(led.holds(asked + Duration::from_secs(80)));
    ensure!(
        !led.holds(asked + Duration::from_secs(95)),
        "a tenth is kept for clocks that differ"
    );
    Ok(())
}

async fn replicas_live_while_they_beat(world: World) -> Result<()> {
    let store = world.open().await?;
    ensure!(store.last_beat().await?.is_none());
    store.beat("r1", noon(), 3).await?;
    store.beat("r2", after(5), 4).await?;
    store.beat("r1", after(9), 7).await?;
    let live = store.live_replicas(LONG).await?;
    let seen: Vec<_> = live
        .iter()
        .map(|replica| (replica.id.as_str(), replica.flags_revision))
        .collect();
    ensure!(
        seen == [("r1", 7), ("r2", 4)] && live[0].beat_at == after(9),
        "{live:?}"
    );
    ensure!(store.last_beat_but("r1").await? == Some(after(5)) && store.last_beat_but("r2").await? == Some(after(9)));
    world.tamper("UPDATE replicas SET seen_at = 1 WHERE id = 'r1'").await?;
    ensure!(store.live_replicas(LONG).await?.len() == 1);
    ensure!(
        store.last_beat().await? == Some(after(9)),
        "also of one that lives no more"
    );
    store.leave("r2").await?;
    ensure!(store.live_replicas(LONG).await?.is_empty());
    ensure!(
        store.last_beat().await? == Some(after(9)),
        "nobody watches from here to the next start"
    );
    ensure!(store.is_shared() == world.is_postgres());
    Ok(())
}

async fn what_one_replica_has_polled_all_know(world: World) -> Result<()> {
    let (store, asked) = (world.open().await?, Instant::now());
    ensure!(store.polls().await?.is_empty());
    store.polled("default", Some(noon())).await?;
    store.polled("default", None).await?;
    store.polled("other", None).await?;
    let mut polls = store.polls().await?;
    polls.sort_by(|one, other| one.receiver.cmp(&other.receiver));
    let told: Vec<_> = polls
        .iter()
        .map(|poll| (poll.receiver.as_str(), poll.watchdog_at))
        .collect();
    ensure!(told == [("default", Some(noon())), ("other", None)], "{polls:?}");
    // The clocks that are read may be a few milliseconds coarse.
    let most = asked.elapsed() + Duration::from_millis(10);
    ensure!(polls.iter().all(|poll| poll.age <= most), "{polls:?}");
    world
        .tamper("UPDATE polls SET answered_at = answered_at - 60000000000 WHERE receiver = 'default'")
        .await?;
    world
        .tamper("UPDATE polls SET answered_at = answered_at + 60000000000 WHERE receiver = 'other'")
        .await?;
    let polls = store.polls().await?;
    ensure!(polls.len() == 1 && polls[0].age >= Duration::from_secs(59), "{polls:?}");
    Ok(())
}
