//! Requests that are not what they seem: refused with 401, and nothing happens.

use anyhow::{Result, ensure};
use reqwest::StatusCode;
use tidegate_tests::http;
use tidegate_tests::slack::{APP, SECRET, Signed, TEAM, sign_by_sdk};

use super::world::{ANA, World};
use crate::platforms::with_any_letter_changed;

const START: &str = "start checkout version:2.3.0";

/// Delivers it, and makes sure that it is refused and nothing has started.
async fn refused(world: &World, signed: &Signed, why: &str) -> Result<()> {
    let answered = world.deliver("/slack/commands", signed).await?;
    ensure!(answered.status == StatusCode::UNAUTHORIZED, "{why}: {answered:?}");
    ensure!(answered.body["code"] == "unproven", "{why}: {answered:?}");
    ensure!(world.rollouts().await? == 0, "{why}: something has started");
    Ok(())
}

#[tokio::test]
async fn what_the_official_sdk_signs_is_believed() -> Result<()> {
    let world = World::new().await?;
    let mut signed = world.slack.command(ANA, "whoami");
    signed.signature = sign_by_sdk(SECRET, &signed.timestamp, &signed.body).await?;
    let answered = world.deliver("/slack/commands", &signed).await?;
    ensure!(
        answered.status == StatusCode::OK && answered.shown().contains("You are ana"),
        "{answered:?}"
    );
    let mut elsewhere = world.slack.command(ANA, START);
    elsewhere.signature = sign_by_sdk("another secret", &elsewhere.timestamp, &elsewhere.body).await?;
    refused(&world, &elsewhere, "another secret").await
}

#[tokio::test]
async fn every_single_change_is_seen() -> Result<()> {
    let world = World::new().await?;
    let signed = world.slack.command(ANA, START);
    let proof = (signed.timestamp.clone(), signed.signature.clone(), signed.body.clone());
    for (what, (timestamp, signature, body)) in with_any_letter_changed(&proof, 7) {
        let altered = Signed {
            timestamp,
            signature,
            body,
            ..signed.clone()
        };
        refused(&world, &altered, &what).await?;
    }
    for timestamp in [
        "",
        "0",
        "soon",
        "-1",
        &format!("+{}", signed.timestamp),
        &format!("0{}", signed.timestamp),
    ] {
        let altered = Signed {
            timestamp: timestamp.to_owned(),
            ..signed.clone()
        };
        refused(&world, &altered, &format!("the time {timestamp:?}")).await?;
    }
    let untouched = world.deliver("/slack/commands", &signed).await?;
    ensure!(
        untouched.status == StatusCode::OK && world.rollouts().await? == 1,
        "{untouched:?}"
    );
    Ok(())
}

#[tokio::test]
async fn the_past_the_future_other_workspaces_and_other_apps_are_refused() -> Result<()> {
    let world = World::new().await?;
    let signed = world.slack.command(ANA, START);
    for seconds_ago in [310, 3_600, -310, -86_400] {
        let moved = signed.again(SECRET, seconds_ago);
        refused(&world, &moved, &format!("signed {seconds_ago} s ago")).await?;
    }
    let elsewhere = world.slack.command_in("T0EVIL", APP, ANA, START);
    refused(&world, &elsewhere, "another workspace").await?;
    let other = world.slack.command_in(TEAM, "A0EVIL", ANA, START);
    refused(&world, &other, "another app").await?;
    let forged = signed.again("a guess", 0);
    refused(&world, &forged, "another secret").await?;
    for seconds_ago in [290, -290] {
        let inside = world.slack.command(ANA, "whoami").again(SECRET, seconds_ago);
        let answered = world.deliver("/slack/commands", &inside).await?;
        ensure!(answered.status == StatusCode::OK, "{seconds_ago}: {answered:?}");
    }
    Ok(())
}

