//! Pressed buttons: what they do, and that an old card, a second press and a made-up one do nothing.

use anyhow::{Result, ensure};
use reqwest::StatusCode;
use tidegate_tests::slack::Signed;

use super::world::{ANA, BEN, EVE, VIC, World};

#[tokio::test]
async fn a_rollout_goes_to_its_end_by_buttons() -> Result<()> {
    let world = World::new().await?;
    let first = world.at_the_first_gate().await?;
    let advance = first.button("advance").expect("it stands there");
    ensure!(
        advance["confirm"]["title"]["text"] == "Advance checkout-1?",
        "{advance}"
    );
    let rollback = first.button("rollback").expect("it stands there");
    ensure!(
        rollback["style"] == "danger" && !rollback["confirm"].is_null(),
        "{rollback}"
    );
    for (weight, word) in [("50%", "half"), ("100%", "everybody")] {
        let card = world
            .card("the gate waits", |card| {
                card.text.contains("WAITING") && card.button("advance").is_some()
            })
            .await?;
        let said = world.press(ANA, &card, "advance").await?;
        ensure!(said.contains(&format!("Phase {word} begins")), "{said}");
        world
            .card(word, |card| card.text.contains(weight) && card.text.contains(word))
            .await?;
    }
    let last = world
        .card("the last gate waits", |card| {
            card.text.contains("WAITING") && card.button("advance").is_some()
        })
        .await?;
    world.press(ANA, &last, "advance").await?;
    let watching = world
        .card("it is watched", |card| card.text.contains("WATCHING"))
        .await?;
    ensure!(watching.buttons() == ["pause", "rollback"], "{:?}", watching.buttons());
    let said = world.press(ANA, &watching, "rollback").await?;
    ensure!(said.contains("Rollback from 100%"), "{said}");
    world
        .card("it is rolled back", |card| card.text.contains("ROLLED BACK"))
        .await?;
    Ok(())
}

#[tokio::test]
async fn a_click_on_an_old_card_does_nothing_and_shows_a_fresh_one() -> Result<()> {
    let world = World::new().await?;
    let old = world.at_the_first_gate().await?;
    world.say(ANA, "note \"the world moves on\"").await?;
    let before = world.rollout().await?;
    for action in ["advance", "pause"] {
        let said = world.press(ANA, &old, action).await?;
        ensure!(said.starts_with("R401 That button is from revision"), "{said}");
        ensure!(said.contains("[Advance…]"), "there is a fresh card: {said}");
    }
    let after = world.rollout().await?;
    ensure!(after.generation == before.generation, "a stale press changed something");
    // A late press of Rollback still means rollback.
    let said = world.press(ANA, &old, "rollback").await?;
    ensure!(said.contains("Rollback from 5%"), "{said}");
    Ok(())
}

#[tokio::test]
async fn a_double_click_and_two_people_at_once_do_one_thing() -> Result<()> {
    let world = World::new().await?;
    let card = world.at_the_first_gate().await?;
    let twice = [ANA, ANA].map(|user| world.slack.press(user, &card, "advance"));
    at_once(&world, twice, "R401").await?;
    let half = world.card("one phase on", |card| card.text.contains("half")).await?;
    ensure!(half.text.contains("phase 2 of 3"), "{}", half.text);

    let gate = world
        .card("the second gate waits", |card| {
            card.text.contains("WAITING") && card.text.contains("phase 2 of 3")
        })
        .await?;
    let both = [ANA, BEN].map(|user| world.slack.press(user, &gate, "advance"));
    let winner = at_once(&world, both, "R401").await?;
    let card = world
        .card("one phase on", |card| card.text.contains("everybody"))
        .await?;
    ensure!(card.text.contains("phase 3 of 3"), "{}", card.text);
    let advanced = world.did("advance").await?;
    ensure!(advanced == ["ana", PEOPLE[winner]], "{advanced:?}");

    let both = [ANA, BEN].map(|user| world.slack.press(user, &card, "rollback"));
    let winner = at_once(&world, both, "R40").await?;
    world
        .card("it is rolled back", |card| {
            card.text.contains("ROLLED BACK") && card.text.contains(&format!("Because: {}", PEOPLE[winner]))
        })
        .await?;
    Ok(())
}

