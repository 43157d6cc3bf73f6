//! Sub-commands and what is shown while they are typed: the same verbs as everywhere, refusals with code, reason, next step.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tidegate_rollout::command::USAGES;
use tidegate_tests::discord::{Answered, Mishap};
use tidegate_tests::wait;

use super::world::{ANA, EVE, HOSTILE, PATIENCE, VIC, World};
use crate::platforms::holding_the_database;

const START: &[(&str, &str)] = &[("plan", "checkout"), ("version", "1")];

#[tokio::test]
async fn every_verb_is_understood_and_answered_to_the_asker_alone() -> Result<()> {
    let world = World::new().await?;
    let options = |verb: &str| match verb {
        "start" => START.to_vec(),
        "hold" => vec![("reason", "watching redis"), ("for", "30m")],
        "note" => vec![("text", "she said \"no\"")],
        "release" => vec![("number", "1")],
        "check" => vec![("answer", "done"), ("item", "sessions")],
        "decide" => vec![("answer", "continue")],
        "freeze" => vec![("environment", "staging"), ("reason", "stocktaking")],
        "thaw" => vec![("environment", "staging")],
        _ => Vec::new(),
    };
    for usage in USAGES {
        let shown = world.say(ANA, usage.verb, &options(usage.verb)).await?;
        ensure!(!shown.trim().is_empty(), "{} is answered with nothing", usage.verb);
        ensure!(!shown.contains("R101"), "{}: {shown}", usage.verb);
    }
    let help = world.say(ANA, "help", &[]).await?;
    ensure!(USAGES.iter().all(|usage| help.contains(usage.verb)), "{help}");
    Ok(())
}

#[tokio::test]
async fn a_refusal_says_its_code_its_reason_and_what_to_do() -> Result<()> {
    let world = World::new().await?;
    type Case = (
        &'static str,
        &'static str,
        &'static [(&'static str, &'static str)],
        &'static str,
        &'static str,
    );
    let cases: [Case; 6] = [
        (ANA, "status", &[], "R103", "start <plan>"),
        (ANA, "start", &[("plan", "nothing")], "R105", "Plans I know: checkout"),
        (
            ANA,
            "start",
            &[("plan", "checkout"), ("version", "1"), ("inputs", "colour:red")],
            "R106",
            "asks for: version",
        ),
        (VIC, "start", START, "R301", "Ask somebody with that role"),
        (EVE, "start", START, "R303", "discord: \"80351110224678914\""),
        (EVE, "help", &[], "R303", "under `people`"),
    ];
    let of_old: [Case; 3] = [
        (ANA, "advnce", &[], "R101", "Did you mean `advance`"),
        (ANA, "hold", &[], "R104", "Say: hold"),
        (ANA, "hold", &[("colour", "red")], "R104", "registers them again"),
    ];
    let says = |shown: &str, case: Case| {
        let (user, verb, _, code, hint) = case;
        let fits = shown.starts_with(code) && shown.contains(hint);
        ensure!(fits, "{user} {verb}: {shown}");
        Ok(())
    };
    for case in cases {
        says(&world.say(case.0, case.1, case.2).await?, case)?;
    }
    for case in of_old {
        let typed = world.discord.command(case.0, case.1, case.2);
        ensure!(typed.is_err(), "{} can be typed", case.1);
        says(&world.say_of_old(case.0, case.1, case.2).await?, case)?;
    }
    ensure!(world.rollouts().await? == 0, "a refusal has started something");
    let id = world.say(ANA, "start", START).await?;
    ensure!(id.contains("checkout-1"), "{id}");
    let busy = world.say(ANA, "start", START).await?;
    ensure!(
        busy.starts_with("R406") && busy.contains("Finish or roll back checkout-1 first"),
        "{busy}"
    );
    Ok(())
}

