//! Everything that is ever sent to Discord, as it goes over the wire: every notice, cards, answers; judged by the server and
//! by what its readers would see.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use serde_json::json;
use tidegate::channel::discord::{Api, DiscordChannel};
use tidegate::channel::{Channel, Message};
use tidegate::chat::Card;
use tidegate::chat::discord::card::picture;
use tidegate::config::Sources;
use tidegate::net::Net;
use tidegate::render::discord::Markup;
use tidegate::render::{Form, Renderer};
use tidegate_rollout::notice::HOSTILE;
use tidegate_rollout::{Notice, PersonId};
use tidegate_tests::discord::{self, APP, CHANNEL, Discord, GUILD, TOKEN};
use tidegate_tests::notices::{self, Wires};
use tidegate_tests::scratch::Scratch;

use super::world::HOSTILE as WORSE;
use crate::platforms::{STATES, looked_after, shows_the_latest};

/// The way to the server, as a configuration describes it.
fn api(discord: &Discord) -> Result<Api> {
    let scratch = Scratch::new("wire")?;
    let settings = serde_json::json!({ "discord": {
        "public_key": Discord::public_key(),
        "application": APP,
        "guilds": [GUILD],
        "token_file": scratch.write("token", TOKEN)?,
        "api_url": discord.api_url(),
    } });
    let sources = Sources {
        file: Some(scratch.write("tidegate.yml", settings.to_string())?),
        ..Sources::default()
    };
    let config = sources.load()?;
    let net = Net::new(config.allowed_hosts())?;
    Ok(Api::new(config.discord.as_ref().context("it is configured")?, net))
}

/// A channel in which nobody can be called.
fn channel(discord: &Discord) -> Result<DiscordChannel> {
    Ok(DiscordChannel {
        name: "releases".to_owned(),
        place: CHANNEL.to_owned(),
        api: api(discord)?,
        people: BTreeMap::new(),
    })
}

#[tokio::test]
async fn every_notice_is_taken_shown_literally_and_as_loud_as_it_should_be() -> Result<()> {
    let discord = Discord::start().await?;
    discord.unpaced();
    let channel = channel(&discord)?;
    let (renderer, now) = (Renderer::new(None).expect("they are built in"), Timestamp::UNIX_EPOCH);
    let rollout = tidegate_rollout::RolloutId::new("checkout-17");
    let drawn = picture(&worst("BAKING"), Some(&page()), now);
    let card = channel.post_card(&rollout, &drawn).await?;
    let channel = Channel::Discord(channel);
    let (mut loud, mut quiet, mut hostile) = (BTreeSet::new(), BTreeSet::new(), 0);
    for (number, mut sample) in Notice::samples().into_iter().enumerate() {
        let text = renderer.render(&sample, Form::Text)?;
        // Samples of one kind share their id; real notices never do.
        sample.id = tidegate_rollout::NoticeId::of(&rollout, u64::try_from(number)?, 1);
        let message = Message {
            thread: Some(card.clone()),
            ..Message::new(sample.clone(), text.clone())
        };
        let before = discord.messages(CHANNEL).len();
        channel.say(&message, now).await?;
        let posted = discord.messages(&card).pop().context("it was posted")?;
        ensure!(
            posted.pings().is_empty(),
            "{}: {:?}",
            sample.kind.word(),
            posted.pings()
        );
        hostile += usize::from(text.contains("<!channel>"));
        ensure!(
            text.contains("<!channel>") == posted.shown().contains("<!channel>"),
            "{}",
            posted.shown()
        );
        let heard = match discord.messages(CHANNEL).len() > before {
            true => &mut loud,
            false => &mut quiet,
        };
        heard.insert(sample.kind.word());
    }
    ensure!(
        HOSTILE.contains("<!channel>") && hostile >= 10,
        "{hostile} samples carry hostile text"
    );
    ensure!(discord.refused().is_empty(), "{:?}", discord.refused());
    for kind in [
        "rolled-back",
        "rolling-back",
        "rollback-stuck",
        "waits-at-gate",
        "completed",
        "no-data",
    ] {
        ensure!(loud.contains(kind), "{kind} is for everybody: {loud:?}");
    }
    for kind in ["started", "phase-began", "paused", "update", "report", "watching"] {
        ensure!(quiet.contains(kind), "{kind} is for the thread: {quiet:?}");
    }
    // An alert is loud where its severity pages, and only there.
    let both: Vec<_> = loud.intersection(&quiet).collect();
    ensure!(both == [&"alert-logged"], "{both:?}");
    Ok(())
}

