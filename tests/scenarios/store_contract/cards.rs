//! Cards have one writer at a time and remember what they show; what proved a request is taken once.

use anyhow::{Context, Result, ensure};
use futures_util::future::join_all;
use tidegate::store::{CardKey, Store, Whereabouts};
use tidegate_rollout::RolloutId;

use super::on_both;
use super::world::{CLAIM, World, after, noon, note, plan, rollback, started, took};

on_both!(
    a_card_has_one_writer_at_a_time,
    a_card_is_out_of_date_until_it_shows_what_is_saved,
    a_lost_card_and_a_late_writer_change_nothing_of_a_newer_one,
    a_card_that_cannot_be_written_keeps_no_other_waiting,
    what_proved_a_request_is_taken_once,
    what_was_not_tried_does_not_count_as_tried,
    a_place_tells_which_rollouts_are_shown_there,
);

fn key<'a>(rollout: &'a RolloutId) -> CardKey<'a> {
    CardKey {
        rollout,
        channel: "releases",
    }
}

async fn a_card_has_one_writer_at_a_time(world: World) -> Result<()> {
    let store = world.open().await?;
    let rollout = RolloutId::new("checkout-1");
    let claim = async |number: usize| {
        store
            .claim_card(key(&rollout), &format!("r{number}"), noon(), CLAIM)
            .await
    };
    let claims = join_all((0..8).map(claim)).await;
    let mut winners = 0;
    for claim in claims {
        winners += usize::from(claim?.is_some());
    }
    ensure!(winners == 1, "{winners} replicas would post a card");
    ensure!(store.claim_card(key(&rollout), "r9", after(29), CLAIM).await?.is_none());
    let second = store.claim_card(key(&rollout), "r9", after(30), CLAIM).await?;
    let second = second.context("the claim has run out")?;
    ensure!(second.attempts == 2 && second.message.is_none(), "{second:?}");
    Ok(())
}

async fn a_card_is_out_of_date_until_it_shows_what_is_saved(world: World) -> Result<()> {
    let store = world.open().await?;
    let rollout = started(&store, &plan("checkout", "flag"), noon()).await?;
    let stale = async |store: &Store, at: i64| -> Result<usize> {
        // Nothing gets old by itself here.
        Ok(store.stale_cards(after(at), after(-1_000), 10).await?.len())
    };
    ensure!(
        stale(&store, 0).await? == 0,
        "a card that was never posted is nobody's business"
    );
    let card = key(&rollout.id);
    store
        .claim_card(card, "r1", noon(), CLAIM)
        .await?
        .context("it is free")?;
    let shown = ("C1", "17.1");
    ensure!(
        store
            .card_shown(card, "r1", shown, rollout.generation, after(1))
            .await?
    );
    let row = store.card(card).await?.context("it is there")?;
    ensure!(
        (row.place.as_str(), row.message.as_deref(), row.attempts) == ("C1", Some("17.1"), 0),
        "{row:?}"
    );
    ensure!(stale(&store, 1).await? == 0, "it shows what is saved");
    let rollout = took(&store, &rollout, &note("x"), after(2)).await?;
    ensure!(stale(&store, 2).await? == 1);
    store
        .claim_card(card, "r1", after(2), CLAIM)
        .await?
        .context("it is free")?;
    ensure!(stale(&store, 3).await? == 0, "somebody draws it");
    store.postpone_card(card, "r1", after(10)).await?;
    ensure!(stale(&store, 9).await? == 0 && stale(&store, 10).await? == 1);
    store
        .claim_card(card, "r1", after(10), CLAIM)
        .await?
        .context("it is free")?;
    store
        .card_shown(card, "r1", shown, rollout.generation, after(11))
        .await?;
    // While it is under way, what it says gets old by itself; once it is over, it is right for ever.
    ensure!(store.stale_cards(after(12), after(12), 10).await?.len() == 1);
    let over = took(&store, &rollout, &rollback("x"), after(12)).await?;
    let report = super::outbox::read_back(&store.open_actions(&over.id).await?[0].action);
    let over = took(&store, &over, &report, after(13)).await?;
    store
        .claim_card(card, "r1", after(14), CLAIM)
        .await?
        .context("it is free")?;
    store.card_shown(card, "r1", shown, over.generation, after(14)).await?;
    ensure!(over.is_final() && store.stale_cards(after(90), after(90), 10).await?.is_empty());
    Ok(())
}

async fn a_card_that_cannot_be_written_keeps_no_other_waiting(world: World) -> Result<()> {
    let store = world.open().await?;
    let mut rollouts = Vec::new();
    for number in 0..4_u16 {
        let rollout = started(&store, &plan(&format!("p{number}"), &format!("f{number}")), noon()).await?;
        let card = key(&rollout.id);
        store
            .claim_card(card, "r1", noon(), CLAIM)
            .await?
            .context("it is free")?;
        let at = after(i64::from(number));
        store.card_shown(card, "r1", ("C1", &number.to_string()), 0, at).await?;
        rollouts.push(rollout.id);
    }
    // The three that were shown longest ago cannot be written.
    for (number, broken) in (0..).zip(&rollouts[..3]) {
        store
            .claim_card(key(broken), "r1", after(10), CLAIM)
            .await?
            .context("it is free")?;
        store.postpone_card(key(broken), "r1", after(20 - number)).await?;
    }
    let stale = store.stale_cards(after(30), after(30), 2).await?;
    let order: Vec<_> = stale.into_iter().map(|(rollout, _)| rollout).collect();
    ensure!(order == [rollouts[3].clone(), rollouts[2].clone()], "{order:?}");
    Ok(())
}

