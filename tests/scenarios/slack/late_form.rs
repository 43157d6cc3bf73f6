//! A form whose start takes longer than Slack waits: whoever sent it off is told what became of it, whatever that is, in the
//! form or, when they have closed it, where they asked for it.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tidegate_tests::slack::{Answered, Mishap, Signed};
use tidegate_tests::wait;

use super::world::{ANA, PATIENCE, World};
use crate::platforms::holding_the_database;

/// What a form shows, which must be nothing but text.
fn shown(view: &Value) -> String {
    tidegate_tests::slack::read(view).0
}

/// An open form that is filled in, and the address where its command is answered.
async fn filled_in(world: &World) -> Result<(Value, Signed, String)> {
    let command = world.slack.command(ANA, "start");
    let answered = world.deliver("/slack/commands", &command).await?;
    ensure!(answered.body.is_null(), "{answered:?}");
    let form = world.slack.form().context("no form is open")?;
    let signed = world.slack.submit(ANA, &form, &[("input:version", "2.3.0")]);
    Ok((form, signed, command.response_url))
}

/// Sends it off; makes sure that the form stays open and says that it is worked on, in time.
async fn sent_off(world: &World, form: &Value, signed: &Signed) -> Result<Answered> {
    let answered = world.deliver("/slack/interactions", signed).await?;
    ensure!(answered.took < Duration::from_secs(3), "{:?}", answered.took);
    ensure!(answered.body["response_action"] == "update", "{answered:?}");
    let open = world.slack.form().context("no form is open")?;
    ensure!(
        open["id"] == form["id"] && shown(&open).contains("Working on it"),
        "{open}"
    );
    Ok(answered)
}

/// What the form says in the end.
async fn outcome(world: &World) -> Result<Value> {
    let form = world
        .slack
        .form_once("what became of it", PATIENCE, |form| {
            !shown(form).contains("Working on it")
        })
        .await?;
    let (_, pings) = tidegate_tests::slack::read(&form);
    ensure!(pings.is_empty(), "{pings:?}");
    let refused = world.slack.refused();
    ensure!(refused.is_empty(), "{refused:?}");
    Ok(form)
}

async fn passed(since: Instant, time: Duration) -> Result<()> {
    wait::until("so much time has passed", PATIENCE, async || {
        ensure!(since.elapsed() > time);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_start_that_comes_too_late_is_refused_in_the_form_and_can_be_sent_off_again() -> Result<()> {
    let world = World::new().await?;
    let (form, signed, _) = filled_in(&world).await?;
    let other = holding_the_database(&world.scratch, PATIENCE).await?;
    let begun = Instant::now();
    sent_off(&world, &form, &signed).await?;
    passed(begun, Duration::from_millis(2_600)).await?;
    drop(other);
    let again = outcome(&world).await?;
    let text = shown(&again);
    ensure!(text.starts_with("R408") && text.contains("Preflight"), "{text}");
    ensure!(
        world.rollouts().await? == 0,
        "it has started, and its person was told otherwise"
    );
    // What was filled in stands there still.
    let once_more = world.slack.submit(ANA, &again, &[]);
    let answered = world.deliver("/slack/interactions", &once_more).await?;
    ensure!(shown(&answered.body["view"]).contains("checkout-1"), "{answered:?}");
    ensure!(world.rollout().await?.version() == Some("2.3.0"));
    Ok(())
}

#[tokio::test]
async fn what_the_form_says_in_the_end_is_what_was_done() -> Result<()> {
    let world = World::new().await?;
    let (form, signed, _) = filled_in(&world).await?;
    let other = holding_the_database(&world.scratch, PATIENCE).await?;
    // What goes wrong on the way costs nobody the answer.
    world.slack.mishap(
        "views.update",
        &[Mishap::Broken, Mishap::TooMany(1), Mishap::DoneButLost],
    );
    sent_off(&world, &form, &signed).await?;
    drop(other);
    let text = shown(&outcome(&world).await?);
    // On a machine that is busy with other things it may be too late for a start.
    match world.rollouts().await? {
        0 => ensure!(text.starts_with("R408"), "{text}"),
        _ => ensure!(text.contains("checkout-1") && !text.contains("Preflight"), "{text}"),
    }
    wait::until("it was tried until it was answered", PATIENCE, async || {
        let calls = world.slack.calls("views.update");
        ensure!(calls == 4, "{calls}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_cannot_be_stored_is_said_in_the_form() -> Result<()> {
    let world = World::new().await?;
    let (form, signed, _) = filled_in(&world).await?;
    let other = holding_the_database(&world.scratch, PATIENCE).await?;
    sent_off(&world, &form, &signed).await?;
    let text = shown(&outcome(&world).await?);
    ensure!(text.contains("not stored, nothing done"), "{text}");
    drop(other);
    ensure!(world.rollouts().await? == 0);
    Ok(())
}

#[tokio::test]
async fn whoever_has_closed_the_form_is_told_where_they_asked_for_it() -> Result<()> {
    let world = World::new().await?;
    let (form, _, address) = filled_in(&world).await?;
    // The address outlives another choice in the form.
    let chosen = world.slack.choose(ANA, &form, "plan", "checkout");
    world.deliver("/slack/interactions", &chosen).await?;
    let form = world.slack.form().context("no form is open")?;
    let signed = world.slack.submit(ANA, &form, &[("input:version", "2.3.0")]);
    let other = holding_the_database(&world.scratch, PATIENCE).await?;
    let begun = Instant::now();
    sent_off(&world, &form, &signed).await?;
    world.slack.close(&form);
    passed(begun, Duration::from_millis(2_600)).await?;
    drop(other);
    let answer = world.slack.late_answer(&address, PATIENCE).await?;
    ensure!(answer["response_type"] == "ephemeral", "{answer}");
    let (text, pings) = tidegate_tests::slack::read(&answer);
    ensure!(text.starts_with("R408") && pings.is_empty(), "{text}: {pings:?}");
    ensure!(world.rollouts().await? == 0);
    Ok(())
}