/// Who is behind the first press, and behind the second one.
const PEOPLE: [&str; 2] = ["ana", "ben"];

/// Delivers two presses at once: one acts, and the other is refused with a code that begins so. Which one acted.
async fn at_once(world: &World, presses: [Result<Signed>; 2], code: &str) -> Result<usize> {
    let [one, other] = presses;
    let (one, other) = (one?, other?);
    let (one, other) = tokio::join!(world.pressed(&one), world.pressed(&other));
    let said = [one?, other?];
    let refused = said.each_ref().map(|said| said.starts_with(code));
    ensure!(refused[0] != refused[1], "{said:#?}");
    Ok(usize::from(refused[0]))
}

#[tokio::test]
async fn a_rollback_beats_an_advance_that_is_being_confirmed() -> Result<()> {
    let world = World::new().await?;
    let card = world.at_the_first_gate().await?;
    let advance = world.slack.press(ANA, &card, "advance")?;
    let said = world.press(ANA, &card, "rollback").await?;
    ensure!(said.contains("Rollback from 5%"), "{said}");
    let late = world.pressed(&advance).await?;
    ensure!(
        ["R401", "R402", "R403"].iter().any(|code| late.starts_with(code)),
        "{late}"
    );
    let over = world
        .card("it is rolled back", |card| card.text.contains("ROLLED BACK"))
        .await?;
    ensure!(over.buttons().is_empty());
    Ok(())
}

#[tokio::test]
async fn who_may_not_say_it_may_not_press_it() -> Result<()> {
    let world = World::new().await?;
    let card = world.at_the_first_gate().await?;
    let before = world.rollout().await?.generation;
    for action in ["advance", "pause", "rollback"] {
        let said = world.press(VIC, &card, action).await?;
        ensure!(said.starts_with("R301") && said.contains("Ask"), "{action}: {said}");
        let said = world.press(EVE, &card, action).await?;
        ensure!(said.starts_with("R303"), "{action}: {said}");
    }
    ensure!(world.rollout().await?.generation == before);
    Ok(())
}

#[tokio::test]
async fn what_no_button_carries_is_refused() -> Result<()> {
    let world = World::new().await?;
    let card = world.at_the_first_gate().await?;
    let before = world.rollout().await?.generation;
    let generation = before.to_string();
    for (action, value) in [
        ("abort", format!("checkout-1:{generation}")),
        ("advance", "checkout-1".to_owned()),
        ("advance", "checkout-1:99999999999999999999999".to_owned()),
        ("advance", format!("../../etc:{generation}")),
        ("advance", format!("<!channel>:{generation}")),
        ("", String::new()),
    ] {
        let said = world
            .pressed(&world.slack.press_with(ANA, &card.ts, action, &value))
            .await?;
        ensure!(said.starts_with("R10"), "{action} {value}: {said}");
    }
    ensure!(world.rollout().await?.generation == before);
    Ok(())
}

#[tokio::test]
async fn the_way_to_the_page_is_a_button_that_does_nothing_here() -> Result<()> {
    let world = World::with(|settings| settings["web"]["external_url"] = "https://tidegate.example/x/".into()).await?;
    let card = world.at_the_first_gate().await?;
    ensure!(
        card.buttons() == ["open", "advance", "pause", "rollback"],
        "{:?}",
        card.buttons()
    );
    let open = card.button("open").expect("it stands there");
    ensure!(open["url"] == "https://tidegate.example/x/r/checkout-1", "{open}");
    let before = world.rollout().await?.generation;
    let answered = world
        .deliver("/slack/interactions", &world.slack.press(ANA, &card, "open")?)
        .await?;
    ensure!(answered.status == StatusCode::OK && world.rollout().await?.generation == before);
    ensure!(world.slack.late().is_empty(), "{:?}", world.slack.late());
    Ok(())
}

#[tokio::test]
async fn the_same_press_again_is_a_replay() -> Result<()> {
    let world = World::new().await?;
    let card = world.at_the_first_gate().await?;
    let press = world.slack.press(ANA, &card, "pause")?;
    let said = world.pressed(&press).await?;
    ensure!(said.contains("paused"), "{said}");
    let again = world.deliver("/slack/interactions", &press).await?;
    ensure!(again.status == StatusCode::UNAUTHORIZED, "{again:?}");
    Ok(())
}
