//! A step is saved whole, on the latest state, once; and a target carries one rollout at a time.

use anyhow::{Result, bail, ensure};
use futures_util::future::join_all;
use tidegate::store::{Begun, Environment, FEED, Froze, Position, Remembered, Saved, Starts};
use tidegate_rollout::command::Verb;
use tidegate_rollout::surroundings::Freeze;
use tidegate_rollout::{DeliveryId, Entry, Event, Rollout, RolloutId, Surroundings, step};

use super::on_both;
use super::world::{
    World, after, alert, begin, decided, delivery, noon, note, plan, rollback, said, started, stored, took, unsettled,
};

on_both!(
    a_start_is_stored_whole,
    starts_are_numbered_by_plan,
    a_target_carries_one_rollout,
    a_refused_start_leaves_nothing,
    epochs_of_a_target_go_on,
    a_start_knows_what_was_heard_lately,
    of_many_savers_one_wins,
    steps_are_saved_together_or_none_of_them,
    two_savers_race_for_the_last_of_the_budget,
    a_freeze_stops_what_was_decided_before_it,
    one_command_happens_once,
    one_command_starts_once,
    a_freeze_is_told_in_the_log,
    what_changed_is_found_by_revision,
    everything_is_there_after_a_restart,
);

async fn a_start_is_stored_whole(world: World) -> Result<()> {
    let store = world.open().await?;
    let rollout = started(&store, &plan("checkout", "checkout-v2"), noon()).await?;
    ensure!(rollout.id.as_str() == "checkout-1" && stored(&store, &rollout).await? == rollout);
    ensure!(store.active().await? == std::slice::from_ref(&rollout));
    ensure!(
        store.open_actions(&rollout.id).await?.len() == 1,
        "the first weight is asked for"
    );
    let history = store.history(&rollout.id, 10).await?;
    ensure!(
        history
            .first()
            .is_some_and(|(line, entry)| *line == 1 && entry.kind == "started"),
        "{history:?}"
    );
    ensure!(!store.said_after(&rollout.id, FEED, 0, 10).await?.is_empty());
    ensure!(store.rollout(&RolloutId::new("checkout-2")).await?.is_none());
    Ok(())
}

async fn starts_are_numbered_by_plan(world: World) -> Result<()> {
    let store = world.open().await?;
    let names = ["a", "b"].map(|name| plan(name, name));
    let first = started(&store, &names[0], noon()).await?;
    ensure!(started(&store, &names[1], noon()).await?.id.as_str() == "b-1");
    let over = to_the_end(&store, first).await?;
    ensure!(over.is_final());
    ensure!(started(&store, &names[0], after(1)).await?.id.as_str() == "a-2");
    let newest: Vec<String> = store
        .list(2)
        .await?
        .into_iter()
        .map(|rollout| rollout.id.to_string())
        .collect();
    ensure!(newest == ["a-2", "b-1"], "{newest:?}");
    Ok(())
}

/// Rolls back, and reports that zero was read back.
async fn to_the_end(store: &tidegate::store::Store, rollout: Rollout) -> Result<Rollout> {
    let mut rollout = stored(store, &rollout).await?;
    if !rollout.is_latched() {
        rollout = took(store, &rollout, &rollback("enough"), after(1)).await?;
    }
    let Some(claimed) = store.open_actions(&rollout.id).await?.pop() else {
        bail!("nothing lowers {}", rollout.id)
    };
    took(store, &rollout, &super::outbox::read_back(&claimed.action), after(2)).await
}

async fn a_target_carries_one_rollout(world: World) -> Result<()> {
    let store = world.open().await?;
    let plans: Vec<_> = (0..8)
        .map(|number| plan(&format!("plan-{number}"), "the-flag"))
        .collect();
    let starts = join_all(plans.iter().map(|plan| begin(&store, plan, None, noon()))).await;
    let mut begun = Vec::new();
    for start in starts {
        match start? {
            Begun::Started { step, .. } => begun.push(step.next.id),
            Begun::Refused(refusal) => ensure!(refusal.code.word() == "R406", "{refusal}"),
            Begun::SettledBefore => bail!("there was no cause"),
        }
    }
    ensure!(begun.len() == 1 && store.active().await?.len() == 1, "{begun:?}");
    Ok(())
}

