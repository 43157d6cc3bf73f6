//! Which rollout is meant when none is named: the only one that is shown in the channel; of several none without its name.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tidegate_tests::scratch::Scratch;
use tidegate_tests::slack::{CHANNEL, Mishap};
use tidegate_tests::wait;

use super::world::{ANA, PATIENCE, PLAN, World};
use crate::platforms::rollout;

/// A channel that no audience hears.
const ELSEWHERE: &str = "C0LOBBY";

/// Plans `checkout` and `search`; the channel hears of the second too, or nobody does.
async fn plans(search_is_heard: bool) -> Result<World> {
    let scratch = Scratch::new("places")?;
    let mut search = PLAN
        .replace(
            "name: checkout }",
            "name: search, labels: { tidegate.dev/demo: \"true\" } }",
        )
        .replace("service: checkout", "service: search")
        .replace("checkout-v2", "search-v2")
        .replace("page: true", "page: false");
    if !search_is_heard {
        search = search.replace("channels: [releases]", "channels: [log]");
    }
    let plans = [
        scratch.write("checkout.yaml", PLAN)?,
        scratch.write("search.yaml", search)?,
    ];
    World::with(|settings| settings["plans"] = json!(plans)).await
}

/// Starts a plan, and waits until it stands at its first gate.
async fn at_the_gate(world: &World, name: &str) -> Result<()> {
    let said = world.say(ANA, &format!("start {name} version:1")).await?;
    ensure!(said.contains(&format!("{name}-1")), "{said}");
    wait::until("it waits at its first gate", PATIENCE, async || {
        let state = rollout(world.running(), &format!("{name}-1")).await?.state_word();
        ensure!(state == "WAITING", "{state}");
        Ok(())
    })
    .await
}

/// What ana sees who types a command in a channel.
async fn say_in(world: &World, channel: &str, text: &str) -> Result<String> {
    let signed = world.slack.command_at(channel, ANA, text);
    Ok(world.deliver("/slack/commands", &signed).await?.shown())
}

/// That neither was advanced.
async fn both_wait(world: &World) -> Result<()> {
    for id in ["checkout-1", "search-1"] {
        ensure!(
            rollout(world.running(), id).await?.phase_index() == 0,
            "{id} was advanced"
        );
    }
    Ok(())
}

#[tokio::test]
async fn the_one_that_the_channel_shows_is_meant_there() -> Result<()> {
    let world = plans(false).await?;
    at_the_gate(&world, "search").await?;
    at_the_gate(&world, "checkout").await?;
    world.card("its card is posted", |_| true).await?;
    let said = say_in(&world, ELSEWHERE, "advance").await?;
    ensure!(
        said.starts_with("R102") && said.contains("`advance checkout-1`") && said.contains("`advance search-1`"),
        "{said}"
    );
    both_wait(&world).await?;
    let said = say_in(&world, CHANNEL, "advance").await?;
    ensure!(
        rollout(world.running(), "checkout-1").await?.phase_index() == 1
            && rollout(world.running(), "search-1").await?.phase_index() == 0,
        "{said}"
    );
    ensure!(
        said.starts_with("checkout-1: ana said"),
        "who names none has to hear which one it was: {said}"
    );
    // A name is stronger than the place.
    let said = say_in(&world, CHANNEL, "advance search-1").await?;
    ensure!(rollout(world.running(), "search-1").await?.phase_index() == 1, "{said}");
    Ok(())
}

#[tokio::test]
async fn in_the_channel_of_both_nobody_guesses() -> Result<()> {
    let world = plans(true).await?;
    at_the_gate(&world, "checkout").await?;
    at_the_gate(&world, "search").await?;
    wait::until("both cards are posted", PATIENCE, async || {
        ensure!(world.slack.cards().len() == 2);
        Ok(())
    })
    .await?;
    let said = say_in(&world, CHANNEL, "advance").await?;
    ensure!(
        said.starts_with("R102") && said.contains("`advance search-1`"),
        "{said}"
    );
    both_wait(&world).await
}

