//! What is over is forgotten after its time; what is active stays, however old it is.

use anyhow::{Result, ensure};
use tidegate::store::{NewToken, Settled, TokenKind};
use tidegate_rollout::{DeliveryId, Entry, PersonId};

use super::on_both;
use super::world::{
    CLAIM, World, after, alert, delivery, noon, plan, resolved, rollback, started, stored, took, unsettled, write_down,
};

on_both!(
    what_is_active_is_kept,
    a_rollout_leaves_a_checkpoint,
    thousands_of_rows_go_in_pieces,
    large_deliveries_go_a_few_at_a_time,
    old_lines_of_the_server_go_and_the_chain_holds,
);

const DAY: i64 = 86_400;

async fn what_is_active_is_kept(world: World) -> Result<()> {
    let store = world.open().await?;
    for id in ["settled", "unsettled"] {
        store.remember(delivery(id, noon(), vec![])).await?;
    }
    let id = DeliveryId::new("settled");
    store.settle(&[Settled { id, answer: None }]).await?;
    let (fires, over) = (
        alert("Fires", "f1", noon()),
        resolved(alert("Over", "f2", noon()), after(1)),
    );
    store.remember(delivery("alerts", after(2 * DAY), vec![])).await?;
    store
        .remember(delivery("unsettled-too", after(1), vec![fires.clone(), over]))
        .await?;
    let rollout = started(&store, &plan("checkout", "flag"), noon()).await?;
    let pruned = store.prune(after(DAY), after(3 * DAY)).await?;
    ensure!(
        (pruned.deliveries, pruned.alerts, pruned.rollouts) == (1, 1, 0),
        "{pruned:?}"
    );
    let waiting = store.channels_due(after(3 * DAY)).await?;
    ensure!(
        pruned.messages == 1 && waiting == ["log"],
        "they wait to be sent: {pruned:?} {waiting:?}"
    );
    ensure!(unsettled(&store).await? == ["unsettled", "alerts", "unsettled-too"]);
    ensure!(store.recent_alerts(noon()).await? == [fires]);
    ensure!(stored(&store, &rollout).await? == rollout && store.open_actions(&rollout.id).await?.len() == 1);
    // An alert that was never told to have ended does not stay for ever either.
    let pruned = store.prune(after(40 * DAY), after(41 * DAY)).await?;
    ensure!(pruned.alerts == 1, "{pruned:?}");
    ensure!(store.prune(after(40 * DAY), after(41 * DAY)).await? == tidegate::store::Pruned::default());
    Ok(())
}

async fn a_rollout_leaves_a_checkpoint(world: World) -> Result<()> {
    let store = world.open().await?;
    let rollout = started(&store, &plan("checkout", "flag"), noon()).await?;
    let rollout = took(&store, &rollout, &rollback("bad"), after(1)).await?;
    let action = store.open_actions(&rollout.id).await?.remove(0).action;
    let rollout = took(&store, &rollout, &super::outbox::read_back(&action), after(2)).await?;
    ensure!(rollout.is_final());
    let prune = async || store.prune(after(DAY), after(2 * DAY)).await;
    ensure!(prune().await?.rollouts == 0, "an action of it is open, messages wait");
    store.close_action(&action.id, "applied").await?;
    for channel in store.channels_due(after(3)).await? {
        for message in store.claim_messages(&channel, "r1", after(3), CLAIM, 100).await? {
            store.sent(&message.notice.id, &message.channel).await?;
        }
    }
    let lines = store.history(&rollout.id, 1_000).await?.len();
    let pruned = prune().await?;
    ensure!(pruned.rollouts == 1 && pruned.messages > 0, "{pruned:?}");
    ensure!(store.rollout(&rollout.id).await?.is_none() && store.history(&rollout.id, 10).await?.is_empty());
    let (_, checkpoint) = store.server_history(1).await?.remove(0);
    ensure!(checkpoint.kind == "forgotten" && checkpoint.at == after(2 * DAY));
    ensure!(
        checkpoint.text.contains("checkout-1") && checkpoint.text.contains(&format!("{lines} lines")),
        "{checkpoint:?}"
    );
    ensure!(store.verify_log().await?.broken().count() == 0);
    let next = started(&store, &plan("checkout", "flag"), after(3 * DAY)).await?;
    ensure!(
        next.id.as_str() == "checkout-2" && next.epoch > rollout.epoch,
        "names and epochs go on"
    );
    Ok(())
}