#[tokio::test]
async fn text_from_outside_is_text() -> Result<()> {
    let world = World::new().await?;
    // `say` itself fails on anything that Discord would make more of.
    world
        .say(ANA, "start", &[("plan", "checkout"), ("version", HOSTILE)])
        .await?;
    world
        .say(ANA, "note", &[("text", &format!("``` {HOSTILE} ``` she said \"no\""))])
        .await?;
    let history = world.say(ANA, "history", &[]).await?;
    ensure!(
        history.contains("<@80351110224678912> <@&539082325061836999>"),
        "{history}"
    );
    ensure!(history.contains("she said \"no\""), "quotes are text: {history}");
    let status = world.say(ANA, "status", &[]).await?;
    ensure!(status.contains("Checkout @everyone & *co*"), "{status}");
    let strange = world.say(ANA, "status", &[("rollout", HOSTILE)]).await?;
    ensure!(strange.starts_with("R103"), "{strange}");
    let card = world.card("the card is posted", |_| true).await?;
    ensure!(card.pings().is_empty(), "{:?}", card.pings());
    ensure!(
        card.shown().contains("@everyone @here <@80351110224678912>"),
        "{}",
        card.shown()
    );
    let thread = world.thread("its start is told", |thread| !thread.is_empty()).await?;
    for message in &thread {
        ensure!(message.pings().is_empty(), "{:?}", message.pings());
        ensure!(
            message.sent["allowed_mentions"]["parse"] == Value::Array(Vec::new()),
            "{message:?}"
        );
    }
    Ok(())
}

/// What is offered while `user` types, and that it came in time.
async fn offered(world: &World, user: &str, verb: &str, options: &[(&str, &str)]) -> Result<Vec<(String, String)>> {
    let answered = world.deliver(&world.discord.typing(user, verb, options)?).await?;
    ensure!(
        answered.body["type"] == 8 && answered.took < Duration::from_secs(3),
        "{answered:?}"
    );
    let refused = world.discord.refused();
    ensure!(refused.is_empty(), "{refused:?}");
    let choices = answered.body["data"]["choices"].as_array().context("choices")?;
    let text = |choice: &Value, key: &str| choice[key].as_str().unwrap_or_default().to_owned();
    Ok(choices
        .iter()
        .map(|choice| (text(choice, "name"), text(choice, "value")))
        .collect())
}

#[tokio::test]
async fn what_would_make_sense_is_offered_while_somebody_types() -> Result<()> {
    let world = World::new().await?;
    let values = |offered: Vec<(String, String)>| offered.into_iter().map(|(_, value)| value).collect::<Vec<_>>();
    ensure!(values(offered(&world, ANA, "start", &[("plan", "")]).await?) == ["checkout"]);
    ensure!(values(offered(&world, ANA, "start", &[("plan", "CHECK")]).await?) == ["checkout"]);
    ensure!(offered(&world, ANA, "start", &[("plan", "zzz")]).await?.is_empty());
    ensure!(offered(&world, ANA, "advance", &[("rollout", "")]).await?.is_empty());
    world.at_the_first_gate().await?;
    world.say(ANA, "hold", &[("reason", HOSTILE)]).await?;
    for (user, verb) in [(ANA, "advance"), (VIC, "status")] {
        let found = offered(&world, user, verb, &[("rollout", "check")]).await?;
        ensure!(
            found.len() == 1 && found[0].1 == "checkout-1" && found[0].0.contains("5%"),
            "{found:?}"
        );
    }
    let holds = offered(&world, ANA, "release", &[("rollout", "checkout"), ("number", "")]).await?;
    ensure!(
        holds.len() == 1 && holds[0].0.contains("checkout-1: @everyone"),
        "{holds:?}"
    );
    let said = world
        .say(ANA, "release", &[("rollout", "checkout-1"), ("number", &holds[0].1)])
        .await?;
    ensure!(said.contains("released"), "{said}");
    ensure!(values(offered(&world, ANA, "thaw", &[("environment", "prod")]).await?) == ["production"]);
    // Who may not look is offered nothing, and nobody is refused with words that nobody would see.
    ensure!(offered(&world, EVE, "status", &[("rollout", "")]).await?.is_empty());
    Ok(())
}

