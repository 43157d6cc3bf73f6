//! Which rollout is meant when none is named: in its own thread that one, in the channel of several none without its name.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tidegate_tests::discord::CHANNEL;
use tidegate_tests::scratch::Scratch;
use tidegate_tests::wait;

use super::world::{ANA, PATIENCE, PLAN, World};
use crate::platforms::rollout;

const CHECKOUT: &str = "checkout-1";
const SEARCH: &str = "search-1";
/// The type of an answer that takes the place of the message with the button.
const UPDATE: u64 = 7;

/// Two rollouts that wait at their first gates, each with its card in the same channel.
async fn two() -> Result<World> {
    let scratch = Scratch::new("places")?;
    let plan = |name: &str| {
        let text = PLAN
            .replace("name: checkout }", &format!("name: {name} }}"))
            .replace("service: checkout", &format!("service: {name}"))
            .replace("checkout-v2", &format!("{name}-v2"));
        scratch.write(&format!("{name}.yaml"), text)
    };
    let plans = [plan("checkout")?, plan("search")?];
    let world = World::with(|settings| settings["plans"] = json!(plans)).await?;
    for name in ["checkout", "search"] {
        let said = world.say(ANA, "start", &[("plan", name), ("version", "1")]).await?;
        ensure!(said.contains(&format!("{name}-1")), "{said}");
    }
    for id in [CHECKOUT, SEARCH] {
        wait::until("it waits at its first gate", PATIENCE, async || {
            let state = rollout(world.running(), id).await?.state_word();
            ensure!(state == "WAITING", "{state}");
            thread(&world, id).map(drop)
        })
        .await?;
    }
    Ok(world)
}

/// The thread of a rollout.
fn thread(world: &World, id: &str) -> Result<String> {
    let threads = world.discord.threads();
    let found = threads.iter().find(|(_, name)| *name == id);
    found.map(|(thread, _)| thread.clone()).context("it has no thread yet")
}

/// What ana sees who sends a command off at a place.
async fn say_at(world: &World, place: &str, verb: &str, options: &[(&str, &str)]) -> Result<String> {
    let signed = world.discord.command_at(place, ANA, verb, options)?;
    let answered = world.deliver(&signed).await?;
    world.seen(&answered.token).await
}

#[tokio::test]
async fn in_its_thread_a_rollout_needs_no_name_and_a_name_is_stronger() -> Result<()> {
    let world = two().await?;
    let search = thread(&world, SEARCH)?;
    let before = rollout(world.running(), CHECKOUT).await?.generation;
    let said = say_at(&world, &search, "advance", &[]).await?;
    ensure!(
        rollout(world.running(), SEARCH).await?.phase_index() == 1,
        "it did not go on: {said}"
    );
    let said = say_at(&world, &search, "status", &[]).await?;
    ensure!(said.contains(SEARCH) && !said.contains(CHECKOUT), "{said}");
    ensure!(
        rollout(world.running(), CHECKOUT).await?.generation == before,
        "the other one was touched"
    );
    let generation = async || anyhow::Ok(rollout(world.running(), SEARCH).await?.pause.is_none());
    for named in [CHECKOUT, "checkout"] {
        say_at(&world, &search, "pause", &[("rollout", named)]).await?;
        ensure!(rollout(world.running(), CHECKOUT).await?.pause.is_some() && generation().await?);
        say_at(&world, &search, "resume", &[("rollout", named)]).await?;
        ensure!(rollout(world.running(), CHECKOUT).await?.pause.is_none() && generation().await?);
    }
    Ok(())
}

#[tokio::test]
async fn in_the_channel_of_both_nobody_guesses_and_each_is_offered_with_its_command() -> Result<()> {
    let world = two().await?;
    let said = say_at(&world, CHANNEL, "hold", &[("reason", "watching redis"), ("for", "30m")]).await?;
    ensure!(said.starts_with("R102"), "{said}");
    for id in [CHECKOUT, SEARCH] {
        let command = format!("`hold {id} \"watching redis\" for:30m` (WAITING 5%)");
        ensure!(said.contains(&command), "{said}");
        ensure!(rollout(world.running(), id).await?.holds.is_empty(), "{id} is held");
    }
    Ok(())
}

