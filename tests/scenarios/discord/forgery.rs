//! Requests that are not what they seem: refused with 401, and nothing happens.

use anyhow::{Result, ensure};
use reqwest::StatusCode;
use serde_json::json;
use tidegate_tests::discord::{APP, Discord, GUILD, SEED, STRANGER, Signed, by_pynacl};
use tidegate_tests::http;

use super::world::{ANA, World};
use crate::platforms::with_any_letter_changed;

const START: &[(&str, &str)] = &[("plan", "checkout"), ("version", "2.3.0")];

/// Delivers it, and makes sure that it is refused and nothing has started.
async fn refused(world: &World, signed: &Signed, why: &str) -> Result<()> {
    let answered = world.deliver(signed).await?;
    ensure!(answered.status == StatusCode::UNAUTHORIZED, "{why}: {answered:?}");
    ensure!(answered.body["code"] == "unproven", "{why}: {answered:?}");
    ensure!(world.rollouts().await? == 0, "{why}: something has started");
    Ok(())
}

#[tokio::test]
async fn a_ping_is_answered_and_a_forged_one_is_not() -> Result<()> {
    let world = World::new().await?;
    let ping = world.discord.ping();
    let answered = world.deliver(&ping).await?;
    ensure!(
        answered.status == StatusCode::OK && answered.body == json!({ "type": 1 }),
        "{answered:?}"
    );
    // Discord asks with wrong signatures on purpose, and takes the address away from whoever answers those.
    refused(&world, &ping.again(STRANGER, 0), "another key").await?;
    let mut elsewhere = ping.clone();
    elsewhere.body = elsewhere.body.replace(APP, "771825006014889000");
    refused(&world, &elsewhere.again(SEED, 0), "another application").await
}

#[tokio::test]
async fn what_pynacl_signs_is_believed() -> Result<()> {
    let world = World::new().await?;
    let mut signed = world.discord.command(ANA, "whoami", &[])?;
    let (key, signature) = by_pynacl(SEED, &signed.timestamp, &signed.body).await?;
    ensure!(
        key == Discord::public_key() && signature == signed.signature,
        "both make the same"
    );
    signed.signature = signature;
    let answered = world.deliver(&signed).await?;
    ensure!(
        answered.status == StatusCode::OK && answered.shown().contains("You are ana"),
        "{answered:?}"
    );
    let mut elsewhere = world.discord.command(ANA, "start", START)?;
    let (_, signature) = by_pynacl(STRANGER, &elsewhere.timestamp, &elsewhere.body).await?;
    elsewhere.signature = signature;
    refused(&world, &elsewhere, "another key").await
}