/// Makes sure that somebody was told at once that it is worked on, for their eyes only.
fn deferred(answered: &Answered) -> Result<()> {
    ensure!(answered.took < Duration::from_secs(3), "{:?}", answered.took);
    ensure!(
        answered.body["type"] == 5 && answered.body["data"]["flags"] == 64,
        "{answered:?}"
    );
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_stored_is_said_and_not_done() -> Result<()> {
    let world = World::new().await?;
    let other = holding_the_database(&world.scratch, PATIENCE).await?;
    let answered = world.sent(ANA, "start", START).await?;
    deferred(&answered)?;
    let late = world.seen(&answered.token).await?;
    ensure!(late.contains("not stored, nothing done"), "{late}");
    ensure!(
        offered(&world, ANA, "start", &[("plan", "")]).await?.is_empty(),
        "nothing is offered late"
    );
    drop(other);
    ensure!(world.rollouts().await? == 0);
    let good = world.say(ANA, "start", START).await?;
    ensure!(good.contains("checkout-1"), "{good}");
    Ok(())
}

#[tokio::test]
async fn taken_up_too_late_only_a_rollback_is_done() -> Result<()> {
    let world = World::new().await?;
    let card = world.at_the_first_gate().await?;
    let yes = world.asked(ANA, &card, "rollback").await?;
    let other = holding_the_database(&world.scratch, PATIENCE).await?;
    let begun = Instant::now();
    let advance = world.discord.command(ANA, "advance", &[])?;
    let (advance, rollback) = tokio::join!(world.deliver(&advance), world.deliver(&yes));
    wait::until("both have waited for longer than they may", PATIENCE, async || {
        ensure!(begun.elapsed() > Duration::from_millis(2_600));
        Ok(())
    })
    .await?;
    drop(other);
    let (advance, rollback) = (advance?, rollback?);
    deferred(&advance)?;
    ensure!(
        rollback.body["type"] == 6,
        "the question stays while it is worked on: {rollback:?}"
    );
    let late = world.seen(&advance.token).await?;
    // Whichever the decider takes up first: neither advances anything.
    ensure!(late.starts_with("R4"), "{late}");
    let late = world.seen(&rollback.token).await?;
    ensure!(late.contains("Rollback from 5%"), "{late}");
    world
        .card("it is rolled back", |card| card.shown().contains("ROLLED BACK"))
        .await?;
    Ok(())
}

#[tokio::test]
async fn a_late_answer_outlives_what_goes_wrong_on_its_way() -> Result<()> {
    let world = World::new().await?;
    let other = holding_the_database(&world.scratch, PATIENCE).await?;
    world.discord.mishap(
        "PATCH @original",
        &[
            // Discord may not have heard our first answer yet.
            Mishap::Says(404, 10_015),
            Mishap::Broken,
            Mishap::TooMany(0.3, false),
            Mishap::DoneButLost,
        ],
    );
    let answered = world.sent(ANA, "start", START).await?;
    deferred(&answered)?;
    let late = world.seen(&answered.token).await?;
    ensure!(late.contains("not stored, nothing done"), "{late}");
    wait::until("it was tried until it was answered", PATIENCE, async || {
        ensure!(
            world.discord.calls("PATCH @original") == 5,
            "{}",
            world.discord.calls("PATCH @original")
        );
        Ok(())
    })
    .await?;
    drop(other);
    Ok(())
}

#[tokio::test]
async fn after_fifteen_minutes_nobody_can_be_answered_and_nobody_tries_for_ever() -> Result<()> {
    let world = World::new().await?;
    let other = holding_the_database(&world.scratch, PATIENCE).await?;
    let answered = world.sent(ANA, "start", START).await?;
    deferred(&answered)?;
    world.discord.pass(Duration::from_secs(16 * 60));
    wait::until("it was tried", PATIENCE, async || {
        ensure!(
            world.discord.refused().iter().any(|why| why.contains("50027")),
            "{:?}",
            world.discord.refused()
        );
        Ok(())
    })
    .await?;
    drop(other);
    let good = world.sent(ANA, "start", START).await?;
    ensure!(good.shown().contains("checkout-1"), "{good:?}");
    ensure!(world.discord.calls("PATCH @original") == 1, "a no is a no");
    Ok(())
}