/// 40 MiB of settled deliveries: while they go, a heartbeat comes through between two batches.
async fn large_deliveries_go_a_few_at_a_time(world: World) -> Result<()> {
    let store = world.open().await?;
    for number in 0..20 {
        let mut large = delivery(&format!("d-{number}"), noon(), vec![]);
        large.raw = vec![b'x'; 2 << 20].into();
        let id = large.id.clone();
        store.remember(large).await?;
        store.settle(&[Settled { id, answer: None }]).await?;
    }
    let prune = tokio::spawn({
        let store = store.clone();
        async move { store.prune(after(DAY), after(DAY)).await }
    });
    let left = async || anyhow::Ok(world.count("deliveries").await?);
    let mut seen = std::collections::BTreeSet::new();
    while !prune.is_finished() {
        store.beat("r1", after(DAY), 0).await?;
        seen.insert(left().await?);
    }
    ensure!(prune.await??.deliveries == 20 && left().await? == 0);
    ensure!(
        seen.iter().any(|left| (1..20).contains(left)),
        "nothing came through while they went: {seen:?}"
    );
    Ok(())
}

async fn old_lines_of_the_server_go_and_the_chain_holds(world: World) -> Result<()> {
    let store = world.open().await?;
    let line = |number: i64| Entry {
        at: after(number),
        kind: "noted".to_owned(),
        by: "mara".to_owned(),
        surface: Some(tidegate_rollout::Surface::Page),
        text: format!("line {number}"),
    };
    for number in 1..=300 {
        write_down(&store, &line(number)).await?;
    }
    let prune = async |before: i64| anyhow::Ok(store.prune(after(before), after(2 * DAY)).await?.lines);
    ensure!(prune(200).await? == 0, "fewer than are worth a line that says so");
    ensure!(prune(DAY).await? == 256);
    ensure!(prune(DAY).await? == 0, "44 old ones stay, and the new one");
    let lines = store.server_history(1_000).await?;
    ensure!(lines.len() == 45 && lines[0] == (257, line(257)), "{:?}", lines.first());
    let (_, last) = &lines[44];
    ensure!(
        last.kind == "forgotten-lines" && last.text.contains("up to 256"),
        "{last:?}"
    );
    ensure!(store.verify_log().await?.broken().count() == 0);
    write_down(&store, &line(301)).await?;
    ensure!(store.verify_log().await?.broken().count() == 0, "it goes on");
    // As if the retention had done it; but no line says so.
    world
        .tamper("DELETE FROM log WHERE chain = 'server' AND line = 257")
        .await?;
    let report = store.verify_log().await?;
    let broken: Vec<_> = report.broken().map(|chain| chain.broken_at).collect();
    ensure!(broken == [Some(1)], "{report:?}");
    Ok(())
}

async fn thousands_of_rows_go_in_pieces(world: World) -> Result<()> {
    let store = world.open().await?;
    let alerts = (0..2_500).map(|number| resolved(alert("Over", &format!("f{number}"), noon()), after(1)));
    store.remember(delivery("d-1", noon(), alerts.collect())).await?;
    let expired = NewToken {
        hash: [7; 32],
        kind: TokenKind::Session,
        person: PersonId::new("mara"),
        roles: [].into(),
        expires_at: Some(after(60)),
        parent: None,
    };
    let said = |_| Entry {
        at: noon(),
        kind: "signed-in".to_owned(),
        by: "mara".to_owned(),
        surface: Some(tidegate_rollout::Surface::Page),
        text: "mara signed in.".to_owned(),
    };
    store.add_token(&expired, said, noon()).await?;
    store.beat("r1", noon(), 0).await?;
    ensure!(store.prune(after(DAY), after(DAY)).await?.alerts == 2_500);
    ensure!(store.recent_alerts(noon()).await?.is_empty() && store.last_beat().await?.is_none());
    ensure!(
        store.token(&[7; 32], noon()).await?.is_none(),
        "an expired session is forgotten"
    );
    Ok(())
}
