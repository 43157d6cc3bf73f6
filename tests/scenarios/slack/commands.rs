//! Words typed after the slash command: the same verbs as everywhere, refusals with code, reason and next step.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tidegate_rollout::command::USAGES;
use tidegate_tests::slack::Answered;
use tidegate_tests::wait;

use super::world::{ANA, EVE, HOSTILE, PATIENCE, VIC, World};
use crate::platforms::holding_the_database;

#[tokio::test]
async fn every_verb_is_understood_and_answered_to_the_asker_alone() -> Result<()> {
    let world = World::new().await?;
    let arguments = |verb: &str| match verb {
        "start" => "checkout version:2.3.0",
        "hold" | "note" => "\"watching redis\"",
        "release" => "1",
        "check" => "done sessions",
        "decide" => "continue",
        "freeze" => "staging \"stocktaking\"",
        "thaw" => "staging",
        _ => "",
    };
    for usage in USAGES {
        let shown = world
            .say(ANA, &format!("{} {}", usage.verb, arguments(usage.verb)))
            .await?;
        ensure!(!shown.trim().is_empty(), "{} is answered with nothing", usage.verb);
        ensure!(!shown.contains("R101"), "{}: {shown}", usage.verb);
        // A name that was mistyped freezes nothing, and whoever typed it has to know.
        let of_nobody = ["freeze", "thaw"].contains(&usage.verb);
        ensure!(
            shown.contains("No plan names staging.") == of_nobody,
            "{}: {shown}",
            usage.verb
        );
    }
    let help = world.say(ANA, "").await?;
    ensure!(USAGES.iter().all(|usage| help.contains(usage.verb)), "{help}");
    Ok(())
}

#[tokio::test]
async fn a_refusal_says_its_code_its_reason_and_what_to_do() -> Result<()> {
    let world = World::new().await?;
    for (user, text, code, hint) in [
        (ANA, "advnce", "R101", "Did you mean `advance`"),
        (ANA, "status", "R103", "start <plan>"),
        (ANA, "hold", "R104", "Say: hold"),
        (ANA, "start nothing version:1", "R105", "Plans I know: checkout"),
        (ANA, "start checkout version:1 colour:red", "R106", "asks for: version"),
        (VIC, "start checkout version:1", "R301", "Ask somebody with that role"),
        (EVE, "start checkout version:1", "R303", "slack: U0EVE"),
        (EVE, "help", "R303", "slack: U0EVE"),
    ] {
        let shown = world.say(user, text).await?;
        ensure!(
            shown.starts_with(code) && shown.contains(hint),
            "{user} {text}: {shown}"
        );
    }
    ensure!(world.rollouts().await? == 0, "a refusal has started something");
    let id = world.say(ANA, "start checkout version:1").await?;
    ensure!(id.contains("checkout-1"), "{id}");
    let busy = world.say(ANA, "start checkout version:2").await?;
    ensure!(
        busy.starts_with("R406") && busy.contains("Finish or roll back checkout-1 first"),
        "{busy}"
    );
    Ok(())
}

#[tokio::test]
async fn text_from_outside_is_text() -> Result<()> {
    let world = World::new().await?;
    // `say` itself fails on anything that Slack would make more of.
    let unknown = world.say(ANA, HOSTILE).await?;
    ensure!(unknown.contains("<!channel>"), "{unknown}");
    world
        .say(ANA, &format!("start checkout version:\"{}\"", HOSTILE.replace('"', "")))
        .await?;
    world.say(ANA, &format!("note \"{HOSTILE}\"")).await?;
    let history = world.say(ANA, "history").await?;
    ensure!(history.contains("<@U0ANA> <!subteam^S1>"), "{history}");
    let status = world.say(ANA, "status").await?;
    ensure!(status.contains("Checkout <!channel> & *co*"), "{status}");
    let card = world.card("the card is posted", |_| true).await?;
    ensure!(card.pings().is_empty(), "{:?}", card.pings());
    let thread = world.thread("its start is told", |thread| !thread.is_empty()).await?;
    ensure!(thread.iter().all(|message| message.pings().is_empty()), "{thread:?}");
    ensure!(
        thread
            .iter()
            .all(|message| message.sent["mrkdwn"] == false && message.sent["parse"] == "none")
    );
    Ok(())
}

/// What somebody sees later who was told at once that it is worked on.
async fn later(world: &World, answered: &Answered) -> Result<String> {
    ensure!(answered.took < Duration::from_secs(3), "{:?}", answered.took);
    ensure!(answered.shown().contains("Working on it"), "{answered:?}");
    let late = world.slack.late_answer(&answered.response_url, PATIENCE).await?;
    Ok(tidegate_tests::slack::read(&late).0)
}

#[tokio::test]
async fn what_cannot_be_stored_is_said_and_not_done() -> Result<()> {
    let world = World::new().await?;
    let other = holding_the_database(&world.scratch, PATIENCE).await?;
    let answered = world.typed(ANA, "start checkout version:1").await?;
    let late = later(&world, &answered).await?;
    ensure!(late.contains("not stored, nothing done"), "{late}");
    drop(other);
    ensure!(world.rollouts().await? == 0);
    let good = world.say(ANA, "start checkout version:1").await?;
    ensure!(good.contains("checkout-1"), "{good}");
    Ok(())
}

#[tokio::test]
async fn taken_up_too_late_only_a_rollback_is_done() -> Result<()> {
    let world = World::new().await?;
    world.at_the_first_gate().await?;
    let other = holding_the_database(&world.scratch, PATIENCE).await?;
    let begun = Instant::now();
    let advance = world.slack.command(ANA, "advance");
    let rollback = world.slack.command(ANA, "rollback \"customers complain\"");
    let (advance, rollback) = tokio::join!(
        world.deliver("/slack/commands", &advance),
        world.deliver("/slack/commands", &rollback),
    );
    wait::until("both have waited for longer than they may", PATIENCE, async || {
        ensure!(begun.elapsed() > Duration::from_millis(2_600));
        Ok(())
    })
    .await?;
    drop(other);
    let late = later(&world, &advance?).await?;
    // Whichever the decider takes up first: neither advances anything.
    ensure!(late.starts_with("R4"), "{late}");
    let late = later(&world, &rollback?).await?;
    ensure!(late.contains("Rollback from 5%"), "{late}");
    world
        .card("it is rolled back", |card| card.text.contains("ROLLED BACK"))
        .await?;
    Ok(())
}
