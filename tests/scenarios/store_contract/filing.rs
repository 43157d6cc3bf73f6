//! What concerns nobody is settled by being stored, and no start is missed over it.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, ensure};
use bytes::Bytes;
use futures_util::future::try_join;
use tidegate::store::{Arrival, Begun, Filed, Starts, Store};
use tidegate_rollout::{Fingerprint, Step};

use super::on_both;
use super::world::{World, alert, begin_with, delivery, first_step, noon, plan, started, unsettled};

on_both!(
    what_concerns_nobody_is_settled_by_being_stored,
    what_a_start_overtook_has_to_be_decided,
    a_start_and_what_is_filed_meanwhile_never_miss_each_other,
);

fn told(id: &str, fingerprint: &str) -> Arrival {
    delivery(id, noon(), vec![alert("DiskFull", fingerprint, noon())])
}

async fn what_concerns_nobody_is_settled_by_being_stored(world: World) -> Result<()> {
    let store = world.open().await?;
    let starts = store.position().await?.starts;
    let arrival = Arrival {
        nonce: Some("once".to_owned()),
        ..told("d-1", "f1")
    };
    ensure!(store.file_away(arrival.clone(), starts).await? == Filed::Away);
    ensure!(store.oldest_unsettled(None).await?.is_none() && store.count_unsettled().await? == 0);
    ensure!(store.recent_alerts(noon()).await? == [alert("DiskFull", "f1", noon())]);
    let again = Arrival {
        id: told("d-2", "f1").id,
        ..arrival
    };
    ensure!(store.file_away(again, starts).await? == Filed::Repeated);
    ensure!(world.count("deliveries").await? == 1);
    Ok(())
}

async fn what_a_start_overtook_has_to_be_decided(world: World) -> Result<()> {
    let store = world.open().await?;
    let before = store.position().await?.starts;
    started(&store, &plan("checkout", "checkout"), noon()).await?;
    let arrival = told("d-1", "f1");
    ensure!(store.file_away(arrival.clone(), before).await? == Filed::Waits(Box::new(arrival.clone())));
    let (waiting, _) = store.unsettled(0, 10).await?;
    let stored = Arrival {
        raw: Bytes::new(),
        ..arrival
    };
    ensure!(waiting == [stored], "it is there whole: {waiting:?}");
    let now = store.position().await?.starts;
    ensure!(now == Starts(before.0 + 1));
    ensure!(store.file_away(told("d-2", "f2"), now).await? == Filed::Away);
    ensure!(unsettled(&store).await? == ["d-1"]);
    Ok(())
}

/// Whoever looked before a start is either seen by the start, or has to look again.
async fn a_start_and_what_is_filed_meanwhile_never_miss_each_other(world: World) -> Result<()> {
    let store = world.open().await?;
    let (mut seen, mut waited) = (0, 0);
    for number in 0..40 {
        let fingerprint = format!("race-{number}");
        let starts = store.position().await?.starts;
        let filing = async {
            Ok(store
                .file_away(told(&format!("d-{number}"), &fingerprint), starts)
                .await?)
        };
        let (filed, sees) = try_join(filing, start_looking(&store, number, &fingerprint)).await?;
        ensure!(
            sees || matches!(filed, Filed::Waits(_)),
            "{fingerprint} is {filed:?}, and the start did not see it"
        );
        seen += usize::from(sees);
        waited += usize::from(matches!(filed, Filed::Waits(_)));
    }
    println!("counted: of 40 races the start saw {seen} alerts, and {waited} waited");
    ensure!(seen + waited >= 40);
    Ok(())
}

/// Whether a start saw an alert among the recent ones.
async fn start_looking(store: &Store, number: usize, fingerprint: &str) -> Result<bool> {
    let name = format!("plan-{number}");
    let plan = plan(&name, &name);
    let sees = AtomicBool::new(false);
    let begun = begin_with(store, &plan, None, noon(), |mut facts| -> Result<Step, _> {
        let looked_for = Fingerprint(fingerprint.to_owned());
        let found = facts.recent.iter().any(|alert| alert.fingerprint == looked_for);
        sees.store(found, Ordering::Relaxed);
        facts.recent.clear();
        first_step(&plan, facts, noon())
    });
    let begun = begun.await?;
    ensure!(matches!(begun, Begun::Started { .. }), "{begun:?}");
    Ok(sees.load(Ordering::Relaxed))
}
