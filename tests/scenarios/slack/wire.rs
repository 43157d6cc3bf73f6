//! Everything that is ever sent to Slack, as it goes over the wire: every notice, cards, answers, forms; judged by the
//! workspace, by Slack's own types, and by what its readers would see.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use serde_json::json;
use tidegate::channel::slack::{Api, SlackChannel};
use tidegate::channel::{Channel, Message};
use tidegate::chat::Card;
use tidegate::chat::slack::card::picture;
use tidegate::config::Sources;
use tidegate::net::Net;
use tidegate::render::{Form, Renderer};
use tidegate_rollout::notice::HOSTILE;
use tidegate_rollout::{Notice, PersonId};
use tidegate_tests::notices::{self, Wires};
use tidegate_tests::scratch::Scratch;
use tidegate_tests::slack::{CHANNEL, Mishap, Posted, SECRET, Slack, TEAM, TOKEN};

use super::world::HOSTILE as WORSE;
use crate::platforms::{STATES, looked_after, shows_the_latest};

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
    let (mut loud, mut quiet, mut hostile) = (BTreeSet::new(), BTreeSet::new(), 0);
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
        let heard = if posted.broadcast { &mut loud } else { &mut quiet };
        heard.insert(sample.kind.word());
    }
    ensure!(
        HOSTILE.contains("<!channel>") && hostile >= 10,
        "{hostile} samples carry hostile text"
    );
    ensure!(slack.refused().is_empty(), "{:?}", slack.refused());
    let expected = [
        "aborted",
        "advance-failed",
        "alert-logged",
        "approval-asked",
        "commitment-missed",
        "completed",
        "decision-opened",
        "delivery-missed",
        "guard-holds",
        "hook-failed",
        "no-data",
        "rollback-stuck",
        "rolled-back",
        "rolling-back",
        "waits-at-gate",
    ];
    ensure!(loud.iter().eq(&expected), "{loud:?}");
    // An alert is loud where its severity pages, and only there.
    let both: Vec<_> = loud.intersection(&quiet).collect();
    ensure!(both == [&"alert-logged"], "{both:?}");
    Ok(())
}

#[tokio::test]
async fn every_notice_goes_over_the_wire_as_it_always_did_and_the_worst_text_is_text() -> Result<()> {
    let slack = Slack::start().await?;
    slack.unpaced();
    let (api, renderer) = (api(&slack)?, Renderer::new(None).expect("they are built in"));
    let card = channel(&api)
        .post_card(&tidegate_rollout::RolloutId::new("checkout-17"), "the card", &[])
        .await?;
    let mut wires = Wires::default();
    for (worst, calm) in notices::worst().into_iter().zip(notices::calm()) {
        let text = renderer.render(&worst, Form::Slack)?;
        let message = Message {
            thread: Some(card.clone()),
            ..Message::new(worst.clone(), text)
        };
        Channel::Slack(channel(&api))
            .say(&message, Timestamp::UNIX_EPOCH)
            .await?;
        let mut posted = slack.messages().pop().context("it was posted")?;
        let word = worst.kind.word();
        ensure!(posted.pings().is_empty(), "{word}: {:?}", posted.pings());
        let shown = posted
            .text
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&");
        notices::is_text(&shown, &renderer.render(&calm, Form::Slack)?).context(word)?;
        posted.sent["thread_ts"] = "the card".into();
        wires.add(&worst, &posted.sent);
    }
    ensure!(slack.refused().is_empty(), "{:?}", slack.refused());
    insta::assert_snapshot!("notices", wires.text());
    Ok(())
}

/// Somebody who left, or whose account was mistyped: Slack does not take the blocks in which they are called.
#[tokio::test]
async fn whoever_cannot_be_called_costs_nobody_the_message() -> Result<()> {
    let slack = Slack::start().await?;
    let (_templates, renderer) = calling("slack")?;
    let notice = notices::calm();
    let notice = notice.into_iter().find(|it| it.kind.word() == "decision-opened");
    let notice = notice.context("no such kind")?;
    let words = renderer.words(&notice, Form::Slack)?;
    let people = [(PersonId::new("jon"), "U0GONE".to_owned())];
    let channel = Channel::Slack(channel(&api(&slack)?).with_people(people.into()));
    slack.mishap("chat.postMessage", &[Mishap::Says("invalid_blocks")]);
    channel.say(&Message::new(notice, words), Timestamp::UNIX_EPOCH).await?;
    let posted = slack.messages();
    ensure!(posted.len() == 1 && posted[0].pings().is_empty(), "{posted:?}");
    ensure!(posted[0].text.starts_with("jon, nia, decide: "), "{}", posted[0].text);
    Ok(())
}

/// Templates of an operator who wants people to be called.
fn calling(form: &str) -> Result<(Scratch, Renderer)> {
    let scratch = Scratch::new("calling")?;
    std::fs::create_dir(scratch.path().join("decision-opened"))?;
    let words = "{{mention \"oncall\"}}, decide: {{facts.question}}";
    scratch.write(&format!("decision-opened/{form}.hbs"), words)?;
    let renderer = Renderer::new(Some(scratch.path()));
    let renderer = renderer.map_err(|faults| anyhow::anyhow!("{faults:?}"))?;
    Ok((scratch, renderer))
}