#[tokio::test]
async fn every_notice_goes_over_the_wire_as_it_always_did_and_the_worst_text_is_text() -> Result<()> {
    let discord = Discord::start().await?;
    discord.unpaced();
    let channel = channel(&discord)?;
    let renderer = Renderer::new(None).expect("they are built in");
    let drawn = picture(&worst("BAKING"), None, Timestamp::UNIX_EPOCH);
    let rollout = tidegate_rollout::RolloutId::new("checkout-17");
    let card = channel.post_card(&rollout, &drawn).await?;
    let channel = Channel::Discord(channel);
    let mut wires = Wires::default();
    for (worst, calm) in notices::worst().into_iter().zip(notices::calm()) {
        let text = renderer.render(&worst, Form::Discord)?;
        let message = Message {
            thread: Some(card.clone()),
            ..Message::new(worst.clone(), text)
        };
        channel.say(&message, Timestamp::UNIX_EPOCH).await?;
        let mut posted = discord.messages(&card).pop().context("it was posted")?;
        let word = worst.kind.word();
        ensure!(posted.pings().is_empty(), "{word}: {:?}", posted.pings());
        // The last line is the small print.
        let shown = posted.shown();
        let (shown, _) = shown.rsplit_once('\n').context("there is no small print")?;
        let calm = renderer.render(&calm, Form::Discord)?;
        match shown.ends_with('…') {
            // It was too long for a message of Discord's.
            true => ensure!(shown.lines().count() <= calm.lines().count(), "{word}: {shown}"),
            false => notices::is_text(shown, &calm).context(word)?,
        }
        posted.sent["nonce"] = "by place and notice".into();
        wires.add(&worst, &posted.sent);
    }
    ensure!(discord.refused().is_empty(), "{:?}", discord.refused());
    insta::assert_snapshot!("notices", wires.text());
    Ok(())
}

#[tokio::test]
async fn a_template_calls_the_people_of_a_role_once_and_no_text_calls_anybody() -> Result<()> {
    let discord = Discord::start().await?;
    discord.unpaced();
    let scratch = Scratch::new("calling")?;
    std::fs::create_dir(scratch.path().join("decision-opened"))?;
    let template = "{{mention \"oncall\"}}, decide: {{facts.question}}";
    scratch.write("decision-opened/discord.hbs", template)?;
    let renderer = Renderer::new(Some(scratch.path())).map_err(|faults| anyhow::anyhow!("{faults:?}"))?;
    // Nia has no account in Discord, and ana stands in the text alone.
    let accounts = [("jon", 80_351_110_224_678_920), ("ana", 80_351_110_224_678_912)];
    let accounts = accounts.map(|(person, account)| (PersonId::new(person), account));
    let channel = DiscordChannel {
        people: accounts.into(),
        ..channel(&discord)?
    };
    let drawn = picture(&worst("BAKING"), None, Timestamp::UNIX_EPOCH);
    let rollout = tidegate_rollout::RolloutId::new("checkout-17");
    let card = channel.post_card(&rollout, &drawn).await?;
    let channel = Channel::Discord(channel);
    for worst in notices::worst() {
        let message = Message {
            thread: Some(card.clone()),
            ..Message::new(worst.clone(), renderer.words(&worst, Form::Discord)?)
        };
        channel.say(&message, Timestamp::UNIX_EPOCH).await?;
        let posted = discord.messages(&card).pop().context("it was posted")?;
        let (word, users) = (worst.kind.word(), &posted.sent["allowed_mentions"]["users"]);
        if word != "decision-opened" {
            ensure!(posted.pings().is_empty(), "{word}: {:?}", posted.pings());
            continue;
        }
        ensure!(*users == json!(["80351110224678920"]), "{word}: {users}");
        ensure!(
            posted.sent["allowed_mentions"]["parse"] == json!([]),
            "{:?}",
            posted.sent
        );
        let content = posted.sent["content"].as_str().unwrap_or_default();
        ensure!(
            content.starts_with(r"<@80351110224678920>, nia, decide\: "),
            "{content}"
        );
        ensure!(content.matches("<@").count() == 1, "{content}");
        let beside = discord.messages(CHANNEL).pop().context("it is loud")?;
        let users = &beside.sent["allowed_mentions"]["users"];
        ensure!(*users == json!([]), "nobody is called twice: {users}");
    }
    ensure!(discord.refused().is_empty(), "{:?}", discord.refused());
    Ok(())
}

