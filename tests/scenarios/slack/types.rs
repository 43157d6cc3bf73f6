//! Everything that is built of Block Kit, judged by Slack's own types: the worst card of every state, every answer, every form,
//! and the notices that call people.

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use serde_json::{Value, json};
use tidegate::chat::slack::card::picture;
use tidegate_rollout::command::USAGES;
use tidegate_tests::slack::types;

use super::wire::{calls, page, worst};
use super::world::{ANA, EVE, HOSTILE, VIC, World};
use crate::platforms::STATES;

/// The blocks of a message.
fn blocks_of(message: &Value) -> Vec<Value> {
    message["blocks"].as_array().cloned().unwrap_or_default()
}

/// Whatever is answered to whatever is typed: each verb as it should be said and without its arguments, and what is refused.
async fn typed_answers(world: &World) -> Result<Vec<Value>> {
    let said = |verb: &str| match verb {
        "start" => "start checkout version:2",
        "hold" => "hold \"watching redis\"",
        "note" => "note \"watching redis\"",
        "release" => "release 1",
        "check" => "check done sessions",
        "decide" => "decide continue",
        "freeze" => "freeze staging \"stocktaking\"",
        "thaw" => "thaw staging",
        _ => "",
    };
    let mut blocks = Vec::new();
    let verbs = USAGES.iter().map(|usage| usage.verb);
    // What ends a rollout comes last.
    let (ends, steers): (Vec<&str>, Vec<&str>) = verbs.partition(|verb| matches!(*verb, "rollback" | "abort"));
    for verb in steers.into_iter().chain(ends) {
        for text in [verb, said(verb)] {
            let answered = world.typed(ANA, if text.is_empty() { verb } else { text }).await?;
            blocks.extend(blocks_of(&answered.body));
        }
        for user in [VIC, EVE] {
            blocks.extend(blocks_of(&world.typed(user, verb).await?.body));
        }
    }
    for text in ["", "advnce", HOSTILE, "status no-such-rollout"] {
        let answered = world.typed(ANA, text).await?;
        let blocks_here = blocks_of(&answered.body);
        ensure!(
            !blocks_here.is_empty(),
            "{text} is answered without blocks: {answered:?}"
        );
        blocks.extend(blocks_here);
    }
    Ok(blocks)
}

/// A form as we sent it, without what Slack itself puts into an open one.
fn sent(mut form: Value) -> Value {
    if let Some(form) = form.as_object_mut() {
        form.remove("id");
        form.remove("hash");
    }
    form
}

/// Each form there is: before a start, after another choice, with trouble in its preflight, and once it has been sent off.
async fn forms(world: &World) -> Result<Vec<Value>> {
    let mut all = Vec::new();
    world.typed(ANA, "start").await?;
    let open = world.slack.form().context("no form is open")?;
    let chosen = world.slack.choose(ANA, &open, "plan", "checkout");
    world.deliver("/slack/interactions", &chosen).await?;
    all.push(sent(world.slack.form().context("no form is open")?));
    world.say(ANA, "freeze production \"stocktaking\"").await?;
    world.typed(VIC, "start checkout").await?;
    all.push(sent(world.slack.form().context("no form is open")?));
    world.say(ANA, "thaw production").await?;
    let filled_in = world.slack.submit(ANA, &open, &[("input:version", "2.3.0")]);
    let answered = world.deliver("/slack/interactions", &filled_in).await?;
    ensure!(answered.body["response_action"] == "update", "{answered:?}");
    all.push(answered.body["view"].clone());
    all.push(sent(open));
    all.push(tidegate::chat::slack::working_form());
    all.push(late_refusal().await?);
    Ok(all)
}

/// The form once more, below why it was not taken.
async fn late_refusal() -> Result<Value> {
    let world = World::new().await?;
    world.typed(ANA, "start").await?;
    let form = world.slack.form().context("no form is open")?;
    let refused = world.refused_late(&form).await?;
    Ok(sent(refused))
}

#[tokio::test]
async fn slacks_own_types_take_everything() -> Result<()> {
    let world = World::new().await?;
    let forms = forms(&world).await?;
    let card = world
        .card("the first gate waits", |card| {
            card.text.contains("WAITING") && card.button("advance").is_some()
        })
        .await?;
    let mut blocks = card.blocks.clone();
    blocks.extend(typed_answers(&world).await?);
    // Answers to presses: refused with a fresh card, to those who may not, and to what no button carries.
    for (user, action, value) in [
        (ANA, "advance", "checkout-1:1"),
        (VIC, "advance", "checkout-1:1"),
        (EVE, "pause", "checkout-1:1"),
        (ANA, "advance", "nonsense"),
    ] {
        world
            .pressed(&world.slack.press_with(user, &card.ts, action, value))
            .await?;
    }
    let late = world.slack.late();
    ensure!(late.len() >= 4, "{} answers to presses", late.len());
    blocks.extend(late.iter().flat_map(|(_, answer)| blocks_of(answer)));
    for state in STATES {
        for page in [None, Some(page())] {
            blocks.extend(picture(&worst(state), page.as_ref(), Timestamp::UNIX_EPOCH).blocks);
        }
    }
    let calls = calls().await?.into_iter().flat_map(|(_, posted)| posted.blocks);
    let before = blocks.len();
    blocks.extend(calls);
    ensure!(blocks.len() > before, "no notice has blocks");
    println!(
        "counted: {} blocks and {} forms for Slack's own types",
        blocks.len(),
        forms.len()
    );
    types::check(&blocks, &forms).await
}

#[tokio::test]
async fn slacks_own_types_notice_a_mistake() -> Result<()> {
    let good = json!({ "type": "header", "text": { "type": "plain_text", "text": "x", "emoji": false } });
    let form = json!({ "type": "modal", "title": { "type": "plain_text", "text": "x" }, "blocks": [good.clone()] });
    types::check(std::slice::from_ref(&good), std::slice::from_ref(&form)).await?;
    for wrong in [
        json!({ "type": "header", "text": { "type": "mrkdwn", "text": "x" } }),
        json!({ "type": "header", "texts": { "type": "plain_text", "text": "x" } }),
        json!({ "type": "actions", "elements": [{ "type": "button", "style": "loud" }] }),
    ] {
        let refused = types::check(std::slice::from_ref(&wrong), std::slice::from_ref(&form)).await;
        ensure!(refused.is_err(), "{wrong} is taken");
    }
    let mut wrong = form.clone();
    wrong["title"] = json!({ "type": "mrkdwn", "text": "x" });
    let refused = types::check(&[good], &[form, wrong]).await;
    ensure!(refused.is_err(), "every form is looked at");
    Ok(())
}