/// Each kind of notice as it is posted where a template calls people.
pub(super) async fn calls() -> Result<Vec<(Notice, Posted)>> {
    let slack = Slack::start().await?;
    slack.unpaced();
    let api = api(&slack)?;
    let (_templates, renderer) = calling("slack")?;
    // Nia has no account in Slack, and ana stands in the text alone.
    let accounts = [("jon", "U0JON"), ("ana", "U0ANA")];
    let accounts = accounts.map(|(person, account)| (PersonId::new(person), account.to_owned()));
    let mut all = Vec::new();
    for worst in notices::worst() {
        let words = renderer.words(&worst, Form::Slack)?;
        let channel = channel(&api).with_people(accounts.clone().into());
        let message = Message::new(worst.clone(), words);
        Channel::Slack(channel).say(&message, Timestamp::UNIX_EPOCH).await?;
        all.push((worst, slack.messages().pop().context("it was posted")?));
    }
    ensure!(slack.refused().is_empty(), "{:?}", slack.refused());
    Ok(all)
}

#[tokio::test]
async fn a_template_calls_the_people_of_a_role_and_no_text_calls_anybody() -> Result<()> {
    for (worst, posted) in calls().await? {
        let called = json!({ "type": "user", "user_id": "U0JON" }).to_string();
        let expected = match worst.kind.word() {
            "decision-opened" => vec![called],
            _ => Vec::new(),
        };
        ensure!(
            posted.pings() == expected,
            "{}: {:?}",
            worst.kind.word(),
            posted.pings()
        );
        if !expected.is_empty() {
            ensure!(posted.text.starts_with("jon, nia, decide: "), "{}", posted.text);
            ensure!(
                posted.shown().contains(", nia, decide: ") && posted.shown().contains("<@U1>"),
                "{}",
                posted.shown()
            );
        }
    }
    Ok(())
}

pub(super) fn page() -> url::Url {
    "https://tidegate.example/r/checkout-17".parse().expect("it is one")
}

/// A card in which every text is as bad and as long as it can be.
pub(super) fn worst(state: &str) -> Card {
    let long = WORSE.repeat(40);
    Card {
        ladder: vec![long.clone(); 9],
        looked_at: vec![long.clone(); 9],
        next_update: Some(long.clone()),
        missed: vec![long.clone(); 12],
        plan_changed: Some(long.clone()),
        hooks: vec![long.clone(); 9],
        observed: Some(long.clone()),
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
    for state in STATES {
        let drawn = picture(&worst(state), Some(&page()), Timestamp::UNIX_EPOCH);
        let message = serde_json::json!({ "text": drawn.text, "blocks": drawn.blocks });
        assert_eq!(tidegate_tests::slack::judge(&message), Ok(()), "{state}");
        let (shown, pings) = tidegate_tests::slack::read(&message);
        assert_eq!(pings, Vec::<String>::new(), "{state}");
        assert!(shown.contains(state) && drawn.blocks.len() <= 12, "{state}: {shown}");
    }
}

#[test]
fn the_card_says_the_observed_share_and_the_rungs_of_the_way_back() {
    let shown = |rungs: &[&str]| {
        let card = Card {
            title: "Checkout".to_owned(),
            environment: "production".to_owned(),
            version: None,
            phase: None,
            because: None,
            observed: Some("24.8%".to_owned()),
            ladder: rungs.iter().map(|rung| (*rung).to_owned()).collect(),
            ..worst("ROLLING BACK")
        };
        let drawn = picture(&card, None, Timestamp::UNIX_EPOCH);
        assert!(drawn.text.contains("25% (24.8% observed)"), "{}", drawn.text);
        tidegate_tests::slack::read(&serde_json::json!({ "text": "x", "blocks": drawn.blocks })).0
    };
    let (first, second) = ("route: failed after 30s: still 25%", "old-up: being tried for 10s");
    let card = shown(&[first, second]);
    assert!(card.contains("25% (24.8% observed)"), "{card}");
    let place = |words: &str| card.find(words).unwrap_or_else(|| panic!("{words} is missing: {card}"));
    assert!(place("The way back") < place(first) && place(first) < place(second));
    assert!(
        !shown(&[first]).contains("The way back"),
        "one rung is said by what it waits for"
    );
}

#[test]
fn the_card_says_what_became_of_the_latest_hooks_and_who_looks_at_what() {
    let shown = |card: &Card| {
        let drawn = picture(card, None, Timestamp::UNIX_EPOCH);
        tidegate_tests::slack::read(&serde_json::json!({ "text": "x", "blocks": drawn.blocks })).0
    };
    let card = looked_after(worst("BAKING"));
    shows_the_latest(&shown(&card));
    let calm = Card {
        hooks: Vec::new(),
        looked_at: Vec::new(),
        ..card
    };
    let shown = shown(&calm);
    assert!(!shown.contains("Hooks") && !shown.contains("more before"), "{shown}");
}