async fn a_refused_start_leaves_nothing(world: World) -> Result<()> {
    let store = world.open().await?;
    started(&store, &plan("first", "flag"), noon()).await?;
    let cause = DeliveryId::new("d-1");
    store.remember(said("d-1", "mara", "k", Verb::List)).await?;
    let refused = begin(&store, &plan("second", "flag"), Some(&cause), noon()).await?;
    ensure!(matches!(refused, Begun::Refused(_)));
    ensure!(unsettled(&store).await? == ["d-1"], "the answer is still to be given");
    ensure!(
        started(&store, &plan("second", "other"), noon()).await?.id.as_str() == "second-1",
        "no number is lost"
    );
    Ok(())
}

async fn epochs_of_a_target_go_on(world: World) -> Result<()> {
    let store = world.open().await?;
    let first = started(&store, &plan("checkout", "flag"), noon()).await?;
    let over = to_the_end(&store, first).await?;
    let next = started(&store, &plan("other", "flag"), after(3)).await?;
    ensure!(next.epoch > over.epoch, "{} is not above {}", next.epoch, over.epoch);
    let apart = started(&store, &plan("apart", "apart"), after(3)).await?;
    ensure!(apart.epoch < over.epoch, "another target counts by itself");
    Ok(())
}

async fn a_start_knows_what_was_heard_lately(world: World) -> Result<()> {
    let store = world.open().await?;
    store
        .remember(delivery("d-1", noon(), vec![alert("HighErrorRate", "f1", noon())]))
        .await?;
    let refused = begin(&store, &plan("checkout", "flag"), None, after(60)).await?;
    let Begun::Refused(refusal) = refused else {
        bail!("{refused:?}")
    };
    ensure!(refusal.code.word() == "R206", "{refusal}");
    Ok(())
}

async fn of_many_savers_one_wins(world: World) -> Result<()> {
    let store = world.open().await?;
    let rollout = started(&store, &plan("checkout", "flag"), noon()).await?;
    let steps: Vec<_> = (0..8)
        .map(|number| decided(&rollout, &note(&format!("note {number}")), after(1)))
        .collect();
    let outcomes = join_all(steps.iter().map(|step| store.save(step, 0, None, after(1)))).await;
    let outcomes: Vec<Saved> = outcomes.into_iter().collect::<Result<_, _>>()?;
    let done: Vec<usize> = (0..8).filter(|saver| outcomes[*saver] == Saved::Done).collect();
    let [winner] = done[..] else { bail!("{outcomes:?}") };
    ensure!(stored(&store, &rollout).await? == steps[winner].next);
    let notes = store.history(&rollout.id, 100).await?;
    let notes = notes.iter().filter(|(_, entry)| entry.text.contains("note ")).count();
    ensure!(notes == 1, "of the others nothing is left, not even a line of the log");
    Ok(())
}

async fn steps_are_saved_together_or_none_of_them(world: World) -> Result<()> {
    let store = world.open().await?;
    let mut rollouts = Vec::new();
    for name in ["a", "b", "c"] {
        rollouts.push(started(&store, &plan(name, name), noon()).await?);
    }
    let before = store.position().await?;
    let noted = |text: &str| -> Vec<_> {
        let noted = rollouts
            .iter()
            .map(|rollout| (decided(rollout, &note(text), after(1)), 0));
        noted.collect()
    };
    // Somebody is faster with the last one.
    let faster = took(&store, &rollouts[2], &note("faster"), after(1)).await?;
    ensure!(!store.save_together(&noted("together"), after(1)).await?);
    for rollout in &rollouts[..2] {
        ensure!(
            stored(&store, rollout).await? == *rollout,
            "nothing is left of the others"
        );
        let history = store.history(&rollout.id, 100).await?;
        ensure!(
            !history.iter().any(|(_, entry)| entry.text.contains("together")),
            "{history:?}"
        );
    }
    ensure!(
        store.verify_log().await?.broken().next().is_none(),
        "a chain knows of lines that were undone"
    );

    let two = &noted("once more")[..2];
    ensure!(store.save_together(two, after(2)).await?);
    for (step, _) in two {
        ensure!(stored(&store, &step.next).await? == step.next);
        let history = store.history(&step.next.id, 100).await?;
        ensure!(
            history.iter().any(|(_, entry)| entry.text.contains("once more")),
            "{history:?}"
        );
    }
    let changed = store.changed_since(before.revision).await?.0;
    ensure!(
        changed == [faster, two[0].0.next.clone(), two[1].0.next.clone()],
        "each change has a number of its own, in the order of commits: {changed:?}"
    );
    Ok(())
}

