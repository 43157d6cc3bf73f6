//! The card of a rollout and the thread below it: one message, always true, whatever Slack or the server do meanwhile.

use std::time::Duration;

use anyhow::{Result, ensure};
use reqwest::Method;
use serde_json::json;
use tidegate_tests::kubernetes::{self, ADMIN, Kubernetes};
use tidegate_tests::postgres::Postgres;
use tidegate_tests::scratch::Scratch;
use tidegate_tests::slack::{Mishap, Posted, Slack};
use tidegate_tests::wait;

use super::world::{ANA, PATIENCE, PLAN, World, setup};

fn broadcasts(thread: &[Posted]) -> Vec<&str> {
    let loud = thread.iter().filter(|message| message.broadcast);
    loud.map(|message| message.text.as_str()).collect()
}

/// What the thread says when a gate waits for a person, and when a rollout has started.
const GATE: &str = "GATE checkout-1";
const STARTED: &str = "Started by";

fn count(thread: &[Posted], words: &str) -> usize {
    thread.iter().filter(|message| message.text.contains(words)).count()
}

#[tokio::test]
async fn a_rollback_is_one_card_its_thread_and_three_broadcasts() -> Result<()> {
    let world = World::new().await?;
    let card = world.at_the_first_gate().await?;
    let shown = card.shown();
    ensure!(
        shown.contains("Checkout <!channel> & *co* 2.3.0 → production"),
        "{shown}"
    );
    ensure!(
        shown.contains("WAITING phase 1 of 3 (canary)  5%") && shown.contains("HEALTHY"),
        "{shown}"
    );
    ensure!(
        card.buttons() == ["advance", "pause", "rollback"],
        "{:?}",
        card.buttons()
    );
    world.alert().await?;
    let over = world
        .card("the card says that it went back", |card| {
            card.text.contains("ROLLED BACK")
        })
        .await?;
    ensure!(
        over.ts == card.ts && over.edits > 0 && over.buttons().is_empty(),
        "{over:?}"
    );
    ensure!(
        over.shown().contains("HighErrorRate") && over.pings().is_empty(),
        "{}",
        over.shown()
    );
    let thread = world
        .thread("the thread tells it", |thread| count(thread, "ROLLED BACK") == 1)
        .await?;
    let loud = broadcasts(&thread);
    ensure!(loud.len() == 3, "waits, goes back, went back: {loud:#?}");
    ensure!(
        count(&thread, STARTED) == 1 && thread.iter().all(|message| message.pings().is_empty()),
        "{thread:#?}"
    );
    ensure!(world.slack.cards().len() == 1);
    Ok(())
}

/// The first words of what the channel hears as well, in order.
fn kinds(thread: &[Posted]) -> Vec<String> {
    let first = |text: &&str| text.split(" checkout-1").next().unwrap_or_default().to_owned();
    broadcasts(thread).iter().map(first).collect()
}

#[tokio::test]
async fn that_it_is_over_is_told_in_the_channel_as_well() -> Result<()> {
    let scratch = Scratch::new("cards")?;
    let plan = PLAN
        .replace("gate: manual", "gate: auto")
        .replace("watch: 1h", "watch: 1s");
    let plan = scratch.write("plan.yaml", plan)?;
    let world = World::with(|settings| settings["plans"] = json!([plan])).await?;
    world.say(ANA, "start checkout version:2.3.0").await?;
    let thread = world
        .thread("it is over", |thread| count(thread, "COMPLETED checkout-1") == 1)
        .await?;
    ensure!(kinds(&thread) == ["COMPLETED"], "{thread:#?}");
    Ok(())
}