#[tokio::test]
async fn who_is_asked_which_one_presses_it_and_the_answer_takes_the_place_of_the_question() -> Result<()> {
    let world = two().await?;
    let ask = async |verb: &str, options: &[(&str, &str)]| -> Result<Value> {
        let signed = world.discord.command_at(CHANNEL, ANA, verb, options)?;
        let answered = world.deliver(&signed).await?;
        world.discord.sees(&answered.token, PATIENCE, |_| true).await
    };
    let press = async |shown: &Value, button: &str| -> Result<(u64, Value)> {
        let signed = world.discord.press_in(ANA, shown, button)?;
        let answered = world.deliver(&signed).await?;
        let kind = answered.body["type"].as_u64().unwrap_or_default();
        Ok((kind, world.discord.sees(&answered.token, PATIENCE, |_| true).await?))
    };
    // Nothing is asked about a pause but which one.
    let which = ask("pause", &[("reason", "watching redis")]).await?;
    let (kind, said) = press(&which, "pick-2").await?;
    ensure!(kind == UPDATE, "{kind}: {said}");
    ensure!(rollout(world.running(), SEARCH).await?.pause.is_some(), "{said}");
    ensure!(rollout(world.running(), CHECKOUT).await?.pause.is_none(), "{said}");
    // A rollback is asked once more: two names stand side by side.
    let which = ask("rollback", &[]).await?;
    let (kind, sure) = press(&which, "pick-1").await?;
    ensure!(
        kind == UPDATE && sure.to_string().contains("Roll back checkout-1 now?"),
        "{kind}: {sure}"
    );
    ensure!(
        rollout(world.running(), CHECKOUT).await?.state_word() == "WAITING",
        "it was asked first"
    );
    let (_, said) = press(&sure, "leave").await?;
    ensure!(said["content"] == "Nothing was done.", "{said}");
    let (kind, said) = press(&sure, "pick!").await?;
    ensure!(kind == UPDATE, "{kind}: {said}");
    wait::until("it goes back", PATIENCE, async || {
        let state = rollout(world.running(), CHECKOUT).await?.state_word();
        ensure!(state == "ROLLED BACK", "{state}: {said}");
        Ok(())
    })
    .await?;
    ensure!(!rollout(world.running(), SEARCH).await?.is_final(), "{said}");
    Ok(())
}

#[tokio::test]
async fn what_is_over_is_still_meant_in_its_thread_and_nothing_else_is_hit() -> Result<()> {
    let world = two().await?;
    let search = thread(&world, SEARCH)?;
    say_at(&world, &search, "rollback", &[("reason", "customers complain")]).await?;
    wait::until("it is rolled back", PATIENCE, async || {
        let state = rollout(world.running(), SEARCH).await?;
        ensure!(state.is_final(), "{}", state.state_word());
        Ok(())
    })
    .await?;
    let before = rollout(world.running(), CHECKOUT).await?.generation;
    let said = say_at(&world, &search, "status", &[]).await?;
    ensure!(said.contains("ROLLED BACK") && said.contains(SEARCH), "{said}");
    let history = say_at(&world, &search, "history", &[]).await?;
    ensure!(history.contains("customers complain"), "{history}");
    for verb in ["advance", "pause", "rollback"] {
        let said = say_at(&world, &search, verb, &[]).await?;
        ensure!(said.starts_with("R403"), "{verb}: {said}");
    }
    ensure!(
        rollout(world.running(), CHECKOUT).await?.generation == before,
        "the other one was hit"
    );
    // The name of its plan means what that did last.
    let said = say_at(&world, CHANNEL, "status", &[("rollout", "search")]).await?;
    ensure!(said.contains("ROLLED BACK") && said.contains(SEARCH), "{said}");
    let said = say_at(&world, CHANNEL, "advance", &[("rollout", "search")]).await?;
    ensure!(said.starts_with("R403"), "{said}");
    // In the channel the other one is the only one now.
    say_at(&world, CHANNEL, "pause", &[]).await?;
    ensure!(rollout(world.running(), CHECKOUT).await?.pause.is_some());
    Ok(())
}

#[tokio::test]
async fn what_is_offered_while_somebody_types_is_of_the_rollout_that_would_be_hit() -> Result<()> {
    let world = two().await?;
    for (id, reason) in [(CHECKOUT, "watching redis"), (SEARCH, "watching the index")] {
        world.say(ANA, "hold", &[("rollout", id), ("reason", reason)]).await?;
    }
    let offered = async |place: &str| -> Result<Vec<String>> {
        let signed = world.discord.typing_at(place, ANA, "release", &[("number", "")])?;
        let answered = world.deliver(&signed).await?;
        let choices = answered.body["data"]["choices"].as_array().context("choices")?;
        let name = |choice: &serde_json::Value| choice["name"].as_str().unwrap_or_default().to_owned();
        Ok(choices.iter().map(name).collect())
    };
    let there = offered(&thread(&world, SEARCH)?).await?;
    ensure!(there.len() == 1 && there[0].contains("watching the index"), "{there:?}");
    ensure!(offered(CHANNEL).await?.len() == 2);
    let said = say_at(&world, &thread(&world, SEARCH)?, "release", &[("number", "1")]).await?;
    ensure!(
        rollout(world.running(), SEARCH).await?.holds.is_empty()
            && rollout(world.running(), CHECKOUT).await?.holds.len() == 1,
        "{said}"
    );
    Ok(())
}
