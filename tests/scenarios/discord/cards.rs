//! The card of a rollout and the thread that hangs on it: one message, always true, whatever Discord or the server do
//! meanwhile.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tidegate_tests::discord::{CHANNEL, Discord, Mishap, Posted};
use tidegate_tests::postgres::Postgres;
use tidegate_tests::scratch::Scratch;
use tidegate_tests::wait;

use super::world::{ANA, PATIENCE, World, setup};

/// What the thread says when a gate waits for a person, and when a rollout has started.
const GATE: &str = "GATE checkout-1";
const STARTED: &str = "Started by";

fn count(messages: &[Posted], words: &str) -> usize {
    messages
        .iter()
        .filter(|message| message.shown().contains(words))
        .count()
}

/// What stands in the channel beside the card, each as a reply to it.
fn loud(discord: &Discord, card: &Posted) -> Result<Vec<Posted>> {
    let mut messages = discord.messages(CHANNEL);
    messages.retain(|message| message.id != card.id);
    for message in &messages {
        ensure!(message.reply_to.as_deref() == Some(card.id.as_str()), "{message:?}");
        ensure!(message.sent["allowed_mentions"]["replied_user"] == false, "{message:?}");
    }
    Ok(messages)
}

#[tokio::test]
async fn a_rollback_is_one_card_its_thread_and_what_concerns_everybody() -> Result<()> {
    let world = World::new().await?;
    let card = world.at_the_first_gate().await?;
    let shown = card.shown();
    ensure!(
        shown.contains("Checkout @everyone & *co* 2.3.0 → production"),
        "{shown}"
    );
    ensure!(
        shown.contains("WAITING phase 1 of 3 (canary)  5%") && shown.contains("HEALTHY"),
        "{shown}"
    );
    ensure!(world.discord.threads().get(&card.id).map(String::as_str) == Some("checkout-1"));
    world.alert().await?;
    let over = world
        .card("the card says that it went back", |card| {
            card.shown().contains("ROLLED BACK")
        })
        .await?;
    ensure!(
        over.id == card.id && over.edits > 0 && over.buttons().is_empty(),
        "{over:?}"
    );
    ensure!(
        over.shown().contains("HighErrorRate") && over.pings().is_empty(),
        "{} {:?}",
        over.shown(),
        over.pings()
    );
    let thread = world
        .thread("the thread tells it", |thread| count(thread, "ROLLED BACK") == 1)
        .await?;
    ensure!(
        count(&thread, STARTED) == 1 && thread.iter().all(|message| message.pings().is_empty()),
        "{thread:#?}"
    );
    world.all_is_said().await?;
    let loud = loud(&world.discord, &card)?;
    ensure!(loud.len() == 3, "waits, goes back, went back: {loud:#?}");
    ensure!(count(&loud, GATE) == 1 && count(&loud, "ROLLED BACK") == 1, "{loud:#?}");
    ensure!(world.discord.cards().len() == 1 && world.discord.threads().len() == 1);
    Ok(())
}

#[tokio::test]
async fn discord_may_ask_to_be_left_alone() -> Result<()> {
    let world = World::new().await?;
    let too_many = [Mishap::TooMany(0.4, false), Mishap::TooMany(0.4, true)];
    world.discord.mishap("POST messages", &too_many);
    world
        .discord
        .mishap("PATCH messages", &[Mishap::TooMany(0.4, false), Mishap::Broken]);
    let card = world.at_the_first_gate().await?;
    let thread = world.thread("all is told", |thread| count(thread, GATE) == 1).await?;
    ensure!(count(&thread, STARTED) == 1, "{thread:#?}");
    // In the order in which it was decided.
    let first = thread.iter().position(|message| message.shown().contains(STARTED));
    let last = thread.iter().position(|message| message.shown().contains(GATE));
    ensure!(first < last, "{thread:#?}");
    ensure!(world.discord.cards().len() == 1 && world.discord.cards()[0].id == card.id);
    Ok(())
}

#[tokio::test]
async fn a_storm_of_notices_keeps_to_the_pace_that_discord_names() -> Result<()> {
    let world = World::new().await?;
    let card = world.at_the_first_gate().await?;
    for number in 0..12 {
        world
            .say(ANA, if number % 2 == 0 { "pause" } else { "resume" }, &[])
            .await?;
    }
    let thread = world
        .thread("all is told", |thread| count(thread, "Resumed by ana") == 6)
        .await?;
    ensure!(count(&thread, "Paused by ana") == 6, "{thread:#?}");
    // Every answer says how many more are taken: nobody runs into a no that was announced. The first of a burst may.
    let calls = world.discord.calls("POST messages");
    let taken = thread.len() + world.discord.messages(CHANNEL).len();
    ensure!(calls <= taken + 2, "{calls} calls for {taken} messages");
    ensure!(world.discord.cards()[0].id == card.id && world.discord.refused().is_empty());
    Ok(())
}