#[tokio::test]
async fn that_a_rollback_does_not_work_is_told_in_the_channel_as_well() -> Result<()> {
    let cluster = Kubernetes::fake().await?;
    cluster.deployment("shop", "checkout-v1", 2, "checkout", "v1")?;
    cluster.deployment("shop", "checkout-v2", 0, "checkout", "v2")?;
    let scratch = Scratch::new("cards")?;
    let kubeconfig = cluster.kubeconfig(&scratch, ADMIN)?;
    let pods = "deployment-replicas: { namespace: shop, new: checkout-v2, old: checkout-v1, total: 2 }";
    let ladder = format!("rollback: {{ ladder: [{{ name: pods, within: 2s, target: {{ {pods} }} }}] }}");
    let plan = PLAN
        .replace("flag: { key: checkout-v2 }", pods)
        .replace("  watch: 1h\n", &format!("  watch: 1h\n  {ladder}\n"))
        .replace("weight: 5%", "weight: 50%");
    let plan = scratch.write("plan.yaml", plan)?;
    let world = World::with(|settings| {
        settings["plans"] = json!([plan]);
        settings["kubernetes"] = json!({ "kubeconfig": kubeconfig });
    })
    .await?;
    world.at_the_first_gate().await?;
    cluster.trouble(Method::PATCH, "deployments", u32::MAX, kubernetes::Mishap::Refused(500))?;
    world.say(ANA, "rollback \"customers complain\"").await?;
    let stuck = "ROLLBACK STUCK checkout-1";
    let thread = world
        .thread("it does not work", |thread| count(thread, stuck) == 1)
        .await?;
    cluster.calm()?;
    ensure!(kinds(&thread) == ["GATE", "ROLLBACK", "ROLLBACK STUCK"], "{thread:#?}");
    let thread = world
        .thread("it has gone back", |thread| count(thread, "ROLLED BACK") == 1)
        .await?;
    ensure!(
        kinds(&thread).last().is_some_and(|last| last == "ROLLED BACK"),
        "{thread:#?}"
    );
    Ok(())
}

#[tokio::test]
async fn slack_may_ask_to_be_left_alone() -> Result<()> {
    let world = World::new().await?;
    world
        .slack
        .mishap("chat.postMessage", &[Mishap::TooMany(1), Mishap::TooMany(1)]);
    world.slack.mishap("chat.update", &[Mishap::TooMany(1), Mishap::Broken]);
    let card = world.at_the_first_gate().await?;
    let thread = world.thread("all is told", |thread| count(thread, GATE) == 1).await?;
    ensure!(count(&thread, STARTED) == 1, "{thread:#?}");
    // In the order in which it was decided.
    let first = thread.iter().position(|message| message.text.contains(STARTED));
    let last = thread.iter().position(|message| message.text.contains(GATE));
    ensure!(first < last, "{thread:#?}");
    ensure!(world.slack.cards().len() == 1 && world.slack.cards()[0].ts == card.ts);
    Ok(())
}