#[tokio::test]
async fn the_very_same_request_counts_once_also_after_a_restart() -> Result<()> {
    let mut world = World::new().await?;
    let signed = world.slack.command(ANA, "note \"once\"");
    let started = world
        .deliver("/slack/commands", &world.slack.command(ANA, START))
        .await?;
    ensure!(started.status == StatusCode::OK, "{started:?}");
    let first = world.deliver("/slack/commands", &signed).await?;
    ensure!(first.status == StatusCode::OK, "{first:?}");
    let again = world.deliver("/slack/commands", &signed).await?;
    ensure!(again.status == StatusCode::UNAUTHORIZED, "{again:?}");
    let hex = signed.signature.trim_start_matches("v0=").to_uppercase();
    let spelt = Signed {
        signature: format!("v0={hex}"),
        ..signed.clone()
    };
    let again = world.deliver("/slack/commands", &spelt).await?;
    ensure!(again.status == StatusCode::UNAUTHORIZED, "in capitals: {again:?}");
    world.restart().await?;
    let again = world.deliver("/slack/commands", &signed).await?;
    ensure!(again.status == StatusCode::UNAUTHORIZED, "after a restart: {again:?}");
    let notes = world.say(ANA, "history").await?;
    ensure!(notes.matches("once").count() == 1, "{notes}");
    Ok(())
}

#[tokio::test]
async fn the_platforms_own_retry_gets_the_first_answer_again() -> Result<()> {
    let world = World::new().await?;
    let signed = world.slack.command(ANA, START);
    let first = world.deliver("/slack/commands", &signed).await?;
    // The same interaction, signed anew: another time, another signature.
    let retry = signed.again(SECRET, -30);
    let second = world.deliver("/slack/commands", &retry).await?;
    ensure!(
        second.status == StatusCode::OK && second.body == first.body,
        "{first:?}\n{second:?}"
    );
    ensure!(world.rollouts().await? == 1);
    Ok(())
}

#[tokio::test]
async fn a_second_header_another_type_and_a_stranger_get_nowhere() -> Result<()> {
    let world = World::new().await?;
    let signed = world.slack.command(ANA, START);
    let request = |path: &str| {
        let request = http::client()?.post(world.url(path));
        anyhow::Ok(request.header("content-type", "application/x-www-form-urlencoded"))
    };
    for path in ["/slack/commands", "/slack/interactions"] {
        let stranger = request(path)?.body(signed.body.clone()).send().await?;
        ensure!(
            stranger.status() == StatusCode::UNAUTHORIZED,
            "{path}: {}",
            stranger.status()
        );
        let twice = request(path)?
            .header("x-slack-request-timestamp", &signed.timestamp)
            .header("x-slack-signature", "v0=00")
            .header("x-slack-signature", &signed.signature)
            .body(signed.body.clone())
            .send()
            .await?;
        ensure!(twice.status() == StatusCode::UNAUTHORIZED, "{path}: {}", twice.status());
    }
    ensure!(world.rollouts().await? == 0);
    // Slack's own look at the certificate, which is not always signed, has no effect and is answered.
    let check = request("/slack/commands")?.body("ssl_check=1&token=x").send().await?;
    ensure!(check.status() == StatusCode::OK && check.bytes().await?.is_empty());
    let json = http::client()?
        .post(world.url("/slack/commands"))
        .header("x-slack-request-timestamp", &signed.timestamp)
        .header("x-slack-signature", &signed.signature)
        .json(&serde_json::json!({}))
        .send()
        .await?;
    ensure!(json.status() == StatusCode::UNSUPPORTED_MEDIA_TYPE, "{}", json.status());
    Ok(())
}

#[tokio::test]
async fn signed_nonsense_breaks_nothing() -> Result<()> {
    let world = World::new().await?;
    let long = "x".repeat(900_000);
    for (path, body) in [
        ("/slack/commands", ""),
        ("/slack/commands", "text=start"),
        ("/slack/commands", "team_id=T0001&user_id=U0ANA&trigger_id=&text=x"),
        ("/slack/interactions", ""),
        ("/slack/interactions", "payload="),
        ("/slack/interactions", "payload={"),
        ("/slack/interactions", "payload=[]"),
        ("/slack/interactions", "payload={\"type\":1}"),
        ("/slack/interactions", "payload=%00%ff"),
        ("/slack/interactions", &format!("payload={}", "[".repeat(50_000))),
        ("/slack/interactions", &format!("payload={long}")),
    ] {
        let unsigned = Signed {
            body: body.to_owned(),
            ..world.slack.command(ANA, "")
        };
        let answered = world.deliver(path, &unsigned.again(SECRET, 0)).await?;
        let shown = &body[..body.len().min(60)];
        ensure!(
            answered.status == StatusCode::BAD_REQUEST,
            "{path} {shown}: {answered:?}"
        );
    }
    let good = world.say(ANA, "whoami").await?;
    ensure!(good.contains("ana"), "{good}");
    Ok(())
}
