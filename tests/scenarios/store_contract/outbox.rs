//! What is to be done and said is handed out to one worker at a time, and never after a later decision.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use futures_util::future::join_all;
use tidegate::store::{FEED, Message, Part};
use tidegate_rollout::{Action, ActionKind, Entry, Event, NoticeId, Outcome, Period, ReadBack, Weight};

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
    a_dead_letter_is_tried_once_more_on_somebodys_word,
    the_feed_reads_what_was_said_in_the_order_of_each_rollout,
    who_leaves_gives_everything_back,
    the_oldest_that_waits_is_known,
);

/// The report that a target has the weight an action asked for.
pub(crate) fn read_back(action: &Action) -> Event {
    let weight = match &action.kind {
        ActionKind::SetWeight { weight, .. } => *weight,
        ActionKind::ToZero { .. }
        | ActionKind::AskAboutAlert { .. }
        | ActionKind::ReadLogs { .. }
        | ActionKind::RunHook { .. } => Weight::ZERO,
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
    store.leave("r1").await?;
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
    ensure!(
        second[0].first_tried_at == after(1),
        "its patience begins with the first attempt: {second:?}"
    );
    // What was tried before it had to wait was tried then.
    store.postpone_action(&second[0].action.id, after(2), "refused").await?;
    store
        .put_off_action(&claim(2).await?[0].action.id, after(3), "paused")
        .await?;
    let third = claim(3).await?;
    ensure!(
        third.len() == 1 && third[0].attempts == 2 && third[0].first_tried_at == after(1),
        "{third:?}"
    );
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
    ensure!(
        store.channels_due(after(1)).await? == ["log", "pager"],
        "nobody has to send what the feed shows"
    );
    let kinds = |messages: &[Message]| -> Vec<&str> {
        let kinds = messages.iter().map(|message| message.notice.kind.word());
        kinds.collect()
    };
    let pages = store.claim_messages("pager", "r1", after(1), CLAIM, 100).await?;
    ensure!(kinds(&pages) == ["rolling-back"], "{pages:?}");
    let messages = store.claim_messages("log", "r1", after(1), CLAIM, 100).await?;
    ensure!(kinds(&messages) == ["started", "rolling-back"], "{messages:?}");
    ensure!(store.channels_due(after(1)).await?.is_empty(), "all of it is claimed");
    ensure!(
        store
            .claim_messages("log", "r2", after(1), CLAIM, 100)
            .await?
            .is_empty()
    );
    let first = &messages[0];
    ensure!(store.sent(&first.notice.id, &first.channel).await?);
    ensure!(!store.sent(&first.notice.id, &first.channel).await?);
    let left = store.claim_messages("log", "r2", after(60), CLAIM, 100).await?;
    ensure!(
        left.len() == messages.len() - 1 && left.iter().all(|message| message.attempts == 2),
        "{left:?}"
    );
    Ok(())
}

async fn a_message_is_buried_visibly(world: World) -> Result<()> {
    let store = world.open().await?;
    started(&store, &plan("checkout", "flag"), noon()).await?;
    let message = store.claim_messages("log", "r1", noon(), CLAIM, 1).await?.remove(0);
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
    let again = store.claim_messages("log", "r1", after(3_600), CLAIM, 100).await?;
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

async fn a_dead_letter_is_tried_once_more_on_somebodys_word(world: World) -> Result<()> {
    let store = world.open().await?;
    started(&store, &plan("checkout", "flag"), noon()).await?;
    let message = store.claim_messages("log", "r1", noon(), CLAIM, 1).await?.remove(0);
    let notice = &message.notice.id;
    let said = Entry {
        at: after(9),
        kind: "retried".to_owned(),
        by: "mara".to_owned(),
        surface: None,
        text: "mara has it said once more.".to_owned(),
    };
    ensure!(
        !store.revive(notice, "log", &said, after(9)).await?,
        "it still waits for its first try"
    );
    ensure!(store.server_history(10).await?.is_empty());
    store.bury(notice, "log", "404 Not Found").await?;
    ensure!(store.count_dead_letters().await? == 1);
    ensure!(store.revive(notice, "log", &said, after(9)).await?);
    ensure!(store.count_dead_letters().await? == 0 && store.dead_letters(10).await?.is_empty());
    let again = store.claim_messages("log", "r2", after(9), CLAIM, 10).await?;
    ensure!(
        again.len() == 1 && again[0].attempts == 1,
        "whoever claimed it before is not waited for: {again:?}"
    );
    ensure!(
        store.server_history(10).await? == [(1, said)],
        "who asked for it is written down"
    );
    Ok(())
}

async fn the_feed_reads_what_was_said_in_the_order_of_each_rollout(world: World) -> Result<()> {
    let store = world.open().await?;
    let mut rollouts = Vec::new();
    for name in ["a", "b"] {
        rollouts.push(started(&store, &plan(name, name), noon()).await?);
    }
    let until = store.said_until(FEED).await?;
    let latched = took(&store, &rollouts[0], &rollback("bad"), after(1)).await?;
    let last = store.said_last(FEED, 100).await?;
    let said: Vec<_> = last
        .iter()
        .map(|said| (said.rollout.as_str(), said.notice.kind.word()))
        .collect();
    ensure!(
        said == [("a-1", "started"), ("b-1", "started"), ("a-1", "rolling-back")],
        "{said:?}"
    );
    ensure!(store.said_last(FEED, 1).await? == last[2..], "the newest are kept");
    let new = store.said_after(&latched.id, FEED, until[&latched.id], 100).await?;
    ensure!(new == last[2..], "{new:?}");
    let none = store
        .said_after(&rollouts[1].id, FEED, until[&rollouts[1].id], 100)
        .await?;
    ensure!(none.is_empty(), "{none:?}");
    Ok(())
}

async fn who_leaves_gives_everything_back(world: World) -> Result<()> {
    let store = world.open().await?;
    let rollout = started(&store, &plan("checkout", "flag"), noon()).await?;
    took(&store, &rollout, &rollback("bad"), noon()).await?;
    store.beat("r1", noon(), 3).await?;
    let long = Period::seconds(3_600);
    ensure!(store.lead("r1", long).await?.is_some());
    ensure!(store.claim_safety(Part::Lowering, "r1", noon(), CLAIM, 5).await?.len() == 1);
    ensure!(store.claim_messages("pager", "r1", noon(), CLAIM, 5).await?.len() == 1);
    store.leave("r2").await?;
    ensure!(store.lead("r2", long).await?.is_none(), "r2 has nothing to give back");
    store.leave("r1").await?;
    ensure!(store.live_replicas(long).await?.is_empty() && store.lead("r2", long).await?.is_some());
    ensure!(store.claim_safety(Part::Lowering, "r2", noon(), CLAIM, 5).await?.len() == 1);
    ensure!(store.claim_messages("pager", "r2", noon(), CLAIM, 5).await?.len() == 1);
    Ok(())
}

async fn the_oldest_that_waits_is_known(world: World) -> Result<()> {
    let store = world.open().await?;
    ensure!(store.oldest().await? == (None, None));
    let rollout = started(&store, &plan("checkout", "flag"), noon()).await?;
    let rollout = took(&store, &rollout, &rollback("bad"), after(5)).await?;
    ensure!(
        store.oldest().await? == (Some(after(5)), Some(noon())),
        "the advance is overtaken"
    );
    let action = store
        .claim_safety(Part::Lowering, "r1", after(6), CLAIM, 1)
        .await?
        .remove(0)
        .action;
    store
        .postpone_action(&action.id, after(60), "it does not answer")
        .await?;
    ensure!(
        store.oldest().await?.0 == Some(after(6)),
        "since the first try, however often it is put off"
    );
    for channel in store.channels_due(after(6)).await? {
        for message in store.claim_messages(&channel, "r1", after(6), CLAIM, 100).await? {
            store.sent(&message.notice.id, &message.channel).await?;
        }
    }
    store.close_action(&action.id, "applied").await?;
    ensure!(store.oldest().await? == (None, None) && rollout.is_latched());
    Ok(())
}