#[tokio::test]
async fn every_single_change_is_seen() -> Result<()> {
    let world = World::new().await?;
    let signed = world.discord.command(ANA, "start", START)?;
    let proof = (signed.timestamp.clone(), signed.signature.clone(), signed.body.clone());
    for (what, (timestamp, signature, body)) in with_any_letter_changed(&proof, 11) {
        let altered = Signed {
            timestamp,
            signature,
            body,
            ..signed.clone()
        };
        refused(&world, &altered, &what).await?;
    }
    for signature in [
        "",
        "00",
        "zz",
        &signed.signature[..126],
        &format!("{}00", signed.signature),
    ] {
        let altered = Signed {
            signature: signature.to_owned(),
            ..signed.clone()
        };
        refused(&world, &altered, &format!("the signature {signature:?}")).await?;
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
    let untouched = world.deliver(&signed).await?;
    ensure!(
        untouched.status == StatusCode::OK && world.rollouts().await? == 1,
        "{untouched:?}"
    );
    Ok(())
}

#[tokio::test]
async fn the_past_the_future_other_servers_and_other_applications_are_refused() -> Result<()> {
    let world = World::new().await?;
    let signed = world.discord.command(ANA, "start", START)?;
    for seconds_ago in [310, 3_600, -310, -86_400] {
        let moved = signed.again(SEED, seconds_ago);
        refused(&world, &moved, &format!("signed {seconds_ago} s ago")).await?;
    }
    for (app, guild, why) in [
        (APP, Some("290926798626357000"), "another server"),
        (APP, None, "a direct message"),
        ("771825006014889000", Some(GUILD), "another application"),
    ] {
        let elsewhere = world.discord.command_in(app, guild, ANA, "start", START);
        refused(&world, &elsewhere, why).await?;
    }
    for seconds_ago in [290, -290] {
        let inside = world.discord.command(ANA, "whoami", &[])?.again(SEED, seconds_ago);
        let answered = world.deliver(&inside).await?;
        ensure!(answered.status == StatusCode::OK, "{seconds_ago}: {answered:?}");
    }
    Ok(())
}

#[tokio::test]
async fn the_very_same_request_counts_once_also_after_a_restart() -> Result<()> {
    let mut world = World::new().await?;
    world.say(ANA, "start", START).await?;
    let signed = world.discord.command(ANA, "note", &[("text", "once")])?;
    let first = world.deliver(&signed).await?;
    ensure!(first.status == StatusCode::OK, "{first:?}");
    let again = world.deliver(&signed).await?;
    ensure!(again.status == StatusCode::UNAUTHORIZED, "{again:?}");
    let spelt = Signed {
        signature: signed.signature.to_uppercase(),
        ..signed.clone()
    };
    let again = world.deliver(&spelt).await?;
    ensure!(again.status == StatusCode::UNAUTHORIZED, "in capitals: {again:?}");
    world.restart().await?;
    let again = world.deliver(&signed).await?;
    ensure!(again.status == StatusCode::UNAUTHORIZED, "after a restart: {again:?}");
    let notes = world.say(ANA, "history", &[]).await?;
    ensure!(notes.matches("once").count() == 1, "{notes}");
    Ok(())
}

#[tokio::test]
async fn the_platforms_own_retry_gets_the_first_answer_again() -> Result<()> {
    let world = World::new().await?;
    let signed = world.discord.command(ANA, "start", START)?;
    let first = world.deliver(&signed).await?;
    // The same interaction, signed anew: another time, another signature.
    let second = world.deliver(&signed.again(SEED, -30)).await?;
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
    let signed = world.discord.command(ANA, "start", START)?;
    let request = || {
        anyhow::Ok(
            http::client()?
                .post(world.door())
                .header("content-type", "application/json"),
        )
    };
    let stranger = request()?.body(signed.body.clone()).send().await?;
    ensure!(stranger.status() == StatusCode::UNAUTHORIZED, "{}", stranger.status());
    for missing in ["x-signature-timestamp", "x-signature-ed25519"] {
        let mut half = request()?;
        for (name, value) in [
            ("x-signature-timestamp", &signed.timestamp),
            ("x-signature-ed25519", &signed.signature),
        ] {
            if name != missing {
                half = half.header(name, value);
            }
        }
        let half = half.body(signed.body.clone()).send().await?;
        ensure!(
            half.status() == StatusCode::UNAUTHORIZED,
            "without {missing}: {}",
            half.status()
        );
    }
    let twice = request()?
        .header("x-signature-timestamp", &signed.timestamp)
        .header("x-signature-ed25519", "00")
        .header("x-signature-ed25519", &signed.signature)
        .body(signed.body.clone())
        .send()
        .await?;
    ensure!(twice.status() == StatusCode::UNAUTHORIZED, "{}", twice.status());
    ensure!(world.rollouts().await? == 0);
    let form = http::client()?
        .post(world.door())
        .header("x-signature-timestamp", &signed.timestamp)
        .header("x-signature-ed25519", &signed.signature)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(signed.body.clone())
        .send()
        .await?;
    ensure!(form.status() == StatusCode::UNSUPPORTED_MEDIA_TYPE, "{}", form.status());
    Ok(())
}

#[tokio::test]
async fn signed_nonsense_breaks_nothing() -> Result<()> {
    let world = World::new().await?;
    let good: serde_json::Value = serde_json::from_str(&world.discord.command(ANA, "whoami", &[])?.body)?;
    let with = |pointer: &str, value: serde_json::Value| {
        let mut changed = good.clone();
        if let Some(place) = changed.pointer_mut(pointer) {
            *place = value;
        }
        changed.to_string()
    };
    let bodies = [
        String::new(),
        "{".to_owned(),
        "[]".to_owned(),
        "{\"type\":1}".to_owned(),
        "[".repeat(50_000),
        format!("\"{}\"", "x".repeat(900_000)),
        with("/id", json!(0)),
        with("/type", json!(5)),
        with("/type", json!(200)),
        with("/member", json!(null)),
        with("/member/user/id", json!("ana")),
        with("/data", json!(null)),
        with("/data/options", json!([{ "type": 3, "name": "x", "value": "y" }])),
        with(
            "/data/options/0/options",
            json!([{ "type": 6, "name": "user", "value": "80351110224678912" }]),
        ),
        with("/data/options/0/type", json!(2)),
        with("/type", json!(3)),
        with("/type", json!(4)),
    ];
    for body in bodies {
        let unsigned = Signed {
            body: body.clone(),
            ..world.discord.command(ANA, "help", &[])?
        };
        let answered = world.deliver(&unsigned.again(SEED, 0)).await?;
        let shown = &body[..body.len().min(200)];
        ensure!(answered.status == StatusCode::BAD_REQUEST, "{shown}: {answered:?}");
    }
    let good = world.say(ANA, "whoami", &[]).await?;
    ensure!(good.contains("ana"), "{good}");
    Ok(())
}