/// What stands on the buttons of an answer, with the name and the value of each.
fn offered(answer: &Value) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let rows = answer["blocks"].as_array().into_iter().flatten();
    let buttons = rows.flat_map(|row| row["elements"].as_array().into_iter().flatten());
    buttons
        .filter(|element| element["type"] == "button")
        .map(|button| {
            (
                text(&button["text"]["text"]),
                text(&button["action_id"]),
                text(&button["value"]),
            )
        })
        .collect()
}

/// What ana sees who presses a button of an answer.
async fn press(world: &World, (_, action, value): &(String, String, String)) -> Result<Value> {
    let signed = world.slack.press_with(ANA, "1.0", action, value);
    world.deliver("/slack/interactions", &signed).await?;
    world.slack.late_answer(&signed.response_url, PATIENCE).await
}

#[tokio::test]
async fn who_is_asked_which_one_presses_it_and_is_asked_no_more() -> Result<()> {
    let world = plans(true).await?;
    at_the_gate(&world, "checkout").await?;
    at_the_gate(&world, "search").await?;
    let ask = async |text: &str| -> Result<Value> {
        let signed = world.slack.command_at(ELSEWHERE, ANA, text);
        Ok(world.deliver("/slack/commands", &signed).await?.body)
    };
    let question = ask("advance").await?;
    let buttons = offered(&question);
    let labels: Vec<&str> = buttons.iter().map(|(label, _, _)| label.as_str()).collect();
    assert_eq!(labels, ["checkout-1 (WAITING 5%)", "search-1 (WAITING 5%)"]);
    let row = question["blocks"]
        .as_array()
        .and_then(|blocks| blocks.last())
        .cloned()
        .unwrap_or_default();
    assert_eq!(row["elements"][1]["confirm"]["title"]["text"], "Advance search-1?");
    let said = press(&world, &buttons[1]).await?;
    ensure!(
        said["replace_original"] == true && said.to_string().contains("ana said `advance`"),
        "{said}"
    );
    ensure!(rollout(world.running(), "search-1").await?.phase_index() == 1, "{said}");
    ensure!(
        rollout(world.running(), "checkout-1").await?.phase_index() == 0,
        "{said}"
    );
    // A question of before is not answered by whatever is under it now.
    let said = press(&world, &buttons[1]).await?;
    ensure!(
        said["text"].as_str().is_some_and(|text| text.starts_with("R401")),
        "{said}"
    );
    // What was said with it is said again.
    let buttons = offered(&ask("hold \"watching redis\" for:30m").await?);
    let said = press(&world, &buttons[0]).await?;
    let held = rollout(world.running(), "checkout-1").await?;
    ensure!(
        held.holds
            .iter()
            .any(|hold| hold.reason == "watching redis" && hold.until.is_some()),
        "{said}"
    );
    // What cannot be said again as it was is for whoever said it.
    let long = ask(&format!("note \"{}\"", "calm ".repeat(30))).await?;
    ensure!(
        long["text"].as_str().is_some_and(|text| text.starts_with("R102")) && offered(&long).is_empty(),
        "{long}"
    );
    Ok(())
}

#[tokio::test]
async fn a_card_that_is_still_to_be_posted_makes_nothing_the_only_one() -> Result<()> {
    let world = plans(true).await?;
    at_the_gate(&world, "checkout").await?;
    world.card("its card is posted", |_| true).await?;
    world.all_is_said().await?;
    world.slack.mishap("chat.postMessage", &vec![Mishap::Broken; 1_000]);
    at_the_gate(&world, "search").await?;
    ensure!(world.slack.cards().len() == 1, "{:?}", world.slack.cards());
    let said = say_in(&world, CHANNEL, "advance").await?;
    ensure!(said.starts_with("R102"), "{said}");
    both_wait(&world).await
}