#[tokio::test]
async fn what_was_said_without_an_answer_is_not_said_twice() -> Result<()> {
    let world = World::new().await?;
    // The card, then two messages of its thread: Slack has them, and nobody hears so.
    world.slack.mishap(
        "chat.postMessage",
        &[Mishap::DoneButLost, Mishap::DoneButLost, Mishap::DoneButLost],
    );
    world.at_the_first_gate().await?;
    world.all_is_said().await?;
    let thread = world.thread("all is told", |thread| count(thread, GATE) >= 1).await?;
    ensure!(count(&thread, STARTED) == 1 && count(&thread, GATE) == 1, "{thread:#?}");
    ensure!(world.slack.cards().len() == 1);
    ensure!(world.slack.calls("conversations.history") > 0 && world.slack.calls("conversations.replies") > 0);
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
    let paused = world.card("it is paused", |card| card.text.contains("PAUSED")).await?;
    ensure!(
        paused.ts == card.ts && paused.buttons().contains(&"resume".to_owned()),
        "{paused:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_card_that_somebody_deleted_comes_again_with_the_next_notice() -> Result<()> {
    let world = World::new().await?;
    let card = world.at_the_first_gate().await?;
    world.all_is_said().await?;
    world.slack.delete(&card.ts);
    world.say(ANA, "note \"nobody sees a card now\"").await?;
    wait::until("the edit finds nothing to edit", PATIENCE, async || {
        ensure!(
            world
                .slack
                .refused()
                .iter()
                .any(|why| why.contains("message_not_found"))
        );
        Ok(())
    })
    .await?;
    world.say(ANA, "pause \"lunch\"").await?;
    let again = world
        .slack
        .card("a new card", PATIENCE, |new| new.ts != card.ts)
        .await?;
    ensure!(again.text.contains("PAUSED"), "{}", again.text);
    Ok(())
}

#[tokio::test]
async fn whoever_was_not_invited_is_told_what_to_do_and_nothing_is_lost() -> Result<()> {
    let world = World::new().await?;
    world.slack.invite(false);
    world.say(ANA, "start checkout version:2.3.0").await?;
    wait::until("it was tried", PATIENCE, async || {
        ensure!(world.slack.refused().iter().any(|why| why.contains("not_in_channel")));
        Ok(())
    })
    .await?;
    ensure!(world.slack.cards().is_empty());
    world.slack.invite(true);
    let card = world.slack.card("the card comes", PATIENCE, |_| true).await?;
    ensure!(card.text.contains("checkout-1"), "{}", card.text);
    Ok(())
}

#[tokio::test]
async fn without_the_scope_to_look_it_is_said_all_the_same() -> Result<()> {
    let world = World::new().await?;
    world.slack.scopes(&["commands", "chat:write"]);
    world.slack.mishap("chat.postMessage", &[Mishap::Broken]);
    world.say(ANA, "start checkout version:2.3.0").await?;
    let card = world.slack.card("the card comes", PATIENCE, |_| true).await?;
    ensure!(card.text.contains("checkout-1"), "{}", card.text);
    Ok(())
}

#[tokio::test]
async fn traffic_does_not_wait_for_slack() -> Result<()> {
    let world = World::new().await?;
    world.at_the_first_gate().await?;
    let broken = vec![Mishap::Broken; 50];
    world.slack.mishap("chat.postMessage", &broken);
    world.slack.mishap("chat.update", &broken);
    let begun = std::time::Instant::now();
    world.alert().await?;
    wait::until("it is rolled back", PATIENCE, async || {
        let rollout = world.rollout().await?;
        ensure!(rollout.state_word() == "ROLLED BACK", "{}", rollout.state_word());
        Ok(())
    })
    .await?;
    println!("rolled back in {:?} while Slack was down", begun.elapsed());
    ensure!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    Ok(())
}

#[tokio::test]
async fn a_server_killed_while_slack_answers_posts_nothing_twice() -> Result<()> {
    let slack = Slack::start().await?;
    // It is back sooner than Slack would take the next message.
    slack.unpaced();
    // Slack takes the card, then a message of its thread, and each time the server dies before it hears so.
    slack.mishap("chat.postMessage", &[Mishap::DoneAndSilent]);
    let mut server = setup(&slack)?.start().await?;
    let (code, said) = server
        .command(&["rollout", "start", "checkout", "version:2.3.0"])
        .await?;
    ensure!(code == 0, "{said}");
    for (what, posts) in [("the card", 1), ("the thread", 2)] {
        wait::until(what, PATIENCE, async || {
            ensure!(slack.messages().len() == posts, "{} messages", slack.messages().len());
            Ok(())
        })
        .await?;
        server.kill()?;
        if posts == 1 {
            slack.mishap("chat.postMessage", &[Mishap::DoneAndSilent]);
        }
        server.start_again().await?;
    }
    let gate = wait::until("the gate is told", PATIENCE, async || {
        let messages = slack.messages();
        ensure!(messages.iter().any(|message| message.text.contains(GATE)));
        Ok(messages)
    })
    .await?;
    ensure!(slack.cards().len() == 1, "{} cards", slack.cards().len());
    ensure!(count(&gate, STARTED) == 1 && count(&gate, GATE) == 1, "{gate:#?}");
    ensure!(slack.refused().is_empty(), "{:?}", slack.refused());
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
    let elsewhere = |path: &str| format!("http://{}{path}", other.address);
    let card = world.at_the_first_gate().await?;
    let press = world.slack.press(ANA, &card, "pause")?;
    let here = world.deliver("/slack/interactions", &press).await?;
    let there = world.slack.deliver(&elsewhere("/slack/interactions"), &press).await?;
    ensure!(here.status == 200 && there.status == 401, "{here:?}\n{there:?}");
    let paused = world.card("it is paused", |card| card.text.contains("PAUSED")).await?;
    let resume = world.slack.press(ANA, &paused, "resume")?;
    world.slack.deliver(&elsewhere("/slack/interactions"), &resume).await?;
    let said = world.slack.late_answer(&resume.response_url, PATIENCE).await?;
    ensure!(
        said["text"].as_str().is_some_and(|text| text.contains("resumed")),
        "{said}"
    );
    let thread = world
        .thread("all is told", |thread| {
            count(thread, "Resumed by ana") >= 1 && count(thread, GATE) >= 1
        })
        .await?;
    for words in [STARTED, GATE, "Paused by ana", "Resumed by ana"] {
        ensure!(count(&thread, words) <= 1, "{words}: {thread:#?}");
    }
    ensure!(world.slack.cards().len() == 1);
    other.stop().await;
    Ok(())
}