async fn a_lost_card_and_a_late_writer_change_nothing_of_a_newer_one(world: World) -> Result<()> {
    let store = world.open().await?;
    let rollout = RolloutId::new("checkout-1");
    let card = key(&rollout);
    store
        .claim_card(card, "slow", noon(), CLAIM)
        .await?
        .context("it is free")?;
    store
        .claim_card(card, "quick", after(31), CLAIM)
        .await?
        .context("the claim has run out")?;
    ensure!(store.card_shown(card, "quick", ("C1", "new"), 7, after(31)).await?);
    ensure!(
        !store.card_shown(card, "slow", ("C1", "old"), 6, after(32)).await?,
        "it comes too late"
    );
    store.card_lost(card, "slow").await?;
    store.postpone_card(card, "slow", after(9_999)).await?;
    let row = store.card(card).await?.context("it is there")?;
    ensure!(row.message.as_deref() == Some("new") && row.generation == 7, "{row:?}");
    store
        .claim_card(card, "quick", after(33), CLAIM)
        .await?
        .context("it is free")?;
    store.card_lost(card, "quick").await?;
    ensure!(store.card(card).await?.context("it is there")?.message.is_none());
    Ok(())
}

async fn what_proved_a_request_is_taken_once(world: World) -> Result<()> {
    let store = world.open().await?;
    let proof = [7; 32];
    let takes = join_all((0..8).map(async |_| store.take_proof(&proof, noon()).await)).await;
    let mut taken = 0;
    for take in takes {
        taken += usize::from(take?);
    }
    ensure!(taken == 1, "it was taken {taken} times");
    ensure!(store.take_proof(&[8; 32], noon()).await?);
    store.close().await;
    let store = world.open().await?;
    ensure!(!store.take_proof(&proof, after(60)).await?, "a restart forgets it");
    // Retention of everything else is long; this is forgotten once nobody would believe it.
    store.prune(after(-1_000_000), after(3_601)).await?;
    ensure!(store.take_proof(&proof, after(3_601)).await?);
    Ok(())
}

async fn what_was_not_tried_does_not_count_as_tried(world: World) -> Result<()> {
    let store = world.open().await?;
    let rollout = started(&store, &plan("checkout", "flag"), noon()).await?;
    took(&store, &rollout, &rollback("x"), after(1)).await?;
    let first = store.claim_messages("log", "r1", after(1), CLAIM, 1).await?.pop();
    let first = first.context("nothing is said")?;
    ensure!(first.attempts == 1);
    store.defer_message(&first.notice.id, "log", after(5), "busy").await?;
    ensure!(
        store.claim_messages("log", "r1", after(4), CLAIM, 10).await?.is_empty(),
        "it came before the first"
    );
    ensure!(
        store.claim_messages("pager", "r1", after(4), CLAIM, 10).await?.len() == 1,
        "another channel waits"
    );
    let again = store.claim_messages("log", "r1", after(5), CLAIM, 10).await?;
    let order: Vec<_> = again
        .iter()
        .map(|message| (&message.notice.id, message.attempts))
        .collect();
    ensure!(
        order.len() == 2 && order[0] == (&first.notice.id, 1) && order[1].1 == 1,
        "{order:?}"
    );
    Ok(())
}

async fn a_place_tells_which_rollouts_are_shown_there(world: World) -> Result<()> {
    let store = world.open().await?;
    let mut shown = Vec::new();
    for (at, name) in ["checkout", "ledger", "search"].into_iter().enumerate() {
        let rollout = started(&store, &plan(name, name), noon()).await?;
        let card = key(&rollout.id);
        store
            .claim_card(card, "r1", noon(), CLAIM)
            .await?
            .context("it is free")?;
        // The last one is about to be posted, and is not there yet.
        if name != "search" {
            let message = format!("17.{at}");
            let place = ("C1", message.as_str());
            ensure!(store.card_shown(card, "r1", place, rollout.generation, noon()).await?);
        }
        shown.push(rollout.id);
    }
    let thread = |at: usize| Whereabouts::ThreadOf(shown[at].clone());
    let cards = |of: &[RolloutId]| Whereabouts::CardsOf(of.to_vec());
    ensure!(store.whereabouts("C1").await? == cards(&shown[..2]));
    ensure!(store.whereabouts("C2").await? == cards(&[]) && store.whereabouts("").await? == cards(&[]));
    ensure!(store.whereabouts("17.0").await? == thread(0) && store.whereabouts("17.1").await? == thread(1));
    world
        .tamper("UPDATE rollouts SET is_final = 1 WHERE id = 'checkout-1'")
        .await?;
    ensure!(
        store.whereabouts("C1").await? == cards(&shown[1..2]),
        "what is over is not meant in the channel"
    );
    ensure!(
        store.whereabouts("17.0").await? == thread(0),
        "but it is in its own thread"
    );
    Ok(())
}