fn page() -> url::Url {
    "https://tidegate.example/r/checkout-17".parse().expect("it is one")
}

/// A card in which every text is as bad and as long as it can be.
fn worst(state: &str) -> Card {
    let long = WORSE.repeat(40);
    Card {
        looked_at: vec![long.clone(); 9],
        next_update: Some(long.clone()),
        missed: vec![long.clone(); 12],
        plan_changed: Some(long.clone()),
        hooks: vec![long.clone(); 9],
        ladder: vec![long.clone(); 9],
        observed: Some(long.clone()),
        rollout: "checkout-17".to_owned(),
        title: long.clone(),
        service: long.clone(),
        environment: long.clone(),
        version: Some(long.clone()),
        state: state.to_owned(),
        health: Some("OFF TARGET".to_owned()),
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
        for sent in [drawn.posted("nonce"), drawn.edited()] {
            assert_eq!(discord::judge(&sent), Ok(()), "{state}");
            assert_eq!(discord::pings(&sent), Vec::<String>::new(), "{state}");
            assert!(
                discord::shown(&sent).contains(state),
                "{state}: {}",
                discord::shown(&sent)
            );
        }
    }
}

#[test]
fn the_judge_sees_what_it_should() {
    let quiet = json!({ "parse": [] });
    let with = |content: &str| json!({ "content": content, "allowed_mentions": quiet.clone() });
    for bad in [
        "@everyone",
        "<@1>",
        "**bold**",
        "# big",
        "https://evil.example",
        "`x`",
        "[a](b)",
        "a\n> b",
    ] {
        assert_eq!(discord::pings(&with(bad)).len(), 1, "{bad}");
        let tame = Markup::text(bad, 100);
        assert_eq!(discord::pings(&with(tame.as_str())), Vec::<String>::new(), "{bad}");
        assert_eq!(discord::shown(&with(tame.as_str())), bad);
    }
    assert_eq!(
        discord::pings(&json!({ "content": "x" })).len(),
        1,
        "without a word everybody is called"
    );
    for wrong in [
        json!({ "content": "" }),
        json!({ "content": "x".repeat(2_001) }),
        json!({ "content": "x", "nonce": "x".repeat(26) }),
        json!({ "embeds": [{ "title": "x".repeat(257) }] }),
        json!({ "embeds": [{ "description": "x".repeat(4_000), "footer": { "text": "x".repeat(2_001) } }] }),
        json!({ "embeds": [{ "fields": [{ "name": "", "value": "x" }] }] }),
        json!({ "content": "x", "components": [{ "type": 1, "components": [] }] }),
        json!({ "content": "x", "components": [{ "type": 1, "components": [{ "type": 2, "style": 1, "label": "x" }] }] }),
        json!({ "content": "x", "components": [{ "type": 1, "components":
            [{ "type": 2, "style": 1, "label": "x", "custom_id": "x".repeat(101) }] }] }),
    ] {
        assert!(discord::judge(&wrong).is_err(), "{wrong}");
    }
}

#[test]
fn the_card_says_what_became_of_the_latest_hooks_and_who_looks_at_what() {
    let shown = |card: &Card| discord::shown(&picture(card, None, Timestamp::UNIX_EPOCH).edited());
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
