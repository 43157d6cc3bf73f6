//! Every shape of request that Discord sends here, signed by the library of Discord's documentation: believed as it is, and not with
//! one letter changed.

use anyhow::{Result, ensure};
use reqwest::StatusCode;
use serde_json::json;
use tidegate_tests::discord::{Answered, Discord, SEED, Signed, by_pynacl};

use super::world::{ANA, PATIENCE, World};
use crate::platforms::with_one_letter_changed;

/// Signs it with PyNaCl; delivers it with each letter changed in turn, which is refused, and then as it is. What was answered.
async fn only_whole(world: &World, shape: &str, signed: Signed) -> Result<Answered> {
    let (key, signature) = by_pynacl(SEED, &signed.timestamp, &signed.body).await?;
    ensure!(
        key == Discord::public_key() && signature == signed.signature,
        "{shape}: the tests sign it in another way"
    );
    let before = world.rollouts().await?;
    let proof = (signed.timestamp.clone(), signature, signed.body.clone());
    for (what, (timestamp, signature, body)) in with_one_letter_changed(&proof) {
        let changed = Signed {
            timestamp,
            signature,
            body,
            ..signed.clone()
        };
        let answered = world.deliver(&changed).await?;
        ensure!(
            answered.status == StatusCode::UNAUTHORIZED,
            "{shape} with {what} changed: {answered:?}"
        );
    }
    ensure!(
        world.rollouts().await? == before,
        "{shape}: something came of what was refused"
    );
    let answered = world.deliver(&signed).await?;
    ensure!(answered.status == StatusCode::OK, "{shape}: {answered:?}");
    Ok(answered)
}

#[tokio::test]
async fn what_the_official_library_signs_is_believed_in_every_shape() -> Result<()> {
    let world = World::new().await?;
    let answered = only_whole(&world, "a PING", world.discord.ping()).await?;
    ensure!(answered.body == json!({ "type": 1 }), "{answered:?}");
    let signed = world.discord.command(ANA, "whoami", &[])?;
    let answered = only_whole(&world, "a command", signed).await?;
    ensure!(
        world.seen(&answered.token).await?.contains("You are ana"),
        "{answered:?}"
    );
    let signed = world.discord.command(ANA, "note", &[("text", "grün 😀 \\u00fc")])?;
    let answered = only_whole(&world, "a command in any letters", signed).await?;
    ensure!(world.seen(&answered.token).await?.starts_with("R103"), "{answered:?}");
    let signed = world.discord.typing(ANA, "start", &[("plan", "check")])?;
    let answered = only_whole(&world, "half-typed words", signed).await?;
    ensure!(
        answered.body["data"]["choices"][0]["value"] == "checkout",
        "{answered:?}"
    );

    // A list for one choice, as a message with several plans has it.
    let list = json!({ "components": [{ "components": [
        { "type": 3, "custom_id": "v1:plan:", "options": [{ "value": "checkout" }] } ] }] });
    let answered = only_whole(&world, "a choice", world.discord.choose(ANA, &list, "checkout")?).await?;
    let form = world.discord.form(&answered.token)?;
    let signed = world.discord.submit(ANA, &form, &[("input:version", "2.3.0")])?;
    let answered = only_whole(&world, "a form", signed).await?;
    ensure!(
        world.seen(&answered.token).await?.contains("checkout-1"),
        "{answered:?}"
    );
    ensure!(world.rollouts().await? == 1, "the form started nothing");

    let signed = world.discord.press_with(ANA, "v1:rollback:checkout-1:1");
    let question = only_whole(&world, "a button", signed).await?;
    let question = world.discord.sees(&question.token, PATIENCE, |_| true).await?;
    let signed = world.discord.press_in(ANA, &question, "rollback!")?;
    let answered = only_whole(&world, "a button in an answer", signed).await?;
    let said_so = |shown: &serde_json::Value| tidegate_tests::discord::shown(shown).contains("ana said so");
    world.discord.sees(&answered.token, PATIENCE, said_so).await?;
    let refused = world.discord.refused();
    ensure!(refused.is_empty(), "{refused:?}");
    Ok(())
}