async fn two_savers_race_for_the_last_of_the_budget(world: World) -> Result<()> {
    let store = world.open().await?;
    let mut rollouts = Vec::new();
    for name in ["a", "b"] {
        let rollout = started(&store, &plan(name, name), noon()).await?;
        rollouts.push(exposed(&store, rollout).await?);
    }
    let environment = store.environment("production", noon()).await?;
    ensure!(environment.automatic_rollbacks == 0);
    let alerted = Event::Alerted(alert("HighErrorRate", "f1", after(60)));
    let last = |rollout: &Rollout, spent: u32| {
        let around = Surroundings {
            automatic_rollbacks: spent,
            automatic_rollbacks_allowed: 1,
            ..Surroundings::calm(after(61))
        };
        step(rollout, &around, &alerted, after(61)).expect("not refused")
    };
    let steps = rollouts.iter().map(|rollout| last(rollout, 0)).collect::<Vec<_>>();
    ensure!(
        steps.iter().all(|step| step.spends_budget),
        "both want the last one: {steps:#?}"
    );
    let save = |step| store.save(step, environment.generation, None, after(61));
    let (one, other) = tokio::join!(save(&steps[0]), save(&steps[1]));
    let outcomes = [one?, other?];
    ensure!(
        outcomes.contains(&Saved::Done) && outcomes.contains(&Saved::Conflict),
        "{outcomes:?}"
    );
    let after_it = store.environment("production", noon()).await?;
    ensure!(after_it.automatic_rollbacks == 1 && after_it.generation != environment.generation);
    // The one that lost reads again, and finds the budget spent.
    let loser = usize::from(outcomes[0] == Saved::Done);
    let again = last(&stored(&store, &rollouts[loser]).await?, after_it.automatic_rollbacks);
    ensure!(!again.spends_budget);
    ensure!(store.save(&again, after_it.generation, None, after(61)).await? == Saved::Done);
    ensure!(
        store.environment("production", after(62)).await?.automatic_rollbacks == 0,
        "the window moves on"
    );
    Ok(())
}

/// Reports that the first weight was read back.
async fn exposed(store: &tidegate::store::Store, rollout: Rollout) -> Result<Rollout> {
    let Some(claimed) = store.open_actions(&rollout.id).await?.pop() else {
        bail!("nothing raises {}", rollout.id)
    };
    took(store, &rollout, &super::outbox::read_back(&claimed.action), after(1)).await
}

async fn a_freeze_stops_what_was_decided_before_it(world: World) -> Result<()> {
    let store = world.open().await?;
    let rollout = exposed(&store, started(&store, &plan("checkout", "flag"), noon()).await?).await?;
    let before = store.environment("production", noon()).await?.generation;
    let baked = after(660);
    let raises = decided(&rollout, &Event::Ticked, baked);
    ensure!(!raises.actions.is_empty(), "the phase has baked: {raises:?}");
    freeze(&store, true).await?;
    ensure!(store.save(&raises, before, None, baked).await? == Saved::Conflict);
    let lowers = decided(&rollout, &rollback("anyway"), baked);
    ensure!(
        store.save(&lowers, before, None, baked).await? == Saved::Done,
        "a rollback never waits for a freeze"
    );
    Ok(())
}

async fn freeze(store: &tidegate::store::Store, on: bool) -> Result<Freeze> {
    let freeze = Freeze {
        by: "mara".to_owned(),
        reason: "month's end".to_owned(),
        at: noon(),
    };
    let said = Entry {
        at: noon(),
        kind: if on { "frozen" } else { "thawed" }.to_owned(),
        by: "mara".to_owned(),
        surface: None,
        text: "production stands still: month's end".to_owned(),
    };
    let done = store
        .set_freeze("production", on.then_some(&freeze), &said, None)
        .await?;
    ensure!(done == Froze::Done, "{done:?}");
    Ok(freeze)
}

async fn a_freeze_is_told_in_the_log(world: World) -> Result<()> {
    let store = world.open().await?;
    ensure!(store.environment("production", noon()).await? == Environment::default());
    let placed = freeze(&store, true).await?;
    ensure!(store.freezes().await? == [("production".to_owned(), placed.clone())]);
    let refused = begin(&store, &plan("checkout", "flag"), None, noon()).await?;
    ensure!(
        matches!(&refused, Begun::Refused(refusal) if refusal.code.word() == "R205"),
        "{refused:?}"
    );
    let frozen = store.environment("production", noon()).await?;
    ensure!(frozen.freeze == Some(placed));
    freeze(&store, false).await?;
    let thawed = store.environment("production", noon()).await?;
    ensure!(thawed.freeze.is_none() && thawed.generation > frozen.generation);
    let again = Entry {
        at: noon(),
        kind: "thawed".to_owned(),
        by: "mara".to_owned(),
        text: "not to be written".to_owned(),
        surface: None,
    };
    for never_frozen in ["production", "staging"] {
        ensure!(store.set_freeze(never_frozen, None, &again, None).await? == Froze::WasNot);
    }
    ensure!(
        store.environment("production", noon()).await? == thawed,
        "nothing has moved"
    );
    let kinds: Vec<String> = store
        .server_history(10)
        .await?
        .into_iter()
        .map(|(_, entry)| entry.kind)
        .collect();
    ensure!(kinds == ["frozen", "thawed"]);
    Ok(())
}

