//! Presses, choices and forms that are not what they seem: refused with 401, and nothing changes.

use anyhow::{Context as _, Result, ensure};
use reqwest::StatusCode;
use serde_json::Value;
use tidegate_tests::slack::{APP, SECRET, Signed, TEAM};

use super::world::{ANA, World};
use crate::platforms::with_any_letter_changed;

const DOOR: &str = "/slack/interactions";

/// What somebody did, which would change something if it were believed.
enum Deed {
    /// A rollout waits for this press.
    Press,
    /// This form starts one.
    Form,
    /// This choice redraws a form.
    Choice,
}

const DEEDS: [Deed; 3] = [Deed::Press, Deed::Form, Deed::Choice];

/// A world in which the deed counts, and its request.
async fn about_to(deed: &Deed) -> Result<(World, Signed)> {
    let world = World::new().await?;
    let signed = match deed {
        Deed::Press => {
            world.at_the_first_gate().await?;
            let card = world.present_card().await?;
            world.slack.press(ANA, &card, "advance")?
        }
        Deed::Form | Deed::Choice => {
            world.typed(ANA, "start").await?;
            let form = world.slack.form().context("no form is open")?;
            match deed {
                Deed::Choice => world.slack.choose(ANA, &form, "plan", "checkout"),
                Deed::Form | Deed::Press => world.slack.submit(ANA, &form, &[("input:version", "2.3.0")]),
            }
        }
    };
    Ok((world, signed))
}

/// All that such a deed could change: the rollouts, how far the first one is, the open form, what was answered.
async fn state(world: &World) -> Result<(usize, Option<usize>, Option<Value>, usize)> {
    let rollouts = world.rollouts().await?;
    let phase = match rollouts {
        0 => None,
        _ => Some(world.rollout().await?.phase_index()),
    };
    Ok((rollouts, phase, world.slack.form(), world.slack.late().len()))
}

/// Delivers it, and makes sure that it is refused and nothing came of it.
async fn refused(world: &World, signed: &Signed, why: &str) -> Result<()> {
    let before = state(world).await?;
    let answered = world.deliver(DOOR, signed).await?;
    ensure!(answered.status == StatusCode::UNAUTHORIZED, "{why}: {answered:?}");
    ensure!(answered.body["code"] == "unproven", "{why}: {answered:?}");
    ensure!(state(world).await? == before, "{why}: something came of it");
    Ok(())
}

/// Delivers it as it is: it was good all the time.
async fn believed(world: &World, deed: &Deed, signed: &Signed) -> Result<()> {
    let form = world.slack.form();
    let answered = world.deliver(DOOR, signed).await?;
    ensure!(answered.status == StatusCode::OK, "{answered:?}");
    match deed {
        Deed::Press => {
            world
                .slack
                .late_answer(&signed.response_url, super::world::PATIENCE)
                .await?;
            ensure!(world.rollout().await?.phase_index() == 1, "the press did nothing");
        }
        Deed::Form => ensure!(world.rollouts().await? == 1, "the form did nothing"),
        Deed::Choice => ensure!(world.slack.form() != form, "the choice did nothing"),
    }
    Ok(())
}

#[tokio::test]
async fn every_single_change_of_a_press_a_form_and_a_choice_is_seen() -> Result<()> {
    for deed in &DEEDS {
        let (world, signed) = about_to(deed).await?;
        let proof = (signed.timestamp.clone(), signed.signature.clone(), signed.body.clone());
        for (what, (timestamp, signature, body)) in with_any_letter_changed(&proof, 17) {
            let altered = Signed {
                timestamp,
                signature,
                body,
                ..signed.clone()
            };
            refused(&world, &altered, &what).await?;
        }
        for timestamp in ["", "0", "soon", &format!("+{}", signed.timestamp)] {
            let altered = Signed {
                timestamp: timestamp.to_owned(),
                ..signed.clone()
            };
            refused(&world, &altered, &format!("the time {timestamp:?}")).await?;
        }
        believed(&world, deed, &signed).await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_past_the_future_other_workspaces_and_other_apps_are_refused() -> Result<()> {
    for deed in &DEEDS {
        let (world, signed) = about_to(deed).await?;
        for seconds_ago in [310, 3_600, -310, -86_400] {
            let moved = signed.again(SECRET, seconds_ago);
            refused(&world, &moved, &format!("signed {seconds_ago} s ago")).await?;
        }
        refused(&world, &signed.from("T0EVIL", APP)?, "another workspace").await?;
        refused(&world, &signed.from(TEAM, "A0EVIL")?, "another app").await?;
        refused(&world, &signed.from(TEAM, "")?, "no app").await?;
        refused(
            &world,
            &signed.of_an_organisation("T0EVIL")?,
            "another workspace of an organisation",
        )
        .await?;
        refused(&world, &signed.again("a guess", 0), "another secret").await?;
        believed(&world, deed, &signed.again(SECRET, 290)).await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_very_same_press_form_and_choice_count_once_also_after_a_restart() -> Result<()> {
    for deed in &DEEDS {
        let (mut world, signed) = about_to(deed).await?;
        believed(&world, deed, &signed).await?;
        refused(&world, &signed, "again").await?;
        let hex = signed.signature.trim_start_matches("v0=").to_uppercase();
        let spelt = Signed {
            signature: format!("v0={hex}"),
            ..signed.clone()
        };
        refused(&world, &spelt, "again in capitals").await?;
        world.restart().await?;
        refused(&world, &signed, "again after a restart").await?;
        let advanced = usize::from(matches!(deed, Deed::Press));
        ensure!(world.rollouts().await? <= 1 && world.did("advance").await?.len() == advanced);
    }
    Ok(())
}

/// Slack delivers a request again whose answer it has not heard: the same interaction, signed anew.
#[tokio::test]
async fn the_platforms_own_retry_of_a_press_and_a_form_does_nothing_twice() -> Result<()> {
    for deed in [Deed::Press, Deed::Form] {
        let (world, signed) = about_to(&deed).await?;
        believed(&world, &deed, &signed).await?;
        let retry = world.deliver(DOOR, &signed.again(SECRET, -30)).await?;
        ensure!(retry.status == StatusCode::OK, "{retry:?}");
        if matches!(deed, Deed::Form) {
            ensure!(retry.body["response_action"] == "update", "{retry:?}");
        }
        let (rollouts, phase, _, _) = state(&world).await?;
        let once = usize::from(matches!(deed, Deed::Press));
        ensure!((rollouts, phase) == (1, Some(once)), "it was done twice");
    }
    Ok(())
}
