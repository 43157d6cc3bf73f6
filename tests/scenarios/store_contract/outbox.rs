//! What is to be done and said is handed out to one worker at a time, and never after a later decision.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use futures_util::future::join_all;
use tidegate::store::Part;
use tidegate_rollout::{Action, ActionKind, Event, NoticeId, Outcome, Period, ReadBack, Weight};

use super::on_both;
use super::world::{CLAIM, World, after, noon, note, plan, rollback, started, took};

on_both!(
    claims_are_unique_among_eight_workers,
    forward_actions_need_the_lease,
    a_rollback_overtakes_the_advance_in_flight,
    a_claim_runs_out_and_counts_its_attempts,
    a_claim_from_the_future_stalls_nothing,
    what_is_put_off_was_not_tried,
    a_restarted_replica_gets_its_claims_back,
    an_outcome_is_kept_once,
    every_channel_gets_its_own_message,
    a_message_is_buried_visibly,
);

/// The report that a target has the weight an action asked for.
pub(super) fn read_back(action: &Action) -> Event {
    let weight = match &action.kind {
        ActionKind::SetWeight { weight, .. } => *weight,
        ActionKind::ToZero { .. } | ActionKind::AskAboutAlert { .. } => Weight::ZERO,
    };
    Event::Reported {
        action: action.id.clone(),
        outcome: Outcome::Applied(ReadBack {
            weight,
            how: "read back".to_owned(),
            seen_in_traffic: false,
            observed: None,
            at: after(1),
        }),
    }
}

async fn claims_are_unique_among_eight_workers(world: World) -> Result<()> {
    let store = world.open().await?;
    let mut asked = BTreeSet::new();
    for number in 0..40 {
        let rollout = started(&store, &plan(&format!("p{number}"), &format!("f{number}")), noon()).await?;
        let rollout = took(&store, &rollout, &rollback("all"), after(1)).await?;
        let open = store.open_actions(&rollout.id).await?;
        asked.extend(open.into_iter().map(|claimed| claimed.action.id.to_string()));
    }
    ensure!(asked.len() == 40);
    let worker = async |number: usize| {
        let name = format!("worker-{number}");
        let mut mine = Vec::new();
        loop {
            let claimed = store.claim_safety(Part::Lowering, &name, after(2), CLAIM, 3).await?;
            if claimed.is_empty() {
                return anyhow::Ok(mine);
            }
            mine.extend(claimed.into_iter().map(|claimed| claimed.action.id.to_string()));
        }
    };
    let mut claimed: Vec<String> = Vec::new();
    for mine in join_all((0..8).map(worker)).await {
        claimed.extend(mine?);
    }
    ensure!(claimed.len() == 40, "{} claims of 40 actions", claimed.len());
    ensure!(claimed.into_iter().collect::<BTreeSet<_>>() == asked);
    Ok(())
}

async fn forward_actions_need_the_lease(world: World) -> Result<()> {
    let store = world.open().await?;
    started(&store, &plan("checkout", "flag"), noon()).await?;
    ensure!(
        store
            .claim_safety(Part::Lowering, "r1", noon(), CLAIM, 10)
            .await?
            .is_empty(),
        "it raises"
    );
    let long = Period::seconds(3_600);
    let first = store.lead("r1", long).await?.context("nobody leads")?;
    store
        .resign("r1", store.lead("r1", long).await?.context("it leads")?)
        .await?;
    let second = store.lead("r2", long).await?.context("the first has resigned")?;
    ensure!(
        store.claim_forward(&first, "r1", noon(), CLAIM, 10).await?.is_empty(),
        "it leads no more"
    );
    let claimed = store.claim_forward(&second, "r2", noon(), CLAIM, 10).await?;
    ensure!(
        claimed.len() == 1 && claimed[0].attempts == 1 && claimed[0].first_tried_at == noon(),
        "{claimed:?}"
    );
    Ok(())
}

async fn a_rollback_overtakes_the_advance_in_flight(world: World) -> Result<()> {
    let store = world.open().await?;
    let rollout = started(&store, &plan("checkout", "flag"), noon()).await?;
    let led = store.lead("r1", CLAIM).await?.context("nobody leads")?;
    let raise = store
        .claim_forward(&led, "r1", noon(), CLAIM, 10)
        .await?
        .remove(0)
        .action;
    took(&store, &rollout, &rollback("bad"), after(1)).await?;
    let open = store.open_actions(&rollout.id).await?;
    ensure!(
        open.len() == 1 && matches!(open[0].action.kind, ActionKind::ToZero { .. }),
        "{open:?}"
    );
    ensure!(
        !store.close_action(&raise.id, "applied").await?,
        "it was closed as overtaken"
    );
    store.postpone_action(&raise.id, after(2), "too late").await?;
    ensure!(store.claim_forward(&led, "r1", after(60), CLAIM, 10).await?.is_empty());
    Ok(())
}

async fn a_claim_runs_out_and_counts_its_attempts(world: World) -> Result<()> {
    let store = world.open().await?;
    let rollout = started(&store, &plan("checkout", "flag"), noon()).await?;
    took(&store, &rollout, &rollback("bad"), noon()).await?;
    let claim = async |by, at| {
        store
            .claim_safety(Part::Lowering, by, after(at), Period::seconds(10), 5)
            .await
    };
    ensure!(claim("r1", 0).await?.len() == 1);
    ensure!(claim("r2", 9).await?.is_empty(), "r1 has it");
    let again = claim("r2", 10).await?;
    ensure!(
        again.len() == 1 && again[0].attempts == 2 && again[0].first_tried_at == noon(),
        "{again:?}"
    );
    let id = again[0].action.id.clone();
    store
        .postpone_action(&id, after(24), "the flag does not answer")
        .await?;
    ensure!(claim("r1", 23).await?.is_empty());
    ensure!(claim("r1", 24).await?.len() == 1);
    ensure!(store.close_action(&id, "applied").await?);
    ensure!(claim("r1", 3_600).await?.is_empty());
    Ok(())
}

