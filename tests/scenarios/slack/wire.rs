//! Everything that is ever sent to Slack, as it goes over the wire: every notice, cards, answers, forms; judged by the
//! workspace, by Slack's own types, and by what its readers would see.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use serde_json::Value;
use tidegate::channel::slack::{Api, SlackChannel};
use tidegate::channel::{Channel, Message};
use tidegate::chat::Card;
use tidegate::chat::slack::card::picture;
use tidegate::config::Sources;
use tidegate::net::Net;
use tidegate::render::{Form, Renderer};
use tidegate_rollout::Notice;
use tidegate_rollout::notice::HOSTILE;
use tidegate_tests::scratch::Scratch;
use tidegate_tests::slack::{CHANNEL, SECRET, Slack, TEAM, TOKEN, types};

use super::world::{ANA, HOSTILE as WORSE, VIC, World};

/// The way to the workspace, as a configuration describes it.
fn api(slack: &Slack) -> Result<Api> {
    let scratch = Scratch::new("wire")?;
    let settings = serde_json::json!({ "slack": {
        "signing_secret_file": scratch.write("signing", SECRET)?,
        "token_file": scratch.write("token", TOKEN)?,
        "workspaces": [TEAM],
        "api_url": slack.api_url(),
        "hooks_url": slack.hooks_url(),
    } });
    let sources = Sources {
        file: Some(scratch.write("tidegate.yml", settings.to_string())?),
        ..Sources::default()
    };
    let config = sources.load()?;
    let net = Net::new(config.allowed_hosts())?;
    Ok(Api::new(config.slack.as_ref().context("it is configured")?, net))
}

/// A channel that has posted nothing yet, so that nothing waits for its turn.
fn channel(api: &Api) -> SlackChannel {
    SlackChannel::new("releases".to_owned(), CHANNEL.to_owned(), api.clone())
}

#[tokio::test]
async fn every_notice_is_taken_shown_literally_and_as_loud_as_it_should_be() -> Result<()> {
    let slack = Slack::start().await?;
    slack.unpaced();
    let (api, renderer, now) = (
        api(&slack)?,
        Renderer::new(None).expect("they are built in"),
        Timestamp::UNIX_EPOCH,
    );
    let rollout = tidegate_rollout::RolloutId::new("checkout-17");
    let card = channel(&api).post_card(&rollout, "the card", &[]).await?;
    let (mut loud, mut hostile) = (BTreeMap::new(), 0);
    for sample in Notice::samples() {
        let text = renderer.render(&sample, Form::Text)?;
        let message = Message {
            thread: Some(card.clone()),
            ..Message::new(sample.clone(), text.clone())
        };
        Channel::Slack(channel(&api)).say(&message, now).await?;
        let posted = slack.messages().pop().context("it was posted")?;
        ensure!(
            posted.pings().is_empty(),
            "{}: {:?}",
            sample.kind.word(),
            posted.pings()
        );
        hostile += usize::from(text.contains("<!channel>"));
        loud.insert(sample.kind.word(), posted.broadcast);
    }
    ensure!(
        HOSTILE.contains("<!channel>") && hostile >= 10,
        "{hostile} samples carry hostile text"
    );
    ensure!(slack.refused().is_empty(), "{:?}", slack.refused());
    let loud: Vec<&str> = loud
        .into_iter()
        .filter_map(|(kind, loud)| loud.then_some(kind))
        .collect();
    let expected = [
        "aborted",
        "advance-failed",
        "approval-asked",
        "commitment-missed",
        "completed",
        "decision-opened",
        "delivery-missed",
        "guard-holds",
        "hook-failed",
        "no-data",
        "report",
        "rollback-stuck",
        "rolled-back",
        "rolling-back",
        "update",
        "waits-at-gate",
    ];
    ensure!(loud == expected, "{loud:?}");
    Ok(())
}

fn page() -> url::Url {
    "https://tidegate.example/r/checkout-17".parse().expect("it is one")
}

