//! Every shape of request that Slack sends here, signed by Slack's own SDK: believed as it is, and not with one letter changed.

use anyhow::{Context, Result, ensure};
use reqwest::StatusCode;
use tidegate_tests::slack::{SECRET, Signed, sign_by_sdk};

use super::world::{ANA, PATIENCE, World};
use crate::platforms::with_one_letter_changed;

const COMMANDS: &str = "/slack/commands";
const INTERACTIONS: &str = "/slack/interactions";

/// Signs it with the SDK; delivers it with each letter changed in turn, which is refused, and then as it is. What was answered.
async fn only_whole(world: &World, shape: &str, path: &str, signed: Signed) -> Result<tidegate_tests::slack::Answered> {
    let signature = sign_by_sdk(SECRET, &signed.timestamp, &signed.body).await?;
    ensure!(
        signature == signed.signature,
        "{shape}: the tests sign it in another way"
    );
    let before = (world.rollouts().await?, world.slack.late().len());
    let proof = (signed.timestamp.clone(), signature, signed.body.clone());
    for (what, (timestamp, signature, body)) in with_one_letter_changed(&proof) {
        let changed = Signed {
            timestamp,
            signature,
            body,
            ..signed.clone()
        };
        let answered = world.deliver(path, &changed).await?;
        ensure!(
            answered.status == StatusCode::UNAUTHORIZED,
            "{shape} with {what} changed: {answered:?}"
        );
    }
    let after = (world.rollouts().await?, world.slack.late().len());
    ensure!(before == after, "{shape}: something came of what was refused");
    let answered = world.deliver(path, &signed).await?;
    ensure!(answered.status == StatusCode::OK, "{shape}: {answered:?}");
    Ok(answered)
}

#[tokio::test]
async fn what_the_official_sdk_signs_is_believed_in_every_shape() -> Result<()> {
    let world = World::new().await?;
    let signed = world.slack.command(ANA, "whoami");
    let answered = only_whole(&world, "a slash command", COMMANDS, signed).await?;
    ensure!(answered.shown().contains("You are ana"), "{answered:?}");
    let signed = world.slack.command(ANA, "advance grün+😀%20&text=status");
    let answered = only_whole(&world, "a command in any letters", COMMANDS, signed).await?;
    ensure!(answered.shown().starts_with("R104"), "{answered:?}");

    let signed = world.slack.command(ANA, "start");
    only_whole(&world, "a command that opens a form", COMMANDS, signed).await?;
    let form = world.slack.form().context("no form is open")?;
    let signed = world.slack.choose(ANA, &form, "plan", "checkout");
    only_whole(&world, "a choice in a form", INTERACTIONS, signed).await?;
    let replaced = world.slack.form().context("no form is open")?;
    ensure!(replaced["hash"] != form["hash"], "the choice did nothing");
    let signed = world.slack.submit(ANA, &replaced, &[("input:version", "2.3.0")]);
    let answered = only_whole(&world, "a form", INTERACTIONS, signed).await?;
    ensure!(answered.body["response_action"] == "update", "{answered:?}");
    ensure!(world.rollouts().await? == 1, "the form started nothing");

    let signed = world.slack.press_with(ANA, "1.1", "rollback", "checkout-1:1");
    let address = signed.response_url.clone();
    only_whole(&world, "a button", INTERACTIONS, signed).await?;
    let answer = world.slack.late_answer(&address, PATIENCE).await?;
    ensure!(
        answer["text"].as_str().is_some_and(|text| text.contains("ana said so")),
        "{answer}"
    );
    Ok(())
}