/// A replica whose clock ran an hour ahead claimed it and died, or the clock of this one went back.
async fn a_claim_from_the_future_stalls_nothing(world: World) -> Result<()> {
    let store = world.open().await?;
    let rollout = started(&store, &plan("checkout", "flag"), noon()).await?;
    took(&store, &rollout, &rollback("bad"), after(3_600)).await?;
    let claim = async |by, at| {
        store
            .claim_safety(Part::Lowering, by, after(at), Period::seconds(10), 5)
            .await
    };
    let ahead = claim("r1", 3_600).await?;
    ensure!(ahead.len() == 1);
    ensure!(claim("r2", 0).await?.len() == 1, "its claim does not last an hour");
    ensure!(claim("r2", 9).await?.is_empty(), "a claim of now does");
    let id = ahead[0].action.id.clone();
    store
        .postpone_action(&id, after(3_600), "the flag does not answer")
        .await?;
    ensure!(claim("r2", 10).await?.len() == 1, "nor does its pause");
    Ok(())
}

async fn what_is_put_off_was_not_tried(world: World) -> Result<()> {
    let store = world.open().await?;
    started(&store, &plan("checkout", "flag"), noon()).await?;
    let led = store.lead("r1", CLAIM).await?.context("nobody leads")?;
    let claim = async |at| store.claim_forward(&led, "r1", after(at), CLAIM, 10).await;
    let first = claim(0).await?;
    store.put_off_action(&first[0].action.id, after(1), "paused").await?;
    ensure!(claim(0).await?.is_empty(), "its time has not come");
    let second = claim(1).await?;
    ensure!(second.len() == 1 && second[0].attempts == 1, "{second:?}");
    Ok(())
}

async fn a_restarted_replica_gets_its_claims_back(world: World) -> Result<()> {
    let store = world.open().await?;
    let rollout = started(&store, &plan("checkout", "flag"), noon()).await?;
    took(&store, &rollout, &rollback("bad"), noon()).await?;
    store.claim_safety(Part::Lowering, "r1", noon(), CLAIM, 5).await?;
    ensure!(store.release_claims("r2").await? == 0);
    ensure!(store.release_claims("r1").await? == 1);
    ensure!(store.claim_safety(Part::Lowering, "r1", noon(), CLAIM, 5).await?.len() == 1);
    Ok(())
}

async fn an_outcome_is_kept_once(world: World) -> Result<()> {
    let store = world.open().await?;
    let rollout = started(&store, &plan("checkout", "flag"), noon()).await?;
    let action = store.open_actions(&rollout.id).await?.remove(0).action;
    ensure!(store.close_action(&action.id, "applied").await?);
    ensure!(!store.close_action(&action.id, "gave up").await?);
    ensure!(store.open_actions(&rollout.id).await?.is_empty());
    Ok(())
}

async fn every_channel_gets_its_own_message(world: World) -> Result<()> {
    let store = world.open().await?;
    let rollout = started(&store, &plan("checkout", "flag"), noon()).await?;
    took(&store, &rollout, &rollback("bad"), after(1)).await?;
    let messages = store.claim_messages("r1", after(1), CLAIM, 100).await?;
    let channels = |kind: &str| -> Vec<&str> {
        let of_kind = messages.iter().filter(|message| message.notice.kind.word() == kind);
        of_kind.map(|message| message.channel.as_str()).collect()
    };
    ensure!(channels("started") == ["chat", "log"], "{messages:?}");
    ensure!(channels("rolling-back").contains(&"pager"), "{messages:?}");
    ensure!(store.claim_messages("r2", after(1), CLAIM, 100).await?.is_empty());
    let first = &messages[0];
    ensure!(store.sent(&first.notice.id, &first.channel).await?);
    ensure!(!store.sent(&first.notice.id, &first.channel).await?);
    let left = store.claim_messages("r2", after(60), CLAIM, 100).await?;
    ensure!(
        left.len() == messages.len() - 1 && left.iter().all(|message| message.attempts == 2),
        "{left:?}"
    );
    Ok(())
}

async fn a_message_is_buried_visibly(world: World) -> Result<()> {
    let store = world.open().await?;
    started(&store, &plan("checkout", "flag"), noon()).await?;
    let message = store.claim_messages("r1", noon(), CLAIM, 1).await?.remove(0);
    let (notice, channel) = (&message.notice.id, message.channel.as_str());
    store
        .postpone_message(notice, channel, after(5), "429 Too Many Requests")
        .await?;
    ensure!(store.dead_letters(10).await?.is_empty());
    ensure!(store.bury(notice, channel, "404 Not\0Found").await?);
    ensure!(!store.bury(&NoticeId::new("nobody"), channel, "no").await?);
    let letters = store.dead_letters(10).await?;
    ensure!(
        letters.len() == 1 && letters[0].message.notice == message.notice,
        "{letters:?}"
    );
    ensure!(letters[0].why == "404 Not␀Found" && letters[0].created_at == noon());
    let again = store.claim_messages("r1", after(3_600), CLAIM, 100).await?;
    ensure!(
        again
            .iter()
            .all(|other| (&other.notice.id, other.channel.as_str()) != (notice, channel))
    );
    let rollout = store.active().await?.remove(0);
    took(
        &store,
        &rollout,
        &note("a buried message does not stop anything"),
        after(6),
    )
    .await?;
    Ok(())
}