/// A card in which every text is as bad and as long as it can be.
fn worst(state: &str) -> Card {
    let long = WORSE.repeat(40);
    Card {
        ladder: Vec::new(),
        looked_at: Vec::new(),
        next_update: Some(long.clone()),
        missed: vec![long.clone(); 12],
        hooks: Vec::new(),
        observed: None,
        rollout: "a-plan-with-a-rather-long-name-17".to_owned(),
        title: long.clone(),
        service: long.clone(),
        environment: long.clone(),
        version: Some(long.clone()),
        state: state.to_owned(),
        health: Some("CRITICAL".to_owned()),
        health_detail: Some(long.clone()),
        weight: "25%".to_owned(),
        phase: Some(long.clone()),
        number: 2,
        phases: 4,
        next: long.clone(),
        waits_for: if state == "WAITING" {
            Vec::new()
        } else {
            vec![long.clone(); 40]
        },
        because: Some(long.clone()),
        stuck: (state == "ROLLING BACK").then(|| long.clone()),
        started_by: long,
        started_at: "2026-11-20T12:00:00Z".to_owned(),
        generation: u64::MAX,
        armed: true,
    }
}

#[test]
fn the_worst_card_is_taken_and_calls_nobody() {
    for state in [
        "ADVANCING",
        "BAKING",
        "HELD",
        "PAUSED",
        "WAITING",
        "WATCHING",
        "ROLLING BACK",
        "ROLLED BACK",
        "COMPLETED",
        "ABORTED",
    ] {
        let drawn = picture(&worst(state), Some(&page()), Timestamp::UNIX_EPOCH);
        let message = serde_json::json!({ "text": drawn.text, "blocks": drawn.blocks });
        assert_eq!(tidegate_tests::slack::judge(&message), Ok(()), "{state}");
        let (shown, pings) = tidegate_tests::slack::read(&message);
        assert_eq!(pings, Vec::<String>::new(), "{state}");
        assert!(shown.contains(state) && drawn.blocks.len() <= 12, "{state}: {shown}");
    }
}

#[tokio::test]
async fn slacks_own_types_take_everything() -> Result<()> {
    let world = World::new().await?;
    let card = world.at_the_first_gate().await?;
    let mut blocks: Vec<Value> = card.blocks.clone();
    for (user, text) in [
        (ANA, "help"),
        (ANA, "status"),
        (ANA, "history"),
        (ANA, "list"),
        (ANA, WORSE),
        (VIC, "advance"),
    ] {
        let answered = world.typed(user, text).await?;
        blocks.extend(answered.body["blocks"].as_array().cloned().unwrap_or_default());
    }
    blocks.extend(picture(&worst("BAKING"), Some(&page()), Timestamp::UNIX_EPOCH).blocks);
    world.typed(ANA, "start").await?;
    let mut form = world.slack.form().context("no form is open")?;
    if let Some(form) = form.as_object_mut() {
        // What Slack itself puts into an open form.
        form.remove("id");
        form.remove("hash");
    }
    types::check(&blocks, &form).await
}

#[tokio::test]
async fn slacks_own_types_notice_a_mistake() -> Result<()> {
    let good = serde_json::json!({ "type": "header", "text": { "type": "plain_text", "text": "x", "emoji": false } });
    let form = serde_json::json!({
        "type": "modal", "title": { "type": "plain_text", "text": "x" }, "blocks": [good.clone()],
    });
    types::check(std::slice::from_ref(&good), &form).await?;
    for wrong in [
        serde_json::json!({ "type": "header", "text": { "type": "mrkdwn", "text": "x" } }),
        serde_json::json!({ "type": "header", "texts": { "type": "plain_text", "text": "x" } }),
        serde_json::json!({ "type": "actions", "elements": [{ "type": "button", "style": "loud" }] }),
    ] {
        let refused = types::check(std::slice::from_ref(&wrong), &form).await;
        ensure!(refused.is_err(), "{wrong} is taken");
    }
    Ok(())
}