#[tokio::test]
async fn what_was_said_without_an_answer_is_not_said_twice() -> Result<()> {
    let world = World::new().await?;
    world.discord.unpaced();
    // The card, then messages of its thread and of the channel: Discord has them, and nobody hears so.
    world.discord.mishap("POST messages", &vec![Mishap::DoneButLost; 4]);
    let card = world.at_the_first_gate().await?;
    world.all_is_said().await?;
    let thread = world.thread("all is told", |thread| count(thread, GATE) >= 1).await?;
    ensure!(count(&thread, STARTED) == 1 && count(&thread, GATE) == 1, "{thread:#?}");
    ensure!(world.discord.cards().len() == 1 && count(&loud(&world.discord, &card)?, GATE) == 1);
    ensure!(world.discord.calls("GET messages") > 0, "it was looked up");
    Ok(())
}

#[tokio::test]
async fn a_card_and_its_buttons_are_true_after_a_restart() -> Result<()> {
    let mut world = World::new().await?;
    let card = world.at_the_first_gate().await?;
    world.restart().await?;
    let present = world.present_card().await?;
    let said = world.press(ANA, &present, "pause").await?;
    ensure!(said.contains("paused") && !said.starts_with('R'), "{said}");
    let paused = world
        .card("it is paused", |card| card.shown().contains("PAUSED"))
        .await?;
    ensure!(
        paused.id == card.id && paused.buttons().contains(&"[Resume]".to_owned()),
        "{paused:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_card_that_somebody_deleted_comes_again_with_the_next_notice() -> Result<()> {
    let world = World::new().await?;
    world.discord.unpaced();
    let card = world.at_the_first_gate().await?;
    world.all_is_said().await?;
    world.discord.delete(&card.id);
    world.say(ANA, "note", &[("text", "nobody sees a card now")]).await?;
    wait::until("the edit finds nothing to edit", PATIENCE, async || {
        ensure!(world.discord.refused().iter().any(|why| why.contains("10008")));
        Ok(())
    })
    .await?;
    world.sent(ANA, "pause", &[("reason", "lunch")]).await?;
    let again = world
        .discord
        .card("a new card", PATIENCE, |new| new.id != card.id)
        .await?;
    ensure!(again.shown().contains("PAUSED"), "{}", again.shown());
    Ok(())
}

#[tokio::test]
async fn a_thread_that_somebody_deleted_is_opened_again() -> Result<()> {
    let world = World::new().await?;
    world.discord.unpaced();
    let card = world.at_the_first_gate().await?;
    world.all_is_said().await?;
    world.discord.delete_thread(&card.id);
    world.sent(ANA, "pause", &[("reason", "lunch")]).await?;
    let thread = world
        .thread("the thread is there again", |thread| count(thread, "lunch") == 1)
        .await?;
    ensure!(thread.len() == 1 && world.discord.threads().contains_key(&card.id));
    Ok(())
}

#[tokio::test]
async fn without_its_permissions_it_says_what_to_do_and_nothing_is_lost() -> Result<()> {
    let world = World::new().await?;
    world.discord.permit(&["VIEW_CHANNEL"]);
    world
        .sent(ANA, "start", &[("plan", "checkout"), ("version", "2.3.0")])
        .await?;
    wait::until("it was tried", PATIENCE, async || {
        ensure!(world.discord.refused().iter().any(|why| why.contains("50013")));
        Ok(())
    })
    .await?;
    ensure!(world.discord.cards().is_empty());
    world.discord.permit(&tidegate_tests::discord::PERMISSIONS);
    let card = world.discord.card("the card comes", PATIENCE, |_| true).await?;
    ensure!(card.shown().contains("checkout-1"), "{}", card.shown());
    Ok(())
}

#[tokio::test]
async fn without_the_permission_to_look_it_is_said_all_the_same() -> Result<()> {
    let world = World::new().await?;
    let all_but_the_last: Vec<&str> = tidegate_tests::discord::PERMISSIONS[..5].to_vec();
    world.discord.permit(&all_but_the_last);
    world.discord.mishap("POST messages", &[Mishap::Broken]);
    world
        .sent(ANA, "start", &[("plan", "checkout"), ("version", "2.3.0")])
        .await?;
    let card = world.discord.card("the card comes", PATIENCE, |_| true).await?;
    ensure!(card.shown().contains("checkout-1"), "{}", card.shown());
    Ok(())
}

#[tokio::test]
async fn traffic_does_not_wait_for_discord() -> Result<()> {
    let world = World::new().await?;
    world.at_the_first_gate().await?;
    let broken = vec![Mishap::Broken; 50];
    world.discord.mishap("POST messages", &broken);
    world.discord.mishap("PATCH messages", &broken);
    let begun = std::time::Instant::now();
    world.alert().await?;
    wait::until("it is rolled back", PATIENCE, async || {
        let rollout = world.rollout().await?;
        ensure!(rollout.state_word() == "ROLLED BACK", "{}", rollout.state_word());
        Ok(())
    })
    .await?;
    println!("rolled back in {:?} while Discord was down", begun.elapsed());
    ensure!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    Ok(())
}

#[tokio::test]
async fn a_server_killed_while_discord_answers_posts_nothing_twice() -> Result<()> {
    let discord = Discord::start().await?;
    discord.unpaced();
    // Discord takes the card, then a message of its thread, and each time the server dies before it hears so.
    discord.mishap("POST messages", &[Mishap::DoneAndSilent]);
    let mut server = setup(&discord)?.start().await?;
    let (code, said) = server
        .command(&["rollout", "start", "checkout", "version:2.3.0"])
        .await?;
    ensure!(code == 0, "{said}");
    wait::until("the card", PATIENCE, async || {
        ensure!(discord.cards().len() == 1, "{} cards", discord.cards().len());
        Ok(())
    })
    .await?;
    server.kill()?;
    discord.mishap("POST messages", &[Mishap::DoneAndSilent]);
    server.start_again().await?;
    let card = discord.cards().pop().context("it was posted")?;
    wait::until("the thread", PATIENCE, async || {
        ensure!(
            discord.messages(&card.id).len() == 1,
            "refused: {:?}",
            discord.refused()
        );
        Ok(())
    })
    .await?;
    server.kill()?;
    server.start_again().await?;
    let thread = wait::until("the gate is told", PATIENCE, async || {
        let messages = discord.messages(&card.id);
        ensure!(count(&messages, GATE) > 0, "{messages:#?}");
        Ok(messages)
    })
    .await?;
    ensure!(discord.cards().len() == 1, "{} cards", discord.cards().len());
    ensure!(count(&thread, STARTED) == 1 && count(&thread, GATE) == 1, "{thread:#?}");
    // The card's thread is not there yet when it is found again; it is a thread already when its answer was lost.
    let refused = discord.refused();
    ensure!(refused.iter().all(|why| why.contains("160004")), "{refused:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_on_postgresql_keep_one_card_and_believe_a_request_once() -> Result<()> {
    let database = Postgres::shared().await?;
    let url = database.create_database().await?;
    let secrets = Scratch::new("postgres")?;
    let file = secrets.write("url", url)?;
    let world =
        World::with(|settings| settings["storage"]["postgres_url_file"] = file.display().to_string().into()).await?;
    let other = world.replica().await?;
    let elsewhere = format!("http://{}/discord/interactions", other.address);
    let card = world.at_the_first_gate().await?;
    let press = world.discord.press(ANA, &card, "pause")?;
    let here = world.deliver(&press).await?;
    let there = world.discord.deliver(&elsewhere, &press).await?;
    ensure!(here.status == 200 && there.status == 401, "{here:?}\n{there:?}");
    let paused = world
        .card("it is paused", |card| card.shown().contains("PAUSED"))
        .await?;
    let resume = world.discord.press(ANA, &paused, "resume")?;
    world.discord.deliver(&elsewhere, &resume).await?;
    let said = world.seen(&resume.token).await?;
    ensure!(said.contains("resumed"), "{said}");
    let thread = world
        .thread("all is told", |thread| {
            count(thread, "Resumed by ana") >= 1 && count(thread, GATE) >= 1
        })
        .await?;
    for words in [STARTED, GATE, "Paused by ana", "Resumed by ana"] {
        ensure!(count(&thread, words) <= 1, "{words}: {thread:#?}");
    }
    ensure!(world.discord.cards().len() == 1);
    other.stop().await;
    Ok(())
}