async fn one_command_happens_once(world: World) -> Result<()> {
    let store = world.open().await?;
    let rollout = started(&store, &plan("checkout", "flag"), noon()).await?;
    let cause = DeliveryId::new("d-1");
    let remembered = store.remember(said("d-1", "mara", "k", Verb::List)).await?;
    ensure!(remembered == Remembered::New);
    let step = decided(&rollout, &note("once"), after(1));
    ensure!(store.save(&step, 0, Some(&cause), after(1)).await? == Saved::Done);
    ensure!(unsettled(&store).await?.is_empty(), "the step settles its cause");
    // A crash before the answer, or another replica that saw it too: the command is decided again.
    let again = decided(&stored(&store, &rollout).await?, &note("once"), after(2));
    ensure!(store.save(&again, 0, Some(&cause), after(2)).await? == Saved::SettledBefore);
    ensure!(stored(&store, &rollout).await? == step.next);
    // A conflict leaves the cause as it was.
    store.remember(said("d-2", "mara", "k2", Verb::List)).await?;
    ensure!(store.save(&step, 0, Some(&DeliveryId::new("d-2")), after(3)).await? == Saved::Conflict);
    ensure!(unsettled(&store).await? == ["d-2"]);
    Ok(())
}

async fn one_command_starts_once(world: World) -> Result<()> {
    let store = world.open().await?;
    let cause = DeliveryId::new("d-1");
    store.remember(said("d-1", "mara", "k", Verb::List)).await?;
    let plans: Vec<_> = (0..4)
        .map(|number| plan("checkout", &format!("flag-{number}")))
        .collect();
    let starts = join_all(plans.iter().map(|plan| begin(&store, plan, Some(&cause), noon()))).await;
    let starts: Vec<Begun> = starts.into_iter().collect::<Result<_>>()?;
    let begun = starts
        .iter()
        .filter(|begun| matches!(begun, Begun::Started { .. }))
        .count();
    ensure!(begun == 1 && store.active().await?.len() == 1, "{starts:?}");
    Ok(())
}

async fn what_changed_is_found_by_revision(world: World) -> Result<()> {
    let store = world.open().await?;
    ensure!(store.changed_since(0).await? == (vec![], Position::default()));
    let a = started(&store, &plan("a", "a"), noon()).await?;
    let b = started(&store, &plan("b", "b"), noon()).await?;
    let (rollouts, position) = store.changed_since(0).await?;
    ensure!(rollouts == [a.clone(), b.clone()] && position.starts == Starts(2));
    let a = took(&store, &a, &note("changed"), after(1)).await?;
    let (rollouts, next) = store.changed_since(position.revision).await?;
    ensure!(rollouts == std::slice::from_ref(&a) && next.revision > position.revision && next.starts == Starts(2));
    ensure!(store.changed_since(next.revision).await? == (vec![], next));
    ensure!(store.position().await? == next);
    let next = next.revision;
    ensure!(store.moved_since(next).await? == (vec![], next));
    ensure!(
        store.moved_since(0).await? == (vec![b.id, a.id], next),
        "in the order of the changes"
    );
    Ok(())
}

async fn everything_is_there_after_a_restart(world: World) -> Result<()> {
    let store = world.open().await?;
    let rollout = started(&store, &plan("checkout", "flag"), noon()).await?;
    let rollout = took(&store, &rollout, &rollback("bad"), after(1)).await?;
    freeze(&store, true).await?;
    let (history, actions) = (
        store.history(&rollout.id, 100).await?,
        store.open_actions(&rollout.id).await?,
    );
    let messages = store.said_after(&rollout.id, "log", 0, 100).await?;
    store.close().await;
    let again = world.open().await?;
    ensure!(stored(&again, &rollout).await? == rollout && rollout.is_latched());
    ensure!(again.history(&rollout.id, 100).await? == history && again.open_actions(&rollout.id).await? == actions);
    ensure!(again.said_after(&rollout.id, "log", 0, 100).await? == messages && !messages.is_empty());
    ensure!(again.freezes().await?.len() == 1 && actions.len() == 1);
    Ok(())
}
